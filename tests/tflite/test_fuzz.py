"""Damage of every kind, everywhere: flipped bits, bytes cut off, stretches zeroed or written twice.

For everything that carries its own hash (models, sidecars, manifests, journals, images through a manifest) the answer is a
clear CrackError or the very result of the whole file. A bare image has no hash: it is an ImageError or a picture, no crash.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tflite.device.journal import FILE_NAME, Journal, read_journal, read_tile
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError, ModelFileError
from tflite.files import sha256_bytes
from tflite.images import decode_rgb
from tflite.manifest import Item, Manifest, read_manifest, write_manifest
from tflite.place.exposure import read_exposure
from tflite.runtime import Classifier
from tflite.sidecar import golden_input, sidecar_path

Value = TypeVar("Value")
FUZZ = settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """The content with one to three kinds of damage, different from what it was."""
    data = bytearray(content)
    for kind in draw(st.lists(st.sampled_from(["flip", "cut", "zero", "repeat", "drop"]), min_size=1, max_size=3)):
        if not data:
            break
        start = draw(st.integers(0, len(data) - 1))
        end = min(len(data), start + draw(st.integers(1, 200)))
        if kind == "flip":
            data[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del data[start:]
        elif kind == "zero":
            data[start:end] = bytes(end - start)
        elif kind == "repeat":
            data[start:start] = data[start:end]
        else:
            del data[start:end]
    return bytes(data)


def attempt(read: Callable[[], Value]) -> tuple[Value | None, CrackError | None]:
    """What `read` returns, or the error that a user would see; any other exception is a crash and fails the test."""
    try:
        return read(), None
    except CrackError as error:
        return None, error


def refused_or(expected: Value, read: Callable[[], Value], kind: type[CrackError] = CrackError) -> None:
    """Assert that `read` raises `kind` with a message, or returns exactly what the whole file gives."""
    found, error = attempt(read)
    assert found == expected if error is None else isinstance(error, kind) and str(error)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def answer(path: Path) -> tuple[float, bool]:
    """Load a model and ask it."""
    classifier = Classifier(path)
    tile = golden_input(classifier.image_size)
    return classifier.logit(tile), classifier.is_crack(tile)


@pytest.fixture(scope="module")
def answers(models: dict[str, Path]) -> dict[str, tuple[float, bool]]:
    return {name: answer(path) for name, path in models.items()}


@pytest.mark.parametrize("name", ["uint8", "float32"])
@pytest.mark.parametrize("victim", ["model", "sidecar", "both"])
@FUZZ
@given(data=st.data())
def test_damaged_models_and_sidecars_are_refused_or_answer_as_before(
    models: dict[str, Path],
    answers: dict[str, tuple[float, bool]],
    folder: Path,
    name: str,
    victim: str,
    data: st.DataObject,
) -> None:
    path = Path(shutil.copy(models[name], folder))
    beside = Path(shutil.copy(sidecar_path(models[name]), folder))
    for file in {"model": [path], "sidecar": [beside], "both": [path, beside]}[victim]:
        file.write_bytes(data.draw(damaged(file.read_bytes())))
    refused_or(answers[name], lambda: answer(path), ModelFileError)


def write_journal(out: Path) -> bytes:
    with Journal(out, {"tile_side": 32, "source": "brücke"}, {"threads": 1}) as journal:
        for number in range(6):
            name = f"{number} ü.jpg"
            for column in range(number % 3):
                record: dict[str, Any] = {
                    "time": "",
                    "time_source": "file",
                    "frame_size": {"w": 64, "h": 64},
                    "score": {"raw": 3.0, "logit": 0.5, "probability": 0.6},
                    "threshold": {"raw": 0, "logit": 0.0, "probability": 0.5},
                    "model_sha256": "ab",
                    "gps": {"lat": -1.25, "lon": 179.5, "alt": None},
                }
                journal.positive(name, Box(0, column, 32, 32), record, b"png")
            journal.frame(name, {"time": "", "tiles": 4, "positives": number % 3, "bytes": 9, "dropped": 0})
        journal.gap("x.jpg", {"time": "", "reason": "is empty", "bytes": 0, "dropped": 1})
        journal.end("finished", {"tiles": 24})
    return (out / FILE_NAME).read_bytes()


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_journal(tmp_path_factory.mktemp("journal") / "out")


@settings(FUZZ, max_examples=300)
@given(data=st.data())
def test_damaged_journals_are_refused_or_give_what_they_gave_or_say_that_they_end_early(
    journal: bytes, folder: Path, data: st.DataObject
) -> None:
    path = folder / "whole.jsonl"
    path.write_bytes(journal)
    whole = read_journal(path)
    path.write_bytes(data.draw(damaged(journal)))
    found, error = attempt(lambda: read_journal(path))
    if found is None:
        assert "journal" in str(error)
    else:
        # Cut off at the end is not damage but a power cut: what is left is a true beginning, and says that it is not whole.
        assert found == whole or not found.finished
        assert found.positives == whole.positives[: len(found.positives)]
        assert found.frames.items() <= whole.frames.items()
        assert found.gaps.items() <= whole.gaps.items()
    rest, error = attempt(lambda: read_journal(path, skip_damaged=True))
    if rest is None:
        assert "not a journal" in str(error)
    else:
        assert all(positive in whole.positives for positive in rest.positives)
        assert len(rest.positives) == len(whole.positives) or rest.damage or not rest.finished
        assert rest.frames.items() <= whole.frames.items()


@FUZZ
@given(data=st.data())
def test_a_damaged_tile_of_a_journal_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    whole = encoded("PNG")
    folder = tmp_path_factory.mktemp("tile")
    (folder / "t.png").write_bytes(data.draw(damaged(whole)))
    positive: Any = {"image": "t.png", "image_sha256": sha256_bytes(whole)}
    refused_or(whole, lambda: read_tile(folder, positive), ImageError)


@FUZZ
@given(data=st.data())
def test_a_run_never_goes_on_with_a_damaged_journal(
    journal: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    out = tmp_path_factory.mktemp("again")
    path = out / FILE_NAME
    path.write_bytes(journal)
    whole = read_journal(path)
    content = data.draw(damaged(journal))
    path.write_bytes(content)
    try:
        with Journal(out, whole.settings, {}) as again:
            again.end("finished", {})
    except CrackError:
        assert path.read_bytes() == content  # nothing was changed, everything can still be looked at
        return
    found = read_journal(path)
    assert found.positives == whole.positives[: len(found.positives)]
    assert found.frames.items() <= whole.frames.items()


def pixels() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)


def encoded(format: str) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels()).save(out, format)
    return out.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
@settings(FUZZ, max_examples=200)
@given(data=st.data())
def test_a_damaged_image_is_an_error_or_a_picture(format: str, data: st.DataObject) -> None:
    content = data.draw(damaged(encoded(format)))
    read_exposure(content)
    image, error = attempt(lambda: decode_rgb(content, "fuzzed"))
    if image is None:
        assert isinstance(error, ImageError)
        assert "fuzzed" in str(error)
        return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.size


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    items = []
    for number, format in enumerate(["JPEG", "PNG"]):
        (root / f"{number}.jpg").write_bytes(encoded(format))
        items.append(Item(f"{number}.jpg", sha256_bytes(encoded(format)), number, f"g{number}", "test"))
    write_manifest(root / "m.csv", Manifest("fuzz", "plain", 0, ".", "CC0-1.0", tuple(items)))
    return root / "m.csv"


@FUZZ
@given(data=st.data(), number=st.integers(0, 1))
def test_a_damaged_image_is_never_read_through_its_manifest(manifest: Path, data: st.DataObject, number: int) -> None:
    whole = read_manifest(manifest)
    item = whole.items[number]
    path = manifest.parent / item.path
    content = path.read_bytes()
    try:
        path.write_bytes(data.draw(damaged(content)))
        refused_or(content, lambda: whole.read(item), ImageError)
    finally:
        path.write_bytes(content)


@FUZZ
@given(data=st.data())
def test_damaged_manifests_are_refused_or_give_the_same_rows(manifest: Path, data: st.DataObject) -> None:
    whole = read_manifest(manifest)
    path = manifest.parent / "damaged.csv"
    path.write_bytes(data.draw(damaged(manifest.read_bytes())))
    refused_or(whole.items, lambda: read_manifest(path).items)
