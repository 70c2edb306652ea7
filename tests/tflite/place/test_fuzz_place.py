"""Metadata and logs damaged in every way: a value, nothing, or the one declared error; never another exception.

The numbers are drawn from seeds, so that a failure happens again; they are sized to take a few seconds together.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL.TiffImagePlugin import IFDRational

from crack_tf.survey.geometry.camera import Locator, Scale
from tests.tflite.place.photographs import packet, photograph, position
from tests.tflite.place.test_srt import FAMILIES
from tflite.errors import CrackError
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.exposure import Exposure, read_exposure
from tflite.place.fix import real_altitude, real_place
from tflite.place.flightlog import FlightLog, read_flight_log
from tflite.place.nmea import checksum
from tflite.place.srt import read_srt
from tflite.place.video import VideoTrack

NASTY = (
    *(
        "",
        "nan",
        "-inf",
        "1e999",
        "-1e999",
        "9" * 400,
        "-" + "9" * 400,
        "0/0",
        "1/0",
        "0",
        "-0.0",
        "91",
        "-181",
        "1e-400",
    ),
    *(
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59+14:00",
        "0000:00:00 00:00:00",
        "2025:02:30 25:61:61",
        "24:00:00",
        "+99:99",
    ),
    *(
        "\0",
        "\x1f\x7f",
        "٣",
        "½",
        "é",
        "\U0001f642",
        "\ufeff",
        "'",
        '"',
        "]",
        "(",
        "<",
        "&",
        "%s",
        "{}",
        "N/A",
        "a" * 5000,
        "\r",
        "\n",
    ),
)
CLOCKS = (
    CameraClock(),
    CameraClock(parse_timezone("Europe/Vienna"), 73.5),
    CameraClock(parse_timezone("-12:00"), -1e9),
)
DJI_XMP = packet(
    'drone-dji:GpsLatitude="+48.2000000" drone-dji:GpsLongtitude="+16.3700000" drone-dji:AbsoluteAltitude="+180.00" '
    'drone-dji:RelativeAltitude="+12.00" drone-dji:GimbalYawDegree="+90.00" drone-dji:GimbalPitchDegree="-3.00" '
    'drone-dji:GimbalRollDegree="+0.10" drone-dji:LRFStatus="Normal" drone-dji:LRFTargetDistance="5.1" '
    'drone-dji:RtkFlag="50" drone-dji:RtkStdLat="0.01" drone-dji:RtkStdLon="0.02" drone-dji:CalibratedFocalLength="3725.1" '
    'drone-dji:UTCAtExposure="2025:06:01 10:00:00.123456"',
    '<drone-skydio:CameraOrientationNED drone-skydio:Yaw="3" drone-skydio:Pitch="2"/><Camera:Yaw>1/2</Camera:Yaw>',
)
TAKEN = {0x9003: "2025:06:01 12:00:00", 0x9011: "+02:00", 0x9291: "25", 0x9206: 2.5, 0xA405: 24, 0x920A: 8.8}


def check(found: Exposure) -> None:
    """What holds of every exposure, whatever its file said."""
    assert found.time is None or math.isfinite(found.time)
    for value in (
        found.angles.heading,
        found.angles.pitch,
        found.angles.roll,
        found.distance_m,
        found.relative_altitude_m,
    ):
        assert value is None or math.isfinite(value)
    assert found.angles.heading is None or 0 <= found.angles.heading < 360
    if found.fix is not None:
        assert real_place(found.fix.lat, found.fix.lon) is not None
        assert found.fix.alt is None or abs(found.fix.alt) <= 100_000
    assert all(len(note) < 300 and note.isprintable() for note in found.notes)


def bytes_damaged(rng: random.Random, content: bytes, within: int) -> bytes:
    """A few bytes changed, and sometimes the end cut off."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 12)):
        data[rng.randrange(min(within, len(data)))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def text_damaged(rng: random.Random, text: str) -> str:
    """Values replaced by nasty ones, stretches dropped or written twice."""
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text) + 1)
        end = min(len(text), start + rng.randint(0, 30))
        kind = rng.randrange(4)
        middle = (rng.choice(NASTY), "", text[start:end] * 2, rng.choice(NASTY) + text[start:end])[kind]
        text = text[:start] + middle + text[end:]
        if rng.random() < 0.05:
            text = text[:start]
    return text


