"""The photographs, masks, log and truth of a drawn flight; see `crack_tf.data.flight`."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from crack_tf.synthetic.flight_geometry import (
    START,
    Shot,
    Surface,
    dice,
    focal_px,
    homography,
    is_square,
    shots,
    to_photo,
    to_wall,
)
from crack_tf.synthetic.flight_plan import ROUND, Plan
from crack_tf.synthetic.flight_truth import camera_of, declared, faces_file, true_coverage, true_mm_per_pixel
from crack_tf.synthetic.surface import GAUSSIAN
from crack_tf.synthetic.wall import Wall, WallCrack, draw_walk
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv, write_json
from tflite.locks import FolderLock
from tflite.outputs import Output, check_folder, json_with, remove_files

FORMAT = "crack_tf.flight/1"
TRUTH, FACES = "truth.json", "faces.json"
_FILES = (TRUTH, FACES, "flight.csv", "photos/IMG_*.jpg", "masks/IMG_*.png")
OUTPUT = Output("crack-tf data flight", json_with(TRUTH, format=FORMAT), _FILES, first=TRUTH)
_MAKER = "crack_tf"  # of the camera, in the EXIF data of drawn photographs
_APART = 110.0  # pixels between two cracks, at least
_SMEAR_PX = 15
_LENGTHS = (0.30, 0.62)  # of a photograph's width
_DARKNESS = (0.55, 0.82)  # of what `draw_walk` draws
_ROUND_SHADE = 0.3  # of the light that a round pier has less at its edges
_ROUND_MARGIN = 0.24  # of a photograph's width: what lies nearer to its edge is seen obliquely on a round pier
_FAR_PX = 10_000_000
_LATER_TONES = (0.92, 1.08)  # exponents of a later flight's tone curve
_LATER_DARKNESS = 0.04  # standard deviation of how much less or more light a crack takes then, as a share


def moved(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Points (n, 2) by a homography (3, 3)."""
    found = np.c_[points, np.ones(len(points))] @ homography.T
    return np.asarray(found[:, :2] / found[:, 2:])


def write_flight(folder: str | Path, plan: Plan, *, overwrite: bool = False, jobs: int = 2) -> dict[str, Any]:
    """Draw a flight and write it.

    Args:
        folder: for the files, see the module's description.
        plan: what to draw.
        overwrite: replace an earlier flight; only files that it wrote are removed.
        jobs: threads.

    Returns:
        What `truth.json` holds.

    Raises:
        CrackError: if the plan cannot be drawn, the folder holds something, or another process is writing there.
    """
    plan.check()
    folder = Path(folder)
    with FolderLock(folder):
        return _write_flight(folder, plan, overwrite, jobs)


def _write_flight(folder: Path, plan: Plan, overwrite: bool, jobs: int) -> dict[str, Any]:
    """See `write_flight`; in a folder that is this process's."""
    from concurrent.futures import ThreadPoolExecutor

    check_folder(folder, OUTPUT, overwrite, hint="Choose another --out, or add --overwrite where it holds a flight.")
    faces, taken_shots = shots(plan)
    drawn = [path for path in (folder / "photos").glob("IMG_*.jpg") if _is_drawn(path)]
    taken = sorted(
        {folder / "photos" / shot.name for shot in taken_shots if (folder / "photos" / shot.name).exists()} - {*drawn}
    )
    if taken:  # cameras give such names too
        raise CrackError(f"{taken[0]} was not drawn here and would be replaced. Choose another --out.")
    remove_files(folder, [path for photo in drawn for path in (photo, folder / "masks" / f"{photo.stem}.png")])
    # From the start, so that what an interrupted run leaves is known for a flight, and for half of one.
    write_json(folder / TRUTH, {"format": FORMAT, "complete": False})
    walls = [_wall(plan, number) for number in range(len(faces))]
    with ThreadPoolExecutor(jobs) as pool:
        seen = list(
            pool.map(
                lambda shot: _write_photo(folder, plan, walls[shot.face], shot, last=shot is taken_shots[-1]),
                taken_shots,
            )
        )
    _write_log(folder / "flight.csv", taken_shots)
    write_json(folder / FACES, faces_file([declared(plan, face) for face in faces]))
    truth = _truth(plan, faces, walls, taken_shots, seen)
    write_json(folder / TRUTH, truth)
    return truth


