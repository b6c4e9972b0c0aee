"""Which run is which: identities, run.json of this and of version 1, the tables of a run."""

from __future__ import annotations

import copy
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import planted_pairs

from gndl.files import GndlError, hash_json
from gndl.folds import deal_folds
from gndl.methods import BUILT_IN, method_settings
from gndl.profiles import Augmentation, TrainSettings
from gndl.record import run_key_of
from gndl.runs import (
    MAX_SEED,
    NUMBERS,
    Run,
    differences,
    find_run,
    git_state,
    machine,
    pairs_per_epoch,
    raise_epochs,
    read_epochs,
    read_run,
    require_same,
    run_folder,
    run_identity,
    versions,
    write_epochs,
    write_predictions,
)

PAIRS = planted_pairs()
TRAIN, TEST = deal_folds(PAIRS.subject, PAIRS.label, 3).train_test(0, PAIRS.subject)
SETTINGS = TrainSettings(image_size=32, epochs=3, batch_size=8, checkpoint_every=0)

IDENTITY_OF_VERSION_1: dict[str, Any] = {
    "method": {
        "name": "gndl", "base": "gndl", "options": {}, "uses_lam": True, "images_per_pair": 2,
        "needs_neutral_at_test": False,
    },
    "lam": 5.0, "fold": 0, "seed": 0, "device": "cpu",
    "train": {
        "image_size": 32, "batch_size": 8, "learning_rate": 0.001, "betas": [0.9, 0.999], "weight_decay": 0.0,
        "schedule": "constant", "precision": "fp32", "threads": 1, "input_mean": [0.485, 0.456, 0.406],
        "input_std": [0.229, 0.224, 0.225],
        "augmentation": {
            "flip_probability": 0.5, "noise_probability": 0.5, "noise_sigma": 0.03, "independent_noise": False,
        },
    },
    "weights": None,
    "pairs": "0a2ba881a3c80b6a3bd1cebd7d9f5a1f5061d55ae4a745542441422c15f3a68c",
    "train_samples": "3655b5d79b2b6606e027668185281c5d445d53ba1209367b3331593cfab2d7cd",
    "test_samples": "544e6ff023e95d2576f2210831642509eb5d3c00606a5b943b69d533bc000ec2",
    "code": {"model": "b02e56e3ce7d764012810f6fbae6c697b55920a9e27dfbacd9db0847f5cfb467"},
    "extra": {"source": "rendered"},
}  # fmt: skip
"""What version 1 wrote for the planted pairs; of its hashes of code one."""

RUN_OF_VERSION_1: dict[str, Any] = {
    "method": IDENTITY_OF_VERSION_1["method"], "variant": "gndl", "lam": 5.0, "fold": 0, "seed": 0, "epochs": 2,
    "needs_neutral_at_test": False, "accuracy_last": 0.5, "accuracy_best": 1, "epoch_best": 1, "n_train": 16,
    "n_test": 8, "steps": 4, "parameters": 11836230, "images_per_epoch": 32,
    "expressions": ["anger", "happiness", "surprise"], "colour": False, "settings": {"keep_state": False},
    "weights": None, "identity": IDENTITY_OF_VERSION_1, "identity_hash": hash_json(IDENTITY_OF_VERSION_1),
}  # fmt: skip


def identity(method: str = "gndl", settings: TrainSettings = SETTINGS, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "pairs": PAIRS.content_hash, "lam": 5.0, "fold": 0, "seed": 0, "device": "cpu",
        "extra": {"source": "rendered"}, "train_index": TRAIN, "test_index": TEST,
    }  # fmt: skip
    return run_identity(method_settings(method), settings, **(given | changed))


def written(folder: Path, record: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(record))
    return folder


def test_a_run_of_version_1_is_the_same_run() -> None:
    """All but the hashes of its code: method, settings, pairs and samples are told apart as before."""
    now = identity()
    assert now["numbers"] == NUMBERS and differences(IDENTITY_OF_VERSION_1, now) == []
    shared = now.keys() & IDENTITY_OF_VERSION_1.keys()
    assert {key: now[key] for key in shared} == {key: IDENTITY_OF_VERSION_1[key] for key in shared}
    assert differences(IDENTITY_OF_VERSION_1, identity(seed=1)) == ["seed: 0, now 1"]


