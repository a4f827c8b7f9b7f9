"""Worlds that step at the same time do what each does alone."""

import gc
import signal
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rewardloom.envs.branching.vector import MilpBranchingVector
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError

SEED = 11


def first_legal(masks):
    return np.array([np.flatnonzero(mask)[0] if mask.any() else 0 for mask in masks])


def trace(vector, steps=60):
    """Return what an agent sees of the vector, as text."""
    seen = [vector.reset(seed=SEED)]
    for _ in range(steps):
        masks = np.stack(vector.call("action_masks"))
        seen.append(vector.step(first_legal(masks)))
    vector.close()
    with np.printoptions(threshold=10**9):
        return repr(seen)


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_it_is_a_sequential_vector_to_the_bit(mode):
    makers = [lambda: MilpBranching(family="micro", horizon=9)] * 3
    alone = trace(SyncVectorEnv(makers, autoreset_mode=mode))
    together = trace(MilpBranchingVector(3, family="micro", horizon=9, autoreset_mode=mode.value))
    assert "decisions" in alone
    assert together == alone


def test_the_worlds_search_at_the_same_time(monkeypatch):
    barrier = threading.Barrier(3, timeout=20)
    step = MilpBranching.step

    def meet(self, action):
        barrier.wait()  # breaks where the worlds step one after another
        return step(self, action)

    vector = MilpBranchingVector(3, family="micro")
    vector.reset(seed=SEED)
    monkeypatch.setattr(MilpBranching, "step", meet)
    vector.step(first_legal(vector.action_masks()))
    vector.close()


def test_an_illegal_action_moves_no_world():
    vector = MilpBranchingVector(3, family="micro")
    vector.reset(seed=SEED)
    waiting = vector.get_attr("decision")
    masks = vector.action_masks()
    assert masks.shape == (3, 15)
    actions = first_legal(masks)
    actions[2] = np.flatnonzero(~masks[2])[0]
    with pytest.raises(InvalidAction, match=r"Environment 2: .*not a candidate"):
        vector.step(actions)
    for wrong in (actions[:2], actions.astype(float), int(actions[0])):
        with pytest.raises(InvalidAction, match="must be 3 integers"):
            vector.step(wrong)
    assert vector.get_attr("decision") == waiting
    vector.step(first_legal(masks))
    assert all(
        new is not old for new, old in zip(vector.get_attr("decision"), waiting, strict=True)
    )
    vector.close()


def test_illegal_actions_may_be_left_to_scip():
    vector = MilpBranchingVector(2, family="micro", illegal_action="default")
    vector.reset(seed=SEED)
    masks = vector.action_masks()
    _, _, _, _, infos = vector.step(np.array([int(np.flatnonzero(~mask)[0]) for mask in masks]))
    assert (infos["nodes"] >= 1).all()
    vector.close()


def test_a_step_before_a_reset_is_refused():
    vector = MilpBranchingVector(2, family="micro")
    with pytest.raises(ResetNeeded, match="call reset"):
        vector.step(np.zeros(2, np.int64))
    vector.close()


def test_a_world_that_has_ended_keeps_all_others_where_they_are():
    vector = MilpBranchingVector(
        2, family="micro", illegal_action="default", autoreset_mode=AutoresetMode.DISABLED
    )
    vector.reset(seed=SEED)
    vector.envs[1].unwrapped.close()
    waiting = vector.get_attr("decision")
    with pytest.raises(ResetNeeded, match="call reset"):
        vector.step(np.zeros(2, np.int64))
    assert vector.get_attr("decision") == waiting
    vector.close()


def test_a_world_that_was_given_up_is_not_reset_behind_the_vector_s_back(monkeypatch):
    vector = MilpBranchingVector(1, family="micro", horizon=1, autoreset_mode="SameStep")
    vector.reset(seed=SEED)
    world, reset = vector.envs[0], MilpBranching.reset

    def late(self, **arguments):
        outcome = reset(self, **arguments)
        world.give_up()  # as Ctrl-C does meanwhile
        return outcome

    monkeypatch.setattr(MilpBranching, "reset", late)
    world.begin(vector._pool, first_legal(vector.action_masks())[0])
    world._running.result()
    assert world.unwrapped.session is None
    vector.close()


@pytest.mark.parametrize(("horizon", "most"), [(None, 4), (3, 4), (4, 3)])
def test_the_smaller_limit_of_steps_counts(horizon, most):
    vector = MilpBranchingVector(2, family="micro", horizon=horizon, max_episode_steps=most)
    vector.reset(seed=SEED)
    ends = [vector.step(first_legal(vector.action_masks()))[3].all() for _ in range(3)]
    assert ends == [False, False, min(most, horizon or most) == 3]
    vector.close()


@pytest.mark.usefixtures("_ctrl_c_raises")
def test_what_ctrl_c_interrupts_can_be_reset(monkeypatch):
    vector = MilpBranchingVector(2, family="micro")
    vector.reset(seed=SEED)
    step = MilpBranching.step

    def slow(self, action):
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.5)
        return step(self, action)

    monkeypatch.setattr(MilpBranching, "step", slow)
    timer = threading.Timer(0.1, signal.raise_signal, [signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        vector.step(first_legal(vector.action_masks()))
    timer.join()
    vector.reset(seed=SEED)
    assert vector.action_masks().any(axis=1).all()
    vector.close()
    vector.close()


@pytest.mark.parametrize("closes", [True, False])
def test_closing_and_dropping_leave_no_threads(closes):
    gc.collect()
    before = threading.active_count()
    vector = MilpBranchingVector(2, family="micro")
    vector.reset(seed=SEED)
    vector.step(first_legal(vector.action_masks()))
    assert threading.active_count() > before
    if closes:
        vector.close()
    del vector
    gc.collect()
    patience = time.perf_counter() + 5
    while threading.active_count() > before and time.perf_counter() < patience:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_its_metadata_are_its_own():
    vector = MilpBranchingVector(1, family="micro", autoreset_mode=AutoresetMode.DISABLED)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    assert MilpBranching.metadata.get("autoreset_mode") is not AutoresetMode.DISABLED


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs"),
        ({"num_envs": 1, "max_episode_steps": 0}, "max_episode_steps"),
        ({"num_envs": 1, "famly": "micro"}, "Did you mean 'family'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        MilpBranchingVector(**arguments)


def test_maskable_ppo_trains_on_it():
    sb3_contrib = pytest.importorskip("sb3_contrib")
    from rewardloom.baselines.plugs.vector_env import VectorEnvToVecEnv

    vector = MilpBranchingVector(2, family="micro", autoreset_mode=AutoresetMode.SAME_STEP)
    agent = sb3_contrib.MaskablePPO(
        "MultiInputPolicy", VectorEnvToVecEnv(vector), n_steps=16, seed=0
    )
    agent.learn(64)
    assert agent.num_timesteps == 64
    vector.close()


def test_gymnasium_makes_it_from_an_entry_point():
    env_id = "rewardloom/TestBranchingVector-v0"
    gym.register(
        env_id,
        vector_entry_point=MilpBranchingVector,
        max_episode_steps=3,
        kwargs={"family": "micro"},
    )
    try:
        vector = gym.make_vec(env_id, num_envs=2)
        assert isinstance(vector.unwrapped, MilpBranchingVector)
        _, infos = vector.reset(seed=SEED)
        for step in range(3):
            *_, truncations, infos = vector.step(first_legal(infos["action_mask"]))
            assert truncations.all() == (step == 2)
        vector.close()
    finally:
        del gym.registry[env_id]
