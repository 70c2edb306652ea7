"""Whether a crack is wider than a limit: exceeds, below, or cannot tell, by the interval around its maximum width.

    for limit in parse_limits("0.2,0.3"):
        print(limit, judge(limit, (0.24, 0.41)))

A crack *exceeds* a limit where its whole 95 % interval lies above it and its width is trusted, and is *below* where the whole interval lies
below. Anything else, no scale above all, is *cannot tell*. What makes a width untrusted, a line hardly wider than its blur or a mask wider
than the crack, makes it too large: its interval's upper end holds, and whether a crack exceeds a limit nobody can tell.

Limits differ by code, exposure and member: which one holds is for an engineer to say. Two tables have names:

* `ec2`: EN 1992-1-1:2004, table 7.1N, recommended values of w_max in mm for reinforced members and prestressed ones with unbonded
  tendons: 0.4 in exposure classes X0 and XC1, 0.3 in XC2 to XC4, XD1, XD2 and XS1 to XS3. With bonded tendons: 0.2 in X0 to XC4.
  National annexes may state others.
* `aci224`: ACI 224R-01, table 4.1, a guide to reasonable crack widths of reinforced concrete under service loads: 0.41 in dry air or
  under a protective membrane, 0.30 in humid or moist air and in soil, 0.18 with deicing chemicals, 0.15 in seawater and its spray,
  wetting and drying, 0.10 in water-retaining structures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.ranges import WIDTH_DIGITS
from tflite.arguments import is_number, short_repr
from tflite.errors import CrackError
from tflite.words import counted

Limits = str | float | Sequence[str | float] | None  # as a configuration takes them, see `read_limits`

EXCEEDS, BELOW, CANNOT_TELL = "exceeds", "below", "cannot tell"
ANSWERS = (EXCEEDS, BELOW, CANNOT_TELL)
PRESETS = {"ec2": (0.2, 0.3, 0.4), "aci224": (0.1, 0.15, 0.18, 0.3, 0.41)}
# Why nobody can tell, after a number of cracks or by itself.
NO_SCALE, NOT_DRAWN, RANGE = "without a scale", "not measured", "with the limit in the range of the width"
TOO_FINE, UNCLEAR_LINE = f"too fine, below {MIN_PIXELS:g} pixels", "not clear enough in the photograph"
STOUT, NO_CRACK = "short or wide for a crack", "may be no crack"
MAX_LIMITS = 12
HELP = f"widths, or tables by name ({', '.join(PRESETS)}): of each crack whether it exceeds them, is below, or nobody can tell"
_WIDEST_MM = 100.0
_DECIMALS = 6  # of a limit in millimetres; finer ones would be 0


def parse_limits(text: str | None) -> tuple[float, ...]:
    """Limits from text: millimetres or names of PRESETS, with commas between; none for None.

    Returns:
        Ascending, each once.

    Raises:
        CrackError: naming what is none of these.
    """
    if text is None:
        return ()
    limits: list[float] = []
    for part in text.split(","):
        name = part.strip().lower()
        if name in PRESETS:
            limits += PRESETS[name]
            continue
        try:
            limits.append(float(name))
        except ValueError:
            known = ", ".join(PRESETS)
            raise CrackError(
                f"--limit-mm {text}: {part.strip()!r} is neither millimetres such as 0.3 nor the name of a table ({known})."
            ) from None
    return check_limits(limits, text)


def read_limits(value: Limits) -> tuple[float, ...]:
    """Limits as a configuration takes them.

    Args:
        value: millimetres, the text that `parse_limits` takes, a list of both, or None for none. What this function gave stays as it is.

    Returns:
        Ascending, each once.

    Raises:
        CrackError: naming what is none of these, or no width.
    """
    if value is None:
        return ()
    parts: Sequence[Any] = value if isinstance(value, (list, tuple)) else [value]
    limits: list[float] = []
    for part in parts:
        if isinstance(part, str):
            limits += parse_limits(part)
        elif is_number(part):
            limits.append(part)
        else:
            known = " or ".join(repr(name) for name in PRESETS)
            raise CrackError(
                f"--limit-mm {short_repr(value)}: give millimetres such as 0.3, a table's name ({known}), or a list of these."
            )
    return check_limits(limits)


def check_limits(limits: Sequence[float], text: str | None = None) -> tuple[float, ...]:
    """Limits in millimetres, ascending, each once.

    Args:
        text: as they were given, for the message.

    Raises:
        CrackError: if one is no width, or there are too many.
    """
    given = ",".join(map(short_repr, limits)) if text is None else text
    for value in limits:
        if not (is_number(value) and 0 < round(value, _DECIMALS) <= _WIDEST_MM):
            raise CrackError(
                f"--limit-mm {given}: widths lie above 0 and up to {_WIDEST_MM:g} mm, got {short_repr(value)}. Decimals are written with a "
                "point, and a comma goes between two limits: 0.2,0.3."
            )
    unique = tuple(sorted({round(float(value), _DECIMALS) for value in limits}))
    if len(unique) > MAX_LIMITS:
        raise CrackError(f"--limit-mm {given}: {len(unique)} limits are too many, give up to {MAX_LIMITS}.")
    return unique


def judge(limit_mm: float, width_mm: tuple[float, float] | None, trusted: bool = True) -> str:
    """One of ANSWERS.

    Args:
        limit_mm: above 0.
        width_mm: least and greatest maximum width that the measurement leaves possible; None without a scale or a width. Held against the
            limit as tables state them: a survey's answers are made from its tables, also years later.
        trusted: whether the width is, see `crack_tf.photo.crack.Crack.width_trusted`, and it is a crack's.
    """
    if width_mm is None or not all(math.isfinite(value) for value in width_mm):
        return CANNOT_TELL
    low, high = (round(value, WIDTH_DIGITS) for value in width_mm)
    if low > limit_mm:
        return EXCEEDS if trusted else CANNOT_TELL
    return BELOW if high < limit_mm else CANNOT_TELL


@dataclass(frozen=True)
class Untold:
    """Why nobody can tell whether a crack exceeds a limit.

    Attributes:
        reason: one of RANGE, TOO_FINE and such, which go on after a number of cracks.
        mm_per_pixel: at which its width would be one to trust; None where no finer photograph settles it.
    """

    reason: str
    mm_per_pixel: float | None = None

    def describe(self) -> str:
        """With what would do: "too fine: 0.13 mm per pixel would do"."""
        return self.reason + _would_do(self.mm_per_pixel)


def untold(
    limit_mm: float,
    width_mm: tuple[float, float] | None,
    *,
    mean_width_px: float | None,
    mm_per_pixel: float | None,
    width_from: str | None,
) -> Untold:
    """Why a crack's answer to a limit is CANNOT_TELL.

    Args:
        limit_mm, width_mm: as for `judge`.
        mean_width_px, mm_per_pixel, width_from: as a table of cracks has them.
    """
    if mean_width_px is None:
        return Untold(NOT_DRAWN)
    if width_mm is None or mm_per_pixel is None:
        return Untold(NO_SCALE)
    if round(width_mm[0], WIDTH_DIGITS) <= limit_mm:
        return Untold(RANGE)
    doubt = why_untrusted(mean_width_px, width_from)
    return Untold(doubt, mm_per_pixel * mean_width_px / MIN_PIXELS if doubt == TOO_FINE else None)


def why_untrusted(mean_width_px: float, width_from: str | None) -> str:
    """Why the widths of a crack are not to be trusted, where they are not: TOO_FINE, UNCLEAR_LINE or STOUT."""
    if mean_width_px < MIN_PIXELS:
        return TOO_FINE
    return UNCLEAR_LINE if width_from == "mask" else STOUT


def column(limit_mm: float) -> str:
    """Name of a table's column with the answers to a limit: `limit_0.3_mm`."""
    return f"limit_{limit_mm:g}_mm"


