"""What a screen spares is counted at the recall that it has to keep."""

from __future__ import annotations

import numpy as np
import pytest

from studies.screening import spared
from tflite.errors import CrackError


def test_the_threshold_loses_no_more_than_the_recall_allows_and_spares_what_is_below() -> None:
    cracked = np.arange(1000) >= 800
    screen = np.where(cracked, 5.0, -5.0)
    assert spared(screen, cracked) == (5.0, 1.0)
    screen[800] = -9.0  # one of 200 may be lost, but not two
    assert spared(screen, cracked) == (5.0, 1.0)
    screen[801] = -8.0
    threshold, share = spared(screen, cracked)
    assert (threshold, share) == (-8.0, 0.0)
    assert (screen[cracked] >= threshold).mean() >= 0.995


def test_tiles_of_one_kind_are_refused() -> None:
    with pytest.raises(CrackError, match="0 of 3 tiles"):
        spared(np.zeros(3), np.zeros(3, bool))
