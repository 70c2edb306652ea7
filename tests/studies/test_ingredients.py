"""What each part of a training brings: which tiles are left out, and how the differences are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("keras")

from studies.ingredients import (
    ALL,
    AS_SHIPPED,
    CURVES,
    EPOCHS,
    GOING_ON,
    LONG,
    PARTS,
    TRAININGS,
    USUAL,
    asked_with,
    curve_table,
    draw,
    reduced,
    step,
    summary,
    table,
)
from studies.views import LEFT_OUT
from tflite.manifest import Item, Manifest


def item(group: str) -> Item:
    return Item(f"{group}.jpg", "0" * 64, 0, group, "train")


def test_what_was_drawn_onto_a_set_that_is_left_out_goes_too() -> None:
    groups = ("metu/1", "scenes_clean/1", "transplants/metu/1", "transplants/scenes_clean/1", "masonry/scenes_clean/2")
    mix = Manifest("mix", "grouped", 0, ".", "", tuple(map(item, groups)))
    kept = [some.group for some in reduced(mix, ("scenes_clean",)).items]
    assert kept == ["metu/1", "transplants/metu/1"]
    assert [some.group for some in reduced(mix, ("masonry",)).items] == list(groups[:4])
    assert reduced(mix, ()) == mix


def test_names_and_folders_are_told_apart() -> None:
    assert len({step(training, 0, Path("mix.csv")).done for training in TRAININGS}) == len(TRAININGS)


def test_weights_are_means_of_epochs_that_the_training_has() -> None:
    assert [*asked_with(AS_SHIPPED)] == [("0 steps", range(1, 1), 5)]
    for training in (*PARTS, *CURVES, *GOING_ON[1:]):
        epochs = {epoch for _, mean, _ in asked_with(training) for epoch in mean}
        assert min(epochs) >= 1
        assert max(epochs) == training.epochs
    assert [name for name, _, window in asked_with(CURVES[0]) if window] == [f"{epochs * 50} steps" for epochs in LONG]
    assert {mean for name, mean, _ in asked_with(PARTS[1]) if name == USUAL} == {range(EPOCHS // 4 + 1, EPOCHS + 1)}


def rows() -> list[dict[str, object]]:
    """Each training's area is that of all parts less a hundredth of its place, a little more with the second seed."""
    return [
        {
            "training": training.name,
            "seed": seed,
            "weights": name,
            "size": training.size,
            "set": some,
            "auc": 0.9 - place * (0.01 + 0.002 * seed),
            "tp": 8,
            "fn": 2,
            "tn": 9,
            "fp": 1,
        }
        for place, training in enumerate(TRAININGS)
        for seed in (0, 1)
        for name, _, _ in asked_with(training)
        for some in (*LEFT_OUT, "sdnet2018 reviewed", "drone concrete", "scenes", "cssc spalling")
    ]


def test_differences_are_those_to_all_parts_of_the_same_seed(tmp_path: Path) -> None:
    found = summary(rows())
    by_name = {row["training"]: row for row in found if row["weights"] == USUAL}
    assert by_name[ALL]["difference"] == 0
    second = by_name[PARTS[2].name]
    assert (second["seeds"], second["recall"], second["specificity scenes"]) == (2, 0.8, 0.9)
    assert second["difference"] == pytest.approx(-0.022)
    assert (second["least_difference"], second["largest_difference"]) == pytest.approx((-0.024, -0.02))
    assert {row["difference"] for row in found if row["training"] == AS_SHIPPED.name} == {0}
    further = next(row for row in found if row["training"] == GOING_ON[1].name)
    assert further["difference"] == pytest.approx(-0.011)  # to the default, the row before
    lines = table(found).splitlines()
    assert [line.split(" |")[0] for line in lines[2:]] == [
        *(f"| {ALL}, {weights}" for weights in ("last epoch, one look", "averaged, one look")),
        *(f"| {training.name}" for training in PARTS),
        f"| {AS_SHIPPED.name}",
        *(f"| {training.name}, {steps} steps" for training in GOING_ON[1:] for steps in (100, 200, 400, 800)),
    ]
    assert "| pixels | 64: 0.713, 96: 0.900, 128: 0.702 |" in curve_table(found)
    draw(found, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ingredients.png", "curves.png"}
