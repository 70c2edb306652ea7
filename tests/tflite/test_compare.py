"""Float against quantised: the arithmetic, and the gate on recall."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tflite.compare import Comparison, MapComparison, compare, require_f1, require_recall, sqnr_db
from tflite.errors import CrackError

LABELS = np.array([1, 1, 1, 1, 0, 0, 0, 0])
FLOAT = np.array([4.0, 3.0, 2.0, 1.0, -1.0, -2.0, -3.0, 0.5])


def lose(cracks: int, alarms: int = 0) -> Comparison:
    """A comparison in which so many cracks are lost and so many false alarms gained."""
    quantised = FLOAT.copy()
    quantised[:cracks] = -5
    quantised[4 : 4 + alarms] = 5
    return compare(FLOAT, quantised, LABELS, 0.75, 0.75)


def test_counts_points_and_agreement() -> None:
    result = lose(1, alarms=2).as_dict()
    assert result["tiles"] == 8
    assert (result["cracks_lost"], result["false_alarms_gained"]) == (1, 2)
    assert result["recall_drop_points"] == 25.0
    assert result["specificity_drop_points"] == 50.0
    assert (result["agreeing"], result["agreement"]) == (5, 5 / 8)
    assert result["reference"]["tp"] == 4
    assert result["quantised"]["tp"] == 3
    json.dumps(result, allow_nan=False)


def test_each_model_is_judged_at_its_own_threshold() -> None:
    shifted = compare(FLOAT, FLOAT - 10, LABELS, 0.75, -9.25)
    assert (shifted.recall_drop, shifted.agreement) == (0.0, 1.0)
    assert shifted.as_dict()["agreement_at_reference_threshold"] == 4 / 8


@given(
    arrays(np.float32, 6, elements=st.floats(-30, 30, width=32)),
    arrays(np.float32, 6, elements=st.floats(-30, 30, width=32)),
)
def test_drift_lies_between_nothing_and_certainty(a: np.ndarray, b: np.ndarray) -> None:
    result = compare(a, b, np.array([1, 0] * 3), 0.0, 0.0)
    assert 0 <= result.drift_mean <= result.drift_max + 1e-12
    assert result.drift_max <= 1
    assert result.drift_p95 <= result.drift_max + 1e-12
    assert compare(a, a, np.array([1, 0] * 3), 0.0, 0.0).drift_max == 0


def test_sqnr_of_known_signals() -> None:
    assert sqnr_db(np.array([10.0, -10.0]), np.array([11.0, -9.0])) == pytest.approx(20.0)
    assert sqnr_db(FLOAT, FLOAT) is None
    assert sqnr_db(np.zeros(3), np.ones(3)) is None


@given(st.integers(2, 8))
def test_each_bit_of_a_uniform_quantiser_brings_six_decibels(bits: int) -> None:
    values = np.linspace(-1, 1, 20001)

    def rounded(count: int) -> np.ndarray:
        step = 2 / 2**count
        return (np.floor(values / step) + 0.5) * step

    gain = sqnr_db(values, rounded(bits + 1)), sqnr_db(values, rounded(bits))
    assert gain[0] is not None
    assert gain[1] is not None
    assert gain[0] - gain[1] == pytest.approx(6.02, abs=0.3)


def test_recall_gate_lets_through_what_is_allowed_and_names_counts_when_not() -> None:
    require_recall(lose(0), 0.0, "m")
    require_recall(lose(1), 25.0, "m")
    with pytest.raises(CrackError, match=r"m lost 25.00 points of recall, 24.9 are allowed: it finds 3 of 4 cracks, "):
        require_recall(lose(1, 1), 24.9, "m")


def test_gate_needs_cracked_tiles() -> None:
    result = compare(FLOAT, FLOAT, np.zeros(8), 0.0, 0.0)
    assert math.isnan(result.recall_drop)
    assert result.as_dict()["recall_drop_points"] is None
    with pytest.raises(CrackError, match="cannot be measured without cracked tiles"):
        require_recall(result, 100.0, "m")


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(CrackError, match=r"shapes \(8,\) and \(7,\)"):
        compare(FLOAT, FLOAT[:7], LABELS, 0.0, 0.0)
    with pytest.raises(CrackError, match="no tiles"):
        compare(FLOAT[:0], FLOAT[:0], LABELS[:0], 0.0, 0.0)
    with pytest.raises(CrackError, match="1 of 8 quantised logits are not finite"):
        compare(FLOAT, np.where(FLOAT == 4, np.nan, FLOAT), LABELS, 0.0, 0.0)


def maps(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits of a float and of a quantised model, float32 (6, 8, 8), and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.random((6, 8, 8)) < 0.2
    reference = (np.where(truth, 2.0, -3.0) + rng.normal(0, 1, truth.shape)).astype(np.float32)
    return reference, np.round(reference * 8).astype(np.float32) / 8, truth


def test_maps_in_parts_give_what_their_pixels_give_at_once() -> None:
    reference, quantised, truth = maps()
    parts = MapComparison(0.1, -0.2)
    for some in (slice(0, 1), slice(1, 4), slice(4, 6)):
        parts.add(reference[some], quantised[some], truth[some])
    found = parts.result()
    whole = compare(reference.ravel(), quantised.ravel(), truth.ravel().astype(int), 0.1, -0.2)
    assert (found.reference, found.quantised) == (whole.reference, whole.quantised)
    assert (found.agreeing, found.agreeing_at_reference) == (whole.agreeing, whole.agreeing_at_reference)
    assert found.sqnr_db == pytest.approx(whole.sqnr_db)
    assert found.drift_mean == pytest.approx(whole.drift_mean)
    assert found.drift_max == whole.drift_max
    assert found.drift_p95 == pytest.approx(whole.drift_p95, abs=2e-3)
    record = found.as_dict()
    assert record["pixels"] == truth.size
    assert record["f1_drop_points"] == pytest.approx(100 * (whole.reference.f1 - whole.quantised.f1))
    assert record["reference"]["iou"] == pytest.approx(whole.reference.f1 / (2 - whole.reference.f1))
    assert not any("low" in name for name in record["reference"])
    json.dumps(record, allow_nan=False)


def test_a_map_that_lost_f1_is_refused() -> None:
    reference, quantised, truth = maps()
    lost = MapComparison(0.0, 0.0)
    lost.add(reference, np.where(truth, -1, quantised).astype(np.float32), truth)
    with pytest.raises(CrackError, match=r"unet lost .* points of F1, 1 are allowed: 0\.0000"):
        require_f1(lost.result(), 1.0, "unet")
    require_f1(lost.result(), 100.0, "unet")
    clean = MapComparison(0.0, 0.0)
    clean.add(reference, quantised, np.zeros_like(truth))
    with pytest.raises(CrackError, match="without cracked pixels"):
        require_f1(clean.result(), 100.0, "unet")


def test_bad_maps_are_refused() -> None:
    reference, quantised, truth = maps()
    with pytest.raises(CrackError, match="no pixels"):
        MapComparison(0.0, 0.0).result()
    with pytest.raises(CrackError, match="for truth of shape"):
        MapComparison(0.0, 0.0).add(reference, quantised[:1], truth)
    quantised[0, 0, 0] = np.nan
    with pytest.raises(CrackError, match="1 of 384 quantised logits are not finite"):
        MapComparison(0.0, 0.0).add(reference, quantised, truth)
