"""Claim: whether synthetic subjects help a learner on real ones is measured, not assumed.

Virtual subjects of the theophylline study, whose parameters come from the priors and from no reading, teach learners to
predict the area under the concentration of a day from the readings of the first hours. They are tested on the twelve
real subjects: learning curves over real subjects, adaptation, and whether learners rank alike on synthetic and real
subjects.

    uv run python examples/synthetic_helps.py
    uv run python examples/synthetic_helps.py --seed 2     # another cohort of virtual subjects
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import calibration
from calibration.synthetic.early import early_examples
from calibration.synthetic.help import learning_curve
from calibration.synthetic.ranking import agreement, learner_errors
from twin import library
from twin.figure import INK, blank_figure, dress

STUDY, TARGET, SUBJECTS = "theophylline", "area", 300
EARLY = (0.3, 0.6, 1.0, 2.0, 3.7)
"""The first five visits after the dose [hour]."""
LEARNER = "ridge"
COLOURS = {"real": "#333333", "pooled": "#d55e00", "corrected": "#1f5f8b", "synthetic": "#8a8a8a"}


def main(folder: Path = Path("out"), seed: int = 0) -> None:
    """Synthesize, train, test, draw."""
    folder.mkdir(parents=True, exist_ok=True)
    problem = calibration.Problem.from_study(STUDY)
    dose = library.study(STUDY).covariate
    cohort = calibration.synthesize(problem, SUBJECTS, seed=seed)
    print(cohort)
    synthetic, real = (
        early_examples(table, EARLY, TARGET, covariate=dose)
        for table in (cohort.measurements.table, problem.measurements.table)
    )
    curve = learning_curve(real, synthetic, LEARNER)
    print(f"\n{LEARNER}, mean absolute error of the area [mg/l h] on real subjects (reverse: on synthetic ones)")
    print(curve.table.to_string(index=False, float_format="{:.1f}".format))

    errors = learner_errors(real, synthetic)
    transfer, alone = (agreement(errors["synthetic"], errors[side]) for side in ("transfer", "real"))
    print(f"\ntrained on synthetic subjects, tested on synthetic and on real ones\n{transfer}")
    print(transfer.scores.to_string(float_format="{:.1f}".format))
    print(f"\ntrained and tested on synthetic subjects, trained and tested on real ones\n{alone}")
    print(alone.scores.to_string(float_format="{:.1f}".format))
    transfer.plot().savefig(folder / "synthetic_ranks.png", dpi=130)
    draw(curve.table, folder / "synthetic_helps.png")

    gain, low, high = curve.difference(("real", 8), ("pooled", 8))
    early, early_low, early_high = curve.difference(("real", 2), ("synthetic", 0))
    print(
        f"\nClaim: synthetic subjects lower the error of {LEARNER} by {early:.1f} "
        f"({early_low:.1f} to {early_high:.1f}) mg/l h against 2 real subjects, and beside 8 real ones by "
        f"{gain:.1f} ({low:.1f} to {high:.1f})."
    )
    assert early_low > 0


def draw(table, path: Path) -> None:
    """Errors against real training subjects, by way of training."""
    figure = blank_figure(6.0, 3.6)
    panel = figure.add_subplot()
    for way, colour in COLOURS.items():
        part = table[table["way"] == way]
        if way == "synthetic":
            panel.axhline(float(part["error"].iloc[0]), color=colour, linestyle="--", label="synthetic only")
            continue
        panel.plot(part["k"], part["error"], "o-", color=colour, markersize=4, label=way)
        panel.fill_between(part["k"], part["low"], part["high"], color=colour, alpha=0.12, linewidth=0)
    panel.set_xscale("log", base=2)
    panel.set_xticks([1, 2, 4, 8], ["1", "2", "4", "8"])
    panel.set_xlabel("real subjects trained on", fontsize=9, color=INK)
    panel.set_ylabel("mean absolute error of the area [mg/l h]", fontsize=9, color=INK)
    panel.legend(frameon=False, fontsize=8)
    dress(panel, "both")
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    parser = ArgumentParser(description="Do synthetic subjects help?")
    parser.add_argument("--seed", type=int, default=0, help="seed of the virtual subjects (0)")
    main(seed=parser.parse_args().seed)
