"""Fixtures shared by all tests. Everything small; real data only where `data_root` is asked for."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import inspect
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from types import CodeType, FunctionType

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image, ImageDraw

from crack_tf.common import progress
from tests.wheels import Installer, installer_or_skip
from tflite.files import sha256_file
from tflite.manifest import LABELS, Item, Manifest, read_manifest, write_manifest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A loaded machine takes longer than hypothesis's 200 ms over a first call that imports scikit-learn.
settings.register_profile("crack_tf", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("crack_tf")
progress.EVERY_S = float("inf")  # nor does it say how far it is beside the lines that tests count


# Starting TensorFlow alone takes seconds.
_HEAVY = {"tensorflow", "keras", "tf_keras", "keras_tuner", "keras_hub", "tensorflow_model_optimization"}
_AT_THE_TOP = re.compile(
    rf'^((\w+ = )?pytest\.importorskip\("|import |from )({"|".join(_HEAVY)})\b', flags=re.MULTILINE
)
_TRAINED = {"tiny_run", "tiny_export", "quick_reference", "two_workers"}  # and what starts a cluster


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs TensorFlow or a trained run is slow without saying so; other slow tests carry the mark.

    Files with slow tests come first: near the end, when one process has no file left, the other should not have just begun to train.
    """
    for item in items:
        if _needs_tensorflow(item):
            item.add_marker(pytest.mark.slow)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def _needs_tensorflow(item: pytest.Item) -> bool:
    """Whether a test, one of its fixtures or its file imports TensorFlow, as far as can be seen without running them."""
    if _TRAINED & set(getattr(item, "fixturenames", ())) or _starts_with_tensorflow(item.path):
        return True
    fixtures = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values()
    functions = [getattr(item, "function", None), *(fixture.func for fixed in fixtures for fixture in fixed)]
    return any(_names_tensorflow(function) for function in functions if isinstance(function, FunctionType))


@functools.cache
def _names_tensorflow(function: FunctionType) -> bool:
    """Whether a function does, those inside it, or those of its own file that they call."""
    seen = {function}
    waiting = [function]
    while waiting:
        one = waiting.pop()
        codes = list(_codes(one.__code__))
        if any(
            _HEAVY & {*code.co_names, *(text for text in code.co_consts if isinstance(text, str))} for code in codes
        ):
            return True
        named = (one.__globals__.get(name) for code in codes for name in code.co_names)
        called = [inspect.unwrap(other) for other in named if callable(other)]
        new = {other for other in called if isinstance(other, FunctionType) and other.__module__ == function.__module__}
        waiting += new - seen
        seen |= new
    return False


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _codes(inner)


@functools.cache
def _starts_with_tensorflow(path: Path) -> bool:
    return _AT_THE_TOP.search(path.read_text(encoding="utf-8")) is not None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import files all of whose tests are slow."""
    if _is_quick(config) and collection_path.suffix == ".py" and _starts_with_tensorflow(collection_path):
        return True
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Where `_needs_tensorflow` cannot see it, a test has to say itself that it is slow; pytest's summary lists who does not."""
    had = "tensorflow" in sys.modules
    yield
    if _is_quick(item.config) and not had and "tensorflow" in sys.modules:
        item.warn(pytest.PytestWarning("this test starts TensorFlow, which takes seconds: mark it @pytest.mark.slow"))


def _is_quick(config: pytest.Config) -> bool:
    return bool(config.option.markexpr == "not slow")


@pytest.fixture(scope="session", autouse=True)
def _private_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests neither read nor fill the user's cache."""
    os.environ["CRACK_TF_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def _no_power_cut() -> Iterator[None]:
    """Nothing waits for the disk: what a killed process has written is there, and no test needs its files after a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the real data sets, or skip."""
    value = os.environ.get("CRACK_TF_DATA")
    if not value or not Path(value).is_dir():
        pytest.skip("CRACK_TF_DATA is not set: this test needs the real images")
    return Path(value)


@pytest.fixture
def hears_ctrl_c() -> Callable[[], object]:
    """For `Popen(preexec_fn=...)`: a child of a shell's background job ignores SIGINT until told otherwise."""
    return lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)


