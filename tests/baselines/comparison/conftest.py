"""Comparisons made of written files, with the layout that training runs have."""

import csv
import json

import numpy as np
import pytest

from rewardloom.baselines.comparison.config import CompareConfig

STEPS = 10_000


def write_run(path, config, *, score, rng, state="finished", episodes=80, growth=1.0):
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config.to_dict()))
    (path / "versions.json").write_text(
        json.dumps({"rewardloom": "0.1.0", "python": "3.11.2", "git": None})
    )
    (path / "status.json").write_text(json.dumps({"state": state, "step": STEPS}))
    ends = np.sort(rng.integers(1, STEPS + 1, episodes))
    rows = []
    for end in ends:
        paid = {f"design_{d['design']}_bonus": 3.0 * end / STEPS for d in config.designs}
        raw = score * growth * end / STEPS + rng.normal()
        rows.append(
            {"step": end, "raw_return": raw, "shaped_return": raw + sum(paid.values())}
            | {"length": 100 + end % 7, "metric_depth": 1 + end / STEPS, "metric_floor": 4.0}
            | paid
        )
    with open(path / "episodes.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    if state != "finished":
        return
    share = {"env": 0.5, "policy": 0.2, "learning": 0.25, "design": 0.02, "other": 0.03}
    timing = {"wall_seconds": 60.0, "steps": STEPS, "steps_per_second": 500.0, "share": share}
    (path / "timing.json").write_text(json.dumps(timing))

    def summary(center):
        return {"mean": center, "std": 0.0, "values": [center] * 4}

    evaluation = {"episodes": 4, "seed": 0, "deterministic": False, "is_success": 0.25}
    evaluation |= {"raw_return": summary(score), "length": summary(100.0)}
    evaluation["metrics"] = {"depth": summary(2.0)}
    (path / "evaluation.json").write_text(json.dumps(evaluation))


@pytest.fixture
def make_comparison(tmp_path):
    """Write a comparison: arm -> one score per seed; returns its folder."""

    def make(
        scores, *, designs=None, unfinished=(), command="rewardloom compare X --out Y", **fields
    ):
        designs = designs or {}
        config = CompareConfig.from_dict(
            {
                "world": "CartPole-v1",
                "steps": STEPS,
                "arms": {arm: designs.get(arm, []) for arm in scores},
                "seeds": max(len(values) for values in scores.values()),
                "jobs": 2,
                **fields,
            }
        )
        folder = tmp_path / "comparison"
        folder.mkdir()
        facts = {"config": config.to_dict(), "command": command}
        facts |= {"wall_seconds": 75.0, "cores": 2}
        (folder / "compare.json").write_text(json.dumps(facts))
        rng = np.random.default_rng(0)
        for arm, values in scores.items():
            for seed, score in enumerate(values):
                state = "running" if (arm, seed) in unfinished else "finished"
                path = folder / "runs" / arm / f"seed{seed}"
                write_run(path, config.train_config(arm, seed), score=score, rng=rng, state=state)
            replay = {"kind": "none", "reason": "these runs are only files"}
            (folder / "replays").mkdir(exist_ok=True)
            (folder / "replays" / f"{arm}.json").write_text(json.dumps(replay))
        return folder

    return make
