"""What annotation programs write: CVAT's XML, LabelMe's and COCO's JSON, and masks of several classes (VOC, CVAT).

Each reader gives the annotated photographs of one file as `Annotated`; which shapes are cracks, and where the photographs lie, is
decided in `crack_tf.data.convert`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from crack_tf.data.shapes import Edges, Paint, Shape, coco_counts, extent, paint_polygon, paint_runs
from tflite.errors import CrackError, first_line
from tflite.images import open_image

LABELMAP = "labelmap.txt"  # of CVAT: the colour of each class
_VOID_COLOUR = (224, 224, 192)  # VOC's border of what is hard to tell; never a class
_NUMBERS = 65535  # the highest class number that a file can hold
_COLOURS = 64  # more of them in one mask, and it is a picture, not a map of classes


@dataclass(frozen=True)
class Annotated:
    """One photograph with what was drawn on it.

    Attributes:
        photo: as the annotation names it, with "/".
        annotation: file that holds it.
        size: width and height in pixels that it was drawn at, None where that is not said.
        shapes: everything drawn; none means that nothing was found.
        embedded: the photograph's bytes where the annotation brings them along.
        turned: the shapes on the upright photograph where `size` is that of its pixels as stored, as a quarter turn away; None where
            such shapes are drawn on the pixels as stored.
    """

    photo: str
    annotation: Path
    size: tuple[int, int] | None
    shapes: tuple[Shape, ...]
    embedded: bytes | None = None
    turned: tuple[Shape, ...] | None = None


def read_cvat(path: Path) -> list[Annotated] | None:
    """A CVAT file "for images 1.1"; None for XML of another kind.

    Raises:
        CrackError: if it is no XML, holds a document type or video tracks, or a shape cannot be understood.
    """
    try:
        data = path.read_bytes()
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise CrackError(
                f"{path} holds a document type (DOCTYPE), which CVAT does not write. It is not read, for safety."
            )
        root = ElementTree.fromstring(data)
    except OSError as error:
        raise CrackError(f"{path} cannot be read: {error.strerror}.") from None
    except (ElementTree.ParseError, LookupError, ValueError, RecursionError) as error:  # LookupError: of its encoding
        raise CrackError(
            f"{path} is not valid XML ({first_line(error)}). It may be truncated; export it again."
        ) from None
    if root.tag != "annotations":
        return None
    if root.find("track") is not None:
        raise CrackError(
            f'{path} holds tracks of a video. Export it from CVAT as "CVAT for images 1.1", with the frames.'
        )
    found = []
    for image in root.iter("image"):
        name = image.get("name", "")
        with _named(path, name):
            size = _size(image.attrib["width"], image.attrib["height"])
            shapes = tuple(_cvat_shape(child) for child in image)
        found.append(Annotated(_slashes(name), path, size, shapes))
    return found


def read_labelme(path: Path, record: Mapping[str, Any]) -> list[Annotated] | None:
    """A LabelMe file, parsed from JSON; None for JSON of another kind.

    Raises:
        CrackError: if a shape cannot be understood.
    """
    if not isinstance(record.get("shapes"), list) or not ("imagePath" in record or "imageData" in record):
        return None
    with _named(path, str(record.get("imagePath"))):
        width, height = record.get("imageWidth"), record.get("imageHeight")
        size = None if width is None or height is None else _size(width, height)
        shapes = tuple(_labelme_shape(shape) for shape in record["shapes"])
        data = record.get("imageData")
        embedded = base64.b64decode(data) if data else None
        name = record.get("imagePath") or f"{path.stem}.jpg"
        if not isinstance(name, str):
            raise TypeError("imagePath is no text")
    return [Annotated(_slashes(name), path, size, shapes, embedded)]


def read_coco(path: Path, record: Mapping[str, Any]) -> list[Annotated] | None:
    """A COCO file, parsed from JSON; None for JSON of another kind.

    Raises:
        CrackError: if it contradicts itself or a shape cannot be understood.
    """
    if not all(isinstance(record.get(key), list) for key in ("images", "annotations", "categories")):
        return None
    with _named(path, "its list of categories or images"):
        names = {entry["id"]: str(entry["name"]) for entry in record["categories"]}
        images = {entry["id"]: entry for entry in record["images"]}
        shapes: dict[Any, list[Shape]] = {key: [] for key in images}
        turned: dict[Any, list[Shape]] = {key: [] for key in images}
    info = record.get("info")
    studio = isinstance(info, dict) and info.get("contributor") == "Label Studio"
    for number, entry in enumerate(record["annotations"]):
        with _named(path, f"annotation {number}"):
            if entry["image_id"] not in shapes:
                raise ValueError(f"there is no image {entry['image_id']!r}")
            if entry["category_id"] not in names:
                raise ValueError(f"there is no category {entry['category_id']!r}")
            image, label = entry["image_id"], names[entry["category_id"]]
            shapes[image].append(_coco_shape(label, entry))
            if studio:
                turned[image].append(_coco_shape(label, _stretched(entry, images[image])))
    found = []
    for key, entry in images.items():
        with _named(path, f"image {key!r}"):
            name, width, height = str(entry["file_name"]), entry["width"], entry["height"]
            # Label Studio does not say the size of a photograph that it could not open.
            size = None if width is None and height is None else _size(width, height)
        of_turned = tuple(turned[key]) if studio else None
        found.append(Annotated(_slashes(_served(name)), path, size, tuple(shapes[key]), turned=of_turned))
    return found


def _stretched(entry: Mapping[str, Any], image: Mapping[str, Any]) -> Mapping[str, Any]:
    """A COCO polygon of Label Studio on a photograph that it shows upright, a quarter turn from the pixels as stored.

    It keeps points as shares of what it shows, and multiplies them by width and height as stored (label-studio issue 6608; its boxes by
    those shown).
    """
    try:
        shown = float(image["height"]) / float(image["width"])
        parts = [np.asarray(part, np.float64).reshape(-1, 2) * (shown, 1 / shown) for part in entry["segmentation"]]
    except (KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError):  # a box, or told of where it is drawn
        return entry
    return {**entry, "segmentation": [part.ravel().tolist() for part in parts]} if parts else entry


def read_labelmap(path: Path) -> dict[tuple[int, ...], str]:
    """Colours, red, green and blue, to class names; background is left out.

    Raises:
        CrackError: if it cannot be read.
    """
    names: dict[tuple[int, ...], str] = {}
    try:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.startswith("#"):
                name, colour = line.split(":")[:2]
                rgb = tuple(int(level) for level in colour.split(","))
                if len(rgb) != 3:
                    raise ValueError(f"{colour!r} is no colour")
                if name != "background":
                    names[rgb] = name
    except (OSError, ValueError) as error:
        raise CrackError(f"{path} is no list of classes and colours ({first_line(error)}).") from None
    return names


def read_class_mask(photo: str, path: Path, names: Mapping[tuple[int, ...], str] | None) -> Annotated:
    """A mask of classes: palette numbers, grey levels or colours; black, number 0, is background.

    Without names, classes are called by their number, or by their colour such as "250,50,83".

    Args:
        photo: as `Annotated` names it.
        path: of the mask.
        names: of the colours, from `read_labelmap`; None without one.

    Raises:
        CrackError: if it cannot be read, has too many colours for a map of classes, or one that has no name.
    """
    values, colours = _class_values(path)
    shapes = []
    for value, colour in colours.items():
        if names is None:
            label = (
                "" if value == 0 or colour == _VOID_COLOUR else _colour_text(colour) if value > _NUMBERS else str(value)
            )
        else:
            label = names.get(colour, "")
            if not label and colour not in ((0, 0, 0), _VOID_COLOUR):
                raise CrackError(f"mask {path} has the colour {_colour_text(colour)}, which {LABELMAP} does not name.")
        if label:
            shapes.append(Shape(label, "mask", partial(_paint_class, path, value)))
    return Annotated(photo, path, (values.shape[1], values.shape[0]), tuple(shapes))


def _class_values(path: Path) -> tuple[np.ndarray, dict[int, tuple[int, ...]]]:
    """int64 (height, width) of class numbers, or of `_NUMBERS` + 1 + colour; and the colour of each that occurs."""
    try:
        image = open_image(path.read_bytes(), f"mask {path}")
    except OSError as error:
        raise CrackError(f"mask {path} cannot be read: {error.strerror}.") from None
    plain = image.mode in ("P", "L", "1", "I") or image.mode.startswith("I;16")
    pixels = np.asarray(image if plain else image.convert("RGBA"))
    palette = np.asarray(image.convert("RGB")) if image.mode == "P" else None
    if pixels.ndim == 3:
        red, green, blue, alpha = np.moveaxis(pixels.astype(np.int64), -1, 0)
        colour = np.where(alpha == 0, 0, (red << 16) | (green << 8) | blue)
        values = np.where(colour == 0, 0, colour + _NUMBERS + 1)
    else:
        values = pixels.astype(np.int64)
    found, places = np.unique(values, return_index=True)
    if len(found) > _COLOURS:
        raise CrackError(f"mask {path} has {len(found)} colours: that is a picture, not a map of classes.")
    colours: dict[int, tuple[int, ...]] = {}
    for value, place in zip(found.tolist(), places.tolist(), strict=True):
        if value > _NUMBERS:
            packed = value - _NUMBERS - 1
            colours[value] = (packed >> 16, packed >> 8 & 255, packed & 255)
        elif palette is not None:
            colours[value] = tuple(palette.reshape(-1, 3)[place].tolist())
        else:
            colours[value] = (value,) * 3
    return values, colours


def _paint_class(path: Path, value: int, mask: np.ndarray) -> None:
    values, _ = _class_values(path)
    mask |= values == value


def _colour_text(colour: tuple[int, ...]) -> str:
    return ",".join(map(str, colour))


def _cvat_shape(element: ElementTree.Element) -> Shape:
    paints: dict[str, Paint] = {
        "polygon": partial(_paint_cvat_polygon, element),
        "mask": partial(_paint_cvat_mask, element),
    }
    points = [point.split(",") for point in element.get("points", "").split(";")]
    line = points if element.tag == "polyline" else None
    box = extent(points) if element.tag == "polygon" else None
    if element.tag == "box":
        box = _edges([element.get(side) for side in ("xtl", "ytl", "xbr", "ybr")])
    return Shape(element.attrib["label"], element.tag, paints.get(element.tag), line, box)


def _paint_cvat_polygon(element: ElementTree.Element, mask: np.ndarray) -> None:
    points = [[float(number) for number in point.split(",")] for point in element.get("points", "").split(";")]
    paint_polygon(points, mask)


def _paint_cvat_mask(element: ElementTree.Element, mask: np.ndarray) -> None:
    left, top, width, height = (int(element.get(name, "")) for name in ("left", "top", "width", "height"))
    counts = [int(text) for text in element.get("rle", "").split(",")]
    paint_runs(counts, height, width, left, top, False, mask)


def _labelme_shape(record: Mapping[str, Any]) -> Shape:
    kind = record.get("shape_type") or "polygon"  # old files do not say
    paints: dict[str, Paint] = {
        "polygon": partial(paint_polygon, record.get("points")),
        "mask": partial(_paint_labelme_mask, record),
    }
    line = record.get("points") if kind in ("line", "linestrip") else None
    return Shape(str(record["label"]), str(kind), paints.get(kind), line)


def _paint_labelme_mask(record: Mapping[str, Any], mask: np.ndarray) -> None:
    try:
        (left, top), _ = record["points"]
        left, top = int(left), int(top)
        with Image.open(io.BytesIO(base64.b64decode(record["mask"])), formats=("PNG",)) as image:
            box = np.asarray(image.convert("L")) > 0
    except Exception as error:  # Pillow's parsers raise nearly anything on damaged files
        raise ValueError(f"a mask cannot be read ({first_line(error)})") from None
    height, width = box.shape
    if min(left, top) < 0 or top + height > mask.shape[0] or left + width > mask.shape[1]:
        raise ValueError(f"a mask of {width}x{height} pixels at {left},{top} does not lie in the photograph")
    mask[top : top + height, left : left + width] |= box


def _coco_shape(label: str, entry: Mapping[str, Any]) -> Shape:
    segmentation, box = entry.get("segmentation"), entry.get("bbox")
    if not segmentation:
        edges = _edges(box)
        if edges is not None:
            left, top, width, height = edges
            edges = left, top, left + width, top + height
        return Shape(label, "box", None, box=edges)
    paint = partial(_paint_coco, segmentation)
    if not isinstance(segmentation, list):
        return Shape(label, "mask", paint)
    points = [number for part in segmentation if isinstance(part, list) for number in part]
    return Shape(label, "polygon", paint, box=extent(points))


def _paint_coco(segmentation: Any, mask: np.ndarray) -> None:
    if isinstance(segmentation, list):
        for part in segmentation:
            try:
                points = np.asarray(part, np.float64).reshape(-1, 2)
            except (TypeError, ValueError):
                raise ValueError("a polygon's points are no numbers") from None
            paint_polygon(points, mask)
        return
    try:
        counts = segmentation["counts"]
        height, width = segmentation["size"]
        counts = coco_counts(counts) if isinstance(counts, str) else [int(count) for count in counts]
        height, width = int(height), int(width)
    except (KeyError, TypeError) as error:
        raise ValueError(f"run lengths cannot be read ({first_line(error)})") from None
    if (height, width) != mask.shape:
        raise ValueError(f"run lengths are of {width}x{height} pixels")
    paint_runs(counts, height, width, 0, 0, True, mask)


def _edges(numbers: Any) -> Edges | None:
    """Four numbers of a box; None for what is none: only where it is of a crack does it matter."""
    try:
        one, two, three, four = (float(number) for number in numbers)
    except (TypeError, ValueError, OverflowError):
        return None
    return one, two, three, four


def _size(width: Any, height: Any) -> tuple[int, int]:
    try:
        return int(width), int(height)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"its width is {width!r} and its height {height!r}, which are no pixels") from None


def _served(name: str) -> str:
    """The path in the address at which Label Studio serves a local file: /data/local-files/?d=pier%20a/1.jpg"""
    _, served, path = name.partition("/data/local-files/?d=")
    return unquote(path) if served else name


def _slashes(name: str) -> str:
    """A path as Windows writes it, too."""
    return name.replace("\\", "/")


@contextmanager
def _named(path: Path, what: str) -> Iterator[None]:
    """Say of which file and entry an error is."""
    try:
        yield
    except KeyError as error:
        raise CrackError(f"{path} has no {error} in {what}. Export it again.") from None
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # binascii.Error is a ValueError
        raise CrackError(f"{path} cannot be understood at {what}: {first_line(error)}.") from None
