"""The datasets of this package; each file's header carries its citation, units, checks and doubts."""

from __future__ import annotations

from twin.library import Dataset


def _read(name: str) -> Dataset:
    # The folder is no package: importing `models.data` as one would replace the function `models.data`.
    return Dataset.from_csv(name, "models", f"data/{name}.csv")


INFLUENZA_BACCAM2006 = _read("influenza_baccam2006")
INFLUENZA_HAYDEN1996 = _read("influenza_hayden1996")
HIV_PERELSON1996 = _read("hiv_perelson1996")
CD8_CRAUSTE2017 = _read("cd8_crauste2017")
STAT5_BOEHM2014 = _read("stat5_boehm2014")
JAKSTAT_SWAMEYE2003 = _read("jakstat_swameye2003")
THEOPHYLLINE = _read("theophylline")
TIMEKILL_REGOES2004 = _read("timekill_regoes2004")
WARFARIN_OREILLY1968 = _read("warfarin_oreilly1968")
HIV_ACTG315 = _read("hiv_actg315")
SARSCOV2_WOELFEL2020 = _read("sarscov2_woelfel2020")
IL13_RAIA2011 = _read("il13_raia2011")
MRNA_GOLDING2005 = _read("mrna_golding2005")
