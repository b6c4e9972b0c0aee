"""The commands: every option reaches what does the work, mistakes are answered in words, and how a command ends."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import io
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
from gndl.batch import Pipeline
from gndl.cli import StudyOptions, sharing, study_config
from gndl.engines import Shard, Sharing
from gndl.files import GndlError
from gndl.methods import METHOD_GROUPS
from gndl.paper import DATABASES
from gndl.profiles import SMOKE, read_study_json
from gndl.sequences import ReadOptions
from gndl.stopping import EXIT_STOPPED, Stopped
from gndl.study import Study, runs_of_study
from standins import StandInError

DEFAULT = StudyOptions()


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Exit status of a command line."""
    monkeypatch.setattr(sys, "argv", ["gndl", *words])
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert signal.getsignal(signal.SIGINT) == before
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("raised", "status", "words"),
    [
        (GndlError("no such face"), 1, "gndl: no such face\n"),
        (StandInError("strength must be in (0, 1]"), 1, "gndl: strength must be in (0, 1]\n"),
        (Stopped(), EXIT_STOPPED, "checkpoints are kept. Run the same command again to resume"),
        (KeyboardInterrupt(), 130, "gndl: stopped. Run the same command again to resume"),
        (OSError(28, "No space left on device", "runs/a.csv"), 1, "runs/a.csv: the disk is full"),
        (OSError("5 requested and 3 written"), 1, "a file: the disk is full (5 requested and 3 written)"),
        (PermissionError(13, "Permission denied", b"/data"), 1, "/data: not permitted"),
        (FileNotFoundError(2, "No such file or directory", "x.csv"), 1, "gndl: x.csv: No such file or directory\n"),
    ],
)
def test_how_a_command_ends_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], raised: BaseException, status: int, words: str
) -> None:
    """Exit status 1 for failures, 75 for a signal, 130 for Ctrl-C; no traceback."""

    def command() -> int:
        raise raised

    monkeypatch.setattr(cli, "COMMANDS", {"fail": command, "other": command})
    assert run(monkeypatch, "fail") == status
    said = capsys.readouterr().err
    assert words in said and "Traceback" not in said


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("command", cli.COMMANDS)
def test_no_command_dies_of_the_terminals_encoding(
    monkeypatch: pytest.MonkeyPatch, encoding: str, command: str
) -> None:
    """Whatever a command prints, in its help, its output or its error, comes out in the terminal's letters."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)

    def says() -> int:
        print("λ = 5 µ 五 …")
        raise GndlError("λ of méthode 五")

    assert run(monkeypatch, command, "--help") == 0
    monkeypatch.setitem(cli.COMMANDS, command, says)
    assert run(monkeypatch, command) == 1
    for stream in (out, err):
        stream.flush()
        assert b"\\u03bb" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_help_loads_neither_torch_nor_the_renderer() -> None:
    """So that it appears at once; that of `train` lists every method and group."""
    code = (
        "import sys; sys.argv[1:] = ['study', '--help']; from gndl.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('loaded', sorted({'torch', 'warp', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip().endswith("loaded []"), done.stdout + done.stderr


def test_the_help_of_train_lists_all_methods(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what each is for."""
    monkeypatch.setattr(cli.train, "__doc__", cli.train.__doc__)
    assert run(monkeypatch, "train", "--help") == 0
    said = capsys.readouterr().out
    assert "oracle-swap: trained as GNDL" in said and "granularity: all of" in said


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with files that options name."""
    for name in ("weights.pth", "folds.json", "who.csv"):
        (tmp_path / name).touch()
    for name in ("copies/ckplus", "copies/oulu_casia", "copies/mmi", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "mine.py").write_text("from gndl.model import GNDL\n\n\nclass CosineGNDL(GNDL):\n    pass\n")
    return tmp_path


REACHES: dict[str, tuple[Any, Callable[[Any, Any], Any], Any]] = {
    "profile": ("smoke", lambda config, _: config.settings.purpose, SMOKE.purpose),
    "databases": (("mmi,ckplus",), lambda config, _: list(config.data_roots), ["mmi", "ckplus"]),
    "data": ("{}/copies", lambda config, _: config.data_roots["mmi"], "{}/copies/mmi"),
    "jobs": (3, lambda _, how: how.jobs, 3),
    "device": ("cpu", lambda config, _: config.device, "cpu"),
    "seed": (4, lambda config, _: config.seeds, (4,)),
    "epochs": (3, lambda config, _: (config.settings.train.epochs, config.settings.train.min_steps), (3, 0)),
    "precision": ("tf32", lambda c, _: (c.settings.train.precision, c.precision_explicit), ("tf32", True)),
    "method": (("{}/mine.py:CosineGNDL",), lambda c, _: c.settings.methods, ("baseline", "gndl", "cosine-gndl")),
    "n_folds": (4, lambda config, _: config.settings.n_folds, 4),
    "folds": ("{}/folds.json", lambda config, _: config.folds_file, "{}/folds.json"),
    "only_folds": (("0,", "2"), lambda config, _: config.settings.only_folds, (0, 2)),
    "select_on": ("dev", lambda config, _: config.settings.select_on, "dev"),
    "weights": ("{}/weights.pth", lambda config, _: config.weights, "{}/weights.pth"),
    "weights_partial": (True, lambda config, _: config.weights_partial, True),
    "allow_missing_faces": (True, lambda config, _: config.allow_missing_faces, True),
    "copy": (ReadOptions(oulu_light="Dark"), lambda config, _: config.read_options["oulu_light"], "Dark"),
    "shard": ("2/8", lambda _, how: how.shard, Shard(2, 8)),
    "engine": ("ray", lambda _, how: how.engine, "ray"),
    "runs_per_gpu": (2, lambda _, how: how.runs_per_gpu, 2),
    "checkpoint_every": (7, lambda _, how: how.checkpoint_every, 7),
}


def filled(value: Any, folder: Path) -> Any:
    """``{}`` replaced by a folder, in texts however nested."""
    if isinstance(value, str):
        return value.replace("{}", str(folder))
    if isinstance(value, tuple):
        return tuple(filled(one, folder) for one in value)
    return {name: filled(one, folder) for name, one in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("option", REACHES)
def test_each_option_of_a_study_reaches_its_place(option: str, files: Path) -> None:
    """And no other: without it the configuration is another one."""
    value, found_in, expected = (filled(one, files) for one in REACHES[option])
    plain = replace(DEFAULT, databases=("ckplus", "mmi"))
    options = replace(plain, **{option: value})
    found = found_in(study_config(options)[1], sharing(options))
    assert found == expected != found_in(study_config(plain)[1], sharing(plain))


def test_no_option_of_a_study_is_forgotten() -> None:
    """Folders, groups of methods and what is written into study.json have tests of their own."""
    elsewhere = {"out", "ckplus", "oulu_casia", "mmi", "methods", "publishable", "consent"}
    assert {field.name for field in dataclasses.fields(StudyOptions)} == REACHES.keys() | elsewhere


@pytest.mark.parametrize("name", DATABASES)
def test_a_copy_elsewhere_takes_the_place_of_its_own_database(name: str, files: Path) -> None:
    """The others stay below ``--data``."""
    options = replace(DEFAULT, data=str(files / "copies"), **{name: str(files / "elsewhere")})
    _, config = study_config(options)
    expected = {one: str(files / "elsewhere" if one == name else files / "copies" / one) for one in DATABASES}
    assert config.data_roots == expected


def test_groups_of_methods_are_expanded_and_the_profile_names_the_folder(files: Path) -> None:
    """The group's members once each; your own method comes on top."""
    options = replace(DEFAULT, methods=("granularity",), method=(f"{files}/mine.py:CosineGNDL",))
    out, config = study_config(options)
    assert config.settings.methods == (*METHOD_GROUPS["granularity"], "cosine-gndl")
    assert out == cli.resolve("runs/quick") and study_config(replace(options, out=f"{files}/new"))[0] == files / "new"


