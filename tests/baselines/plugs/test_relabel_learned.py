"""What buffers hand to designs that learn, and to those that are driven while collecting."""

import functools
import itertools

import numpy as np
import pytest
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from rewardloom.baselines.plugs import attach_relabel, stored_steps
from rewardloom.rewards import episode_batch, make_design
from rewardloom.rewards.ragged import finished, take_rows
from rewardloom.testing import ComponentWorld, reference_rewards, reference_ticks

LEVELS = [
    {"components": "outcome", "priority": 1, "threshold": 0.0},
    {"components": ["a", "b"], "name": "steps", "cap": 1.5},
]


class Refitted:
    """Pays a x the number of refits; one refit per call that brings finished episodes."""

    needs = frozenset({"components", "obs"})
    memory = "model"
    relabels = False
    settles_truncation = False

    def __init__(self, depends):
        self.depends = depends
        self.update_model = True

    def bind(self, names, num_slots):
        self.column = names.index("a")
        self.refits = 0
        self.taken = []

    def begin(self, slots, extra=None):
        pass

    def step(self, batch):
        return batch.reward

    def relabel(self, episodes):
        done = finished(episodes) & self.update_model
        bounds = episodes.offsets
        for e in np.flatnonzero(done):
            self.taken.append(take_rows(episodes.obs, slice(bounds[e], bounds[e + 1])))
        self.refits += bool(done.any())
        return self.refits * episodes.components[:, self.column]

    def diagnostics(self):
        return {"taken": float(len(self.taken))}

    def summary(self):
        return {}

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def ppo(design, *, n_steps=5, length=30, n_envs=2):
    venv = DummyVecEnv([lambda: ComponentWorld(length)] * n_envs)
    model = PPO(
        "MlpPolicy",
        venv,
        n_steps=n_steps,
        batch_size=n_steps * n_envs,
        n_epochs=1,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
    )
    attach_relabel(model, design)
    seen = []
    compute = model.rollout_buffer.compute_returns_and_advantage

    def noted(last_values, dones):
        ticks = model.rollout_buffer.relabeller.recorder.ticks
        since = ticks.count - n_steps
        kept = {k: ticks.field(k)[:, since:].copy() for k in ("reward", "truncated")}
        kept["components"] = np.array([ticks.tick(since + t).components for t in range(n_steps)])
        ended = ticks.field("terminated") | ticks.field("truncated")
        kept["ended"] = ended[:, since:].copy()
        compute(last_values, dones)
        seen.append({**kept, "paid": model.rollout_buffer.rewards.copy()})

    model.rollout_buffer.compute_returns_and_advantage = noted
    return model, seen


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
@pytest.mark.parametrize("depends", ["row", "episode"])
def test_every_finished_episode_is_taken_in_once_and_whole_across_rollouts(depends):
    """Episodes of up to 30 steps, rollouts of 5: most cross several borders."""
    design = Refitted(depends)
    model, _ = ppo(design)
    model.learn(1000)
    starts = [episode[0] for episode in design.taken]
    assert all((start == np.round(start)).all() for start in starts)  # resets are on whole numbers
    inner = np.concatenate([episode[1:] for episode in design.taken if len(episode) > 1])
    assert not (inner == np.round(inner)).all(1).any()
    lengths = [len(episode) for episode in design.taken]
    assert max(lengths) > 15
    assert 1000 - 2 * 30 <= sum(lengths) <= 1000


def test_a_learned_row_design_pays_every_row_with_its_newest_model():
    design = Refitted("row")
    model, seen = ppo(design)
    model.learn(300)
    assert len(seen) == 30
    for rollout in seen:
        plain = ~rollout["truncated"].T
        column = rollout["components"][:, :, 0]
        ratio = rollout["paid"][plain] / column[plain]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert seen[-1]["paid"][0, 0] / seen[-1]["components"][0, 0, 0] == pytest.approx(
        design.refits, rel=1e-4
    )


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
def test_a_learned_episode_design_leaves_cut_episodes_raw():
    model, seen = ppo(Refitted("episode"), n_steps=5, length=30)
    model.learn(200)
    raw = [np.isclose(r["paid"], r["reward"].T, atol=1e-5) for r in seen]
    assert np.mean(raw) > 0.7


