"""Which rows a relabelled replay buffer gives: interruptions, the ring, evenness, contents."""

import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import (
    RelabelNStepReplayBuffer,
    RelabelReplayBuffer,
    attach_relabel,
)
from rewardloom.errors import RunError
from rewardloom.rewards import (
    DeferDesign,
    HeronDesign,
    RedistributeDesign,
    ScaleDesign,
    WeightDesign,
)
from rewardloom.testing import ComponentWorld

LONGEST = 7  # steps of a ComponentWorld's episode


def model_of(*, buffer_size=400, **kwargs):
    return DQN(
        "MlpPolicy",
        DummyVecEnv([ComponentWorld] * 2),
        buffer_size=buffer_size,
        learning_starts=30,
        batch_size=16,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
        **kwargs,
    )


class StopAfter(BaseCallback):
    """Ends `learn` after some steps; SB3 then drops the last one before it is stored."""

    def __init__(self, steps):
        super().__init__()
        self.left = steps

    def _on_step(self):
        self.left -= 1
        return self.left > 0


def check_whole(buffer):
    """Every valid row lies in an episode whose only ending is its last row."""
    seen = 0
    for slot in range(buffer.n_envs):
        for row in np.flatnonzero(buffer._valid[:, slot]).tolist():
            start, length = buffer._start[row, slot], buffer._length[row, slot]
            rows = (start + np.arange(length)) % buffer.buffer_size
            assert row in rows
            assert length <= LONGEST
            assert buffer._valid[rows, slot].all()
            assert buffer.dones[rows[-1], slot] == 1
            assert not buffer.dones[rows[:-1], slot].any()
            seen += 1
    assert buffer._valid_count == buffer._valid.sum() == seen
    return seen


def test_a_reset_in_mid_episode_drops_what_was_open():
    model = model_of()
    attach_relabel(model, DeferDesign())
    for steps in (42, 50, 38, 46):
        model.learn(steps)
    assert check_whole(model.replay_buffer) > 100


def test_a_step_that_was_never_stored_tears_the_episode_it_was_part_of():
    model = model_of()
    attach_relabel(model, DeferDesign())
    for steps in (17, 22, 31):
        model.learn(500, callback=StopAfter(steps), reset_num_timesteps=False)
        stored = model.replay_buffer.pos
        open_rows = [int(n) for n in model.replay_buffer._open_length]
        model.learn(20, reset_num_timesteps=False)
        for slot, length in enumerate(open_rows):
            torn = np.arange(stored - length, stored + 1)
            assert not model.replay_buffer._valid[torn, slot].any()
    assert check_whole(model.replay_buffer) > 80


@pytest.mark.parametrize("n_steps", [1, 3])
def test_ring_turns_keep_only_whole_episodes(n_steps):
    model = model_of(buffer_size=50, n_steps=n_steps)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    for _ in range(12):
        model.learn(22, reset_num_timesteps=False)
        check_whole(model.replay_buffer)
    assert model.replay_buffer.full


def marked(cls=RelabelReplayBuffer, **kwargs):
    """A buffer of 40 steps x 3 environments whose row r of environment s is marked 100 r + s."""
    space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
    buffer = cls(120, space, spaces.Discrete(9), device="cpu", n_envs=3, **kwargs)
    mark = 100.0 * np.arange(40)[:, None] + np.arange(3)
    buffer.observations[:, :, 0] = mark
    buffer.next_observations[:, :, 0] = mark + 0.5
    buffer.rewards[:] = mark
    buffer.full = True
    return buffer, mark


@pytest.mark.parametrize("share", [0.05, 0.9])
def test_valid_rows_are_drawn_evenly_and_whole(share):
    """Whether they are looked up (sparse) or drawn by rejection."""
    buffer, mark = marked()
    buffer._valid = np.random.default_rng(0).random((40, 3)) < share
    buffer._valid_count = int(buffer._valid.sum())
    np.random.seed(0)
    draws = 300 * buffer._valid_count
    batch = buffer.sample(draws)
    marks = batch.observations.numpy().ravel()
    np.testing.assert_array_equal(batch.next_observations.numpy().ravel(), marks + 0.5)
    np.testing.assert_array_equal(batch.rewards.numpy().ravel(), marks)
    values, counts = np.unique(marks, return_counts=True)
    np.testing.assert_array_equal(values, np.sort(mark[buffer._valid]))
    assert abs(counts - 300).max() < 6 * np.sqrt(300)  # six deviations of a Poisson count


