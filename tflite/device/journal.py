"""The record of a flight: a folder with `journal.jsonl`, to which lines are only ever added, and `tiles/` with the pictures.

Every line of the journal is one JSON object in ASCII. Common members:

    n       number of the line, 1, 2, 3...: a missing line shows
    kind    one of the five below
    sha     first 16 hex digits of the sha256 of the line as it would be without this last member: damage shows

start: a run begins. The first line, and once more whenever the run is continued.
    format "crack_tf.journal/1", session (1, 2...), time, settings (what decides the results: model_sha256, source, tile_side,
    overlap...), environment (what does not: threads, versions...)
positive: a tile that the model calls cracked.
    session, frame (name), time (UTC, ISO 8601; null where the camera's clock has no known zone), time_source (how it is known,
    see `tflite.device.frames.Frame`), frame_size {w, h}, tile {x, y, w, h} in pixels of the upright frame,
    score {raw, logit, probability}, threshold {raw, logit, probability}, model_sha256,
    gps (null, or {lat, lon, alt, time, age_s, source, quality, satellites, hdop, accuracy_m}, unknown ones null, and of the camera
    heading_deg, pitch_deg, roll_deg, distance_m where they are known),
    image (the tile as PNG, relative to the folder), image_sha256
frame: a frame is done, its positives are the lines before.
    session, frame, time, time_source, frame_size, tiles, positives, bytes (of its file, or null), dropped (frames of a live
    source lost just before it), gps where it is known, and of a photograph file (`tflite.sameness.FileState`), by which it is
    known again
gap: a frame that could not be read. Nothing is known about what it shows: never count it as clean.
    session, frame, time, time_source, reason, bytes, dropped, and where it could be read file
end: a run ended in order.
    session, time, reason ("finished", "interrupted" or an error), summary

What is safe when: each line is handed to the system whole, in one write, so killing the process leaves every line before
it. A tile's picture is on the disk, whole, before its line is written. Before the line that says a frame is done or a gap,
its positives are forced to the disk (fsync, file and folder); frames without positives are forced out together, at the
latest with the first frame 5 s after the last time. So after a power cut a frame may be missing, and is classified again,
but no frame counts as done that lacks a positive. A last line that was cut off is recognised by its missing line end.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypedDict

from tflite.checked import (
    MAX_NAME,
    MAX_PATH,
    Between,
    CheckError,
    Count,
    Holding,
    Latitude,
    Longitude,
    Matching,
    Share,
    Text,
    checked,
    file_inside,
)
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError
from tflite.files import parse_json, require_folder, sha256_bytes, temporary_pattern, write_bytes
from tflite.hardware import slug
from tflite.lines import seal_line, unseal_line
from tflite.locks import is_there

FORMAT = "crack_tf.journal/1"
FILE_NAME = "journal.jsonl"
TILES = "tiles"
SYNC_SECONDS = 5.0
_FIRST = b'{"n":1,"kind":"start",'  # how every journal begins, be it cut off there
_LATER = ("source_sample",)  # settings that journals of older versions do not have
MAX_FRAME_PIXELS = 200_000_000  # no camera has as many; whoever puts a frame together again needs memory for it
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


_Pixels = Annotated[int, Between(0, 1e6)]
_Side = Annotated[int, Between(1, 1e6)]
_Moment = Annotated[str, Text(64)]
_Frame = Annotated[str, Text(MAX_PATH)]


class _Size(TypedDict):
    w: _Side
    h: _Side


class _Tile(TypedDict):
    x: _Pixels
    y: _Pixels
    w: _Side
    h: _Side


class _Answer(TypedDict):
    raw: float
    logit: float
    probability: Share


class _Place(TypedDict):
    lat: Latitude
    lon: Longitude
    alt: float | None


class _Position(_Place, total=False):
    heading_deg: Annotated[float, Between(0, 360)]
    pitch_deg: Annotated[float, Between(-360, 360)]
    roll_deg: Annotated[float, Between(-360, 360)]
    distance_m: Annotated[float, Between(0, 1e6)]


_FrameSize = Annotated[
    _Size, Holding(lambda size: size["w"] * size["h"] <= MAX_FRAME_PIXELS, f"at most {MAX_FRAME_PIXELS:,} pixels")
]


class _Line(TypedDict):
    session: Count
    time: _Moment | None


class _StartLine(_Line):
    format: str
    settings: dict[str, Any]
    environment: Any


class PositiveLine(_Line):
    frame: _Frame
    time_source: _Moment | None
    frame_size: _FrameSize
    tile: _Tile
    score: _Answer
    threshold: _Answer
    gps: _Position | None
    image: Annotated[str, Matching(rf"{TILES}/[a-z0-9._-]{{1,{MAX_NAME}}}", f"a file in {TILES}/")]
    image_sha256: Annotated[str, Matching("[0-9a-f]{64}", "a sha256")]


class _Done(_Line):
    frame: _Frame
    tiles: Count
    positives: Count
    bytes: Count | None
    dropped: Count


class FrameLine(_Done, total=False):
    frame_size: _FrameSize
    gps: _Position | None


class GapLine(_Line):
    frame: _Frame
    reason: str
    bytes: Count | None
    dropped: Count


class _End(_Line):
    reason: str
    summary: Any


class _Numbered(TypedDict):
    n: Count
    kind: str


_KINDS = {"start": _StartLine, "positive": PositiveLine, "frame": FrameLine, "gap": GapLine, "end": _End}


@dataclass(frozen=True)
class JournalContent:
    """What a journal says.

    Attributes:
        settings: of the run; the same for all its sessions.
        positives: lines of kind "positive", in order.
        frames: lines of kind "frame" by frame name: these were classified.
        gaps: lines of kind "gap" by frame name, without those that could be read later: nothing is known of these.
        sessions: how often the run was started.
        dropped: frames that live sources lost, as far as recorded.
        finished: whether the last line is of kind "end": the run was not cut short.
        torn_bytes: length of a cut-off last line, 0 when there is none.
        damage: what is wrong, in words; empty unless damaged lines were to be skipped.
        lines: number of the last line.
    """

    settings: dict[str, Any]
    positives: list[PositiveLine]
    frames: dict[str, FrameLine]
    gaps: dict[str, GapLine]
    sessions: int
    dropped: int
    finished: bool
    torn_bytes: int
    damage: tuple[str, ...]
    lines: int


def read_journal(path: str | Path, skip_damaged: bool = False) -> JournalContent:
    """Read a journal, finished, cut short or still being written.

    A cut-off last line is normal after a power cut: it is left out, and `torn_bytes` tells. Anything else that is not as it
    was written is damage. A line that fits its own hash and still says what no run writes (a latitude of 91, a tile outside
    `tiles/`) is no damage but somebody else's work: such a journal is refused whole.

    Args:
        path: the journal, or the folder it lies in.
        skip_damaged: take the lines that are whole and name the others in `damage`, instead of raising. Frames without a
            line then have to be taken for frames that were never seen.

    Raises:
        CrackError: if the file cannot be read, holds no whole line, is no journal, holds a line that no run writes, or is
            damaged and `skip_damaged` is false.

    Example:
        for positive in read_journal("flight1").positives:
            print(positive["frame"], positive["tile"], positive["gps"])
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CrackError(f"cannot read journal {path}: {error.strerror}.") from None
    return _parse(data, path, skip_damaged)


