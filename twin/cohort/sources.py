"""Where subjects come from: distributions, or rows of a table; the same subject whatever part is asked for.

Random numbers are made block by block. Each block has a generator of its own for every name (Philox, a counter-based
generator), so that subject i is the same in a cohort of any size that holds it, and a name keeps its values when
another comes to be added.

References:
    Salmon et al. 2011, doi:10.1145/2063384.2063405 (Philox).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from twin.cohort.correlations import factor
from twin.cohort.distributions import AbstractDistribution
from twin.cohort.formulas import Columns, Constraints, Derived
from twin.errors import ExperimentError
from twin.model.identity import as_content

BLOCK = 8192
"""Subjects drawn together. Part of what a seed means: another number gives other subjects."""
LEAST_ACCEPTANCE = 1e-3
"""Share of candidates that must fulfil the constraints: below it drawing costs more than simulating."""
PROBE = 16
"""Rounds of `BLOCK` candidates from which that share is judged: 131 accepted at the limit, known to 9 %."""


class AbstractSource(ABC):
    """Subjects by number."""

    names: tuple[str, ...]
    seed: int | None
    """Of drawing; None where nothing is drawn."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Columns:
        """Columns of the subjects from `start` to before `stop`."""

    @abstractmethod
    def content(self) -> Any:
        """What decides who the subjects are, for a fingerprint."""

    def pilot(self, count: int, size: int) -> np.ndarray:
        """Numbers of `count` subjects that stand for the `size` of the cohort."""
        return np.arange(min(count, size))


