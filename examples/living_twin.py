"""Claim: a twin that takes in readings one by one knows what a calibration to all of them at once knows.

A volunteer with influenza is followed day by day (simulated with published parameters, so that the truth is known). The
twin begins from the priors and takes in one titre a day; its forecast of the days to come narrows. In the end its
estimates are compared with those of NUTS given all titres, within the Monte-Carlo errors of both. Then it answers what
an antiviral from day 2 on would have done, and is read back from its file. Writes out/living_twin.png and
out/volunteer.nc.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from arviz_stats import mcse

import calibration
import models
import twin
from twin.figure import blank_figure
from twin.live.figure import draw_panel, readings_of, twin_time

DAYS, SD = np.arange(1.0, 8.0), 0.5
TRUE = {"beta": 3.2e-5, "p": 0.046, "c": 5.2, "delta": 5.2, "V0": 0.075}
SHOWN = (0, 2, 4, 7)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
TIMES = np.linspace(0.0, 9.0, 91)
ERRORS = 4.5
"""Monte-Carlo errors allowed, of a dozen numbers compared."""


def titres(model: twin.Model) -> pd.DataFrame:
    """One titre a day."""
    true = twin.simulate(model, DAYS, TRUE)["log10_titre"].to_numpy()
    value = true + SD * np.random.default_rng(4).normal(size=len(DAYS))
    return pd.DataFrame({"observable": "log10_titre", "time": DAYS, "value": value})


def problem_of(model: twin.Model, table: pd.DataFrame) -> calibration.Problem:
    """Five parameters with weak priors, as in the library's study."""
    weak = {"beta": (-5.0, 1.0), "p": (-2.0, 1.0), "c": (0.5, 0.3), "delta": (0.5, 0.3), "V0": (-1.0, 0.7)}
    estimates = [
        twin.Estimate(name, 10 ** (at - 6 * wide), 10 ** (at + 6 * wide), prior=twin.Prior("normal", at, wide))
        for name, (at, wide) in weak.items()
    ]
    return calibration.Problem(model, table, estimates, twin.Noise("normal", SD), name="volunteer")


def draw(path: Path, fans: dict[int, tuple[twin.Twin, object]], truth: np.ndarray) -> None:
    """The forecast before any titre, and after some."""
    figure = blank_figure(11.0, 3.1)
    panels = figure.subplots(1, len(fans), sharey=True)
    for panel, (count, (live, bands)) in zip(panels, fans.items(), strict=True):
        draw_panel(panel, bands, "log10_titre", readings_of(live, bands, "log10_titre"), twin_time(bands))
        panel.plot(TIMES, truth, color="black", linewidth=0.8, linestyle=":", label="truth")
        panel.set_title(f"after {count} titres", fontsize=9)
        panel.set_ylim(-4, 9)
        if panel is not panels[-1]:
            panel.get_legend().remove()
    panels[0].set_ylabel("log10 titre", fontsize=8)
    panels[-1].legend(fontsize=7, frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    model = models.load("influenza_teiv")
    table = titres(model)
    problem = problem_of(model, table)
    live = calibration.twin_of(problem, particles=1000, seed=1)
    fans, widths = {}, []
    for count in range(len(table) + 1):
        if count:
            live = live.update(table.iloc[[count - 1]])
        if count in SHOWN:
            bands = live.forecast(TIMES, quantiles=QUANTILES)
            fans[count] = (live, bands)
            ends = bands["log10_titre"].sel(time=slice(2.0, 6.0))
            widths.append(float((ends.sel(quantile=0.95) - ends.sel(quantile=0.05)).mean()))
            print(f"after {count} titres the 90 % band of days 2 to 6 is {widths[-1]:.2f} log10 wide; {live}")
    draw(Path("out/living_twin.png"), fans, twin.simulate(model, TIMES, TRUE)["log10_titre"].to_numpy())

    tree = calibration.sample(problem, seed=1, predictive=False, quiet=True)
    theta = tree["posterior"]["theta"]
    nuts, error = theta.mean(("chain", "draw")).to_numpy(), np.asarray(mcse(theta, method="mean"))
    found = live.summary()
    # Resampled particles have ancestors in common: a third of the distinct ones counts.
    distinct = min(record["distinct"] for record in live.log[1:] if record["moves"])
    away = (found["mean"] - nuts) / np.hypot(error, found["sd"] / np.sqrt(distinct / 3))
    print(found.assign(nuts=nuts, errors=away)[["mean", "nuts", "sd", "errors"]].round(3).to_string())
    calls = sum(record["evaluations"] for record in live.log[1:])
    print(f"{calls} likelihoods one by one; {int(tree['sample_stats']['n_steps'].sum())} gradients by NUTS")

    drug = twin.Experiment(changes=[twin.Change("p", "0.1 * p", start=2.0)])
    with_drug = live.what_if(drug, TIMES, variables=["log10_titre"])["log10_titre"].sel(time=4.0)
    without = live.forecast(TIMES)["log10_titre"].sel(time=4.0)
    drop = float((live.weights * (without - with_drug)).sum())
    print(f"blocking 90 % of production from day 2 on would have lowered the titre of day 4 by {drop:.2f} log10")
    live.save("out/volunteer.nc")
    again = twin.Twin.load("out/volunteer.nc", model)
    assert np.array_equal(again.ensemble.theta, live.ensemble.theta) and again.basis == live.basis

    assert np.all(np.abs(away) < ERRORS)
    assert widths[-1] < 0.5 * widths[0]
    assert drop > 0
    print("Claim: a twin that takes in readings one by one knows what a calibration to all of them at once knows.")


if __name__ == "__main__":
    main()