def test_whose_faces_may_be_printed_is_written_into_the_study(tmp_path: Path) -> None:
    """A list of subjects, and the consent of the people in a manifest."""
    (tmp_path / "who.csv").write_text("database,subject\nmmi,S002\n")
    options = replace(DEFAULT, profile="smoke", databases=("mmi",), out=str(tmp_path / "study"), device="cpu", jobs=2)
    (one,) = cli.saved_studies(replace(options, publishable=str(tmp_path / "who.csv")))
    assert one.name == "mmi" and one.out == tmp_path / "study"
    assert "S002" in str(read_study_json(tmp_path / "study")["publishable"])
    before = read_study_json(tmp_path / "study")
    cli.saved_studies(replace(options, consent=True))
    assert read_study_json(tmp_path / "study")["publishable"] != before["publishable"]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cli.study(replace(DEFAULT, profile="quik")), "quick"),
        (lambda: cli.study(replace(DEFAULT, epochs=-3)), "--epochs must be >= 1, got -3"),
        (lambda: cli.study(replace(DEFAULT, n_folds=1)), "--n-folds must be >= 2, got 1"),
        (lambda: cli.study(replace(DEFAULT, jobs=-1)), r"--jobs must be >= 0 \(0 = one per core\), got -1"),
        (lambda: cli.study(DEFAULT, notebook_timeout=-1), "--notebook-timeout must be >= 0"),
        (lambda: cli.train(replace(DEFAULT, checkpoint_every=0)), "--checkpoint-every must be >= 1"),
        (lambda: cli.train(DEFAULT, lams=("five",)), "--lams takes numbers such as 0,1, got 'five'"),
        (lambda: cli.study(replace(DEFAULT, weights="nowhere.pth")), r"nowhere\.pth: no such file \(--weights\)"),
        (lambda: cli.study(replace(DEFAULT, databases=("ckpls",))), r"Unknown database 'ckpls'. Did you mean ckplus"),
        (lambda: cli.study(replace(DEFAULT, only_folds=("first",))), "--only-folds takes numbers"),
        (lambda: cli.study(replace(DEFAULT, methods=("ablation",))), r"Unknown method.*Did you mean ablations\?"),
        (lambda: cli.study(replace(DEFAULT, databases=("manifest",))), "--data MANIFEST.csv"),
        (lambda: cli.study(replace(DEFAULT, databases=())), "--databases"),
        (lambda: cli.train(DEFAULT, train_on="ckplus"), "--train-on and --test-on go together"),
        (lambda: cli.train(DEFAULT, train_on="ckplus", test_on="mni"), "Did you mean mmi"),
        (lambda: cli.train(replace(DEFAULT, databases=("mmi",)), across=True), "at least two --databases"),
        (lambda: cli.train(DEFAULT, across=True, sweep=True), "--sweep cannot be used across databases"),
        (lambda: cli.train(replace(DEFAULT, only_folds=("0",)), across=True), "--only-folds cannot be used"),
        (lambda: cli.train(replace(DEFAULT, select_on="dev"), across=True), "--select-on cannot be used"),
        (lambda: cli.train(replace(DEFAULT, shard="1/2"), across=True), "--shard cannot be used"),
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


