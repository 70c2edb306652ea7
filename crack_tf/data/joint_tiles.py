"""The data set of joints with and without a crack. What a tile shows is `crack_tf.synthetic.joints`'s."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from crack_tf.common.progress import bar
from crack_tf.data.patches import load_patches
from crack_tf.data.transplants import lift_shapes
from crack_tf.synthetic.joints import KINDS, VERSION, crack, draw, is_even
from tflite.errors import CrackError
from tflite.files import sha256_bytes, write_bytes, write_json
from tflite.images import decode_rgb
from tflite.locks import partial_folder
from tflite.manifest import LABELS, Manifest

FORMAT = "crack_tf.joints/1"
SETTINGS = "joints.json"
SPLIT = "test"  # of everything that is drawn on: nothing else was kept out of training
_SHARE = 0.55  # that one set gives at most


def write_joints(
    folder: Path, shapes: Manifest, onto: Sequence[Manifest], pairs: int = 400, size: int = 256, seed: int = 0
) -> Path:
    """Draw pairs of tiles, one without and one with a crack and nothing else apart, of all kinds in turn; a piece of concrete has one.

    They lie in `no_crack` and `crack` and are called kind-number-set_group.jpg, after the concrete's data set and its group there.

    Args:
        folder: of this program's own; a hash of what the set is made of is added to its name. What is there is whole, and stays.
        shapes: photographs with masks, whose test split gives the cracks.
        onto: manifests whose test splits give the concrete: clean tiles, and crack-free parts of photographs with masks.
        pairs: how many.
        size: side in pixels.
        seed: of everything drawn.

    Returns:
        The folder.

    Raises:
        CrackError: if there is not enough concrete, or a file cannot be read.
    """
    settings = {
        "format": FORMAT,
        "version": VERSION,
        "seed": seed,
        "size": size,
        "pairs": pairs,
        "made_of": {manifest.dataset: manifest.sha256 for manifest in (shapes, *onto)},
    }
    out = folder.with_name(f"{folder.name}-{sha256_bytes(json.dumps(settings).encode())[:12]}")
    if out.is_dir():
        return out
    with partial_folder(out) as partial:
        _draw(partial, shapes, onto, pairs, size, seed)
        write_json(partial / SETTINGS, settings)
        partial.replace(out)
    return out


def _draw(folder: Path, shapes: Manifest, onto: Sequence[Manifest], pairs: int, size: int, seed: int) -> None:
    cracks = lift_shapes(shapes, SPLIT)
    surfaces = _surfaces(onto, size, pairs, seed)
    kinds = list(KINDS)
    for number in bar(range(pairs), "joints", pairs, "pair"):
        rng = np.random.default_rng([seed, number])
        kind = kinds[number % len(kinds)]
        made = None
        while made is None:  # where no crack can be seen, the next piece of concrete is tried
            try:
                name, pixels = next(surfaces)
            except StopIteration:
                raise CrackError(
                    f"data set joints: {number} of {pairs} pairs were drawn, then no even, crack-free concrete was left in the test "
                    f"splits of {', '.join(manifest.dataset for manifest in onto)}."
                ) from None
            tile = draw(pixels, kind, size, rng)
            made = crack(tile, cracks, rng)
        quality = int(rng.integers(75, 97))
        for label, picture in zip(LABELS, (tile.pixels, made[0]), strict=True):
            data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
            write_bytes(folder / label / f"{kind}-{number:03d}-{name}.jpg", data)


def _surfaces(onto: Sequence[Manifest], size: int, pairs: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """Set and group, and pixels uint8 (h, w, 3), of crack-free pictures of even concrete, each once, in an order drawn by the seed."""
    found: list[tuple[Manifest, int]] = []
    patches = {m.dataset: load_patches(m, SPLIT, size) for m in onto if m.task == "segment"}
    clean = {m.dataset: [item for item in m.split(SPLIT) if not item.label] for m in onto}
    for manifest in onto:
        parts = patches.get(manifest.dataset)
        places = range(len(clean[manifest.dataset])) if parts is None else np.flatnonzero(parts.labels == 0).tolist()
        found += [(manifest, place) for place in places]
    given: Counter[str] = Counter()
    for k in np.random.default_rng(seed).permutation(len(found)):
        manifest, place = found[k]
        name = manifest.dataset
        if given[name] >= _SHARE * pairs:
            continue
        if name in patches:
            item, pixels = patches[name].items[place], np.array(patches[name].images[place])
        else:
            item = clean[name][place]
            pixels = decode_rgb(manifest.read(item), item.path)
        if is_even(pixels):
            given[name] += 1
            yield f"{name}_{item.group}", pixels
