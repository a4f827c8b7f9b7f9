"""`GateReward` on every plug in the emissions that the conformance suite does not drive."""

import functools
import warnings

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import DesignVecReward, attach_relabel
from rewardloom.errors import ConfigError
from rewardloom.rewards import GateDesign, Level, gate_episodes
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_rewards, reference_ticks
from rewardloom.testing.parallel import ParallelComponentWorld
from rewardloom.wrappers import DeferReward, GateReward, parallel, vector

pytestmark = pytest.mark.filterwarnings(
    "ignore:[A-Za-z]+ as configured pays in a training buffer only"
)

N, TICKS, SEED = 3, 50, 11
ACTIONS = np.random.default_rng(1).integers(0, 3, (TICKS, N))
LEVELS = [
    {"components": "outcome", "priority": 2, "threshold": 0.0},
    {"components": "c", "priority": 1, "threshold": -0.5, "scope": "step", "cap": 1.0},
    {"components": ["a", "b"], "name": "steps", "cap_per_kind": 1.0},
]
WORLD = functools.partial(ComponentWorld, failure=0.1)
ARGUMENTS = [
    {"emit": "causal"},
    {"emit": "causal", "gamma": 0.9, "max_length": 7, "on_truncation": "settle"},
    {"emit": "relabel"},
    {"emit": "deferred", "on_truncation": "settle"},
]
emissions = pytest.mark.parametrize(
    "arguments", ARGUMENTS, ids=lambda a: "-".join(map(str, a.values()))
)


def expected(arguments, *, slots=N, idle=False):
    actions = ACTIONS[:, :slots]
    ticks = reference_ticks(WORLD, slots, actions, seed=SEED, idle_after_end=idle)
    return reference_rewards(GateDesign(LEVELS, **arguments), ticks, COMPONENTS, slots)


@emissions
def test_single_plug(arguments):
    env = GateReward(WORLD(), LEVELS, **arguments)
    env.reset(seed=SEED)
    paid, raw, ends = [], [], set()
    for action in ACTIONS[:, 0]:
        _, reward, terminated, truncated, info = env.step(action)
        paid.append(reward)
        raw.append(info["raw_reward"])
        if terminated or truncated:
            ends.add((terminated, truncated, "infra_failure" in info))
            env.reset()
    np.testing.assert_allclose(paid, expected(arguments, slots=1)[:, 0], rtol=0, atol=1e-9)
    settles = arguments.get("on_truncation") == "settle"
    assert (settles, True, False) in ends  # the plug clears the bootstrap of what it settles
    if arguments["emit"] == "relabel":
        assert paid == raw


@emissions
@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_vector_plug(arguments, mode):
    venv = vector.GateReward(SyncVectorEnv([WORLD] * N, autoreset_mode=mode), LEVELS, **arguments)
    venv.reset(seed=SEED)
    paid = [venv.step(row)[1] for row in ACTIONS]
    want = expected(arguments, idle=mode is AutoresetMode.NEXT_STEP)
    np.testing.assert_allclose(paid, want, rtol=0, atol=1e-9)


@emissions
def test_sb3_plug(arguments):
    venv = DesignVecReward(DummyVecEnv([WORLD] * N), GateDesign(LEVELS, **arguments), name="gate")
    venv.seed(SEED)
    venv.reset()
    paid = [venv.step(row)[1] for row in ACTIONS]
    np.testing.assert_allclose(paid, expected(arguments), rtol=1e-6, atol=1e-6)


@emissions
def test_parallel_plug_pays_each_agent_its_own_episode(arguments):
    env = parallel.GateReward(ParallelComponentWorld(N), LEVELS, **arguments)
    env.reset(seed=SEED)
    design = GateDesign(LEVELS, **arguments)
    design.bind(COMPONENTS, N)
    ticks = reference_ticks(ComponentWorld, N, ACTIONS, seed=SEED, idle_after_end=True)
    design.begin(next(ticks).begun)
    alive = np.ones(N, bool)
    for tick, row in zip(ticks, ACTIONS, strict=True):
        batch = tick.batch._replace(active=alive.copy())
        want = design.step(batch)
        actions = {a: row[i] for i, a in enumerate(env.possible_agents) if alive[i]}
        rewards = env.step(actions)[1]
        for i, agent in enumerate(env.possible_agents):
            if alive[i]:
                assert rewards[agent] == pytest.approx(want[i], abs=1e-9)
        alive &= ~(batch.terminated | batch.truncated)
        if not alive.any():
            return
    raise AssertionError("the game did not end")


