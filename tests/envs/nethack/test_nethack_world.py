"""How a NetHack world behaves as a Gymnasium environment: copies, files, memory, arguments."""

import bz2
import copy
import gc
import os
import pickle
import re
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import rewardloom.envs.nethack.backend as backend
from rewardloom.envs.nethack import (
    EXT28,
    TASK23,
    NetHackOracle,
    NetHackScore,
    NetHackStaircase,
    Stat,
)
from rewardloom.envs.nethack.observations import CROP, PRESETS, observe
from rewardloom.errors import BackendUnavailable, ConfigError, MissingDependency


def games(env, seed, steps):
    """Return everything seen in several random games, as bytes."""
    actions = np.random.default_rng(seed)
    obs, info = env.reset(seed=seed)
    seen, ends = [], 0
    for _ in range(steps):
        seen += [obs[key].tobytes() for key in sorted(obs)] + [info["caption"].encode()]
        obs, reward, terminated, truncated, info = env.step(int(actions.integers(23)))
        seen.append(repr((reward, terminated, truncated, info["reward_components"])).encode())
        if terminated or truncated:
            ends += 1
            obs, info = env.reset()
    return b"".join(seen), ends


@pytest.mark.parametrize("preset", PRESETS)
def test_five_games_repeat_to_the_bit_and_another_seed_differs(preset):
    one, two = (NetHackScore(observations=preset, horizon=300) for _ in range(2))
    first, ends = games(one, 5, 1600)
    assert ends >= 5
    assert games(two, 5, 1600)[0] == first
    assert games(one, 6, 1600)[0] != first
    assert games(one, 5, 1600)[0] == first  # whatever was played before
    one.close()
    two.close()


def test_reset_without_a_seed_goes_on_with_new_games():
    with NetHackScore() as env:
        first = env.reset(seed=1)[0]
        second = env.reset()[0]
        assert any((first[key] != second[key]).any() for key in first)


def test_sync_and_async_and_sb3_vectors_see_the_same_games():
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    def make():
        return NetHackScore(horizon=40)

    rng = np.random.default_rng(1)
    script = rng.integers(23, size=(90, 2))
    streams = []
    for kind in (SyncVectorEnv, AsyncVectorEnv):
        venv = kind([make] * 2, autoreset_mode=gym.vector.AutoresetMode.SAME_STEP)
        streams.append([venv.reset(seed=3)[0]["blstats"].copy()])
        streams[-1] += [venv.step(actions)[0]["blstats"].copy() for actions in script]
        venv.close()
    for kind in (DummyVecEnv, SubprocVecEnv):
        venv = kind([make] * 2)
        venv.seed(3)
        streams.append([venv.reset()["blstats"].copy()])
        streams[-1] += [venv.step(actions)[0]["blstats"].copy() for actions in script]
        venv.close()
    for other in streams[1:]:
        np.testing.assert_array_equal(streams[0], other)


@pytest.mark.parametrize("preset", PRESETS)
def test_observations_are_fresh_and_inside_the_space(preset):
    with NetHackScore(observations=preset, horizon=200) as env:
        obs, _ = env.reset(seed=0)
        kept = {key: value.copy() for key, value in obs.items()}
        actions = np.random.default_rng(0)
        for _ in range(150):
            later, _, terminated, _, _ = env.step(int(actions.integers(23)))
            assert env.observation_space.contains(later)
            assert not any(np.shares_memory(obs[key], later[key]) for key in obs)
            if terminated:
                break
        assert all((obs[key] == kept[key]).all() for key in obs)


def test_the_observation_at_death_is_inside_the_space_and_tells_of_it():
    with NetHackScore(horizon=None) as env:
        env.reset(seed=1)
        actions = np.random.default_rng(1)
        terminated = False
        while not terminated:
            obs, _, terminated, _, info = env.step(int(actions.integers(23)))
        assert env.observation_space.contains(obs)
        assert "You die" in bytes(obs["message"]).decode("latin-1")
        assert info["episode_metrics"]["turns"] > 1


