from __future__ import annotations

import pytest

from crack_tf.adaptation.config import AdaptConfig
from tflite.errors import CrackError


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"source": 7}, "--source 7"),
        ({"candidates": ()}, "--candidates ''"),
        (
            {"candidates": ("magic",)},
            "--candidates 'magic': choose some of threshold,normalisation,head,fine,blocks",
        ),
        ({"scheme": "float32"}, "--scheme 'float32': choose one of int8-ptq, int8-qat"),
        ({"target_recall": 0}, "--target-recall 0: give a share above 0"),
        ({"target_recall": float("nan")}, "--target-recall nan"),
        ({"regression_limit": 3}, "--regression-limit 3: give a whole number from 20"),
        ({"tile_side": 4}, "--tile-side 4: give a whole number from 16"),
        ({"steps": True}, "--steps True: give a whole number"),
        ({"suggest": 0}, "--suggest 0: give a whole number from 1"),
        ({"seed": -1}, "--seed -1"),
    ],
)
def test_a_configuration_names_what_is_wrong(given: dict[str, object], told: str) -> None:
    with pytest.raises(CrackError) as error:
        AdaptConfig(**{"source": "bridge"} | given)  # type: ignore[arg-type]
    assert told in str(error.value)
