"""The front door: a model, a photograph, an answer. LiteRT only; Keras is imported for `.keras` files alone.

model = crack_tf.load()
photo = model.predict("pier.jpg")
print(photo.crack, photo.highest.probability)
photo.overlay().save("pier-overlay.png")

drawn = crack_tf.load("unet_mobile").predict("pier.jpg", mm_per_pixel=0.1)
for crack in drawn.cracks:
    print(crack.length_mm, crack.max_width_mm)
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, overload

import numpy as np

from crack_tf.inference.maps import SegmenterPool
from crack_tf.inference.overlay import draw_overlay
from crack_tf.inference.predictor import load_map_predictor, load_predictor, model_file
from crack_tf.inference.scales import segment_at_scales
from crack_tf.inference.second_look import is_doubted
from crack_tf.inference.tiles import PhotoClassifier, Tile, photo_boxes
from crack_tf.models.shipped import exported_file, find_model, looks_again, model_name, read_zoo, shipped_as
from crack_tf.photo.crack import Crack
from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.gsd import check_stated
from crack_tf.photo.joining import join_cracks
from crack_tf.photo.marks import Marks, tell_apart
from crack_tf.photo.overlay import draw_cracks
from tflite.arguments import check_path, is_whole
from tflite.device.tiles import Box, refuse_small, training_side
from tflite.errors import CrackError, ImageError
from tflite.images import Picture, load_picture, resize_rgb
from tflite.metrics import sigmoid
from tflite.photographs import Trouble, list_photographs
from tflite.segmenter import Segmenter
from tflite.sidecar import Sidecar, read_sidecar
from tflite.transparency import boxes_with_pixels, for_people
from tflite.words import counted

if TYPE_CHECKING:
    from PIL.Image import Image

OVERLAP = 0.25  # least share of a tile that its neighbour repeats
_KERAS_TILES = 64  # predicted at once

Photograph = str | os.PathLike[str] | np.ndarray


@dataclass(frozen=True, repr=False)
class ClassifiedPhoto:
    """What a classifier says about a photograph.

    Attributes:
        name: the file's; empty for an array.
        image: uint8 (height, width, 3), upright.
        tiles: in reading order; together they cover every pixel that is not transparent.
        threshold: probability from which a tile is called cracked.
        model: such as "mobilenet_v2_real-int8-qat".
        doubted: whether the few tiles that are called cracked are not when they are seen again (`crack_tf.inference.second_look`).
        opaque: bool (height, width), False where the file is transparent and `image` was made up; None where it is nowhere.
    """

    name: str
    image: np.ndarray
    tiles: tuple[Tile, ...]
    threshold: float
    model: str
    doubted: bool = False
    opaque: np.ndarray | None = None

    def __repr__(self) -> str:
        highest = f"{self.highest.probability:.3f}" if self.tiles else "none"
        found = f"{len(self.cracked)} of {counted(len(self.tiles), 'tile')} cracked, highest probability {highest}"
        found += ", doubted when seen again" if self.doubted else ""
        return f"ClassifiedPhoto({_sized(self.name, self.image)}: {found}, by {self.model})"

    @property
    def crack(self) -> bool:
        """Whether any tile is called cracked, and still is when it is seen again."""
        return any(tile.crack for tile in self.tiles) and not self.doubted

    @property
    def cracked(self) -> tuple[Tile, ...]:
        """The tiles that are called cracked."""
        return tuple(tile for tile in self.tiles if tile.crack)

    @cached_property
    def highest(self) -> Tile:
        """The tile most likely to be cracked."""
        return max(self.tiles, key=lambda tile: tile.logit)

    def overlay(self) -> Image:
        """The photograph in grey under its heat map, at most 1,600 pixels wide or high."""
        shown, title = for_people(self.image, self.opaque), f"{self.name} {self.model}".strip()
        return draw_overlay(shown, self.tiles, self.threshold, title, self.doubted)


@dataclass(frozen=True, repr=False)
class DrawnPhoto:
    """What a segmentation model says about a photograph.

    Attributes:
        name: the file's; empty for an array.
        image: uint8 (height, width, 3), upright.
        probability: float32 (height, width), of a crack at every pixel.
        mask: bool (height, width), where it reaches the model's threshold.
        threshold: that probability.
        mm_per_pixel: as given, or None.
        model: such as "unet_mobile-int8-ptq".
        opaque: bool (height, width), False where the file is transparent and `image` was made up; None where it is nowhere.
    """

    name: str
    image: np.ndarray
    probability: np.ndarray
    mask: np.ndarray
    threshold: float
    mm_per_pixel: float | None
    model: str
    opaque: np.ndarray | None = None

    def __repr__(self) -> str:
        # Not the cracks: measuring them takes seconds.
        found = f"{self.mask.mean():.2%} drawn as crack" if self.crack else "nothing drawn"
        scale = "" if self.mm_per_pixel is None else f", {self.mm_per_pixel:g} mm per pixel"
        return f"DrawnPhoto({_sized(self.name, self.image)}: {found}{scale}, by {self.model})"

    @property
    def crack(self) -> bool:
        """Whether anything is drawn."""
        return bool(self.mask.any())

    @property
    def cracks(self) -> tuple[Crack, ...]:
        """The cracks with lengths and widths, longest first, parts of one put together; measured when first asked for.

        Marks shorter than 40 pixels are left out, and what is too wide for its length is `unclear`, as in a survey.

        Raises:
            CrackError: if more than half of the photograph is drawn: that is no crack.
        """
        return self._marks.cracks

    @property
    def unclear(self) -> tuple[Crack, ...]:
        """Shapes that may be no cracks, stains, holes and shadows more often, each with a `note` that says why.

        Raises:
            CrackError: as `cracks`.
        """
        return self._marks.unclear

    @cached_property
    def _marks(self) -> Marks:
        found = measure_cracks(self.mask, self.mm_per_pixel, photo=self.image) if self.mask.any() else []
        return tell_apart(join_cracks(found, self.image))

    def overlay(self) -> Image:
        """The photograph with its cracks, their lengths and widths, and what is unclear."""
        return draw_cracks(for_people(self.image, self.opaque), [*self.cracks, *self.unclear], self.mask)


@dataclass(frozen=True)
class UnreadPhoto:
    """A photograph of many that could not be read: nothing is known of what it shows, so asking it for cracks raises.

    Attributes:
        name: the file's; empty for an array.
        path: the file's; None for an array.
        reason: why, in one sentence.
    """

    name: str
    path: Path | None
    reason: str

    @property
    def crack(self) -> bool:
        """Nobody knows.

        Raises:
            ImageError: always, with the reason.
        """
        raise ImageError(self.reason)


Answer = TypeVar("Answer", ClassifiedPhoto, DrawnPhoto)


class Answers(Iterator[Answer | UnreadPhoto]):
    """Answers about many photographs in their order, each when it is asked for; what could not be read among them.

    As many answers as photographs: whoever counts cracks counts the `UnreadPhoto`, too. What is no photograph at all (a list in a list)
    raises CrackError in its turn, and asked again it goes on with the next.

    Of a folder or a list, `len()` is how many there are from the first to the last, an index gives one of them and a slice some, wherever
    the iterator is, and a loop after the last one begins again; nothing is kept, so what is asked for twice is predicted twice. Of a
    generator nobody knows how many, and a second loop raises CrackError.
    """

    def __init__(self, photos: Iterable[Any], answer: Callable[[Any], Answer]) -> None:
        self._all = photos if isinstance(photos, Sequence) else None
        self._photos = iter(photos)
        self._given = 0
        self._ended = False
        self._answer: Callable[[Any], Answer] = answer

    def __repr__(self) -> str:
        among = "photographs of a generator" if self._all is None else counted(len(self._all), "photograph")
        return f"<Answers about {among}, {self._given} given so far>"

    def __len__(self) -> int:
        if self._all is None:
            raise TypeError("how many photographs a generator gives is not known before its end")
        return len(self._all)

    @overload
    def __getitem__(self, index: int) -> Answer | UnreadPhoto: ...

    @overload
    def __getitem__(self, index: slice) -> Answers[Answer]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if self._all is None:
            raise TypeError(
                "answers about a generator's photographs come one after the other: give a list for an index"
            )
        if isinstance(index, slice):
            return Answers(self._all[index], self._answer)
        return self._about(self._all[index])

    def __bool__(self) -> bool:
        return True  # as of any iterator, also where nobody knows how many

    def __iter__(self) -> Self:
        if self._ended:  # an ended iterator gives nothing: a second count of cracks would be 0
            if self._all is None:
                raise CrackError(
                    "all answers about a generator's photographs were given: keep them in a list, or give a list of photographs."
                )
            self._photos, self._given, self._ended = iter(self._all), 0, False
        return self

    def __next__(self) -> Answer | UnreadPhoto:
        try:
            photo = next(self._photos)
        except StopIteration:
            self._ended = True
            raise
        self._given += 1
        return self._about(photo)

    def _about(self, photo: Any) -> Answer | UnreadPhoto:
        try:
            return self._answer(photo)
        except ImageError as error:
            path = photo.path if isinstance(photo, Trouble) else photo
            path = Path(path) if isinstance(path, str | os.PathLike) else None
            return UnreadPhoto("" if path is None else path.name, path, str(error))


class PhotoModel(ABC, Generic[Answer]):
    """A checked model. Usable as a context, which ends its threads; without one they end with the program.

    Attributes:
        path: the model file.
        sidecar: what is known about it.
    """

    def __init__(self, path: Path, jobs: int | None) -> None:
        if jobs is not None and not is_whole(jobs):
            raise CrackError(f"jobs is {jobs!r}: give a whole number from 1, or None for all cores.")
        if jobs is not None and jobs < 1:
            raise CrackError(f"jobs must be at least 1, got {jobs}.")
        self.path = path
        self.sidecar: Sidecar = read_sidecar(path)
        self._jobs = jobs or os.cpu_count() or 1

    @property
    def name(self) -> str:
        """Such as "mobilenet_v2_real-int8-qat", see `crack_tf.models.shipped.model_name`."""
        return model_name(self.sidecar)

    def __repr__(self) -> str:
        about = f"input {self.sidecar.image_size} px, crack from probability {self.sidecar.threshold.probability:.3g}"
        return f"<{type(self).__name__} {self.name}: {about}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the model's threads."""

    @overload
    def predict(self, photo: Photograph) -> Answer: ...  # type: ignore[overload-overlap]  # a str is iterable, too

    @overload
    def predict(self, photo: Iterable[Photograph]) -> Answers[Answer]: ...

    def predict(self, photo: Any, **settings: Any) -> Any:
        """Answer about one photograph, or about many, one after the other as they are asked for.

        Args:
            photo: an image file; a uint8 array (height, width, 3), RGB; or a folder, with all folders in it, or a list of files, arrays and
                folders. A list in a list is refused in its turn.
            settings: what this kind of model takes: a segmentation model `mm_per_pixel`.

        Returns:
            Of one photograph, the answer. Of a folder or list an iterator (`Answers`), which gives an answer for each, and an
            `UnreadPhoto` for one that cannot be read.

        Raises:
            ImageError: if the only photograph cannot be read: nothing is known of what it shows.
            CrackError: if the argument is none of these, or a folder holds no photograph.

        Example:
            >>> import crack_tf
            >>> model = crack_tf.load("opnet_lite_nano")
            >>> for photo in model.predict([np.full((96, 96, 3), 180, np.uint8), "nowhere.jpg"]):
            ...     if isinstance(photo, crack_tf.UnreadPhoto):
            ...         print("NOT READ", photo.name)
            ...     else:
            ...         print("crack" if photo.crack else "no crack")
            no crack
            NOT READ nowhere.jpg
        """
        if isinstance(photo, np.ndarray):
            return self._answer("", Picture(_checked(photo)), **settings)
        if isinstance(photo, str | os.PathLike):
            check_path("photo", photo, "a file, a folder, a uint8 RGB array, or a list of these")
            path = Path(photo)
            if os.path.isdir(path):  # unlike `Path.is_dir`, of a name that no file can have too
                return Answers(_inside(path), partial(self._one, **settings))
            picture = load_picture(path)
            refuse_small(path, picture.pixels.shape)
            return self._answer(path.name, picture, **settings)
        if isinstance(photo, Iterable) and not isinstance(photo, bytes | bytearray | memoryview):
            flat: Iterator[Any] = _flat(photo)
            return Answers([*flat] if isinstance(photo, Sequence) else flat, partial(self._one, **settings))
        raise CrackError(
            f"photo is {type(photo).__name__}: give a file, a folder, a uint8 RGB array, or a list of these."
        )

    def _one(self, photo: Any, **settings: Any) -> Any:
        if isinstance(photo, Trouble):
            raise ImageError(f"{photo.path} {photo.reason}.")
        if isinstance(photo, CrackError):
            raise photo
        if not isinstance(photo, str | os.PathLike | np.ndarray):
            raise CrackError(
                f"photo is a list that holds {_named(photo)}: give one flat list of files, folders and uint8 RGB arrays."
            )
        return self.predict(photo, **settings)

    @abstractmethod
    def _answer(self, name: str, picture: Picture, **settings: Any) -> Answer: ...