CHANGED_SETTINGS: dict[str, tuple[Any, str]] = {
    "image_size": (64, "image_size: 32, now 64"),
    "batch_size": (16, "batch_size: 8, now 16"),
    "learning_rate": (0.01, "learning_rate: 0.001, now 0.01"),
    "betas": ((0.5, 0.999), "betas: [0.9, 0.999], now [0.5, 0.999]"),
    "weight_decay": (0.1, "weight_decay: 0.0, now 0.1"),
    "schedule": ("cosine", "epochs: None, now 3"),
    "precision": ("bf16", "precision: fp32, now bf16"),
    "threads": (2, "threads: 1, now 2"),
    "input_mean": ((0.0, 0.0, 0.0), "input_mean: [0.485, 0.456, 0.406], now [0.0, 0.0, 0.0]"),
    "input_std": ((1.0, 1.0, 1.0), "input_std: [0.229, 0.224, 0.225], now [1.0, 1.0, 1.0]"),
    "augmentation": (Augmentation(noise_sigma=0.1), "augmentation.noise_sigma: 0.03, now 0.1"),
}
WITHOUT_EFFECT = {"epochs": 7, "min_steps": 100, "checkpoint_every": 5}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        *(
            ({"settings": replace(SETTINGS, **{name: value})}, f"train.{text}")
            for name, (value, text) in CHANGED_SETTINGS.items()
        ),
        ({"lam": 1.0}, "lam: 5.0, now 1.0"),
        ({"fold": 1}, "fold: 0, now 1"),
        ({"seed": 1}, "seed: 0, now 1"),
        ({"device": "cuda:1"}, "device: cpu, now cuda"),
        ({"method": "gndl-sum"}, "method.options.reduction: None, now sum"),
        ({"pairs": "f" * 64}, "pairs: 0a2ba881a3c8…, now ffffffffffff…"),
        ({"train_index": TRAIN[1:]}, "train_samples: 3655b5d79b2b…, now "),
        ({"test_index": TEST[1:]}, "test_samples: 544e6ff023e9…, now "),
        ({"extra": {"source": "licensed"}}, "extra.source: rendered, now licensed"),
        ({"extra": None}, "extra.source: rendered, now own"),
    ],
)
def test_whatever_can_change_a_number_is_named(changed: dict[str, Any], named: str) -> None:
    """With both values, hashes shortened."""
    texts = differences(identity(), identity(**changed))
    assert any(text.startswith(named) if named.endswith("now ") else text == named for text in texts)
    with pytest.raises(GndlError, match=r"run\.json: belongs to another configuration .* Nothing was overwritten"):
        require_same(Path("run.json"), identity(), identity(**changed), 3, 3)


def test_settings_without_effect_and_unread_pictures_are_not_compared() -> None:
    """Checkpoints, least steps, epochs at a constant rate; samples where the pictures have not been read."""
    assert {*CHANGED_SETTINGS, *WITHOUT_EFFECT} == {setting.name for setting in fields(TrainSettings)}
    assert identity(settings=replace(SETTINGS, **WITHOUT_EFFECT)) == identity()
    cosine = replace(SETTINGS, schedule="cosine")
    assert identity(settings=replace(cosine, min_steps=9)) == identity(settings=cosine)
    unread = identity(train_index=None, test_index=None)
    assert "train_samples" not in unread and differences(identity(), unread) == []


def test_weights_are_told_apart_by_their_content(tmp_path: Path) -> None:
    """The name of the file does not count."""
    files = {name: tmp_path / name for name in ("a.pth", "copy.pth", "other.pth")}
    for name, path in files.items():
        path.write_bytes(b"other" if name == "other.pth" else b"weights")
    with_a, with_copy, with_other = (identity(weights=path) for path in files.values())
    assert with_a == with_copy
    assert len(differences(with_a, with_other)) == 1 and differences(identity(), with_a)[0].startswith("weights: None")


