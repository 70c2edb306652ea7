"""The survey itself: photographs are searched by a crew and recorded; then everything is put together.

`crack_tf.survey.searching.search` brings a photograph from its file to what is known of it, several at a time, in threads or elsewhere
(`crack_tf.survey.searching.crew`). Only the process that was called writes: it records each photograph as soon as it is searched.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from crack_tf.common.progress import numbered
from crack_tf.photo.faces import Face
from crack_tf.photo.gsd import SIZE, too_coarse
from crack_tf.survey.accepted import Measured, measure_accepted, read_measured, with_measures
from crack_tf.survey.certificates.certificate import Certificate
from crack_tf.survey.comparison.comparing import compare_surveys
from crack_tf.survey.comparison.since import Earlier, Since
from crack_tf.survey.comparison.since_files import remove_since, write_since
from crack_tf.survey.condition import table_of, with_conditions
from crack_tf.survey.findings import (
    FILE_NAME,
    VALIDATIONS,
    Finding,
    FindingId,
    Gap,
    PhotoRecord,
    Survey,
    read_survey,
    survey_id,
    unplaced,
    write_survey,
)
from crack_tf.survey.formats.geojson import write_tables
from crack_tf.survey.geometry.camera import NO_SCALE
from crack_tf.survey.geometry.curved import holding_both, radii_of, warn_of_curves
from crack_tf.survey.geometry.rounds import changed_views, on_cylinders
from crack_tf.survey.geometry.scales import warn_of_scales, warn_of_unscaled
from crack_tf.survey.geometry.views import faces_of
from crack_tf.survey.ledger import NEEDED_MM, Coverage, coverage_of
from crack_tf.survey.merge import merge_findings
from crack_tf.survey.patterning import with_patterns
from crack_tf.survey.profiles import rescale
from crack_tf.survey.report.page import write_page
from crack_tf.survey.reviews.review import Kept, Review, as_kept, keep_review, read_kept
from crack_tf.survey.searching.crew import Crew
from crack_tf.survey.searching.quality import told_of_none, warn_of_unseen
from crack_tf.survey.searching.search import Performance, Searched, Stopwatch
from crack_tf.survey.severity import in_order, severity_of
from crack_tf.survey.source import UNREADABLE, Item, Source
from crack_tf.survey.store import PERFORMANCE, Store
from tflite.device.tiles import Box
from tflite.errors import CrackError, ImageError
from tflite.files import read_json, write_json
from tflite.measure import peak_rss_mb
from tflite.place.clock import parse_time
from tflite.place.missing import IMPOSSIBLE, NO_TIME, count_unplaced
from tflite.words import a_few, counted, not_read, on_one_line

# What to do where nothing is known of when the pictures of a source were taken.
_TIMELESS = {
    "folder": "survey the files that the camera wrote, which say when they were taken",
    "video": "give --video-start, in another --out",
    "journal": "give the device --timezone, without which pictures of a clock that does not say its zone have no time",
}


@dataclass
class Run:
    """A survey in progress.

    Attributes:
        source: of the photographs.
        store: the survey's folder.
        crew: that searches them.
        second_opinion: whether it has a segmentation model.
        jobs: threads of this process, for merging.
        position_error_m: of a photograph's position.
        tell: called with a line for every photograph.
        log_span: first and last moment of the flight log, seconds since 1970 UTC; None without one.
        needs_mm: width of crack that must be measurable.
        earlier: survey to compare with, or None.
        measure: searches a photograph again and measures whatever is drawn on it; None where nothing can be.
        coverage: what was seen, once `finish` is done; None where that is not known.
        since: what became of its cracks since the earlier survey, likewise; None without one.
        kept: review of it, and what of that is not in this survey, likewise.
    """

    source: Source
    store: Store
    crew: Crew
    second_opinion: bool
    jobs: int
    position_error_m: float
    tell: Callable[[str], None]
    log_span: tuple[float, float] | None = None
    needs_mm: float = NEEDED_MM
    earlier: Earlier | None = None
    measure: Callable[[Item], Searched] | None = None
    coverage: Coverage | None = None
    since: Since | None = None
    kept: Kept = (None, "")

    def __post_init__(self) -> None:
        self.watch = Stopwatch()
        self._names: set[str] = set()

    def work(self) -> tuple[int, int]:
        """Search all photographs that were not searched before.

        Returns:
            How many were handled now, and how many before.

        Raises:
            CrackError: if the survey's folder was removed or emptied meanwhile.
        """
        handled, pixels, known = 0, 0, 0
        items: Iterable[Item] = self.source.items(self._is_wanted, self.store.file_of)
        counts = self.source.kind != "video"  # whose frames are decoded one after the other
        if counts:
            items = list(items)
            known = len(self._names) - len(items)
        if known:
            self.tell(f"{known:,} of {counted(len(self._names), 'photograph')} known already")
        for line, size in self.crew.work(items, self._keep):
            handled, pixels = handled + 1, pixels + size
            self.tell(numbered(known + handled, len(self._names), line) if counts else line)
        before = self.store.search_seconds
        self._performance = self.watch.performance(handled, pixels / 1e6, self.crew.jobs, before)
        return handled, len(self._names) - handled

    def finish(
        self, models: dict[str, dict[str, Any]], settings: dict[str, Any], *, one_file: bool = False
    ) -> tuple[Survey, Performance]:
        """Merge and write everything.

        Args:
            models, settings: for the survey, see `crack_tf.survey.findings`.
            one_file: of the report, see `crack_tf.survey.report.page.write_page`.

        Returns:
            The survey, and how fast it was.

        Raises:
            CrackError: if records were taken away meanwhile, or the earlier survey is of another site. Nothing is written then.
        """
        started = time.monotonic()
        survey = self._assembled(models, settings)
        given = read_kept(self.store.folder)
        self.kept = (None, "") if given is None else as_kept(given, survey)
        review = self.kept[0]
        measured = self._measured(survey, review)
        if review is not None:
            survey = with_measures(survey, review, measured, self.store.records(), self.position_error_m)
        self.coverage = coverage_of(survey, review)
        merge_seconds = round(time.monotonic() - started, 2)
        out = self.store.folder
        before, now = self._faces_before(), faces_of(survey.settings)
        accepted = [one.finding for one in measured.values()]
        self._rescale_profiles(survey, accepted, now, before)
        if self.earlier is None:
            remove_since(out)
        else:
            try:
                self.tell(f"comparing with {self.earlier.folder}")
                survey, self.since, seen_on = compare_surveys(self.earlier, survey, out, self.position_error_m)
            except CrackError:
                self._rescale_profiles(survey, accepted, before, now)
                raise
            self.since = write_since(out, self.since, survey, self.earlier, seen_on, self._photographs, review)
        survey = replace(survey, former=self._former(survey))
        if given is not None:
            # An earlier version kept it in the tables, which are written now.
            keep_review(out, replace(given, survey=survey_id(survey)))
        write_tables(out, survey, self.coverage, self.kept)
        write_survey(out, survey)
        self.show(survey, one_file)
        speed = replace(self._performance, merge_seconds=merge_seconds, peak_memory_mb=round(peak_rss_mb()))
        if speed.megapixels:  # else nothing was searched, and what is told of an earlier call stays
            write_json(out / PERFORMANCE, asdict(speed))
        return survey, speed

    def show(self, survey: Survey, one_file: bool, certificate: Certificate | None = None) -> None:
        """Write the report, once `finish` knows what it tells."""
        out, kept, coverage = self.store.folder, self.kept, self.coverage
        write_page(
            out, survey, kept=kept, one_file=one_file, coverage=coverage, certificate=certificate, since=self.since
        )

    def _measured(self, survey: Survey, review: Review | None) -> Mapping[FindingId, Measured]:
        """What a person accepted, measured as far as it is drawn."""
        if review is None or self.measure is None:
            return read_measured(self.store.folder)
        return measure_accepted(self.store, self.source, self.measure, survey, review, self.tell)

    def _faces_before(self) -> tuple[Face, ...]:
        """The faces that were declared in the last call; none in the first one."""
        with suppress(CrackError, KeyError, TypeError):
            return faces_of(read_json(self.store.folder / FILE_NAME)["settings"])
        return ()

    def _former(self, survey: Survey) -> tuple[str, ...]:
        """Ids that the survey in this folder had in earlier calls, if they were others."""
        with suppress(CrackError):
            before = read_survey(self.store.folder)
            ids = dict.fromkeys((*before.former, survey_id(before)))
            return tuple(name for name in ids if name != survey_id(survey))
        return ()

    def _rescale_profiles(
        self, survey: Survey, accepted: Sequence[Finding], now: Sequence[Face], before: Sequence[Face]
    ) -> None:
        """Have the tables along cracks say what lengths and widths say: those of cylinders, as far as they are declared now."""
        views = changed_views(survey.photos, now, before, self.position_error_m)
        if not views:
            return
        for findings in (accepted, *(found for _, found, _ in self.store.records())):
            for finding in findings:
                if finding.profile is not None and finding.photo in views:
                    rescale(self.store.folder, finding.profile, views[finding.photo])

    def _is_wanted(self, name: str, size: int) -> bool:
        self._names.add(name)
        return not self.store.is_done(name, size)

    def _require_all(self, recorded: set[str]) -> None:
        """Photographs and gaps are the files: a record that is not there was taken away by something else."""
        self.store.check()
        lost = sorted(self._names - recorded)
        if lost:
            raise CrackError(
                f"the records of {counted(len(lost), 'photograph')} are gone from {self.store.folder}, the first {lost[0]}: "
                "something else removed "
                "them during the survey. The same command searches these photographs again."
            )

    def _keep(self, searched: Searched) -> tuple[str, int]:
        """Record a photograph; a line about it, and its pixels."""
        for stage, seconds in searched.seconds.items():
            self.watch.add(stage, seconds)
        photo = searched.photo
        if photo is None:
            gap = searched.gap or Gap(searched.name, UNREADABLE, "nothing is known about it")
            self.store.add_gap(searched.size, gap)
            return not_read(searched.name, gap.detail), 0
        with self.watch.stage("write"):
            for name, jpeg in searched.pictures.items():
                self.store.add_picture(name, jpeg)
            self.store.add_photo(searched.size, photo, list(searched.findings), searched.points, searched.file)
        verdicts = Counter(finding.validation for finding in searched.findings)
        what = ", ".join(f"{verdicts[name]} {name}" for name in VALIDATIONS if verdicts[name]) or told_of_none(photo)
        return (
            f"{what:<24} {photo.positives:>4}/{photo.tiles} tiles  {on_one_line(searched.name)}",
            photo.width * photo.height,
        )

    def _photographs(self, names: Collection[str]) -> Iterator[tuple[str, np.ndarray]]:
        """Photographs of those names with their pixels, without those that cannot be read any more."""
        for item in self.source.items(lambda name, size: name in names):
            with suppress(ImageError, OSError):
                yield item.name, item.read().image

    def _assembled(self, models: dict[str, dict[str, Any]], settings: dict[str, Any]) -> Survey:
        searched: dict[str, tuple[PhotoRecord, list[Finding]]] = {}
        gaps, no_more = list(self.source.gaps), list[Gap]()
        recorded: set[str] = set()
        for photo, found, gap in self.store.records():
            recorded |= {entry.name for entry in (photo,) if entry is not None} | {
                entry.photo for entry in (gap,) if entry is not None
            }
            if gap is not None:
                (gaps if gap.photo in self._names else no_more).append(gap)
            if photo is not None:
                searched[photo.name] = photo, list(with_patterns(photo, found))
        self._require_all(recorded)
        renamed = self._renamed([photo for photo, _ in searched.values()])
        for before, now in renamed.items():
            photo, found = searched[now]
            searched[now] = photo, _for_both(found, searched.pop(before)[1])
        photos = [photo for photo, _ in searched.values()]
        findings = [finding for _, found in searched.values() for finding in found]
        faces = faces_of(settings)
        findings = on_cylinders(photos, findings, faces, self.position_error_m)
        radii = radii_of(photos, faces, self.position_error_m)
        findings = holding_both(photos, findings, radii)
        merged = [
            replace(finding, severity=severity_of(finding))
            for finding in merge_findings(photos, findings, self.store.points, self.position_error_m, self.jobs)
        ]
        table = table_of(settings)
        if table is not None:
            merged = with_conditions(table, merged)
        return Survey(
            source=self.source.name,
            created=self.store.created,
            models=models,
            settings=settings,
            photos=tuple(photos),
            findings=tuple(in_order(merged)),
            gaps=tuple(sorted(gaps, key=lambda gap: (gap.photo, gap.reason))),
            warnings=(
                *self.source.warnings,
                *_warn_of_names(renamed),
                *self._warnings(photos, no_more),
                *warn_of_curves(radii),
                *self._unplaced(photos, merged),
            ),
        )

    def _renamed(self, photos: Sequence[PhotoRecord]) -> dict[str, str]:
        """Photographs that are no longer there by their name, but by their content: to the name that they have now."""
        if self.source.kind != "folder":  # of what is no file of its own, two may look the same
            return {}
        here = {photo.sha256: photo.name for photo in photos if photo.name in self._names}
        gone = [photo for photo in photos if photo.name not in self._names]
        return {photo.name: here[photo.sha256] for photo in gone if photo.sha256 in here}

    def _unplaced(self, photos: list[PhotoRecord], findings: list[Finding]) -> list[str]:
        """How many photographs and findings have no place, why and what to do; what photographs' own data said that cannot be."""
        lost = unplaced(photos)
        told = count_unplaced(
            "frames" if self.source.kind == "video" else "photographs",
            len(photos) - len(lost),
            (photo.unplaced or "neither its own data nor the flight log say where it was taken" for photo in lost),
            [moment for photo in lost if (moment := _moment(photo)) is not None],
            self.log_span,
            "video" if self.source.kind == "video" else "photographs",
        )
        without = sum(finding.latitude is None for finding in findings)
        if self.log_span is None:
            act = "For places give --flight-log, in another --out."
        elif all(photo.unplaced == NO_TIME for photo in lost):
            act = f"A flight log is asked by time: {_TIMELESS[self.source.kind]}."
        else:
            act = "Is the flight log of this flight, and are --timezone and --clock-offset right?"
        placeless = ""
        if len(lost) < len(photos):  # else no finding has one either
            placeless = (
                f" {without} of {counted(len(findings), 'finding')} {'has' if without == 1 else 'have'} no place."
            )
        # Photographs without a position are not compared (`crack_tf.survey.merge`), however alike they look.
        alone = {finding.photo for finding in findings if finding.latitude is None}
        twice = " A crack on two without one counts twice." if len(alone) > 1 else ""
        found = [] if told is None else [f"{told}.{placeless}{twice} {act}"]
        for sized, before in ((False, IMPOSSIBLE), (True, "scales may be wrong. The first is")):
            # Why there is no scale is told where the scales are.
            noted = [
                (photo.name, some)
                for photo in photos
                if (
                    some := [
                        note for note in photo.notes if note.startswith(SIZE) is sized and not note.startswith(NO_SCALE)
                    ]
                )
            ]
            if noted:
                more = f"; and {counted(len(noted) - 1, 'more photograph')}" if len(noted) > 1 else ""
                found.append(f"{before} {noted[0][0]}: {'; '.join(noted[0][1])}{more}.")
        return found

    def _warnings(self, photos: list[PhotoRecord], no_more: Sequence[Gap]) -> list[str]:
        found = []
        gone = sorted(photo.name for photo in photos if photo.name not in self._names)
        if gone:
            found.append(
                f"{counted(len(gone), 'photograph was searched and is', 'photographs were searched and are')} gone from the source "
                f"since, the first {gone[0]}."
            )
        if no_more:  # photographs and gaps are the files that are there
            found.append(
                f"{counted(len(no_more), 'file that could not be read is', 'files that could not be read are')} gone from the source "
                f"since, the first {no_more[0].photo}: nothing is known of what {'it' if len(no_more) == 1 else 'they'} showed, and "
                f"{'it is no gap' if len(no_more) == 1 else 'they are no gaps'} any more."
            )
        left_out = [photo for photo in photos if photo.left_out]
        if left_out:
            found.append(
                f"{counted(sum(photo.left_out for photo in left_out), 'positive tile')} on {counted(len(left_out), 'photograph')} "
                f"where nothing was taken for concrete ({a_few([photo.name for photo in left_out])}): unclear findings, whose note says "
                "so. Where that is concrete in shade, moss or water, survey these photographs with --foreground none, in another --out."
            )
        found += warn_of_unseen(photos)
        scales = [photo.mm_per_pixel for photo in photos if photo.mm_per_pixel is not None]
        if coarse := too_coarse(scales, self.needs_mm, len(photos)):
            found.append(coarse)
        found += warn_of_unscaled(photos)
        found += warn_of_scales(photos)
        if not self.second_opinion:
            found.append(
                "no segmentation model was used: findings are the classifier's tiles, none is confirmed, and no length or "
                "width is known. Give --segmenter FILE.tflite, in another --out."
            )
        return found


def _for_both(now: Sequence[Finding], before: Sequence[Finding]) -> list[Finding]:
    """Findings of a photograph, in whose name they speak for the same ones of its earlier name: reviews know those."""
    ids: dict[Box, list[str]] = {}
    for finding in before:
        ids.setdefault(finding.box, []).append(finding.id)
    return [
        replace(finding, merged=(*finding.merged, known.pop(0))) if (known := ids.get(finding.box)) else finding
        for finding in now
    ]


def _warn_of_names(renamed: Mapping[str, str]) -> list[str]:
    if not renamed:
        return []
    before, now = next(iter(renamed.items()))
    return [
        f"{counted(len(renamed), 'photograph that was searched is', 'photographs that were searched are')} there under another name "
        f"now and {'counts' if len(renamed) == 1 else 'count'} once, by {'its' if len(renamed) == 1 else 'their'} content: "
        f"{'' if len(renamed) == 1 else 'the first '}{before}, now {now}."
    ]


def _moment(photo: PhotoRecord) -> float | None:
    """When a photograph was taken, seconds since 1970 UTC."""
    try:
        return None if photo.time is None else parse_time(photo.time).timestamp()
    except ValueError:
        return None
