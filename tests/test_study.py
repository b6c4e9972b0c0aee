"""Open a study: finished runs need no pictures, what is asked is checked first, and nothing is ever mixed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import open_trained
from planted import planted_pairs
from planted_runs import CLASSES, planted_settings, predictions, write_planted_study, write_run

import gndl
from gndl import cli, results
from gndl.databases import write_frames_csv
from gndl.engines import Shard, Sharing, planned_runs, train_all
from gndl.files import GndlError, hash_file, hash_json, write_json
from gndl.folds import Folds, deal_folds, with_development, write_folds
from gndl.methods import method_settings
from gndl.opening import database_root, fix_source, joined, save_config, study_folds
from gndl.profiles import PROFILES, SMOKE, StudyConfig
from gndl.runs import MAX_SEED
from gndl.study import Study, runs_of_study


def opened(out: Path, **options: Any) -> Study:
    return gndl.open_study("ckplus", **{"profile": "smoke", "out": out, "device": "auto"} | options)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def copy(trained_study: Path, tmp_path: Path) -> Path:
    """A copy of the trained study that a test may change, next to its pictures."""
    shutil.copytree(trained_study / "study", tmp_path / "study")
    (tmp_path / "ckplus").symlink_to(trained_study / "ckplus")
    content = json.loads((tmp_path / "study" / "study.json").read_text())
    content["asked"]["data_roots"]["ckplus"] = str((tmp_path / "ckplus").resolve())
    write_json(tmp_path / "study" / "study.json", content)
    return tmp_path


def test_finished_runs_are_returned_without_torch_or_a_picture(planted_study: Path) -> None:
    """No picture of this study exists; each fold's accuracy is the planted one."""
    script = (
        "import sys, gndl\n"
        f"study = gndl.open_study('ckplus', profile='smoke', out={str(planted_study)!r})\n"
        "print(*study.train().runs['accuracy_last'].round(4))\n"
        "print(study.classes, study.notice(), {'torch', 'matplotlib', 'warp'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    accuracies, rest = done.stdout.splitlines()
    assert accuracies == "0.8333 0.8333 0.8333 0.9444 0.9444 0.9444"
    assert rest.startswith(str(CLASSES)) and "no real people" in rest and rest.endswith("set()")


def test_only_what_was_asked_for_is_returned(planted_study: Path) -> None:
    """One method at both λ, on one fold; the whole study has nine runs of CK+."""
    study = opened(planted_study)
    found = study.train(["gndl"], lams=[0.5, 5], folds=[0])
    assert found.runs["accuracy_last"].round(4).tolist() == [0.8333, 0.9444]
    assert len(study.results().runs) == len(runs_of_study(study)) == 9


def test_the_plan_goes_fold_by_fold_and_seed_by_seed(planted_study: Path) -> None:
    """Within a seed the costly method first; λ is left out where a method has none; the sweep follows the headline."""
    study = opened(planted_study, seed=0)
    study.config = replace(study.config, seeds=(0, 4))
    plan = [(run.fold, run.seed, run.variant, run.lam) for run in study.plan(lams=[0.5, 5], folds=[2, 0])]
    each = [("gndl", 0.5), ("gndl", 5), ("baseline", None)]
    assert plan == [(fold, seed, *run) for fold in (2, 0) for seed in (0, 4) for run in each]
    assert study.plan()[0].folder == planted_study / "ckplus/gndl/lam-5/fold-0/seed-0"
    assert [run.seed for run in study.plan(["gndl", "imported-x"], folds=[1], seeds=[9])] == [9]
    study.config = replace(study.config, seeds=(0,), settings=replace(study.settings, sweep_folds=(1, 7)))
    assert study.sweep_folds == (1,)
    headline, sweep = runs_of_study(study)[:6], runs_of_study(study)[6:]
    assert headline == study.plan() and [(run.fold, run.variant, run.lam) for run in sweep] == [(1, "gndl", 0.5)]
    study.config = replace(study.config, settings=replace(study.settings, only_folds=(2,)))
    assert study.run_folds == study.sweep_folds == (2,), "where none of the sweep's folds is run, all that are"
    with pytest.raises(GndlError, match="no fold 3: folds are numbered 0 to 2"):
        study.plan(folds=[3])


def test_what_a_method_cannot_do_is_refused_in_the_plan(planted_study: Path) -> None:
    """Once, naming the method and what to do, before the first run of any method."""
    study = opened(planted_study)
    for size in (32, 40):
        train = replace(study.settings.train, image_size=size)
        study.config = replace(study.config, settings=replace(study.settings, train=train))
        if size == 32:
            assert len(study.plan(["gndl", "derl", "gcnet"], folds=[0])) == 3
        else:
            with pytest.raises(GndlError, match="gcnet needs faces of a multiple of 32 pixels, not 40; choose another"):
                study.plan(["gndl", "gcnet"])
    study.config = replace(study.config, weights="resnet18_mine.pth", settings=PROFILES["smoke"])
    with pytest.raises(GndlError, match=r"derl has no backbone .* leave out this method, or the weights"):
        study.plan(["gndl", "derl"])


def test_a_run_is_trained_as_the_study_says(planted_study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own fold, seed, λ and folder; settings, device, weights and development subjects are the study's."""
    study, given = opened(planted_study, device="cpu"), dict[str, Any]()
    study.pairs = planted_pairs()
    study.folds = with_development(deal_folds(study.pairs.subject, study.pairs.label.tolist(), 3))
    monkeypatch.setattr("gndl.train.fit", lambda *positional, **named: given.update(named, positional=positional))
    run = study.plan(["gndl"], [0.5], [1], [4])[0]
    study.fit(run)
    method, pairs, training, tested, settings = given.pop("positional")
    subjects = [np.unique(np.array(pairs.subject)[index]).tolist() for index in (training, tested, given["dev_index"])]
    assert subjects[1:] == [list(study.folds.test_subjects[1]), list(study.folds.test_subjects[2])]
    assert subjects[0] == sorted(study.folds.test_subjects[0]) and len(training) + len(tested) == 16
    assert (method, settings) == (run.method, study.train_settings)
    kept = ("run_folder", "lam", "fold", "seed", "device", "weights", "show_progress")
    assert [given[name] for name in kept] == [run.folder, 0.5, 1, 4, "cpu", None, False]
    assert given["identity"] == {
        "database": "ckplus", "source": "rendered",
        "test_subjects": hash_json(subjects[1]), "dev_subjects": hash_json(subjects[2]),
    }  # fmt: skip
    study.folds = Folds(study.folds.test_subjects)
    study.fit(replace(run, method=method_settings("gndl-shuffled-neutral")))
    assert given["dev_index"] is None and "dev_subjects" not in given["identity"]
    assert pairs is study.pairs and given["positional"][1].content_hash != pairs.content_hash, "it arranges its own"


def test_a_finished_run_is_told_apart_by_device_unless_any_will_do(planted_study: Path) -> None:
    run = opened(planted_study).plan()[0]
    assert opened(planted_study, device="auto").finished(run) is not None
    with pytest.raises(GndlError, match="device: cpu, now cuda"):
        opened(planted_study, device="cuda").finished(run)


def change_run(folder: Path, **identity: Any) -> None:
    run = json.loads((folder / "run.json").read_text())
    write_json(folder / "run.json", run | {"identity": run["identity"] | identity})


def test_a_finished_run_is_told_apart_by_weights_and_by_pairs(planted_study: Path, tmp_path: Path) -> None:
    """By the content of the weights; by the pairs that study.json remembers, unless the method arranges its own."""
    out, weights = tmp_path / "study", tmp_path / "resnet18_mine.pth"
    shutil.copytree(planted_study, out)
    weights.write_bytes(b"weights")
    study = opened(out)
    shutil.copytree(study.plan()[0].folder, out / "ckplus/gndl-mine/lam-5/fold-0/seed-0")
    study.config = replace(study.config, weights=str(weights))
    run = study.plan()[0]
    change_run(run.folder, weights=hash_file(weights))
    assert run.variant == "gndl-mine" and study.finished(run) is not None
    weights.write_bytes(b"others")
    with pytest.raises(GndlError, match="weights: "):
        study.finished(run)
    study = opened(out)
    first, shuffled = (study.plan([method], folds=[0])[0] for method in ("gndl", "gndl-shuffled-neutral"))
    shutil.copytree(first.folder, shuffled.folder)
    change_run(shuffled.folder, pairs="arranged", method=shuffled.method.as_json())
    assert study.finished(shuffled) is not None
    change_run(first.folder, pairs="others")
    with pytest.raises(GndlError, match="pairs: others, now planted"):
        study.finished(first)


def test_epochs_are_raised_for_the_fold_that_trains_on_fewest_pairs(planted_study: Path, tmp_path: Path) -> None:
    """Of 24 pairs, folds 0 to 2 train on 20, 16 and 12: 12 pairs in batches of 4 make 30 steps in ten epochs."""
    shutil.copytree(planted_study, tmp_path / "study")
    shutil.rmtree(tmp_path / "study/ckplus")
    study = opened(tmp_path / "study")
    train = replace(study.settings.train, epochs=1, batch_size=4, min_steps=30)
    study.config = replace(study.config, settings=replace(study.settings, train=train))
    study.pairs = planted_pairs()  # four pairs of each of S000 to S005
    study.folds = Folds((("S000",), ("S001", "S002"), ("S003", "S004", "S005")))
    assert study.train_settings == replace(train, epochs=10)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("rendered", "Synthetic stand-in for CK+ (no real people)"),
        ("licensed", "a licensed copy of CK+; they must not be passed on"),
        ("own", "Faces of your own database"),
    ],
)
def test_a_notice_says_whose_faces_and_which_folds(planted_study: Path, source: Any, words: str) -> None:
    study = opened(planted_study)
    study.source = source
    assert words in study.notice() and f"Profile `smoke`, all folds: {SMOKE.purpose}." in study.notice()
    assert study.title == ("CK+ stand-in" if source == "rendered" else "CK+")
    for folds, text in (((1,), "fold 1:"), ((0, 2), "folds 0, 2:")):
        study.config = replace(study.config, settings=replace(study.settings, only_folds=folds))
        assert f"`smoke`, {text}" in study.notice()


