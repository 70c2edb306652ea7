"""NMEA sentences become fixes; damage, empty fields and places that do not exist never do."""

from __future__ import annotations

import calendar
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflite.place.fix import Fix
from tflite.place.nmea import NmeaParser, checksum

NOON = calendar.timegm((2025, 6, 1, 12, 0, 0))


def sentence(body: str) -> str:
    return f"${body}*{checksum(body):02X}\r\n"


def angle(value: float, digits: int) -> str:
    """ddmm.mmmmmmm, counted in whole ten-millionths of a minute so that 60 minutes never appear."""
    units = round(abs(value) * 60 * 10**7)
    degrees, rest = divmod(units, 60 * 10**7)
    return f"{degrees:0{digits}d}{rest // 10**7:02d}.{rest % 10**7:07d}"


def place(lat: float, lon: float) -> str:
    return f"{angle(lat, 2)},{'S' if lat < 0 else 'N'},{angle(lon, 3)},{'W' if lon < 0 else 'E'}"


def rmc(lat: float = 47.5, lon: float = 8.25, at: str = "120000.00", date: str = "010625", status: str = "A") -> str:
    return sentence(f"GNRMC,{at},{status},{place(lat, lon)},0.1,90.0,{date},,,A")


def gga(lat: float = 47.5, lon: float = 8.25, at: str = "120000.00", quality: int = 1, alt: str = "431.2") -> str:
    return sentence(f"GNGGA,{at},{place(lat, lon)},{quality},09,0.8,{alt},M,47.0,M,,")


def feed(*lines: str | bytes) -> list[Fix | None]:
    parser = NmeaParser()
    return [parser.feed(line) for line in lines]


LATITUDES = st.one_of(st.floats(-90, 90), st.sampled_from([-90.0, 0.0, 90.0]))
LONGITUDES = st.one_of(st.floats(-180, 180), st.sampled_from([-180.0, -179.9999999, 179.9999999, 180.0]))


@settings(max_examples=200)
@given(lat=LATITUDES, lon=LONGITUDES)
def test_every_place_reads_back_on_all_hemispheres_and_at_the_antimeridian(lat: float, lon: float) -> None:
    for line in (rmc(lat, lon), gga(lat, lon)):
        (fix,) = feed(line)
        assert fix is not None
        assert fix.lat == pytest.approx(lat, abs=2e-9)
        assert fix.lon == pytest.approx(lon, abs=2e-9)


@settings(max_examples=300)
@given(data=st.data(), line=st.sampled_from([rmc(), gga(), rmc(-33.9, -70.1)]))
def test_one_changed_character_is_noticed(data: st.DataObject, line: str) -> None:
    body = line.rstrip()
    position = data.draw(st.integers(1, len(body) - 1))
    character = data.draw(st.characters(codec="ascii").filter(lambda c: c.lower() != body[position].lower()))
    fixes = feed(body[:position] + character + body[position + 1 :])
    assert fixes == [None]


@settings(max_examples=300)
@given(
    line=st.one_of(st.binary(), st.text(), st.text("$GPRMC,*0123456789.NSEWA").map(lambda body: sentence("GP" + body)))
)
def test_nothing_on_the_line_crashes_the_parser(line: str | bytes) -> None:
    feed(line, rmc(), line)


@given(
    fields=st.lists(
        st.sampled_from(["", "A", "N", "E", "1", "4730.0", "010625", "120000", "nan", "inf", "-1", "9" * 20]),
        max_size=16,
    )
)
def test_nonsense_with_a_right_checksum_gives_no_fix_off_the_earth(fields: list[str]) -> None:
    for kind in ("RMC", "GGA", "GST", "ZDA"):
        fix = NmeaParser().feed(sentence(f"GP{kind}," + ",".join(fields)))
        assert fix is None or (-90 <= fix.lat <= 90 and -180 <= fix.lon <= 180)


def test_rmc_brings_the_date_and_gga_the_rest_in_either_order() -> None:
    whole = Fix(47.5, 8.25, 431.2, NOON, "gps", 9, 0.8)
    for lines in ((rmc(), gga()), (gga(), rmc())):
        first, second = feed(*lines)
        assert first is not None
        assert second == whole


def test_the_second_sentence_of_a_moment_replaces_the_first_and_the_next_moment_does_not() -> None:
    parser = NmeaParser()
    same = []
    for line in (rmc(), gga(), rmc(at="120001.00"), gga(at="120001.00")):
        assert parser.feed(line) is not None
        same.append(parser.same_moment)
    assert same == [False, True, False, True]


def test_the_error_estimate_is_taken_from_gst() -> None:
    fix = feed(rmc(), sentence("GPGST,120000.00,5.0,,,,3.0,4.0,6.0"))[1]
    assert fix is not None
    assert fix.accuracy_m == 5.0


def test_a_gga_just_after_midnight_has_the_new_date_before_its_rmc_came() -> None:
    fixes = feed(rmc(at="235959.00"), gga(at="000000.00"), rmc(at="000000.00", date="020625"))
    midnight = calendar.timegm((2025, 6, 2, 0, 0, 0))
    assert [fix.time for fix in fixes if fix] == [midnight - 1, midnight, midnight]


def test_without_a_date_there_is_a_place_and_no_time() -> None:
    (fix,) = feed(gga())
    assert fix is not None
    assert fix.time is None
    fix = feed(sentence("GPZDA,120000.00,01,06,2025,00,00"), gga())[1]
    assert fix is not None
    assert fix.time == NOON


@pytest.mark.parametrize(
    "line",
    [
        rmc(status="V"),
        gga(quality=0),
        sentence("GPRMC,,V,,,,,,,,,,N"),
        sentence("GPGGA,,,,,,0,,,,,,,,"),
        sentence("GPGGA,120000,,,,,1,05,1.0,10.0,M,,M,,"),
        sentence("GPGGA,120000,4760.0000,N,00815.0,E,1,05,1.0,10.0,M,,M,,"),
        sentence("GPGGA,120000,9100.0000,N,00815.0,E,1,05,1.0,10.0,M,,M,,"),
        sentence("GPGGA,120000,4730.0000,X,00815.0,E,1,05,1.0,10.0,M,,M,,"),
        sentence("GPGGA,250000,4730.0000,N,00815.0,E,1,05,1.0,10.0,M,,M,,"),
        sentence("GPRMC,120000,A,4730.0,N,00815.0,E,0.1,90,310425,,,A"),
        sentence("GPGSV,1,1,00"),
        sentence("PUBX,00,120000"),
        rmc().split("*")[0],
        "$GPRMC",
        "",
    ],
)
def test_empty_void_damaged_and_foreign_sentences_give_no_fix(line: str) -> None:
    assert feed(line) == [None]


def test_after_void_nothing_more_is_told_of_the_moment() -> None:
    assert feed(rmc(status="V"), gga()) == [None, None]
    assert feed(rmc(status="V"), gga(at="120001.00"))[1] is not None


def test_damaged_sentences_are_counted() -> None:
    parser = NmeaParser()
    for line in (rmc(), rmc().replace("*", "*0"), "noise", rmc()[:-6], sentence("GPGSV,1,1,00")):
        parser.feed(line)
    assert (parser.sentences, parser.rejected) == (2, 2)


@pytest.mark.parametrize("values", [(91, 0), (0, 181), (float("nan"), 0), (0, float("inf"))])
def test_a_fix_lies_on_the_earth(values: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match="no place on earth"):
        Fix(*values)
