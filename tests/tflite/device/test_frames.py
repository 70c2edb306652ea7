"""Which frames of a recording are taken."""

from __future__ import annotations

import pytest

from tflite.device.frames import Sampling


def test_sampling_by_rate_takes_the_right_share() -> None:
    for fps, rate in ((1.0, 30.0), (7.0, 29.97), (12.5, 25.0), (30.0, 25.0)):
        taken = sum(Sampling(fps=fps).takes(number, rate) for number in range(3000))
        assert taken == pytest.approx(3000 * min(1, fps / rate), abs=1)
    assert [n for n in range(7) if Sampling(every=3).takes(n, 25.0)] == [0, 3, 6]
