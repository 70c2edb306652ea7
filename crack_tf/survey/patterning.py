"""The pattern of a photograph's cracks, their spacing and their density, written into its findings.

Made from a photograph's record when a survey is put together, not when it is searched: a finished survey gets them without its photographs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crack_tf.photo.patterns import PARALLEL, Lines, density, fields_in, patterns_of
from crack_tf.survey.findings import REFUTED, Finding, PhotoRecord, scaled
from crack_tf.survey.geometry.placing import centreline_of
from crack_tf.survey.searching.quality import NOT_CONCRETE


def with_patterns(photo: PhotoRecord, findings: Sequence[Finding]) -> list[Finding]:
    """The findings of one photograph, the drawn ones with their pattern.

    Refuted findings and those without a crack have none.

    Args:
        photo: the photograph.
        findings: all of it, before findings of several photographs are merged.
    """
    drawn = [finding for finding in findings if finding.length_px is not None and finding.validation != REFUTED]
    lines = [Lines(centreline_of(finding), fields_in(finding.holes, finding.mean_width_px or 0.0)) for finding in drawn]
    found = patterns_of(lines, photo.roll_deg or 0.0)
    area = photo.width * photo.height * _concrete(photo)
    dense = density(sum(finding.length_px or 0.0 for finding in drawn), area, photo.mm_per_pixel)
    told = {
        finding.id: replace(
            finding,
            pattern=pattern.name,
            orientation=pattern.orientation,
            orientation_deg=pattern.orientation_deg,
            orientation_to="photograph" if photo.roll_deg is None else "member",
            spacing_px=pattern.spacing_px,
            spacing_mm=scaled(pattern.spacing_px, finding.mm_per_pixel, 1),
            density_px=dense["density_px"],
            density_m_per_m2=dense["density_m_per_m2"],
        )
        for finding, pattern in zip(drawn, found, strict=True)
    }
    return [told.get(finding.id, finding) for finding in findings]


def describe_pattern(finding: Finding) -> str | None:
    """In words, for the report; None for findings without a pattern."""
    if finding.pattern is None:
        return None
    parts = [finding.pattern]
    if finding.orientation_deg is not None:
        seen = "" if finding.orientation_to == "member" else " on the photograph (the camera's roll is not known)"
        parts.append(f"{finding.orientation}{seen}, {slope_words(finding.orientation_deg)}")
    if finding.spacing_px is not None:
        told = f"{finding.spacing_px:.0f} px" if finding.spacing_mm is None else f"{finding.spacing_mm:.0f} mm"
        parts.append(f"{told} {'between cracks' if finding.pattern == PARALLEL else 'across its fields'}")
    if finding.density_m_per_m2 is not None:
        parts.append(f"{finding.density_m_per_m2:.2f} m of crack per m² of the photograph's concrete")
    elif finding.density_px is not None:
        parts.append(f"{finding.density_px:.0f} px of crack per megapixel of the photograph's concrete")
    return "; ".join(parts)


def slope_words(degrees: float) -> str:
    """A direction as a person says it: at most 90 degrees, and which way it leans.

    Args:
        degrees: 0 is horizontal, 90 vertical, counted anticlockwise as seen, in [0, 180].

    Example:
        "17° from horizontal, falling to the right"
    """
    steep = round(min(degrees, 180 - degrees))
    leaning = "" if steep in (0, 90) else f", {'rising' if degrees < 90 else 'falling'} to the right"
    return f"{steep}° from horizontal{leaning}"


def _concrete(photo: PhotoRecord) -> float:
    """Share of a photograph that shows concrete, as far as that is known."""
    letters = (photo.patches or "").replace("/", "")
    return 1.0 if not letters else 1 - letters.count(NOT_CONCRETE) / len(letters)
