"""A certificate's files in a survey's folder; see `crack_tf.survey.certificates.certificate`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from crack_tf.common.plotting import new_figure, save_png
from crack_tf.survey.certificates.certificate import FILE_NAME, FORMAT, LEVELS, PLOT, PROBABILITY, TABLE, Certificate
from tflite.extras import is_installed
from tflite.files import write_csv, write_json

COLOURS = {"faint": "#56b4e9", "middle": "#0072b2", "dark": "#303030"}


def write_certificate(out: Path, certificate: Certificate) -> None:
    """Write `certificate.json`, `.csv` and, where matplotlib is installed, `.png` into a survey's folder."""
    sizes = {
        name: {
            "contrast": level,
            "a90": certificate.pod.size(PROBABILITY, level),
            "a90_95": certificate.pod.size(PROBABILITY, level, confident=True),
            "curve": certificate.pod.curve(level).round(5).tolist(),
        }
        for name, level in LEVELS.items()
    }
    write_csv(out / TABLE, certificate.table())
    write_json(
        out / FILE_NAME,
        {
            "format": FORMAT,
            **asdict(certificate),
            "unit": certificate.unit,
            "weights": certificate.pod.weights.tolist(),
            "levels": sizes,
        },
    )
    if is_installed("matplotlib"):
        _draw(certificate, out / PLOT)


def _draw(certificate: Certificate, path: Path) -> None:
    """Curves by contrast, the middle one with its bounds; every crack as a mark, found above and missed below."""
    figure = new_figure(7, 4.2)
    axes = figure.add_subplot()
    for name, level in LEVELS.items():
        sizes, likely, low, high = certificate.pod.curve(level).T
        axes.plot(sizes, likely, color=COLOURS[name], label=f"{name}: {level:.0%} of the light")
        if name == "middle":
            axes.fill_between(sizes, low, high, color=COLOURS[name], alpha=0.15, label="95 % confidence on either side")
    found = np.array([trial.found for trial in certificate.trials])
    axes.plot(certificate.widths, np.where(found, 1.03, -0.03), "|", color="0.3", markersize=6)
    axes.axhline(PROBABILITY, color="0.5", linestyle=":", linewidth=1)
    axes.set_xscale("log")
    ticks = [value for value in (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if sizes[0] <= value <= sizes[-1]]
    axes.set_xticks(ticks, [f"{value:g}" for value in ticks])
    axes.minorticks_off()
    axes.set(xlabel=f"width of the crack, {certificate.unit}", ylabel="probability of detection", ylim=(-0.07, 1.07))
    axes.legend(fontsize=8, frameon=False, loc="center right")
    axes.grid(alpha=0.3)
    save_png(figure, path)
