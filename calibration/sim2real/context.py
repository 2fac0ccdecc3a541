"""A context of use, read from a YAML file: question, decision, risk, and thresholds for checks, fixed in advance.

The words are those of ASME V&V 40-2018, Assessing Credibility of Computational Modeling through Verification and
Validation: Application to Medical Devices. See ``docs/credibility.md`` for the file.
"""

from __future__ import annotations

import datetime
import difflib
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from twin.errors import ProblemError, suggestion

Level = Literal["low", "medium", "high"]
LEVELS: tuple[str, ...] = get_args(Level)
LARGEST = 2**18
"""Bytes; a larger file is no context of use."""

TEXTS = ("question", "use", "decision")
GRADED = ("model_influence", "decision_consequence")
REQUIRED = (*TEXTS, *GRADED, "fixed", "thresholds")
OPTIONAL = ("model", "dataset", "split", "applicability")
LIMITS = ("at_least", "at_most", "why")

KNOWN_KEYS = (
    *("solver_tolerance", "gradient", "multi_start", "r_hat", "ess_bulk", "divergent", "failed_draws"),
    *("predictive_tests", "loo_pit", "loo_pit_ecdf", "loo_elpd", "loo_unreliable", "mmd", "c2st", "sliced_wasserstein"),
    *("energy_train", "energy_held_out", "published_inside", "prior_conflict"),
    *("coverage_50", "coverage_90", "pit", "pit_ecdf", "crps", "interval_score", "elpd", "gap"),
)
"""Keys of the project's own checks that name no state, rule or fold: what a misspelt key is compared with."""


@dataclass(frozen=True)
class Graded:
    """A level and why.

    Args:
        level: "low", "medium" or "high".
        why: The reason, in words.
    """

    level: Level
    why: str


@dataclass(frozen=True)
class Threshold:
    """What a check must show.

    Args:
        layer: Code of the layer, "L0" to "L9".
        key: Key of the check; one that ends in ".*" stands for all checks that begin so.
        at_least: Least value, included; None for none.
        at_most: Largest value, included; None for none.
        why: The reason for the threshold.

    Without a value the check's own judgement counts.
    """

    layer: str
    key: str
    at_least: float | None = None
    at_most: float | None = None
    why: str = ""

    def __str__(self) -> str:
        if self.at_least is None and self.at_most is None:
            return "passes"
        limits = ((self.at_least, "at least"), (self.at_most, "at most"))
        return ", ".join(f"{words} {value:g}" for value, words in limits if value is not None)


@dataclass(frozen=True)
class ContextOfUse:
    """What a twin is to be used for, and what it must show for that.

    Args:
        question: The question of interest.
        use: What the model is used for to answer it, and what else contributes.
        decision: What is decided with the answer.
        model_influence: How much the decision rests on the model.
        decision_consequence: How bad a wrong decision would be.
        fixed: Date on which the thresholds were fixed, as the file says.
        thresholds: In the order of the file.
        file: Name of the file.
        sha256: Hash of the file's bytes.
        model: Name of the model it is about; empty for any.
        dataset: Name of the dataset; empty for any.
        split: What must be held out: "time", "subject", "experiment"; empty for any.
        applicability: How the use differs from the conditions of the data; empty if the file does not say.
    """

    question: str
    use: str
    decision: str
    model_influence: Graded
    decision_consequence: Graded
    fixed: datetime.date
    thresholds: tuple[Threshold, ...]
    file: str
    sha256: str
    model: str = ""
    dataset: str = ""
    split: str = ""
    applicability: str = ""

    def check_subject(self, model: str, dataset: str, split: str) -> None:
        """Refuse to judge something else than the file is about, or by thresholds that are not yet fixed.

        Raises:
            ProblemError: Model, dataset or split differ, or the date lies in the future.
        """
        found = {"model": model, "dataset": dataset, "split": split}
        for word, name in found.items():
            asked = getattr(self, word)
            if asked and asked != name:
                raise ProblemError(
                    f"the context of use is about the {word} {asked!r}, and this is {name!r}",
                    where=self.file,
                    fix=f"assess {asked!r}, or write a context of use for {name!r}",
                )
        # A day of grace: the author's calendar may be ahead of UTC.
        if self.fixed > datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=1):
            raise ProblemError(
                f"the thresholds are fixed on {self.fixed}, which is still to come",
                where=self.file,
                expected="a date before the assessment",
            )