def test_n_step_returns_and_final_observations_are_those_of_the_same_environment():
    buffer, mark = marked(RelabelNStepReplayBuffer, n_steps=3, gamma=0.5)
    buffer._valid = np.zeros((40, 3), bool)
    buffer._valid[5:12] = True
    buffer._valid_count = 21
    buffer.dones[11] = 1.0
    buffer.timeouts[11, 2] = 1.0
    buffer.pos = 20
    batch = buffer.sample(500)
    for obs, reached, paid, done, discount in zip(
        *(
            getattr(batch, name).numpy().ravel()
            for name in ("observations", "next_observations", "rewards", "dones", "discounts")
        ),
        strict=True,
    ):
        row, slot = divmod(round(float(obs)), 100)
        last = min(row + 2, 11)
        rewards = mark[row : last + 1, slot]
        assert paid == pytest.approx((rewards * 0.5 ** np.arange(len(rewards))).sum(), rel=1e-6)
        assert reached == mark[last, slot] + 0.5
        assert done == (last == 11 and slot != 2)
        assert discount == 0.5 ** len(rewards)


def test_rows_stored_before_attaching_are_never_sampled():
    model = model_of()
    model.learn(60)
    attach_relabel(model, WeightDesign({"a": 1.0}))
    model.learn(60, reset_num_timesteps=False)
    buffer = model.replay_buffer
    assert not buffer._valid[:30].any()
    assert check_whole(buffer) > 30


def test_a_buffer_without_a_design_asks_for_it():
    model = model_of(replay_buffer_class=RelabelReplayBuffer)
    with pytest.raises(RunError, match=r"attach_relabel\(model, design\)"):
        model.learn(60)
    attach_relabel(model, DeferDesign())
    model.learn(60)
    check_whole(model.replay_buffer)


def test_the_class_survives_saving_the_model(tmp_path):
    model = model_of(replay_buffer_class=RelabelReplayBuffer)
    attach_relabel(model, DeferDesign())
    model.learn(60)
    model.save(tmp_path / "agent")
    loaded = DQN.load(tmp_path / "agent", env=DummyVecEnv([ComponentWorld] * 2))
    attach_relabel(loaded, DeferDesign())
    loaded.learn(60)
    check_whole(loaded.replay_buffer)


DROPPED = r"\d+ rows of the replay buffer were paid by another design"


def attached(design, steps=120):
    model = model_of()
    attach_relabel(model, design)
    model.learn(steps)
    return model


def test_attaching_the_same_design_again_keeps_what_it_paid():
    design = WeightDesign({"a": 1.0})
    model = attached(design)
    valid, rewards = model.replay_buffer._valid.copy(), model.replay_buffer.rewards.copy()
    attach_relabel(model, design)
    np.testing.assert_array_equal(model.replay_buffer._valid, valid)
    np.testing.assert_array_equal(model.replay_buffer.rewards, rewards)
    model.learn(40, reset_num_timesteps=False)


@pytest.mark.parametrize("other", [WeightDesign({"b": 1.0}), DeferDesign()])
def test_rows_that_another_design_paid_are_not_mixed_with_its_own(other):
    model = attached(WeightDesign({"a": 1.0}))
    with pytest.warns(UserWarning, match=DROPPED):
        attach_relabel(model, other)
    assert not model.replay_buffer._valid.any()
    model.learning_starts = model.num_timesteps + 30
    model.learn(80, reset_num_timesteps=False)
    assert not model.replay_buffer._valid[:60].any()
    assert check_whole(model.replay_buffer) > 30


def test_a_loaded_buffer_goes_on_with_its_design_and_drops_rows_of_another_kind(tmp_path):
    attached(WeightDesign({"a": 1.0})).save_replay_buffer(tmp_path / "rows")

    def loaded():
        model = model_of()
        model.load_replay_buffer(tmp_path / "rows")
        return model

    model = loaded()
    attach_relabel(model, WeightDesign({"a": 1.0}))
    assert check_whole(model.replay_buffer) > 80
    model = loaded()
    with pytest.warns(UserWarning, match=DROPPED):
        attach_relabel(model, DeferDesign())
    assert not model.replay_buffer._valid.any()


