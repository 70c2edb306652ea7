"""The survey itself: several photographs at a time are read, searched, validated and recorded; then everything is put together.

Each photograph is handled by one thread from its file to its record, while pools of threads run the two models. So decoding,
inference and measuring of different photographs overlap. At most as many photographs as there are threads are in memory.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.foreground import Prompt
from crack_tf.photo.grabcut import GrabCut
from crack_tf.photo.gsd import MIN_PIXELS, needed_mm_per_pixel
from crack_tf.segmentation.photos import SegmenterPool, segment
from crack_tf.survey.camera import Shot
from crack_tf.survey.findings import Finding, Gap, PhotoRecord, Survey, finding_id, write_survey
from crack_tf.survey.geojson import write_tables
from crack_tf.survey.merge import find_points, merge_findings
from crack_tf.survey.pictures import draw_finding
from crack_tf.survey.severity import severity
from crack_tf.survey.source import MISSING, NO_POSITION, UNREADABLE, Frame, Item, Source
from crack_tf.survey.store import OVERLAYS, PERFORMANCE, PICTURES, Store
from crack_tf.survey.validate import Candidate, find_candidates, worth_a_look
from crack_tf.tiled import PhotoClassifier
from tflite.device.journal import iso_time
from tflite.errors import ImageError
from tflite.files import write_json
from tflite.measure import peak_rss_mb
from tflite.segmenter import Segmenter

FINE_CRACK_MM = 0.3  # what many structures are inspected for, see `crack_tf.photo.gsd`
_CUTS = 2  # of GrabCut; more of its five move the edge by a few pixels, and take most of the survey's time
STAGES = ("decode", "classify", "foreground", "segment", "measure", "points", "write")


class Stopwatch:
    """How long threads spent in each stage; for several threads."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()
        self._started = time.monotonic()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count a block's time to a stage."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.add(name, time.monotonic() - started)

    def add(self, name: str, seconds: float) -> None:
        """Count seconds to a stage; negative ones take them from it."""
        with self._lock:
            self.seconds[name] += seconds

    def report(self, photos: int, megapixels: float, jobs: int) -> dict[str, Any]:
        """What `performance.json` holds. Shares are of all threads' time in any stage, waiting included."""
        elapsed = time.monotonic() - self._started
        total = sum(self.seconds.values()) or 1.0
        return {
            "photos": photos,
            "seconds": round(elapsed, 2),
            "photos_per_minute": round(60 * photos / elapsed, 2),
            "megapixels_per_second": round(megapixels / elapsed, 3),
            "jobs": jobs,
            "stages": {
                name: {"seconds": round(spent, 2), "share": round(spent / total, 4)}
                for name, spent in self.seconds.items()
            },
        }


