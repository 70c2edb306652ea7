"""The survey's report: an HTML file that an engineer opens in a browser, without a network, and reviews the findings in.

Style, script and data are inside, pictures lie beside it (`crack_tf.survey.report.page_pictures`), so that thousands of findings open at
once. A content security policy lets no script run but the report's own and forbids all network access, whatever a file name holds.
The script is `assets/report.js`, plain JavaScript.

Example:
    write_page(Path("found"), read_survey("found"))
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from crack_tf.common.version import __version__
from crack_tf.photo.crack import RANGE_COLUMNS
from crack_tf.photo.gsd import MIN_PIXELS
from crack_tf.photo.limits import ANSWERS
from crack_tf.photo.ranges import HOLE, is_hole
from crack_tf.survey.certificates.certificate import Certificate, read_certificate
from crack_tf.survey.comparison.since import Since, read_since
from crack_tf.survey.condition import PROPOSAL, count_states, describe_doubts, table_of
from crack_tf.survey.findings import (
    MEANINGS,
    VALIDATIONS,
    Finding,
    Survey,
    flown,
    limits_of,
    research_of,
    survey_id,
    title_of,
)
from crack_tf.survey.geometry.scales import describe_scales, span
from crack_tf.survey.ledger import Coverage, coverage_of
from crack_tf.survey.patterning import describe_pattern
from crack_tf.survey.photo_list import REVIEW_COLUMNS, photo_rows
from crack_tf.survey.profiles import plotted, read_lines
from crack_tf.survey.report.page_certificate import certificate_section
from crack_tf.survey.report.page_coverage import coverage_section
from crack_tf.survey.report.page_groups import FACE, groups_of, groups_table
from crack_tf.survey.report.page_map import flight_figures
from crack_tf.survey.report.page_pictures import EMBED_BYTES, PictureShelf
from crack_tf.survey.report.page_since import growth_words, since_section
from crack_tf.survey.reviews.review import FORMAT as REVIEW_FORMAT
from crack_tf.survey.reviews.review import (
    UNMEASURED,
    Kept,
    Review,
    cracks_of,
    describe_decisions,
    has_limits,
    is_crack,
    kept_review,
    not_rejected,
    standing,
)
from crack_tf.survey.searching.quality import told_of_none
from crack_tf.survey.severity import ASSUMED_MM_PER_PIXEL, DISCLAIMER, RULE, in_order
from tflite.files import write_bytes
from tflite.words import counted

FILE_NAME = "report.html"
_LISTED_GAPS = 25  # more are folded away


def write_page(
    out: Path,
    survey: Survey,
    *,
    kept: Kept | None = None,
    one_file: bool = False,
    embed_bytes: int = EMBED_BYTES,
    coverage: Coverage | None = None,
    certificate: Certificate | None = None,
    since: Since | None = None,
) -> Path:
    """Write `report.html` into the survey's folder, replacing an older one.

    Args:
        out: the survey's folder, with the pictures that the findings name. A picture that is missing is shown as missing.
        survey: to report on.
        kept: review of it, to start with in a browser that has no decisions of its own; None takes the one that the folder keeps.
        one_file: whether pictures go into the page, so that it can be handed on alone.
        coverage: of the survey; None measures it.
        certificate: of the survey; None takes the one in its folder, if it is of this survey.
        since: what became of its cracks since an earlier survey; None takes the one in its folder, likewise.
        embed_bytes: of large pictures that do, the first findings first; others are linked. Small ones are all inside.

    Returns:
        The file's path.
    """
    review, note = kept or kept_review(out, survey)
    findings = in_order(survey.findings)
    ranks = {finding.id: number for number, finding in enumerate(findings, 1)}
    shelf = PictureShelf(out, one_file=one_file, embed_bytes=embed_bytes)
    limits, points = limits_of(survey), plotted(len(findings))
    groups = groups_of(survey)
    entries = [
        _entry(finding, ranks[finding.id], shelf)
        | ({} if groups is None else {"group": groups.of[finding.id]})
        | _measured(
            out,
            finding,
            limits if has_limits(finding, review) else (),
            points,
            accepted=is_crack(finding, review),
        )
        for finding in findings
    ]
    seen = coverage or coverage_of(survey, review)
    style, script, page = (_asset(name) for name in ("report.css", "report.js", "report.html"))
    html = Template(page).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        data=_script_json(
            _data(survey, entries, review)
            | ({} if groups is None else {"groups": groups.names, "faces": groups.kind == FACE})
        ),
        title=escape(title_of(survey)),
        source=escape(survey.source),
        flown=_flown(survey),
        reviewed=f" Reviewed by <bdi>{escape(review.reviewers)}</bdi>."
        if review is not None and review.reviewers
        else "",
        created=escape(_when(survey.created)),
        version=__version__,
        survey_id=survey_id(survey),
        numbers=_numbers(survey, review, seen),
        groups=groups_table(groups, survey, review),
        disclaimer=escape(DISCLAIMER.partition(". ")[2]),
        warnings=_warnings(survey, note, shelf.missing),
        map=_map(survey, ranks),
        since=since_section(since or read_since(out, survey), survey, review, ranks, shelf),
        coverage=coverage_section(seen, _reviewed(review))
        + certificate_section(certificate or read_certificate(out, survey)),
        gaps=_gaps(survey),
        photographs=_photographs(survey, review),
        method=_method(survey, review, grouped=groups is not None),
        embedding=_embedding(entries, one_file),
    )
    path = out / FILE_NAME
    # Names that are not valid Unicode, as Linux allows them, become escapes.
    write_bytes(path, html.encode("utf-8", "backslashreplace"))
    return path


def _asset(name: str) -> str:
    return resources.files("crack_tf.survey").joinpath("assets", name).read_text(encoding="utf-8")


def _policy(style: str, script: str) -> str:
    """Nothing but this style, this script, and pictures from inside the page or its folder; no connections at all."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; "
        "img-src data: file: 'self'; base-uri 'none'; form-action 'none'"
    )


