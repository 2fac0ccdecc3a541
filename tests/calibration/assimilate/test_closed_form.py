"""Updates against a posterior that is known: means, standard deviations, predictive densities after every reading."""

from __future__ import annotations

import numpy as np
import pytest

from twin.live import Twin

pytestmark = pytest.mark.xdist_group("assimilate")
ERRORS = 4.5
"""Monte-Carlo errors allowed, of two dozen numbers compared."""


def check(live: Twin, mean: np.ndarray, covariance: np.ndarray, ess: float, more: np.ndarray | float = 0.0) -> None:
    """Weighted mean and standard deviation within Monte-Carlo errors of so many independent draws."""
    found, sd = live.summary(), np.sqrt(np.diag(covariance))
    assert np.all(np.abs(found["mean"] - mean) < ERRORS * sd / np.sqrt(ess) + more)
    assert np.all(np.abs(found["sd"] / sd - 1) < ERRORS / np.sqrt(2 * ess))


def test_posterior_after_every_reading(linear, updated) -> None:
    for count, live in enumerate(updated[1:], 1):
        mean, covariance, density = linear.exact(count)
        record = live.log[-1]
        # Particles that were resampled and moved descend from fewer; errors of earlier resamplings add up.
        ess = min(each.log[-1].get("distinct", each.ess) for each in updated[1 : count + 1]) / 3
        check(live, mean, covariance, ess)
        assert record["log_predictive_density"] == pytest.approx(density, abs=0.2)
        assert record["exact"] and record["failed"] == 0


def test_moves_happen_when_few_particles_are_left(updated) -> None:
    records = [live.log[-1] for live in updated[1:]]
    moved = [record["moves"] > 0 for record in records]
    assert any(moved) and not all(moved)
    for record, some in zip(records, moved, strict=True):
        assert some == (record["ess_weights"] < 1000)
    # The reading at t = 4 contradicts the prior and is taken in by degrees.
    assert records[4]["ess_weights"] < 100 and len(records[4]["powers"]) > 1 and records[4]["powers"][-1] == 1.0
    assert records[4]["correlation"] <= 0.1


def test_all_readings_at_once_are_the_same(linear, updated) -> None:
    live = linear.twin.update(linear.table)
    mean, covariance, _ = linear.exact(len(linear.table))
    check(live, mean, covariance, live.log[-1]["distinct"] / 3)
    step = sum(each.log[-1]["log_predictive_density"] for each in updated[1:])
    assert live.log[-1]["log_predictive_density"] == pytest.approx(step, abs=0.5)


def test_kalman_steps_are_exact_here(linear) -> None:
    live = linear.twin
    for row in range(len(linear.table)):
        live = live.update(linear.table.iloc[[row]], "enkf")
    mean, covariance, _ = linear.exact(len(linear.table))
    # The gain is estimated from the ensemble, which costs independence.
    check(live, mean, covariance, len(live) / 6)
    assert not live.log[-1]["exact"]


def test_a_twin_of_a_posterior_goes_on_from_it(linear, updated) -> None:
    """Where a twin comes from does not matter: the one after three readings, saved as the beginning of another."""
    middle, last = updated[3], updated[6]
    again = middle.update(linear.table.iloc[3:])
    mean, covariance, _ = linear.exact(6)
    check(again, mean, covariance, again.log[-1]["distinct"] / 3)
    assert len(again.readings) == len(last.readings) == 6
    assert len(middle.readings) == 3  # it did not change
