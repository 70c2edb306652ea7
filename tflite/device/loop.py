"""The loop of `python -m tflite.device run`: frame -> tiles -> decisions -> journal."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image

from tflite.device.frames import Frame, Progress, Source
from tflite.device.gps import Gps
from tflite.device.hook import Action
from tflite.device.journal import Journal, iso_time
from tflite.device.tiles import Box, refuse_small, tile_boxes
from tflite.errors import ImageError
from tflite.images import Picture, resize_rgb
from tflite.measure import peak_rss_mb
from tflite.metrics import sigmoid
from tflite.place.missing import why_not_journalled
from tflite.runtime import Classifier
from tflite.transparency import boxes_with_pixels
from tflite.words import counted

STAGES = ("read", "resize", "inference", "record", "frame")
_TIMES_KEPT = 10_000  # frames that the percentiles are taken over, the newest
_STATUS_SECONDS = 10.0


@dataclass
class Unplaced:
    """Positives without a position.

    Attributes:
        reasons: how many for each reason.
        moments: the earliest and the latest at which they were taken, as far as known; seconds since 1970 UTC.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    moments: tuple[float, ...] = ()

    def add(self, reason: str, moment: float | None) -> None:
        self.reasons[reason] += 1
        if moment is not None:
            known = (*self.moments, moment)
            self.moments = (min(known), max(known))


@dataclass
class Tally:
    """What a session did.

    Attributes:
        counts: "classified", "unreadable", "tiles", "positives", "positives kept" (recorded by an earlier session that was
            stopped within a frame), "placed" (positives with a position).
        unplaced: positives without a position.
        times: milliseconds per frame and stage: read (file, waiting excluded, and decoding), resize (all its tiles),
            inference (all its tiles), record (pictures, journal, starting hooks), frame (all of these).
    """

    counts: Counter[str] = field(default_factory=Counter)
    times: dict[str, deque[float]] = field(
        default_factory=lambda: {stage: deque(maxlen=_TIMES_KEPT) for stage in STAGES}
    )
    unplaced: Unplaced = field(default_factory=Unplaced)

    def summary(self, seconds: float, source: Source, actions: dict[str, Action]) -> dict[str, Any]:
        """The session in numbers, as the journal keeps it; times in ms, memory in MB of 1e6 bytes.

        Args:
            seconds: that the frames took, without waiting for the last hooks.
            source: what the frames came from.
            actions: what was done at positives.
        """
        handled = self.counts["classified"] + self.counts["unreadable"]
        stages = {
            stage: {f"p{share}": round(float(np.percentile(times, share)), 3) for share in (50, 95)} if times else None
            for stage, times in self.times.items()
        }
        return {
            "seen": handled + source.dropped,
            "classified": self.counts["classified"],
            "unreadable": self.counts["unreadable"],
            "dropped": source.dropped,
            "left_out": source.skipped,
            "done_before": source.resumed,
            "tiles": self.counts["tiles"],
            "positives": self.counts["positives"],
            "positives_with_position": self.counts["placed"],
            "seconds": round(seconds, 3),
            "frames_per_second": round(handled / seconds, 3),
            "stages_ms": stages,
            "peak_memory_mb": round(peak_rss_mb(), 1),
            "actions": {name: dict(action.counts) for name, action in actions.items()},
        }