def _script_json(value: Any) -> str:
    """JSON that can stand inside a script element: ASCII, and without characters that could end it or start a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(survey: Survey, entries: Sequence[Mapping[str, Any]], review: Review | None) -> dict[str, Any]:
    # Filtering by width is in millimetres as soon as one is known.
    unit = "mm" if any(entry["max_width_mm"] is not None for entry in entries) or not entries else "px"
    return {
        "survey": survey_id(survey),
        # Decisions of those, in the browser's keeping or in a file, are decisions on today's findings.
        "former": survey.former,
        "merged": {one.id: one.merged for one in survey.findings if one.merged} if survey.former else {},
        "source": survey.source,
        "review_format": REVIEW_FORMAT,
        "meanings": MEANINGS,
        "review": None if review is None else review.as_json(),
        "width_unit": unit,
        "width_field": f"max_width_{unit}",
        "findings": entries,
    }


_UNASKED = (  # of thousands of findings: the pictures show it, words say it, or nobody asks
    *("outline", "centreline", "holes", "picture", "overlay", "merged", "touches_border"),
    *("pattern", "orientation", "orientation_deg", "orientation_to"),
    *("spacing_px", "spacing_mm", "density_px", "density_m_per_m2", "width_trusted"),
)


def _entry(finding: Finding, rank: int, shelf: PictureShelf) -> dict[str, Any]:
    pictures = shelf.pictures(finding.picture, finding.overlay)
    scale = ASSUMED_MM_PER_PIXEL if finding.mm_per_pixel is None else finding.mm_per_pixel
    entry = finding.as_json() | vars(pictures)
    for name in _UNASKED:
        del entry[name]
    for name in [name for name in entry if name.startswith("since") or "_growth_" in name]:
        del entry[name]  # told in words
    for name in RANGE_COLUMNS:  # of thousands of findings, only what is shown
        if entry[name] is None or (name.endswith("_px") and finding.max_width_low_mm is not None):
            del entry[name]
    return entry | {
        "rank": rank,
        "pattern_words": describe_pattern(finding),
        **({} if finding.since is None else {"since_words": _since_words(finding)}),
        # For sorting, where some scales are known and others not: as in the rule of severity.
        "width_key": None if finding.max_width_px is None else finding.max_width_px * scale,
        "length_key": None if finding.length_px is None else finding.length_px * scale,
        "width_doubt": finding.width_doubt,
        "hole": is_hole(finding.mean_width_px or 0, finding.max_width_px or 0),
    }


def _since_words(finding: Finding) -> str:
    growth = growth_words(finding)
    return f"{finding.since}" + (f"\n{growth}" if growth else "")


def _measured(out: Path, finding: Finding, limits: Sequence[float], points: int, accepted: bool) -> dict[str, Any]:
    """The widths along a finding's crack, and what they say about limits; what may be no crack, unless accepted, exceeds none."""
    lines = None if finding.profile is None else read_lines(out, finding.profile, points)
    return {
        "profile": None if lines is None else {"unit": lines[0], "lines": lines[1]},
        "limits": [
            [
                limit,
                finding.judged(limit, accepted),
                None if (why := finding.untold(limit, accepted)) is None else why.describe(),
            ]
            for limit in limits
        ],
    }