def test_numerics_and_source_of_a_method_from_outside_are_compared() -> None:
    """A raised number and an edited class are other runs; each built-in method has an identity of its own."""
    outside = replace(method_settings("gndl"), source="a")
    one, other = (
        run_identity(settings, SETTINGS, pairs="", lam=5.0, fold=0, seed=0, device="cpu")
        for settings in (outside, replace(outside, source="b"))
    )
    assert differences(one, other) == ["method_source: a, now b"] and "method_source" not in identity()
    assert differences(one, one | {"numbers": NUMBERS + 1}) == [f"numbers: {NUMBERS}, now {NUMBERS + 1}"]
    assert len({hash_json(identity(settings.name)["method"]) for settings in BUILT_IN}) == len(BUILT_IN)


def test_a_run_is_found_by_its_identity_and_its_epochs(tmp_path: Path) -> None:
    """Fewer epochs than asked for: none; more: refused; files that disagree: none; another identity: refused."""
    rows = [dict.fromkeys(("loss", "loss_cls", "accuracy_train", "accuracy_test"), 0.5) | {"loss_neu": None}] * 2
    folder = written(tmp_path / "run", RUN_OF_VERSION_1)
    write_epochs(folder, [row | {"epoch": number} for number, row in enumerate(rows, 1)])
    assert find_run(folder, identity(), 2) is None, "predictions.csv is missing"
    (folder / "predictions.csv").touch()
    assert find_run(folder, identity(), 2) == RUN_OF_VERSION_1
    assert find_run(folder, identity(), 3) is None and find_run(tmp_path, identity(), 3) is None
    with pytest.raises(GndlError, match="2 epochs, asked for 1"):
        find_run(folder, identity(), 1)
    with pytest.raises(GndlError, match="seed: 0, now 1"):
        find_run(folder, identity(seed=1), 2)
    write_epochs(folder, [rows[0] | {"epoch": 1}])
    assert find_run(folder, identity(), 2) is None


def test_a_run_json_with_further_keys_is_read_as_it_is(tmp_path: Path) -> None:
    """Such as those of version 1, which this version does not know."""
    assert read_run(written(tmp_path, RUN_OF_VERSION_1 | {"further": [1]})) == RUN_OF_VERSION_1 | {"further": [1]}


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("identity", "fold"), "0", "identity.fold"),
        (("needs_neutral_at_test",), 1, "needs_neutral_at_test"),
        (("epochs",), True, "epochs"),
        (("method", "name"), 3, "method.name"),
    ],
)
def test_a_damaged_run_json_is_named_with_its_key(
    tmp_path: Path, place: tuple[str, ...], value: Any, named: str
) -> None:
    """It may be somebody else's; nothing is read from it unchecked."""
    record = copy.deepcopy(RUN_OF_VERSION_1)
    inner = record
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(GndlError, match=rf"run\.json: is damaged \({named}: .*delete this run's folder"):
        read_run(written(tmp_path, record))
    for text in ("", "[1]", "{"):
        (tmp_path / "run.json").write_text(text)
        with pytest.raises(GndlError, match=r"run\.json: is damaged"):
            read_run(tmp_path)


def test_epochs_and_predictions_keep_every_digit(tmp_path: Path) -> None:
    """float64 losses come back as they were, float32 probabilities too; names with commas and quotes are quoted."""
    history = [
        {"epoch": 1, "loss": 1 / 3, "loss_cls": 0.1, "loss_neu": None, "accuracy_train": 1.0, "accuracy_test": 2 / 3}
    ]
    for rows in (history, [row | {"accuracy_dev": 0.25} for row in history]):
        write_epochs(tmp_path, rows)
        assert read_epochs(tmp_path) == rows
    assert (tmp_path / "epochs.csv").read_text().splitlines()[1] == f"1,{1 / 3!r},0.1,,1.0,{2 / 3!r},0.25"
    pairs = replace(PAIRS, frame=['a,"b".png', *PAIRS.frame[1:]])
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], 2).astype(np.float32)
    write_predictions(tmp_path, pairs, np.array([0, 7]), probabilities)
    lines = (tmp_path / "predictions.csv").read_text().splitlines()
    assert lines[0] == "sample,subject,sequence,frame,truth,predicted,p_anger,p_happiness,p_surprise"
    assert lines[1].startswith('0,S000,S000/000,"a,""b"".png",anger,')
    for line, row in zip(lines[1:], probabilities, strict=True):
        assert np.array_equal(np.array(line.split(",")[-3:], dtype=np.float32), row)
        assert line.split(",")[-4] == pairs.expressions[int(row.argmax())]
    (tmp_path / "epochs.csv").write_text("epoch,loss\n1,x\n")
    with pytest.raises(GndlError, match=r"epochs\.csv: is damaged"):
        read_epochs(tmp_path)


