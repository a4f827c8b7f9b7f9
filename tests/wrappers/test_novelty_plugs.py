"""The plugs of RND, ICM, NGU and E3B: spaces, stacks that mix, SB3's buffers."""

import functools

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv

from rewardloom.errors import ConfigError
from rewardloom.rewards import NoveltyLearning, make_design
from rewardloom.testing import ComponentWorld
from rewardloom.wrappers import (
    CountReward,
    E3BReward,
    ICMReward,
    NGUReward,
    RNDReward,
    vector,
)

SMALL = {"hidden": [8], "features": 4, "train_every": 16, "batch_size": 8, "warmup_steps": 4}
PLUGS = {"rnd": RNDReward, "icm": ICMReward, "ngu": NGUReward, "e3b": E3BReward}

every_plug = pytest.mark.parametrize("name", PLUGS)


class Drawn(gym.Env):
    """Gives observations drawn from any space and takes actions of any space."""

    def __init__(self, observation_space, action_space):
        self.observation_space = observation_space
        self.action_space = action_space

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action):
        return self.observation_space.sample(), 1.0, False, False, {}


@every_plug
@pytest.mark.parametrize(
    "observation",
    [
        spaces.Discrete(5, start=2),
        spaces.Box(0, 255, (6, 6, 3), np.uint8),
        spaces.Box(-1e6, 1e6, (), np.float64),
        spaces.MultiBinary(4),
        spaces.Tuple((spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2,)))),
        spaces.Dict({"map": spaces.Box(0, 255, (3, 3), np.uint8), "level": spaces.Discrete(3)}),
    ],
    ids=lambda space: type(space).__name__,
)
@pytest.mark.parametrize(
    "action",
    [
        spaces.Discrete(4),
        spaces.MultiDiscrete([3, 2]),
        spaces.Box(-1, 1, (2,)),
        spaces.MultiBinary(3),
        spaces.Dict({"go": spaces.Discrete(2), "far": spaces.Box(0, 1, (1,))}),
    ],
    ids=lambda space: type(space).__name__,
)
def test_every_space_of_numbers_works(name, observation, action):
    env = PLUGS[name](Drawn(observation, action), learning=SMALL)
    env.reset(seed=0)
    action.seed(0)
    bonuses = [env.step(action.sample())[4][name]["bonus"] for _ in range(40)]
    assert np.isfinite(bonuses).all()
    assert bonuses[:4] == [0.0] * 4
    assert min(bonuses[8:]) >= 0
    assert max(bonuses) > 0
    assert env.design.refits == 2


@every_plug
def test_a_space_without_numbers_is_refused(name):
    with pytest.raises(ConfigError, match="Text"):
        PLUGS[name](Drawn(spaces.Text(5), spaces.Discrete(2)))


def test_images_reach_the_network_divided_by_255():
    env = RNDReward(Drawn(spaces.Box(0, 255, (2, 2), np.uint8), spaces.Discrete(2)))
    env.reset(seed=0)
    seen = np.array([env.step(0)[0] for _ in range(30)]) / 255.0
    mean = env.design.state_dict()["learner"]["moments"]["mean"]
    assert mean == pytest.approx(seen.reshape(30, -1).mean(0), abs=1e-6)


@every_plug
def test_the_bonus_belongs_to_the_true_last_state(name):
    """Two vectors that reset at once and one step later pay the same for the steps they share."""
    paid = []
    for mode in (gym.vector.AutoresetMode.SAME_STEP, gym.vector.AutoresetMode.DISABLED):
        envs = SyncVectorEnv([ComponentWorld] * 3, autoreset_mode=mode)
        venv = getattr(vector, PLUGS[name].__name__)(envs, extrinsic_coef=0.0, learning=SMALL)
        venv.reset(seed=0)
        rows = []
        for t in range(40):
            _, rewards, terminated, truncated, _ = venv.step(np.full(3, t % 3))
            rows.append(rewards)
            ended = terminated | truncated
            if mode is gym.vector.AutoresetMode.DISABLED and ended.any():
                venv.reset(options={"reset_mask": ended})
        paid.append(rows)
    assert np.array_equal(*paid)
    assert np.max(paid) > 0


def test_stacked_bonuses_mix_with_their_weights():
    """The lowest plug weighs the world's reward, those above pass what is below them."""
    env = CountReward(ComponentWorld(max_length=40), 0.5, extrinsic_coef=0.25)
    env = RNDReward(env, 2.0, learning=SMALL)
    env = E3BReward(env, 3.0, learning=SMALL)
    env.reset(seed=0)
    for t in range(60):
        _, paid, terminated, truncated, info = env.step(t % 3)
        bonuses = [info[key]["bonus"] for key in ("count", "rnd", "e3b")]
        assert paid == pytest.approx(0.25 * info["raw_reward"] + sum(bonuses))
        assert t < 10 or min(bonuses) > 0
        if terminated or truncated:
            env.reset()


def test_two_designs_of_one_kind_need_two_names():
    env = RNDReward(ComponentWorld(), learning=SMALL)
    with pytest.raises(ConfigError, match="Two reward designs"):
        RNDReward(env, learning=SMALL)
    RNDReward(env, learning={**SMALL, "seed": 1}, name="rnd2")


@every_plug
def test_settings_given_as_an_object_survive_the_spec(name):
    gym.register("TestNovelty-v0", entry_point=ComponentWorld)
    try:
        env = PLUGS[name](
            gym.make("TestNovelty-v0", disable_env_checker=True),
            learning=NoveltyLearning(features=4),
        )
        again = gym.make(env.spec)
    finally:
        del gym.registry["TestNovelty-v0"]
    assert again.design.learning == env.design.learning


@every_plug
def test_a_twin_refuses_an_unknown_argument(name):
    with pytest.raises(TypeError, match="intrinsic_coeff"):
        getattr(vector, PLUGS[name].__name__)(
            SyncVectorEnv([ComponentWorld] * 2), intrinsic_coeff=1.0
        )


@every_plug
def test_ppo_learns_from_the_bonus_alone(name):
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    from rewardloom.baselines.plugs import attach_relabel

    venv = DummyVecEnv([functools.partial(ComponentWorld, max_length=6, truncation=0.0)] * 2)
    model = PPO("MlpPolicy", venv, n_steps=32, batch_size=32, n_epochs=1, device="cpu", seed=0)
    design = make_design(name, extrinsic_coef=0.0, learning=SMALL)
    attach_relabel(model, design)
    model.learn(128)
    assert design.refits == 7  # every step once: (128 - 4) // 16, two steps a tick
    rewards = model.rollout_buffer.rewards
    assert (rewards >= 0).all()
    assert rewards.std() > 0


@every_plug
def test_dqn_learns_from_the_bonus_alone(name):
    from stable_baselines3 import DQN

    from rewardloom.baselines.plugs import attach_relabel

    model = DQN(
        "MlpPolicy",
        ComponentWorld(max_length=6),
        learning_starts=40,
        buffer_size=500,
        device="cpu",
        seed=0,
    )
    design = make_design(name, extrinsic_coef=0.0, learning=SMALL)
    attach_relabel(model, design)
    model.learn(120)
    assert design.refits >= 6
    rewards = model.replay_buffer.sample(64).rewards.numpy()
    assert (rewards >= 0).all()
    assert rewards.std() > 0
