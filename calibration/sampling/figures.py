"""Pictures of sampling: ranks of simulation-based calibration, ranks of chains, predictions over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.ecdf_utils import ecdf_pit

from twin.figure import FAINT, INK, blank_figure, dress

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from calibration.sampling.simulation import RankStatistics

BLUE, ORANGE = "#0072b2", "#d55e00"
"""Distinguishable by the colour-blind (Okabe and Ito)."""
BAND = 0.99
SIMULATIONS = 1000
COLUMNS = 4
MOST_PANELS = 24


def rank_figure(found: RankStatistics) -> Figure:
    """Distribution functions of ranks minus the uniform one, in the band that holds 99 % of uniform samples throughout.

    Bands are ArviZ's (Saeilynoja, Buerkner & Vehtari, Statistics and Computing 32, 2022). Of many entries the first are
    shown, and the log-likelihood.
    """
    names = list(found.names)
    shown = list(range(len(names))) if len(names) <= MOST_PANELS else [*range(MOST_PANELS - 1), len(names) - 1]
    figure, panels = _panels(len(shown))
    rng = np.random.default_rng(0)
    for panel, index in zip(panels, shown, strict=True):
        # Ranks are spread evenly over their cells: the band is one for continuous values.
        share = (found.ranks[:, index] + rng.uniform(size=len(found.ranks))) / (found.draws + 1)
        x, difference, low, high = _against_uniform(share, 1)
        outside = bool(np.any((difference < low) | (difference > high)))
        panel.fill_between(x, low, high, color=FAINT, linewidth=0, label="99 % of uniform ranks")
        panel.plot(x, difference, color=ORANGE if outside else BLUE, linewidth=1.3, label="ranks")
        panel.axhline(0.0, color=INK, linewidth=0.6)
        panel.set_title(f"{names[index]}  (p = {found.p_values[names[index]]:.2g})", fontsize=8, color=INK)
        dress(panel)
    figure.supxlabel("rank of the true value, as a share", fontsize=9, color=INK)
    figure.supylabel("excess over uniform", fontsize=9, color=INK)
    figure.suptitle(f"{found.problem}: {len(found.ranks)} simulations, {found.method}", fontsize=10, color=INK)
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels with the same axes."""
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    figure = blank_figure(2.3 * columns + 0.5, 1.9 * rows + 0.5)
    panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel())
    for panel in panels[count:]:
        panel.set_visible(False)
    return figure, panels[:count]


def _against_uniform(share: np.ndarray, chains: int) -> tuple[np.ndarray, ...]:
    """Where, how far the distribution function is from the uniform one, and its band."""
    x, function, low, high = ecdf_pit(share, BAND, SIMULATIONS, n_chains=chains, rng=np.random.default_rng(0))
    return x, function - x, low - x, high - x


def chain_rank_figure(tree: xr.DataTree) -> Figure:
    """Distribution functions of the ranks of each chain's draws among all: level lines where chains agree.

    Ranks fall over all chains; autocorrelation is thinned away by ArviZ's effective size.
    """
    from arviz_stats import ess

    theta = tree["posterior"]["theta"]
    names = [str(name) for name in theta["entry"].to_numpy()][:MOST_PANELS]
    figure, panels = _panels(len(names))
    chains, draws = theta.shape[:2]
    styles = ("-", "--", "-.", ":")
    for panel, name in zip(panels, names, strict=True):
        values = theta.sel(entry=name)
        step = max(1, int(np.ceil(values.size / float(np.asarray(ess(values))))))
        thin = values.to_numpy()[:, ::step]
        ranks = (thin.ravel().argsort().argsort().reshape(thin.shape) + 0.5) / thin.size
        for chain in range(chains):
            x, difference, low, high = _against_uniform(ranks[chain], chains)
            if chain == 0:
                panel.fill_between(x, low, high, color=FAINT, linewidth=0)
            panel.plot(x, difference, color=BLUE if chain % 2 else ORANGE, linestyle=styles[chain % 4], linewidth=1.1)
        panel.set_title(name, fontsize=8, color=INK)
        dress(panel)
    figure.supxlabel("rank among the draws of all chains, as a share", fontsize=9, color=INK)
    figure.supylabel("excess over uniform", fontsize=9, color=INK)
    figure.suptitle(f"{chains} chains of {draws} draws; the band holds 99 % of agreeing chains", fontsize=10, color=INK)
    return figure


def predictive_figure(tree: xr.DataTree) -> Figure:
    """Readings over time with the middle 50 and 90 per cent of replicated ones, one panel per series and observable.

    Raises:
        ProblemError: the tree has no predictive draws.
    """
    from twin.errors import ProblemError

    if "posterior_predictive" not in tree.children:
        raise ProblemError("the tree has no predictive draws", where="figure", fix="sample with predictive=True")
    observed = tree["observed_data"].to_dataset()
    drawn = (
        tree["posterior_predictive"]["reading"].stack(sample=("chain", "draw")).transpose("row", "sample").to_numpy()
    )
    labels = [
        " / ".join(dict.fromkeys(map(str, each)))
        for each in zip(
            observed["observable"].values, observed["experiment"].values, observed["subject"].values, strict=True
        )
    ]
    groups = list(dict.fromkeys(labels))[:MOST_PANELS]
    columns = min(COLUMNS, len(groups))
    rows = -(-len(groups) // columns)
    figure = blank_figure(max(2.6 * columns + 0.4, 4.0), 2.0 * rows + 0.5)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, group in zip(panels, groups, strict=False):
        here = np.flatnonzero(np.array(labels) == group)
        time = observed["time"].values[here]
        here, time = here[np.argsort(time, kind="stable")], np.sort(time)
        low90, low50, middle, high50, high90 = np.quantile(drawn[here], (0.05, 0.25, 0.5, 0.75, 0.95), axis=1)
        panel.fill_between(time, low90, high90, color=BLUE, alpha=0.18, linewidth=0, label="90 %")
        panel.fill_between(time, low50, high50, color=BLUE, alpha=0.30, linewidth=0, label="50 %")
        panel.plot(time, middle, color=BLUE, linewidth=1.0)
        kind, value = observed["censoring"].values[here], observed["reading"].values[here]
        for word, marker, colour, size in (("", "o", INK, 3), ("left", "v", ORANGE, 4), ("right", "^", ORANGE, 4)):
            panel.plot(time[kind == word], value[kind == word], marker, color=colour, markersize=size)
        if (between := kind == "interval").any():
            upper = observed["upper"].values[here]
            panel.vlines(time[between], value[between], upper[between], color=ORANGE, linewidth=1.5)
        panel.set_title(group, fontsize=8, color=INK)
        dress(panel)
    for panel in panels[len(groups) :]:
        panel.set_visible(False)
    figure.supxlabel("time", fontsize=9, color=INK)
    figure.suptitle("middle 50 and 90 % of replicated readings", fontsize=10, color=INK)
    return figure
