"""CK+ is read as it is distributed, with everything that copies of it are known to have."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import write_ckplus, write_ckplus_frame, write_picture, write_text

from gndl.databases import audit, inspect_database, read_database
from gndl.databases.ckplus import LABELS
from gndl.errors import GndlError
from gndl.sequences import STAND_IN_LABEL, Database

IMAGES = "cohn-kanade-images"


def messages(database: Database, kind: str) -> dict[str, str]:
    """Findings of one kind: file name → message."""
    return {finding.path.name: finding.message for finding in database.findings if finding.kind == kind}


def one(database: Database, name: str):
    """The sequence of that name."""
    return next(sequence for sequence in database.sequences if sequence.sequence == name)


def test_first_frame_is_neutral_and_the_last_three_are_examined(tmp_path):
    """A plain copy gives every sequence with its label, first frame and last three, each with its landmarks."""
    database = read_database("ckplus", write_ckplus(tmp_path))
    assert [(s.sequence, s.subject, s.expression) for s in database.sequences] == [
        (f"{subject}_{number}", subject, expression)
        for subject in ("S005", "S010")
        for number, expression in (("001", "anger"), ("002", "happiness"), ("003", "surprise"))
    ]
    for sequence in database.sequences:
        folder = tmp_path / IMAGES / sequence.subject / sequence.sequence[5:]
        assert sequence.neutral.path == folder / f"{sequence.sequence}_00000001.png"
        assert [f.path.name[-6:] for f in sequence.examined] == ["04.png", "05.png", "06.png"]
        assert len(sequence.frames) == 6
        for frame in sequence.frames:
            assert frame.landmarks is not None
            assert frame.landmarks.name == f"{frame.path.stem}_landmarks.txt"
    assert database.found == {
        **{"sequences": 6, "subjects": 2, "frames": 36},
        **{"labelled": 6, "labelled_subjects": 2, "pairs": 18},
    }
    assert database.source == "licensed"
    assert set(database.folders) == {"images", "labels", "landmarks"}


@pytest.mark.parametrize(("number", "expression"), LABELS.items())
def test_label_numbers_are_the_databases_own(tmp_path, number, expression):
    """Label k is the class that the database's notes give it."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000006_emotion.txt", f"   {number}.0000000e+00\n")
    assert one(read_database("ckplus", tmp_path), "S005_001").expression == expression


def test_wrapper_folders_are_passed_through_and_named(tmp_path):
    """The wrappers that unpacking leaves change nothing, and the folders found inside them are reported."""
    write_ckplus(tmp_path / "plain")
    for folder, inside in (
        (IMAGES, f"extended-cohn-kanade-images/{IMAGES}"),
        ("Emotion", "Emotion_labels/Emotion"),
        ("Landmarks", "Landmarks/Landmarks"),
    ):
        target = tmp_path / "wrapped" / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / folder).rename(target)
    write_text(tmp_path / "wrapped/FACS_labels/FACS/S005/001/S005_001_00000006_facs.txt", "12 3\n")
    database = read_database("ckplus", tmp_path / "wrapped")
    assert len(database.sequences) == 6
    assert database.folders == {
        "images": tmp_path / "wrapped/extended-cohn-kanade-images" / IMAGES,
        "labels": tmp_path / "wrapped/Emotion_labels/Emotion",
        "landmarks": tmp_path / "wrapped/Landmarks/Landmarks",
        "facs": tmp_path / "wrapped/FACS_labels/FACS",
    }


def test_what_macos_leaves_is_never_entered(tmp_path):
    """``__MACOSX``, ``._`` files and ``.DS_Store`` are neither read nor reported."""
    before = read_database("ckplus", write_ckplus(tmp_path))
    write_ckplus(tmp_path / "__MACOSX", subjects=("S999",))
    write_picture(tmp_path / IMAGES / "S005/001/._S005_001_00000007.png")
    write_text(tmp_path / IMAGES / "S005/.DS_Store", "x")
    write_text(tmp_path / "Emotion/S005/001/.DS_Store", "x")
    write_text(tmp_path / "Emotion/S005/001/._S005_001_00000006_emotion.txt", "x")
    assert read_database("ckplus", tmp_path) == before