def test_a_packed_record_is_read_and_never_written(planted_study: Path, tmp_path: Path) -> None:
    """Missing runs are named; its figures are those of the repository."""
    record = tmp_path / "record"
    results.pack(planted_study, record)
    before, study = files(record), opened(record, seed=0)
    assert study.train().runs["accuracy_last"].round(4).tolist() == [0.8333] * 3 + [0.9444] * 3
    assert study.classes == CLASSES and study.run_folds == (0, 1, 2) and study.title == "CK+ stand-in"
    assert study.folds == opened(planted_study).folds and study.train_settings.epochs == 2
    assert study.figures == Path(gndl.__file__).parent.parent / "figures" / "ckplus"
    with pytest.raises(GndlError, match=r"packed record and lacks 3 runs: ckplus gndl-sum λ=5 fold 0"):
        study.train(["gndl-sum"])
    with pytest.raises(GndlError, match="lacks 6 runs"):
        opened(record, seed=1).train()
    assert files(record) == before


def test_a_study_of_version_1_opens(copy: Path) -> None:
    """Its study.json remembers no pictures, which are read once, and has a setting that is gone; its runs hash code."""
    out = copy / "study"
    content = json.loads((out / "study.json").read_text())
    del content["databases"], content["asked"]["device"], content["asked"]["settings"]["select_on"]
    content["asked"]["settings"]["train"]["keep_state"] = False
    write_json(out / "study.json", content)
    for path in out.glob("ckplus/*/*/*/*/run.json"):
        run = json.loads(path.read_text())
        del run["identity"]["numbers"]
        write_json(path, run | {"identity": run["identity"] | {"code": {"model": "0" * 64}}})
    before = {path: path.read_bytes() for path in out.glob("ckplus/*/*/*/*/*")}
    study = open_trained(copy)
    assert len(study.train().runs) == 4 and "pairs" in vars(study)
    again = open_trained(copy)
    assert len(again.train().runs) == 4 and "pairs" not in vars(again)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_imported_predictions_stand_next_to_trained_runs(tmp_path: Path) -> None:
    """They are read, not trained; a method whose class is not here is named with what to do."""
    out = write_planted_study(tmp_path / "study", ("ckplus",))
    write_run(out, "imported-theirs", "none", 0, predictions([("S000", "S000_000", "anger", (0.8, 0.1, 0.1))]))
    found = opened(out).train(["gndl", "imported-theirs"], folds=[0])
    assert sorted(found.runs["method"]) == ["gndl", "imported-theirs"]
    with pytest.raises(GndlError, match="no fold 99"):
        opened(out).train(["gndl"], folds=[99])
    with pytest.raises(GndlError, match=r'"elsewhere" is unknown.*--method FILE\.py:CLASS'):
        opened(out).train(["gndl", "elsewhere"])


