"""What docs/explain.md says about the maps and the errors is what results/explain holds; the figures are small and in use."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from crack_tf.explain.odds import GroupRow, cells
from crack_tf.reporting.figures import MOST_BYTES

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "explain"
DOCUMENT = (ROOT / "docs" / "explain.md").read_text(encoding="utf-8")
QUOTED = "\n".join(path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def rows(name: str) -> list[dict[str, str]]:
    with (RESULTS / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def interval(row: dict[str, str], name: str) -> str:
    return f"{float(row[name]):.3f} [{float(row[f'{name}_low']):.3f}, {float(row[f'{name}_high']):.3f}]"


def pointing(row: dict[str, str]) -> str:
    low, high = float(row["pointing_low"]), float(row["pointing_high"])
    return f"{row['pointing_hits']}/{row['tiles']} [{low:.2f}, {high:.2f}]"


@pytest.mark.parametrize(
    "text", [DOCUMENT, (RESULTS / "summary.md").read_text(encoding="utf-8")], ids=["docs", "results"]
)
def test_the_maps_figures_over_all_tiles_are_those_of_the_table(text: str) -> None:
    found = [row for row in rows("faithfulness.csv") if (row["source"], row["subset"]) == ("all", "all")]
    assert len({row["model"] for row in found}) == 2
    for row in found:
        figures = [interval(row, name) for name in ("deletion_auc", "insertion_auc", "inside")]
        line = " | ".join([row["model"], row["method"], *figures, f"{float(row['mask_area']):.3f}", pointing(row)])
        assert f"| {line} |" in text


def test_the_document_quotes_the_sanity_check() -> None:
    for row in rows("sanity.csv"):
        if row["source"] == "all":
            values = [
                f"{float(row[key]):.3f}" if row[key] else "-" for key in ("spearman_median", "spearman_abs_median")
            ]
            assert f"| {' | '.join([row['model'], row['method'], row['tiles'], *values])} |" in DOCUMENT


def test_integrated_gradients_add_up_within_a_percent_on_every_tile() -> None:
    for row in rows("completeness.csv"):
        assert row["complete"] == row["tiles"], row
        assert float(row["worst_error"]) <= 0.01
        if row["source"] == "all":
            line = f"| {row['model']} | {row['complete']}/{row['tiles']} | {100 * float(row['worst_error']):.2f} % |"
            assert line in DOCUMENT


def group_row(row: dict[str, str]) -> GroupRow:
    counts = {name: int(row[name]) for name in ("errors_in", "errors", "correct_in", "correct")}
    ratios = {name: float(row[name]) if row[name] else None for name in ("odds_ratio", "low", "high")}
    text = {name: row[name] for name in ("kind", "group", "rule", "finding")}
    return GroupRow(**text, **counts, **ratios)  # type: ignore[arg-type]


def test_the_document_quotes_every_kind_of_tile_on_which_all_models_err_more_often() -> None:
    table = rows("groups-sdnet2018.csv")
    models = {row["model"] for row in table}
    assert len(models) == 3
    supported = [(row["kind"], row["group"]) for row in table if row["finding"] == "more often"]
    shared = {key for key in supported if supported.count(key) == len(models)}
    assert shared
    for row in table:
        if (row["kind"], row["group"]) in shared:
            _, _, errors, correct, ratio, _ = cells(group_row(row))
            line = f"| {row['kind']} | {row['group']} | {row['model']} | {errors} | {correct} | {ratio} |"
            assert line in DOCUMENT


@pytest.mark.parametrize("data", ["metu", "sdnet2018"])
def test_the_document_quotes_how_many_errors_there_are(data: str) -> None:
    report = (RESULTS / f"errors-{data}.md").read_text(encoding="utf-8")
    for model, text in (part.split("\n\n", 1) for part in report.split("\n## ")[1:]):
        missed, _, positives, *rest = text.split(" at threshold")[0].replace(",", "").split()
        alarms, negatives = rest[2], rest[6]
        assert f"| {model} | {missed}/{positives} | {alarms}/{negatives} |" in DOCUMENT


def test_the_table_of_metu_errors_holds_them_all() -> None:
    counts: dict[str, int] = {}
    for row in rows("errors-metu.csv"):
        counts[row["model"]] = counts.get(row["model"], 0) + 1
    report = (RESULTS / "errors-metu.md").read_text(encoding="utf-8")
    for model, count in counts.items():
        text = report.partition(f"## {model}\n")[2].strip()
        missed, alarms = int(text.split()[0]), int(text.partition("missed, ")[2].split()[0])
        assert missed + alarms == count


def test_no_picture_of_a_data_set_is_among_the_results() -> None:
    assert {path.suffix for path in RESULTS.iterdir()} == {".csv", ".md", ".png"}
    assert {path.name for path in RESULTS.glob("*.png")} == {"curves.png", "localisation.png"}


def test_figures_of_the_documents_are_small_and_in_use() -> None:
    figures = sorted((ROOT / "docs" / "figures").iterdir())
    assert figures
    for path in figures:
        assert path.stat().st_size <= MOST_BYTES, path.name
        assert f"figures/{path.name}" in QUOTED, path.name
