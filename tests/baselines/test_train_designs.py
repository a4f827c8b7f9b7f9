"""Training with designs that relabel the buffer and with designs that learn."""

import csv
import os
import shutil

import numpy as np
import pytest
import torch
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.save_util import load_from_zip_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rewardloom.baselines.training import TrainConfig, train
from rewardloom.errors import ConfigError
from rewardloom.rewards.catalog import DESIGNS, DesignEntry


class TrialDesign:
    """Relabels each episode to `pay` per step plus its number of refits / 1000; learns by counting.

    With relabels=False it pays the same online, with the refits of the moment.
    """

    needs = frozenset()
    memory = "model"
    settles_truncation = False
    update_model = True

    def __init__(self, pay=1.0, relabels=True):
        self.relabels = relabels
        self.depends = "episode" if relabels else "step"
        self.pay, self.refits, self.episodes = pay, 0, 0

    def bind(self, names, num_slots):
        self.slots = num_slots

    def begin(self, slots, extra=None):
        pass

    def step(self, batch):
        if self.relabels:
            return batch.reward.copy()
        self._learn(int((batch.terminated | batch.truncated).sum()))
        return np.full(self.slots, self.pay + self.refits / 1000)

    def relabel(self, episodes):
        self._learn(len(episodes.terminated))
        return np.full(len(episodes.reward), self.pay + self.refits / 1000)

    def _learn(self, finished):
        before, self.episodes = self.episodes // 16, self.episodes + finished
        self.refits += self.episodes // 16 - before

    def diagnostics(self):
        if not self.refits:
            return {}
        return {"episodes": float(self.episodes), "pair_accuracy": 1 - 1 / self.refits}

    def summary(self):
        return {"paid": np.full(self.slots, self.pay)}

    def state_dict(self):
        return {"refits": self.refits, "episodes": self.episodes}

    def load_state_dict(self, state):
        self.refits, self.episodes = state["refits"], state["episodes"]


@pytest.fixture(autouse=True)
def _trial_design(monkeypatch):
    path = f"{__name__}:TrialDesign"
    monkeypatch.setitem(DESIGNS, "trial", DesignEntry(path, "", "", {}))


@pytest.fixture
def buffers(monkeypatch):
    """The rewards of every rollout as advantages are computed from them."""
    seen = []
    plain = RolloutBuffer.compute_returns_and_advantage

    def compute(self, last_values, dones):
        seen.append(self.rewards.copy())
        plain(self, last_values, dones)

    monkeypatch.setattr(RolloutBuffer, "compute_returns_and_advantage", compute)
    return seen


def config(*designs, **changes):
    fields = {
        "world": "CartPole-v1",
        "steps": 2_048,
        "num_envs": 2,
        "designs": designs,
        "algo_kwargs": {"n_steps": 256, "batch_size": 128, "n_epochs": 1},
        "checkpoint_every": 1_024,
        "keep_checkpoints": 5,
        "eval_episodes": 2,
    }
    return TrainConfig.from_dict({**fields, **changes})


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_ppo_learns_from_the_rewritten_rewards(tmp_path, buffers):
    designs = ({"design": "scale", "factor": 3.0}, {"design": "trial", "pay": 7.0})
    folder = train(config(*designs), tmp_path / "run", progress=False).folder
    assert len(buffers) == 4
    for rewards in buffers:
        rewritten = (rewards >= 7) & (rewards < 7.1)
        assert (rewritten | (rewards == 3)).all()  # the border's cut episodes stay as paid online
        assert 0.7 < rewritten.mean() < 1
    whole = 0
    for row in rows(folder.episodes):
        assert float(row["raw_return"]) == float(row["length"])
        length, shaped = float(row["length"]), float(row["shaped_return"])
        assert float(row["design_scale_reward"]) == 3 * length
        assert shaped == 3 * length or 7 * length <= shaped < 7.1 * length
        whole += shaped > 3 * length
    assert 0.7 < whole / len(rows(folder.episodes)) < 1
    events = EventAccumulator(str(folder.tensorboard)).Reload().Tags()["scalars"]
    assert {"relabel/whole_episode_share", "design/trial/pair_accuracy"} <= set(events)
    assert "rollout/ep_rew_mean" in events


def test_the_time_of_relabelling_counts_as_the_designs(tmp_path, monkeypatch):
    from time import sleep

    plain = TrialDesign.relabel
    monkeypatch.setattr(TrialDesign, "relabel", lambda s, e: sleep(0.25) or plain(s, e))
    timing = train(config({"design": "trial"}), tmp_path / "run", progress=False).timing
    assert timing["share"]["design"] * timing["wall_seconds"] > 0.9
    assert sum(timing["share"].values()) == pytest.approx(1)


