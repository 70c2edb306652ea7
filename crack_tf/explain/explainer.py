"""One model and the maps it can be asked for.

A `.keras` file is explained by its own gradients. A `.tflite` file has none: Grad-CAM and Integrated Gradients are those of its
float twin, the `.keras` it was made from, and occlusion maps are computed on the `.tflite` itself, with LiteRT alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.explain.attribution import (
    MAX_STEPS,
    PATCH,
    baseline_of,
    grad_cam,
    integrated_gradients,
    occlusion,
)
from crack_tf.explain.gradients import Network, load_network
from crack_tf.inference.predictor import Predictor, load_predictor
from tflite.errors import CrackError, ModelFileError
from tflite.files import sha256_file
from tflite.sidecar import Sidecar, made_from, read_sidecar, sidecar_path, verify_file


@dataclass(frozen=True)
class Explanation:
    """One map of one tile.

    Attributes:
        method: of `crack_tf.explain.attribution.METHODS`.
        map: float32 (s, s). Grad-CAM: not negative, relative. The others: logits, negative where a place speaks against a crack.
        facts: how it was made; JSON values.
    """

    method: str
    map: np.ndarray
    facts: dict[str, Any]


class Explainer:
    """A classifier that is asked for maps.

    Args:
        path: `.keras` or `.tflite` file, or run folder.
        layer: convolution for Grad-CAM; None for the last one.
        patch: side of the occluded patch in pixels; None for a seventh of the tile.
        max_steps: of Integrated Gradients.
        threads: of a `.tflite`.

    Raises:
        CrackError, ModelFileError: see `crack_tf.inference.predictor.load_predictor`.
    """

    def __init__(
        self,
        path: str | Path,
        layer: str | None = None,
        patch: int | None = None,
        max_steps: int = MAX_STEPS,
        threads: int | None = None,
    ) -> None:
        self.predictor: Predictor = load_predictor(path, threads=threads)
        self.layer = layer
        self.patch = patch or max(2, round(PATCH * self.image_size))
        self.max_steps = max_steps
        if self.patch > self.image_size:
            raise CrackError(
                f"--patch {patch} is larger than the tiles of {self.predictor.name}, {self.image_size} px."
            )

    @property
    def path(self) -> Path:
        """The file asked for."""
        return self.predictor.path

    @property
    def sidecar(self) -> Sidecar:
        return self.predictor.sidecar

    @property
    def image_size(self) -> int:
        """Side of a tile in pixels."""
        return self.predictor.image_size

    @property
    def default_methods(self) -> tuple[str, ...]:
        """Grad-CAM and Integrated Gradients; for a `.tflite` also what can be said about the file itself.

        An adopted `.tflite` has no float twin, so that alone.
        """
        if self.path.suffix == ".tflite" and self.sidecar.adopted:
            return ("occlusion",)
        own = ("occlusion",) if self.path.suffix == ".tflite" else ()
        return ("gradcam", "ig-blurred", *own)

    @cached_property
    def network(self) -> Network:
        """What gradients are taken of: the `.keras` itself, or the float twin.

        Raises:
            CrackError: see `float_twin`, and `crack_tf.explain.gradients.Network`.
        """
        return load_network(self.network_path, self.sidecar)

    @cached_property
    def network_path(self) -> Path:
        """File of `network`."""
        return self.path if self.path.suffix == ".keras" else float_twin(self.path, self.sidecar)

    def prepare(self, methods: Sequence[str]) -> None:
        """Find out before the first tile whether the methods can be had.

        Raises:
            CrackError: if the float twin is missing, or `layer` names no convolution.
        """
        if any(method != "occlusion" for method in methods):
            network = self.network
            if "gradcam" in methods:
                network.require_convolution(self.layer)

    def explain(self, tile: np.ndarray, methods: Sequence[str]) -> list[Explanation]:
        """The maps of one tile.

        Args:
            tile: uint8 (image_size, image_size, 3).
            methods: of `crack_tf.explain.attribution.METHODS`.

        Raises:
            CrackError: see `prepare`.
        """
        return [self._explain(tile, method) for method in methods]

    def _explain(self, tile: np.ndarray, method: str) -> Explanation:
        if method == "occlusion":
            heat = occlusion(self.predictor.logits, tile, self.patch)
            return Explanation(method, heat, {"network": self.path.name, "patch_px": self.patch})
        if method == "gradcam":
            return Explanation(method, *self.grad_cam(self.network, tile))
        return Explanation(method, *self.integrated(self.network, tile, method))

    def grad_cam(self, network: Network, tile: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
        """Grad-CAM of a tile and its facts; `network` is the model's own, or a randomised one."""
        layer = network.require_convolution(self.layer)
        _, maps, gradients = network.map_gradients(layer, tile[None].astype(np.float32))
        facts = {"network": self.network_path.name, "layer": layer, "places": maps.shape[1]}
        return grad_cam(maps[0], gradients[0], self.image_size, network.places(layer)), facts

    def integrated(self, network: Network, tile: np.ndarray, method: str) -> tuple[np.ndarray, dict[str, Any]]:
        """Integrated Gradients of a tile and their facts; `network` is the model's own, or a randomised one."""
        kind = method.removeprefix("ig-")
        found = integrated_gradients(network.pixel_gradients, tile, baseline_of(tile, kind), max_steps=self.max_steps)
        facts = {
            "network": self.network_path.name,
            "network_logit": found.logit,
            "baseline_logit": found.baseline_logit,
            "steps": found.steps,
            "completeness_error": found.error,
            "complete": found.complete,
        }
        return found.map, facts


def float_twin(path: Path, sidecar: Sidecar) -> Path:
    """The `.keras` that a `.tflite` was made from: beside it, or in the folder above, with the sha256 that the sidecar names.

    Raises:
        ModelFileError: if it is not there.
    """
    name, expected = sidecar.training.get("source"), sidecar.training.get("source_sha256")
    if isinstance(name, str) and isinstance(expected, str):
        for folder in (path.parent, path.parent.parent):
            candidate = folder / Path(name).name
            if candidate.is_file() and sha256_file(candidate) == expected:
                return candidate
            if candidate.is_file() and sidecar_path(candidate).is_file():
                twin = read_sidecar(candidate)
                if made_from(sidecar, twin):  # and rounded since
                    verify_file(candidate, twin)
                    return candidate
    wanted = f"{name} with sha256 {str(expected)[:12]}..." if name else "its sidecar names none"
    raise ModelFileError(
        f"the float model that {path} was made from is neither beside it nor in the folder above ({wanted}): a .tflite has no "
        "gradients of its own. Copy it there, or ask for what needs none: --methods occlusion."
    )
