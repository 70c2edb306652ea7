"""What could have been missed: known cracks laid into a flight's own clean photographs, and searched for like any other.

Places are chosen that the survey calls clean and well seen: no finding near, sharp, well lit, fine and square enough for the width
asked for, and concrete. A crack is drawn there (`crack_tf.synthetic.wall`) as a factor on the light, as sharp as the lens, and the tiles
that show it go through the survey's own chain: classifier, segmentation, second look, verdict. Widths, contrasts and directions are
spread evenly (an additive recurrence, so that every part of the design is). Each photograph's cracks depend on the seed and the survey
alone and are written down as soon as they are judged: a certificate that was stopped goes on.
"""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.inference.tiles import PhotoClassifier, photo_boxes
from crack_tf.photo.gsd import needed_mm_per_pixel
from crack_tf.photo.view import View
from crack_tf.survey.camera import Shot
from crack_tf.survey.certificate import TRIALS, Certificate, Trial, survey_key
from crack_tf.survey.findings import REFUTED, UNCLEAR, Finding, PhotoRecord, Survey
from crack_tf.survey.ledger import MAX_OBLIQUE_DEG
from crack_tf.survey.pod import LEAST_TRIALS
from crack_tf.survey.quality import BLURRED, GOOD, LIT_BADLY, NOT_CONCRETE, patch_codes
from crack_tf.survey.search import Searcher
from crack_tf.survey.source import Item, Source
from crack_tf.survey.truth import lies_on
from crack_tf.survey.validate import without_edge
from crack_tf.synthetic.wall import WallCrack, crack_light, draw_walk
from tflite.checked import CheckError, checked
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes, write_bytes
from tflite.lines import seal_line, unseal_line

MOST_CRACKS = 400
_TILES_OF_A_CRACK = 240  # that cost as much to search as twice what a crack does
_PER_PHOTO = (4, 12)  # cracks: fewer would read too many photographs, more would know too few
_MORE = 1.15  # photographs that are tried: not all places turn out to be concrete
_WIDTHS_PX = (0.3, 6.0)
_CONTRASTS = (0.25, 0.8)
_LENGTH, _OF_A_PHOTO = 1.2, 0.4  # tiles; of a small photograph's shorter side
_PLACES = 200  # that are tried on a photograph at least: small ones have few tiles
_AROUND = 1.5  # tiles beyond a crack that its search looks at: half a tile, and squares of two for the second look
_LENS = 0.6  # pixels, standard deviation of a sharp photograph's blur
_SPREAD = tuple(1.2207440846 ** -(power + 1) for power in range(3))  # of the additive recurrence (root of x^4 = x + 1)