def tell(
    limit_mm: float, answers: Collection[str], others: int = 0, kind: str = "unclear", why: Collection[Untold] = ()
) -> str:
    """A line about a limit: `limit 0.3 mm: of 7 cracks 2 exceed it, 0 are below, 5 cannot be told (5 too fine); 3 unclear not counted`.

    Args:
        limit_mm: which.
        answers: of the cracks, as a table has them.
        others: rows of the table that are not counted, since they may be no cracks, and
        kind: what these are.
        why: those cannot be told that cannot, each.
    """
    counts = Counter(answers)
    exceed, are, rest = counts[EXCEEDS], counts[BELOW], counts[CANNOT_TELL]
    reasons = [
        f"{count:,} {reason}"
        + _would_do(min((one.mm_per_pixel for one in why if one.reason == reason and one.mm_per_pixel), default=None))
        for reason, count in Counter(one.reason for one in why).most_common()
    ]
    return (
        f"limit {limit_mm:g} mm: of {counted(len(answers), 'crack')} {exceed} {'exceeds' if exceed == 1 else 'exceed'} it, "
        f"{are} {'is' if are == 1 else 'are'} below, {rest} cannot be told"
        + (f" ({'; '.join(reasons)})" if reasons else "")
        + (f"; {others} {kind} not counted" if others else "")
    )


def _would_do(mm_per_pixel: float | None) -> str:
    """The scale that a photograph must have, rounded down: at a coarser one the width would still be too fine."""
    if mm_per_pixel is None or mm_per_pixel <= 0:
        return ""
    step = 10.0 ** (math.floor(math.log10(mm_per_pixel)) - 1)
    return f": {math.floor(mm_per_pixel / step * (1 + 1e-9)) * step:.2g} mm per pixel would do"
