"""What the plugs promise beyond the designs: errors, info, bootstraps, nesting."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

import rewardloom
from rewardloom.errors import ComponentError, ConfigError
from rewardloom.rewards import DeferDesign, WeightDesign
from rewardloom.testing import COMPONENTS, ComponentWorld, NullVectorEnv
from rewardloom.wrappers import CountReward, DeferReward, DesignReward, WeightReward, vector


class Broken(ComponentWorld):
    """A world whose components are edited before they reach info."""

    def __init__(self, edit):
        super().__init__(max_length=3)
        self.edit = edit

    def step(self, action):
        *rest, info = super().step(action)
        self.edit(info)
        return (*rest, info)


FAULTS = {
    "nothing": (lambda info: info.pop("reward_components"), "is missing at"),
    "one missing": (lambda info: info["reward_components"].pop("b"), "'b' is missing"),
    "nan": (lambda info: info["reward_components"].update(c=float("nan")), "'c' is nan"),
    "infinite": (lambda info: info["reward_components"].update(c=float("inf")), "'c' is inf"),
    "one more": (lambda info: info["reward_components"].update(goal=1.0), "Unexpected .*'goal'"),
    "swapped": (
        lambda info: info["reward_components"].update(
            zeal=info["reward_components"].pop("outcome")
        ),
        "'outcome' is missing",
    ),
}
faults = pytest.mark.parametrize(("edit", "words"), FAULTS.values(), ids=list(FAULTS))


def take_steps(venv, count):
    for _ in range(count):
        venv.step(np.zeros(venv.num_envs, int))


@faults
def test_a_wrong_component_is_one_clear_error_on_one_env(edit, words):
    env = WeightReward(Broken(edit), {"a": 1.0})
    env.reset(seed=0)
    with pytest.raises(ComponentError, match=f"{words}.*step 1"):
        env.step(0)


@faults
def test_a_wrong_component_is_one_clear_error_on_a_vector(edit, words):
    """Only sub-environment 1 is broken, in both places its components can be."""
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        envs = SyncVectorEnv(
            [ComponentWorld, lambda: Broken(edit), ComponentWorld], autoreset_mode=mode
        )
        venv = vector.WeightReward(envs, {"a": 1.0})
        venv.reset(seed=0)
        with pytest.raises(ComponentError, match=f"{words}.*sub-environment 1"):
            take_steps(venv, 4)


def test_a_component_that_is_no_number_is_one_clear_error():
    env = WeightReward(Broken(lambda info: info["reward_components"].update(c="much")), {"a": 1.0})
    env.reset(seed=0)
    with pytest.raises(ComponentError, match="'c' is much at step 1"):
        env.step(0)


def test_components_out_of_order_are_the_same_components():
    def reverse(info):
        info["reward_components"] = dict(reversed(info["reward_components"].items()))

    straight = WeightReward(ComponentWorld(max_length=3), {"a": 1.0, "c": 2.0})
    turned = WeightReward(Broken(reverse), {"a": 1.0, "c": 2.0})
    straight.reset(seed=5)
    turned.reset(seed=5)
    assert straight.step(0)[1] == turned.step(0)[1]


def test_huge_finite_components_whose_sum_overflows_are_no_error():
    def grow(info):
        info["reward_components"] |= {"a": 1e308, "b": 1e308, "c": -1e308}

    env = WeightReward(Broken(grow), {"c": 1.0})
    env.reset(seed=0)
    assert env.step(0)[1] == -1e308


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: WeightReward(ComponentWorld(), {"outcom": 1.0}), "Did you mean 'outcome'"),
        (lambda: WeightReward(ComponentWorld(), {}), "at least one"),
        (lambda: WeightReward(ComponentWorld(), {"a": "1"}), "'a' is not a number"),
        (lambda: WeightReward(ComponentWorld(), {"a": True}), "'a' is not a number"),
        (lambda: WeightReward(ComponentWorld(), {"a": float("nan")}), "not finite"),
        (lambda: WeightReward(gym.make("CartPole-v1"), {"a": 1.0}), "RewardComponents"),
        (lambda: WeightReward(NullVectorEnv(2), {"a": 1.0}), "wrappers.vector"),
        (lambda: vector.WeightReward(ComponentWorld(), {"a": 1.0}), "takes a VectorEnv"),
        (lambda: DeferReward(ComponentWorld(), on_truncation="raww"), "Did you mean 'raw'"),
        (lambda: CountReward(ComponentWorld(), -1.0), "coef"),
        (lambda: CountReward(ComponentWorld(), exponent=-1), "exponent"),
        (lambda: CountReward(ComponentWorld(), resolution=0.0), "resolution"),
        (lambda: CountReward(ComponentWorld(), obs_keys="position"), "list of names"),
        (lambda: DeferReward(DeferReward(ComponentWorld())), "called 'defer'"),
        (lambda: DeferReward(ComponentWorld(), name="Defer 2"), "matches"),
        (
            lambda: vector.DeferReward(SyncVectorEnv([lambda: DeferReward(ComponentWorld())])),
            "called 'defer'",
        ),
    ],
)
def test_bad_arguments_are_one_clear_error(build, words):
    with pytest.raises(ConfigError, match=words):
        build()


def test_a_key_the_observation_lacks_is_named_with_the_nearest():
    env = CountReward(ComponentWorld(dict_obs=True), obs_keys=["positon"])
    env.reset(seed=0)
    with pytest.raises(ConfigError, match="Did you mean 'position'"):
        env.step(0)


def test_sub_environments_that_disagree_are_an_error():
    class Other(ComponentWorld):
        reward_components = ("a", "b")

    venv = SyncVectorEnv([ComponentWorld, Other])
    with pytest.raises(ComponentError, match="declare different"):
        rewardloom.reward_component_names(venv)


def test_names_are_found_through_every_kind_of_stack():
    from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

    from rewardloom.testing.parallel import ParallelComponentWorld

    single = gym.wrappers.TimeLimit(DeferReward(ComponentWorld()), 5)
    sub = AsyncVectorEnv([ComponentWorld] * 2)
    subproc = SubprocVecEnv([ComponentWorld] * 2)
    stacks = [
        single,
        vector.DeferReward(sub),
        NullVectorEnv(3),
        VecMonitor(DummyVecEnv([ComponentWorld])),
        subproc,
        ParallelComponentWorld(),
    ]
    for stack in stacks:
        assert rewardloom.reward_component_names(stack) == COMPONENTS
        assert rewardloom.terminal_component_names(stack) == ("outcome",)
    bare = AsyncVectorEnv([lambda: gym.make("CartPole-v1")] * 2)
    assert rewardloom.reward_component_names(bare) == ()
    bare.reset(seed=0)  # the workers are still there
    for venv in (sub, subproc, bare):
        venv.close()


def test_a_wrapper_copies_the_info_it_received():
    kept = {"reward_components": dict.fromkeys(COMPONENTS, 1.0)}

    class Keeps(ComponentWorld):
        def step(self, action):
            return self._observe(), 1.0, False, True, kept

    env = WeightReward(DeferReward(Keeps()), {"a": 2.0})
    env.reset(seed=0)
    info = env.step(0)[4]
    assert set(kept) == {"reward_components"}
    assert info["weight"] == {"reward": 2.0}
    assert info["defer"] == {"held": 1.0}


def test_the_raw_reward_and_return_survive_a_stack_of_designs():
    """Inner, vector and sub-environment plugs all report the world's own reward."""

    def stacked():
        return DeferReward(ComponentWorld(), name="inner")

    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        bare = SyncVectorEnv([ComponentWorld] * 3, autoreset_mode=mode)
        venv = vector.DeferReward(SyncVectorEnv([stacked] * 3, autoreset_mode=mode), name="mid")
        venv = vector.WeightReward(venv, {"b": 9.0})
        bare.reset(seed=2)
        venv.reset(seed=2)
        totals, returns, seen = np.zeros(3), [], []
        for _ in range(30):
            _, raw, terminated, truncated, _ = bare.step(np.ones(3, int))
            infos = venv.step(np.ones(3, int))[4]
            np.testing.assert_allclose(infos["raw_reward"], raw, atol=1e-12)
            totals += raw
            for i in np.flatnonzero(terminated | truncated):
                returns.append(totals[i])
                seen.append(infos["episode_raw_return"][i])
                totals[i] = 0.0
        np.testing.assert_allclose(seen, returns, atol=1e-12)
        assert len(seen) > 8


