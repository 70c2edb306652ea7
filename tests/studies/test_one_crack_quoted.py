"""How often one crack is one finding: what docs/results.md quotes is what results/one-crack holds; and how it is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from studies.one_crack import BROKEN, FLIGHT, MODEL, Photo, Told, broken_mask, counted, cracks_of, on_cracks, read_told
from tflite.files import read_csv

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def two_lines() -> np.ndarray:
    mask = np.zeros((200, 300), bool)
    mask[50:53, 20:280] = True
    mask[150:153, 20:280] = True
    return mask


def test_findings_per_crack_and_joins_are_quoted_as_measured() -> None:
    rows = {(row["way"], row["split"], row["set"]): row for row in read_csv(ROOT / "results/one-crack/summary.csv")}
    for key, row in rows.items():
        told = (
            f"{row['found']} of {row['cracks']}",
            f"{float(row['findings_per_found_crack']):.2f}",
            f"{row['joined']} of {row['pairs']}",
        )
        assert f"| {' | '.join(key)} | {row['photographs']} | {' | '.join(told)} |" in PAGE
    for key in ((MODEL, "test", "all"), (MODEL, "all", "all"), (FLIGHT, "test", "drawn")):
        assert float(rows[key]["findings_per_found_crack"]) <= 1.3
    assert float(rows[BROKEN, "all", "all"]["joined_share"]) <= 0.05
    assert float(rows[FLIGHT, "test", "drawn"]["joined_high"]) <= 0.05


def test_a_finding_lies_on_the_cracks_that_it_runs_along() -> None:
    cracks, _ = cracks_of(Photo("set", "name", np.zeros((200, 300, 3), np.uint8), two_lines()), Told())
    upper = [[(25.0, 51.0), (270.0, 51.0)]]
    both = [*upper, [(25.0, 151.0), (270.0, 151.0)]]
    beside = [[(25.0, 100.0), (270.0, 100.0)]]
    assert on_cracks([upper, both, beside], cracks) == [{1}, {1, 2}, set()]
    assert counted([{1}, {1, 2}, set()], 3) == {
        "cracks": 3,
        "found": 2,
        "findings_on_them": 3,
        "pairs": 1,
        "joined": 1,
        "in_a_join": 2,
    }


def test_parts_that_a_person_calls_one_crack_are_one() -> None:
    photo = Photo("set", "name", np.zeros((200, 300, 3), np.uint8), two_lines())
    assert cracks_of(photo, Told())[0].max() == 2
    assert cracks_of(photo, Told(same=((1, 2),)))[0].max() == 1


def test_a_pair_that_nobody_can_tell_apart_counts_neither_as_a_pair_nor_as_joined() -> None:
    photo = Photo("set", "name", np.zeros((200, 300, 3), np.uint8), two_lines())
    cracks, unsure = cracks_of(photo, Told(unsure=((2, 1),)))
    assert cracks.max() == 2
    both = counted([{1, 2}], 2, unsure)
    assert (both["found"], both["pairs"], both["joined"], both["in_a_join"]) == (2, 0, 0, 0)
    assert counted([{1, 2, 3}], 3, unsure)["joined"] == 2


def test_what_was_told_of_photographs_is_read(tmp_path: Path) -> None:
    path = tmp_path / "same.csv"
    path.write_text("set,photo,parts,told\na,b,1 2,one crack\na,b,3 4,cannot tell\na,c,1 3,one crack\n")
    told = read_told(path)
    assert told == {("a", "b"): Told(((1, 2),), ((3, 4),)), ("a", "c"): Told(((1, 3),))}
    assert read_told(tmp_path / "none.csv") == {}


def test_a_broken_mask_has_gaps_and_nothing_new() -> None:
    mask = two_lines()
    broken = broken_mask(mask, np.random.default_rng(1))
    assert not (broken & ~mask).any()
    assert 0.5 * mask.sum() < broken.sum() < mask.sum()