def _sized(name: str, image: np.ndarray) -> str:
    return f"{name or 'array'} {image.shape[1]}x{image.shape[0]}"


def _inside(folder: Path) -> list[Path | Trouble]:
    """The photographs below a folder, and what may be some and cannot be looked at."""
    listing = list_photographs(folder)
    found: list[Path | Trouble] = [*listing.photographs, *listing.troubles]
    if not found:
        raise CrackError(f"no photograph in {folder}: nothing is known of what it shows.{listing.results_note(folder)}")
    return found


def _flat(photos: Iterable[Any]) -> Iterator[Any]:
    """Photographs one by one, those of folders too."""
    for photo in photos:
        if isinstance(photo, str | os.PathLike) and os.path.isdir(photo):
            try:
                inside: Iterable[Any] = _inside(Path(photo))
            except CrackError as error:  # raised in its turn: raised here, it would end the list
                inside = (error,)
            yield from inside
        else:
            yield photo


def _named(photo: Any) -> str:
    """What an entry of a list is, in words."""
    return (
        "a list"
        if isinstance(photo, Iterable) and not isinstance(photo, bytes)
        else f"something of type {type(photo).__name__}"
    )


class CrackClassifier(PhotoModel[ClassifiedPhoto]):
    """Says which tiles of a photograph are cracked."""

    def __init__(self, path: Path, jobs: int | None = None, side: int | None = None, looks_again: bool = False) -> None:
        super().__init__(path, jobs)
        self._looks_again = looks_again
        self.side = side or training_side(self.sidecar)
        self._tiles: PhotoClassifier | None = None
        self._keras: Any = None
        if path.suffix == ".tflite":
            self._tiles = PhotoClassifier(path, jobs=self._jobs, side=self.side, overlap=OVERLAP)
        else:
            self._keras = load_predictor(path)

    def close(self) -> None:
        if self._tiles is not None:
            self._tiles.__exit__(None, None, None)

    def _answer(self, name: str, picture: Picture, **settings: Any) -> ClassifiedPhoto:
        if settings:
            raise CrackError(f"{', '.join(settings)}: a classifier takes no such setting.")
        image = picture.pixels
        boxes = photo_boxes(image.shape[1], image.shape[0], self.side, OVERLAP)
        shown = boxes_with_pixels(boxes, picture.opaque, name)
        score = self._score if self._tiles is None else self._tiles.score
        tiles, threshold = tuple(score(image, shown)), self.sidecar.threshold
        doubted = self._looks_again and is_doubted(image, tiles, score, threshold.logit)
        return ClassifiedPhoto(name, image, tiles, threshold.probability, self.name, doubted, picture.opaque)

    def _score(self, image: np.ndarray, boxes: Sequence[Box]) -> list[Tile]:
        tiles: list[Tile] = []
        for start in range(0, len(boxes), _KERAS_TILES):
            some = boxes[start : start + _KERAS_TILES]
            cut = [image[box.y : box.y + box.h, box.x : box.x + box.w] for box in some]
            logits = self._keras.logits(np.stack([resize_rgb(pixels, self._keras.image_size) for pixels in cut]))
            for box, logit in zip(some, logits.tolist(), strict=True):
                tiles.append(Tile(box, logit, float(sigmoid(logit)), logit >= self.sidecar.threshold.logit))
        return tiles