def test_a_time_limit_outside_still_gets_the_raw_return():
    inner = gym.wrappers.TimeLimit(WeightReward(ComponentWorld(50, truncation=0), {"a": 1.0}), 2)
    env = WeightReward(inner, {"b": 1.0}, name="outer")
    for seed in range(40):
        env.reset(seed=seed)
        first = env.step(0)
        if not first[2]:
            break
    second = env.step(0)
    assert second[3]
    total = first[4]["raw_reward"] + second[4]["raw_reward"]
    assert second[4]["episode_raw_return"] == pytest.approx(total)


def test_settling_a_truncation_reports_an_ending_but_a_failure_never_settles():
    for failure, settled in ((0.0, True), (1.0, False)):
        world = ComponentWorld(1, truncation=1.0 - failure, failure=failure)
        env = DesignReward(world, DeferDesign(on_truncation="settle"), name="defer")
        env.reset(seed=0)
        _, _, terminated, truncated, _ = env.step(0)
        assert truncated
        assert terminated is settled

        def make(f=failure):
            return ComponentWorld(1, truncation=1.0 - f, failure=f)

        venv = vector.DeferReward(SyncVectorEnv([make]), on_truncation="settle")
        venv.reset(seed=0)
        _, _, terminated, truncated, _ = venv.step(np.zeros(1, int))
        assert truncated[0]
        assert bool(terminated[0]) is settled