class Drawn(AbstractSource):
    """Subjects drawn from distributions.

    Args:
        spec: A number, a distribution, or a formula of other names, by name.
        correlations: Of the normal scores, by pair of names.
        constraints: Comparisons that each subject fulfils.
        seed: Seed.
    """

    def __init__(self, spec: Mapping[str, Any], correlations: Mapping, constraints: Any, seed: int) -> None:
        self.names, self.spec, self.seed = tuple(spec), dict(spec), seed
        self.drawn = {name: value for name, value in spec.items() if isinstance(value, AbstractDistribution)}
        self.fixed = {name: float(value) for name, value in spec.items() if isinstance(value, (int, float))}
        self.factor = factor(list(self.drawn), correlations)
        self.correlations = correlations
        self.derived = Derived({name: text for name, text in spec.items() if isinstance(text, str)}, self.names)
        self.constraints = Constraints(constraints, self.names)
        self.acceptance = self._probe() if self.constraints else 1.0
        self._latest: tuple[int, Columns] = (-1, {})

    def rows(self, start: int, stop: int) -> Columns:
        parts = []
        for block in range(start // BLOCK, -(-stop // BLOCK)):
            columns, offset = self._block(block), block * BLOCK
            parts.append({name: v[max(start - offset, 0) : stop - offset] for name, v in columns.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in self.names}

    def content(self) -> Any:
        spec = [
            [name, type(value).__name__, as_content(value)]
            for name, value in self.spec.items()
        ]  # fmt: skip
        pairs = sorted([*sorted(pair), float(value)] for pair, value in self.correlations.items())
        return {"spec": spec, "correlations": pairs, "constraints": list(self.constraints.texts), "seed": self.seed}

    def _block(self, block: int) -> Columns:
        # Chunks need not end where blocks do: the next one begins with the block that this one ended with.
        if self._latest[0] != block:
            self._latest = (block, self._filled(block))
        return self._latest[1]

    def _filled(self, block: int) -> Columns:
        if not self.constraints:
            return self._candidates(block, 0)
        kept: list[Columns] = []
        found = attempt = 0
        # At the least acceptance a block needs 1 / LEAST_ACCEPTANCE rounds; ten times that is a broken promise.
        while found < BLOCK:
            if attempt > 10 / LEAST_ACCEPTANCE:
                self._refuse(found / (attempt * BLOCK), [])
            columns = self._candidates(block, attempt)
            mask = self.constraints.hold(columns).all(axis=0)
            kept.append({name: values[mask] for name, values in columns.items()})
            found, attempt = found + int(mask.sum()), attempt + 1
        return {name: np.concatenate([part[name] for part in kept])[:BLOCK] for name in self.names}

    def _candidates(self, block: int, attempt: int) -> Columns:
        scores = [self._scores(name, block, attempt) for name in self.drawn]
        return self.at(np.stack(scores) if scores else np.zeros((0, BLOCK)))

    def at(self, scores: Float[np.ndarray, "drawn subject"]) -> Columns:
        """Columns of subjects with these independent standard normal scores; constraints are not looked at.

        Args:
            scores: A row for each name of `drawn`, in that order.
        """
        if self.factor is not None:
            scores = self.factor @ scores
        columns = {name: values.at(score) for (name, values), score in zip(self.drawn.items(), scores, strict=True)}
        columns |= {name: np.full(scores.shape[1], value) for name, value in self.fixed.items()}
        self.derived.add_to(columns)
        return {name: columns[name] for name in self.names}

    def _scores(self, name: str, block: int, attempt: int) -> Float[np.ndarray, " subject"]:
        return generator(self.seed, name, block, attempt).standard_normal(BLOCK)

    def _probe(self) -> float:
        """The share of candidates that fulfil the constraints, judged from the first of them."""
        held = np.zeros(len(self.constraints.texts))
        together = tried = 0
        for attempt in range(PROBE):
            mask = self.constraints.hold(self._candidates(0, attempt))
            held += mask.sum(axis=1)
            together, tried = together + int(mask.all(axis=0).sum()), tried + BLOCK
            if together >= BLOCK // 8:
                break
        if together < LEAST_ACCEPTANCE * tried:
            self._refuse(together / tried, list(held / tried))
        return together / tried

    def _refuse(self, share: float, each: list[float]) -> None:
        listed = "; ".join(f"{text}: {part:.3%}" for text, part in zip(self.constraints.texts, each, strict=False))
        raise ExperimentError(
            f"only {share:.3%} of the candidates fulfil the constraints" + (f" ({listed})" if listed else ""),
            where="cohort",
            expected=f"at least {LEAST_ACCEPTANCE:.1%}",
            fix="bring the distributions closer to what the constraints allow (bounds, correlations, formulas)",
        )


class Rows(AbstractSource):
    """Subjects that are rows of a table, in their order or drawn from them with replacement.

    Args:
        columns: The table.
        resample: Seed of drawing with replacement; None takes the rows in their order.
    """

    def __init__(self, columns: Columns, resample: int | None = None) -> None:
        self.names, self.columns, self.seed = tuple(columns), columns, resample
        self.count = len(next(iter(columns.values())))

    def rows(self, start: int, stop: int) -> Columns:
        if self.seed is None:
            return {name: values[start:stop] for name, values in self.columns.items()}
        blocks = range(start // BLOCK, -(-stop // BLOCK))
        picked = np.concatenate(
            [generator(self.seed, "", block, 0).integers(self.count, size=BLOCK) for block in blocks]
        )
        picked = picked[start - blocks.start * BLOCK : stop - blocks.start * BLOCK]
        return {name: values[picked] for name, values in self.columns.items()}

    def content(self) -> Any:
        hashed = {
            name: hashlib.sha256(np.ascontiguousarray(values, dtype="<f8").tobytes()).hexdigest()
            for name, values in self.columns.items()
        }
        return {"rows": hashed, "resample": self.seed}

    def pilot(self, count: int, size: int) -> np.ndarray:
        # A table may be sorted: its first rows would stand for nobody else.
        if self.seed is not None or size <= count:
            return super().pilot(count, size)
        return np.linspace(0, size - 1, count).astype(int)


def generator(seed: int, name: str, block: int, attempt: int) -> np.random.Generator:
    """The stream of random numbers of a name in a block."""
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], dtype="<u4").tolist()
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, *words], spawn_key=(block, attempt))))
