"""A model in a format that nothing here runs is named for what it is, with the call that makes a .tflite of it."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tflite.errors import ModelFileError
from tflite.foreign import advice, kind_of
from tflite.graph import read_graph
from tflite.segmenter import load_model


def saved_model(folder: Path) -> Path:
    path = folder / "saved"
    path.mkdir()
    (path / "saved_model.pb").write_bytes(b"\x08\x01")
    return path


def hdf5(folder: Path) -> Path:
    path = folder / "mine.tflite"  # the name lies
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    return path


def archive(*names: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "mine.bin"
        with zipfile.ZipFile(path, "w") as target:
            for name in names:
                target.writestr(name, "{}")
        return path

    return write


def named(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(b"\x08\x07 something")
        return path

    return write


@pytest.mark.parametrize(
    ("make", "kind", "call"),
    [
        (saved_model, "saved", "from_saved_model"),
        (hdf5, "hdf5", "from_keras_model(model).convert()"),
        (archive("metadata.json", "config.json", "model.weights.h5"), "keras", "from_keras_model(model).convert()"),
        (archive("archive/data.pkl", "archive/version"), "torch", "litert_torch"),
        (named("net.onnx"), "onnx", "onnx2tf"),
        (named("saved_model.pb"), "saved", "from_saved_model"),
        (named("frozen.pb"), "frozen", "from_frozen_graph"),
    ],
)
def test_a_foreign_model_is_refused_with_the_call_that_converts_it(
    make: Callable[[Path], Path], kind: str, call: str, tmp_path: Path
) -> None:
    path = make(tmp_path)
    assert kind_of(path) == kind
    for load in (load_model, read_graph):
        with pytest.raises(ModelFileError) as raised:
            load(path)
        assert call in str(raised.value)
        assert "crack-tf adopt" in str(raised.value)


def test_nothing_is_said_of_tflite_files_and_of_the_unknown(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 broken")
    for path in (models["int8"], tmp_path, tmp_path / "notes.txt", tmp_path / "broken.zip", tmp_path / "absent.h5"):
        assert advice(path) is None
