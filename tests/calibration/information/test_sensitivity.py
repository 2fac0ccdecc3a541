"""Global sensitivity against analytic indices, its bookkeeping of failures, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from calibration import Problem, Sensitivity, sensitivity
from twin import Bolus, Experiment, LogNormal, LogUniform, Normal, Uniform
from twin.errors import ExperimentError, ProblemError, SimulationError, TwinWarning, UnknownSymbolError
from twin.model import Model
from twin.model.parts import Observable, Parameter, State
from twin.study import Estimate, Noise

pytest.importorskip("SALib")

ISHIGAMI = "sin(x1) + 7 * sin(x2)^2 + 0.1 * x3^4 * sin(x1)"
PI = (-np.pi, np.pi)


@pytest.fixture(scope="module")
def ishigami() -> Model:
    """Ishigami & Homma's function of three parameters, and a fourth that nothing depends on."""
    parameters = [Parameter(name, 0.0) for name in ("x1", "x2", "x3", "idle")]
    return Model("ishigami", [State("c", 1.0)], parameters, odes={"c": "0"}, observables=[Observable("f", ISHIGAMI)])


@pytest.fixture(scope="module")
def of_ishigami(ishigami: Model) -> Sensitivity:
    return sensitivity(ishigami, [0.0], dict.fromkeys(("x1", "x2", "x3", "idle"), PI), samples=4096, seed=1)


@pytest.fixture(scope="module")
def line() -> Model:
    """x = a + b t."""
    parameters = [Parameter("a", 1.0, "mg"), Parameter("b", 0.5, "mg")]
    observables = [Observable("y", "x", "mg")]
    return Model("line", [State("x", "a", "mg")], parameters, odes={"x": "b"}, observables=observables)


@pytest.fixture(scope="module")
def explosions(explosion: Model) -> dict[str, LogUniform]:
    """One lane in ten ends before t = 1.8: it needs k < 1 / 1.8."""
    return {"k": LogUniform(0.01, 0.01 * (100 / 1.8) ** (1 / 0.9))}


def test_ishigami(of_ishigami: Sensitivity) -> None:
    """Analytic indices: Saltelli et al., Sensitivity Analysis in Practice (2004), section 7.1; a = 7, b = 0.1."""
    a, b = 7.0, 0.1
    alone = np.array([0.5 * (1 + b * np.pi**4 / 5) ** 2, a**2 / 8, 0.0, 0.0])
    together = b**2 * np.pi**8 * 8 / 225
    total = alone.sum() + together
    ds = of_ishigami.to_dataset().isel(output=0, time=0)
    assert ds["variance"].item() == pytest.approx(total, rel=0.05)
    # 1.5 half-widths of 95 % intervals are three standard errors.
    for name, expected in (("S1", alone), ("ST", alone + together * np.array([1, 0, 1, 0]))):
        assert (np.abs(ds[name] - expected / total) <= 1.5 * ds[f"{name}_conf"] + 1e-12).all()
        assert (ds[f"{name}_conf"] < 0.08).all()
    assert list(of_ishigami.table()["parameter"]) == ["x1", "x2", "x3", "idle"]
    assert of_ishigami.dataset.attrs["runs"] == 4096 * 6


def test_a_linear_model_over_time(line: Model, tmp_path) -> None:
    """y = a + b t with independent a and b: shares 1 and t^2 of the variances, no interactions."""
    times = np.array([0.0, 1.0, 2.0])
    found = sensitivity(line, times, {"a": Normal(0.0, 1.0), "b": Normal(0.0, 0.5)}, samples=2048)
    expected = np.stack([1 / (1 + 0.25 * times**2), 0.25 * times**2 / (1 + 0.25 * times**2)], axis=1)
    ds = found.to_dataset().sel(output="y")
    for name in ("S1", "ST"):
        assert (np.abs(ds[name] - expected) <= 1.5 * ds[f"{name}_conf"] + 1e-9).all()
    assert ds["S1"].dims == ("time", "parameter")
    # The whole course: summed variances.
    table = found.table().set_index("parameter")
    assert table.loc["a", "ST"] == pytest.approx(3 / (3 + 0.25 * 5), abs=0.05)
    assert table.loc["a", "peak_time"] == 0.0
    found.plot().savefig(tmp_path / "lines.png")
    found.to_dataset().to_netcdf(tmp_path / "sensitivity.nc", engine="h5netcdf")
    assert (tmp_path / "lines.png").stat().st_size > 10_000


