"""What docs/scale.md and docs/coverage.md quote of distances and intervals is what results/coverage holds."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from crack_tf.models.shipped import find_model
from crack_tf.photo.view import MAX_OBLIQUE_DEG
from studies.coverage import SEEMS
from studies.positions import LENSES
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "results/coverage"
SCALE, COVERAGE = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("scale.md", "coverage.md"))


def test_distances_between_photographs_are_quoted_as_measured() -> None:
    rows = read_csv(RESULTS / "positions.csv")

    def held(photographs: str, name: str) -> str:
        own = [row for row in rows if row["photographs"] == photographs]
        inside, tried = (sum(int(row[column]) for row in own) for column in (name, "measured"))
        assert inside >= 0.95 * tried
        return f"| 95 % | {inside} of {tried} |"

    lines = [line for line in SCALE.splitlines() if "| 95 % |" in line]
    assert lines[0].startswith("| distances in their stated interval")
    assert held("0", "inside") in lines[0]
    assert held("0", "scales_inside") in lines[1]
    assert held("1", "inside") == held("1", "scales_inside")
    assert held("1", "inside") in lines[2]
    stated = [
        median(float(row["stated_percent"]) for row in rows if row["lens"] == str(lens) and row["photographs"] == "0")
        for lens in LENSES
    ]
    assert f"| {', '.join(f'{value:.1f}' for value in stated)} % |" in SCALE


def test_intervals_on_cylinders_are_quoted_as_measured() -> None:
    shares = {(row["shape"], row["what"]): float(row["share"]) for row in read_csv(RESULTS / "scales.csv")}
    flat = sorted(round(100 * shares[shape, "lengths"]) for shape in ("flat", "corner"))
    assert f"| 95 % | {flat[0]} to {flat[1]} % |" in COVERAGE
    scales = sorted(round(100 * shares[shape, "scale"]) for shape in ("flat", "corner", "cylinder"))
    assert f"| 95 % | {scales[0]} to {scales[-1]} % |" in COVERAGE
    assert f"| 95 % | {100 * shares['cylinder', 'lengths, pier declared']:.0f} % |" in COVERAGE
    assert f"by headings | 95 % | {100 * shares['cylinder', 'lengths, nobody declares the pier']:.0f} % |" in COVERAGE
    assert f"do not tell, either | | {100 * shares['cylinder', 'lengths']:.0f} % |" in COVERAGE
    told = {row["shape"]: row for row in read_csv(RESULTS / "scales.csv") if row["what"] == SEEMS}
    walls = [sum(int(told[shape][name]) for shape in ("flat", "corner")) for name in ("inside", "tried")]
    pier = told["cylinder"]
    assert f"| {pier['inside']} of {pier['tried']}; {walls[0]} of {walls[1]} |" in COVERAGE


def test_what_damage_does_to_recall_is_quoted_as_measured() -> None:
    (path,) = (ROOT / "results/tile-quality").glob("*.csv")
    assert path.stem == find_model(None).path.stem
    rows = {(row["cracks"], row["degradation"], float(row["amount"])): row for row in read_csv(path)}

    def recall(cracks: str, damage: str, *amounts: float) -> str:
        shares = (int(row["found"]) / int(row["tiles"]) for row in (rows[cracks, damage, amount] for amount in amounts))
        return ", ".join(f"{int(100 * share + 0.5) / 100:.2f}" for share in shares)

    for told, damage, metu, lines in (
        ("seen at 45, 60, 70 degrees", "oblique", (45.0, 60.0, 70.0), (45.0, 60.0, 70.0)),
        ("smeared by 12, 16, 24 pixels", "smear", (12.0, 16.0, 24.0), (12.0, 16.0, 24.0)),
        ("out of focus, 4 and 6 pixels", "blur", (4.0, 6.0), (4.0, 6.0)),
        ("darkened to a mean of 8 grey levels", "dark", (0.05,), (0.05,)),
        ("burnt out, 94 and 96 % / 98, 99 and 99.7 % of the pixels", "burnt", (2.5, 3.0), (2.0, 2.5, 3.0)),
    ):
        assert f"| {told} | {recall('metu', damage, *metu)} / {recall('3 px', damage, *lines)} |" in COVERAGE
    for cracks in ("metu", "3 px"):  # what the limits let pass is found
        for damage, amount in (("oblique", MAX_OBLIQUE_DEG), ("smear", 12.0), ("burnt", 2.5), ("dark", 0.05)):
            row = rows[cracks, damage, amount]
            assert int(row["found"]) >= 0.95 * int(row["tiles"])
