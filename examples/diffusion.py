"""Claim: noise inside the dynamics is found within its interval, and told from noise of measurement.

Bacteria grow, and their rate wanders unseen: readings stray from the curve and stay away, as no noise of measurement
makes them. With --study the same is asked of a study of the library, and the picture is of that.

    uv run python examples/diffusion.py
    uv run python examples/diffusion.py --study timekill_regoes2004 --out FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import calibration
import twin
from calibration.discrepancy import diffusion_figure, sample_diffusion

TIMES = np.linspace(0.5, 12.0, 24)
RATE, SIZE, NOISE = 0.4, 0.25, 0.1
QUICK = {"starts": 4, "chains": 2, "warmup": 150, "draws": 200}


def growth() -> calibration.Problem:
    """Exponential growth whose logarithm also wanders, with 10 % noise of measurement."""
    model = twin.Model(
        "growth",
        [twin.State("B", 5.0)],
        parameters=[twin.Parameter("k", RATE, unit="1/hour")],
        odes={"B": "k * B"},
        observables=[twin.Observable("count", "B")],
        time_unit="hour",
    )
    rng = np.random.default_rng(1)
    wandering = SIZE * np.cumsum(rng.normal(size=len(TIMES)) * np.sqrt(np.diff(TIMES, prepend=0.0)))
    value = 5 * np.exp(RATE * TIMES + wandering + NOISE * rng.normal(size=len(TIMES)))
    table = pd.DataFrame({"experiment": "e", "subject": "1", "observable": "count", "time": TIMES, "value": value})
    estimates = [twin.Estimate("k", 0.04, 4.0), twin.Estimate("sd", 0.01, 1.0, nominal=NOISE)]
    noise = twin.Noise("log_normal", "sd")
    return calibration.Problem(model, table.assign(noise=np.nan, censoring=""), estimates, noise)


def main() -> None:
    """Find noise that is there, and draw where the course strayed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", help="a study of the library instead of simulated readings")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the picture")
    args = parser.parse_args()
    problem = calibration.Problem.from_study(args.study) if args.study else growth()
    found = sample_diffusion(problem, quiet=args.study is None, **QUICK)
    row = found.table().iloc[0]
    if not args.study:
        truth = SIZE * np.sqrt(TIMES[-1])
        assert row["lower"] < truth < row["upper"], "the known size lies outside its interval"
        sd = 10 ** found.theta[..., problem.names.index("sd")]
        assert np.quantile(sd, 0.05) < NOISE < np.quantile(sd, 0.95), (
            "the noise of measurement lies outside its interval"
        )
        print(f"Claim: {(__doc__ or '').split('Claim: ')[1].splitlines()[0]}")
        print(f"true straying {truth:.2f}: {row['median']:.2f} ({row['lower']:.2f} to {row['upper']:.2f})")
    else:
        print(found.table().round(3).to_string(index=False))
        print(f"{found.diverging} of {found.theta[..., 0].size} transitions divergent")
    args.out.mkdir(parents=True, exist_ok=True)
    diffusion_figure(found).savefig(args.out / f"diffusion_{problem.name}.png", dpi=130)


if __name__ == "__main__":
    main()