def test_elementary_effects_of_a_linear_model(line: Model, tmp_path) -> None:
    """The effect of a parameter is the change over its whole way, the same everywhere."""
    found = sensitivity(line, [0.0, 3.0], {"a": (1.0, 5.0), "b": Uniform(-1.0, 1.0)}, method="morris", samples=8)
    ds = found.to_dataset().sel(output="y")
    np.testing.assert_allclose(ds["mu_star"], [[4.0, 0.0], [4.0, 6.0]], atol=1e-6)
    np.testing.assert_allclose(ds["sigma"], 0.0, atol=1e-6)
    assert list(found.dataset["unit"].values) == ["mg"]
    found.plot(["y"]).savefig(tmp_path / "morris.png")
    assert "morris, 2 parameters, 1 outputs, 2 times, 24 runs, 0 failed" in repr(found)


def test_morris_cuts_unbounded_distributions(line: Model) -> None:
    found = sensitivity(line, [0.0], {"a": LogNormal(1.0, sd_log=1.0), "b": (0.0, 1.0)}, method="morris", samples=200)
    # Levels from the 0.5 % to the 99.5 % quantile; a step goes from the first to the third or the second to the last.
    level = np.exp(stats.norm.ppf([0.005, 0.335, 0.665, 0.995]))
    effects = 1.5 * (level[2:] - level[:2])
    error = np.std(effects) / np.sqrt(200)
    ds = found.to_dataset().isel(output=0, time=0)
    assert ds["mu_star"].values[0] == pytest.approx(effects.mean(), abs=4 * error)


def test_the_same_seed_gives_the_same_numbers(line: Model) -> None:
    ranges = {"a": (0.0, 1.0), "b": (0.0, 1.0)}
    one, same, other = (
        sensitivity(line, [1.0], ranges, samples=32, seed=seed, quiet=True).to_dataset() for seed in (0, 0, 1)
    )
    assert one.drop_attrs().identical(same.drop_attrs())
    assert not one.equals(other)


def test_constant_outputs_have_no_indices(line: Model) -> None:
    found = sensitivity(line, [0.0, 1.0], {"b": (0.0, 1.0)}, ["y", "a"], samples=16)
    ds = found.to_dataset()
    assert np.isnan(ds["ST"].sel(output="y", time=0.0)).all()
    assert np.isnan(ds["ST"].sel(output="a")).all()
    assert ds["ST"].sel(output="y", time=1.0).item() == pytest.approx(1.0, abs=0.3)
    assert list(found.table()["output"]) == ["y"]
    found.plot()


def test_failed_runs_leave_whole_blocks_out(explosion: Model, explosions: dict) -> None:
    with pytest.warns(TwinWarning, match="runs failed, in .* blocks of the design, which are left out"):
        found = sensitivity(explosion, [1.8], explosions, samples=64, most_left_out=0.5, max_steps=500)
    attrs = found.dataset.attrs
    assert 0 < attrs["failed"] <= 3 * attrs["blocks_left_out"] < 3 * 32
    assert attrs["runs"] == 3 * 64
    assert np.isfinite(found.dataset["mean"]).all()
    with pytest.raises(SimulationError, match="192 runs failed, in .* of 64 blocks .*\n.*at most 5% of the blocks"):
        sensitivity(explosion, [1.8], explosions, samples=64, max_steps=500)
    with pytest.raises(SimulationError, match="in 64 of 64 blocks"):
        sensitivity(explosion, [1.8], {"k": (1.0, 2.0)}, samples=64, most_left_out=0.9, max_steps=500)


@pytest.fixture(scope="module")
def problem(oral: Model, table_of_rows: Callable[..., pd.DataFrame]) -> Problem:
    times = (1.0, 4.0, 9.0)
    readings = [("low", "1", "concentration", t, 1.0) for t in times] + [("high", "2", "amount", t, 1.0) for t in times]
    experiments = {name: Experiment(doses=[Bolus("gut", dose)]) for name, dose in (("low", 1.0), ("high", 10.0))}
    estimates = [Estimate("ka", 0.5, 5.0), Estimate("ke", 0.05, 0.5, per="subject"), Estimate("V", 5.0, 20.0)]
    estimates.append(Estimate("sd", 0.01, 1.0))
    return Problem(oral, table_of_rows(readings), estimates, Noise("normal", "sd"), experiments=experiments)


