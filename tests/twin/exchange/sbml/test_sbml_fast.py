"""Fast reactions: the reduced model is the limit of the same model with ever larger rates."""

import numpy as np
import pytest
from sbml_text import compartment, document, maths, parameter, species

from twin.errors import UnsupportedModelError
from twin.exchange.sbml import read_sbml
from twin.model.formula import parse
from twin.simulation import simulate

SPEED = 1e7
TIMES = np.array([0.5, 1.0, 3.0])


def content(formula: str) -> str:
    """MathML of a formula of our grammar."""
    import libsbml

    from twin.exchange.sbml.digits import Digits
    from twin.exchange.sbml.mathml_writing import to_ast

    text = libsbml.writeMathMLToString(to_ast(parse(formula), Digits()))
    return text[text.index("<math") :].partition(">")[2].removesuffix("</math>")


def side(kind: str, counts: dict[str, float]) -> str:
    references = "".join(
        f'<speciesReference species="{name}" stoichiometry="{count}" constant="true"/>'
        for name, count in counts.items()
    )
    return f"<listOf{kind}>{references}</listOf{kind}>" if references else ""


def made(name: str, equation: str, rate: str, fast: bool = False) -> str:
    """A reaction such as ``2 A + B -> C``."""

    def counts(text: str) -> dict[str, float]:
        terms = [term.split() for term in text.split("+") if term.strip()]
        return {term[-1]: float(term[0]) if len(term) > 1 else 1.0 for term in terms}

    left, _, right = equation.partition("->")
    law = maths(content(rate))
    return (
        f'<reaction id="{name}" reversible="true" fast="{str(fast).lower()}">{side("Reactants", counts(left))}'
        f"{side('Products', counts(right))}<kineticLaw>{law}</kineticLaw></reaction>"
    )


def model(
    fast: dict[str, str], slow: dict[str, str], amounts: dict[str, float], *lists: str, stiff: bool = False
) -> str:
    """A model with parameters kf = 2, kr = 0.5, k = 0.7, in a compartment C of size 2.

    Args:
        fast: Rate by equation.
        slow: Rate by equation.
        amounts: Initial amounts.
        lists: More of it.
        stiff: Whether fast reactions are large rates instead.
    """
    reactions = [
        made(f"fast{index}", equation, f"{SPEED} * ({rate})" if stiff else rate, fast=not stiff)
        for index, (equation, rate) in enumerate(fast.items())
    ]
    reactions += [made(f"slow{index}", equation, rate) for index, (equation, rate) in enumerate(slow.items())]
    constants = parameter("kf", 2) + parameter("kr", 0.5) + parameter("k", 0.7)
    named = {part.partition(":")[0]: part.partition(":")[2] for part in lists}
    return document(
        f"Compartments:{named.pop('Compartments', compartment(size=2.0))}",
        f"Species:{''.join(species(name, amount) for name, amount in amounts.items())}",
        f"Parameters:{constants}{named.pop('Parameters', '')}",
        *([f"Rules:{named.pop('Rules')}"] if "Rules" in named else []),
        f"Reactions:{''.join(reactions)}",
        *[f"{name}:{part}" for name, part in named.items()],
        version=1,
    )


GROWS = f'Rules:<rateRule variable="C">{maths("<cn>0.5</cn>")}</rateRule>'
SET = (
    'Events:<event id="E" useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">'
    + maths(
        "<apply><gt/><csymbol encoding='text' definitionURL='http://www.sbml.org/sbml/symbols/time'>t</csymbol>"
        "<cn>0.75</cn></apply>"
    )
    + f'</trigger><listOfEventAssignments><eventAssignment variable="A">{maths("<cn>4</cn>")}</eventAssignment>'
    "</listOfEventAssignments></event>"
)
CASES = {
    "isomers": ({"A -> B": "kf*A - kr*B"}, {"B -> D": "k*B"}, {"A": 3, "B": 1, "D": 0}, ()),
    "binding": ({"A + B -> D": "kf*A*B - kr*D"}, {"D -> A": "k*D", "-> B": "k"}, {"A": 3, "B": 3, "D": 0}, ()),
    "dimers": ({"2 A -> B": "kf*A^2 - kr*B"}, {"B -> D": "k*B", "-> A": "0.3"}, {"A": 4, "B": 0, "D": 0}, ()),
    "splitting": ({"A -> 2 B": "kf*A - kr*B^2"}, {"B -> D": "k*B"}, {"A": 4, "B": 0, "D": 0}, ()),
    "saturating": ({"A -> B": "(kf*A - kr*B)/(1 + A/k + B/kf)"}, {"B -> D": "k*B"}, {"A": 3, "B": 1, "D": 0}, ()),
    "exhaustion": ({"A -> B": "kf*A"}, {"B -> D": "k*B", "-> A": "k"}, {"A": 3, "B": 1, "D": 0}, ()),
    "chain": (
        {"A -> B": "kf*A - kr*B", "B -> D": "k*B - kf*D"},
        {"D -> E": "k*D"},
        {"A": 3, "B": 1, "D": 0, "E": 0},
        (),
    ),
    "cycle": (
        {"A -> B": "kf*A", "B -> D": "k*B", "D -> A": "kr*D"},
        {"D -> E": "k*D"},
        {"A": 3, "B": 1, "D": 0, "E": 0},
        (),
    ),
    "both ways": ({"A -> B": "kf*A", "B -> A": "kr*B"}, {"B -> D": "k*B"}, {"A": 3, "B": 1, "D": 0}, ()),
    "growing": (
        {"A -> B": "kf*A - kr*B"},
        {"B -> D": "k*B"},
        {"A": 3, "B": 1, "D": 0},
        (f"Compartments:{compartment(size=2.0, constant=False)}", GROWS),
    ),
    "binding while growing": (
        {"A + B -> D": "kf*A*B - kr*D"},
        {"D -> A": "k*D"},
        {"A": 3, "B": 2, "D": 0},
        (f"Compartments:{compartment(size=2.0, constant=False)}", GROWS),
    ),
    "event": ({"A -> B": "kf*A - kr*B"}, {"B -> D": "k*B"}, {"A": 3, "B": 1, "D": 0}, (SET,)),
    "event while growing": (
        {"A -> B": "kf*A - kr*B"},
        {"B -> D": "k*B"},
        {"A": 3, "B": 1, "D": 0},
        (f"Compartments:{compartment(size=2.0, constant=False)}", GROWS, SET),
    ),
    "two groups": (
        {"A -> B": "kf*A - kr*B", "D -> E": "k*D - kf*E"},
        {"B -> D": "k*B"},
        {"A": 3, "B": 1, "D": 0, "E": 0},
        (),
    ),
    "uneven": ({"3 A -> 2 B": "kf*A - kr*B"}, {"B -> D": "k*B"}, {"A": 3, "B": 1, "D": 0}, ()),
}


