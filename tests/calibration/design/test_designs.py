"""Designs of problems against closed forms; what they count, refuse and show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from calibration import Problem, fisher_information, sample
from calibration.experimental_design import Candidates, candidates, design
from twin.errors import ProblemError
from twin.experiment import Bolus, Experiment
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.study import Estimate, Noise, Prior

TIMES = np.linspace(0.0, 8.0, 17)
SD = 0.1
WEAK = Prior("normal", 0.0, 1.0)
K, A0 = Estimate("k", 0.01, 5.0), Estimate("A0", 0.01, 100.0)


@pytest.fixture(scope="module")
def exponential(decay, table_of_rows) -> Problem:
    """y = 2 exp(-t / 2) with normal noise of known size, read daily."""
    rows = [("e", "1", "y", t, 2 * np.exp(-0.5 * t)) for t in (1.0, 2.0, 3.0)]
    return Problem(decay, table_of_rows(rows), [K, A0], Noise("normal", SD), name="decay")


@pytest.fixture(scope="module")
def offered(exponential: Problem) -> Candidates:
    return candidates(exponential, TIMES)


def times(found) -> list[float]:
    return sorted(found.measurements()["time"])


def test_the_two_best_times_of_a_decay(exponential: Problem, offered: Candidates) -> None:
    """D-optimal for amount and rate: as early as possible, and 1 / k later (Box & Lucas 1959)."""
    found = design(exponential, offered, 2, keep_existing=False, quiet=True)
    assert times(found) == [0.0, 2.0]
    twice = design(exponential, offered, 4, keep_existing=False, repeats=2, quiet=True)
    assert times(twice) == [0.0, 0.0, 2.0, 2.0]
    assert twice.efficiency > 0.999
    assert twice.standard_errors["after"].to_numpy() == pytest.approx(found.standard_errors["after"] / np.sqrt(2))


def test_standard_errors_are_those_of_the_fisher_information(exponential: Problem, offered: Candidates) -> None:
    found = design(exponential, offered, 3, quiet=True)
    rows = found.measurements().assign(value=1.0, noise=np.nan)
    both = pd.concat([exponential.measurements.table, rows], ignore_index=True)
    expected = fisher_information(exponential.at(both)).standard_errors
    assert found.standard_errors["after"].to_numpy() == pytest.approx(expected, rel=1e-7)
    now = fisher_information(exponential).standard_errors
    assert found.standard_errors["now"].to_numpy() == pytest.approx(now, rel=1e-7)
    assert found.value == pytest.approx(-np.linalg.slogdet(fisher_information(exponential.at(both)).covariance)[1] / 2)
    sd = found.curve.set_index("time").loc[[0.0], "sd_after"].iloc[0]
    gradient = np.array([0.0, 2.0 * np.log(10)])  # of 10^theta at t = 0
    covariance = fisher_information(exponential.at(both)).covariance
    assert sd == pytest.approx(np.sqrt(gradient @ covariance @ gradient), rel=1e-6)


def test_relative_noise_asks_for_the_ends(decay, table_of_rows) -> None:
    """ln y is a line in time: half the readings at either end."""
    rows = [("e", "1", "y", t, 1.0) for t in (1.0, 2.0)]
    problem = Problem(decay, table_of_rows(rows), [K, A0], Noise("log_normal", 0.2))
    found = design(problem, candidates(problem, TIMES), 4, keep_existing=False, repeats=2, quiet=True)
    assert times(found) == [0.0, 0.0, 8.0, 8.0]


def test_detection_limits_keep_a_design_off_what_cannot_be_seen(decay, table_of_rows) -> None:
    rows = [("e", "1", "y", t, 1.0) for t in (1.0, 2.0)]
    problem = Problem(decay, table_of_rows(rows), [K, A0], Noise("log_normal", 0.2))
    offered = candidates(problem, TIMES, limit={"y": 0.3})
    found = design(problem, offered, 4, keep_existing=False, repeats=2, quiet=True)
    # The prediction passes the limit at 2 ln(2 / 0.3) = 3.8.
    assert 2.5 <= max(times(found)) <= 4.0


def test_interest_in_one_parameter_and_in_one_prediction(exponential: Problem, offered: Candidates) -> None:
    for_k = design(exponential, offered, 6, criterion="A", interest=["k"], keep_existing=False, repeats=6, quiet=True)
    at = pd.DataFrame({"experiment": ["e"], "subject": ["1"], "observable": ["y"], "time": [0.5]})
    near = design(exponential, offered, 6, criterion="A", interest=at, repeats=6, quiet=True)
    for_all = design(exponential, offered, 6, keep_existing=False, repeats=6, quiet=True)
    errors = [found.standard_errors.loc["k", "after"] for found in (for_k, for_all)]
    assert errors[0] < errors[1]
    # The best way to know y(0.5) is to read it.
    assert times(near).count(0.5) >= 4
    assert near.standard_errors.index.tolist() == ["y at 0.5 (e, 1)"]
    assert near.standard_errors["after"].iloc[0] < SD / np.sqrt(6)
    with pytest.raises(ProblemError, match=r"the best design for y at 0.5 \(e, 1\) leaves other parameters"):
        design(exponential, offered, 6, criterion="A", interest=at, keep_existing=False, repeats=6, quiet=True)


def test_averages_over_draws(exponential: Problem, offered: Candidates) -> None:
    draws = exponential.nominal + np.random.default_rng(0).normal(0.0, [0.3, 0.05], (40, 2))
    found = design(exponential, offered, 4, posterior=draws, draws=6, keep_existing=False, repeats=2, quiet=True)
    rows = found.measurements().assign(value=1.0, noise=np.nan)
    chosen = draws[np.linspace(0, 39, 6).round().astype(int)]
    each = [-np.linalg.slogdet(fisher_information(exponential.at(rows), theta).covariance)[1] / 2 for theta in chosen]
    assert found.value == pytest.approx(np.mean(each), rel=1e-6)
    assert found.draws == 6
    # Rates that differ from draw to draw have best times that differ.
    assert len(set(times(found))) > 2


@pytest.mark.slow
def test_a_tree_of_draws_is_read(decay, table_of_rows) -> None:
    rows = [("e", "1", "y", t, 2 * np.exp(-0.5 * t)) for t in (0.0, 1.0, 2.0)]
    priors = [replace(K, prior=WEAK), replace(A0, prior=WEAK)]
    problem = Problem(decay, table_of_rows(rows), priors, Noise("normal", SD))
    tree = sample(problem, method="pathfinder", draws=50, chains=2, predictive=False, quiet=True)
    found = design(problem, candidates(problem, TIMES), 2, posterior=tree, draws=8, quiet=True)
    assert found.draws == 8
    other = Problem(decay, table_of_rows(rows), [priors[1], priors[0]], Noise("normal", SD))
    with pytest.raises(ProblemError, match="the posterior is of"):
        design(other, candidates(other, TIMES), 2, posterior=tree, quiet=True)


def test_groups_are_bought_together(oral, table_of_rows) -> None:
    rows = [("e", "1", name, t, 1.0) for t in (1.0, 4.0) for name in ("concentration", "amount")]
    estimates = [Estimate(name, 1e-2, 1e2) for name in ("ka", "ke", "V")]
    problem = Problem(
        oral, table_of_rows(rows), estimates, {"concentration": Noise("normal", 0.2), "amount": Noise("normal", 2.0)},
        experiments={"e": Experiment(doses=[Bolus("gut", 100.0)])},
    )  # fmt: skip
    offered = candidates(problem, np.arange(0.5, 12.5, 0.5), together="time")
    found = design(problem, offered, 5, quiet=True)
    assert found.cost == 4  # two purchases of two readings each
    assert (found.table().groupby("time")["observable"].nunique() == 2).all()

    doses = {f"{dose:g} mg": Experiment(doses=[Bolus("gut", dose)]) for dose in (50.0, 400.0)}
    offered = candidates(problem, [1.0, 2.0, 4.0, 8.0], together="experiment", experiments=doses)
    bought = design(problem, offered, 8, quiet=True)
    assert set(bought.table()["experiment"]) == {"400 mg"}  # signal over noise grows with the dose


def test_new_observables_and_new_subjects(oral, table_of_rows) -> None:
    rows = [("e", who, "concentration", t, 1.0) for who in "12" for t in (1.0, 4.0, 8.0)]
    between = Estimate("ke", 1e-2, 1e2, per="subject", between=0.1)
    problem = Problem(
        oral, table_of_rows(rows), [Estimate("ka", 1e-2, 1e2), between], Noise("normal", 0.2),
        experiments={"e": Experiment(doses=[Bolus("gut", 100.0)])},
    )  # fmt: skip
    again = {"next": Experiment(doses=[Bolus("gut", 100.0)])}
    known = candidates(problem, TIMES[1:], experiments=again, subject="2")
    fresh = candidates(problem, TIMES[1:], experiments=again, subject="3")
    with_known, with_fresh = (design(problem, of, 4, interest=["ke"], quiet=True) for of in (known, fresh))
    # Of the typical rate a new subject tells more than one that has been read three times.
    assert with_fresh.value > with_known.value
    assert with_fresh.now == pytest.approx(with_known.now)
    noise = {"amount": Noise("normal", 1.0)}
    found = design(problem, candidates(problem, TIMES[1:], ["amount"], noise=noise), 2, quiet=True)
    assert set(found.table()["observable"]) == {"amount"}
    own = Problem(
        oral,
        table_of_rows(rows),
        [replace(between, between=None)],
        Noise("normal", 0.2),
        experiments=problem.experiments,
    )
    with pytest.raises(ProblemError, match=r"would need 'ke\[3\]'"):
        design(own, candidates(own, TIMES[1:], series=[("e", "3")]), 4, quiet=True)
    with pytest.raises(ProblemError, match="'amount' has no noise model"):
        candidates(problem, TIMES[1:], ["amount"])


def test_what_cannot_be_determined_is_refused(table_of_rows) -> None:
    parameters = [Parameter("k1", 0.5), Parameter("k2", 1.0), Parameter("A0", 2.0)]
    model = Model("product", [State("A", "A0")], parameters, odes={"A": "-k1*k2*A"}, observables=[Observable("y", "A")])
    table = table_of_rows([("e", "1", "y", t, 1.0) for t in (0.0, 1.0, 2.0)])
    estimates = [Estimate(name, 0.01, 100.0) for name in ("k1", "k2", "A0")]
    problem = Problem(model, table, estimates, Noise("normal", SD))
    with pytest.raises(ProblemError, match=r"do not determine k1\^\+0\.71 · k2\^-0\.71"):
        design(problem, candidates(problem, TIMES), 4, quiet=True)
    informed = Problem(model, table, [replace(estimates[0], prior=WEAK), *estimates[1:]], Noise("normal", SD))
    found = design(informed, candidates(informed, TIMES), 4, keep_existing=False, quiet=True)
    # Only the product is read: the factor keeps its prior width.
    assert found.standard_errors.loc["k1", "after"] == pytest.approx(1.0, rel=1e-6)
    with pytest.raises(ProblemError, match="a budget of 1 buys too few readings to determine 3 parameters"):
        design(informed, candidates(informed, TIMES), 1, keep_existing=False, quiet=True)


def test_bad_input(exponential: Problem, offered: Candidates) -> None:
    table = offered.table
    for given, what in (
        (table.drop(columns="time"), "there is no column 'time'"),
        (table.assign(price=1.0), "there is a column 'price'"),
        (table.assign(cost=0.0), "the cost of row 0 is 0"),
        (table.assign(experiment="f"), "the experiment 'f' is not described"),
        (table.assign(observable="z"), "'z' is no observable"),
        (table.iloc[:0], "there are no candidates"),
        (table.assign(time=-1.0), "earlier than the start"),
    ):
        with pytest.raises(ProblemError, match=what):
            design(exponential, given, 2, quiet=True)
    for options, what in (
        ({"criterion": "B"}, "the criterion is 'B'"),
        ({"repeats": 0}, "repeats is 0"),
        ({"theta": [1.0]}, r"theta has shape \(1,\)"),
        ({"interest": ["q"]}, "there is no entry 'q'"),
        ({"criterion": "information gain"}, "there is no posterior"),
        ({"posterior": [[0.0, np.nan]]}, "not all finite"),
    ):
        with pytest.raises(ProblemError, match=what):
            design(exponential, offered, 2, quiet=True, **options)
    with pytest.raises(ProblemError, match="the budget is 0.5"):
        design(exponential, offered, 0.5, quiet=True)
    with pytest.raises(ProblemError, match="the times are"):
        candidates(exponential, [np.nan])


def test_pictures_tables_and_datasets(exponential: Problem, offered: Candidates, tmp_path) -> None:
    found = design(exponential, offered, 4, repeats=2, quiet=True)
    found.plot().savefig(tmp_path / "design.png")
    assert (tmp_path / "design.png").stat().st_size > 10_000
    assert found.table()["count"].sum() == 4
    ds = found.to_dataset()
    assert ds["weight"].sum() == pytest.approx(4.0)
    assert int(ds["count"].sum()) == 4
    assert "D-efficiency (at one vector): at least" in str(found)
    assert repr(found).startswith("Design('decay': D, 4 purchases for 4 of 4")
