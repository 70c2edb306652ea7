"""Models in formats that nothing here runs: what they are, told by their content, and which call makes a .tflite of them."""

from __future__ import annotations

import json
import shlex
import zipfile
from pathlib import Path

from tflite.errors import ModelFileError
from tflite.sidecar import read_sidecar

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
# What Python is to run, for python -c; names come in as JSON strings, which Python reads too.
_KERAS = (
    "import tensorflow as tf; model = tf.keras.models.load_model({name}, compile=False); "
    'open({target}, "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())'
)
_SAVED = (
    'import tensorflow as tf; open({target}, "wb").write(tf.lite.TFLiteConverter.from_saved_model({name}).convert())'
)
_FROZEN = (
    "import tensorflow as tf; c = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph({name}, [INPUT], [OUTPUT]); "
    'open({target}, "wb").write(c.convert())'
)
_TORCH = "in Python, litert_torch.convert(model.eval(), (sample,)).export({target}) on the loaded module"
# Kind: what it is called, what comes before the code, and the code; or what to do where that is no line of Python.
_KINDS = {
    "keras": ("a .keras file", "crack-tf export makes one of a run's; of a model made elsewhere: ", _KERAS),
    "hdf5": ("a Keras model in HDF5", "with the Keras that wrote it: ", _KERAS),
    "saved": ("a SavedModel", "", _SAVED),
    "frozen": ("a frozen TensorFlow graph", "", _FROZEN),
    "onnx": ("an ONNX model", "onnx2tf -i FILE writes a folder with .tflite files", ""),
    "torch": ("a PyTorch file", _TORCH, ""),
}


def kind_of(path: str | Path) -> str | None:
    """What a file or folder is that is no .tflite: a key of the table above, or None for what is one, or is not known.

    Content goes before the name: an .h5 that somebody called .tflite is an .h5.
    """
    path = Path(path)
    if path.is_dir():
        return "saved" if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file() else None
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
    except OSError:
        return None
    if head == _HDF5:
        return "hdf5"
    if head[4:8] == b"TFL3":
        return None
    if head[:4] == _ZIP:
        return _kind_of_zip(path)
    names = {
        ".onnx": "onnx",
        ".pt": "torch",
        ".pth": "torch",
        ".pb": "saved" if path.name == "saved_model.pb" else "frozen",
    }
    return names.get(path.suffix.lower())


def advice(path: str | Path) -> str | None:
    """One sentence on what a file is and which call makes a .tflite of it; None for what is one, or is not known."""
    path = Path(path)
    kind = kind_of(path)
    if kind is None:
        return None
    name = str(path.parent if kind == "saved" and path.is_file() else path)
    target = f"{Path(name).stem}.tflite"
    called, before, code = _KINDS[kind]
    names = {"name": json.dumps(name), "target": json.dumps(target)}
    how = before.format(**names) + (f"python -c {shlex.quote(code.format(**names))}" if code else "")
    return f"{path} is {called}, and a .tflite is needed here: {how}. Then: crack-tf adopt {target} --help."


def refuse_foreign(path: str | Path) -> None:
    """Refuse a model in another format, with the call that converts it.

    Says nothing of .tflite files, of what is unknown, and of a .keras that this project trained: that is not converted, but exported.

    Raises:
        ModelFileError: if it is such a model.
    """
    text = advice(path)
    if text and not _is_ours(path):
        raise ModelFileError(text)


def _is_ours(path: str | Path) -> bool:
    try:
        return not read_sidecar(path).adopted
    except ModelFileError:
        return False


def _kind_of_zip(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return None
    if {"config.json", "metadata.json"} <= set(names):
        return "keras"
    return "torch" if any(name.endswith("data.pkl") for name in names) else None