@pytest.mark.parametrize("hero", [(0, 0), (78, 20), (40, 10), (3, 19), (76, 2)])
def test_the_crop_is_the_map_around_the_hero(hero):
    glyphs = np.arange(21 * 79, dtype=np.int16).reshape(21, 79)
    buffers = {"glyphs": glyphs, "blstats": np.zeros(27, np.int64), "message": np.zeros(256)}
    crop = observe(buffers, "compact", hero, None)["glyph_crop"]
    half = CROP // 2
    padded = np.pad(glyphs, half, constant_values=5976)
    x, y = hero
    np.testing.assert_array_equal(crop, padded[y : y + CROP, x : x + CROP])
    assert crop[half, half] == glyphs[y, x]


def test_a_long_text_is_cut_to_the_message_and_a_short_one_clears_the_rest():
    buffers = {
        "glyphs": np.zeros((21, 79), np.int16),
        "blstats": np.zeros(27, np.int64),
        "message": np.full(256, 9, np.uint8),
    }
    long = observe(buffers, "compact", (0, 0), b"x" * 300)["message"]
    short = observe(buffers, "compact", (0, 0), b"hi")["message"]
    assert bytes(long) == b"x" * 256
    assert bytes(short) == b"hi" + bytes(254)
    assert (buffers["message"] == 9).all()


def test_the_names_of_the_stats_are_those_of_nle():
    renamed = {
        "X": "X", "Y": "Y", "SCORE": "SCORE", "HP": "HIT_POINTS", "HPMAX": "MAX_HIT_POINTS",
        "DEPTH": "DEPTH", "GOLD": "GOLD", "ENE": "ENERGY", "ENEMAX": "MAX_ENERGY",
        "AC": "ARMOR_CLASS", "HD": "MONSTER_LEVEL", "XP": "EXPERIENCE_LEVEL",
        "EXP": "EXPERIENCE_POINTS", "TIME": "TIME", "HUNGER": "HUNGER",
        "CAP": "CARRYING_CAPACITY", "DNUM": "DUNGEON", "DLEVEL": "LEVEL",
        "CONDITION": "CONDITION", "ALIGN": "ALIGNMENT", "STR25": "STRENGTH",
        "STR125": "STRENGTH_PERCENT", "DEX": "DEXTERITY", "CON": "CONSTITUTION",
        "INT": "INTELLIGENCE", "WIS": "WISDOM", "CHA": "CHARISMA",
    }  # fmt: skip
    assert len(renamed) == len(Stat) == backend.nethack.NLE_BLSTATS_SIZE
    for theirs, ours in renamed.items():
        assert getattr(backend.nethack, f"NLE_BL_{theirs}") == Stat[ours]


def test_the_action_sets_are_those_of_nle_and_the_five_more():
    from nle.env import tasks

    assert tuple(int(key) for key in tasks.TASK_ACTIONS) == TASK23
    assert len(EXT28) == 28
    assert EXT28[:23] == TASK23
    assert bytes(key & 127 for key in EXT28[23:]) == b"Zqp,p"


def test_actions_of_ones_own():
    with NetHackScore(actions=[ord("s"), backend.nethack.CompassDirection.N]) as env:
        assert env.action_space.n == 2
        env.reset(seed=0)
        assert env.step(0)[4]["reward_components"]["idle"] in (0.0, 1.0)


@pytest.mark.parametrize("action", [-1, 23, 1.5, "3", None])
def test_an_action_out_of_range_names_the_range(action):
    with NetHackScore() as env:
        env.reset(seed=0)
        with pytest.raises(gym.error.InvalidAction, match=re.escape("0..22")):
            env.step(action)


