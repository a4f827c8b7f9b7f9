"""Where learned designs compute: checked when they are made, and free to change between runs."""

from typing import Any

import numpy as np
import pytest
import torch

from rewardloom.baselines.plugs import load_design, save_design
from rewardloom.errors import ConfigError
from rewardloom.rewards import HeronDesign, episode_batch, make_design

ABSENT = ["cuda:99", "gpu", "meta", "", 0, None]
if not torch.cuda.is_available():
    ABSENT.append("cuda")

QUICK = {"hidden": [8], "gradient_steps": 3, "refit_every": 10}


def learned(name, device: Any = "cpu") -> Any:
    learning = {**QUICK, "device": device}
    if name == "heron":
        design = HeronDesign(["x"], center="mean", learning={**learning, "first_refit": 10})
    else:
        learning["first_refit"] = 1
        design = make_design("redistribute", mode=name, emit="relabel", learning=learning)
    design.bind(("x",), 1)
    return design


def episodes(seed):
    rng = np.random.default_rng(seed)
    return episode_batch(
        [rng.normal(size=10) for _ in range(3)],
        [rng.normal(size=(10, 1)) for _ in range(3)],
        obs=rng.normal(size=(30, 2)).astype(np.float32),
        action=np.zeros((30, 1), np.float32),
    )


@pytest.mark.parametrize("device", ABSENT)
@pytest.mark.parametrize("name", ["heron", "rrd", "rudder", "attention", "occlusion"])
def test_a_device_that_is_not_there_is_refused_when_the_design_is_made(name, device):
    with pytest.raises(ConfigError, match="device"):
        learned(name, device)


def test_models_without_a_network_ask_for_no_device():
    HeronDesign(["x"], model="linear", learning={"device": "cuda:99"})
    make_design("redistribute", mode="ircr", learning={"device": "cuda:99"})


@pytest.mark.parametrize("name", ["heron", "rrd", "rudder", "attention"])
def test_a_file_whose_tensors_were_on_a_gpu_is_read_on_a_cpu(name, tmp_path, monkeypatch):
    design = learned(name)
    design.relabel(episodes(0))
    assert design.refits == 1
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: "cuda:0")
    save_design(tmp_path / "model", design)
    monkeypatch.undo()
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA"):
            torch.load(tmp_path / "model.design.pt", weights_only=True)
    again = learned(name)
    load_design(tmp_path / "model", again)
    for seed in (1, 2):
        np.testing.assert_array_equal(again.relabel(episodes(seed)), design.relabel(episodes(seed)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
@pytest.mark.parametrize("name", ["heron", "rrd", "rudder", "attention"])
@pytest.mark.parametrize(("first", "second"), [("cuda", "cpu"), ("cpu", "cuda")])
def test_a_model_goes_on_learning_on_another_device(name, first, second):
    design, again = learned(name, first), learned(name, second)
    design.relabel(episodes(0))
    again.load_state_dict(design.state_dict())
    design.update_model = again.update_model = False
    np.testing.assert_allclose(
        again.relabel(episodes(1)), design.relabel(episodes(1)), rtol=1e-4, atol=1e-5
    )
    again.update_model = True
    again.relabel(episodes(1))
    assert again.refits == 2
