"""The commands: options mean what they say, mistakes are answered in words, and a stop leaves a clear exit status."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from planted_runs import write_planted_study

from gndl import cli
from gndl.cli import StudyOptions, sharing, study_config
from gndl.engines import Shard
from gndl.files import GndlError
from gndl.sequences import ReadOptions
from gndl.stopping import EXIT_STOPPED, Stopped
from standins import StandInError


def gndl(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", "gndl.cli", *words]
    environment = os.environ | environment
    return subprocess.run(
        command, capture_output=True, timeout=120, encoding="utf-8", errors="replace", env=environment
    )


def run_main(monkeypatch: pytest.MonkeyPatch, raised: BaseException) -> int:
    """Exit status of a command that raises ``raised``."""

    def command() -> int:
        raise raised

    monkeypatch.setattr(cli, "COMMANDS", {"fail": command, "other": command})
    monkeypatch.setattr(sys, "argv", ["gndl", "fail"])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert signal.getsignal(signal.SIGINT) == before
    return int(ended.value.code or 0)


def test_an_error_is_one_message_without_a_traceback(tmp_path: Path) -> None:
    """The message names the folder and says what to do; the exit status is 1."""
    done = gndl("check", str(tmp_path))
    assert done.returncode == 1
    assert str(tmp_path) in done.stderr and done.stderr.startswith("gndl: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (GndlError("no such face"), 1, "gndl: no such face"),
        (StandInError("strength must be in (0, 1]"), 1, "gndl: strength must be in (0, 1]"),
        (Stopped(), EXIT_STOPPED, "checkpoints are kept. Run the same command again to resume"),
        (KeyboardInterrupt(), 130, "Run the same command again to resume"),
        (OSError(28, "No space left on device", "runs/a.csv"), 1, "runs/a.csv: the disk is full"),
        (OSError("5 requested and 3 written"), 1, "a file: the disk is full (5 requested and 3 written)"),
        (PermissionError(13, "Permission denied", "/data"), 1, "/data: not permitted"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 1, "gndl: x.csv: No such file or directory"),
    ],
)
def test_how_a_command_ends_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, status: int, words: str
) -> None:
    """Exit status 1 for failures, 75 for a signal, 130 for Ctrl-C."""
    assert run_main(monkeypatch, raised) == status
    assert words in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_output_survives_a_terminal_without_greek(encoding: str) -> None:
    """λ is in every help text."""
    done = gndl("train", "--help", PYTHONIOENCODING=encoding)
    assert done.returncode == 0, done.stderr
    assert "oracle-swap: trained as GNDL" in done.stdout and "\\u03bb" in done.stdout


def test_help_loads_neither_torch_nor_the_renderer() -> None:
    """So that it appears at once."""
    code = (
        "import sys; sys.argv[1:] = ['study', '--help']; from gndl.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('loaded', sorted({'torch', 'warp', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith("loaded []"), done.stdout + done.stderr


@pytest.mark.parametrize("typed", [("0,1",), ("0", "1"), ("0, 1",)])
def test_lists_are_split_at_commas_and_blanks(typed: tuple[str, ...]) -> None:
    """However the list is typed, it means the same."""
    _, config = study_config(StudyOptions(only_folds=typed, databases=("mmi",)))
    assert config.settings.only_folds == (0, 1)


def test_options_become_the_configuration_of_a_study(tmp_path: Path) -> None:
    """Groups of methods are expanded, explicit epochs are taken as they are, files are resolved."""
    weights = tmp_path / "resnet18.pth"
    weights.touch()
    options = StudyOptions(
        methods=("granularity",), epochs=3, weights=str(weights), out=str(tmp_path / "study"),
        databases=("mmi,ckplus",), copy=ReadOptions(oulu_light="Dark"), select_on="dev", precision="fp32", seed=4,
        shard="2/8", runs_per_gpu=2, jobs=3,
    )  # fmt: skip
    out, config = study_config(options)
    settings = config.settings
    assert out == tmp_path / "study" and config.data_roots == {"mmi": "", "ckplus": ""}
    assert {"baseline", "gndl-layer-1", "gndl"} <= set(settings.methods)
    assert (settings.train.epochs, settings.train.min_steps, settings.select_on) == (3, 0, "dev")
    assert (config.weights, config.seeds, config.precision_explicit) == (str(weights), (4,), True)
    assert config.read_options["oulu_light"] == "Dark"
    how = sharing(options)
    assert (how.jobs, how.shard, how.runs_per_gpu) == (3, Shard(2, 8), 2)


def test_your_own_method_is_added(tmp_path: Path) -> None:
    """Next to those of the profile, under the name of its class."""
    file = tmp_path / "mine.py"
    file.write_text("from gndl.model import GNDL\n\n\nclass CosineGNDL(GNDL):\n    pass\n")
    _, config = study_config(StudyOptions(method=(f"{file}:CosineGNDL",)))
    assert config.settings.methods == ("baseline", "gndl", "cosine-gndl")


DEFAULT = StudyOptions()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cli.study(replace(DEFAULT, profile="quik")), "quick"),
        (lambda: cli.study(replace(DEFAULT, epochs=-3)), "--epochs must be >= 1, got -3"),
        (lambda: cli.study(replace(DEFAULT, n_folds=1)), "--n-folds must be >= 2, got 1"),
        (lambda: cli.study(replace(DEFAULT, jobs=-1)), r"--jobs must be >= 0 \(0 = one per core\), got -1"),
        (lambda: cli.study(replace(DEFAULT, shard="3/2")), "--shard must be a share"),
        (lambda: cli.study(DEFAULT, notebook_timeout=-1), "--notebook-timeout must be >= 0"),
        (lambda: cli.train(replace(DEFAULT, runs_per_gpu=0)), "--runs-per-gpu must be >= 1"),
        (lambda: cli.train(replace(DEFAULT, checkpoint_every=0)), "--checkpoint-every must be >= 1"),
        (lambda: cli.train(DEFAULT, lams=("five",)), "--lams takes numbers such as 0,1, got 'five'"),
        (lambda: cli.study(replace(DEFAULT, weights="nowhere.pth")), r"nowhere\.pth: no such file \(--weights\)"),
        (lambda: cli.study(replace(DEFAULT, publishable="no.csv")), r"no\.csv: no such file \(--publishable\)"),
        (lambda: cli.study(replace(DEFAULT, databases=("ckpls",))), r"Unknown database 'ckpls'. Did you mean ckplus"),
        (lambda: cli.study(replace(DEFAULT, only_folds=("first",))), "--only-folds takes numbers"),
        (lambda: cli.study(replace(DEFAULT, methods=("ablation",))), r"Unknown method.*Did you mean ablations\?"),
        (lambda: cli.study(replace(DEFAULT, databases=("manifest",))), "--data MANIFEST.csv"),
        (lambda: cli.study(replace(DEFAULT, databases=())), "--databases"),
        (lambda: cli.train(DEFAULT, train_on="ckplus"), "--train-on and --test-on go together"),
        (lambda: cli.train(replace(DEFAULT, databases=("mmi",)), across=True), "at least two --databases"),
        (lambda: cli.train(DEFAULT, across=True, sweep=True), "--sweep cannot be used across databases"),
        (lambda: cli.render(databases=("manifest",)), "Unknown stand-in 'manifest'"),
        (lambda: cli.check("runs/x", folds="folds.json"), "--folds FILE by itself"),
        (lambda: cli.check(), "Name what to check"),
        (lambda: cli.check("runs/x", database="mni"), "Did you mean mmi"),
    ],
)
def test_mistakes_are_answered_with_what_is_possible(
    call: Callable[[], int], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown names and malformed numbers are refused before anything happens."""
    monkeypatch.setattr(cli, "resolve", lambda path: tmp_path / path)
    with pytest.raises(GndlError, match=words):
        call()
    assert not list(tmp_path.iterdir())


