"""Counts behind the floor of a run time, against counts by hand; tables and slopes of measurements."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from scaling import exponent
from step_cost import StepCost, elimination_operations, floor_seconds, median_steps, operations_of, peak_of, step_cost
from stopwatch import markdown, write_tsv

import twin


def test_elimination_of_a_full_matrix() -> None:
    # Pivots of 3, 2 and 1 rows: n inversions, n(n-1)/2 multipliers, 2 (4 + 1) operations of updates.
    factorise, solve = elimination_operations(3, [(i, j) for i in range(3) for j in range(3)])
    assert (factorise, solve) == (3 + 3 + 10, 2 * 6 + 3)


def test_elimination_of_a_chain_fills_nothing_in() -> None:
    size = 10
    assert elimination_operations(size, [(i + 1, i) for i in range(size - 1)]) == (size + 9, 2 * 9 + size)


def test_what_formulas_share_is_counted_once() -> None:
    a, b = sp.symbols("a b")
    assert operations_of([(a * b + 1) ** 2, a / (a * b + 1)]) == 4


def test_a_larger_system_costs_more() -> None:
    def decay(count: int) -> twin.Model:
        states = [twin.State(f"x{i}", 1.0) for i in range(count)]
        return twin.Model("d", states, [twin.Parameter("k", 1.0)], odes={f"x{i}": f"-k*x{i}" for i in range(count)})

    one, two = step_cost(decay(1)), step_cost(decay(2))
    assert one.operations < two.operations <= 2 * one.operations
    assert two.bytes - one.bytes == 2 * 8


@pytest.mark.parametrize(
    ("kind", "bandwidth"),
    [
        ("NVIDIA H100 80GB HBM3", 3.35e12),
        ("NVIDIA H100 PCIe", 2.0e12),
        ("NVIDIA H200", 4.8e12),
        ("NVIDIA A100-SXM4-80GB", 2.039e12),
        ("NVIDIA A100-SXM4-40GB", 1.555e12),
        ("NVIDIA L4", 300e9),
    ],
)
def test_devices_are_known_by_the_names_drivers_give(kind: str, bandwidth: float) -> None:
    peak = peak_of(kind)
    assert peak is not None and peak.bandwidth == bandwidth
    assert floor_seconds(StepCost(0, 8), 10.0, 5, peak) == pytest.approx(400 / bandwidth)


@pytest.mark.parametrize("kind", ["cpu", "NVIDIA L40S"])
def test_other_devices_are_unknown(kind: str) -> None:
    assert peak_of(kind) is None


def test_median_steps_of_known_numbers() -> None:
    needed = np.arange(50, 151)
    assert median_steps(lambda limit: float(np.mean(needed <= limit)), 1000) == pytest.approx(100, rel=0.06)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_exponent_of_a_power(power: float) -> None:
    x = np.array([1.0, 4.0, 64.0])
    assert exponent(x, 3.0 * x**power) == pytest.approx(power, abs=1e-12)


def test_exponent_of_one_point_is_unknown() -> None:
    assert exponent(np.array([2.0]), np.array([3.0])) is None


def test_tables(tmp_path) -> None:
    rows = [{"what": "a", "seconds": 0.123456}, {"what": "b", "seconds": None}]
    assert markdown(rows).splitlines() == ["| what | seconds |", "| --- | ---: |", "| a | 0.1235 |", "| b |  |"]
    write_tsv(tmp_path / "t.tsv", rows)
    assert (tmp_path / "t.tsv").read_text() == "what\tseconds\na\t0.1235\nb\t\n"