def draw_tile(label: int, seed: int, size: int = 64) -> Image.Image:
    """Noise with, for a crack, a dark line: enough to learn from, with no dependency on the synthetic data set."""
    rng = np.random.default_rng(seed)
    image = Image.fromarray(rng.normal(160, 12, (size, size, 3)).clip(0, 255).astype(np.uint8))
    if label:
        start, end = rng.integers(0, size, 2)
        ImageDraw.Draw(image).line([(0, int(start)), (size, int(end))], fill=(30, 30, 30), width=4)
    return image


@contextlib.contextmanager
def _as_written() -> Iterator[None]:
    tf = pytest.importorskip("tensorflow")
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(before)


@pytest.fixture
def untraced() -> Iterator[None]:
    """TensorFlow's functions run as they are written: tracing a network takes as long as twenty of its steps at 32 pixels.

    A loop is traced in one test at least, and untraced for other networks and settings.
    """
    with _as_written():
        yield


MadeOnce = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> MadeOnce:
    """`made_once(name, make)`: a folder that `make` filled, once in a whole test run, however many processes that has. Do not change it.

    For what takes seconds to make, such as trained and converted models.
    """
    root = tmp_path_factory.getbasetemp()
    root = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "made-once"
    root.mkdir(exist_ok=True)

    def once(name: str, make: Callable[[Path], object]) -> Path:
        folder, finished = root / name, root / f"{name}.finished"
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not finished.exists():
                shutil.rmtree(folder, ignore_errors=True)  # of a process that failed in it
                folder.mkdir()
                make(folder)
                finished.touch()
        return folder

    return once


@pytest.fixture(scope="session")
def tiny_manifest(made_once: MadeOnce) -> Manifest:
    """48 tiles of 64x64 on disk, 24 per class, split 32/8/8, read back from a manifest file."""
    return read_manifest(made_once("tiny", _write_tiles) / "tiny.csv")


def _write_tiles(root: Path) -> None:
    items = []
    for label, name in enumerate(LABELS):
        (root / name).mkdir()
        for number in range(24):
            path = root / name / f"{number:03d}.png"
            draw_tile(label, seed=100 * label + number).save(path)
            split = "train" if number < 16 else "val" if number < 20 else "test"
            relative = path.relative_to(root).as_posix()
            items.append(Item(relative, sha256_file(path), label, f"{name}{number}", split))
    write_manifest(root / "tiny.csv", Manifest("tiny", "plain", 0, ".", "CC0-1.0", tuple(sorted(items))))


@pytest.fixture(scope="session")
def tiny_run(tiny_manifest: Manifest, made_once: MadeOnce) -> Path:
    """Run folder of an OPNet trained one epoch at 32 px: model.keras, its sidecar and everything training writes."""
    pytest.importorskip("tensorflow")
    from crack_tf.train import main

    options = [
        "--model",
        "opnet",
        "--data",
        str(tiny_manifest.source),
        "--image-size",
        "32",
        "--epochs",
        "1",
        "--batch",
        "8",
    ]

    def train(folder: Path) -> None:
        assert main([*options, "--out", str(folder / "tiny")]) == 0

    return made_once("runs", train) / "tiny"


@pytest.fixture(scope="session")
def tiny_export(tiny_run: Path, made_once: MadeOnce) -> Path:
    """A copy of the tiny run with two models in export/: opnet-int8-ptq and opnet-float32."""
    from crack_tf.export import main

    options = [
        "--int8",
        "--ptq",
        "--float32",
        "--calibration-samples",
        "16",
        "--max-recall-drop",
        "100",
        "--threads",
        "1",
    ]

    def export(folder: Path) -> None:
        shutil.copytree(tiny_run, folder / "run")
        assert main([str(folder / "run"), *options]) == 0

    return made_once("exported", export) / "run"


@pytest.fixture(scope="session")
def quick_reference(made_once: MadeOnce) -> Path:
    """An int8 model that a search may compare speeds with; the usual one, OPNet at 224 px, takes a second per trial."""
    pytest.importorskip("tensorflow")
    from tuning.timing import write_untrained

    def write(folder: Path) -> None:
        write_untrained("opnet", 64, {"widths": (8, 16)}, folder / "opnet.tflite")

    return made_once("reference", write) / "opnet.tflite"


@pytest.fixture(scope="module")
def installer(tmp_path_factory: pytest.TempPathFactory) -> Installer:
    """What installs wheels, see `tests.wheels`."""
    return installer_or_skip(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def wheel(installer: Installer) -> Path:
    """The project's, built from this checkout."""
    return installer.build()