class Recorded(GndlError):
    """Ends a command once what it calls was recorded."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Function that replaces ``module:function``, and returns the dict that gets its arguments."""

    def replaced(target: str) -> dict[str, Any]:
        module, _, name = target.partition(":")
        signature = inspect.signature(getattr(importlib.import_module(module), name))
        arguments: dict[str, Any] = {}

        def record(*given: Any, **named: Any) -> None:
            bound = signature.bind(*given, **named)
            bound.apply_defaults()
            arguments.update(bound.arguments)
            raise Recorded

        monkeypatch.setattr(importlib.import_module(module), name, record)
        return arguments

    return replaced


@pytest.mark.parametrize(
    ("words", "target", "expected"),
    [
        ("check {}", "gndl.check:audit_study", {"out": "{}"}),
        ("check --folds {}/folds.json", "gndl.folds_audit:audit_folds", {"path": "{}/folds.json"}),
        ("check {} --database mmi --mmi-views frontal+dual", "gndl.databases:audit",
         {"name": "mmi", "root": "{}", "options": ReadOptions(mmi_views="frontal+dual")}),
        ("predict {}/a.png {}/b.png --run {} --device cpu", "gndl.predict:predict_photographs",
         {"run": "{}", "photographs": ["{}/a.png", "{}/b.png"], "device": "cpu"}),
        ("share {} --out {}/x.zip", "gndl.exchange:share", {"out": "{}", "to": "{}/x.zip"}),
        ("share {}", "gndl.exchange:share", {"to": None}),
        ("export {} --out {}/x", "gndl.export:export_run", {"run": "{}", "folder": "{}/x"}),
        ("export {}", "gndl.export:export_run", {"folder": None}),
        ("export-data {}/study --databases mmi", "gndl.exchange:export_data", {"folder": "{}/study-data"}),
        ("export-data {}/study --out {}/x", "gndl.exchange:export_data", {"folder": "{}/x"}),
        ("import-predictions {}/p.csv --method svm --run {}/study --database mmi --subject-disjoint "
         "--needs-neutral-at-test --seed 3", "gndl.exchange:import_predictions",
         {"file": "{}/p.csv", "name": "svm", "seed": 3, "subject_disjoint": True, "needs_neutral_at_test": True}),
        ("import-predictions {}/p.csv --method svm --run {}/study --database mmi", "gndl.exchange:import_predictions",
         {"seed": 0, "subject_disjoint": False, "needs_neutral_at_test": False}),
        ("doctor --out {}", "gndl.doctor:examine", {"out": "{}"}),
        ("render --profile smoke --databases mmi --jobs 3 --out {} --seed 3", "standins:render_database",
         {"name": "mmi", "folder": "{}/mmi", "size": SMOKE.standins["mmi"], "seed": 3, "jobs": 3}),
        ("render --profile smoke --databases mmi --out {} --sheets --seed 3", "standins:subjects_sheet",
         {"path": "{}/standin_mmi.jpg", "size": SMOKE.standins["mmi"], "seed": 3}),
        ("render --counterfactual 10 --out {} --seed 3", "standins:render_factorial",
         {"folder": "{}", "subjects": 10, "seed": 3}),
    ],
)  # fmt: skip
def test_each_command_passes_every_option_on(
    monkeypatch: pytest.MonkeyPatch, called: Any, tmp_path: Path, words: str, target: str, expected: dict[str, Any]
) -> None:
    """As typed in a terminal."""
    if "{}/study" in words:
        write_planted_study(tmp_path / "study", ["mmi"])
    arguments = called(target)
    assert run(monkeypatch, *filled(tuple(words.split()), tmp_path)) == 1
    as_text = {name: str(value) if isinstance(value, Path) else value for name, value in arguments.items()}
    if "photographs" in as_text:
        as_text["photographs"] = list(map(str, as_text["photographs"]))
        expected = expected | {"photographs": [filled(one, tmp_path) for one in expected["photographs"]]}
    assert {name: as_text[name] for name in expected} == filled(expected, tmp_path)
    for of_studies in ("study", "studies"):
        if of_studies in arguments:
            studies = arguments[of_studies]
            (one,) = studies if isinstance(studies, list) else [studies]
            assert (one.out, one.name, one.config.device) == (tmp_path / "study", "mmi", "cpu")


