"""Events of our model, from records of SBML's."""

from __future__ import annotations

from twin.errors import UnsupportedModelError
from twin.exchange.sbml.contents import Contents, EventContent, Species
from twin.exchange.sbml.expression import Expression, name, number, plain, plus, times
from twin.exchange.sbml.fast import Group
from twin.exchange.sbml.states import Dynamics
from twin.model.parts import Event


def make_events(contents: Contents, dynamics: Dynamics) -> list[Event]:
    """Events with their assignments turned to states.

    Raises:
        UnsupportedModelError: A delayed event sets a concentration, with the value at its trigger, in a compartment
            whose size changes meanwhile.
    """
    return [_event(content, contents, dynamics) for content in contents.events]


def _event(content: EventContent, contents: Contents, dynamics: Dynamics) -> Event:
    targets = {}
    apart = {key for group in dynamics.groups for key in group.species}
    for group in dynamics.groups:
        targets |= _totals(content, group, contents, dynamics)
    for key, value in content.assignments.items():
        if key in apart:
            continue
        if key not in dynamics.amounts:
            targets[key] = plain(value)
            continue
        if content.delay is not None and content.from_trigger_time:
            raise UnsupportedModelError(
                f"the delayed event sets the concentration {key!r} to its value at the trigger, and the size of the "
                "compartment may change until it is executed",
                where=content.where,
                expected="a constant compartment, no delay, or values from the time of execution",
            )
        # All assignments of an event see the moment before it, so the size is that before the event, even where the
        # event changes the size too (case 01780 of the semantic test suite).
        species = contents.quantities[key]
        assert isinstance(species, Species)
        targets[dynamics.amounts[key]] = plain(times(value, name(species.compartment)))
    return Event(
        content.name,
        str(content.trigger),
        targets,
        delay=0.0 if content.delay is None else plain(content.delay),
        priority=None if content.priority is None else str(content.priority),
        persistent=content.persistent,
        initially=content.initially,
        from_trigger_time=content.from_trigger_time,
        description=content.description,
    )


def _totals(content: EventContent, group: Group, contents: Contents, dynamics: Dynamics) -> dict[str, float | str]:
    """What an event makes of the totals that fast reactions keep: the species are set, then come to rest again."""
    stoichiometry = {key for share in group.shares.values() for factor in share.values() for key in factor.names}
    if not content.assignments.keys() & {*group.species, *stoichiometry}:
        return {}
    if content.delay is not None and content.from_trigger_time:
        raise UnsupportedModelError(
            f"the delayed event sets one of {', '.join(group.species)} to its value at the trigger, and fast reactions "
            "mix it with the others, which may change until it is executed",
            where=content.where,
            expected="no delay, or values from the time of execution",
        )

    def amount(key: str) -> Expression:
        species = contents.quantities[key]
        assert isinstance(species, Species)
        if key not in content.assignments:
            return name(dynamics.amounts.get(key, key))
        value = content.assignments[key]
        return value if species.amount else times(value, name(species.compartment))

    found = {}
    for key, total in group.totals.items():
        parts = [
            times(number(-1.0), share.substitute(content.assignments), amount(pivot))
            for pivot, share in group.shares[key].items()
        ]
        found[total] = plain(plus(amount(key), *parts))
    return found