def read_tile(folder: str | Path, positive: PositiveLine) -> bytes:
    """The picture of a positive, as it was saved: a PNG file's bytes.

    Args:
        folder: that the journal lies in.
        positive: whose picture it is.

    Raises:
        ImageError: if the file is missing, lies outside the folder, or its bytes are not those that were saved.
    """
    path = Path(folder) / positive["image"]
    try:
        data = file_inside(folder, positive["image"]).read_bytes()
    except CrackError as error:
        raise ImageError(f"cannot read tile: {error}") from None
    except OSError as error:
        raise ImageError(f"cannot read tile {path}: {error.strerror}.") from None
    if sha256_bytes(data) != positive["image_sha256"]:
        raise ImageError(f"tile {path} is damaged: its sha256 is not the one in the journal.")
    return data


class Journal:
    """A run's folder, opened to add to it. One process at a time; not for use by several threads.

    Args:
        folder: created when missing. A journal in it is continued.
        settings: what decides the results, JSON values. A journal made with others is refused.
        environment: worth noting, but free to differ between sessions.

    Attributes:
        session: 1 for a new run, one more for every time it is continued.
        found: what the journal held before.

    Raises:
        CrackError: if the folder holds something else, the journal belongs to other settings, is damaged, or is in use.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any], environment: Mapping[str, Any]) -> None:
        self.folder = Path(folder)
        self.path = self.folder / FILE_NAME
        if self.folder.exists() and not self.folder.is_dir():
            raise CrackError(f"--out {self.folder} is a file, expected a folder. Choose another name.")
        require_folder(self.folder)
        if not self.path.exists() and self.folder.is_dir() and any(self.folder.iterdir()):
            raise CrackError(f"--out {self.folder} holds other files and no {FILE_NAME}. Choose another folder.")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._lock()
            (self.folder / TILES).mkdir(exist_ok=True)
            for left in (self.folder / TILES).glob(temporary_pattern("*.png")):  # half-written when a run was killed
                left.unlink()
            self.found = self._recover(dict(settings))
            self.session = 1 if self.found is None else self.found.sessions + 1
            self._recorded: dict[str, set[Box]] = {} if self.found is None else _unfinished(self.found)
            self._lines = 0 if self.found is None else self.found.lines
            self._append(
                "start",
                {"format": FORMAT, "session": self.session, "time": iso_time(time.time())}
                | {"settings": dict(settings), "environment": dict(environment)},
            )
            self._sync()
            _sync_folder(self.folder)
        except BaseException:
            os.close(self._file)
            raise
        self._tiles = os.open(self.folder / TILES, os.O_RDONLY)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)
        os.close(self._tiles)

    def check(self) -> None:
        """Make sure that what was recorded is still there. Every line does, before it is written.

        Raises:
            CrackError: if the journal or the folder of its tiles was removed, renamed or replaced.
        """
        for path, handle in ((self.path, self._file), (self.folder / TILES, self._tiles)):
            if not is_there(path, handle):
                raise CrackError(
                    f"{path} was removed or renamed while the run was writing to it: stopped. Frames that are not in a journal "
                    "have to be classified again: choose another --out."
                )

    def positive(self, frame: str, box: Box, record: Mapping[str, Any], png: bytes) -> dict[str, Any] | None:
        """Save a tile's picture and add its line.

        Args:
            frame: name of the frame.
            box: the tile's place in it.
            record: the members that the module's description lists besides session, frame, tile, image and image_sha256.
            png: the picture.

        Returns:
            The line as written, or None when an earlier session, stopped in the middle of this frame, has written it.

        Raises:
            CrackError: if the disk is full; see also `check`.
        """
        self.check()
        image = f"{TILES}/{tile_name(frame, box)}"
        earlier = box in self._recorded.get(frame, set())
        if not earlier or not (self.folder / image).exists():
            try:
                write_bytes(self.folder / image, png)
            except OSError as error:
                raise self._failed(error) from None
        if earlier:
            return None
        line = {"session": self.session, "frame": frame, "tile": box.as_json(), **record}
        return self._append("positive", line | {"image": image, "image_sha256": sha256_bytes(png)})

    def frame(self, frame: str, record: Mapping[str, Any]) -> None:
        """Say that a frame is done; `record` as described in the module. Its positives reach the disk first."""
        if record["positives"]:
            self._sync(tiles=True)
        elif time.monotonic() - self._synced >= SYNC_SECONDS:
            self._sync()
        self._append("frame", {"session": self.session, "frame": frame, **record})
        self._recorded.pop(frame, None)

    def gap(self, frame: str, record: Mapping[str, Any]) -> None:
        """Say that a frame could not be read."""
        self._append("gap", {"session": self.session, "frame": frame, **record})
        self._sync()

    def end(self, reason: str, summary: Mapping[str, Any]) -> None:
        """Say that the run ended in order."""
        record = {"session": self.session, "time": iso_time(time.time()), "reason": reason, "summary": dict(summary)}
        self._append("end", record)
        self._sync(tiles=True)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CrackError(f"another run is writing to {self.folder}. Stop it, or choose another --out.") from None

    def _recover(self, settings: dict[str, Any]) -> JournalContent | None:
        """Read what is there, cut a torn last line, compare the settings. None for a new journal."""
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        found = None
        if data and not whole and not (data.startswith(_FIRST) or _FIRST.startswith(data)):
            raise CrackError(
                f"{self.path} is not a journal of tflite.device run, so it is left alone. Choose another --out."
            )
        if whole:
            try:
                found = _parse(data[:whole], self.path, skip_damaged=False)
            except CrackError as error:
                raise CrackError(f"{error} To go on flying, choose another --out.") from None
            changed = [
                f"{name} was {found.settings.get(name)!r}, now {settings.get(name)!r}"
                for name in sorted({*found.settings, *settings} - ({*_LATER} - {*found.settings}))
                if found.settings.get(name) != settings.get(name)
            ]
            if changed:
                raise CrackError(
                    f"--out {self.folder} belongs to a run with other settings ({'; '.join(changed)}). "
                    "Choose another --out, or give the same settings to continue that run."
                )
        if whole < len(data):
            os.ftruncate(self._file, whole)
        self._size = whole
        return found

    def _append(self, kind: str, record: Mapping[str, Any]) -> dict[str, Any]:
        if kind != "start":
            self.check()
        line: dict[str, Any] = {"n": self._lines + 1, "kind": kind, **record}
        data = encode_line(line)
        try:
            written = os.write(self._file, data)
            if written != len(data):  # the disk filled up within the line
                os.ftruncate(self._file, self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._failed(error) from None
        self._size += written
        self._lines += 1
        return line

    def _sync(self, tiles: bool = False) -> None:
        try:
            if tiles:
                _sync_folder(self.folder / TILES)
            os.fsync(self._file)
        except OSError as error:
            raise self._failed(error) from None
        self._synced = time.monotonic()

    def _failed(self, error: OSError) -> CrackError:
        cause = "the disk is full" if error.errno in _FULL else f"writing failed ({error.strerror})"
        return CrackError(
            f"{cause}: stopped. {self.path} is whole up to here. Make room and run the same command again to continue."
        )


def encode_line(record: Mapping[str, Any]) -> bytes:
    """One line of the journal with its hash and line end. NaN and infinity are refused: they are not JSON."""
    return seal_line(record)


def decode_line(line: bytes) -> dict[str, Any]:
    """The record of one line, without its hash.

    Args:
        line: without the line end.

    Raises:
        CheckError: a ValueError, if it fits its own hash and still is no line that `encode_line` could have made.
        ValueError: if it is not as it was written.
    """
    body = unseal_line(line)
    try:
        record = parse_json(body)
    except (ValueError, RecursionError) as error:
        raise CheckError(f"is no JSON object ({error})") from None
    checked(_Numbered, record)
    return dict(record)


def iso_time(seconds: float) -> str:
    """Seconds since 1970 as UTC, ISO 8601 with milliseconds: "2025-06-01T12:00:00.250Z"."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{thousandths:03d}Z"


