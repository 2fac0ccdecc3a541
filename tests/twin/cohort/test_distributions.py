"""Laws of every distribution: quantiles and draws agree with scipy's closed forms, order is kept, nonsense refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import twin
from twin.cohort.distributions import AbstractDistribution
from twin.errors import ExperimentError

LAWS: dict[str, tuple[AbstractDistribution, stats.rv_continuous]] = {
    "normal": (twin.Normal(3.0, 2.0), stats.norm(3.0, 2.0)),
    "normal, cut": (twin.Normal(1.0, 2.0, lower=0.0, upper=4.0), stats.truncnorm(-0.5, 1.5, 1.0, 2.0)),
    "normal, tail only": (twin.Normal(0.0, 1.0, lower=6.0), stats.truncnorm(6.0, np.inf)),
    "log-normal": (twin.LogNormal(3e-5, 0.3), stats.lognorm(0.3, scale=3e-5)),
    "log-normal, cv": (twin.LogNormal(2.0, cv=0.5), stats.lognorm(np.sqrt(np.log(1.25)), scale=2.0)),
    "uniform": (twin.Uniform(-1.0, 4.0), stats.uniform(-1.0, 5.0)),
    "log-uniform": (twin.LogUniform(1e-3, 10.0), stats.loguniform(1e-3, 10.0)),
    "gamma": (twin.Gamma(0.7, 2.0), stats.gamma(0.7, scale=2.0)),
    "beta": (twin.Beta(2.0, 5.0, upper=3.0), stats.beta(2.0, 5.0, scale=3.0)),
    "triangular": (twin.Triangular(1.0, 2.0, 5.0), stats.triang(0.25, 1.0, 4.0)),
}
DRAWS = 40_000
LEVELS = np.array([1e-9, 0.01, 0.3, 0.5, 0.9, 1 - 1e-9])


@pytest.mark.parametrize("name", list(LAWS))
def test_quantiles(name: str) -> None:
    ours, closed = LAWS[name]
    np.testing.assert_allclose(ours.quantile(LEVELS), closed.ppf(LEVELS), rtol=1e-6)


@pytest.mark.parametrize("name", list(LAWS))
def test_draws(name: str) -> None:
    ours, closed = LAWS[name]
    values = twin.Cohort(DRAWS, {"x": ours}, seed=3).draw()["x"]
    # Five standard errors.
    assert abs(values.mean() - closed.mean()) < 5 * closed.std() / np.sqrt(DRAWS)
    ranks = closed.cdf(values)
    for level in (0.05, 0.5, 0.95):
        assert abs((ranks < level).mean() - level) < 5 * np.sqrt(level * (1 - level) / DRAWS)


@pytest.mark.parametrize("name", list(LAWS))
def test_ascending_and_finite_far_out(name: str) -> None:
    values = LAWS[name][0].at(np.linspace(-12.0, 12.0, 1001))
    assert np.isfinite(values).all()
    assert (np.diff(values) >= 0).all()
    low, high = LAWS[name][1].support()
    assert values.min() >= low and values.max() <= high


def test_log_normal_cut() -> None:
    values = twin.Cohort(DRAWS, {"x": twin.LogNormal(1.0, 0.5, lower=0.5, upper=2.0)}).draw()["x"]
    whole = stats.lognorm(0.5)
    assert values.min() >= 0.5 and values.max() <= 2.0
    below = (whole.cdf(1.2) - whole.cdf(0.5)) / (whole.cdf(2.0) - whole.cdf(0.5))
    assert abs((values < 1.2).mean() - below) < 5 * 0.5 / np.sqrt(DRAWS)


def test_choice() -> None:
    values = twin.Cohort(DRAWS, {"x": twin.Choice((5.0, 1.0, 2.0), (1, 2, 0))}).draw()["x"]
    assert set(values) == {1.0, 5.0}
    assert abs((values == 1.0).mean() - 2 / 3) < 5 * np.sqrt(2 / 9 / DRAWS)
    assert set(twin.Choice([1.0, 3.0]).quantile([0.0, 0.49, 0.51, 1.0])) == {1.0, 3.0}


REFUSED = [
    (lambda: twin.Normal(0.0, 0.0), "sd is 0"),
    (lambda: twin.Normal(np.nan, 1.0), "mean is nan"),
    (lambda: twin.Normal("a", 1.0), "mean is 'a'"),
    (lambda: twin.Normal(0.0, 1.0, lower=2.0, upper=1.0), "bounds are 2 and 1"),
    (lambda: twin.Normal(0.0, 1.0, lower=50.0), "more than 20 standard deviations"),
    (lambda: twin.LogNormal(-1.0, 0.3), "median is -1"),
    (lambda: twin.LogNormal(1.0), "neither sd_log nor cv"),
    (lambda: twin.LogNormal(1.0, 0.3, 0.3), "both sd_log and cv"),
    (lambda: twin.LogNormal(1.0, 0.3, lower=0.0), "lower is 0"),
    (lambda: twin.Uniform(1.0, 1.0), "bounds are 1 and 1"),
    (lambda: twin.LogUniform(0.0, 1.0), "lower is 0"),
    (lambda: twin.Gamma(True, 1.0), "shape is True"),
    (lambda: twin.Beta(1.0, -1.0), "b is -1"),
    (lambda: twin.Triangular(0.0, 3.0, 2.0), "the mode is 3"),
    (lambda: twin.Choice([]), "values is"),
    (lambda: twin.Choice([1.0], [1.0, 2.0]), "1 values and 2 weights"),
    (lambda: twin.Choice([1.0], [0.0]), "the weights are"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_nonsense_is_refused(make, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        make()