def _is_drawn(path: Path) -> bool:
    """Whether a photograph says that it was drawn here."""
    try:
        with Image.open(path, formats=("JPEG",)) as photo:
            return photo.getexif().get(0x010F) == _MAKER
    except (OSError, ValueError, SyntaxError):
        return False


def _wall(plan: Plan, number: int) -> Wall:
    """A pier with cracks, each whole on one photograph at least and well apart from the others."""
    rng = np.random.default_rng([plan.seed, 1, number])
    cracks: list[WallCrack] = []
    margin = np.array([_ROUND_MARGIN if plan.shape == ROUND else 0.06, 0.06]) * plan.width
    for _ in range(40 * plan.cracks):
        if len(cracks) == plan.cracks:
            break
        low, high = np.log(plan.widths_px)
        width = math.exp(rng.uniform(low, high))
        length = rng.uniform(*_LENGTHS) * plan.width * min(1.0, 0.6 + width / 20)
        column, row = int(rng.integers(plan.columns)), int(rng.integers(plan.rows))
        left, top = plan.upper_left(row, column)
        start = (left + rng.uniform(0, plan.width), top + rng.uniform(0, plan.height))
        crack = _as_dark(draw_walk(rng, start, rng.uniform(0, 2 * math.pi), length, width), plan.darkness)
        low_x, low_y = np.maximum((left, top), (plan.pier.x, plan.pier.y)) + margin
        high_x = min(left + plan.width, plan.pier.x + plan.pier.w) - margin[0]
        high_y = min(top + plan.height, plan.pier.y + plan.pier.h) - margin[1]
        x, y = crack.points.T
        if x.min() < low_x or x.max() > high_x or y.min() < low_y or y.max() > high_y:
            continue
        if all(_distance(crack, other) > _APART for other in cracks):
            cracks.append(crack)
    if plan.epoch:
        change = dice(plan, 7, number)
        cracks = [
            _longer(
                _later(crack, in_turn(plan, plan.grown_mm, at), float(change.normal(1, _LATER_DARKNESS))),
                in_turn(plan, plan.longer_mm, at),
                dice(plan, 10, at),
            )
            for at, crack in enumerate(cracks, start=number * plan.cracks)
        ]
    # What is wound around has no edges.
    pier = replace(plan.pier, x=-_FAR_PX, w=3 * _FAR_PX) if plan.shape == ROUND else plan.pier
    return Wall(int(rng.integers(2**31)), pier, tuple(cracks))


def in_turn(plan: Plan, values_mm: Sequence[float], number: int) -> float:
    """A crack's own of some millimetres, in pixels of the wall, by its place among all that were tried for; 0 of none."""
    return values_mm[number % len(values_mm)] / plan.mm_per_pixel if values_mm else 0.0


