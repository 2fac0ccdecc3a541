"""Claim: a discrepancy of known size is found within its interval; where there is none, its size is below the noise.

The readings decay as the mechanism says; in the second table they also wave, by a sine with a root mean square of 4.2
noise scales. With --study the same is asked of a study of the library, and the picture is of that.

    uv run python examples/discrepancy.py
    uv run python examples/discrepancy.py --study timekill_regoes2004 --out FOLDER
    uv run python examples/discrepancy.py --study timekill_regoes2004 --along study --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import calibration
import twin
from calibration.discrepancy import discrepancy_figure, sample_discrepancy

TIMES = np.linspace(0.0, 10.0, 30)
NOISE, WAVE = 0.1, 6.0


def decay(wave: float) -> calibration.Problem:
    """First-order decay, read 30 times with normal noise and a sine of `wave` noise scales."""
    model = twin.Model(
        "decay",
        [twin.State("A", 3.0)],
        parameters=[twin.Parameter("k", 0.2)],
        odes={"A": "-k * A"},
        observables=[twin.Observable("y", "A")],
    )
    scatter = np.random.default_rng(0).normal(size=len(TIMES))
    y = 3 * np.exp(-0.2 * TIMES) + NOISE * (wave * np.sin(1.5 * TIMES) + scatter)
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "y", "time": TIMES, "value": y})
    estimates = [twin.Estimate("k", 0.02, 2.0), twin.Estimate("sd", 0.01, 2.0, nominal=NOISE)]
    return calibration.Problem(model, table.assign(noise=np.nan, censoring=""), estimates, twin.Noise("normal", "sd"))


def of_study(name: str, along: str | None, out: Path) -> None:
    """Print the size of the discrepancy of a study, at each dose if asked for, and draw it."""
    problem = calibration.Problem.from_study(name)
    found = sample_discrepancy(problem, along=along, starts=4, chains=2, warmup=100, draws=150)
    print(found.table().round(3).to_string(index=False))
    if along is not None:
        print(found.by_dose().round(3).to_string(index=False))
    print(f"{found.diverging} of {found.amplitude[..., 0].size} transitions divergent")
    out.mkdir(parents=True, exist_ok=True)
    discrepancy_figure(found).savefig(out / f"discrepancy_{name}{'_doses' if along else ''}.png", dpi=130)


def main() -> None:
    """Find a discrepancy that is there and one that is not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", help="a study of the library instead of simulated readings")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of its picture")
    parser.add_argument("--along", help="let it differ between doses: 'study', or what sample_discrepancy takes")
    args = parser.parse_args()
    if args.study:
        of_study(args.study, args.along, args.out)
        return
    right, wrong = (
        sample_discrepancy(decay(wave), starts=4, chains=2, warmup=200, draws=300, quiet=True).table().iloc[0]
        for wave in (0.0, WAVE)
    )
    truth = WAVE / np.sqrt(2)
    assert wrong["lower"] < truth < wrong["upper"], "the known discrepancy lies outside its interval"
    assert right["median"] < 1, "a discrepancy above the noise where there is none"
    print(f"Claim: {__doc__.split('Claim: ')[1].splitlines()[0]}")
    for what, row in (("none", right), (f"{truth:.1f} noise scales", wrong)):
        print(f"true discrepancy {what}: {row['median']:.2f} ({row['lower']:.2f} to {row['upper']:.2f}) noise scales")


if __name__ == "__main__":
    main()