class Loop:
    """Classifies frames one after the other and records what it finds.

    Args:
        classifier: the model.
        journal: opened for this run.
        gps: where frames were taken.
        actions: what to do at a positive, by name.
        side, overlap: of the tiles, see `tflite.device.tiles`.
        stop: ends the work after the tile in progress.
    """

    def __init__(
        self,
        classifier: Classifier,
        journal: Journal,
        gps: Gps,
        actions: dict[str, Action],
        side: int,
        overlap: float,
        stop: threading.Event,
    ) -> None:
        self.tally = Tally()
        self._classifier, self._journal, self._gps, self._actions = classifier, journal, gps, actions
        self._side, self._overlap, self._stop = side, overlap, stop
        sidecar = classifier.sidecar
        limit = sidecar.threshold
        self._constant = {
            "threshold": {"raw": limit.raw, "logit": limit.logit, "probability": limit.probability},
            "model_sha256": sidecar.sha256,
        }

    def work(self, source: Source, progress: Progress) -> None:
        """Take a source's frames until there are no more, or the run is stopped.

        Args:
            source: of the frames.
            progress: what an earlier session has done, and what stops this one.

        Raises:
            CrackError: if the source fails, or the record cannot be written.
        """
        told = time.monotonic()
        frames = source.frames(progress)
        while True:
            began = time.perf_counter()
            frame = next(frames, None)
            # A live source's time is waiting, not reading.
            read_ms = _since(began) if frame is not None and frame.size is not None else 0.0
            if frame is None or progress.stop.is_set():
                return
            self.take(frame, read_ms)
            if time.monotonic() - told >= _STATUS_SECONDS:
                told = time.monotonic()
                counts = self.tally.counts
                done = f"{counted(counts['classified'], 'frame')}, {counted(counts['positives'], 'positive')}"
                print(f"{done}, {counts['unreadable']} unreadable, {source.dropped} dropped", file=sys.stderr)

    def take(self, frame: Frame, read_ms: float) -> None:
        """Classify one frame and record it; a frame that cannot be read is recorded as a gap.

        Args:
            frame: the frame.
            read_ms: what reading its file took so far.

        Raises:
            CrackError: if the record cannot be written.
        """
        started = time.perf_counter()
        told = {"time": None if frame.time is None else iso_time(frame.time), "time_source": frame.time_source}
        file = {} if frame.file is None else {"file": frame.file.as_json()}
        size = {"bytes": frame.size, "dropped": frame.dropped, **file}
        try:
            picture = frame.load()
            height, width = picture.pixels.shape[:2]
            refuse_small(frame.name, (height, width))
            boxes = self._boxes(frame, picture)
        except ImageError as error:
            self._journal.gap(frame.name, {**told, "reason": str(error), **size})
            self.tally.counts["unreadable"] += 1
            print(f"warning: {error} Recorded as a gap.", file=sys.stderr)
            return
        spent = {"read": read_ms + _since(started), "resize": 0.0, "inference": 0.0, "record": 0.0}
        sized = {**told, "frame_size": {"w": width, "h": height}}
        tiles, positives = self._classify(frame, picture.pixels, boxes, sized, spent)
        if tiles is None:
            return
        began = time.perf_counter()
        gps = self._gps.at(frame.time, frame.fix, frame.name, frame.local)
        place = {} if gps is None else {"gps": gps.as_json()}  # of what was seen without a crack, too
        self._journal.frame(frame.name, {**sized, "tiles": tiles, "positives": positives, **size, **place})
        spent["record"] += _since(began)
        self.tally.counts.update({"classified": 1, "tiles": tiles, "positives": positives})
        for stage, milliseconds in {**spent, "frame": sum(spent.values())}.items():
            self.tally.times[stage].append(milliseconds)

    def _boxes(self, frame: Frame, picture: Picture) -> Sequence[Box]:
        """Where to look: everywhere but where the picture is transparent."""
        height, width = picture.pixels.shape[:2]
        return boxes_with_pixels(tile_boxes(width, height, self._side, self._overlap), picture.opaque, frame.name)

    def _classify(
        self, frame: Frame, image: np.ndarray, boxes: Sequence[Box], told: Mapping[str, object], spent: dict[str, float]
    ) -> tuple[int | None, int]:
        """Number of tiles, or None when the run was stopped among them, and of positives."""
        positives = 0
        for box in boxes:
            if self._stop.is_set():
                return None, positives
            times = [time.perf_counter()]
            pixels = image[box.y : box.y + box.h, box.x : box.x + box.w]
            tile = resize_rgb(pixels, self._classifier.image_size)
            times.append(time.perf_counter())
            raw = self._classifier.raw(tile)
            times.append(time.perf_counter())
            if self._classifier.decide(raw):
                positives += 1
                self._record(frame, box, pixels, raw, told)
            times.append(time.perf_counter())
            for number, stage in enumerate(("resize", "inference", "record")):
                spent[stage] += (times[number + 1] - times[number]) * 1000
        return len(boxes), positives

    def _record(self, frame: Frame, box: Box, pixels: np.ndarray, raw: float, told: Mapping[str, object]) -> None:
        logit = self._classifier.to_logit(raw)
        gps = self._gps.at(frame.time, frame.fix, frame.name, frame.local)
        record = {
            **told,
            "score": {"raw": raw, "logit": logit, "probability": float(sigmoid(logit))},
            **self._constant,
            "gps": None if gps is None else gps.as_json(),
        }
        self._count_place(frame, gps is not None)
        line = self._journal.positive(frame.name, box, record, _png(pixels))
        if line is not None:  # an action for a tile of an earlier session was started then
            for action in self._actions.values():
                action.fire({**line, "folder": str(self._journal.folder.resolve())})

    def _count_place(self, frame: Frame, placed: bool) -> None:
        if placed:
            self.tally.counts["placed"] += 1
        else:
            reason = why_not_journalled(frame.time, frame.time_source, self._gps.asked, self._gps.span)
            self.tally.unplaced.add(reason, frame.time)


def _png(pixels: np.ndarray) -> bytes:
    """Lossless, so that the saved tile gives the same score again; light compression, the disk is not the limit."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _since(started: float) -> float:
    """Milliseconds since a `time.perf_counter()`."""
    return (time.perf_counter() - started) * 1000
