"""JSON lines that are only ever added to, each with a hash of itself: damage anywhere in such a file shows, line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tflite.files import sha256_bytes

_TAIL = re.compile(rb',"sha":"([0-9a-f]{16})"\}')
_TAIL_LENGTH = len(',"sha":"0123456789abcdef"}')


def seal_line(record: Mapping[str, Any], ascii: bool = True) -> bytes:
    """A record as one line with its line end. Its last member, `sha`, is the first 16 hex digits of the sha256 of the line without it.

    Args:
        record: JSON values, at least one; NaN and infinity are refused: they are not JSON.
        ascii: escape everything else, so that any name survives, broken ones too. Otherwise UTF-8.
    """
    text = json.dumps(record, separators=(",", ":"), allow_nan=False, ensure_ascii=ascii)
    body = text.encode("utf-8", "backslashreplace")
    return body[:-1] + f',"sha":"{sha256_bytes(body)[:16]}"}}\n'.encode()


def unseal_line(line: bytes) -> bytes:
    """The JSON of a line without its hash.

    Args:
        line: without the line end.

    Raises:
        ValueError: if it is not as it was written.
    """
    tail = _TAIL.fullmatch(line[-_TAIL_LENGTH:])
    body = line[:-_TAIL_LENGTH] + b"}"
    if tail is None or sha256_bytes(body)[:16].encode() != tail[1]:
        raise ValueError("does not match its own hash")
    return body
