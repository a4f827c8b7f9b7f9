"""What hostile callers do to the branching world: bad files, misuse, interruptions, copies."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import RecordEpisodeStatistics, RecordVideo, TimeLimit
from stable_baselines3.common.env_checker import check_env as sb3_check_env
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.envs.branching.instances import generate
from rewardloom.envs.branching.world import MilpBranching
from rewardloom.errors import ConfigError
from rewardloom.wrappers import (
    DeferReward,
    GateReward,
    RedistributeReward,
    RewardComponents,
    WeightReward,
)

SHORT = {"num_variables": 8, "num_rows": 3}


def micro(**arguments) -> MilpBranching:
    return MilpBranching(**{"family": "micro", **arguments})


def short(**arguments) -> MilpBranching:
    """A world whose episodes are a dozen decisions."""
    return micro(generator=SHORT, **arguments)


def solver_threads() -> int:
    return sum(thread.name == "rewardloom-scip" for thread in threading.enumerate())


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    gc.collect()
    before = solver_threads()
    yield
    gc.collect()
    patience = time.perf_counter() + 10
    while solver_threads() > before and time.perf_counter() < patience:
        time.sleep(0.02)
    assert solver_threads() <= before


def first(mask):
    return int(np.flatnonzero(mask)[0])


def trace(env, seed=0):
    """Return what each step of an episode tells, always taking the first candidate."""
    _, info = env.reset(seed=seed)
    steps, over = [], False
    while not over:
        action = first(info["action_mask"])
        _, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        steps.append((action, reward, info["nodes"], info["lp_iterations"], info["dual_bound"]))
    return steps


def sums(env):
    """Return the sums of paid and raw rewards of an episode, and its last info."""
    _, info = env.reset(seed=0)
    paid = raw = 0.0
    over = False
    while not over:
        _, reward, terminated, truncated, info = env.step(first(info["action_mask"]))
        paid, raw = paid + reward, raw + info.get("raw_reward", reward)
        over = terminated or truncated
    return paid, raw, info


PROGRAM = """{sense}
 obj: {objective}
