"""The registry: names, errors, and packages of others."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import models
import twin.library
from twin.errors import LibraryError

MODELS = (
    "ampicillin_timekill",
    "cd8_crauste",
    "hiv_biphasic",
    "hiv_protease_inhibitor",
    "il13_raia",
    "influenza_teiv",
    "jakstat_swameye",
    "mrna_golding",
    "sarscov2_teiv",
    "stat5_boehm",
    "theophylline",
    "warfarin_pkpd",
)
DATASETS = (
    "cd8_crauste2017",
    "hiv_actg315",
    "hiv_perelson1996",
    "il13_raia2011",
    "influenza_baccam2006",
    "influenza_hayden1996",
    "jakstat_swameye2003",
    "mrna_golding2005",
    "sarscov2_woelfel2020",
    "stat5_boehm2014",
    "theophylline",
    "timekill_regoes2004",
    "warfarin_oreilly1968",
)

type Install = Callable[[str, str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Pretend that a package with an entry point in `twin.models` is installed."""

    def install_package(name: str, source: str, value: str) -> None:
        site = tmp_path / name
        metadata = site / f"{name}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (site / f"{name}.py").write_text(source)
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[twin.models]\n{name} = {value}\n")
        monkeypatch.syspath_prepend(str(site))
        # The module must not outlive the path it came from.
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install_package


def test_public_names_are_locked() -> None:
    assert sorted(models.__all__) == [
        "card",
        "data",
        "dataset",
        "datasets",
        "list",
        "load",
        "studies",
        "study",
    ]


def test_this_package_offers_its_models_datasets_and_studies() -> None:
    assert set(MODELS) <= set(models.list())
    assert set(DATASETS) <= set(models.datasets())
    assert set(DATASETS) <= set(models.studies())


def test_no_module_shadows_a_public_function() -> None:
    """Importing a submodule sets an attribute of its package: no submodule may be called like a function."""
    for name in MODELS:
        models.card(name)
    for name in DATASETS:
        models.data(name)
        models.study(name)
    assert all(callable(getattr(models, name)) for name in models.__all__)


def test_listing_imports_no_mechanism() -> None:
    script = (
        "import sys, models; models.list(); models.datasets(); models.studies(); "
        "print([m for m in ('sympy', 'jax', 'pandas', 'pint', 'models.measurements') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("get", "wrong", "right"),
    [
        (models.load, "influensa_teiv", "influenza_teiv"),
        (models.card, "stat5_bohm", "stat5_boehm"),
        (models.data, "theofylline", "theophylline"),
        (models.study, "hiv_perelson96", "hiv_perelson1996"),
    ],
)
def test_unknown_name_suggests_the_nearest(get: Callable[[str], object], wrong: str, right: str) -> None:
    with pytest.raises(LibraryError, match=f"(?s){wrong}.*did you mean '{right}'"):
        get(wrong)


def test_unknown_name_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="no installed package offers a model 'nothing_like_it_at_all'"):
        models.load("nothing_like_it_at_all")


def test_other_packages_add_theirs(install: Install) -> None:
    source = "import twin.library as t\nLIBRARY = t.Library('lab', models={'lab_model': 'lab:CARD'})\nCARD = 7\n"
    install("lab", source, "lab:LIBRARY")
    assert "lab_model" in models.list()
    assert models.card("lab_model") == 7


def test_two_packages_with_the_same_name_are_both_named(install: Install) -> None:
    for lab in ("lab_a", "lab_b"):
        source = f"from twin.library import Library\nLIBRARY = Library('{lab}', models={{'shared': '{lab}:X'}})\n"
        install(lab, source, f"{lab}:LIBRARY")
    with pytest.raises(LibraryError, match="'shared' is offered by lab_a and lab_b"):
        models.load("shared")
    assert models.list().count("shared") == 1


def test_a_broken_entry_point_is_named(install: Install) -> None:
    install("lab_broken", "", "lab_broken:LIBRARY")
    with pytest.raises(LibraryError, match=r"entry point 'lab_broken'.*cannot be loaded"):
        models.list()


def test_an_entry_point_of_another_kind_is_refused(install: Install) -> None:
    install("lab_list", "LIBRARY = ['a']\n", "lab_list:LIBRARY")
    with pytest.raises(LibraryError, match="it is a list"):
        models.list()


def test_a_place_that_does_not_exist_is_named(install: Install) -> None:
    source = "from twin.library import Library\nLIBRARY = Library('lab_c', models={'ghost': 'lab_c:NOTHING'})\n"
    install("lab_c", source, "lab_c:LIBRARY")
    with pytest.raises(LibraryError, match="lab_c:NOTHING does not exist"):
        models.load("ghost")


def test_missing_dataset_file_is_named() -> None:
    with pytest.raises(LibraryError, match=r"'data/nowhere.csv' is not in models"):
        twin.library.Dataset.from_csv("nowhere", "models", "data/nowhere.csv")
