"""An elevation of each face of a structure, true to scale: its cracks with numbers and classes of width, and a title block.

sheet-001.svg    on paper of A3, at the scale that its title block states; prints true to scale at 100 %
sheet-001.dxf    the same face in millimetres, full size, a layer for each class of width, for CAD programs
sheet-001.png    a picture of the sheet
sheet-001.jpg    the mosaic of the photographs, which the .dxf refers to; where photographs were given
sheets.json      the numbers: each crack with its vertices in millimetres from the lower left corner of its face
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crack_tf.photo.faces import Face
from crack_tf.survey.findings import Survey, flown, title_of
from crack_tf.survey.formats.alignment import aligned
from crack_tf.survey.formats.mosaic import Mosaic, draw_mosaic
from crack_tf.survey.formats.sheet_dxf import write_dxf
from crack_tf.survey.formats.sheet_layout import Layout, SheetCrack, Title, layout_of, width_class
from crack_tf.survey.formats.sheet_png import write_png
from crack_tf.survey.formats.sheet_svg import write_svg
from crack_tf.survey.geometry.placing import Placed, PlacedCrack, place_cracks
from crack_tf.survey.geometry.views import Views, asked_of, views_of
from crack_tf.survey.merge import Points
from tflite.errors import CrackError
from tflite.files import atomic_path, write_json
from tflite.outputs import Output, json_with
from tflite.words import counted

MADE_BY = "crack-tf survey-export"
FORMAT = "crack_tf.sheets/1"
INDEX = "sheets.json"
_NUMBER = "[0-9]" * 3
OUTPUT = Output(
    f"{MADE_BY} --to sheet",
    json_with(INDEX, format=FORMAT),
    (INDEX, *(f"sheet-{_NUMBER}{suffix}" for suffix in (".svg", ".dxf", ".png", ".jpg"))),
)


@dataclass(frozen=True)
class Sheets:
    """What was written.

    Attributes:
        sheets: one per face.
        cracks: on them.
        gaps: photographs that are missing in a mosaic, and cracks that are on no face.
    """

    sheets: int
    cracks: int
    gaps: tuple[str, ...]


def plan_sheets(survey: Survey, points: Points) -> tuple[Views, Placed]:
    """The faces to draw, and the cracks on them.

    Args:
        survey: to draw.
        points: by which photographs are known again on others, to align them; see `crack_tf.survey.formats.alignment`.

    Raises:
        CrackError: if there is no face to draw, or the survey's settings are damaged.
    """
    asked = asked_of(survey)
    views = views_of(survey.photos, asked.faces, asked.position_error_m)
    if views is None or not views.faces:
        raise CrackError(
            "there is no face to draw: no photograph has position, altitude, direction and scale (docs/coverage.md). State the faces with "
            "crack-tf survey --faces."
        )
    views = aligned(views, points, asked.position_error_m)
    return views, place_cracks(survey, views)


def write_sheets(out: Path, survey: Survey, drawing: tuple[Views, Placed], photos: Path | None) -> Sheets:
    """Write the sheets of all faces into a folder that is there.

    Args:
        out: the folder.
        survey: that they are of.
        drawing: of `plan_sheets`.
        photos: folder that it was made of, for the mosaic; None for sheets without.
    """
    views, placed = drawing
    position_error_m = asked_of(survey).position_error_m
    gaps = []
    if placed.lost:
        gaps.append(
            f"{counted(len(placed.lost), 'drawn crack lies', 'drawn cracks lie')} on no face, the first is finding {placed.lost[0].id}"
        )
    index: list[dict[str, Any]] = []
    number = 0
    for count, (face, looking) in enumerate(views.faces, 1):
        here = [crack for crack in placed.cracks if crack.face == face]
        cracks = [_on_sheet(crack, number + place) for place, crack in enumerate(here, 1)]
        number += len(cracks)
        mosaic: Mosaic | None = None
        if photos is not None:
            mosaic = draw_mosaic(face, views.frame, looking, photos)
            gaps += [f"not in the mosaic of {face.name}: {text}" for text in mosaic.lost]
        layout = layout_of(face, cracks, _title(survey, face, position_error_m, mosaic, count, len(views.faces)))
        index.append(_write(out, f"sheet-{count:03d}", face, layout, mosaic))
    about = {"title": title_of(survey), "source": survey.source, "created": survey.created}
    write_json(out / INDEX, {"format": FORMAT, **about, "sheets": index})
    return Sheets(len(index), number, tuple(gaps))


def _on_sheet(crack: PlacedCrack, number: int) -> SheetCrack:
    finding = crack.finding
    return SheetCrack(
        number=number,
        finding=finding.id,
        lines=tuple(np.round(1000 * line, 1) for line in crack.lines),
        width_class=width_class(finding.max_width_mm),
        width_mm=finding.max_width_mm,
        length_mm=finding.length_mm,
        validation=finding.validation,
        condition=finding.condition,
    )


def _title(
    survey: Survey, face: Face, position_error_m: float, mosaic: Mosaic | None, number: int, count: int
) -> Title:
    notes = [
        f"Positions are good to about {position_error_m:g} m across the face; cracks are placed from one photograph each."
    ]
    if mosaic is not None and mosaic.photos:
        notes.append(
            f"Mosaic of {counted(mosaic.photos, 'photograph')} by position, shifted to agree where they overlap; seams show the rest."
        )
    return Title(
        face=face.name,
        survey=title_of(survey),
        flown=flown(survey.photos),
        surveyed=survey.created[:10],
        sheet=f"{number} of {count}",
        notes=(*notes, "Opinions of neural networks about photographs, not a safety assessment."),
    )


def _write(out: Path, stem: str, face: Face, layout: Layout, mosaic: Mosaic | None) -> dict[str, Any]:
    from PIL import Image

    picture = None
    if mosaic is not None and mosaic.photos:
        picture = out / f"{stem}.jpg"
        with atomic_path(picture) as temporary:
            Image.fromarray(mosaic.pixels).save(temporary, quality=85)
    write_svg(out / f"{stem}.svg", layout, picture)
    write_dxf(out / f"{stem}.dxf", layout, picture)
    write_png(out / f"{stem}.png", layout, picture)
    files = [f"{stem}.svg", f"{stem}.dxf", f"{stem}.png", *([] if picture is None else [picture.name])]
    return {
        "files": files,
        "face": asdict(face),
        "scale": layout.scale,
        "cracks": [
            {**asdict(replace(crack, lines=())), "lines_mm": [line.tolist() for line in crack.lines]}
            for crack in layout.cracks
        ],
    }
