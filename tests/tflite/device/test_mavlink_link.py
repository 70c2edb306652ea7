"""A link to a flight controller: pymavlink at the other end, on loopback and on a pseudo-terminal, lost and found again."""

from __future__ import annotations

import os
import pty
import socket
import threading
import time
import tty
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.tflite.place.mavlink_bytes import Controller
from tflite.device import mavlink as module
from tflite.device.gps import Gps, open_gps
from tflite.errors import CrackError

mavutil = pytest.importorskip("pymavlink.mavutil", reason="pymavlink is not installed (requirements-mavlink.txt)")
VEHICLE = Controller()
FLYING = VEHICLE.heartbeat() + VEHICLE.attitude(1) + VEHICLE.range(1) + VEHICLE.receiver(1) + VEHICLE.position(1)


def eventually(send: Callable[[], Any], gps: Gps, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> Any:
    """The first position that is as wanted, sending again and again."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        send()
        found = gps.at(time.time(), None)
        if found is not None and wanted(found.as_json()):
            return found.as_json()
        time.sleep(0.02)
    pytest.fail("nothing came")


def free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def opened() -> Iterator[Callable[[str], Gps]]:
    """Opens what --gps names, and closes it in the end."""
    sources: list[Gps] = []

    def open_one(spec: str) -> Gps:
        sources.append(open_gps(spec, max_age=30))
        return sources[-1]

    yield open_one
    for source in sources:
        source.close()


def test_packets_of_a_controller_become_positions_with_angles_and_distance(opened: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    gps = opened(f"mavlink://udp:127.0.0.1:{port}")
    link = mavutil.mavlink_connection(f"udpout:127.0.0.1:{port}", source_system=1, dialect="ardupilotmega")
    try:
        found = eventually(lambda: link.write(FLYING), gps, lambda position: "distance_m" in position)
    finally:
        link.close()
    assert (found["lat"], found["lon"], found["source"], found["quality"]) == (48.2, 16.37, "mavlink", "rtk")
    assert (found["distance_m"], found["accuracy_m"]) == (5.12, 0.021)
    assert found["pitch_deg"] == pytest.approx(5.7296)
    assert 0 <= found["age_s"] < 10
    assert gps.warnings == []


def test_pymavlinks_own_messages_are_understood(opened: Any) -> None:
    port = free_port(socket.SOCK_DGRAM)
    gps = opened(f"mavlink://udp:{port}")
    link = mavutil.mavlink_connection(f"udpout:localhost:{port}", source_system=3, dialect="ardupilotmega")

    def send() -> None:
        link.mav.heartbeat_send(2, 12, 0, 0, 4)
        link.mav.global_position_int_send(1000, -338_600_000, 1_512_100_000, 58_200, 0, 0, 0, 0, 65535)

    try:
        found = eventually(send, gps)
    finally:
        link.close()
    assert (found["lat"], found["lon"], found["alt"]) == (-33.86, 151.21, 58.2)
    assert "heading_deg" not in found


class Server:
    """A simulator's end of a TCP link, which sends as long as somebody listens."""

    def __init__(self, port: int, data: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._socket.settimeout(0.05)
        self._data, self._stop = data, threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection:
                while not self._stop.is_set():
                    try:
                        connection.sendall(self._data)
                    except OSError:
                        break
                    time.sleep(0.02)

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._socket.close()


def test_a_link_that_dies_is_opened_again(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.05)
    port = free_port(socket.SOCK_STREAM)
    server = Server(port, FLYING)
    gps = opened(f"mavlink://tcp:127.0.0.1:{port}")
    try:
        assert eventually(lambda: None, gps)["lat"] == 48.2
        server.close()
        time.sleep(0.2)
        server = Server(port, VEHICLE.position(2, lat=48.5) + b"\xfd noise")
        assert eventually(lambda: None, gps, lambda position: position["lat"] == 48.5)
    finally:
        server.close()


@pytest.fixture
def port() -> Iterator[tuple[int, str]]:
    """A pseudo-terminal that plays the telemetry port: the end to write to, and its name."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_serial_port_is_read_and_never_written_to(opened: Any, port: tuple[int, str]) -> None:
    master, name = port
    gps = opened(f"mavlink://{name}@57600")
    assert eventually(lambda: os.write(master, b"\x00noise" + FLYING), gps)["lat"] == 48.2
    os.set_blocking(master, False)
    with pytest.raises(BlockingIOError):
        os.read(master, 1)


@pytest.mark.parametrize(
    ("sent", "told"), [(b"", "nothing came"), (b"$GPRMC,noise" * 9, "108 bytes came, and no vehicle's heartbeat")]
)
def test_a_link_without_a_heartbeat_has_no_position_and_a_warning(opened: Any, sent: bytes, told: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    gps = opened(f"mavlink://udp:127.0.0.1:{port}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        if sent:
            sender.sendto(sent, ("127.0.0.1", port))
        time.sleep(0.3)
    assert gps.at(time.time(), None) is None
    assert told in gps.warnings[0]


@pytest.mark.parametrize(
    "spec",
    ["mavlink://", "mavlink://udp:0", "mavlink://udp:99999", "mavlink://tcp:a:b:c", "mavlink://serial", "mavlink://udp:host:x"],
)  # fmt: skip
def test_a_link_that_is_none_is_refused_with_the_spellings(spec: str) -> None:
    with pytest.raises(CrackError, match=r"names no MAVLink link\. Give mavlink://udp:14550"):
        open_gps(spec)


def test_a_link_that_cannot_be_opened_is_refused() -> None:
    with pytest.raises(CrackError, match=r"no connection.*Give mavlink://"):
        open_gps(f"mavlink://tcp:127.0.0.1:{free_port(socket.SOCK_STREAM)}")
    with pytest.raises(CrackError, match=r"cannot be opened: No such file"):
        open_gps("mavlink:///dev/nothing@57600")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(CrackError, match="cannot be listened on"):
            open_gps(f"mavlink://udp:127.0.0.1:{taken.getsockname()[1]}")


def test_whoever_lacks_pymavlink_is_told_before_anything_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith("pymavlink")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pymavlink", None)
    with pytest.raises(CrackError, match=r"comes with the extra mavlink.*On a board: pip install pymavlink"):
        open_gps("mavlink://udp:14550")
