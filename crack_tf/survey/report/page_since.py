"""The part of the report that says what became of each crack since an earlier survey: counts, and both photographs, which can blink."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from crack_tf.survey.comparison.since import MEANS_ONLY, TWO_RANGES, Change, Since, without_rejected
from crack_tf.survey.findings import Finding, Polygon, Survey
from crack_tf.survey.report.page_pictures import Pictures, PictureShelf
from crack_tf.survey.reviews.review import Review

_SHOWN = 12  # more are folded away


def since_section(
    since: Since | None, survey: Survey, review: Review | None, ranks: Mapping[str, int], shelf: PictureShelf
) -> str:
    """HTML of the section; empty where nothing was compared.

    Args:
        since: the comparison.
        survey: the later one.
        review: of it, or None.
        ranks: of its findings.
        shelf: for pictures.
    """
    if since is None:
        return ""
    since = without_rejected(since, review, 1)
    findings = {finding.id: finding for finding in survey.findings}
    figures = [
        _figure(number, change, findings, ranks, shelf, since.outlines)
        for number, change in enumerate(since.changes, 1)
    ]
    shown = f'<div class="changes">{"".join(figures[:_SHOWN])}</div>'
    if len(figures) > _SHOWN:
        shown += (
            f"<details><summary>{len(figures) - _SHOWN:,} more</summary>"
            f'<div class="changes">{"".join(figures[_SHOWN:])}</div></details>'
        )
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{count:,}</td></tr>" for name, count in since.counts.items())
    text = since.describe()
    warnings = "".join(
        f'<p class="note warn">{escape(warning[0].upper() + warning[1:])}</p>' for warning in since.warnings
    )
    return (
        '<section class="since" aria-labelledby="since-title"><h2 id="since-title">Since last time</h2>'
        f'<p class="note">{escape(text[0].upper() + text[1:])}.</p>{warnings}'
        f'<table class="sizes"><thead><tr><th scope="col">Crack</th><th scope="col">Number</th></tr></thead><tbody>{rows}</tbody></table>'
        f"{shown}"
        '<p class="muted">Left the earlier photograph, right this survey&#x27;s, one laid onto the other, each with the outline of what '
        "its survey drew, cut to what is known of both. Grown: the whole 95 % range of the growth, in mean width or "
        "in length, lies above 0. Not shown to have grown: it may have grown by as much as the upper end. "
        f"{MEANS_ONLY[0].upper()}{MEANS_ONLY[1:]}: a widest place may have grown unnoticed. "
        "Where both photographs show a crack clearly, it is compared with itself at the same places. <code>since.csv</code> has all "
        "numbers.</p></section>"
    )


def growth_words(entry: Finding | Change) -> str | None:
    """How much wider and longer a crack is, in words; None where nothing was measured."""
    parts = []
    for name, word, digits in (("width", "mean width", 2), ("length", "length", 0)):
        value, low, high = (getattr(entry, f"{name}_growth{end}_mm") for end in ("", "_low", "_high"))
        if value is not None:
            # No "-0".
            shown = [f"{round(number, digits) + 0.0:+.{digits}f}" for number in (value, low, high)]
            parts.append(f"{word} {shown[0]} mm ({shown[1]} to {shown[2]})")
    return ", ".join(parts) or None


def _figure(
    number: int,
    change: Change,
    findings: Mapping[str, Finding],
    ranks: Mapping[str, int],
    shelf: PictureShelf,
    outlines: Mapping[str, tuple[Polygon, ...]],
) -> str:
    new = findings.get(change.new[0]) if change.new else None
    name = "a crack of the earlier survey" if new is None else f"finding {ranks[new.id]}"
    where = change.old_photo if new is None else new.photo
    title = f'<strong class="verdict-{change.verdict.replace(" ", "-")}">{escape(change.verdict)}</strong>: {name}'
    title += "" if where is None else f", on {escape(where)}"
    told = [text for text in (growth_words(change), change.note) if text]
    if change.width_by == TWO_RANGES:
        told.append("by two independent measurements")
    old, later = change.picture, change.new_picture or (None if new is None else new.picture)
    pictures = shelf.pictures(old or later or "", later or old or "")
    images = [
        _image(pictures, place, f"{name}, {when}", outlines.get(there, ()))
        for place, when, there in ((0, "earlier photograph", old), (1, "this photograph", later))
        if there is not None
    ]
    blink = ""
    if all(images) and len(images) == 2:
        blink = f'<input type="checkbox" class="blink" id="blink-{number}"><label for="blink-{number}">Blink</label>'
    if any(outlines.get(there) for there in (old, later) if there is not None):
        blink += f'<input type="checkbox" class="outlines" id="outlines-{number}" checked><label for="outlines-{number}">Outline</label>'
    return (
        f"<figure><figcaption>{title}<br>{escape('; '.join(told))}</figcaption>{blink}"
        f'<div class="both">{"".join(images)}</div></figure>'
    )


def _image(pictures: Pictures, place: int, words: str, outline: tuple[Polygon, ...]) -> str:
    source = (pictures.before, pictures.after)[place] or pictures.links[place]
    if not source:
        return ""
    image = f'<img src="{escape(source, quote=True)}" alt="{escape(words)}" loading="lazy" decoding="async">'
    path = "".join(f"M{' '.join(f'{x:g} {y:g}' for x, y in ring)}Z" for ring in outline if len(ring) > 1)
    drawn = (
        f'<svg viewBox="0 0 1 1" preserveAspectRatio="none" aria-hidden="true"><path d="{path}"/></svg>' if path else ""
    )
    return f'<span class="shot">{image}{drawn}</span>'
