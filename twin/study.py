"""What is to be calibrated, as plain description: estimated parameters, noise, and how data meet a model.

A `Study` joins a model, a dataset, its experiments, the parameters to estimate and the noise model. It
knows nothing of inference: `calibration.Problem` reads it. Model packages ship studies beside their models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from twin.experiment.experiment import Experiment

Scale = Literal["lin", "log", "log10", "logit", "atanh"]
Level = Literal["shared", "subject", "experiment"]
NoiseFamily = Literal["normal", "log_normal", "student_t", "laplace", "log_laplace"]
PriorFamily = Literal[
    "uniform",
    "normal",
    "laplace",
    "student_t",
    "half_normal",
    "cauchy",
    "exponential",
    "gamma",
    "rayleigh",
    "log_uniform",
    "log_normal",
    "log_laplace",
]


@dataclass(frozen=True)
class Prior:
    """A prior density, truncated to the bounds of its parameter.

    The families beginning with "log_" are those of a positive quantity whose natural logarithm is uniform, normal or
    Laplace; `location` and `scale` are then those of the logarithm.

    Args:
        family: "uniform" and "log_uniform" (over the bounds; no arguments), "normal", "laplace", "student_t"
            (4 degrees of freedom), "half_normal", "cauchy", "exponential" (mean `scale`), "gamma", "rayleigh",
            "log_normal" or "log_laplace".
        location: Location; not used by "exponential", "gamma" and "rayleigh", which begin at 0.
        scale: Scale.
        source: Why this prior: a citation or a one-line argument. Must not come from test data.
        shape: Shape of "gamma".
        linear: Whether the density is that of the parameter itself. Otherwise it is that of its value on the
            estimation scale, and so are location and scale.
    """

    family: PriorFamily = "uniform"
    location: float = 0.0
    scale: float = 1.0
    source: str = ""
    shape: float = 1.0
    linear: bool = False


@dataclass(frozen=True)
class Effect:
    """What a covariate does to a parameter: ``typical + coefficient * formula`` on the estimation scale.

    Args:
        formula: A formula of the subjects' covariates, such as ``"log(WT / 70)"``; a comparison such as ``"sex == 1"``
            counts as 1 or 0 and makes a categorical shift.
        coefficient: A number that is held, or the name of a coefficient to estimate.
        lower: Its lower bound.
        upper: Its upper bound.
        nominal: Its reference value.
        prior: Its prior; default uniform between the bounds.

    Example:
        >>> Estimate("CL", 0.3, 30, scale="log", effects=(Effect("log(WT / 70)", "CL_WT"),))
    """

    formula: str
    coefficient: float | str
    lower: float = -5.0
    upper: float = 5.0
    nominal: float = 0.0
    prior: Prior = field(default_factory=Prior)


@dataclass(frozen=True)
class Estimate:
    """A parameter to estimate.

    Args:
        name: A parameter of the model, or a new name used by a noise or initial-value formula.
        lower: Lower bound, linear scale, in the parameter's unit.
        upper: Upper bound, linear scale.
        scale: Estimation scale, on which priors, `theta`, spreads and effects live: "lin", "log", "log10" or, for a
            fraction between 0 and 1, "logit".
        prior: Prior on the estimation scale; default uniform between the bounds.
        nominal: Starting and reference value, linear scale; default the model's value.
        per: "shared" by all readings, or one value per "subject" or per "experiment".
        between: Standard deviation of the per-subject values around the typical one, on the
            estimation scale: a number, or a `Prior` (half-normal) if it is to be estimated. The values are
            then ``typical + between * eta`` with standard normal ``eta``. None makes them independent.
        between_occasions: Standard deviation of a subject's values on different occasions around its own one, on the
            estimation scale: a number, or a half-normal `Prior`. The values are then ``typical + between * eta +
            between_occasions * kappa`` with a standard normal ``kappa`` for every subject and experiment. Needs
            ``per="subject"`` and `between`. None: a subject keeps its value.
        block: Estimates with the same block have correlated deviations; their correlations are estimated.
        effects: What covariates do to the (typical) value.
    """

    name: str
    lower: float
    upper: float
    scale: Scale = "log10"
    prior: Prior = field(default_factory=Prior)
    nominal: float | None = None
    per: Level = "shared"
    between: float | Prior | None = None
    block: str = ""
    effects: Sequence[Effect] = ()
    between_occasions: float | Prior | None = None


@dataclass(frozen=True)
class Noise:
    """How a reading of an observable scatters around its prediction.

    Args:
        family: "normal", "laplace", "student_t", or "log_normal" and "log_laplace" (the natural logarithm of the
            reading is normal or Laplace).
        scale: Standard deviation (of the logarithm for "log_normal"; scale parameter of the others): a number in the
            observable's unit, or a formula of the model's symbols, of estimated names and of the observable's own
            name, for instance ``"sd_add + sd_prop * concentration"``. None takes the table's `noise` column.
        df: Degrees of freedom of "student_t".
    """

    family: NoiseFamily = "normal"
    scale: float | str | None = None
    df: float = 4.0


@dataclass(frozen=True)
class Study:
    """A model, its data and the way they are joined.

    Args:
        name: Name in the library.
        model: Name of the model.
        dataset: Name of the dataset.
        experiments: Experiment by the name used in the table.
        estimates: Parameters to estimate.
        noise: Noise model by observable.
        fixed: Model parameters set to another value than the model's default, linear scale.
        splits: The splits of the data that make sense: "time", "subject", "experiment".
        score_scale: Scale on which predictions are scored, by observable: "lin" or "log10".
        held_out_experiments: Experiments that the "experiment" split holds out.
        covariate: A number per experiment (a dose, a start of treatment) offered to the baselines.
        floor: Measurement-noise standard deviation by observable on its score scale, where the
            publication states it; else it is estimated from the data.
        description: One line on what is asked.
    """

    name: str
    model: str
    dataset: str
    experiments: Mapping[str, Experiment]
    estimates: Sequence[Estimate]
    noise: Mapping[str, Noise]
    fixed: Mapping[str, float] = field(default_factory=dict)
    splits: Sequence[Literal["time", "subject", "experiment"]] = ("time",)
    score_scale: Mapping[str, Literal["lin", "log10"]] = field(default_factory=dict)
    held_out_experiments: Sequence[str] = ()
    covariate: Mapping[str, float] = field(default_factory=dict)
    floor: Mapping[str, float] = field(default_factory=dict)
    description: str = ""
