"""Rendered trees: in the databases' own layouts, with exact ground truth, complete only when they say so."""

from __future__ import annotations

import csv
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from conftest import TREE_SIZES
from PIL import Image

from gndl.frames import iterate_clip
from standins import Size, StandInError, is_standin_of, render, render_database
from standins.files import STAND_IN_LABEL, locked
from standins.head import load_head
from standins.identity import draw_identity
from standins.plan import plan
from standins.truth import SequenceTruth, join_parts, truth_folder, write_part

NAMES = tuple(TREE_SIZES)
MINIATURE = Size(subjects=2, sequences=2, labelled=2, frames=(3, 3))


def files_below(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def rows(root: Path, name: str = "truth.csv") -> list[dict[str, str]]:
    with (truth_folder(root) / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


# --- how a database is written


def test_neither_the_number_of_processes_nor_an_interruption_changes_a_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed at the second subject, it leaves nothing that looks complete, and continues after the first."""
    render_database("ckplus", tmp_path / "two", size=MINIATURE, seed=3, jobs=2)
    rendered: list[str] = []
    original = render._render_subject

    def die_at_the_second(name: str, root: Path, subject, *rest: object) -> int:
        rendered.append(subject.name)
        if len(rendered) == 2:
            (root / ".half.1-abc.png").touch()
            raise KeyboardInterrupt
        return original(name, root, subject, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(render, "_render_subject", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        render_database("ckplus", tmp_path / "one", size=MINIATURE, seed=3)
    assert not (tmp_path / "one").exists() and not is_standin_of(tmp_path / "one", "ckplus", size=MINIATURE, seed=3)
    render_database("ckplus", tmp_path / "one", size=MINIATURE, seed=3)
    assert len(rendered) == 3 and rendered[1] == rendered[2]
    assert files_below(tmp_path / "one") == files_below(tmp_path / "two")
    assert files_below(tmp_path / "one.truth") == files_below(tmp_path / "two.truth")


def test_of_several_at_once_one_renders_and_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered, start = [], Barrier(3)

    def pretend(name: str, root: Path, label: str, *_: object) -> None:
        rendered.append(name)
        partial = root.with_name("partial")
        partial.mkdir()  # fails where another is at it
        (partial / STAND_IN_LABEL).write_text(label, encoding="utf-8")
        partial.rename(root)  # whole at once, as a tree appears

    def ask() -> Path:
        start.wait()
        return render_database("ckplus", tmp_path / "tree", size=MINIATURE)

    monkeypatch.setattr(render, "_render", pretend)
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(ask) for _ in range(3)]
    assert {future.result() for future in asked} == {tmp_path / "tree"} and rendered == ["ckplus"]
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_lock_holds_although_its_file_is_removed_and_a_failed_block_gives_it_back(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")

    def count(number: int) -> None:
        with locked(counter):
            counter.write_text(str(int(counter.read_text()) + 1))
            if number % 2:
                raise ValueError

    with ThreadPoolExecutor(8) as pool:
        failed = sum(future.exception() is not None for future in [pool.submit(count, n) for n in range(24)])
    assert (failed, counter.read_text()) == (12, "24") and [path.name for path in tmp_path.iterdir()] == ["counter"]


def test_a_complete_tree_is_returned_at_once_and_another_is_refused(
    rendered_trees: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(render, "_render_subject", lambda *_: pytest.fail("rendered again"))
    root, size = rendered_trees["oulu_casia"], TREE_SIZES["oulu_casia"]
    assert render_database("oulu_casia", root, size=size) == root
    with pytest.raises(StandInError, match="seed 0 instead of 1"):
        render_database("oulu_casia", root, size=size, seed=1)
    with pytest.raises(StandInError, match="subjects 3 instead of 7"):
        render_database("oulu_casia", root, size=Size(7, 42, 42, (8, 8)))
    with pytest.raises(StandInError, match="not a stand-in"):
        render_database("oulu_casia", tmp_path, size=size)


# --- the layouts


@pytest.mark.parametrize("name", NAMES)
def test_a_tree_says_what_it_is(rendered_trees: dict[str, Path], name: str) -> None:
    text = (rendered_trees[name] / STAND_IN_LABEL).read_text()
    assert "rendered faces of nobody" in text and "generator version: 3\nseed: 0\n" in text
    assert is_standin_of(rendered_trees[name], name, size=TREE_SIZES[name])
    assert not is_standin_of(rendered_trees[name], name, size=TREE_SIZES[name], seed=1)


def test_ckplus_has_its_official_layout(rendered_trees: dict[str, Path]) -> None:
    """640×490 grey frames from 1, landmarks for each, FACS for each sequence, Emotion for the labelled ones."""
    root, size = rendered_trees["ckplus"], TREE_SIZES["ckplus"]
    frames = sorted((root / "cohn-kanade-images").glob("S???/???/S???_???_????????.png"))
    with Image.open(frames[0]) as picture:
        assert (picture.size, picture.mode) == ((640, 490), "L")
    landmarks = sorted((root / "Landmarks").glob("S???/???/*_landmarks.txt"))
    assert [path.name[:-14] for path in landmarks] == [path.stem for path in frames]
    assert re.fullmatch(r"(   \d\.\d{7}e[+-]\d\d){2} \n", landmarks[0].read_text().splitlines(keepends=True)[0])
    assert len(list((root / "FACS").rglob("*_facs.txt"))) == size.sequences
    labels = list((root / "Emotion").rglob("*_emotion.txt"))
    assert len(labels) == size.labelled
    assert all(re.fullmatch(r"   [1-7]\.0000000e\+00\n", path.read_text()) for path in labels)
    assert len(list((root / "Emotion").glob("*/*"))) == size.sequences


def test_an_mmi_clip_has_its_format_and_moves(rendered_trees: dict[str, Path]) -> None:
    clip = sorted((rendered_trees["mmi"] / "Sessions").glob("*/*.avi"))[0]
    frames = {index: frame.astype(float) for index, frame in iterate_clip(clip)}
    assert len(frames) == 16 and frames[0].shape == (576, 720, 3)
    assert min(np.abs(frames[b] - frames[a]).mean() for a, b in pairwise(sorted(frames))) > 0


def test_nearly_every_frame_has_a_face_that_a_detector_of_photographs_finds(rendered_trees: dict[str, Path]) -> None:
    import dlib

    detector = dlib.get_frontal_face_detector()
    frames = sorted((rendered_trees["ckplus"] / "cohn-kanade-images").rglob("*.png"))[::8]
    frames += sorted(rendered_trees["oulu_casia"].rglob("*.jpeg"))[::6]
    found = [bool(len(detector(np.asarray(Image.open(path).convert("L")), 1))) for path in frames]
    assert np.mean(found) >= 0.96


# --- the ground truth


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_on_disk_has_its_row_and_its_landmarks(rendered_trees: dict[str, Path], name: str) -> None:
    root, frames = rendered_trees[name], rows(rendered_trees[name])
    pictures = {path for kind in ("*.png", "*.jpeg", "*.avi") for path in root.rglob(kind)}
    assert {row["file"] for row in frames} == {path.relative_to(root).as_posix() for path in pictures}
    assert len({(row["file"], row["index"]) for row in frames}) == len(frames)
    assert (truth_folder(root) / STAND_IN_LABEL).read_bytes() == (root / STAND_IN_LABEL).read_bytes()
    with np.load(truth_folder(root) / "truth.npz") as truth:
        assert {len(truth[part]) for part in ("subject", "actions", "landmarks", "hidden")} == {len(frames)}
        people = rows(root, "subjects.csv")
        assert [people[k]["name"] for k in truth["subject"]] == [row["subject"] for row in frames]
        assert len(np.unique(truth["identity"], axis=0)) == len(people)
        neutral = [row["index"] == "0" for row in frames]
        others = [k for k, action in enumerate(truth["action_names"].tolist()) if not action.startswith("eyeLook")]
        assert not truth["actions"][neutral][:, others].any()


def test_a_subject_without_a_sequence_has_its_place(tmp_path: Path) -> None:
    """CK+ with a label on every sequence leaves subjects without one: they are listed, with no frame."""
    subjects = plan("ckplus", Size(25, 25, 25, (1, 1)), 0)
    silent = next(subject.name for subject in subjects if not subject.sequences)
    write_part(tmp_path / "part.npz", silent, draw_identity(load_head(), np.random.default_rng(0)), SequenceTruth())
    join_parts([tmp_path / "part.npz"], tmp_path / "tree", "label")
    assert [row["name"] for row in rows(tmp_path / "tree", "subjects.csv")] == [silent]
    assert rows(tmp_path / "tree") == []
