"""The photographs, masks, log and truth of a drawn flight; see `crack_tf.data.flight`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from crack_tf.synthetic.flight_plan import Plan
from crack_tf.synthetic.wall import GAUSSIAN, Wall, WallCrack, draw_walk
from tflite.errors import CrackError
from tflite.files import atomic_path, write_csv, write_json
from tflite.outputs import Output, check_folder, json_with, remove_files

FORMAT = "crack_tf.flight/1"
TRUTH = "truth.json"
_FILES = (TRUTH, "flight.csv", "photos/IMG_*.jpg", "masks/IMG_*.png")
OUTPUT = Output("crack-tf data flight", json_with(TRUTH, format=FORMAT), _FILES, first=TRUTH)
_MAKER = "crack_tf"  # of the camera, in the EXIF data of drawn photographs
_TILT_DEG = 0.6  # standard deviation
_SHAKE = 6.0  # pixels, standard deviation of where the camera really looks
_APART = 110.0  # pixels between two cracks, at least
_EARTH_M = 6_371_008.8  # mean radius
_START = datetime(2025, 6, 1, 9, 30, tzinfo=UTC)
_SECONDS = 4  # between two photographs
_BETWEEN_PIERS_M = 30.0
_DISTANCE_M = 2.0
_WIDTHS_PX = (3.6, 15.0)
_SMEAR_PX = 15
_LENGTHS = (0.30, 0.62)  # of a photograph's width


@dataclass(frozen=True)
class Shot:
    """One photograph.

    Attributes:
        name: of its file.
        pier: number of the pier, from 0.
        centre: (x, y) that the camera looks at, pixels of the wall.
        tilt: of the camera, radians, clockwise.
        time: of the exposure.
        latitude, longitude, altitude_m: of the camera, as measured.
        heading_deg: of the camera.
        pitch: of the camera above the horizon, radians.
        range_m: to the wall in the middle of the photograph, as a laser measured it; None without one.
        smeared: whether the camera moved.
    """

    name: str
    pier: int
    centre: tuple[float, float]
    tilt: float
    time: datetime
    latitude: float
    longitude: float
    altitude_m: float
    heading_deg: float
    pitch: float = 0.0
    range_m: float | None = None
    smeared: bool = False

    def to_wall(self, width: int, height: int) -> np.ndarray:
        """Affine (2, 3): pixels of the photograph to pixels of the wall, if the camera looks level."""
        c, s = math.cos(self.tilt), math.sin(self.tilt)
        x, y = (width - 1) / 2, (height - 1) / 2
        return np.array([[c, -s, self.centre[0] - c * x + s * y], [s, c, self.centre[1] - s * x - c * y]])

    def map_to_wall(self, plan: Plan) -> np.ndarray:
        """Homography (3, 3): pixels of the photograph to pixels of the wall."""
        x, y = (plan.width - 1) / 2, (plan.height - 1) / 2
        focal, c, s = focal_px(plan), math.cos(self.pitch), math.sin(self.pitch)
        middle = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
        looking = np.array([[focal * c, 0, 0], [0, focal, 0], [0, s, focal * c]])
        affine = np.vstack([self.to_wall(plan.width, plan.height), [0, 0, 1]])
        return np.asarray(affine @ np.linalg.inv(middle) @ looking @ middle)


def focal_px(plan: Plan) -> float:
    """Focal length of the camera in pixels."""
    return 1000 * _DISTANCE_M / plan.mm_per_pixel


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
        CrackError: if the plan cannot be drawn or the folder holds something.
    """
    from concurrent.futures import ThreadPoolExecutor

    plan.check()
    folder = Path(folder)
    check_folder(folder, OUTPUT, overwrite, hint="Choose another --out, or add --overwrite where it holds a flight.")
    shots = _shots(plan)
    drawn = [path for path in (folder / "photos").glob("IMG_*.jpg") if _is_drawn(path)]
    taken = sorted(
        {folder / "photos" / shot.name for shot in shots if (folder / "photos" / shot.name).exists()} - {*drawn}
    )
    if taken:  # cameras give such names too
        raise CrackError(f"{taken[0]} was not drawn here and would be replaced. Choose another --out.")
    remove_files(folder, [path for photo in drawn for path in (photo, folder / "masks" / f"{photo.stem}.png")])
    # From the start, so that what an interrupted run leaves is known for a flight, and for half of one.
    write_json(folder / TRUTH, {"format": FORMAT, "complete": False})
    walls = [_wall(plan, number) for number in range(plan.piers)]
    with ThreadPoolExecutor(jobs) as pool:
        seen = list(pool.map(lambda shot: _write_photo(folder, plan, walls[shot.pier], shot, shots), shots))
    _write_log(folder / "flight.csv", plan, shots)
    truth = _truth(plan, walls, shots, seen)
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
    margin = 0.06 * plan.width
    for _ in range(40 * plan.cracks):
        if len(cracks) == plan.cracks:
            break
        low, high = np.log(_WIDTHS_PX)
        width = math.exp(rng.uniform(low, high))
        length = rng.uniform(*_LENGTHS) * plan.width * min(1.0, 0.6 + width / 20)
        column, row = int(rng.integers(plan.columns)), int(rng.integers(plan.rows))
        left, top = column * plan.stride[0], row * plan.stride[1]
        start = (left + rng.uniform(0, plan.width), top + rng.uniform(0, plan.height))
        crack = draw_walk(rng, start, rng.uniform(0, 2 * math.pi), length, width)
        low_x, low_y = np.maximum((left, top), (plan.pier.x, plan.pier.y)) + margin
        high_x = min(left + plan.width, plan.pier.x + plan.pier.w) - margin
        high_y = min(top + plan.height, plan.pier.y + plan.pier.h) - margin
        x, y = crack.points.T
        if x.min() < low_x or x.max() > high_x or y.min() < low_y or y.max() > high_y:
            continue
        if all(_distance(crack, other) > _APART for other in cracks):
            cracks.append(crack)
    return Wall(int(rng.integers(2**31)), plan.pier, tuple(cracks))


