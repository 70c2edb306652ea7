"""What could have been missed: known cracks laid into a flight's own clean photographs, and searched for like any other.

Places are chosen that the survey calls clean and well seen: no finding near, sharp, well lit, fine and square enough for the width
asked for, and concrete. A crack is drawn there (`crack_tf.synthetic.wall`) as a factor on the light, as sharp as the lens, and the tiles
that show it go through the survey's own chain: classifier, segmentation, second look, verdict. Widths, contrasts and directions are
spread evenly (an additive recurrence, so that every part of the design is). Each photograph's cracks depend on the seed and the survey
alone and are written down as soon as they are judged: a certificate that was stopped goes on. Only the part of a photograph that the
search looks at goes through it (`window_around`), so a crack costs the same on photographs of any size.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.inference.tiles import PhotoClassifier, photo_boxes
from crack_tf.photo.gsd import needed_mm_per_pixel
from crack_tf.photo.view import MAX_OBLIQUE_DEG, View
from crack_tf.survey.certificates.certificate import TRIALS, Certificate, Trial, survey_key
from crack_tf.survey.certificates.laid_crack import search_for, window_around
from crack_tf.survey.findings import REFUTED, Finding, PhotoRecord, Survey
from crack_tf.survey.geometry.camera import Shot
from crack_tf.survey.searching.quality import BLURRED, GOOD, LIT_BADLY, NOT_CONCRETE, patch_codes
from crack_tf.survey.searching.search import Searcher
from crack_tf.survey.searching.validate import without_edge
from crack_tf.survey.source import Item, Source
from crack_tf.synthetic.wall import WallCrack, draw_walk
from tflite.checked import CheckError, checked
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError
from tflite.files import sha256_bytes, write_bytes
from tflite.lines import seal_line, unseal_line
from tflite.words import counted

LEAST_CRACKS, MOST_CRACKS = 16, 400  # where no number is asked for
# Of the survey's time: that they take then; that the least ones do, so that what the last of these takes ends within the third.
SHARE, LEAST_SHARE, MOST_SHARE = 0.4, 0.45, 0.5
_EACH = 4  # cracks of a visit to a photograph: decoding it and finding its concrete costs about as much as one
_WIDTHS_PX = (0.3, 6.0)
_CONTRASTS = (0.25, 0.8)
_LENGTH, _OF_A_PHOTO = 1.2, 0.4  # tiles; of a small photograph's shorter side
_TRIED = 3  # photographs, to find out what a crack takes
_PLACES = 200  # that are tried on a photograph at least: small ones have few tiles
_SPREAD = tuple(1.2207440846 ** -(power + 1) for power in range(3))  # of the additive recurrence (root of x^4 = x + 1)


@dataclass(frozen=True)
class Order:
    """What to certify.

    Attributes:
        survey: that is finished.
        found: findings of each photograph by its name, refuted ones too.
        needs_mm: coarser parts of photographs are left out.
        overlap: of the survey's tiles.
        seconds: that the survey took.
        cracks: to lay into photographs; None for as many as fit into `SHARE` of that time, up to MOST_CRACKS, where LEAST_CRACKS fit into
            `MOST_SHARE` of it.
        seed: of everything drawn.
    """

    survey: Survey
    found: dict[str, list[Finding]]
    needs_mm: float
    overlap: float
    seconds: float
    cracks: int | None = None
    seed: int = 0

    @property
    def has_scale(self) -> bool:
        """Whether any photograph has one."""
        return any(photo.mm_per_pixel is not None for photo in self.survey.photos)

    def check_time(self, needed: float) -> None:
        """Raise where a flight is too small for its certificate.

        Args:
            needed: seconds that LEAST_CRACKS take.

        Raises:
            CrackError: if these are more than `MOST_SHARE` of the survey's, and no number of cracks was asked for.
        """
        if self.cracks is None and needed > MOST_SHARE * self.seconds:
            raise CrackError(
                f"--certify: this flight is too small for a certificate. {LEAST_CRACKS} cracks, below which it says little, would take "
                f"about {needed:.2g} s, more than half of the {self.seconds:.2g} s that the survey took. --certify-cracks {LEAST_CRACKS} "
                "lays them all the same. The survey itself is finished."
            )

    def more(self, laid: int, visits: int, spent: float, jobs: int) -> int:
        """How many photographs to visit next; 0 where it is enough.

        Args:
            laid: cracks so far.
            visits: of photographs so far.
            spent: seconds so far.
            jobs: photographs at a time, which the first ones are.
        """
        most = MOST_CRACKS if self.cracks is None else self.cracks
        rate = max(0.5, laid / visits) if visits else _EACH
        missing = math.ceil((most - laid) / rate)
        if self.cracks is not None or missing <= 0:
            return max(0, missing)
        if not visits:
            return min(jobs, math.ceil(LEAST_CRACKS / _EACH))
        in_time, at_most = (
            math.floor((share * self.seconds - spent) * visits / max(1e-6, spent)) for share in (SHARE, LEAST_SHARE)
        )
        least = min(at_most, math.ceil((LEAST_CRACKS - laid) / rate))
        more = min(missing, max(0, in_time, least))
        # In small steps: what a visit takes and lays changes with the photograph, and with what else a machine does.
        return min(more, max(jobs, visits // 4))


@dataclass(frozen=True)
class _Site:
    """A photograph with places for cracks: its record, and float (n, 2), their middles in pixels in the order in which they are tried."""

    photo: PhotoRecord
    places: np.ndarray


@dataclass(frozen=True)
class _Visit:
    """A few cracks on a photograph: which one, its number among all visits, and how often it was visited before."""

    site: _Site
    number: int
    round: int

    @property
    def key(self) -> tuple[str, int]:
        """What its result is kept under."""
        return self.site.photo.name, self.round


@dataclass(frozen=True)
class _Tried:
    """What came of a visit: its cracks, and why there are no more; None where there are as many as wanted."""

    trials: tuple[Trial, ...]
    why: str | None


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

    Photographs are visited in an order that the seed decides, a few cracks each, and again while there is room on them. How many visits
    there are is decided on the way: by the cracks that are missing, or by the time that is left.

    Args:
        order: what to certify.
        source: of the survey's photographs.
        searcher: the survey's own.
        folder: of the survey; `certificate-trials.jsonl` is written there.
        jobs: photographs at a time.
        tell: takes a line for every photograph.
        check: called before anything is written; raises where the folder is no longer the survey's.

    Raises:
        CrackError: if the survey is a journal's, no part of a photograph is clean and seen well enough, or cracks would take too long
            (`Order.check_time`).
    """
    if source.kind == "journal":
        raise CrackError("--certify: a device's journal keeps positive tiles only, so no clean photograph is there.")
    started = time.monotonic()
    sites, unusable = _sites(order, searcher.classifier)
    known = survey_key(order.survey)
    key = sha256_bytes(json.dumps([known, order.seed, order.cracks, order.needs_mm]).encode())
    kept = _Lines(folder / TRIALS, key, check)
    before = kept.seconds

    def spent() -> float:
        return before + time.monotonic() - started

    if not kept.tried and order.cracks is None:
        order.check_time(_time_of_least(sites, source, searcher, order, jobs) + spent())

    def search(wanted: Mapping[str, _Visit]) -> None:
        for visit, tried in _work(_items(source, wanted), searcher, order, jobs):
            kept.add(visit, tried, spent() - kept.seconds)
            hits = sum(trial.found for trial in tried.trials)
            tell(f"certificate       {hits:>4}/{len(tried.trials)} cracks found  {visit.site.photo.name}")

    visits, full, goes_on = _visited(
        sites, kept.tried, lambda laid, made: order.more(laid, made, spent(), jobs), search
    )
    trials = [trial for visit in visits if visit.key in kept.tried for trial in kept.tried[visit.key].trials]
    trials = trials[: order.cracks if order.cracks is not None else MOST_CRACKS]
    if len(trials) < 4 and goes_on:
        order.check_time(spent() * LEAST_CRACKS / max(1, len(trials)))
    if len(trials) < 4:
        raise CrackError(
            f"--certify: {counted(len(trials), 'place')} for cracks {'was' if len(trials) == 1 else 'were'} left on "
            f"{counted(len(sites), 'photograph')} that {'is' if len(sites) == 1 else 'are'} clean and well seen ({_told(full)}). Where "
            "concrete is not taken for it, survey with --foreground none, in another --out."
        )
    trials.sort(key=lambda trial: (trial.photo, trial.number))
    return Certificate(
        key,
        known,
        order.seed,
        order.cracks,
        order.needs_mm if order.has_scale else None,
        tuple(trials),
        _limit(order, len(trials), not goes_on, unusable, full),
        round(spent(), 2),
        round(order.seconds, 2),
    )


