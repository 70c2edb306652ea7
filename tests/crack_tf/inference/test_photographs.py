"""The front door: one call loads any model, one call answers about any photograph."""

from __future__ import annotations

import csv
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image

import crack_tf
from crack_tf.inference.photographs import OVERLAP, Classifying, Drawing
from crack_tf.inference.predict import PredictConfig, predict_photos
from crack_tf.inference.predictions import UNREADABLE
from crack_tf.inference.tiles import photo_boxes
from crack_tf.models.shipped import read_zoo
from tests.dark_map_model import SIZE as MAP_SIZE
from tests.dark_map_model import write_map_model
from tests.dark_model import SIZE, logit_of, write_dark_model
from tflite.errors import CrackError, ImageError

SHIPPED = read_zoo()[1]


@pytest.fixture
def picture() -> np.ndarray:
    """Bright, with a dark square of one tile at the top left."""
    image = np.full((3 * SIZE, 4 * SIZE, 3), 240, np.uint8)
    image[:SIZE, :SIZE] = 10
    return image


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    path = tmp_path / "dark.tflite"
    write_dark_model(path, training={"dataset": "synthetic", "tile_side": SIZE})
    return path


def test_a_tile_is_called_cracked_where_the_model_says_so(classifier: Path, picture: np.ndarray) -> None:
    with crack_tf.load(classifier, jobs=1) as model:
        photo = model.predict(picture)
    assert isinstance(photo, crack_tf.ClassifiedPhoto)
    assert photo.crack
    assert (photo.highest.box.x, photo.highest.box.y) == (0, 0)
    assert photo.highest.logit == pytest.approx(logit_of(10), abs=1 / 16)
    assert [tile.box for tile in photo.tiles] == photo_boxes(4 * SIZE, 3 * SIZE, SIZE, OVERLAP)
    assert photo.cracked == tuple(tile for tile in photo.tiles if tile.crack)
    assert photo.overlay().width >= 640


