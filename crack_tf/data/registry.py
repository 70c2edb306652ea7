"""The data sets by name, and any folder with one sub-folder per class, or with images and their masks.

A name, a folder or a manifest file is accepted wherever a command takes data; `prepare` turns each into a manifest.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from crack_tf.common import mined
from crack_tf.data.audit import audit
from crack_tf.data.cache import cache_folder
from crack_tf.data.folders import (
    DATA_VARIABLE,
    CleanSource,
    Source,
    has_class_folders,
    label_of,
    passed_over,
    portable_root,
)
from crack_tf.data.neighbours import (
    NeighbourRule,
    bridge_deck_photographs,
    conglomerate_photographs,
    crack500_photographs,
    cssc_photographs,
    deepcrack_photographs,
    joint_surfaces,
    metu_blocks,
    mined_photographs,
    photograph_keys,
    scene_photographs,
    uav_asphalt_photographs,
    uav_concrete_stretches,
)
from crack_tf.data.notes import contradiction_notes, passed_over_notes, split_notes, trouble_notes, unreadable_notes
from crack_tf.data.pairs import PairSource, mask_notes, pair_folders
from crack_tf.data.reviews import apply_review, find_review
from crack_tf.data.split import check_policy, default_policy, split
from crack_tf.synthetic.tiles import SETTINGS, write_dataset, write_pairs
from tflite.errors import CrackError
from tflite.extras import install
from tflite.files import read_json, sha256_bytes, sha256_file, write_json
from tflite.locks import partial_folder
from tflite.manifest import Manifest, read_manifest, write_manifest
from tflite.outputs import Output, check_folder, read_mark, remove_files, write_mark

OUTPUT = Output(
    "crack-tf data fetch", lambda folder: False
)  # known by the mark alone, which lists the files and their hashes


@dataclass(frozen=True)
class DataSet:
    """One entry of the registry.

    Attributes:
        name: on the command line.
        summary: one line.
        licence: of the images.
        citation: what to quote.
        local: folder below $CRACK_TF_DATA where a copy is looked for, or None.
        kaggle: handle for kagglehub, or None.
        neighbours: rule for files that belong together besides copies, or None.
        task: "classify" (a folder per class) or "segment" (photographs and masks).
        clean: whether every picture is free of cracks, in folders of any name.
        left_out: whether it is kept out of every training, to tell how a model does on what it has never seen.
        made_of: sets whose test splits it is drawn from, cracks from the first.
        page: where a person gets the set that no program can fetch, empty where no page is known; None for the others.
    """

    name: str
    summary: str
    licence: str
    citation: str
    local: str | None = None
    kaggle: str | None = None
    neighbours: NeighbourRule | None = None
    task: str = "classify"
    page: str | None = None
    clean: bool = False
    left_out: bool = False
    made_of: tuple[str, ...] = ()

    @property
    def generated(self) -> bool:
        """Whether this program draws it."""
        return self.kaggle is None and self.page is None

    @property
    def by_hand(self) -> str:
        """How a person gets it."""
        page = f"https://www.kaggle.com/datasets/{self.kaggle}" if self.page is None else self.page
        get = f"Download {page} in a browser, unpack it" if page else "No page that has it is known: unpack a copy"
        return f"{get} to a folder named {self.local} and set {DATA_VARIABLE} to the folder above it."

    def fetch(self) -> Path:
        """The folder of the images: generated, found below $CRACK_TF_DATA, or downloaded with kagglehub.

        Raises:
            CrackError: if it has to be downloaded and cannot be.
        """
        if self.generated:
            return _generate(self)
        local = self.local_copy()
        if local is None and self.kaggle is None:
            raise CrackError(f"data set {self.name} is not on this machine. {self.by_hand}")
        return local or _download(self)

    def local_copy(self) -> Path | None:
        """The copy below $CRACK_TF_DATA, if there is one."""
        root = os.environ.get(DATA_VARIABLE)
        if root and self.local and (Path(root) / self.local).is_dir():
            return Path(root) / self.local
        return None


DATASETS: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        DataSet(
            name="synthetic",
            summary="procedural concrete with cracks, shadows, stains, joints; made on this machine from a seed",
            licence="CC0-1.0",
            citation="none needed: drawn by crack_tf.synthetic.tiles",
        ),
        DataSet(
            name="metu",
            summary="Concrete Crack Images for Classification: 40,000 RGB tiles 227x227, half of them cracked",
            licence="CC-BY-4.0",
            citation="Ozgenel, C. F. (2019), Concrete Crack Images for Classification, Mendeley Data, doi 10.17632/5y9wdsg2zt.2",
            local="metu",
            kaggle="arnavr10880/concrete-crack-images-for-classification",
            neighbours=metu_blocks,
        ),
        DataSet(
            name="sdnet2018",
            summary="SDNET2018: tiles 256x256 of bridge decks, pavements and walls; labels are noisy",
            licence="CC-BY-4.0",
            citation="Dorafshan, Thomas, Maguire (2018), SDNET2018, Data in Brief 21, doi 10.1016/j.dib.2018.11.015",
            local="sdnet2018_walls",
            kaggle="aniruddhsharma/structural-defects-network-concrete-crack-images",
            neighbours=photograph_keys,
        ),
        DataSet(
            name="synthetic_masks",
            summary="the synthetic concrete at 256 px with exact masks, half of it crack-free; made on this machine from a seed",
            licence="CC0-1.0",
            citation="none needed: drawn by crack_tf.synthetic.tiles",
            task="segment",
        ),
        DataSet(
            name="crack500",
            summary="Crack500: crops 640x360 of asphalt with masks",
            licence="research only (academic research)",
            citation="Yang, Zhang, Yu, Prokhorov, Mei, Ling (2020), Feature Pyramid and Hierarchical Boosting Network for Pavement "
            "Crack Detection, IEEE T-ITS 21(4), doi 10.1109/TITS.2019.2910595",
            local="segmentation/crack500",
            neighbours=crack500_photographs,
            task="segment",
            page="https://github.com/fyangneil/pavement-crack-detection",
        ),
        DataSet(
            name="deepcrack",
            summary="DeepCrack: concrete and asphalt 544x384 with masks",
            licence="research only (non-commercial research)",
            citation="Liu, Yao, Lu, Xie, Li (2019), DeepCrack: A deep hierarchical feature learning architecture for crack "
            "segmentation, Neurocomputing 338, doi 10.1016/j.neucom.2019.01.036",
            local="segmentation/deepcrack",
            neighbours=deepcrack_photographs,
            task="segment",
            page="https://github.com/yhlleo/DeepCrack",
        ),
        DataSet(
            name="conglomerate",
            summary="Concrete Crack Conglomerate: photographs of several sets at one size with masks, some crack-free",
            licence="AFL-3.0 says the copy's repository; research only until the record 10.7294/16625056 is checked",
            citation="Bianchi, Hebdon (2021), Concrete Crack Conglomerate Dataset, Virginia Tech, doi 10.7294/16625056",
            local="segmentation/conglomerate",
            neighbours=conglomerate_photographs,
            task="segment",
            page="https://doi.org/10.7294/16625056",
        ),
        DataSet(
            name="uav_concrete",
            summary="drone photographs of riverside and other concrete walls, quadrants 448x448 with masks, many crack-free",
            licence="CC0-1.0",
            citation="public-domain drone photographs of concrete walls with masks",
            local="segmentation/uav_concrete",
            neighbours=uav_concrete_stretches,
            task="segment",
            page="",
        ),
        DataSet(
            name="bridge_deck",
            summary="tiles 256x256 of bridge decks, tined and exposed-aggregate concrete, plaster, with masks",
            licence="research only (no licence given for the images)",
            citation="tiles of bridge decks with masks; some branches are not drawn",
            local="segmentation/bridge_deck",
            neighbours=bridge_deck_photographs,
            task="segment",
            page="",
        ),
        DataSet(
            name="uav_asphalt",
            summary="asphalt 672x378 from a drone with zoom: shadows, road paint; with masks",
            licence="research only (no licence given)",
            citation="drone photographs of asphalt with masks",
            local="segmentation/uav_asphalt",
            neighbours=uav_asphalt_photographs,
            task="segment",
            page="",
        ),
        DataSet(
            name="cssc",
            summary="CSSC: tiles 130x130 of cracks, of clean concrete, and of spalling, bars and rust without a crack",
            licence="research only (web photographs, no licence given)",
            citation="Concrete Structure Spalling and Crack (CSSC) data set; about 8 % of crack and 10 % of no_crack are wrong",
            local="cssc",
            neighbours=cssc_photographs,
            page="",
        ),
        DataSet(
            name="scenes_clean",
            summary="crops 320x320 of real scenes without a crack: bridges, railings, joints, facades, doors, trees, text",
            licence="CC0-1.0 AND CC-BY-2.0 AND CC-BY-3.0 AND BSD-2-Clause AND BSD-3-Clause-Clear AND MIT AND Apache-2.0",
            citation="see sources.csv in its folder",
            local="scenes_clean",
            neighbours=scene_photographs,
            page="",
            clean=True,
        ),
        DataSet(
            name="scenes_whole",
            summary="whole photographs of facades, streets and a building site without a crack: for counting false findings",
            licence="CC0-1.0 AND BSD-3-Clause",
            citation="see sources.csv in its folder",
            local="scenes_whole",
            page="",
            clean=True,
            left_out=True,
        ),
        DataSet(
            name="brick",
            summary="tiles 227x227 of brickwork: a domain that no model here is made for; some cracks were painted in",
            licence="not stated; evaluation only",
            citation="brickwork tiles with and without cracks",
            local="brick",
            page="",
            left_out=True,
        ),
        DataSet(
            name="joints",
            summary="drawn joints, mortar, board marks on concrete, each with and without a crack; made on this machine from a seed",
            licence="CC-BY-4.0 AND CC0-1.0",
            citation="METU, SDNET2018 and uav_concrete, whose test splits are drawn on",
            neighbours=joint_surfaces,
            left_out=True,
            made_of=("uav_concrete", "metu", "sdnet2018"),
        ),
    )
}


def locate(source: str, root: str | None = None, threshold_masks: bool = False, clean: bool = False) -> Source:
    """Find a data set by registry name, or a folder by path; fetches what is missing.

    Args:
        source: registry name, or a folder with one sub-folder per class, or with images and masks.
        root: folder to use instead of where the named data set would be looked for.
        threshold_masks: accept soft masks.
        clean: every picture in the folder is free of cracks, whatever its sub-folders are called.

    Returns:
        A `PairSource` for a set with masks. A folder that has class folders counts as one without.

    Raises:
        CrackError: if it is neither, cannot be fetched, or has no masks to threshold.
    """
    entry = DATASETS.get(source)
    # A name wins over a folder of that name; "./metu" means the folder.
    folder = Path(root or source).expanduser() if entry is None or root else entry.fetch()
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise CrackError(
            f"{folder} {what}. Give a data set ({', '.join(DATASETS)}), a folder with one sub-folder per class "
            "or with images and masks, or a manifest .csv."
        )
    folder = folder.resolve()
    if entry is None:
        # A path to the local copy of a known data set must not lose that set's neighbour rule.
        entry = next((known for known in DATASETS.values() if _same(known.local_copy(), folder)), None)
    drawn = (folder / SETTINGS).is_file()  # by this program's own generator, wherever it was told to put the set
    name, licence = folder.name, "CC0-1.0" if drawn else "not stated"
    neighbours = mined_photographs if (folder / mined.SETTINGS).is_file() else None
    if entry is not None:
        name, licence, neighbours = entry.name, entry.licence, entry.neighbours
        segment = entry.task == "segment"
    else:
        segment = not has_class_folders(folder) and bool(pair_folders(folder))
    if clean and entry is None and any(path.is_dir() and label_of(path.name) for path in folder.iterdir()):
        raise CrackError(
            f"--clean: {folder} has a folder of cracked pictures. Leave --clean out, or name the folder of clean ones."
        )
    clean = clean or (entry is not None and entry.clean)
    if segment and not clean:
        return PairSource(name, folder, portable_root(folder), licence, neighbours, threshold_masks)
    if threshold_masks:
        raise CrackError(f"--threshold-masks: {folder} holds no masks. Leave it out.")
    kind = CleanSource if clean else Source
    twins = entry is not None and bool(entry.made_of)
    return kind(name, folder, portable_root(folder), licence, neighbours, twins=twins)


def fetch(name: str, out: str | Path | None = None, overwrite: bool = False) -> Path:
    """Get a named data set, and copy it to a folder of the user's choice if one is given.

    Args:
        name: registry name.
        out: where to copy the images, or None to leave them where they were found or downloaded to.
        overwrite: replace `out`.

    Returns:
        The folder that holds the images.

    Raises:
        CrackError: if the name is unknown, `out` exists, or the download fails.
    """
    if name not in DATASETS:
        raise CrackError(f"data set {name!r} is unknown: choose one of {', '.join(DATASETS)}.")
    if out is None:
        return locate(name).folder
    out = Path(out)
    _refuse_nested(out, DATASETS[name].local_copy())
    check_folder(out, OUTPUT, overwrite)
    place = locate(name)
    _refuse_nested(out, place.folder)
    with partial_folder(out) as partial:
        shutil.copytree(place.folder, partial, copy_function=shutil.copyfile, dirs_exist_ok=True)
        _put_in_place(partial, out)
    return out


def _put_in_place(partial: Path, out: Path) -> None:
    """Move a whole copy to the folder asked for, in which an earlier copy may lie, and files of the user's.

    Raises:
        CrackError: if a file of the copy would replace one that no copy put there, or that was changed since.
    """
    names = sorted(path.relative_to(partial).as_posix() for path in partial.rglob("*") if path.is_file())
    hashes = {name: sha256_file(partial / name) for name in names}
    mark = read_mark(out, OUTPUT) or {}
    # "earlier" is there when that copying was interrupted.
    before = [*mark.get("files", {}).items(), *mark.get("earlier", {}).items()]
    own = {name: found for name, found in before if _is_plain(name) and _is_file(out / name, found)}
    taken = sorted(name for name in {*names} - {*own} if os.path.lexists(out / name))
    if taken:
        raise CrackError(
            f"--overwrite: {out} holds {len(taken)} files that would be replaced and that no earlier copy left there, the first "
            f"{taken[0]}. Choose another --out."
        )
    write_mark(out, OUTPUT, files=hashes, earlier=own)
    remove_files(out, [out / name for name in own if name not in hashes])
    for name in names:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (partial / name).replace(out / name)
    write_mark(out, OUTPUT, files=hashes)


def _refuse_nested(out: Path, folder: Path | None) -> None:
    place = out.resolve()
    if folder is not None and (place.is_relative_to(folder.resolve()) or folder.resolve().is_relative_to(place)):
        raise CrackError(
            f"--out {out} and the data set's own folder {folder} lie in one another. Choose another folder."
        )


def _is_plain(name: str) -> bool:
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def _is_file(path: Path, sha256: str) -> bool:
    return path.is_file() and not path.is_symlink() and sha256_file(path) == sha256


def prepare(source: str, policy: str | None = None, seed: int = 0) -> Manifest:
    """The manifest of a data set, made when it is not there yet; what a user should know of it then goes to stderr, and each time what is
    missing from it.

    Args:
        source: path of a manifest .csv, a registry name, or a folder with one sub-folder per class, or with images and masks.
        policy: see `crack_tf.data.split.split`; not used for a manifest file.
        seed: of the split; not used for a manifest file.

    Raises:
        CrackError: if the source is none of these, or its images cannot be audited and split.
    """
    if source.lower().endswith(".csv"):
        return read_manifest(source)
    check_policy(policy)
    place = locate(source)
    policy = policy or default_policy(place.listing())
    kept = cache_folder() / "manifests" / f"{place.name}-{policy}-{seed}-{_listing_hash(place)}.csv"
    missing = kept.with_suffix(".json")
    if not kept.exists():
        result = audit(place)
        manifest = split(result, policy, seed)
        told = [
            *mask_notes(result.records),
            *contradiction_notes(result),
            *split_notes(result, manifest),
            *passed_over_notes(passed_over(place, near=True)),
        ]
        for note in told:
            print(f"{place.name}: {note}", file=sys.stderr)
        # Before the manifest: where that is, these are.
        write_json(missing, {"notes": [*unreadable_notes(result), *trouble_notes(result)]})
        write_manifest(kept, manifest, overwrite=True)
    for note in _kept_notes(missing):
        print(f"{place.name}: {note}", file=sys.stderr)
    return read_manifest(kept)


def _kept_notes(path: Path) -> list[str]:
    """What is missing from a kept manifest; nothing of one that was made before this was kept."""
    try:
        return [str(note) for note in read_json(path)["notes"]]
    except (CrackError, LookupError, TypeError):
        return []


def _listing_hash(place: Source) -> str:
    """Changes when a file is added, removed, renamed or rewritten, so that a kept manifest never describes other files."""
    lines = [str(place.folder)]
    for path in place.listing():
        status = (place.folder / path).stat()
        lines.append(f"{path}\t{status.st_size}\t{status.st_mtime_ns}")
    return sha256_bytes("\n".join(lines).encode("utf-8"))[:12]


def _generate(entry: DataSet) -> Path:
    if entry.made_of:
        return _draw_joints(entry)
    # Goes on where an interrupted run stopped and does nothing when the set is whole. The folder is this program's own, so
    # a set of an older generator is replaced.
    write = write_pairs if entry.task == "segment" else write_dataset
    return write(cache_folder() / entry.name, overwrite=True)


def _draw_joints(entry: DataSet) -> Path:
    from crack_tf.data.joint_tiles import write_joints

    sources = [prepare(name, "grouped") for name in entry.made_of]
    # Of SDNET2018's walls, only what a second reader takes for clean as well.
    reviews = {"sdnet2018": "sdnet2018_walls"}
    onto = [
        apply_review(source, find_review(reviews[source.dataset])) if source.dataset in reviews else source
        for source in sources
    ]
    return write_joints(cache_folder() / entry.name, sources[0], onto)


def _same(one: Path | None, other: Path) -> bool:
    return one is not None and one.resolve() == other


def _download(entry: DataSet) -> Path:
    try:
        import kagglehub
    except ImportError:
        raise CrackError(
            f"data set {entry.name} needs kagglehub. Run: {install('train')}. Or: {entry.by_hand}"
        ) from None
    try:
        return Path(kagglehub.dataset_download(entry.kaggle))
    except Exception as error:  # kagglehub raises its own, requests' and urllib3's errors, without a common base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CrackError(
            f"data set {entry.name} could not be downloaded from Kaggle ({reason[:200]}). {entry.by_hand}"
        ) from None
