"""A survey on the workers of a Dask cluster is the survey of one machine, whatever happens to the workers."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.survey.__main__ import main
from crack_tf.survey.findings import Gap
from crack_tf.survey.geometry.camera import Locator, Scale, Shot
from crack_tf.survey.searching import cluster
from crack_tf.survey.searching.cluster import ClusterCrew
from crack_tf.survey.searching.loopback import Loopback, loopback_cluster
from crack_tf.survey.searching.search import Searched
from crack_tf.survey.source import MISSING, UNREADABLE, FolderSource, Frame, Item
from crack_tf.survey.store import Store
from tests.crack_tf.survey.small_flight import Models, write_flight, write_models
from tests.crack_tf.survey.test_survey_killed import contents
from tflite.errors import CrackError, ImageError

PHOTOS = 24


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def flight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one photograph that is damaged."""
    photos = write_flight(tmp_path_factory.mktemp("flight") / "DCIM", PHOTOS)
    (photos / "damaged.png").write_bytes(b"no picture")
    return photos


@pytest.fixture(autouse=True)
def fixed_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1748770200")


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    """A scheduler and two workers, of which the last test kills one."""
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
    with loopback_cluster(tmp_path_factory.mktemp("dask"), 2) as found:
        yield found


def survey(photos: Path, out: Path, models: Models, *more: str) -> int:
    return main([str(photos), "--out", str(out), *models.options, *more])


