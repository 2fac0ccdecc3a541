"""Synthetic receptors, what they bind, their clones; tables; distances; learners."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from calibration.receptors.alphabet import AMINO_ACIDS, BLOSUM62, CODON, translate
from calibration.receptors.binding import ContactEnergy, Motif, WeightMatrix, frequencies, implant, loop
from calibration.receptors.distance import cdr3_distances, with_v
from calibration.receptors.dynamics import Response, expand, sequence
from calibration.receptors.learners import LEARNERS
from calibration.receptors.recombination import recombine
from calibration.receptors.simulate import simulate_repertoire
from calibration.receptors.study import folds, from_real, from_tuned, from_untuned, measure, synthetic_folds
from calibration.receptors.tables import REQUIRED, read_receptors
from twin.errors import MeasurementError, ProblemError

SHARED = Path(os.environ.get("CYTOTWIN_SHARED", Path(__file__).parents[3].parent / "shared"))


@pytest.fixture(scope="module")
def chains() -> pd.DataFrame:
    return recombine(600, seed=1)


def test_alphabet() -> None:
    assert (BLOSUM62 == BLOSUM62.T).all() and (np.diag(BLOSUM62) >= 4).all()
    assert len(CODON) == 64 and sorted(set(CODON.values())) == sorted([*AMINO_ACIDS, "*"])
    assert translate("ATGTGGTAA") == "MW*"


def test_chains_are_productive(chains) -> None:
    assert chains["junction_aa"].str.fullmatch(f"C[{AMINO_ACIDS}]+F").all()
    assert (chains["junction"].map(translate) == chains["junction_aa"]).all()
    assert (chains["v_call"].nunique(), chains["j_call"].nunique()) == (21, 13)
    pd.testing.assert_frame_equal(chains, recombine(600, seed=1))
    assert not chains.equals(recombine(600, seed=2))


def test_olga_gives_chains() -> None:
    pytest.importorskip("olga")
    state = np.random.get_state()[1].copy()
    made = recombine(20, seed=1, model="olga")
    assert made["junction_aa"].str.fullmatch(f"C[{AMINO_ACIDS}]+[FW]").all()
    assert (np.random.get_state()[1] == state).all()
    pd.testing.assert_frame_equal(made, recombine(20, seed=1, model="olga"))


def test_bad_requests() -> None:
    with pytest.raises(ProblemError, match="count is 0"):
        recombine(0)
    with pytest.raises(ProblemError, match="no model 'markov'"):
        recombine(3, model="markov")
    with pytest.raises(ProblemError, match="the motif is"):
        Motif("RSJ")
    with pytest.raises(ProblemError, match="the peptide is"):
        ContactEnergy("GIL")
    with pytest.raises(ProblemError, match="no rule for 'b'"):
        simulate_repertoire({"a": Motif("RS")}, "b")
    with pytest.raises(ProblemError, match="days"):
        expand(np.ones(2), np.ones(2), [3.0, 1.0])
    with pytest.raises(ProblemError, match="memory is 2"):
        Response(memory=2.0)


def test_rules() -> None:
    assert Motif("R.S").score(["CASSRGSEQFF", "CASSRGGEQFF", "CASS"]).tolist() == [1.0, 0.5, 0.0]
    share = np.full(20, 0.05)
    matrix = WeightMatrix.from_loops(["RSGQ"] * 20, 4, share, gap=1.0)
    whole, bulged, other = matrix.score(["CASSRSGQEQF", "CASSRSAGQEQF", "CASSWWWWEQF"])
    assert whole == pytest.approx(matrix.weights.max(axis=1).sum())
    assert bulged == pytest.approx(whole - 1.0) and other < 0
    # Lysines before a peptide of aspartates attract; aspartates repel.
    attracted, repelled = ContactEnergy("DDDDDDDDD").score(["CASSKKKKKEQF", "CASSDDDDDEQF"])
    assert attracted > 0 > repelled


def test_implanted_loops_follow_the_matrix(chains) -> None:
    share = frequencies(list(chains["junction_aa"]))
    matrix = WeightMatrix.from_loops(["RSGQTY"] * 50, 6, share)
    made = implant(list(chains["junction_aa"]), matrix, share, np.random.default_rng(0))
    assert [len(a) for a in made] == [len(a) for a in chains["junction_aa"]]
    assert np.median(matrix.score(made)) > np.quantile(matrix.score(list(chains["junction_aa"])), 0.99)
    assert loop("CASSABCEQF") == "ABC"


def test_one_clone_grows_as_in_theory() -> None:
    # Constant antigen that saturates, no death: births at rate r, so the mean is n exp(r t).
    response = Response(division=0.5, death=0.0, memory=0.0, antigen=1e6, clearance=0.0)
    cells = expand(np.ones(400), np.full(400, 50), [0.0, 4.0], response, leap=0.01)
    assert (cells[0] == 50).all()
    # A leap of 0.01 day makes the growth per leap 2 - exp(-r h) instead of exp(r h): 0.5 % over four days.
    mean = 50 * (2 - np.exp(-0.005)) ** 400
    spread = np.sqrt(50 * np.exp(2.0) * (np.exp(2.0) - 1))
    assert abs(cells[1].mean() - mean) < 4 * spread / 20


def test_binders_expand_and_contract() -> None:
    affinity = np.array([0.0, 0.3, 1.0, 10.0])
    cells = expand(affinity, np.full(4, 200), [0.0, 18.0, 60.0], seed=1)
    assert (cells[:, 0] == 200).all()
    assert (np.diff(cells[1]) > 0).all()
    assert (cells[2, 1:] < cells[1, 1:]).all() and (cells[2, 3] > 200)
    reads = sequence(cells, [0.0, 18.0, 60.0], 1000, seed=2)
    assert (reads.groupby("day")["reads"].sum() == 1000).all()


def test_repertoire_is_airr(tmp_path: Path) -> None:
    rules = {"one": ContactEnergy("GILGFVFTL"), "two": ContactEnergy("GILGFVFTI"), "three": Motif("WWWW")}
    made = simulate_repertoire(rules, "one", clones=500, share=0.05, reads=400, seed=3)
    assert set(REQUIRED) <= set(made.samples.columns)
    assert (made.samples.groupby("repertoire_id")["duplicate_count"].sum() == 400).all()
    binds = made.clones["binds_one"].to_numpy()
    assert 0.05 <= binds.mean() < 0.08
    before, peak, _ = made.cells[:, binds].sum(axis=1) / made.cells.sum(axis=1)
    assert peak > 5 * before
    cross = made.cross_reactivity()
    assert cross.loc["one", "two"] > 0.5 and (np.diag(cross)[:2] == 1).all()
    made.samples.assign(epitope="X", study="s").to_csv(tmp_path / "a.tsv", sep="\t", index=False)
    assert len(read_receptors(tmp_path / "a.tsv"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cdr3\tv\nCASSF\tTRBV2\n", "no column of 'j'"),
        ("cdr3\tv\tj\tepitope\nCAS-F\tTRBV2\tTRBJ1-1\tAAA\n", "no row is a receptor"),
    ],
)
def test_bad_tables(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text(text)
    with pytest.raises(MeasurementError, match=message):
        read_receptors(path)
    with pytest.raises(MeasurementError, match="no such file"):
        read_receptors(tmp_path / "nowhere.tsv")


def test_a_bad_row_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("cdr3\tv\tj\tepitope\nCASSLGQFF\tTRBV2*01\tTRBJ1-1*01\tAAA\nCAS*F\tTRBV2\tTRBJ1-1\tAAA\n")
    assert read_receptors(path).loc[0, "v"] == "TRBV2"
    with pytest.raises(MeasurementError, match=r"line 3: the CDR3 is 'CAS\*F'"):
        read_receptors(path, drop=False)


def test_distances_by_hand() -> None:
    # Trimmed: SLGQ, SIGQ (L/I: 4 - 2 = 2), SLGGQ (one gap of 8), all times 3.
    one = cdr3_distances(["CASSLGQFF"], ["CASSLGQFF", "CASSIGQFF", "CASSLGGQFF"])
    np.testing.assert_array_equal(one, [[0.0, 6.0, 24.0]])
    np.testing.assert_array_equal(with_v(one, ["TRBV6-1"], ["TRBV6-5", "TRBV7-2", "TRBV6-1"]), [[0.0, 26.0, 24.0]])
    many = list(recombine(40, seed=4)["junction_aa"])
    square = cdr3_distances(many, many)
    assert (square == square.T).all() and (np.diag(square) == 0).all()


def test_every_learner_finds_an_implanted_motif() -> None:
    fold = synthetic_folds(1, size=80, seed=5)[0]
    for name in LEARNERS:
        auroc, precision = measure(from_real(name, fold), fold)
        if name == "genes, logistic":
            # The motif is implanted whatever the genes: nothing is to be found there.
            assert 0.3 < auroc < 0.7
        else:
            assert auroc > 0.7 and precision > 2 * fold.binds.mean(), name


def test_folds_hold_studies_out() -> None:
    made = recombine(900, seed=6)
    table = pd.DataFrame({"cdr3": made["junction_aa"], "v": made["v_call"], "j": made["j_call"]})
    rng = np.random.default_rng(0)
    table["epitope"], table["study"] = rng.choice(["A" * 9, "K" * 9], 900), rng.choice(list("abcdef"), 900)
    found = folds(table, most=300)
    assert len(found) == 6
    for fold in found:
        assert not set(fold.test["study"]) & (set(fold.binders["study"]) | set(fold.others["study"]))
        assert not set(fold.test["cdr3"]) & (set(fold.binders["cdr3"]) | set(fold.others["cdr3"]))
        assert set(fold.binders["epitope"]) == {fold.epitope}
    background = table[["cdr3", "v", "j"]]
    name = "genes, logistic"
    tuned = [from_tuned(name, found[0], background, 5, way) for way in ("tuned", "weighted")]
    for score in (from_untuned(name, found[0], background), *tuned):
        assert np.isfinite(measure(score, found[0])).all()
    with pytest.raises(MeasurementError, match="there are 1 studies"):
        folds(table.assign(study="a"))


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from twin.cli import main

    out = str(tmp_path / "r")
    assert main(["receptors", "simulate", "--antigen", "flu=GILGFVFTL", "--clones", "300", "--out", out]) == 0
    assert "clones bind" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "r").iterdir()) == ["clones.csv", "cross_reactivity.csv", "samples.tsv"]
    for options, message in (
        (["simulate", "--antigen", "GILGFVFTL"], "--antigen: it is 'GILGFVFTL'"),
        (["simulate", "--days", "0,x"], "--days: could not convert"),
        (["assess"], "there are no data"),
        (["assess", "--data", "nowhere.tsv"], "no such file"),
    ):
        assert main(["receptors", *options, "--out", out]) != 0
        assert message in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(
    not (SHARED / "data/tcr_epitope_vdjdb.tsv").is_file(), reason="needs real receptors in the shared folder"
)
def test_real_receptors_can_be_learned() -> None:
    receptors = read_receptors(SHARED / "data/tcr_epitope_vdjdb.tsv")
    assert receptors["epitope"].nunique() == 10
    real = folds(receptors, most=200)
    assert len({fold.epitope for fold in real}) >= 5
    scores = [measure(from_real("k-mers and genes, logistic", fold), fold)[0] for fold in real]
    assert np.mean(scores) > 0.55
