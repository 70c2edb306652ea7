"""What else is on a drawn tile: as often as declared, whatever the label, and each kind to be seen."""

from __future__ import annotations

import numpy as np
import pytest

from crack_tf.synthetic.confounders import CONFOUNDERS, Confounder
from crack_tf.synthetic.tiles import render_tile, tile_confounders


def test_confounders_are_as_frequent_as_declared_whatever_the_label() -> None:
    drawn = [tile_confounders(0, index) for index in range(4000)]
    for name, kind in CONFOUNDERS.items():
        present = np.array([name in names for names in drawn])
        even, odd = present[::2].mean(), present[1::2].mean()  # odd tiles are the cracked ones
        assert even == pytest.approx(kind.probability, abs=0.04)
        assert odd == pytest.approx(kind.probability, abs=0.04)


@pytest.mark.parametrize("name", list(CONFOUNDERS))
def test_every_confounder_shows(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with the same tile drawn with a brush that does nothing."""
    index = next(i for i in range(1000) if tile_confounders(0, i) == (name,))
    image = render_tile(0, index, False).image
    blank = Confounder(lambda surface, rng: None, CONFOUNDERS[name].probability, CONFOUNDERS[name].is_light)
    monkeypatch.setitem(CONFOUNDERS, name, blank)
    assert np.abs(render_tile(0, index, False).image.astype(int) - image).mean() > 0.2
