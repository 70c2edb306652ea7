"""Mistakes on crack-free photographs become tiles; nothing else is written, and a stopped call goes on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crack_tf.data.__main__ import main
from crack_tf.data.audit import audit
from crack_tf.data.registry import locate
from crack_tf.data.split import split
from crack_tf.inference.mine import mine
from tests.dark_model import write_dark_model
from tflite.device.tiles import Box, tile_boxes
from tflite.errors import CrackError
from tflite.files import read_csv

SIDE = 32


def dark_tiles(image: np.ndarray) -> Sequence[tuple[Box, float]]:
    """Calls a tile cracked when it is dark; the darker, the surer."""
    boxes = tile_boxes(image.shape[1], image.shape[0], SIDE)
    scores = [(box, 128.0 - image[box.y : box.y + SIDE, box.x : box.x + SIDE].mean()) for box in boxes]
    return [(box, score) for box, score in scores if score > 0]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "clean"
    (folder / "pier").mkdir(parents=True)
    bright = np.full((64, 96, 3), 200, np.uint8)
    Image.fromarray(bright).save(folder / "bright.png")
    dark = bright.copy()
    dark[:SIDE, :SIDE], dark[SIDE:, SIDE : 2 * SIDE] = 10, 60
    Image.fromarray(dark).save(folder / "pier" / "dark.png")
    return folder


def test_only_what_is_called_cracked_is_cut_out_surest_first(photos: Path, tmp_path: Path) -> None:
    mistakes, unread = mine(dark_tiles, "a" * 64, photos, tmp_path / "out", tell=lambda line: None)
    assert not unread
    assert [(m.photo, m.x, m.y, m.side) for m in mistakes] == [
        ("pier/dark.png", 0, 0, SIDE),
        ("pier/dark.png", SIDE, SIDE, SIDE),
    ]
    tile = np.asarray(Image.open(tmp_path / "out" / mistakes[0].file))
    assert tile.shape == (SIDE, SIDE, 3)
    assert (tile == 10).all()
    assert [row["file"] for row in read_csv(tmp_path / "out" / "mined.csv")] == [m.file for m in mistakes]


def test_no_more_than_per_photo_are_kept(photos: Path, tmp_path: Path) -> None:
    mistakes, _ = mine(dark_tiles, "a" * 64, photos, tmp_path / "out", per_photo=1, tell=lambda line: None)
    assert [(m.x, m.y) for m in mistakes] == [(0, 0)]


def test_a_stopped_call_goes_on_after_the_last_whole_photograph(photos: Path, tmp_path: Path) -> None:
    asked: list[tuple[int, ...]] = []

    def stops(image: np.ndarray) -> Sequence[tuple[Box, float]]:
        asked.append(image.shape)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return dark_tiles(image)

    with pytest.raises(KeyboardInterrupt):
        mine(stops, "a" * 64, photos, tmp_path / "out", tell=lambda line: None)
    mistakes, _ = mine(stops, "a" * 64, photos, tmp_path / "out", tell=lambda line: None)
    assert len(asked) == 3
    assert mistakes == mine(dark_tiles, "a" * 64, photos, tmp_path / "other", tell=lambda line: None)[0]


def test_another_model_or_a_foreign_folder_is_refused_and_left_alone(photos: Path, tmp_path: Path) -> None:
    mine(dark_tiles, "a" * 64, photos, tmp_path / "out", tell=lambda line: None)
    with pytest.raises(CrackError, match="another model"):
        mine(dark_tiles, "b" * 64, photos, tmp_path / "out", tell=lambda line: None)
    with pytest.raises(CrackError, match="mined with --per-photo 20"):
        mine(dark_tiles, "a" * 64, photos, tmp_path / "out", per_photo=3, tell=lambda line: None)
    foreign = tmp_path / "holidays"
    foreign.mkdir()
    (foreign / "beach.txt").write_text("mine")
    with pytest.raises(CrackError, match="not written by"):
        mine(dark_tiles, "a" * 64, photos, foreign, tell=lambda line: None)
    assert [path.name for path in foreign.iterdir()] == ["beach.txt"]


def test_a_damaged_photograph_is_named_and_the_code_is_1(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model" / "dark.tflite"
    write_dark_model(model)
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    out = tmp_path / "out"
    assert main(["mine", str(model), "--clean", str(photos), "--out", str(out), "--jobs", "1"]) == 1
    text = capsys.readouterr().out
    assert "NOT READ  broken.jpg: not an image" in text
    assert "1 photograph not read" in text


def test_photographs_of_one_name_lose_no_tile_and_what_cannot_be_looked_at_is_named(
    photos: Path, tmp_path: Path
) -> None:
    dark = (photos / "pier/dark.png").read_bytes()
    for name in ("pier-dark.png", "pier/dark.PNG"):
        (photos / name).write_bytes(dark)
    (photos / "gone.jpg").symlink_to(tmp_path / "nothing.jpg")
    out = tmp_path / "out"
    for _ in range(2):  # the second time from its records
        mistakes, unread = mine(dark_tiles, "a" * 64, photos, out, tell=lambda line: None)
        assert len({mistake.file for mistake in mistakes}) == len(mistakes) == 6
        assert all((out / mistake.file).is_file() for mistake in mistakes)
        assert len({mistake.photo for mistake in mistakes}) == 3
        assert len(unread) == 1
        assert unread[0].startswith("NOT READ  gone.jpg: a link to a file that is not there")
        next(iter((out / ".photos").iterdir())).write_text("{}")


def test_a_name_with_a_line_break_is_told_on_one_line(photos: Path, tmp_path: Path) -> None:
    (photos / "pier/dark.png").rename(photos / "a\nb.png")
    (photos / "c\nd.jpg").write_bytes(b"no picture")
    told: list[str] = []
    mistakes, unread = mine(dark_tiles, "a" * 64, photos, tmp_path / "out", tell=told.append)
    assert {mistake.photo for mistake in mistakes} == {"a\nb.png"}, "tables have the name as it is"
    assert all("\n" not in line for line in (*told, *unread))
    assert any(line.endswith("a\\nb.png") for line in told)
    assert unread[0].startswith("NOT READ  c\\nd.jpg: ")


def test_tiles_of_a_photograph_that_was_taken_away_are_removed_and_nothing_else(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "other.png").write_bytes((photos / "pier/dark.png").read_bytes())
    first, _ = mine(dark_tiles, "a" * 64, photos, out, tell=lambda line: None)
    (out / "no_crack/mine.png").write_bytes(b"x")
    (photos / "other.png").unlink()  # somebody has seen a crack on it
    second, _ = mine(dark_tiles, "a" * 64, photos, out, tell=lambda line: None)
    assert {mistake.photo for mistake in first} - {mistake.photo for mistake in second} == {"other.png"}
    names = {path.name for path in (out / "no_crack").iterdir()}
    assert names == {Path(mistake.file).name for mistake in second} | {"mine.png"}


def test_a_tile_that_somebody_removed_stays_away_and_is_not_listed(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, _ = mine(dark_tiles, "a" * 64, photos, out, tell=lambda line: None)
    (out / first[0].file).unlink()
    second, _ = mine(dark_tiles, "a" * 64, photos, out, tell=lambda line: None)
    assert second == first[1:]
    assert [row["file"] for row in read_csv(out / "mined.csv")] == [mistake.file for mistake in second]


def test_transparent_parts_are_no_tiles_to_train_on(tmp_path: Path) -> None:
    rgba = np.full((96, 192, 4), 60, np.uint8)
    rgba[..., 3] = 255
    rgba[:, 100:] = 0
    (tmp_path / "clean").mkdir()
    Image.fromarray(rgba).save(tmp_path / "clean/ortho.png")
    mistakes, _ = mine(dark_tiles, "a" * 64, tmp_path / "clean", tmp_path / "out", tell=lambda line: None)
    assert {mistake.x for mistake in mistakes} == {0, 32, 64}


def test_mined_tiles_are_a_crack_free_set(photos: Path, tmp_path: Path) -> None:
    mine(dark_tiles, "a" * 64, photos, tmp_path / "out", tell=lambda line: None)
    place = locate(str(tmp_path / "out"), clean=True)
    assert {label for _, label in place.files()} == {0}
    with pytest.raises(CrackError, match="only one class"):
        locate(str(tmp_path / "out")).files()


def test_mined_tiles_of_a_photograph_stay_on_one_side_of_a_split(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    draw = np.random.default_rng(0)
    for number in range(8):
        pixels = draw.integers(0, 100, (2 * SIDE, 2 * SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"clean/wall{number}.png")
    mine(dark_tiles, "a" * 64, tmp_path / "clean", tmp_path / "out", tell=lambda line: None)
    manifest = split(audit(locate(str(tmp_path / "out"), clean=True)))
    sides = {item.path.rpartition("/")[2][: len("wall0")]: item.split for item in manifest.items}
    assert len(manifest.items) > len(sides) == 8
    assert all(sides[item.path.rpartition("/")[2][: len("wall0")]] == item.split for item in manifest.items)
    for path in sorted((tmp_path / "out/no_crack").glob("wall[2-7]*")):
        path.unlink()
    with pytest.raises(CrackError, match=r"too few groups \(2\). Add images, or choose --policy plain"):
        split(audit(locate(str(tmp_path / "out"), clean=True)))


def test_photographs_must_be_a_folder_that_out_does_not_lie_in(photos: Path, tmp_path: Path) -> None:
    file = photos / "bright.png"
    for clean, why in ((tmp_path / "gone", "gone does not exist: give"), (file, "png is a file: give")):
        with pytest.raises(CrackError, match=rf"--clean .*{why} a folder of crack-free photographs"):
            mine(dark_tiles, "a" * 64, clean, tmp_path / "out")
    for out in (photos, photos / "mined"):
        with pytest.raises(CrackError, match=r"--out .* lies in .*: its tiles would lie among the photographs"):
            mine(dark_tiles, "a" * 64, photos, out)
    assert not (tmp_path / "out").exists()
    assert not (photos / "mined").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(CrackError, match="holds no photograph"):
        mine(dark_tiles, "a" * 64, tmp_path / "nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_is_not_there_is_named_as_it_was_given(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mine", "nowhere.tflite", "--clean", str(photos), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "error: MODEL nowhere.tflite does not exist.\n"
