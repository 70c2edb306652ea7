"""Models as they are explained: what a .tflite can say for itself, its float twin, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from crack_tf.explain.explainer import Explainer, float_twin
from crack_tf.models.shipped import load
from tests.dark_model import OUTPUT, SIZE, STEEPNESS, write_dark_model
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file, write_bytes
from tflite.sidecar import read_sidecar


@pytest.fixture
def dark(tmp_path: Path) -> Path:
    path = tmp_path / "export" / "dark.tflite"
    write_dark_model(path)
    return path


def bright_tile_with_a_dark_square() -> np.ndarray:
    tile = np.full((SIZE, SIZE, 3), 200, np.uint8)
    tile[4:12, 16:24] = 0  # where one of the patches lies
    return tile


def test_occlusion_of_a_known_model_shows_the_dark_square(dark: Path) -> None:
    explainer = Explainer(dark, patch=8)
    assert explainer.default_methods == ("gradcam", "ig-blurred", "occlusion")
    (found,) = explainer.explain(bright_tile_with_a_dark_square(), ["occlusion"])
    assert found.facts == {"network": "dark.tflite", "patch_px": 8}
    # The whole square filled with about its surroundings' brightness: its 64 pixels' share of the logit.
    expected = 64 / SIZE**2 * STEEPNESS * 150 / 128
    row, column = np.unravel_index(found.map.argmax(), found.map.shape)
    assert 4 <= row < 12
    assert 16 <= column < 24
    assert found.map.max() == pytest.approx(expected, abs=0.15 + OUTPUT.scale)
    assert abs(found.map[24:, :8]).max() <= OUTPUT.scale


def test_the_patch_is_a_seventh_of_the_tile_and_no_larger_than_it(dark: Path) -> None:
    assert Explainer(dark).patch == 5
    with pytest.raises(CrackError, match="--patch 33 is larger than the tiles of dark-int8-ptq, 32 px"):
        Explainer(dark, patch=33)


def test_a_tflite_without_its_float_twin_offers_occlusion(dark: Path) -> None:
    explainer = Explainer(dark)
    explainer.prepare(["occlusion"])
    with pytest.raises(ModelFileError, match=r"its sidecar names none.*--methods occlusion"):
        explainer.prepare(["gradcam"])


@pytest.mark.parametrize("folder", ["export", "."])
def test_the_float_twin_is_found_by_name_and_hash(folder: str, tmp_path: Path) -> None:
    twin = tmp_path / folder / "model.keras"
    write_bytes(twin, b"the float model")
    training = {"source": "runs/x/model.keras", "source_sha256": sha256_file(twin)}
    path = tmp_path / "export" / "dark.tflite"
    sidecar = write_dark_model(path, training=training)
    assert float_twin(path, sidecar).samefile(twin)
    write_bytes(twin, b"another float model")
    with pytest.raises(ModelFileError, match="neither beside it nor in the folder above"):
        float_twin(path, sidecar)


def test_every_shipped_model_has_its_float_twin_beside_it() -> None:
    from crack_tf.models.shipped import read_zoo

    for name in read_zoo()[1]:
        model = load(name, roles=("tflite", "tflite_sidecar"))
        assert float_twin(model.tflite, read_sidecar(model.tflite)) == model.keras


def test_a_trained_model_is_explained_by_gradients_and_by_occlusion(tiny_run: Path) -> None:
    explainer = Explainer(tiny_run, patch=8)
    assert explainer.default_methods == ("gradcam", "ig-blurred")
    methods = ("gradcam", "ig-black", "ig-blurred", "ig-mean", "occlusion")
    explainer.prepare(methods)
    found = explainer.explain(bright_tile_with_a_dark_square(), methods)
    assert [part.method for part in found] == list(methods)
    for part in found:
        assert part.map.shape == (32, 32)
        assert part.map.dtype == np.float32
        assert part.facts["network"] == "model.keras"
    assert found[0].facts["layer"] == "conv4"
    assert found[0].map.min() >= 0
    for part in found[1:4]:
        total = part.map.sum(dtype=np.float64) - (part.facts["network_logit"] - part.facts["baseline_logit"])
        assert total == pytest.approx(part.facts["completeness_error"], abs=1e-3)


def test_another_layer_can_be_asked_for_and_an_unknown_one_is_refused(tiny_run: Path) -> None:
    early = Explainer(tiny_run, layer="conv2")
    (found,) = early.explain(bright_tile_with_a_dark_square(), ["gradcam"])
    assert found.facts["places"] == 16
    with pytest.raises(CrackError, match="--layer 'conv9' is no convolution of opnet: choose one of conv1, conv2"):
        Explainer(tiny_run, layer="conv9").prepare(["gradcam"])


def test_a_copied_run_without_its_sidecar_is_refused(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copy(tiny_run / "model.keras", tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="no sidecar"):
        Explainer(tmp_path / "model.keras")
