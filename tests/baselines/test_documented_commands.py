"""The training command on the page about captions runs as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from rewardloom.baselines.cli import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "captions.md"


def test_minigrid_learns_from_captions_by_one_command(tmp_path, monkeypatch, capsys):
    pytest.importorskip("minigrid")
    block = re.search(
        r"^```bash\n(rewardloom train minigrid.*?)^```", PAGE.read_text(), re.M | re.S
    )
    assert block is not None
    words = shlex.split(block[1].replace("\\\n", " "))[1:]
    monkeypatch.chdir(tmp_path)
    assert main([*words, "--eval-episodes", "1"]) == 0, capsys.readouterr().err
    header, *rows = (tmp_path / "runs" / "captions" / "episodes.csv").read_text().splitlines()
    paid = header.split(",").index("design_intrinsic_reward")
    assert max(float(row.split(",")[paid]) for row in rows) > 0
