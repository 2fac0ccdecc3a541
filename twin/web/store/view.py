"""What a page of stores shows, as the query of its address, and back.

arm=day 1  arm=day 2      arms of the first store that are shown; arm2, arm3, ... those of further ones
output=V  log=1           which courses, and on which axis
endpoint=peak  shape=histogram  log_endpoint=1
reference=untreated       the arm that others of the first store are compared with; reference2, ... of further ones
against=day 1             the arm of the first store that arms of others are compared with; none for the same name
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from twin.errors import ScenarioError, suggestion
from twin.web.link import LONGEST
from twin.web.store.runs import Runs

CUMULATIVE, HISTOGRAM = "cumulative", "histogram"
SHAPES = (CUMULATIVE, HISTOGRAM)
MOST_SHOWN = 12
"""Arms that one picture can hold so that they are told apart."""
FIRST_SHOWN = 4
_WHERE = "the address"


@dataclass(frozen=True)
class View:
    """What is shown.

    Args:
        arms: Arms shown of each run.
        output: The output whose courses are shown; empty if no run kept any.
        log: Whether courses are on a logarithmic axis.
        endpoint: The endpoint whose distribution is shown.
        shape: One of `SHAPES`.
        log_endpoint: Whether the endpoint is on a logarithmic axis.
        references: Of each run, the arm that others are compared with.
        against: The arm of the first run that arms of others are compared with; empty for the one of their own name.
    """

    arms: tuple[tuple[str, ...], ...]
    output: str
    log: bool
    endpoint: str
    shape: str
    log_endpoint: bool
    references: tuple[str, ...]
    against: str

    @property
    def series(self) -> tuple[tuple[int, str], ...]:
        """Arms shown, as the place of their run and their name."""
        return tuple((place, arm) for place, arms in enumerate(self.arms) for arm in arms)


def outputs_of(runs: Runs) -> tuple[str, ...]:
    """Outputs with courses in any of the runs."""
    return tuple(dict.fromkeys(name for run in runs for name in run.outputs))


def endpoints_of(runs: Runs) -> tuple[str, ...]:
    """Endpoints of any of the runs."""
    return tuple(dict.fromkeys(name for run in runs for name in run.endpoints))


def first_view(runs: Runs) -> View:
    """What a page begins with: the reference and the first other arms of each run."""
    each = max(MOST_SHOWN // len(runs), 1)
    arms = []
    for run in runs:
        chosen = [run.reference, *(arm for arm in run.arms if arm != run.reference)][: min(FIRST_SHOWN, each)]
        arms.append(tuple(arm for arm in run.arms if arm in chosen))
    outputs = outputs_of(runs)
    references = tuple(run.reference for run in runs)
    first = outputs[0] if outputs else ""
    return View(tuple(arms), first, False, endpoints_of(runs)[0], CUMULATIVE, False, references, "")


def key_of(name: str, place: int) -> str:
    """The key of a run: "arm" of the first, "arm2" of the second."""
    return name if place == 0 else f"{name}{place + 1}"


def query_of(view: View) -> str:
    """The view as a query, without the leading question mark."""
    pairs = [(key_of("arm", place), arm) for place, arm in view.series]
    pairs += [("output", view.output)] if view.output else []
    pairs += [("log", "1")] if view.log else []
    pairs += [("endpoint", view.endpoint), ("shape", view.shape)]
    pairs += [("log_endpoint", "1")] if view.log_endpoint else []
    pairs += [(key_of("reference", place), arm) for place, arm in enumerate(view.references)]
    return urlencode(pairs + ([("against", view.against)] if view.against else []))


def view_of(query: str, runs: Runs) -> View:
    """The view of a query; what it does not say is as the page begins.

    Raises:
        ScenarioError: A key, name or number that cannot be used; nothing of the query is taken then.
    """
    if len(query) > LONGEST:
        raise ScenarioError(f"it has {len(query)} characters", where=_WHERE, expected=f"{LONGEST} at most")
    first = first_view(runs)
    arm_keys = [key_of("arm", place) for place in range(len(runs))]
    reference_keys = [key_of("reference", place) for place in range(len(runs))]
    plain = ("output", "log", "endpoint", "shape", "log_endpoint", "against", *reference_keys)
    arms: dict[str, list[str]] = {key: [] for key in arm_keys}
    given: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key in arms:
            _one_of(value, runs[arm_keys.index(key)].arms, "arm")
            arms[key].append(value)
        elif key not in plain:
            fix = suggestion(key, (*arm_keys, *plain))
            raise ScenarioError(f"it has the unknown key {key!r:.60}", where=_WHERE, fix=fix)
        elif key in given:
            raise ScenarioError(f"{key!r} is given twice", where=_WHERE, expected="every key but arms once")
        else:
            given[key] = value
    shown = tuple(tuple(arm for arm in run.arms if arm in arms[k]) for k, run in zip(arm_keys, runs, strict=True))
    if sum(map(len, shown)) > MOST_SHOWN:
        raise ScenarioError(f"{sum(map(len, shown))} arms", where=_WHERE, expected=f"{MOST_SHOWN} at most")
    outputs = outputs_of(runs)
    return View(
        shown if any(shown) else first.arms,
        _one_of(given["output"], outputs, "output") if "output" in given else first.output,
        _switch(given, "log"),
        _one_of(given.get("endpoint", first.endpoint), endpoints_of(runs), "endpoint"),
        _one_of(given.get("shape", first.shape), SHAPES, "shape"),
        _switch(given, "log_endpoint"),
        tuple(
            _one_of(given.get(key, run.reference), run.arms, "arm")
            for key, run in zip(reference_keys, runs, strict=True)
        ),
        _one_of(given.get("against", ""), ("", *runs[0].arms), "arm"),
    )


def _switch(given: dict[str, str], key: str) -> bool:
    return _one_of(given.get(key, "0"), ("0", "1"), key) == "1"


def _one_of(name: str, known: Sequence[str], what: str) -> str:
    if name not in known:
        raise ScenarioError(f"there is no {what} {name!r:.60}", where=_WHERE, fix=suggestion(name, known))
    return name