@pytest.mark.parametrize("ok", [True, False])
def test_a_finding_is_printed_and_decides_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ok: bool
) -> None:
    """Of an audit and of the doctor: 0 where all is well, else 1."""
    report = type("Report", (), {"ok": ok, "__str__": lambda self: "what was found"})()
    for target in ("gndl.check.audit_study", "gndl.folds_audit.audit_folds", "gndl.doctor.examine"):
        monkeypatch.setattr(target, lambda *_: report)
    for command in (lambda: cli.check("x"), lambda: cli.check(folds="x"), cli.doctor):
        assert command() == (0 if ok else 1) and "what was found" in capsys.readouterr().out


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `gndl.engines.train_all` was given."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(
        "gndl.engines.train_all", lambda studies, plan, how: given.update(studies=studies, plan=plan, how=how)
    )
    return given


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        ({}, [("gndl", 5.0), ("baseline", None)]),
        ({"lams": ("0.5, 7",)}, [("gndl", 0.5), ("gndl", 7.0), ("baseline", None)]),
        ({"sweep": True}, [("gndl", 0.5), ("gndl", 5.0), ("baseline", None)]),
        ({"sweep": True, "lams": ("7", "5")}, [("gndl", 0.5), ("gndl", 5.0), ("gndl", 7.0), ("baseline", None)]),
    ],
)
def test_train_plans_the_lams_folds_and_seed_that_were_asked_for(
    tmp_path: Path, trained: dict[str, Any], asked: dict[str, Any], runs: list[Any]
) -> None:
    """A sweep on the folds of the sweep, everything else on all folds; how the runs are shared is passed on."""
    out = write_planted_study(tmp_path / "study", ["mmi"])
    content = (out / "study.json").read_text()
    sweep_on_fold_1 = content.replace('"sweep_folds": null', '"sweep_folds": [\n1]')
    assert sweep_on_fold_1 != content
    (out / "study.json").write_text(sweep_on_fold_1)
    (one,) = cli.open_databases(out, ())
    options = replace(DEFAULT, jobs=2, shard="1/2", runs_per_gpu=3, checkpoint_every=4, seed=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "saved_studies", lambda _: [Study(out, "mmi", replace(one.config, seeds=(6,)))])
        assert cli.train(options, **asked) == 0
    folds = [1] if asked.get("sweep") else [0, 1, 2]
    planned = [(run.method.name, run.lam, run.fold, run.seed) for run in trained["plan"](trained["studies"][0])]
    assert planned == [(*run, fold, 6) for fold in folds for run in runs]
    assert trained["how"] == Sharing(2, "joblib", 3, Shard(1, 2), 4)