@dataclass
class Run:
    """A survey in progress.

    Attributes:
        source: of the photographs.
        store: the survey's folder.
        classifier: looks at every tile.
        segmenter: gives the second opinion, or None.
        foreground: whether to leave out what is not concrete.
        jobs: photographs at a time.
        position_error_m: of a photograph's position.
        tell: called with a line for every photograph.
    """

    source: Source
    store: Store
    classifier: PhotoClassifier
    segmenter: Segmenter | None
    foreground: bool
    jobs: int
    position_error_m: float
    tell: Callable[[str], None]

    def __post_init__(self) -> None:
        self.watch = Stopwatch()
        self._pool: SegmenterPool | None = None
        self._names: set[str] = set()

    def work(self) -> tuple[int, int]:
        """Search all photographs that were not searched before.

        Returns:
            How many were handled now, and how many before.
        """
        handled, pixels = 0, 0
        with ExitStack() as stack:
            if self.segmenter is not None:
                self._pool = stack.enter_context(SegmenterPool(self.segmenter, self.jobs))
            for line, size in self._results():
                handled, pixels = handled + 1, pixels + size
                self.tell(line)
        self._performance = self.watch.report(handled, pixels / 1e6, self.jobs)
        return handled, len(self._names) - handled

    def finish(self, models: dict[str, dict[str, Any]], settings: dict[str, Any]) -> tuple[Survey, dict[str, Any]]:
        """Merge and write everything.

        Returns:
            The survey, and how fast it was.
        """
        from crack_tf.survey.page import write_page

        started = time.monotonic()
        survey = self._assembled(models, settings)
        self._performance["merge_seconds"] = round(time.monotonic() - started, 2)
        out = self.store.folder
        write_tables(out, survey)
        write_survey(out, survey)
        write_page(out, survey)
        self._performance["peak_memory_mb"] = round(peak_rss_mb())
        write_json(out / PERFORMANCE, self._performance)
        return survey, self._performance

    def _results(self) -> Iterator[tuple[str, int]]:
        """What `_handle` gives for every wanted photograph, in order, several being worked on."""
        drivers = ThreadPoolExecutor(self.jobs, thread_name_prefix="photographs")
        waiting: deque[Future[tuple[str, int]]] = deque()
        try:
            for item in self.source.items(self._is_wanted):
                waiting.append(drivers.submit(self._handle, item))
                # Frames of a video wait in memory, so no more than can be worked on soon are read ahead.
                if len(waiting) > self.jobs:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:
            self.classifier.stop()
            raise
        finally:
            drivers.shutdown(cancel_futures=True)

    def _is_wanted(self, name: str, size: int) -> bool:
        self._names.add(name)
        return not self.store.is_done(name, size)

    def _handle(self, item: Item) -> tuple[str, int]:
        """One photograph from its file to its record; a line about it, and its pixels."""
        try:
            with self.classifier.room(item.pixels):
                with self.watch.stage("decode"):
                    frame = item.read()
                photo, findings = self._search(item, frame)
        except FileNotFoundError:
            return self._gap(item, MISSING, "the file was there when the survey started, and is gone"), 0
        except ImageError as error:
            return self._gap(item, UNREADABLE, str(error)), 0
        what = f"{len(findings)} findings" if findings else "nothing found"
        return f"{what:<16} {photo.positives:>4}/{photo.tiles} tiles  {item.name}", photo.width * photo.height

    def _gap(self, item: Item, reason: str, detail: str) -> str:
        self.store.add_gap(item.bytes, Gap(item.name, reason, detail))
        return f"NOT READ  {item.name}: {detail}"

    def _search(self, item: Item, frame: Frame) -> tuple[PhotoRecord, list[Finding]]:
        image, shot = frame.image, frame.shot
        with self.watch.stage("classify"):
            tiles = self.classifier.score(image, frame.boxes)
        candidates: list[Candidate] = []
        wanted = worth_a_look(tiles, self.classifier.sidecar.threshold.logit)
        if wanted:
            with self.watch.stage("foreground"):
                foreground = self._foreground(frame)
            with self.watch.stage("measure"):
                if self.segmenter is None:
                    candidates = find_candidates(image, wanted, foreground)
                else:
                    cut = self.segmenter.threshold_probability
                    candidates = find_candidates(image, wanted, foreground, self._segment, cut)
        photo = PhotoRecord(
            name=item.name,
            sha256=frame.sha256,
            width=image.shape[1],
            height=image.shape[0],
            time=_time(shot),
            latitude=shot.latitude,
            longitude=shot.longitude,
            altitude_m=shot.altitude_m,
            heading_deg=shot.heading_deg,
            mm_per_pixel=shot.mm_per_pixel,
            tiles=len(tiles) if frame.tiles is None else frame.tiles,
            positives=sum(tile.crack for tile in tiles),
            findings=len(candidates),
        )
        with self.watch.stage("points"):
            # Without a position nothing is merged.
            points = find_points(image) if candidates and shot.latitude is not None else None
        with self.watch.stage("write"):
            findings = [self._finding(candidate, photo, shot) for candidate in candidates]
            for finding in findings:
                pictures = draw_finding(image, finding.box, finding.outline, finding.validation)
                self.store.add_pictures(finding, *pictures)
            self.store.add_photo(item.bytes, photo, findings, points)
        return photo, findings

    def _foreground(self, frame: Frame) -> np.ndarray | None:
        """Where to look: what a journal kept, or what is concrete."""
        if frame.boxes is not None:
            known = np.zeros(frame.image.shape[:2], bool)
            for box in frame.boxes:
                known[box.y : box.y + box.h, box.x : box.x + box.w] = True
            return known
        return GrabCut(_CUTS).segment(frame.image, Prompt()).mask if self.foreground else None

    def _segment(self, image: np.ndarray, region: np.ndarray) -> np.ndarray:
        """The segmentation model on a part of a photograph: float32 (height, width)."""
        assert self._pool is not None
        started = time.monotonic()
        probability = segment(image, self._pool, foreground=region)
        spent = time.monotonic() - started
        # The caller counts this time as measuring.
        self.watch.add("segment", spent)
        self.watch.add("measure", -spent)
        return probability

    def _finding(self, candidate: Candidate, photo: PhotoRecord, shot: Shot) -> Finding:
        box, scale = candidate.box, photo.mm_per_pixel
        number = finding_id(photo.name, box)
        right, down = box.x + box.w / 2 - photo.width / 2, box.y + box.h / 2 - photo.height / 2
        latitude, longitude, altitude = shot.place(right, down)
        return Finding(
            id=number,
            photo=photo.name,
            seen_on=(photo.name,),
            box=box,
            outline=candidate.outline,
            latitude=latitude,
            longitude=longitude,
            altitude_m=altitude,
            time=photo.time,
            probability=round(candidate.probability, 4),
            tiles=candidate.tiles,
            validation=candidate.validation,
            validation_score=candidate.validation_score,
            mm_per_pixel=scale,
            length_px=candidate.length_px,
            mean_width_px=candidate.mean_width_px,
            max_width_px=candidate.max_width_px,
            length_mm=_scaled(candidate.length_px, scale, 2),
            mean_width_mm=_scaled(candidate.mean_width_px, scale, 3),
            max_width_mm=_scaled(candidate.max_width_px, scale, 3),
            severity=0.0,  # of the merged finding
            picture=f"{PICTURES}/{number}.jpg",
            overlay=f"{OVERLAYS}/{number}.jpg",
            width_from=candidate.width_from,
        )

    def _assembled(self, models: dict[str, dict[str, Any]], settings: dict[str, Any]) -> Survey:
        photos: list[PhotoRecord] = []
        findings: list[Finding] = []
        gaps = list(self.source.gaps)
        for photo, found, gap in self.store.records():
            if gap is not None:
                gaps.append(gap)
            if photo is not None:
                photos.append(photo)
                findings += found
                if photo.latitude is None:
                    detail = "neither the photograph nor the flight log says where it was taken"
                    gaps.append(Gap(photo.name, NO_POSITION, detail, time=photo.time))
        merged = [
            replace(finding, severity=_severity(finding))
            for finding in merge_findings(photos, findings, self.store.points, self.position_error_m, self.jobs)
        ]
        merged.sort(key=lambda finding: (-finding.severity, finding.photo, finding.box))
        return Survey(
            source=self.source.name,
            created=self.store.created,
            models=models,
            settings=settings,
            photos=tuple(photos),
            findings=tuple(merged),
            gaps=tuple(sorted(gaps, key=lambda gap: (gap.photo, gap.reason))),
            warnings=(*self.source.warnings, *self._warnings(photos)),
        )

    def _warnings(self, photos: list[PhotoRecord]) -> list[str]:
        found = []
        gone = sorted(photo.name for photo in photos if photo.name not in self._names)
        if gone:
            found.append(
                f"{len(gone)} photographs were searched and are gone from the source since, the first {gone[0]}."
            )
        scales = [photo.mm_per_pixel for photo in photos if photo.mm_per_pixel is not None]
        coarse = [scale for scale in scales if scale > needed_mm_per_pixel(FINE_CRACK_MM)]
        if coarse:
            found.append(
                f"{len(coarse)} of {len(photos)} photographs are too coarse for cracks of {FINE_CRACK_MM:g} mm: at "
                f"{max(coarse):.3g} mm per pixel, widths are trusted from {MIN_PIXELS * max(coarse):.2g} mm on "
                f"({MIN_PIXELS:g} pixels), and finer cracks may be missed. Fly nearer or zoom in."
            )
        if len(scales) < len(photos):
            found.append(
                f"{len(photos) - len(scales)} of {len(photos)} photographs have no known scale: lengths and widths are in "
                "pixels there. Give --distance-m or --mm-per-pixel, in another --out."
            )
        if self.segmenter is None:
            found.append(
                "no segmentation model was used: findings are the classifier's tiles, none is confirmed, and no length or "
                "width is known. Give --segmenter FILE.tflite, in another --out."
            )
        return found


def segmenter_of(path: Path | None) -> Segmenter | None:
    """A segmentation model for one thread; the pool makes more."""
    return None if path is None else Segmenter(path, threads=1)


def _severity(finding: Finding) -> float:
    return severity(
        finding.box,
        finding.mm_per_pixel,
        length_px=finding.length_px,
        max_width_px=finding.max_width_px,
        probability=finding.probability,
        validation=finding.validation,
    )


def _time(shot: Shot) -> str | None:
    return None if shot.time is None else iso_time(shot.time)


def _scaled(pixels: float | None, scale: float | None, digits: int) -> float | None:
    return None if pixels is None or scale is None else round(pixels * scale, digits)
