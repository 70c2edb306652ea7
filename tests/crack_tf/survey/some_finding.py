"""A finding for tests that look at some of its fields."""

from __future__ import annotations

from typing import Any

from crack_tf.survey.findings import Finding
from tflite.device.tiles import Box


def some_finding(photo: str = "a.jpg", **fields: Any) -> Finding:
    """A confirmed finding that nothing more is known of, but for what `fields` say."""
    known: dict[str, Any] = {
        "id": "0" * 12,
        "photo": photo,
        "seen_on": (photo,),
        "box": Box(0, 0, 1, 1),
        "outline": (),
        **dict.fromkeys(("latitude", "longitude", "altitude_m", "time")),
        "probability": 0.9,
        "tiles": 1,
        "validation": "confirmed",
        "validation_score": 0.8,
        "mm_per_pixel": None,
        **{f"{name}_{unit}": None for name in ("length", "mean_width", "max_width") for unit in ("px", "mm")},
        "severity": 1.0,
        "picture": "pictures/a.jpg",
        "overlay": "overlays/a.jpg",
    }
    return Finding(**known | fields)
