"""Draw a report of trials: the scores of both kinds, and misses against false alarms at every threshold."""

from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from rtspk.bench.trials import LengthRates, TrialsReport
from rtspk.errors import ConfigError
from rtspk.files import bytes_of, write_atomically
from rtspk.metrics import detection_curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_trials"]

KINDS = ("png", "svg", "pdf")
SAME, OTHER = "#0072B2", "#D55E00"  # apart for colour-blind eyes (Okabe and Ito, 2008)
MARKS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4)  # of the axes of the curve
EDGES = np.linspace(-1.0, 1.0, 81).tolist()


def draw_trials(report: TrialsReport, path: Path) -> None:
    """Write one panel of DET curves, a curve a length, and a histogram of scores for each length.

    The axes of the curves are normal deviates, so that scores of normal shape give straight lines
    (A. Martin et al., Eurospeech 1997).

    Args:
        report: of `evaluate_trials`
        path: .png, .svg or .pdf
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise ConfigError(f"wanted a picture as .png, .svg or .pdf, got {path.name!r}")
    from matplotlib.figure import Figure

    rows = max(2, len(report.lengths))
    figure = Figure(figsize=(10.0, 1.4 * rows + 0.6), layout="constrained")
    grid = figure.add_gridspec(rows, 2, width_ratios=(1.2, 1.0))
    _curves(figure.add_subplot(grid[:, 0]), report)
    for row, rates in enumerate(report.lengths):
        axes = figure.add_subplot(grid[row, 1])
        _histogram(axes, report, rates)
        if row < len(report.lengths) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("cosine")
    write_atomically(path, bytes_of(lambda file: figure.savefig(file, format=kind, dpi=150)))


def _curves(axes: "Axes", report: TrialsReport) -> None:
    deviate = NormalDist().inv_cdf
    for rates in report.lengths:
        curve = detection_curve(rates.scores, report.target)
        inside = (curve.miss > 0) & (curve.miss < 1) & (curve.false_alarm > 0) & (curve.false_alarm < 1)
        across = [deviate(x) for x in curve.false_alarm[inside]]
        up = [deviate(x) for x in curve.miss[inside]]
        name = rates.key if rates.length is None else f"{rates.key} s"
        axes.plot(across, up, label=f"{name}: EER {rates.eer:.2%}")
    ends = deviate(MARKS[0]), deviate(MARKS[-1])
    axes.plot(ends, ends, color="#68707A", linewidth=0.8, linestyle=":")
    marks = [deviate(mark) for mark in MARKS]
    names = [f"{100 * mark:g}" for mark in MARKS]
    axes.set_xticks(marks, names)
    axes.set_yticks(marks, names)
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.set_xlabel("false alarms, %")
    axes.set_ylabel("misses, %")
    axes.set_title(f"{report.trials} trials", loc="left")
    axes.grid(visible=True, linewidth=0.4)
    axes.legend()


def _histogram(axes: "Axes", report: TrialsReport, rates: LengthRates) -> None:
    for chosen, colour, name in ((~report.target, OTHER, "other voice"), (report.target, SAME, "same voice")):
        axes.hist(rates.scores[chosen], EDGES, density=True, color=colour, alpha=0.6, label=name)
    axes.set_yticks([])
    axes.set_xlim(-0.6, 1.0)
    axes.set_ylabel("full" if rates.length is None else f"{rates.key} s")
    if rates is report.lengths[0]:
        axes.legend(fontsize="small")
