"""``twin population`` writes what it found."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import pandas as pd
import pytest

from calibration.commands.population import population as command


@pytest.mark.slow
def test_a_study_of_the_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    command.configure(parser)
    args = parser.parse_args(["theophylline", "--starts", "1", "--studies", "50", "--quiet", "--out", str(tmp_path)])
    args.saved = []
    assert command.run(args) == 0
    table = pd.read_csv(tmp_path / "population.csv", index_col=0)
    # Absorption as in every analysis of these data: 1.6 per hour, spread of 70 % (docs/populations.md).
    assert table.loc["ka", "lower"] < 1.59 < table.loc["ka", "upper"]
    assert 50 < table.loc["ka_between", "cv"] < 90
    assert len(pd.read_csv(tmp_path / "individuals.csv", index_col=0)) == 12
    assert pd.read_csv(tmp_path / "prediction_errors.csv")["npde"].notna().sum() == 132
    assert (tmp_path / "predictive_check.png").stat().st_size > 10_000
    assert "shrinkage: ka" in capsys.readouterr().out
