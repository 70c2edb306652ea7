"""The model registry: one entry per model drives the command lines, the tests and the benchmark.

A model is a pure function `build(keras, *, image_size, raw_pixels, **hyperparameters)` of a Keras namespace, so that the same
code builds the Keras 3 model that is trained and the tf_keras twin that is quantised. To add one, write such a function and
add a line to `MODELS`.
"""

from __future__ import annotations

import functools
import inspect as _introspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from crack_tf.models import efficientnet_lite0, mobilenet_v2, opnet, opnet_lite, unet, unet_mobile
from crack_tf.models.space import Space
from tflite.errors import CrackError


@dataclass(frozen=True)
class ModelSpec:
    """One registered model.

    Attributes:
        name: on the command line and in sidecars.
        summary: one line for `--help`.
        build: the pure builder; its keyword arguments beyond image_size and raw_pixels are the hyperparameters.
        smallest: least image_size for which the network keeps at least one feature pixel.
        pretrained: fills in pretrained weights, or None when there are none to be had.
        default_weights: what training starts from unless told: "imagenet" where Keras can download it.
        set_trainable: freezes all but the last blocks, or None when the model is always trained whole.
        blocks: how many blocks `set_trainable` knows.
        licence_note: obligations that pretrained weights bring along.
        space: what a search may vary about this model, besides its training.
        task: "classify" (one logit per tile) or "segment" (one logit per pixel).
        cells: layers of a classifier that masks can teach where the crack is, by the stride of their features in pixels.
    """

    name: str
    summary: str
    build: Callable[..., Any]
    smallest: int
    pretrained: Callable[..., None] | None = None
    default_weights: str = "none"
    set_trainable: Callable[[Any, int], None] | None = None
    blocks: int = 0
    licence_note: str = ""
    space: Space = field(default_factory=dict)
    task: str = "classify"
    cells: Mapping[int, str] = field(default_factory=dict)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Names and defaults of the builder's keyword arguments, besides image_size and raw_pixels."""
        parameters = _introspect.signature(self.build).parameters
        return {n: p.default for n, p in parameters.items() if n not in ("keras", "image_size", "raw_pixels")}

    @property
    def image_size(self) -> int:
        """Default side of the input in pixels."""
        return int(_introspect.signature(self.build).parameters["image_size"].default)


def variant(family: ModelSpec, size: str, settings: dict[str, Any]) -> ModelSpec:
    """A named member of a family: the same builder with other defaults.

    Args:
        family: the entry it derives from.
        size: put behind the family's name.
        settings: the defaults that differ.
    """
    space = {
        name: what.with_default(settings[name]) if name in settings else what for name, what in family.space.items()
    }
    summary = f"{family.name} with " + ", ".join(f"{name}={value}" for name, value in settings.items())
    build = functools.partial(family.build, **settings)
    return replace(family, name=f"{family.name}_{size}", summary=summary, build=build, space=space)


_OPNET_LITE = ModelSpec(
    "opnet_lite",
    "OPNet's plan for small boards: strided blocks, trained from scratch",
    opnet_lite.build,
    16,
    space=opnet_lite.SPACE,
)

MODELS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        ModelSpec(
            "opnet",
            "OPNet as published: four plain convolution blocks, trained from scratch",
            opnet.build,
            16,
            space=opnet.SPACE,
        ),
        _OPNET_LITE,
        *(variant(_OPNET_LITE, size, settings) for size, settings in opnet_lite.VARIANTS.items()),
        ModelSpec(
            "mobilenet_v2",
            "MobileNetV2 with a crack head, transfer learning from ImageNet",
            mobilenet_v2.build,
            32,
            pretrained=mobilenet_v2.load_pretrained,
            default_weights="imagenet",
            set_trainable=mobilenet_v2.set_trainable,
            blocks=mobilenet_v2.BLOCKS,
            licence_note="Backbone initialised from ImageNet weights (Apache-2.0).",
            space=mobilenet_v2.SPACE,
            cells=mobilenet_v2.CELLS,
        ),
        ModelSpec(
            "efficientnet_lite0",
            "EfficientNet-Lite0 with a crack head, transfer learning from a weights file",
            efficientnet_lite0.build,
            32,
            pretrained=efficientnet_lite0.load_pretrained,
            set_trainable=efficientnet_lite0.set_trainable,
            blocks=efficientnet_lite0.BLOCKS,
            licence_note="Backbone initialised from ImageNet weights (Apache-2.0).",
            space=efficientnet_lite0.SPACE,
        ),
        ModelSpec(
            "unet",
            "U-Net that draws the crack, trained from scratch",
            unet.build,
            32,
            space=unet.SPACE,
            task="segment",
        ),
        ModelSpec(
            "unet_mobile",
            "U-Net on MobileNetV2, small and fast, transfer learning from ImageNet",
            unet_mobile.build,
            32,
            pretrained=mobilenet_v2.load_pretrained,
            default_weights="imagenet",
            set_trainable=unet_mobile.set_trainable,
            blocks=mobilenet_v2.BLOCKS,
            licence_note="Encoder initialised from ImageNet weights (Apache-2.0).",
            space=unet_mobile.SPACE,
            task="segment",
        ),
    )
}


def get_model(name: str) -> ModelSpec:
    """Registry entry of a model.

    Raises:
        CrackError: if there is none of that name.
    """
    if name not in MODELS:
        raise CrackError(f"model {name!r} is unknown: choose one of {', '.join(MODELS)}.")
    return MODELS[name]


def build_model(
    name: str, keras: Any, *, image_size: int | None = None, raw_pixels: bool = True, **hyperparameters: Any
) -> Any:
    """Build a registered model with untrained weights.

    Args:
        name: registry name.
        keras: the Keras namespace, `keras` or `tf_keras`.
        image_size: side of the square input in pixels; None for the model's own.
        raw_pixels: True takes float32 pixels 0..255; False takes pixel/128 - 1 and has the same weight list.
        hyperparameters: the builder's keyword arguments.

    Returns:
        Model from float32 (batch, image_size, image_size, 3) to float32 logits: (batch, 1) when its task is "classify",
        (batch, image_size, image_size, 1) when it is "segment".

    Raises:
        CrackError: for an unknown model or hyperparameter, or an image too small for the network.
    """
    spec = get_model(name)
    size = spec.image_size if image_size is None else image_size
    if size < spec.smallest:
        raise CrackError(f"image_size {size} is too small for {name}: give at least {spec.smallest}.")
    unknown = sorted(set(hyperparameters) - set(spec.hyperparameters))
    if unknown:
        known = ", ".join(f"{key}={value}" for key, value in spec.hyperparameters.items())
        raise CrackError(f"{name} has no hyperparameter {unknown[0]!r}; it has {known}.")
    try:
        return spec.build(keras, image_size=size, raw_pixels=raw_pixels, **hyperparameters)
    except (TypeError, ValueError) as error:
        changed = {key: value for key, value in hyperparameters.items() if value != spec.hyperparameters[key]}
        raise CrackError(f"{name} cannot be built{f' with {changed}' if changed else ''}: {error}") from None