@pytest.mark.parametrize("relabels", [True, False], ids=["buffer", "online"])
def test_every_refit_is_a_row(tmp_path, relabels):
    settings = config({"design": "trial", "name": "judge", "relabels": relabels})
    folder = train(settings, tmp_path / "run", progress=False).folder
    found = rows(folder.designs)
    columns = ["step", "design", "episodes", "pair_accuracy"]
    assert list(found[0]) == columns + (["whole_episode_share"] if relabels else [])
    assert {row["design"] for row in found} == {"judge"}
    found = [row for row in found if row["pair_accuracy"]]
    refits = [round(1 / (1 - float(row["pair_accuracy"]))) for row in found]
    assert refits == sorted(set(refits))
    steps = [int(row["step"]) for row in found]
    assert steps == sorted(steps)
    if relabels:
        assert all(step % 512 == 0 for step in steps)
    else:
        assert refits == list(range(1, len(refits) + 1))


def test_the_share_of_whole_episodes_is_kept_of_every_rollout(tmp_path, buffers):
    given = config({"design": "defer", "relabel": True})
    folder = train(given, tmp_path / "run", progress=False).folder
    found = rows(folder.designs)
    assert [(row["step"], row["design"]) for row in found] == [
        (str(step), "defer") for step in (512, 1024, 1536, 2048)
    ]
    # what is deferred in whole episodes is 0 but at their ends; CartPole pays 1 elsewhere
    for row, rewards in zip(found, buffers, strict=True):
        in_whole = (rewards == 0).sum() + rewards[rewards > 1].size
        assert float(row["whole_episode_share"]) == in_whole / rewards.size


RND = {"design": "rnd", "learning": {"warmup_steps": 200, "hidden": [8], "features": 4}}


@pytest.mark.parametrize(
    "design",
    [
        {"design": "trial"},
        {"design": "trial", "relabels": False},
        RND,
        {**RND, "relabel": True},
    ],
    ids=["buffer", "online", "novelty_online", "novelty_buffer"],
)
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, design):
    settings = config(design, steps=3_072)
    whole = train(settings, tmp_path / "whole", progress=False)
    cut = train(settings, tmp_path / "cut", progress=False).folder
    shutil.rmtree(cut.checkpoints / "2048")
    os.unlink(cut.model)
    cut.write_status("running", 1_024)
    again = train(settings, cut.path, resume=True, progress=False)
    assert again.timing["steps"] == 2_048
    for name in ("episodes.csv", "designs.csv"):
        assert (cut.path / name).read_bytes() == (whole.folder.path / name).read_bytes()
    assert again.evaluation == whole.evaluation
    a, b = (load_from_zip_file(run.folder.model)[1]["policy"] for run in (again, whole))
    assert a.keys() == b.keys()
    assert all(torch.equal(a[key], b[key]) for key in a)


def test_without_a_learned_design_there_is_no_such_file(tmp_path):
    folder = train(config({"design": "defer"}), tmp_path / "run", progress=False).folder
    assert not folder.designs.exists()
    assert rows(folder.episodes)[0]["shaped_return"] != ""


def test_a_design_that_relabels_must_be_the_last():
    with pytest.raises(ConfigError, match=r"designs\[0\] \('trial'\) rewrites.*the last"):
        config({"design": "trial"}, {"design": "defer"})
    with pytest.raises(ConfigError, match=r"designs\[0\] \('scale'\) rewrites.*the last"):
        config({"design": "scale", "factor": 2, "relabel": True}, {"design": "defer"})
    config({"design": "defer"}, {"design": "trial"})


def test_relabel_must_be_a_bool_that_fits():
    with pytest.raises(ConfigError, match="'relabel' must be true or false"):
        config({"design": "scale", "factor": 2, "relabel": 1})
    with pytest.raises(ConfigError, match="only relabels; leave out 'relabel'"):
        config({"design": "trial", "relabel": False})


def test_a_step_design_on_the_buffer_pays_what_it_pays_online(tmp_path):
    """Equal rewards make equal agents, to the bit; the annotator answers at once."""
    rules = [{"id": "left", "regex": "left", "weight": 1}]
    design = {"design": "intrinsic", "rules": rules, "count_exponent": 1, "extrinsic_coef": 0.5}
    policies = []
    for relabel in (False, True):
        settings = config(
            {**design, "relabel": relabel},
            wrappers=[
                {
                    "wrapper": "rewardloom.wrappers.captions:EventCaptions",
                    "caption_fn": f"{__name__}:says_where_the_cart_goes",
                }
            ],
        )
        run = train(settings, tmp_path / str(relabel), progress=False)
        policies.append(load_from_zip_file(run.folder.model)[1]["policy"])
        told = rows(run.folder.designs)
        assert [int(row["step"]) for row in told] == [512, 1_024, 1_536, 2_048]
        assert float(told[0]["intrinsic_per_1000"]) > 0
        assert float(told[-1]["labels"]) == 2
    a, b = policies
    assert all(torch.equal(a[key], b[key]) for key in a)
    plain = train(config(), tmp_path / "plain", progress=False).folder.model
    c = load_from_zip_file(plain)[1]["policy"]
    assert not all(torch.equal(a[key], c[key]) for key in a)


def says_where_the_cart_goes(step):
    return "left" if step.next_obs[0] < step.obs[0] else "right"
