"""One photograph of a survey, from its file to what is known of it. Nothing is written here: that is the store's, in one process.

with Searcher(Plan(classifier=Path("opnet.tflite"), side=227, overlap=0.25, segmenter=None, foreground=True), 2) as searcher:
    searched = searcher.search(item)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from crack_tf.inference.maps import SegmenterPool
from crack_tf.inference.scales import segment_at_scales
from crack_tf.inference.tiles import PhotoClassifier, Tile, photo_boxes
from crack_tf.photo.crack import range_row
from crack_tf.photo.foreground import Prompt
from crack_tf.photo.grabcut import GrabCut
from crack_tf.photo.ranges import Range, measures_in_millimetres
from crack_tf.photo.view import Scales, View
from crack_tf.survey.findings import Finding, Gap, PhotoRecord, finding_id, scaled
from crack_tf.survey.geometry.camera import Shot
from crack_tf.survey.geometry.footprint import upright_roll
from crack_tf.survey.merge import find_points
from crack_tf.survey.pictures import as_jpeg, draw_finding
from crack_tf.survey.profiles import profile_csv
from crack_tf.survey.searching.quality import patches_of
from crack_tf.survey.searching.validate import LEFT_OUT, Candidate, Ground, Opinion, find_candidates, worth_a_look
from crack_tf.survey.searching.verify import Verifier
from crack_tf.survey.source import MISSING, UNREADABLE, Frame, Item
from crack_tf.survey.store import OVERLAYS, PICTURES, PROFILES
from tflite.device.journal import iso_time
from tflite.device.tiles import Box
from tflite.errors import ImageError
from tflite.sameness import FileState
from tflite.segmenter import Segmenter
from tflite.transparency import boxes_with_pixels, for_people, missing_share
from tflite.words import without_name

_CUTS = 2  # of GrabCut; more of its five move the edge by a few pixels, and take most of the survey's time
STAGES = ("decode", "classify", "foreground", "segment", "measure", "points", "write")


@dataclass(frozen=True)
class Stage:
    """Seconds that all threads spent in one of STAGES, waiting included, and their share of those in any."""

    seconds: float
    share: float


@dataclass(frozen=True)
class Performance:
    """How fast a survey went: what performance.json holds.

    Attributes:
        photos, megapixels: searched by this call.
        seconds: that it took.
        photos_per_minute, megapixels_per_second: from these.
        jobs: threads that searched.
        stages: by STAGES.
        search_seconds: with those of earlier calls.
        merge_seconds: to put everything together.
        peak_memory_mb: of this process.
    """

    photos: int
    seconds: float
    photos_per_minute: float
    megapixels: float
    megapixels_per_second: float
    jobs: int
    stages: Mapping[str, Stage]
    search_seconds: float
    merge_seconds: float = 0.0
    peak_memory_mb: int = 0


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

    def performance(self, photos: int, megapixels: float, jobs: int, before: float) -> Performance:
        """How fast it went so far; `before` are the seconds that earlier calls searched."""
        elapsed = time.monotonic() - self._started
        total = sum(self.seconds.values()) or 1.0
        return Performance(
            photos=photos,
            seconds=round(elapsed, 2),
            photos_per_minute=round(60 * photos / elapsed, 2),
            megapixels=round(megapixels, 6),
            megapixels_per_second=round(megapixels / elapsed, 3),
            jobs=jobs,
            stages={name: Stage(round(spent, 2), round(spent / total, 4)) for name, spent in self.seconds.items()},
            search_seconds=round(before + (round(elapsed, 2) if photos else 0), 2),
        )


@dataclass(frozen=True)
class Plan:
    """How photographs are searched.

    Attributes:
        classifier: file of the model that looks at every tile.
        side: of a tile in pixels; None for that of the model's training tiles.
        overlap: least share of a tile that its neighbour repeats.
        segmenter: file of the model that gives the second opinion, or None.
        foreground: whether to leave out what is not concrete.
        scaled: whether tiles follow the photographs' scales, see `crack_tf.inference.tiles.PhotoClassifier`.
    """

    classifier: Path
    side: int | None
    overlap: float
    segmenter: Path | None
    foreground: bool
    scaled: bool = False


@dataclass(frozen=True)
class Searched:
    """A photograph that was tried: what is known of it, or why it could not be read.

    Attributes:
        name: as in `crack_tf.survey.source.Item`.
        size: of its file, the item's `bytes`.
        photo: None where it could not be read, and then `gap` says why.
        findings: on it.
        pictures: files of the findings by their names, JPEG and CSV, see `crack_tf.survey.store`.
        points: uint8 (n, 136) to know it again by, or None; see `crack_tf.survey.merge`.
        gap: None where it was read.
        file: as in `crack_tf.survey.source.Frame`.
        seconds: spent in each of STAGES.
    """

    name: str
    size: int
    photo: PhotoRecord | None = None
    findings: tuple[Finding, ...] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    points: np.ndarray | None = None
    gap: Gap | None = None
    file: FileState | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)


class Searcher:
    """Both models, ready for photographs; used as a context. `search` may be called from several threads.

    Args:
        plan: how to search.
        jobs: threads that run the models, at least 1.

    Attributes:
        sidecars: of the models by role, "classifier" and, where there is one, "segmenter".

    Raises:
        CrackError: if a model file is not what its sidecar says.
    """

    def __init__(self, plan: Plan, jobs: int) -> None:
        self._plan = plan
        segmenter = None if plan.segmenter is None else Segmenter(plan.segmenter, threads=1)
        self.classifier = PhotoClassifier(
            plan.classifier, jobs=jobs, side=plan.side, overlap=plan.overlap, scaled=plan.scaled
        )
        self._verifier = Verifier(self.classifier)
        self.sidecars = {"classifier": self.classifier.sidecar}
        self._pool: SegmenterPool | None = None
        with ExitStack() as stack:
            stack.enter_context(self.classifier)
            if segmenter is not None:
                self.sidecars["segmenter"] = segmenter.sidecar
                self._cut = segmenter.threshold_probability
                self._pool = stack.enter_context(SegmenterPool(segmenter, jobs))
            self._open = stack.pop_all()

    def __enter__(self) -> Searcher:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads of the models."""
        self._open.close()

    def search(self, item: Item, *, measure_all: bool = False) -> Searched:
        """Read and search one photograph.

        Args:
            item: the photograph.
            measure_all: measure what is drawn of findings that are not confirmed, too.
        """
        watch = Stopwatch()
        try:
            with self.classifier.room(item.pixels):
                with watch.stage("decode"):
                    frame = item.read()
                return self._search(item, frame, watch, measure_all)
        except FileNotFoundError:
            gap = Gap(item.name, MISSING, "the file was there when the survey started, and is gone")
        except ImageError as error:
            gap = Gap(item.name, UNREADABLE, without_name(str(error), item.name))
        return Searched(item.name, item.bytes, gap=gap, seconds=watch.seconds)

    def _search(self, item: Item, frame: Frame, watch: Stopwatch, measure_all: bool) -> Searched:
        image, shot = frame.image, frame.shot
        with watch.stage("classify"):
            tiles = self.classifier.score(image, self._boxes(item, frame))
        candidates: list[Candidate] = []
        foreground: np.ndarray | None = frame.opaque
        wanted = worth_a_look(tiles, self.classifier.sidecar.threshold.logit)
        if wanted:
            with watch.stage("foreground"):
                foreground = self.foreground(frame)
            with watch.stage("measure"):
                side = self.classifier.side_for(shot.mm_per_pixel)
                ground = Ground(foreground, sharp=frame.boxes is not None, opaque=frame.opaque)
                candidates = self._find(image, wanted, ground, side, watch, measure_all)
        with watch.stage("measure"):
            # Of a journal's frame most was not kept.
            patches = None if frame.boxes is not None else patches_of(image, foreground)
        view = shot.view(image.shape[1], image.shape[0])
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
            left_out=sum(candidate.tiles for candidate in candidates if candidate.note == LEFT_OUT),
            unplaced=shot.unplaced,
            notes=shot.notes,
            scale_source=shot.scale_source,
            scale_error=_scale_error(view),
            distance_m=shot.distance_m,
            pitch_deg=shot.pitch_deg,
            patches=patches,
            transparent=missing_share(frame.opaque),
            roll_deg=None if shot.roll_deg is None else upright_roll(shot.roll_deg),
        )
        with watch.stage("points"):
            # A later survey knows the place again by them, clean ones too. Of a journal's frame most was not kept.
            points = find_points(image) if candidates or frame.boxes is None else None
        with watch.stage("write"):
            boxes = [candidate.box for candidate in candidates]
            findings = tuple(
                _finding(candidate, photo, shot, view, boxes[:number].count(candidate.box))
                for number, candidate in enumerate(candidates)
            )
            pictures = _files(for_people(image, frame.opaque), findings, candidates, view)
        return Searched(
            item.name, item.bytes, photo, findings, pictures, points, file=frame.file, seconds=watch.seconds
        )

    def judge(
        self, image: np.ndarray, boxes: Sequence[Box], foreground: np.ndarray | None, side: int
    ) -> list[Candidate]:
        """What a search finds in tiles of pixels that are in memory.

        Args:
            image: uint8 (height, width, 3).
            boxes: tiles to look at.
            foreground: bool (height, width), see `foreground`, less its edge (`without_edge`); None for everywhere.
            side: of the photograph's tiles in pixels.
        """
        wanted = worth_a_look(self.classifier.score(image, boxes), self.classifier.sidecar.threshold.logit)
        return self._find(image, wanted, Ground(foreground, trimmed=True), side, Stopwatch()) if wanted else []

    def _find(
        self,
        image: np.ndarray,
        wanted: Sequence[Tile],
        ground: Ground,
        side: int,
        watch: Stopwatch,
        measure_all: bool = False,
    ) -> list[Candidate]:
        """Findings in positive and uncertain tiles. A sharp foreground is a journal's: only these tiles are there."""
        if self._pool is None:
            return find_candidates(image, wanted, ground)
        # A journal keeps no surroundings to look at again.
        again = None if ground.sharp else partial(self._verifier.above, side=side)
        threshold = self.classifier.sidecar.threshold.logit
        opinion = Opinion(partial(self._segment, watch), self._cut, again, threshold)
        return find_candidates(image, wanted, ground, opinion, measure_all)

    def foreground(self, frame: Frame) -> np.ndarray | None:
        """Where to look: what a journal kept, or what is concrete, and never what is transparent."""
        if frame.boxes is not None:
            known = np.zeros(frame.image.shape[:2], bool)
            for box in frame.boxes:
                known[box.y : box.y + box.h, box.x : box.x + box.w] = True
            return known
        if not self._plan.foreground:
            return frame.opaque
        concrete = GrabCut(_CUTS).segment(frame.image, Prompt()).mask
        return concrete if frame.opaque is None else concrete & frame.opaque

    def _boxes(self, item: Item, frame: Frame) -> Sequence[Box] | None:
        """The tiles to look at; None for all."""
        side = self.classifier.side_for(frame.shot.mm_per_pixel)
        if frame.opaque is None and (frame.boxes is not None or side == self.classifier.side):
            return frame.boxes
        height, width = frame.image.shape[:2]
        boxes = photo_boxes(width, height, side, self.classifier.overlap)
        return boxes if frame.opaque is None else boxes_with_pixels(boxes, frame.opaque, item.name)

    def _segment(self, watch: Stopwatch, image: np.ndarray, region: np.ndarray) -> np.ndarray:
        """The segmentation model on a part of a photograph: float32 (height, width)."""
        assert self._pool is not None
        started = time.monotonic()
        probability = segment_at_scales(image, self._pool, self._cut, foreground=region)
        spent = time.monotonic() - started
        # The caller counts this time as measuring.
        watch.add("segment", spent)
        watch.add("measure", -spent)
        return probability


