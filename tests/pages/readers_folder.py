"""What a reader of the documents has before the first command, all of it drawn and small; and what a reader does between commands.

python -m tests.pages.readers_folder review found      a person's verdicts on a survey's findings, as review.json
python -m tests.pages.readers_folder verdicts FILE     a person's verdicts in a table of tiles
python -m tests.pages.readers_folder weights FILE      what Keras would download, with random numbers in it
"""

from __future__ import annotations

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from crack_tf.data.__main__ import main as data
from crack_tf.survey.findings import read_survey, survey_id
from crack_tf.survey.reviews.review import ACCEPTED, FORMAT, REJECTED
from tests.documents import ROOT, blocks
from tests.own_models import write_own_model
from tests.tflite.board_results import make_record, make_row
from tflite.files import read_csv, write_csv, write_json
from tflite.manifest import LABELS

WALL = "--piers 1 --size 480x360 --cracks 2 --at 47.05,8.3"
VIDEO_HOURS = 2  # between the video and the photographs


def write_flight(drawn: Path, photographs: Path, options: str) -> None:
    """Photographs of a drawn flight, without the one that has no position."""
    assert data(["flight", *WALL.split(), *options.split(), "--out", str(drawn)]) == 0
    photographs.mkdir()
    for path in sorted((drawn / "photos").iterdir())[:-1]:
        shutil.copyfile(path, photographs / path.name)


def write_flights(folder: Path) -> None:
    """DCIM and DCIM-2026, the same wall a year later; its faces and the drone's log; a video; DCIM-RTK, from farther away."""
    near = "--rows 1 --columns 4 --mm-per-pixel 0.1"
    far = "--rows 2 --columns 3 --mm-per-pixel 4 --distance-m 2.5 --gps-noise-m 0.01 --laser-noise-m 0.1 --pitch-deg 4 --seed 5"
    write_flight(folder / "flights/DCIM", folder / "DCIM", near)
    write_flight(folder / "flights/DCIM-2026", folder / "DCIM-2026", f"{near} --epoch 1 --grown-mm 0,0.3")
    write_flight(folder / "flights/DCIM-RTK", folder / "DCIM-RTK", far)
    for path in (folder / "DCIM-RTK").iterdir():  # a drone without a laser
        path.write_bytes(path.read_bytes().replace(b'LRFStatus="Normal"', b'LRFStatus="NoSig!"'))
    shutil.copyfile(folder / "flights/DCIM/faces.json", folder / "faces.json")
    with (folder / "flights/DCIM/flight.csv").open(newline="") as file:
        fixes = list(csv.DictReader(file))
    earlier = [row | {"time": row["time"].replace("T09:", f"T{9 - VIDEO_HOURS:02d}:")} for row in fixes]
    points = (
        f'<trkpt lat="{row["latitude"]}" lon="{row["longitude"]}"><ele>{row["altitude"]}</ele><time>{row["time"]}</time></trkpt>'
        for row in [*earlier, *fixes]
    )
    head = '<?xml version="1.0"?><gpx version="1.1" xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>'
    (folder / "log.gpx").write_text(f"{head}{''.join(points)}</trkseg></trk></gpx>")


def write_photographs(folder: Path) -> None:
    """A cracked pier and its mask, a drone's photograph, two tiles, clean walls, and a video."""
    from tests.tflite.videos import write_mp4

    with Image.open(ROOT / "crack_tf/shipped/sample.jpg") as image:
        pier = image.convert("RGB").resize((1000, 800))
    pier.save(folder / "pier.jpg", quality=95)
    mask = Image.new("L", pier.size)
    ImageDraw.Draw(mask).line([(20, 30), (980, 760)], fill=255, width=5)
    mask.save(folder / "mask.png")
    about = Image.Exif()
    about.get_ifd(0x8769)[0xA405] = 24  # the focal length as on 35 mm film, in mm
    Image.new("RGB", (4000, 3000), (160, 160, 160)).save(folder / "DJI_0001.JPG", exif=about)
    for name, tile in (("a.jpg", "crack"), ("b.jpg", "no_crack")):
        with Image.open(ROOT / f"crack_tf/zoo_models/mobilenet_v2_real/golden_{tile}.png") as image:
            image.convert("RGB").save(folder / name, quality=95)
    (folder / "walls").mkdir()
    for number in range(2):
        draw_concrete(number, (480, 360), cracked=False)[0].save(folder / "walls" / f"{number}.png")
    with Image.open(folder / "DCIM/IMG_0001.jpg") as image:
        write_mp4(folder / "flight.mp4", [np.asarray(image.convert("RGB"))] * 12)


