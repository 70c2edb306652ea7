"""Probability of detection: the curve that drew the cracks comes back, and its bounds hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crack_tf.survey.certificates.pod import REFERENCE, fit


def drawn(
    rng: np.random.Generator, count: int, a50: float = 1.5, slope: float = 4.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cracks that are found by a known curve."""
    sizes = np.exp(rng.uniform(np.log(0.5), np.log(8), count))
    contrasts = rng.uniform(0.25, 0.8, count)
    logit = slope * np.log(sizes / a50) + 2.0 * np.log(contrasts / REFERENCE)
    return sizes, contrasts, rng.uniform(size=count) < 1 / (1 + np.exp(-logit))


def test_the_curve_that_drew_the_cracks_comes_back():
    pod = fit(*drawn(np.random.default_rng(0), 4000))
    assert pod.rises
    truly = 1.5 * np.exp(np.log(9) / 4)
    assert pod.size(0.9) == pytest.approx(truly, rel=0.05)
    assert pod.size(0.5) == pytest.approx(1.5, rel=0.05)
    assert pod.size(0.9, 0.3) == pytest.approx(truly * (0.5 / 0.3) ** 0.5, rel=0.08)
    confident = pod.size(0.9, confident=True)
    assert confident is not None
    assert truly < confident < 1.1 * truly


def test_a_size_with_confidence_is_too_small_once_in_twenty():
    truly = 1.5 * np.exp(np.log(9) / 4)
    wrong = tried = 0
    for seed in range(40):
        size = fit(*drawn(np.random.default_rng(seed), 80)).size(0.9, confident=True)
        tried += 1
        wrong += size is not None and size < truly
    assert wrong <= 6  # 2 are expected; more than 6 has a probability below 0.005
    assert tried == 40


def test_bounds_hold_the_truth():
    held = 0
    for seed in range(40):
        pod = fit(*drawn(np.random.default_rng(100 + seed), 80))
        low, high = pod.bounds(2.0)
        held += low <= 1 / (1 + np.exp(-4 * np.log(2 / 1.5))) <= high
    assert held >= 30  # nine of ten


def test_cracks_that_one_width_tells_apart_have_a_finite_answer():
    sizes = np.linspace(0.5, 4, 60)
    pod = fit(sizes, np.tile([0.3, 0.6], 30), sizes > 1.5)
    a90, sure = pod.size(0.9), pod.size(0.9, confident=True)
    assert a90 is not None
    assert sure is not None
    assert 1.4 < a90 < sure < 2.5


def test_nothing_is_claimed_beyond_what_was_tried():
    sizes, contrasts = np.linspace(0.5, 4, 60), np.tile([0.3, 0.6], 30)
    all_found = fit(sizes, contrasts, np.ones(60, bool))
    assert all_found.size(0.9) is None
    assert all_found.reaches(0.9)
    assert all_found.bounds(2.0)[0] > 0.8
    none = fit(sizes, contrasts, np.zeros(60, bool))
    assert none.size(0.9) is None
    assert none.size(0.9, confident=True) is None
    assert not none.reaches(0.9)
    backwards = fit(sizes, contrasts, sizes < 1.5)
    assert not backwards.rises
    assert backwards.size(0.9) is None


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(4, 40), st.floats(0.01, 100))
def test_whatever_was_found_the_bounds_enclose_the_curve(seed: int, count: int, unit: float):
    rng = np.random.default_rng(seed)
    sizes, contrasts = unit * rng.uniform(0.5, 8, count), rng.uniform(0.2, 0.8, count)
    pod = fit(sizes, contrasts, rng.uniform(size=count) < rng.uniform())
    size = float(np.median(sizes))
    low, high = pod.bounds(size)
    assert 0 <= low <= pod.probability(np.array([size]))[0] + 1e-6
    assert pod.probability(np.array([size]))[0] - 1e-6 <= high <= 1


@pytest.mark.parametrize(
    ("sizes", "contrasts"), [([1, 2, 3], [0.5] * 3), ([1, 2, 3, 0], [0.5] * 4), ([1, 2, 3, 4], [0.5, 0.5, 0.5, 1.0])]
)
def test_numbers_that_cannot_be_are_refused(sizes, contrasts):
    with pytest.raises(ValueError, match=r"give four|above 0"):
        fit(sizes, contrasts, [True] * len(sizes))
