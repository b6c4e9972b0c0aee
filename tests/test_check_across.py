"""The audit of runs across databases passes honest ones, finds every tampering, and says what it has not seen."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gndl import results
from gndl.checking.across import check_across
from gndl.checking.samples import samples_of_crops
from gndl.checking.study import audit_study
from gndl.cross import cross_pairs
from gndl.files import hash_json, write_json
from gndl.identity import run_identity
from gndl.methods import method_settings
from gndl.pairs import FacePairs
from gndl.paper import EXPRESSIONS
from gndl.profiles import TrainSettings
from gndl.record import write_epochs, write_predictions
from gndl.results import FinishedRun
from gndl.train import pairs_per_epoch

PAIR = "study/across/ckplus-to-mmi"
RUN = f"{PAIR}/gndl/lam-5/fold-0/seed-0"
SETTINGS = TrainSettings(batch_size=4)


def write_database(base: Path, name: str, draw: int) -> FacePairs:
    """Two sequences of each class with two examined frames, six subjects: crops.csv of the study, and the cache."""
    rows, labels = [], []
    for number in range(2 * len(EXPRESSIONS[name])):
        for place, role in enumerate(("neutral", "examined 1", "examined 2")):
            file = f"{number}_{place}.png"
            names = {"sequence": f"Q{number}", "subject": f"S{number % 6}", "role": role, "frame": file}
            kept = {"source_file": file, "source_sha256": hash_json([name, file]), "crop": len(rows)}
            rows.append({"database": name, "source": "rendered", **names, **kept})
        labels += [number // 2] * 2
    crops = pd.DataFrame(rows)
    images = np.random.default_rng(draw).integers(0, 256, (len(rows), 8, 8), dtype=np.uint8)
    cached = base / "data" / "crops" / f"{draw:016}"
    for folder in (base / "study" / name, cached):
        results.write_csv(crops, folder / "crops.csv")
    np.save(cached / "images.npy", images)
    samples = samples_of_crops(crops)
    columns = (list(samples[column]) for column in ("subject", "sequence", "frame"))
    examined, neutral = samples["crop"].to_numpy(np.int64), samples["neutral_crop"].to_numpy(np.int64)
    return FacePairs(images, examined, neutral, np.array(labels, dtype=np.int64), *columns, EXPRESSIONS[name])


def write_pair(out: Path, train: tuple[str, FacePairs], test: tuple[str, FacePairs]) -> None:
    """Both methods once, as `gndl.cross.train_across` leaves them, with predictions drawn by chance."""
    cross = cross_pairs([train], [test])
    folder = out / "across" / cross.name
    results.write_csv(cross.left_out, folder / "left_out.csv")
    for name, lam in (("baseline", None), ("gndl", 5.0)):
        settings = method_settings(name)
        run = folder / name / ("lam-none" if lam is None else "lam-5") / "fold-0" / "seed-0"
        drawn = np.random.default_rng(len(name)).dirichlet(np.ones(6), len(cross.test_index)).astype(np.float32)
        truth = cross.pairs.label[cross.test_index]
        last = float((drawn.argmax(axis=1) == truth).mean())
        write_predictions(run, cross.pairs, cross.test_index, drawn)
        rows = {"loss": 1.0, "loss_cls": 1.0, "loss_neu": None, "accuracy_train": 0.5}
        write_epochs(run, [{"epoch": 1, **rows, "accuracy_test": 1.0}, {"epoch": 2, **rows, "accuracy_test": last}])
        identity = run_identity(
            settings, cross.pairs, cross.train_index, cross.test_index, SETTINGS, lam=lam, fold=0, seed=0,
            device=torch.device("cpu"), extra={"database": cross.name, "source": "rendered"},
        )  # fmt: skip
        n_train = len(cross.train_index)
        record = {
            "method": settings.as_json(), "variant": name, "lam": lam, "fold": 0, "seed": 0, "epochs": 2,
            "needs_neutral_at_test": False, "accuracy_last": last, "accuracy_best": 1.0, "epoch_best": 1,
            "n_train": n_train, "n_test": len(cross.test_index), "parameters": 10,
            "images_per_epoch": settings.images_per_pair * pairs_per_epoch(n_train, SETTINGS.batch_size),
            "expressions": list(cross.pairs.expressions), "identity": identity, "identity_hash": hash_json(identity),
        }  # fmt: skip
        write_json(run / "run.json", record)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that was run across CK+ and MMI, both ways, and no other way; not to be written to."""
    base = tmp_path_factory.mktemp("across")
    pairs = {name: write_database(base, name, draw) for draw, name in enumerate(("ckplus", "mmi"))}
    for train, test in (("ckplus", "mmi"), ("mmi", "ckplus")):
        write_pair(base / "study", (train, pairs[train]), (test, pairs[test]))
    return base


