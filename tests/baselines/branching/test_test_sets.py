"""Test sets: generated ones that training does not meet, folders and files."""

import pickle

import numpy as np
import pytest

from rewardloom.baselines.branching.test_sets import read_test_set
from rewardloom.envs.branching.instances import generate
from rewardloom.errors import ConfigError

BASE = 10**15


def test_generated_instances_have_seeds_of_their_own():
    default = read_test_set("micro:tiny:3")
    assert [i.seed for i in default] == [BASE, BASE + 1, BASE + 2]
    assert [i.seed for i in read_test_set("micro:tiny:2:7")] == [
        BASE + 7 * 10**6 + i for i in (0, 1)
    ]
    assert [i.seed for i in read_test_set("micro:tiny:2:0")] == [BASE, BASE + 1]
    assert {i.test_set for i in default} == {"micro:tiny:3"}
    assert len({i.name for i in default}) == 3


def test_an_instance_is_the_familys_and_fresh_each_time():
    instance = read_test_set("micro:tiny:2")[1]
    wanted = generate("micro", np.random.default_rng(BASE + 1), size="tiny")
    first, second = instance.build(), instance.build()
    assert first is not second
    assert [v.getObj() for v in first.getVars()] == pytest.approx(wanted.objective)
    for model in (first, second):
        model.free()


def test_an_instance_can_be_sent_to_another_process(tmp_path):
    model = read_test_set("micro:tiny:1")[0].build()
    model.writeProblem(str(tmp_path / "one.cip"), verbose=False)
    model.free()
    for instance in (read_test_set("micro:tiny:1")[0], read_test_set(tmp_path)[0]):
        again = pickle.loads(pickle.dumps(instance))
        assert (again.name, again.seed, again.test_set) == (
            instance.name,
            instance.seed,
            instance.test_set,
        )
        model = again.build()
        assert model.getNVars() == 15
        model.free()


def test_files_of_a_folder_by_name(tmp_path):
    for name in ("b.cip", "a.lp"):
        model = read_test_set("micro:tiny:1")[0].build()
        model.writeProblem(str(tmp_path / name), verbose=False)
        model.free()
    (tmp_path / "notes.txt").write_text("no instance")
    found = read_test_set(tmp_path)
    assert [(i.name, i.seed) for i in found] == [("a.lp", 0), ("b.cip", 1)]
    assert [i.name for i in read_test_set(tmp_path / "b.cip")] == ["b.cip"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("set_cver:tiny:3", "Did you mean 'set_cover'"),
        ("set_cover:tinny:3", "Did you mean 'tiny'"),
        ("set_cover", "lacks a size and a count"),
        ("set_cover:tiny", "names no instances"),
        ("set_cover:tiny:3:0:1", "names no instances"),
        ("set_cover:tiny:0", "COUNT"),
        ("set_cover:tiny:-1", "COUNT"),
        ("set_cover:tiny:many", "COUNT"),
        ("set_cover:tiny:1000001", "COUNT"),
        ("set_cover:tiny:3:x", "SEED"),
        ("nowhere/at/all", "no instances at"),
    ],
)
def test_a_text_that_names_no_instances_is_refused(text, words):
    with pytest.raises(ConfigError, match=words):
        read_test_set(text)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no instance"):
        read_test_set(tmp_path)