def _distance(one: WallCrack, other: WallCrack) -> float:
    a, b = one.points[::3], other.points[::3]
    return float(np.sqrt(((a[:, None] - b[None]) ** 2).sum(axis=2)).min())


def _shots(plan: Plan) -> list[Shot]:
    rng = np.random.default_rng([plan.seed, 2])
    heading = float(rng.uniform(0, 360))
    # Of their own, so that a plan without a laser draws what it always drew.
    gimbal = np.random.default_rng([plan.seed, 4])
    shots: list[Shot] = []
    for pier in range(plan.piers):
        for row in range(plan.rows):
            for column in range(plan.columns):
                x = column * plan.stride[0] + plan.width / 2 + rng.normal(0, _SHAKE)
                y = row * plan.stride[1] + plan.height / 2 + rng.normal(0, _SHAKE)
                pitch = math.radians(gimbal.normal(0, 1) * plan.pitch_deg)
                range_m = _DISTANCE_M + gimbal.normal(0, 1) * (plan.laser_noise_m or 0.0)
                right = pier * _BETWEEN_PIERS_M + x * plan.mm_per_pixel / 1000 + rng.normal(0, plan.gps_noise_m)
                ahead = -_DISTANCE_M * math.cos(pitch) + rng.normal(0, plan.gps_noise_m)
                latitude, longitude = move(plan.latitude, plan.longitude, heading, ahead, right)
                shots.append(
                    Shot(
                        name=f"IMG_{len(shots) + 1:04d}.jpg",
                        pier=pier,
                        centre=(x, y),
                        tilt=math.radians(rng.normal(0, _TILT_DEG)),
                        time=_START + timedelta(seconds=_SECONDS * len(shots) + 60 * pier),
                        latitude=latitude,
                        longitude=longitude,
                        altitude_m=165.0
                        - y * plan.mm_per_pixel / 1000
                        - _DISTANCE_M * math.sin(pitch)
                        + rng.normal(0, plan.gps_noise_m),
                        heading_deg=heading,
                        pitch=pitch,
                        range_m=None if plan.laser_noise_m is None else range_m,
                    )
                )
    odd = gimbal.permutation(len(shots))
    missed, smeared = set(odd[: plan.missed].tolist()), set(odd[plan.missed : plan.missed + plan.blurred].tolist())
    return [replace(shot, smeared=number in smeared) for number, shot in enumerate(shots) if number not in missed]


