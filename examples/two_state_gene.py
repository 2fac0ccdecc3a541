"""Claim: the three rates of a bursting gene are found from counts of cells that are looked at once.

The gene of Golding et al. (2005), the library's `mrna_golding`, as a jump process: two thousand cells at steady state.
Its rates are found again from the counts alone, within their profile intervals; a gene that is always on is refuted.
The mean tells none of this.

    uv run python examples/two_state_gene.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import optimize, stats

import models
import twin
from calibration.stochastic.snapshots import two_state_log_pmf

CELLS = 2000
NAMES = ("k_on", "k_off", "k_tx")
HALF_WIDTH = stats.chi2(1).ppf(0.95) / 2
WIDEST = np.log(30.0)

model = models.load("mrna_golding")
truth = {name: model.default_parameters[name] for name in (*NAMES, "gamma")}
cells = twin.simulate_jumps(model, [10.0, 100.0, 700.0], variables=["m"], runs=CELLS, seed=1)["m"].to_numpy()
counts = cells[:, -1]


def negative(x: np.ndarray) -> float:
    """Negative log-likelihood of the logarithms of the three rates; gamma is the growth rate, which is known."""
    if np.abs(x - start).max() > WIDEST:
        return 1e10
    return -two_state_log_pmf(counts, *np.exp(x), truth["gamma"]).sum()


def profile(index: int, value: float, x: np.ndarray) -> float:
    """The smallest `negative` with one logarithm held at a value."""
    others = [i for i in range(3) if i != index]
    full = lambda free: np.insert(free, index, value)  # noqa: E731
    return optimize.minimize(lambda free: negative(full(free)), x[others], method="Nelder-Mead").fun


def end(index: int, direction: int, best: np.ndarray, least: float) -> float:
    """Where the profile has risen by half of chi-squared's 95 % point."""
    rise = lambda step: profile(index, best[index] + direction * step, best) - least - HALF_WIDTH  # noqa: E731
    step = 0.05
    while rise(step) < 0:
        step *= 2
        if step > 3:
            return direction * np.inf
    return best[index] + direction * optimize.brentq(rise, step / 2 if step > 0.05 else 1e-6, step, xtol=0.01)


start = np.log([0.05, 0.1, 1.0])
fit = optimize.minimize(negative, start, method="Nelder-Mead", options={"maxiter": 2000})
intervals = {}
print(f"{CELLS} cells of {counts.mean():.2f} transcripts on average, variance {counts.var():.1f}")
for index, name in enumerate(NAMES):
    low, high = (np.exp(end(index, direction, fit.x, fit.fun)) for direction in (-1, 1))
    intervals[name] = (low, np.exp(fit.x[index]), high)
    print(f"  {name}: {np.exp(fit.x[index]):.4f} ({low:.4f} to {high:.4f}) per minute; true {truth[name]:.4f}")
    assert low < truth[name] < high
always_on = -stats.poisson.logpmf(counts, counts.mean()).sum()
print(f"  a gene that is always on: log-likelihood lower by {always_on - fit.fun:.0f}")
print("Claim: the three rates of a bursting gene are found from counts of cells that are looked at once.")
assert always_on - fit.fun - 2 > 10  # by AIC, two parameters more, "essentially no support" for it

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
n = np.arange(int(counts.max()) + 1)
for column, (time, shade) in enumerate(((10, "0.8"), (100, "0.65"))):
    left.step(n, [np.mean(cells[:, column] == k) for k in n], where="mid", color=shade, label=f"{time} min")
left.bar(n, [np.mean(counts == k) for k in n], color="tab:blue", alpha=0.4, label="steady state, 700 min")
left.plot(n, np.exp(two_state_log_pmf(n, *np.exp(fit.x), truth["gamma"])), color="tab:blue", label="two states, fitted")
left.plot(n, stats.poisson.pmf(n, counts.mean()), color="tab:red", ls="--", label="always on, same mean")
left.set(xlabel="transcripts per cell", ylabel="share of cells", xlim=(-0.5, 25), ylim=(0, 0.3))
left.legend(frameon=False, fontsize=8)
for row, (name, (low, best, high)) in enumerate(intervals.items()):
    right.plot(np.array([low, high]) / truth[name], [row, row], color="tab:blue")
    right.plot(best / truth[name], row, "o", color="tab:blue")
right.axvline(1.0, color="0.5", lw=1)
right.set(xscale="log", yticks=range(3), yticklabels=NAMES, xlabel="estimate / truth, 95 % profile interval")
right.set(ylim=(-0.5, 2.5))
Path("out").mkdir(exist_ok=True)
figure.savefig("out/two_state_gene.png", dpi=120)
print("saved: out/two_state_gene.png")
