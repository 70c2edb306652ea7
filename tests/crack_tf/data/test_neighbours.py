"""Crops of one photograph get one key, by each set's way of naming them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crack_tf.data.neighbours import (
    NeighbourRule,
    bridge_deck_photographs,
    conglomerate_photographs,
    crack500_photographs,
    crop_rule,
    cssc_photographs,
    deepcrack_photographs,
    folder_rule,
    number_blocks,
    scene_photographs,
    uav_asphalt_photographs,
    uav_concrete_stretches,
)

CASES = [
    (crack500_photographs, "images/20160222_115219_1281_361.jpg", "20160222_115219"),
    (crack500_photographs, "valcrop/20160222_115219_641_1.jpg", "20160222_115219"),
    (crack500_photographs, "images/IMG_2935_1945_485.jpg", "img_2935"),
    (deepcrack_photographs, "images/11123-1.jpg", "11123"),
    (deepcrack_photographs, "train_img/11123.jpg", "11123"),
    (deepcrack_photographs, "test_img/IMG_6536-6.jpg", "img_6536"),
    (deepcrack_photographs, "images/7Q3A9060-15.jpg", "7q3a9060"),
    (conglomerate_photographs, "images/Rissbilder_for_Florian_9S6A2782_312_1490_2152_2793.jpg", "rissbilder_for_florian_9s6a2782"),
    (conglomerate_photographs, "Train/images/Volker_DSC01612_8_444_1816_1750.jpg", "volker_dsc01612"),
    (conglomerate_photographs, "images/noncrack_noncrack_concrete_wall_20_14.jpg.jpg", "noncrack_noncrack_concrete_wall_20"),
    (conglomerate_photographs, "images/CRACK500_20160222_115219_1281_361.jpg", "crack500_20160222_115219"),
    (conglomerate_photographs, "images/DeepCrack_11123-1.jpg", "deepcrack_11123"),
    (conglomerate_photographs, "images/CFD_001.jpg", "cfd_001"),
    (bridge_deck_photographs, "images/ckrjyus5o03ax0y75831c785m_04.jpg", "ckrjyus5o03ax0y75831c785m"),
    (bridge_deck_photographs, "images/ckjx0c93t000g3968u49qiffw_142.jpg", "ckjx0c93t000g3968u49qiffw"),
    (uav_asphalt_photographs, "images/937958_DJI_20231015160800_0077_Z.JPG_11_z.jpg", "937958_dji_20231015160800_0077_z"),
    (cssc_photographs, "crack/accept251091.jpg", "crack/251"),
    (cssc_photographs, "no_crack/nonAccept002013.jpg", "no_crack/002"),
    (scene_photographs, "banana/000_images_DSC_0423_s4_383_61.jpg", "banana/images_dsc_0423"),
    (scene_photographs, "humus_env/003_cubemap_-x_s1_114_41.jpg", "humus_env/cubemap_-x"),
    (scene_photographs, "polyhaven_env/000_adams_place_bridge_negx_s1_5_181.jpg", "polyhaven_env/adams_place_bridge_negx"),
    (scene_photographs, "polyhaven_env/000_adams_place_bridge_negx_whole.jpg", "polyhaven_env/adams_place_bridge_negx"),
    (uav_concrete_stretches, "images/slide990.jpg", "slide 9"),
    (uav_concrete_stretches, "images/DJI0690.jpg", "DJI 6"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "key"), CASES)
def test_a_crop_is_keyed_by_its_photograph(rule: NeighbourRule, path: str, key: str) -> None:
    assert rule([path], [0]) == [key]


def test_the_first_pattern_that_fits_decides() -> None:
    rule = crop_rule(r"(a)_\d+", r"(.+)_\d+")
    assert rule(["x/a_1.png", "x/b_1_2.png", "c.png"], [0, 1, 2]) == ["a", "b_1", "c"]


words = st.text("abcxyz", min_size=1, max_size=5)


@given(
    first=st.integers(0, 5000),
    second=st.integers(0, 5000),
    length=st.integers(1, 300),
    kinds=st.tuples(words, words),
    digits=st.integers(0, 6),
)
def test_numbers_share_a_block_when_their_kind_and_hundreds_agree(
    first: int, second: int, length: int, kinds: tuple[str, str], digits: int
) -> None:
    paths = [f"images/{kind}{number:0{digits}}.jpg" for kind, number in zip(kinds, (first, second), strict=True)]
    one, other = number_blocks(length)(paths, [0, 1])
    assert (one == other) == (kinds[0] == kinds[1] and first // length == second // length)


def test_a_name_without_a_number_has_no_neighbours() -> None:
    assert number_blocks(10)(["images/wall.jpg", "12/wall.jpg"], [0, 1]) == [None, None]


@given(folders=st.tuples(words, words), photographs=st.tuples(words, words), tiles=st.tuples(*[st.integers(0, 99)] * 2))
def test_a_folder_is_part_of_a_photographs_name(
    folders: tuple[str, str], photographs: tuple[str, str], tiles: tuple[int, int]
) -> None:
    paths = [f"{f}/{p}_{t}.png" for f, p, t in zip(folders, photographs, tiles, strict=True)]
    one, other = folder_rule(r"(.+)_\d+")(paths, [0, 1])
    assert (one == other) == (folders[0] == folders[1] and photographs[0] == photographs[1])
