"""Every set is left out of the training that is adapted to it, and answered by the file made of that training."""

from __future__ import annotations

import pytest

pytest.importorskip("keras")

from crack_tf.data.registry import DATASETS
from crack_tf.evaluation.suite.sets import DOMAINS
from studies import adapt, adapt_left_out, ingredients
from studies.recipe import Step
from tflite.manifest import Item, Manifest


@pytest.mark.parametrize("name", adapt_left_out.TRAININGS)
def test_nothing_of_a_set_is_in_the_training_that_is_adapted_to_it(name: str) -> None:
    data = next(chosen for chosen in DOMAINS if chosen.label == name).data
    assert data in DATASETS
    groups = (f"{data}/1", f"masonry/{data}/1", "scenes_clean/1")
    mix = Manifest("mix", "grouped", 0, ".", "", tuple(Item(f"{g}.jpg", "0" * 64, 0, g, "train") for g in groups))
    kept = ingredients.reduced(mix, adapt_left_out.training_without(name).left_out)
    assert [item.group for item in kept.items] == ["scenes_clean/1"]


@pytest.mark.parametrize("name", adapt_left_out.TRAININGS)
def test_the_set_is_asked_of_the_model_without_it(name: str) -> None:
    mine = [step for step in adapt_left_out.steps() if isinstance(step, Step) and name.replace(" ", "-") in str(step)]
    average, export, *asked = mine
    training = adapt_left_out.training_without(name)
    assert str(ingredients.folder(training, adapt_left_out.SEED)) in str(average)
    assert str(ingredients.learns_from(training)) in str(average)
    options = [adapt.make_parser().parse_args([str(word) for word in step.words]) for step in asked]
    assert {(*some.sets, some.model) for some in options} == {(name, str(export.words[-1]))}
    assert {some.whole for some in options} == {name in adapt_left_out.WHOLE}
    assert [part for some in options for part in some.parts] == ["nothing", "labels", "statistics", "unjudged"]