def test_derived_pictures_are_ignored_and_listed_by_name(tmp_path):
    """Only ``Sxxx_yyy_dddddddd.png`` in its own folder is a frame; every other picture is named in a finding."""
    write_ckplus(tmp_path)
    strays = [
        "S005/001/S005_001_00000009aligned.png",
        "S005/001/S005_001_00000008_flipped.png",
        "S005/001/S005_001_0000009.png",
        "S005/001/S010_001_00000009.png",
        "S005/001/S005_002_00000009.png",
        "S005/001/S005_001_00000009.jpg",
        "S005/face.png",
    ]
    for stray in strays:
        write_picture(tmp_path / IMAGES / stray)
    database = read_database("ckplus", tmp_path)
    skipped = {f.path for f in database.findings if f.kind == "skip" and "not a frame" in f.message}
    assert skipped == {tmp_path / IMAGES / stray for stray in strays}
    assert [f.path.name[-6:] for f in one(database, "S005_001").examined] == ["04.png", "05.png", "06.png"]


@settings(deadline=None, max_examples=40)
@given(st.sets(st.integers(1, 99_999_999), min_size=4, max_size=8))
def test_frames_follow_their_numbers_whatever_the_gaps(tmp_path_factory, numbers):
    """Frames are in the order of their numbers; gaps are allowed."""
    root = tmp_path_factory.mktemp("ck")
    for subject in ("S005", "S010"):
        write_text(root / f"Emotion/{subject}/001/{subject}_001_{max(numbers):08d}_emotion.txt", f"{1 + len(subject)}")
    for number in numbers:
        write_text(root / IMAGES / "S005/001" / f"S005_001_{number:08d}.png", "not opened")
    frames = one(inspect_database("ckplus", root), "S005_001").frames
    assert [int(frame.path.stem[-8:]) for frame in frames] == sorted(numbers)


def test_a_sequence_without_label_is_no_error(tmp_path):
    """Missing and empty label folders both mean no label; such sequences are counted and take no part."""
    write_ckplus(tmp_path)
    for frame in range(1, 7):
        write_ckplus_frame(tmp_path, "S011", "001", frame)
        write_ckplus_frame(tmp_path, "S011", "002", frame)
    (tmp_path / "Emotion/S011/001").mkdir(parents=True)
    database = read_database("ckplus", tmp_path)
    assert (database.found["sequences"], database.found["labelled"]) == (8, 6)
    assert (database.found["subjects"], database.found["labelled_subjects"]) == (3, 2)
    assert "without an emotion label, which take no part: 2" in messages(database, "note")["Emotion"]


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        ("   8.0000000e+00", "problem", "out of range"),
        ("-1", "problem", "out of range"),
        ("2.5", "problem", "out of range"),
        ("nan", "problem", "out of range"),
        ("1e999", "problem", "out of range"),
        ("happy", "problem", "one number"),
        ("", "problem", "one number"),
        ("0.0000000e+00", "skip", "neutral"),
    ],
)
def test_a_label_that_is_no_expression_leaves_its_sequence_out_by_name(tmp_path, content, kind, words):
    """Labels out of range, unreadable or neutral leave out that sequence alone, with the label's file named."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000006_emotion.txt", content)
    database = read_database("ckplus", tmp_path)
    assert "S005_001" not in {s.sequence for s in database.sequences}
    assert len(database.sequences) == 5
    assert words in messages(database, kind)["S005_001_00000006_emotion.txt"]


def test_labels_that_disagree_leave_the_sequence_out(tmp_path):
    """Two label files of one sequence must say the same."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Emotion/S005/001/S005_001_00000005_emotion.txt", "2")
    write_text(tmp_path / "Emotion/S005/002/S005_002_00000005_emotion.txt", "5")
    database = read_database("ckplus", tmp_path)
    assert len(database.sequences) == 5 and one(database, "S005_002").expression == "happiness"
    assert "disagree" in messages(database, "problem")["S005_001_00000005_emotion.txt"]


def test_a_label_named_after_another_frame_is_tolerated_and_noted(tmp_path):
    """The label counts for its sequence whichever frame it is named after."""
    write_ckplus(tmp_path)
    folder = tmp_path / "Emotion/S005/001"
    (folder / "S005_001_00000006_emotion.txt").rename(folder / "S005_001_00000004_emotion.txt")
    database = read_database("ckplus", tmp_path)
    assert one(database, "S005_001").expression == "anger"
    assert "00000006" in messages(database, "note")["S005_001_00000004_emotion.txt"]


def test_peak_frames_that_are_missing_are_a_problem(tmp_path):
    """A label named after a frame beyond the last one here tells that the sequence was cut short."""
    write_ckplus(tmp_path)
    for frame in (5, 6):
        (tmp_path / IMAGES / f"S005/001/S005_001_{frame:08d}.png").unlink()
    found = messages(read_database("ckplus", tmp_path), "problem")["S005_001_00000006_emotion.txt"]
    assert "peak frames missing" in found and "00000006" in found and "00000004" in found


