"""Pooled features of tiles, computed once and kept; networks at a file's second look, or with statistics of a structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.adaptation.head import Head
from crack_tf.common.arrays import write_npy
from crack_tf.common.progress import bar
from crack_tf.data.cache import cache_folder
from crack_tf.models import build_model
from crack_tf.models.heads import take_weights
from crack_tf.models.keras_models import load_keras
from tflite.convert import VIEW_WEIGHTS
from tflite.errors import CrackError
from tflite.files import sha256_bytes
from tflite.sidecar import Sidecar

_VERSION = 1  # raise when features change
_BATCH = 32
POOLED, LOGIT = "features", "logit"  # layers' names, of every classifier of the registry
EARLY = "early"  # hyperparameter: the block whose expansion the last layer sees too; 0 is none
PARTS = ("late", "peak", "mean", "max")  # of those layers, where the last one sees more than pooled features
FINE_BLOCK = 6  # of MobileNetV2: its expansion is the last that is an eighth of the input wide
SMOOTH = "smooth"  # hyperparameter: over how many pixels a classifier's input is averaged; 1 is not at all
# Windows of one look each. A file that looks twice answers with the mean, so what its last layer sees is the mean of both.
Looks = tuple[int, ...]


class Network:
    """A trained classifier taken apart: a backbone that gives features, and a head.

    Args:
        path: of the .keras file.
        sidecar: the file's.
        model: what was read of the file, with its weights or others; None to read it, which takes seconds.
        tag: that names other weights where features are kept.
        smooth: over how many pixels it smooths its input; None for as many as the file's.
        early: block whose expansion its last layer sees too, with weights of 0; None for the file's.

    Attributes:
        head: its last layer.
        smooth: over how many pixels it smooths its input.
        changes: hyperparameters that differ from the file's.

    Raises:
        CrackError: if the network has no pooled features and single logit, or is not what its sidecar says.
    """

    def __init__(
        self,
        path: Path,
        sidecar: Sidecar,
        model: Any = None,
        tag: str = "",
        smooth: int | None = None,
        early: int | None = None,
    ) -> None:
        import keras

        self.path, self.sidecar, self.tag = path, sidecar, tag
        self.smooth = shipped_smoothing(sidecar) if smooth is None else smooth
        self.changes: dict[str, int] = {}
        self.model: Any = load_keras(path) if model is None else model
        if self.smooth != shipped_smoothing(sidecar):
            self.changes, self.tag = {SMOOTH: self.smooth}, f"{tag} {SMOOTH} {self.smooth}"
        if early is not None and early != sidecar.hyperparameters.get(EARLY, 0):
            self.changes, self.tag = self.changes | {EARLY: early}, f"{self.tag} {EARLY} {early}"
        if self.changes:
            settings = sidecar.hyperparameters | self.changes
            built = build_model(sidecar.model, keras, image_size=sidecar.image_size, **settings)
            new = take_weights(built, self.model)
            if new is None:
                raise CrackError(f"{path} is another network than {sidecar.model} with {sidecar.hyperparameters}.")
            for layer in new:
                layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
            self.model = built
        names = {layer.name for layer in self.model.layers}
        self._parts = tuple(part for part in PARTS if f"{LOGIT}_{part}" in names) or ("",)
        if not {*self._names(POOLED), *self._names(LOGIT)} <= names:
            raise CrackError(
                f"{path} has no layers {POOLED!r} and {LOGIT!r}: only this project's classifiers are adapted."
            )
        pooled = [self.model.get_layer(name).output for name in self._names(POOLED)]
        seen = pooled[0] if len(pooled) == 1 else keras.layers.Concatenate()(pooled)
        self._backbone = keras.Model(self.model.input, seen)
        (kernel, bias), *others = (self.model.get_layer(name).get_weights() for name in self._names(LOGIT))
        column = np.concatenate([kernel, *(other[0] for other in others)])[:, 0]
        self.head = Head(column.astype(np.float32), float(bias[0]))

    def _names(self, layer: str) -> list[str]:
        """The layer's name, or those of its parts."""
        return [f"{layer}_{part}" if part else layer for part in self._parts]

    def features(self, images: np.ndarray) -> np.ndarray:
        """Pooled features of raw tiles, uint8 (n, s, s, 3) to float32 (n, c); from the cache where they were computed before."""
        text = f"{_VERSION} {self.sidecar.sha256} {self.tag} {images.shape} "
        path = (
            cache_folder()
            / "features"
            / f"{sha256_bytes(text.encode() + np.ascontiguousarray(images).tobytes())[:24]}.npy"
        )
        try:
            kept = np.load(path)
            if kept.shape == (len(images), len(self.head.weights)):
                return np.asarray(kept, np.float32)
        except (OSError, ValueError, EOFError):  # not there, or damaged: again
            pass
        parts = [np.zeros((0, len(self.head.weights)), np.float32)]
        starts = range(0, len(images), _BATCH)
        for start in bar(starts, "features", len(starts), "tile", each=_BATCH, units=len(images)):
            pixels = np.asarray(images[start : start + _BATCH], np.float32)
            # Always of one size: Keras takes seconds over every new one.
            filled = np.concatenate([pixels, np.zeros((_BATCH - len(pixels), *pixels.shape[1:]), np.float32)])
            parts.append(np.asarray(self._backbone.predict_on_batch(filled), np.float32)[: len(pixels)])
        found = np.concatenate(parts)
        if not np.isfinite(found).all():
            raise CrackError(
                f"{self.path} gives features that are not finite: its training failed. Choose another --model."
            )
        write_npy(path, found)
        return found

    def with_head(self, head: Head) -> Any:
        """The Keras model, which is given another last layer."""
        start = 0
        for name in self._names(LOGIT):
            layer = self.model.get_layer(name)
            kernel, *bias = layer.get_weights()
            own = head.weights[start : start + len(kernel), np.newaxis]
            layer.set_weights([own, np.array([head.bias], np.float32)] if bias else [own])
            start += len(kernel)
        return self.model