@dataclass(frozen=True)
class Order:
    """What to certify.

    Attributes:
        survey: that is finished.
        found: findings of each photograph by its name, refuted ones too.
        needs_mm: coarser parts of photographs are left out.
        overlap: of the survey's tiles.
        cracks: to lay into photographs; None for as many as fit into half of the survey's time, 60 to 400.
        seed: of everything drawn.
    """

    survey: Survey
    found: dict[str, list[Finding]]
    needs_mm: float
    overlap: float
    cracks: int | None = None
    seed: int = 0

    @property
    def count(self) -> int:
        """Of the cracks."""
        if self.cracks is not None:
            return self.cracks
        tiles = sum(photo.tiles for photo in self.survey.photos)
        return int(np.clip(tiles // _TILES_OF_A_CRACK, LEAST_TRIALS, MOST_CRACKS))

    @property
    def has_scale(self) -> bool:
        """Whether any photograph has one."""
        return any(photo.mm_per_pixel is not None for photo in self.survey.photos)


@dataclass(frozen=True)
class _Site:
    """A photograph with places for cracks.

    Attributes:
        photo: its record.
        order: its number among those used.
        cracks: to lay into it, at most.
        places: float (n, 2), middles of cracks in pixels, in the order in which they are tried.
    """

    photo: PhotoRecord
    order: int
    cracks: int
    places: np.ndarray


def certify(
    order: Order,
    source: Source,
    searcher: Searcher,
    folder: Path,
    jobs: int,
    tell: Callable[[str], None],
    check: Callable[[], None] = lambda: None,
) -> Certificate:
    """Lay cracks into a survey's photographs and search for them.

    Args:
        order: what to certify.
        source: of the survey's photographs.
        searcher: the survey's own.
        folder: of the survey; `certificate-trials.jsonl` is written there.
        jobs: photographs at a time.
        tell: takes a line for every photograph.
        check: called before anything is written; raises where the folder is no longer the survey's.

    Raises:
        CrackError: if the survey is a journal's, or no part of a photograph is clean and seen well enough.
    """
    if source.kind == "journal":
        raise CrackError("--certify: a device's journal keeps positive tiles only, so no clean photograph is there.")
    sites = _sites(order, searcher.classifier)
    known = survey_key(order.survey)
    key = sha256_bytes(json.dumps([known, order.seed, order.count, order.needs_mm]).encode())
    kept = _Lines(folder / TRIALS, key, check)
    wanted = {site.photo.name: site for site in sites if site.photo.name not in kept.trials}
    if wanted:
        items = source.items(lambda name, size: name in wanted)
        mine = ((item, wanted[item.name]) for item in items if item.name in wanted)
        for name, trials in _work(mine, searcher, order, jobs):
            kept.add(name, trials)
            hits = sum(trial.found for trial in trials)
            tell(f"certificate       {hits:>4}/{len(trials)} cracks found  {name}")
    trials = [trial for site in sites for trial in kept.trials.get(site.photo.name, ())]
    if len(trials) < 4:
        raise CrackError(
            f"--certify: {len(trials)} places for cracks were left on {len(sites)} photographs that are clean and well seen: the rest was "
            "not taken for concrete. Survey with --foreground none where it is, in another --out."
        )
    trials.sort(key=lambda trial: (trial.photo, trial.number))
    return Certificate(key, known, order.seed, order.count, order.needs_mm if order.has_scale else None, tuple(trials))


def _work(
    items: Iterator[tuple[Item, _Site]], searcher: Searcher, order: Order, jobs: int
) -> Iterator[tuple[str, list[Trial]]]:
    """Names and trials of photographs, several at a time."""
    threads = ThreadPoolExecutor(jobs, thread_name_prefix="certificate")
    waiting: deque[Future[tuple[str, list[Trial]]]] = deque()
    try:
        for item, site in items:
            waiting.append(threads.submit(_try_photo, item, site, searcher, order))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        searcher.classifier.stop()
        raise
    finally:
        threads.shutdown(cancel_futures=True)


# ------------------------------------------------------------------------------------------------------------ places


def _sites(order: Order, classifier: PhotoClassifier) -> list[_Site]:
    """The photographs to use, and where.

    Raises:
        CrackError: if there are none.
    """
    why: Counter[str] = Counter()
    usable = []
    for photo in order.survey.photos:
        places, reasons = _places(photo, order, classifier.side_for(photo.mm_per_pixel))
        why.update(reasons)
        if len(places):
            usable.append((photo, places))
    if not usable:
        told = ", ".join(f"{count} {reason}" for reason, count in why.most_common())
        raise CrackError(
            f"--certify: no part of {len(order.survey.photos)} photographs is clean and seen well enough to lay a crack into"
            + (f" (parts looked at: {told})" if told else "")
            + f". What counts as fine enough is decided by --needs-mm {order.needs_mm:g}. The survey itself is finished."
        )
    each = int(np.clip(math.ceil(order.count / len(usable)), *_PER_PHOTO))
    rng = np.random.default_rng([order.seed, 1])
    chosen = rng.permutation(len(usable))[: math.ceil(_MORE * order.count / each)]
    return [_Site(usable[place][0], number, each, usable[place][1]) for number, place in enumerate(chosen)]


def _places(photo: PhotoRecord, order: Order, side: int) -> tuple[np.ndarray, Counter[str]]:
    """Where a crack fits into a photograph, float (n, 2) in the order in which they are to be tried; and why it does not elsewhere."""
    why: Counter[str] = Counter()
    if photo.patches is None:
        return np.empty((0, 2)), Counter({"not measured for sharpness": 1})
    if order.has_scale and photo.mm_per_pixel is None:
        return np.empty((0, 2)), Counter({"without a scale": 1})
    rng = np.random.default_rng([order.seed, int(sha256_bytes(photo.name.encode("utf-8", "surrogatepass"))[:12], 16)])
    boxes = photo_boxes(photo.width, photo.height, side, order.overlap)
    turns = math.ceil(_PLACES / len(boxes))
    corners = np.array([(box.x, box.y) for box in boxes] * turns, float)
    centres = corners + rng.uniform(0, 1, corners.shape) * np.array([(box.w, box.h) for box in boxes] * turns)
    taken = [box for box in boxes if any(_meet(box, finding.box) for finding in order.found.get(photo.name, ()))]
    reach = _reach(photo, side)
    steps = reach * np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=2).reshape(-1, 2)
    view = _view(photo)
    good = []
    for centre in centres[rng.permutation(len(centres))]:
        spots = centre + steps
        reason = _why_not(photo, spots, view, order)
        area = Box(int(centre[1] - reach), int(centre[0] - reach), int(2 * reach), int(2 * reach))
        if reason is None and any(_meet(box, area) for box in taken):
            reason = "in a tile with a finding"
        if reason is None:
            good.append(centre)
        elif reason:
            why[reason] += 1
    return np.array(good).reshape(-1, 2), why


def _why_not(photo: PhotoRecord, spots: np.ndarray, view: View | None, order: Order) -> str | None:
    """Why no crack is laid over spots of a photograph; "" at its border, None where one is."""
    if (spots < 0).any() or (spots >= (photo.width, photo.height)).any():
        return ""
    codes = patch_codes(photo.patches, spots[:, 0] / photo.width, spots[:, 1] / photo.height)
    for code, reason in ((BLURRED, "blurred"), (LIT_BADLY, "too dark or burnt out"), (NOT_CONCRETE, "not concrete")):
        if (codes == code).any():
            return reason
    assert (codes == GOOD).all()
    if view is None:
        return None
    coarsest = view.coarsest(spots)
    if not (coarsest <= needed_mm_per_pixel(order.needs_mm) * (1 + 1e-6)).all():
        return "too coarse"
    return "too oblique" if (view.obliqueness(spots) > MAX_OBLIQUE_DEG).any() else None


def _reach(photo: PhotoRecord, side: int) -> float:
    """Pixels from a crack's middle within which it lies."""
    return 0.55 * _length(photo.width, photo.height, side) + 8


def _length(width: int, height: int, side: int) -> float:
    """Pixels of a crack's centreline."""
    return min(_LENGTH * side, _OF_A_PHOTO * min(width, height))


def _view(photo: PhotoRecord) -> View | None:
    shot = Shot(
        pitch_deg=photo.pitch_deg,
        distance_m=photo.distance_m,
        mm_per_pixel=photo.mm_per_pixel,
        scale_error=photo.scale_error,
    )
    return shot.view(photo.width, photo.height)


def _meet(one: Box, other: Box) -> bool:
    return (
        one.x < other.x + other.w and other.x < one.x + one.w and one.y < other.y + other.h and other.y < one.y + one.h
    )


# ------------------------------------------------------------------------------------------------------------ cracks


def _try_photo(item: Item, site: _Site, searcher: Searcher, order: Order) -> tuple[str, list[Trial]]:
    """Lay cracks into a photograph, one at a time, and search for each; none where it cannot be read, or is another one by now."""
    photo, side = site.photo, searcher.classifier.side_for(site.photo.mm_per_pixel)
    trials: list[Trial] = []
    try:
        with searcher.classifier.room(item.pixels):
            frame = item.read()
            if frame.sha256 != photo.sha256:
                return photo.name, []
            foreground = searcher.foreground(frame)
            concrete = None if foreground is None else without_edge(foreground, False)
            boxes = photo_boxes(photo.width, photo.height, side, order.overlap)
            reach, used = _reach(photo, side), np.empty((0, 2))
            for place in site.places:
                if len(trials) == site.cracks:
                    break
                if len(used) and np.abs(used - place).max(axis=1).min() < reach / 2:
                    continue
                x, y = place
                around = np.s_[int(y - reach) : int(y + reach) + 1, int(x - reach) : int(x + reach) + 1]
                if concrete is not None and not concrete[around].all():
                    continue
                used = np.vstack([used, place])
                trials.append(_try_crack(frame.image, concrete, boxes, place, site, len(trials), searcher, order))
    except (FileNotFoundError, ImageError):
        return photo.name, []
    return photo.name, trials


def _try_crack(
    image: np.ndarray,
    concrete: np.ndarray | None,
    boxes: Sequence[Box],
    place: np.ndarray,
    site: _Site,
    number: int,
    searcher: Searcher,
    order: Order,
) -> Trial:
    photo, side = site.photo, searcher.classifier.side_for(site.photo.mm_per_pixel)
    seed = [order.seed, 2, site.order, number]
    rng = np.random.default_rng(seed)
    first = np.random.default_rng([order.seed, 3]).uniform(size=3)
    share = (first + (site.order * site.cracks + number) * np.array(_SPREAD)) % 1
    width, contrast = (
        math.exp(math.log(low) + part * math.log(high / low))
        for part, (low, high) in zip(share[:2], (_WIDTHS_PX, _CONTRASTS), strict=True)
    )
    direction = 180 * float(share[2])
    length = _length(photo.width, photo.height, side)
    window = _window(photo, place, round(length / 2 + _AROUND * side))
    crack = _crack(rng, place - (window.x, window.y), math.radians(direction), length, width, contrast)
    part = np.s_[window.y : window.y + window.h, window.x : window.x + window.w]
    pixels, cover = lay(image[part], crack, int(rng.integers(2**31)))
    shown = [_moved(box, window) for box in boxes if _shows(cover, _moved(box, window))]
    candidates = searcher.judge(pixels, shown, None if concrete is None else concrete[part], side)
    hits = [
        candidate.validation
        for candidate in candidates
        if lies_on(candidate.outline, candidate.length_px is not None, crack.points, float(crack.widths.max()))
    ]
    verdict = min(hits, key=(*_VERDICTS,).index, default=None)
    view = _view(photo)
    scales = None if view is None else view.measure([(crack.points + np.array([window.x, window.y])).tolist()])
    return Trial(
        photo=photo.name,
        number=number,
        x=round(float(place[0]), 1),
        y=round(float(place[1]), 1),
        width_px=round(crack.mean_width, 5),
        length_px=round(crack.length, 1),
        contrast=round(contrast, 4),
        direction_deg=round(direction, 1),
        width_mm=None if scales is None else round(crack.mean_width * scales.width, 5),
        found=verdict not in (None, REFUTED),
        validation=verdict,
    )


_VERDICTS = ("confirmed", UNCLEAR, REFUTED)


def lay(pixels: np.ndarray, crack: WallCrack, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lay a crack over a part of a photograph, as sharp as a lens draws.

    Args:
        pixels: uint8 (height, width, 3); not changed.
        crack: in its pixels.
        seed: of how evenly it is dark.

    Returns:
        uint8 (height, width, 3), and float32 (height, width): the share of each pixel that it covers.
    """
    import cv2

    light, cover = crack_light(crack, pixels.shape[1], pixels.shape[0], seed)
    light = cv2.GaussianBlur(light, (0, 0), _LENS)
    return (pixels * light[..., None]).round().clip(0, 255).astype(np.uint8), cover


def _crack(
    rng: np.random.Generator, middle: np.ndarray, heading: float, length: float, width: float, contrast: float
) -> WallCrack:
    crack = draw_walk(rng, (0.0, 0.0), heading, length, width)
    shift = middle - (crack.points.min(axis=0) + crack.points.max(axis=0)) / 2
    return replace(crack, points=crack.points + shift, depth=contrast)


def _window(photo: PhotoRecord, place: np.ndarray, reach: int) -> Box:
    """What a crack's search looks at."""
    x, y = (int(value) for value in place)
    left, top = max(0, x - reach), max(0, y - reach)
    return Box(top, left, min(photo.height, y + reach) - top, min(photo.width, x + reach) - left)


def _moved(box: Box, window: Box) -> Box:
    return Box(box.y - window.y, box.x - window.x, box.h, box.w)


def _shows(cover: np.ndarray, box: Box) -> bool:
    """Whether a tile lies in a window and shows something of the crack."""
    inside = min(box.x, box.y) >= 0 and box.x + box.w <= cover.shape[1] and box.y + box.h <= cover.shape[0]
    return inside and bool(cover[box.y : box.y + box.h, box.x : box.x + box.w].any())


class _Lines:
    """Trials by photographs, each written down when it is done; those of the same certificate are taken up again."""

    def __init__(self, path: Path, key: str, check: Callable[[], None]) -> None:
        self.trials: dict[str, tuple[Trial, ...]] = {}
        self._path, self._key, self._check = path, key, check
        lines = path.read_bytes().splitlines() if path.is_file() else []
        for line in lines:
            with suppress(ValueError, KeyError, TypeError, CheckError):
                value = json.loads(unseal_line(line))
                if value["key"] == key:
                    self.trials[value["photo"]] = checked(tuple[Trial, ...], value["trials"])
        check()
        write_bytes(path, b"".join(self._line(name, trials) for name, trials in self.trials.items()))

    def add(self, photo: str, trials: Sequence[Trial]) -> None:
        """Keep those of a photograph."""
        self._check()
        self.trials[photo] = tuple(trials)
        with self._path.open("ab") as stream:
            stream.write(self._line(photo, trials))

    def _line(self, photo: str, trials: Sequence[Trial]) -> bytes:
        record: dict[str, Any] = {"key": self._key, "photo": photo, "trials": [asdict(trial) for trial in trials]}
        return seal_line(record)