def test_a_causal_design_is_paid_in_the_buffer_what_it_pays_online():
    """A gate with clawback, driven while SB3 collects; episodes go on across rollouts."""
    causal = {"levels": LEVELS, "emit": "causal", "on_truncation": "settle"}
    model, seen = ppo(make_design("gate", **causal), n_steps=5, length=12)
    actions = []
    step_async = model.env.step_async

    def noted(values):
        actions.append(np.array(values))
        step_async(values)

    model.env.step_async = noted
    model.learn(200)
    ticks = reference_ticks(lambda: ComponentWorld(12), 2, np.array(actions), seed=0)
    want = reference_rewards(
        make_design("gate", **causal), ticks, ComponentWorld.reward_components, 2
    )
    got = np.concatenate([rollout["paid"] for rollout in seen])
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
@pytest.mark.parametrize("mode", ["rudder", "rrd"])
def test_driven_learned_designs_go_through_rollouts_that_cut_episodes(mode):
    """The buffer holds this rollout's payments: over whole episodes they sum to the raw return."""
    learning = {"refit_every": 40, "first_refit": 3, "gradient_steps": 2, "hidden": [8]}
    design = make_design(
        "redistribute", mode=mode, emit="causal", on_truncation="settle", learning=learning
    )
    model, seen = ppo(design, n_steps=16, length=30)
    model.learn(320)
    assert design.refits > 2
    paid = np.concatenate([rollout["paid"] for rollout in seen])
    raw = np.concatenate([rollout["reward"].T for rollout in seen])
    ended = np.concatenate([rollout["ended"].T for rollout in seen])
    changed = 0
    for slot in range(2):
        bounds = [0, *(np.flatnonzero(ended[:, slot]) + 1)]
        for first, end in itertools.pairwise(bounds):
            rows = slice(first, end)
            assert paid[rows, slot].sum() == pytest.approx(raw[rows, slot].sum(), abs=1e-4)
            changed += not np.allclose(paid[rows, slot], raw[rows, slot], atol=1e-4)
    assert changed > 3


def dqn(design, n_envs, world=ComponentWorld, policy="MlpPolicy", **kwargs):
    model = DQN(
        policy,
        DummyVecEnv([world] * n_envs),
        buffer_size=100 * n_envs,
        learning_starts=10_000,
        batch_size=16,
        policy_kwargs={"net_arch": [8]},
        seed=0,
        device="cpu",
    )
    attach_relabel(model, design, **kwargs)
    model.learn(150 * n_envs)  # the ring turns over
    return model


@pytest.mark.parametrize("depends", ["row", "step", "episode"])
@pytest.mark.parametrize("n_envs", [1, 2])
def test_a_refit_pays_the_stored_rows_of_a_replay_buffer_anew(n_envs, depends):
    design = Refitted(depends)
    model = dqn(design, n_envs)
    buffer = model.replay_buffer
    first = buffer.rewards[buffer._valid]
    buffer.sample(8)
    paid = buffer.rewards[buffer._valid]
    column = buffer._steps._steps["components"][:, :, 0][buffer._valid]
    np.testing.assert_allclose(paid, design.refits * column, rtol=1e-5)
    assert not np.allclose(first, paid)
    taken = len(design.taken)
    buffer.sample(8)
    assert len(design.taken) == taken  # stored rows are not learned from again


def stored_episodes(buffer):
    """Yield slot and rows of every valid episode, in the ring's order."""
    index = np.arange(buffer.buffer_size)[:, None]
    for first, slot in zip(*np.nonzero(buffer._valid & (buffer._start == index)), strict=True):
        yield slot, (first + np.arange(buffer._length[first, slot])) % buffer.buffer_size