def test_what_is_missing_is_trained_and_the_rest_is_left_alone(copy: Path) -> None:
    """Another λ trains GNDL alone; accuracy.csv gains its rows; the runs before keep their bytes."""
    study = open_trained(copy)
    before = files(study.out)
    added = study.train(lams=[0.5], folds=[0]).runs
    assert added[["method", "fold"]].to_numpy().tolist() == [["baseline", 0], ["gndl", 0]]
    after = files(study.out)
    new = {name for name in after if after[name] != before.get(name)}
    assert {name.rpartition("/")[0] for name in new} == {"", "ckplus/gndl/lam-0.5/fold-0/seed-0"}
    assert (study.out / "accuracy.csv").read_text().count("\n") == 6
    assert {"crops.csv", "folds.json"} <= {path.name for path in study.folder.iterdir()}


def test_runs_are_checked_where_pictures_are_read(copy: Path) -> None:
    """A hand-corrected frames.csv counts from then on: the runs of before are not of these faces, and said to be so."""
    study = open_trained(copy)
    path = study.folder / "frames.csv"
    write_frames_csv(study.database, path)
    assert len(open_trained(copy).train().runs) == 4, "as it was written, the file changes nothing"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], *(row.replace("00000006", "00000002") for row in rows[1:])]) + "\n")
    before = files(study.out)
    with pytest.raises(GndlError, match=r"faces have changed since its runs were trained.*delete these runs"):
        open_trained(copy).train()
    assert files(study.out) == before, "also crops.csv, which lists the faces of the runs"


