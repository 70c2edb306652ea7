"""Positions from EXIF, recorded NMEA, a serial port and gpsd: the right one for each moment, or none."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflite.device import gps as module
from tflite.device.gps import Gps, open_gps, tpv_fix
from tflite.errors import CrackError
from tflite.place.fix import Fix
from tflite.place.nmea import checksum

NOON = 1748779200.0  # 2025-06-01T12:00:00Z


def rmc(second: int, minutes: float = 30.0, status: str = "A") -> bytes:
    body = f"GPRMC,1200{second:02d}.00,{status},47{minutes:07.4f},N,00815.0000,E,0,0,010625,,"
    return f"${body}*{checksum(body):02X}\r\n".encode()


def eventually(read: Callable[[], Any], seconds: float = 10) -> Any:
    """The first result of `read` that is not None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = read()
        if value is not None:
            return value
        time.sleep(0.02)
    pytest.fail("nothing came")


def now(gps: Gps) -> dict[str, Any] | None:
    found = gps.at(time.time(), None)
    return None if found is None else found.as_json()


def test_without_gps_there_is_no_position() -> None:
    assert open_gps(None).at(NOON, Fix(1, 2)) is None


def test_exif_positions_are_those_of_the_frame_with_their_age() -> None:
    gps = open_gps("exif")
    assert gps.at(NOON, None) is None
    found = gps.at(NOON, Fix(-33.5, 8.25, 12.0, NOON - 90, accuracy_m=3.0))
    assert found is not None
    assert found.as_json() == {
        "lat": -33.5,
        "lon": 8.25,
        "alt": 12.0,
        "time": "2025-06-01T11:58:30.000Z",
        "age_s": 90.0,
        "source": "exif",
        "quality": None,
        "satellites": None,
        "hdop": None,
        "accuracy_m": 3.0,
    }
    same = gps.at(NOON, Fix(1, 2, time=NOON))  # the frame's time was the position's
    assert same is not None
    assert same.as_json()["age_s"] is None


def test_a_recorded_track_gives_the_fix_nearest_in_time(tmp_path: Path) -> None:
    (tmp_path / "flight.nmea").write_bytes(b"".join(rmc(second, second) for second in (10, 11, 12, 30)))
    gps = open_gps(str(tmp_path / "flight.nmea"), max_age=5)
    for moment, minute, age in ((10.0, 10, 0.0), (11.4, 11, 0.4), (11.6, 12, -0.4), (7.0, 10, -3.0), (26.0, 30, -4.0)):
        found = gps.at(NOON + moment, None)
        assert found is not None
        told = found.as_json()
        assert (round((told["lat"] - 47) * 60), told["age_s"], told["source"]) == (minute, age, "nmea file")
    for moment in (0.0, 20.0, 60.0):
        assert gps.at(NOON + moment, None) is None


@given(times=st.sets(st.integers(0, 59), min_size=1), moment=st.floats(-10, 70))
def test_no_other_fix_of_a_track_is_nearer(
    tmp_path_factory: pytest.TempPathFactory, times: set[int], moment: float
) -> None:
    path = tmp_path_factory.mktemp("track") / "t.nmea"
    path.write_bytes(b"".join(rmc(second, second) for second in sorted(times)))
    found = open_gps(str(path), max_age=1000).at(NOON + moment, None)
    assert found is not None
    assert abs(found.as_json()["age_s"]) == pytest.approx(min(abs(moment - second) for second in times), abs=1e-3)


def test_a_track_without_dated_positions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.nmea").write_bytes(rmc(1, status="V") + b"$GPGGA,bad*00\r\n")
    with pytest.raises(CrackError, match=r"no position with a date \(1 good NMEA sentences, 1 damaged\)"):
        open_gps(str(tmp_path / "x.nmea"))


def test_a_damaged_track_is_used_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.nmea").write_bytes(rmc(1) + rmc(2).replace(b"47", b"48") + b"\xff\xfe\n" + rmc(3))
    assert open_gps(str(tmp_path / "x.nmea")).at(NOON + 3, None) is not None
    assert "1 NMEA sentences are damaged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nowhere.nmea", "No such file.*Give exif"),
        ("gpsd://localhost:99999", "expected gpsd://host:port"),
        ("gpsd://a b:c", "expected gpsd://host:port"),
        (".", "is a folder"),
    ],
)
def test_sources_that_are_none_are_refused(spec: str, message: str) -> None:
    with pytest.raises(CrackError, match=message):
        open_gps(spec)


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal that plays the receiver: the end to write to, and the name of the port."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_serial_receiver_is_read_as_it_speaks(port: tuple[int, str]) -> None:
    master, name = port
    gps = open_gps(f"{name}@38400", max_age=30)
    try:
        assert now(gps) is None
        os.write(master, b"\x00\xffnoise\r\n" + rmc(1, 15.0)[:20])
        os.write(master, rmc(1, 15.0)[20:])
        found = eventually(lambda: now(gps))
        assert (found["lat"], found["source"]) == (47.25, "nmea serial")
        assert 0 <= found["age_s"] < 10
        os.write(master, rmc(2, 18.0))
        eventually(lambda: True if (now(gps) or {}).get("lat") == 47.3 else None)
        assert gps.at(time.time() - 3600, None) is None  # an hour ago nothing was known
    finally:
        gps.close()


