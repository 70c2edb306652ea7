"""Split manifests: which files belong to which split, with their hashes. Every number this project reports names one.

A manifest is a CSV with one comment line of JSON on top:

    # {"format": "crack_tf.manifest/1", "dataset": "metu", "policy": "grouped", "root": "$CRACK_TF_DATA/metu", ...}
    path,sha256,label,group,split
    Negative/00001.jpg,ab12...,0,n00001,train

`pandas.read_csv(path, comment="#")` reads it. Paths are relative to `root`, use "/", and are sorted. A segmentation set has two
columns more, `mask` and `mask_sha256`, and a third, `mask_orientation`, when a mask was drawn on the pixels as the camera stored them
and has to be turned with its photograph. A manifest that needs none of them is written, and hashed, without. A mix of tiles and
pairs leaves the mask empty where there is none: a crack-free picture, or a cracked one of which nobody says where.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tflite.errors import CrackError, ImageError
from tflite.files import csv_line, csv_rows, sha256_bytes, write_bytes
from tflite.outputs import Output, check_file

FORMAT = "crack_tf.manifest/1"
SPLITS = ("train", "val", "test")
LABELS = ("no_crack", "crack")  # index is the label: 1 is cracked
_COLUMNS = ("path", "sha256", "label", "group", "split")
_MASK_COLUMNS = ("mask", "mask_sha256")
_TURN_COLUMN = "mask_orientation"


def _is_manifest(path: Path) -> bool:
    """Whether a file says that it is one; its rows may be damaged."""
    with path.open(encoding="utf-8") as stream:
        return bool(json.loads(stream.readline().removeprefix("# "))["format"] == FORMAT)


OUTPUT = Output("crack-tf data", _is_manifest)


@dataclass(frozen=True, order=True)
class Item:
    """One tile, or one photograph with its mask.

    Attributes:
        path: relative to the manifest's root, with "/".
        sha256: of the file's bytes.
        label: 0 clean, 1 cracked; of a pair 1 when its mask holds a crack.
        group: duplicates and neighbours share it; a group stays on one side of a grouped split.
        split: "train", "val" or "test".
        mask: the mask's file like `path`; empty where only the label is known.
        mask_sha256: of the mask file's bytes; empty likewise.
        mask_orientation: EXIF orientation, 1 to 8, by which the mask is turned to lie on the upright photograph; 1 leaves it as it is.
    """

    path: str
    sha256: str
    label: int
    group: str
    split: str
    mask: str = ""
    mask_sha256: str = ""
    mask_orientation: int = 1


@dataclass(frozen=True)
class Manifest:
    """A data set cut into splits.

    Attributes:
        dataset: registry name or folder name.
        policy: "plain" (stratified), "grouped", "folders" (as the folders have it), or made from others, such as "mixed".
        seed: that drew the splits.
        root: folder of the images as written; may start with an environment variable, or be relative to the manifest.
        licence: of the images, as far as known.
        items: sorted by path.
        source: file it was read from, or None.
    """

    dataset: str
    policy: str
    seed: int
    root: str
    licence: str
    items: tuple[Item, ...]
    source: Path | None = field(default=None, compare=False)

    @property
    def sha256(self) -> str:
        """Hash of the rows: the same wherever the images lie and whatever the file is called."""
        text = _rows_text(self.items)
        try:
            return sha256_bytes(text.encode("utf-8"))
        except UnicodeEncodeError as error:
            name = text[: error.start].rpartition("\n")[2] + text[error.start :].partition(",")[0]
            raise CrackError(f"{name!r} of {self.name} is a file whose name is no valid UTF-8. Rename it.") from None

    def split(self, name: str) -> list[Item]:
        """The items of one split; "all" gives every item.

        Raises:
            CrackError: if there is no such split or it is empty.
        """
        if name not in (*SPLITS, "all"):
            raise CrackError(f"--split {name!r}: choose one of {', '.join(SPLITS)}, all.")
        items = [item for item in self.items if name in ("all", item.split)]
        if not items:
            raise CrackError(f"split {name!r} of manifest {self.name} is empty.")
        return items

    @property
    def task(self) -> str:
        """ "segment" when the items have masks, "classify" when they have none, "mixed" when some do."""
        kinds = {bool(item.mask) for item in self.items}
        return "mixed" if len(kinds) > 1 else "segment" if True in kinds else "classify"

    @property
    def name(self) -> str:
        """Short name for messages and result rows, such as "metu-grouped"."""
        return f"{self.dataset}-{self.policy}"

    def folder(self) -> Path:
        """The images' folder with environment variables and `~` filled in.

        Raises:
            CrackError: if it does not exist.
        """
        expanded = self._expanded()
        if not expanded.is_dir():
            hint = "Move them back, or split again."
            if "$" in self.root:
                hint = "Set CRACK_TF_DATA to the folder that holds the data sets."
            place = f"{self.root} ({expanded})"
            raise CrackError(f"the images of manifest {self.source or self.name} are not in {place}. {hint}")
        return expanded

    def root_beside(self, path: Path) -> str:
        """The root as a manifest written to `path` has to state it: one that is relative to where this was read from leads there still.

        Args:
            path: of the file to be.
        """
        if self.source is None or self._is_fixed():
            return self.root
        here, there = Path(os.path.abspath(self.source)).parent, Path(os.path.abspath(path)).parent
        return self.root if here == there else Path(os.path.relpath(here / self.root, there)).as_posix()

    def _is_fixed(self) -> bool:
        """Whether the root means the same folder wherever the manifest lies."""
        return Path(os.path.expanduser(os.path.expandvars(self.root))).is_absolute() or "$" in self.root

    def _expanded(self) -> Path:
        expanded = Path(os.path.expanduser(os.path.expandvars(self.root)))
        if not expanded.is_absolute() and self.source is not None:
            return self.source.parent / expanded
        return expanded

    def read(self, item: Item, verify: bool = True) -> bytes:
        """Bytes of one item's file.

        Raises:
            ImageError: if it is missing, or (with `verify`) its bytes are not those that were split.
        """
        return self._read(item.path, item.sha256 if verify else "")

    def read_mask(self, item: Item) -> bytes:
        """Bytes of one item's mask file.

        Raises:
            CrackError: if the item has no mask.
            ImageError: if the file is missing, or its bytes are not those that were split.
        """
        if not item.mask:
            raise CrackError(f"{item.path} of manifest {self.name} has no mask: only its label is known.")
        return self._read(item.mask, item.mask_sha256)

    def _read(self, name: str, sha256: str) -> bytes:
        path = self.folder() / name
        try:
            data = path.read_bytes()
        except (OSError, ValueError) as error:  # ValueError: a name that no file can have
            reason = error.strerror if isinstance(error, OSError) else error
            raise ImageError(f"cannot read {path} of manifest {self.name}: {reason}.") from None
        if sha256 and sha256_bytes(data) != sha256:
            raise ImageError(
                f"{path} changed since manifest {self.name} was written (sha256 differs). Restore it, or split again."
            )
        return data


def check_out(path: Path, overwrite: bool, *inputs: str | Path) -> None:
    """Check that a manifest may be written, before it is made.

    Raises:
        CrackError: if its name does not end in .csv, or something is there that is not to be replaced.
    """
    if path.suffix != ".csv":
        raise CrackError(f"--out {path}: a manifest's name must end in .csv.")
    check_file(path, OUTPUT, overwrite, inputs=inputs)


def write_manifest(path: str | Path, manifest: Manifest, overwrite: bool = False) -> None:
    """Write a manifest atomically. What was read from another folder names its images from here.

    Raises:
        CrackError: if the file exists and `overwrite` is false, or it is no manifest.
    """
    check_file(Path(path), OUTPUT, overwrite)
    head: dict[str, Any] = {"format": FORMAT}
    head |= {f.name: getattr(manifest, f.name) for f in fields(manifest) if f.name not in ("items", "source")}
    head["root"] = manifest.root_beside(Path(path))
    head["sha256"] = manifest.sha256
    columns = _columns(manifest.items)
    rows = ([getattr(item, column) for column in columns] for item in manifest.items)
    write_bytes(path, b"".join([f"# {json.dumps(head)}\n".encode(), csv_line(columns), *map(csv_line, rows)]))


def read_manifest(path: str | Path) -> Manifest:
    """Read a manifest and check it is whole.

    Raises:
        CrackError: if the file is missing, is not a manifest, or its rows do not match the hash in its head.
    """
    path = Path(path)
    try:
        first, _, body = path.read_bytes().decode("utf-8").partition("\n")
    except FileNotFoundError:
        raise CrackError(f"manifest {path} does not exist. Make one with: crack-tf data split") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CrackError(f"manifest {path} cannot be read ({error}).") from None
    try:
        head = json.loads(first.removeprefix("# ")) if first.startswith("# {") else {}
        if head.get("format") != FORMAT:
            raise ValueError(f"its first line does not say {FORMAT}")
        rows = list(csv_rows(io.StringIO(body, newline="")))
        items = tuple(_item(row) for row in rows)
        for item in items:
            if item.label not in (0, 1) or item.split not in SPLITS:
                raise ValueError(f"{item.path} has label {item.label} and split {item.split!r}")
        dataset, policy, root, licence = (_text(head, name) for name in ("dataset", "policy", "root", "licence"))
        manifest = Manifest(dataset, policy, int(head["seed"]), root, licence, items, path)
        expected = head["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, csv.Error) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise CrackError(f"{path} is not a crack_tf manifest ({why}). Make one with: crack-tf data split") from None
    if manifest.sha256 != expected:
        raise CrackError(
            f"manifest {path} was changed after it was written: its rows do not match its own sha256. Split again."
        )
    return manifest


def refuse_mixed(manifest: Manifest, purpose: str) -> None:
    """Refuse a mix of tiles and photographs with masks where figures would count the two as one kind.

    Args:
        manifest: of any kind.
        purpose: what it was given for, in the error.

    Raises:
        CrackError: if it is one.
    """
    if manifest.task == "mixed":
        raise CrackError(
            f"manifest {manifest.source or manifest.name} mixes tiles with photographs that have masks: models are trained on it and "
            f"exported with it. For {purpose}, name one of the manifests it was mixed from."
        )


def _text(head: dict[str, Any], name: str) -> str:
    value = head[name]
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(f"its {name} is no text")
    return value


def _item(row: dict[str, str]) -> Item:
    # A classification set has no mask columns; csv fills short rows with None.
    mask, mask_sha256 = (row.get(column) or "" for column in _MASK_COLUMNS)
    orientation = int(row.get(_TURN_COLUMN) or 1)
    item = Item(
        row["path"], row["sha256"], int(row["label"]), row["group"], row["split"], mask, mask_sha256, orientation
    )
    if not 1 <= orientation <= 8:
        raise ValueError(f"{item.path} has a mask of orientation {orientation}, which is no EXIF orientation")
    if bool(item.mask) != bool(item.mask_sha256):
        raise ValueError(f"{item.path} has a mask without a sha256, or the other way round")
    return item


def _columns(items: Sequence[Item]) -> tuple[str, ...]:
    columns = _COLUMNS + (_MASK_COLUMNS if any(item.mask for item in items) else ())
    return (*columns, _TURN_COLUMN) if any(item.mask_orientation != 1 for item in items) else columns


def _rows_text(items: Sequence[Item]) -> str:
    """What is hashed: the rows as they were written before cells were guarded, so that older manifests keep their hash."""
    out = io.StringIO()
    writer = csv.DictWriter(out, _columns(items), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(asdict(item) for item in items)
    return out.getvalue()
