"""The head of a model card that model hubs read: YAML between two lines of `---`, made from the sidecar alone."""

from __future__ import annotations

import json
import re
from typing import Any

from tflite.sidecar import Sidecar

_PIPELINE = {"classify": "image-classification", "segment": "image-segmentation"}
_METRICS = {
    "classify": ("recall", "specificity", "precision", "accuracy", "f1"),
    "segment": ("f1", "iou", "recall", "precision"),
}
_FENCE = "---"


def front_matter(sidecar: Sidecar) -> str:
    """The head of a card, with the lines of `---` and an empty line behind it.

    The licence is the hubs' word for the strictest of the training data; where there is no one word, "other" and what it is. Hubs
    know data sets by addresses of their own, which these have not, so they are named with the figures instead.
    """
    lines = [_FENCE, *_licence(sidecar.licence), "library_name: litert", f"pipeline_tag: {_PIPELINE[sidecar.task]}"]
    lines += ["tags:", *(f"- {tag}" for tag in ("litert", "tflite", sidecar.scheme, "crack-detection", "concrete"))]
    rates = sidecar.metrics.get("at_threshold", {})
    measured = [name for name in _METRICS[sidecar.task] if rates.get(name) is not None]
    if measured:
        lines += [
            "model-index:",
            f"- name: {_text(sidecar.model)}",
            "  results:",
            "  - task:",
            f"      type: {_PIPELINE[sidecar.task]}",
            "    dataset:",
            f"      name: {_text(sidecar.metrics.get('dataset', 'not recorded'))}",
            f"      type: {_text(sidecar.training.get('dataset', 'not recorded'))}",
            f"      split: {_text(sidecar.metrics.get('split', 'not recorded'))}",
            "    metrics:",
        ]
        lines += [line for name in measured for line in (f"    - type: {name}", f"      value: {rates[name]:.6g}")]
    return "\n".join([*lines, _FENCE, "", ""])


def with_front_matter(card: str, sidecar: Sidecar) -> str:
    """A card with its head made anew; one that has none gets one. What is below stays as it is."""
    body = card
    if card.startswith(f"{_FENCE}\n"):
        body = card.split(f"\n{_FENCE}\n", 1)[-1].lstrip("\n")
    return front_matter(sidecar) + body


def _licence(stated: str) -> list[str]:
    """The data's part, which is the strictest, of "metu: CC-BY-4.0; sdnet2018: CC0-1.0. Backbone ... (Apache-2.0)."."""
    data = stated.partition(". ")[0]
    if "research" in data.lower():
        return ["license: other", "license_name: research-only"]
    names = {part.rpartition(": ")[2].lower().rstrip(".") for part in re.split(r"\s*(?:,|;|\bAND\b)\s*", data)}
    if len(names) > 1:
        names -= {"cc0-1.0"}  # asks for nothing
    if len(names) > 1:
        return ["license: other", "license_name: several"]
    (name,) = names
    return (
        [f"license: {name}"] if re.fullmatch(r"[a-z0-9.-]+", name) else ["license: other", "license_name: not-stated"]
    )


def _text(value: Any) -> str:
    """A string as YAML reads it back: JSON's strings are a part of YAML's."""
    return json.dumps(str(value), ensure_ascii=False)