# ------------------------------------------------------------------------------------------------ parts of the page


def _numbers(survey: Survey, review: Review | None, seen: Coverage | None) -> str:
    kept = not_rejected(survey.findings, review)
    states = Counter(finding.validation for finding in kept)
    reasons = Counter(gap.reason for gap in survey.gaps)
    located = sum(photo.latitude is not None for photo in survey.photos)
    megapixels = sum(photo.width * photo.height for photo in survey.photos) / 1e6
    cracked = len({name for finding in standing(survey.findings, review) for name in finding.seen_on})
    decided = (
        "" if review is None else f"{len(survey.findings):,} in all: {describe_decisions(survey.findings, review)}"
    )
    # The page's script counts those with an id again as soon as somebody decides.
    cells = [
        (
            "Photographs searched",
            len(survey.photos),
            f"{counted(round(megapixels), 'megapixel')}, {located:,} with a position",
            "searched",
        ),
        ("Findings", len(kept), ", ".join(f"{states[name]:,} {name}" for name in VALIDATIONS), "standing"),
        ("Photographs with findings", cracked, "refuted ones not counted", "cracked"),
        (
            "Files not read",
            len(survey.gaps),
            (", ".join(f"{n:,} {name}" for name, n in reasons.items()) or "every file was read")
            + ("" if seen is not None and seen.faces else "; coverage: not known"),
            "gaps",
        ),
    ]
    told = {"standing": f'<dd class="more" id="decided">{decided}</dd>'}
    return "".join(
        f'<div><dt>{name}</dt><dd class="value" id="{key}">{value:,}</dd>'
        f'<dd class="more" id="{key}-more">{escape(more)}</dd>{told.get(key, "")}</div>'
        for name, value, more, key in cells
    )


def _warnings(survey: Survey, note: str, missing: Sequence[str]) -> str:
    texts = [*survey.warnings, *([note] if note else [])]
    if missing:
        texts.append(
            f"{counted(len(missing), 'picture')} of findings could not be read when this page was made, such as {missing[0]}."
        )
    if not texts:
        return ""
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f'<div class="note warn"><strong>Limits of this survey</strong><ul>{items}</ul></div>'