def move(latitude: float, longitude: float, heading_deg: float, ahead_m: float, right_m: float) -> tuple[float, float]:
    """A place some metres away, on a sphere that is flat that near.

    Args:
        latitude, longitude: degrees, from where.
        heading_deg: of who looks ahead, clockwise from north.
        ahead_m, right_m: metres.

    Returns:
        Latitude, and longitude in [-180, 180).
    """
    c, s = math.cos(math.radians(heading_deg)), math.sin(math.radians(heading_deg))
    north, east = ahead_m * c - right_m * s, ahead_m * s + right_m * c
    lat = latitude + math.degrees(north / _EARTH_M)
    lon = longitude + math.degrees(east / (_EARTH_M * math.cos(math.radians(latitude))))
    return lat, (lon + 180) % 360 - 180


def _write_photo(folder: Path, plan: Plan, wall: Wall, shot: Shot, shots: Sequence[Shot]) -> np.ndarray:
    """Take the photograph, write it and its mask; returns the mask, packed."""
    import cv2

    number = shots.index(shot)
    to_wall = shot.to_wall(plan.width, plan.height)
    corners = moved(
        np.array([[0, 0], [plan.width, 0], [0, plan.height], [plan.width, plan.height]]), shot.map_to_wall(plan)
    )
    x, y = np.floor(corners.min(axis=0)).astype(int) - 2
    right, bottom = np.ceil(corners.max(axis=0)).astype(int) + 2
    pixels, cover = wall.view(int(x), int(y), int(right - x), int(bottom - y))
    size, flags = (plan.width, plan.height), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if shot.pitch:
        shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]]) @ shot.map_to_wall(plan)
        pixels = cv2.warpPerspective(pixels, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpPerspective(cover, shift, size, flags=flags) >= 0.5
    else:
        shift = to_wall - np.array([[0, 0, x], [0, 0, y]])
        pixels = cv2.warpAffine(pixels, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.warpAffine(cover, shift, size, flags=flags) >= 0.5
    if shot.smeared:
        pixels = cv2.blur(pixels, (_SMEAR_PX, 1))
    photo = Image.fromarray(_expose(pixels, np.random.default_rng([plan.seed, 3, number])))
    exif = _exif(plan, shot, with_position=number != len(shots) - 1)
    if number == 1:  # a camera mounted upside down
        photo = photo.transpose(Image.Transpose.ROTATE_180)
        exif[0x0112] = 3
    with atomic_path(folder / "photos" / shot.name) as temporary:
        xmp = b"" if shot.range_m is None else _xmp(plan, shot)
        photo.save(temporary, quality=92, exif=exif, xmp=xmp)
    with atomic_path(folder / "masks" / Path(shot.name).with_suffix(".png")) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, bits=1)
    return np.packbits(mask)


def _expose(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure and white balance of this photograph, uneven light, a lens's blur, sensor noise; uint8 (h, w, 3)."""
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
    result += noise[..., None]
    result[..., 2] += (0.5 * grain)[dice[..., 1]]
    return np.asarray(result.clip(0, 255).astype(np.uint8))


def _exif(plan: Plan, shot: Shot, with_position: bool) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = _MAKER, "drawn from a seed"
    local = shot.time + timedelta(hours=2)
    diagonal = math.hypot(plan.width, plan.height)
    focal_35mm = round(_DISTANCE_M * 1000 * math.hypot(36, 24) / (plan.mm_per_pixel * diagonal))
    # The equivalent focal length is a whole number: the distance makes up for its rounding.
    distance = plan.mm_per_pixel * diagonal * focal_35mm / math.hypot(36, 24) / 1000
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
        "GimbalPitchDegree": f"{math.degrees(shot.pitch):+.2f}",
        "GimbalRollDegree": f"{math.degrees(shot.tilt):+.2f}",
        "LRFStatus": "Normal",
        "LRFTargetDistance": f"{shot.range_m:.4f}",
        "CalibratedFocalLength": f"{focal_px(plan):.4f}",
        "RtkFlag": "50",
        "RtkStdLat": f"{max(0.001, plan.gps_noise_m):.4f}",
        "RtkStdLon": f"{max(0.001, plan.gps_noise_m):.4f}",
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


def _write_log(path: Path, plan: Plan, shots: Sequence[Shot]) -> None:
    """A position every second, from two seconds before the first photograph to two after the last."""
    seconds = np.array([(shot.time - _START).total_seconds() for shot in shots])
    # Unwrapped, so that a flight across the antimeridian is a short one.
    longitudes = np.unwrap([shot.longitude for shot in shots], period=360)
    rows = []
    for second in np.arange(seconds[0] - 2, seconds[-1] + 3):
        longitude = (float(np.interp(second, seconds, longitudes)) + 180) % 360 - 180
        rows.append(
            {
                "time": (_START + timedelta(seconds=float(second))).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "latitude": f"{np.interp(second, seconds, [shot.latitude for shot in shots]):.9f}",
                "longitude": f"{longitude:.9f}",
                "altitude": f"{np.interp(second, seconds, [shot.altitude_m for shot in shots]):.3f}",
                "heading_deg": f"{shots[0].heading_deg:.2f}",
            }
        )
    write_csv(path, rows)


def _truth(plan: Plan, walls: Sequence[Wall], shots: Sequence[Shot], masks: Sequence[np.ndarray]) -> dict[str, Any]:
    cracks: list[dict[str, Any]] = []
    for pier, wall in enumerate(walls):
        for crack in wall.cracks:
            seen = {}
            for shot in shots:
                points = _visible(plan, shot, crack) if shot.pier == pier else None
                if points is not None:
                    seen[shot.name] = {
                        "visible_length_mm": round(_length(points) * plan.mm_per_pixel, 2),
                        "points": points.round(1).tolist(),
                    }
            cracks.append(
                {
                    "id": len(cracks),
                    "pier": pier,
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
            "latitude": shot.latitude,
            "longitude": shot.longitude,
            "altitude_m": shot.altitude_m,
            "heading_deg": shot.heading_deg,
            "time": shot.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "pitch_deg": math.degrees(shot.pitch),
            "smeared": shot.smeared,
            "to_wall_mm": (np.diag([plan.mm_per_pixel] * 2 + [1.0]) @ shot.map_to_wall(plan)).tolist(),
            "cracked_px": int(np.unpackbits(mask, count=plan.width * plan.height).sum()),
        }
        for shot, mask in zip(shots, masks, strict=True)
    ]
    size = {"width": plan.width, "height": plan.height, "mm_per_pixel": plan.mm_per_pixel}
    return {"format": FORMAT, "complete": True, "seed": plan.seed, **size, "cracks": cracks, "photos": photos}


def _visible(plan: Plan, shot: Shot, crack: WallCrack) -> np.ndarray | None:
    """The part of a crack's centreline on a photograph, float (n, 2) in its pixels; None for less than 20 pixels of it."""
    points = moved(crack.points, np.linalg.inv(shot.map_to_wall(plan)))
    inside = np.all((points >= 0) & (points <= (plan.width - 1, plan.height - 1)), axis=1)
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
