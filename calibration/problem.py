"""A calibration problem: model, experiments, measurements, parameters and noise as functions of one vector."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from os import PathLike

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from jaxtyping import Array, Bool, Float, Int

from calibration.bindings import Bindings, bind
from calibration.compiled import compiled
from calibration.covariates import Covariates, CovariateTable
from calibration.gradient_mode import by_sensitivities, check_gradient, is_forward
from calibration.kept_parts import KeptParts, contents, flags
from calibration.lanes import differentiable
from calibration.noise import NOISE_MODELS, NoiseModel
from calibration.noise.censoring import distance_outside
from calibration.notebook import problem_html
from calibration.parameters import ParameterVector
from calibration.prediction import Prediction, Predictor
from calibration.priors import PriorDensity
from calibration.problem_arguments import (
    as_estimates,
    as_measurements,
    check_by_reading,
    check_fixed,
    check_readings,
    check_tolerance,
    described_experiments,
    noise_by_observable,
)
from calibration.reading_density import reading_density
from calibration.reading_values import nearest_readings, reading_values
from twin import library
from twin.compile import compile_model
from twin.errors import ProblemError, TwinWarning
from twin.experiment import Experiment
from twin.experiment.schedule import make_schedule
from twin.measurements import Measurements
from twin.model import Model
from twin.precision import float64, in_float64
from twin.solve import METHODS, Method, Tolerance, choose, method_named
from twin.study import Estimate, Noise, Study


class Problem:
    """What is asked of the data: residuals, log-likelihood and log-posterior as pure functions of one vector.

    The vector ``theta`` holds the estimated numbers on their estimation scales, in the order of `names`.

    The functions compute in float64 whatever JAX's switch says. Code around them does not: `jax.jit`, `vmap` and `grad`
    of them work anywhere, but hand over float32 vectors and gradients unless called inside ``jax.enable_x64(True)``,
    which `jax.jacrev`, and a jitted likelihood with censored Student-t readings, cannot do without.

    Args:
        model: The mechanism.
        measurements: A table (`Measurements`, pandas) or the path of a CSV file.
        estimates: Parameters to estimate.
        noise: Noise model by observable; a single `Noise` applies to all.
        experiments: What was done, by the names used in the table; experiments not listed are plain runs from t = 0.
        fixed: Model parameters held at another value than the model's default, linear scale.
        name: Name for reports.
        score_scale: Scale on which predictions are scored, by observable: "lin" (default) or "log10".
        solver: Integration method: "rodas5p", "tsit5", or "auto" for the one that is faster at the nominal vector.
        rtol: Relative tolerance.
        atol: Absolute tolerance, in the units of the states.
        max_steps: Most steps per trajectory.
        gradient: How gradients of the likelihood are computed: "reverse" (adjoint of the steps, whose cost hardly
            grows with the parameters), "forward" (sensitivities, whose cost does), or "auto" for what is cheaper.
        study: The study it was made from, if any.
        covariates: Numbers of the subjects, which the effects of estimates use: a table with a row per subject, such as
            `twin.EventTable.covariates`, or a mapping of subjects to numbers by name.
        by_reading: Model parameters in formulas of observables and noise that have a value of their own in some
            readings: a row per reading, a column per parameter; cells are numbers, names of other parameters, or NaN.

    Attributes:
        names: Entries of the vector, for instance ``"beta"``, ``"beta[3]"``, ``"beta_between"``.
        nominal: Reference vector, estimation scale.
        method: The integration method; that of ``solver="auto"`` is chosen once and kept by variants of the problem.
        lower: Lower bounds, estimation scale.
        upper: Upper bounds, estimation scale.

    Raises:
        ProblemError: something does not fit together; the message names it.
        MeasurementError: the table cannot be used.
    """

    def __init__(
        self,
        model: Model,
        measurements: Measurements | pd.DataFrame | str | PathLike[str],
        estimates: Sequence[Estimate],
        noise: Noise | Mapping[str, Noise],
        *,
        experiments: Mapping[str, Experiment] | None = None,
        fixed: Mapping[str, float] | None = None,
        name: str = "",
        score_scale: Mapping[str, str] | None = None,
        solver: str = "rodas5p",
        rtol: float = 1e-6,
        atol: float = 1e-8,
        max_steps: int = 1500,
        gradient: str = "auto",
        study: Study | None = None,
        by_reading: pd.DataFrame | None = None,
        covariates: CovariateTable | None = None,
    ) -> None:
        self.model, self.name, self.study = model, name or model.name, study
        self.measurements = as_measurements(measurements, model)
        self.estimates = as_estimates(estimates)
        self.fixed = dict(fixed or {})
        self.score_scale = dict(score_scale or {})
        check_tolerance(rtol, atol, max_steps)
        self.gradient, self.tolerance = check_gradient(gradient), Tolerance(rtol, atol, max_steps)
        # What "auto" stands for is chosen when everything else is known.
        self.method = method_named(solver, lambda: METHODS["rodas5p"])
        self.noise = noise_by_observable(noise, self.measurements.observables)
        self.experiments = described_experiments(experiments or {}, self.measurements, model)
        check_fixed(self.fixed, model)
        self.all_series = tuple(self.measurements.series)
        self.covariates, values = Covariates(covariates), {**model.default_parameters, **self.fixed}
        self.parameters = ParameterVector(self.estimates, self.all_series, values, self.covariates)
        if not len(self.parameters):
            raise ProblemError("nothing is to be estimated", where="estimates", expected="at least one")
        self.prior = PriorDensity(
            [entry.prior for entry in self.parameters.entries],
            self.parameters.lower,
            self.parameters.upper,
            [entry.scale for entry in self.parameters.entries],
        )
        self.by_reading = check_by_reading(by_reading, len(self.measurements))
        check_readings(self.measurements.table, self.noise_models)
        self._bind()
        if (method := method_named(solver, self._faster)) is not self.method:
            self.method = method
            self._bind()
        if len(self.measurements) < len(self.names):
            warnings.warn(
                f"{len(self.measurements)} readings for {len(self.names)} estimated numbers: "
                "the priors decide what the data do not",
                TwinWarning,
                stacklevel=2,
            )

    @classmethod
    def from_study(cls, study: Study | str, *, model: Model | None = None, **changes) -> Problem:
        """The problem that a study of the library describes.

        Args:
            study: A study or its name.
            model: A mechanism to take instead of the library's, as for a negative control of `models.wrong`.
            changes: Other arguments of `Problem`.
        """
        if isinstance(study, str):
            study = library.study(study)
        arguments = {"experiments": study.experiments, "fixed": study.fixed, "name": study.name, "study": study}
        arguments["score_scale"] = study.score_scale
        model = library.load_model(study.model) if model is None else model
        table = library.dataset(study.dataset).load()
        measurements = Measurements.from_table(table, model, source=study.dataset)
        return cls(model, measurements, study.estimates, study.noise, **(arguments | changes))

    def rebuilt(self, **changes) -> Problem:
        """The problem made and checked anew, with other arguments of `Problem`; all that is not named stays.

        Args:
            changes: Arguments of `Problem` by name.

        Raises:
            ProblemError: what is changed does not fit the rest.
        """
        given = {
            "model": self.model,
            "measurements": self.measurements,
            "estimates": self.estimates,
            "noise": self.noise,
            "experiments": self.experiments,
            "fixed": self.fixed,
            "name": self.name,
            "score_scale": self.score_scale,
            "solver": self.method.name,
            "rtol": self.tolerance.rtol,
            "atol": self.tolerance.atol,
            "max_steps": self.tolerance.max_steps,
            "gradient": self.gradient,
            "study": self.study,
            "by_reading": self.by_reading,
            "covariates": self.covariates.by_subject,
        }
        return Problem(**(given | changes))

    def with_rows(self, rows: Bool[np.ndarray, " reading"]) -> Problem:
        """The same problem with only some of the readings; the vector keeps all its entries.

        Parameters of subjects without readings follow their prior then, so predictions for them are predictions for a
        new subject.
        """
        keep = np.asarray(rows, dtype=bool)

        def changed() -> Problem:
            own = None if self.by_reading is None else self.by_reading.loc[keep].reset_index(drop=True)
            return self._part(measurements=self.measurements.subset(keep), by_reading=own)

        return self.parts.get(("rows", flags(keep)), changed)

    def with_tolerance(self, tolerance: Tolerance) -> Problem:
        """The same problem, integrated more or less exactly."""
        return self.parts.get(("tolerance", tolerance), lambda: self._part(tolerance=tolerance))

    def with_nominal(self, values: Mapping[str, float]) -> Problem:
        """The same problem with other reference values; they need not lie within the bounds.

        Args:
            values: Numbers by name of an entry of the vector, linear scale.
        """
        return self._part(parameters=self.parameters.with_nominal(values))

    def at(self, table: pd.DataFrame) -> Problem:
        """The same problem with other rows, for predictions at other times; their values are not read as data.

        Args:
            table: Columns experiment, subject, observable, time, value, noise, censoring (upper); the series must be
                those of the measurements. Parameters with values of their own in some readings take those of the
                reading of the same series and observable that is nearest in time.
        """
        asked = Measurements(table, source="prediction")

        def changed() -> Problem:
            own = self.by_reading
            if own is not None:
                own = own.iloc[nearest_readings(self.measurements.table, table)].reset_index(drop=True)
            return self._part(measurements=asked, by_reading=own)

        return self.parts.get(("at", contents(asked.table)), changed)

    def _part(self, **changes) -> Problem:
        """A copy with other attributes, bound anew; it has none of what was compiled for this one."""
        part = object.__new__(Problem)
        part.__dict__ = {k: v for k, v in self.__dict__.items() if k not in _DERIVED} | changes
        part._bind()
        return part

    def _bind(self) -> None:
        table = self.measurements.table
        self.programs: dict[Hashable, Callable] = {}  # see `calibration.compiled`
        self.parts = KeptParts()  # copies with changes, and what was compiled for them
        self.bindings: Bindings = bind(compile_model(self.model), table, self.experiments)
        own = reading_values(self.by_reading, len(table), (*self.model.parameter_names, *self.parameters.slots))
        self.predictor = Predictor(
            self.bindings, self.parameters, self.fixed, self.noise, self.method, self.tolerance, own
        )
        self._log_likelihood = differentiable(
            self.log_likelihood_many, self.log_likelihood_and_gradient_many, self._by_adjoint
        )
        self._log_likelihood_by_adjoint = differentiable(self.log_likelihood_many, self._by_adjoint)
        self._residuals = differentiable(self.residuals_many, self._residuals_and_jacobian_many)
        self._simulate = differentiable(self._simulate_many, self._simulate_and_jacobian_many)

    @in_float64
    def _faster(self) -> Method:
        """The faster method for all series at the nominal vector."""
        table = self.bindings

        @jax.jit
        def schedule(theta: Array):
            p = self.predictor.model_parameters(self.predictor.values(theta[None]), 1)
            return make_schedule(table.system, table.actions, p)

        return choose(table.system, schedule(self.nominal), self.tolerance)

    def __repr__(self) -> str:
        readings, series = len(self.measurements.table), len(self.bindings.series)
        counts = f"{readings} readings in {series} series, {len(self.names)} estimated numbers"
        return f"Problem({self.name!r}: {counts}, {self.method.name})"

    def _repr_html_(self) -> str:
        return problem_html(self)

    @property
    def names(self) -> tuple[str, ...]:
        return self.parameters.names

    @property
    def nominal(self) -> Float[np.ndarray, " parameter"]:
        return self.parameters.nominal

    @property
    def lower(self) -> Float[np.ndarray, " parameter"]:
        return self.parameters.lower

    @property
    def upper(self) -> Float[np.ndarray, " parameter"]:
        return self.parameters.upper

    @cached_property
    def noise_models(self) -> dict[str, NoiseModel]:
        return {name: NOISE_MODELS[noise.family](noise.df) for name, noise in self.noise.items()}

    @property
    def noise_groups(self) -> list[tuple[NoiseModel, slice | Int[np.ndarray, " reading"]]]:
        """The readings of each noise model, whatever their observables: few programs instead of one per observable."""
        groups: dict[tuple[str, float], list[np.ndarray]] = {}
        for name, rows in self.bindings.rows_of.items():
            groups.setdefault((self.noise[name].family, self.noise[name].df), []).append(rows)
        models = [NOISE_MODELS[family](df) for family, df in groups]
        if len(models) == 1:
            return [(models[0], slice(None))]
        return [(model, np.sort(np.concatenate(rows))) for model, rows in zip(models, groups.values(), strict=True)]

    # Functions of one vector: jax-traceable, and reaching the lanes when mapped.

    def log_likelihood(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the density of all readings; minus infinity where the integration fails.

        Computed in double precision whatever JAX's switch says; `jax.grad` and `jax.jit` around it round `theta` and
        the result to single precision unless they are called inside ``with twin.float64():``.
        """
        # JAX cannot compile sensitivities for a caller in single precision.
        double = jax.config.jax_enable_x64  # type: ignore[attr-defined]
        return self._call(self._log_likelihood if double else self._log_likelihood_by_adjoint, theta)

    def log_prior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Logarithm of the prior density on the estimation scale; minus infinity outside the bounds."""
        return self._call(self.prior.log_density, theta)

    def log_posterior(self, theta: Float[Array, " parameter"]) -> Float[Array, ""]:
        """Log-likelihood plus log-prior (not normalised)."""
        return self.log_likelihood(theta) + self.log_prior(theta)

    def residuals(self, theta: Float[Array, " parameter"]) -> Float[Array, " reading"]:
        """(prediction - reading) / scale, on the scale on which the noise is additive.

        A censored reading counts only by how far its prediction lies above the limit (left-censored), below it
        (right-censored), or outside its two limits (interval-censored).
        """
        return self._call(self._residuals, theta)

    def simulate(self, theta: Float[Array, " parameter"]) -> Float[Array, " reading"]:
        """Predictions without noise, one per reading, in the observables' units."""
        return self._call(self._simulate, theta)

    def _call(self, function, theta):
        with float64():
            theta = jnp.asarray(theta, dtype=jnp.float64)
            if theta.shape != (len(self.names),):
                more = ", ..." if len(self.names) > 6 else ""
                raise ProblemError(
                    f"theta has shape {theta.shape}",
                    where=self.name,
                    expected=f"({len(self.names)},), the entries {', '.join(self.names[:6])}{more}",
                    fix="use jax.vmap for many vectors" if theta.ndim > 1 else None,
                )
            return function(theta)

    # The same for many vectors at once.

    @compiled
    def predict_many(self, thetas: Float[Array, "draw parameter"]) -> Prediction:
        """Predictions, noise scales and success of every reading for many vectors."""
        return self.predictor(jnp.asarray(thetas, dtype=jnp.float64))

    @compiled
    def pointwise_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, "draw reading"]:
        """Log density of every reading; minus infinity where its series could not be integrated."""
        prediction = self.predict_many(thetas)
        return self.pointwise(prediction)

    def pointwise(self, prediction: Prediction) -> Float[Array, "draw reading"]:
        """Log density of every reading given its prediction."""
        return reading_density(self.bindings, self.noise_groups, prediction)

    @compiled
    def log_likelihood_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, " draw"]:
        """Log-likelihood of many vectors in one solve."""
        return jnp.sum(self.pointwise_many(thetas), axis=1)

    @compiled
    def log_likelihood_and_gradient_many(
        self, thetas: Float[Array, "draw parameter"]
    ) -> tuple[Float[Array, " draw"], Float[Array, "draw parameter"]]:
        """Log-likelihood and its gradient for many vectors, in the mode that `gradient` says."""
        if is_forward(self.gradient, self.predictor, len(thetas)):
            values, gradient = by_sensitivities(self.predictor, self.pointwise, thetas)
            return values, jnp.where(jnp.isfinite(values)[:, None], gradient, 0.0)
        return self._by_adjoint(thetas)

    def _by_adjoint(self, thetas: Float[Array, "draw parameter"]) -> tuple[Array, Array]:
        """The same in reverse mode, which can be differentiated once more."""

        def total(x: Array) -> tuple[Array, Array]:
            values = self.log_likelihood_many(x)
            return jnp.sum(jnp.where(jnp.isfinite(values), values, 0.0)), values

        (_, values), gradient = jax.value_and_grad(total, has_aux=True)(thetas)
        return values, jnp.where(jnp.isfinite(values)[:, None], gradient, 0.0)

    @compiled
    def residuals_many(self, thetas: Float[Array, "draw parameter"]) -> Float[Array, "draw reading"]:
        """Standardised residuals of many vectors."""
        return self._standardise(self.predict_many(thetas))

    def _standardise(self, prediction: Prediction) -> Float[Array, "draw reading"]:
        table = self.bindings
        residual = jnp.zeros_like(prediction.value)
        for model, rows in self.noise_groups:
            value, upper, kind = table.value[rows], table.upper[rows], table.kind[rows]
            predicted = prediction.value[:, rows], prediction.scale[:, rows]
            standard = distance_outside(model, value, upper, kind, *predicted)
            residual = residual.at[:, rows].set(standard)
        return residual

    def _residuals_and_jacobian_many(self, thetas: Array) -> tuple[Array, Array]:
        line = self.predictor.linearise(thetas)

        def push(d_value: Array, d_scale: Array) -> tuple[Array, Array]:
            tangent = Prediction(d_value, d_scale, np.zeros(d_value.shape, jax.dtypes.float0))
            return jax.jvp(self._standardise, (line.prediction,), (tangent,))

        return jax.vmap(push, in_axes=-1, out_axes=(None, -1))(line.d_value, line.d_scale)

    def _simulate_many(self, thetas: Array) -> Float[Array, "draw reading"]:
        return self.predict_many(thetas).value

    def _simulate_and_jacobian_many(self, thetas: Array) -> tuple[Array, Array]:
        line = self.predictor.linearise(thetas)
        return line.prediction.value, line.d_value

    @in_float64
    def draw_readings(self, key: Array, prediction: Prediction) -> Float[Array, "draw reading"]:
        """New readings scattered around predictions by the noise models; consumes `key`."""
        readings = jnp.zeros_like(prediction.value)
        for index, (name, rows) in enumerate(self.bindings.rows_of.items()):
            scatter = self.noise_models[name].draw(
                jax.random.fold_in(key, index), prediction.value[:, rows], prediction.scale[:, rows]
            )
            readings = readings.at[:, rows].set(scatter)
        return readings


_DERIVED = ("bindings", "predictor", "_log_likelihood", "_log_likelihood_by_adjoint", "_residuals", "_simulate")
