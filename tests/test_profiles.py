"""Settings are the paper's, misspelt ones are named, and studies of earlier versions are still read."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gndl.files import GndlError, hash_json, write_json
from gndl.profiles import (
    PAPER,
    QUICK,
    STANDARD,
    StudyConfig,
    merged,
    profile_named,
    read_study_json,
    with_overrides,
)

PATH = Path("runs/x/study.json")


def test_the_paper_profile_is_sections_4_1_and_4_2() -> None:
    train = PAPER.train
    assert (train.image_size, train.epochs, train.batch_size, train.learning_rate) == (224, 150, 128, 1e-3)
    assert (train.betas, train.weight_decay, train.schedule, train.precision) == ((0.9, 0.999), 0.0, "constant", "fp32")
    assert (PAPER.lam, PAPER.crop.size, train.augmentation.flip_probability) == (5.0, 224, 0.5)


def test_the_profile_of_the_record_never_changes() -> None:
    """A hash over everything but the words: the record's runs were trained with just this."""
    settings = dataclasses.asdict(STANDARD)
    del settings["purpose"]
    assert hash_json(settings) == "33c1d592a6f6d6a5020fabe42c12e1cc9495ed2d7e0c98f573d2dc10a290c6c9"


def test_an_override_replaces_what_is_named_and_nothing_else() -> None:
    changed = with_overrides(QUICK, epochs=3, precision="bf16", n_folds=5, only_folds=(0,), methods=("gndl",))
    assert changed.train == replace(QUICK.train, epochs=3, min_steps=0, precision="bf16")
    assert (changed.n_folds, changed.only_folds, changed.methods) == (5, (0,), ("gndl",))
    assert with_overrides(QUICK) == QUICK and QUICK.train.epochs == 4


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"n_folds": 1}, "--n-folds must be >= 2, got 1"),
        ({"epochs": 0}, "--epochs must be >= 1, got 0"),
        ({"only_folds": (-1,)}, r"--only-folds takes fold numbers \(folds start at 0\), got \(-1,\)"),
    ],
)
def test_a_number_that_cannot_be_meant_is_refused(override: dict, message: str) -> None:
    with pytest.raises(GndlError, match=message):
        with_overrides(QUICK, **override)


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    with pytest.raises(GndlError, match=r"Unknown profile 'standart'; choose one of smoke, quick, standard, paper"):
        profile_named("standart")


CONFIG = StudyConfig(STANDARD, seeds=(0, 1), read_options={"oulu_light": "Weak"}, data_roots={"ckplus": "/data/ck"})


def test_a_study_is_read_back_as_it_was_asked() -> None:
    kept = json.loads(json.dumps(CONFIG.as_json()))
    assert StudyConfig.from_json(kept, PATH) == CONFIG
    assert isinstance(StudyConfig.from_json(kept, PATH).settings.train.betas, tuple)


def test_a_study_of_version_1_is_still_read() -> None:
    """It kept ``keep_state``, which changed no number, and before the sweep it had no ``sweep_folds``."""
    kept = CONFIG.as_json()
    kept["settings"]["train"]["keep_state"] = True
    del kept["settings"]["sweep_folds"], kept["settings"]["select_on"], kept["device"], kept["weights_partial"]
    assert StudyConfig.from_json(kept, PATH) == CONFIG


def test_settings_that_are_damaged_are_named_with_the_file() -> None:
    for change in ({"settings": {}}, {"settings": CONFIG.as_json()["settings"] | {"lam": "five"}}, {"seed": 0}):
        with pytest.raises(GndlError, match=r"runs/x/study\.json: its settings .*('name'|lam|seed)"):
            StudyConfig.from_json(CONFIG.as_json() | change, PATH)


def changed(**settings: object) -> StudyConfig:
    return replace(CONFIG, settings=replace(CONFIG.settings, **settings))


def test_a_later_call_may_add_to_a_study() -> None:
    """Seeds, databases, methods and folds are added; epochs that were raised stay raised where none are named."""
    raised = changed(train=replace(STANDARD.train, epochs=30, min_steps=500))
    again = replace(changed(methods=("gndl",), only_folds=(0,)), seeds=(2,), data_roots={"mmi": ""})
    now = merged(raised, again, PATH)
    assert (now.seeds, now.data_roots) == ((0, 1, 2), {"ckplus": "/data/ck", "mmi": ""})
    assert now.settings.methods == ("gndl",)
    assert (now.settings.train.epochs, now.settings.train.min_steps) == (30, 500)
    assert merged(CONFIG, changed(train=replace(STANDARD.train, epochs=13)), PATH).settings.train.epochs == 13


def test_another_study_in_the_same_folder_is_refused_by_the_setting() -> None:
    other: list[tuple[StudyConfig, str]] = [
        (changed(lam=2.0), "settings.lam is 5.0 there and 2.0 now"),
        (changed(crop=replace(STANDARD.crop, size=112)), "settings.crop.size is 224 there and 112 now"),
        (replace(CONFIG, read_options={"oulu_light": "Dark"}), "read_options.oulu_light is 'Weak' there"),
        (replace(CONFIG, allow_missing_faces=True), "allow_missing_faces is False there and True now"),
        (changed(train=replace(STANDARD.train, learning_rate=0.01)), "settings.train.learning_rate is 0.001 there"),
        (changed(train=replace(STANDARD.train, epochs=3)), "train.epochs is 12 there and 3 now; epochs may only grow"),
    ]
    for asked, message in other:
        with pytest.raises(GndlError, match=message):
            merged(CONFIG, asked, PATH)


def test_a_folder_without_a_study_is_named(tmp_path: Path) -> None:
    with pytest.raises(GndlError, match=r"is not a study: .*study\.json is missing"):
        read_study_json(tmp_path)
    for content in ([], {"asked": {}}, "text"):
        write_json(tmp_path / "study.json", content)
        with pytest.raises(GndlError, match=r"study\.json is damaged"):
            read_study_json(tmp_path)