def _visited(
    sites: Sequence[_Site],
    tried: Mapping[tuple[str, int], _Tried],
    more: Callable[[int, int], int],
    search: Callable[[Mapping[str, _Visit]], None],
) -> tuple[list[_Visit], Counter[str], bool]:
    """Visit photographs, each again while there is room on it.

    Args:
        sites: in the order of their visits.
        tried: what visits gave so far, by their keys.
        more: how many to make next, by the cracks that were laid and the visits that were made; 0 ends it.
        search: makes those that were not made before, and puts what they gave into `tried`.

    Returns:
        (visits, how many photographs are full for which reason, whether there is room for more).
    """
    visits: list[_Visit] = []
    due = [_Visit(site, number, 0) for number, site in enumerate(sites)]
    full: Counter[str] = Counter()
    laid = 0
    while due and (count := more(laid, len(visits))):
        batch, due = due[:count], due[count:]
        if wanted := {visit.site.photo.name: visit for visit in batch if visit.key not in tried}:
            search(wanted)
        visits += batch
        for visit in batch:
            found = tried.get(visit.key, _Tried((), _GONE))
            laid += len(found.trials)
            if found.why is not None:
                full[found.why] += 1
        if not due:
            again = [visit for visit in visits if visit.round == visits[-1].round and visit.key in tried]
            again = [visit for visit in again if tried[visit.key].why is None]
            due = [_Visit(visit.site, len(visits) + place, visit.round + 1) for place, visit in enumerate(again)]
    return visits, full, bool(due)


