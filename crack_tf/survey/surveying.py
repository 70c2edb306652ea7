"""A survey as a function: `survey` goes from a flight's photographs to findings; `crack_tf.survey` is the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from crack_tf.common.arguments import check_config
from crack_tf.common.progress import say_now
from crack_tf.models.shipped import find_model, model_name, read_zoo, stated_use
from crack_tf.photo.faces import Face, read_faces
from crack_tf.photo.gsd import BY_POSITIONS
from crack_tf.survey.certificates.certificate import Certificate
from crack_tf.survey.certificates.certificate_files import write_certificate
from crack_tf.survey.certificates.certify import Order, certify
from crack_tf.survey.comparison.since import Earlier, Since, open_earlier
from crack_tf.survey.condition import read_condition
from crack_tf.survey.config import EVERY_S, SurveyConfig
from crack_tf.survey.findings import Finding, Gap, Survey, read_survey, unplaced
from crack_tf.survey.geometry.camera import Locator, Scale
from crack_tf.survey.geometry.face_ranges import FaceRanges
from crack_tf.survey.geometry.position_ranges import SETTING, PositionRanges, lens_locator, ranges_of
from crack_tf.survey.geometry.scales import ask_for_lens
from crack_tf.survey.ledger import Coverage
from crack_tf.survey.pipeline import Run
from crack_tf.survey.reviews.review import FILE_NAME as REVIEW
from crack_tf.survey.reviews.review import Review, read_kept
from crack_tf.survey.searching.cluster import ClusterCrew
from crack_tf.survey.searching.crew import Crew, ThreadCrew
from crack_tf.survey.searching.search import Performance, Plan, Searcher
from crack_tf.survey.source import Source, file_hash, is_video, open_source
from crack_tf.survey.store import SETTINGS, Store
from crack_tf.survey.truth import Comparison, compare, read_truth
from tflite.arguments import check_path
from tflite.errors import CrackError
from tflite.extras import require
from tflite.files import write_json
from tflite.hardware import describe
from tflite.place.clock import CameraClock, parse_timezone
from tflite.place.flightlog import FlightLog, read_flight_log, read_log_bytes
from tflite.place.srt import SrtTrack, is_srt, read_srt
from tflite.place.video import find_subtitles
from tflite.segmenter import cut_probability
from tflite.sidecar import Sidecar, read_sidecar
from tflite.words import counted


@dataclass(frozen=True, repr=False)
class SurveyResult:
    """A finished survey and its folder.

    Attributes:
        folder: with report.html, findings.csv, findings.geojson, coverage.geojson and the pictures.
        survey: all of it: photographs, settings, models, warnings.
        speed: how fast it went, as performance.json says.
        handled: photographs searched by this call.
        done_before: photographs that an earlier call had searched.
        comparison: with what is really there, where that was given; else None.
        coverage: what of the structure was seen; None where no photograph says what it shows.
        certificate: how wide cracks had to be to be found; None where none was asked for.
        since: what became of each crack since an earlier survey; None where none was named.
        review: what an engineer decided on its findings; None where nobody has.
        not_carried: what of that review is not in this survey, in words; "" where all is.
    """

    folder: Path
    survey: Survey
    speed: Performance
    handled: int
    done_before: int
    comparison: Comparison | None
    coverage: Coverage | None = None
    certificate: Certificate | None = None
    since: Since | None = None
    review: Review | None = None
    not_carried: str = ""

    def __repr__(self) -> str:
        counts = ((self.survey.photos, "photograph"), (self.findings, "finding"), (self.gaps, "gap"))
        told = ", ".join(counted(len(some), noun) for some, noun in counts)
        return f"SurveyResult({self.survey.source}: {told}, in {self.folder})"

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Confirmed ones first, then unclear, then refuted ones, each by severity."""
        return self.survey.findings

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What could not be searched. It never counts as clean."""
        return self.survey.gaps

    @property
    def complete(self) -> bool:
        """Whether all was searched, and placed where places are known.

        Places are optional: photographs without one leave a survey incomplete where a flight log or other photographs have some.
        """
        lost = len(unplaced(self.survey.photos))
        asked = self.survey.settings.get("flight_log_sha256") is not None or lost < len(self.survey.photos)
        return not self.gaps and not (lost and asked)

    @property
    def report(self) -> Path:
        """The page for the engineer."""
        return self.folder / "report.html"


def survey(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: SurveyConfig | None = None,
    *,
    overwrite: bool = False,
    one_file: bool = False,
    truth: Path | None = None,
    say: Callable[[str], None] = say_now,
    **settings: Any,
) -> SurveyResult:
    """Survey a flight: photographs to findings with place, length, width and picture. The same call goes on after a stop.

    Args:
        source: folder of photographs, a video, or a device's journal folder.
        out: folder for the survey.
        config: how; None for the fields of `SurveyConfig` given by name, such as distance_m=2.
        overwrite: start again in `out`.
        one_file: pictures inside report.html instead of beside it.
        truth: truth.json of a drawn flight; comparison.json is written then.
        say: takes progress lines.
        settings: fields of `SurveyConfig`, where there is no `config`.

    Raises:
        CrackError: if an argument, a model, the source or the output folder is not usable.

    Example:
        >>> found = crack_tf.survey("DCIM", out="found", distance_m=2)  # doctest: +SKIP
        >>> [(finding.id, finding.length_mm) for finding in found.findings], found.gaps, found.report  # doctest: +SKIP
    """
    require(("cv2",))  # the first photographs would do without, the last step not
    config = _config_of(config, settings)
    check_path("source", source, "a folder of photographs, a video or a journal's folder")
    check_path("out", out, "a folder")
    check_path("truth", truth, "a truth.json", optional=True)
    given, folder = Path(source), Path(out)
    _refuse_of_videos(given, config)
    known = None if truth is None else read_truth(truth)
    faces = () if config.faces is None else read_faces(config.faces)
    earlier = None if config.since is None else open_earlier(config.since, folder)
    asked = _asked(config, faces, earlier, None if overwrite or config.title else _former_title(folder))
    locator, subtitles = _locator(given, config, faces, say)
    jobs = config.jobs or int(describe()["cores"])
    # Workers have other current folders.
    photos = given if config.scheduler is None else given.absolute()
    pictures, measured = _opened(photos, folder, config, locator, subtitles, jobs, say, overwrite=overwrite)
    plan = _plan(config)
    with ExitStack() as stack:
        searcher = stack.enter_context(Searcher(plan, jobs))
        crew: Crew = ThreadCrew(searcher, jobs)
        if config.scheduler is not None:
            crew = stack.enter_context(ClusterCrew(config.scheduler, plan, pictures, folder))
        beside = find_subtitles(given) if is_video(given) and subtitles is None else None
        declared = faces if config.distance_from_faces else ()
        record = _record(config, pictures, searcher, declared, measured, beside)
        inputs = (given, config.model, config.segmenter, config.flight_log, truth, config.faces, config.since)
        reviewed = overwrite and (folder / REVIEW).is_file()
        store = stack.enter_context(Store(folder, record, overwrite=overwrite, inputs=inputs))
        if reviewed:
            say("note: the review in this folder is gone with the survey that it was of: --overwrite starts again")
        read_kept(folder)  # a damaged one is told before the search, not after it
        if measured is not None:
            measured.write(folder)
        work = Run(
            source=pictures,
            store=store,
            crew=crew,
            second_opinion=plan.segmenter is not None,
            jobs=jobs,
            position_error_m=config.position_error_m,
            tell=say,
            log_span=None if locator.log is None else locator.log.span,
            needs_mm=config.needs_mm,
            earlier=earlier,
            measure=None if plan.segmenter is None else partial(searcher.search, measure_all=True),
        )
        handled, before = work.work()
        used = {role: _used(sidecar) for role, sidecar in searcher.sidecars.items()}
        made, speed = work.finish(used, record | asked | {"models": used}, one_file=one_file)
        certificate = _certified(config, made, work, searcher, speed.search_seconds) if config.certify else None
        if certificate is not None:
            work.show(made, one_file, certificate)
    comparison = None if known is None else compare(made, known)
    if comparison is not None:
        write_json(folder / "comparison.json", comparison.as_json())
    return SurveyResult(
        folder, made, speed, handled, before, comparison, work.coverage, certificate, work.since, *work.kept
    )


def _locator(
    photos: Path, config: SurveyConfig, faces: tuple[Face, ...], say: Callable[[str], None]
) -> tuple[Locator, SrtTrack | None]:
    """What the user says about exposures, and a video's subtitles where the flight log is that."""
    scale = Scale(config.mm_per_pixel, config.distance_m, config.focal_mm, config.sensor_width_mm)
    scale.check()
    clock = CameraClock(None if config.timezone is None else parse_timezone(config.timezone), config.clock_offset)
    ranges = FaceRanges(faces, config.position_error_m) if config.distance_from_faces else None
    log, subtitles = _flight_log(photos, config, say)
    return Locator(scale, log=log, clock=clock, ranges=ranges), subtitles