def test_an_episode_cut_by_reset_is_dropped():
    env = DeferReward(ComponentWorld(50, truncation=0))
    env.reset(seed=3)
    env.step(0)
    with pytest.warns(UserWarning, match="TimeLimit"):
        env.reset(seed=4)
    total, over = 0.0, False
    while not over:
        _, paid, over, _, info = env.step(0)
        total += info["raw_reward"]
    assert paid == pytest.approx(total)


def test_manual_reset_of_an_unshared_async_vector_does_not_leak_a_reward():
    """Its worker autoresets once more on the step after a manual reset."""
    envs = AsyncVectorEnv([lambda: ComponentWorld(2)] * 3, shared_memory=False)
    venv = vector.WeightReward(envs, {"a": 1.0})
    try:
        venv.reset(seed=0)
        for _ in range(40):
            _, _, terminated, truncated, _ = venv.step(np.zeros(3, int))
            if (terminated | truncated).any():
                venv.reset()
    finally:
        venv.close()


def test_the_callers_reset_mask_is_read_before_the_vector_takes_it():
    envs = SyncVectorEnv(
        [lambda: ComponentWorld(50, truncation=0)] * 2, autoreset_mode=AutoresetMode.DISABLED
    )
    venv = vector.DeferReward(envs)
    venv.reset(seed=1)
    venv.step(np.zeros(2, int))
    venv.reset(options={"reset_mask": np.array([True, False])})
    infos = venv.step(np.zeros(2, int))[4]
    held, raw = infos["defer"]["held"], infos["raw_reward"]
    assert held[0] == raw[0]
    assert held[1] != raw[1]


def test_a_caption_function_serves_a_world_without_captions():
    class Asks(WeightDesign):
        needs = frozenset({"components", "caption"})

        def step(self, batch):
            self.heard = list(batch.extra["caption"])
            return super().step(batch)

        def begin(self, slots, extra=None):
            self.first = list(extra["caption"])

    def caption(obs, info):
        return f"{obs[0]:.3f} {sorted(info)[:1]}"

    env = DesignReward(ComponentWorld(), Asks({"a": 1.0}), name="x", columns={"caption": caption})
    obs, info = env.reset(seed=0)
    assert env.design.first == [caption(obs, info)]
    obs, *_, info = env.step(0)
    assert env.design.heard[0][:4] == f"{obs[0]:.3f}"[:4]

    envs = SyncVectorEnv([ComponentWorld] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    venv = vector.DesignReward(envs, Asks({"a": 1.0}), name="x", columns={"caption": caption})
    obs, infos = venv.reset(seed=0)
    assert [c.split()[0] for c in venv.design.first] == [f"{o[0]:.3f}" for o in obs]
    for _ in range(8):
        obs, _, terminated, truncated, infos = venv.step(np.zeros(2, int))
        for i in range(2):
            reached = infos["final_obs"][i] if (terminated | truncated)[i] else obs[i]
            assert venv.design.heard[i].split()[0] == f"{reached[0]:.3f}"


def test_a_needed_column_that_nobody_gives_is_one_clear_error():
    class Asks(WeightDesign):
        needs = frozenset({"components", "caption"})

    class Mute(ComponentWorld):
        def step(self, action):
            *rest, info = super().step(action)
            del info["caption"]
            return (*rest, info)

    env = DesignReward(Mute(), Asks({"a": 1.0}), name="x")
    env.reset(seed=0)
    with pytest.raises(ConfigError, match=r"needs info\['caption'\], which is missing at step 1"):
        env.step(0)

    class Wants(WeightDesign):
        needs = frozenset({"components", "captoin"})

    with pytest.raises(ConfigError, match="Did you mean 'caption'"):
        DesignReward(ComponentWorld(), Wants({"a": 1.0}), name="x")