@pytest.mark.parametrize("with_xmp", [False, True])
def test_damaged_bytes_of_exif_and_xmp_never_raise(with_xmp: bool) -> None:
    whole = photograph(position(), TAKEN, "2025:06:01 12:00:00", xmp=DJI_XMP if with_xmp else None)
    rng = random.Random(7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about damaged EXIF data
        for number in range(600):
            data = bytes_damaged(rng, whole, len(whole) - 300 if with_xmp else 700)
            check(read_exposure(data, CLOCKS[number % 3]))
            if number % 10 == 0:
                Locator(Scale(distance_m=2.0), clock=CLOCKS[number % 3]).of_file(data, 32, 24)


def test_absurd_values_in_every_exif_tag_never_raise() -> None:
    rng = random.Random(11)
    numbers = (IFDRational(0, 0), IFDRational(1, 0), IFDRational(4_294_967_295, 1), 0.0, 1e9, 59.0, 60.5)
    for number in range(300):
        gps = position()
        for tag in rng.sample(sorted(gps), rng.randint(1, 4)):
            if isinstance(gps[tag], tuple):
                gps[tag] = tuple(rng.choice(numbers) for _ in range(3))
            elif isinstance(gps[tag], str):
                gps[tag] = rng.choice(NASTY)[:200].encode("ascii", "replace").decode()
            elif tag == 6:
                gps[tag] = rng.choice(numbers)
        text = rng.choice(NASTY)[:200].encode("ascii", "replace").decode()
        taken = TAKEN | {rng.choice((0x9003, 0x9011, 0x9291)): text, 0x9206: rng.choice(numbers)}
        try:
            data = photograph(gps, taken)
        except Exception:  # Pillow cannot write it
            continue
        check(read_exposure(data, CLOCKS[number % 3]))


def test_damaged_text_of_xmp_never_raises() -> None:
    rng = random.Random(13)
    for number in range(600):
        text = text_damaged(rng, DJI_XMP).encode("utf-8", "replace")
        data = b"\xff\xd8\xff\xe1\0\0" + text if number % 2 else photograph(position(), xmp=text[:60_000])
        check(read_exposure(data, CLOCKS[number % 3]))


def nmea() -> str:
    lines = []
    for second in range(8):
        for body in (
            f"GPRMC,1200{second:02d}.00,A,4812.{second}000,N,01622.2000,E,0.0,,010625,,,A",
            f"GPGGA,1200{second:02d}.00,4812.{second}000,N,01622.2000,E,1,08,1.0,180.0,M,,M,,",
            f"GPGST,1200{second:02d}.00,,,,,1.0,1.0,2.0",
        ):
            lines.append(f"${body}*{checksum(body):02X}\r\n")
    return "".join(lines)


def rechecked(text: str) -> str:
    """Sentences with a right checksum, so that the damage is not noticed by it."""
    lines = []
    for line in text.splitlines():
        body = line.removeprefix("$").rpartition("*")[0]
        ascii_body = body.encode("ascii", "replace").decode()
        lines.append(f"${ascii_body}*{checksum(ascii_body):02X}" if line.startswith("$") and body else line)
    return "\r\n".join(lines)


CSV = (
    "sep=,\nCUSTOM.date [local],CUSTOM.updateTime [local],OSD.latitude,OSD.longitude,OSD.altitude [ft],GIMBAL.yaw,GIMBAL.pitch\n"
    + "".join(f"6/13/2025,12:00:0{n}.00 PM,48.2000{n},16.37,60{n},271.5,-3.0\n" for n in range(6))
)
ISO = "time;lat;lon;alt\n" + "".join(f"2025-06-01T12:00:0{n}Z;48,2000{n};16,37;60{n}\n" for n in range(6))
GPX = (
    '<?xml version="1.0"?><gpx xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
    + "".join(
        f'<trkpt lat="48.2" lon="16.{n}"><ele>180</ele><time>2025-06-01T12:00:0{n}Z</time></trkpt>' for n in range(5)
    )
    + "</trkseg></trk></gpx>"
)
SRT = "".join(text.replace("1\n", f"{n}\n", 1) + "\n\n" for n, (text, _) in enumerate(FAMILIES.values(), 1))
MRK = "".join(
    f"{n}\t50536{n}.172143\t[2364]\t  -339,N\t  -361,E\t   348,V\t51.1091767{n},Lat\t-115.38278248,Lon\t1368.634,Ellh\t"
    "0.012459, 0.010243, 0.020338\t50,Q\n"
    for n in range(1, 6)
)
LOGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "csv": (CSV, str),
    "iso.csv": (ISO, str),
    "gpx": (GPX, str),
    "nmea": (nmea(), str),
    "checked.nmea": (nmea(), rechecked),
    "srt": (SRT, str),
    "mrk": (MRK, str),
}