def _map(survey: Survey, ranks: Mapping[str, int]) -> str:
    figures = flight_figures(survey, ranks)
    without = sum(photo.latitude is None for photo in survey.photos)
    have = "has" if without == 1 else "have"
    note = f"{without:,} of {len(survey.photos):,} searched photographs {have} no position. " if without else ""
    if not figures:
        text = "No photograph has a position" if survey.photos else "No photograph was searched"
        return f'<p class="note">{text}: there is nothing to draw.</p>'
    key = "".join(
        f'<li><svg class="marks" viewBox="0 0 16 16" aria-hidden="true">{sign}</svg>{text}</li>'
        for sign, text in _LEGEND
    )
    searched = {photo.name for photo in survey.photos}
    lost = sum(gap.latitude is None and gap.photo not in searched for gap in survey.gaps)
    if lost:
        note += f"{counted(lost, 'file that was not read is', 'files that were not read are')} not drawn: no position is known. "
    more = f'<p class="muted">{note}Larger signs are more severe. Findings at one spot are drawn side by side.</p>'
    return f'<div class="plots">{figures}</div><ul class="legend">{key}</ul>{more}'


_LEGEND = (
    *((f'<circle class="finding {name}" cx="8" cy="8" r="6"/>', f"{name}: {MEANINGS[name]}") for name in VALIDATIONS),
    ('<path class="photos" d="M8 8h0"/>', "photograph"),
    ('<g class="gap"><path d="M3 3l10 10m0 -10l-10 10"/></g>', "file that was not read"),
)


def _gaps(survey: Survey) -> str:
    if not survey.gaps:
        return '<p class="muted">None: every file was read.</p>'
    rows = [
        (gap.photo, gap.reason, gap.detail, _place(gap.latitude, gap.longitude), _when(gap.time)) for gap in survey.gaps
    ]
    heads = ("Photograph", "Reason", "Detail", "Position", "Time")
    known = [number for number in range(len(heads)) if any(row[number] for row in rows)]
    table = _table([heads[number] for number in known], [[row[number] for number in known] for row in rows])
    intro = "<p>What these show is not known. They do not count as clean.</p>"
    if len(rows) > _LISTED_GAPS:
        table = f"<details><summary>List of {counted(len(rows), 'file')}</summary>{table}</details>"
    return intro + table


def _photographs(survey: Survey, review: Review | None) -> str:
    """What was looked at, file by file, folded away."""
    told = []
    without = {photo.name: told_of_none(photo) for photo in survey.photos}
    for row in photo_rows(survey, review):
        found, decided = (
            ", ".join(f"{row[name]:,} {name}" for name in names if row.get(name))
            for names in (VALIDATIONS, REVIEW_COLUMNS)
        )
        text = found + (f" ({decided})" if decided else "")
        if row["tiles"] is None:
            text = f"not read: {row['gap']}, {row['detail']}"
        unseen = f"{100 * row['unseen']:.0f} %" if row["unseen"] else ""
        tiles = "" if row["tiles"] is None else f"{row['tiles']:,}"
        told.append((row["photo"], tiles, unseen, text or without[row["photo"]]))
    read = len(survey.photos)
    kinds = (
        f"{counted(read, 'photograph')} that {'was' if read == 1 else 'were'} searched, {len(told) - read:,} not read"
    )
    return (
        f"<details><summary>All {counted(len(told), 'file')}: {kinds}</summary>"
        f"{_table(('Photograph', 'Tiles looked at', 'Blurred, too dark or burnt out', 'Findings'), told)}</details>"
    )


_GROUPED = " Numbers go through all findings; groups stand one after the other, that of the first finding first."