def _refuse_of_videos(photos: Path, config: SurveyConfig) -> None:
    """Refuse what only a video has where there is none: it would change nothing.

    Raises:
        CrackError: naming the option. With a flight log, which may tell times from the video's start on, --video-start counts.
    """
    start = config.video_start is not None and config.flight_log is None
    given = [option for option, has in (("--video-start", start), ("--every-s", config.every_s != EVERY_S)) if has]
    if given and photos.exists() and not is_video(photos):
        raise CrackError(f"{given[0]} is of a video, and {photos} is none. Leave it out.")


def _opened(
    photos: Path,
    folder: Path,
    config: SurveyConfig,
    locator: Locator,
    subtitles: SrtTrack | None,
    jobs: int,
    say: Callable[[str], None],
    *,
    overwrite: bool,
) -> tuple[Source, PositionRanges | None]:
    """The source, and the distances measured between its photographs where these are asked for."""

    def opened(locator: Locator) -> Source:
        return open_source(photos, folder, locator, config.every_s, config.video_start, subtitles)

    measured = None
    if config.distance_from_positions:
        decide = {
            "log": file_hash(config.flight_log),
            "clock": [config.timezone, config.clock_offset],
            "lens": asdict(locator.scale),
        }
        lenses = opened(lens_locator(locator))
        measured = ranges_of(lenses, folder, config.position_error_m, decide, jobs, say, overwrite=overwrite)
        locator = replace(locator, ranges=measured, ranges_from=BY_POSITIONS)
    pictures = opened(locator)
    if overwrite or not (folder / SETTINGS).is_file():  # one that was begun goes on
        ask_for_lens(pictures, locator.scale)
    return pictures, measured