def test_another_study_is_refused_by_the_setting_that_differs(planted_study: Path, tmp_path: Path) -> None:
    """Methods, λ, folds, seeds and epochs may be added; nothing is written where something else differs."""
    out = tmp_path / "study"
    shutil.copytree(planted_study, out)
    before, asked = (out / "study.json").read_bytes(), planted_settings()
    own = asked.settings

    def again(**changes: Any) -> StudyConfig:
        return save_config(out, replace(asked, settings=replace(own, **changes)))

    with pytest.raises(GndlError, match=r"another study: settings\.train\.batch_size is 16 there and 8 now"):
        again(train=replace(own.train, batch_size=8))
    with pytest.raises(GndlError, match="epochs may only grow"):
        again(train=replace(own.train, epochs=1))
    with pytest.raises(GndlError, match="study of profile 'smoke', not 'quick'"):
        opened(out, profile="quick")
    with pytest.raises(GndlError, match="reads rendered faces and mmi holds licensed ones; they never mix"):
        fix_source(out, "mmi", "licensed")
    assert (out / "study.json").read_bytes() == before
    again(methods=("gndl",), lams=(1.0,), only_folds=(0,), train=replace(own.train, epochs=3))
    assert opened(out, seed=4).train_settings.epochs == 3
    assert json.loads((out / "study.json").read_text())["seeds"] == [0, 4]