Subject To
{rows}
Bounds
 x <= {upper}
 y <= {upper}
{ints}End
"""
INTEGERS = "Generals\n x y\n"


def lp(rows, sense="Minimize", objective="x + y", upper="9", ints=INTEGERS):
    return PROGRAM.format(sense=sense, objective=objective, rows=rows, upper=upper, ints=ints)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.lp", "", "is empty"),
        ("words.lp", "no program\n", "defines no variable"),
        ("words.mps", "no program\n", "cannot read"),
        ("packed.lp.gz", "not packed", "defines no variable"),
        (
            "open.lp",
            lp(" c: x - y <= 1.5", "Maximize", upper="Infinity"),
            "unbounded",
        ),
        ("none.lp", lp(" c: x >= 2\n d: x <= 1"), "infeasible"),
        ("odd.lp", lp(" c: 2 x + 2 y = 3"), "odd.lp is infeasible"),
        ("pure.lp", lp(" c: x + y >= 1.5", ints=""), "pure linear"),
        ("presolved.lp", lp(" c: x >= 1.5"), "without a decision, as it did the 2 draws"),
        ("product.lp", lp(" c: [ x * y ] >= 2"), "not linear"),
    ],
)
def test_files_that_cannot_be_branched_on(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    for arguments, options in (
        ({"instances": tmp_path / name, "max_variables": 9}, {}),
        ({"family": "micro"}, {"instance": tmp_path / name}),
    ):
        env = MilpBranching(max_resamples=2, **arguments)
        with pytest.raises(ConfigError, match=message):
            env.reset(seed=0, options=options)
        assert env.session is None
        env.close()


def test_a_file_that_vanishes_between_episodes_is_named(tmp_path):
    file = tmp_path / "gone.lp"
    file.write_text(lp(" c: 2 x + 2 y >= 3\n d: 2 x - 2 y <= 1", objective="3 x + 4 y"))
    env = MilpBranching(instances=file, preset="pure")
    env.reset(seed=0)
    file.unlink()
    with pytest.raises(ConfigError, match=r"gone\.lp"):
        env.reset()


def test_whatever_is_no_candidate_is_refused_and_the_search_stays_the_same():
    env = micro()
    _, info = env.reset(seed=0)
    action = first(info["action_mask"])
    for wrong in (-1, 10**6, 2**80, 1.5, float("nan"), None, "0", [action], np.array([1, 2]), 3.0):
        with pytest.raises(gym.error.InvalidAction, match="still waits"):
            env.step(wrong)
    _, reward, *_, info = env.step(action)
    expected = trace(micro())[0]
    assert (action, reward, info["nodes"], info["lp_iterations"], info["dual_bound"]) == expected


def test_a_mask_that_the_caller_writes_to_changes_nothing():
    env = micro()
    _, info = env.reset(seed=0)
    legal = info["action_mask"].copy()
    info["action_mask"][:] = True
    env.action_masks()[:] = True
    np.testing.assert_array_equal(env.action_masks(), legal)
    assert {int(env.action_space.sample()) for _ in range(60)} == set(np.flatnonzero(legal))


def test_a_node_limit_of_one_is_one_decision():
    env = MilpBranching(node_limit=1)
    _, info = env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(first(info["action_mask"]))
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert (info["status"], info["nodes"]) == ("nodelimit", 1)


def test_steps_without_a_waiting_decision_ask_for_a_reset():
    env = micro()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    steps = trace(env)
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    assert not env.action_masks().any()
    env.close()
    env.close()
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    assert trace(env) == steps


def test_two_worlds_in_turns_search_as_they_do_alone():
    alone = [trace(micro(), 0), trace(short(), 1)]
    envs, infos, together = [micro(), short()], [], [[], []]
    for seed, env in enumerate(envs):
        infos.append(env.reset(seed=seed)[1])
    live = {0, 1}
    while live:
        for i in sorted(live):
            action = first(infos[i]["action_mask"])
            _, reward, terminated, truncated, info = envs[i].step(action)
            infos[i] = info
            told = (action, reward, info["nodes"], info["lp_iterations"], info["dual_bound"])
            together[i].append(told)
            if terminated or truncated:
                live.remove(i)
    assert together == alone


@pytest.mark.parametrize("made", [False, True])
def test_worlds_that_are_dropped_leave_no_thread(made):
    before = solver_threads()
    for _ in range(3):
        env = gym.make("rewardloom:rewardloom/MilpBranchingMicro-v0") if made else micro()
        _, info = env.reset(seed=0)
        env.step(first(info["action_mask"]))
        assert solver_threads() == before + 1
        del env
        gc.collect()
    assert solver_threads() == before


def test_ctrl_c_during_the_root_of_a_reset_leaves_a_world_that_works():
    env = MilpBranching(family="set_cover", size="transfer", preset="default")

    def interrupt(number, frame):
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        started = time.perf_counter()
        with pytest.raises(KeyboardInterrupt):
            env.reset(seed=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert time.perf_counter() - started < 3
    assert env.session is None
    assert trace(short()) == trace(short())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_gets_an_error_and_may_begin_anew():
    env = short()
    _, info = env.reset(seed=0)
    action = first(info["action_mask"])
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            env.step(action)
        except BaseException as error:
            told = type(error).__name__
        else:
            told = "stepped"
        env.reset(seed=1)
        env.close()
        os.write(writable, told.encode())
        os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as pipe:
        assert pipe.read() == "BackendUnavailable"
    os.waitpid(child, 0)
    env.step(action)
    env.close()


def test_copies_search_as_their_original_but_not_from_the_middle():
    env = short()
    copies = [pickle.loads(pickle.dumps(env)), copy.deepcopy(env)]
    steps = trace(env)
    assert all(trace(other) == steps for other in copies)
    copies[0].reset(seed=0)
    assert copies[0].action_space.legal.sum() == copies[0].action_masks().sum()
    after = pickle.loads(pickle.dumps(env))
    assert trace(after, 3) == trace(env, 3)
    env.reset(seed=0)
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(gym.error.Error, match="search in progress"):
            attempt(env)
    env.close()
    pickle.dumps(env)


def test_a_refused_instance_leaves_a_world_that_works():
    env = short()
    large = generate("micro", np.random.default_rng(0), size="train")
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="max_variables=30 or more"):
        env.reset(options={"instance": large})
    with pytest.raises(gym.error.ResetNeeded):
        env.step(0)
    assert trace(env) == trace(short())


def vector_rewards(envs, ticks=40):
    """Return the (ticks, n) rewards of a vector environment, and how many episodes ended."""
    envs.reset(seed=[0, 1])
    masks, rewards, ends = np.array(envs.call("action_masks")), [], 0
    for _ in range(ticks):
        actions = np.array([first(mask) if mask.any() else 0 for mask in masks])
        _, reward, terminated, truncated, infos = envs.step(actions)
        masks = np.array(envs.call("action_masks"))
        np.testing.assert_array_equal(infos["action_mask"], masks)
        rewards.append(reward)
        ends += int((terminated | truncated).sum())
    envs.close()
    return np.array(rewards), ends


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vectors_in_one_process_and_in_several_pay_the_same(mode):
    synced, ends = vector_rewards(SyncVectorEnv([short] * 2, autoreset_mode=mode))
    apart, _ = vector_rewards(AsyncVectorEnv([short] * 2, autoreset_mode=mode))
    np.testing.assert_array_equal(synced, apart)
    assert ends > 2


def test_sb3_vectors_reset_by_themselves_and_tell_of_success():
    envs = DummyVecEnv([short] * 2)
    envs.seed(0)
    envs.reset()
    ended = []
    for _ in range(60):
        actions = [first(mask) for mask in envs.env_method("action_masks")]
        _, _, done, infos = envs.step(np.array(actions))
        ended += [info for info, over in zip(infos, done, strict=True) if over]
    assert len(ended) > 2
    assert all(info["is_success"] for info in ended)
    assert not any(info["terminal_observation"]["mask"].any() for info in ended)
    envs.close()


@pytest.mark.parametrize("observation", ["candidates", "bipartite", "graph"])
@pytest.mark.filterwarnings("ignore:.*Not able to test alternative render modes")
def test_gymnasiums_checker_passes_where_illegal_actions_are_left_to_scip(observation):
    check_env(short(observation=observation, illegal_action="default"))


@pytest.mark.parametrize("observation", ["candidates", "bipartite"])
@pytest.mark.filterwarnings("ignore:Your observation")
def test_sb3s_checker_passes_without_masks(observation):
    sb3_check_env(short(observation=observation))


PLAY = """
import hashlib
import numpy as np
from rewardloom.envs.branching.world import MilpBranching
told = hashlib.sha256()
env = MilpBranching(family="set_cover", observation="bipartite", horizon=20)
for seed in (3, None):
    observation, info = env.reset(seed=seed)
    over = False
    while not over:
        for name in sorted(observation):
            told.update(observation[name].tobytes())
        action = int(np.flatnonzero(info["action_mask"])[-1])
        observation, reward, terminated, truncated, info = env.step(action)
        over = terminated or truncated
        told.update(repr((reward, info["lp_iterations"], info["reward_components"])).encode())