def _method(survey: Survey, review: Review | None, *, grouped: bool) -> str:
    models = [
        (role, ", ".join(f"{name} {value}" for name, value in _flatten(model))) for role, model in survey.models.items()
    ]
    # Tables of faces and rules are told elsewhere on the page.
    told = {"title", "models", "condition", "since"}
    settings = _flatten({name: value for name, value in survey.settings.items() if name not in told})
    scales = sorted(photo.mm_per_pixel for photo in survey.photos if photo.mm_per_pixel is not None)
    if scales:
        text = f"{span(scales, '{:.3f}')} mm per pixel, known for {len(scales):,} of {counted(len(survey.photos), 'photograph')}"
        origin = ("where it comes from", describe_scales(survey.photos) or "")
        settings = [("scale of the photographs", text), origin, *settings]
    meanings = "; ".join(f"{name}: {MEANINGS[name]}" for name in VALIDATIONS)
    research = research_of(survey)
    return (
        f"<p>A classifier looked at every tile of every photograph. A second model gave its opinion on what the first one "
        f"found ({escape(meanings)}). The classifier's percentage is its highest probability over the finding's tiles at its first look, "
        f"not calibrated{_called_from(survey)}. Where no tile of a finding is, it is nearly a crack to the classifier, and drawn by the "
        "segmentation model; the note says whether the classifier agrees when it looks again, in the middle of what is drawn and from "
        "farther away. Of an unclear finding the note says how much is drawn: a survey does not count it, "
        "<code>crack-tf photo segment</code> does. A finding without a length, accepted by a person, is "
        f"{escape(UNMEASURED)}.</p>"
        f"<h3>Order of the findings</h3><p>{escape(RULE)}{_GROUPED if grouped else ''}</p>"
        f"<p>Widths below {MIN_PIXELS:g} pixels, those of a mask where the photograph shows no clear line, and those of a mark that is "
        "short for its width are shown with the word about: they are not to be trusted. So is a maximum of more than "
        f"{HOLE:g} times the mean, more often a hole or a spall along the crack; its range begins where that of the mean does. "
        "The range behind a length or a width holds 95 % of what the photograph and its scale leave open; it takes the drawn line for "
        "a crack.</p>"
        f"{_about_limits(survey, review)}{_condition(survey, review)}"
        f"<h3>Models</h3>{f'<p>{escape(research)}.</p>' if research else ''}{_pairs(models)}<h3>Settings</h3>{_pairs(settings)}"
    )


def _called_from(survey: Survey) -> str:
    """From which percentage on the classifier calls a tile cracked; "" where that is not recorded."""
    threshold = survey.models.get("classifier", {}).get("threshold")
    return f"; a tile is called cracked from {100 * threshold:.1f} % on" if isinstance(threshold, (int, float)) else ""


def _condition(survey: Survey, review: Review | None) -> str:
    """The table of conditions and what it proposes, or nothing."""
    table = table_of(survey.settings)
    if table is None:
        return ""
    kept = not_rejected(survey.findings, review)
    sure, in_doubt = count_states(table, kept)
    rows = [(state, f"{sure[state]:,}", f"{in_doubt[state]:,}") for state in table.states]
    rows += [("no proposal", f"{sure[None]:,}", "")]
    rules = "".join(f"<li>{escape(rule.describe())}</li>" for rule in table.rule)
    doubts = describe_doubts(table, kept)
    doubtful = f'<p class="note">In doubt: {escape(doubts)}.</p>' if doubts else ""
    more = " ".join(text for text in (f"Numbers: {table.source}." if table.source else "", table.note) if text)
    return (
        f"<h3>Proposed condition: {escape(table.name)}</h3><p>{escape(PROPOSAL)} The first rule that holds decides:</p><ol>{rules}</ol>"
        f"<p>{escape(more)}</p>{_table(('Proposed', 'Drawn cracks', 'In doubt'), rows)}{_reviewed(review)}{doubtful}"
    )


def _reviewed(review: Review | None) -> str:
    """What a table of counts says where some findings are rejected."""
    if review is None:
        return ""
    return '<p class="muted">Without the findings that were rejected when this page was made.</p>'


def _about_limits(survey: Survey, review: Review | None) -> str:
    limits = limits_of(survey)
    if not limits:
        return ""
    widths = ", ".join(f"{limit:g}" for limit in limits)
    stated = f"A limit of {widths} mm was" if len(limits) == 1 else f"Limits of {widths} mm were"
    cracks = cracks_of(survey.findings, review)
    rows = []
    for limit in limits:
        answers = Counter(finding.judged(limit, accepted=True) for finding in cracks)
        rows.append((f"{limit:g} mm", *(f"{answers[answer]:,}" for answer in ANSWERS)))
    counts = _table(("Limit", *(f"{answer[0].upper()}{answer[1:]}" for answer in ANSWERS)), rows)
    return (
        f"<p>{stated} stated with --limit-mm. A crack exceeds one where the whole range of its maximum width lies "
        "above it and the width is trusted, and is below where the whole range lies below; else, and without a scale, nobody can tell. "
        f"Of {counted(len(cracks), 'crack')}, confirmed or accepted:</p>{counts}{_reviewed(review)}"
    )


