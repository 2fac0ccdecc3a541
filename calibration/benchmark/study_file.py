"""A model and a table of one's own in the benchmark: a study described by a short YAML file.

    name: my_drug
    model: theophylline          # a model of the library, or the path of an SBML (.xml) or Antimony (.ant) file
    data: serum.csv              # beside this file
    experiments:
      default: {doses: ["gut=4@0"]}
    estimates:
      - {name: ka, lower: 0.1, upper: 10}
      - {name: sd, lower: 0.01, upper: 5, nominal: 0.3}
    noise:
      concentration: {family: normal, scale: sd}
    splits: [time]

`docs/benchmark.md` lists all keys. Everything that is estimated, the scale of the noise included, has bounds here: they
cannot come from the readings, some of which are held out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from calibration.problem import Problem
from calibration.sim2real.splits import KINDS
from twin import library
from twin.errors import TwinError
from twin.exchange import read_antimony, read_sbml
from twin.experiment.experiment import Equilibration, Experiment
from twin.experiment.notation import parse_change, parse_dose
from twin.located_yaml import Place, read_located
from twin.measurements import Measurements, read_measurements
from twin.model import Model
from twin.study import Estimate, Level, Noise, NoiseFamily, Prior, PriorFamily, Scale, Study

KEYS = (
    *("name", "model", "data", "columns", "observable", "time_unit", "value_units", "detection_limit"),
    *("experiments", "estimates", "noise", "fixed", "splits", "held_out_experiments", "covariate", "score_scale"),
    *("floor", "description"),
)
REQUIRED = ("name", "model", "data", "estimates", "noise")


@dataclass(frozen=True)
class OwnStudy:
    """A study with its model and readings, none of which need be in a library.

    Args:
        study: The study; its dataset is the name of the table's file without suffix.
        model: The mechanism.
        measurements: The readings, in the model's units.
    """

    study: Study
    model: Model
    measurements: Measurements

    def problem(self, study: Study | None = None) -> Problem:
        """The problem, of the study or of a variant of it."""
        study = study or self.study
        return Problem(
            self.model,
            self.measurements,
            study.estimates,
            study.noise,
            experiments=study.experiments,
            fixed=study.fixed,
            name=study.name,
            score_scale=study.score_scale,
            study=study,
        )


def read_study(path: Path) -> OwnStudy:
    """Read a study from a YAML file; paths in it are relative to it.

    Raises:
        ProblemError: The file cannot be read, or something in it is wrong; line and key are named.
        MeasurementError: The table cannot be used.
        ModelError: The model cannot be used.
    """
    top = read_located(path)
    given = top.mapping(KEYS, REQUIRED)
    name = given["name"].text()
    if not name.replace("_", "").replace("-", "").isalnum():
        raise given["name"].fault(f"here stands {name!r}", "letters, digits, '_' and '-': it becomes the name of files")
    model = _model(given["model"], path.parent)
    measurements, dataset = _measurements(given, path.parent, model)
    experiments = {key: _experiment(place) for key, place in _entries(given, "experiments").items()}
    splits = [place.one_of(KINDS) for place in given["splits"].items()] if "splits" in given else ["time"]
    held = [place.text() for place in given["held_out_experiments"].items()] if "held_out_experiments" in given else []
    if "experiment" in splits and not held:
        raise given["splits"].fault("the split 'experiment' holds nothing out", fix="add held_out_experiments: [...]")
    study = Study(
        name=name,
        model=model.name,
        dataset=dataset,
        experiments=experiments or dict.fromkeys(measurements.experiments, Experiment()),
        estimates=tuple(_estimate(place) for place in given["estimates"].items()),
        noise={key: _noise(place) for key, place in given["noise"].mapping().items()},
        fixed=_numbers(given, "fixed"),
        splits=splits,  # type: ignore[arg-type]  # checked above
        score_scale={k: p.one_of(("lin", "log10")) for k, p in _entries(given, "score_scale").items()},  # type: ignore[arg-type]
        held_out_experiments=held,
        covariate=_numbers(given, "covariate"),
        floor=_numbers(given, "floor"),
        description=given["description"].text() if "description" in given else "",
    )
    return OwnStudy(study, model, measurements)


def _entries(given: Mapping[str, Place], key: str) -> dict[str, Place]:
    return given[key].mapping() if key in given else {}


def _numbers(given: Mapping[str, Place], key: str) -> dict[str, float]:
    return {name: place.number() for name, place in _entries(given, key).items()}


def _model(place: Place, folder: Path) -> Model:
    text = place.text()
    suffix = Path(text).suffix.lower()
    if suffix not in (".xml", ".sbml", ".ant"):
        try:
            return library.load_model(text)
        except TwinError as error:
            raise place.fault(
                error.found, "a model of the library, or a file .xml, .sbml or .ant", error.fix
            ) from error
    path = folder / text
    if not path.is_file():
        raise place.fault(f"there is no file {text!r}", f"a path relative to {place.file}")
    return read_antimony(path.read_text(encoding="utf-8")) if suffix == ".ant" else read_sbml(path)


def _measurements(given: Mapping[str, Place], folder: Path, model: Model) -> tuple[Measurements, str]:
    """The table, read as its keys say, and its name."""
    place = given["data"]
    path = folder / place.text()
    if not path.is_file():
        raise place.fault(f"there is no file {place.text()!r}", f"a path relative to {place.file}")
    texts = {key: given[key].text() for key in ("observable", "time_unit") if key in given}
    wide = ("value", "noise", "censoring")
    columns = {
        key: {name: inner.text() for name, inner in p.mapping().items()} if key in wide and not _plain(p) else p.text()
        for key, p in _entries(given, "columns").items()
    }
    by_observable: dict[str, Any] = {}
    if "value_units" in given:
        by_observable["value_units"] = {k: p.text() for k, p in given["value_units"].mapping().items()}
    if "detection_limit" in given:
        by_observable["detection_limit"] = _numbers(given, "detection_limit")
    return read_measurements(path, model, columns=columns or None, **texts, **by_observable), path.stem


def _plain(place: Place) -> bool:
    import yaml

    return isinstance(place.node, yaml.ScalarNode)


def _experiment(place: Place) -> Experiment:
    """What is done, in the language of the options --dose and --change."""
    given = place.mapping(("doses", "changes", "initial", "equilibrate", "t0", "description"))

    def parsed(key: str, parse) -> tuple:
        made = []
        for item in given[key].items() if key in given else ():
            try:
                made.append(parse(item.text()))
            except TwinError as error:
                raise item.fault(error.found, error.expected, error.fix) from error
        return tuple(made)

    equilibrate = "equilibrate" in given and given["equilibrate"].one_of(("true", "false")) == "true"
    return Experiment(
        doses=parsed("doses", parse_dose),
        changes=parsed("changes", parse_change),
        initial=_numbers(given, "initial"),
        equilibrate=Equilibration() if equilibrate else None,
        t0=given["t0"].number() if "t0" in given else 0.0,
        description=given["description"].text() if "description" in given else "",
    )


def _estimate(place: Place) -> Estimate:
    given = place.mapping(
        ("name", "lower", "upper", "scale", "prior", "nominal", "per", "between", "between_occasions"),
        ("name", "lower", "upper"),
    )
    lower, upper = given["lower"].number(), given["upper"].number()
    if not lower < upper:
        raise given["lower"].fault(f"the lower bound {lower:g} is not below the upper bound {upper:g}")
    return Estimate(
        given["name"].text(),
        lower,
        upper,
        given["scale"].one_of(get_args(Scale)) if "scale" in given else "log10",  # type: ignore[arg-type]  # checked
        prior=_prior(given["prior"]) if "prior" in given else Prior(),
        nominal=given["nominal"].number() if "nominal" in given else None,
        per=given["per"].one_of(get_args(Level)) if "per" in given else "shared",  # type: ignore[arg-type]  # checked
        between=_spread(given.get("between")),
        between_occasions=_spread(given.get("between_occasions")),
    )


def _spread(place: Place | None) -> float | Prior | None:
    if place is None:
        return None
    return place.number() if _plain(place) else _prior(place)


def _prior(place: Place) -> Prior:
    given = place.mapping(("family", "location", "scale", "shape", "source"), ("family",))
    return Prior(
        given["family"].one_of(get_args(PriorFamily)),  # type: ignore[arg-type]  # checked
        **{key: given[key].number() for key in ("location", "scale", "shape") if key in given},
        source=given["source"].text() if "source" in given else "",
    )


def _noise(place: Place) -> Noise:
    given = place.mapping(("family", "scale", "df"), ("family",))
    family = given["family"].one_of(get_args(NoiseFamily))
    scale = given.get("scale")
    # Without a scale it is the noise column of the table.
    value = None if scale is None else scale.number() if scale.is_number() else scale.text()
    df = given["df"].number() if "df" in given else 4.0
    return Noise(family, value, df)  # type: ignore[arg-type]  # checked
