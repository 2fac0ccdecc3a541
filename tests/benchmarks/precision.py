"""Trajectories in float32 beside float64: how long they take, and how far they are from the truth.

    uv run python tests/benchmarks/precision.py [--petab ../shared/petab-benchmarks] [--draws 1024] [--out FILE]

Both are integrated at the same tolerances, each in its fastest of several calls, once compiled. The error of a draw is
the largest distance from float64 at 1e-11 over times and states, each state in units of its largest value; given are
the median over the draws and the largest. On a CPU float32 halves the memory traffic and doubles the width of a vector;
a card with few float64 units gains more.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from peers.petab_folder import model_file, petab_files
from peers.scenarios import influenza, lotka_volterra, robertson
from stopwatch import Row, fastest, markdown, write_tsv

import twin
from twin.errors import TwinWarning

SCATTER = 0.2
"""Standard deviation of the logarithms of parameters."""
TOLERANCES = (1e-3, 1e-4, 1e-5)
ATOL_OF_RTOL = 1e-2
TRUTH = 1e-11
PETAB = {"Boehm_JProteomeRes2014": 240.0, "Bachmann_MSB2011": 240.0}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--petab", type=Path, help="folder of the PEtab benchmark problems, for two more models")
    parser.add_argument("--draws", type=int, default=1024)
    parser.add_argument("--out", type=Path, help="file for the rows")
    arguments = parser.parse_args()
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}", flush=True)
    rows = []
    for model, times in _models(arguments.petab):
        rows += _rows(model, times, arguments.draws)
    print(markdown(rows))
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        write_tsv(arguments.out, rows)


def _models(petab: Path | None) -> Iterator[tuple[twin.Model, np.ndarray]]:
    yield robertson(), np.concatenate([[0.0], np.logspace(-2, 5, 29)])
    yield lotka_volterra(), np.linspace(0.0, 20.0, 81)
    yield influenza(), np.linspace(0.0, 7.0, 71)
    if petab:
        for name, path in petab_files(petab.resolve(), list(PETAB)).items():
            yield twin.read_sbml(model_file(path)), np.linspace(0.0, PETAB[name], 61)


def _rows(model: twin.Model, times: np.ndarray, draws: int) -> Iterator[Row]:
    def parameters(seed: int) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        return {
            name: value * np.exp(SCATTER * generator.standard_normal(draws))
            for name, value in model.default_parameters.items()
            if value > 0
        }

    def simulate(seed: int, rtol: float, precision: str) -> xr.Dataset:
        accuracy = {"rtol": rtol, "atol": ATOL_OF_RTOL * rtol, "precision": precision}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", TwinWarning)
            return twin.simulate(
                model, times, parameters(seed), variables=model.state_names, max_steps=10_000, **accuracy
            )

    truth = simulate(0, TRUTH, "float64")
    for rtol in TOLERANCES:
        row: dict[str, object] = {"model": model.name, "rtol": rtol}
        seconds, found = {}, {}
        for precision in ("float64", "float32"):
            found[precision] = simulate(0, rtol, precision)
            seconds[precision] = fastest(lambda k, r=rtol, p=precision: simulate(1 + k, r, p), spend=3.0) / draws
            row[f"{precision} [us]"] = 1e6 * seconds[precision]
        row["float64 / float32"] = seconds["float64"] / seconds["float32"]
        for precision, ds in found.items():
            median, largest = _error(ds, truth)
            row |= {f"error {precision}": median, f"largest {precision}": largest}
            row[f"failed {precision}"] = ds.attrs["failed"]
        yield row
        print(", ".join(f"{name} {value:.3g}" for name, value in list(row.items())[1:]), flush=True)


def _error(ds: xr.Dataset, truth: xr.Dataset) -> tuple[float, float]:
    """Median and largest error of the draws that both integrated."""
    worst = np.zeros(ds.sizes["draw"])
    for name in ds.data_vars:
        exact = truth[name].to_numpy()
        scale = np.maximum(np.abs(exact).max(axis=1), 1e-12 * np.nanmax(np.abs(exact)) + 1e-300)
        worst = np.maximum(worst, np.abs(ds[name].to_numpy() - exact).max(axis=1) / scale)
    return float(np.nanmedian(worst)), float(np.nanmax(worst))


if __name__ == "__main__":
    main()
