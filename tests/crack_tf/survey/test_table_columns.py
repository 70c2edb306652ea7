"""Every column of every table that a survey or `photo segment` writes is explained in docs/, in its table's order, with its unit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from crack_tf.inference import segment, segment_told
from crack_tf.photo import measure
from crack_tf.photo.limits import column
from crack_tf.photo.measure_config import PROFILES
from crack_tf.photo.measure_config import TABLE as CRACKS
from crack_tf.survey import photo_list, profiles
from crack_tf.survey.certificates.certificate import TABLE as CERTIFICATE
from crack_tf.survey.certificates.certificate import Certificate, Trial
from crack_tf.survey.comparison import since_files
from crack_tf.survey.findings import Finding
from crack_tf.survey.formats import geojson
from crack_tf.survey.reviews import review
from crack_tf.survey.store import OUTPUT
from tests.documents import columns_explained, section, wrong_units
from tflite.files import write_csv


@dataclass(frozen=True)
class Table:
    """Where a table's columns are explained: page, heading of the section ("" for before the first), and the columns it has."""

    page: str
    heading: str
    columns: tuple[str, ...]


def certificate_columns() -> tuple[str, ...]:
    trials = tuple(Trial("a.jpg", n, 9, 9, 1.0 + n, 90, 0.5, 0.0, 0.1 + n, n > 1, None) for n in range(6))
    rows = Certificate("key", "survey", 1, None, None, trials).table()
    assert len({tuple(row) for row in rows}) == 1
    return tuple(rows[0])


FINDINGS = Table("findings.md", "", (*geojson.COLUMNS, column(0.3)))
TABLES = {
    "findings.csv": FINDINGS,
    photo_list.FILE_NAME: Table(
        "findings.md", "A row per photograph", (*photo_list.COLUMNS, *photo_list.REVIEW_COLUMNS)
    ),
    "since.csv": Table("since.md", "What is written", since_files.COLUMNS),
    "profiles/ID.csv": Table("findings.md", "Widths along a crack", profiles.COLUMNS),
    CERTIFICATE: Table("certificate.md", "", certificate_columns()),
}

PHOTOGRAPHS = {
    CRACKS: Table("photographs.md", "A row per crack", (*measure.TABLE_COLUMNS, column(0.3))),
    PROFILES: Table("photographs.md", "A row per place of a crack", measure.PROFILE_COLUMNS),
    segment.PHOTOS: Table("photographs.md", "A row per photograph", segment_told.COLUMNS),
}


def explained(table: Table) -> dict[str, str]:
    found = columns_explained(section(table.page, table.heading))
    assert found, f"no table of columns under {table.heading!r} in {table.page}"
    return found


def test_these_are_all_tables_that_a_survey_writes() -> None:
    written = {name for name in OUTPUT.files if name.endswith(".csv")}
    named = {name if "[" not in name else f"{name.split('/')[0]}/ID.csv" for name in written}
    assert named == set(TABLES)


@pytest.mark.parametrize("name", [*TABLES, *PHOTOGRAPHS])
def test_every_column_is_explained_with_its_unit(name: str) -> None:
    table = (TABLES | PHOTOGRAPHS)[name]
    units = {key: unit for key, unit in explained(table).items() if key not in review.COLUMNS}
    assert set(units) == set(table.columns)
    assert wrong_units(units) == []


def test_yes_is_told_as_the_table_writes_it(tmp_path: Path) -> None:
    yes_or_no = [entry.name for entry in fields(Finding) if entry.type == "bool | None"]
    assert set(yes_or_no) == {"width_trusted", "touches_border", "condition_sure"}
    write_csv(tmp_path / "findings.csv", [dict.fromkeys(yes_or_no, True)])
    written = (tmp_path / "findings.csv").read_text().splitlines()[1].split(",")[0]
    for name in yes_or_no:
        assert f"| `{name}` | | `{written}` where " in section("findings.md")


def test_what_a_review_adds_is_explained() -> None:
    assert tuple(name for name in explained(FINDINGS) if name in review.COLUMNS) == review.COLUMNS


def test_a_table_of_columns_says_one_unit_for_all_or_one_for_each() -> None:
    told = columns_explained("| `a`, `b` | mm | both |\n| `c`, `d` | px, mm | each |\n| e | | no column |")
    assert told == {"a": "mm", "b": "mm", "c": "px", "d": "mm"}
    with pytest.raises(ValueError, match="3 columns and 2 units"):
        columns_explained("| `a`, `b`, `c` | mm, px | of which? |")
