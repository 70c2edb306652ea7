from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.models.shipped import find_model
from tflite.errors import CrackError
from tflite.graph import read_graph
from tflite.looks import cut_looks
from tflite.runtime import Classifier
from tflite.sidecar import read_sidecar, write_sidecar


@pytest.fixture
def default(tmp_path: Path) -> Path:
    """A copy of the shipped model, which looks twice, for tests that change its sidecar."""
    source = find_model(None).path
    for path in (source, source.with_name(source.name + ".json")):
        shutil.copy(path, tmp_path)
    return tmp_path / source.name


def with_gain(path: Path, gain: float | None) -> Classifier:
    write_sidecar(path, replace(read_sidecar(path), second_view_gain=gain))
    return Classifier(path, quick=True)


def tiles_for(classifier: Classifier) -> np.ndarray:
    """Tiles that the default answers very differently: noise, drawn cracks, plain grey."""
    side = classifier.image_size
    plain = np.full((2, side, side, 3), 128, np.uint8)
    lined = plain.copy()
    lined[:, side // 2 : side // 2 + 3, :] = 20
    noise = np.random.default_rng(0).integers(0, 256, (4, side, side, 3)).astype(np.uint8)
    return np.concatenate([plain, lined, noise])


def test_both_parts_together_answer_as_the_file_does(default: Path) -> None:
    always = with_gain(default, 1e6)  # no first look is final
    whole = Classifier(default)
    tiles = tiles_for(whole)
    answers = [whole.raw(tile) for tile in tiles]
    assert len(set(answers)) > 3
    assert [always.raw(tile) for tile in tiles] == answers
    assert (always.second_looks, whole.second_looks) == (len(tiles), 0)


def test_a_first_look_far_below_the_threshold_is_final(default: Path) -> None:
    whole, quick = Classifier(default), with_gain(default, 0.5)
    tiles = tiles_for(whole)
    limit = whole.sidecar.threshold.logit - 0.5
    for tile in tiles:
        before = quick.second_looks
        answer = quick.raw(tile)
        if quick.second_looks == before:
            assert quick.to_logit(answer) < limit
        else:
            assert answer == whole.raw(tile)
    assert 0 < quick.second_looks < len(tiles)


def test_the_parts_hold_the_whole_network_once_each(default: Path, tmp_path: Path) -> None:
    parts = cut_looks(default)
    assert parts is not None
    whole = read_graph(default)
    found = []
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.tflite").write_bytes(part)
        found.append(read_graph(tmp_path / f"{number}.tflite"))
    assert found[0].macs + found[1].macs == whole.macs
    assert found[0].macs < found[1].macs < 1.02 * found[0].macs  # the blur comes on top
    assert sum(len(graph.operators) for graph in found) == len(whole.operators) + 1  # both take in the pixels
    assert len(found[1].inputs) == 2


def test_files_that_look_once_are_not_cut(default: Path) -> None:
    assert cut_looks(find_model("mobilenet_v2").path) is None
    assert cut_looks(find_model("opnet").path) is None


def test_without_a_measured_gain_every_tile_is_looked_at_twice(default: Path) -> None:
    plain = with_gain(default, None)
    tiles = tiles_for(plain)
    assert [plain.raw(tile) for tile in tiles] == [Classifier(default).raw(tile) for tile in tiles]
    assert plain.second_looks == 0  # it asked the whole file


def test_a_gain_without_a_second_look_is_no_sidecar(default: Path) -> None:
    sidecar = read_sidecar(default)
    for wrong in (
        replace(sidecar, second_view=0, second_view_gain=0.5),
        replace(sidecar, second_view_gain=-0.1),
    ):
        with pytest.raises(CrackError, match="second_view_gain"):
            write_sidecar(default, wrong)