def test_info_shows_the_hacking_signature_at_the_last_step_only():
    env = GateReward(ComponentWorld(truncation=0), LEVELS)
    env.reset(seed=SEED)
    over, totals = False, dict.fromkeys(COMPONENTS, 0.0)
    while not over:
        _, paid, over, _, info = env.step(1)
        for name, value in info["reward_components"].items():
            totals[name] += value
        if not over:
            assert not any(info["gate"].values())
    assert info["gate"]["direct"] == pytest.approx(sum(totals.values()))
    assert info["gate"]["gated"] == pytest.approx(paid)
    assert info["gate"]["settled"] == 1.0
    assert info["gate"]["outcome_raw"] == totals["outcome"]


def test_levels_given_as_objects_survive_the_specs_json():
    levels = [Level("outcome", priority=1, threshold=float("inf")), Level(("a", "b"), name="steps")]
    gym.register("TestGateWorld-v0", entry_point="rewardloom.testing:ComponentWorld")
    try:
        env = GateReward(gym.make("TestGateWorld-v0", disable_env_checker=True), levels)
        text = env.spec.to_json()
        assert "Infinity" not in text
        again = gym.make(gym.envs.registration.EnvSpec.from_json(text))
        assert again.design.levels == tuple(env.design.levels)
    finally:
        del gym.registry["TestGateWorld-v0"]


@pytest.mark.parametrize(
    "plug",
    [
        DeferReward,
        functools.partial(GateReward, levels=LEVELS),
        functools.partial(GateReward, levels=LEVELS, emit="causal"),
    ],
)
def test_a_plug_inside_a_time_limit_warns_once_and_counts(plug):
    inner = plug(ComponentWorld(50, truncation=0))
    env = gym.wrappers.TimeLimit(inner, 1)
    env.reset(seed=3)
    env.step(0)
    with pytest.warns(UserWarning, match="1 steps of an unfinished episode.*put it inside"):
        env.reset()
    for _ in range(3):
        env.step(0)
        env.reset()
    assert inner.unfinished_episodes > 1


def test_what_pays_nothing_at_the_end_does_not_warn():
    step_only = [{"components": "c", "priority": 1, "threshold": 0, "scope": "step"}, LEVELS[2]]
    for env in (
        GateReward(ComponentWorld(50), step_only, emit="causal"),
        GateReward(ComponentWorld(50), LEVELS, emit="relabel"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "[A-Za-z]+ as configured pays in a training buffer")
            env.reset(seed=3)
            env.step(0)
            env.reset()
        assert env.unfinished_episodes == 1


def test_an_unknown_component_is_refused_when_the_plug_is_made():
    with pytest.raises(ConfigError, match="Did you mean 'outcome'"):
        GateReward(ComponentWorld(), [{"components": "outcomes"}])


@pytest.mark.parametrize("emit", ["relabel", "deferred", "causal"])
def test_a_ppo_buffer_holds_what_the_pure_function_says(emit):
    """Episodes of one step to seven, those cut by the rollout's border aside; no bootstraps."""
    world = functools.partial(ComponentWorld, truncation=0)
    model = PPO(
        "MlpPolicy",
        DummyVecEnv([world] * N),
        n_steps=TICKS,
        batch_size=TICKS * N,
        seed=SEED,
        device="cpu",
    )
    attach_relabel(model, GateDesign(LEVELS, emit=emit))
    seen = Rollout()
    model.learn(TICKS * N, callback=seen)
    for slot in range(N):
        ends = np.flatnonzero(seen.dones[:, slot]) + 1
        offsets = np.concatenate([[0], ends])
        gated = gate_episodes(seen.rows[: ends[-1], slot], offsets, LEVELS, COMPONENTS).reward
        stored = model.rollout_buffer.rewards[: ends[-1], slot]
        if emit == "relabel":
            np.testing.assert_allclose(stored, gated, rtol=1e-6, atol=1e-6)
        sums = (np.add.reduceat(x.astype(float), offsets[:-1]) for x in (stored, gated))
        np.testing.assert_allclose(*sums, rtol=1e-6, atol=1e-5)


class Rollout(BaseCallback):
    """Keeps the components and endings of one rollout."""

    def __init__(self):
        super().__init__()
        self._rows, self._dones = [], []

    def _on_step(self):
        infos = self.locals["infos"]
        self._rows.append([list(info["reward_components"].values()) for info in infos])
        self._dones.append(self.locals["dones"].copy())
        return True

    @property
    def rows(self):
        return np.array(self._rows)

    @property
    def dones(self):
        return np.array(self._dones)