def _later(crack: WallCrack, grown: float, darker: float) -> WallCrack:
    """A crack wider by so many pixels on average, less so at its tips, and darker by a factor."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(crack.points, axis=0).T))])
    opening = np.clip(0.35 + np.minimum(along, along[::-1]) / 60, 0, 1)
    reach = crack.reach + 0.5 * grown * opening / opening.mean()
    return replace(crack, reach=reach, depth=min(0.95, crack.depth * darker))


def _longer(crack: WallCrack, longer: float, rng: np.random.Generator) -> WallCrack:
    """A crack that runs on at its last end for so many pixels; its old tip has opened, and the new one is as fine."""
    if not longer:
        return crack
    step = float(np.hypot(*np.diff(crack.points, axis=0).T).mean())
    count = max(1, round(longer / step))
    ahead = crack.points[-1] - crack.points[-10]
    angles = math.atan2(ahead[1], ahead[0]) + np.cumsum(rng.normal(0, 0.08, count)) + rng.normal(0, 0.3, count)
    steps = longer / count * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points = np.concatenate([crack.points, crack.points[-1] + np.cumsum(steps, axis=0)])

    def fine(places: int, of: int) -> np.ndarray:
        return np.clip(0.35 + step * (of - 1 - np.arange(places)) / 60, 0, 1)

    whole = crack.reach / fine(len(crack.points), len(crack.points))
    side = np.repeat(np.median(whole, axis=1, keepdims=True), count, axis=1)
    return replace(crack, points=points, reach=np.concatenate([whole, side], axis=1) * fine(len(points), len(points)))


def _as_dark(crack: WallCrack, darkness: tuple[float, float]) -> WallCrack:
    share = (crack.depth - _DARKNESS[0]) / (_DARKNESS[1] - _DARKNESS[0])
    return crack if darkness == _DARKNESS else replace(crack, depth=darkness[0] + share * (darkness[1] - darkness[0]))


def _distance(one: WallCrack, other: WallCrack) -> float:
    a, b = one.points[::3], other.points[::3]
    return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)).min())


def _write_photo(folder: Path, plan: Plan, wall: Wall, shot: Shot, last: bool) -> np.ndarray:
    """Take the photograph, write it and its mask; returns the mask, packed."""
    import cv2

    number = shot_number(shot)
    pixels, cover = _look(plan, wall, shot)
    if shot.smeared:
        pixels = cv2.blur(pixels, (_SMEAR_PX, 1))
    mask = cover >= 0.5
    tone = float(dice(plan, 9, number).uniform(*_LATER_TONES)) if plan.epoch else 1.0
    photo = Image.fromarray(_expose(pixels, dice(plan, 3, number), tone))
    exif = _exif(plan, shot, with_position=not last)
    if number == 1:  # a camera mounted upside down
        photo = photo.transpose(Image.Transpose.ROTATE_180)
        exif[0x0112] = 3
    with atomic_path(folder / "photos" / shot.name) as temporary:
        xmp = b"" if shot.range_m is None else _xmp(plan, shot)
        photo.save(temporary, quality=92, exif=exif, xmp=xmp)
    with atomic_path(folder / "masks" / Path(shot.name).with_suffix(".png")) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, bits=1)
    return np.packbits(mask)


def blank_photo(plan: Plan, shot: Shot) -> bytes:
    """A JPEG of nothing, with everything that the photograph says of its exposure: for questions of place and scale alone."""
    stream = io.BytesIO()
    xmp = b"" if shot.range_m is None else _xmp(plan, shot)
    grey = Image.new("L", (plan.width, plan.height), 128)
    grey.save(stream, "JPEG", exif=_exif(plan, shot, with_position=True), xmp=xmp)
    return stream.getvalue()


def shot_number(shot: Shot) -> int:
    """From 0; those that were not taken count, too."""
    return int(Path(shot.name).stem.rpartition("_")[2]) - 1


def _look(plan: Plan, wall: Wall, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """What the camera sees: float32 or uint8 (height, width, 3), and the share of each pixel that cracks cover, float32 (height, width)."""
    import cv2

    size, flags = (plan.width, plan.height), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    known = homography(plan, shot)
    if known is None:
        return _look_around(plan, wall, shot)
    corners = moved(np.array([[0, 0], [plan.width, 0], [0, plan.height], [plan.width, plan.height]]), known)
    x, y = np.floor(corners.min(axis=0)).astype(int) - 2
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    pixels, cover = wall.view(int(x), int(y), int(right - x), int(bottom - y))
    if is_square(plan, shot):
        shift = known[:2] - np.array([[0, 0, x], [0, 0, y]])
        shown = cv2.warpAffine(pixels, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return shown, cv2.warpAffine(cover, shift, size, flags=flags)
    shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]]) @ known
    reduce = max(0.0, shot.distance_m / plan.distance_m - 1)  # pixels of the wall that become one
    if reduce:
        pixels, cover = cv2.GaussianBlur(pixels, (0, 0), 0.5 * reduce), cv2.GaussianBlur(cover, (0, 0), 0.5 * reduce)
    shown = cv2.warpPerspective(pixels, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return shown, cv2.warpPerspective(cover, shift, size, flags=flags)


def _look_around(plan: Plan, wall: Wall, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """The same before a round pier."""
    import cv2

    columns, rows = np.meshgrid(np.arange(plan.width), np.arange(plan.height))
    places = to_wall(plan, shot, np.c_[columns.ravel(), rows.ravel()]).reshape(plan.height, plan.width, 2)
    with np.errstate(invalid="ignore"):
        shows = (places[..., 1] >= plan.pier.y) & (places[..., 1] < plan.pier.y + plan.pier.h)
    places = np.where(shows[..., None], places, np.nan).astype(np.float32)
    x, y = np.floor(np.nanmin(places, axis=(0, 1))).astype(int) - 2
    right, bottom = np.ceil(np.nanmax(places, axis=(0, 1))).astype(int) + 2
    pixels, cover = _unrolled(wall, plan.pier.w, int(x), int(y), int(right - x), int(bottom - y))
    maps = [np.where(shows, places[..., axis] - start, -1).astype(np.float32) for axis, start in enumerate((x, y))]
    shown = cv2.remap(pixels, *maps, cv2.INTER_LINEAR).astype(np.float32)
    _, cosine = to_photo(plan, shot, np.nan_to_num(places.reshape(-1, 2)).astype(float))
    shade = 1 - _ROUND_SHADE * (1 - np.nan_to_num(cosine).clip(0, 1)).reshape(shows.shape)
    shown *= shade[..., None].astype(np.float32)
    if not shows.all():
        x, y = round(shot.centre[0] - plan.width / 2), round(shot.centre[1] - plan.height / 2)
        beside = Wall(wall.seed, replace(wall.pier, x=2 * _FAR_PX, w=0), ()).view(x, y, plan.width, plan.height)[0]
        soft = cv2.GaussianBlur(shows.astype(np.float32), (0, 0), 1.0)[..., None]
        shown = shown * soft + beside * (1 - soft)
    return shown, np.where(shows, cv2.remap(cover, *maps, cv2.INTER_LINEAR), 0).astype(np.float32)


def _unrolled(wall: Wall, around: int, x: int, y: int, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """`Wall.view` of a wall that is wound around: what lies left of 0 is the right end."""
    parts, end = [], x + width
    while x < end:
        start = x % around
        wide = min(end - x, around - start)
        parts.append(wall.view(start, y, wide, height))
        x += wide
    return np.concatenate([part[0] for part in parts], axis=1), np.concatenate([part[1] for part in parts], axis=1)


def _expose(pixels: np.ndarray, rng: np.random.Generator, tone: float = 1.0) -> np.ndarray:
    """Exposure and white balance of this photograph, uneven light, a lens's blur, a tone curve, sensor noise; uint8 (h, w, 3)."""
    import cv2

    height, width = pixels.shape[:2]
    balance = rng.uniform(0.93, 1.07) * (1 + rng.normal(0, 0.01, 3))
    slope = rng.normal(0, 0.04, 2)
    across = 1 + slope[0] * np.linspace(-1, 1, width, dtype=np.float32)
    down = 1 + slope[1] * np.linspace(-1, 1, height, dtype=np.float32)
    light = (down[:, None] * across[None])[..., None] * balance.astype(np.float32)
    blurred = cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 0.8)))
    grain = GAUSSIAN * np.float32(rng.uniform(0.8, 2.2))
    dice = rng.integers(0, 256, (height, width, 2), np.uint8)
    noise = grain[dice[..., 0]] + 0.5
    result = blurred * light.astype(np.float32)
    if tone != 1:
        result = 255 * (result / 255) ** np.float32(tone)
    result += noise[..., None]
    result[..., 2] += (0.5 * grain)[dice[..., 1]]
    return np.asarray(result.clip(0, 255).astype(np.uint8))


