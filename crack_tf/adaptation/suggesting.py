"""Which tiles or findings to label next: those that the model is least sure of, spread over what there is; clean photographs first.

A photograph on which nothing is called cracked is the cheapest label there is: one look at it tells of all its tiles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from crack_tf.adaptation.base import Base, find_base
from crack_tf.adaptation.bench import ask
from crack_tf.adaptation.config import FORMAT, OUTPUT, REPORT, AdaptConfig
from crack_tf.adaptation.features import Network
from crack_tf.adaptation.places import SUGGESTED, check_out
from crack_tf.adaptation.sources import REVIEW, TILES, flight, kind_of, review_of
from crack_tf.adaptation.tiles import SiteTiles
from crack_tf.common.arguments import check_config
from crack_tf.common.progress import say_now
from crack_tf.common.provenance import created
from crack_tf.data.folders import portable_root
from crack_tf.data.reviews import draw_sheets
from crack_tf.inference.predictor import load_predictor
from crack_tf.models.backend import use_tensorflow
from crack_tf.survey.findings import CONFIRMED, Finding, Survey, read_survey, survey_id
from crack_tf.survey.reviews.review import ACCEPTED, REJECTED, Decision, Review, carried
from crack_tf.survey.searching.validate import SURE_LOGITS, UNCERTAIN_LOGITS
from tflite.arguments import check_path
from tflite.errors import CrackError
from tflite.files import atomic_path, sha256_file, write_csv, write_json
from tflite.manifest import Item, Manifest, write_manifest
from tflite.metrics import logit, sigmoid
from tflite.outputs import making

_LOOK = "look at this, number"  # a suggestion in the comment of a finding
_CLEAN_SHARE = 0.25  # of the suggestions: whole photographs that look clean
_CHOICE = 6  # times as many uncertain tiles as are wanted, among which the most different ones are taken


@dataclass(frozen=True)
class Suggestion:
    """One thing to look at: a line of suggested.csv.

    Attributes:
        rank: from 1, the best first.
        kind: "photograph" (is it free of cracks?), "finding" or "tile".
        photo: its photograph.
        name: of the finding or tile; empty for a photograph.
        probability: of a crack; of a photograph the highest of its tiles. None for a photograph of a survey, which keeps no tile that it
            does not call.
        why: in a few words.
    """

    rank: int
    kind: str
    photo: str
    name: str
    probability: float | None
    why: str


@dataclass(frozen=True)
class Suggested:
    """What was written.

    Attributes:
        folder: with suggested.csv, and of a survey suggested.json, of photographs suggested/ with sheets and review.csv.
        suggestions: the best first.
        gaps: what could not be read.
    """

    folder: Path
    suggestions: tuple[Suggestion, ...]
    gaps: tuple[str, ...]


def suggest(
    config: AdaptConfig, out: str | Path, *, overwrite: bool = False, say: Callable[[str], None] = say_now
) -> Suggested:
    """Write the `config.suggest` most informative things to label.

    Args:
        config: a survey, with a review of what is decided already or without, or a folder of photographs.
        out: folder.
        overwrite: replace an earlier result in `out`.
        say: takes progress lines.

    Raises:
        CrackError: if the source or the model cannot be used, or there is nothing left to decide.
    """
    check_config(config, AdaptConfig)
    check_path("out", out, "a folder")
    folder, count = Path(out), config.suggest or 20
    kind = kind_of(config.source)
    if kind == TILES:
        raise CrackError(
            f"--suggest: the tiles of {config.source} have labels. Give a survey or photographs; labels in doubt: crack-tf data disputes"
        )
    check_out(folder, config, overwrite=overwrite)
    base = find_base(config.model)
    gaps: tuple[str, ...] = ()
    if kind == REVIEW:
        found, write = _of_survey(config, base, count)
    else:
        found, write, gaps = _of_photographs(config, base, count, say)
    record = {"format": FORMAT, "source": config.source, "config": config.as_dict(), "created": created()}
    with making(folder, OUTPUT, overwrite):
        write(folder)
        write_csv(folder / "suggested.csv", map(asdict, found), [field.name for field in fields(Suggestion)])
        write_json(folder / REPORT, record | {"finished": True, "candidate": None, "suggested": len(found)})
    return Suggested(folder, tuple(found), tuple(gaps))


def _of_survey(config: AdaptConfig, base: Base, count: int) -> tuple[list[Suggestion], Callable[[Path], object]]:
    """Findings nobody has decided on, and photographs without any; and what writes a folder's files about them."""
    survey = read_survey(config.source)
    given = review_of(config, survey)
    review = None if given is None else carried(given, survey)[0]
    decided = set()
    if review is not None:
        decided = {name for name, entry in review.decisions.items() if entry.decision in (ACCEPTED, REJECTED)}
    open_ones = [finding for finding in survey.findings if finding.id not in decided]
    # With refuted ones too: they are asked about themselves.
    busy = {name for finding in survey.findings for name in finding.seen_on}
    clean = sorted(photo.name for photo in survey.photos if photo.name not in busy)
    if not open_ones and not clean:
        raise CrackError(f"--suggest: every finding of {config.source} is decided, and no photograph is without one.")
    border = base.device.threshold.logit

    def answer(finding: Finding) -> float:
        return logit(min(max(finding.probability, 1e-6), 1 - 1e-6))

    def doubt(finding: Finding) -> tuple[bool, float]:
        # Where the two networks contradict each other, or neither is sure.
        return finding.validation == CONFIRMED, abs(answer(finding) - border)

    chosen = _spread(sorted(open_ones, key=doubt), [finding.photo for finding in sorted(open_ones, key=doubt)])
    photos = clean[: max(1, round(_CLEAN_SHARE * count))]
    found = [Suggestion(0, "photograph", name, "", None, "no finding on it: is it free of cracks?") for name in photos]
    found += [
        Suggestion(
            0,
            "finding",
            finding.photo,
            finding.id,
            finding.probability,
            f"{finding.validation}; {how_sure(answer(finding), border)}",
        )
        for finding in chosen
    ]
    found = [replace(row, rank=rank) for rank, row in enumerate(found[:count], 1)]
    return found, partial(_write_comments, survey, review, found)