@pytest.mark.parametrize("through_a_file", [False, True])
def test_another_design_that_learns_pays_the_rows_anew(through_a_file, tmp_path):
    def ranking(*names):
        learning = {"first_refit": 30, "refit_every": 10**6}
        return HeronDesign(names, model="linear", center="mean", learning=learning)

    first, second = ranking("a"), ranking("b")
    attached(second)  # has learned
    second.update_model = False
    model = attached(first)
    model.replay_buffer.sample(4)
    if through_a_file:
        model.save_replay_buffer(tmp_path / "rows")
        model = model_of()
        model.load_replay_buffer(tmp_path / "rows")
    attach_relabel(model, second)
    buffer = model.replay_buffer
    before = buffer.rewards.copy()
    buffer.sample(4)
    b = buffer._steps._steps["components"][:, :, 1][buffer._valid]
    paid = buffer.rewards[buffer._valid]
    assert check_whole(buffer) == len(paid) > 80
    assert np.corrcoef(paid, b)[0, 1] > 0.9999
    assert not np.allclose(paid, before[buffer._valid])


@pytest.mark.parametrize(
    ("first", "second", "through_a_file"),
    [("uniform", "ircr", True), ("ircr", "uniform", True), ("ircr", "uniform", False)],
)
def test_one_class_with_and_without_a_model_is_two_designs(first, second, through_a_file, tmp_path):
    """The rows of either lack what the other needs to pay them anew."""
    model = attached(RedistributeDesign(first))
    if through_a_file:
        model.save_replay_buffer(tmp_path / "rows")
        model = model_of()
        model.load_replay_buffer(tmp_path / "rows")
    with pytest.warns(UserWarning, match=DROPPED):
        attach_relabel(model, RedistributeDesign(second))
    buffer = model.replay_buffer
    assert not buffer._valid.any()
    model.learning_starts = model.num_timesteps + 30
    model.learn(80, reset_num_timesteps=False)
    valid, rewards = buffer._valid.copy(), buffer.rewards.copy()
    assert check_whole(buffer) > 20
    assert (buffer._steps is None) == (second == "uniform")
    if second == "uniform":
        with pytest.warns(UserWarning, match=DROPPED):
            attach_relabel(model, RedistributeDesign(second))
        np.testing.assert_array_equal(model.replay_buffer.rewards[valid], rewards[valid])


def test_a_loaded_buffer_drops_rows_whose_time_limits_meant_something_else(tmp_path):
    attached(DeferDesign(on_truncation="settle")).save_replay_buffer(tmp_path / "rows")
    model = model_of()
    model.load_replay_buffer(tmp_path / "rows")
    with pytest.warns(UserWarning, match=DROPPED):
        attach_relabel(model, DeferDesign(on_truncation="raw"))


def test_an_emptied_buffer_starts_afresh():
    model = attached(DeferDesign())
    model.replay_buffer.reset()
    assert model.replay_buffer.valid_share == 0.0
    with pytest.raises(RunError, match="No episode has ended"):
        model.replay_buffer.sample(4)
    model.learning_starts = model.num_timesteps + 30
    model.learn(80, reset_num_timesteps=False)
    assert check_whole(model.replay_buffer) > 20


class Once(ScaleDesign):
    """Pays the first episodes it is given, and nothing for later ones."""

    def relabel(self, episodes):
        paid, self.factor = super().relabel(episodes), 0.0
        return paid


@pytest.mark.parametrize(
    ("paid", "same", "other"),
    [
        (
            WeightDesign({"a": 1.0, "outcome": 5.0}),
            WeightDesign({"outcome": 5.0, "a": 1.0}),
            WeightDesign({"a": 2.0, "outcome": 5.0}),
        ),
        (Once(2.0), Once(2.0), Once(3.0)),
        (
            RedistributeDesign("softmax", score="a"),
            RedistributeDesign("softmax", score="a"),
            RedistributeDesign("softmax", score="a", temperature=0.1),
        ),
    ],
)
def test_a_loaded_buffer_drops_rows_that_the_same_class_has_paid_otherwise(
    paid, same, other, tmp_path
):
    attached(paid).save_replay_buffer(tmp_path / "rows")
    model = model_of()
    model.load_replay_buffer(tmp_path / "rows")
    state = same.state_dict()
    attach_relabel(model, same)
    assert model.replay_buffer.valid_share > 0.5
    assert same.state_dict() == state
    model = model_of()
    model.load_replay_buffer(tmp_path / "rows")
    with pytest.warns(UserWarning, match=DROPPED):
        attach_relabel(model, other)
    assert model.replay_buffer.valid_share == 0.0