def _items(source: Source, wanted: Mapping[str, _Visit]) -> Iterator[tuple[Item, _Visit]]:
    """The photographs to visit, in the source's order."""
    for item in source.items(lambda name, size: name in wanted):
        if item.name in wanted:
            yield item, wanted[item.name]


_GONE, _NO_CONCRETE, _FULL = "cannot be read any more", "not taken for concrete", "no room beside the other cracks"


def _limit(order: Order, laid: int, exhausted: bool, unusable: Counter[str], full: Counter[str]) -> str:
    """Why there are no more cracks."""
    if exhausted:
        count = len(order.survey.photos)
        none = f"; {sum(unusable.values())} have no clean, well seen part ({_told(unusable)})" if unusable else ""
        return f"no more fit: of {counted(count, 'photograph')}, {sum(full.values())} are full ({_told(full)}){none}"
    if order.cracks is not None or laid >= MOST_CRACKS:
        return "as many as wanted"
    share = SHARE if laid > LEAST_CRACKS + _EACH else LEAST_SHARE
    return f"as many as fit into {100 * share:.0f} % of the time that the survey took"


def _told(reasons: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())


def _work(
    items: Iterator[tuple[Item, _Visit]], searcher: Searcher, order: Order, jobs: int
) -> Iterator[tuple[_Visit, _Tried]]:
    """What came of visits, several at a time."""
    threads = ThreadPoolExecutor(jobs, thread_name_prefix="certificate")
    waiting: deque[tuple[_Visit, Future[_Tried]]] = deque()
    try:
        for item, visit in items:
            waiting.append((visit, threads.submit(_try_photo, item, visit, searcher, order)))
            if len(waiting) > jobs:
                visit, future = waiting.popleft()
                yield visit, future.result()
        while waiting:
            visit, future = waiting.popleft()
            yield visit, future.result()
    except BaseException:
        searcher.classifier.stop()
        raise
    finally:
        threads.shutdown(cancel_futures=True)


