"""Annotations become photographs and masks, or the photograph is left out and named; nothing is half-written."""

from __future__ import annotations

import base64
import io
import json
import random
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from crack_tf.data.__main__ import main
from crack_tf.data.convert import convert
from crack_tf.data.registry import prepare
from crack_tf.data.texts import conversion_lines
from tests.crack_tf.data.drawn_pairs import draw_pair
from tflite.errors import CrackError
from tflite.masks import orient

WIDTH, HEIGHT = 96, 64
POLYGON = [(0, 30), (96, 40), (96, 46), (0, 36)]


def expected() -> np.ndarray:
    """The polygon's pixels, each judged by its centre, four times finer."""
    fine = Image.new("1", (WIDTH * 4, HEIGHT * 4))
    ImageDraw.Draw(fine).polygon([(x * 4, y * 4) for x, y in POLYGON], fill=1)
    return np.asarray(fine)[2::4, 2::4]


def photograph(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_pair(seed, WIDTH, HEIGHT)[0].save(path, quality=95)


def shape(label: str = "crack", kind: str = "polygon", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": POLYGON, "shape_type": kind, **more}


def labelme(path: Path, *shapes: dict[str, Any], **more: Any) -> None:
    record = {"version": "5.5.0", "shapes": shapes, "imagePath": f"{path.stem}.jpg", "imageData": None}
    path.write_text(json.dumps(record | {"imageHeight": HEIGHT, "imageWidth": WIDTH} | more))


def points(corners: list[tuple[int, int]]) -> str:
    return ";".join(f"{x:.2f},{y:.2f}" for x, y in corners)


def cvat(path: Path, images: dict[str, str], size: tuple[int, int] = (WIDTH, HEIGHT)) -> None:
    inside = "".join(
        f'<image id="{number}" name="{name}" width="{size[0]}" height="{size[1]}">{shapes}</image>'
        for number, (name, shapes) in enumerate(images.items())
    )
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>{inside}</annotations>')


def cvat_polygon(label: str = "crack") -> str:
    return f'<polygon label="{label}" source="manual" occluded="0" points="{points(POLYGON)}" z_order="0"></polygon>'


def coco(path: Path, segmentations: dict[str, list[Any]], label: str = "crack") -> None:
    images = [
        {"id": 10 + k, "file_name": name, "width": WIDTH, "height": HEIGHT} for k, name in enumerate(segmentations)
    ]
    found = [
        {"id": 1, "image_id": 10 + k, "category_id": 7, "segmentation": segmentation, "iscrowd": 0}
        for k, shapes in enumerate(segmentations.values())
        for segmentation in shapes
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "images": images,
        "annotations": found,
        "categories": [{"id": 7, "name": label}, {"id": 8, "name": "rust"}],
    }
    path.write_text(json.dumps(record))


def column_runs(mask: np.ndarray) -> list[int]:
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    return np.diff(np.flatnonzero(np.diff(flat.astype(int)) != 0), prepend=0).tolist()


def mask_of(out: Path, name: str) -> np.ndarray:
    with Image.open(out / "masks" / f"{name}.png") as image:
        assert image.mode == "L"
        values = np.asarray(image)
    assert set(np.unique(values)) <= {0, 255}
    return values > 0


def write_labelme(root: Path) -> None:
    photograph(root / "a.jpg")
    labelme(root / "a.json", shape(), shape("rust"))


def write_labelme_apart(root: Path) -> None:
    photograph(root / "img/a.jpg")
    (root / "ann").mkdir()
    labelme(root / "ann/a.json", shape(), imagePath="..\\img\\a.jpg")


def write_labelme_mask(root: Path) -> None:
    photograph(root / "a.jpg")
    rows = np.flatnonzero(expected().any(axis=1))
    box = expected()[rows[0] : rows[-1] + 1]
    stream = io.BytesIO()
    Image.fromarray(box).save(stream, "PNG")
    corners = [[0, int(rows[0])], [WIDTH - 1, int(rows[-1])]]
    labelme(root / "a.json", shape(kind="mask", points=corners, mask=base64.b64encode(stream.getvalue()).decode()))


def write_labelme_embedded(root: Path) -> None:
    photograph(root.parent / "elsewhere.jpg")
    data = base64.b64encode((root.parent / "elsewhere.jpg").read_bytes()).decode()
    labelme(root / "a.json", shape(), imageData=data)


def write_cvat(root: Path) -> None:
    photograph(root / "images/a.jpg")
    cvat(root / "annotations.xml", {"a.jpg": cvat_polygon("Crack") + cvat_polygon("rust")})


def write_cvat_mask(root: Path) -> None:
    photograph(root / "images/a.jpg")
    rows = np.flatnonzero(expected().any(axis=1))
    box = expected()[rows[0] : rows[-1] + 1]
    flat = np.concatenate([[False], box.ravel(), [not box.ravel()[-1]]])
    counts = np.diff(np.flatnonzero(np.diff(flat.astype(int)) != 0), prepend=0)
    rle = ", ".join(map(str, counts.tolist()))
    element = f'<mask label="crack" rle="{rle}" left="0" top="{rows[0]}" width="{WIDTH}" height="{len(box)}"/>'
    cvat(root / "annotations.xml", {"a.jpg": element})


def write_coco(root: Path) -> None:
    photograph(root / "a.jpg")
    coco(root / "_annotations.coco.json", {"a.jpg": [[[value for corner in POLYGON for value in corner]]]})


def write_coco_runs(root: Path) -> None:
    photograph(root / "images/a.jpg")
    runs = {"counts": column_runs(expected()), "size": [HEIGHT, WIDTH]}
    coco(root / "annotations/instances_default.json", {"a.jpg": [runs]})


def write_voc(root: Path) -> None:
    """As CVAT exports segmentation masks: colours with a list of them."""
    photograph(root / "JPEGImages/a.jpg")
    for folder in ("SegmentationClass", "SegmentationObject"):
        (root / folder).mkdir()
        colours = np.where(expected()[..., None], np.array([250, 50, 83], np.uint8), np.zeros(3, np.uint8))
        colours[:5] = (10, 20, 30)
        Image.fromarray(colours).save(root / folder / "a.png")
    (root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrack:250,50,83::\nrust:10,20,30::\n"
    )


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (write_labelme, "LabelMe"),
        (write_labelme_apart, "LabelMe"),
        (write_labelme_mask, "LabelMe"),
        (write_labelme_embedded, "LabelMe"),
        (write_cvat, "CVAT"),
        (write_cvat_mask, "CVAT"),
        (write_coco, "COCO"),
        (write_coco_runs, "COCO"),
        (write_voc, "masks of classes"),
    ],
)
def test_every_format_gives_the_same_mask(tmp_path: Path, write: Callable[[Path], None], kind: str) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    write(root)
    result = convert(root, out)
    assert (result.kind, result.photographs, result.crack_free, result.left) == (kind, 1, 0, ())
    assert sum(result.crack_classes.values()) == 1
    differing = mask_of(out, "a") ^ expected()
    assert differing.sum() <= 6  # corners of the finer drawing fall on centres
    (original,) = (*root.rglob("a.jpg"), *tmp_path.glob("elsewhere.jpg"))
    assert (out / "images/a.jpg").read_bytes() == original.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def with_boxes_of_label_studio(root: Path, *boxes: list[float]) -> None:
    """As it exports what was imported: photographs by the address it serves them at, a box beside each polygon, a size where known."""
    coco(root / "result.json", {"/data/local-files/?d=pier%20a/a.jpg": [[[value for xy in POLYGON for value in xy]]]})
    record = json.loads((root / "result.json").read_text())
    record["images"].append({"id": 99, "file_name": "/data/local-files/?d=b.jpg", "width": None, "height": None})
    for box in boxes:
        record["annotations"].append({"id": 2, "image_id": 10, "category_id": 7, "segmentation": [], "bbox": box})
    (root / "result.json").write_text(json.dumps(record))


