"""Every registered world keeps the contract (docs/contract.md). A new world is covered by being
in `rewardloom.registration.WORLDS`."""

import gc
import math
import os
import pickle
import subprocess
import sys
import threading
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import rewardloom
from rewardloom.components import COMPONENT_NAME
from rewardloom.errors import ConfigError
from rewardloom.registration import NAMESPACE, WORLDS

WORLD_IDS = [f"{NAMESPACE}/{name}" for name in WORLDS]
SHORT = {"horizon": 60}
"""Arguments that keep an episode short: worlds without `horizon` would add theirs by prefix."""

CHECKED = {
    # Both checkers play actions that they drew for another state, which no mask can mend.
    "rewardloom/MilpBranching-v0": {"illegal_action": "default"},
    "rewardloom/MilpBranchingMicro-v0": {"illegal_action": "default"},
}
"""Arguments with which a world is given to Gymnasium's and SB3's checkers, and why."""

every_world = pytest.mark.parametrize("env_id", WORLD_IDS)


def make(env_id, **kwargs):
    return gym.make(f"rewardloom:{env_id}", disable_env_checker=True, **{**SHORT, **kwargs})


def rollout(env, seed, steps=150):
    """Yield (obs, reward, terminated, truncated, info, is_reset) of several seeded episodes."""
    env.action_space.seed(seed)
    obs, info = env.reset(seed=seed)
    yield obs, None, False, False, info, True
    for _ in range(steps):
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        yield obs, reward, terminated, truncated, info, False
        if terminated or truncated:
            obs, info = env.reset()
            yield obs, None, False, False, info, True


def digest(env, seed=3, steps=150):
    """Return bytes that differ if anything an agent sees differs."""
    parts = []
    for obs, reward, terminated, truncated, info, _ in rollout(env, seed, steps):
        arrays = obs.values() if isinstance(obs, dict) else [obs]
        parts += [np.ascontiguousarray(a).tobytes() for a in arrays]
        parts.append(repr((reward, terminated, truncated, info.get("reward_components"))).encode())
        parts.append(repr(info.get("caption")).encode())
    return b"".join(parts)


@every_world
def test_every_step_carries_exactly_the_declared_components(env_id):
    with make(env_id) as env:
        names = rewardloom.reward_component_names(env)
        terminal = rewardloom.terminal_component_names(env)
        assert names
        assert all(COMPONENT_NAME.fullmatch(name) for name in names)
        assert set(terminal) <= set(names)
        episodes = 0
        for obs, reward, terminated, truncated, info, is_reset in rollout(env, 0, 200):
            assert env.observation_space.contains(obs)
            if is_reset:
                assert "reward_components" not in info
                continue
            values = info["reward_components"]
            assert set(values) == set(names)
            assert all(type(v) is float and math.isfinite(v) for v in values.values())
            assert math.isfinite(reward)
            over = terminated or truncated
            if not over:
                assert all(values[name] == 0.0 for name in terminal)
            assert ("is_success" in info) == over
            if over:
                episodes += 1
                assert isinstance(info["is_success"], bool)
                metrics = info["episode_metrics"]
                assert tuple(metrics) == env.get_wrapper_attr("episode_metrics")
                assert all(type(v) is float and math.isfinite(v) for v in metrics.values())
        assert episodes >= 2


@every_world
def test_gymnasiums_checker_finds_nothing(env_id):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with make(env_id, **CHECKED.get(env_id, {})) as env:
            check_env(env.unwrapped, skip_render_check=False)


@every_world
def test_sb3s_checker_finds_no_error(env_id):
    """Its warnings on shapes and bounds of non-image arrays are advice, not errors."""
    from stable_baselines3.common.env_checker import check_env as sb3_check_env

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        with make(env_id, **CHECKED.get(env_id, {})) as env:
            sb3_check_env(env)


@every_world
def test_equal_seeds_give_equal_bits_over_several_episodes(env_id):
    with make(env_id) as one, make(env_id) as other, make(env_id) as third:
        first = digest(one)
        assert digest(other) == first
        assert digest(one) == first  # the same env again
        assert digest(third, seed=4) != first


