"""The overlay has the photograph's size and shows where cracks were measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from crack_tf.photo.cracks import measure_cracks
from crack_tf.photo.overlay import caption, draw_cracks, words_of
from tflite.errors import CrackError


@pytest.fixture
def mask() -> np.ndarray:
    result = np.zeros((80, 120), bool)
    result[40:46, 10:110] = True
    return result


def test_the_overlay_changes_pixels_on_the_crack_and_leaves_the_photograph_alone(mask: np.ndarray) -> None:
    photo = np.full((80, 120, 3), 128, np.uint8)
    image = draw_cracks(photo, measure_cracks(mask), mask, labels=False)
    assert image.size == (120, 80)
    changed = (np.asarray(image) != 128).any(axis=2)
    assert changed[mask].mean() > 0.99
    assert changed[~mask].mean() < 0.1
    assert (photo == 128).all()
    assert (np.asarray(draw_cracks(photo, measure_cracks(mask), mask)) != np.asarray(image)).any()


def test_captions_are_in_millimetres_when_the_scale_is_known(mask: np.ndarray) -> None:
    assert caption(measure_cracks(mask)[0]) == "1: 100 px, 6.0 / 6.0 px"
    assert caption(measure_cracks(mask, mm_per_pixel=0.1)[0]) == "1: 10 mm, 0.60 / 0.60 mm"


def test_a_length_without_an_upper_end_is_told_as_tables_have_it_and_by_its_lower_one(mask: np.ndarray) -> None:
    mask[:, :60] |= mask[:, 60:61]  # from the photograph's left border on
    (crack,) = measure_cracks(mask)
    low = crack.ranges[0].low
    assert caption(crack).startswith(f"1: {crack.length_px:.0f} px (at least {low:.0f} px), 6.0")
    scaled = replace(crack, mm_per_pixel=0.1)
    assert caption(scaled).startswith(f"1: {scaled.length_mm:.0f} mm (at least {low / 10:.0f} mm), 0.60")
    assert round(crack.length_px) > round(low)
    assert words_of([caption(crack)]) == ["at least: its end is not in sight"]


def test_widths_that_are_not_to_be_trusted_are_marked(mask: np.ndarray) -> None:
    mask[42:] = False
    assert caption(measure_cracks(mask)[0]) == "1: 100 px, about 2.0 / 2.0 px"


def test_a_maximum_that_is_a_hole_in_the_cracks_way_is_marked_alone(mask: np.ndarray) -> None:
    (crack,) = measure_cracks(mask)
    holed = replace(crack, max_width_px=20.0)
    assert caption(holed) == "1: 100 px, 6.0 / about 20.0 px"
    assert caption(replace(holed, mean_width_px=6.0, max_width_px=18.0)) == "1: 100 px, 6.0 / 18.0 px"
    assert caption(replace(holed, mean_width_px=2.0)) == "1: 100 px, about 2.0 / 20.0 px"
    photo = np.full((80, 120, 3), 128, np.uint8)
    heights = [draw_cracks(photo, [one]).height for one in (crack, holed)]
    assert heights[0] < heights[1]  # the key says what about is


def test_a_shape_that_may_be_no_crack_is_drawn_by_its_outline_alone(mask: np.ndarray) -> None:
    photo = np.full((80, 120, 3), 128, np.uint8)
    (crack,) = measure_cracks(mask)
    doubted = replace(crack, note="unclear")
    assert words_of([caption(doubted), caption(crack)]) == []
    assert caption(doubted) == "1: unclear"  # its sizes are no crack's
    image = np.asarray(draw_cracks(photo, [doubted], labels=False))
    blue = (image == (0, 114, 178)).all(axis=2)
    assert blue.any()
    assert not ((image != 128).any(axis=2) & ~blue).any()
    assert not blue[43, 20:100].any()


def test_marks_that_are_left_out_are_outlined_without_a_tint_in_a_colour_that_the_key_names() -> None:
    photo = np.full((240, 360, 3), 128, np.uint8)
    mask = np.zeros((240, 360), bool)
    mask[40:46, 10:110] = mask[100:106, 10:110] = True
    crack, left_out = measure_cracks(mask)
    plain, image = (np.asarray(draw_cracks(photo, [], mask, short=short)) for short in ((), (left_out,)))
    assert len(plain) > len(photo)  # what is tinted has a key, marks or not
    assert np.asarray(draw_cracks(photo, [], np.zeros_like(mask))).shape == photo.shape
    top, left = left_out.box.y, left_out.box.x
    inner = image[top + 2, left + 5 : left + 95]
    assert (inner == 128).all()
    assert (image[crack.box.y + 2, left + 5 : left + 95] != 128).any(axis=1).all()
    white = (image == 255).all(axis=2)
    assert white[top - 2 : top + 8, left + 5 : left + 95].any(axis=0).all()
    assert white[240:].any()


def test_labels_at_the_border_and_no_cracks_are_drawn_too(mask: np.ndarray) -> None:
    edge = np.zeros((30, 60), bool)
    edge[27:30, 20:60] = True
    draw_cracks(np.zeros((30, 60, 3), np.uint8), measure_cracks(edge), edge)
    draw_cracks(np.zeros((30, 60, 3), np.uint8), [], None)


def test_a_mask_of_another_size_and_a_grey_photograph_are_refused(mask: np.ndarray) -> None:
    with pytest.raises(CrackError, match="photograph 50x50"):
        draw_cracks(np.zeros((50, 50, 3), np.uint8), [], mask)
    with pytest.raises(CrackError, match="uint8 RGB"):
        draw_cracks(np.zeros((80, 120), np.uint8), [], mask)


def test_labels_lie_beside_the_cracks_and_beside_each_other() -> None:
    both = np.zeros((120, 300), bool)
    both[40:44, 20:280] = True
    both[60:64, 80:180] = True
    photo = np.full((120, 300, 3), 128, np.uint8)
    boxes = written(np.asarray(draw_cracks(photo, measure_cracks(both), both))[:120])
    assert len(boxes) == 2
    for rows, columns in boxes:
        assert not both[rows, columns].any()


def test_a_label_that_finds_no_room_is_left_out_and_the_longest_cracks_is_there() -> None:
    mask = np.zeros((34, 170), bool)
    mask[2:5, 2:138] = mask[12:15, 2:120] = mask[22:25, 2:100] = True
    boxes = written(np.asarray(draw_cracks(np.full((34, 170, 3), 128, np.uint8), measure_cracks(mask), mask)))
    assert 1 <= len(boxes) < 3


def test_no_line_to_a_label_runs_through_another_label() -> None:
    mask = np.zeros((340, 500), bool)
    for number in range(80):
        top, left = 12 + 20 * (number // 5), 20 + 95 * (number % 5)
        mask[top : top + 4, left : left + 60] = True
    image = np.asarray(draw_cracks(np.full((*mask.shape, 3), 128, np.uint8), measure_cracks(mask), mask))[:340]
    green = (image == (0, 158, 115)).all(axis=2)
    assert green.any()
    boxes = written(image)
    assert len(boxes) > 15
    for rows, columns in boxes:
        assert not green[rows.start + 1 : rows.stop - 1, columns.start + 1 : columns.stop - 1].any()


@pytest.mark.parametrize("side", [600, 1040, 1600, 3000])
def test_labels_are_as_large_as_the_picture_asks_for(side: int) -> None:
    mask = np.zeros((side * 3 // 4, side), bool)
    mask[side // 4 : side // 4 + 6, side // 8 : side * 7 // 8] = True
    image = np.asarray(draw_cracks(np.full((*mask.shape, 3), 128, np.uint8), measure_cracks(mask), mask))
    (label,) = written(image[: len(mask)])
    assert 0.018 < (label[0].stop - label[0].start) / side < 0.03


@pytest.mark.parametrize("width", [448, 800])
def test_a_key_says_what_stands_for_what_and_hides_nothing(width: int) -> None:
    mask = np.zeros((width, width), bool)
    for top in range(8, width, 12):  # so crowded that no corner is free
        mask[top : top + 4, 4 : width - 4] = True
    photo = np.full((*mask.shape, 3), 128, np.uint8)
    image = np.asarray(draw_cracks(photo, measure_cracks(mask), mask))
    assert image.shape[1] == width
    key = image[width:]
    assert 0 < len(key) < width / 6
    shown = {tuple(colour) for colour in key.reshape(-1, 3).tolist()}
    assert shown >= {(213, 94, 0), (240, 228, 66), (0, 158, 115), (255, 255, 255)}
    assert (0, 114, 178) not in shown  # nothing is unclear here
    labels = sum(box[0].stop - box[0].start > 8 for box in written(image[:width]))
    assert labels < len(measure_cracks(mask))


def test_no_key_is_cut_off_by_a_picture_that_is_too_narrow() -> None:
    mask = np.zeros((200, 120), bool)
    mask[100:106, 10:110] = True
    assert draw_cracks(np.full((200, 120, 3), 128, np.uint8), measure_cracks(mask), mask).size[1] % 200 == 0


def written(image: np.ndarray) -> list[tuple[slice, slice]]:
    """Rows and columns of labels and key: what is black, with what it encloses, on a grey photograph."""
    labels, _ = ndimage.label((image == 0).all(axis=2), np.ones((3, 3)))
    found = [box for box in ndimage.find_objects(labels) if box[1].stop - box[1].start > 30]
    return [one for one in found if not any(_within(one, other) for other in found if other is not one)]


def _within(one: tuple[slice, slice], other: tuple[slice, slice]) -> bool:
    return all(a.start >= b.start and a.stop <= b.stop for a, b in zip(one, other, strict=True))


def test_a_label_fits_into_the_picture_of_a_tiny_photograph() -> None:
    mask = np.zeros((40, 32), bool)
    mask[2:38, 14:17] = True
    photo = np.full((40, 32, 3), 128, np.uint8)
    cracks = measure_cracks(mask)
    plain = np.asarray(draw_cracks(photo, [], mask))
    assert plain.shape == photo.shape
    image = np.asarray(draw_cracks(photo, cracks, mask))
    times = image.shape[1] // 32
    assert image.shape == (40 * times, 32 * times, 3)
    black = (image == 0).all(axis=2)
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert columns[-1] - columns[0] >= 90  # all of the caption
    assert rows[-1] - rows[0] < image.shape[0] / 4
    # The line lies where it lies on the photograph.
    yellow = np.flatnonzero(((image[..., 0] > 230) & (image[..., 2] < 100)).any(axis=0))
    assert abs(yellow.mean() / times - 15) < 0.6
