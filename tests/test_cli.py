"""The commands: options mean what they say, and mistakes are answered in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gndl import cli
from gndl.asked import study_request
from gndl.errors import GndlError


def gndl(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return subprocess.run([sys.executable, "-m", "gndl.cli", *words], capture_output=True, text=True, timeout=120)


def test_an_error_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    """The message names the folder and says what to do; the exit status is 1."""
    done = gndl("check", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr
    assert "Traceback" not in done.stderr


def test_check_of_a_copy_that_cannot_be_used_exits_with_1(tmp_path: Path) -> None:
    """A folder of class folders is recognised for what it is."""
    for name in ("anger", "happiness", "surprise"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "S010_004_00000017.png").write_bytes(b"")
    done = gndl("check", str(tmp_path), "--database", "ckplus")
    assert done.returncode == 1
    assert "neutral" in done.stdout


def test_methods_lists_baseline_and_gndl() -> None:
    """Both names that `study` trains are there."""
    done = gndl("methods")
    assert done.returncode == 0
    assert {"baseline", "gndl"} <= {line.split()[0] for line in done.stdout.splitlines()}


@pytest.mark.parametrize("words", [("0,1",), ("0", "1"), ("0, 1",)])
def test_folds_are_split_at_commas_and_blanks(words: tuple[str, ...]) -> None:
    """However the list is typed, it means the same."""
    request = study_request(cli.Study(only_folds=words))
    assert request.settings.only_folds == (0, 1)


def test_explicit_epochs_are_taken_as_they_are() -> None:
    """--epochs switches off the profile's least number of steps."""
    request = study_request(cli.Study(epochs=3))
    assert (request.settings.train.epochs, request.settings.train.min_steps) == (3, 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (cli.Study(profile="large"), "no profile 'large'"),
        (cli.Study(epochs=-3), "--epochs takes a number of at least 1"),
        (cli.Study(n_folds=1), "--n-folds takes a number of at least 2"),
        (cli.Study(shard="3/2"), "--shard takes a share"),
        (cli.Train(runs_per_gpu=0), "--runs-per-gpu takes a number of at least 1"),
        (cli.Train(checkpoint_every=0), "--checkpoint-every takes a number of at least 1"),
        (cli.Study(weights="nowhere.pth"), r"nowhere\.pth: there is no such file \(--weights\)"),
        (cli.Study(databases=("fer2013",)), "no database 'fer2013'"),
        (cli.Study(only_folds=("first",)), "--only-folds takes numbers"),
        (cli.Study(methods=("magic",)), "magic"),
        (cli.Study(databases=("manifest",)), "--data MANIFEST.csv"),
        (cli.Render(databases=("manifest",)), "no stand-in of 'manifest'"),
        (cli.Check(path="runs/x", folds="folds.json"), "--folds is audited on its own"),
        (cli.Check(path="runs/x", cut=3), "--cut belongs to --folds"),
    ],
)
def test_mistakes_are_answered_with_what_there_is(options: cli.Command, words: str) -> None:
    """Unknown names and malformed numbers are refused before anything happens."""
    with pytest.raises(GndlError, match=words):
        cli.run(options)


def test_a_database_missing_under_data_names_the_command_to_use(tmp_path: Path) -> None:
    """Asked for two and given one, the error prints the DATABASES= that would work."""
    (tmp_path / "ckplus" / "cohn-kanade-images").mkdir(parents=True)
    with pytest.raises(GndlError, match='DATABASES="ckplus"'):
        study_request(cli.Study(databases=("ckplus", "mmi"), data=str(tmp_path)))