def read_context(path: str | PathLike[str]) -> ContextOfUse:
    """Read a context of use.

    Raises:
        ProblemError: The file cannot be read or says something that is not expected; the message names line and key.
    """
    try:
        file = Path(path)
        if file.stat().st_size > LARGEST:
            raise ProblemError("it is larger than 256 kB", where=file.name, expected="a context of use")
        content = file.read_bytes()
        root = yaml.compose(content.decode("utf-8"), Loader=yaml.SafeLoader)
    except ProblemError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise ProblemError(f"{str(path)!r} cannot be read ({error})", where="context", expected="a YAML file") from None
    except (yaml.YAMLError, RecursionError) as error:
        place = getattr(error, "problem_mark", None)
        line = f", line {place.line + 1}" if place is not None else ""
        raise ProblemError(
            f"this is no YAML: {' '.join(str(error).split())[:160]}", where=f"{file.name}{line}"
        ) from None
    if root is None:
        raise ProblemError("the file is empty", where=file.name, expected=f"the keys {', '.join(REQUIRED)}")
    return _context(_Reader(file.name, root, ""), hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class _Reader:
    """A node of the file that knows its line and the keys that lead to it."""

    file: str
    node: yaml.Node
    key: str

    def error(self, found: str, expected: str | None = None, fix: str | None = None) -> ProblemError:
        where = f"{self.file}, line {self.node.start_mark.line + 1}" + (f", {self.key}" if self.key else "")
        return ProblemError(found, where=where, expected=expected, fix=fix)

    def entries(self) -> dict[str, _Reader]:
        """The entries of a mapping."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.error(f"{self.shown()} stands there", "a mapping")
        found: dict[str, _Reader] = {}
        for name, value in self.node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise _Reader(self.file, name, self.key).error("a key is no text", "text")
            inner = f"{self.key}.{name.value}" if self.key else name.value
            if name.value in found:
                raise _Reader(self.file, name, inner).error("the key occurs twice", "every key once")
            found[name.value] = _Reader(self.file, value, inner)
        return found

    def fields(self, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, _Reader]:
        """The entries of a mapping whose keys are known."""
        found = self.entries()
        for name, value in found.items():
            if name not in (*required, *optional):
                raise value.error(f"the key {name!r} is not known", fix=suggestion(name, (*required, *optional)))
        if missing := [name for name in required if name not in found]:
            raise self.error(f"the key {missing[0]!r} is missing", f"the keys {', '.join(required)}")
        return found

    def text(self) -> str:
        """Text that is not empty."""
        if not isinstance(self.node, yaml.ScalarNode) or not self.node.value.strip():
            raise self.error(f"{self.shown()} stands there", "text")
        return " ".join(self.node.value.split())

    def number(self) -> float:
        """A finite number."""
        value = self._plain()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.error(f"{self.shown()} stands there", "a finite number")
        return float(value)

    def date(self) -> datetime.date:
        """A day."""
        value = self._plain()
        if isinstance(value, datetime.datetime) or not isinstance(value, datetime.date):
            raise self.error(f"{self.shown()} stands there", "a date such as 2026-03-31")
        return value

    def graded(self) -> Graded:
        """A level and why."""
        fields = self.fields(("level", "why"), ())
        level = fields["level"].text()
        if level not in LEVELS:
            raise fields["level"].error(f"{level!r} stands there", f"one of {', '.join(LEVELS)}")
        return Graded(level, fields["why"].text())

    def shown(self) -> str:
        """What stands there, shortened."""
        if isinstance(self.node, yaml.ScalarNode):
            text = repr(self.node.value)
            return text if len(text) <= 60 else text[:57] + "..."
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a mapping"

    def _plain(self) -> Any:
        if not isinstance(self.node, yaml.ScalarNode):
            return None
        try:
            return yaml.SafeLoader("").construct_object(self.node)
        except (yaml.YAMLError, ValueError):
            return None


def _context(root: _Reader, sha256: str) -> ContextOfUse:
    fields = root.fields(REQUIRED, OPTIONAL)
    thresholds = tuple(_thresholds(fields["thresholds"]))
    if not thresholds:
        raise fields["thresholds"].error("there is no threshold", "a layer with checks")
    texts = {name: fields[name].text() for name in (*TEXTS, *OPTIONAL) if name in fields}
    graded = {name: fields[name].graded() for name in GRADED}
    fixed = fields["fixed"].date()
    return ContextOfUse(fixed=fixed, thresholds=thresholds, file=root.file, sha256=sha256, **graded, **texts)


def _thresholds(layers: _Reader) -> Iterator[Threshold]:
    for layer, checks in layers.entries().items():
        if re.fullmatch(r"L\d", layer) is None:
            raise checks.error(f"{layer!r} is no layer", "L0, L1, ...")
        for key, given in checks.entries().items():
            # Other packages bring keys that are not known here; only what looks like a slip is refused.
            close = difflib.get_close_matches(key, KNOWN_KEYS, n=1, cutoff=0.8)
            if close and key not in KNOWN_KEYS:
                raise given.error(f"no check has the key {key!r}", fix=f"did you mean {close[0]!r}?")
            yield _threshold(layer, key, given)


def _threshold(layer: str, key: str, given: _Reader) -> Threshold:
    if isinstance(given.node, yaml.ScalarNode):
        if given.node.value != "passes":
            raise given.error(f"{given.shown()} stands there", "'passes', or a mapping with at_least or at_most")
        return Threshold(layer, key)
    fields = given.fields((), LIMITS)
    limits = {name: fields[name].number() for name in ("at_least", "at_most") if name in fields}
    if len(limits) == 2 and limits["at_least"] > limits["at_most"]:
        raise given.error("no value is at least and at most that", "at_least below at_most")
    return Threshold(layer, key, **limits, why=fields["why"].text() if "why" in fields else "")
