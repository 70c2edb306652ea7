"""The marks of a photograph or a mask, told apart: cracks, what may be none, and what is too short to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from crack_tf.photo.crack import Crack
from crack_tf.photo.doubt import MIN_LENGTH_PX, OUTSIDE_NOTE, WIDE_NOTE


@dataclass(frozen=True)
class Marks:
    """What was drawn, by what it may be.

    Attributes:
        cracks: longest first, numbered from 1.
        unclear: shapes that may be no cracks, each with a `Crack.note` that says why; longest first, numbered on.
        short: those that are left out since they are shorter than asked for.
    """

    cracks: tuple[Crack, ...]
    unclear: tuple[Crack, ...]
    short: tuple[Crack, ...] = ()


def tell_apart(found: Sequence[Crack], min_length: float = MIN_LENGTH_PX, outside: Sequence[Crack] = ()) -> Marks:
    """Cracks, and what may be none.

    Args:
        found: measured marks, whole: parts that are put together count together.
        min_length: shorter ones are left out, in pixels.
        outside: marks where a foreground sees no concrete.
    """
    long = [crack for crack in found if crack.length_px >= min_length]
    clear = [crack for crack in long if not crack.too_wide]
    doubted = [replace(crack, note=WIDE_NOTE) for crack in long if crack.too_wide]
    doubted += [replace(crack, note=OUTSIDE_NOTE) for crack in outside]
    doubted.sort(key=lambda crack: (-crack.length_px, crack.box))
    numbered = [replace(crack, number=number) for number, crack in enumerate((*clear, *doubted), start=1)]
    short = tuple(crack for crack in found if crack.length_px < min_length)
    return Marks(tuple(numbered[: len(clear)]), tuple(numbered[len(clear) :]), short)