@pytest.mark.parametrize("seed", ["0", -1, MAX_SEED + 1, 1.0])
@pytest.mark.parametrize("there", [True, False])
def test_a_seed_that_cannot_be_one_is_refused_before_anything_is_written(
    planted_study: Path, tmp_path: Path, seed: Any, there: bool
) -> None:
    """Such as "0" of `papermill -r seed 0`; an existing study is left as it is, and a new one has no folder."""
    out = tmp_path / "study"
    if there:
        shutil.copytree(planted_study, out)
    before = files(out)
    with pytest.raises(GndlError, match=f"seed must be a whole number from 0 to {MAX_SEED}, got {seed!r}"):
        opened(out, seed=seed)
    if isinstance(seed, int):  # the command line reads whole numbers alone
        with pytest.raises(GndlError, match="seed must be"):
            cli.study(cli.StudyOptions(profile="smoke", databases=("ckplus",), out=str(out), seed=seed, device="cpu"))
    assert files(out) == before and out.exists() == there


def test_the_mistyped_name_of_a_packed_record_starts_no_study(planted_study: Path, tmp_path: Path) -> None:
    """In Python and on the command line, also for a dry run; the nearest record, or its folder, is named."""
    results.pack(planted_study, tmp_path / "record" / "standard")
    out = tmp_path / "record" / "standrad"
    options = cli.StudyOptions(profile="smoke", databases=("ckplus",), out=str(out), device="cpu")
    for start in (lambda: opened(out), lambda: cli.study(options), lambda: cli.study(options, dry_run=True)):
        with pytest.raises(GndlError, match=r"standrad does not exist\. Did you mean standard\?"):
            start()
    assert not out.exists()
    with pytest.raises(GndlError, match=r"else does not exist\. \S+ holds packed records \(standard\)"):
        opened(tmp_path / "record" / "else")
    with pytest.raises(GndlError, match=r"records does not exist\. Did you mean record\? .* packed record standard"):
        opened(tmp_path / "records" / "standard")
    assert [path.name for path in tmp_path.iterdir()] == ["record"]
    assert opened(tmp_path / "runs" / "standard").out.exists() and opened(tmp_path / "records" / "mine").out.exists()


def test_study_json_keeps_what_was_asked_for(tmp_path: Path) -> None:
    """And who asked, with which versions; a later call adds to it."""
    config = StudyConfig(SMOKE, data_roots={"ckplus": ""}, device="cpu", seeds=(3,))
    assert save_config(tmp_path, config) == config
    content = json.loads((tmp_path / "study.json").read_text())
    assert StudyConfig.from_json(content["asked"], tmp_path) == config
    kept = {name: content[name] for name in ("profile", "purpose", "precision", "seeds", "device", "command")}
    assert kept == {
        "profile": "smoke", "purpose": SMOKE.purpose, "precision": "fp32", "seeds": [3], "device": "cpu",
        "command": "a notebook or script",
    }  # fmt: skip
    assert {"versions", "git", "machine", "written"} <= content.keys() and "publishable" not in content
    save_config(tmp_path, replace(config, data_roots={"mmi": ""}, seeds=(1,)), consent=True)
    content = json.loads((tmp_path / "study.json").read_text())
    assert content["seeds"] == [1, 3] and content["asked"]["data_roots"] == {"ckplus": "", "mmi": ""}
    assert content["publishable"] == {"manifest": ["*"]}


def test_of_two_studies_started_at_once_in_one_folder_one_goes_on(tmp_path: Path) -> None:
    """The other is told which setting differs; what lies there is the winner's."""
    both = threading.Barrier(2)

    def start(size: int) -> str:
        both.wait()
        try:
            settings = replace(SMOKE, train=replace(SMOKE.train, batch_size=size))
            save_config(tmp_path / "out", StudyConfig(settings, data_roots={"ckplus": ""}, device="cpu"))
        except GndlError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(start, (4, 8)))
    kept = json.loads((tmp_path / "out/study.json").read_text())["asked"]["settings"]["train"]["batch_size"]
    assert said[0] == "" and f"batch_size is {kept} there and {12 - kept} now" in said[1]