def _time_of_least(sites: Sequence[_Site], source: Source, searcher: Searcher, order: Order, jobs: int) -> float:
    """Seconds that LEAST_CRACKS take, by one that is laid to try; 0 where the first photographs leave no place for it."""
    for site in sites[:_TRIED]:
        visit = _Visit(site, 0, 0)
        for item, _ in _items(source, {site.photo.name: visit}):
            with suppress(FileNotFoundError, ImageError), searcher.classifier.room(item.pixels):
                clock = [time.monotonic()]
                ready = _prepare(item, visit, searcher, order)
                if ready is None or not ready.places:
                    continue
                for _ in range(2):  # the first time, libraries are loaded
                    clock.append(time.monotonic())
                    _try_crack(ready, ready.places[0], visit, 0, searcher, order)
                each = min(np.diff([*clock[1:], time.monotonic()]).tolist())
                visits = math.ceil(LEAST_CRACKS / _EACH)
                return math.ceil(visits / jobs) * (clock[1] - clock[0] + _EACH * each)
    return 0.0


def _sites(order: Order, classifier: PhotoClassifier) -> tuple[list[_Site], Counter[str]]:
    """The photographs to use in the order in which they are visited, and why the others are not.

    Raises:
        CrackError: if there are none.
    """
    why: Counter[str] = Counter()
    unusable: Counter[str] = Counter()
    usable = []
    for photo in order.survey.photos:
        places, reasons = _places(photo, order, classifier.side_for(photo.mm_per_pixel))
        why.update(reasons)
        if len(places):
            usable.append(_Site(photo, places))
        else:
            unusable[reasons.most_common(1)[0][0] if reasons else "too small"] += 1
    if not usable:
        told = f" (parts looked at: {_told(why)})" if why else ""
        raise CrackError(
            f"--certify: no part of {len(order.survey.photos)} photographs is clean and seen well enough to lay a crack into{told}"
            f". What counts as fine enough is decided by --needs-mm {order.needs_mm:g}. The survey itself is finished."
        )
    rng = np.random.default_rng([order.seed, 1])
    return [usable[place] for place in rng.permutation(len(usable))], unusable


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


def _try_photo(item: Item, visit: _Visit, searcher: Searcher, order: Order) -> _Tried:
    """Lay cracks into a photograph, one at a time, and search for each; none where it cannot be read, or is another one by now."""
    with suppress(FileNotFoundError, ImageError), searcher.classifier.room(item.pixels):
        ready = _prepare(item, visit, searcher, order)
        if ready is not None:
            trials = (
                _try_crack(ready, place, visit, number, searcher, order) for number, place in enumerate(ready.places)
            )
            return _Tried(tuple(trials), ready.why)
    return _Tried((), _GONE)


@dataclass(frozen=True)
class _Ready:
    """A photograph that was read for a visit.

    Attributes:
        image: uint8 (height, width, 3).
        concrete: bool (height, width), less its edge; None for everywhere.
        boxes: the photograph's tiles.
        places: of the visit's cracks.
        why: there are no more; None where there are as many as wanted.
    """

    image: np.ndarray
    concrete: np.ndarray | None
    boxes: Sequence[Box]
    places: list[np.ndarray]
    why: str | None


def _prepare(item: Item, visit: _Visit, searcher: Searcher, order: Order) -> _Ready | None:
    """Read a photograph; None where it is another one by now."""
    photo = visit.site.photo
    side = searcher.classifier.side_for(photo.mm_per_pixel)
    frame = item.read()
    if frame.sha256 != photo.sha256:
        return None
    foreground = searcher.foreground(frame)
    concrete = None if foreground is None else without_edge(foreground, False)
    boxes = photo_boxes(photo.width, photo.height, side, order.overlap)
    places, why = _free(visit.site, concrete, _reach(photo, side), (visit.round + 1) * _EACH)
    return _Ready(frame.image, concrete, boxes, places[visit.round * _EACH :], why)


