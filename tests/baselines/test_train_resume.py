import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from stable_baselines3.common.save_util import load_from_zip_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rewardloom.baselines.training import TrainConfig, train
from rewardloom.baselines.training.checkpoints import latest_checkpoint
from rewardloom.baselines.training.folder import RunFolder, write_json

CARTPOLE = TrainConfig(
    world="CartPole-v1",
    steps=30_000,
    seed=3,
    designs=({"design": "count", "resolution": 0.5}, {"design": "defer"}),
    algo_kwargs={"learning_rate": "lin_1e-3", "n_epochs": 1},
    checkpoint_every=3_000,
    eval_episodes=2,
)
PENDULUM = TrainConfig(
    world="Pendulum-v1",
    steps=20_000,
    designs=({"design": "count", "resolution": 0.5},),
    algo_kwargs={"use_sde": True, "sde_sample_freq": 8, "n_epochs": 1},
    checkpoint_every=2_000,
    eval_episodes=2,
)
NETHACK = TrainConfig(
    world="rewardloom/NetHackScore-v0",
    steps=3_000,
    world_kwargs={"horizon": 100},
    num_envs=2,
    designs=({"design": "count"},),
    algo_kwargs={"n_steps": 64, "n_epochs": 1},
    checkpoint_every=512,
    eval_episodes=1,
)
SPREAD = TrainConfig(
    world="pettingzoo:mpe2.simple_spread_v3",
    steps=6_000,
    components={
        "near": "rewardloom.baselines.tasks.spread:near",
        "apart": "rewardloom.baselines.tasks.spread:apart",
    },
    num_envs=4,
    designs=({"design": "heron", "ranking": ["near", "apart"], "model": "linear"},),
    algo_kwargs={"n_steps": 50, "n_epochs": 1},
    checkpoint_every=600,
    eval_episodes=2,
)

SCALARS = ("rollout/ep_raw_rew_mean", "rollout/ep_rew_mean", "train/loss")

CHILD = """
import sys
from rewardloom.baselines.training import load_config, train
train(load_config(sys.argv[1]), sys.argv[2], progress=False)
"""


def kill_between_checkpoints(config, out, tmp_path, count):
    """Run in a process of its own; SIGKILL it once rows follow its `count`-th checkpoint."""
    write_json(tmp_path / "config.json", config.to_dict())
    command = [sys.executable, "-c", CHILD, str(tmp_path / "config.json"), str(out)]
    child = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    folder, seen = RunFolder(out), set()

    def wait_for(condition):
        deadline = time.monotonic() + 120
        while not condition():
            assert child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def checkpoints_were_seen():
        if folder.checkpoints.is_dir():
            seen.update(path.name for path in folder.checkpoints.iterdir() if path.name.isdigit())
        return len(seen) >= count

    wait_for(checkpoints_were_seen)
    size = folder.episodes.stat().st_size
    wait_for(lambda: folder.episodes.stat().st_size > size)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    return folder


def parameters(folder):
    return load_from_zip_file(folder.model)[1]


def assert_equal(a, b):
    """Compare nested states bit for bit."""
    assert type(a) is type(b)
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_equal(a[key], b[key])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    elif isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    else:
        assert a == b


@pytest.mark.parametrize(
    "config",
    [CARTPOLE, PENDULUM, NETHACK, SPREAD],
    ids=["cartpole", "pendulum", "nethack", "spread"],
)
def test_a_killed_run_resumed_equals_an_uninterrupted_one(tmp_path, config):
    folder = kill_between_checkpoints(config, tmp_path / "killed", tmp_path, 3)
    assert folder.read_status()["state"] == "running"
    assert not folder.model.exists()
    saved = latest_checkpoint(folder)
    assert saved is not None

    resumed = train(config, folder.path, resume=True, progress=False)
    whole = train(config, tmp_path / "whole", progress=False)
    assert resumed.step == whole.step > saved.step > 0
    assert resumed.timing["steps"] == whole.step - saved.step
    assert resumed.folder.episodes.read_bytes() == whole.folder.episodes.read_bytes()
    assert_equal(parameters(resumed.folder), parameters(whole.folder))
    assert resumed.evaluation == whole.evaluation


def test_a_run_killed_before_its_first_checkpoint_starts_over(tmp_path):
    config = CARTPOLE.replace(steps=4_000, checkpoint_every=2_000)
    whole = train(config, tmp_path / "whole", progress=False)
    folder = RunFolder(tmp_path / "early")
    with folder.lock():
        folder.start(config)
    folder.episodes.write_text("step,raw_return\n8,1")
    (folder.checkpoints / ".writing").mkdir(parents=True)
    (folder.checkpoints / ".writing" / "model.zip").write_bytes(b"half")
    resumed = train(config, folder.path, resume=True, progress=False)
    assert resumed.folder.episodes.read_bytes() == whole.folder.episodes.read_bytes()
    assert_equal(parameters(resumed.folder), parameters(whole.folder))


def test_the_memory_of_a_design_is_in_the_checkpoint(tmp_path):
    config = CARTPOLE.replace(steps=4_000, checkpoint_every=2_000, eval_episodes=0)
    folder = train(config, tmp_path / "run", progress=False).folder
    saved = latest_checkpoint(folder)
    assert saved is not None
    state = torch.load(saved.path / "state.pt", weights_only=False)
    assert state["designs"]["count"]["counts"].sum() == saved.step
    assert "numpy" in state["random"]


def test_tensorboard_shows_no_step_twice_after_a_resume(tmp_path):
    config = CARTPOLE.replace(steps=8_192, checkpoint_every=2_048, eval_episodes=0)
    whole = train(config, tmp_path / "whole", progress=False).folder
    resumed = train(config, tmp_path / "resumed", progress=False).folder
    resumed.write_status("running", 0)
    shutil.rmtree(resumed.checkpoints / "6144")
    train(config, resumed.path, resume=True, progress=False)
    scalars = []
    for folder in (whole, resumed):
        events = EventAccumulator(str(folder.tensorboard)).Reload()
        assert "design/count_bonus" in events.Tags()["scalars"]
        scalars.append(
            [(s.step, s.value) for tag in SCALARS for s in events.Scalars(tag)],
        )
    assert scalars[0] == scalars[1]
    assert [step for step, _ in scalars[0][:8]] == [1024 * i for i in range(1, 9)]


def test_other_seeds_give_other_runs_and_equal_seeds_equal_ones(tmp_path):
    config = CARTPOLE.replace(steps=2_000, eval_episodes=0)
    episodes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        result = train(config.replace(seed=seed), tmp_path / name, progress=False)
        episodes.append(result.folder.episodes.read_bytes())
    assert episodes[0] == episodes[1] != episodes[2]