def _files(
    image: np.ndarray, findings: Sequence[Finding], candidates: Sequence[Candidate], view: View | None
) -> dict[str, bytes]:
    """Pictures and tables of widths of a photograph's findings, by name."""
    found: dict[str, bytes] = {}
    for finding, candidate in zip(findings, candidates, strict=True):
        shown = (*finding.outline, *candidate.marks)
        # Where nothing is drawn of this one, a crack in its picture is another's, and has to be told apart.
        others = [ring for one in findings if one is not finding and one.length_px for ring in one.outline]
        before, after = draw_finding(image, finding.box, shown, finding.validation, () if finding.length_px else others)
        found[finding.picture], found[finding.overlay] = as_jpeg(before), as_jpeg(after)
        if finding.profile is not None:
            found[finding.profile] = profile_csv(candidate.profile, view)
    return found


def _finding(candidate: Candidate, photo: PhotoRecord, shot: Shot, view: View | None, again: int) -> Finding:
    box = candidate.box
    whole = None if view is None else view.measure(candidate.outline)
    widest = None if view is None else view.measure(candidate.outline, candidate.widest)
    along, across, error = (None,) * 3 if whole is None else (whole.length, whole.width, whole.error)
    across_widest, widest_error = (None, None) if widest is None else (widest.width, widest.error)
    length = scaled(candidate.length_px, along, 2)
    mean_width = scaled(candidate.mean_width_px, across, 3)
    max_width = scaled(candidate.max_width_px, across_widest, 3)
    number = finding_id(photo.name, box, again)
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
        mm_per_pixel=along,
        length_px=candidate.length_px,
        mean_width_px=candidate.mean_width_px,
        max_width_px=candidate.max_width_px,
        length_mm=length,
        mean_width_mm=mean_width,
        max_width_mm=max_width,
        severity=0.0,  # of the merged finding
        picture=f"{PICTURES}/{number}.jpg",
        overlay=f"{OVERLAYS}/{number}.jpg",
        width_from=candidate.width_from,
        width_trusted=candidate.width_trusted,
        touches_border=candidate.touches_border,
        note=candidate.note,
        length_error_mm=scaled(length, error, 2),
        mean_width_error_mm=scaled(mean_width, error, 3),
        max_width_error_mm=scaled(max_width, widest_error, 3),
        centreline=candidate.centreline,
        holes=candidate.holes,
        profile=f"{PROFILES}/{number}.csv" if candidate.profile else None,
        **range_row(candidate.ranges, _ranges_mm(candidate, whole, widest)),
    )


def _ranges_mm(candidate: Candidate, whole: Scales | None, widest: Scales | None) -> tuple[Range, Range, Range] | None:
    """The ranges of length, mean and maximum width, in millimetres."""
    if candidate.ranges is None or whole is None or widest is None:
        return None
    assert candidate.length_px is not None
    assert candidate.mean_width_px is not None
    assert candidate.max_width_px is not None
    values = candidate.length_px, candidate.mean_width_px, candidate.max_width_px
    return measures_in_millimetres(values, candidate.ranges, whole, widest)


def _scale_error(view: View | None) -> float | None:
    """Half the width of the interval around the scale in the middle of a photograph that holds 95 %, as a share."""
    if view is None:
        return None
    middle = view.image_width / 2, view.image_height / 2
    found = view.measure([[middle, middle]])
    return None if found is None or found.error is None else round(found.error, 4)


def _time(shot: Shot) -> str | None:
    return None if shot.time is None else iso_time(shot.time)
