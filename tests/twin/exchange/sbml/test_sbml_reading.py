"""What compartments, species, reactions, rules and events become."""

import pytest
from sbml_text import compartment, document, maths, parameter, reaction, species

from twin.errors import (
    CyclicAssignmentError,
    DuplicateNameError,
    FormulaError,
    ModelError,
    UnknownSymbolError,
    UnsupportedModelError,
)
from twin.exchange.sbml import read_sbml
from twin.simulation import simulate

K = parameter("k", 0.5)
LOSS = "<apply><times/><ci>k</ci><ci>S</ci></apply>"


def rate_rule(name: str, content: str) -> str:
    return f'<rateRule variable="{name}">{maths(content)}</rateRule>'


def assignment_rule(name: str, content: str) -> str:
    return f'<assignmentRule variable="{name}">{maths(content)}</assignmentRule>'


def test_a_concentration_in_a_constant_compartment_is_a_state_in_it():
    model = read_sbml(
        document(
            f"Compartments:{compartment()}",
            f"Species:{species('S')}",
            f"Parameters:{K}",
            f"Reactions:{reaction('J', 'S', '', LOSS)}",
        )
    )
    (state,) = model.states
    assert (state.name, state.compartment, state.initial) == ("S", "C", "1 / C")
    assert str(model.rhs[0]) == "-S*k/C"
    assert model.parameter_names == ("C", "k")


def test_substance_units_and_no_dimensions_mean_amounts():
    model = read_sbml(
        document(
            f'Compartments:{compartment()}<compartment id="P" spatialDimensions="0" constant="true"/>',
            f"Species:{species('S', hasOnlySubstanceUnits='true')}{species('Q', compartment='P')}",
        )
    )
    assert [(state.compartment, state.initial) for state in model.states] == [(None, 1.0), (None, 1.0)]
    assert model.parameter_names == ("C",)


def test_in_a_compartment_that_grows_the_state_is_the_amount():
    model = read_sbml(
        document(
            f"Compartments:{compartment(constant=False)}",
            f"Species:{species('S')}{species('Q', boundaryCondition='true')}",
            f"Parameters:{K}",
            f"Rules:{rate_rule('C', '<ci>k</ci>')}{rate_rule('Q', '<cn>3</cn>')}",
            f"Reactions:{reaction('J', 'S', '', LOSS)}",
        )
    )
    assert model.state_names == ("C", "S_amount", "Q_amount")
    assert [state.initial for state in model.states] == [2.0, 1.0, 1.0]
    assert dict(zip(model.assignment_names, (part.formula for part in model.assignments), strict=True)) == {
        "S": "S_amount / C",
        "Q": "Q_amount / C",
    }
    # d(Q C)/dt = C dQ/dt + Q dC/dt
    assert model.odes["Q_amount"] == "3 * C + Q * k"


def test_an_event_in_a_varying_compartment_sets_the_amount_with_the_size_before_it():
    event = (
        f'<event useValuesFromTriggerTime="true"><trigger initialValue="true" persistent="true">'
        f"{maths('<true/>')}</trigger><listOfEventAssignments>"
        f'<eventAssignment variable="S">{maths("<cn>5</cn>")}</eventAssignment>'
        f'<eventAssignment variable="C">{maths("<apply><plus/><ci>C</ci><cn>1</cn></apply>")}</eventAssignment>'
        "</listOfEventAssignments></event>"
    )
    model = read_sbml(
        document(f"Compartments:{compartment(constant=False)}", f"Species:{species('S')}", f"Events:{event}")
    )
    (found,) = model.events
    assert found.name == "event_1"
    assert dict(found.assignments) == {"S_amount": "5 * C", "C": "C + 1"}


def test_local_parameters_shadow():
    local = '<localParameter id="k" value="3"/>'
    model = read_sbml(
        document(
            f"Compartments:{compartment()}",
            f"Species:{species('S')}",
            f"Parameters:{K}",
            f"Reactions:{reaction('J', 'S', '', LOSS, local)}{reaction('L', 'S', '', LOSS)}",
        )
    )
    assert model.default_parameters == {"C": 2.0, "k": 0.5, "J_k": 3.0}
    assert [part.rate for part in model.reactions] == ["J_k * S", "k * S"]


