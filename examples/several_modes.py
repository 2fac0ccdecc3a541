"""Claim: of a posterior with two modes NUTS sees one, tempering weighs both, and the evidence is right.

The reading is a square, so the sign of a cannot be read, only the prior prefers positive ones. Weights and evidence
are known by quadrature on a grid.

    uv run python examples/several_modes.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

import calibration
import twin
from twin.figure import blank_figure, dress

TIMES = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 7.0])
SD = 0.1
READINGS = 2.25 * np.exp(-0.5 * TIMES) + SD * np.random.default_rng(5).normal(size=6)


def build() -> calibration.Problem:
    """dA/dt = -k A from A = a^2."""
    model = twin.Model(
        "squared",
        [twin.State("A", "a^2")],
        [twin.Parameter("k", 0.5), twin.Parameter("a", 1.0)],
        [twin.Reaction("loss", "A ->", "k * A")],
        observables=[twin.Observable("y", "A")],
    )
    table = pd.DataFrame({"observable": "y", "time": TIMES, "value": READINGS})
    estimates = [
        twin.Estimate("a", -6.0, 6.0, scale="lin", nominal=1.0, prior=twin.Prior("normal", 0.3, 1.0)),
        twin.Estimate("k", 0.01, 5.0, scale="lin", nominal=0.5, prior=twin.Prior("normal", 0.6, 0.3)),
    ]
    return calibration.Problem(model, table, estimates, twin.Noise("normal", SD))


def known() -> tuple[float, float]:
    """Log evidence and the weight of positive a, on a grid."""
    a, k = np.linspace(-6, 6, 3001), np.linspace(0.01, 5.0, 2001)
    log = stats.norm.logpdf(a, 0.3, 1.0)[:, None] + stats.norm.logpdf(k, 0.6, 0.3)
    log -= np.log(stats.norm(0.6, 0.3).cdf(5.0) - stats.norm(0.6, 0.3).cdf(0.01))
    for t, y in zip(TIMES, READINGS, strict=True):
        log += stats.norm.logpdf(y, a[:, None] ** 2 * np.exp(-k * t), SD)
    weight = np.exp(log - log.max())
    cell = (a[1] - a[0]) * (k[1] - k[0])
    return float(np.log(weight.sum() * cell) + log.max()), float(weight[a > 0].sum() / weight.sum())


def main(folder: Path = Path("out")) -> None:
    """Sample by three methods and compare."""
    problem = build()
    evidence, share = known()
    print(f"known: log evidence {evidence:.3f}, positive a with probability {share:.3f}")
    trees = {
        method: calibration.sample(problem, seed=1, method=method, draws=400, predictive=False, quiet=True)
        for method in ("nuts", "smc", "pathfinder")
    }
    for method, tree in trees.items():
        positive = float((tree["posterior"]["a"] > 0).mean())
        found = tree.attrs.get("log_evidence")
        said = "" if found is None else f"log evidence {found:.3f} +- {tree.attrs['log_evidence_error']:.3f}, "
        print(f"{method:10s}: {said}positive a with probability {positive:.3f}")
        if found is not None:
            assert abs(found - evidence) < 0.25
            assert abs(positive - share) < 0.1
    assert len({bool(x) for x in np.ravel(trees["nuts"]["posterior"]["a"] > 0)}) == 1, "NUTS has crossed"

    print(
        f"\nClaim: of two modes NUTS sees one; populations and weighted approximations give positive a its probability "
        f"of {share:.3f} within 0.1, and the log evidence of {evidence:.3f} within 0.25."
    )
    figure = blank_figure(6.0, 2.6)
    panels = figure.subplots(1, 3, sharey=True)
    for panel, (method, tree) in zip(panels, trees.items(), strict=True):
        panel.hist(np.ravel(tree["posterior"]["a"]), bins=np.linspace(-2, 2, 61), density=True, color="#0072b2")
        panel.set_title(method, fontsize=9)
        panel.set_xlabel("a", fontsize=9)
        dress(panel)
    panels[0].set_ylabel("density", fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / "several_modes.png", dpi=150)


if __name__ == "__main__":
    main()