def shipped_smoothing(sidecar: Sidecar) -> int:
    """Over how many pixels a model averages its input."""
    return int(sidecar.hyperparameters.get(SMOOTH, 1))


def shipped_looks(device: Sidecar) -> Looks:
    """The looks that a file takes at a tile.

    Raises:
        CrackError: if it looks twice at an input that is averaged already, which no file of this project does.
    """
    own, second = shipped_smoothing(device), device.second_view
    if own > 1 and second:
        raise CrackError(f"{device.file} averages its input and looks twice: choose another --model.")
    return (own, second) if second else (own,)


def seen_by(looks: Looks, of: Callable[[int], np.ndarray]) -> np.ndarray:
    """What the last layer sees in all looks together.

    Args:
        looks: windows.
        of: features, or logits, by window: float32 (n, ...).
    """
    if len(looks) == 1:
        return of(looks[0])
    shares = [np.float32(weight / sum(VIEW_WEIGHTS)) for weight in VIEW_WEIGHTS]
    parts = [share * of(window) for window, share in zip(looks, shares, strict=True)]
    return np.asarray(np.sum(parts, axis=0))


def looking(
    path: Path, sidecar: Sidecar, looks: Looks, model: Any = None, tag: str = "", early: int | None = None
) -> dict[int, Network]:
    """A network for each look, by window; the file is read once. Arguments as of `Network`."""
    model = load_keras(path) if model is None else model
    return {window: Network(path, sidecar, model, tag, window, early) for window in looks}


def renormalised(
    network: Network, images: np.ndarray, share: float, seed: int = 0, looks: Looks = (1,)
) -> dict[int, Network]:
    """Networks with statistics of batch normalisation that are partly those of a structure's own tiles, by window.

    No label is needed (AdaBN: Li et al., 2017). The statistics are the mean over batches, as training would have left them.

    Args:
        network: as shipped.
        images: uint8 (n, s, s, 3), of the structure.
        share: of the structure in the statistics, 0 to 1; the rest is as shipped.
        seed: of the batches.
        looks: over how many pixels each is to average its input.
    """
    import keras

    model: Any = load_keras(network.path)  # as it looks when shipped
    shipped = model.get_weights()
    order = np.random.default_rng(seed).permutation(len(images))
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = [layer.momentum for layer in layers]
    starts = [start for start in range(0, len(order), _BATCH) if start == 0 or len(order) - start >= _BATCH // 2]
    for number, start in enumerate(bar(starts, "statistics", len(starts), "tile", each=_BATCH, units=len(images))):
        for layer in layers:
            layer.momentum = number / (number + 1)
        model(np.asarray(images[order[start : start + _BATCH]], np.float32), training=True)
    for layer, momentum in zip(layers, before, strict=True):
        layer.momentum = momentum
    mixed = [
        (share * new + (1 - share) * old).astype(old.dtype)
        for old, new in zip(shipped, (np.asarray(value) for value in model.get_weights()), strict=True)
    ]
    model.set_weights(mixed)
    tag = f"normalised {share:g} {seed} {sha256_bytes(np.ascontiguousarray(images).tobytes())[:16]}"
    return looking(network.path, network.sidecar, looks, model, tag)
