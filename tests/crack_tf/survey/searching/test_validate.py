"""The rule of the second opinion, on maps drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crack_tf.inference.tiles import Tile
from crack_tf.photo.doubt import TOO_WIDE
from crack_tf.survey.searching.validate import (
    AGREED,
    CRUMBS,
    DOUBTED,
    LEFT_OUT,
    LINK_PX,
    NEARLY,
    NEARLY_DOUBTED,
    NOT_ASKED,
    NOTHING,
    SHORT,
    SPECKS,
    UNCERTAIN_LOGITS,
    UNCOUNTED,
    UNSEEN,
    WEAK,
    Ground,
    Opinion,
    find_candidates,
    touching,
    worth_a_look,
)
from tflite.device.tiles import Box

SIDE = 100
IMAGE = np.zeros((400, 500, 3), np.uint8)


def tile(x: int, y: int, logit: float = 5.0, crack: bool = True) -> Tile:
    return Tile(Box(y, x, SIDE, SIDE), logit, 0.9 if crack else 0.3, crack)


def sees(*places: tuple[slice, slice], value: float = 0.8):
    """A model that sees cracks there, and answers inside the region it is asked about only."""

    def segment(image: np.ndarray, region: np.ndarray) -> np.ndarray:
        probability = np.full(image.shape[:2], 0.1, np.float32)
        for place in places:
            probability[place] = value
        return np.where(region, probability, np.float32(0))

    return segment


def found_on(image, tiles, foreground, segment=None, *, sharp=False, opaque=None, **asked):
    opinion = None if segment is None else Opinion(segment, **asked)
    return find_candidates(image, tiles, Ground(foreground, sharp, opaque=opaque), opinion)


LINE = (slice(148, 153), slice(110, 190))  # 5 pixels wide, 80 long, in tile (100, 100)


def test_a_drawn_crack_in_a_positive_tile_is_confirmed_and_measured():
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(LINE))
    assert (found.validation, found.tiles, found.probability) == ("confirmed", 1, 0.9)
    assert found.box == Box(148, 110, 5, 80)
    assert found.length_px == pytest.approx(80, abs=3)
    assert found.mean_width_px == pytest.approx(5, abs=0.3)
    assert found.validation_score == pytest.approx(0.8, abs=1e-3)
    assert len(found.outline) == 1


def test_a_mesh_of_cracks_keeps_its_lines_and_the_concrete_between_them():
    sides = (slice(120, 124), slice(120, 180)), (slice(176, 180), slice(120, 180))
    uprights = (slice(120, 180), slice(120, 124)), (slice(120, 180), slice(176, 180))
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(*sides, *uprights))
    (field,) = found.holes
    assert np.ptp(np.array(field), axis=0) == pytest.approx((52, 52), abs=1)
    lengths = [np.hypot(*np.diff(np.array(line), axis=0).T).sum() for line in found.centreline]
    assert sum(lengths) == pytest.approx(4 * 56, rel=0.05)


@pytest.mark.parametrize(("contrast", "width", "source"), [(110, 5, "photograph"), (0, 9, "mask")])
def test_widths_are_measured_in_the_photograph_where_it_shows_them(contrast, width, source):
    image = np.full(IMAGE.shape, 150, np.uint8)
    image[150:155, 110:190] -= contrast
    wide = (slice(148, 157), slice(108, 192))
    (found,) = found_on(image, [tile(100, 100)], None, sees(wide))
    assert found.width_from == source
    assert found.width_trusted == (source == "photograph")
    assert found.mean_width_px == pytest.approx(width, rel=0.08)


def test_a_crack_at_the_photographs_corner_is_measured():
    image = np.full(IMAGE.shape, 150, np.uint8)
    image[2:8, :90] = 30
    (found,) = found_on(image, [tile(0, 0)], None, sees((slice(2, 8), slice(0, 90))))
    assert found.box == Box(2, 0, 6, 90)
    assert found.mean_width_px == pytest.approx(6, rel=0.08)


def test_a_positive_tile_in_which_nothing_is_seen_is_refuted_and_kept():
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees())
    assert (found.validation, found.length_px, found.note) == ("refuted", None, NOTHING)
    assert found.validation_score == pytest.approx(0.1)
    assert found.box == Box(100, 100, SIDE, SIDE)


CRUMB = (slice(140, 145), slice(140, 147))


@pytest.mark.parametrize(
    ("places", "logit", "verdict"),
    [
        ((), 1.9, ("refuted", NOTHING)),
        ((), 2.1, ("unclear", UNSEEN)),
        ((CRUMB,), 0.4, ("refuted", SPECKS)),
        ((CRUMB,), 0.6, ("unclear", CRUMBS)),
        ((LINE,), 0.1, ("confirmed", None)),
    ],
)
def test_what_the_classifier_is_sure_of_is_not_refuted_by_crumbs(places, logit, verdict):
    (found,) = found_on(IMAGE, [tile(100, 100, logit)], None, sees(*places), threshold_logit=0.0)
    assert (found.validation, found.note) == verdict


def test_a_crack_that_the_classifier_is_sure_of_goes_on_in_the_tiles_beside():
    found = found_on(IMAGE, [tile(100, 100, 5.0), tile(175, 100, 0.1)], None, sees(), threshold_logit=0.0)
    assert [(one.validation, one.note, one.tiles) for one in found] == [("unclear", UNSEEN, 2)]


def test_every_refuted_and_every_unclear_finding_says_why():
    places = CRUMB, (slice(340, 345), slice(40, 66)), (slice(148, 153), slice(410, 490))
    tiles = [tile(x, y, logit) for x in (0, 200, 400) for y in (0, 100, 300) for logit in (0.1, 3.0)]
    for sure in (0.0, 10.0):
        found = found_on(IMAGE, tiles, None, sees(*places), threshold_logit=sure)
        assert {one.validation for one in found} >= {"confirmed", "unclear"}
        assert all((one.note is None) == (one.validation == "confirmed") for one in found)


@pytest.mark.parametrize(("width", "validation"), [(20, "confirmed"), (40, "unclear")])
def test_a_shape_that_is_wide_for_its_length_is_no_crack(width, validation):
    blot = (slice(150 - width // 2, 150 + width // 2), slice(105, 195))
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(blot))
    assert found.validation == validation
    assert found.note == (None if validation == "confirmed" else TOO_WIDE)
    assert found.box == Box(150 - width // 2, 105, width, 90)
    assert (found.length_px is None) == (validation == "unclear")


def test_a_crack_that_runs_out_of_its_photograph_has_no_greatest_length():
    (whole,) = found_on(IMAGE, [tile(100, 100)], None, sees(LINE))
    assert whole.touches_border is False
    assert whole.ranges is not None
    assert whole.length_px is not None
    assert whole.length_px < whole.ranges[0].high <= whole.length_px + math.hypot(400, 500) - 80
    out = (slice(148, 153), slice(1, 81))
    (cut,) = found_on(IMAGE, [tile(0, 100)], None, sees(out))
    assert cut.touches_border is True
    assert cut.ranges is not None
    assert cut.ranges[0].high == math.inf
    assert cut.ranges[0].low == pytest.approx(whole.ranges[0].low, rel=0.05)
    # Of a journal's frame, what was kept is all there is.
    known = np.zeros(IMAGE.shape[:2], bool)
    known[100:200, 100:200] = True
    through = (slice(148, 153), slice(60, 240))
    (kept,) = found_on(IMAGE, [tile(100, 100)], known, sees(through), sharp=True)
    assert kept.touches_border is True


def test_a_crack_that_ends_before_another_mark_has_no_greatest_length():
    further = (slice(188, 193), slice(240, 400))  # more to the side than a gap may be bridged
    found = found_on(IMAGE, [tile(100, 100), tile(240, 140)], None, sees(LINE, further))
    assert [one.validation for one in found] == ["confirmed", "confirmed"]
    assert [one.touches_border for one in found] == [False, False]
    assert found[0].ranges is not None
    assert found[0].ranges[0].high == math.inf


def test_a_mark_too_short_for_a_crack_is_unclear_and_shown():
    short = (slice(140, 145), slice(140, 165))
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(short))
    assert (found.validation, found.length_px) == ("unclear", None)
    assert found.note == SHORT
    # Its picture shows what is said to be drawn there, not only its tile.
    (mark,) = found.marks
    assert (np.min(mark, axis=0).tolist(), np.max(mark, axis=0).tolist()) == ([140, 140], [164, 144])
    assert len(found.outline) == 1


def test_a_crack_that_the_classifier_doubts_when_it_looks_again_is_unclear_and_says_so():
    far = (slice(320, 325), slice(310, 390))
    asked = []

    def verify(image, part, x, y):
        asked.append((x, y))
        return 5.0 if x > 250 else -5.0

    tiles = [tile(100, 100), tile(300, 300), tile(300, 0)]
    found = found_on(IMAGE, tiles, None, sees(LINE, far), verify=verify)
    assert [(one.box.x, one.validation, one.note) for one in found] == [
        (300, "refuted", NOTHING),
        (110, "unclear", DOUBTED + UNCOUNTED.format(80)),
        (310, "confirmed", None),
    ]
    assert len(asked) == 2
    doubted = found[1]
    # It says where the crack is drawn, but only its note how long that is.
    assert (doubted.box, doubted.tiles, doubted.length_px) == (Box(148, 110, 5, 80), 1, None)
    assert len(doubted.outline) == 1
    assert {one.marks for one in found} == {()}


def doubts(*_: object) -> float:
    return -5.0


@pytest.mark.parametrize(
    ("probability", "again", "validation"),
    [(0.7, 0.4, "unclear"), (0.7, 0.6, "confirmed"), (0.8, 0.4, "confirmed"), (0.8, -0.1, "confirmed")],
)
def test_a_crack_of_which_neither_the_map_nor_the_second_look_is_sure_is_unclear(probability, again, validation):
    for called in (True, False):
        place = tile(100, 100, crack=called)
        (found,) = found_on(IMAGE, [place], None, sees(LINE, value=probability), verify=lambda *_: again)
        assert found.validation == validation
        if validation == "unclear":
            assert (found.note, found.length_px) == (WEAK + UNCOUNTED.format(80), None)


def test_asked_to_measure_all_it_measures_what_is_drawn_of_unclear_and_refuted_findings_too():
    crumb, elsewhere = (slice(340, 346), slice(340, 346)), (slice(345, 350), slice(20, 80))
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[300:, :120] = False  # taken for background
    tiles = [tile(100, 100), tile(300, 300), tile(300, 0), tile(0, 300), tile(0, 300, crack=False)]

    opinion = Opinion(sees(LINE, crumb, elsewhere), verify=doubts)
    before, after = (find_candidates(IMAGE, tiles, Ground(foreground), opinion, asked) for asked in (False, True))
    assert [(one.box, one.validation, one.tiles) for one in after] == [
        (one.box, one.validation, one.tiles) for one in before
    ]
    assert {one.length_px for one in before} == {None}
    notes = {one.note: one for one in after}
    assert set(notes) == {DOUBTED, SPECKS, LEFT_OUT, NOTHING}
    assert notes[DOUBTED].length_px == pytest.approx(80, abs=3)
    assert notes[LEFT_OUT].length_px == pytest.approx(60, abs=3)
    assert notes[SPECKS].length_px == pytest.approx(4, abs=3)
    assert notes[NOTHING].length_px is None
    for one in (notes[LEFT_OUT], notes[SPECKS]):  # drawn in a tile: how far it goes on is not known
        assert one.ranges is not None
        assert math.isinf(one.ranges[0].high)
        assert len(one.outline) == 1
        assert one.profile


def test_a_faint_crack_is_sure_where_the_classifier_is_of_one_of_its_parts():
    parts = tuple((slice(148, 153), slice(start, start + 60)) for start in (110, 200))
    tiles = [tile(100, 100), tile(200, 100)]
    (found,) = found_on(
        IMAGE, tiles, None, sees(*parts, value=0.7), verify=lambda image, part, x, y: 0.0 if x < 150 else 3.0
    )
    assert found.validation == "confirmed"
    assert found.length_px == pytest.approx(150, abs=3)


def test_a_doubted_crack_in_tiles_that_are_only_nearly_cracked_is_unclear_too():
    (found,) = found_on(IMAGE, [tile(100, 100, crack=False)], None, sees(LINE), verify=doubts)
    assert (found.validation, found.note, found.tiles) == ("unclear", NEARLY_DOUBTED + UNCOUNTED.format(80), 0)
    assert found.box == Box(148, 110, 5, 80)
    assert found.validation_score == pytest.approx(0.8, abs=1e-3)


def test_a_doubted_crack_beside_a_confirmed_one_in_the_same_tile_is_not_lost():
    second = (slice(178, 183), slice(110, 190))
    found = found_on(
        IMAGE, [tile(100, 100)], None, sees(LINE, second), verify=lambda image, part, x, y: 5.0 if y < 160 else -5.0
    )
    assert [(one.box.y, one.validation) for one in found] == [(148, "confirmed"), (178, "unclear")]


SPECKLED = tuple((slice(148, 153), slice(start, start + 24)) for start in (110, 138, 166))
BLOT = (slice(130, 170), slice(105, 195))


@pytest.mark.parametrize(("places", "note"), [(SPECKLED, SHORT), ((BLOT,), TOO_WIDE)])
def test_a_doubted_chain_of_specks_or_stain_is_told_only_where_a_tile_is_called_cracked(places, note):
    assert found_on(IMAGE, [tile(100, 100, crack=False)], None, sees(*places), verify=doubts) == []
    (called,) = found_on(IMAGE, [tile(100, 100)], None, sees(*places), verify=doubts)
    assert (called.validation, called.note) == ("unclear", note)
    (agreed,) = found_on(IMAGE, [tile(100, 100, crack=False)], None, sees(*places))
    assert agreed.validation == ("confirmed" if note == SHORT else "unclear")


def test_a_pore_is_no_mark():
    pore = (slice(140, 150), slice(140, 150))
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(pore))
    assert found.validation == "refuted"
    assert found.validation_score == pytest.approx(0.8)


def test_a_line_drawn_with_little_probability_is_no_crack():
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(LINE, value=0.4), threshold=0.2)
    assert found.validation == "refuted"


def test_touching_tiles_with_another_verdict_are_apart():
    mark = (slice(140, 145), slice(140, 165))
    found = found_on(IMAGE, [tile(100, 100), tile(200, 100)], None, sees(mark))
    assert sorted(one.validation for one in found) == ["refuted", "unclear"]


def test_without_a_model_touching_tiles_are_one_unclear_finding():
    found = found_on(IMAGE, [tile(0, 0), tile(75, 0), tile(300, 300)], None)
    assert [(one.box, one.tiles, one.validation, one.validation_score) for one in found] == [
        (Box(0, 0, 100, 175), 2, "unclear", None),
        (Box(300, 300, 100, 100), 1, "unclear", None),
    ]
    assert {one.note for one in found} == {NOT_ASKED}


def test_an_uncertain_tile_counts_only_with_a_drawn_crack():
    doubtful = tile(100, 100, crack=False)
    (found,) = found_on(IMAGE, [doubtful], None, sees(LINE))
    assert (found.validation, found.tiles, found.probability) == ("confirmed", 0, 0.3)
    assert found.note == NEARLY
    (again,) = found_on(IMAGE, [doubtful], None, sees(LINE), verify=lambda *_: 5.0)
    assert again.note == NEARLY + AGREED
    (called,) = found_on(IMAGE, [doubtful, tile(160, 100)], None, sees(LINE))
    assert (called.validation, called.tiles, called.note) == ("confirmed", 1, None)
    assert found_on(IMAGE, [doubtful], None, sees()) == []
    assert found_on(IMAGE, [doubtful], None) == []


def test_a_crack_through_several_tiles_is_one_finding():
    line = (slice(148, 153), slice(20, 330))
    (found,) = found_on(IMAGE, [tile(0, 100), tile(75, 100), tile(225, 100)], None, sees(line))
    assert found.tiles == 3
    assert found.length_px == pytest.approx(310, abs=4)  # also in the tile between, which the classifier called clean


def test_parts_of_one_crack_are_linked_and_their_gap_counts():
    gap = LINK_PX - 4
    parts = ((slice(148, 153), slice(105, 150)), (slice(148, 153), slice(150 + gap, 195)))
    (found,) = found_on(IMAGE, [tile(100, 100)], None, sees(*parts))
    assert found.length_px == pytest.approx(90, abs=4)
    assert len(found.outline) == 2


def test_a_refuted_tile_beside_a_confirmed_crack_stays_in_the_tables():
    found = found_on(IMAGE, [tile(100, 100), tile(400, 300)], None, sees(LINE))
    assert sorted(one.validation for one in found) == ["confirmed", "refuted"]


def test_a_crack_far_from_all_tiles_is_not_looked_for():
    far = (slice(348, 353), slice(400, 480))
    assert [one.validation for one in found_on(IMAGE, [tile(0, 0)], None, sees(far))] == ["refuted"]


def test_positive_tiles_of_background_are_unclear_and_say_why():
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[:, :300] = False
    doubtful = tile(0, 300, crack=False)
    for segment in (sees(LINE), None):
        (found,) = found_on(IMAGE, [tile(100, 100), tile(175, 100), doubtful], foreground, segment)
        assert (found.validation, found.note, found.tiles) == ("unclear", LEFT_OUT, 2)
        assert (found.box, found.validation_score) == (Box(100, 100, 100, 175), None)


def test_tiles_left_out_and_tiles_looked_at_are_findings_of_their_own():
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[:, :200] = False
    found = found_on(IMAGE, [tile(100, 100), tile(200, 100)], foreground, sees())
    assert [(one.box.x, one.validation, one.note) for one in found] == [
        (100, "unclear", LEFT_OUT),
        (200, "refuted", NOTHING),
    ]


def test_a_tile_that_is_foreground_only_at_its_edge_was_not_looked_at():
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[:, :185] = False  # 15 of 100 columns, 8 of them at the edge
    (found,) = found_on(IMAGE, [tile(100, 100)], foreground, sees(LINE))
    assert (found.validation, found.note) == ("unclear", LEFT_OUT)


def test_the_edge_of_the_foreground_is_no_crack():
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[:, :150] = False
    edge = (slice(100, 200), slice(150, 152))
    assert [one.validation for one in found_on(IMAGE, [tile(100, 100)], foreground, sees(edge))] == ["refuted"]


def test_a_crack_is_as_long_where_the_foregrounds_edge_cuts_it():
    (whole,) = found_on(IMAGE, [tile(100, 100)], None, sees(LINE))
    foreground = np.ones(IMAGE.shape[:2], bool)
    foreground[:, 184:] = False  # the crack's last 6 columns, and 8 more are taken off its edge
    (cut,) = found_on(IMAGE, [tile(100, 100)], foreground, sees(LINE))
    assert (cut.validation, cut.length_px, cut.box) == (whole.validation, whole.length_px, whole.box)
    assert cut.touches_border is False
    # What is transparent shows no crack, and of a journal's frame there is nothing beyond.
    (shown,) = found_on(IMAGE, [tile(100, 100)], foreground, sees(LINE), opaque=foreground)
    (known,) = found_on(IMAGE, [tile(100, 100)], foreground, sees(LINE), sharp=True)
    for short in (shown, known):
        assert short.length_px is not None
        assert whole.length_px is not None
        assert short.length_px < whole.length_px - 5
        assert short.touches_border is True
    # Too long an end is left out, and nobody knows where the crack does end.
    (lost,) = found_on(IMAGE, [tile(100, 100)], foreground, sees((slice(148, 153), slice(110, 240))))
    assert lost.touches_border is True
    assert lost.ranges is not None
    assert lost.ranges[0].high == math.inf


def test_a_small_tile_of_a_large_frame_is_looked_at_where_its_edge_is_exact():
    image = np.zeros((100, 5000, 3), np.uint8)  # 1.5 % of it, on both sides, is more than the tile
    known = np.zeros(image.shape[:2], bool)
    known[:, 1000:1100] = True
    line = (slice(48, 53), slice(1000, 1100))
    assert [one.note for one in found_on(image, [tile(1000, 0)], known, sees(line))] == [LEFT_OUT]
    (found,) = found_on(image, [tile(1000, 0)], known, sees(line), sharp=True)
    assert (found.validation, found.note) == ("confirmed", None)


def test_tiles_just_below_the_threshold_are_worth_a_look():
    tiles = [
        tile(0, 0, 1.0),
        *(tile(0, 0, -logit, crack=False) for logit in (1.0, UNCERTAIN_LOGITS - 0.1, UNCERTAIN_LOGITS + 0.1)),
    ]
    assert worth_a_look(tiles, 0.0) == tiles[:3]


def test_tiles_that_touch_through_others_are_one_group():
    groups = touching([tile(0, 0), tile(200, 0), tile(100, 0), tile(350, 250)])
    assert sorted(len(group) for group in groups) == [1, 3]