@pytest.fixture
def base(honest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which a test may tamper with."""
    shutil.copytree(honest, tmp_path / "base")
    monkeypatch.setenv("GNDL_DATA", str(tmp_path / "base" / "data"))
    return tmp_path / "base"


def audit(base: Path, within: tuple[FinishedRun, ...] = ()) -> tuple[list[str], str, str]:
    """Problems, and what was verified and not, as text."""
    parts = check_across(base / "study", within, {})
    problems = [line for part in parts for line in part.problems]
    texts = ("\n".join(line for part in parts for line in getattr(part, name)) for name in ("verified", "unverified"))
    return (problems, *texts)


def test_honest_runs_pass_and_what_nobody_says_is_not_called_verified(base: Path) -> None:
    """Contempt was tested nowhere, and is in no set; how much of it fell out cannot be counted from here."""
    problems, verified, unverified = audit(base)
    assert problems == []
    assert "accuracies and best epochs of 4 runs" in verified
    for pair, test in (("ckplus-to-mmi", "mmi"), ("mmi-to-ckplus", "ckplus")):
        assert f"across/{pair}: training and test sets of 2 runs, all subjects of {test} untrained" in verified
        assert f"across/{pair}: pixels of the cached crops, labels and names" in verified
        assert f"across/{pair}: left_out.csv" in unverified
    shutil.rmtree(base / "study/across/mmi-to-ckplus")
    problems, verified, unverified = audit(base)
    assert problems == [] and "training" not in verified and "the classes of ckplus are not at hand" in unverified


def within(base: Path) -> tuple[FinishedRun, ...]:
    """A run within CK+ that says the class of every sequence."""
    folder = base / "study/ckplus/baseline/lam-none/fold-0/seed-0"
    truth = [(f"Q{number}", EXPRESSIONS["ckplus"][number // 2]) for number in range(14)]
    results.write_csv(pd.DataFrame(truth, columns=["sequence", "truth"]), folder / "predictions.csv")
    return (FinishedRun(folder, "ckplus", "baseline", "none", 0, 0, {}),)


def test_what_falls_out_is_counted_again_where_classes_are_known(base: Path) -> None:
    """Two sequences of contempt with two frames each; one frame fewer in left_out.csv is found."""
    problems, verified, unverified = audit(base, within(base))
    assert problems == [] and "what falls out (left_out.csv)" in verified and unverified == ""
    path = base / PAIR / "left_out.csv"
    assert path.read_text() == "database,expression,pairs,subjects\nckplus,contempt,4,2\n"
    path.write_text("database,expression,pairs,subjects\nckplus,contempt,3,2\n")
    assert [line for line in audit(base, within(base))[0] if str(path) in line and "does not count" in line]


def change_record(base: Path, *, identity: dict[str, object] | None = None, **changes: object) -> None:
    """Change run.json, with a new hash beside a changed identity, as somebody would who knows how."""
    record = json.loads((base / RUN / "run.json").read_text()) | changes
    record["identity"] |= identity or {}
    write_json(base / RUN / "run.json", record | {"identity_hash": hash_json(record["identity"])})


def change_predictions(base: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """Change the predictions of one run."""
    path = base / RUN / "predictions.csv"
    results.write_csv(change(pd.read_csv(path)), path)


def pixel(base: Path) -> None:
    """Change one pixel of a neutral face of CK+."""
    path = base / "data/crops" / f"{0:016}" / "images.npy"
    images = np.load(path)
    images[0, 2, 2] ^= 1
    np.save(path, images)


def subject(base: Path) -> None:
    """Give a sequence of MMI to somebody else, in the study and in the cache."""
    for path in (base / "study/mmi/crops.csv", base / "data/crops" / f"{1:016}" / "crops.csv"):
        crops = pd.read_csv(path)
        results.write_csv(crops.assign(subject=crops["subject"].where(crops["sequence"] != "Q0", "S9")), path)


TAMPERINGS: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a prediction": (
        lambda base: change_predictions(base, lambda table: table.assign(predicted=table["truth"])),
        f"{RUN}/predictions.csv",
        "gives an accuracy of",
    ),
    "the best epoch": (lambda base: change_record(base, epoch_best=2), f"{RUN}/epochs.csv", "the best epoch is 1"),
    "a row": (
        lambda base: change_predictions(base, lambda table: table.iloc[1:]),
        f"{RUN}/predictions.csv",
        "does not hold the 24 samples of mmi",
    ),
    "who was tested": (
        lambda base: change_predictions(base, lambda table: table.replace("mmi/S1", "ckplus/S1")),
        f"{RUN}/predictions.csv",
        "tests ckplus/S1, who is not of mmi",
    ),
    "whose sequence it is": (subject, f"{RUN}/predictions.csv", "mmi/crops.csv makes it"),
    "a truth of one run": (
        lambda base: change_predictions(base, lambda t: t.assign(truth=t["truth"].replace("anger", "fear"))),
        "predictions.csv",
        "another run says",
    ),
    "training on those tested": (
        lambda base: change_record(base, identity={"train_samples": hash_json(list(range(48)))}),
        f"{RUN}/run.json",
        "was not trained on exactly the samples",
    ),
    "a training set that is said to be smaller": (
        lambda base: change_record(base, n_train=20),
        f"{RUN}/run.json",
        "n_train is 20; the crops give 24",
    ),
    "the images per epoch": (lambda base: change_record(base, images_per_epoch=24), "run.json", "the crops give 48"),
    "the databases": (
        lambda base: change_record(base, identity={"extra": {"database": "oulu_casia-to-mmi", "source": "rendered"}}),
        f"{RUN}/run.json",
        "is of oulu_casia-to-mmi",
    ),
    "a class": (
        lambda base: [
            write_json(file, json.loads(file.read_text()) | {"expressions": ["anger", "fear"]})
            for file in (base / PAIR).glob("*/*/*/*/run.json")
        ],
        PAIR,
        "all databases have anger, disgust",
    ),
    "a pixel": (pixel, "run.json", "other pixels or labels"),
    "a database on both sides": (
        lambda base: (base / PAIR).rename(base / "study/across/mmi+ckplus-to-mmi"),
        "mmi+ckplus-to-mmi",
        "is trained on and tested on",
    ),
    "no crops.csv": (lambda base: (base / "study/mmi/crops.csv").unlink(), "mmi/crops.csv", "is missing"),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_a_tampered_file_is_found_by_name(base: Path, name: str) -> None:
    """One line at least names the file and says what is wrong with it."""
    tamper, file, words = TAMPERINGS[name]
    tamper(base)
    problems = audit(base)[0]
    assert [line for line in problems if file in line and words in line], problems


def test_a_study_that_ran_across_alone_is_audited(base: Path) -> None:
    """It has no accuracy.csv and needs none; its study.json is looked at as any other."""
    found = audit_study(base / "study")
    assert len(found.problems) == 1 and "study.json is missing" in found.problems[0]
    assert any("4 runs" in line for line in found.verified)
