"""An engineer's verdict put into a survey's folder: tables and report with the decisions, and tiles to train on."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from crack_tf.survey.comparison.since import read_since, without_rejected
from crack_tf.survey.comparison.since_files import write_changes
from crack_tf.survey.findings import read_survey, survey_id
from crack_tf.survey.formats.geojson import FINDINGS, FINDINGS_CSV, write_tables
from crack_tf.survey.ledger import coverage_of
from crack_tf.survey.report.page import write_page
from crack_tf.survey.reviews.review import (
    FILE_NAME,
    as_kept,
    describe_decisions,
    describe_unmeasured,
    keep_review,
    read_kept,
    read_review,
    with_left,
)
from crack_tf.survey.reviews.review_tiles import check_place, export_tiles
from crack_tf.survey.severity import ranked
from tflite.device.tiles import MIN_SIDE
from tflite.errors import CrackError
from tflite.words import counted


def apply_review(
    out: Path,
    path: Path,
    export_folder: Path | None = None,
    *,
    side: int | None = None,
    overwrite: bool = False,
    one_file: bool = False,
    photos: Path | None = None,
) -> str:
    """What `crack-tf survey --review` does: tables and report with the decisions, and tiles to train on.

    Args:
        out: the survey's folder. It keeps the review; its tables are written again with the columns of
            `crack_tf.survey.reviews.review.COLUMNS`, and report.html starts with the decisions.
        path: of the review.
        export_folder: for tiles of the decided findings, see `crack_tf.survey.reviews.review_tiles`; or None.
        side: of those tiles in pixels; None for that of the survey's tiles.
        overwrite: replace tiles that are there already.
        one_file: of the report, see `crack_tf.survey.report.page.write_page`.
        photos: of the survey, where it goes on with them, which tells of what is not measured then; or None.

    Returns:
        Lines for the terminal.

    Raises:
        CrackError: see `read_review` and `export_tiles`.
    """
    survey = ranked(read_survey(out))
    given = replace(read_review(path, survey), survey=survey_id(survey))
    with suppress(CrackError):  # a damaged one is replaced
        kept = read_kept(out)
        given = given if kept is None else with_left(given, kept, survey)
    review, left = as_kept(given, survey)
    lines = [left] if left else []
    if export_folder is not None:
        check_place(export_folder, out, photos)
        side = side or survey.settings.get("tile_side")
        if not isinstance(side, int) or side < MIN_SIDE:
            raise CrackError(f"the survey in {out} does not say how large its tiles were: give their side in pixels.")
        tiles = export_tiles(out, survey, review, export_folder, side, overwrite=overwrite)
        lines.append(
            f"{counted(tiles.crack, 'tile')} in {export_folder / 'crack'}, {tiles.no_crack} in {export_folder / 'no_crack'}"
        )
        lines += [f"no tile of finding {name}: {reason}" for name, reason in tiles.skipped.items()]
    keep_review(out, given)
    coverage = coverage_of(survey, review)
    write_tables(out, survey, coverage, (review, left))
    if (since := read_since(out, survey)) is not None:
        write_changes(out, without_rejected(since, review, 1))
    write_page(out, survey, kept=(review, left), one_file=one_file, coverage=coverage)
    lines.insert(
        0,
        f"{counted(len(survey.findings), 'finding')}: {describe_decisions(survey.findings, review)}. "
        f"{FINDINGS_CSV}, {FINDINGS} and report.html have it; {FILE_NAME} keeps it.",
    )
    if photos is None and (unmeasured := describe_unmeasured(survey.findings, review)):
        lines.append(f"note: {unmeasured}.")
    return "\n".join(lines)