def _plan(config: SurveyConfig) -> Plan:
    """How photographs are searched, and by which models."""
    chosen = find_model(config.model)
    return Plan(
        classifier=chosen.path,
        side=config.tile or chosen.tile_side,
        overlap=config.overlap,
        segmenter=find_segmenter(config.segmenter),
        foreground=config.foreground == "auto",
        scaled=config.tile is None,
    )


def _certified(config: SurveyConfig, made: Survey, work: Run, searcher: Searcher, seconds: float) -> Certificate:
    """The certificate of a survey that took so many seconds to search, written into its folder."""
    order = Order(
        survey=made,
        found={photo.name: findings for photo, findings, _ in work.store.records() if photo is not None},
        needs_mm=config.needs_mm,
        overlap=config.overlap,
        seconds=seconds,
        cracks=config.certify_cracks,
        seed=config.certify_seed,
    )
    folder = work.store.folder
    certificate = certify(order, work.source, searcher, folder, work.jobs, work.tell, work.store.check)
    write_certificate(folder, certificate)
    return certificate


def _config_of(config: SurveyConfig | None, settings: dict[str, Any]) -> SurveyConfig:
    """The configuration that was given, as one or by its fields."""
    check_config(config, SurveyConfig, optional=True)
    unknown = sorted(set(settings) - {entry.name for entry in fields(SurveyConfig)})
    if unknown:
        raise CrackError(f"survey() takes no {unknown[0]!r}: see the fields of SurveyConfig.")
    if config is not None and settings:
        raise CrackError(f"survey() was given a configuration and {sorted(settings)[0]!r} beside it: put that into it.")
    return config or SurveyConfig(**settings)


def _former_title(folder: Path) -> str | None:
    """What an earlier call named a finished survey. A name is no question: it stays until another is given."""
    try:
        title = read_survey(folder).settings.get("title")
    except CrackError:  # none is finished here, or it is damaged: told where it is used
        return None
    return title if isinstance(title, str) else None


def _asked(
    config: SurveyConfig, faces: Sequence[Face], earlier: Earlier | None, former_title: str | None
) -> dict[str, Any]:
    """What is asked of the photographs afterwards: a finished survey answers other questions without being searched again."""
    title = config.title or former_title
    return {
        "needs_mm": config.needs_mm,
        **({"faces": [asdict(face) for face in faces]} if faces else {}),
        **({} if config.condition is None else {"condition": read_condition(config.condition).as_json()}),
        **({"limits_mm": list(config.limits)} if config.limits else {}),
        **({} if earlier is None else {"since": earlier.as_json()}),
        **({} if title is None else {"title": title}),
    }


