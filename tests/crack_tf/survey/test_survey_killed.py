"""kill -9 at random moments, eight times: the survey that is finished afterwards is the one that was never stopped."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crack_tf.survey.small_flight import write_flight, write_models
from tests.options import instead

KILLS = 8
GAPS = 1  # exit code of these surveys: one photograph is damaged
# Files of the clock and the machine, not of the photographs.
APART = {"performance.json"}


class Surveys:
    """Starts surveys quickly, see `fork_surveys`."""

    def __init__(self) -> None:
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1748770200"}
        command = [sys.executable, "-m", "tests.crack_tf.survey.fork_surveys"]
        pipe = subprocess.PIPE
        root = Path(__file__).parents[3]
        self.server = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, cwd=root, bufsize=0)

    def run(self, arguments: list[str], kill_after: float | None = None) -> int:
        """Run a survey to its end, or kill it after so many seconds if it is not done by then; its exit code."""
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps(arguments).encode() + b"\n")
        process = int(self.server.stdout.readline())
        if kill_after is not None and not select.select([self.server.stdout], [], [], kill_after)[0]:
            os.kill(process, signal.SIGKILL)
        return int(self.server.stdout.readline())


@pytest.fixture
def surveys() -> Iterator[Surveys]:
    found = Surveys()
    with found.server:
        yield found
        assert found.server.stdin is not None
        found.server.stdin.close()


def contents(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in APART
    }


def test_killed_again_and_again_the_result_is_byte_identical(tmp_path, surveys):
    photos = write_flight(tmp_path / "DCIM", count=12)
    (photos / "damaged.jpg").write_bytes(b"no picture")
    options = write_models(tmp_path / "models").options

    def command(out: Path) -> list[str]:
        return [str(photos), "--out", str(out), *options]

    assert surveys.run(command(tmp_path / "warm-up")) == GAPS
    began = time.monotonic()
    assert surveys.run(command(tmp_path / "reference")) == GAPS
    duration = time.monotonic() - began
    reference = contents(tmp_path / "reference")

    # Spread over the run: before the first record, between two, while tables and page are written.
    rng, kills, finished = random.Random(0), 0, 0
    while kills < KILLS:
        out = tmp_path / f"out{finished}"
        code = surveys.run(command(out), rng.uniform(0.02, 0.6) * duration)
        if code == -signal.SIGKILL:
            kills += 1
        else:  # done before the kill came: start over, so that every kill finds work
            assert code == GAPS
            assert contents(out) == reference
            finished += 1
    out = tmp_path / f"out{finished}"
    assert surveys.run(command(out)) == GAPS
    assert sorted(contents(out)) == sorted(reference)
    assert contents(out) == reference


def test_stopped_at_every_single_write_the_result_is_identical(tmp_path, monkeypatch):
    from crack_tf.survey.__main__ import main

    class Stop(BaseException):
        """Nothing catches it."""

    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1748770200")
    photos = write_flight(tmp_path / "DCIM", count=3)
    options = instead(write_models(tmp_path / "models").options, ["--jobs", "1"])
    rename, left = Path.replace, [0]

    def counted(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] == 0:
            raise Stop
        return rename(path, target)

    monkeypatch.setattr(Path, "replace", counted)
    assert main([str(photos), "--out", str(tmp_path / "reference"), *options]) == 0
    writes = -left[0]
    assert writes > 15
    for number in range(1, writes + 1):
        out = tmp_path / f"out{number}"
        left[0] = number
        with pytest.raises(Stop):
            main([str(photos), "--out", str(out), *options])
        assert main([str(photos), "--out", str(out), *options]) == 0
        assert contents(out) == contents(tmp_path / "reference")
