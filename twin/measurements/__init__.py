"""The table of readings: from a CSV file or a data frame to validated `Measurements` in a model's units."""

from twin.measurements.event_table import EventTable, read_event_table
from twin.measurements.options import ReadsModel, Replicates
from twin.measurements.reading import read_measurements
from twin.measurements.schema import COLUMNS
from twin.measurements.table import Measurements

__all__ = [
    "COLUMNS",
    "EventTable",
    "Measurements",
    "ReadsModel",
    "Replicates",
    "read_event_table",
    "read_measurements",
]