class CrackSegmenter(PhotoModel[DrawnPhoto]):
    """Draws the cracks of a photograph."""

    def __init__(self, path: Path, jobs: int | None = None) -> None:
        super().__init__(path, jobs)
        self._maps: Any
        self._pool: Any = None
        if path.suffix == ".tflite":
            self._maps = Segmenter(path)
            self._pool = SegmenterPool(self._maps, self._jobs)
        else:
            self._maps = load_map_predictor(path)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.__exit__(None, None, None)

    @overload
    def predict(  # type: ignore[overload-overlap]  # as above
        self, photo: Photograph, *, mm_per_pixel: float | None = None
    ) -> DrawnPhoto: ...

    @overload
    def predict(self, photo: Iterable[Photograph], *, mm_per_pixel: float | None = None) -> Answers[DrawnPhoto]: ...

    def predict(self, photo: Any, **settings: Any) -> Any:
        """Draw the cracks of one photograph, or of many, one after the other as they are asked for.

        Args:
            photo: as `CrackClassifier.predict` takes it: a file, a uint8 RGB array, a folder, or a list of these.
            settings: `mm_per_pixel`, the millimetres of one pixel on the surface; without it cracks are measured in pixels.

        Returns:
            Of one photograph, the answer. Of a folder or list an iterator (`Answers`).

        Raises:
            ImageError: if the only photograph cannot be read: nothing is known of what it shows.
            CrackError: if the argument is none of these, a folder holds no photograph, or the scale is that of no photograph.
        """
        return super().predict(photo, **settings)

    def _answer(self, name: str, picture: Picture, **settings: Any) -> DrawnPhoto:
        scale = settings.pop("mm_per_pixel", None)
        if settings:
            raise CrackError(f"{', '.join(settings)}: a segmentation model takes mm_per_pixel alone.")
        check_stated("mm_per_pixel", scale)
        image = picture.pixels
        cut = self._maps.threshold_probability
        probability = segment_at_scales(image, self._pool or self._maps, cut)
        if picture.opaque is not None:  # what was made up for transparent pixels shows no crack
            probability = np.where(picture.opaque, probability, np.float32(0))
        return DrawnPhoto(name, image, probability, probability >= cut, cut, scale, self.name, picture.opaque)