print(told.hexdigest())
"""


def run(program, **environment):
    """Return what a program prints in a process of its own."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_with_other_hash_seeds_see_the_same_to_the_bit():
    told = {run(PLAY, PYTHONHASHSEED=seed) for seed in ("0", "4242")}
    assert len(told) == 1


MISSING = """
import gymnasium as gym
from rewardloom.errors import MissingDependency
for name in ("MilpBranching-v0", "MilpBranchingMicro-v0"):
    try:
        gym.make(f"rewardloom:rewardloom/{name}")
    except MissingDependency as error:
        print(error)
"""


def test_without_pyscipopt_the_error_says_how_to_get_it(tmp_path):
    (tmp_path / "pyscipopt.py").write_text("raise ImportError('not here')\n")
    told = run(MISSING, PYTHONPATH=str(tmp_path)).splitlines()
    assert len(told) == 2
    assert all('pip install "rewardloom[milp]"' in line for line in told)


def test_a_time_limit_around_the_world_cuts_the_search_off_at_the_next_reset():
    env = TimeLimit(short(), 3)
    _, info = env.reset(seed=0)
    for _ in range(3):
        *_, truncated, info = env.step(first(info["action_mask"]))
    assert truncated
    assert "status" not in info
    env.reset()
    assert env.unwrapped.last_episode.status == "cut_off"
    assert env.unwrapped.last_episode.steps == 3
    env.close()


def test_statistics_and_videos_of_whole_episodes(tmp_path):
    pytest.importorskip("moviepy")
    videos = tmp_path / "videos"
    env = RecordVideo(short(render_mode="rgb_array"), str(videos), episode_trigger=lambda _: True)
    paid, _, info = sums(RecordEpisodeStatistics(env))
    env.close()
    assert info["episode"]["r"] == pytest.approx(paid)
    assert [file.suffix for file in videos.iterdir()] == [".mp4"]


def test_reward_designs_pay_what_they_promise():
    _, raw, info = sums(short())
    assert raw == -(info["nodes"] - 1)
    levels = [
        {"components": "solved", "priority": 2, "threshold": 0.5},
        {"components": "nodes", "priority": 1},
    ]
    assert sums(GateReward(short(), levels))[:2] == (raw + 1, raw)
    assert sums(DeferReward(short()))[:2] == (raw, raw)
    assert sums(WeightReward(short(), {"nodes": 0.5, "solved": 1.0}))[:2] == (raw / 2 + 1, raw)
    paid, _, _ = sums(RedistributeReward(short(), "difference", score="nodes"))
    assert paid == pytest.approx(raw)
    env = RewardComponents(short(), searched=lambda step: float(step.info["nodes"]))
    assert sums(env)[2]["reward_components"]["searched"] == info["nodes"]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_searches_that_are_given_up_leave_no_descriptors():
    env = short()
    env.reset(seed=0)
    before = len(os.listdir("/proc/self/fd"))
    for seed in range(20):
        env.reset(seed=seed)
    env.close()
    assert len(os.listdir("/proc/self/fd")) == before
