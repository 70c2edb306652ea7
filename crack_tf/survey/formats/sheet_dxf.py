"""An elevation sheet as DXF: millimetres of the face, full size, (0, 0) at its lower left corner, a layer for each class of width."""

from __future__ import annotations

from pathlib import Path

from crack_tf.survey.formats.sheet_layout import COLOURS, SMALL_MM, TEXT_MM, Layout
from tflite.files import atomic_path

FACE, NUMBERS, TITLE, PICTURE = "FACE", "CRACK NUMBERS", "TITLE", "PHOTOGRAPHS"


def layer_of(width_class: str) -> str:
    """Name of the layer of a class: "CRACKS 0.3 to 0.4 mm"."""
    return f"CRACKS {width_class}"


def write_dxf(path: Path, layout: Layout, picture: Path | None) -> None:
    """Write the file; the picture of the face lies beside it and is referred to by its name."""
    from ezdxf import units
    from ezdxf.filemanagement import new
    from ezdxf.math import Vec3

    drawing = new("R2010")
    drawing.units = units.MM
    for name in (FACE, NUMBERS, TITLE, PICTURE):
        drawing.layers.add(name)
    for name, colour in COLOURS.items():
        drawing.layers.add(layer_of(name)).rgb = colour
    space = drawing.modelspace()
    width, height = layout.size_mm
    if picture is not None:
        from PIL import Image

        with Image.open(picture) as image:
            size = image.size
        definition = drawing.add_image_def(filename=picture.name, size_in_pixel=size)
        space.add_image(definition, insert=(0, 0), size_in_units=(width, height), dxfattribs={"layer": PICTURE})
    space.add_lwpolyline([(0, 0), (width, 0), (width, height), (0, height)], close=True, dxfattribs={"layer": FACE})
    small, usual = SMALL_MM * layout.scale, TEXT_MM * layout.scale
    for crack in layout.cracks:
        for line in crack.lines:
            space.add_lwpolyline(
                [(float(x), float(y)) for x, y in line], dxfattribs={"layer": layer_of(crack.width_class)}
            )
        x, y = crack.label_at
        width_told = "" if crack.width_mm is None else f" ({crack.width_mm:.2f} mm)"
        space.add_text(f"{crack.number}{width_told}", height=small, dxfattribs={"layer": NUMBERS}).set_placement(
            Vec3(x + small / 2, y + small / 2)
        )
    for number, text in enumerate(layout.lines_of_text()):
        place = Vec3(0, -(number + 2) * 2 * usual)
        space.add_text(text, height=usual, dxfattribs={"layer": TITLE}).set_placement(place)
    below = -(len(layout.lines_of_text()) + 4) * 2 * usual
    space.add_lwpolyline(
        [(0, below + usual), (0, below), (layout.bar_mm, below), (layout.bar_mm, below + usual)],
        dxfattribs={"layer": TITLE},
    )
    space.add_text(f"{layout.bar_mm:g} mm", height=usual, dxfattribs={"layer": TITLE}).set_placement(
        Vec3(layout.bar_mm + usual, below)
    )
    with atomic_path(path) as temporary:
        drawing.saveas(temporary)