@pytest.fixture(scope="module")
def reference(flight: Path, models: Models, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one machine finds."""
    out = tmp_path_factory.mktemp("reference") / "found"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1748770200")
        assert survey(flight, out, models) == 1  # the damaged photograph is a gap
    return contents(out)


def test_a_survey_that_one_machine_began_is_finished_by_a_cluster(
    flight: Path,
    models: Models,
    reference: dict[str, bytes],
    two_workers: Loopback,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, real, left = tmp_path / "found", Store.add_photo, [PHOTOS // 2]

    def stopped(*arguments: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_photo", stopped)
        assert survey(flight, out, models) == 130
    capsys.readouterr()
    assert survey(flight, out, models, "--scheduler", two_workers.address) == 1
    assert f"{PHOTOS // 2} photographs were done before" in capsys.readouterr().out
    assert contents(out) == reference


def test_a_notebook_whose_event_loop_runs_may_call_it(
    flight: Path, models: Models, reference: dict[str, bytes], two_workers: Loopback, tmp_path: Path
) -> None:
    async def cell() -> int:
        return survey(flight, tmp_path / "found", models, "--scheduler", two_workers.address)

    # In a thread of its own: where a browser was tested before, this one has a loop already.
    with ThreadPoolExecutor(1) as notebook:
        assert notebook.submit(asyncio.run, cell()).result() == 1
    assert contents(tmp_path / "found") == reference


@pytest.mark.slow
def test_photographs_of_a_killed_worker_are_searched_by_the_other(
    flight: Path, models: Models, reference: dict[str, bytes], two_workers: Loopback, tmp_path: Path
) -> None:
    out = tmp_path / "found"
    records_then: list[int] = []

    def kill_in_the_middle() -> None:
        while not (done := len(list(out.glob("records/*.json")))):
            time.sleep(0.002)
        two_workers.workers[0].send_signal(signal.SIGKILL)
        records_then.append(done)

    killer = threading.Thread(target=kill_in_the_middle, daemon=True)
    killer.start()
    assert survey(flight, out, models, "--scheduler", two_workers.address) == 1
    killer.join(10)
    assert two_workers.workers[0].wait(10) == -signal.SIGKILL
    assert two_workers.workers[1].poll() is None
    assert records_then[0] < PHOTOS
    assert contents(out) == reference


# -------------------------------------------------------------------------------------------------- what goes wrong


def test_a_scheduler_that_does_not_answer_is_told_and_nothing_is_written(
    flight: Path, models: Models, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    silent = socket.create_server(("127.0.0.1", 0))
    for address in ("tcp://127.0.0.1:9", "nonsense://x", "tcp://", f"tcp://127.0.0.1:{silent.getsockname()[1]}"):
        assert survey(flight, tmp_path / "found", models, "--scheduler", address) == 2
        assert f"--scheduler {address}: no Dask scheduler answers there" in capsys.readouterr().err
    silent.close()
    assert not (tmp_path / "found").exists()


def test_without_dask_the_message_says_what_to_install(
    flight: Path, models: Models, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert survey(flight, tmp_path / "found", models, "--scheduler", "tcp://127.0.0.1:9") == 2
    error = capsys.readouterr().err
    assert "pip install 'crack_tf[cluster]'" in error
    assert "pip install -r requirements-cluster.txt" in error


class LoneCrew(ClusterCrew):
    """A crew without a cluster, to see what it makes of answers."""

    def __init__(self) -> None:
        self._dask = pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
        self._scheduler = "tcp://there:8786"


class Answer:
    """A future that is done."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def result(self, timeout: float) -> Any:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


def readable() -> Frame:
    return Frame("", np.zeros((20, 20, 3), np.uint8), Shot())


def unreadable() -> Frame:
    raise ImageError("is damaged.")


@pytest.mark.parametrize("reason", [MISSING, UNREADABLE])
def test_what_only_a_worker_cannot_read_is_no_gap_but_stops_the_survey(reason: str) -> None:
    crew, searched = LoneCrew(), Searched("a.jpg", 5, gap=Gap("a.jpg", reason, "there"))
    with pytest.raises(CrackError, match=r"worker tcp://w:1 cannot read a.jpg, and this machine can .*same path"):
        crew._searched(Answer(("tcp://w:1", searched)), Item("a.jpg", 5, 0, readable))
    assert crew._searched(Answer(("tcp://w:1", searched)), Item("a.jpg", 5, 0, unreadable)) is searched


def test_a_photograph_that_kills_workers_is_a_gap() -> None:
    crew = LoneCrew()
    killed = crew._dask.KilledWorker("task", None, 3)
    found = crew._searched(Answer(killed), Item("a.jpg", 5, 0, readable))
    assert found.photo is None
    assert found.gap is not None
    assert found.gap.reason == UNREADABLE
    assert "died" in found.gap.detail


def test_a_lost_scheduler_is_told_with_how_to_go_on() -> None:
    crew = LoneCrew()
    with pytest.raises(CrackError, match=r"tcp://there:8786 went away.*The same command goes on"):
        crew._searched(Answer(crew._dask.CancelledError("gone")), Item("a.jpg", 5, 0, readable))


def test_a_video_is_refused(models: Models, tmp_path: Path, capsys: Any) -> None:
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "flight.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (224, 160))
    writer.write(np.zeros((160, 224, 3), np.uint8))
    writer.release()
    assert survey(path, tmp_path / "found", models, "--scheduler", "tcp://127.0.0.1:9") == 2
    assert "is a video" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ what travels


def test_a_photograph_travels_without_the_other_photographs(flight: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
    from crack_tf.survey.searching.cluster_worker import pack, unpack

    source, copy = (FolderSource(flight, tmp_path, Locator(Scale())) for _ in range(2))
    first = next(source.items(lambda name, size: True))
    packed = pack(first, source)
    assert len(packed) < 1000
    item = unpack(packed, copy)
    assert (item.name, item.bytes, item.pixels) == (first.name, first.bytes, first.pixels)
    assert isinstance(item.read, partial)
    assert getattr(item.read.func, "__self__", None) is copy
    assert np.array_equal(item.read().image, first.read().image)


def test_workers_with_other_packages_are_refused() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
    from crack_tf.survey.searching.cluster_worker import check_versions, versions

    here = versions()
    assert here["numpy"] == np.__version__
    check_versions(here, dict(here))
    with pytest.raises(CrackError, match=r"numpy 1\.0 instead of "):
        check_versions(here, {**here, "numpy": "1.0"})


def test_a_worker_opens_copies_of_the_models(models: Models, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="Dask is not installed: requirements-cluster.txt")
    from crack_tf.survey.searching.cluster_worker import model_paths
    from crack_tf.survey.searching.search import Plan

    plan = Plan(models.classifier, None, 0.25, models.segmenter, False)
    assert model_paths(plan) == {"classifier": "classifier/dark.tflite", "segmenter": "segmenter/map.tflite"}
    assert model_paths(replace(plan, segmenter=None)) == {"classifier": "classifier/dark.tflite"}
