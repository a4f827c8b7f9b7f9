"""What doctor finds, with everything there, with packages gone, and with checks that misbehave."""

import json
import subprocess
import sys

import pytest

from rewardloom.baselines import doctor
from rewardloom.baselines.doctor import CHECKS, Check, Finding, diagnose


def check(code, *, modules=("json",), core=False):
    return Check("thing", code, modules, "mend it", core)


def found(*checks):
    return [finding for finding in diagnose(checks) if finding.name == "thing"]


def test_a_working_thing_shows_the_last_line():
    works = Finding("thing", "works", "1.2")
    assert found(check("print('noise'); print('1.2')")) == [works]


def test_a_thing_that_is_not_installed_is_missing():
    expected = Finding("thing", "missing", "not installed", "mend it")
    assert found(check("pass", modules=("no_such_module",))) == [expected]


@pytest.mark.parametrize(
    ("code", "detail"),
    [
        ("raise ValueError('too old')", "ValueError: too old"),
        ("import os; os.kill(os.getpid(), 11)", "exit status -11"),
    ],
)
def test_a_thing_that_fails_or_crashes_is_broken(code, detail):
    assert found(check(code)) == [Finding("thing", "broken", detail, "mend it")]


def test_a_thing_that_hangs_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_TIMEOUT", 1)
    expected = Finding("thing", "broken", "no answer within 1 s", "mend it")
    assert found(check("import time; time.sleep(60)")) == [expected]


def test_a_full_disk_is_broken(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "_DISK_GB", 1e9)
    disk = diagnose((), folder=tmp_path)[-1]
    assert (disk.name, disk.status, disk.mend) == ("disk", "broken", "pip cache purge")


def test_an_unsupported_python_is_broken(monkeypatch):
    monkeypatch.setattr(doctor, "_SUPPORTED", ((3, 1), (3, 2)))
    python = diagnose(())[0]
    assert (python.status, python.core) == ("broken", True)


BLOCKED = """
import sys
for name in ("torch", "nle", "stable_baselines3", "rich", "matplotlib"):
    sys.modules[name] = None  # as if it were not installed
"""


def run_blocked(tmp_path, *words):
    (tmp_path / "sitecustomize.py").write_text(BLOCKED)
    code = "import sys; from rewardloom.baselines.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", code, "doctor", *words],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tmp_path)},
    )


def test_the_core_works_without_torch_nle_and_rich(tmp_path):
    done = run_blocked(tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["core_works"]
    assert "exactly gymnasium 1.2.0" in result["note"]
    status = {finding["name"]: finding["status"] for finding in result["findings"]}
    assert status["gymnasium"] == status["rewardloom"] == "works"
    assert status["torch"] == status["NetHack"] == status["stable-baselines3"] == "missing"
    for finding in result["findings"]:
        assert bool(finding["mend"]) == (finding["status"] != "works")


def test_without_rich_the_findings_are_plain_lines(tmp_path):
    done = run_blocked(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "missing torch: not installed  mend: pip install 'rewardloom[baselines]'" in done.stdout


def test_every_check_names_one_command():
    assert all(c.mend.startswith("pip install ") and "\n" not in c.mend for c in CHECKS)


def test_a_broken_core_is_the_exit_status(monkeypatch, capsys):
    from rewardloom.baselines.cli import main

    monkeypatch.setattr(doctor, "diagnose", lambda: [Finding("core", "broken", "x", "y", True)])
    assert main(["doctor", "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["core_works"]