def test_a_problem_follows_its_priors(problem: Problem, oral: Model) -> None:
    found = sensitivity(problem, samples=256).to_dataset()
    assert list(found["output"].values) == ["concentration (low)", "amount (high)"]
    np.testing.assert_array_equal(found["time"], [1.0, 4.0, 9.0])
    # The noise does not matter to predictions.
    assert list(found["parameter"].values) == ["ka", "ke[1]", "ke[2]", "V"]
    idle = found["ST"].sel(output="amount (high)", parameter=["ke[1]", "V"])
    np.testing.assert_allclose(idle, 0.0, atol=1e-12)
    # The same through twin.simulate, with another design.
    ranges = {"ka": LogUniform(0.5, 5.0), "ke": LogUniform(0.05, 0.5)}
    dose = Experiment(doses=[Bolus("gut", 10.0)])
    other = sensitivity(oral, [1.0, 4.0, 9.0], ranges, ["amount"], dose, samples=256, seed=3).to_dataset()
    ours, theirs = (x["ST"].isel(output=i) for x, i in ((found.sel(parameter=["ka", "ke[2]"]), 1), (other, 0)))
    error = found["ST_conf"].isel(output=1).sel(parameter=["ka", "ke[2]"]) + other["ST_conf"].isel(output=0).values
    assert (np.abs(ours.values - theirs.values) <= 1.5 * error.values).all()


def test_a_part_of_a_problem(problem: Problem) -> None:
    found = sensitivity(problem, [2.0], ["ka"], experiment="high", method="morris", samples=4).to_dataset()
    assert (list(found["output"].values), list(found["parameter"].values)) == (["amount"], ["ka"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "fast"}, ProblemError, "the method is 'fast'"),
        ({"samples": 100}, ProblemError, "samples is 100\n.*a power of 2.*\n.*for instance 128"),
        ({"samples": 1, "method": "morris"}, ProblemError, "samples is 1"),
        ({"samples": 2.5}, ProblemError, "samples is 2.5"),
        ({"seed": -1}, ProblemError, "seed is -1"),
        ({"confidence": 1.0}, ProblemError, "confidence is 1.0"),
        ({"most_left_out": 1.0}, ProblemError, "most_left_out is 1.0"),
        ({"parameters": {}}, ProblemError, "the parameters are {}"),
        ({"parameters": {"c": (0, 1)}}, ExperimentError, "'c' is no parameter of the model 'line'"),
        ({"parameters": {"a": 3.0}}, ProblemError, "'a' has 3.0"),
        ({"parameters": {"a": (1.0, 0.0)}}, ExperimentError, "the bounds are 1 and 0"),
        ({"ts": None}, ProblemError, "there are no times"),
        ({"ts": [2.0, 1.0]}, ExperimentError, "earlier than the one before"),
        ({"outputs": "y"}, ProblemError, "the outputs are 'y'"),
        ({"outputs": []}, ProblemError, "the outputs are"),
        ({"outputs": ["z"]}, UnknownSymbolError, "unknown name 'z'"),
    ],
)
def test_bad_input_is_refused(line: Model, arguments: dict, error: type[Exception], message: str) -> None:
    given = {"ts": [1.0], "parameters": {"a": (0.0, 1.0)}, "samples": 4} | arguments
    with pytest.raises(error, match=message):
        sensitivity(line, **given)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"parameters": ["kb"]}, "'kb' is no entry"),
        ({"parameters": ["sd"]}, "the outputs do not depend on 'sd'"),
        ({"parameters": {"ka": (0, 1)}}, "a problem has its priors"),
        ({"parameters": "ka"}, "the parameters are the text 'ka'"),
        ({"outputs": ["blood"]}, "no readings of the observable 'blood'"),
        ({"experiment": "middle"}, "no readings of the experiment 'middle'"),
        ({"experiment": "low", "outputs": ["amount"]}, "no readings of the observable|no experiment has readings"),
        ({"experiment": Experiment()}, "the experiment is a Experiment"),
        ({"rtol": 1e-3}, "the options rtol are given"),
    ],
)
def test_bad_input_of_a_problem_is_refused(problem: Problem, arguments: dict, message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        sensitivity(problem, **arguments)


def test_something_else_is_refused() -> None:
    with pytest.raises(ProblemError, match="a str is given"):
        sensitivity("line", [1.0])  # type: ignore[arg-type]


def test_an_unknown_output_of_the_picture(of_ishigami: Sensitivity, tmp_path) -> None:
    with pytest.raises(ProblemError, match="there is no output 'g'"):
        of_ishigami.plot(["g"])
    of_ishigami.plot().savefig(tmp_path / "bars.png")


def test_without_salib_the_extra_is_named() -> None:
    code = """if True:
        import sys
        sys.modules["SALib"] = None
        import calibration, twin
        from twin.errors import LibraryError
        model = twin.Model("m", [twin.State("A", 1.0)], [twin.Parameter("k", 1.0)], odes={"A": "-k*A"})
        try:
            calibration.sensitivity(model, [1.0], {"k": (0.0, 1.0)})
        except LibraryError as error:
            assert "cytotwin[sensitivity]" in str(error), error
        else:
            raise AssertionError("no error")
    """
    subprocess.run([sys.executable, "-c", code], check=True)
