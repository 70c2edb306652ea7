from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crack_tf.zoo.rounded import round_bits, round_keras
from tflite.errors import ModelFileError

# Subnormal numbers have fewer bits to begin with, and weights are never near float32's end.
NUMBERS = st.floats(2.0**-126, 2.0**100, width=32) | st.floats(-(2.0**100), -(2.0**-126), width=32) | st.just(0.0)


@given(arrays(np.float32, 7, elements=NUMBERS))
def test_rounding_changes_a_number_by_at_most_one_part_in_1024_and_happens_once(values: np.ndarray) -> None:
    rounded = round_bits(values)
    assert np.all(np.abs(rounded - values) <= np.abs(values) / 2**10)
    assert np.array_equal(round_bits(rounded), rounded)
    assert np.array_equal(round_bits(-values), -rounded)


@given(arrays(np.int16, 5, elements=st.integers(-1023, 1023)), st.integers(-30, 30))
def test_numbers_of_ten_bits_stay_as_they_are(whole: np.ndarray, exponent: int) -> None:
    values = (whole * 2.0**exponent).astype(np.float32)
    assert np.array_equal(round_bits(values), values)


def test_a_rounded_model_is_half_as_large_and_answers_almost_the_same(tiny_run: Path, tmp_path: Path) -> None:
    from crack_tf.models.keras_models import load_keras

    source, target = tiny_run / "model.keras", tmp_path / "small.keras"
    round_keras(source, target)
    assert target.stat().st_size < 0.6 * source.stat().st_size
    before, after = load_keras(source), load_keras(target)
    tiles = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    assert np.allclose(before.predict_on_batch(tiles), after.predict_on_batch(tiles), atol=0.05)
    assert all(np.array_equal(round_bits(a), b) for a, b in zip(before.get_weights(), after.get_weights(), strict=True))


def test_the_same_weights_give_the_same_bytes(tiny_run: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        round_keras(tiny_run / "model.keras", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_is_no_keras_file_is_refused_and_nothing_written(tmp_path: Path) -> None:
    (tmp_path / "text.keras").write_text("no zip")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("config.json", "{}")
    for name in ("text", "empty", "absent"):
        with pytest.raises(ModelFileError, match=rf"{name}\.keras is not a whole"):
            round_keras(tmp_path / f"{name}.keras", tmp_path / "out.keras")
    assert not (tmp_path / "out.keras").exists()