def test_across_trains_each_ordered_pair_of_the_databases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Trained on the first and tested on the second; of several, joined by +, together."""
    done: list[tuple[str, str, Any]] = []
    monkeypatch.setattr(
        "gndl.analysis.across.train_across",
        lambda on, test, how: done.append(("+".join(one.name for one in on), test[0].name, how)),
    )
    options = replace(DEFAULT, profile="smoke", out=str(tmp_path), device="cpu", jobs=2)
    cli.train(replace(options, databases=("ckplus", "mmi")), across=True)
    cli.train(options, train_on="ckplus+mmi", test_on="oulu_casia")
    pairs = [("ckplus", "mmi"), ("mmi", "ckplus"), ("ckplus+mmi", "oulu_casia")]
    assert done == [(*pair, Sharing(2)) for pair in pairs]
    assert f"Runs: {tmp_path / 'across'}" in capsys.readouterr().out


def test_study_passes_its_stage_and_options_to_the_pipeline(
    tmp_path: Path, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One stage, or a share of the runs without notebooks; the exit status is the pipeline's."""
    seen: list[tuple[dict[str, Any], Any]] = []
    monkeypatch.setattr(Pipeline, "run", lambda self, only: (seen.append((vars(self), only)), 3)[1])
    words = ["--profile", "smoke", "--databases", "mmi", "--out", str(tmp_path), "--device", "cpu"]
    assert run(monkeypatch, "study", *words, "--only", "crops", "--jobs", "2", "--notebook-timeout", "7.5") == 3
    pipeline, only = seen.pop()
    assert (pipeline["out"], pipeline["jobs"], pipeline["timeout"], only) == (tmp_path, 2, 7.5, "crops")
    assert pipeline["how"] == Sharing(2) and list(pipeline["config"].data_roots) == ["mmi"]
    assert cli.study(replace(DEFAULT, profile="smoke", databases=("mmi",), out=str(tmp_path), device="cpu")) == 3
    pipeline, only = seen.pop()
    assert (pipeline["timeout"], only) == (None, None) and pipeline["jobs"] >= 1
    assert run(monkeypatch, "study", *words, "--shard", "2/2") == 0 and not seen
    assert trained["plan"] is runs_of_study and trained["how"].shard == Shard(2, 2)


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
