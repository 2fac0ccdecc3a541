"""Experiments that make no sense are refused, by themselves or against a model."""

from __future__ import annotations

import pytest

import twin
from twin.compile.system import compile_model
from twin.errors import ExperimentError, UnknownSymbolError
from twin.experiment.actions import collect_actions

NAN, INF = float("nan"), float("inf")

WRONG = [
    (lambda: twin.Bolus("A", -1.0), "the amount is -1"),
    (lambda: twin.Bolus("A", NAN), "the amount is nan"),
    (lambda: twin.Bolus("A", None), "the amount is None"),
    (lambda: twin.Bolus("A", True), "the amount is True"),
    (lambda: twin.Bolus("A", 1.0, INF), "the time is infinite"),
    (lambda: twin.Bolus("A", 1.0, count=0), "the count is 0"),
    (lambda: twin.Bolus("A", 1.0, count=2.0), "the count is 2.0"),
    (lambda: twin.Bolus("A", 1.0, count=2), "2 doses without an interval"),
    (lambda: twin.Bolus("A", 1.0, every=0.0, count=2), "the interval is 0"),
    (lambda: twin.Bolus("A", 1.0, every=-1.0, count=2), "the interval is -1"),
    (lambda: twin.Infusion("A", 1.0, 0.0, 0.0), "the duration is 0"),
    (lambda: twin.Infusion("A", 1.0, 0.0, -1.0), "the duration is -1"),
    (lambda: twin.Infusion("A", -1.0, 0.0, 1.0), "the amount is -1"),
    (lambda: twin.Infusion("A", 1.0, NAN, 1.0), "the start is nan"),
    (lambda: twin.Change("k", NAN), "the value is nan"),
    (lambda: twin.Change("k", 1.0, 2.0, 2.0), "the span .* is empty"),
    (lambda: twin.Change("k", 1.0, NAN), "the start is nan"),
    (lambda: twin.Change("k", 1.0, stop=INF), "the stop is infinite"),
    (lambda: twin.Reset("A", INF, 0.0), "the value is infinite"),
    (lambda: twin.Reset("A", 0.0, NAN), "the time is nan"),
    (lambda: twin.Equilibration(horizon=0.0), "the horizon is 0"),
    (lambda: twin.Equilibration(horizon=NAN), "the horizon is nan"),
    (lambda: twin.Equilibration({"k": NAN}), "the value of 'k' is nan"),
    (lambda: twin.Experiment(t0=NAN), "the start time t0 is nan"),
    (lambda: twin.Experiment(parameters={"k": NAN}), "the value of 'k' is nan"),
    (lambda: twin.Experiment(initial={"A": INF}), "the value of 'A' is infinite"),
    (lambda: twin.Experiment([twin.Bolus("A", 1.0, -1.0)]), "comes before the start at 0"),
    (lambda: twin.Experiment([twin.Infusion("A", 1.0, -1.0, 5.0)]), "comes before the start at 0"),
    (lambda: twin.Experiment(resets=[twin.Reset("A", 1.0, -1.0)]), "a reset of 'A' at -1 comes before"),
    (lambda: twin.Experiment([twin.Change("k", 1.0)]), "a dose is a Change"),
    (lambda: twin.Experiment(changes=[twin.Bolus("A", 1.0)]), "a change is a Bolus"),
    (lambda: twin.Experiment(resets=["A"]), "a reset is a str"),
    (lambda: twin.Experiment(equilibrate=True), "equilibrate is a bool"),
    (lambda: twin.Experiment(twin.Bolus("A", 1.0)), "doses is a Bolus"),
]


@pytest.mark.parametrize(("build", "message"), WRONG, ids=[message for _, message in WRONG])
def test_nonsense_by_itself(build, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        build()


MODEL = twin.Model(
    "decay",
    [twin.State("Amount", 1.0)],
    [twin.Parameter("rate", 1.0)],
    odes={"Amount": "-rate * Amount"},
    inputs=[twin.Input("light", [0.0, 1.0], [0.0, 1.0])],
)

AGAINST_MODEL = [
    (twin.Experiment([twin.Bolus("Amont", 1.0)]), ExperimentError, "bolus names 'Amont'.*\n.*did you mean 'Amount'"),
    (twin.Experiment([twin.Infusion("rate", 1.0, 0.0, 1.0)]), ExperimentError, "infusion names 'rate', .* no state"),
    (twin.Experiment(resets=[twin.Reset("x", 1.0, 0.0)]), ExperimentError, "reset names 'x'"),
    (twin.Experiment(changes=[twin.Change("Amount", 1.0)]), ExperimentError, "change names 'Amount', .* no parameter"),
    (twin.Experiment(parameters={"k": 1.0}), ExperimentError, "experiment names 'k', .* no parameter"),
    (twin.Experiment(initial={"rate": 1.0}), ExperimentError, "experiment names 'rate', .* no state"),
    (twin.Experiment(equilibrate=twin.Equilibration({"k": 1.0})), ExperimentError, "names 'k', .* no parameter"),
    (twin.Experiment([twin.Bolus("Amount", "Amount")]), ExperimentError, "uses Amount"),
    (twin.Experiment([twin.Bolus("Amount", "light")]), ExperimentError, "uses light"),
    (twin.Experiment([twin.Bolus("Amount", 1.0, "time")]), ExperimentError, "uses time"),
    (twin.Experiment([twin.Bolus("Amount", "rte")]), UnknownSymbolError, "unknown name 'rte'"),
    (twin.Experiment(t0=5.0), ExperimentError, "the last time is 2, before the start at 5"),
]


@pytest.mark.parametrize(("experiment", "error", "message"), AGAINST_MODEL, ids=[m for _, _, m in AGAINST_MODEL])
def test_nonsense_for_the_model(experiment: twin.Experiment, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        collect_actions(compile_model(MODEL), [experiment], [2.0])


def test_negative_numbers_that_a_formula_gives_are_accepted() -> None:
    """Whether a formula is negative depends on the parameters, which may be draws."""
    actions = collect_actions(compile_model(MODEL), [twin.Experiment([twin.Bolus("Amount", "-rate")])], [2.0])
    assert len(actions.boluses) == 1


def test_same_targets_share_columns() -> None:
    experiments = [twin.Experiment([twin.Bolus("Amount", float(i), float(i))]) for i in range(5)]
    actions = collect_actions(compile_model(MODEL), experiments, [10.0] * 5)
    assert len(actions.boluses) == 1
    assert actions.boluses[0].value.numbers.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
