"""A chief and its workers: restarts, errors passed on, and a real search on loopback with a worker killed in the middle."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import warm
from tflite.errors import CrackError
from tflite.files import read_json
from tflite.manifest import Manifest
from tuning import workers
from tuning.workers import CHIEF, ORACLE_IP, ORACLE_PORT, TUNER_ID, Crew, command_of, role

# A crew's member in miniature: `chief` waits to be ended, `worker` does what its test says.
MEMBER = """
import os, sys, time, signal
from pathlib import Path
name, folder = os.environ["KERASTUNER_TUNER_ID"], Path(sys.argv[1])
starts = len(list(folder.glob(f"{name}.*")))
(folder / f"{name}.{starts}").touch()
if name == "chief":
    print("hello from the chief", flush=True)
    CHIEF
    time.sleep(60)
WORKER
"""


def crew(folder: Path, worker: str, chief: str = "pass", count: int = 2) -> tuple[Crew, list[str]]:
    said: list[str] = []
    program = MEMBER.replace("CHIEF", chief, 1).replace("WORKER", worker, 1)
    command = [sys.executable, "-c", program.replace("KERASTUNER_TUNER_ID", TUNER_ID), str(folder)]
    return Crew(command, count, folder / "logs", lambda: len(list(folder.glob("done*"))), said.append), said


def starts(folder: Path, name: str) -> int:
    return len(list(folder.glob(f"{name}.*")))


def test_a_crew_ends_when_its_workers_are_done_and_passes_the_chiefs_lines_on(tmp_path: Path) -> None:
    members, said = crew(tmp_path, "time.sleep(0.5)")
    members.run()
    assert not members.running
    assert "hello from the chief" in said
    assert [starts(tmp_path, name) for name in (CHIEF, "worker0", "worker1")] == [1, 1, 1]


def test_a_killed_worker_is_started_again_under_its_name(tmp_path: Path) -> None:
    members, said = crew(tmp_path, "starts or name == 'worker1' or os.kill(os.getpid(), signal.SIGKILL)")
    members.run()
    assert (starts(tmp_path, "worker0"), starts(tmp_path, "worker1")) == (2, 1)
    assert any("worker0 died (SIGKILL): started again" in line for line in said)


def test_a_worker_that_keeps_dying_ends_the_search_and_names_its_log(tmp_path: Path) -> None:
    members, _ = crew(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", count=1)
    with pytest.raises(CrackError, match=r"worker0 died 4 times \(SIGKILL\).*worker0.log"):
        members.run()
    assert starts(tmp_path, "worker0") == 4


def test_a_worker_that_gets_on_may_die_more_often(tmp_path: Path) -> None:
    program = "(folder / f'done{starts}').touch(); starts > 6 or os.kill(os.getpid(), signal.SIGKILL)"
    members, _ = crew(tmp_path, program, count=1)
    members.run()
    assert starts(tmp_path, "worker0") == 8


def test_a_users_error_in_a_worker_is_passed_on_not_retried(tmp_path: Path) -> None:
    members, _ = crew(tmp_path, "print('error: no room left.', file=sys.stderr); sys.exit(2)", count=1)
    with pytest.raises(CrackError, match=r"^worker0: no room left\.$"):
        members.run()
    assert starts(tmp_path, "worker0") == 1


def test_a_chief_that_ends_early_ends_the_search(tmp_path: Path) -> None:
    chief = "print('error: the folder is taken.', file=sys.stderr); sys.exit(2)"
    members, _ = crew(tmp_path, "time.sleep(60)", chief)
    with pytest.raises(CrackError, match=r"the chief ended with code 2: error: the folder is taken\..*kept"):
        members.run()
    assert not members.running


def test_a_chief_that_has_finished_ends_the_search_though_a_worker_is_slow_to_leave(tmp_path: Path) -> None:
    members, said = crew(tmp_path, "time.sleep(60)", "sys.exit(0)")
    began = time.monotonic()
    members.run()
    assert time.monotonic() - began < 30
    assert not members.running
    assert not any("started again" in line for line in said)


def test_the_command_for_one_process_leaves_out_what_the_parent_does() -> None:
    options = ["--workers", "2", "--out", "x", "--overwrite", "--workers=3", "--trials", "4"]
    assert command_of(options) == [sys.executable, "-m", "crack_tf.tune", "--out", "x", "--trials", "4"]


def test_half_a_distributed_set_up_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (TUNER_ID, ORACLE_IP, ORACLE_PORT):
        monkeypatch.delenv(name, raising=False)
    assert role() is None
    monkeypatch.setenv(TUNER_ID, "worker0")
    with pytest.raises(CrackError, match=f"missing: {ORACLE_IP}, {ORACLE_PORT}"):
        role()
    monkeypatch.setenv(ORACLE_IP, "127.0.0.1")
    monkeypatch.setenv(ORACLE_PORT, "1")
    assert role() == "worker0"


@pytest.mark.parametrize("algorithm", ["random", "hyperband"])
def test_no_trial_is_lost_or_run_twice_when_a_worker_is_killed_in_one(
    algorithm: str, tiny_manifest: Manifest, quick_reference: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorflow")
    out = tmp_path / "search"
    options = ["--data", str(tiny_manifest.source), "--out", str(out), "--algorithm", algorithm, "--trials", "4"]
    options += ["--epochs", "2", "--factor", "2", "--only", "learning_rate", "--target-recall", "0.5"]
    options += ["--reference", str(quick_reference)]
    for fixed in ("image_size=32", "width=4", "blocks=2", "batch=8"):
        options += ["--fix", fixed]
    monkeypatch.setenv(warm.UNTRACED, "1")
    monkeypatch.setattr(workers, "_PATIENCE", 5)
    monkeypatch.setattr(workers, "subprocess", SimpleNamespace(**vars(subprocess) | {"Popen": warm.Popen}))
    killed: list[int] = []
    started = threading.Event()

    class Killer(Crew):
        """Kills the first worker that is in the middle of a trial's training, once."""

        def watch(self) -> None:
            busy = list(out.glob("search/trial_*/run/config.json"))
            if busy and not killed:
                name = next(n for n in self.names if n in self.running)
                killed.append(self.running[name].pid)
                self.running[name].kill()
                started.set()
            super().watch()

    monkeypatch.setattr(workers, "Crew", Killer)
    from crack_tf.tune import main

    began = time.monotonic()
    assert main([*options, "--workers", "2"]) == 0, (out / "workers" / "chief.log").read_text()[-2000:]
    assert killed
    assert time.monotonic() - began < 600
    results = sorted(out.glob("search/trial_*/result.json"))
    trials = sorted(path.parent.name for path in out.glob("search/trial_*/trial.json"))
    assert [path.parent.name for path in results] == trials
    outcomes = [read_json(path) for path in results]
    assert {outcome["status"] for outcome in outcomes} == {"ok"}, [outcome["message"] for outcome in outcomes]
    state = read_json(out / "search" / "oracle.json")
    assert sorted(state["end_order"]) == sorted(state["start_order"]) == [t.removeprefix("trial_") for t in trials]
    assert state["ongoing_trials"] == {}
    assert len(trials) == (4 if algorithm == "random" else 5)
    if algorithm == "hyperband":
        rungs = [read_json(path.with_name("trial.json"))["hyperparameters"]["values"] for path in results]
        assert any(values.get("tuner/trial_id") for values in rungs)
    rows = (out / "trials.csv").read_text(encoding="utf-8").splitlines()
    assert len(rows) == len(trials) + 1