def _write_comments(survey: Survey, review: Review | None, found: Sequence[Suggestion], folder: Path) -> None:
    """The suggestions as comments of a review, which the survey's page shows; decisions stay as they are."""
    decisions = dict(review.decisions) if review is not None else {}
    for row in found:
        if row.kind == "finding":
            before = decisions.get(row.name, Decision(""))
            # What a person wrote stays, with their name; what was suggested before goes.
            kept = [line for line in before.comment.splitlines() if not line.startswith(_LOOK)]
            own = {"commented": before.commented, "commenter": before.commenter} if kept else {}
            comment = "\n".join([*kept, f"{_LOOK} {row.rank}: {row.why}"])
            decisions[row.name] = Decision("", comment, created(), "crack-tf adapt --suggest", **own)
    made = Review(survey_id(survey), survey.source, "", created(), decisions)
    write_json(folder / "suggested.json", made.as_json())


def _of_photographs(
    config: AdaptConfig, base: Base, count: int, say: Callable[[str], None]
) -> tuple[list[Suggestion], Callable[[Path], object], tuple[str, ...]]:
    """Uncertain tiles that differ from each other, and photographs on which nothing is called; what writes their files, and gaps."""
    use_tensorflow()
    site = flight(config.source, base.sidecar.image_size, config.tile_side or base.tile_side, config.seed)
    say(f"asking the model about {len(site.tiles)} tiles")
    logits, border = ask(load_predictor(base.tflite), site.tiles.images), base.device.threshold.logit
    photos = np.array(site.tiles.photos)
    highest = {str(name): float(logits[photos == name].max()) for name in np.unique(photos)}
    clean = sorted((name for name, value in highest.items() if value < border), key=lambda name: -highest[name])
    clean = clean[: round(_CLEAN_SHARE * count)]
    nearest = np.argsort(np.abs(logits - border), kind="stable")[: _CHOICE * count]
    features = Network(base.keras, base.sidecar).features(np.ascontiguousarray(site.tiles.images[nearest]))
    places = nearest[most_different(features, count - len(clean))]
    rows = [
        Suggestion(
            rank,
            "photograph",
            name,
            "",
            float(sigmoid(highest[name])),
            "nothing is called on it: is it free of cracks?",
        )
        for rank, name in enumerate(clean, 1)
    ]
    for number, place in enumerate(places):
        probability = float(sigmoid(float(logits[place])))
        why = f"{how_sure(float(logits[place]), border)}, and has few like it"
        rows.append(
            Suggestion(len(rows) + 1, "tile", site.tiles.photos[int(place)], _tile_name(number), probability, why)
        )
    return rows, partial(_write_sheets, site.tiles.take(places)), site.notes


def how_sure(answer: float, border: float) -> str:
    """Whether the model is sure, as a survey takes it: where all is plain to it, what it is sure of is suggested, too.

    Args:
        answer: its logit.
        border: the threshold's.
    """
    unsure = border - UNCERTAIN_LOGITS <= answer < border + SURE_LOGITS
    return "the model is not sure" if unsure else "the model is sure"


def most_different(features: np.ndarray, count: int) -> np.ndarray:
    """Places of rows that are far from each other: the first, then always the one that is farthest from all so far.

    Args:
        features: float (n, c), the most wanted first.
        count: of places; fewer where there are fewer rows.
    """
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-6)
    chosen = [0] if len(features) and count > 0 else []
    if not chosen:
        return np.zeros(0, np.int64)
    distance = np.linalg.norm(scaled - scaled[0], axis=1)
    while len(chosen) < min(count, len(features)):
        place = int(distance.argmax())
        chosen.append(place)
        distance = np.minimum(distance, np.linalg.norm(scaled - scaled[place], axis=1))
        distance[chosen] = -1
    return np.array(chosen, np.int64)


def _tile_name(number: int) -> str:
    return f"tile-{number:04d}.png"


def _write_sheets(tiles: SiteTiles, out: Path) -> None:
    """Tiles, a manifest that takes them for clean until somebody says otherwise, and sheets with a table to fill in."""
    folder, items = out / SUGGESTED, []
    for number, (image, photo) in enumerate(zip(tiles.images, tiles.photos, strict=True)):
        name = _tile_name(number)
        with atomic_path(folder / name) as temporary:
            Image.fromarray(np.asarray(image)).save(temporary, format="PNG")
        items.append(Item(name, sha256_file(folder / name), 0, photo, "train"))
    root = portable_root(folder.resolve())  # not relative: the relabelled manifest may lie anywhere
    manifest = Manifest("suggested", "grouped", 0, root, "not stated", tuple(items), folder / "manifest.csv")
    write_manifest(folder / "manifest.csv", manifest, overwrite=True)
    draw_sheets(manifest, "train", folder)


def _spread(findings: Sequence[Finding], photos: Sequence[str]) -> list[Finding]:
    """The first of every photograph, then the second of every one, and so on."""
    seen: Counter[str] = Counter()
    turns = []
    for place, (finding, photo) in enumerate(zip(findings, photos, strict=True)):
        turns.append((seen[photo], place, finding))
        seen[photo] += 1
    return [finding for _, _, finding in sorted(turns, key=lambda turn: turn[:2])]
