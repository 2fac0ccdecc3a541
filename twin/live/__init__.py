"""The calibrated twin that lives: an ensemble that takes in readings, forecasts and answers what-if; kept in a file."""

from twin.live.ensemble import Ensemble, Twin

__all__ = ["Ensemble", "Twin"]
