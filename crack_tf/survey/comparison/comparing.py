"""How a crack is held against itself in an earlier survey: `compare_surveys` makes what `crack_tf.survey.comparison.since` describes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.ranges import Range
from crack_tf.survey.comparison.epochs import (
    TOLERANCE,
    CrackPair,
    Matched,
    PhotoPair,
    SharedPart,
    View,
    called_over,
    drawn_beyond,
    match_cracks,
    pair_photographs,
    shared_part,
    view_of,
)
from crack_tf.survey.comparison.growth import Compared, Growth, compare_places, difference, length_growth, width_growth
from crack_tf.survey.comparison.shown_before import Shown, length_before
from crack_tf.survey.comparison.since import (
    LATER,
    NAMES,
    SAME_PLACES,
    TWO_RANGES,
    UNSHOWN,
    Change,
    Earlier,
    Since,
    without_rejected,
)
from crack_tf.survey.comparison.since_files import read_picture, to_picture
from crack_tf.survey.findings import (
    CANNOT_TELL,
    CONFIRMED,
    GONE,
    GROWN,
    NEW,
    NOT_SHOWN,
    REFUTED,
    VERDICTS,
    Finding,
    PhotoRecord,
    Survey,
    flown,
    survey_id,
    title_of,
)
from crack_tf.survey.geometry.views import asked_of
from crack_tf.survey.profiles import read_profile
from crack_tf.survey.reviews.review import ACCEPTED, is_unmeasured, kept_review
from crack_tf.survey.store import SINCE, read_points
from tflite.errors import CrackError
from tflite.sameness import changed
from tflite.words import counted

_WIDTH_DIGITS, _LENGTH_DIGITS = 3, 1  # of millimetres
_CACHED = 64  # photographs whose points are in memory
_DISAGREE = 0.15  # by which two surveys' scales may differ beyond what both leave open, before that is told


def compare_surveys(
    earlier: Earlier, survey: Survey, folder: Path, position_error_m: float
) -> tuple[Survey, Since, Mapping[str, PhotoPair]]:
    """Say of each crack what became of it.

    Args:
        earlier: the other survey.
        survey: the later one, assembled.
        folder: of the later one, with points and profiles.
        position_error_m: of the positions of either.

    Returns:
        The survey, its findings with what became of them; all changes; and the pair of photographs that each change was seen on, by
        the change's picture that lies on another one.

    Raises:
        CrackError: if no photograph of the two shows the same.
    """
    old = earlier.survey
    pairs = pair_photographs(
        old.photos,
        survey.photos,
        lru_cache(_CACHED)(partial(read_points, earlier.folder)),
        lru_cache(_CACHED)(partial(read_points, folder)),
        position_error_m,
    )
    if not pairs:
        raise CrackError(
            f"--since {earlier.folder}: 0 of {counted(len(survey.photos), 'photograph')} could be paired with one of the "
            f"{len(old.photos)} there, so it seems to be of another site. Name a survey of this one, or leave --since out: "
            "what was searched stays, and the same command goes on."
        )
    comparison = _Comparison(earlier, survey, folder, pairs)
    matched = match_cracks(pairs, old.findings, survey.findings, old.photos, survey.photos)
    changes, seen_on = comparison.changes(matched)
    since = Since(
        survey=survey_id(survey),
        old_survey=survey_id(old),
        old_source=old.source,
        old_created=old.created,
        old_title=None if title_of(old) == old.source else title_of(old),
        old_flown=flown(old.photos) if any(photo.time for photo in old.photos) else None,
        photos=len(survey.photos),
        paired=len({pair.new for pair in pairs}),
        changes=tuple(changes),
        warnings=comparison.warnings(),
    )
    since = without_rejected(since, earlier.review, 0)
    verdicts = {number: change for change in since.changes for number in change.new}
    findings = tuple(
        _told(finding, verdicts[finding.id]) if finding.id in verdicts else finding for finding in survey.findings
    )
    return replace(survey, findings=findings), since, seen_on


def _models_of(survey: Survey) -> dict[str, dict[str, Any]]:
    """What two surveys' models are compared by: earlier versions did not state their use, which follows from the hash."""
    return {role: {name: model[name] for name in model if name != "use"} for role, model in survey.models.items()}