def test_a_receiver_that_lost_its_satellites_gives_no_new_position(port: tuple[int, str]) -> None:
    master, name = port
    gps = open_gps(name, max_age=1.5)
    try:
        os.write(master, rmc(1))
        eventually(lambda: now(gps))
        os.write(master, rmc(2, status="V"))
        time.sleep(2)
        assert now(gps) is None
    finally:
        gps.close()


def test_an_unknown_baud_rate_is_refused(port: tuple[int, str]) -> None:
    with pytest.raises(CrackError, match="@12345: no such baud rate"):
        open_gps(f"{port[1]}@12345")


class FakeGpsd:
    """Answers each connection with the reports given for it, then closes it."""

    def __init__(self, *reports: list[Any]) -> None:
        self._reports, self.heard = reports, b""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"gpsd://127.0.0.1:{self._server.getsockname()[1]}"
        self.go_on = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for reports in self._reports:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.heard = connection.recv(100)
                for report in reports:
                    connection.sendall(report if isinstance(report, bytes) else json.dumps(report).encode() + b"\r\n")
                self.go_on.wait(10)
                self.go_on.clear()

    def close(self) -> None:
        self.go_on.set()
        self._server.close()


TPV = {
    "class": "TPV",
    "mode": 3,
    "lat": 1.5,
    "lon": -2.5,
    "altMSL": 7.0,
    "eph": 4.2,
    "time": "2025-06-01T12:00:00.250Z",
}


def test_gpsd_is_asked_and_its_reports_are_used() -> None:
    server = FakeGpsd([{"class": "VERSION"}, {"class": "SKY", "uSat": 8, "hdop": 0.9}, b"not json\n", b"[1]\n", TPV])
    gps = open_gps(server.url, max_age=30)
    try:
        found = eventually(lambda: now(gps))
        assert server.heard.startswith(b"?WATCH=")
        assert {name: found[name] for name in ("lat", "lon", "alt", "time", "source", "quality")} == {
            "lat": 1.5,
            "lon": -2.5,
            "alt": 7.0,
            "time": "2025-06-01T12:00:00.250Z",
            "source": "gpsd",
            "quality": "3d",
        }
        assert (found["satellites"], found["hdop"], found["accuracy_m"]) == (8, 0.9, 4.2)
    finally:
        server.close()
        gps.close()


def test_a_lost_gpsd_is_connected_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.05)
    server = FakeGpsd([TPV], [TPV | {"lat": 3.0, "time": "2025-06-01T12:00:01Z"}])
    gps = open_gps(server.url, max_age=30)
    try:
        assert eventually(lambda: now(gps))["lat"] == 1.5
        server.go_on.set()
        eventually(lambda: True if (now(gps) or {}).get("lat") == 3.0 else None)
    finally:
        server.close()
        gps.close()


def test_no_gpsd_is_refused_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    with pytest.raises(CrackError, match=f"gpsd://127.0.0.1:{free}: no connection"):
        open_gps(f"gpsd://127.0.0.1:{free}")


@pytest.mark.parametrize(
    "changes",
    [
        {"class": "SKY"},
        {"mode": 1},
        {"mode": 0},
        {"mode": None},
        {"lat": None},
        {"lat": "1"},
        {"lat": 91.0},
        {"lat": 10**400},
        {"lon": float("nan")},
        {"time": "2025-13-01T00:00:00Z"},
        {"status": []},
    ],
)
def test_reports_without_a_usable_position_give_none(changes: dict[str, Any]) -> None:
    assert tpv_fix(TPV | changes, {}) is None


def test_reports_with_less_give_what_they_have() -> None:
    bare = {name: TPV[name] for name in ("class", "mode", "lat", "lon")}
    assert tpv_fix(bare, {}) == Fix(1.5, -2.5, quality="3d")
    assert tpv_fix(bare | {"alt": 9, "status": 3}, {"hdop": "x"}) == Fix(1.5, -2.5, 9.0, quality="rtk")
