"""Info columns that designs ask for: captions and costs, at resets too, under SB3's wrappers."""

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecMonitor

from rewardloom.baselines.plugs import DesignVecReward, VectorEnvToVecEnv, attach_relabel
from rewardloom.errors import ConfigError
from rewardloom.testing import ComponentWorld, reference_ticks

N = 3


class Columns:
    """Pays the square root of the cost and keeps what it was handed."""

    needs = frozenset({"caption", "cost"})
    memory = "statistics"
    relabels = False
    settles_truncation = False

    def __init__(self, depends="step"):
        self.depends = depends

    def bind(self, names, num_slots):
        self.paid = np.zeros(num_slots)
        self.begun, self.captions, self.episodes = [], [], []

    def begin(self, slots, extra=None):
        self.begun.append((slots.copy(), list(extra["caption"][slots])))

    def step(self, batch):
        self.captions.append(list(batch.extra["caption"]))
        assert batch.extra["cost"].dtype == np.float64
        self.paid = np.sqrt(batch.extra["cost"])
        return self.paid.copy()

    def relabel(self, episodes):
        assert episodes.extra["cost"].dtype == episodes.start["cost"].dtype == np.float64
        self.episodes.append((list(episodes.start["caption"]), list(episodes.extra["caption"])))
        return np.sqrt(episodes.extra["cost"])

    def summary(self):
        return {"reward": self.paid}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


STACKS = {
    "dummy": lambda: DummyVecEnv([ComponentWorld] * N),
    "subproc": lambda: SubprocVecEnv([ComponentWorld] * N),
    "wrapped": lambda: VecMonitor(DummyVecEnv([ComponentWorld] * N)),
    "vector": lambda: VecMonitor(
        VectorEnvToVecEnv(
            SyncVectorEnv([ComponentWorld] * N, autoreset_mode=AutoresetMode.SAME_STEP)
        )
    ),
}


@pytest.mark.parametrize("make", STACKS.values(), ids=list(STACKS))
def test_captions_of_steps_and_resets_arrive_whatever_the_stack(make):
    actions = np.ones((30, N), int)
    design = Columns()
    venv = DesignVecReward(make(), design, name="columns")
    try:
        venv.seed(2)
        venv.reset()
        for row in actions:
            venv.step(row)
    finally:
        venv.close()
    ticks = list(reference_ticks(ComponentWorld, N, actions, seed=2))
    assert design.captions == [
        list(tick.batch.extra["caption"]) for tick in ticks if tick.batch is not None
    ]
    begun = [tick for tick in ticks if tick.begun.any()]
    assert len(begun) > 10
    assert len(design.begun) == len(begun)
    for (slots, captions), tick in zip(design.begun, begun, strict=True):
        np.testing.assert_array_equal(slots, tick.begun)
        assert captions == list(tick.start["caption"][tick.begun])


def test_functions_stand_in_for_columns_and_see_the_final_observation():
    seen = []

    def caption(obs, info):
        seen.append(obs)
        return f"at {obs[0]:.3f}"

    columns = {"caption": caption, "cost": lambda obs, info: 4.0}
    venv = DesignVecReward(
        DummyVecEnv([ComponentWorld] * N), Columns(), name="columns", columns=columns
    )
    venv.seed(1)
    obs = venv.reset()
    np.testing.assert_array_equal(seen, obs)
    for _ in range(20):
        seen.clear()
        obs, rewards, dones, infos = venv.step(np.ones(N, int))
        assert (rewards == 2.0).all()
        for slot in range(N):
            reached = infos[slot]["terminal_observation"] if dones[slot] else obs[slot]
            np.testing.assert_array_equal(seen[slot], reached)


def test_a_missing_column_names_it_and_where():
    class Silent(ComponentWorld):
        def step(self, action):
            *rest, info = super().step(action)
            del info["cost"]
            return (*rest, info)

    venv = DesignVecReward(DummyVecEnv([Silent]), Columns(), name="columns")
    venv.reset()
    with pytest.raises(ConfigError, match=r"info\['cost'\].*step 1 of environment 0"):
        venv.step([1])


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
@pytest.mark.parametrize("algorithm", ["on-policy", "off-policy"])
def test_whole_episodes_come_with_the_caption_they_began_with(algorithm):
    venv = VecMonitor(DummyVecEnv([ComponentWorld] * N))
    design = Columns(depends="episode")
    if algorithm == "on-policy":
        model = PPO("MlpPolicy", venv, n_steps=40, batch_size=120, n_epochs=1, device="cpu")
    else:
        model = DQN("MlpPolicy", venv, learning_starts=1000, device="cpu")
    attach_relabel(model, design)
    model.learn(120)
    starts = [caption for start, _ in design.episodes for caption in start]
    captions = [caption for _, rows in design.episodes for caption in rows]
    assert len(starts) > 15
    assert len(captions) > len(starts)
    assert all(isinstance(caption, str) for caption in starts + captions)
