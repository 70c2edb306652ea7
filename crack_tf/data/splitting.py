"""A data set cut into train, val and test, as a manifest file: `split_source` is what `crack-tf data split` calls."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from crack_tf.common.arguments import check_config
from crack_tf.data.audit import Audit, audit
from crack_tf.data.notes import audit_notes, gap_note, split_notes
from crack_tf.data.policies import POLICIES
from crack_tf.data.registry import locate
from crack_tf.data.split import leaks, split
from crack_tf.data.texts import split_lines, unreadable_lines
from tflite.arguments import check_choice, check_counts, check_path, check_types
from tflite.manifest import Manifest, check_out, write_manifest


@dataclass(frozen=True)
class SplitConfig:
    """How a data set is read and cut.

    Attributes:
        policy: "grouped", "plain" or "folders", see `crack_tf.data.split`; None for the folders' own split where they have one, else
            "grouped".
        seed: of the draw.
        threshold_masks: accept soft masks; crack from grey level 128 on.
        leave_out: leave out pairs whose photograph or mask has a problem, instead of stopping.
        clean: every picture is free of cracks; no class folders are needed.
        threads: that decode; None for one per core.

    Raises:
        CrackError: naming the field as the command line does.
    """

    policy: str | None = None
    seed: int = 0
    threshold_masks: bool = False
    leave_out: bool = False
    clean: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        check_types(self)
        check_choice("policy", self.policy, POLICIES)
        check_counts(self, "seed", least=0)
        check_counts(self, "threads")


@dataclass(frozen=True)
class SplitSource:
    """What became of a data set.

    Attributes:
        path: of the manifest file.
        manifest: what it holds.
        audit: of the data set, what could not be read included.
    """

    path: Path
    manifest: Manifest
    audit: Audit

    @property
    def gap(self) -> str | None:
        """One sentence that counts what is missing from the set; None where nothing is."""
        return gap_note(self.audit)

    def lines(self) -> list[str]:
        """For the person who asked: counts, copies across splits, what is left out, and what to know; warnings start with that word."""
        result, manifest = self.audit, self.manifest
        told = [*split_lines(manifest, leaks(result, manifest)), *unreadable_lines(result)]
        return [*told, *split_notes(result, manifest), *audit_notes(result), f"written: {self.path}"]


def split_source(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    config: SplitConfig | None = None,
    *,
    overwrite: bool = False,
) -> SplitSource:
    """Audit a data set, split it, and write the manifest.

    Args:
        source: name of a data set, or a folder with one sub-folder per class, or with images and masks.
        out: manifest file, .csv.
        config: how; None for all defaults.
        overwrite: replace the manifest in `out`.

    Returns:
        The split, with what the audit found.

    Raises:
        CrackError: if there is no such set, it cannot be split, or `out` holds something else.
    """
    check_path("source", source, "a data set's name or folder")
    check_path("out", out, "a manifest file, .csv")
    check_config(config, SplitConfig, optional=True)
    config = config or SplitConfig()
    path, named = Path(out), os.fspath(source)
    check_out(path, overwrite, named)
    place = locate(named, threshold_masks=config.threshold_masks, clean=config.clean)
    result = audit(place, config.threads)
    manifest = split(result, config.policy, config.seed, config.leave_out)
    write_manifest(path, manifest, overwrite)
    return SplitSource(path, manifest, result)
