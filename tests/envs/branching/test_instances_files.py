"""Instance files and folders, and the one clear error for each that is of no use."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from rewardloom.envs.branching.instances import (
    check_relaxation,
    generate,
    read_instances,
    read_model,
)
from rewardloom.errors import ConfigError

GOOD = "maximize\n 3 x + 2 y\nsubject to\n c: 2 x + 2 y <= 3\nbinary\n x y\nend\n"

REFUSED = {
    "empty": ("", "is empty"),
    "other text": ("good morning\n", "defines no variable"),
    "cut off": (GOOD[: GOOD.index(" 3\nbinary")], "SCIP cannot read"),
    "no constraint": ("maximize\n x\nsubject to\nbinary\n x\nend\n", "defines no constraint"),
    "quadratic row": (GOOD.replace("2 x + 2 y <=", "[ x * y ] <="), "not linear .nonlinear"),
    "quadratic objective": (
        GOOD.replace("3 x + 2 y\n", "3 x + [ y^2 ] / 2\n").replace(" x y\n", " x\n"),
        "not linear",
    ),
    "continuous": (GOOD.replace("binary\n x y\n", ""), "pure linear program"),
    "infeasible": (
        GOOD.replace("end", "").replace("<=", ">=").replace("3\n", "5\n"),
        "no solution",
    ),
    "unbounded": (GOOD.replace("binary", "general").replace("2 y <", "-2 y <"), "unbounded"),
}


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text)
    return file


@pytest.mark.parametrize("name", ["a.lp", "b.lp.gz", "C.LP"])
def test_a_good_file_is_read(name, tmp_path):
    model = read_model(write(tmp_path, name, GOOD))
    assert (model.getNVars(), model.getNConss(), model.getNBinVars()) == (2, 1, 2)
    assert model.getStatus() == "unknown"  # the relaxation was solved on a copy
    model.optimize()
    assert model.getObjVal() == 3.0
    model.free()


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_of_no_use_is_refused_by_name(kind, tmp_path, capfd):
    text, message = REFUSED[kind]
    file = write(tmp_path, "program.lp", text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_model(file)
    assert str(file) in str(caught.value)
    capfd.readouterr()  # SCIP's own words on a syntax error


@pytest.mark.parametrize("name", ["a.mps", "a.cip", "a.mps.gz"])
def test_other_formats_with_nonsense_are_refused(name, tmp_path, capfd):
    with pytest.raises(ConfigError, match="SCIP cannot read the instance file"):
        read_model(write(tmp_path, name, "good morning\n"))
    capfd.readouterr()


def test_the_relaxation_can_be_left_alone(tmp_path):
    file = write(tmp_path, "program.lp", REFUSED["infeasible"][0])
    model = read_model(file, relaxation=False)
    with pytest.raises(ConfigError, match="Nothing to branch on in a test: it has no solution"):
        check_relaxation(model, "a test")
    assert model.getNVars() == 2
    model.free()


def test_a_program_that_only_integrality_makes_infeasible_is_left_to_the_search(tmp_path):
    text = "maximize\n x\nsubject to\n c: 2 x + 2 y = 3\nbinary\n x y\nend\n"
    model = read_model(write(tmp_path, "odd.lp", text))
    model.optimize()
    assert model.getStatus() == "infeasible"
    model.free()


def test_a_folder_lists_its_instances_by_name(tmp_path):
    names = ["b.lp", "a.mps.gz", "c.cip", "LICENSE.txt", "notes.gz"]
    for name in names:
        write(tmp_path, name, GOOD)
    (tmp_path / "deeper.lp").mkdir()
    assert [file.name for file in read_instances(tmp_path)] == ["a.mps.gz", "b.lp", "c.cip"]
    assert read_instances(str(tmp_path / "b.lp")) == [tmp_path / "b.lp"]


def test_places_without_instances_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="There is no instance file or folder"):
        read_instances(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match="There is no instance file or folder"):
        read_model(tmp_path / "nowhere.lp")
    with pytest.raises(ConfigError, match=r"holds no instance: no file in \.mps, \.lp"):
        read_instances(tmp_path)
    with pytest.raises(ConfigError, match="is a folder; list its files with read_instances"):
        read_model(tmp_path)
    with pytest.raises(ConfigError, match="its name does not end in"):
        read_instances(write(tmp_path, "program.txt", GOOD))


DATA = Path(os.environ.get("REWARDLOOM_TEST_DATA", "")) / "milp"


foreign = pytest.mark.skipif(
    not os.environ.get("REWARDLOOM_TEST_DATA") or not DATA.is_dir(),
    reason="REWARDLOOM_TEST_DATA names no folder with milp/, instances by another author",
)


@foreign
def test_instances_by_another_author_load():
    files = read_instances(DATA)
    assert len(files) == 15
    for file in files:
        model = read_model(file, relaxation=file.name.endswith("_1.lp.gz"))
        assert model.getNBinVars() == model.getNVars() >= 500
        model.free()


@foreign
@pytest.mark.parametrize(
    ("prefix", "family", "size", "spread"),
    [
        ("set_covering", "set_cover", "train", 0.0),
        ("combinatorial_auction", "combinatorial_auction", "train", 0.1),
        ("ucfl", "facility_location", "transfer", 0.0),
        ("maximum_independent_set", "independent_set", "train", 0.01),
        ("knapsack", "multiple_knapsack", "train", 0.0),
    ],
)
def test_ours_are_as_large_as_those_of_another_author(prefix, family, size, spread):
    """Equal variables, rows and coefficients; where rows depend on chance, within `spread`."""
    model = read_model(next(DATA.glob(f"{prefix}*_1.lp.gz")), relaxation=False)
    rows = model.getConss()
    theirs = [len(rows), sum(len(model.getValsLinear(row)) for row in rows)]
    program = generate(family, np.random.default_rng(0), size=size)
    assert program.num_variables == model.getNVars()
    assert program.sense == model.getObjectiveSense()
    assert [program.num_rows, len(program.data)] == pytest.approx(theirs, rel=spread)
    model.free()


@foreign
def test_the_optimum_of_a_subset_sum_by_another_author_fills_every_knapsack():
    model = read_model(next(DATA.glob("knapsack*_2.lp.gz")), relaxation=False)
    capacity = sum(model.getRhs(row) for row in model.getConss()[:6])
    model.optimize()
    assert model.getStatus() == "optimal"
    assert model.getObjVal() == pytest.approx(capacity)
    model.free()