def test_steps_and_epochs_follow_from_the_pairs() -> None:
    """A last batch of one pair is no step (L20); min_steps raises the epochs and never lowers them."""
    assert [pairs_per_epoch(count, 8) for count in (1, 8, 9, 10)] == [0, 8, 8, 10]
    assert pairs_per_epoch(10, 1) == 0, "batches of one pair have no batch statistics"
    one_step = TrainSettings(epochs=1, min_steps=10, batch_size=8)
    assert [raise_epochs(one_step, count).epochs for count in (8, 9, 10, 16)] == [10, 10, 5, 5]
    settings = TrainSettings(epochs=20, min_steps=200, batch_size=16)
    assert raise_epochs(settings, 48).epochs == 67 and raise_epochs(settings, 800).epochs == 20
    with pytest.raises(GndlError, match="no step"):
        raise_epochs(settings, 1)


@pytest.mark.parametrize("lam", [None, 0.0, 0.5, 5.0, 50.0, 1e-5, 1e7, 0.123456])
@pytest.mark.parametrize("seed", [0, 7, 2023110500, MAX_SEED])
def test_the_folder_of_a_run_names_it(tmp_path: Path, lam: float | None, seed: int) -> None:
    """OUT/DATABASE/METHOD/lam-L/fold-K/seed-S, λ by %g; whatever is written is found again."""
    text = "none" if lam is None else f"{lam:g}"
    folder = run_folder(tmp_path / "ckplus", "gndl-imagenet", lam, 3, seed)
    assert folder == tmp_path / f"ckplus/gndl-imagenet/lam-{text}/fold-3/seed-{seed}"
    assert run_key_of(folder) == ("ckplus", "gndl-imagenet", text, 3, seed)


@pytest.mark.parametrize(
    ("lam", "seed", "named"),
    [
        *((5.0, seed, "seed must be a whole number from 0") for seed in (-1, MAX_SEED + 1, "0", 1.0, True)),
        *((lam, 0, "λ must be a number >= 0 with at most six digits") for lam in (-1.0, 0.1234567, np.inf, np.nan)),
    ],
)
def test_a_seed_or_lam_that_no_reader_would_find_again_is_refused(lam: float, seed: Any, named: str) -> None:
    with pytest.raises(GndlError, match=named):
        run_folder(Path("ckplus"), "gndl", lam, 0, seed)


@pytest.mark.parametrize(
    "name", ["lam-5/fold-0/seed-0.bak", "lam-5/fold-0/seed-00", "lam-5/fold-01/seed-0", "lam-5.0/fold-0/seed-0",
             "lam-1.2.3/fold-0/seed-0", "lam--1/fold-0/seed-0", "lam-5/fold-0 (copy)/seed-0", "lam-5/fold--1/seed-0"],
)  # fmt: skip
def test_other_folders_name_no_run(name: str) -> None:
    assert run_key_of(Path("out/ckplus/gndl") / name) is None


def test_a_run_in_progress_is_named_in_a_few_words() -> None:
    run = Run("ckplus", method_settings("gndl"), "gndl-imagenet", 0.5, 3, 1, Path("x"))
    assert run.name == "ckplus gndl-imagenet λ=0.5 fold 3"
    assert replace(run, lam=None).name == "ckplus gndl-imagenet fold 3"


def test_a_run_says_where_it_comes_from() -> None:
    """Versions, commit and machine, as JSON."""
    found = versions() | git_state() | machine()
    assert found["torch"] and len(found["commit"] or "0" * 40) == 40 and found["cores"] >= 1
    json.dumps(found)
