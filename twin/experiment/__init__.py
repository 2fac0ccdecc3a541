"""What is done to a system, and how it is made ready for integration."""

from twin.experiment.experiment import Bolus, Change, Equilibration, Experiment, Infusion, Reset

__all__ = ["Bolus", "Change", "Equilibration", "Experiment", "Infusion", "Reset"]
