"""Scenario files: what they mean, and that every fault is named with file, line and key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scenario_files
import scenarios
import xarray as xr

import twin
from twin.cli import main
from twin.errors import ScenarioError, TwinError
from twin.scenario.factors import combinations, sobol_points

pytestmark = pytest.mark.xdist_group("scenario")
EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "antiviral_scenario.yaml"


def test_what_a_file_means(tmp_path: Path) -> None:
    found = twin.read_scenario(scenario_files.written(tmp_path))
    assert found.arm_names == ("dose=0, k=1", "dose=0, k=2", "dose=1, k=1", "dose=1, k=2")
    assert found.all_arms[2].experiment.doses[0].amount == 1.0
    columns = found.cohort.draw(0, 5)
    np.testing.assert_array_equal(found.with_levels(columns, found.all_arms[1].levels)["k"], 2 * columns["k"])
    assert found.endpoints["half"].otherwise == 99 and found.units["area"] == ""
    assert found.fingerprint == twin.read_scenario(tmp_path / "scenario.yaml").fingerprint


def test_patients_in_float32(tmp_path: Path) -> None:
    file = scenario_files.written(tmp_path)
    values = {}
    for precision in ("float64", "float32"):
        file.write_text(scenario_files.TEXT.replace("rtol: 1.0e-6", f"rtol: 1.0e-5, precision: {precision}"))
        found = twin.read_scenario(file)
        found.run(tmp_path / precision, progress=False)
        values[precision] = twin.open_scenario(tmp_path / precision)
    single, double = values["float32"], values["float64"]
    assert (single.attrs["precision"], single.attrs["failed"]) == ("float32", 0)
    assert single.attrs["fingerprint"] != double.attrs["fingerprint"]
    np.testing.assert_allclose(single["area"], double["area"], rtol=1e-4)
    assert (single["area"] != double["area"]).any()


def test_the_example_is_read() -> None:
    found = twin.read_scenario(EXAMPLE)
    assert found.reference_name == "untreated" and found.cohort.size == 10_000
    assert [change.stop for change in found.all_arms[3].experiment.changes] == [3.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("model: decay.xml", "model: decays.xml", r"scenario.yaml, line 2, key 'model': there is no file 'decays.xml'"),
        ("model: decay.xml", "model: influensa", r"line 2, key 'model'.*influensa"),
        ("  size: 500", "  size: none", r"line 4, key 'cohort.size': here stands 'none'"),
        ("sd_log: 0.4", "sigma: 0.4", r"line 6, key 'cohort.parameters.k.log_normal.sigma': there is no such key"),
        ("    k: {", "    q: {", r"line 4, key 'cohort': 'q' is no parameter of the model"),
        ('"A=dose@1"', '"B=dose@1"', r"line 8, key 'experiment.doses\[1\]': it names 'B'"),
        ('"A=dose@1"', '"A=dose"', r"line 8, key 'experiment.doses\[1\]'.*the dose has no time"),
        (
            "  dose: [0, 1]",
            "  doses: [0, 1]",
            r"line 8, key 'experiment': a formula uses 'dose', which is no parameter",
        ),
        ("  dose: [0, 1]", "  dose: [0, 1]\n  z: [1]", r"line 11, key 'factors.z': the factor 'z' changes nothing"),
        ("  dose: [0, 1]", "  dose: [0, 0]", r"line 10, key 'factors.dose': a level stands twice"),
        ("area: { area: A }", "area: { area: C }", r"line 14, key 'endpoints.area': .*'C'"),
        ("area: { area: A }", "area: { peek: A }", r"line 14, key 'endpoints.area.peek': there is no such key"),
        ("threshold: 0.5, ", "", r"line 15, key 'endpoints.half': first_crossing has no threshold"),
        ("  twice: 2 * area", "  twice: 2 * are", r"line 17, key 'derived.twice': unknown name 'are'"),
        ("half < 0.7 && twice < 3", "half", r"line 19, key 'responders.fast': 'half' is no comparison"),
        ("resolution: 64", "resolution: 2", r"line 20, key 'bands.resolution'.*at least 16"),
        ("times: { stop: 3, points: 13 }", "times: [0, 2, 1]", r"line 12, key 'times': sample time 2 \(1\) is earlier"),
        ("rtol: 1.0e-6", "rtol: 1.0e-6, precision: half", r"line 21, key 'solver.precision'.*float32"),
        ("rtol: 1.0e-6", "rtol: 1.0e-6, precision: float32", r"rtol is 1e-06 with numbers of float32.*at least 1e-05"),
        ("seed: 4", "sobol: 8", r"line 10, key 'factors.dose': it has no bounds"),
        ("seed: 4", "seed: 4\nseed: 5", r"line 23, key 'seed': the key stands twice"),
        ("seed: 4", "reference: dose=3", r"line 22, key 'reference': there is no arm 'dose=3'"),
        ("name: decay", "name: [", r"scenario.yaml, line 3: it is no YAML"),
    ],
)
def test_faults(old: str, new: str, message: str, tmp_path: Path) -> None:
    file = scenario_files.written(tmp_path)
    assert old in scenario_files.TEXT
    file.write_text(scenario_files.TEXT.replace(old, new, 1))
    with pytest.raises(TwinError, match=f"(?s){message}") as caught:
        twin.read_scenario(file)
    assert isinstance(caught.value, ScenarioError)


def test_cohorts_from_files(tmp_path: Path) -> None:
    file = scenario_files.written(tmp_path)
    drawn = scenario_files.TEXT[scenario_files.TEXT.index("  size: 500") : scenario_files.TEXT.index("experiment:")]
    pd.DataFrame({"k": [1.0, 2.0], "age": [30, 60]}).to_csv(tmp_path / "patients.csv", index=False)
    file.write_text(scenario_files.TEXT.replace(drawn, "  table: patients.csv\n  covariates: [age]\n"))
    assert twin.read_scenario(file).parameter_names == ("k", "age")
    tree = xr.DataTree.from_dict({"posterior": xr.Dataset({"k": (("chain", "draw"), [[1.0, 2.0, 3.0]])})})
    tree.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    file.write_text(scenario_files.TEXT.replace(drawn, "  posterior: posterior.nc\n  size: 7\n"))
    found = twin.read_scenario(file)
    assert found.cohort.size == 7 and set(found.cohort.draw()["k"]) <= {1.0, 2.0, 3.0}
    (tmp_path / "posterior.nc").write_bytes(b"no netCDF")
    with pytest.raises(ScenarioError, match=r"key 'cohort.posterior': it holds no posterior that can be read"):
        twin.read_scenario(file)


def test_designs() -> None:
    factors = {"a": twin.Factor([1, 2]), "b": twin.Factor([0.1, 0.1 + 1e-9])}
    assert list(combinations(factors))[:2] == ["a=1, b=0.1", "a=1.0, b=0.100000001"]
    ranges = {"a": twin.Factor(lower=0, upper=2), "b": twin.Factor(lower=0.01, upper=1, scale="log")}
    points = sobol_points(ranges, 64, seed=1)
    values = np.array([list(levels.values()) for levels in points.values()])
    # A Sobol sequence of 2^m points has as many in each half of every axis.
    assert (values[:, 0] < 1).sum() == 32 and (values[:, 1] < 0.1).sum() == 32
    assert points == sobol_points(ranges, 64, seed=1) != sobol_points(ranges, 64, seed=2)
    with pytest.raises(ScenarioError, match="a power of 2"):
        sobol_points(ranges, 12, seed=1)


def test_faults_of_scenarios() -> None:
    with pytest.raises(ScenarioError, match="there are none"):
        twin.Scenario(scenarios.MODEL, scenarios.cohort(), [0, 1], {})
    with pytest.raises(ScenarioError, match="it is a str"):
        twin.Scenario("decay", scenarios.cohort(), [0, 1], scenarios.ENDPOINTS)  # type: ignore[arg-type]
    with pytest.raises(ScenarioError, match="the time 2.1 lies outside the sample times, 0 to 1"):
        twin.Scenario(scenarios.MODEL, scenarios.cohort(), [0, 1], scenarios.ENDPOINTS)
    with pytest.raises(ScenarioError, match="'peak' is among endpoints, too"):
        scenarios.decay(derived={"peak": "area"})
    with pytest.raises(ScenarioError, match="there is no arm 'other'"):
        scenarios.decay(arms={"one": {"dose": 1}}, factors={}, experiments={"other": twin.Experiment()})
    with pytest.raises(ScenarioError, match="rodas5p or tsit5"):
        scenarios.decay(solver="auto")


@pytest.mark.slow
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = scenario_files.written(tmp_path), tmp_path / "out"
    assert main(["scenario", "status", str(out)]) == 2
    assert main(["scenario", "run", str(file), "--out", str(out), "--chunk", "200", "--quiet"]) == 0
    assert "complete: 500 patients in 4 arms" in capsys.readouterr().out
    (out / "endpoints.zarr" / "status" / "c" / "1" / "0").unlink()
    assert main(["scenario", "resume", str(out), "--quiet"]) == 0
    assert main(["scenario", "status", str(out)]) == 0
    assert main(["scenario", "compare", str(out), "--to", str(tmp_path / "arms")]) == 0
    table = pd.read_csv(tmp_path / "arms" / "endpoints.csv").set_index(["endpoint", "arm"])
    ds = twin.open_scenario(out)
    difference = (ds["area"][2] - ds["area"][0]).to_numpy()
    row = table.loc[("area", "dose=1, k=1")]
    np.testing.assert_allclose(row["difference"], difference.mean(), rtol=1e-12)
    half = 1.96 * difference.std(ddof=1) / np.sqrt(500)
    np.testing.assert_allclose([row["lower"], row["upper"]], difference.mean() + np.array([-half, half]), rtol=1e-4)
    assert (tmp_path / "arms" / "comparison.png").stat().st_size > 10_000
    file.write_text(scenario_files.TEXT.replace("threshold: 0.5", "threshold: 0.4"))
    assert main(["scenario", "resume", str(out)]) == 2
    assert "belongs to another scenario" in capsys.readouterr().err
    (out / "checksums.json").unlink()
    assert main(["scenario", "status", str(out)]) == 1
    assert main(["scenario", "compare", str(out)]) == 2
    assert "the run is not complete" in capsys.readouterr().err


def test_the_examples_of_a_trial_have_the_same_patients() -> None:
    first, weaker = (twin.read_scenario(EXAMPLE.with_name(f"antiviral_{name}.yaml")) for name in ("scenario", "weaker"))
    assert first.cohort.fingerprint == weaker.cohort.fingerprint and first.cohort.size == weaker.cohort.size
    assert set(weaker.arm_names) < set(first.arm_names)
