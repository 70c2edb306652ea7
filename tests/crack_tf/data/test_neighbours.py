"""Crops of one photograph get one key, by each set's way of naming them."""

from __future__ import annotations

import pytest

from crack_tf.data.neighbours import (
    NeighbourRule,
    conglomerate_photographs,
    crack500_photographs,
    crop_rule,
    deepcrack_photographs,
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
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "key"), CASES)
def test_a_crop_is_keyed_by_its_photograph(rule: NeighbourRule, path: str, key: str) -> None:
    assert rule([path], [0]) == [key]


def test_the_first_pattern_that_fits_decides() -> None:
    rule = crop_rule(r"(a)_\d+", r"(.+)_\d+")
    assert rule(["x/a_1.png", "x/b_1_2.png", "c.png"], [0, 1, 2]) == ["a", "b_1", "c"]