def test_equal_seeds_give_equal_bits_in_another_process():
    """One world of each kind: a fresh interpreter repeats this one's episodes."""
    env_id = WORLD_IDS[0]
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1])\n"
        "from test_world_conformance import digest, make\n"
        f"print(hashlib.sha256(digest(make({env_id!r}))).hexdigest())"
    )
    here = os.path.dirname(__file__)
    out = [
        subprocess.run(
            [sys.executable, "-c", code, here],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        ).stdout
        for hash_seed in (1, 2)
    ]
    assert out[0] == out[1]
    import hashlib

    with make(env_id) as env:
        assert hashlib.sha256(digest(env)).hexdigest() == out[0].strip()


@pytest.mark.parametrize("env_id", WORLD_IDS[:1] + WORLD_IDS[-1:])
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vectors_of_every_kind_agree(env_id, mode):
    from rewardloom.wrappers.vector import step_components

    def factory():
        return make(env_id)

    vectors = [kind([factory] * 2, autoreset_mode=mode) for kind in (SyncVectorEnv, AsyncVectorEnv)]
    names = rewardloom.reward_component_names(vectors[0])
    rng = np.random.default_rng(0)
    try:
        _, infos = [venv.reset(seed=5) for venv in vectors][-1]
        count = vectors[0].single_action_space.n
        everything = np.ones((2, count), dtype=bool)
        for _ in range(140):
            masks = infos.get("action_mask", everything)
            masks = np.where(masks.any(axis=1, keepdims=True), masks, True)  # a terminal tick
            actions = np.array([rng.choice(np.flatnonzero(mask)) for mask in masks])
            steps = [venv.step(actions) for venv in vectors]
            infos = steps[0][4]
            np.testing.assert_array_equal(steps[0][1], steps[1][1])
            read = [step_components(step[4], names, 2) for step in steps]
            np.testing.assert_array_equal(read[0][0], read[1][0])
            np.testing.assert_array_equal(read[0][1], read[1][1])
    finally:
        for venv in vectors:
            venv.close()


@pytest.mark.parametrize("subproc", [False, True])
def test_sb3_vectors_work(subproc):
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv

    venv = (SubprocVecEnv if subproc else DummyVecEnv)([lambda: make(WORLD_IDS[0])] * 2)
    try:
        assert rewardloom.reward_component_names(venv)
        venv.seed(0)
        venv.reset()
        ends = 0
        for _ in range(70):
            _, _, dones, infos = venv.step(np.zeros(2, int))
            ends += dones.sum()
            assert all("reward_components" in info for info in infos)
        assert ends >= 2
    finally:
        venv.close()


@every_world
def test_an_unstarted_world_pickles(env_id):
    with make(env_id) as env, pickle.loads(pickle.dumps(env)) as other:
        assert digest(other, steps=20) == digest(env, steps=20)


@every_world
def test_unknown_arguments_are_refused_with_the_nearest_name(env_id):
    with pytest.raises(ConfigError, match="Did you mean 'horizon'"):
        make(env_id, horizn=5)


@every_world
def test_render_modes_give_what_they_declare(env_id):
    declared = make(env_id).metadata["render_modes"]
    assert "rgb_array" in declared
    for mode in declared:
        if mode == "human":
            continue
        with make(env_id, render_mode=mode) as env:
            env.reset(seed=0)
            picture = env.render()
            if mode == "ansi":
                assert isinstance(picture, str)
                assert len(picture) > 40
            else:
                assert picture.dtype == np.uint8
                assert picture.ndim == 3
                assert picture.shape[2] == 3
                assert picture.max() > 0


@every_world
def test_stepping_out_of_turn_is_one_clear_error(env_id):
    with make(env_id) as env:
        with pytest.raises(gym.error.ResetNeeded):
            env.unwrapped.step(env.action_space.sample())
        env.reset(seed=0)
        with pytest.raises(gym.error.InvalidAction):
            env.unwrapped.step(env.action_space.n)


def open_files():
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("ending", ["close", "drop"])
def test_nothing_is_left_behind(ending):
    def use_one():
        env = make(WORLD_IDS[0])
        env.reset(seed=0)
        env.step(env.action_space.sample())
        if ending == "close":
            env.close()
            env.close()
        del env
        gc.collect()

    use_one()
    threads, files = threading.active_count(), open_files()
    for _ in range(5):
        use_one()
    assert threading.active_count() == threads
    assert open_files() <= files