def with_boxes_of_datumaro(root: Path, *boxes: list[float]) -> None:
    drawn = "".join(
        f'<box label="crack" occluded="0" xtl="{x:.2f}" ytl="{y:.2f}" xbr="{x + w:.2f}" ybr="{y + h:.2f}"></box>'
        for x, y, w, h in boxes
    )
    cvat(root / "default.xml", {"pier a/a.jpg": drawn + cvat_polygon(), "b.jpg": ""})


@pytest.mark.parametrize("write", [with_boxes_of_label_studio, with_boxes_of_datumaro])
def test_the_box_that_programs_write_beside_a_polygon_is_no_crack_of_its_own(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    root = tmp_path / "in"
    photograph(root / "pier a/a.jpg")
    photograph(root / "b.jpg", 1)
    write(root, [0, 30, 96, 16])
    result = convert(root, tmp_path / "out")
    assert (result.photographs, result.crack_free, result.left) == (2, 1, ())
    assert (mask_of(tmp_path / "out", "pier a/a") ^ expected()).sum() <= 6
    assert not mask_of(tmp_path / "out", "b").any()
    # Of a box that holds more, nobody has said which pixels of it are cracked.
    write(root, [0, 30, 96, 16], [0, 10, 96, 36])
    left = convert(root, tmp_path / "again").left
    assert [(Path(one.photo).name, "drawn as box" in one.reason) for one in left] == [("a.jpg", True)]


@pytest.mark.parametrize("box", [[None] * 4, [1, 2, 3], [1, 2, 3, 4, 5, 6, 7], ["a", 1, 2, 3], 5, None])
def test_a_box_that_cannot_be_read_matters_only_where_it_is_of_a_crack(tmp_path: Path, box: object) -> None:
    root = tmp_path / "in"
    for number, name in enumerate("ab"):
        photograph(root / f"{name}.jpg", number)
    polygon = [value for corner in POLYGON for value in corner]
    for category, left in ((8, []), (7, ["a.jpg"])):
        coco(root / "result.json", {"a.jpg": [[polygon]], "b.jpg": [[polygon]]})
        record = json.loads((root / "result.json").read_text())
        record["annotations"].append(
            {"id": 3, "image_id": 10, "category_id": category, "segmentation": [], "bbox": box}
        )
        (root / "result.json").write_text(json.dumps(record))
        assert [one.photo for one in convert(root, tmp_path / f"out{category}").left] == left


def test_a_box_of_cvat_without_an_edge_matters_only_where_it_is_of_a_crack(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for number, name in enumerate("ab"):
        photograph(root / f"{name}.jpg", number)
    for label, left in (("spall", []), ("crack", ["a.jpg"])):
        box = f'<box label="{label}" xtl="1" ytl="2" xbr="30"></box>'
        cvat(root / "annotations.xml", {"a.jpg": box + cvat_polygon(), "b.jpg": cvat_polygon()})
        assert [one.photo for one in convert(root, tmp_path / label).left] == left


def test_a_size_that_is_half_known_is_named_in_words(tmp_path: Path) -> None:
    write_coco(tmp_path)
    path = tmp_path / "_annotations.coco.json"
    record = json.loads(path.read_text())
    record["images"][0]["width"] = None
    path.write_text(json.dumps(record))
    with pytest.raises(CrackError, match="its width is None and its height 64, which are no pixels"):
        convert(tmp_path, tmp_path.parent / "out")


@pytest.mark.parametrize("write", [with_boxes_of_label_studio, with_boxes_of_datumaro])
def test_a_box_that_a_crack_runs_through_may_be_another_crack(tmp_path: Path, write: Callable[..., None]) -> None:
    root = tmp_path / "in"
    photograph(root / "pier a/a.jpg")
    photograph(root / "b.jpg", 1)
    write(root, [0, 30, 96, 16], [20, 32, 30, 8])  # the polygon reaches all four sides of the second
    left = convert(root, tmp_path / "out").left
    assert [(Path(one.photo).name, "drawn as box" in one.reason) for one in left] == [("a.jpg", True)]


@pytest.mark.parametrize(
    ("polygon", "box"),
    [
        ([-20, -20, 60, 60, 55, 60], [-20, -20, 80, 80]),
        ([-20, -20, 60, 60, 52, 60], [-20, -20, 80, 80]),
        ([2, 2, 62, 62, 57, 62], [2, 2, 60, 60]),  # its tip is narrower than a pixel, and not drawn
    ],
)
def test_the_box_of_a_polygon_that_leaves_the_photograph_or_tapers_is_no_crack_of_its_own(
    tmp_path: Path, polygon: list[int], box: list[int]
) -> None:
    root = tmp_path / "in"
    photograph(root / "a.jpg")
    coco(root / "result.json", {"a.jpg": [[polygon]]})
    record = json.loads((root / "result.json").read_text())
    record["annotations"].append({"id": 2, "image_id": 10, "category_id": 7, "segmentation": [], "bbox": box})
    (root / "result.json").write_text(json.dumps(record))
    result = convert(root, tmp_path / "out")
    assert (result.photographs, result.left) == (1, ())
    assert mask_of(tmp_path / "out", "a").any()


@pytest.mark.parametrize("palette", [True, False])
def test_classes_without_names_are_chosen_by_number_or_colour(tmp_path: Path, palette: bool) -> None:
    root = tmp_path / "in"
    photograph(root / "images/a.jpg")
    (root / "masks").mkdir()
    values = expected().astype(np.uint8)
    values[:3] = 2
    values[-3:] = 255 if palette else 2
    image = Image.fromarray(values, "P")
    levels = np.zeros((256, 3), np.uint8)
    levels[[1, 2, 255]] = [(128, 0, 0), (0, 128, 0), (224, 224, 192)]
    image.putpalette(levels.tobytes())
    (image if palette else image.convert("RGB")).save(root / "masks/a.png")
    one = "1" if palette else "128,0,0"
    with pytest.raises(CrackError, match=rf"which classes are cracks\? .* It has: .*'{one}' \(1\)"):
        convert(root, tmp_path / "out")
    convert(root, tmp_path / "out", [one if palette else "#800000"])
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a"), expected())


def test_which_classes_are_cracks_is_asked_where_it_is_not_plain(tmp_path: Path) -> None:
    photograph(tmp_path / "in/a.jpg")
    labelme(tmp_path / "in/a.json", shape("crack"), shape("alligator crack"), shape("rust"))
    with pytest.raises(CrackError, match=r"which classes are cracks\?.*'alligator crack' \(1\)"):
        convert(tmp_path / "in", tmp_path / "out")
    with pytest.raises(CrackError, match=r"--crack-class hole: .* It has: 'crack' \(1\)"):
        convert(tmp_path / "in", tmp_path / "out", ["hole"])
    result = convert(tmp_path / "in", tmp_path / "out", ["CRACK", "alligator crack"])
    assert (result.crack_classes, result.other_classes) == ({"crack": 1, "alligator crack": 1}, {"rust": 1})
    labelme(tmp_path / "in/a.json", shape("rust"))
    with pytest.raises(CrackError, match="which classes are cracks"):
        convert(tmp_path / "in", tmp_path / "again")


def test_a_photograph_without_a_crack_gets_a_black_mask(tmp_path: Path) -> None:
    for number, shapes in enumerate(([shape()], [], [shape("rust")])):
        photograph(tmp_path / f"in/{number}.jpg", number)
        labelme(tmp_path / f"in/{number}.json", *shapes)
    photograph(tmp_path / "in/3.jpg", 3)
    result = convert(tmp_path / "in", tmp_path / "out")
    assert (result.photographs, result.crack_free, result.not_annotated) == (3, 2, 1)
    told = "1 photograph has no annotation and is left out, since nobody said whether there is a crack: 3.jpg"
    assert told in conversion_lines(result)
    assert [mask_of(tmp_path / "out", name).any() for name in "012"] == [True, False, False]


def spoil_photograph(path: Path) -> None:
    path.with_suffix(".jpg").write_bytes(b"none")


LEFT: list[tuple[Callable[[Path], object], str]] = [
    (lambda path: labelme(path, shape(kind="linestrip")), "drawn as linestrip"),
    (lambda path: labelme(path, shape(), shape(kind="rectangle", points=[[1, 1], [5, 5]])), "drawn as rectangle"),
    (lambda path: labelme(path, shape(points=[[1, 2]])), "three points or more"),
    (lambda path: labelme(path, shape(points="text")), "no numbers"),
    (lambda path: labelme(path, shape(points=[[200, 200], [210, 200], [205, 220]])), "covers no pixel"),
    (lambda path: labelme(path, shape(kind="mask", mask="nonsense")), "a mask cannot be read"),
    (lambda path: labelme(path, shape(), imageHeight=200), "drawn on 96x200 pixels, and the photograph has 96x64"),
    (lambda path: labelme(path, shape(), imagePath="../../../etc/nowhere.jpg"), "no photograph of that name"),
    (lambda path: labelme(path, shape(), imagePath=".."), "no photograph of that name"),
    (lambda path: path.write_text('{"shapes": ['), "not valid JSON"),
    (spoil_photograph, "a.jpg is not an image"),
    (lambda path: labelme(path, {"points": POLYGON}), "has no 'label'"),
]


@pytest.mark.parametrize(("spoil", "reason"), LEFT, ids=[reason for _, reason in LEFT])
def test_what_cannot_be_converted_is_left_out_and_named(
    tmp_path: Path, spoil: Callable[[Path], object], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    for name in "ab":
        photograph(root / f"{name}.jpg")
        labelme(root / f"{name}.json", shape())
    spoil(root / "a.json")
    assert main(["convert", str(root), "--out", str(out)]) == 1
    printed = capsys.readouterr()
    assert "1 photograph converted" in printed.out
    assert reason in printed.err
    assert [path.name for path in (out / "masks").iterdir()] == ["b.png"]
    (row,) = json.loads((out / "conversion.json").read_text())["left"]
    assert row["annotation"] == "a.json"
    assert reason in row["reason"]


def test_what_cannot_be_looked_at_in_an_export_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photograph(tmp_path / "in/a.jpg")
    labelme(tmp_path / "in/a.json", shape())
    (tmp_path / "in/more").symlink_to(tmp_path)
    assert main(["convert", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    assert "more (more): is a link to a folder" in capsys.readouterr().err


LINE = [[4.0, 10.0], [40.0, 30.0], [80.0, 12.0]]


@pytest.mark.parametrize("write", ["linestrip", "line", "polyline"])
def test_cracks_marked_as_lines_are_drawn_as_wide_as_is_said(
    tmp_path: Path, write: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "in"
    photograph(root / "a.jpg")
    line = LINE[:2] if write == "line" else LINE
    if write == "polyline":
        text = ";".join(f"{x},{y}" for x, y in line)
        cvat(root / "annotations.xml", {"a.jpg": f'<polyline label="crack" points="{text}"/>'})
    else:
        labelme(root / "a.json", shape(kind=write, points=line))
    assert main(["convert", str(root), "--out", str(tmp_path / "none")]) == 2
    assert "state its width with --line-width" in capsys.readouterr().err
    assert main(["convert", str(root), "--line-width", "5", "--out", str(tmp_path / "out")]) == 0
    assert "1 crack that was marked as a line is drawn 5 pixels wide, as you said" in capsys.readouterr().out
    mask = mask_of(tmp_path / "out", "a")
    length = sum(float(np.hypot(*np.subtract(b, a))) for a, b in pairwise(line))
    assert mask.sum() == pytest.approx(5 * length, rel=0.15)
    assert all(mask[int(y), int(x)] for x, y in line)
    record = json.loads((tmp_path / "out/conversion.json").read_text())
    assert (record["line_width"], record["lines"]) == (5, 1)


def test_two_annotations_of_one_photograph_leave_it_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "b.png"):
        photograph(tmp_path / "in" / name)
    for name, photo in (("one", "a.jpg"), ("two", "a.jpg"), ("three", "b.jpg"), ("four", "b.png")):
        labelme(tmp_path / f"in/{name}.json", shape(), imagePath=photo)
    photograph(tmp_path / "in/c.jpg")
    labelme(tmp_path / "in/c.json", shape())
    result = convert(tmp_path / "in", tmp_path / "out")
    assert result.photographs == 1
    assert sorted(row.photo for row in result.left) == ["a.jpg", "a.jpg", "b.jpg", "b.png"]


def test_splits_and_sub_folders_of_an_export_are_kept(tmp_path: Path) -> None:
    for start, part in enumerate(("train", "valid", "test")):
        names = [f"{number}.jpg" for number in range(3)]
        for number, name in enumerate(names):
            photograph(tmp_path / "in" / part / name, 10 * start + number)
        polygon = [[[value for corner in POLYGON for value in corner]]]
        coco(tmp_path / "in" / part / "_annotations.coco.json", dict.fromkeys(names, polygon), "cracks")
    result = convert(tmp_path / "in", tmp_path / "out")
    assert (result.photographs, result.crack_classes) == (9, {"cracks": 9})
    manifest = prepare(str(tmp_path / "out"))
    assert manifest.policy == "folders"
    assert {(item.path.split("/")[1], item.split) for item in manifest.items} == {
        ("train", "train"),
        ("valid", "val"),
        ("test", "test"),
    }


def test_a_mask_drawn_on_the_pixels_as_stored_is_turned_where_its_size_says_so(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    photo = draw_pair(0, WIDTH, HEIGHT)[0]
    exif = photo.getexif()
    exif[274] = 6
    photo.save(root / "a.jpg", exif=exif)
    labelme(root / "a.json", shape())
    convert(root, tmp_path / "out")
    plain = tmp_path / "plain"
    plain.mkdir()
    photo.save(plain / "a.jpg")
    labelme(plain / "a.json", shape())
    convert(plain, tmp_path / "flat")
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a"), orient(mask_of(tmp_path / "flat", "a"), 6))


@pytest.mark.parametrize("boxes", [True, False])
def test_label_studios_polygons_on_a_photograph_that_it_shows_turned_are_put_right(tmp_path: Path, boxes: bool) -> None:
    """It takes shares of the photograph as shown, WIDTH x HEIGHT here, and multiplies them by the size as stored."""
    root, plain = tmp_path / "in", tmp_path / "plain"
    root.mkdir()
    plain.mkdir()
    photo = draw_pair(0, WIDTH, HEIGHT)[0]
    stored = photo.transpose(Image.Transpose.ROTATE_90)
    exif = stored.getexif()
    exif[274] = 6
    stored.save(root / "a.jpg", exif=exif)
    corners = [value for x, y in POLYGON for value in (x * HEIGHT / WIDTH, y * WIDTH / HEIGHT)]
    coco(root / "result.json", {"a.jpg": [[corners]]})
    record = json.loads((root / "result.json").read_text())
    record["images"][0] |= {"width": HEIGHT, "height": WIDTH}
    record["info"] = {"contributor": "Label Studio"}
    if boxes:
        (left, top), (right, lower) = np.min(POLYGON, axis=0).tolist(), np.max(POLYGON, axis=0).tolist()
        box = {"segmentation": [], "bbox": [left, top, right - left, lower - top]}
        record["annotations"].append(record["annotations"][0] | {"id": 2} | box)
    (root / "result.json").write_text(json.dumps(record))
    assert convert(root, tmp_path / "out").left == ()
    photo.save(plain / "a.jpg")
    labelme(plain / "a.json", shape())
    convert(plain, tmp_path / "flat")
    np.testing.assert_array_equal(mask_of(tmp_path / "out", "a"), mask_of(tmp_path / "flat", "a"))


def test_one_annotation_file_may_be_named_and_an_archive_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    write_cvat(root)
    labelme(root / "a.json", shape())
    with pytest.raises(CrackError, match=r"several kinds .*1 photograph in .*1 photograph in"):
        convert(root, tmp_path / "out")
    assert convert(root / "annotations.xml", tmp_path / "out").photographs == 1
    (root / "export.zip").touch()
    with pytest.raises(CrackError, match="unpacked first"):
        convert(root / "export.zip", tmp_path / "other")


REFUSED: list[tuple[Callable[[Path], Any], str]] = [
    (lambda root: None, "holds no annotations that can be read"),
    (lambda root: (root / "a.json").write_text("[1, 2]"), r"no annotations .*a\.json"),
    (lambda root: (root / "a.xml").write_text('<!DOCTYPE x [<!ENTITY a "a">]><annotations/>'), "document type"),
    (lambda root: (root / "a.xml").write_text("<annotations><track/></annotations>"), "tracks of a video"),
    (lambda root: (root / "a.xml").write_text("<annotations>"), "not valid XML"),
    (lambda root: (root / "a.xml").write_text("<annotation><object/></annotation>"), "holds no annotations"),
    (lambda root: cvat(root / "a.xml", {"b.jpg": cvat_polygon()}), "no photograph of .* can be converted"),
    (lambda root: coco(root / "a.json", {"b.jpg": []}), "which classes are cracks.* It has: none"),
    (
        lambda root: (root / "a.json").write_text('{"images": [], "categories": [], "annotations": [{"image_id": 1}]}'),
        "there is no image 1",
    ),
]


@pytest.mark.parametrize(("write", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_nothing_is_written_where_nothing_can_be_converted(
    tmp_path: Path, write: Callable[[Path], Any], message: str
) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    photograph(root / "a.jpg")
    write(root)
    with pytest.raises(CrackError, match=message):
        convert(root, out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    write_labelme(root)
    out.mkdir()
    (out / "mine.txt").touch()
    assert main(["convert", str(root), "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert main(["convert", str(root), "--out", str(root / "out")]) == 2
    assert "lies in" in capsys.readouterr().err
    assert sorted(path.name for path in root.iterdir()) == ["a.jpg", "a.json"]


ODD: list[Any] = [
    None,
    "",
    -1,
    10**30,
    1e308,
    "NaN",
    [],
    {},
    [[1]],
    True,
    "../../x",
    "\ud800",
    "a\x00b",
    {"counts": "ab", "size": [1, 2]},
]


def members(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a JSON document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [(value, key) for key in keys] + [entry for key in keys for entry in members(value[key])]


def spoil_json(path: Path, chance: random.Random) -> None:
    record = json.loads(path.read_text())
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(members(record) or [(record, "shapes")])
        container[key] = json.loads(json.dumps(chance.choice(ODD)))
    path.write_text(json.dumps(record))


def spoil_text(path: Path, chance: random.Random) -> None:
    text = path.read_text()
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(text))
        junk = chance.choice(["", "9", "-", '"', "<", "\u00e9", "1e999", ",", ";", "nan", "\x01"])
        text = text[:place] + junk + text[place + chance.randint(0, 4) :]
    path.write_text(text)


@pytest.mark.parametrize(
    "write", [write_labelme, write_labelme_mask, write_coco, write_coco_runs, write_cvat, write_cvat_mask, write_voc]
)
def test_spoiled_annotations_are_converted_or_refused_and_raise_nothing_else(
    tmp_path: Path, write: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TQDM_DISABLE", "1")
    root, out = tmp_path / "in", tmp_path / "out"
    root.mkdir()
    write(root)
    files = [path for path in root.rglob("*") if path.suffix in (".json", ".xml", ".txt")]
    whole = {path: path.read_bytes() for path in files}
    for seed in range(25):
        chance = random.Random(seed)
        for path in files:
            path.write_bytes(whole[path])
            (spoil_json if path.suffix == ".json" else spoil_text)(path, chance)
        try:
            result = convert(root, out)
        except CrackError:
            assert not out.exists()
        else:
            assert result.photographs == len(list((out / "masks").rglob("*.png"))) == 1
            shutil.rmtree(out)