@pytest.mark.parametrize("kind", LOGS)
def test_damaged_logs_are_a_log_or_the_declared_error(kind: str, tmp_path: Path) -> None:
    whole, mended = LOGS[kind]
    path = tmp_path / f"log.{kind}"
    path.write_text(whole, encoding="utf-8", newline="")
    assert read_flight_log(path, "Europe/Vienna").fixes
    rng = random.Random(17)
    read = 0
    for number in range(250):
        text = mended(text_damaged(rng, whole))
        path.write_bytes(text.encode("utf-8", "replace"))
        zone = ("Europe/Vienna", "UTC", None)[number % 3]
        log, told = attempt(path, zone, 1.7e9 if number % 5 == 0 else None)
        if log is None:
            assert "\n" not in told
        else:
            read += 1
            check_log(log)
    assert read > 20


def attempt(path: Path, zone: str | None, start: float | None) -> tuple[FlightLog | None, str]:
    """The log, or the error that a user would see; any other exception fails the test."""
    try:
        return read_flight_log(path, zone, start), ""
    except CrackError as error:
        return None, str(error)


def check_log(log: FlightLog) -> None:
    """What holds of every log, whatever its file said."""
    assert log.times == sorted(set(log.times))
    for fix in log.fixes:
        assert real_place(fix.lat, fix.lon) is not None
        assert fix.alt == real_altitude(fix.alt)
        assert fix.accuracy_m is None or math.isfinite(fix.accuracy_m)
    assert log.describe().isprintable()
    first, last = log.span
    assert log.fix_at((first + last) / 2, 1e12) is not None
    for name in ("100_0005_0003.JPG", "DJI_0003.JPG", "DJI_99999999999999_0003_V.JPG", "0003_" * 500):
        for moment, local in ((first, None), (None, first + 7200), (None, None)):
            found = log.fix_of(name, moment, local)
            assert found is None or found in log.fixes


def test_any_bytes_are_subtitles_of_no_or_some_blocks() -> None:
    rng = random.Random(19)
    for number in range(300):
        text = text_damaged(rng, SRT).encode("utf-8", "replace")
        track = read_srt(bytes_damaged(rng, text, len(text)) if number % 2 else text)
        places = VideoTrack(track)
        for seconds in (-1.0, 0.0, 1.5, 1e9):
            fix = places.at(seconds)
            assert fix is None or real_place(fix.lat, fix.lon) is not None
        for clock in CLOCKS:
            start = track.start(clock)
            assert start is None or math.isfinite(start)