def test_an_answer_is_shown_in_one_line_that_says_what_was_found(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    with crack_tf.load(classifier, jobs=1) as model:
        photo = model.predict(picture)
    count, height, width = len(photo.tiles), *picture.shape[:2]
    found = f"{len(photo.cracked)} of {count} tiles cracked, highest probability {photo.highest.probability:.3f}"
    assert repr(photo) == f"ClassifiedPhoto(array {width}x{height}: {found}, by {photo.model})"
    path = tmp_path / "map.tflite"
    write_map_model(path)
    image = np.full((MAP_SIZE, MAP_SIZE, 3), 230, np.uint8)
    Image.fromarray(image).save(tmp_path / "clean.png")
    image[:, : MAP_SIZE // 4] = 10
    with crack_tf.load(path, jobs=1) as segmenter:
        drawn, clean = segmenter.predict(image, mm_per_pixel=0.5), segmenter.predict(tmp_path / "clean.png")
    share = f"{drawn.mask.mean():.2%} drawn as crack, 0.5 mm per pixel"
    assert repr(drawn) == f"DrawnPhoto(array {MAP_SIZE}x{MAP_SIZE}: {share}, by {drawn.model})"
    assert repr(clean) == f"DrawnPhoto(clean.png {MAP_SIZE}x{MAP_SIZE}: nothing drawn, by {clean.model})"


def test_a_file_an_array_and_a_folder_give_the_same_answer(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "a.png")
    Image.fromarray(np.full_like(picture, 240)).save(folder / "b.png")
    with crack_tf.load(classifier, jobs=1) as model:
        array, file = model.predict(picture), model.predict(folder / "a.png")
        of_folder, of_list = list(model.predict(folder)), list(model.predict([str(folder / "b.png"), picture]))
    assert file.tiles == array.tiles
    assert (array.name, file.name) == ("", "a.png")
    assert [photo.name for photo in of_folder] == ["a.png", "b.png"]
    assert [photo.crack for photo in of_folder] == [True, False]
    assert [photo.crack for photo in of_list] == [False, True]


def test_a_segmentation_model_draws_and_measures(tmp_path: Path) -> None:
    path = tmp_path / "map.tflite"
    write_map_model(path)
    image = np.full((2 * MAP_SIZE, 3 * MAP_SIZE, 3), 230, np.uint8)
    image[30:34, 10:90] = 10
    with crack_tf.load(path, jobs=1) as model:
        drawn = model.predict(image, mm_per_pixel=0.5)
        clean = model.predict(np.full_like(image, 230))
    assert isinstance(drawn, crack_tf.DrawnPhoto)
    (crack,) = drawn.cracks
    assert crack.length_mm == pytest.approx(40, rel=0.1)
    assert drawn.mask.dtype == bool
    assert drawn.mask.shape == drawn.probability.shape == image.shape[:2]
    assert np.array_equal(drawn.mask, drawn.probability >= drawn.threshold)
    assert drawn.overlay().size == (2 * image.shape[1], 2 * image.shape[0])  # its label would not fit else
    assert not clean.crack
    assert clean.cracks == clean.unclear == ()


def test_a_stain_and_a_speck_are_no_cracks(tmp_path: Path) -> None:
    path = tmp_path / "map.tflite"
    write_map_model(path)
    image = np.full((3 * MAP_SIZE, 3 * MAP_SIZE, 3), 230, np.uint8)
    image[10:14, 10:90] = image[30:60, 20:70] = image[80:84, 20:40] = 10
    with crack_tf.load(path, jobs=1) as model:
        drawn = model.predict(image)
    assert [crack.note for crack in drawn.cracks] == [None]
    assert [(stain.number, bool(stain.note), stain.width_trusted) for stain in drawn.unclear] == [(2, True, False)]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_model_loads_by_name_and_answers(name: str) -> None:
    with crack_tf.load(name, jobs=1) as model:
        photo = model.predict(np.full((256, 256, 3), 190, np.uint8))
    assert isinstance(photo, crack_tf.DrawnPhoto if SHIPPED[name].task == "segment" else crack_tf.ClassifiedPhoto)
    assert not photo.crack


def test_the_default_model_is_the_zoos() -> None:
    (default,) = (model for model in SHIPPED.values() if model.default and model.task == "classify")
    assert crack_tf.load(jobs=1).path == default.tflite


@pytest.mark.slow
def test_a_keras_file_answers_like_its_quantised_twin() -> None:
    model = SHIPPED["opnet_lite_nano"]
    image = np.random.default_rng(0).integers(60, 200, (227, 227, 3), dtype=np.uint8)
    with crack_tf.load(model.tflite) as quantised, crack_tf.load(model.tflite.with_name("model.keras")) as exact:
        assert quantised.predict(image).highest.logit == pytest.approx(exact.predict(image).highest.logit, abs=1.5)


def test_a_run_folder_stands_for_its_int8_export(classifier: Path, tmp_path: Path) -> None:
    export = tmp_path / "run" / "export"
    export.mkdir(parents=True)
    write_dark_model(export / "dark-int8-ptq.tflite")
    write_dark_model(export / "dark-int8-qat.tflite")
    assert crack_tf.load(tmp_path / "run").path.name == "dark-int8-qat.tflite"


def test_an_iterator_names_what_it_cannot_read_and_goes_on(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "a.png")
    (folder / "b.jpg").write_bytes(b"no picture")
    Image.fromarray(picture).save(folder / "c.png")
    (folder / "d.jpg").symlink_to("nowhere.jpg")
    with crack_tf.load(classifier, jobs=1) as model:
        answers = list(model.predict([folder, picture, tmp_path / "gone.png", picture[:3]]))
    read = [photo for photo in answers if isinstance(photo, crack_tf.ClassifiedPhoto)]
    unread = [photo for photo in answers if isinstance(photo, crack_tf.UnreadPhoto)]
    assert [photo.name for photo in read] == ["a.png", "c.png", ""]
    assert [(photo.name, photo.path) for photo in unread] == [
        ("b.jpg", folder / "b.jpg"),
        ("d.jpg", folder / "d.jpg"),
        ("gone.png", tmp_path / "gone.png"),
        ("", None),
    ]
    assert len(read) + len(unread) == len(answers) == 7
    assert "b.jpg" in unread[0].reason
    assert "link to a file that is not there" in unread[1].reason
    for photo in unread:  # never clean
        with pytest.raises(ImageError, match=re.escape(photo.reason)):
            _ = photo.crack


def test_answers_know_how_many_they_are_where_that_can_be_known(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "a.png")
    (folder / "b.jpg").write_bytes(b"no picture")
    with crack_tf.load(classifier, jobs=1) as model:
        assert len(model.predict(folder)) == 2
        answers = model.predict([folder, picture])
        next(answers)
        assert len(answers) == 3  # from the first to the last
        unknown = model.predict(one for one in [picture, picture])
        with pytest.raises(TypeError, match="generator"):
            len(unknown)
        assert unknown
        assert len(list(unknown)) == 2


@pytest.mark.parametrize("name", ["a\0b.jpg", "x" * 5000])
def test_a_name_that_no_file_can_have_is_unread_among_others_and_alone(
    name: str, classifier: Path, picture: np.ndarray
) -> None:
    with crack_tf.load(classifier, jobs=1) as model:
        first, second, third = model.predict([picture, name, picture])
        assert isinstance(second, crack_tf.UnreadPhoto)
        assert (first.crack, third.crack) == (True, True)
        with pytest.raises(ImageError, match="cannot read image"):
            model.predict(name)


def test_answers_of_a_list_are_had_by_number_wherever_the_iteration_is(classifier: Path, picture: np.ndarray) -> None:
    clean = np.full_like(picture, 240)
    with crack_tf.load(classifier, jobs=1) as model:
        answers = model.predict([picture, clean, "nowhere.jpg", picture])
        assert repr(answers) == "<Answers about 4 photographs, 0 given so far>"
        assert [next(answers).crack, answers[0].crack, answers[1].crack, answers[-1].crack] == [True, True, False, True]
        assert answers[2].name == "nowhere.jpg"
        assert repr(answers) == "<Answers about 4 photographs, 1 given so far>"
        assert [len(answers[1:]), len(answers[::2]), len(answers[9:])] == [3, 2, 0]
        assert [photo.crack for photo in answers[:2]] == [True, False]
        assert len(list(answers)) == 3  # goes on after the first
        with pytest.raises(IndexError):
            answers[4]
        unknown = model.predict(one for one in [picture])
        assert repr(unknown) == "<Answers about photographs of a generator, 0 given so far>"
        with pytest.raises(TypeError, match="give a list for an index"):
            unknown[0]


def test_a_second_loop_over_a_list_counts_the_same_and_over_a_generator_is_refused(
    classifier: Path, picture: np.ndarray
) -> None:
    photos = [picture, np.full_like(picture, 240), picture]
    with crack_tf.load(classifier, jobs=1) as model:
        answers = model.predict(photos)
        assert [sum(photo.crack for photo in answers) for _ in range(3)] == [2, 2, 2]
        assert repr(answers) == "<Answers about 3 photographs, 3 given so far>"
        for _ in answers:
            break
        assert len(list(answers)) == 2, "a loop that was left goes on"
        with pytest.raises(StopIteration):
            next(answers)
        once = model.predict(photo for photo in photos)
        assert sum(photo.crack for photo in once) == 2
        with pytest.raises(CrackError, match="were given: keep them in a list"):
            sum(photo.crack for photo in once)


def test_what_the_front_door_cannot_read_is_what_the_verb_cannot_read(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    folder = tmp_path / "DCIM"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "a.png")
    Image.fromarray(picture[:4]).save(folder / "thin.png")
    (folder / "empty.jpg").touch()
    predict_photos([folder], PredictConfig(str(classifier), jobs=1), tmp_path / "out")
    with (tmp_path / "out/photos.csv").open(newline="") as stream:
        rows = {Path(row["photo"]).name: row["status"] == UNREADABLE for row in csv.DictReader(stream)}
    with crack_tf.load(classifier, jobs=1) as model:
        answers = {photo.name: isinstance(photo, crack_tf.UnreadPhoto) for photo in model.predict(folder)}
    assert answers == rows == {"a.png": False, "thin.png": True, "empty.jpg": True}


def test_a_list_in_a_list_and_an_empty_folder_are_refused_in_their_turn(
    classifier: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    with crack_tf.load(classifier, jobs=1) as model:
        answers = model.predict([picture, [picture, picture], tmp_path / "empty", 3, picture])
        assert not next(answers).name
        with pytest.raises(CrackError, match="holds a list: give one flat list"):
            next(answers)
        with pytest.raises(CrackError, match=r"no photograph in .*empty"):
            next(answers)
        with pytest.raises(CrackError, match="holds something of type int"):
            next(answers)
        assert not next(answers).name
        with pytest.raises(StopIteration):
            next(answers)


def test_a_folder_without_a_photograph_is_no_clean_one(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrackError, match=r"no photograph in .*empty"):
        crack_tf.load(classifier, jobs=1).predict(tmp_path / "empty")


@pytest.mark.parametrize("scale", [0, -1, float("nan"), float("inf"), True, "0.1", pytest.param(10**400, id="huge")])
def test_a_scale_that_is_none_is_refused(tmp_path: Path, scale: object) -> None:
    path = tmp_path / "map.tflite"
    write_map_model(path)
    with pytest.raises(CrackError, match=r"--mm-per-pixel .*: give millimetres from"):
        crack_tf.load(path, jobs=1).predict(np.zeros((MAP_SIZE, MAP_SIZE, 3), np.uint8), mm_per_pixel=scale)


@pytest.mark.parametrize(
    ("photo", "message"),
    [
        (np.zeros((50, 50), np.uint8), r"uint8 \(50, 50\)"),
        (np.zeros((50, 50, 3), np.float32), "float32"),
        (np.zeros((4, 50, 3), np.uint8), "50x4 pixels"),
        (3.5, "photo is float"),
        (b"abc", "photo is bytes: give a file"),
        (bytearray(b"abc"), "photo is bytearray: give a file"),
        ("nowhere.jpg", "nowhere.jpg"),
    ],
)
def test_what_is_no_photograph_is_refused_by_name(classifier: Path, photo: object, message: str) -> None:
    model = crack_tf.load(classifier, jobs=1)
    with pytest.raises((CrackError, ImageError), match=message):
        model.predict(photo)


def test_unknown_models_and_settings_are_refused(classifier: Path, picture: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(CrackError, match=r"neither shipped \(.*opnet.*\) nor a file"):
        crack_tf.load("mobilenet_v9")
    with pytest.raises(CrackError, match="jobs must be at least 1, got 0"):
        crack_tf.load(classifier, jobs=0)
    with pytest.raises(CrackError, match="mm_per_pixel"):
        crack_tf.load(classifier, jobs=1).predict(picture, mm_per_pixel=0.1)


def test_a_model_says_what_it_is_and_the_error_is_at_the_front_door(classifier: Path) -> None:
    with crack_tf.load(classifier, jobs=1) as model:
        assert re.fullmatch(r"<CrackClassifier \S+: input \d+ px, crack from probability [\d.e-]+>", repr(model))
    assert repr(crack_tf.load("unet_mobile", jobs=1)).startswith("<CrackSegmenter unet_mobile-int8")
    with pytest.raises(crack_tf.CrackError):
        crack_tf.load("mobilenet_v9")


def test_editors_are_told_which_shipped_model_does_what() -> None:
    for names, task in ((Classifying, "classify"), (Drawing, "segment")):
        assert {*get_args(names)} == {name for name, model in SHIPPED.items() if model.task == task}


def test_completion_offers_the_public_names_and_nothing_that_the_file_imports_for_itself() -> None:
    importlib.import_module("crack_tf.photo")
    offered = {name for name in dir(crack_tf) if not name.startswith("_")}
    assert {name for name in crack_tf.__all__ if not name.startswith("_")} <= offered
    assert "photo" in offered
    assert not {"Any", "Path", "TYPE_CHECKING", "annotations", "importlib"} & offered


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("tensorflow", "keras", "cv2", "matplotlib", "numpy", "PIL")
    code = f"import sys, crack_tf; print([name for name in {heavy} if name in sys.modules]); crack_tf.load"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