def test_a_label_in_another_sequences_folder_is_not_believed(tmp_path):
    """Where folder and file name disagree about the subject, the label is named and ignored."""
    write_ckplus(tmp_path)
    folder = tmp_path / "Emotion/S005/001"
    (folder / "S005_001_00000006_emotion.txt").rename(folder / "S010_001_00000006_emotion.txt")
    database = read_database("ckplus", tmp_path)
    assert "S005_001" not in {s.sequence for s in database.sequences}
    assert "another subject" in messages(database, "problem")["S010_001_00000006_emotion.txt"]


def test_a_label_without_frames_is_named(tmp_path):
    """A label whose pictures are missing is a problem by its name."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Emotion/S020/001/S020_001_00000010_emotion.txt", "3")
    assert "without frames" in messages(read_database("ckplus", tmp_path), "problem")["S020_001_00000010_emotion.txt"]


def test_too_short_a_sequence_is_left_out_by_name(tmp_path):
    """A neutral and three examined frames need four frames."""
    write_ckplus(tmp_path)
    for frame in (1, 2, 3):
        write_ckplus_frame(tmp_path, "S010", "009", frame)
    write_text(tmp_path / "Emotion/S010/009/S010_009_00000003_emotion.txt", "3")
    database = read_database("ckplus", tmp_path)
    assert len(database.sequences) == 6
    assert "too short: 3 frames" in messages(database, "skip")["009"]


def test_the_label_of_a_stand_in_makes_the_source_rendered(tmp_path):
    """``STAND-IN.txt`` at the root, or at a wrapper on the way to the frames, is the only difference."""
    write_ckplus(tmp_path / "wrapper")
    licensed = read_database("ckplus", tmp_path)
    write_text(tmp_path / "wrapper" / STAND_IN_LABEL, "rendered")
    rendered = read_database("ckplus", tmp_path)
    assert (licensed.source, rendered.source) == ("licensed", "rendered")
    assert replace(rendered, source="licensed") == licensed


def test_a_folder_of_a_stand_in_is_rendered_whichever_is_given(tmp_path):
    """The label may lie above the root, or above the frames that a link leads to."""
    tree = write_ckplus(tmp_path / "tree")
    write_text(tmp_path / STAND_IN_LABEL, "rendered")
    assert read_database("ckplus", tree).source == "rendered"
    (tmp_path / STAND_IN_LABEL).rename(tree / IMAGES / STAND_IN_LABEL)
    (tmp_path / "linked" / IMAGES).mkdir(parents=True)
    for folder in ("S005", "S010"):
        (tmp_path / "linked" / IMAGES / folder).symlink_to(tree / IMAGES / folder)
    (tmp_path / "linked/Emotion").symlink_to(tree / "Emotion")
    assert read_database("ckplus", tmp_path / "linked").source == "rendered"


def test_a_copy_without_permission_to_write_is_read_and_left_as_it_was(tmp_path):
    """Reading and auditing write nothing, not even for a moment: no folder's time of modification changes."""
    root = write_ckplus(tmp_path / "db")
    paths = [root, *root.rglob("*")]
    before = {path: path.stat().st_mtime_ns for path in paths}
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert len(read_database("ckplus", root).sequences) == 6 and audit(root, "ckplus").ok
        assert {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))} == before
    finally:
        for path in paths:
            path.chmod(0o755)


def test_a_second_copy_of_the_frames_is_named(tmp_path):
    """Of two folders of frames the larger one is used, and the other one named."""
    write_ckplus(tmp_path)
    write_picture(tmp_path / "old" / IMAGES / "S005/001/S005_001_00000001.png")
    database = read_database("ckplus", tmp_path)
    assert database.folders["images"] == tmp_path / IMAGES
    assert any(f.path == tmp_path / "old" / IMAGES and "second folder" in f.message for f in database.findings)


def test_missing_labels_stop_the_study_with_what_to_fetch(tmp_path):
    """Without any label the error names the download, and the command that unpacks it where it lies there."""
    write_ckplus(tmp_path)
    (tmp_path / "Emotion").rename(tmp_path.parent / f"{tmp_path.name}-emotion")
    with pytest.raises(GndlError, match=r"Emotion_labels\.zip"):
        read_database("ckplus", tmp_path)
    write_text(tmp_path / "Emotion_labels.zip", "")
    with pytest.raises(GndlError, match=r"unzip -d .*Emotion_labels"):
        read_database("ckplus", tmp_path)
