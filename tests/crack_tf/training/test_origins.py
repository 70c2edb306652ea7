"""What a model learned at second hand stays on its label: licences and data sets of starts, teachers and averaged models."""

from __future__ import annotations

from pathlib import Path

from crack_tf.models.shipped import is_research_only, read_zoo
from crack_tf.training.origins import origin_of, sidecars_of
from tests.dark_model import write_dark_model
from tflite.manifest import Manifest
from tflite.sidecar import Sidecar, learned_sets

NOTE = "Backbone initialised from ImageNet weights (Apache-2.0)."
OPEN = Manifest("walls", "grouped", 0, ".", "CC0-1.0", ())


def model(path: Path, dataset: str, licence: str, *learned_from: str) -> Sidecar:
    more = {"learned_from": [*learned_from]} if learned_from else {}
    return write_dark_model(
        path, licence=licence, training={"dataset": dataset, "policy": "grouped", "seed": 0, **more}
    )


def test_a_model_of_its_own_data_has_their_licence_alone() -> None:
    assert origin_of(OPEN, "", ()) == origin_of(OPEN, "", [])
    assert origin_of(OPEN, "", ()).licence == "CC0-1.0"
    assert origin_of(OPEN, NOTE, ()).licence == f"CC0-1.0. {NOTE}"
    assert origin_of(OPEN, NOTE, ()).learned_from == ()


def test_what_goes_on_from_research_is_for_research(tmp_path: Path) -> None:
    start = model(tmp_path / "a.tflite", "roads", f"research only (no licence given). {NOTE}", "seas")
    found = origin_of(OPEN, "", [start])
    assert found.licence == f"walls: CC0-1.0; roads: research only (no licence given). {NOTE}"
    assert found.learned_from == ("roads", "seas")
    after = model(tmp_path / "b.tflite", "walls", found.licence, *found.learned_from)
    assert is_research_only(after)
    assert learned_sets(after) == ("walls", "roads", "seas")
    assert origin_of(OPEN, "", [after, after]) == found, "a third generation says it once"


def test_licences_that_a_mix_names_already_are_not_named_again(tmp_path: Path) -> None:
    mix = Manifest("walls+piers", "grouped", 0, ".", "walls: CC0-1.0; piers: CC-BY-4.0", ())
    same = model(tmp_path / "a.tflite", "piers", "CC-BY-4.0")
    other = model(tmp_path / "b.tflite", "walls+decks", "walls: CC0-1.0; decks: MIT")
    assert origin_of(mix, "", [same, other]).licence == "walls: CC0-1.0; piers: CC-BY-4.0; decks: MIT"
    assert origin_of(mix, "", [same, other]).learned_from == ("decks",)


def test_only_files_with_a_sidecar_are_asked(tmp_path: Path) -> None:
    sidecar = model(tmp_path / "a.tflite", "piers", "CC-BY-4.0")
    assert sidecars_of(["imagenet", None, tmp_path / "b.keras", tmp_path / "a.tflite"]) == [sidecar]


def test_the_shipped_research_model_hands_its_label_on() -> None:
    keras = read_zoo()[1]["mobilenet_v2_research"].files["keras"]
    (start,) = sidecars_of([Path(read_zoo()[1]["mobilenet_v2_research"].tflite).with_name(Path(keras.path).name)])
    found = origin_of(OPEN, "", [start])
    assert "research only" in found.licence
    assert found.licence.endswith(NOTE)
    assert "crack500" in found.learned_from