def test_conversion_factors_and_stoichiometries_that_vary():
    reference = '<speciesReference id="n" species="S" stoichiometry="2" constant="false"/>'
    text = (
        f'<reaction id="J" reversible="false"><listOfProducts>{reference}</listOfProducts>'
        f"<kineticLaw>{maths('<ci>k</ci>')}</kineticLaw></reaction>"
    )
    model = read_sbml(
        document(
            f"Compartments:{compartment()}",
            f"Species:{species('S')}",
            f"Parameters:{K}{parameter('factor', 10)}",
            f"Rules:{assignment_rule('n', '<ci>S</ci>')}",
            f"Reactions:{text}",
            model='conversionFactor="factor"',
        )
    )
    assert dict(model.reactions[0].equation) == {"S": "n * factor"}
    assert model.assignment_names == ("n",)


def test_initial_assignments_stay_formulas_of_parameters():
    initial = "".join(
        f'<initialAssignment symbol="{name}">{maths(content)}</initialAssignment>'
        for name, content in (
            ("S", "<apply><times/><cn>3</cn><ci>p</ci></apply>"),
            ("p", "<apply><plus/><ci>k</ci><ci>T</ci></apply>"),
            ("q", "<apply><times/><ci>k</ci><ci>k</ci></apply>"),
        )
    )
    model = read_sbml(
        document(
            f"Compartments:{compartment()}",
            f"Species:{species('S')}{species('T')}",
            f"Parameters:{K}{parameter('p')}{parameter('q')}",
            f"InitialAssignments:{initial}",
        )
    )
    assert {state.name: state.initial for state in model.states} == {"S": "3 * (k + 1 / C)", "T": "1 / C"}
    # q depends on a parameter; p on a state, of which it keeps the start.
    assert {part.name: part.formula for part in model.assignments} == {"p": "k + 1 / C", "q": "k * k"}


def test_initial_values_that_need_each_other_are_refused():
    initial = "".join(
        f'<initialAssignment symbol="{name}">{maths(f"<ci>{other}</ci>")}</initialAssignment>'
        for name, other in (("S", "T"), ("T", "S"))
    )
    with pytest.raises(CyclicAssignmentError, match="S -> T -> S"):
        read_sbml(
            document(
                f"Compartments:{compartment()}",
                f"Species:{species('S')}{species('T')}",
                f"InitialAssignments:{initial}",
            )
        )


def algebraic(*contents: str) -> str:
    return "".join(f"<algebraicRule>{maths(content)}</algebraicRule>" for content in contents)


def test_a_linear_algebraic_rule_is_solved():
    total = "<apply><minus/><apply><plus/><ci>S</ci><ci>x</ci></apply><ci>k</ci></apply>"
    model = read_sbml(
        document(
            f"Compartments:{compartment()}",
            f"Species:{species('S')}",
            f"Parameters:{K}{parameter('x', 1, False)}",
            f"Rules:{algebraic(total)}",
            f"Reactions:{reaction('J', 'S', '', LOSS)}",
        )
    )
    assert model.assignment_names == ("x",)
    assert str(model.expand(model.formula("x"))) == "-S + k"


def test_an_algebraic_rule_that_is_not_linear_is_a_constraint():
    square = "<apply><minus/><apply><times/><ci>x</ci><ci>x</ci></apply><ci>k</ci></apply>"
    model = read_sbml(document(f"Parameters:{K}{parameter('x', 1, False)}", f"Rules:{algebraic(square)}"))
    assert model.state_names == ("x",)
    assert str(model.constraint_formulas["x"]) == "-k + x**2"


def test_too_many_algebraic_rules_are_refused():
    rules = algebraic("<apply><minus/><ci>x</ci><cn>1</cn></apply>", "<apply><minus/><ci>x</ci><cn>2</cn></apply>")
    with pytest.raises(ModelError, match="no variable to determine"):
        read_sbml(document(f"Parameters:{parameter('x', 1, False)}", f"Rules:{rules}"))


def test_rules_and_events_without_maths_have_no_effect():
    model = read_sbml(
        document(
            f"Parameters:{parameter('x', 1, False)}",
            'Rules:<rateRule variable="x"/>',
            'Events:<event useValuesFromTriggerTime="true"/>',
        )
    )
    assert model.default_parameters == {"x": 1.0}
    assert model.events == ()