def _free(site: _Site, concrete: np.ndarray | None, reach: float, count: int) -> tuple[list[np.ndarray], str | None]:
    """The first places of a photograph that are concrete all around and well apart, and why there are no more than those."""
    found: list[np.ndarray] = []
    why: Counter[str] = Counter()
    for place in site.places:
        if len(found) == count:
            return found, None
        if found and np.abs(np.array(found) - place).max(axis=1).min() < reach / 2:
            why[_FULL] += 1
            continue
        x, y = place
        around = np.s_[int(y - reach) : int(y + reach) + 1, int(x - reach) : int(x + reach) + 1]
        if concrete is not None and not concrete[around].all():
            why[_NO_CONCRETE] += 1
            continue
        found.append(place)
    return found, None if len(found) == count else why.most_common(1)[0][0] if why else _FULL


def _try_crack(ready: _Ready, place: np.ndarray, visit: _Visit, number: int, searcher: Searcher, order: Order) -> Trial:
    photo = visit.site.photo
    side = searcher.classifier.side_for(photo.mm_per_pixel)
    rng = np.random.default_rng([order.seed, 2, visit.number, number])
    first = np.random.default_rng([order.seed, 3]).uniform(size=3)
    share = (first + (visit.number * _EACH + number) * np.array(_SPREAD)) % 1
    width, contrast = (
        math.exp(math.log(low) + part * math.log(high / low))
        for part, (low, high) in zip(share[:2], (_WIDTHS_PX, _CONTRASTS), strict=True)
    )
    direction = 180 * float(share[2])
    length = _length(photo.width, photo.height, side)
    crack = _crack(rng, place, math.radians(direction), length, width, contrast)
    window = window_around(photo.width, photo.height, place, _reach(photo, side), side)
    verdict = search_for(
        crack, int(rng.integers(2**31)), ready.image, window, ready.boxes, ready.concrete, side, searcher
    )
    view = _view(photo)
    scales = None if view is None else view.measure([crack.points.tolist()])
    return Trial(
        photo=photo.name,
        number=visit.round * _EACH + number,
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


def _crack(
    rng: np.random.Generator, middle: np.ndarray, heading: float, length: float, width: float, contrast: float
) -> WallCrack:
    crack = draw_walk(rng, (0.0, 0.0), heading, length, width)
    shift = middle - (crack.points.min(axis=0) + crack.points.max(axis=0)) / 2
    return replace(crack, points=crack.points + shift, depth=contrast)


class _Lines:
    """Visits, each written down when it is done; those of the same certificate are taken up again."""

    def __init__(self, path: Path, key: str, check: Callable[[], None]) -> None:
        self.tried: dict[tuple[str, int], _Tried] = {}
        self.seconds = 0.0
        self._path, self._key, self._check = path, key, check
        good = []
        for line in path.read_bytes().splitlines() if path.is_file() else []:
            with suppress(ValueError, KeyError, TypeError, CheckError):
                value = json.loads(unseal_line(line))
                if value["key"] == key:
                    tried = checked(_Tried, {"trials": value["trials"], "why": value["why"]})
                    self.tried[value["photo"], int(value["round"])] = tried
                    self.seconds += float(value["seconds"])
                    good.append(line + b"\n")
        check()
        write_bytes(path, b"".join(good))

    def add(self, visit: _Visit, tried: _Tried, seconds: float) -> None:
        """Keep what came of a visit, and how long it took."""
        self._check()
        self.tried[visit.key] = tried
        self.seconds += seconds
        photo, number = visit.key
        record: dict[str, Any] = {
            "key": self._key,
            "photo": photo,
            "round": number,
            "seconds": round(seconds, 3),
            "why": tried.why,
            "trials": [asdict(trial) for trial in tried.trials],
        }
        with self._path.open("ab") as stream:
            stream.write(seal_line(record))
