"""The order in which findings are looked at: by validation, then by severity. An order of attention, not of danger.

Example:
    score = severity(Box(0, 0, 64, 512), 0.1, length_px=500, max_width_px=4, probability=0.9, validation="confirmed")
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.survey.findings import CONFIRMED, REFUTED, UNCLEAR, Finding, Survey
from tflite.device.tiles import Box
from tflite.errors import CrackError

# What a finding weighs after the second opinion, in their order. A refuted one is never dropped, since the second opinion errs too.
VALIDATION_WEIGHTS = {CONFIRMED: 1.0, UNCLEAR: 0.5, REFUTED: 0.1}
# A drone's photograph rather than a close-up: where the scale is not known, a finding is to be looked at early, not late.
ASSUMED_MM_PER_PIXEL = 0.5
UNMEASURED_WIDTH_PX = 1.0

RULE = (
    "Confirmed findings come first, then unclear, then refuted ones, the most severe of each first. "
    "Severity is length x maximum width x confidence, in square millimetres. Confidence is the classifier's highest "
    "probability times "
    + ", ".join(f"{weight:g} ({name})" for name, weight in VALIDATION_WEIGHTS.items())
    + f" for the second opinion. Where the scale of a photograph is not known, {ASSUMED_MM_PER_PIXEL:g} mm per pixel is "
    f"assumed. A width that is not to be trusted counts as {MIN_PIXELS:g} pixels at most. Where no crack could be drawn, the longer side "
    "of the finding's box counts as its length, and one pixel as its width."
)
DISCLAIMER = (
    "This is not a safety assessment. The findings are the opinions of neural networks about photographs: they miss cracks "
    "and report things that are none. Severity only says what to look at first. It knows nothing of the cause or depth of "
    "a crack, of loads or of the structure. A structure without findings is not a sound structure. A qualified engineer "
    "has to judge on site."
)

# For the terminal; the report has RULE and DISCLAIMER.
CAUTION = (
    "This is not a safety assessment: cracks are missed, and some findings are none. Order and severity only say what to look at first, "
    "see the report."
)


def severity(
    box: Box,
    mm_per_pixel: float | None,
    *,
    length_px: float | None,
    max_width_px: float | None,
    probability: float,
    validation: str,
    width_trusted: bool | None = None,
) -> float:
    """A finding's place in the order, by `RULE`.

    Args:
        box: around the finding, in pixels.
        mm_per_pixel: ground sampling distance, or None if it is not known.
        length_px, max_width_px: of the drawn crack; None where none was drawn.
        probability: the classifier's highest over the finding's tiles, in [0, 1].
        validation: "confirmed", "unclear" or "refuted".
        width_trusted: see `crack_tf.survey.findings.Finding`; None where that is not known.

    Returns:
        Square millimetres times confidence, at least 0, rounded to three decimals.

    Raises:
        CrackError: if a number is negative, infinite or NaN, the probability exceeds 1, or the validation is unknown.
    """
    if validation not in VALIDATION_WEIGHTS:
        raise CrackError(f"validation {validation!r} is unknown. Expected one of {', '.join(VALIDATION_WEIGHTS)}.")
    if not 0 <= probability <= 1:
        raise CrackError(f"probability must lie between 0 and 1, got {probability!r}.")
    length = float(max(box.w, box.h)) if length_px is None else length_px
    width = UNMEASURED_WIDTH_PX if max_width_px is None else max_width_px
    # A mask's width, as most wide marks on scenes without a crack have it and wide cracks in concrete do not, only says that no crack is
    # wider.
    width = min(width, MIN_PIXELS) if width_trusted is False else width
    scale = ASSUMED_MM_PER_PIXEL if mm_per_pixel is None else mm_per_pixel
    for name, value in (("length_px", length), ("max_width_px", width), ("mm_per_pixel", scale)):
        if not 0 <= value < math.inf:
            raise CrackError(f"{name} must be a number of at least 0, got {value!r}.")
    return round(length * width * scale**2 * probability * VALIDATION_WEIGHTS[validation], 3)


def severity_of(finding: Finding) -> float:
    """A finding's severity by `RULE`, whatever it states."""
    return severity(
        finding.box,
        finding.mm_per_pixel,
        length_px=finding.length_px,
        max_width_px=finding.max_width_px,
        probability=finding.probability,
        validation=finding.validation,
        width_trusted=finding.has_trusted_width,
    )


def ranked(survey: Survey) -> Survey:
    """A survey with severities and order by `RULE`: an earlier version, which wrote it, may have had another rule."""
    findings = [replace(finding, severity=severity_of(finding)) for finding in survey.findings]
    return replace(survey, findings=tuple(in_order(findings)))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """As they are to be looked at: confirmed ones first, then unclear, then refuted ones, each by severity."""
    return sorted(
        findings,
        key=lambda finding: (
            -VALIDATION_WEIGHTS[finding.validation],
            -finding.severity,
            finding.photo,
            finding.box,
        ),
    )
