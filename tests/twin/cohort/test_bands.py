"""Quantiles on the way: exact where they can be, within their own bound where not, the same in any order."""

from __future__ import annotations

import numpy as np
import pytest

import twin
from twin.cohort.bands import PILOT, Quantiles
from twin.errors import ExperimentError

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999, 1.0)
N = 50_000
rng = np.random.default_rng(0)
VALUES = {
    "normal": rng.normal(size=N),
    "heavy tails": rng.standard_cauchy(size=N),
    "many decades": np.exp(8.0 * rng.normal(size=N)),
    "half are zero": np.where(rng.uniform(size=N) < 0.5, 0.0, rng.exponential(size=N)),
    "two values": rng.integers(0, 2, size=N).astype(float),
    "all equal": np.full(N, 3.0),
    "two far heaps": np.where(rng.uniform(size=N) < 0.5, -1e6, 1e6) + rng.normal(size=N),
    "some infinite": np.where(rng.uniform(size=N) < 0.1, -np.inf, rng.normal(size=N)),
    "some not a number": np.where(rng.uniform(size=N) < 0.1, np.nan, rng.normal(size=N)),
}


def gather(values: np.ndarray, pilot: np.ndarray, chunk: int, resolution: int = 512) -> dict[str, np.ndarray]:
    found = Quantiles(twin.Bands(LEVELS, resolution=resolution), ["x"], [""], [0], 1)
    found.begin(pilot[None, None])
    for start in range(0, len(values), chunk):
        found.update(values[None, None, start : start + chunk])
        again = Quantiles(found.bands, ["x"], [""], [0], 1)
        again.restore(found.state())
        found = again
    return {name: values[:, 0] for name, values in found.results().items()}


@pytest.mark.parametrize("kind", list(VALUES))
def test_rank_error_is_within_its_bound(kind: str) -> None:
    values = VALUES[kind]
    found = gather(values, values[:PILOT], 7000)
    known = values[~np.isnan(values)]
    for level, quantile, error in zip(LEVELS, found["x_quantile"], found["x_rank_error"], strict=True):
        below, up_to = (known < quantile).mean(), (known <= quantile).mean()
        # numpy's "linear" quantile itself lies up to one value beside the level.
        slack = error + 1.5 / len(known)
        assert below - slack <= level <= up_to + slack, level
    # 512 marks from 4096 values: the share between two of them has mean 1/512 and a standard deviation of a third.
    assert found["x_rank_error"].max() < 3 / 512
    if "equal" in kind or "two values" in kind:
        np.testing.assert_array_equal(found["x_rank_error"], 0.0)
        np.testing.assert_array_equal(found["x_quantile"], np.quantile(known, LEVELS))


def test_interpolation_is_better_than_the_bound() -> None:
    found = gather(VALUES["normal"], VALUES["normal"][:PILOT], 7000)
    ranks = [(VALUES["normal"] < quantile).mean() for quantile in found["x_quantile"]]
    # Ranks of k values between two marks stray from a straight line by sqrt(k) / 2 at most (a Brownian bridge).
    assert np.abs(np.array(ranks) - LEVELS)[1:-1].max() < 5 * np.sqrt(N / 512) / 2 / N


def test_few_values_are_exact() -> None:
    values = VALUES["many decades"][:500]
    found = gather(values, values, 170)
    np.testing.assert_allclose(found["x_quantile"], np.quantile(values, LEVELS), rtol=1e-12)


def test_order_and_chunks_do_not_matter() -> None:
    values = VALUES["heavy tails"]
    one = gather(values, values[:PILOT], 7000)
    other = gather(np.sort(values), values[:PILOT], 333)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_marks_that_no_value_equals() -> None:
    values = VALUES["normal"]
    found = gather(values, values[:PILOT] * (1 + 1e-15), 7000)
    ranks = np.array([(values < quantile).mean() for quantile in found["x_quantile"]])
    assert (np.abs(ranks - LEVELS) <= found["x_rank_error"] + 2 / N).all()
    assert found["x_rank_error"].max() < 3 / 512


def test_a_bad_pilot_shows() -> None:
    """If the pilot stands for nobody else, the bound says so."""
    values = np.sort(VALUES["normal"])
    found = gather(values, values[:PILOT], 7000)
    assert found["x_rank_error"].max() > 0.5


def test_nothing_but_not_a_number() -> None:
    found = gather(np.full(100, np.nan), np.full(50, np.nan), 30)
    assert np.isnan(found["x_quantile"]).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"levels": (0.5, 0.1)}, "ascending"),
        ({"levels": (0.5, 0.5)}, "ascending"),
        ({"levels": (1.5,)}, "from 0 to 1"),
        ({"levels": ()}, "from 0 to 1"),
        ({"levels": 0.5}, "from 0 to 1"),
        ({"variables": "V"}, "the variables are the text 'V'"),
        ({"resolution": 3}, "resolution is 3"),
    ],
)
def test_nonsense_is_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        twin.Bands(**arguments)