def _exif(plan: Plan, shot: Shot, with_position: bool) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = _MAKER, "drawn from a seed"
    local = shot.time + timedelta(hours=2)
    diagonal = math.hypot(plan.width, plan.height)
    focal_35mm = round(plan.focal_35mm)
    # The equivalent focal length is a whole number: the distance makes up for its rounding.
    distance = true_mm_per_pixel(plan, shot) * diagonal * focal_35mm / math.hypot(36, 24) / 1000
    taken = exif.get_ifd(0x8769)
    taken[0x9003], taken[0x9011] = local.strftime("%Y:%m:%d %H:%M:%S"), "+02:00"
    taken[0x920A], taken[0xA405] = IFDRational(round(focal_35mm * 1000 / 2.7), 1000), focal_35mm
    if shot.range_m is None:
        taken[0x9206] = IFDRational(round(distance * 1e6), 1_000_000)
    taken[0xA002], taken[0xA003] = plan.width, plan.height
    if with_position:
        gps = exif.get_ifd(0x8825)
        gps[1], gps[2] = ("N" if shot.latitude >= 0 else "S"), _angle(shot.latitude)
        gps[3], gps[4] = ("E" if shot.longitude >= 0 else "W"), _angle(shot.longitude)
        gps[5], gps[6] = b"\0", IFDRational(round(shot.altitude_m * 1000), 1000)
        gps[7] = tuple(IFDRational(part, 1) for part in (shot.time.hour, shot.time.minute, shot.time.second))
        gps[29] = shot.time.strftime("%Y:%m:%d")
        gps[16], gps[17] = "T", IFDRational(round(shot.heading_deg * 100), 100)
    return exif


