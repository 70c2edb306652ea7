"""The part of the report that says what could have been missed: one sentence, the curve, and shares found by width and contrast."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

import numpy as np

from crack_tf.survey.certificates.certificate import LEVELS, PROBABILITY, Certificate
from crack_tf.survey.report.page_coverage import typeset

_WIDE, _HIGH = 640.0, 300.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 12.0, 16.0, 56.0
_POINTS = 65  # of a line
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50)


def certificate_section(certificate: Certificate | None) -> str:
    """HTML of the section; empty without a certificate."""
    if certificate is None:
        return ""
    rows = [(name, f"{100 * level:.0f} %", *certificate.sizes[name]) for name, level in LEVELS.items()]
    sizes = _table(("Crack", "Takes of the light", "a90", "a90/95"), rows)
    shares = _table(
        ("Width", "Faint", "Middle", "Dark", "All", "95 % interval"),
        [_share_row(certificate, rows) for rows in _by_width(certificate)],
    )
    return (
        '<section class="certificate" aria-labelledby="certificate-title"><h2 id="certificate-title">What could have been missed</h2>'
        f'<p class="note">{escape(typeset(certificate.describe()))}.</p>'
        '<div class="plots"><figure class="plot"><figcaption>Probability of detection'
        f'</figcaption>{_drawing(certificate)}<p class="muted">Lines: {_legend()}. The band is 95 % confidence on either side, for middle '
        "contrast. Marks above are cracks that were found, marks below were missed.</p></figure></div>"
        f"{sizes}<details><summary>Shares found by width and contrast</summary>{shares}</details>"
        f'<p class="muted">Known cracks were laid into this survey&#x27;s own clean, well seen photographs and searched for like any other '
        f"(seed {certificate.seed}). It says what the search finds where photographs are as good as those; parts that were not seen well "
        "are listed above. Drawn cracks stand for real ones. Fitted as in MIL-HDBK-1823A, with Firth&#x27;s likelihood.</p></section>"
    )


def _legend() -> str:
    drawn = {"faint": "dotted", "middle": "coloured", "dark": "plain"}
    return ", ".join(
        f"{name} cracks {drawn[name]} ({100 * level:.0f} % of the light)" for name, level in LEVELS.items()
    )


def _by_width(certificate: Certificate) -> list[list[dict[str, object]]]:
    """Rows of the table by classes of width, all directions."""
    found: dict[tuple[object, object], list[dict[str, object]]] = {}
    for row in certificate.table()[:-1]:
        if row["direction"] == "all":
            found.setdefault((row["width_from"], row["width_to"]), []).append(row)
    return list(found.values())


def _share_row(certificate: Certificate, rows: Sequence[dict[str, object]]) -> tuple[str, ...]:
    by = {row["contrast"]: row for row in rows}

    def share(name: str) -> str:
        return f"{by[name]['found']} of {by[name]['tried']}" if name in by else ""

    whole = by["all"]
    return (
        f"{whole['width_from']:.2g} to {whole['width_to']:.2g} {certificate.unit}",
        *(share(name) for name in LEVELS),
        share("all"),
        f"{whole['low']:.2f} to {whole['high']:.2f}",
    )


def _drawing(certificate: Certificate) -> str:
    pod = certificate.pod
    low, high = (math.log(value) for value in pod.range)

    def x(size: float) -> float:
        return _LEFT + (math.log(size) - low) / max(1e-9, high - low) * (_WIDE - _LEFT - _RIGHT)

    def y(share: float) -> float:
        return _HIGH - _BOTTOM - share * (_HIGH - _BOTTOM - _TOP)

    parts = [
        f'<path class="grid" d="M{_LEFT:g} {y(value):.1f}H{_WIDE - _RIGHT:g}"/><text x="{_LEFT - 6:g}" y="{y(value) + 4:.1f}" '
        f'text-anchor="end">{100 * value:.0f} %</text>'
        for value in (0, 0.5, PROBABILITY)
    ]
    for tick in _TICKS:
        if low <= math.log(tick) <= high:
            parts.append(f'<text x="{x(tick):.1f}" y="{_HIGH - 32:g}" text-anchor="middle">{tick:g}</text>')
    parts.append(
        f'<text x="{(_LEFT + _WIDE - _RIGHT) / 2:g}" y="{_HIGH - 4:g}" text-anchor="middle">width of the crack, {certificate.unit}</text>'
    )
    for name, level in LEVELS.items():
        if name == "middle":
            curve = pod.curve(level)
            around = [*((x(a), y(b)) for a, b in curve[:, [0, 2]]), *((x(a), y(b)) for a, b in curve[::-1, [0, 3]])]
            parts.append(f'<path class="band" d="{_line(around)}z"/>')
        sizes = np.geomspace(*pod.range, _POINTS)
        likely = zip(sizes.tolist(), pod.probability(sizes, level).tolist(), strict=True)
        parts.append(f'<path class="{name}" d="{_line([(x(size), y(share)) for size, share in likely])}"/>')
    for found, edge in ((True, _TOP - 8), (False, _HIGH - _BOTTOM + 2)):
        widths = certificate.widths[np.array([trial.found == found for trial in certificate.trials])]
        marks = "".join(f"M{x(float(width)):.1f} {edge:g}v6" for width in widths)
        parts.append(f'<path class="ticks" d="{marks}"/>' if marks else "")
    return f'<svg class="curve" viewBox="0 0 {_WIDE:g} {_HIGH:g}" aria-hidden="true">{"".join(parts)}</svg>'


def _line(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in points)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(typeset(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<table class="sizes"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
