"""The part of `crack_tf.survey.searching.cluster` that the workers run. Imported on them, on the scheduler and by the caller; needs Dask.

A worker gets once what all photographs need (a `Job`), as a plugin that the scheduler also hands to workers that come later. A
photograph then is a few hundred bytes: how to read it. The survey's folder stays with the caller.
"""

from __future__ import annotations

import io
import pickle
import shutil
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin, get_worker

from crack_tf.common.version import __version__
from tflite.errors import CrackError

if TYPE_CHECKING:
    from crack_tf.survey.searching.search import Plan, Searched, Searcher
    from crack_tf.survey.source import Item, Source

# What decides the results besides the models: packages that decode, compute or measure.
_DECIDING = ("crack_tf", "ai-edge-litert", "numpy", "pillow", "opencv-python-headless", "scipy", "scikit-image")


@dataclass(frozen=True)
class Job:
    """What a worker needs for any photograph of a survey.

    Attributes:
        plan: how to search; its files are those of `models`.
        models: files of the models and their sidecars, by role and name: "classifier/opnet.tflite".
        source: of the photographs.
        versions: of the caller's packages.
    """

    plan: Plan
    models: Mapping[str, bytes]
    source: Source
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """Versions of the packages that decide the results; "none" where one is not installed."""
    found = {"crack_tf": __version__}
    for name in _DECIDING[1:]:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "none"
    return found


def pack(item: Item, source: Source) -> bytes:
    """A photograph as bytes, without the source that it belongs to."""
    stream = io.BytesIO()
    _Packer(stream, source).dump(item)
    return stream.getvalue()


def unpack(data: bytes, source: Source) -> Item:
    """The reverse of `pack`, on a machine that has a copy of the source."""
    item: Item = _Unpacker(io.BytesIO(data), source).load()
    return item


class SurveyPlugin(WorkerPlugin):
    """Keeps a job on a worker, with its models opened when the first photograph comes."""

    def __init__(self, name: str, job: Job) -> None:
        self.name = name
        # Bytes until a worker needs them: the scheduler and workers without work have nothing to import.
        self._job = pickle.dumps(job)

    def setup(self, worker: Any) -> None:
        """See Dask."""
        self._lock = threading.Lock()
        self._jobs = worker.state.nthreads
        self._folder = Path(tempfile.mkdtemp(prefix="survey-", dir=worker.local_directory))
        self._ready: tuple[Searcher, Source] | None = None

    def teardown(self, worker: Any) -> None:
        """See Dask."""
        if self._ready is not None:
            self._ready[0].close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def search(self, item: bytes) -> Searched:
        """Search a packed photograph.

        Raises:
            CrackError: if this worker's packages are not the caller's, or a model cannot be opened.
        """
        with self._lock:
            if self._ready is None:
                self._ready = self._open()
        searcher, source = self._ready
        return searcher.search(unpack(item, source))

    def _open(self) -> tuple[Searcher, Source]:
        from crack_tf.survey.searching.search import Searcher

        job: Job = pickle.loads(self._job)
        check_versions(job.versions, versions())
        for name, data in job.models.items():
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        paths = {role: self._folder / path for role, path in model_paths(job.plan).items()}
        plan = replace(job.plan, classifier=paths["classifier"], segmenter=paths.get("segmenter"))
        return Searcher(plan, self._jobs), job.source


def model_paths(plan: Plan) -> dict[str, str]:
    """Where a worker keeps the models of a plan, by role, relative to a folder of its own."""
    files = {"classifier": plan.classifier, "segmenter": plan.segmenter}
    return {role: f"{role}/{path.name}" for role, path in files.items() if path is not None}


def check_versions(wanted: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise unless the packages that decide the results are the same.

    Raises:
        CrackError: naming those that differ.
    """
    other = [
        f"{name} {found.get(name)} instead of {version}"
        for name, version in wanted.items()
        if found.get(name) != version
    ]
    if other:
        raise CrackError(
            f"it has {', '.join(other)}, and its results would not be those of one machine. Install the same requirements there."
        )


def search(name: str, item: bytes) -> tuple[str, Searched]:
    """Search a packed photograph on the worker that runs this; its address, and what it found."""
    worker = get_worker()
    plugin = worker.plugins[name]
    assert isinstance(plugin, SurveyPlugin)
    try:
        return worker.address, plugin.search(item)
    except CrackError as error:
        raise CrackError(f"worker {worker.address} cannot search: {error}") from None


class _Packer(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, source: Source) -> None:
        super().__init__(stream)
        self._source = source

    def persistent_id(self, value: Any) -> str | None:
        return "source" if value is self._source else None


class _Unpacker(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, source: Source) -> None:
        super().__init__(stream)
        self._source = source

    def persistent_load(self, name: Any) -> Source:
        return self._source
