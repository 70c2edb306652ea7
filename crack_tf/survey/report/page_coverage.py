"""The part of the report that says what was seen: one sentence, a map of each face, a table of square metres, and where to fly next."""

from __future__ import annotations

import re
from functools import reduce
from html import escape

import numpy as np

from crack_tf.survey.ledger import (
    BACKGROUND,
    BLURRY,
    CLEAN,
    COARSE,
    DARK,
    FOUND,
    OBLIQUE,
    STATES,
    UNKNOWN,
    UNSEEN,
    Coverage,
    FaceCoverage,
    Hole,
    area,
)

_MOST = 160, 240  # rows and columns of a map
_SHOWN_ORDER = (CLEAN, BACKGROUND, DARK, OBLIQUE, BLURRY, COARSE, UNSEEN, FOUND)
_SHOWN_FACES, _SHOWN_HOLES = 12, 12  # more are folded away
# Okabe and Ito's colours, which people tell apart who see colours differently; by STATES.
COLOURS = ("#d55e00", "#009e73", "#f0e442", "#56b4e9", "#cc79a7", "#6b4c9a", "#b9b9b9", "var(--unseen)")
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:mm|m|s)\b|m²|%|degrees)")
_NONE = 255


def coverage_section(coverage: Coverage | None, reviewed: str = "") -> str:
    """HTML of the section; where nothing is known of it, it says so.

    Args:
        coverage: of the survey.
        reviewed: what tables of a reviewed survey say, as HTML.
    """
    head = '<section class="coverage" aria-labelledby="coverage-title"><h2 id="coverage-title">What was seen</h2>'
    if coverage is None or not coverage.faces:
        return f'{head}<p class="note warn">Coverage is {UNKNOWN}. What no photograph shows is not known to be clean.</p></section>'
    figures = [_figure(face) for face in coverage.faces]
    plots = f'<div class="plots">{"".join(figures[:_SHOWN_FACES])}</div>'
    if len(figures) > _SHOWN_FACES:
        plots += (
            f"<details><summary>{len(figures) - _SHOWN_FACES:,} more</summary>"
            f'<div class="plots">{"".join(figures[_SHOWN_FACES:])}</div></details>'
        )
    used = [number for number, state in enumerate(STATES) if coverage.areas_m2[state] > 0]
    key = "".join(
        f'<li><svg class="marks" viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="3" '
        f'fill="{COLOURS[number]}"/></svg>{_named(number)}</li>'
        for number in used
    )
    return (
        f'{head}<p class="note">{escape(_sentence(coverage))}</p>{plots}<ul class="legend">{key}</ul>{reviewed}'
        f"{_next(coverage.holes)}</section>"
    )


def typeset(text: str) -> str:
    """Text for the page: m², and numbers that stay on the line of their units."""
    return _BEFORE_UNIT.sub("\u00a0", text.replace(" m2", " m²"))


def _sentence(coverage: Coverage) -> str:
    text = typeset(coverage.describe())
    return f"{text[0].upper()}{text[1:]}."


def _named(number: int) -> str:
    return {FOUND: "seen, with findings", CLEAN: "seen and clean"}.get(number, STATES[number])


def _figure(face: FaceCoverage) -> str:
    cells = _fewer(face.cells)
    rows, columns = cells.shape
    width, height = face.face.length_m, face.face.height_m
    # A unit of the drawing is a centimetre of the face.
    across, down = 100 * width / columns, 100 * height / rows
    paths = []
    for number, colour in enumerate(COLOURS):
        runs = "".join(f"M{start} {row}h{end - start}v1H{start}z" for row, start, end in _runs(cells == number))
        if runs:
            paths.append(f'<path fill="{colour}" d="{runs}"/>')
    words = ", ".join(
        f"{area(face.areas_m2[state])} m² {_named(number)}"
        for number, state in enumerate(STATES)
        if face.areas_m2[state] > 0
    )
    return (
        f'<figure class="plot"><figcaption>{escape(face.face.name)}</figcaption>'
        f'<svg class="cells" viewBox="0 0 {100 * width:.6g} {100 * height:.6g}" shape-rendering="crispEdges" '
        f'aria-hidden="true"><g transform="scale({across:.6g} {down:.6g})">{"".join(paths)}</g></svg>'
        f'<p class="muted">{escape(typeset(f"{width:.4g} m wide, {height:.4g} m high: {words}."))}</p></figure>'
    )


def _fewer(cells: np.ndarray) -> np.ndarray:
    """At most `_MOST` cells: of those that become one, a finding is shown, else what was seen worst."""
    steps = [-(-have // most) for have, most in zip(cells.shape, _MOST, strict=True)]
    ranks = np.full(256, -1, np.int16)
    ranks[list(_SHOWN_ORDER)] = range(len(_SHOWN_ORDER))
    rows, columns = (-(-have // step) for have, step in zip(cells.shape, steps, strict=True))
    padded = np.full((rows * steps[0], columns * steps[1]), -1, np.int16)
    padded[: cells.shape[0], : cells.shape[1]] = ranks[cells]
    worst = reduce(np.maximum, (padded[y :: steps[0], x :: steps[1]] for y in range(steps[0]) for x in range(steps[1])))
    return np.asarray(np.array([*_SHOWN_ORDER, _NONE], np.uint8)[worst])


def _runs(mask: np.ndarray) -> list[tuple[int, int, int]]:
    """Row, first column and the one after the last of each run of a mask, bool (rows, columns)."""
    edges = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return list(zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True))


def _next(holes: tuple[Hole, ...]) -> str:
    wanted = [hole for hole in holes if hole.state != STATES[BACKGROUND]]
    if not wanted:
        return ""
    lines = [f"<li>{escape(typeset(hole.describe()))}.</li>" for hole in wanted]
    more = ""
    if len(lines) > _SHOWN_HOLES:
        more = f"<details><summary>{len(lines) - _SHOWN_HOLES:,} more</summary><ul>{''.join(lines[_SHOWN_HOLES:])}</ul></details>"
    return f"<h3>Where to fly next</h3><ul>{''.join(lines[:_SHOWN_HOLES])}</ul>{more}"
