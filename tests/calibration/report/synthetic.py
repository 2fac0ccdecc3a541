"""Made-up assessments that look like real ones, for the tests of the page."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from calibration.sim2real.assessment import Assessment
from calibration.sim2real.check_row import Check, check_table
from calibration.sim2real.context import ContextOfUse, Graded, Threshold
from calibration.sim2real.credibility import Credibility, judge_context
from calibration.sim2real.floor import noise_floor
from calibration.sim2real.gap import Gap, measure_gap
from calibration.sim2real.scores import score_readings
from calibration.sim2real.splits import Split, split_subject, split_time
from calibration.sim2real.verdict import judge

QUANTILES = {"q05": 0.05, "q25": 0.25, "q50": 0.5, "q75": 0.75, "q95": 0.95}
OBSERVABLE, LIMIT, NOISE, DRAWS = "log10 virus titre", 0.5, 0.6, 300
HOSTILE = '<script>alert("x")</script> & $\\frac{a}{b}$'


def curve(time: np.ndarray, peak: np.ndarray, when: np.ndarray, fall: np.ndarray) -> np.ndarray:
    """log10 of a titre that grows, peaks and falls exponentially."""
    return peak - np.log10(np.exp(-4.0 * (time - when)) + np.exp(fall * (time - when))) + math.log10(2.0)


def influenza_table(subjects: int = 6, seed: int = 3) -> pd.DataFrame:
    """Titres of volunteers on seven days, left-censored at the detection limit."""
    rng = np.random.default_rng(seed)
    rows = []
    for subject in range(1, subjects + 1):
        days = np.arange(1.0, 8.0)
        truth = curve(days, rng.normal(5.0, 0.5), rng.normal(2.1, 0.2), rng.normal(2.3, 0.3))
        for day, value in zip(days, truth + NOISE * rng.standard_normal(7), strict=True):
            below = value < LIMIT
            rows.append(
                (
                    "challenge",
                    str(subject),
                    OBSERVABLE,
                    day,
                    LIMIT if below else value,
                    "left" if below else "",
                )
            )
    table = pd.DataFrame(rows, columns=["experiment", "subject", "observable", "time", "value", "censoring"])
    return table.assign(noise=np.nan, unit="log10(TCID50/mL)")


def predict(times: np.ndarray, seen: int, rng: np.random.Generator) -> np.ndarray:
    """Draws of the noise-free prediction; the fewer readings were seen, the wider."""
    wide = 1.0 if seen else 2.0
    peak = rng.normal(5.0, 0.25 * wide, (DRAWS, 1))
    when = rng.normal(2.1, 0.12 * wide, (DRAWS, 1))
    return curve(times[None, :], peak, when, rng.normal(2.3, 0.2 * wide, (DRAWS, 1)))


def influenza(kind: str = "time", *, biased: float = 0.0, subjects: int = 6) -> Assessment:
    """An influenza-like assessment: last days held out ("time"), or subjects in three folds ("subject").

    Args:
        kind: The split.
        biased: Error added to the twin's predictions; a large one makes it worse than any baseline.
        subjects: Number of subjects.
    """
    table = influenza_table(subjects)
    split = split_time(table) if kind == "time" else split_subject(table)
    rng = np.random.default_rng(11)
    readings, bands, scores = [], [], []
    floor = noise_floor(table, declared={OBSERVABLE: NOISE}).score
    for index, fold in enumerate(split.folds):
        mean = np.empty((DRAWS, len(table)))
        for subject in table["subject"].unique():
            mine = (table["subject"] == subject).to_numpy()
            grid = np.linspace(0.5, 7.5, 141)
            seen = int((mine & fold.train).sum())
            both = predict(np.concatenate([grid, table.loc[mine, "time"].to_numpy()]), seen, rng) + biased
            mean[:, mine] = both[:, len(grid) :]
            bands.append(_bands(grid, both[:, : len(grid)], subject, index, rng))
        drawn = mean + NOISE * rng.standard_normal(mean.shape)
        known = table.assign(fold=index, train=fold.train)
        readings.append(known.assign(**{n: np.quantile(drawn, q, axis=0) for n, q in QUANTILES.items()}))
        scores.append(_scores(table, fold.test, drawn, floor, rng).assign(fold=index))
    return _assemble(table, split, pd.concat(readings), pd.concat(scores, ignore_index=True), pd.concat(bands))


def hostile() -> Assessment:
    """An undefined gap, missing numbers, long names, markup in names, and series without a prediction."""
    made = influenza("subject", subjects=16)
    names = {"1": f"0 {HOSTILE}", "2": "00 volunteer " + "with a very long name " * 8, "3": "000 志愿者"}
    rename = {"subject": names}
    gap = _undefined(made.gap)
    parameters = made.parameters.replace({"name": {"beta": "<b>beta</b>" * 4}})
    parameters = parameters.assign(**dict.fromkeys(("median", "q05", "q95", "r_hat", "ess_bulk"), np.nan))
    forecasters = made.by_forecaster.copy()
    forecasters.loc[1:, ["crps", "elpd", "interval_score"]] = np.nan
    scores = made.scores.replace(rename).assign(elpd=np.nan)
    return replace(
        made,
        title=f"Twin of {HOSTILE}",
        gap=gap,
        verdict=judge(gap, None),
        readings=made.readings.replace(rename).assign(unit=HOSTILE),
        bands=made.bands.loc[made.bands["subject"] != "4"].replace(rename),
        scores=scores,
        by_forecaster=forecasters,
        parameters=parameters,
        layers={
            "L0": made.layers["L0 verification"].assign(passed=None, note=HOSTILE),
            "odd <i>": pd.DataFrame(),
        },
        predictive_tests=made.predictive_tests.assign(p_value=np.nan, series=HOSTILE),
        diagnostics={"worst_r_hat": math.nan, "<u>x</u>": None, "per_fold": [1, 2]},
        provenance={"command": HOSTILE, "date": None, "versions": {"jax": "0.12", "x": {"<y>": math.nan}}},
        units={"time": "d<ay>", OBSERVABLE: HOSTILE},
    )


def credibility() -> Credibility:
    """A context of use with all three outcomes, and text that is hostile."""
    context = ContextOfUse(
        question=HOSTILE,
        use="A pilot arm stands beside it.",
        decision="Which arm comes first.",
        model_influence=Graded("medium", "The pilot arm is read before."),
        decision_consequence=Graded("high", "A trial."),
        fixed=datetime.date(2026, 1, 31),
        thresholds=(
            Threshold("L0", "r_hat", at_most=1.01),
            Threshold("L1", "mmd", at_least=0.05, why="series should not stand out"),
            Threshold("L2", "rule.*"),
            Threshold("L6", "discrepancy.*"),
        ),
        file="context.yaml",
        sha256="0" * 64,
    )
    layers = {
        "L0 verification": check_table([Check("r_hat", "R-hat", 1.004, True, "")]),
        "L1 statistical": check_table([Check("mmd", "MMD", "no power", None, "", 0.7, powerless=True)]),
        "L2 biological": check_table([Check("rule.r0", "R0", "20 %", False, "", 0.2)]),
    }
    return judge_context(context, layers)


def natural_scale() -> Assessment:
    """Concentrations over several decades, scored on log10, two observables, one arm held out of the drawing."""
    made = influenza("time")
    natural = {}
    for name in ("readings", "bands"):
        table = getattr(made, name).copy()
        columns = [c for c in ("value", *QUANTILES, "m05", "m50", "m95") if c in table]
        table[columns] = 10.0 ** table[columns]
        other = table.assign(observable="cells")
        natural[name] = pd.concat([table.assign(observable="virus"), other], ignore_index=True)
    scores = made.scores.assign(observable="virus")
    both = {"virus": "log10", "cells": "log10"}
    return replace(
        made,
        **natural,
        scores=pd.concat([scores, scores.assign(observable="cells")], ignore_index=True),
        score_scale=both,
        units={"time": "day", "virus": "TCID50/mL", "cells": "1/mL"},
        limits={"virus": 10.0**LIMIT},
    )


def _bands(grid: np.ndarray, mean: np.ndarray, subject: str, fold: int, rng: np.random.Generator) -> pd.DataFrame:
    drawn = mean + NOISE * rng.standard_normal(mean.shape)
    # Smoothed as many more draws would be: the noise is known here.
    centre = np.quantile(mean, 0.5, axis=0)
    spread = np.sqrt(np.var(mean, axis=0) + NOISE**2)
    columns = {n: centre + z * spread for n, z in zip(QUANTILES, (-1.645, -0.674, 0.0, 0.674, 1.645), strict=True)}
    columns |= {f"m{round(100 * q):02d}": np.quantile(mean, q, axis=0) for q in (0.05, 0.5, 0.95)}
    assert drawn.shape == mean.shape
    keys = {"fold": fold, "experiment": "challenge", "subject": subject, "observable": OBSERVABLE}
    return pd.DataFrame({"time": grid} | columns).assign(**keys)


def _scores(
    table: pd.DataFrame, test: np.ndarray, drawn: np.ndarray, floor: np.ndarray, rng: np.random.Generator
) -> pd.DataFrame:
    rows = table.loc[test]
    likelihood = -0.5 * ((rows["value"].to_numpy() - drawn[:, test]) / NOISE) ** 2
    scores = score_readings(rows, drawn[:, test], log_likelihood=likelihood)
    scores["interval_score"], scores["floor"] = scores["interval_score_90"], floor[test]
    train = table.loc[~test]
    curves = {
        "mean": (train["value"].mean(), train["value"].std()),
        "persistence": (1.6, 1.6),
        "spline": (np.maximum(5.4 - 0.75 * rows["time"].to_numpy(), -0.3), 1.2),
        "gaussian process": (np.maximum(5.0 - 0.6 * rows["time"].to_numpy(), 0.0), 1.5),
    }
    for name, (location, scale) in curves.items():
        forecast = location + scale * rng.standard_normal((DRAWS, len(rows)))
        scored = score_readings(rows, forecast)
        scores[f"crps {name}"] = scored["crps"]
        scores[f"coverage_90 {name}"] = scored["coverage_90"]
    return scores


def _assemble(
    table: pd.DataFrame, split: Split, readings: pd.DataFrame, scores: pd.DataFrame, bands: pd.DataFrame
) -> Assessment:
    names = ("mean", "persistence", "spline", "gaussian process")
    curves = {name: scores[f"crps {name}"].to_numpy() for name in names}
    gap = measure_gap(scores, curves, scores["floor"].to_numpy())
    held = "last days" if split.name == "time" else "subjects"
    return Assessment(
        title=f"Influenza A in {table['subject'].nunique()} volunteers: cells with an eclipse phase, {held} held out",
        problem="influenza",
        model="influenza_teiv",
        dataset="influenza_baccam2006",
        split=split,
        gap=gap,
        verdict=judge(gap, float(scores["coverage_90"].mean())),
        readings=readings.reset_index(drop=True),
        scores=scores,
        by_forecaster=_forecasters(scores, names),
        bands=bands.reset_index(drop=True),
        parameters=_parameters(),
        layers=_layers(),
        predictive_tests=_tests(table),
        diagnostics={
            "chains": 4, "draws": 4000, "divergences": 2, "worst_r_hat": 1.0043, "least_ess_bulk": 1321.0,
            "failed_starts": 3, "failed_draws": 0, "seconds": 71.4,
        },
        score_scale={OBSERVABLE: "lin"},
        units={"time": "day", OBSERVABLE: "log10(TCID50/mL)"},
        provenance={
            "command": "twin demo --seed 0", "date": "2026-03-04 10:12:00", "seed": 0,
            "data": {"file": "influenza_baccam2006.csv", "sha256": "9f" * 32},
            "versions": {"cytotwin": "0.1.0", "jax": "0.12.1", "numpy": "2.3.1", "python": "3.12.4"},
            "settings": {"rtol": 1e-8, "atol": 1e-8, "chains": 4, "warmup": 1000, "draws": 1000},
        },
        draws=[xr.DataTree() for _ in split.folds],
        limits={OBSERVABLE: LIMIT},
    )  # fmt: skip


def _forecasters(scores: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        ("twin", scores["crps"].mean(), scores["coverage_50"].mean(), scores["coverage_90"].mean(),
         scores["interval_score"].mean(), scores["elpd"].sum(), "")
    ]  # fmt: skip
    for name in names:
        crps, covered = scores[f"crps {name}"].mean(), scores[f"coverage_90 {name}"].mean()
        note = "7 knots by cross-validation" if name == "spline" else ""
        rows.append((name, crps, 0.55, covered, 5.2 * crps, np.nan, note))
    rows.append(("floor", scores["floor"].mean(), np.nan, np.nan, np.nan, np.nan, "declared by the publication"))
    columns = ["forecaster", "crps", "coverage_50", "coverage_90", "interval_score", "elpd", "note"]
    return pd.DataFrame(rows, columns=columns)


def _parameters() -> pd.DataFrame:
    baccam = "Baccam et al. 2006, doi:10.1128/JVI.01623-05, Table 3"
    rows = [
        ("beta", "mL/TCID50/day", 4.1e-5, 1.1e-5, 1.3e-4, 3.2e-5, np.nan, np.nan, baccam, True, 1.002, 1811, 0.31, ""),
        ("k", "1/day", 4.4, 3.0, 6.1, 4.0, 3.0, 6.0, baccam, True, 1.001, 2301, 0.92, "the prior decides"),
        ("delta", "1/day", 3.3, 2.6, 4.4, 5.2, np.nan, np.nan, baccam, False, 1.004, 1321, 0.22,
         "the published fit takes readings below the limit as numbers"),
        ("p", "TCID50/mL/day", 0.031, 0.009, 0.11, 0.046, np.nan, np.nan, baccam, True, 1.003, 1488, 0.35, ""),
        ("c", "1/day", 6.8, 3.9, 12.0, np.nan, 2.0, 36.0, "Smith 2011, Table 1", True, 1.001, 2610, 0.81, ""),
        ("V0", "TCID50/mL", 0.09, 0.004, 0.8, 0.093, np.nan, np.nan, baccam, True, 1.002, 1702, 0.55, ""),
        ("sd", "log10(TCID50/mL)", 0.88, 0.71, 1.1, np.nan, np.nan, np.nan, "", None, 1.0, 2988, 0.12, "noise"),
    ]  # fmt: skip
    columns = [
        "name", "unit", "median", "q05", "q95", "published", "published_low", "published_high", "source", "inside",
        "r_hat", "ess_bulk", "prior_to_posterior", "note",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _layers() -> dict[str, pd.DataFrame]:
    columns = ["check", "result", "passed", "note"]
    rows = {
        "L0 verification": [
            ("solver tolerance", 3.1e-7, True, "largest relative change when rtol is divided by 100"),
            ("gradient", 8.4e-6, True, "against central differences"),
            ("R-hat", 1.0043, True, "worst of 7 parameters"),
            ("simulation-based calibration", None, None, "run twin assess --sbc for it"),
        ],
        "L1 statistical": [
            ("predictive tests", "2 of 36 below 0.05", True, ""),
            ("LOO-PIT uniformity", "p = 0.03", False, "heaps at both ends"),
        ],
        "L2 biological": [
            ("positivity", "no state below zero", True, ""),
            ("published values", "5 of 6 inside", None, "delta lies below"),
        ],
        "L3 uncertainty": [
            ("coverage of 50 % intervals", 0.56, True, ""),
            ("coverage of 90 % intervals", 0.94, True, ""),
        ],
        "L4 extrapolation": [("gap, last days", 0.42, True, "95 % interval below 1")],
    }
    return {name: pd.DataFrame(made, columns=columns) for name, made in rows.items()}


def _tests(table: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    rows = [
        (statistic, f"subject {subject}", float(rng.normal(3.0, 1.0)), float(rng.beta(1.6, 1.6)))
        for statistic in ("max", "min", "time of max", "mean", "last value", "fraction censored")
        for subject in table["subject"].unique()
    ]
    made = pd.DataFrame(rows, columns=["statistic", "series", "observed", "p_value"])
    made.loc[[4, 17], "p_value"] = [0.011, 0.038]
    return made


def _undefined(gap: Gap) -> Gap:
    return replace(
        gap,
        value=math.nan,
        low=math.nan,
        high=math.nan,
        left_out={"spline": "challenge: 2 distinct times are too few", "<em>x</em>": HOSTILE},
        reason="the spline baseline scores 0.3, no worse than the noise floor of 0.34: these readings leave no room",
    )
