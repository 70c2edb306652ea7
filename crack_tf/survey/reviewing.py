"""An engineer's verdict put into a survey's folder: tables and report with the decisions, and tiles to train on."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from crack_tf.survey.findings import Survey, read_survey
from crack_tf.survey.geojson import FINDINGS, FINDINGS_CSV
from crack_tf.survey.page import write_page
from crack_tf.survey.review import COLUMNS, Review, read_review, review_columns
from crack_tf.survey.review_tiles import export_tiles
from crack_tf.survey.severity import ranked
from tflite.device.tiles import MIN_SIDE
from tflite.errors import CrackError
from tflite.files import csv_rows, read_json, write_csv, write_json
from tflite.words import counted


def apply_review(
    out: Path,
    path: Path,
    export_folder: Path | None = None,
    *,
    side: int | None = None,
    overwrite: bool = False,
    one_file: bool = False,
) -> str:
    """What `crack-tf survey --review` does: tables and report with the decisions, and tiles to train on.

    Args:
        out: the survey's folder. Its tables get the columns of COLUMNS, and report.html starts with the decisions.
        path: of the review.
        export_folder: for tiles of the decided findings, see `crack_tf.survey.review_tiles`; or None.
        side: of those tiles in pixels; None for that of the survey's tiles.
        overwrite: replace tiles that are there already.
        one_file: of the report, see `crack_tf.survey.page.write_page`.

    Returns:
        Lines for the terminal.

    Raises:
        CrackError: see `read_review` and `export_tiles`; also if the tables are missing or damaged.
    """
    survey = ranked(read_survey(out))
    review = read_review(path, survey)
    lines = []
    if export_folder is not None:
        side = side or survey.settings.get("tile_side")
        if not isinstance(side, int) or side < MIN_SIDE:
            raise CrackError(f"the survey in {out} does not say how large its tiles were: give their side in pixels.")
        tiles = export_tiles(out, survey, review, export_folder, side, overwrite=overwrite)
        lines.append(
            f"{counted(tiles.crack, 'tile')} in {export_folder / 'crack'}, {tiles.no_crack} in {export_folder / 'no_crack'}"
        )
        lines += [f"no tile of finding {name}: {reason}" for name, reason in tiles.skipped.items()]
    _add_to_tables(out, survey, review)
    write_page(out, survey, review=review, one_file=one_file)
    counts = ", ".join(f"{count} {name}" for name, count in review.counts().items())
    lines.insert(
        0, f"{counted(len(survey.findings), 'finding')}: {counts}. {FINDINGS_CSV}, {FINDINGS} and report.html have it."
    )
    return "\n".join(lines)


def _add_to_tables(out: Path, survey: Survey, review: Review) -> None:
    """Write the decisions into both tables, with the severities and in the order of the report."""
    severities = {finding.id: finding.severity for finding in survey.findings}
    ranks = {number: rank for rank, number in enumerate(severities)}

    def reviewed(entry: dict[Any, Any]) -> dict[Any, Any]:
        known = {"severity": severities[entry["id"]]} if "severity" in entry and entry["id"] in severities else {}
        return entry | known | review_columns(review, entry["id"])

    def rank(entry: dict[Any, Any]) -> int:
        return ranks.get(entry["id"], len(ranks))

    table, features = out / FINDINGS_CSV, read_json(out / FINDINGS)
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            header = csv.DictReader(stream).fieldnames or ()
            columns = [name for name in header if name not in COLUMNS]
            stream.seek(0)
            rows = sorted((reviewed(row) for row in csv_rows(stream)), key=rank)
        if any(None in row for row in rows):
            raise csv.Error("a row has more cells than there are columns")
        for feature in features["features"]:
            feature["properties"] = reviewed(feature["properties"])
        features["features"] = sorted(features["features"], key=lambda feature: rank(feature["properties"]))
        json.dumps(features, indent=1)  # what cannot be written again is found before anything is
    except OSError as error:
        raise CrackError(f"{table} cannot be read: {error.strerror}. Run the survey again.") from None
    except (KeyError, TypeError, UnicodeDecodeError, RecursionError, csv.Error) as error:
        raise CrackError(f"{table} or {FINDINGS} is damaged ({error!r}). Run the survey again.") from None
    write_csv(table, rows, [*columns, *COLUMNS])
    write_json(out / FINDINGS, features)