def tile_name(frame: str, box: Box) -> str:
    """File name of a tile's picture: readable, and its own for every frame name."""
    digest = sha256_bytes(frame.encode("utf-8", "surrogatepass"))[:8]
    readable = slug(Path(frame).stem)[:40].strip(".-") or "frame"
    return f"{readable}-{digest}-x{box.x}-y{box.y}.png"


@dataclass
class _Reading:
    """State of `_parse`."""

    starts: list[_StartLine] = field(default_factory=list)
    positives: list[PositiveLine] = field(default_factory=list)
    frames: dict[str, FrameLine] = field(default_factory=dict)
    gaps: dict[str, GapLine] = field(default_factory=dict)
    dropped: int = 0
    last: str = ""

    def take(self, record: Any) -> None:
        kind = self.last = record["kind"]
        if kind in ("frame", "gap"):
            self.dropped += record["dropped"]
        if kind == "start":
            self.starts.append(record)
        elif kind == "positive":
            self.positives.append(record)
        elif kind == "frame":
            self.frames[record["frame"]] = record
            self.gaps.pop(record["frame"], None)
        elif kind == "gap":
            self.gaps[record["frame"]] = record


def _parse(data: bytes, path: Path, skip_damaged: bool) -> JournalContent:
    *lines, torn = data.split(b"\n")
    reading, damage, expected, broken = _Reading(), [], 1, 0
    for number, line in enumerate(lines, 1):
        try:
            record = decode_line(line)
            checked(_KINDS.get(record["kind"], _Numbered), record)
            if record["n"] < expected:
                raise ValueError(f"is number {record['n']} once more")
        except CheckError as error:
            raise CrackError(
                f"{path}, line {number}: {error}. No run of tflite.device writes that, and the line fits its own hash, so it "
                "was not damaged on the way. Nothing of this journal is used: copy it from the device again."
            ) from None
        except ValueError as error:
            damage.append(f"line {number} {error}")
            broken += 1
            continue
        if record["n"] > expected + broken:
            damage.append(f"numbers {expected} to {record['n'] - 1} are missing before line {number}")
        expected, broken = record["n"] + 1, 0
        reading.take(record)
    if not reading.starts:
        raise CrackError(f"{path} is not a journal of tflite.device run, or nothing whole is left of it.")
    if any(start["format"] != FORMAT for start in reading.starts):
        raise CrackError(f"{path} has format {reading.starts[0]['format']!r}, expected {FORMAT!r}: use that version.")
    if damage and not skip_damaged:
        raise CrackError(
            f"journal {path} is damaged: {'; '.join(damage[:3])}{' ...' if len(damage) > 3 else ''}. "
            "read_journal(path, skip_damaged=True) gives what is left."
        )
    return JournalContent(
        settings=reading.starts[0]["settings"],
        positives=reading.positives,
        frames=reading.frames,
        gaps=reading.gaps,
        sessions=reading.starts[-1]["session"],
        dropped=reading.dropped,
        finished=reading.last == "end" and not torn,
        torn_bytes=len(torn),
        damage=tuple(damage),
        lines=expected - 1,
    )


def _unfinished(content: JournalContent) -> dict[str, set[Box]]:
    """Tiles already recorded of frames that were not done."""
    boxes: dict[str, set[Box]] = {}
    for record in content.positives:
        if record["frame"] not in content.frames:
            tile = record["tile"]
            boxes.setdefault(record["frame"], set()).add(Box(tile["y"], tile["x"], tile["h"], tile["w"]))
    return boxes


def _sync_folder(folder: Path) -> None:
    """Force a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