def _embedding(entries: Sequence[Mapping[str, Any]], one_file: bool) -> str:
    linked = sum(any(entry["links"]) and not entry["embedded"] for entry in entries)
    if not linked:
        return "All pictures are inside this file." if one_file else ""
    if not one_file:
        return (
            "The pictures lie beside this file, in the folders pictures and overlays: hand on the whole folder, or make one file "
            "of it with <code>crack-tf survey --one-file</code>."
        )
    inside = len(entries) - linked
    return (
        f"The large pictures of {inside:,} findings are inside this file. Those of the other {linked:,} are linked: "
        "they show while this file lies in the survey's folder."
    )


_UNITS = {"mm": " mm", "m": " m", "s": " s", "deg": "°"}
_CALLED = {"focal": "focal length", "needs": "width that must be measurable", "every": "time between frames"}


def _flatten(value: Mapping[str, Any], start: str = "") -> list[tuple[str, str]]:
    """Nested settings as rows: {"tile": {"side_mm": 40}} -> ("tile.side", "40 mm"). The last one names what is not given."""
    rows: list[tuple[str, str]] = []
    missing = []
    for name, entry in value.items():
        stem, _, last = name.rpartition("_")
        unit = _UNITS.get(last, "") if stem else ""
        label = start + (_CALLED.get(stem, stem) if unit else name).replace("_", " ")
        if isinstance(entry, Mapping):
            rows += _flatten(entry, f"{label}.")
        elif entry is None:
            missing.append(label)
        else:
            rows.append((label, _written(entry) + unit))
    return rows + ([("not given", ", ".join(missing))] if missing else [])


def _written(entry: Any) -> str:
    """As a person reads it; of a list of tables, such as faces, each on a line of its own."""
    if isinstance(entry, bool):
        return "yes" if entry else "no"
    if isinstance(entry, float):
        return f"{round(entry, 7):.12g}"  # a place to the centimetre
    if isinstance(entry, Mapping):
        given = {name: part for name, part in entry.items() if part is not None}
        words = {text for text in given.values() if isinstance(text, str)}
        return ", ".join(text if text in words else f"{label} {text}" for label, text in _flatten(given))
    if isinstance(entry, (list, tuple)):
        tables = any(isinstance(part, Mapping) for part in entry)
        return ("\n" if tables else ", ").join(map(_written, entry))
    return str(entry)


def _pairs(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{escape(name)}</th><td>{escape(text)}</td></tr>' for name, text in rows)
    return (
        f'<table class="pairs"><tbody>{cells}</tbody></table>' if cells else '<p class="muted">None were recorded.</p>'
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(
        "<tr>"
        + "".join(f'<td data-head="{escape(name)}">{escape(cell)}</td>' for name, cell in zip(heads, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _place(latitude: float | None, longitude: float | None) -> str:
    if latitude is None or longitude is None:
        return ""
    return f"{abs(latitude):.6f}° {'NS'[latitude < 0]}, {abs(longitude):.6f}° {'EW'[longitude < 0]}"


def _flown(survey: Survey) -> str:
    """On which days; where not known, what most cameras leave out."""
    days = flown(survey.photos)
    if any(photo.time for photo in survey.photos) or survey.settings.get("timezone") or not survey.photos:
        return days
    return f"{days} (the photographs hold no time, or one without its zone: then give --timezone)"


def _when(time: str | None) -> str:
    return "" if time is None else time.replace("T", " ").replace(".000", "").replace("Z", " UTC")
