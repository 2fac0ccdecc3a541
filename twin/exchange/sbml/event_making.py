"""Events of our model, from records of SBML's."""

from __future__ import annotations

from twin.errors import UnsupportedModelError
from twin.exchange.sbml.contents import Contents, EventContent, Species
from twin.exchange.sbml.expression import name, plain, times
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
    for key, value in content.assignments.items():
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