@pytest.mark.parametrize("rows_at_once", [3, 16_384])
def test_a_causal_learned_mode_pays_whole_stored_episodes_anew(rows_at_once, monkeypatch):
    """Estimates of the newest model with its settlement: sums are the raw returns again."""
    monkeypatch.setattr(stored_steps, "_ROWS_AT_ONCE", rows_at_once)
    learning = {"refit_every": 40, "first_refit": 3, "gradient_steps": 2, "hidden": [8]}
    design = make_design(
        "redistribute", mode="rudder", emit="causal", on_truncation="settle", learning=learning
    )
    model = dqn(design, 2)
    buffer = model.replay_buffer
    assert design.refits > 3
    before = buffer.rewards.copy()
    buffer.sample(8)
    held, moved, refits = buffer._steps._steps, 0, design.refits
    design.update_model = False
    for slot, rows in stored_episodes(buffer):
        raw, paid = held["reward"][rows, slot], buffer.rewards[rows, slot]
        parts = {name: held[name][rows, slot] for name in ("obs", "action")}
        want = design.relabel(episode_batch([raw], **parts))
        np.testing.assert_allclose(paid, want, atol=1e-5)
        assert paid.sum() == pytest.approx(raw.sum(), abs=1e-4)
        moved += not np.allclose(paid, before[rows, slot], atol=1e-4)
    assert moved > 5
    assert design.refits == refits


class Reads(Refitted):
    """Also reads dict observations, a column that is None at some steps, and one at the reset."""

    needs = frozenset({"components", "obs", "checks", "caption"})

    def relabel(self, episodes):
        paid = super().relabel(episodes)
        if not self.update_model:  # paid anew
            firsts = episodes.offsets[:-1]
            np.testing.assert_allclose(
                episodes.obs["position"][firsts, 0], episodes.start["caption"]
            )
            same = [c and c["reached"] for c in episodes.extra["checks"]]
            assert same == [None if a < 0 else a > 1 for a in episodes.components[:, self.column]]
            self.seen = True
        return paid


def test_rows_are_paid_anew_with_everything_their_design_reads():
    def checks(obs, info):
        a = info.get("reward_components", {"a": -1.0})["a"]
        return None if a < 0 else {"reached": a > 1}

    columns = {"checks": checks, "caption": lambda obs, info: float(obs["position"][0])}
    design = Reads("episode")
    world = functools.partial(ComponentWorld, dict_obs=True)
    model = dqn(design, 2, world, "MultiInputPolicy", columns=columns)
    model.replay_buffer.sample(8)
    assert design.seen


def test_designs_without_a_model_keep_no_second_copy_of_the_rows():
    for design in (
        make_design("redistribute", mode="uniform"),
        make_design("weight", weights={"a": 1.0}),
    ):
        assert dqn(design, 1).replay_buffer._steps is None


class StopAt(BaseCallback):
    """Ends `learn` at its k-th step."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def _on_step(self):
        return self.n_calls < self.step


@pytest.mark.filterwarnings("ignore:Only .* of the rollout's steps:UserWarning")
@pytest.mark.parametrize("depends", ["row", "episode"])
@pytest.mark.parametrize("again", [True, False])
def test_episodes_of_a_rollout_that_a_callback_stopped_are_taken_in_unless_all_is_reset(
    again, depends
):
    design = Refitted(depends)
    model, _ = ppo(design, n_steps=40, length=7, n_envs=1)
    recorder = model.env
    model.learn(40)
    model.learn(40, callback=StopAt(30), reset_num_timesteps=again)
    assert recorder.ticks.count >= 30
    stopped = sum(recorder.finished(0).ends - recorder.finished(0).firsts)
    assert stopped > 20
    before = sum(map(len, design.taken))
    model.learn(40, reset_num_timesteps=again)
    after = sum(map(len, design.taken)) - before
    if again:
        assert after <= 40
    else:
        assert 30 + 40 - 7 < after <= 7 + 30 + 40


def test_statistics_count_the_steps_of_a_rollout_that_a_callback_stopped():
    design = make_design("count", resolution=100.0)
    model, _ = ppo(design, n_steps=40, length=7, n_envs=1)
    model.learn(40)
    model.learn(40, callback=StopAt(30), reset_num_timesteps=False)
    model.learn(40, reset_num_timesteps=False)
    assert design.state_dict()["counts"].sum() == 110
