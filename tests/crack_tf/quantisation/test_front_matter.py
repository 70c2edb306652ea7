"""The head of a card is YAML that hubs read, says the figures of the sidecar, and replaces its own kind alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from crack_tf.models.shipped import read_zoo
from crack_tf.quantisation.front_matter import front_matter, with_front_matter
from tests.crack_tf.quantisation.test_model_card import SIDECAR
from tflite.sidecar import read_sidecar

yaml = pytest.importorskip("yaml", reason="PyYAML comes with the documentation's requirements")


def head_of(card: str) -> dict[str, Any]:
    before, head, _ = card.split("---\n", 2)
    assert before == ""
    return dict(yaml.safe_load(head))


def test_the_head_says_task_licence_and_measured_figures() -> None:
    rates = {"recall": 0.99, "specificity": 0.98, "precision": None}
    metrics = {"split": "test", "dataset": "metu-grouped", "at_threshold": rates}
    head = head_of(front_matter(replace(SIDECAR, metrics=metrics)))
    assert (head["license"], head["pipeline_tag"], head["library_name"]) == (
        "cc-by-4.0",
        "image-classification",
        "litert",
    )
    (entry,) = head["model-index"]
    (result,) = entry["results"]
    assert entry["name"] == "opnet"
    assert result["dataset"] == {"name": "metu-grouped", "type": "metu", "split": "test"}
    assert result["metrics"] == [{"type": "recall", "value": 0.99}, {"type": "specificity", "value": 0.98}]


def test_without_figures_there_is_no_index() -> None:
    assert "model-index" not in head_of(front_matter(SIDECAR))


@pytest.mark.parametrize(
    ("stated", "license", "name"),
    [
        ("CC-BY-4.0", "cc-by-4.0", None),
        ("CC-BY-4.0. Backbone initialised from ImageNet weights (Apache-2.0).", "cc-by-4.0", None),
        ("metu: CC-BY-4.0; sdnet2018: CC-BY-4.0; own: CC0-1.0", "cc-by-4.0", None),
        ("metu: CC-BY-4.0; scenes: MIT AND Apache-2.0", "other", "several"),
        ("metu: CC-BY-4.0; crack500: research only (academic research)", "other", "research-only"),
        ("not stated", "other", "not-stated"),
        ("CC0-1.0", "cc0-1.0", None),
    ],
)
def test_the_licence_is_the_hubs_word_or_other(stated: str, license: str, name: str | None) -> None:
    head = head_of(front_matter(replace(SIDECAR, licence=stated)))
    assert (head["license"], head.get("license_name")) == (license, name)


def test_a_head_is_replaced_and_the_rest_stays() -> None:
    card = "# opnet\n\n| a |\n|---|\n\ntext\n---\nmore\n"
    once = with_front_matter(card, SIDECAR)
    assert once.endswith(f"---\n\n{card}")
    other = replace(SIDECAR, licence="MIT")
    assert with_front_matter(once, other) == with_front_matter(card, other)


@pytest.mark.parametrize("name", sorted(read_zoo()[1]))
def test_shipped_cards_have_the_head_of_their_sidecar(name: str) -> None:
    model = read_zoo()[1][name]
    card = model.card.read_text(encoding="utf-8")
    assert card.startswith(front_matter(read_sidecar(model.tflite)))
    assert head_of(card)["library_name"] == "litert"
