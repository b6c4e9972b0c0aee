"""Pictures that no change of structure may move. The trees of the three layouts are in `test_golden`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from standins import StandInError, Studio, render_factorial, subjects_sheet
from standins.plan import EXPRESSIONS, Size
from standins.sheet import TILE
from standins.studio import action_groups, in_words, sides_of

FACTORIAL = "4fbd9d2a97f42aa8fc70e4ad3e1fd67e852cc7e273969a878296df4fe14c4945"
FACTORIAL_TRUTH = "b9f63e1fb66cfb314142bd67e1d2161397308fe6abf1006839264669df4beff8"
"""Of the pictures of two people at 96 pixels, and of the files of their ground truth, from version 1."""
STUDIO = {"neutral": "e7ed2feebcc61e76", "changed": "adeb5367fd400822"}
"""Of the studio of version 1 at 96 pixels."""
EMOTIONS = EXPRESSIONS["ckplus"]


def hash_of(folder: Path, pattern: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(pattern)):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.fixture(scope="module")
def factorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render_factorial(tmp_path_factory.mktemp("factorial") / "set", subjects=2, size=96)


def test_a_factorial_set_has_the_bytes_of_version_1(factorial: Path) -> None:
    assert hash_of(factorial, "N0*/*.png") == FACTORIAL
    assert hash_of(factorial.with_name("set.truth"), "[st]*.*") == FACTORIAL_TRUTH


def test_within_a_person_only_the_expression_differs(factorial: Path) -> None:
    with np.load(factorial.with_name("set.truth") / "truth.npz") as truth:
        actions, landmarks = truth["actions"].reshape(2, 8, 52), truth["landmarks"].reshape(2, 8, 68, 2)
    assert np.array_equal(actions[0], actions[1]) and not actions[:, 0].any() and actions[:, 1:].max(axis=2).min() > 0.3
    assert np.ptp(landmarks[:, :, [0, 16]], axis=1).max() < 0.5


def test_a_factorial_set_names_every_pair_and_is_never_written_over_another(factorial: Path) -> None:
    lines = (factorial / "manifest.csv").read_text().splitlines()
    assert lines[0] == "subject,sequence,expression,neutral,examined"
    assert lines[1] == "N001,N001-anger,anger,N001/neutral.png,N001/anger.png"
    assert len(lines) == 1 + 2 * len(EMOTIONS)
    before = (factorial / "sheet.png").stat().st_mtime_ns
    assert render_factorial(factorial, subjects=2, size=96) == factorial
    assert (factorial / "sheet.png").stat().st_mtime_ns == before
    with pytest.raises(StandInError, match="not this set"):
        render_factorial(factorial, subjects=3, size=96)
    with pytest.raises(StandInError, match="at least 1 subject"):
        render_factorial(factorial, subjects=0)


def test_the_studio_shows_what_version_1_showed() -> None:
    studio = Studio()
    assert hashlib.sha256(studio.render(96).tobytes()).hexdigest()[:16] == STUDIO["neutral"]
    studio.set(seed=3, glasses="round", beard="full", tone=0.5, fringe="to the brows", yaw=10.0, azimuth=-40.0)
    studio.set(emotion="anger", second="fear", share=0.3, strength=0.8, variant=2, by_hand={"jawOpen": 0.3})
    assert hashlib.sha256(studio.render(96).tobytes()).hexdigest()[:16] == STUDIO["changed"]
    assert studio.landmarks.shape == (68, 2) and studio.actions[studio.action_names.index("jawOpen")] >= 0.3
    entries = [entry for group in action_groups(studio.action_names).values() for entry in group]
    sides = [name for entry in entries for name in sides_of(entry, studio.action_names)]
    assert sorted(sides) == sorted(studio.action_names) and in_words("browInnerUp") == "brow inner up"
    assert set(studio.recipes) == set(EMOTIONS) and studio.drawn["glasses"] == "none"


def test_sheets_show_neutral_and_every_class(tmp_path: Path) -> None:
    from PIL import Image

    size = Size(6, 16, 14, (6, 7))
    with Image.open(subjects_sheet("ckplus", tmp_path / "sheet.jpg", size=size, subjects=2)) as sheet:
        assert (sheet.width // TILE, sheet.height // TILE) == (1 + len(EMOTIONS), 2)
        assert np.asarray(sheet).std() > 20
