"""How far a map can be trusted, in numbers.

* Deletion and insertion (Petsiuk et al., RISE, BMVC 2018): pixels are taken away, or put back, in the order of the map, and the
  probability is watched. A map that found what matters has a small area under the first curve and a large one under the second.
  What is taken away is replaced by the mean of its surroundings, not by black: to these models black is a crack.
* Localisation: the share of the map's positive values that lies on the crack, widened by a margin, and the pointing game (Zhang et
  al., Top-Down Neural Attention by Excitation Backprop, IJCV 2018): whether the strongest place does.
* Sanity (Adebayo et al., NeurIPS 2018): a map that hardly changes when the weights are random explains the picture, not the model.

The map "random", pixels in random order, is what any map has to beat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from crack_tf.explain.attribution import PATCH, Logits, local_mean
from tflite.drawn import METADATA
from tflite.errors import CrackError
from tflite.files import atomic_path
from tflite.metrics import sigmoid, wilson_interval

# Dense at the start: a crack is a few per cent of its tile.
SHARES = (0.0, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0)
MARGIN = 0.03  # of the tile's side: 7 pixels of 224; Zhang et al. use 15 pixels on photographs twice as large
RANDOM = "random"
_RESAMPLES = 2000
COLOURS = {
    "gradcam": "#D55E00",
    "ig-black": "#000000",
    "ig-blurred": "#0072B2",
    "ig-mean": "#56B4E9",
    "occlusion": "#009E73",
    RANDOM: "#7F7F7F",
}


def random_map(size: int, seed: int) -> np.ndarray:
    """A map that knows nothing: float32 (size, size)."""
    return np.random.default_rng(seed).random((size, size), dtype=np.float32)


def curves(logits: Logits, tile: np.ndarray, heat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probability while the pixels are taken away and put back in the order of a map.

    Args:
        logits: of the model.
        tile: uint8 (s, s, 3).
        heat: (s, s), high where it matters.

    Returns:
        Deletion and insertion, float64 (15,) each, at `SHARES` of the pixels.
    """
    filling = local_mean(tile, max(2, round(PATCH * len(tile))))
    order = np.argsort(-heat, axis=None, kind="stable")
    steps = []
    for share in SHARES:
        taken = np.zeros(heat.size, bool)
        taken[order[: round(share * heat.size)]] = True
        where = taken.reshape(heat.shape)[..., None]
        steps.append((np.where(where, filling, tile), np.where(where, tile, filling)))
    pictures = np.stack([step[0] for step in steps] + [step[1] for step in steps])
    found = sigmoid(np.asarray(logits(pictures), np.float64))
    return found[: len(SHARES)], found[len(SHARES) :]


def area(curve: np.ndarray) -> float:
    """Area under a curve at `SHARES`, 0 to 1."""
    return float(np.trapezoid(curve, SHARES))


def localisation(heat: np.ndarray, mask: np.ndarray, margin: int) -> dict[str, float | bool | None]:
    """Where a map lies, compared with the crack.

    Args:
        heat: (s, s); only positive values count.
        mask: bool (s, s), True on the crack.
        margin: pixels by which the mask is widened on all sides.

    Returns:
        "inside": share of the positive values on the widened mask, None without any; "area": the mask's share of the tile, which
        is what a map that knows nothing would reach; "hit": whether the strongest place is on it, None when the map is flat.

    Raises:
        CrackError: if the mask is empty or of another shape.
    """
    if heat.shape != mask.shape or not mask.any():
        raise CrackError(f"localisation needs a mask of {heat.shape} with a crack in it, got {mask.shape}.")
    wide = ndimage.distance_transform_edt(~mask) <= margin
    positive = np.maximum(heat, 0).astype(np.float64)
    total = positive.sum()
    strongest = np.unravel_index(int(np.argmax(heat)), heat.shape)
    return {
        "inside": float(positive[wide].sum() / total) if total > 0 else None,
        "area": float(wide.mean()),
        "hit": bool(wide[strongest]) if total > 0 and np.ptp(heat) > 0 else None,
    }


