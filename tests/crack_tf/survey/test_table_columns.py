"""Every column of every table that a survey writes is explained in docs/, in its table's order, with its unit."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from crack_tf.photo.limits import column
from crack_tf.survey import geojson, profiles, review, since_files
from crack_tf.survey.certificate import TABLE as CERTIFICATE
from crack_tf.survey.certificate import Certificate, Trial
from crack_tf.survey.store import OUTPUT
from tests.documents import ROOT, columns_explained

UNITS = {"px": "px", "mm": "mm", "m": "m", "mm2": "mm²", "deg": "degrees"}


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
    "since.csv": Table("since.md", "What is written", since_files.COLUMNS),
    "profiles/ID.csv": Table("findings.md", "Widths along a crack", profiles.COLUMNS),
    CERTIFICATE: Table("certificate.md", "", certificate_columns()),
}


def explained(table: Table) -> dict[str, str]:
    text = (ROOT / "docs" / table.page).read_text(encoding="utf-8")
    parts = {part.split("\n", 1)[0]: part for part in text.split("\n## ")}
    found = columns_explained(parts[table.heading] if table.heading else text.split("\n## ")[0])
    assert found, f"no table of columns under {table.heading!r} in {table.page}"
    return found


def test_these_are_all_tables_that_a_survey_writes() -> None:
    written = {name for name in OUTPUT.files if name.endswith(".csv")}
    named = {name if "[" not in name else f"{name.split('/')[0]}/ID.csv" for name in written}
    assert named == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_explained_with_its_unit(name: str) -> None:
    units = {key: unit for key, unit in explained(TABLES[name]).items() if key not in review.COLUMNS}
    assert set(units) == set(TABLES[name].columns)
    for key, unit in units.items():
        end = key.rpartition("_")[2]
        if end in UNITS and not key.startswith("limit_"):
            assert unit.split(" per ")[0] == UNITS[end], key
    assert units.get("mm_per_pixel", "mm") == "mm"


def test_what_a_review_adds_is_explained() -> None:
    assert tuple(name for name in explained(FINDINGS) if name in review.COLUMNS) == review.COLUMNS


def test_a_table_of_columns_says_one_unit_for_all_or_one_for_each() -> None:
    told = columns_explained("| `a`, `b` | mm | both |\n| `c`, `d` | px, mm | each |\n| e | | no column |")
    assert told == {"a": "mm", "b": "mm", "c": "px", "d": "mm"}
    with pytest.raises(ValueError, match="3 columns and 2 units"):
        columns_explained("| `a`, `b`, `c` | mm, px | of which? |")