# Shipped models by what they do, so that an editor knows what their answers hold; of other models the file decides.
Drawing = Literal["unet_mobile"]
Classifying = Literal[
    "mobilenet_v2",
    "mobilenet_v2_035_112_real",
    "mobilenet_v2_035_64_real",
    "mobilenet_v2_035_mixed",
    "mobilenet_v2_035_real",
    "mobilenet_v2_104_real",
    "mobilenet_v2_cells_real",
    "mobilenet_v2_mixed",
    "mobilenet_v2_real",
    "mobilenet_v2_research",
    "opnet",
    "opnet_lite_base",
    "opnet_lite_nano",
    "opnet_lite_small",
]


@overload
def load(model: Classifying | None = None, *, jobs: int | None = None) -> CrackClassifier: ...


@overload
def load(model: Drawing, *, jobs: int | None = None) -> CrackSegmenter: ...


@overload
def load(model: str | os.PathLike[str], *, jobs: int | None = None) -> Any: ...


def load(model: str | os.PathLike[str] | None = None, *, jobs: int | None = None) -> Any:
    """A model, checked against its sidecar: a `CrackClassifier`, or a `CrackSegmenter` where it draws cracks.

    Args:
        model: name of a shipped model, a `.tflite` or `.keras` file with its sidecar, or a run folder; None for the shipped default.
        jobs: threads; None for all cores. Keras manages its own.

    Raises:
        CrackError: if there is no such model.
        ModelFileError: if the file is damaged or is not what its sidecar describes.

    Example:
        >>> import crack_tf
        >>> model = crack_tf.load("opnet_lite_nano")
        >>> photo = model.predict(np.full((96, 96, 3), 180, np.uint8))
        >>> photo.crack
        False
    """
    check_path("model", model, "a shipped model's name, a .tflite or .keras file, or a run folder", optional=True)
    shipped = read_zoo()[1]
    if model is None or os.fspath(model) in shipped:
        name = None if model is None else os.fspath(model)
        path = find_model(name, task=shipped[name].task if name else "classify").path
    else:
        path = _file_of(Path(model), shipped)
    sidecar = read_sidecar(path)
    if sidecar.task == "segment":
        return CrackSegmenter(path, jobs)
    known = shipped_as(sidecar)
    return CrackClassifier(path, jobs, None if known is None else known.tile_side, looks_again(sidecar))


def _file_of(path: Path, shipped: Iterable[str]) -> Path:
    if not path.exists():
        raise CrackError(
            f"model {str(path)!r} is neither shipped ({', '.join(shipped)}) nor a file. Give a .tflite or .keras file, or a run folder."
        )
    return exported_file(path) or model_file(path)


def _checked(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise CrackError(f"photo is an array {image.dtype} {image.shape}: give uint8 (height, width, 3), RGB.")
    refuse_small("photo", image.shape)
    return np.ascontiguousarray(image)
