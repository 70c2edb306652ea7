"""The loop: read, try candidates cheap to dear, hold each to the guard, hand over the first that is better: `adapt`."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.adaptation.base import Base, find_base, find_start
from crack_tf.adaptation.bench import Bench, Ready, ask, make_bench
from crack_tf.adaptation.candidates import TRIALS, Trial
from crack_tf.adaptation.config import CANDIDATES, FORMAT, OUTPUT, REPORT, AdaptConfig
from crack_tf.adaptation.deliver import build, labels_record, put_in_place
from crack_tf.adaptation.elsewhere import SYNTHETIC, find_elsewhere
from crack_tf.adaptation.from_nothing import crack_shapes, sure_to_be_clean, with_cracks
from crack_tf.adaptation.guard import (
    Answers,
    ElsewhereRow,
    SiteRow,
    as_rows,
    compare_here,
    trade,
    with_reasons,
)
from crack_tf.adaptation.places import BEGUN, BUILT, REVIEWED, TILES, WORK, begun, check_out, remove_below
from crack_tf.adaptation.result import Adapted
from crack_tf.adaptation.sources import FLIGHT, Site, note_on_few, read_site
from crack_tf.adaptation.tiles import COMPOSED, PERSON, SiteTiles, join
from crack_tf.adaptation.verdict import verdict
from crack_tf.common.arguments import check_config
from crack_tf.common.progress import say_now
from crack_tf.common.provenance import created, environment
from crack_tf.data.folders import DATA_VARIABLE
from crack_tf.inference.predictor import load_predictor
from crack_tf.models.backend import use_tensorflow
from crack_tf.synthetic.transplant import Shape
from tflite.arguments import check_path
from tflite.errors import CrackError
from tflite.files import read_json, sha256_bytes, write_csv, write_json
from tflite.locks import FolderLock
from tflite.manifest import LABELS
from tflite.outputs import MARK, clear_folder, remove_leftovers, write_mark
from tflite.sameness import refuse_changed
from tflite.words import counted

MOST_SURE = 200  # tiles taken for clean where there are no labels
ONLY_DRAWN = (
    "real tiles of other structures: none are on this machine, so what a candidate forgets was asked of drawn tiles only. Set "
    f"${DATA_VARIABLE} to the folder of METU, SDNET2018 and uav_concrete"
)


def adapt(
    config: AdaptConfig,
    out: str | os.PathLike[str],
    *,
    resume: bool = False,
    overwrite: bool = False,
    say: Callable[[str], None] = say_now,
) -> Adapted:
    """Make a model for one structure, if a better one is to be had.

    Args:
        config: from what, of which model, and how.
        out: folder; a report, and the model where one is better.
        resume: go on with an interrupted run of the same configuration in `out`.
        overwrite: replace an earlier result in `out`; what else lies there stays.
        say: takes progress lines.

    Returns:
        What was tried, and the model if one passed.

    Raises:
        CrackError: if the source, its labels or the model cannot be used, or `out` may not be written to.
    """
    check_config(config, AdaptConfig)
    check_path("out", out, "a folder")
    folder = Path(out)
    check_out(folder, config, resume, overwrite)
    base = find_base(config.model)
    find_start(config.start, base)  # one that does not do is told before the tiles are read
    asked = {"config": config.as_dict(), "base": {"name": base.name, "sha256": base.device.sha256}}
    first = begun(folder) if resume else None  # it had not come far enough to be gone on with: it begins again
    before = first or (read_json(folder / REPORT) if resume else {})
    if resume:
        for part, values in asked.items():
            stated = before.get(part) or {}
            refuse_changed(folder, {name: stated.get(name) for name in values}, values)
    if before.get("finished"):
        return _read(folder, before)
    use_tensorflow()
    existed = folder.exists()
    goes_on = resume and first is None
    with FolderLock(folder):
        check_out(folder, config, resume, overwrite)  # another process may have come first
        record = {"format": FORMAT, "source": config.source, **asked, "finished": False, "created": created()}
        if not goes_on:
            write_mark(folder, OUTPUT, **{BEGUN: asked})
            remove_below(folder, REVIEWED)
        try:
            side = config.tile_side or base.tile_side
            site = read_site(config, base.sidecar.image_size, side, folder / REVIEWED)
            record["tiles_sha256"] = _hash(site.tiles)
            if goes_on and before.get("tiles_sha256") not in (None, record["tiles_sha256"]):
                raise CrackError(
                    f"--resume: the tiles of {config.source} are others than when {folder} was begun. Add --overwrite instead."
                )
            ready = _prepare(config, base, site, say)
        except CrackError:
            if not goes_on:
                # An earlier result stays, the work of one that is not finished too, and nothing of a bad input.
                remove_below(folder, REVIEWED)
                (folder / MARK).unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                if not existed:
                    folder.rmdir()
            raise
        # Before the earlier result goes: a report that is finished has its files.
        write_json(folder / REPORT, record | environment())
        if goes_on:
            remove_leftovers(folder, OUTPUT)
        else:
            clear_folder(folder, OUTPUT)
            (folder / MARK).unlink()
        return _run(ready, folder, record, say)


def _prepare(config: AdaptConfig, base: Base, site: Site, say: Callable[[str], None]) -> Ready:
    """Read what else is needed, and test the shipped model.

    Raises:
        CrackError: if the source, its labels or its photographs do not do.
    """
    laid_in, sources = crack_shapes(config.shapes) if site.kind == FLIGHT else ([], [])
    # Where nobody labelled a tile, a lower threshold is always better.
    names = tuple(
        name for name in CANDIDATES if name in config.candidates and (name != "threshold" or site.kind != FLIGHT)
    )
    if not names:
        raise CrackError(
            f"--candidates threshold: it takes labels, and {config.source} holds photographs alone. Label some: --suggest 40"
        )
    cracks = (
        counted(site.tiles.counts()[LABELS[1]], "with a crack", "with cracks")
        if site.kind != FLIGHT
        else "none labelled"
    )
    say(f"{_tiles_and_photographs(site.tiles)}, {cracks}; candidates: {', '.join(names)}")
    if few := note_on_few(site.tiles):
        say(few)
    say("the shipped model is tested first, on these and on tiles of other structures, which no candidate may forget")
    others = find_elsewhere(base.sidecar.image_size, config.regression_limit, Path(config.source), say)
    only_drawn = all(one.name == SYNTHETIC for one in others.sets)
    missing = (*others.missing, *((ONLY_DRAWN,) if only_drawn else ()))
    gaps = (*site.notes, *(f"NOT CHECKED  {line}" for line in missing))
    tiles = site.tiles
    here: np.ndarray | None = None
    if site.kind == FLIGHT:
        tiles, here = _compose(config, base, site.tiles, laid_in)
    elsewhere_tiles = sum(len(one.images) for one in others.sets)
    say(f"testing the shipped model: {_tiles_and_photographs(tiles)} here, {elsewhere_tiles:,} of other structures")
    bench = make_bench(config, base, tiles, others.sets, here)
    if bench.folds.min() < 0:
        raise CrackError(
            f"{config.source}: no photograph can be held out with cracks and without. Give tiles of two photographs or more."
        )
    return Ready(site.kind, bench, names, tuple(sources), missing, gaps)


def _run(ready: Ready, folder: Path, record: dict[str, Any], say: Callable[[str], None]) -> Adapted:
    """Try candidates in a folder that is this process's."""
    work, bench = folder / WORK, ready.bench
    here_rows: list[SiteRow] = []
    elsewhere: list[ElsewhereRow] = []
    model = None
    for number, name in enumerate(ready.names, 1):
        title = f"candidate {number} of {len(ready.names)}: {name}"
        trial, found, outside = _tried(bench, name, title, work, say)
        if found.passed:
            trial = trial or TRIALS[name](bench, work)
            found, outside, model = _hand_over(ready, trial, found, outside, folder)
        here_rows.append(found)
        elsewhere += outside
        say(_line(found, bench.told))
        if model is not None:
            break
    passed = here_rows[-1].candidate if model is not None else None
    reasons = () if passed else tuple(f"{row.candidate}: {row.reason}" for row in here_rows)
    adapted = Adapted(folder, passed, tuple(here_rows), tuple(elsewhere), reasons, ready.gaps, model, bench.told)
    _report(adapted, bench, record)
    remove_below(folder, WORK, *(() if model else (TILES,)))
    return adapted