def test_a_value_that_is_missing_is_named_only_where_it_is_used():
    unused = document(f"Parameters:{K}{parameter('x')}")
    assert read_sbml(unused).parameter_names == ("k",)
    used = document(
        f"Parameters:{parameter('x')}{parameter('y', constant=False)}",
        f"Rules:{assignment_rule('y', '<ci>x</ci>')}",
    )
    with pytest.raises(ModelError, match=r"line \d+, parameter 'x': parameter 'x' is used and has no value"):
        read_sbml(used)


def test_an_id_used_twice_is_refused():
    with pytest.raises(DuplicateNameError, match="'k' is used twice"):
        read_sbml(document(f"Parameters:{K}{K}"))


def test_values_take_the_place_of_the_files():
    text = document(
        f"Compartments:{compartment()}",
        f"Species:{species('S', None)}{species('T', 3.0, hasOnlySubstanceUnits='true')}",
        f"Parameters:{parameter('k')}{parameter('q', float('nan'))}{parameter('r', 1.0)}",
        f'InitialAssignments:<initialAssignment symbol="r">{maths("<ci>k</ci>")}</initialAssignment>',
        f"Reactions:{reaction('J', 'S', 'T', LOSS)}",
    )
    model = read_sbml(text, values={"k": 2, "q": 0.25, "r": 7.0, "S": 5.0, "T": 6.0, "C": 4.0})
    assert model.default_parameters == {"C": 4.0, "k": 2.0, "q": 0.25, "r": 7.0}
    assert [state.initial for state in model.states] == [5.0, 6.0]


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"kk": 1.0}, UnknownSymbolError, r"SBML text, values: a value is given for 'kk'"),
        ({"k": float("nan")}, ModelError, r"line \d+, parameter 'k': the value given for 'k' is nan"),
        ({"y": 1.0}, ModelError, r"line \d+, parameter 'y': a value is given for 'y', which has an assignment rule"),
    ],
)
def test_values_that_make_no_sense_are_refused(values, error, message):
    text = document(f"Parameters:{K}{parameter('y', constant=False)}", f"Rules:{assignment_rule('y', '<ci>k</ci>')}")
    with pytest.raises(error, match=message):
        read_sbml(text, values=values)


def test_infinite_values_are_refused_with_their_place():
    with pytest.raises(UnsupportedModelError, match=r"line \d+, parameter 'k': the value is infinite"):
        read_sbml(document('Parameters:<parameter id="k" value="INF" constant="true"/>'))
    text = document(
        f"Parameters:{parameter('k')}",
        f'InitialAssignments:<initialAssignment symbol="k">{maths("<notanumber/>")}</initialAssignment>',
    )
    with pytest.raises(FormulaError, match=r"line \d+, initial assignment 'k': a constant .* is not a number"):
        read_sbml(text)


def test_not_a_number_counts_as_not_given():
    assert read_sbml(document(f"Parameters:{K}{parameter('q', float('nan'))}")).parameter_names == ("k",)


def test_a_model_of_constants_has_no_states():
    model = read_sbml(document(f"Parameters:{K}"))
    assert model.state_names == ()
    assert simulate(model, [0.0, 1.0], variables=["k"])["k"].values.tolist() == [0.5, 0.5]


def test_faults_of_the_whole_have_the_place_of_the_part():
    text = document(
        f"Parameters:{K}{parameter('y', constant=False)}{parameter('z', constant=False)}",
        f"Rules:{assignment_rule('y', '<ci>z</ci>')}{assignment_rule('z', '<ci>y</ci>')}",
    )
    with pytest.raises(CyclicAssignmentError, match=r"SBML text, line \d+, parameter '[yz]'"):
        read_sbml(text)


def test_level_1_formulas_are_read():
    text = document(
        'Compartments:<compartment name="C"/>',
        'Species:<species name="S" compartment="C" initialAmount="4"/>',
        'Parameters:<parameter name="k" value="0.5"/>',
        'Reactions:<reaction name="J"><listOfReactants>'
        '<speciesReference species="S" stoichiometry="3" denominator="2"/></listOfReactants>'
        '<kineticLaw formula="k*S*log(S)"/></reaction>',
        level=1,
    ).replace('<model id="m"', '<model name="m"')
    model = read_sbml(text)
    assert dict(model.reactions[0].equation) == {"S": -1.5}
    assert model.reactions[0].rate == "k * S * ln(S)"
