"""Published mechanisms with their cards, their measurements, and studies that join the two.

    models.list()                     names of the mechanisms
    models.load("influenza_teiv")     a `twin.Model`
    models.card("influenza_teiv")     equations, references, valid range
    models.data("theophylline")       a table of readings
    models.study("theophylline")      what is to be calibrated, as a `twin.study.Study`

Packages of others that offer models through the entry-point group ``twin.models`` are found too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twin.library import card, dataset, study
from twin.library import list_datasets as datasets
from twin.library import list_models as list
from twin.library import list_studies as studies
from twin.library import load_model as load

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["card", "data", "dataset", "datasets", "list", "load", "studies", "study"]


def data(name: str) -> pd.DataFrame:
    """Table of readings of a dataset.

    Args:
        name: Name of the dataset, one of `datasets`.

    Returns:
        Columns experiment, subject, observable, time, value, noise, censoring; units are in
        ``dataset(name).units`` and ``.time_unit``.

    Raises:
        LibraryError: No package offers the dataset, or several do.
    """
    return dataset(name).load()
