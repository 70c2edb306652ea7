"""A survey's photographs on the workers of a Dask cluster, which see the same files. Only the caller writes.

    pip install -r requirements-cluster.txt                             # on all machines
    dask scheduler --port 8786                                          # on one of them
    dask worker tcp://HOST:8786 --nthreads 1 --nworkers 8               # on each that is to work, here with eight cores
    crack-tf survey DCIM --out found --scheduler tcp://HOST:8786        # anywhere; stopped, the same command goes on

A worker computes what is known of a photograph and sends it back (`crack_tf.survey.searching.cluster_worker`); the store, what is done
before, and the result are those of one machine. Photographs of a worker that dies are given to others. Whoever reaches a Dask scheduler
can run any code on its workers: in a network that is not trusted, use Dask's TLS (tls://HOST:8786).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from crack_tf.survey.findings import Gap
from crack_tf.survey.searching.crew import Kept
from crack_tf.survey.searching.search import Plan, Searched
from crack_tf.survey.source import UNREADABLE, Item, Source
from tflite.errors import CrackError, ImageError, first_line
from tflite.extras import install
from tflite.sidecar import sidecar_path

AHEAD = 2  # photographs given out for each thread of the workers: one in work, one waiting
CONNECT_S = 10.0  # for the scheduler to answer
WORKERS_S = 60.0  # to wait for a worker where there is none
_LOOK_S = 5.0  # between two looks at the workers, while no photograph is done
_GO_ON = "The same command goes on with what is left."
_INSTALL = "crack_tf, with requirements-cluster.txt, must be installed where scheduler and workers run."
_NOT_UNPACKED = "deserialization of the task graph"  # how Dask says that the scheduler cannot import something


class ClusterCrew:
    """The workers of a Dask cluster; used as a context. See `crack_tf.survey.searching.crew.Crew`.

    Args:
        scheduler: its address, such as tcp://HOST:8786.
        plan: how to search.
        source: of the photographs, under a path that the workers have too.
        out: the survey's folder, by which two surveys on one cluster are told apart.

    Raises:
        CrackError: if Dask is not installed, the scheduler does not answer, there is no worker, or one cannot take the job.
    """

    def __init__(self, scheduler: str, plan: Plan, source: Source, out: Path) -> None:
        if source.kind == "video":
            raise CrackError(
                f"--scheduler {scheduler}: {source.name} is a video, whose frames one process reads in their order. Leave "
                "--scheduler out, or make photographs of it first."
            )
        self._dask = distributed_package()
        self._scheduler, self._source = scheduler, source
        self._name = f"survey of {socket.gethostname()}:{out.absolute()}"
        self._most_threads = 0
        self._client = self._connect()
        try:
            self._wait_for_worker()
            self._hand_out(plan)
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> ClusterCrew:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self._client.status == "running":
                self._client.unregister_worker_plugin(self._name)
        except Exception:  # the cluster is gone, or going: it keeps nothing then
            pass
        self._client.close()

    @property
    def jobs(self) -> int:
        """Photographs at a time: the most threads that the workers had together."""
        return self._most_threads

    def work(self, items: Iterable[Item], keep: Callable[[Searched], Kept]) -> Iterator[Kept]:
        """See `Crew.work`; in the order in which they are done, `keep` is called from this thread.

        Raises:
            CrackError: if the cluster is lost, no worker is left, or one cannot read what this machine can.
        """
        left, waiting = iter(items), dict[Any, Item]()
        try:
            while True:
                for _ in range(max(1, AHEAD * self._threads()) - len(waiting)):
                    item = next(left, None)
                    if item is None:
                        break
                    waiting[self._give_out(item)] = item
                if not waiting:
                    return
                for future in self._done(list(waiting)):
                    yield keep(self._searched(future, waiting.pop(future)))
        finally:
            for future in waiting:
                future.release()

    def _connect(self) -> Any:
        try:
            # Bounded here: Dask waits for ever for the first words of something that is no scheduler.
            # In a thread: notebooks have a loop running in this one.
            with ThreadPoolExecutor(1) as thread:
                thread.submit(asyncio.run, asyncio.wait_for(self._greet(), CONNECT_S)).result()
            return self._dask.Client(self._scheduler, timeout=CONNECT_S, set_as_default=False)
        except Exception as error:  # a worker's address, or another version, raises nearly anything
            raise CrackError(
                f"--scheduler {self._scheduler}: no Dask scheduler answers there ({first_line(error)}). Start one with "
                "dask scheduler, give its address such as tcp://HOST:8786, or leave --scheduler out."
            ) from None

    async def _greet(self) -> None:
        """Raise unless a scheduler answers: a client that was never one of its cannot be closed well."""
        from distributed.core import rpc

        async with rpc(self._scheduler, timeout=CONNECT_S) as there:
            kind = (await there.identity())["type"]
        if kind != "Scheduler":
            raise CrackError(f"it is a {kind.lower()}")

    def _wait_for_worker(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=WORKERS_S)
        except TimeoutError:
            raise CrackError(self._no_worker()) from None

    def _no_worker(self) -> str:
        return (
            f"--scheduler {self._scheduler}: no worker is there, for {WORKERS_S:.0f} seconds. Start some with "
            f"dask worker {self._scheduler} --nthreads 1. {_GO_ON}"
        )

    def _hand_out(self, plan: Plan) -> None:
        """Give all workers, and those that come later, the models and the source."""
        from crack_tf.survey.searching.cluster_worker import Job, SurveyPlugin, model_paths, versions

        files = {"classifier": plan.classifier, "segmenter": plan.segmenter}
        models = {}
        for role, name in model_paths(plan).items():
            path = files[role]
            assert path is not None
            models[name] = path.read_bytes()
            models[str(sidecar_path(name))] = sidecar_path(path).read_bytes()
        job = Job(plan, models, self._source, versions())
        try:
            self._client.register_plugin(SurveyPlugin(self._name, job), name=self._name)
        except Exception as error:  # whatever importing crack_tf over there raises
            raise CrackError(
                f"--scheduler {self._scheduler}: a worker cannot take the survey ({type(error).__name__}: {first_line(error)}). "
                f"{_INSTALL}"
            ) from None

    def _give_out(self, item: Item) -> Any:
        from crack_tf.survey.searching.cluster_worker import pack, search

        return self._client.submit(search, self._name, pack(item, self._source), pure=False)

    def _threads(self) -> int:
        try:
            threads = sum(self._client.nthreads().values())
        except (OSError, TimeoutError) as error:
            raise CrackError(self._lost(error)) from None
        self._most_threads = max(self._most_threads, threads)
        return threads

    def _done(self, waiting: list[Any]) -> list[Any]:
        """Those that are done, at least one."""

        def first() -> list[Any]:
            with self._client.as_current():
                return list(self._dask.wait(waiting, timeout=_LOOK_S, return_when="FIRST_COMPLETED").done)

        return self._patiently(first)

    def _patiently(self, ask: Callable[[], Any]) -> Any:
        """What `ask` returns, which raises `TimeoutError` after a while, as often as it takes while there are workers.

        Dask gives the photographs of dead workers to others, and waits for others for ever.
        """
        alone_since = None
        while True:
            try:
                return ask()
            except TimeoutError:
                pass
            except self._dask.CancelledError as error:
                raise CrackError(self._lost(error)) from None
            if self._threads():
                alone_since = None
                continue
            alone_since = alone_since or time.monotonic()
            if time.monotonic() - alone_since > WORKERS_S:
                raise CrackError(self._no_worker())

    def _searched(self, future: Any, item: Item) -> Searched:
        try:
            # What is done may be lost with its worker before it is fetched.
            worker, searched = self._patiently(lambda: future.result(timeout=_LOOK_S))
        except self._dask.KilledWorker:
            detail = "workers that searched it died, one after the other: it may need more memory than they have"
            return Searched(item.name, item.bytes, gap=Gap(item.name, UNREADABLE, detail))
        except (ImportError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and _NOT_UNPACKED not in str(error):
                raise
            raise CrackError(
                f"--scheduler {self._scheduler} cannot search ({first_line(error)}). {_INSTALL} {_GO_ON}"
            ) from None
        if searched.gap is not None and _is_readable(item):
            raise CrackError(
                f"worker {worker} cannot read {item.name}, and this machine can ({searched.gap.detail}). Workers must see "
                f"the photographs under the same path. {_GO_ON}"
            )
        return searched

    def _lost(self, error: BaseException) -> str:
        return f"the Dask scheduler {self._scheduler} went away ({first_line(error) if isinstance(error, Exception) else error}). {_GO_ON}"


def _is_readable(item: Item) -> bool:
    try:
        item.read()
    except (FileNotFoundError, ImageError):
        return False
    return True


def distributed_package() -> Any:
    """Dask's distributed scheduler, its own reports silenced: what matters of them is said in words.

    Raises:
        CrackError: if it is not installed.
    """
    try:
        import distributed
    except ImportError as error:
        raise CrackError(f"--scheduler needs Dask ({first_line(error)}). Run: {install('cluster')}") from None
    for name in ("distributed", *logging.root.manager.loggerDict):
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return distributed
