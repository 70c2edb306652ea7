"""A segmentation file is checked as strictly as a classifier's, and neither passes for the other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.dark_map_model import SIZE, dark_photo, logits_of, write_map_model
from tests.dark_model import write_dark_model
from tflite.errors import CrackError, ModelFileError
from tflite.metrics import sigmoid
from tflite.runtime import Classifier
from tflite.segmenter import Segmenter, cut_probability, load_model
from tflite.sidecar import golden_grid, raw_threshold, read_sidecar, sidecar_path, write_sidecar


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_map_model(path)
    return path


def test_a_tile_gives_a_logit_per_pixel(model: Path) -> None:
    segmenter = Segmenter(model)
    tile = dark_photo(SIZE, SIZE)
    logits = segmenter.logits(tile)
    assert logits.shape == (SIZE, SIZE)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, logits_of(tile), atol=1 / 16)


def test_probabilities_are_the_sigmoid_of_the_logits(model: Path) -> None:
    segmenter = Segmenter(model)
    tiles = np.stack([dark_photo(SIZE, SIZE, seed) for seed in range(2)])
    found = segmenter.probabilities(tiles)
    assert found.shape == (2, SIZE, SIZE)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1], sigmoid(segmenter.logits(tiles[1])), rtol=1e-6)
    assert segmenter.probabilities(tiles[:0]).shape == (0, SIZE, SIZE)


def test_the_mask_is_where_logits_and_probabilities_reach_the_threshold(model: Path) -> None:
    segmenter = Segmenter(model)
    tile = dark_photo(SIZE, SIZE)
    mask = segmenter.mask(tile)
    assert 0 < mask.mean() < 0.5
    assert (mask == (segmenter.logits(tile) >= segmenter.sidecar.threshold.logit)).all()
    assert (mask == (segmenter.probabilities(tile[np.newaxis])[0] >= segmenter.threshold_probability)).all()


def test_averages_of_a_value_on_the_threshold_stay_crack_whatever_their_last_bit(model: Path) -> None:
    sidecar = read_sidecar(model)
    on_it = float(sigmoid(sidecar.threshold.logit))
    assert cut_probability(sidecar) < on_it * (1 - 1e-6)
    assert cut_probability(sidecar) > float(sigmoid(sidecar.threshold.logit - sidecar.output.scale))
    assert cut_probability(replace(sidecar, threshold=replace(sidecar.threshold, raw=None))) == 0.5


def test_an_unreachable_threshold_calls_nothing_a_crack(model: Path) -> None:
    sidecar = read_sidecar(model)
    output = sidecar.output
    raw = raw_threshold(9.0, output.scale, output.zero_point, output.dtype)
    assert raw == 256
    threshold = replace(sidecar.threshold, probability=float(sigmoid(9.0)), logit=9.0, raw=raw)
    write_sidecar(model, replace(sidecar, threshold=threshold))
    assert not Segmenter(model).mask(np.zeros((SIZE, SIZE, 3), np.uint8)).any()


def test_each_task_has_its_own_class_and_says_so(model: Path, tmp_path: Path) -> None:
    classifier = tmp_path / "classifier.tflite"
    write_dark_model(classifier)
    with pytest.raises(CrackError, match=r"segmentation model .* crack-tf photo segment, or tflite\.segmenter"):
        Classifier(model)
    with pytest.raises(CrackError, match=r"is a classifier .* crack-tf predict"):
        Segmenter(classifier)
    assert isinstance(load_model(model), Segmenter)
    assert isinstance(load_model(classifier), Classifier)


def test_loading_by_task_still_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot read model"):
        load_model(tmp_path / "none.tflite")


def test_one_changed_byte_is_refused(model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-100] ^= 1
    model.write_bytes(data)
    with pytest.raises(ModelFileError, match="not the file its sidecar describes"):
        Segmenter(model)


def test_one_wrong_pixel_of_the_golden_answer_is_refused(model: Path) -> None:
    sidecar = read_sidecar(model)
    assert sidecar.golden is not None
    grid = list(sidecar.golden.grid)
    grid[17] += 3
    write_sidecar(model, replace(sidecar, golden=replace(sidecar.golden, grid=tuple(grid))))
    with pytest.raises(ModelFileError, match=r"answers .* to the golden tile"):
        Segmenter(model)


def test_other_tensors_than_the_sidecar_says_are_refused(model: Path) -> None:
    sidecar = read_sidecar(model)
    write_sidecar(model, replace(sidecar, input=replace(sidecar.input, scale=1 / 127)))
    with pytest.raises(ModelFileError, match="the input is"):
        Segmenter(model)


def test_a_sidecar_of_a_map_must_describe_one(model: Path) -> None:
    sidecar = read_sidecar(model)
    for changes, words in (
        ({"task": "paint"}, "task is 'paint'"),
        ({"output": replace(sidecar.output, shape=(1, 1))}, "expected a map"),
        ({"golden": replace(sidecar.golden, grid=(1.0,))}, r"golden.grid has 1 values"),  # type: ignore[type-var]
    ):
        with pytest.raises(CrackError, match=words):
            write_sidecar(model, replace(sidecar, **changes))


def test_the_sidecar_of_a_classifier_names_no_task(model: Path, tmp_path: Path) -> None:
    classifier = tmp_path / "classifier.tflite"
    write_dark_model(classifier)
    text = sidecar_path(classifier).read_text()
    assert '"task"' not in text
    assert '"grid"' not in text
    assert '"task": "segment"' in sidecar_path(model).read_text()


def test_a_bad_tile_is_refused(model: Path) -> None:
    with pytest.raises(CrackError, match="a tile must be uint8"):
        Segmenter(model).logits(np.zeros((SIZE, SIZE), np.uint8))


def test_the_golden_grid_is_spread_over_the_whole_map() -> None:
    row, column = np.mgrid[:256, :256]
    assert golden_grid(row)[::8] == (16, 48, 80, 112, 144, 176, 208, 240)
    assert golden_grid(column)[:8] == (16, 48, 80, 112, 144, 176, 208, 240)
    assert len(golden_grid(row[:4, :4])) == 64