def test_numpy_actions_are_taken():
    with NetHackScore() as env:
        env.reset(seed=0)
        env.step(np.int64(3))
        env.step(np.array(3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"actions": "task32"}, "Did you mean 'task23'"),
        ({"actions": []}, "at least one"),
        ({"actions": [300]}, "300 is not in 0..255"),
        ({"actions": [1, 1]}, "each key once"),
        ({"actions": 5}, "sequence of key codes"),
        ({"actions": ["k"]}, "sequence of key codes"),
        ({"observations": "compct"}, "Did you mean 'compact'"),
        ({"caption": "join"}, "Did you mean 'joined'"),
        ({"horizon": 0}, "horizon must be an integer of at least 1, not 0"),
        ({"horizon": True}, "horizon must be an integer"),
        ({"character": "mom-hum"}, "Did you mean 'mon'"),
        ({"character": "mon-hun"}, "Did you mean 'hum'"),
        ({"character": "mon-hum-elf"}, "Unknown race, alignment or gender 'elf'"),
        ({"character": 3}, "character must be a string"),
        ({"lgen": -1}, "lgen must be an integer of at least 0"),
        ({"fix_moon_phase": 1}, "fix_moon_phase must be True or False"),
        ({"save_ttyrec_every": 2}, "save_ttyrec_every needs ttyrec_dir"),
        ({"render_mode": "rgb"}, "Did you mean 'rgb_array'"),
        ({"reward_scale": float("nan")}, "reward_scale must be a finite number"),
        ({"reward_scale": "1"}, "reward_scale must be a finite number"),
        ({"continual": True}, "Unknown argument 'continual' of NetHackScore"),
        ({"strict_mesage": True}, "Unknown argument"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(arguments, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        NetHackScore(**arguments)


def test_the_arguments_of_the_other_tasks_are_checked_too():
    with pytest.raises(ConfigError, match="level must be one of 2, 3, 4, not 5"):
        NetHackStaircase(level=5)
    with pytest.raises(ConfigError, match="Did you mean 'strict_message'"):
        NetHackStaircase(level=2, strict_mesage=True)
    with pytest.raises(ConfigError, match="sober must be True or False"):
        NetHackOracle(sober="yes")


def test_stepping_and_rendering_out_of_turn():
    env = NetHackScore(render_mode="ansi")
    for call in (env.render, lambda: env.step(0)):
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            call()
    env.reset(seed=0)
    env.close()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    env.reset(seed=0)  # a closed world may be used again
    env.close()


def test_reset_options_are_empty_or_refused():
    with NetHackScore() as env:
        env.reset(seed=0, options={})
        with pytest.raises(ConfigError, match="no reset options"):
            env.reset(options={"wizkit_items": None})


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda e: pickle.loads(pickle.dumps(e))])
def test_an_idle_world_can_be_copied_and_a_running_one_says_why_not(duplicate):
    with NetHackStaircase(level=3, horizon=9) as env, duplicate(env) as other:
        assert (other.level, other.horizon) == (3, 9)
        assert games(other, 2, 20) == games(env, 2, 20)
        with pytest.raises(gym.error.Error, match="in progress"):
            duplicate(env)
        env.close()
        duplicate(env).close()


def test_a_copy_goes_on_with_the_same_random_numbers():
    with NetHackScore() as env:
        env.reset(seed=9)
        env.close()
        with copy.deepcopy(env) as other:
            one, two = env.reset()[0], other.reset()[0]
            assert all((one[key] == two[key]).all() for key in one)


