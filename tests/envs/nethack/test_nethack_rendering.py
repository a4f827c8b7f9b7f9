"""Pictures of the terminal."""

import re
import time

import gymnasium as gym
import numpy as np

from rewardloom.envs.nethack import NetHackScore
from rewardloom.envs.nethack.rendering import render_ansi, render_rgb


def terminal(text="", color=7):
    chars = np.full((24, 80), ord(" "), np.uint8)
    chars[0, : len(text)] = np.frombuffer(text.encode(), np.uint8)
    return chars, np.full((24, 80), color, np.int8)


def cell(picture, row, column):
    return picture[row * 16 : row * 16 + 16, column * 8 : column * 8 + 8]


AWAY = np.array([23, 79], np.uint8)


def test_a_picture_holds_the_whole_terminal_in_its_colors():
    chars, colors = terminal("AB A")
    colors[0, 1] = 1
    picture = render_rgb(chars, colors, AWAY)
    assert picture.shape == (384, 640, 3)
    assert picture.dtype == np.uint8
    assert picture.flags.c_contiguous
    np.testing.assert_array_equal(cell(picture, 0, 0), cell(picture, 0, 3))
    assert (cell(picture, 0, 0) != cell(picture, 0, 2)).any()
    red = cell(picture, 0, 1).reshape(-1, 3).max(axis=0)
    assert red[0] > 2 * red[1]
    assert len(np.unique(cell(picture, 5, 5).reshape(-1, 3), axis=0)) == 1


def test_the_cursor_is_inverted_and_one_outside_is_left_out():
    chars, colors = terminal("@")
    plain = render_rgb(chars, colors, np.array([24, 0], np.uint8))
    marked = render_rgb(chars, colors, np.array([0, 0], np.uint8))
    np.testing.assert_array_equal(cell(marked, 0, 0), 255 - cell(plain, 0, 0))
    np.testing.assert_array_equal(marked[16:], plain[16:])


def test_characters_and_color_bits_the_font_lacks_are_no_error():
    chars, colors = terminal()
    chars[3, 3], chars[3, 4], colors[3, 3] = 0, 200, 31
    picture = render_rgb(chars, colors, AWAY)
    np.testing.assert_array_equal(cell(picture, 3, 3), cell(picture, 4, 4))


def test_the_text_form_keeps_lines_and_starts_a_color_once():
    chars, colors = terminal("red!")
    colors[0, :3] = 1
    colors[0, 3] = 9
    lines = render_ansi(chars, colors).split("\n")
    assert len(lines) == 24
    assert lines[0].startswith("\033[0;31mred\033[1;31m!\033[0;37m ")
    assert [len(re.sub(r"\033\[[\d;]*m", "", line)) for line in lines] == [80] * 24


def test_both_forms_show_the_game():
    with NetHackScore(render_mode="ansi") as env:
        env.reset(seed=0)
        env.step(0)
        text = re.sub(r"\033\[[\d;]*m", "", env.render())
        assert "Agent the Candidate" in text
        assert "Dlvl:1" in text
        assert "@" in text


def test_pictures_follow_the_game_and_are_not_overwritten():
    with NetHackScore(render_mode="rgb_array") as env:
        env.reset(seed=0)
        first = env.render()
        kept = first.copy()
        for action in range(9):
            env.step(action)
        assert (env.render() != first).any()
        np.testing.assert_array_equal(first, kept)


def test_without_a_render_mode_there_is_no_picture():
    with NetHackScore() as env:
        env.reset(seed=0)
        assert env.render() is None


def test_a_frame_takes_little_time():
    with NetHackScore(render_mode="rgb_array") as env:
        env.reset(seed=0)
        env.render()
        start = time.perf_counter()
        for _ in range(20):
            env.render()
        assert (time.perf_counter() - start) / 20 < 0.02


def test_record_video_writes_a_file(tmp_path):
    env = gym.make("rewardloom/NetHackScore-v0", render_mode="rgb_array", horizon=12)
    with gym.wrappers.RecordVideo(env, str(tmp_path / "films"), disable_logger=True) as recorder:
        recorder.reset(seed=0)
        truncated = False
        while not truncated:
            truncated = recorder.step(0)[3]
    assert [path.suffix for path in (tmp_path / "films").iterdir()] == [".mp4"]