def _model_name(model: Mapping[str, Any] | None) -> str:
    """A model's name with the start of its hash, as a survey's `models` has it."""
    return "none" if model is None else f"{model.get('name')} ({str(model.get('sha256'))[:8]})"


def _told(finding: Finding, change: Change) -> Finding:
    growth = {name: getattr(change, name) for name in vars(change) if "_growth_" in name}
    return replace(finding, since=change.verdict, since_old=change.old, **growth)


class _Comparison:
    """Two surveys and what of them is needed to compare cracks."""

    def __init__(self, earlier: Earlier, survey: Survey, folder: Path, pairs: Sequence[PhotoPair]) -> None:
        self._folders = earlier.folder, folder
        self._surveys = earlier.survey, survey
        self._pairs = pairs
        self._by_photos = {(pair.old, pair.new): pair for pair in pairs}
        self._photos = tuple({photo.name: photo for photo in found.photos} for found in self._surveys)
        self._findings = tuple({finding.id: finding for finding in found.findings} for found in self._surveys)
        self._reviews = earlier.review, kept_review(folder, survey)[0]
        # Of either survey, by its findings' ids.
        self._verdicts = tuple(
            {
                finding.id: CONFIRMED
                if review is not None and review.verdict(finding) == ACCEPTED
                else finding.validation
                for finding in found.findings
            }
            for found, review in zip(self._surveys, self._reviews, strict=True)
        )
        self._needs_mm = asked_of(survey).needs_mm
        self._scales: list[
            tuple[float, float]
        ] = []  # by the older and by the newer photograph, and what both leave open

    def changes(self, matched: Matched) -> tuple[list[Change], dict[str, PhotoPair]]:
        """All, in order of VERDICTS, and the pairs of photographs of those with a picture."""
        found: list[tuple[Change, PhotoPair | None]] = []
        for group in _groups(matched.pairs):
            olds, news = ([self._findings[side][number] for number in group[side]] for side in (0, 1))
            if all(self._verdicts[side][number] == REFUTED for side in (0, 1) for number in group[side]):
                continue
            found.append(self._same(olds, news, [pair for pair in matched.pairs if pair.old in group[0]]))
        for numbers, seen, side in (
            (matched.appeared, True, 1),
            (matched.unseen_before, False, 1),
            (matched.gone, True, 0),
            (matched.unseen_now, False, 0),
        ):
            for number in numbers:
                finding = self._findings[side][number]
                if self._verdicts[side][number] != REFUTED:
                    found.append(self._alone(finding, side, seen))
        found.sort(key=lambda entry: (VERDICTS.index(entry[0].verdict), -(entry[0].width_growth_mm or 0.0)))
        changes, seen_on = [], {}
        for change, pair in found:
            name = f"{SINCE}/{(change.new or change.old)[0]}"
            picture = f"{name}.jpg" if change.old else None
            later = f"{name}{LATER}" if pair is not None and not change.new else None
            changes.append(replace(change, picture=picture, new_picture=later))
            laid = later or picture
            if laid is not None and pair is not None:
                seen_on[laid] = pair
        return changes, seen_on

    def warnings(self) -> tuple[str, ...]:
        """What limits the comparison."""
        found = []
        for survey, which in zip(self._surveys, NAMES, strict=True):
            without = sum(photo.mm_per_pixel is None for photo in survey.photos)
            if without:
                found.append(
                    f"{without} of {counted(len(survey.photos), 'photograph')} of {which} {'has' if without == 1 else 'have'} no known "
                    "scale: growth in millimetres is by the other's scale there, and where both lack one, only whether a crack has "
                    "grown is told. State a scale: --mm-per-pixel or --distance-m."
                )
        for findings, review, which in zip(self._findings, self._reviews, NAMES, strict=True):
            unmeasured = [name for name, finding in findings.items() if is_unmeasured(finding, review)]
            if unmeasured:
                found.append(
                    f"{counted(len(unmeasured), 'accepted finding')} of {which} {'was' if len(unmeasured) == 1 else 'were'} not measured, "
                    f"and what became of {'it' if len(unmeasured) == 1 else 'them'} is not known: {', '.join(unmeasured)}"
                )
        off = [ratio for ratio, allowed in self._scales if abs(ratio - 1) > allowed + _DISAGREE]
        if len(off) > len(self._scales) / 2:
            found.append(
                f"the scales of the two surveys disagree: by the earlier one's, the same wall is {np.median(off):.2g} times as large as by "
                "this one's. One was stated wrongly; growth in millimetres is by the one that claims to be known better."
            )
        others = changed(*(_models_of(survey) for survey in self._surveys))
        if others:
            told = "; ".join(f"{role}: {_model_name(before)}, now {_model_name(now)}" for role, before, now in others)
            found.append(
                f"the two surveys were not made with the same models ({told}): a crack that only one of them drew may be the model's doing."
            )
        return tuple(found)

    def _alone(self, finding: Finding, side: int, seen: bool) -> tuple[Change, PhotoPair | None]:
        """A crack of one survey, and the pair of photographs by which the other one shows its place best."""
        sides, other = ("old", "new"), NAMES[1 - side]
        views = self._views(finding, side) if seen else []
        pair, view = max(views, key=lambda entry: (entry[1].well, entry[1].shown), default=(None, None))
        verdict = CANNOT_TELL
        if pair is None or view is None:
            note = UNSHOWN[1 - side]
        elif name := self._called_over(finding, side, [pair for pair, _ in views]):
            note = f"{other} drew or called something else over its place, on {name}: whether it is the same nobody can tell"
        elif self._verdicts[side][finding.id] != CONFIRMED:
            note = f"{other} drew no crack there, and this finding is {finding.validation}"
        elif self._surveys[1 - side].models.get("segmenter") is None:
            note = f"{other} drew no cracks at all: it was made without a segmentation model"
        elif not view.well:
            note = f"{other} drew no crack there, but no photograph shows the place well enough for a crack that fine"
        else:
            verdict = (GONE, NEW)[side]
            note = (
                f"{(pair.old, pair.new)[1 - side]} of {other} shows its place sharp and lit, where it would be {view.width_px:.0f} pixels "
                "wide, and no crack was drawn there"
            )
        told = {
            sides[side]: (finding.id,),
            f"{sides[side]}_photo": finding.photo,
            f"{sides[side]}_width_mm": finding.mean_width_mm,
            f"{sides[1 - side]}_photo": None if pair is None else (pair.old, pair.new)[1 - side],
        }
        return Change(verdict, note=note, **told), pair  # type: ignore[arg-type]

    def _views(self, finding: Finding, side: int) -> list[tuple[PhotoPair, View]]:
        """How photographs of the other survey show a crack's place; without those that hardly show it."""
        found = []
        for pair in self._pairs:
            if (pair.old, pair.new)[side] == finding.photo:
                photo, there = self._across(pair, side)
                view = view_of(photo, finding, there)
                found += [] if view is None else [(pair, view)]
        return found

    def _across(self, pair: PhotoPair, side: int) -> tuple[PhotoRecord, np.ndarray]:
        """The photograph of the other survey in a pair, and the homography from one's own to it."""
        matrix = np.array(pair.homography)
        return self._photos[1 - side][(pair.old, pair.new)[1 - side]], np.linalg.inv(matrix) if side else matrix

    def _called_over(self, finding: Finding, side: int, pairs: Sequence[PhotoPair]) -> str | None:
        """A photograph of the other survey on which something was called over a crack's place; None where there is none."""
        other = 1 - side
        for pair in pairs:
            photo, there = self._across(pair, side)
            called = [
                found
                for found in self._surveys[other].findings
                if found.photo == photo.name and self._verdicts[other][found.id] != REFUTED
            ]
            if called_over(finding, self._photos[side][finding.photo], there, photo, called):
                return photo.name
        return None

    def _same(
        self, olds: Sequence[Finding], news: Sequence[Finding], pairs: Sequence[CrackPair]
    ) -> tuple[Change, PhotoPair]:
        """A crack of both surveys, in one piece or several. Its width is compared on the two pieces that share most places."""
        compared = [(self._compared(pair), pair) for pair in pairs]
        best, pair = max(compared, key=lambda entry: (entry[0].places if entry[0] else 0, entry[1].cover))
        old, new = self._findings[0][pair.old], self._findings[1][pair.new]
        photos = self._by_photos[pair.photos]
        parts = self._parts(olds, news, photos)
        whole = parts is not None and not any(part.cut for side in parts for part in side)
        width, by, width_verdict = self._width(old, new, best, whole)
        lengths = None if parts is None else self._lengths(olds[0], news[0], parts, best)
        length = None if lengths is None else lengths[2]
        length_verdict = CANNOT_TELL
        # Where the two are not known to be clear at the same places, a line may be longer for the network's sake.
        if best is not None and lengths is not None and length is not None:
            length_verdict = _verdict(length, lengths[0])
            if length_verdict == NOT_SHOWN and not whole:
                length_verdict = CANNOT_TELL  # beyond what both show it may have grown
        drawn_mm = 0.0
        if length_verdict == GROWN and parts is not None and lengths is not None:
            before, grown = self._shown_before(olds, news, photos), lengths
            lengths = self._lengths(olds[0], news[0], parts, best, before)
            assert lengths is not None
            length, drawn_mm = lengths[2], lengths[0] - grown[0]
            # A crack may run on into what was dark before.
            length_verdict = GROWN if length.range.low > 0 else CANNOT_TELL
        verdict = GROWN if GROWN in (width_verdict, length_verdict) else CANNOT_TELL if drawn_mm else width_verdict
        return (
            Change(
                verdict=verdict,
                # Those that were compared come first.
                old=(old.id, *(finding.id for finding in olds if finding is not old)),
                new=(new.id, *(finding.id for finding in news if finding is not new)),
                old_photo=pair.photos[0],
                new_photo=pair.photos[1],
                width_verdict=width_verdict,
                length_verdict=length_verdict,
                old_width_mm=old.mean_width_mm,
                new_width_mm=new.mean_width_mm,
                width_by=by,
                places=0 if best is None else best.places,
                old_length_mm=None if lengths is None else round(lengths[0], 1),
                new_length_mm=None if lengths is None else round(lengths[1], 1),
                note=self._why(verdict, width, length, best, whole, drawn_mm),
                **_columns("width", width),
                **_columns("length", length),
            ),
            photos,
        )

    def _compared(self, pair: CrackPair) -> Compared | None:
        profiles = []
        for side, number in enumerate((pair.old, pair.new)):
            name = self._findings[side][number].profile
            profiles.append(None if name is None else read_profile(self._folders[side], name))
        old, new = profiles
        if old is None or new is None:
            return None
        photo = self._photos[1][pair.photos[1]]
        homography = np.array(self._by_photos[pair.photos].homography)
        return compare_places(old, new, homography, TOLERANCE * max(photo.width, photo.height))

    def _width(
        self, old: Finding, new: Finding, compared: Compared | None, whole: bool
    ) -> tuple[Growth | None, str | None, str]:
        """How much wider in millimetres, by what, and the verdict; the first is None where no scale is known.

        Args:
            old, new: the crack.
            compared: place by place, or None.
            whole: whether both photographs show all of it: else two mean widths are not of one part.
        """
        shares = _shares(old), _shares(new)
        if compared is not None and shares[0] is not None and shares[1] is not None:
            errors = _scale_error(old), _scale_error(new)
            known = [entry for entry in zip(errors, compared.across_mm, strict=True) if math.isfinite(entry[1])]
            if not known:
                return None, SAME_PLACES, _verdict(width_growth(compared, (shares[0], shares[1])), MIN_PIXELS)
            if len(known) == 2:
                self._scales.append((compared.across_mm[0] / compared.across_mm[1], sum(errors)))
            error, scale = min(known)
            growth = width_growth(compared, (shares[0], shares[1]), error).times(scale).rounded(_WIDTH_DIGITS)
            return growth, SAME_PLACES, _verdict(growth, self._needs_mm)
        ends = (old.mean_width_mm, old.mean_width_low_mm, old.mean_width_high_mm)
        later = (new.mean_width_mm, new.mean_width_low_mm, new.mean_width_high_mm)
        if None in (*ends, *later) or not whole:
            return None, None, CANNOT_TELL
        growth = difference(ends[0], Range(*ends[1:]), later[0], Range(*later[1:]))  # type: ignore[arg-type]
        growth = growth.rounded(_WIDTH_DIGITS)
        return growth, TWO_RANGES, _verdict(growth, self._needs_mm)

    def _parts(
        self, olds: Sequence[Finding], news: Sequence[Finding], photos: PhotoPair
    ) -> tuple[list[SharedPart], list[SharedPart]] | None:
        """What both photographs show of a crack's pieces in either survey; None where these lie on several photographs."""
        names, matrix = (photos.old, photos.new), np.array(photos.homography)
        groups = olds, news
        if any(finding.photo != name for group, name in zip(groups, names, strict=True) for finding in group):
            return None
        own, other = (self._photos[side][name] for side, name in enumerate(names))
        beside = [
            [found for found in survey.findings if found.photo == name and found.centreline and found not in group]
            for survey, name, group in zip(self._surveys, names, groups, strict=True)
        ]
        return (
            [shared_part(finding, own, matrix, other, beside[1]) for finding in olds],
            [shared_part(finding, other, np.linalg.inv(matrix), own, beside[0]) for finding in news],
        )

    def _shown_before(self, olds: Sequence[Finding], news: Sequence[Finding], photos: PhotoPair) -> float:
        """How much of a longer line the earlier photograph shows as dark, though its survey did not draw it; pixels of the later one."""
        matrix, later = np.array(photos.homography), self._photos[1][photos.new]
        back = np.linalg.inv(matrix)
        kept = [finding for finding in self._surveys[0].findings if finding.photo == photos.old]
        drawn = [finding for finding in kept if finding.centreline]
        lines = [
            line for finding in news for line in drawn_beyond(finding, later, back, self._photos[0][photos.old], drawn)
        ]
        # Its own pictures first: they show most of it.
        pictures = [
            self._pictures(0, [*olds, *(found for found in kept if found not in olds)]),
            self._pictures(1, news),
        ]
        width = max(finding.mean_width_px or 0.0 for finding in news)
        return length_before(lines, pictures[1], pictures[0], back, TOLERANCE * max(later.width, later.height), width)

    def _pictures(self, side: int, findings: Sequence[Finding]) -> list[Shown]:
        found = []
        for finding in findings:
            pixels, photo = read_picture(self._folders[side], finding.picture), self._photos[side][finding.photo]
            if pixels is not None:
                into = to_picture(finding, (photo.width, photo.height), (pixels.shape[1], pixels.shape[0]))
                found.append(Shown(pixels.mean(axis=2, dtype=np.float32), into))
        return found

    def _lengths(
        self,
        first_old: Finding,
        first_new: Finding,
        parts: tuple[Sequence[SharedPart], Sequence[SharedPart]],
        compared: Compared | None,
        shown_before: float = 0.0,
    ) -> tuple[float, float, Growth] | None:
        """Lengths of what both photographs show, and the growth, in millimetres; None without a scale.

        What the other survey drew as part of another crack is no growth, nor what the earlier photograph shows as dark, by pixels of the
        later one: it counts on both sides.
        """
        before, now = parts
        # All in pixels of the later photograph.
        laid = sum(part.other for part in before)
        old = laid + sum(part.own * part.beside for part in now) + shown_before
        new = sum(part.own for part in now) + sum(part.other * part.beside for part in before)
        scales = [
            _mm_per_px(first_new),
            None
            if (own := _mm_per_px(first_old)) is None or not laid
            else own * sum(part.own for part in before) / laid,
        ]
        scale = next((found for found in scales if found is not None), None)
        if scale is None or not old or not new:
            return None
        growth = length_growth(old, new, 0.0 if compared is None else min(compared.missing_light))
        return old * scale, new * scale, growth.times(scale).rounded(_LENGTH_DIGITS)

    def _why(
        self,
        verdict: str,
        width: Growth | None,
        length: Growth | None,
        compared: Compared | None,
        whole: bool,
        drawn_mm: float,
    ) -> str | None:
        notes = []
        if length is not None and length.range.high < 0:
            notes += [
                f"{-length.value:.1f} mm of it are no longer drawn: repaired or covered there, or missed this time"
            ]
        if drawn_mm:
            notes += [
                f"{drawn_mm:.1f} mm of what is drawn longer now were as dark on the earlier photograph, and are not counted"
            ]
        elif verdict != CANNOT_TELL:
            notes += [] if width else ["no scale is known: growth has no millimetres, and lengths are not compared"]
        elif compared is None:
            shown = "the photographs do not show it clearly at the same places"
            notes += [shown if width or not whole else f"{shown}, and its width is not known in both surveys"]
        else:
            notes += [f"it may have grown by {self._needs_mm:g} mm unnoticed"]
        if not whole:
            notes += ["it leaves what both photographs show: beyond, nobody can tell whether it has grown"]
        return "; ".join(notes) or None


