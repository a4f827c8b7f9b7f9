"""What every design that rewrites buffers does with open, empty and idle parts of them."""

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv

import rewardloom.wrappers.parallel
import rewardloom.wrappers.vector
from rewardloom.baselines.plugs import DesignVecReward, attach_relabel, load_design, save_design
from rewardloom.errors import ConfigError
from rewardloom.rewards import DESIGNS, RedistributeDesign, episode_batch, make_design
from rewardloom.rewards.design import EpisodeBatch, StepBatch
from rewardloom.rewards.ragged import select_episodes
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_ticks
from rewardloom.testing.parallel import ParallelComponentWorld
from rewardloom.typing import ComponentNames

QUICK = {"first_refit": 2, "refit_every": 10, "gradient_steps": 2, "hidden": [8]}
HERON = {"ranking": ["a", "b"], "margins": 0.3, "center": "mean", "emit": "relabel"}
LEVELS = [{"components": "outcome", "priority": 1, "threshold": 0.0}, {"components": ["a", "b"]}]

RELABELLING = {
    "gate": ("gate", {"levels": LEVELS, "emit": "relabel"}),
    "uniform": ("redistribute", {"mode": "uniform"}),
    "softmax": ("redistribute", {"mode": "softmax", "score": "a"}),
    "ircr": ("redistribute", {"mode": "ircr"}),
    "difference": ("redistribute", {"mode": "difference", "score": "a", "emit": "relabel"}),
    "attention": ("redistribute", {"mode": "attention", "learning": QUICK}),
    "occlusion": ("redistribute", {"mode": "occlusion", "learning": QUICK}),
    "rudder": ("redistribute", {"mode": "rudder", "emit": "relabel", "learning": QUICK}),
    "rrd": ("redistribute", {"mode": "rrd", "learning": QUICK}),
    "rrd of rows": ("redistribute", {"mode": "rrd", "preserve": "none", "learning": QUICK}),
    "heron": ("heron", {**HERON, "learning": QUICK}),
    "heron, linear": ("heron", {**HERON, "model": "linear", "learning": {"first_refit": 2}}),
}
LEARNED = [
    name
    for name, (design, options) in RELABELLING.items()
    if make_design(design, **options).memory == "model"
]
cases = pytest.mark.parametrize("case", RELABELLING)
learned = pytest.mark.parametrize("case", LEARNED)


def fresh(case):
    name, options = RELABELLING[case]
    design = make_design(name, **options)
    assert design.relabels
    design.bind(ComponentNames(COMPONENTS, ["outcome"]), 2)
    return design


def trained(case):
    """Return a design that has learned, if it does, and learns no more."""
    design = fresh(case)
    if design.memory == "model":
        design.relabel(batch_of(seed=9))
        assert design.refits
        design.update_model = False
    return design


def batch_of(lengths=(3, 1, 6, 4), *, seed=0, terminated=True) -> EpisodeBatch:
    rng = np.random.default_rng(seed)
    total = sum(lengths)
    rows = {
        name: rng.normal(size=(total, 3)).astype(np.float32)
        for name in ("obs", "action", "next_obs")
    }
    return episode_batch(
        [rng.normal(size=n) for n in lengths],
        [rng.normal(size=(n, 4)) for n in lengths],
        terminated=terminated,
        **rows,
    )


@cases
def test_an_open_episode_keeps_its_rewards_and_changes_no_other(case):
    """Rows that stand for themselves are paid all the same."""
    design = trained(case)
    closed = batch_of()
    opened = batch_of(terminated=[True, False, False, True])
    want, paid = design.relabel(closed), design.relabel(opened)
    finished = np.repeat(opened.terminated, np.diff(opened.offsets))
    np.testing.assert_allclose(paid[finished], want[finished], rtol=1e-6, atol=1e-9)
    if design.depends == "row":
        np.testing.assert_allclose(paid, want, rtol=1e-6, atol=1e-9)
        assert not np.allclose(paid, opened.reward)
    else:
        assert design.depends == "episode"
        np.testing.assert_array_equal(paid[~finished], opened.reward[~finished])
        assert not np.allclose(want[~finished], opened.reward[~finished])


@learned
def test_an_open_episode_teaches_nothing(case):
    one, other = fresh(case), fresh(case)
    opened = batch_of(terminated=[True, False, False, True])
    one.relabel(opened)
    other.relabel(select_episodes(opened, opened.terminated))
    assert one.refits == other.refits == 1
    assert one.diagnostics() == other.diagnostics()
    assert one.diagnostics()["episodes"] == 2


@cases
@pytest.mark.parametrize("has_learned", [True, False])
def test_nothing_is_paid_for_no_rows(case, has_learned):
    design = trained(case) if has_learned else fresh(case)
    none = select_episodes(batch_of(), np.zeros(4, bool))
    for batch in (none, batch_of((0,)), batch_of((0, 0))):
        paid = design.relabel(batch)
        assert paid.shape == (0,)
        assert paid.dtype == np.float64


