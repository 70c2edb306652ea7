"""Byte streams that come and go: a serial port, a TCP connection, UDP packets. Each is opened again when it was lost.

Everything here only reads: a receiver or a flight controller is never told anything.
"""

from __future__ import annotations

import os
import select
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tflite.errors import CrackError

POLL_SECONDS = 0.5
_BLOCK = 4096
_PACKET = 1 << 16
_CONNECT_SECONDS = 5.0


class Port(Protocol):
    """A stream of bytes."""

    def read(self) -> bytes | None:
        """What has arrived within half a second, b"" when nothing has, None when the other end is gone; the next call tries to open
        the port again."""

    def close(self) -> None:
        """Let go of it."""


class SerialPort:
    """A serial port, or any other stream that is not a plain file.

    Args:
        path: of the port.
        baud: its rate.

    Raises:
        OSError: if it cannot be opened.
        CrackError: if there is no such baud rate.
    """

    def __init__(self, path: Path, baud: str) -> None:
        self._path, self._baud = path, baud
        self._port: int | None = self._open()

    def read(self) -> bytes | None:
        """See `Port.read`."""
        try:
            if self._port is None:
                self._port = self._open()
            if not select.select([self._port], [], [], POLL_SECONDS)[0]:
                return b""
            return os.read(self._port, _BLOCK) or None
        except OSError:
            return None

    def close(self) -> None:
        """See `Port.close`."""
        if self._port is not None:
            os.close(self._port)
            self._port = None

    def _open(self) -> int:
        import termios

        port = os.open(self._path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            if os.isatty(port):
                speed = getattr(termios, f"B{self._baud}", None)
                if speed is None:
                    raise CrackError(
                        f"--gps {self._path}@{self._baud}: no such baud rate. Common ones are 4800, 9600, 38400, 57600, 115200."
                    )
                _make_raw(port, speed)
        except BaseException:
            os.close(port)
            raise
        return port


class TcpPort:
    """A connection to a server.

    Args:
        host, port: of the server.
        greeting: that it is sent first.

    Raises:
        OSError: if nothing answers.
    """

    def __init__(self, host: str, port: int, greeting: bytes = b"") -> None:
        self._address, self._greeting = (host, port), greeting
        self._socket: socket.socket | None = self._connect()

    def read(self) -> bytes | None:
        """See `Port.read`."""
        try:
            if self._socket is None:
                self._socket = self._connect()
            return self._socket.recv(_BLOCK) or None
        except TimeoutError:
            return b""
        except OSError:
            return None

    def close(self) -> None:
        """See `Port.close`."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(self._address, timeout=_CONNECT_SECONDS)
        try:
            if self._greeting:
                connection.sendall(self._greeting)
            connection.settimeout(POLL_SECONDS)
        except BaseException:
            connection.close()
            raise
        return connection


class UdpPort:
    """Packets that others send to a port of this machine.

    Args:
        host, port: to listen on.

    Raises:
        OSError: if another program listens there, or this machine has no such address.
    """

    def __init__(self, host: str, port: int) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind, protocol)
        try:
            self._socket.bind(address)
            self._socket.settimeout(POLL_SECONDS)
        except BaseException:
            self._socket.close()
            raise

    def read(self) -> bytes | None:
        """See `Port.read`; the other end cannot be seen to go."""
        try:
            return self._socket.recv(_PACKET)
        except TimeoutError:
            return b""
        except OSError:
            return None

    def close(self) -> None:
        """See `Port.close`; not opened again after that."""
        self._socket.close()


def wait(stopped: Callable[[], bool], seconds: float) -> None:
    """Before a lost port is opened again; shorter where the work is to end."""
    until = time.monotonic() + seconds
    while not stopped() and time.monotonic() < until:
        time.sleep(0.1)


def _make_raw(port: int, speed: int) -> None:
    """8 bits, no parity, no echo, no translation of line ends, bytes as they come."""
    import termios

    control = termios.CS8 | termios.CREAD | termios.CLOCAL  # CLOCAL: receivers have no modem lines
    characters = termios.tcgetattr(port)[6]
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    termios.tcsetattr(port, termios.TCSANOW, [0, 0, control, 0, speed, speed, characters])
