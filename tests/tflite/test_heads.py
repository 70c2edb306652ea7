"""Every head gives one raw answer, a logit that never falls as that rises, and integer decisions equal to those of the logits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.heads import KINDS, OWN_HEAD, Head
from tflite.metrics import logit, sigmoid

HEADS = [Head(kind, crack) for kind in KINDS for crack in (0, 1)]


def one_sided(value: float, head: Head) -> np.ndarray:
    """What a model of that head answers where its class 1 has a logit of `value`."""
    share = float(sigmoid(value))
    return {
        "logit": np.array([value]),
        "probability": np.array([share]),
        "logits": np.array([0.25, 0.25 + value]),
        "softmax": np.array([1 - share, share]),
    }[head.kind]


@pytest.mark.parametrize("head", HEADS, ids=str)
@pytest.mark.parametrize("value", [-9.0, -1.5, 0.0, 0.7, 12.0])
def test_the_logit_of_a_float_head_is_the_crack_classes(head: Head, value: float) -> None:
    found = head.logit(head.raw(one_sided(value, head)))
    assert found == pytest.approx(value if head.crack == 1 else -value, abs=1e-2)
    assert found.dtype == np.float32


@pytest.mark.parametrize("head", HEADS, ids=str)
def test_a_probability_of_exactly_one_or_nought_has_a_finite_logit(head: Head) -> None:
    for answer in ([0.0, 1.0], [1.0, 0.0]):
        values = np.array(answer[-head.outputs :])
        assert np.isfinite(head.logit(head.raw(values)))
    quantised = np.array([-128, 127][-head.outputs :])
    assert np.isfinite(head.logit(head.raw(quantised), 1 / 256, -128))


@given(
    head=st.sampled_from(HEADS),
    dtype=st.sampled_from(["int8", "uint8"]),
    scale=st.sampled_from([1 / 256, 1 / 255, 0.05, 0.7]),
    threshold=st.floats(-9, 9),
    data=st.data(),
)
def test_comparing_integers_is_comparing_logits_whatever_the_head(
    head: Head, dtype: str, scale: float, threshold: float, data: st.DataObject
) -> None:
    limits = np.iinfo(dtype)
    zero_point = int(limits.min) if head.unit == "probability" else data.draw(st.integers(limits.min, limits.max))
    values = np.array([data.draw(st.integers(limits.min, limits.max)) for _ in range(head.outputs)])
    raw = head.raw(values)
    assert raw == int(raw)
    found = head.logit(raw, scale, zero_point)
    assert (int(raw) >= head.raw_threshold(threshold, scale, zero_point, dtype)) == (found >= np.float32(threshold))


@given(st.sampled_from(HEADS), st.lists(st.floats(-30, 30, width=32), min_size=2, max_size=20))
def test_the_logit_never_falls_as_the_answer_rises(head: Head, values: list[float]) -> None:
    raws = np.sort([float(head.raw(one_sided(value, head))) for value in values])
    assert np.all(np.diff(head.logit(raws)) >= 0)


def test_many_answers_are_read_at_once() -> None:
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    head = Head("softmax", 0)
    assert head.logit(head.raw(shares)) == pytest.approx([logit(0.9), logit(0.2)], abs=1e-5)


def test_this_projects_own_head_is_one_logit_as_it_comes() -> None:
    assert OWN_HEAD.raw(np.array([3.5])) == 3.5
    assert OWN_HEAD.logit(3.5) == 3.5
    assert OWN_HEAD.logit(-4, 0.5, -10) == 3.0