@cases
@pytest.mark.parametrize("has_learned", [True, False])
def test_an_episode_without_steps_changes_no_other(case, has_learned):
    def paid(lengths):
        design = trained(case) if has_learned else fresh(case)
        return design.relabel(batch_of(lengths))

    np.testing.assert_array_equal(paid((0, 3, 0, 1, 6, 4, 0)), paid((3, 1, 6, 4)))


@learned
@pytest.mark.parametrize("through_a_file", [True, False])
def test_a_state_from_before_the_first_refit_makes_a_design_untrained(
    case, through_a_file, tmp_path
):
    design, untrained = fresh(case), fresh(case)
    design.relabel(batch_of(seed=1))
    assert design.refits
    if through_a_file:
        save_design(tmp_path / "model", untrained)
        load_design(tmp_path / "model", design)
    else:
        design.load_state_dict(untrained.state_dict())
    assert design.refits == 0
    assert design.diagnostics() == {}
    for each in (design, untrained):
        each.update_model = False
    batch = batch_of(seed=2)
    if case != "ircr":  # pays 0 then
        np.testing.assert_array_equal(design.relabel(batch), batch.reward)
    for each in (design, untrained):
        each.update_model = True
    for seed in (3, 4):
        batch = batch_of(seed=seed)
        np.testing.assert_array_equal(design.relabel(batch), untrained.relabel(batch))
    assert design.diagnostics() == untrained.diagnostics() != {}


def junk(value):
    return np.full_like(value, 50) if value.dtype.kind in "iuf" else value


def twin(value):
    return value[[0, 0]]


@pytest.mark.parametrize("filler", [junk, twin])
@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in DESIGNS), ("intrinsic", {"lifetime_exponent": 1.0})],
)
def test_idle_slots_enter_no_statistic(name, options, filler):
    """Of two slots the second idles all the time: as if there were only one."""
    options = {**DESIGNS[name].example, **options}
    design, alone = make_design(name, **options), make_design(name, **options)
    actions = np.random.default_rng(0).integers(0, 3, (60, 1))
    only = np.array([True, False])

    def idling(value):
        """Return the rows of the first slot, and of the second what must not be read."""
        rows = value[[0, 0]]
        return np.where(only.reshape(-1, *[1] * (value.ndim - 1)), rows, filler(rows))

    design.bind(COMPONENTS, 2)
    alone.bind(COMPONENTS, 1)
    for tick in reference_ticks(ComponentWorld, 1, actions, flat="flat" in design.needs):
        if tick.batch is not None:
            fields = tick.batch._asdict()
            extra = {name: idling(column) for name, column in fields.pop("extra").items()}
            both = StepBatch(**{k: idling(v) for k, v in fields.items()}, extra=extra)
            ends = {k: getattr(both, k) & only for k in ("terminated", "truncated", "failed")}
            paid = design.step(both._replace(reward=both.reward * only, active=only, **ends))
            np.testing.assert_allclose(paid[0], alone.step(tick.batch)[0], rtol=1e-6, atol=1e-6)
            assert paid[1] == 0.0
        start = {column: idling(values) for column, values in tick.start.items()}
        design.begin(tick.begun & only, start)
        alone.begin(tick.begun, tick.start)


def test_a_plug_that_would_pay_raw_for_ever_says_so():
    says = r"pays in a training buffer only: here the raw reward passes unchanged"
    with pytest.warns(UserWarning, match=says):
        rewardloom.wrappers.RedistributeReward(ComponentWorld(), "rrd")
    with pytest.warns(UserWarning, match=says):
        rewardloom.wrappers.vector.RedistributeReward(SyncVectorEnv([ComponentWorld]), "uniform")
    with pytest.warns(UserWarning, match=says):
        rewardloom.wrappers.parallel.RedistributeReward(ParallelComponentWorld(), "uniform")
    venv = DummyVecEnv([ComponentWorld])
    with pytest.warns(UserWarning, match=says):
        DesignVecReward(venv, make_design("redistribute", mode="uniform"), name="redistribute")
    rewardloom.wrappers.RedistributeReward(ComponentWorld(), "difference", score="a")


@pytest.mark.parametrize(("policy", "share"), [("raw", 0.0), ("settle", 1.0), ("bootstrap", 1.0)])
def test_truncated_episodes_that_stay_raw_are_not_counted_as_rewritten(policy, share):
    model = PPO(
        "MlpPolicy",
        DummyVecEnv([lambda: gym.make("Pendulum-v1", max_episode_steps=32)]),
        n_steps=64,
        batch_size=64,
        n_epochs=1,
        device="cpu",
    )
    attach_relabel(model, make_design("redistribute", mode="uniform", on_truncation=policy))
    if share:
        model.learn(64)
    else:
        with pytest.warns(
            UserWarning, match="a time limit ends stay raw too, unless the design's on_trunc"
        ):
            model.learn(64)
    assert model.rollout_buffer.relabeller.whole_episode_share == share


def test_attaching_what_is_no_design_is_refused():
    model = PPO("MlpPolicy", DummyVecEnv([ComponentWorld]), n_steps=8, batch_size=8, device="cpu")
    for wrong in (RedistributeDesign, [], rewardloom.wrappers.DeferReward(ComponentWorld())):
        with pytest.raises(ConfigError, match=r"A wrapper has its design in \.design"):
            attach_relabel(model, wrong)