@pytest.mark.parametrize("ending", ["close", "drop", "cut"])
def test_no_file_or_folder_or_warning_is_left_behind(ending, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # tests beside this one have games too

    def folders():
        return set(tmp_path.iterdir())

    def once():
        env = NetHackScore(horizon=3)
        env.reset(seed=0)
        for _ in range(1 if ending == "cut" else 3):
            env.step(0)
        if ending == "close":
            env.close()
            env.close()

    once()
    gc.collect()
    files, before = len(os.listdir("/proc/self/fd")), folders()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            once()
            gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= files
    assert folders() <= before


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_resets_do_not_grow_the_process():
    """Dropping a running game leaks about 2 kB in nle: 1,500 resets would show 3 MB."""
    with NetHackScore() as env:
        for _ in range(300):
            env.reset()
        start = resident_bytes()
        for _ in range(1500):
            env.reset()
        assert resident_bytes() - start < 1e6


def test_recordings_are_written_game_by_game(tmp_path):
    folder = tmp_path / "recordings"
    with NetHackScore(horizon=20, save_ttyrec_every=2, ttyrec_dir=folder) as env:
        paths = []
        for _ in range(4):
            env.reset(seed=1)
            for action in range(20):
                env.step(action)
            paths.append(env.last_episode.ttyrec)
    assert [path is not None for path in paths] == [True, False, True, False]
    assert sorted(os.listdir(folder)) == sorted(os.path.basename(p) for p in paths if p)
    for path in filter(None, paths):
        assert b"welcome to NetHack" in bz2.decompress(Path(path).read_bytes())


def test_recording_changes_nothing_in_the_game(tmp_path):
    with (
        NetHackScore(horizon=60) as plain,
        NetHackScore(horizon=60, save_ttyrec_every=1, ttyrec_dir=tmp_path) as recorded,
    ):
        assert games(plain, 3, 150) == games(recorded, 3, 150)


def test_rendering_changes_nothing_in_the_game():
    with NetHackScore(horizon=60) as plain, NetHackScore(render_mode="rgb_array") as shown:
        shown.horizon = 60
        assert games(plain, 3, 150) == games(shown, 3, 150)


def test_the_presets_play_the_same_game():
    """With one exception that is documented: "full" words some texts more closely."""
    numbers, captions = [], []
    for preset in PRESETS:
        with NetHackScore(observations=preset) as env:
            steps = [env.reset(seed=6)]
            steps += [env.step(action % 23)[::4] for action in range(300)]
        numbers.append(np.stack([obs["blstats"] for obs, _ in steps]))
        captions.append([info["caption"] for _, info in steps])
    np.testing.assert_array_equal(numbers[0], numbers[1])
    np.testing.assert_array_equal(numbers[0], numbers[2])
    assert captions[0] == captions[1]


def run_python(code, **environment):
    env = {k: v for k, v in os.environ.items() if k not in ("USER", "LOGNAME")}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**env, **environment}
    )


def test_nothing_is_printed_where_the_user_has_no_name():
    done = run_python(
        "from rewardloom.envs.nethack import NetHackScore\n"
        "env = NetHackScore(); env.reset(seed=0); env.step(0); env.close()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_rewardloom_imports_no_nle():
    done = run_python("import rewardloom, sys; assert 'nle' not in sys.modules")
    assert done.returncode == 0, done.stderr


def test_a_missing_nle_is_one_clear_error():
    done = run_python(
        "import sys; sys.modules['nle'] = None\n"
        "import gymnasium as gym, rewardloom\n"
        "try: gym.make('rewardloom/NetHackScore-v0')\n"
        "except rewardloom.MissingDependency as error: print(error)"
    )
    assert 'pip install "rewardloom[nethack]"' in done.stdout, done.stderr
    assert "pip install --no-deps nle==1.3.0" in done.stdout


def test_a_platform_without_wheels_and_a_broken_build_are_told_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, "nle.nethack", None)
    with pytest.raises(MissingDependency):
        backend.load_nethack()
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(BackendUnavailable, match="Linux or macOS"):
        backend.load_nethack()
    monkeypatch.setattr(sys, "platform", "linux")

    def broken(name):
        raise ImportError("libnethack.so: cannot open shared object file")

    monkeypatch.setattr(backend.importlib, "import_module", broken)
    with pytest.raises(BackendUnavailable, match="does not load"):
        backend.load_nethack()


def test_a_game_that_never_starts_is_reported(monkeypatch):
    with NetHackScore() as env:
        monkeypatch.setattr(env._ready_engine(), "start", lambda *seeds: False)
        with pytest.raises(BackendUnavailable, match="100 attempts"):
            env.reset(seed=0)


def test_sb3s_checker_warns_of_shapes_and_types_only():
    """Its warnings: Box entries that are no images (2-D arrays of ids and characters), whose
    bounds or types an image policy would not take; NetHackFeatures reads them."""
    from stable_baselines3.common.env_checker import check_env

    for preset in PRESETS:
        with (
            warnings.catch_warnings(record=True) as caught,
            NetHackScore(observations=preset) as env,
        ):
            warnings.simplefilter("always")
            check_env(env)
        texts = [str(w.message) for w in caught]
        allowed = ("unconventional shape", "It seems that your observation", "is an image but")
        assert all(any(reason in text for reason in allowed) for text in texts), texts
