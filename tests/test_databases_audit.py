"""The audit lists every problem of a copy by file name and raises on none."""

from __future__ import annotations

import os
import random
import shutil

import pytest
from layouts import (
    write_ckplus,
    write_mmi,
    write_oulu,
    write_picture,
    write_text,
)

from gndl.databases import audit, read_database
from gndl.errors import GndlError

WRITERS = {"ckplus": write_ckplus, "oulu_casia": write_oulu, "mmi": write_mmi}


def found(result, kind):
    """Findings of one kind: file name → message."""
    return {finding.path.name: finding.message for finding in result.findings if finding.kind == kind}


@pytest.mark.parametrize("name", WRITERS)
def test_a_whole_copy_is_ok_and_counted_beside_the_paper(tmp_path, name):
    """Every count stands beside the paper's; nothing is an error."""
    result = audit(WRITERS[name](tmp_path), name)
    assert result.ok and result.database is not None
    counts = {count.what: (count.found, count.paper) for count in result.counts}
    pairs = {"ckplus": (18, 981), "oulu_casia": (36, 1440), "mmi": (9, 615)}
    assert counts["pairs"] == pairs[name]
    assert counts["anger"][0] == {"ckplus": 2, "oulu_casia": 2, "mmi": 1}[name]
    assert "The study can run" in result.report()
    assert all(str(number) in result.report() for number in pairs[name])
    for folder in result.database.folders.values():
        assert str(folder.relative_to(tmp_path)) in result.report()


OTHERS = {"ckplus": "*/S010", "oulu_casia": "*/*/*/P002", "mmi": "Sessions/[!2]*"}
"""Folders of all subjects but one."""


@pytest.mark.parametrize(("name", "subject"), [("ckplus", "S005"), ("oulu_casia", "P001"), ("mmi", "S002")])
def test_one_subject_is_not_enough_for_a_study(tmp_path, name, subject):
    """Subject-independent folds need two subjects: who is there is said, and what to do."""
    WRITERS[name](tmp_path)
    for folder in tmp_path.glob(OTHERS[name]):
        shutil.rmtree(folder)
    with pytest.raises(GndlError, match=rf"all sequences are of one subject \({subject}\); .*: add another"):
        read_database(name, tmp_path)


PICTURE = "cohn-kanade-images/S005/001/S005_001_00000006.png"


@pytest.mark.parametrize("damage", [b"", b"no picture", "half"])
def test_an_unreadable_picture_that_is_taken_is_an_error_by_name(tmp_path, damage):
    """Empty, foreign and truncated pictures stop the study, with their file's name in the report."""
    path = write_ckplus(tmp_path) / PICTURE
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if damage == "half" else damage)
    result = audit(tmp_path, "ckplus")
    assert not result.ok
    assert "not a readable picture" in found(result, "error")[path.name]
    assert PICTURE in result.report() and "cannot run" in result.report()


def test_an_unreadable_picture_that_is_not_taken_is_no_error(tmp_path):
    """Frames between the first and the last three are not opened."""
    (write_ckplus(tmp_path) / PICTURE.replace("06.png", "02.png")).write_bytes(b"")
    assert audit(tmp_path, "ckplus").ok


def test_a_picture_of_another_size_is_a_problem_by_name(tmp_path):
    """One frame unlike all others is named with its size."""
    write_oulu(tmp_path)
    write_picture(tmp_path / "OriginalImg/VL/Strong/P001/Anger/004.jpeg", size=(100, 90))
    result = audit(tmp_path, "oulu_casia")
    assert result.ok and "100×90 pixels, where the others have 320×240" in found(result, "problem")["004.jpeg"]


def test_the_same_bytes_in_two_places_are_a_problem(tmp_path):
    """A sequence copied under another subject's name is found."""
    write_ckplus(tmp_path)
    other = tmp_path / PICTURE.replace("S005", "S010")
    other.write_bytes((tmp_path / PICTURE).read_bytes())
    said = found(audit(tmp_path, "ckplus"), "problem")[other.name]
    assert said.startswith(f"the same bytes as {PICTURE}; replace the wrong one")


