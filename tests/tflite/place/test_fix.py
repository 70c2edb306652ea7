"""What is a place, for every source of one."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.place.fix import real_place


@pytest.mark.parametrize(
    ("lat", "lon"),
    [
        *((0, 0), (-0.0, 0.0), (1e-9, -3e-7), (4.9e-324, 0.0), (-5e-5, 9e-5)),
        *((91, 0), (0, 181), (-90.001, 16.0), (math.nan, 16.0), (48.0, math.inf), (10**400, 16.0)),
        *((True, 16.0), ("48.2", "16.37"), (None, 16.0), ([48.2], 16.37)),
    ],
)
def test_what_receivers_write_before_they_know_their_place_is_none(lat: Any, lon: Any) -> None:
    assert real_place(lat, lon) is None


@given(st.floats(-90, 90), st.floats(-180, 180))
def test_every_other_place_on_earth_is_one(lat: float, lon: float) -> None:
    assert real_place(lat, lon) == ((lat, lon) if max(abs(lat), abs(lon)) >= 1e-4 else None)
