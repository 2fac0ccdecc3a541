"""The measurements: schema, provenance, and agreement with the transcriptions they were written from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import models
from twin.library import COLUMNS

ROWS = {
    "cd8_crauste2017": 21,
    "hiv_actg315": 361,
    "hiv_perelson1996": 32,
    "il13_raia2011": 205,
    "influenza_baccam2006": 42,
    "influenza_hayden1996": 27,
    "jakstat_swameye2003": 31,
    "mrna_golding2005": 25,
    "sarscov2_woelfel2020": 158,
    "stat5_boehm2014": 48,
    "theophylline": 132,
    "timekill_regoes2004": 128,
    "warfarin_oreilly1968": 483,
}

#: SHA-256 of each file: a changed number has to be changed here too, and be seen in review.
SHA256 = {
    "cd8_crauste2017": "7c04de9dfb95b8374c71d9da8a03189812523e4591109c0a11f1e94f4a6b7c84",
    "hiv_actg315": "55d901e50f97613cffce3dbfbac8fbc2a8fbfa14fa27d295595bb0319c40a47c",
    "hiv_perelson1996": "e2a09cf0948b6f6b405f757a4f84f22c2d0aa733c590ec98ca0aeda2669a7b90",
    "il13_raia2011": "44a973db1c3989bcae6dd2a38441e17a2e9eb51c46596347b1cfea9e14efd6f3",
    "influenza_baccam2006": "0152c3a825e89ccd42c4d30c05c0f57a47ae0d9105434915e88a3b77516ade24",
    "influenza_hayden1996": "ae1dd56da62aa3ecbd52fa2b5aa4ab35826782320c6c57a7ef22f0ce7b9dc975",
    "jakstat_swameye2003": "b44c903390cdd87921e55eb5fc454b7b69b13891f11a36a2da2f5efcf6099219",
    "mrna_golding2005": "fa1bd54166480a9175c9a41c6b91bb6226af308dc2da2bb1b9fb4df6aa066e37",
    "sarscov2_woelfel2020": "f177ef0dfbaea8451f7c226f3771ad3739bb0772ce090f3ba0bc2c5785f2fc98",
    "stat5_boehm2014": "7f80040b85ed5f7b5c1761b6fede6a08b930a07c78f02ee067866a4bb4486a03",
    "theophylline": "d94daf4845564fb755535fbe5f6ad2beba93e1b13aeede294ffdd30d2cda9060",
    "timekill_regoes2004": "7e102cf98ff6c8f2eab934792442d82d82ad5dc911f2a1e5b81d2924a0bdc655",
    "warfarin_oreilly1968": "74461cd13b9de31dfff5ad06423513af36a23f44d7aa7cf58774b10a9f90cd7a",
}


@pytest.mark.parametrize("name", ROWS)
def test_schema(name: str) -> None:
    table = models.data(name)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == ROWS[name]
    assert np.all(np.isfinite(table["time"]))
    assert np.all(table["time"] >= 0)
    assert np.all(np.isfinite(table["value"]))
    assert set(table["censoring"]) <= {"", "left"}
    assert np.all(table["noise"].dropna() > 0)
    assert set(table["observable"]) == set(models.dataset(name).units)
    assert np.all(table[["experiment", "subject", "observable"]] != "")
    # Subject 9 of the warfarin data was read twice at four times.
    repeated = table.duplicated(["experiment", "subject", "observable", "time"]).sum()
    assert repeated == (4 if name == "warfarin_oreilly1968" else 0)


@pytest.mark.parametrize("name", ROWS)
def test_provenance(name: str) -> None:
    dataset = models.dataset(name)
    assert dataset.name == name
    assert dataset.title
    assert dataset.citation
    assert dataset.doi.startswith("10.")
    assert dataset.notes
    assert dataset.doubts
    assert dataset.time_unit in {"day", "hour", "minute"}


@pytest.mark.parametrize("name", ROWS)
def test_file_is_the_reviewed_one(name: str) -> None:
    dataset = models.dataset(name)
    assert dataset.sha256 == SHA256[name]
    assert dataset.sha256 == hashlib.sha256(dataset.path.read_bytes()).hexdigest()


def _shared() -> Path:
    root = Path(__file__).parents[2]
    folder = Path(os.environ.get("CYTOTWIN_SHARED", root.parent / "shared")) / "data"
    if not folder.is_dir():
        pytest.skip(f"the transcriptions are not in {folder}; set CYTOTWIN_SHARED to the folder that holds data/")
    return folder


def _influenza(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "subject": raw["subject"],
        "observable": "log10_titre",
        "time": raw["day"],
        "value": raw["log10_tcid50_per_ml"],
        "censored": raw["left_censored"].astype(int),
    }


def _zanamivir(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "experiment": raw["arm"],
        "observable": "mean_log10_titre",
        "time": raw["hours_post_infection"].astype(float) / 24,
        "value": raw["mean_log10_titre"],
    }


def _hiv(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "subject": [{"petab": "A", "pmls": "B"}[series] for series in raw["series"]],
        "observable": "rna",
        "time": raw["days"],
        "value": raw["hiv_rna_copies_per_ml"],
    }


def _cd8(raw: pd.DataFrame) -> dict[str, object]:
    names = {
        "Naive": "naive",
        "EarlyEffector": "early_effector",
        "LateEffector": "late_effector",
        "Memory": "memory",
    }
    return {
        "observable": [names[population] for population in raw["population"]],
        "time": raw["day"],
        "value": raw["cells_mean"],
        "noise": raw["noise_sd"],
    }


def _stat5(raw: pd.DataFrame) -> dict[str, object]:
    return {"observable": raw["observable"], "time": raw["minutes"], "value": raw["percent"]}


def _jakstat(raw: pd.DataFrame) -> dict[str, object]:
    raw = raw.loc[raw["observable"] != "pEpoR_au"].reset_index(drop=True)
    return {
        "observable": raw["observable"],
        "time": raw["minutes"],
        "value": raw["value_au"],
        "noise": raw["noise_sd"],
    }


def _theophylline(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "experiment": "oral_" + raw["dose_mg_per_kg"].map(lambda dose: f"{float(dose):g}"),
        "subject": raw["subject"],
        "observable": "concentration",
        "time": raw["hours"],
        "value": raw["conc_mg_per_l"],
    }


def _timekill(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "experiment": "ampicillin_" + raw["ampicillin_ug_per_ml"].map(lambda dose: f"{float(dose):g}"),
        "observable": "cfu",
        "time": raw["hours"],
        "value": raw["cfu_per_ml"],
    }


def _warfarin(raw: pd.DataFrame) -> dict[str, object]:
    raw = raw.loc[raw["evid"] == "0"].reset_index(drop=True)
    # A concentration stored as 0 is below detection; the file carries the smallest other reading instead.
    below = (raw["dvid"] == "cp") & (raw["dv"].astype(float) == 0.0)
    return {
        "subject": raw["id"],
        "observable": raw["dvid"].map({"cp": "concentration", "pca": "pca"}),
        "time": raw["time"],
        "value": raw["dv"].mask(below, "0.6"),
        "censored": below.astype(int),
    }


def _actg315(raw: pd.DataFrame) -> dict[str, object]:
    below = raw["left_censored"] == "1"
    return {
        "subject": raw["subject"],
        "observable": "log10_rna",
        "time": raw["day"],
        # log10(50), half the limit, stands for "below 100 copies/ml" there.
        "value": raw["log10_rna_copies_per_ml"].mask(below, "2.0"),
        "censored": below.astype(int),
    }


def _sarscov2(raw: pd.DataFrame) -> dict[str, object]:
    raw = raw.loc[raw["site"] == "sputum"].reset_index(drop=True)
    below = raw["not_detected"] == "1"
    return {
        "subject": raw["patient"],
        "observable": "log10_load",
        "time": raw["day_post_onset"],
        "value": raw["log10_load"].mask(below, "1.9823"),
        "censored": below.astype(int),
    }


def _il13(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "experiment": "il13_" + raw["il13_level"],
        "observable": raw["observable"] + "_obs",
        "time": raw["minutes"],
        "value": raw["value"],
    }


def _mrna(raw: pd.DataFrame) -> dict[str, object]:
    return {
        "subject": raw["trial"],
        "observable": "mrna",
        "time": raw["minutes"],
        "value": raw["mean_mrna_per_cell"],
    }


SOURCES: dict[str, tuple[str, Callable[[pd.DataFrame], dict[str, object]]]] = {
    "cd8_crauste2017": ("cd8_crauste2017.csv", _cd8),
    "hiv_actg315": ("hiv_actg315.csv", _actg315),
    "hiv_perelson1996": ("hiv_ritonavir_perelson1996.csv", _hiv),
    "il13_raia2011": ("il13_raia2011.csv", _il13),
    "influenza_baccam2006": ("influenza_baccam2006.csv", _influenza),
    "influenza_hayden1996": ("influenza_zanamivir_hayden1996.csv", _zanamivir),
    "jakstat_swameye2003": ("jakstat_swameye2003.csv", _jakstat),
    "mrna_golding2005": ("mrna_induction_golding2005.csv", _mrna),
    "sarscov2_woelfel2020": ("sarscov2_woelfel2020.csv", _sarscov2),
    "stat5_boehm2014": ("stat5_boehm2014.csv", _stat5),
    "theophylline": ("theophylline.csv", _theophylline),
    "timekill_regoes2004": ("timekill_ampicillin_regoes2004.csv", _timekill),
    "warfarin_oreilly1968": ("warfarin_pkpd.csv", _warfarin),
}


@pytest.mark.parametrize("name", SOURCES)
def test_numbers_agree_with_the_transcription(name: str) -> None:
    file, convert = SOURCES[name]
    raw = pd.read_csv(_shared() / file, comment="#", dtype=str, keep_default_na=False)
    expected = pd.DataFrame(convert(raw))
    table = models.data(name)
    assert len(table) == len(expected)
    for column in {"experiment", "subject", "observable"} & set(expected):
        assert list(table[column]) == list(expected[column])
    for column in {"time", "value", "noise"} & set(expected):
        np.testing.assert_array_equal(table[column].to_numpy(), expected[column].astype(float).to_numpy())
    if "censored" in expected:
        assert list((table["censoring"] == "left").astype(int)) == list(expected["censored"])


def test_measured_input_agrees_with_the_transcription() -> None:
    from models.signalling.jakstat_swameye import PEPOR_TIMES, PEPOR_VALUES

    raw = pd.read_csv(_shared() / "jakstat_swameye2003.csv", comment="#")
    raw = raw[raw["observable"] == "pEpoR_au"]
    np.testing.assert_array_equal(np.asarray(raw["minutes"], dtype=float), PEPOR_TIMES)
    np.testing.assert_array_equal(np.asarray(raw["value_au"], dtype=float), PEPOR_VALUES)