def test_eyes_outside_their_frame_are_a_problem(tmp_path):
    """Landmarks of another picture, or of one of another size, are named, and what follows from it."""
    write_ckplus(tmp_path)
    write_text(tmp_path / "Landmarks/S005/001/S005_001_00000006_landmarks.txt", "300 200\n" * 68)
    problems = found(audit(tmp_path, "ckplus"), "problem")
    assert "(300.0, 200.0), which are no two places" in problems["S005_001_00000006_landmarks.txt"]
    assert "all faces are found by detection" in problems["Landmarks"]


def damage_last_frames(clip, count):
    """Overwrite the last frames of an MJPEG clip with noise; their chunks keep their headers of 8 bytes."""
    content = bytearray(clip.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    ends = [start - 8 for start in starts[1:]] + [content.index(b"idx1")]
    for start, end in list(zip(starts, ends, strict=True))[-count:]:
        content[start:end] = bytes([7]) * (end - start)
    clip.write_bytes(content)


def test_a_clip_that_fails_before_a_frame_taken_is_an_error_by_name(tmp_path):
    """Where a frame that is taken does not decode, the study cannot run; after the frames taken it is a problem."""
    write_mmi(tmp_path)
    damage_last_frames(tmp_path / "Sessions/1/S001-001.avi", 20)
    damage_last_frames(tmp_path / "Sessions/10/S003-010.avi", 3)
    result = audit(tmp_path, "mmi")
    assert not result.ok
    assert "frame 11 does not decode" in found(result, "error")["S001-001.avi"]
    assert "frame 28 does not decode" in found(result, "problem")["S003-010.avi"]


def test_every_kind_of_problem_is_in_the_report_by_file_name(tmp_path):
    """One copy with many defects: each file is named in the report."""
    write_ckplus(tmp_path)
    defects = {
        "S005_001_00000006_emotion.txt": "9",
        "S005_002_00000006_emotion.txt": "x",
        "S010_001_00000006_emotion.txt": "0",
    }
    for name, content in defects.items():
        write_text(tmp_path / "Emotion" / name[:4] / name[5:8] / name, content)
    write_text(tmp_path / "Emotion/S099/001/S099_001_00000006_emotion.txt", "1")
    write_text(tmp_path / "Landmarks/S010/003/S010_003_00000006_landmarks.txt", "1 2\n")
    write_picture(tmp_path / "cohn-kanade-images/S010/003/S010_003_00000006flipped.png")
    text = audit(tmp_path, "ckplus").report()
    for name in (*defects, "S099_001_00000006_emotion.txt", "S010_003_00000006_landmarks.txt", "00000006flipped.png"):
        assert name in text


@pytest.mark.parametrize("name", [*WRITERS, "manifest"])
def test_nothing_and_nowhere_are_findings_not_exceptions(tmp_path, name):
    """A missing root, an empty folder and a file instead of a folder."""
    empty, file = tmp_path / "empty", write_text(tmp_path / "file.bin", "\0\1")
    empty.mkdir()
    for root in (tmp_path / "nowhere", empty, file):
        result = audit(root, name)
        assert not result.ok and str(root) in result.report()


def test_a_name_on_disk_that_is_no_utf8_does_not_stop_the_report(tmp_path):
    """Archives made elsewhere leave such names."""
    write_oulu(tmp_path)
    with open(os.fsencode(tmp_path) + b"/OriginalImg/VL/Strong/P001/Anger/\xe9\xff.txt", "wb"):  # noqa: PTH123
        pass
    text = audit(tmp_path, "oulu_casia").report()
    assert "\\xe9\\xff.txt" in text and text.encode("utf-8")


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("seed", range(4))
def test_no_damage_makes_the_audit_raise(tmp_path, name, seed):
    """Files emptied, cut, overwritten, removed, replaced by folders: every copy still gets its report."""
    WRITERS[name](tmp_path)
    chance = random.Random(f"{name} {seed}")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in chance.sample(files, len(files) // 3):
        content = path.read_bytes()
        damage = chance.choice(("empty", "cut", "noise", "remove", "folder"))
        path.unlink()
        if damage == "folder":
            path.mkdir()
        elif damage != "remove":
            changed = {"empty": b"", "cut": content[: len(content) // 2], "noise": chance.randbytes(200)}[damage]
            path.write_bytes(changed)
    assert audit(tmp_path, name).report()