def _record(
    config: SurveyConfig,
    pictures: Source,
    searcher: Searcher,
    faces: Sequence[Face],
    measured: PositionRanges | None,
    subtitles: Path | None,
) -> dict[str, Any]:
    """The settings that decide what is found: a survey goes on with the same ones only.

    Args:
        faces: those that distances are taken from.
        measured: distances by the cameras' positions.
        subtitles: found beside a video.
    """
    return {
        "source": pictures.name,
        "kind": pictures.kind,
        "models": {role: _described(sidecar) for role, sidecar in searcher.sidecars.items()},
        "tile_side": searcher.classifier.side,
        **{
            name: getattr(config, name)
            for name in ("overlap", "foreground", "mm_per_pixel", "distance_m", "focal_mm", "sensor_width_mm")
        },
        "flight_log_sha256": file_hash(config.flight_log),
        "timezone": config.timezone,
        # Only where there are any: surveys from before these settings go on.
        **({"clock_offset": config.clock_offset} if config.clock_offset else {}),
        **({"distance_from_faces": [asdict(face) for face in faces]} if faces else {}),
        **({} if measured is None else {SETTING: measured.photographs}),
        **({"tile_mm": searcher.classifier.tile_mm} if searcher.classifier.tile_mm else {}),
        **({} if subtitles is None else {"subtitles_sha256": file_hash(subtitles)}),
        "position_error_m": config.position_error_m,
        "every_s": config.every_s if pictures.kind == "video" else None,
        "video_start": None if config.video_start is None else config.video_start.isoformat(),
    }


def find_segmenter(text: str | None) -> Path | None:
    """What the user's `--segmenter` stands for; None for no second opinion.

    Raises:
        CrackError: if there is no such model, or it is no segmentation model.
    """
    if text == "none" or (text is None and all(model.task != "segment" for model in read_zoo()[1].values())):
        return None
    path = find_model(text, task="segment", option="--segmenter").path
    if read_sidecar(path).task != "segment":
        raise CrackError(f"--segmenter {text} is a classifier. Give a segmentation model, or none.")
    return path


def _flight_log(
    photos: Path, config: SurveyConfig, say: Callable[[str], None]
) -> tuple[FlightLog | None, SrtTrack | None]:
    """The flight log by time, or the subtitles of the video, which are by place in the video."""
    if config.flight_log is None:
        return None, None
    if is_video(photos):
        data = read_log_bytes(config.flight_log)
        if is_srt(data) or config.flight_log.suffix.lower() == ".srt":
            return None, _subtitles(config.flight_log, read_srt(data), say)
    start = None if config.video_start is None else config.video_start.timestamp()
    log = read_flight_log(config.flight_log, config.timezone, start)
    say(f"flight log: {log.describe()}")
    if log.problems:
        say(f"note: flight log, left out: {'; '.join(log.problems)}")
    if log.above_takeoff:
        say("note: flight log, its altitudes count from the place of take-off")
    return log, None


def _subtitles(path: Path, track: SrtTrack, say: Callable[[str], None]) -> SrtTrack:
    """Subtitles that the user named; they must say where the drone was."""
    placed = sum(block.place is not None and block.start_s is not None for block in track.blocks)
    if not placed:
        why = track.content.left_out() or "it is empty"
        raise CrackError(f"flight log {path} holds no position by time in the video ({why}).")
    left_out = track.content.left_out()
    say(f"flight log: {placed:,} positions by time in the video{left_out and '; left out: '}{left_out}")
    return track


def _described(sidecar: Sidecar) -> dict[str, Any]:
    """What a survey's record says about a model."""
    return {
        "name": model_name(sidecar),
        "sha256": sidecar.sha256,
        "threshold": sidecar.threshold.probability,
        **({"reading": sidecar.reading} if sidecar.reading else {}),
    }


def _used(sidecar: Sidecar) -> dict[str, Any]:
    """What a finished survey says about a model: also its use, and the probability from which a tile or pixel is crack, a map's where
    `photo segment` cuts it too. The record states neither: by it, surveys from before go on.
    """
    threshold = cut_probability(sidecar) if sidecar.task == "segment" else sidecar.threshold.probability
    return _described(sidecar) | {"threshold": threshold} | stated_use(sidecar)
