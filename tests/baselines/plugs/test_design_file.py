"""A design's memory beside a model's zip."""

import numpy as np
import pytest
import torch

from rewardloom.baselines.plugs import load_design, save_design
from rewardloom.errors import ConfigError
from rewardloom.rewards import CountDesign, DeferDesign, RedistributeDesign
from rewardloom.testing import COMPONENTS, ComponentWorld, reference_rewards, reference_ticks


class Holding:
    """Only what saving and loading use."""

    def __init__(self, state=None):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        self.state = state


def same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        return all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        assert one.dtype == other.dtype
        return one.shape == other.shape and (one == other).all()
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    return one == other


def test_arrays_tensors_and_random_states_come_back_as_they_were(tmp_path):
    state = {
        "weights": torch.arange(6.0).reshape(2, 3),
        "mean": np.arange(4, dtype=np.float64).reshape(2, 2),
        "mask": np.array([True, False]),
        "empty": np.zeros((0, 3), np.int16),
        "names": np.array(["newt", "jackal"]),
        "mixed": np.array(["x", None, 2.5, b"y"], dtype=object).reshape(2, 2),
        "random": np.random.default_rng(3).bit_generator.state,
        "counts": {b"\x00\xff": 3, "deep": [(1, 2.5), None, True]},
    }
    save_design(tmp_path / "agent.zip", Holding(state))
    again = Holding()
    load_design(tmp_path / "agent", again)
    assert same(state, again.state)


def test_the_file_is_read_without_unpickling_code(tmp_path):
    path = save_design(tmp_path / "agent", Holding({"a": np.zeros(3), "b": np.float64(2.0)}))
    assert torch.load(path, weights_only=True)["state"]["b"] == 2.0


def test_the_memory_of_a_real_design_survives(tmp_path):
    ticks = list(reference_ticks(ComponentWorld, 2, np.ones((30, 2), int)))
    trained, loaded = CountDesign(resolution=0.5), CountDesign(resolution=0.5)
    reference_rewards(trained, ticks, COMPONENTS, 2)
    save_design(tmp_path / "agent.zip", trained)
    load_design(tmp_path / "agent.zip", loaded)
    np.testing.assert_array_equal(
        reference_rewards(loaded, ticks, COMPONENTS, 2),
        reference_rewards(trained, ticks, COMPONENTS, 2),
    )


def test_names_with_dots_do_not_overwrite_each_other(tmp_path):
    paths = [save_design(tmp_path / name, Holding({})) for name in ("ppo_1.5M", "ppo_1.7M.zip")]
    assert [path.name for path in paths] == ["ppo_1.5M.design.pt", "ppo_1.7M.design.pt"]
    assert sorted(tmp_path.iterdir()) == paths


def test_what_cannot_be_kept_is_named_and_the_old_file_stays(tmp_path):
    save_design(tmp_path / "agent", Holding({"kept": 1}))
    with pytest.raises(ConfigError, match=r"Holding\['deep'\]\[1\].* is a set"):
        save_design(tmp_path / "agent", Holding({"deep": [0, {1, 2}]}))
    again = Holding()
    load_design(tmp_path / "agent", again)
    assert again.state == {"kept": 1}


def test_a_missing_file_says_what_writes_it(tmp_path):
    with pytest.raises(ConfigError, match=r"agent.design.pt; save_design"):
        load_design(tmp_path / "agent.zip", Holding())


def test_the_memory_of_another_design_is_refused_and_both_are_named(tmp_path):
    save_design(tmp_path / "agent", DeferDesign())
    with pytest.raises(ConfigError, match=r"agent.design.pt .* a DeferDesign .* a CountDesign"):
        load_design(tmp_path / "agent", CountDesign(resolution=0.5))


def test_the_memory_of_a_design_with_other_arguments_is_refused(tmp_path):
    save_design(tmp_path / "agent", RedistributeDesign("uniform"))
    with pytest.raises(ConfigError, match=r"does not fit this RedistributeDesign .* arguments"):
        load_design(tmp_path / "agent", RedistributeDesign("rrd"))


def test_a_file_that_holds_the_state_alone_is_still_read(tmp_path):
    torch.save({"kept": 1}, tmp_path / "agent.design.pt")
    again = Holding()
    load_design(tmp_path / "agent", again)
    assert again.state == {"kept": 1}