def measure(
    logits: Logits, tile: np.ndarray, maps: Mapping[str, np.ndarray], mask: np.ndarray | None, seed: int
) -> dict[str, dict[str, Any]]:
    """Everything above for all maps of one tile and for a random one; JSON values by method.

    Args:
        logits: of the model that the maps are to explain.
        tile: uint8 (s, s, 3).
        maps: by method, (s, s).
        mask: bool (s, s), or None: no localisation then.
        seed: of the random map.
    """
    margin = margin_of(len(tile))
    rows = {}
    for method, heat in {**maps, RANDOM: random_map(len(tile), seed)}.items():
        deletion, insertion = curves(logits, tile, heat)
        rows[method] = {
            "deletion": deletion.tolist(),
            "insertion": insertion.tolist(),
            **({} if mask is None else localisation(heat, mask, margin)),
        }
    return rows


def margin_of(size: int) -> int:
    """The margin in pixels of a tile of that side, at least 1."""
    return max(1, round(MARGIN * size))


def summarise(measured: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row over tiles: means with bootstrap 95 % intervals, and the pointing game with Wilson's.

    Args:
        measured: of one method, entries of `measure`.
    """
    row: dict[str, Any] = {"tiles": len(measured)}
    for name in ("deletion", "insertion"):
        row |= _mean(f"{name}_auc", [area(np.array(entry[name])) for entry in measured])
    if any("inside" in entry for entry in measured):
        row |= _mean("inside", [entry["inside"] for entry in measured if entry["inside"] is not None])
        row["mask_area"] = float(np.mean([entry["area"] for entry in measured]))
        # A flat map points nowhere: that is a miss.
        hits = sum(entry["hit"] is True for entry in measured)
        low, high = wilson_interval(hits, len(measured))
        row |= {"pointing_hits": hits, "pointing": hits / len(measured), "pointing_low": low, "pointing_high": high}
    return row


def _mean(name: str, values: Sequence[float]) -> dict[str, float | None]:
    """Mean and its 95 % interval over tiles drawn again and again, always the same draws."""
    if not values:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    numbers = np.array(values)
    draws = np.random.default_rng(0).integers(0, len(numbers), (_RESAMPLES, len(numbers)))
    low, high = np.percentile(numbers[draws].mean(axis=1), (2.5, 97.5))
    return {name: float(numbers.mean()), f"{name}_low": float(low), f"{name}_high": float(high)}


def curves_plot(rows: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Mean deletion and insertion curves, a row of panels for each model.

    Args:
        rows: by model and method, entries of `measure`.
        path: PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    models = list(dict.fromkeys(model for model, _ in rows))
    figure = Figure(figsize=(9, 3.3 * len(models) + 0.4), layout="constrained")
    panels = figure.subplots(len(models), 2, sharex=True, sharey=True, squeeze=False)
    for line, model in enumerate(models):
        for column, kind in enumerate(("deletion", "insertion")):
            axes = panels[line][column]
            for (owner, method), entries in rows.items():
                if owner != model:
                    continue
                mean = np.mean([entry[kind] for entry in entries], axis=0)
                colour = COLOURS.get(method, "black")
                style = "--" if method == RANDOM else "-"
                label = f"{method}, area {area(mean):.3f}"
                axes.plot(np.array(SHARES) * 100, mean, style, color=colour, label=label, marker="o", markersize=2.5)
            axes.set_title(f"{model}: {kind} ({len(entries)} tiles)", fontsize=9)
            axes.set_xscale("symlog", linthresh=1)
            axes.set_xticks([0, 1, 2, 5, 10, 20, 50, 100], ["0", "1", "2", "5", "10", "20", "50", "100"])
            axes.set_ylim(-0.02, 1.02)
            axes.grid(alpha=0.3)
            axes.legend(fontsize=7, loc="upper right" if kind == "deletion" else "lower right")
            if column == 0:
                axes.set_ylabel("mean probability of a crack")
    for axes in panels[-1]:
        axes.set_xlabel("pixels replaced or put back, %")
    with atomic_path(path) as temporary:
        FigureCanvasAgg(figure).figure.savefig(temporary, dpi=120, format="png", metadata=METADATA)
