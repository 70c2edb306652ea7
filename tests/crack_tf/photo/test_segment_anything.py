"""The adapter to Segment Anything, on a tiny randomly initialised model of the same class: shapes, prompts, loading, errors.

Whether the real weights find concrete is not tested: they cannot be downloaded where these tests run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_tf.photo.foreground import Prompt
from crack_tf.photo.segment_anything import SegmentAnything, load_segmenter
from tflite.device.tiles import Box
from tflite.errors import CrackError

SIDE = 128


@pytest.fixture(scope="module")
def tiny() -> Any:
    pytest.importorskip("tensorflow")
    hub = pytest.importorskip("keras_hub")
    import keras

    keras.utils.set_random_seed(0)
    return hub.models.SAMImageSegmenter(
        backbone=hub.models.SAMBackbone(
            image_encoder=hub.models.ViTDetBackbone(
                hidden_size=16,
                num_layers=2,
                intermediate_dim=32,
                num_heads=2,
                global_attention_layer_indices=[1],
                patch_size=16,
                num_output_channels=8,
                window_size=2,
                image_shape=(SIDE, SIDE, 3),
            ),
            prompt_encoder=hub.layers.SAMPromptEncoder(
                hidden_size=8, image_embedding_size=(8, 8), input_image_size=(SIDE, SIDE), mask_in_channels=16
            ),
            mask_decoder=hub.layers.SAMMaskDecoder(
                hidden_size=8, num_layers=2, intermediate_dim=16, num_heads=2, embedding_dim=8, iou_head_hidden_dim=8
            ),
        )
    )


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (90, 160, 3)).astype(np.uint8)


class Scripted:
    """Stands in for the model: the mask is what is brighter than half, every score is `score`."""

    def __init__(self, score: float) -> None:
        self.score, self.encoded = score, 0
        self.prompts: list[dict[str, np.ndarray]] = []
        self.backbone = self
        self.image_shape = (SIDE, SIDE, 3)

    def image_encoder(self, image: np.ndarray, training: bool) -> np.ndarray:
        self.encoded += 1
        return np.asarray(image)

    image_encoder.image_shape = (SIDE, SIDE, 3)  # type: ignore[attr-defined]

    def prompt_encoder(self, **prompt: np.ndarray) -> dict[str, Any]:
        self.prompts.append(prompt)
        return {"count": len(prompt["points"])}

    def mask_decoder(self, image_embeddings: np.ndarray, count: int) -> dict[str, np.ndarray]:
        logits = (image_embeddings[0, ::4, ::4].mean(axis=-1) - 0.5) * 100
        return {
            "masks": np.broadcast_to(logits, (count, 4, *logits.shape)).astype(np.float32),
            "iou_pred": np.full((count, 4), self.score, np.float32),
        }


def bright_half() -> np.ndarray:
    photo = np.full((200, 300, 3), 20, np.uint8)
    photo[:, 120:] = 230
    return photo


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt(foreground=((80, 45),)),
        Prompt(foreground=((80, 45), (20, 20)), background=((150, 80),)),
        Prompt(box=Box(10, 20, 60, 100)),
        Prompt(foreground=((80, 45),), background=((60, 30),), box=Box(10, 20, 60, 100)),
    ],
    ids=["point", "points", "box", "all"],
)
def test_every_kind_of_prompt_gives_a_mask_of_the_photographs_size(tiny, photo: np.ndarray, prompt: Prompt) -> None:
    # Without the public method's checks: the mask of an untrained model may well be empty.
    mask, note = SegmentAnything(model=tiny)._prompted(photo, prompt)
    assert mask.shape == photo.shape[:2]
    assert mask.dtype == bool
    assert "predicted quality" in note


def test_the_adapter_decodes_what_the_models_own_predict_does(tiny, photo: np.ndarray) -> None:
    square = np.ascontiguousarray(np.repeat(photo[:, :90][:64, :64], 2, axis=0).repeat(2, axis=1))
    adapter = SegmentAnything(model=tiny)
    logits, scores = adapter._decode(square, [[(30.0, 40.0, 1.0), (90.0, 20.0, 0.0)]], [(10, 12), (100, 110)])
    expected = tiny.predict(
        {
            "images": square[np.newaxis].astype(np.float32) / 255,
            "points": np.array([[[30.0, 40.0], [90.0, 20.0]]]),
            "labels": np.array([[1.0, 0.0]]),
            "boxes": np.array([[[[10.0, 12.0], [100.0, 110.0]]]]),
        },
        verbose=0,
    )
    np.testing.assert_allclose(logits, expected["masks"], atol=1e-4)
    np.testing.assert_allclose(scores, expected["iou_pred"], atol=1e-4)


def test_an_untrained_model_finds_nothing_by_itself_and_then_all_is_foreground(tiny, photo: np.ndarray) -> None:
    found = SegmentAnything(model=tiny, min_score=1e6).segment(photo, Prompt())
    assert found.share == 1
    assert "all is foreground" in found.note


def test_a_saved_preset_is_loaded_from_its_folder(tiny, photo: np.ndarray, tmp_path: Path) -> None:
    tiny.save_to_preset(str(tmp_path / "sam"))
    loaded = SegmentAnything(str(tmp_path / "sam"))
    first = SegmentAnything(model=tiny)
    points = [[(80.0, 45.0, 1.0)]]
    loaded._model = load_segmenter(str(tmp_path / "sam"))
    np.testing.assert_allclose(loaded._decode(photo, points, None)[0], first._decode(photo, points, None)[0], atol=1e-4)


def test_presets_that_cannot_be_loaded_are_named(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("keras_hub")
    (tmp_path / "empty").mkdir()
    for preset in ("no_such_preset", str(tmp_path / "empty")):
        with pytest.raises(CrackError, match="cannot be loaded"):
            load_segmenter(preset)


def test_without_keras_hub_the_error_says_what_to_install(photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    monkeypatch.setitem(sys.modules, "keras_hub.models", None)
    with pytest.raises(CrackError, match=r"requirements-sam\.txt"):
        SegmentAnything().segment(photo, Prompt(foreground=((5, 5),)))


def test_masks_come_back_in_the_photographs_place_and_the_photograph_is_encoded_once() -> None:
    pytest.importorskip("keras")
    photo, model = bright_half(), Scripted(0.95)
    backend = SegmentAnything(model=model)
    for prompt in (Prompt(foreground=((200, 100),)), Prompt(foreground=((200, 100), (250, 20))), Prompt()):
        found = backend.segment(photo, prompt)
        truth = np.zeros((200, 300), bool)
        truth[:, 120:] = True
        assert (found.mask == truth).mean() > 0.97
    assert model.encoded == 1
    backend.segment(photo[::-1, ::-1].copy(), Prompt())
    assert model.encoded == 2


def test_points_are_scaled_to_the_models_input_and_padded_without_a_box() -> None:
    pytest.importorskip("keras")
    model = Scripted(0.95)
    backend = SegmentAnything(model=model)
    backend.segment(bright_half(), Prompt(foreground=((299, 0),), background=((0, 199),)))
    prompt = model.prompts[-1]
    scale = SIDE / 300
    expected = np.array([(299.5 * scale, 0.5 * scale), (0.5 * scale, 199.5 * scale), (0.5, 0.5)]) - 0.5
    np.testing.assert_allclose(prompt["points"][0], expected, rtol=1e-5)
    np.testing.assert_array_equal(prompt["labels"], [[1, 0, -1]])
    backend.segment(bright_half(), Prompt(foreground=((299, 0),), box=Box(0, 100, 200, 200)))
    np.testing.assert_array_equal(model.prompts[-1]["labels"], [[1]])
    assert model.prompts[-1]["boxes"].shape == (1, 1, 2, 2)


def test_automatic_masks_of_low_quality_are_not_believed() -> None:
    pytest.importorskip("keras")
    found = SegmentAnything(model=Scripted(0.5)).segment(bright_half(), Prompt())
    assert found.share == 1
    assert "all is foreground" in found.note


def test_background_points_alone_and_points_outside_are_refused(photo: np.ndarray) -> None:
    backend = SegmentAnything(model=Scripted(1))
    with pytest.raises(CrackError, match="needs a point on the concrete or a box"):
        backend.segment(photo, Prompt(background=((5, 5),)))
    with pytest.raises(CrackError, match="outside the photograph"):
        backend.segment(photo, Prompt(foreground=((500, 5),)))