def _verdict(growth: Growth, unnoticed: float) -> str:
    """On one measure.

    Args:
        growth: of it.
        unnoticed: growth that a survey must be able to tell.
    """
    if growth.range.low > 0:
        return GROWN
    return CANNOT_TELL if growth.range.high > unnoticed else NOT_SHOWN


def _groups(pairs: Sequence[CrackPair]) -> list[tuple[list[str], list[str]]]:
    """Ids of the old and of the new findings that are one crack: of one that fell into pieces there are several."""
    groups: list[tuple[set[str], set[str]]] = []
    for pair in pairs:
        joined: tuple[set[str], set[str]] = ({pair.old}, {pair.new})
        rest = []
        for group in groups:
            if group[0] & joined[0] or group[1] & joined[1]:
                joined = (joined[0] | group[0], joined[1] | group[1])
            else:
                rest.append(group)
        groups = [*rest, joined]
    return [(sorted(old), sorted(new)) for old, new in groups]


def _columns(name: str, growth: Growth | None) -> dict[str, Any]:
    if growth is None:
        return {}
    values = {"": growth.value, "_low": growth.range.low, "_high": growth.range.high}
    return {f"{name}_growth{end}_mm": value for end, value in values.items()}


def _shares(finding: Finding) -> Range | None:
    """The range of a mean width by its photograph, as shares of it."""
    width, low, high = finding.mean_width_px, finding.mean_width_low_px, finding.mean_width_high_px
    return None if not width or low is None or high is None else Range(low / width, high / width)


def _scale_error(finding: Finding) -> float:
    """Half the range of 95 % of a finding's scale, as a share; 0 where it was given."""
    if not finding.mean_width_mm or finding.mean_width_error_mm is None:
        return 0.0
    return finding.mean_width_error_mm / finding.mean_width_mm


def _mm_per_px(finding: Finding) -> float | None:
    if finding.length_mm is None or not finding.length_px:
        return None
    return finding.length_mm / finding.length_px
