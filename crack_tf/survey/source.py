"""Where photographs come from: a folder, a video, or the journal that a device brought back.

Each source gives items; an item is read by whoever handles it, so that reading happens beside other work. Only a video is read
in its order. What cannot be read is a gap.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from crack_tf.survey.findings import Gap, PhotoName
from crack_tf.survey.geometry.camera import Locator, Shot
from tflite.checked import CheckError, checked
from tflite.device.journal import FILE_NAME as JOURNAL
from tflite.device.journal import JournalContent, PositiveLine, read_journal, read_tile
from tflite.device.opencv import quiet_videos
from tflite.device.tiles import Box, refuse_small
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes, sha256_file
from tflite.images import SUFFIXES, decode_picture, decode_rgb, header_pixels
from tflite.outputs import refuse_inside
from tflite.photographs import list_photographs, text_of
from tflite.place.clock import parse_time
from tflite.place.fix import Fix, real_altitude, real_place
from tflite.place.srt import SrtTrack
from tflite.place.video import VIDEO_SUFFIXES, FrameTimes, VideoTrack, find_start, find_subtitles, read_subtitles
from tflite.sameness import FileState, is_other, read_file, sampled_state
from tflite.words import counted, storable, without_name

UNREADABLE, MISSING, DAMAGED_RECORD = "unreadable", "missing", "damaged record"
_UNKNOWN_GREY = 128  # of what a journal did not keep


@dataclass(frozen=True)
class Frame:
    """A photograph that was read.

    Attributes:
        sha256: of the file; of the pixels where there is none.
        image: uint8 (height, width, 3), upright.
        shot: what is known about the exposure.
        boxes: tiles to look at; None for all.
        tiles: that were classified before, on the device; None where none were.
        file: what it was read from, where that is no file of its own; it is known again by this.
        opaque: bool (height, width), which pixels are there; None where all are. The others are no concrete.
    """

    sha256: str
    image: np.ndarray
    shot: Shot
    boxes: tuple[Box, ...] | None = None
    tiles: int | None = None
    file: FileState | None = None
    opaque: np.ndarray | None = None


@dataclass(frozen=True)
class Item:
    """A photograph that may be read.

    Attributes:
        name: as in `crack_tf.survey.findings`.
        bytes: of its file: a file of another size is another photograph.
        pixels: it will have, 0 where that is not known.
        read: reads it; raises `ImageError`, and `FileNotFoundError` where the file is gone.
    """

    name: str
    bytes: int
    pixels: int
    read: Callable[[], Frame]


Known = Callable[[str], FileState | None]


def nothing_known(name: str) -> FileState | None:
    """For `Source.items`: no photograph was searched before."""
    return None


class Source(Protocol):
    """Where photographs come from.

    Attributes:
        name: for reports and settings.
        kind: "folder", "video" or "journal".
        count: of items, as far as known before they are read.
        gaps: that are known without reading; complete when all items were taken.
        warnings: for a person.
    """

    name: str
    kind: str
    count: int
    gaps: list[Gap]
    warnings: list[str]

    def samples(self, most: int) -> list[Path]:
        """Up to so many of its photographs' files, spread over them; none where photographs are no files with data of their own."""
        ...

    def items(self, wanted: Callable[[str, int], bool], known: Known = nothing_known) -> Iterator[Item]:
        """All items in order, but for those of which `wanted(name, bytes)` is false and whose file is still the one that is
        `known(name)`."""
        ...


def open_source(
    path: Path,
    out: Path,
    locator: Locator,
    every_s: float,
    start: datetime | None,
    subtitles: SrtTrack | None = None,
) -> Source:
    """The source that a path stands for.

    Args:
        path: a folder of photographs, one photograph, a video, or a journal or its folder.
        out: where the survey is written; photographs must not lie around it.
        locator: finds out about exposures.
        every_s: seconds between two frames taken from a video.
        start: of a video's first frame, with a time zone; or None.
        subtitles: that the drone wrote for a video; None for those beside it.

    Raises:
        CrackError: if there is nothing to survey.
    """
    if not path.exists():
        raise CrackError(f"{path} does not exist. Give a folder of photographs, a video or a device's journal.")
    if path.name == JOURNAL or (path / JOURNAL).is_file():
        return JournalSource(path if path.is_dir() else path.parent, locator)
    if is_video(path):
        return VideoSource(path, locator, every_s, start, subtitles)
    return FolderSource(path, out, locator)


