"""A negative control: a mechanism that is wrong on purpose, with the study that must find it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from twin.model.model import Model
from twin.study import Study


@dataclass(frozen=True)
class Control:
    """A wrong mechanism beside the study of the right one.

    Args:
        model: The wrong mechanism; no library offers it by name.
        study: What is calibrated: data, noise and splits of the right study, estimates of the wrong mechanism.
        right: Name of the study whose mechanism this one spoils.
        wrong: What is wrong, in one sentence.
        why: Why an assessment on `split` must see it.
        split: The split that must flag it: the verdict there must not be "better".
    """

    model: Model
    study: Study
    right: str
    wrong: str
    why: str
    split: Literal["time", "subject", "experiment"]
