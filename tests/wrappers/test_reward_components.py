"""`RewardComponents` on environments that are not ours, and each small design on them."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from pettingzoo.sisl.pursuit.pursuit import parallel_env

from rewardloom import reward_component_names
from rewardloom.errors import ComponentError, ConfigError
from rewardloom.testing import NullEnv
from rewardloom.wrappers import (
    Component,
    CountReward,
    DeferReward,
    RewardComponents,
    Transition,
    WeightReward,
    parallel,
    vector,
)


def tilt(transition):
    """Component by import path: how far the pole leans (works on a batch too)."""
    return np.abs(transition.next_obs[..., 2]) * 1.0


def found_goal(transition):
    return float(transition.terminated and transition.reward > 0)


def minigrid():
    import minigrid

    env = gym.make("MiniGrid-Empty-5x5-v0")
    assert minigrid.__version__
    return RewardComponents(env, goal="reward", found=found_goal, terminal_components=["found"])


def cartpole():
    env = gym.make("CartPole-v1", max_episode_steps=12)
    return RewardComponents(env, alive="reward", lean=tilt, extra=Component("extra", default=0.5))


def dict_world():
    env = gym.wrappers.TimeAwareObservation(
        gym.make("CartPole-v1", max_episode_steps=12), flatten=False
    )
    return RewardComponents(env, alive="reward", clock=lambda t: float(t.next_obs["time"][0]))


def mujoco_like():
    """Reward terms in nested info, as the physics environments give them."""

    class Terms(NullEnv):
        reward_components = None
        terminal_components = None

        def step(self, action):
            obs, reward, *_ = super().step(action)
            info = {"terms": {"forward": 0.25, "control": -0.5}, "reward_survive": 1.0}
            self.count = getattr(self, "count", 0) + 1
            return obs, reward, False, self.count % 5 == 0, info

    return RewardComponents(
        Terms(), forward="terms.forward", control="terms.control", alive="reward_survive"
    )


FOREIGN = {
    "minigrid": (minigrid, ("goal", "found"), {"goal": 2.0}),
    "cartpole": (cartpole, ("alive", "lean", "extra"), {"lean": -1.0, "alive": 1.0}),
    "dict": (dict_world, ("alive", "clock"), {"clock": 0.1}),
    "nested info": (mujoco_like, ("forward", "control", "alive"), {"control": 1.0}),
}
foreign = pytest.mark.parametrize(("make", "names", "weights"), FOREIGN.values(), ids=list(FOREIGN))


def rollout(env, steps=60):
    env.action_space.seed(0)
    env.reset(seed=0)
    out = []
    for _ in range(steps):
        result = env.step(env.action_space.sample())
        out.append(result)
        if result[2] or result[3]:
            _, info = env.reset()
            assert "reward_components" not in info
    return out


@foreign
def test_every_step_of_a_foreign_world_carries_its_components(make, names, weights):
    env = make()
    assert reward_component_names(env) == names
    for _, reward, _, _, info in rollout(env):
        values = info["reward_components"]
        assert tuple(values) == names
        assert all(type(value) is float for value in values.values())
        assert info["raw_reward"] == reward


@foreign
def test_each_small_design_runs_on_a_foreign_world(make, names, weights):
    raw = rollout(make())
    weighted = rollout(WeightReward(make(), weights))
    for plain, shaped in zip(raw, weighted, strict=True):
        values = plain[4]["reward_components"]
        want = sum(weight * values[name] for name, weight in weights.items())
        assert shaped[1] == pytest.approx(want, abs=1e-12)
        assert shaped[4]["raw_reward"] == plain[1]
    total = 0.0
    for plain, deferred in zip(raw, rollout(DeferReward(make())), strict=True):
        total += plain[1]
        ended = plain[2] or plain[3]
        assert deferred[1] == pytest.approx(total if ended else 0.0, abs=1e-12)
        total = 0.0 if ended else total
    counted = rollout(CountReward(make(), coef=1.0))
    bonus = [step[4]["count"]["bonus"] for step in counted]
    assert all(0 < b <= 1 for b in bonus)
    assert bonus[0] == 1.0
    for plain, shaped, extra in zip(raw, counted, bonus, strict=True):
        assert shaped[1] == pytest.approx(plain[1] + extra, abs=1e-12)


def test_cartpole_numbers_by_hand():
    env = cartpole()
    obs, _ = env.reset(seed=0)
    obs, _, _, _, info = env.step(1)
    assert info["reward_components"] == {
        "alive": 1.0,
        "lean": pytest.approx(abs(float(obs[2]))),
        "extra": 0.5,
    }


def test_a_terminal_component_is_zero_before_the_last_step():
    env = RewardComponents(
        gym.make("CartPole-v1", max_episode_steps=4),
        alive="reward",
        outcome=lambda t: 7.0,
        terminal_components=["outcome"],
    )
    steps = rollout(env, 8)
    assert [s[4]["reward_components"]["outcome"] for s in steps] == [0, 0, 0, 7] * 2


def walkers():
    return parallel.RewardComponents(
        parallel_env(max_cycles=15, n_pursuers=3),
        progress="reward",
        effort=lambda t: float(np.square(t.action).sum()),
    )


def play(env, steps=30):
    out = []
    env.reset(seed=3)
    for agent in env.possible_agents:
        env.action_space(agent).seed(5)
    for _ in range(steps):
        if not env.agents:
            env.reset(seed=3)
        actions = {agent: env.action_space(agent).sample() for agent in env.agents}
        out.append((actions, *env.step(actions)))
    return out


def test_a_pettingzoo_world_with_each_small_design():
    raw = play(walkers())
    weighted = play(parallel.WeightReward(walkers(), {"progress": 1.0, "effort": -0.01}))
    deferred = play(parallel.DeferReward(walkers()))
    counted = play(parallel.CountReward(walkers(), 1.0, resolution=0.5))
    totals = dict.fromkeys(walkers().possible_agents, 0.0)
    ends = 0
    for plain, shaped, late, bonus in zip(raw, weighted, deferred, counted, strict=True):
        actions, _, rewards, terminated, truncated, infos = plain
        for agent, reward in rewards.items():
            effort = float(np.square(actions[agent]).sum())
            assert infos[agent]["reward_components"] == {"progress": reward, "effort": effort}
            assert shaped[2][agent] == pytest.approx(reward - 0.01 * effort)
            totals[agent] += reward
            over = terminated[agent] or truncated[agent]
            assert late[2][agent] == pytest.approx(totals[agent] if over else 0.0)
            if over:
                assert late[5][agent]["episode_raw_return"] == pytest.approx(totals[agent])
                ends += 1
                totals[agent] = 0.0
            assert bonus[2][agent] == pytest.approx(reward + bonus[5][agent]["count"]["bonus"])
    assert ends >= 3


def test_one_info_dict_for_all_agents_does_not_mix_them():
    """Some worlds return the same dict object for every agent and every step."""
    shared = {}

    class Shared(parallel.DesignReward.__mro__[1]):
        def step(self, actions):
            *rest, infos = self.env.step(actions)
            return (*rest, dict.fromkeys(infos, shared))

    env = Shared(parallel_env(max_cycles=15, n_pursuers=3))
    steps = play(parallel.DeferReward(parallel.RewardComponents(env, progress="reward")), 6)
    for _, _, _, _, _, infos in steps:
        raws = [info["raw_reward"] for info in infos.values()]
        assert len(infos) == 3
        assert len(set(map(id, infos.values()))) == 3
        assert len(raws) == 3
    assert shared == {}


def test_agents_with_different_spaces_are_refused_only_where_it_matters():
    from rewardloom.testing.parallel import ParallelComponentWorld

    class Uneven(ParallelComponentWorld):
        def observation_space(self, agent):
            return gym.spaces.Discrete(2 + self.possible_agents.index(agent))

    parallel.DeferReward(Uneven())
    with pytest.raises(ConfigError, match="spaces differ"):
        parallel.CountReward(Uneven())


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_the_vector_form_gives_what_wrapping_each_environment_gives(mode):
    def bare():
        return gym.make("CartPole-v1", max_episode_steps=9)

    def wrapped():
        return RewardComponents(
            bare(), alive="reward", lean=tilt, late=ended, terminal_components=["late"]
        )

    inside = vector.WeightReward(SyncVectorEnv([wrapped] * 4, autoreset_mode=mode), {"lean": 1.0})
    outside = vector.RewardComponents(
        SyncVectorEnv([bare] * 4, autoreset_mode=mode),
        alive="reward",
        lean=tilt,
        late=ended,
        terminal_components=["late"],
    )
    names = ("alive", "lean", "late")
    assert reward_component_names(outside) == names
    plugged = vector.WeightReward(outside, {"lean": 1.0})
    inside.reset(seed=1)
    plugged.reset(seed=1)
    ends = 0
    for _ in range(40):
        actions = np.ones(4, int)
        one, other = inside.step(actions), plugged.step(actions)
        np.testing.assert_allclose(other[1], one[1], atol=1e-6)
        got = vector.step_components(other[4], names, 4)
        want = vector.step_components(one[4], names, 4)
        np.testing.assert_array_equal(got[1], want[1])
        np.testing.assert_allclose(got[0], want[0], atol=1e-6)
        ends += (got[0][:, 2] > 0).sum()
    assert ends > 5


def ended(transition):
    return np.asarray(transition.terminated | transition.truncated) * 1.0


def test_a_native_vector_takes_components_and_designs():
    venv = gym.make_vec("CartPole-v1", num_envs=3, vectorization_mode="vector_entry_point")
    venv = vector.RewardComponents(venv, alive="reward", lean=tilt)
    venv = vector.WeightReward(venv, {"alive": 1.0, "lean": -1.0})
    venv.reset(seed=0)
    idle = np.zeros(3, bool)
    for _ in range(60):
        obs, rewards, terminated, truncated, infos = venv.step(np.ones(3, int))
        np.testing.assert_array_equal(infos["_reward_components"], ~idle)
        live = ~idle
        np.testing.assert_allclose(rewards[live], 1 - np.abs(obs[live, 2]), atol=1e-6)
        assert (rewards[idle] == 0).all()
        idle = terminated | truncated


def test_components_add_to_a_world_that_has_some():
    env = RewardComponents(NullEnv(), twice=lambda t: 2 * t.reward)
    env.reset(seed=0)
    assert env.step(0)[4]["reward_components"] == {
        "a": 1.0, "b": 0.5, "c": -0.25, "outcome": 0.0, "twice": 2.0,
    }  # fmt: skip
    assert env.reward_components == ("a", "b", "c", "outcome", "twice")
    assert env.terminal_components == ("outcome",)


@pytest.mark.parametrize(
    ("components", "words"),
    [
        ({}, "at least one"),
        ({"Alive": "reward"}, "matches"),
        ({"a": "reward"}, "already declares"),
        ({"x": 3}, "Give an info key"),
        ({"x": ""}, "Give an info key"),
        ({"x": "nowhere_to_be_found:fn"}, "cannot import"),
        ({"x": "math:pie"}, "cannot import"),
        ({"x": "math:pi"}, "not a function"),
        ({"x": "reward", "terminal_components": ["y"]}, "Did you mean|Unknown component 'y'"),
        ({"x": "reward", "terminal_components": "x"}, "list of names"),
    ],
)
def test_bad_components_are_one_clear_error(components, words):
    with pytest.raises(ConfigError, match=words):
        RewardComponents(NullEnv(), **components)
    if "a" not in components:
        with pytest.raises(ConfigError, match=words):
            vector.RewardComponents(SyncVectorEnv([NullEnv]), **components)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda t: 1.0, "returned one number"),
        (lambda t: np.ones(3), r"returned an array of shape \(3,\)"),
        (lambda t: float(t.action == 0), "failed on a batch .TypeError"),
        (lambda t: 1.0 if t.action == 0 else 0.0, "failed on a batch .ValueError"),
    ],
)
def test_a_function_for_one_step_on_a_vector_is_told_what_a_batch_is(function, words):
    env = vector.RewardComponents(SyncVectorEnv([NullEnv] * 2), x=function)
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=rf"component 'x' {words}.*all 2 .* shape \(2,\), for"):
        env.step(np.zeros(2, int))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("speed", r"'x' reads info\['speed'\], which is missing at .*default"),
        ("terms.speed", r"info\['terms.speed'\]"),
        (lambda t: float("nan"), "'x' is nan"),
        (lambda t: "fast", "'x' is 'fast'.*no number"),
    ],
)
def test_a_source_without_a_value_is_one_clear_error(source, words):
    env = RewardComponents(gym.make("CartPole-v1"), x=source)
    env.reset(seed=0)
    with pytest.raises(ComponentError, match=words):
        env.step(0)


def test_import_paths_and_defaults_survive_the_specs_json():
    env = RewardComponents(
        gym.make("CartPole-v1"),
        root="math:sqrt",
        alive="reward",
        bonus=Component("bonus", default=0.25),
    )
    text = env.spec.to_json()
    assert json.loads(text)
    again = gym.make(gym.envs.registration.EnvSpec.from_json(text))
    assert reward_component_names(again) == ("root", "alive", "bonus")


def test_functions_see_the_whole_transition():
    seen = []
    env = RewardComponents(gym.make("CartPole-v1"), x=lambda t: seen.append(t) or 0.0)
    first, _ = env.reset(seed=0)
    second, reward, terminated, truncated, _ = env.step(1)
    assert isinstance(seen[0], Transition)
    np.testing.assert_array_equal(seen[0].obs, first)
    np.testing.assert_array_equal(seen[0].next_obs, second)
    assert seen[0][1] == 1
    assert seen[0][3:6] == (reward, terminated, truncated)
