"""`attach_relabel` on a `ParallelToVecEnv`: idle rows belong to no episode."""

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO

from rewardloom.baselines.plugs import ParallelToVecEnv, attach_relabel
from rewardloom.rewards import DeferDesign, WeightDesign
from rewardloom.testing.parallel import ParallelComponentWorld

N = 6


def bridge():
    return ParallelToVecEnv([lambda: ParallelComponentWorld(3, truncation=0.0)] * 2)


class Starts(DeferDesign):
    """Pays every step the length of the caption with which its episode began."""

    needs = frozenset({"caption"})

    def __init__(self, depends):
        super().__init__()
        self.depends = depends

    def bind(self, names, num_slots):
        super().bind(names, num_slots)
        self.lengths = np.zeros(num_slots)

    def begin(self, slots, extra=None):
        self.lengths[slots] = [len(text) for text in extra["caption"][slots]]

    def step(self, batch):
        return np.where(batch.active, self.lengths, 0.0)

    def relabel(self, episodes):
        lengths = [float(len(text)) for text in episodes.start["caption"]]
        return np.repeat(lengths, np.diff(episodes.offsets))


def expected_starts(steps, actions):
    """Return what `Starts` pays: 0 at idle steps, raw where the rollout cuts an episode."""
    venv = bridge()
    venv.seed(0)
    venv.reset()
    starts = [len(info["caption"]) for info in venv.reset_infos]
    paid, idle = np.zeros((steps, N)), np.zeros((steps, N), bool)
    for t in range(steps):
        infos = venv.step(actions[t])[3]
        idle[t] = ["inactive" in info for info in infos]
        paid[t] = np.where(idle[t], 0.0, starts)
        starts = [len(info["caption"]) for info in venv.reset_infos]
    return paid, idle


@pytest.mark.parametrize("depends", ["step", "episode"])
def test_a_rollout_knows_how_episodes_began_after_idle_steps(depends):
    model = PPO("MlpPolicy", bridge(), n_steps=64, batch_size=64, n_epochs=1, seed=0, device="cpu")
    attach_relabel(model, Starts(depends))
    model.learn(64 * N)
    actions = model.rollout_buffer.actions.reshape(N, 64).T.astype(int)  # flattened by sampling
    paid, idle = expected_starts(64, actions)
    got = model.rollout_buffer.rewards
    share = model.rollout_buffer.relabeller.whole_episode_share
    assert idle.sum() > 50
    whole = np.isclose(got, paid, atol=1e-6)
    if depends == "step":
        assert whole.all()
    else:  # but the episodes that the end of the rollout cuts
        assert whole[:-8].all()
        assert share == pytest.approx((whole & ~idle).sum() / (~idle).sum(), abs=0.02)
        assert share > 0.9


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_replay_buffer_never_samples_idle_rows(n_steps):
    model = DQN(
        "MlpPolicy",
        bridge(),
        learning_starts=100,
        buffer_size=1200,
        n_steps=n_steps,
        seed=0,
        device="cpu",
    )
    attach_relabel(model, WeightDesign({"outcome": 5.0}))
    model.learn(2400)
    buffer = model.replay_buffer
    ends = buffer._valid & (buffer.dones == 1)
    assert set(np.unique(buffer.rewards[ends])) == {-5.0, 5.0}
    assert (buffer.rewards[buffer._valid & ~ends] == 0).all()
    moved = np.abs(buffer.next_observations - buffer.observations).sum(-1) > 0
    assert moved[buffer._valid].all()
    assert 0.2 < np.mean(~moved) < 0.6  # idle rows are stored
    assert 0.4 < buffer.valid_share < 0.8
