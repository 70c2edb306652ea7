"""What a second look adds at most is measured on validation, where there is enough of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from crack_tf.models import shipped
from crack_tf.quantisation import export
from tflite.sidecar import read_sidecar


@pytest.mark.parametrize(("tiles", "gain"), [(export.GAIN_TILES, 3.0), (export.GAIN_TILES - 1, None)])
def test_a_first_look_is_final_where_no_tile_was_raised_as_much(
    tiles: int, gain: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = np.linspace(-5, 5, tiles, dtype=np.float32)
    raised = np.zeros(tiles, np.float32)
    raised[7] = 3  # one tile of all: its crack would be lost if the bound were that of 99 in 100

    def logits(model: Any, images: np.ndarray, second_view: int = 0) -> np.ndarray:
        return once + raised if second_view else once

    monkeypatch.setattr(export, "predict_logits", logits)
    sidecar = replace(read_sidecar(Path(shipped.load().path("keras"))), second_view=0)
    some = SimpleNamespace(images=np.zeros((tiles, 1, 1, 3), np.uint8), labels=(once > 0).astype(np.int8))
    data: Any = SimpleNamespace(val=some, measured=some)
    found = export.reference_of(None, data, sidecar, 5)
    assert found.gain == (None if gain is None else pytest.approx(gain, abs=1e-5))
