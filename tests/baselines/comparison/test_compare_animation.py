"""Frames kept of episodes of any length, and animations that fit."""

import numpy as np
import pytest
from PIL import Image

from rewardloom.baselines.comparison import animation
from rewardloom.baselines.comparison.animation import Frames, fit_text, to_picture, write_animation


@pytest.mark.parametrize("length", [1, 2, 160, 161, 319, 320, 1000, 5001])
def test_any_episode_keeps_few_even_frames_with_both_ends(length):
    rendered = []
    frames = Frames(lambda frame: frame)
    for step in range(length):
        frames.add(lambda step=step: rendered.append(step) or step)
    frames.close()
    kept = frames.kept
    assert len(kept) <= animation._MAX_FRAMES + 1
    assert (kept[0], kept[-1]) == (0, length - 1)
    assert kept == sorted(set(kept))
    assert len(set(np.diff(kept)[:-1])) <= 1
    assert len(rendered) <= 4 * animation._MAX_FRAMES + length // 4


def test_pace_is_the_worlds_own_unless_that_takes_too_long():
    short, long = Frames(str), Frames(str)
    for frames, length in ((short, 10), (long, 5000)):
        for _ in range(length):
            frames.add(lambda: 0)
    assert short.milliseconds(10) == 100
    assert short.milliseconds(None) == 200
    assert long.milliseconds(5) * len(long.kept) <= 20_000


def test_animation_leaves_out_frames_until_it_fits(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    frames = [to_picture(rng.integers(0, 256, (40, 60, 3))) for _ in range(32)]
    path = tmp_path / "a.webp"
    assert write_animation(path, frames, 100) == 100
    monkeypatch.setattr(animation, "MAX_BYTES", path.stat().st_size // 2)
    assert write_animation(path, frames, 100) > 100
    assert path.stat().st_size <= animation.MAX_BYTES
    with Image.open(path) as picture:
        assert 2 <= picture.n_frames < 32


def test_a_terminal_keeps_its_colors_exactly(tmp_path):
    screen = np.zeros((24, 80, 3), np.uint8)
    screen[3, 5] = (200, 30, 40)
    path = tmp_path / "a.webp"
    write_animation(path, [to_picture(screen), to_picture(screen[::-1])], 100)
    with Image.open(path) as picture:
        assert (np.asarray(picture.convert("RGB")) == screen).all()


def test_pictures_are_at_most_so_wide():
    assert to_picture(np.zeros((100, 1920, 3))).size == (960, 50)


def test_text_is_thinned_until_it_fits(monkeypatch):
    monkeypatch.setattr(animation, "MAX_BYTES", 100)
    frames = [f"{i:010}" for i in range(32)]
    kept = fit_text(frames)
    assert sum(map(len, kept)) <= 100
    assert (kept[0], kept[-1]) == (frames[0], frames[-1])