def _xmp(plan: Plan, shot: Shot) -> bytes:
    """What a drone of DJI with a laser, a gimbal and RTK writes."""
    values = {
        "GimbalYawDegree": f"{(shot.heading_deg + 180) % 360 - 180:+.2f}",
        "GimbalPitchDegree": f"{math.degrees(shot.said_pitch):+.2f}",
        "GimbalRollDegree": f"{math.degrees(shot.tilt):+.2f}",
        "LRFStatus": "Normal",
        "LRFTargetDistance": f"{shot.range_m:.4f}",
        "CalibratedFocalLength": f"{focal_px(plan):.4f}",
        "RtkFlag": "50",
        "RtkStdLat": f"{max(0.001, plan.gps_noise_m):.4f}",
        "RtkStdLon": f"{max(0.001, plan.gps_noise_m):.4f}",
        "RtkStdHgt": f"{max(0.001, plan.gps_noise_m):.4f}",
    }
    text = " ".join(f'drone-dji:{name}="{value}"' for name, value in values.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:drone-dji="http://www.dji.com/drone-dji/1.0/" {text}/></rdf:RDF></x:xmpmeta>'
    ).encode()


def _angle(degrees: float) -> tuple[IFDRational, ...]:
    millionths = round(abs(degrees) * 3600 * 1_000_000)
    minutes, rest = divmod(millionths, 60 * 1_000_000)
    return IFDRational(minutes // 60, 1), IFDRational(minutes % 60, 1), IFDRational(rest, 1_000_000)


def _write_log(path: Path, shots: Sequence[Shot]) -> None:
    """A position every second, from two seconds before the first photograph to two after the last."""
    seconds = np.array([(shot.time - START).total_seconds() for shot in shots])
    # Unwrapped, so that a flight across the antimeridian is a short one.
    longitudes = np.unwrap([shot.longitude for shot in shots], period=360)
    headings = np.unwrap([shot.heading_deg for shot in shots], period=360)
    rows = []
    for second in np.arange(seconds[0] - 2, seconds[-1] + 3):
        longitude = (float(np.interp(second, seconds, longitudes)) + 180) % 360 - 180
        rows.append(
            {
                "time": (START + timedelta(seconds=float(second))).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "latitude": f"{np.interp(second, seconds, [shot.latitude for shot in shots]):.9f}",
                "longitude": f"{longitude:.9f}",
                "altitude": f"{np.interp(second, seconds, [shot.altitude_m for shot in shots]):.3f}",
                "heading_deg": f"{np.interp(second, seconds, headings) % 360:.2f}",
            }
        )
    write_csv(path, rows)


def _truth(
    plan: Plan, faces: Sequence[Surface], walls: Sequence[Wall], shots: Sequence[Shot], masks: Sequence[np.ndarray]
) -> dict[str, Any]:
    cracks: list[dict[str, Any]] = []
    scale, pier = plan.mm_per_pixel / 1000, plan.pier
    for face, wall in enumerate(walls):
        for place, crack in enumerate(wall.cracks):
            seen = {}
            for shot in shots:
                points = _visible(plan, shot, crack) if shot.face == face else None
                if points is not None:
                    seen[shot.name] = {
                        "visible_length_mm": round(_length(points) * true_mm_per_pixel(plan, shot), 2),
                        "points": points.round(1).tolist(),
                    }
            on_face = (crack.points - (pier.x, pier.y + pier.h)) * (scale, -scale)
            cracks.append(
                {
                    "id": len(cracks),
                    "pier": faces[face].pier,
                    "face": faces[face].name,
                    "on_face_m": on_face.round(4).tolist(),
                    "darkness": round(crack.depth, 3),
                    **(_growth_mm(plan, face * plan.cracks + place) if plan.epoch else {}),
                    "length_mm": round(crack.length * plan.mm_per_pixel, 2),
                    "mean_width_mm": round(crack.mean_width * plan.mm_per_pixel, 3),
                    "max_width_mm": round(_widest(crack) * plan.mm_per_pixel, 3),
                    "length_px": round(crack.length, 1),
                    "mean_width_px": round(crack.mean_width, 2),
                    "max_width_px": round(_widest(crack), 2),
                    "photos": seen,
                }
            )
    photos = [
        {
            "name": shot.name,
            "pier": shot.pier,
            "face": faces[shot.face].name,
            "latitude": shot.latitude,
            "longitude": shot.longitude,
            "altitude_m": shot.altitude_m,
            "heading_deg": shot.heading_deg,
            "time": shot.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "pitch_deg": math.degrees(shot.pitch),
            "smeared": shot.smeared,
            "mm_per_pixel": true_mm_per_pixel(plan, shot),
            "camera": camera_of(plan, faces[shot.face], shot),
            "to_wall_mm": _in_mm(plan, shot),
            "cracked_px": int(np.unpackbits(mask, count=plan.width * plan.height).sum()),
        }
        for shot, mask in zip(shots, masks, strict=True)
    ]
    size = {"width": plan.width, "height": plan.height, "mm_per_pixel": plan.mm_per_pixel}
    coverage = [face.as_json() for face in true_coverage(plan, faces, shots)]
    known = {"needs_mm": plan.needed_mm, "faces": coverage, "cracks": cracks, "photos": photos}
    epoch = {"epoch": plan.epoch} if plan.epoch else {}
    return {"format": FORMAT, "complete": True, "seed": plan.seed, **epoch, **size, **known}


def _growth_mm(plan: Plan, number: int) -> dict[str, float]:
    wider, longer = (in_turn(plan, values, number) for values in (plan.grown_mm, plan.longer_mm))
    return {"grown_mm": round(wider * plan.mm_per_pixel, 4), "longer_mm": round(longer * plan.mm_per_pixel, 4)}


def _in_mm(plan: Plan, shot: Shot) -> list[list[float]] | None:
    """Homography from pixels to millimetres of a flat wall; None of a round one."""
    known = homography(plan, shot)
    return None if known is None else (np.diag([plan.mm_per_pixel] * 2 + [1.0]) @ known).tolist()


def _visible(plan: Plan, shot: Shot, crack: WallCrack) -> np.ndarray | None:
    """The part of a crack's centreline on a photograph, float (n, 2) in its pixels; None for less than 20 pixels of it."""
    points, cosine = to_photo(plan, shot, crack.points)
    with np.errstate(invalid="ignore"):
        inside = np.all((points >= 0) & (points <= (plan.width - 1, plan.height - 1)), axis=1) & (cosine > 0)
    if not inside.any():
        return None
    # The longest part, where a crack leaves and comes back.
    edges = np.flatnonzero(np.diff(np.r_[False, inside, False]))
    first, last = max(zip(edges[::2], edges[1::2], strict=True), key=lambda part: part[1] - part[0])
    return points[first:last] if _length(points[first:last]) >= 20 else None


def _length(points: np.ndarray) -> float:
    return float(np.hypot(*np.diff(points, axis=0).T).sum())


def _widest(crack: WallCrack) -> float:
    """Mean width of the widest stretch of about 20 pixels, as `crack_tf.photo.cracks` measures it."""
    return float(np.convolve(crack.widths, np.ones(6) / 6, "valid").max())