def draw_concrete(seed: int, size: tuple[int, int], cracked: bool) -> tuple[Image.Image, Image.Image]:
    """A photograph with blots and, where cracked, a dark line; and the line's mask."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(120, 200, (12, 16, 3), dtype=np.uint8))
    photo, mask = coarse.resize(size, Image.Resampling.BICUBIC), Image.new("L", size)
    if cracked:
        line = [(0, int(rng.integers(size[1]))), (size[0], int(rng.integers(size[1])))]
        ImageDraw.Draw(photo).line(line, fill=(30, 30, 30), width=5)
        ImageDraw.Draw(mask).line(line, fill=255, width=5)
    return photo, mask


def write_data(folder: Path) -> None:
    """What $CRACK_TF_DATA holds: tiles of METU and SDNET2018, photographs and masks of Crack500 and DeepCrack."""
    tiles = {"metu": (("Negative", "Positive"), 227), "sdnet2018_walls": (("no_crack", "crack"), 256)}
    for (name, (classes, side)), seed in zip(tiles.items(), (0, 1000), strict=True):
        for label, kind in enumerate(classes):
            (folder / name / kind).mkdir(parents=True)
            for number in range(20):
                path = (
                    folder / name / kind / {"metu": f"{1 + 700 * number:05d}.jpg"}.get(name, f"{7000 + number}-1.jpg")
                )
                draw_concrete(seed + 100 * label + number, (side, side), bool(label))[0].save(path, quality=95)
    pairs = {"crack500": ("20160222_1152{:02d}_1_361", (640, 360)), "deepcrack": ("111{:02d}", (544, 384))}
    for (name, (stem, size)), seed in zip(pairs.items(), (2000, 3000), strict=True):
        write_pairs(folder / "segmentation" / name, stem, size, seed)


def write_pairs(folder: Path, stem: str, size: tuple[int, int], seed: int, count: int = 20) -> None:
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for number in range(count):
        photo, mask = draw_concrete(seed + number, size, cracked=True)
        photo.save(folder / "images" / f"{stem.format(number)}.jpg", quality=95)
        mask.save(folder / "masks" / f"{stem.format(number)}.png")


def write_own(folder: Path) -> None:
    """A classifier made elsewhere, a shipped model's file, annotations of LabelMe, the rules of a page, a program for a sprayer."""
    write_own_model(folder / "mine.tflite", "probability")
    for name in ("opnet-int8-qat.tflite", "opnet-int8-qat.tflite.json"):
        shutil.copyfile(ROOT / "crack_tf/zoo_models/opnet" / name, folder / name)
    (folder / "export").mkdir()
    for number in range(4):
        name = f"photo{number}.jpg"
        draw_concrete(4000 + number, (320, 240), cracked=True)[0].save(folder / "export" / name, quality=95)
        shape = {"label": "crack", "shape_type": "polygon", "points": [[0, 100], [319, 120], [319, 126], [0, 106]]}
        about = {"version": "5.5.0", "imagePath": name, "imageData": None, "imageHeight": 240, "imageWidth": 320}
        write_json(folder / "export" / f"photo{number}.json", about | {"shapes": [shape]})
    (rules,) = (block.text for block in blocks(ROOT / "docs/condition.md") if block.language == "toml")
    (folder / "own-rules.toml").write_text(rules)
    boards = folder / "results/boards"
    boards.mkdir(parents=True)
    for number, board in enumerate(("Raspberry Pi 4", "Raspberry Pi 5")):
        write_json(boards / f"benchmark-{number}.json", make_record(board, [make_row("opnet-int8-qat", 4, 20.0)]))
    shutil.copytree(ROOT / "results/tuning", folder / "results/tuning")
    (folder / "spray.py").write_text("import sys\nopen('sprayed.jsonl', 'a').write(sys.stdin.read())\n")


def write_brought(folder: Path) -> None:
    """Everything."""
    folder.mkdir()
    write_flights(folder)
    write_photographs(folder)
    write_data(folder / "data")
    write_own(folder)


def review(found: Path) -> None:
    """Every second finding is accepted, the others are rejected."""
    survey = read_survey(found)
    decisions = {
        finding.id: {"decision": (ACCEPTED, REJECTED)[number % 2]} for number, finding in enumerate(survey.findings)
    }
    head = {"format": FORMAT, "survey": survey_id(survey), "source": survey.source}
    write_json(Path("review.json"), head | {"decisions": decisions})


def verdicts(table: Path) -> None:
    """Every second tile is called cracked."""
    rows = [row | {"verdict": LABELS[number % 2]} for number, row in enumerate(read_csv(table))]
    write_csv(table, rows, list(rows[0]))


def weights(path: Path) -> None:
    import keras

    keras.applications.MobileNetV2(include_top=False, weights=None).save_weights(path)


if __name__ == "__main__":
    {"review": review, "verdicts": verdicts, "weights": weights}[sys.argv[1]](Path(sys.argv[2]))
