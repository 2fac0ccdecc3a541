"""Claim: a twin that takes in readings one by one narrows its forecast, answers a what-if, and comes back from a file.

Subject 1 of the theophylline study: calibrated to the six readings of the first four hours; then every later reading
but the last is taken in as it comes. What the twin says of the day after narrows, though not at every reading.

    uv run python examples/living_twin.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes

import calibration
import models
import twin

EXPERIMENT, QUANTILES = "oral_4.02", (0.05, 0.5, 0.95)
HOURS, DUE = np.linspace(0.0, 36.0, 145), 24.37
"""Hours of the picture, and of the last reading."""
folder = Path("out")
folder.mkdir(exist_ok=True)

study = models.study("theophylline")
table = models.dataset("theophylline").load()
table = table[table["subject"] == "1"].sort_values("time")
early, later, last = table[table["time"] < 4], table[(table["time"] > 4) & (table["time"] < DUE)], table.iloc[-1]
problem = calibration.Problem(
    models.load("theophylline"),
    early,
    # One subject: what the study gives every subject of its own is an estimate like the others.
    [replace(each, per="shared", between=None) for each in study.estimates],
    study.noise,
    experiments={EXPERIMENT: study.experiments[EXPERIMENT]},
    name="theophylline, subject 1",
    solver="tsit5",  # not stiff: the explicit method compiles faster
)
posterior = calibration.sample(problem, seed=0, chains=2, warmup=150, draws=250, predictive=False, quiet=True)
first = live = calibration.twin_of(problem, posterior)


def width(of: twin.Twin) -> float:
    """Width of the 90 % band of the concentration that is due [mg/L]."""
    low, _, high = of.forecast([DUE], quantiles=QUANTILES)["concentration"].to_numpy()[:, 0]
    return high - low


widths = [width(live)]
print(f"calibrated to {len(live.readings)} readings: 90 % band at {DUE} h {widths[0]:.2f} mg/L wide")
for _, reading in later.iterrows():
    # Particles move until they have forgotten where they were resampled, which the default of 200 moves may not do.
    live = live.update(reading.to_frame().T.astype({"time": float, "value": float}), most_moves=1000)
    widths.append(width(live))
    print(f"  {reading['time']:5.2f} h, {reading['value']:4.2f} mg/L: {widths[-1]:.2f}; {live.ess:.0f} particles count")

second_dose = twin.Experiment(doses=[twin.Bolus("gut", 4.02, time=live.time())])
after = live.what_if(second_dose, HOURS, from_now=True, quantiles=QUANTILES)
live.save(folder / "living_twin.nc")
loaded = twin.Twin.load(folder / "living_twin.nc", model=problem.model)
xr.testing.assert_identical(after, loaded.what_if(second_dose, HOURS, from_now=True, quantiles=QUANTILES))

new = live.forecast([DUE], quantiles=QUANTILES, noise=True)["concentration"].to_numpy()[:, 0]
highest = float(after["concentration"].sel(quantile=0.5).where(after["time"] > live.time()).max())
print(f"a second dose at {live.time():g} h: up to {highest:.1f} mg/L (median)")
print(f"reading of {DUE} h, never seen: {last['value']:.2f} mg/L; 90 % of such readings {new[0]:.2f} to {new[2]:.2f}")
print(
    f"Claim: {len(later)} readings, one by one, narrowed the band of the next day from {widths[0]:.2f} to "
    f"{widths[-1]:.2f} mg/L; the twin that was loaded says the same as the one that was saved."
)
assert widths[-1] < 0.8 * widths[0]
assert new[0] < last["value"] < new[2]


def draw(panel: Axes, bands: xr.Dataset, color: str, label: str) -> None:
    low, middle, high = bands["concentration"].to_numpy()
    panel.fill_between(HOURS, low, high, color=color, alpha=0.25, lw=0)
    panel.plot(HOURS, middle, color=color, label=label)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
draw(left, first.forecast(HOURS, quantiles=QUANTILES), "0.5", f"after {len(first.readings)} readings")
draw(left, live.forecast(HOURS, quantiles=QUANTILES), "tab:blue", f"after {len(live.readings)} readings")
draw(right, live.forecast(HOURS, quantiles=QUANTILES), "tab:blue", "as it goes on")
draw(right, after, "tab:red", "a second dose")
for panel in (left, right):
    panel.plot(live.readings["time"], live.readings["value"], "ko", ms=4, label="taken in")
    panel.plot(last["time"], last["value"], "o", mfc="white", mec="black", ms=5, label="never seen")
    panel.axvline(live.time(), color="0.5", lw=0.8, ls="--")
    panel.set(xlabel="hours after the dose", ylim=(0, None))
    panel.legend(frameon=False, fontsize=8)
left.set(ylabel="theophylline in serum [mg/L]", title="Forecast: median and 90 % band")
right.set(title="What if, from now on")
figure.savefig(folder / "living_twin.png", dpi=120)
print(f"saved: {folder / 'living_twin.nc'}, {folder / 'living_twin.png'}")
