"""Keras and LiteRT answer through one interface, and no doubtful file gets as far as an answer."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.evaluation.thresholds import threshold_record
from crack_tf.inference.predictor import KerasPredictor, TflitePredictor, load_predictor, model_file
from crack_tf.models.shipped import read_zoo
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.manifest import LABELS
from tflite.sidecar import Golden, Sidecar, TensorSpec, golden_input, sidecar_path, write_sidecar

pytest.importorskip("tensorflow")
SIZE = 32


def make_sidecar(path: Path, scheme: str, golden: Golden | None = None) -> Sidecar:
    return Sidecar(
        model="opnet",
        scheme=scheme,
        file=path.name,
        sha256=sha256_file(path),
        image_size=SIZE,
        labels=LABELS,
        hyperparameters={},
        input=TensorSpec((1, SIZE, SIZE, 3), "float32", 0.0, 0),
        output=TensorSpec((1, 1), "float32", 0.0, 0),
        threshold=threshold_record(0.0),
        golden=golden,
        training={},
        metrics={},
        licence="CC0-1.0",
        versions={},
        git_revision=None,
        created="2026-01-01T00:00:00+00:00",
    )


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with one untrained OPNet as model.keras and as opnet.tflite, both with sidecars."""
    import keras
    import tensorflow as tf

    from crack_tf.models import build_model

    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("models")
    model = build_model("opnet", keras, image_size=SIZE)
    model.save(folder / "model.keras")
    write_sidecar(folder / "model.keras", make_sidecar(folder / "model.keras", "keras"))
    model.export(folder / "saved", verbose=False)
    data = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved")).convert()
    lite = folder / "opnet.tflite"
    lite.write_bytes(data)
    answer = float(model.predict(golden_input(SIZE)[None].astype("float32"), verbose=0)[0, 0])
    write_sidecar(lite, make_sidecar(lite, "float32", Golden(answer, 1e-3)))
    return folder


@pytest.fixture
def copies(models: Path, tmp_path: Path) -> Path:
    """The two models again, free to be damaged."""
    for file in models.iterdir():
        if file.is_file():
            shutil.copy(file, tmp_path)
    return tmp_path


def tiles(count: int, size: int = SIZE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_keras_and_tflite_give_the_same_logits_for_the_same_raw_pixels(models: Path) -> None:
    images = tiles(70)  # more than one batch
    by_keras = load_predictor(models / "model.keras").logits(images)
    by_tflite = load_predictor(models / "opnet.tflite", threads=1).logits(images)
    assert by_keras.shape == (70,)
    assert by_keras.dtype == by_tflite.dtype == np.float32
    assert by_keras.std() > 0
    np.testing.assert_allclose(by_keras, by_tflite, rtol=1e-3, atol=1e-4)


def test_a_predictor_knows_its_name_file_and_size(models: Path) -> None:
    for name, kind, expected in (
        ("model.keras", KerasPredictor, "opnet-keras"),
        ("opnet.tflite", TflitePredictor, "opnet-float32"),
    ):
        predictor = load_predictor(models / name)
        assert isinstance(predictor, kind)
        assert (predictor.name, predictor.path, predictor.image_size) == (expected, models / name, SIZE)
        assert predictor.sidecar.file == name


def test_a_folder_stands_for_its_keras_model(models: Path) -> None:
    assert load_predictor(models).path == models / "model.keras"


@pytest.mark.parametrize("name", ["model.keras", "opnet.tflite"])
def test_no_tiles_give_no_logits(models: Path, name: str) -> None:
    assert load_predictor(models / name).logits(tiles(0)).shape == (0,)


@pytest.mark.parametrize("name", ["model.keras", "opnet.tflite"])
@pytest.mark.parametrize("images", [tiles(2, 16), tiles(2)[0], tiles(2).astype(np.float32)])
def test_other_tiles_are_refused(models: Path, name: str, images: np.ndarray) -> None:
    with pytest.raises(CrackError, match=r"must be uint8 of shape \(n, 32, 32, 3\)"):
        load_predictor(models / name).logits(images)


@pytest.mark.parametrize("name", ["model.keras", "opnet.tflite"])
def test_one_flipped_byte_is_noticed(copies: Path, name: str) -> None:
    data = bytearray((copies / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copies / name).write_bytes(data)
    with pytest.raises(ModelFileError, match="is not the file its sidecar describes"):
        load_predictor(copies / name)


@pytest.mark.parametrize("name", ["model.keras", "opnet.tflite"])
@pytest.mark.parametrize("keep", [0, 1000])
def test_a_truncated_file_is_refused_even_when_trusted(copies: Path, name: str, keep: int) -> None:
    (copies / name).write_bytes((copies / name).read_bytes()[:keep])
    with pytest.raises(ModelFileError):
        load_predictor(copies / name, trust=True)


@pytest.mark.parametrize("name", ["model.keras", "opnet.tflite"])
def test_a_model_without_sidecar_is_refused(copies: Path, name: str) -> None:
    sidecar_path(copies / name).unlink()
    with pytest.raises(ModelFileError, match="has no sidecar"):
        load_predictor(copies / name)


def test_an_edited_sidecar_is_refused(copies: Path) -> None:
    path = sidecar_path(copies / "model.keras")
    record = json.loads(path.read_text())
    record["labels"] = ["crack", "no_crack"]
    path.write_text(json.dumps(record))
    with pytest.raises(ModelFileError, match="damaged or was edited"):
        load_predictor(copies / "model.keras")


def test_a_keras_model_of_another_size_than_its_sidecar_is_refused(copies: Path) -> None:
    file = copies / "model.keras"
    other = replace(make_sidecar(file, "keras"), image_size=48, input=TensorSpec((1, 48, 48, 3), "float32", 0.0, 0))
    write_sidecar(file, other)
    with pytest.raises(ModelFileError, match="do not belong together"):
        load_predictor(file)


def test_a_file_of_another_kind_under_a_keras_name_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    file.write_text("not a model")
    write_sidecar(file, make_sidecar(file, "keras"))
    with pytest.raises(ModelFileError, match=r"not a whole \.keras model"):
        load_predictor(file)


def test_a_shipped_models_name_stands_for_its_int8_file_and_a_path_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_file("opnet_lite_nano") == read_zoo()[1]["opnet_lite_nano"].tflite
    monkeypatch.chdir(tmp_path)
    (tmp_path / "opnet_lite_nano").mkdir()
    (tmp_path / "opnet_lite_nano" / "model.keras").touch()
    assert model_file("opnet_lite_nano").suffix == ".tflite"
    assert model_file("./opnet_lite_nano") == Path("opnet_lite_nano/model.keras")
    with pytest.raises(CrackError, match=r"neither a file, a run folder nor a shipped model \(.*opnet_lite_nano"):
        model_file("opnet_lite_pico")


def test_missing_files_and_wrong_names_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_text("")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "config.json").write_text("{}")
    (tmp_path / "other").mkdir()
    for name, words in (
        ("absent.keras", "does not exist"),
        ("absent", "expected a .keras or .tflite file"),
        ("weights.h5", "expected a .keras or .tflite file"),
        ("unfinished", "training has not finished"),
        ("other", "is no run of crack_tf.train"),
    ):
        with pytest.raises(CrackError, match=words):
            load_predictor(tmp_path / name)