def test_a_device_that_cannot_do_it_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bf16 on a slow processor until it is named; profile paper where torch cannot use the GPU that is there."""
    monkeypatch.setattr("gndl.device.has_fast_bf16", lambda device: False)
    config = StudyConfig(PROFILES["standard"], data_roots={"ckplus": ""}, device="cpu")
    with pytest.raises(GndlError, match="--precision"):
        save_config(tmp_path / "out", config)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(Path, "glob", lambda *_: iter([Path("/dev/nvidia0")]))
    with pytest.raises(GndlError, match="meant for a GPU"):
        save_config(tmp_path / "out", replace(config, settings=PROFILES["paper"], device="auto"))
    (tmp_path / "folds.json").write_text("[")
    with pytest.raises(GndlError, match=r"folds\.json: not a fold file"):
        save_config(tmp_path / "out", replace(config, precision_explicit=True, folds_file=str(tmp_path / "folds.json")))
    assert not (tmp_path / "out").exists()
    save_config(tmp_path / "out", replace(config, precision_explicit=True))
    assert (tmp_path / "out" / "study.json").exists()


def test_folds_that_do_not_exist_or_disagree_are_refused(copy: Path) -> None:
    """A fold asked for by number; another fold file; another number of folds; development subjects that are missing."""
    for asked, there, expected in (((0, 99), 3, None), (PROFILES["quick"].only_folds, 2, (0, 1))):
        study = Study(copy, "ckplus", StudyConfig(replace(PROFILES["quick"], only_folds=asked)))
        study.folds = Folds(((),) * there)
        if expected is None:
            with pytest.raises(GndlError, match="no fold 99"):
                _ = study.run_folds
        else:
            assert study.run_folds == expected, "the profile's, where there are"
    study = open_trained(copy)
    folds = json.loads((study.folder / "folds.json").read_text())
    (copy / "other.json").write_text(json.dumps({**folds, "0": folds["1"], "1": folds["0"]}))
    for changes, words in (
        ({"folds_file": str(copy / "other.json")}, "holds other folds"),
        ({"settings": replace(study.settings, n_folds=2)}, "has 3 folds and 2 are asked for"),
        ({"settings": replace(study.settings, select_on="dev")}, "holds no development subjects"),
    ):
        with pytest.raises(GndlError, match=words):
            _ = replace(study, config=replace(study.config, **changes)).folds


def test_folds_are_kept_dealt_or_those_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With development subjects where choices are made on them; a class that a fold cannot learn is told once."""
    pairs, config = planted_pairs(), StudyConfig(replace(SMOKE, n_folds=3), data_roots={"ckplus": ""})
    dealt = deal_folds(pairs.subject, pairs.label.tolist(), 3, seed=0)
    chosen = replace(config, settings=replace(config.settings, select_on="dev"))
    assert study_folds(tmp_path / "a", config, pairs) == dealt == study_folds(tmp_path / "a", config)
    assert study_folds(tmp_path / "b", chosen, pairs) == with_development(dealt) == study_folds(tmp_path / "b", chosen)
    other = Folds((dealt.test_subjects[1], dealt.test_subjects[0], dealt.test_subjects[2]))
    write_folds(tmp_path / "other.json", other)
    named = {"folds_file": str(tmp_path / "other.json")}
    assert study_folds(tmp_path / "c", replace(config, **named), pairs) == other
    assert study_folds(tmp_path / "d", replace(chosen, **named), pairs) == with_development(other)
    write_folds(tmp_path / "other.json", with_development(other))
    assert study_folds(tmp_path / "e", replace(chosen, **named), pairs) == with_development(other)
    assert not capsys.readouterr().err
    rare = replace(pairs, label=np.where(np.array(pairs.subject) == "S000", 2, pairs.label % 2))
    tested = next(fold for fold, subjects in enumerate(dealt.test_subjects) if "S000" in subjects)
    for _ in range(2):
        study_folds(tmp_path / "f", config, rare)
    told = capsys.readouterr().err
    assert told.count("which no training subject shows") == 1 and f"fold {tested} tests surprise" in told