def test_a_dry_run_lists_the_runs_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is finished is told from what is missing; a share lists its own runs only."""
    write_planted_study(tmp_path / "study", ["mmi"])
    options = StudyOptions(profile="smoke", databases=("mmi",), out=str(tmp_path / "new"))
    assert cli.study(options, dry_run=True) == 0
    assert "2 runs: 2 missing" in capsys.readouterr().out and not (tmp_path / "new").exists()
    assert cli.study(replace(options, shard="1/2"), dry_run=True) == 0
    assert "1 run: 1 missing" in capsys.readouterr().out


def test_exported_databases_are_those_of_the_study(tmp_path: Path) -> None:
    """An unknown one is answered with those that the study has."""
    out = write_planted_study(tmp_path / "study", ["mmi"])
    for call in (
        lambda: cli.export_data(str(out), databases=("ckplus",)),
        lambda: cli.import_predictions("x.csv", "svm", str(out), subject_disjoint=True),
    ):
        with pytest.raises(GndlError, match=r"Unknown database in .*study: 'ckplus'. .*mmi"):
            call()


def test_rendering_passes_every_option_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes of the profile, seed, folder; sheets and counterfactual sets instead of databases."""
    import standins

    called: dict[str, Any] = {}
    for name in ("render_database", "subjects_sheet", "render_factorial"):
        signature = inspect.signature(getattr(standins, name))

        def record(*given: Any, name: str = name, signature: inspect.Signature = signature, **words: Any) -> None:
            called[name] = signature.bind(*given, **words).arguments

        monkeypatch.setattr(standins, name, record, raising=False)
    assert cli.render("smoke", ("mmi",), jobs=1, out=str(tmp_path), seed=3) == 0
    asked = called["render_database"]
    assert (asked["name"], asked["folder"], asked["seed"], asked["jobs"]) == ("mmi", tmp_path / "mmi", 3, 1)
    assert asked["size"].subjects == 2
    assert cli.render("smoke", ("mmi",), out=str(tmp_path), sheets=True) == 0
    assert called["subjects_sheet"]["path"] == tmp_path / "standin_mmi.jpg"
    assert cli.render(counterfactual=10, out=str(tmp_path)) == 0
    asked = called["render_factorial"]
    assert (asked["folder"], asked["subjects"]) == (tmp_path, 10)
