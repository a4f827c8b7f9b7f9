"""Children: started in order, failures shown, none left behind."""

import os
import signal
import subprocess
import sys
import time

import pytest

from rewardloom.baselines.comparison.pool import Task, run_tasks


def python(name, code, tmp_path, **kwargs):
    return Task(name, [sys.executable, "-c", code], tmp_path / f"{name}.log", **kwargs)


def gone(pid, seconds=5.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
            os.kill(pid, 0)
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_failing_task_shows_its_last_line_and_stops_no_other(tmp_path):
    bad = python("bad", "print('one'); raise SystemExit('the disk is full')", tmp_path)
    silent = python("silent", "raise SystemExit(3)", tmp_path)
    killed = python("killed", "import os; os.kill(os.getpid(), 9)", tmp_path)
    good = python("good", "print('fine')", tmp_path)
    assert run_tasks([bad, silent, killed, good], 1) is None
    assert [task.state for task in (bad, silent, killed, good)] == ["failed"] * 3 + ["finished"]
    assert bad.error == "the disk is full"
    assert silent.error == "exit status 3 without a word"
    assert killed.error == "ended by SIGKILL"
    assert good.log.read_text() == "fine\n"


def test_at_most_so_many_run_at_once(tmp_path):
    tasks = [python(f"t{i}", "import time; time.sleep(0.3)", tmp_path) for i in range(5)]
    seen = []
    run_tasks(tasks, 2, on_tick=lambda: seen.append(sum(t.state == "running" for t in tasks)))
    assert max(seen) == 2
    assert all(task.state == "finished" for task in tasks)


def test_children_are_told_how_many_threads_to_use(tmp_path):
    task = python("t", "import os; print(os.environ['OMP_NUM_THREADS'])", tmp_path, threads=3)
    run_tasks([task], 1)
    assert task.log.read_text() == "3\n"


def test_a_task_that_takes_too_long_is_ended(tmp_path):
    task = python("slow", "import time; time.sleep(60)", tmp_path, timeout=0.5)
    run_tasks([task], 1)
    assert (task.state, task.error) == ("failed", "ended after 0 s")
    assert task.process.returncode == -signal.SIGKILL


def test_an_error_in_the_display_leaves_no_child(tmp_path):
    task = python("t", "import time; time.sleep(60)", tmp_path)

    def fail():
        raise ValueError("the terminal went away")

    with pytest.raises(ValueError, match="terminal"):
        run_tasks([task], 1, on_tick=fail)
    assert gone(task.process.pid)


PARENT = """
import sys
from pathlib import Path
from rewardloom.baselines.comparison.pool import Task, run_tasks
child = '''
import os, signal, subprocess, sys, time
from pathlib import Path
grand = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
def save(*_):
    Path(sys.argv[1], "saved").touch()
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
Path(sys.argv[1], "pids").write_text(f"{os.getpid()} {grand.pid}")
time.sleep(60)
'''
folder = sys.argv[1]
task = Task("t", [sys.executable, "-c", child, folder], Path(folder, "log"))
waiting = Task("w", [sys.executable, "-c", "pass"], Path(folder, "log2"))
number = run_tasks([task, waiting], 1)
print(number, task.state, waiting.state)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_children_save_and_ends_them_and_theirs(tmp_path, number):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    pids = tmp_path / "pids"
    deadline = time.monotonic() + 20
    while not (pids.exists() and pids.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    children = [int(pid) for pid in pids.read_text().split()]
    parent.send_signal(number)
    out, _ = parent.communicate(timeout=20)
    assert out.split() == [str(int(number)), "interrupted", "waiting"]
    assert (tmp_path / "saved").exists()
    assert all(gone(pid) for pid in children)