def _tiles_and_photographs(tiles: SiteTiles) -> str:
    return f"{counted(len(tiles), 'tile')} of {counted(tiles.counts()['photographs'], 'photograph')}"


def _tried(
    bench: Bench, name: str, title: str, work: Path, say: Callable[[str], None]
) -> tuple[Trial | None, SiteRow, list[ElsewhereRow]]:
    """A candidate and its rows; these alone where it was tried before."""
    kept = work / f"{name}.json"
    if kept.is_file():
        before = read_json(kept)
        return None, SiteRow(**before["here"]), [ElsewhereRow(**row) for row in before["elsewhere"]]
    say(f"{title}, on {len(bench.tiles) + sum(len(one.images) for one in bench.others):,} tiles")
    started = time.monotonic()
    try:
        trial = TRIALS[name](bench, work)
    except CrackError as error:
        row = _impossible(bench, name, str(error))
        write_json(kept, {"here": as_rows([row])[0], "elsewhere": []})
        return None, row, []
    seconds = time.monotonic() - started
    row, outside = verdict(bench, trial, seconds)
    write_json(kept, {"here": as_rows([row])[0], "elsewhere": as_rows(outside)})
    return trial, row, outside


def _hand_over(
    ready: Ready, trial: Trial, row: SiteRow, outside: list[ElsewhereRow], folder: Path
) -> tuple[SiteRow, list[ElsewhereRow], Path | None]:
    """Make the files of a candidate that passed; its int8 file has to pass too."""
    remove_below(folder, f"{WORK}/{BUILT}")  # of a run that was killed, or a candidate whose int8 file did not pass
    try:
        built = build(ready, trial, row, folder)
    except CrackError as error:
        return with_reasons(row, [str(error)]), outside, None
    row = replace(row, threshold=built.threshold)
    if built.reasons:
        return with_reasons(row, built.reasons), [*outside, *_as_int8(built.elsewhere)], None
    return row, [*outside, *_as_int8(built.elsewhere)], put_in_place(built, folder)


