"""Judges one case of the SBML test suite."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from twin.conformance.comparison import verdict_on, worst_deviation
from twin.conformance.sbml_suite import TIME_COURSE, Expected, Settings, model_file, read_expected, read_settings
from twin.conformance.suite import Case
from twin.conformance.verdict import Verdict, judged
from twin.errors import ModelError, UnsupportedModelError
from twin.exchange.sbml import read_sbml
from twin.exchange.sbml.composition import flatten
from twin.exchange.sbml.contents import Species
from twin.exchange.sbml.document import open_document
from twin.exchange.sbml.extraction import extract
from twin.simulation import simulate

MAX_STEPS = 100_000


def judge(case: Case) -> Verdict:
    """Reads the model, simulates it at the times of the results and compares every column."""
    return judged(lambda: _judge(case))


def _judge(case: Case) -> Verdict:
    path = model_file(case.path)
    if path is None:
        raise ModelError("there is no model", where=str(case.path), expected="the files of a case")
    model = read_sbml(path)
    if case.kind != TIME_COURSE:
        raise UnsupportedModelError(
            f"the package 'fbc' ({case.kind}): what is asked is no time course", where=path.name, fix="use COBRApy"
        )
    settings, expected = read_settings(case.path), read_expected(case.path)
    expressions = expressions_of(expected.symbols, settings, path)
    relative, absolute = settings.relative, settings.absolute
    # Far below what the case tolerates, so that a deviation is a fault of the reading and not of the integration.
    ds = simulate(
        model,
        expected.times,
        variables=list(dict.fromkeys(expressions)),
        rtol=min(1e-8, 1e-2 * relative),
        atol=min(1e-12, 1e-4 * absolute),
        max_steps=MAX_STEPS,
    )
    found = np.stack([ds[expression].to_numpy() for expression in expressions], axis=1)
    labels = _labels(expected)
    deviation = worst_deviation(found.ravel(), np.ravel(expected.values), labels, absolute, relative)
    return verdict_on(deviation)


def expressions_of(symbols: Sequence[str], settings: Settings, path: Path) -> list[str]:
    """What to ask `simulate` for: a species as amount or concentration, as the settings say, all else as it is.

    A symbol of a read model means what it means in SBML's maths; there the meaning of a species depends on
    its compartment and ``hasOnlySubstanceUnits``.

    Args:
        symbols: SBML ids; in a composed model those of the flattened one.
        settings: Which are wanted as amounts and which as concentrations.
        path: The model's file.
    """
    contents = extract(flatten(open_document(path)))
    expressions = []
    for symbol in symbols:
        name = contents.names.of.get(symbol, symbol)
        quantity = contents.quantities.get(name)
        expression = name
        if isinstance(quantity, Species):
            if symbol in settings.amounts and not quantity.amount:
                expression = f"{name}*{quantity.compartment}"
            elif symbol in settings.concentrations and quantity.amount:
                expression = f"{name}/{quantity.compartment}"
        expressions.append(expression)
    return expressions


def _labels(expected: Expected) -> list[str]:
    return [f"{symbol} at t = {time:g}" for time in expected.times for symbol in expected.symbols]
