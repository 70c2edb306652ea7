"""The table of a crack's widths, and what the report draws of it."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crack_tf.photo.crack import WidthAt
from crack_tf.photo.view import View
from crack_tf.survey.profiles import (
    COLUMNS,
    LEAST_PLOTTED,
    MOST_PLOTTED,
    plotted,
    profile_csv,
    read_lines,
    read_profile,
    rescale,
)


def straight(length: int, branch: int = 1) -> list[WidthAt]:
    return [WidthAt(branch, 1.0 + 2.0 * n, 100.0 + 2.0 * n, 50.0, 3.0 + 0.1 * n, "photograph") for n in range(length)]


def written(folder: Path, profile: list[WidthAt], view: View | None) -> list[dict[str, str]]:
    (folder / "profile.csv").write_bytes(profile_csv(profile, view))
    return list(csv.DictReader((folder / "profile.csv").open(encoding="utf-8", newline="")))


def test_millimetres_are_those_of_the_surface(tmp_path: Path) -> None:
    rows = written(tmp_path, straight(5), View(400, 300, 0.2))
    assert tuple(rows[0]) == COLUMNS
    assert [float(row["along_mm"]) for row in rows] == pytest.approx([0.2, 0.6, 1.0, 1.4, 1.8])
    assert [float(row["width_mm"]) for row in rows] == pytest.approx([0.6, 0.62, 0.64, 0.66, 0.68])


def test_a_tilted_camera_shortens_widths_along_the_tilt(tmp_path: Path) -> None:
    middle = [WidthAt(1, 2.0 * n, 190.0 + 2.0 * n, 150.0, 4.0, "photograph") for n in range(10)]
    across = [float(row["width_mm"]) for row in written(tmp_path, middle, View(400, 300, 0.2, 3000.0, 30.0))]
    assert across == pytest.approx([0.8 / 0.866] * 10, rel=0.01)


def test_a_line_that_runs_out_of_sight_keeps_the_millimetres_that_are_seen(tmp_path: Path) -> None:
    pier = View(400, 300, 0.2, 300.0, radius_mm=30.0)  # seen to about 60 pixels beside the middle
    profile = [WidthAt(1, 2.0 * n, 200.0 + 2.0 * n, 150.0, 3.0, "photograph") for n in range(80)]
    rows = written(tmp_path, profile, pier)
    seen = [row for row in rows if row["width_mm"]]
    assert 10 < len(seen) < len(rows)
    along = [float(row["along_mm"]) for row in rows]
    assert along == sorted(along)
    assert rescaled(tmp_path, pier) == rows
    flat = rescaled(tmp_path, View(400, 300, 0.2))
    assert all(row["width_mm"] for row in flat)
    assert [row["width_px"] for row in flat] == [row["width_px"] for row in rows]


def rescaled(folder: Path, view: View) -> list[dict[str, str]]:
    rescale(folder, "profile.csv", view)
    return list(csv.DictReader((folder / "profile.csv").open(encoding="utf-8", newline="")))


def test_a_missing_or_damaged_table_is_left_as_it_is(tmp_path: Path) -> None:
    rescale(tmp_path, "gone.csv", View(400, 300, 0.2))
    (tmp_path / "damaged.csv").write_text("branch,x\n1,two\n", encoding="utf-8")
    rescale(tmp_path, "damaged.csv", View(400, 300, 0.2))
    assert (tmp_path / "damaged.csv").read_text(encoding="utf-8") == "branch,x\n1,two\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["damaged.csv"]


def test_without_a_scale_there_are_no_millimetres(tmp_path: Path) -> None:
    rows = written(tmp_path, straight(3), None)
    assert {row["width_mm"] for row in rows} == {""}
    assert [row["width_px"] for row in rows] == ["3.0", "3.1", "3.2"]
    found = read_lines(tmp_path, "profile.csv")
    assert found is not None
    assert found[0] == "px"


def test_a_plot_has_few_points_and_keeps_branches_apart(tmp_path: Path) -> None:
    profile = [*straight(400), *straight(300, 2), *straight(100, 3)]
    written(tmp_path, profile, View(4000, 3000, 0.2))
    found = read_lines(tmp_path, "profile.csv")
    assert found is not None
    unit, lines = found
    assert unit == "mm"
    assert len(lines) == 3
    assert sum(map(len, lines)) <= MOST_PLOTTED + len(lines)
    along = [point[0] for line in lines for point in line]
    assert along == sorted(along)


def test_plots_of_a_long_list_have_fewer_points(tmp_path: Path) -> None:
    assert [plotted(findings) for findings in (0, 10, 1000, 100_000)] == [MOST_PLOTTED, MOST_PLOTTED, 60, LEAST_PLOTTED]
    written(tmp_path, straight(400), None)
    found = read_lines(tmp_path, "profile.csv", plotted(100_000))
    assert found is not None
    assert sum(map(len, found[1])) <= LEAST_PLOTTED + 1


@pytest.mark.parametrize("text", ["", "branch\n1\n", "\0", "branch,along_px,width_px,along_mm,width_mm\n1,nan,x,,\n"])
def test_a_damaged_table_is_drawn_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "profile.csv").write_text(text, encoding="utf-8")
    assert read_lines(tmp_path, "profile.csv") is None
    assert read_lines(tmp_path, "away.csv") is None
    assert read_lines(tmp_path, "../profile.csv") is None


def test_an_empty_profile_is_a_table_without_rows(tmp_path: Path) -> None:
    assert written(tmp_path, [], None) == []


def test_clear_places_are_read_back_with_what_the_photograph_shows(tmp_path: Path) -> None:
    seen = [replace(place, missing_light=1.5, half_width=3.2) for place in straight(6)]
    written(tmp_path, [*seen, *straight(4, 2)], View(400, 300, 0.2))
    found = read_profile(tmp_path, "profile.csv")
    assert found is not None
    assert found.points.tolist() == [[place.x, place.y] for place in seen]
    assert found.along == pytest.approx(np.array([[1.0, 0.0]] * 6))
    assert found.across_mm == pytest.approx([0.2] * 6, rel=1e-3)
    assert (found.missing_light[0], found.half_widths[0]) == (1.5, 3.2)


def test_a_table_from_before_says_nothing_about_what_was_seen(tmp_path: Path) -> None:
    written(tmp_path, straight(4), None)
    assert read_profile(tmp_path, "profile.csv") is None
    (tmp_path / "old.csv").write_text(
        "branch,along_px,x,y,width_px,width_from,along_mm,width_mm\n1,1,2,3,4,photograph,,\n"
    )
    assert read_profile(tmp_path, "old.csv") is None
    assert read_profile(tmp_path, "gone.csv") is None
    assert read_profile(tmp_path, "../profile.csv") is None