def _as_int8(rows: Sequence[ElsewhereRow]) -> list[ElsewhereRow]:
    return [replace(row, candidate=f"{row.candidate}, int8") for row in rows]


def _compose(
    config: AdaptConfig, base: Base, tiles: SiteTiles, cracks: Sequence[Shape]
) -> tuple[SiteTiles, np.ndarray]:
    """Labels that nobody gave: the photographs' tiles as they are, those that are sure to be clean, and twins of these with cracks.

    Returns:
        All tiles, and the shipped int8 model's logits on them.
    """
    predictor = load_predictor(base.tflite)
    logits = ask(predictor, tiles.images)
    clean = sure_to_be_clean(tiles, logits, base.device.threshold.logit, MOST_SURE, config.seed)
    if not len(clean):
        raise CrackError(
            f"{config.source}: the model is sure of no tile there that it is clean, so no crack can be laid into any. Label some: "
            "--suggest 40"
        )
    made = with_cracks(clean, cracks, config.seed)
    if not made.with_origin(COMPOSED).any():
        raise CrackError(f"{config.source}: no crack can be seen on any tile there. Label some: --suggest 40")
    both = join([tiles, made])
    return both, np.concatenate([logits, ask(predictor, made.images)])


def _impossible(bench: Bench, name: str, reason: str) -> SiteRow:
    same = Answers(bench.here[bench.tested], bench.threshold)
    return replace(compare_here(name, bench.held_out, same, same, bench.threshold), passed=False, reason=reason)


def _line(row: SiteRow, told: bool) -> str:
    verdict = (trade(row) or "better") if row.passed else "not shown to be better"
    crack, clean = ("crack", "clean tile") if told else ("laid-in crack", "tile")
    return (
        f"{row.candidate}: finds {row.found_after} of {counted(row.cracks, crack)} (before {row.found_before}), calls "
        f"{row.alarms_after} of {counted(row.clean, clean)} (before {row.alarms_before}), {row.seconds:.0f} s: {verdict}"
    )


def _report(found: Adapted, bench: Bench, record: dict[str, Any]) -> None:
    """Write what was found, below what of the report's record was known before."""
    tiles = bench.tiles
    labels = [
        {"tile": name, "photo": photo, "label": "" if label < 0 else LABELS[label], "origin": origin}
        for name, photo, label, origin in zip(
            tiles.names, tiles.photos, tiles.labels.tolist(), tiles.origins, strict=True
        )
    ]
    write_csv(found.folder / "labels.csv", labels, ("tile", "photo", "label", "origin"))
    here, elsewhere = as_rows(found.here), as_rows(found.elsewhere)
    write_csv(found.folder / "candidates.csv", here, list(SiteRow.__dataclass_fields__))
    write_csv(found.folder / "regression.csv", elsewhere, list(ElsewhereRow.__dataclass_fields__))
    finished = {
        "finished": True,
        "candidate": found.candidate,
        "trade": found.trade,
        "labels": labels_record(bench),
        "here": here,
        "elsewhere": elsewhere,
        "reasons": list(found.reasons),
        "gaps": list(found.gaps),
    }
    write_json(found.folder / REPORT, record | finished | environment())


def _read(folder: Path, record: dict[str, Any]) -> Adapted:
    """A finished run's result, from its report."""
    exports = sorted((folder / "export").glob("*.tflite"))
    return Adapted(
        folder,
        record["candidate"],
        tuple(SiteRow(**row) for row in record["here"]),
        tuple(ElsewhereRow(**row) for row in record["elsewhere"]),
        tuple(record["reasons"]),
        tuple(record["gaps"]),
        exports[0] if record["candidate"] and exports else None,
        bool(record["labels"]["counts"][PERSON]["photographs"]),
    )


def _hash(tiles: SiteTiles) -> str:
    text = "\n".join((*tiles.names, *tiles.photos)).encode("utf-8", "surrogatepass")
    return sha256_bytes(text + tiles.labels.tobytes() + np.ascontiguousarray(tiles.images).tobytes())