@pytest.mark.parametrize("case", CASES)
def test_the_reduction_is_the_limit_of_large_rates(case):
    fast, slow, amounts, more = CASES[case]
    reduced, stiff = (read_sbml(model(fast, slow, amounts, *more, stiff=stiff)) for stiff in (False, True))
    variables = list(amounts)
    one = simulate(reduced, TIMES, variables=variables, rtol=1e-9, atol=1e-11)
    other = simulate(stiff, TIMES, variables=variables, rtol=1e-9, atol=1e-11)
    for name in variables:
        np.testing.assert_allclose(one[name], other[name], rtol=3e-6, atol=3e-6)


def test_equilibrium_holds_from_the_start_on():
    reduced = read_sbml(model(*CASES["isomers"][:3]))
    assert reduced.state_names == ("B_total", "D")
    result = simulate(reduced, [0.0], variables=["A", "B"])
    # Of 4 in all, in a compartment of size 2, B has kf / (kf + kr).
    np.testing.assert_allclose([result["A"][0], result["B"][0]], [0.4, 1.6], rtol=1e-12)


REFUSED = {
    "exhausted together": ({"A + B -> D": "kf*A*B"}, {"A": 2, "B": 2, "D": 0}, "kink"),
    "a square": ({"2 A -> B": "kf*A^2"}, {"A": 2, "B": 2}, "known that its rate falls"),
    "grows without end": ({"A -> B": "-kf*A"}, {"A": 2, "B": 2}, "known that its rate falls"),
    "nothing to be exhausted": ({"A -> B": "kf"}, {"A": 2, "B": 2}, "does not depend"),
    "another root between": ({"A -> B": "kf*A*B"}, {"A": 2, "B": 0}, "not reached"),
    "a cubic": ({"A -> B": "kf*A^3 - kr*B"}, {"A": 2, "B": 2}, "cubic"),
    "an exponential": ({"A -> B": "exp(A) - B"}, {"A": 2, "B": 2}, "no quotient of polynomials"),
    "a switch": ({"A -> B": "piecewise(kf*A, time > 1, 0)"}, {"A": 2, "B": 2}, "does not depend"),
    "a sign that may change": ({"A -> B": "(1 - time)*A"}, {"A": 2, "B": 2}, "known that its rate falls"),
    "linked and not linear": (
        {"A + B -> D": "kf*A*B - kr*D", "D -> E": "kf*D - kr*E"},
        {"A": 2, "B": 2, "D": 0, "E": 0},
        "not all are linear",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_equilibrium_that_is_known_is_refused(case):
    fast, amounts, reason = REFUSED[case]
    with pytest.raises(UnsupportedModelError, match=rf"line \d+, reaction 'fast0': the reaction is fast .*{reason}"):
        read_sbml(model(fast, {}, amounts))


def test_the_flux_of_a_fast_reaction_is_not_given():
    with pytest.raises(UnsupportedModelError, match=r"line \d+, .*the rate of the fast reaction 'fast0' is used"):
        read_sbml(model({"A -> B": "kf*A"}, {"-> D": "k*fast0"}, {"A": 2, "B": 2, "D": 1}))


def test_a_delayed_event_with_values_of_its_trigger_is_refused():
    delayed = SET.replace("</trigger>", f"</trigger><delay>{maths('<cn>1</cn>')}</delay>")
    with pytest.raises(UnsupportedModelError, match=r"line \d+, event 'E': the delayed event sets one of A, B"):
        read_sbml(model(*CASES["event"][:3], delayed))


def test_a_fast_reaction_of_boundary_species_alone_changes_nothing():
    text = model({"A -> B": "kf*A"}, {}, {"A": 2, "B": 2}).replace(
        'boundaryCondition="false"', 'boundaryCondition="true"'
    )
    assert read_sbml(text).state_names == ("A", "B")