class FolderSource:
    """Photographs below a folder in order of their names, or a single one. See `Source`."""

    kind = "folder"

    def __init__(self, path: Path, out: Path, locator: Locator) -> None:
        self.name = text_of(Path(path.resolve().name))
        self.gaps: list[Gap] = []
        self.warnings: list[str] = []
        self._locator = locator
        self._folder = path if path.is_dir() else path.parent
        if path.is_file():
            self._paths = [path]
        else:
            listing = list_photographs(path)
            refuse_inside(out, path, "pictures")
            self._paths = list(listing.photographs)
            for trouble in listing.troubles:
                name = text_of(trouble.path.relative_to(path))
                self.gaps.append(Gap(name, UNREADABLE, without_name(f"{trouble.reason}.", name)))
            if listing.others:
                self.warnings.append(
                    f"{counted(len(listing.others), 'file')} in {self.name} passed over, no photographs by name and content, "
                    f"the first {text_of(listing.others[0].relative_to(path))}."
                )
            if listing.results:
                self.warnings.append(
                    f"{counted(len(listing.results), 'folder')} in {self.name} with results of an earlier run passed over, the first "
                    f"{text_of(listing.results[0].relative_to(path))}: its pictures are no photographs."
                )
            if (drawn := listing.drawn_note(path)) is not None:
                self.warnings.append(f"{drawn}.")
            if not self._paths and not self.gaps:
                raise CrackError(
                    f"no photograph in {path}: files ending in {', '.join(sorted(SUFFIXES))} are looked for."
                    + listing.results_note(path)
                )
        self.count = len(self._paths)

    def samples(self, most: int) -> list[Path]:
        """See `Source.samples`."""
        return self._paths[:: -(-len(self._paths) // most)] if self._paths else []

    def items(self, wanted: Callable[[str, int], bool], known: Known = nothing_known) -> Iterator[Item]:
        """See `Source.items`."""
        for path in self._paths:
            name = text_of(path.relative_to(self._folder))
            try:
                size = path.stat().st_size
            except OSError:  # gone meanwhile, which reading says
                size = -1
            # A file that is gone is not another one: what was found on it stays.
            if wanted(name, size) or (size >= 0 and is_other(path, known(name))):
                yield Item(name, size, header_pixels(path), partial(self._read, path, name))

    def _read(self, path: Path, name: str) -> Frame:
        try:
            data, file = read_file(path)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ImageError(f"{name} cannot be read: {error.strerror}.") from None
        picture = decode_picture(data, name)
        height, width = picture.pixels.shape[:2]
        refuse_small(name, (height, width))
        shot = self._locator.of_file(data, width, height, name)
        return Frame(file.sha256, picture.pixels, shot, opaque=picture.opaque)


def is_video(path: Path) -> bool:
    """Whether a path is a video, by its name."""
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


class VideoSource:
    """Frames of a video, `every_s` seconds apart, through OpenCV. See `Source`.

    Each is dated by the time at which it is shown, and placed by the drone's subtitles where there are any.
    """

    kind = "video"

    def __init__(
        self, path: Path, locator: Locator, every_s: float, start: datetime | None, subtitles: SrtTrack | None = None
    ) -> None:
        capture = _open_video(path)
        self._rate = float(capture.get(_cv2().CAP_PROP_FPS)) or 30.0
        self._frames = max(0, int(capture.get(_cv2().CAP_PROP_FRAME_COUNT)))
        capture.release()
        self._every = every_s
        self.name = text_of(Path(path.name))
        self.count = -(-self._frames // max(1, round(every_s * self._rate)))
        self.gaps: list[Gap] = []
        self.warnings: list[str] = []
        self._path, self._locator = path, locator
        track = self._subtitles(path) if subtitles is None else subtitles
        self._track = None if track is None else VideoTrack(track)
        begun = find_start(path, locator.clock, None if start is None else start.timestamp(), track)
        self._start = begun.seconds
        warning = begun.warning(self.name)
        if warning is not None and not (begun.seconds is None and self._track):
            self.warnings.append(warning)
        self._file = sampled_state(path)

    def samples(self, most: int) -> list[Path]:
        """See `Source.samples`."""
        return []

    def items(self, wanted: Callable[[str, int], bool], known: Known = nothing_known) -> Iterator[Item]:
        """See `Source.items`."""
        capture = _open_video(self._path)
        position = _cv2().CAP_PROP_POS_MSEC
        times, number, due = FrameTimes(self._rate), 0, 0.0
        try:
            while capture.grab():
                shown = times.take(float(capture.get(position)))
                if shown >= due:
                    # Half a frame early, so that a steady rate gives every n-th frame.
                    due = shown + self._every - 0.5 / self._rate
                    name = f"{self.name}#{number:06d}"
                    if wanted(name, self._file.bytes) or is_other(self._path, known(name), self._file):
                        read, image = capture.retrieve()
                        # A copy of its own: OpenCV writes the next frame into the same memory.
                        pixels = np.ascontiguousarray(image[..., ::-1]) if read else None
                        yield Item(name, self._file.bytes, 0, partial(self._frame, pixels, shown, name))
                number += 1
        finally:
            capture.release()
        if number < self._frames - 1:  # containers may count one frame too many
            self.gaps.append(
                Gap(
                    f"{self.name}#{number:06d}",
                    UNREADABLE,
                    f"the video ends or is damaged at frame {number} of {self._frames}: nothing is known of the rest.",
                )
            )

    def _frame(self, image: np.ndarray | None, shown: float, name: str) -> Frame:
        if image is None:
            raise ImageError(f"{name} cannot be decoded.")
        seconds = None if self._start is None else self._start + shown
        height, width = image.shape[:2]
        shot = self._locator.of_moment(seconds, self._track.at(shown) if self._track else None, width, height)
        return Frame(sha256_bytes(image.tobytes()), image, shot, file=self._file)

    def _subtitles(self, path: Path) -> SrtTrack | None:
        """The drone's subtitles beside the video."""
        beside = find_subtitles(path)
        track = None if beside is None else read_subtitles(beside)
        if beside is not None and track is not None:
            name = text_of(Path(beside.name))
            placed = sum(block.place is not None for block in track.blocks)
            told = f"{name} beside the video was read: {placed:,} of its {len(track.blocks):,} blocks have a position"
            left_out = track.content.left_out()
            self.warnings.append(f"{told}. Left out: {left_out}" if left_out else f"{told}.")
        return track


class JournalSource:
    """The journal of `tflite.device run`: of frames with a crack only the positive tiles are left. See `Source`.

    A frame is put together from its tiles; the rest of it is unknown and not searched. Frames without a positive count as
    searched, as the device did; its gaps, lost frames and damaged lines are gaps.
    """

    kind = "journal"

    def __init__(self, folder: Path, locator: Locator) -> None:
        self.name = text_of(Path(folder.resolve().name))
        self._folder, self._locator = folder, locator
        content = read_journal(folder, skip_damaged=True)
        for name in (*content.frames, *content.gaps, *(positive["frame"] for positive in content.positives)):
            _check_name(name, folder)
        self.gaps = [
            Gap(storable(name), UNREADABLE, storable(without_name(gap["reason"], name)), time=gap["time"])
            for name, gap in content.gaps.items()
        ]
        self.gaps += [Gap(JOURNAL, DAMAGED_RECORD, damage) for damage in content.damage]
        self.warnings: list[str] = []
        if content.dropped:
            self.gaps.append(
                Gap(JOURNAL, MISSING, f"the device lost {counted(content.dropped, 'frame')} of its camera.")
            )
        if not content.finished:
            self.warnings.append("the journal was cut short: nothing is known of frames after its last one.")
        self._frames = _frames_of(content)
        self.gaps += [
            Gap(storable(name), MISSING, "the device was stopped in the middle of this frame.")
            for name in self._frames
            if name not in content.frames
        ]
        self.count = len(self._frames)

    def samples(self, most: int) -> list[Path]:
        """See `Source.samples`."""
        return []

    def items(self, wanted: Callable[[str, int], bool], known: Known = nothing_known) -> Iterator[Item]:
        """See `Source.items`."""
        for frame, noted in self._frames.items():
            name, size = storable(frame), len(noted.positives)
            before = known(name)
            if wanted(name, size) or (before is not None and before.sha256 != noted.state.sha256):
                # A frame without positives is not put together.
                yield Item(name, size, noted.width * noted.height if size else 0, partial(self._read, frame, noted))

    def _read(self, frame: str, noted: _Noted) -> Frame:
        width, height, fix = noted.width, noted.height, noted.fix
        boxes, hashes = [], []
        if noted.positives:
            image = np.full((height, width, 3), _UNKNOWN_GREY, np.uint8)
        else:  # nothing to look at: not worth the memory of a photograph
            image = np.broadcast_to(np.uint8(_UNKNOWN_GREY), (height, width, 3))
        for positive in noted.positives:
            tile = positive["tile"]
            box = Box(tile["y"], tile["x"], tile["h"], tile["w"])
            pixels = decode_rgb(read_tile(self._folder, positive), positive["image"])
            if pixels.shape[:2] != (box.h, box.w) or box.y + box.h > height or box.x + box.w > width:
                raise ImageError(f"tile {positive['image']} does not fit its place in frame {storable(frame)}.")
            image[box.y : box.y + box.h, box.x : box.x + box.w] = pixels
            boxes.append(box)
            hashes.append(positive["image_sha256"])
            fix = _journalled(positive["gps"]) or fix
        shot = self._locator.of_moment(noted.moment, fix, width, height)
        return Frame(sha256_bytes("\n".join(hashes).encode()), image, shot, tuple(boxes), noted.tiles, noted.state)


@dataclass(frozen=True)
class _Noted:
    """What a journal says of a frame.

    Attributes:
        width, height: in pixels; 1 of one that was all clean, where the journal does not say.
        tiles: looked at on the device.
        moment: seconds since 1970, or None.
        fix: where it was taken, or None.
        positives: its lines of that kind.
        state: all that is said, as if it were a file.
    """

    width: int
    height: int
    tiles: int
    moment: float | None
    fix: Fix | None
    positives: Sequence[PositiveLine]
    state: FileState


def _frames_of(content: JournalContent) -> dict[str, _Noted]:
    """Frames that are done, then those that the device was stopped in the middle of."""
    positives: dict[str, list[PositiveLine]] = {}
    for positive in content.positives:
        positives.setdefault(positive["frame"], []).append(positive)
    found = {}
    for name in dict.fromkeys((*content.frames, *positives)):
        own = positives.get(name, [])
        known = {"frame_size": own[0]["frame_size"]} if own else {}
        done = content.frames.get(name)
        line: Any = {**own[0], "tiles": len(own)} if done is None else {**known, **done}
        size, state = line.get("frame_size") or {"w": 1, "h": 1}, sha256_bytes(json.dumps([line, own]).encode())
        moment, fix = _seconds(line["time"]), _journalled(line.get("gps"))
        found[name] = _Noted(size["w"], size["h"], int(line["tiles"]), moment, fix, own, FileState(len(own), state))
    return found


def file_hash(path: Path | None) -> str | None:
    """sha256 of a file that the user named, or None for none.

    Raises:
        CrackError: if it cannot be read.
    """
    try:
        return None if path is None else sha256_file(path)
    except OSError as error:
        raise CrackError(f"{path} cannot be read: {error.strerror}.") from None


def _check_name(name: str, folder: Path) -> None:
    """Raise for a frame of a journal that is named as no photograph below a folder can be."""
    try:
        checked(PhotoName, name)
    except CheckError as error:
        raise CrackError(
            f"{folder / JOURNAL}: the name of a frame {error.problem}. Nothing of this journal is used."
        ) from None


def _seconds(text: Any) -> float | None:
    """Seconds since 1970 of a journal's time."""
    try:
        moment = parse_time(text)
    except (TypeError, ValueError):  # null, or damage
        return None
    return None if moment.tzinfo is None else moment.timestamp()


def _journalled(gps: Any) -> Fix | None:
    """The position that a device wrote; None where it is none, such as the 0, 0 that earlier versions let pass."""
    if not isinstance(gps, dict):
        return None
    place = real_place(gps.get("lat"), gps.get("lon"))
    if place is None:
        return None
    return Fix(
        *place,
        alt=real_altitude(gps.get("alt")),
        heading_deg=gps.get("heading_deg"),
        pitch_deg=gps.get("pitch_deg"),
        roll_deg=gps.get("roll_deg"),
        distance_m=gps.get("distance_m"),
    )


def _open_video(path: Path) -> Any:
    quiet_videos()
    capture = _cv2().VideoCapture(str(path))
    if not capture.isOpened():
        raise CrackError(
            f"{path} is no video that OpenCV can read here. Convert it to MP4 (H.264), or give its frames."
        )
    return capture


def _cv2() -> Any:
    import cv2

    return cv2