def test_a_missing_stand_in_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Into the profile's folder; what is missing for that is named with its extra, and there is none of a manifest."""
    monkeypatch.setenv("GNDL_DATA", str(tmp_path))
    asked: list[tuple[Any, ...]] = []

    def is_standin_of(folder: Path, name: str, *, size: Any, seed: int) -> bool:
        asked.append((name, folder, size, seed))
        return False

    def render_database(name: str, folder: Path, *, size: Any, seed: int, **_: Any) -> Path:
        asked.append((name, folder, size, seed))
        return folder

    monkeypatch.setattr("standins.is_standin_of", is_standin_of)
    monkeypatch.setattr("standins.render_database", render_database)
    config = StudyConfig(SMOKE, data_roots={"mmi": "", "manifest": ""})
    folder = tmp_path / "standins" / "smoke" / "mmi"
    assert database_root(config, "mmi") == folder
    assert asked == [("mmi", folder, SMOKE.standins["mmi"], 0)] * 2
    with pytest.raises(GndlError, match="no stand-in for 'manifest'"):
        database_root(config, "manifest")

    def fail(*_: object, **__: object) -> None:
        raise ModuleNotFoundError(name="anny")

    monkeypatch.setattr("standins.render_database", fail)
    with pytest.raises(GndlError, match=r"needs the package anny: pip install 'gndl\[standins\]'"):
        database_root(config, "mmi")


def test_the_plan_of_a_dry_run_reads_and_writes_nothing(planted_study: Path, tmp_path: Path) -> None:
    """All runs of all databases with their state; two shares are the whole."""
    asked = planted_settings()

    def planned(out: Path, shard: Shard | None = None) -> pd.DataFrame:
        studies = [Study(out, name, joined(out, asked)) for name in asked.data_roots]
        return planned_runs(studies, runs_of_study, shard)

    plan = planned(tmp_path / "nothing")
    assert len(plan) == 18 and set(plan["state"]) == {"missing"} and not (tmp_path / "nothing").exists()
    assert set(planned(planted_study)["state"]) == {"finished"}
    shares = pd.concat([planned(planted_study, Shard(number, 2)) for number in (1, 2)])
    assert len(shares) == 18 and not shares.duplicated().any()
    with pytest.raises(GndlError, match="another study"):
        joined(planted_study, replace(asked, allow_missing_faces=True))
    shutil.copytree(planted_study, tmp_path / "study")
    (tmp_path / "study/mmi/gndl/lam-5/fold-0/seed-0/run.json").unlink()
    shutil.rmtree(tmp_path / "study/mmi/gndl/lam-5/fold-1")
    states = planned(tmp_path / "study").query("database == 'mmi' and lam == 5")
    assert states[["fold", "state"]].to_numpy().tolist() == [[0, "begun"], [1, "missing"], [2, "finished"]]
    asked = replace(asked, settings=replace(asked.settings, train=replace(asked.settings.train, epochs=3)))
    assert set(planned(planted_study)["state"]) == {"begun"}, "fewer epochs than asked for"


@pytest.mark.parametrize(("n_folds", "folds"), [(None, 10), (3, 3)])
def test_a_dry_run_foretells_the_number_of_folds(tmp_path: Path, n_folds: int, folds: int) -> None:
    """As many as asked for, or the paper's ten."""
    settings = replace(SMOKE, n_folds=n_folds, only_folds=None)
    study = Study(tmp_path, "ckplus", StudyConfig(settings, data_roots={"ckplus": ""}))
    assert planned_runs([study], Study.plan)["fold"].unique().tolist() == list(range(folds))


def test_every_database_is_trained_before_failures_are_told(copy: Path) -> None:
    """One run's checkpoint is damaged: it is named, and accuracy.csv is written all the same."""
    study = open_trained(copy)
    folder = study.folder / "gndl/lam-0.5/fold-0/seed-0"
    folder.mkdir(parents=True)
    (folder / "resume.pt").write_bytes(b"not a checkpoint")
    (study.out / "accuracy.csv").unlink()
    with pytest.raises(GndlError, match=r"1 of 1 runs failed.*resume\.pt.*1 of 1 runs failed.*resume\.pt"):
        train_all([study, study], lambda one: one.plan(["gndl"], [0.5], [0]), Sharing(jobs=1, shard=Shard(1, 1)))
    assert (study.out / "accuracy.csv").exists()
