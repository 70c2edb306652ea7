"""Why pictures have no place is told in words that lead to the cure."""

from __future__ import annotations

import pytest

from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.missing import (
    HOLE,
    NO_MOMENT,
    NO_SOURCE,
    NO_TIME,
    NO_ZONE,
    OUTSIDE,
    count_unplaced,
    why_not_journalled,
    why_unplaced,
)

JUNE, LATER = 1748779200.0, 1782900000.0
SPAN = (JUNE, JUNE + 59)
VIENNA = CameraClock(parse_timezone("Europe/Vienna"))


@pytest.mark.parametrize(
    ("seconds", "local", "clock", "span", "why"),
    [
        (JUNE, None, CameraClock(), None, NO_SOURCE),
        (None, None, CameraClock(), SPAN, NO_TIME),
        (None, JUNE, CameraClock(), SPAN, NO_ZONE),
        (None, JUNE, VIENNA, SPAN, NO_MOMENT),
        (LATER, None, CameraClock(), SPAN, OUTSIDE),
        (JUNE + 30, None, CameraClock(), SPAN, HOLE),
    ],
)
def test_the_reason_is_the_one_to_mend(
    seconds: float | None, local: float | None, clock: CameraClock, span: tuple[float, float] | None, why: str
) -> None:
    assert why_unplaced(seconds, local, clock, span) == why


def test_a_track_of_another_year_is_told_with_both_years() -> None:
    told = count_unplaced("positives", 0, [OUTSIDE] * 6, [LATER, LATER + 12], SPAN, "video")
    assert told == (
        "0 of 6 positives have a position (6: taken before or after the flight log): video of 2026-07-01 10:00:00 to 10:00:12 UTC, "
        "flight log of 2025-06-01 12:00:00 to 12:00:59 UTC"
    )


def test_nothing_is_told_where_all_have_a_place() -> None:
    assert count_unplaced("positives", 6, []) is None


@pytest.mark.parametrize(
    ("seconds", "source", "asked", "span", "why"),
    [
        (JUNE, "exif", None, None, "were not asked for"),
        (JUNE, "exif", "exif", None, "own data hold no position"),
        (None, "exif no zone", "track", SPAN, "give --timezone"),
        (LATER, "file", "track", SPAN, "before or after"),
        (JUNE + 30, "file", "track", SPAN, "in a hole"),
        (JUNE, "clock", "live", None, "receiver had no position"),
    ],
)
def test_a_device_tells_the_same(
    seconds: float | None, source: str, asked: str | None, span: tuple[float, float] | None, why: str
) -> None:
    assert why in why_not_journalled(seconds, source, asked, span)
