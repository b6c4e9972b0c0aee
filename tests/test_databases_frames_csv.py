"""``frames.csv`` is written for the eye to correct, and what it says is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import write_ckplus, write_mmi, write_oulu, write_picture, write_text

from gndl.databases import read_database, write_frames_csv
from gndl.errors import GndlError

WRITERS = {"ckplus": write_ckplus, "oulu_casia": write_oulu, "mmi": write_mmi}


@pytest.mark.parametrize("name", WRITERS)
def test_an_untouched_file_changes_no_sequence(tmp_path, name):
    """Written and read back, the same frames are taken and still by the reader's choice."""
    database = read_database(name, WRITERS[name](tmp_path / "db"))
    write_frames_csv(database, tmp_path / "frames.csv")
    assert read_database(name, tmp_path / "db", frames_csv=tmp_path / "frames.csv").sequences == database.sequences


def test_the_file_names_pictures_by_name_and_video_frames_from_one(tmp_path):
    """One row per sequence, examined frames separated by semicolons."""
    write_frames_csv(read_database("ckplus", write_ckplus(tmp_path / "ck")), tmp_path / "ck.csv")
    lines = (tmp_path / "ck.csv").read_text().splitlines()
    assert lines[:2] == [
        "sequence,neutral,examined",
        "S005_001,S005_001_00000001.png,S005_001_00000004.png;S005_001_00000005.png;S005_001_00000006.png",
    ]
    write_frames_csv(read_database("mmi", write_mmi(tmp_path / "mmi")), tmp_path / "mmi.csv")
    assert (tmp_path / "mmi.csv").read_text().splitlines()[2] == "S002-002,1,12;15;18"


def corrected(tmp_path, name, rows):
    """The sequences of a tiny database, by name, after these rows."""
    WRITERS[name](tmp_path / "db")
    write_text(tmp_path / "frames.csv", "sequence,neutral,examined\n" + rows)
    database = read_database(name, tmp_path / "db", frames_csv=tmp_path / "frames.csv")
    return database, {sequence.sequence: sequence for sequence in database.sequences}


def test_corrected_frames_are_taken_in_order_of_time(tmp_path):
    """A row overrides the frames of its sequence alone, with their landmarks."""
    rows = "S005_001,S005_001_00000002.png,S005_001_00000006.png; S005_001_00000003.png\n"
    database, sequences = corrected(tmp_path, "ckplus", rows)
    changed = sequences["S005_001"]
    assert changed.neutral.path.name == "S005_001_00000002.png"
    assert [f.path.name[-5] for f in changed.examined] == ["3", "6"]
    assert all(f.landmarks and f.landmarks.stem.startswith(f.path.stem) for f in changed.examined)
    assert changed.frames_chosen_by == "frames.csv"
    assert sequences["S005_002"].frames_chosen_by == "first and last three"
    assert database.found["pairs"] == 5 * 3 + 2


def test_landmarks_are_for_all_or_none_of_the_corrected_frames(tmp_path):
    """A frame chosen by hand that lacks landmarks takes them from every frame."""
    write_ckplus(tmp_path / "db")
    (tmp_path / "db/Landmarks/S005/001/S005_001_00000003_landmarks.txt").unlink()
    write_text(tmp_path / "f.csv", "sequence,neutral,examined\nS005_001,S005_001_00000001.png,S005_001_00000003.png\n")
    assert read_database("ckplus", tmp_path / "db").sequences[0].neutral.landmarks is not None
    database = read_database("ckplus", tmp_path / "db", frames_csv=tmp_path / "f.csv")
    assert all(f.landmarks is None for s in database.sequences for f in (s.neutral, *s.examined))


def test_corrected_video_frames_count_from_one(tmp_path):
    """Frame 20 of the file is index 19 of the clip."""
    _, sequences = corrected(tmp_path, "mmi", "S001-001,2,20;30\n")
    changed = sequences["S001-001"]
    assert (changed.neutral.index, [f.index for f in changed.examined]) == (1, [19, 29])
    assert changed.may_lie_on_its_side


@pytest.mark.parametrize("cell", ["", ";", " ; ;"])
def test_nothing_examined_leaves_the_sequence_out_and_says_so(tmp_path, cell):
    """A cell that names no frame is a decision by hand, listed as a skip with its row."""
    database, sequences = corrected(tmp_path, "ckplus", f"S005_001,,{cell}\n")
    assert "S005_001" not in sequences and len(sequences) == 5
    assert any(f.kind == "skip" and "row 2: sequence S005_001" in f.message for f in database.findings)


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("ckplus", "S005_009,a.png,b.png\n", "row 2: no sequence 'S005_009'"),
        (
            "ckplus",
            "S005_001,S005_001_00000009.png,S005_001_00000002.png\n",
            "row 2: .* no frame 'S005_001_00000009.png'",
        ),
        ("ckplus", "S005_001,S005_001_00000001.png,S005_002_00000002.png\n", "no frame 'S005_002_00000002.png'"),
        ("ckplus", "S005_001,,S005_001_00000002.png\n", "no frame ''"),
        ("ckplus", "S005_001,S005_001_00000002.png,S005_001_00000002.png\n", "among the examined"),
        (
            "ckplus",
            "S005_001,S005_001_00000001.png,S005_001_00000002.png;S005_001_00000002.png\n",
            "named twice",
        ),
        ("ckplus", "S005_001,,\n\nS005_001,,\n", r"row 4: sequence S005_001 has a row already \(row 2\)"),
        ("mmi", "S001-001,0,20\n", "no frame '0'; its 30 frames are numbered from 1"),
        ("mmi", "S001-001,1,31\n", "no frame '31'"),
        ("mmi", "S001-001,1,-3\n", "no frame '-3'"),
        ("mmi", "S001-001,1,two\n", "no frame 'two'"),
    ],
)
def test_a_wrong_row_is_an_error_that_names_it(tmp_path, name, rows, words):
    """Unknown sequences and frames stop the study with file and row."""
    with pytest.raises(GndlError, match=words) as error:
        corrected(tmp_path, name, rows)
    assert "frames.csv" in str(error.value)


def test_a_manifest_whose_pictures_lie_apart_keeps_its_frames(tmp_path, monkeypatch):
    """Folders and semicolons in names come back as they were."""
    write_picture(tmp_path / "db/a/neutral;1.png")
    away = write_picture(tmp_path / "db/away/joy.png")
    write_picture(tmp_path / "db/b.png")
    write_picture(tmp_path / "db/c/anger;2.png")
    rows = f"ann,1,joy,a/neutral;1.png,{away.relative_to(tmp_path / 'db')}\nbob,2,anger,b.png,c/anger;2.png\n"
    write_text(tmp_path / "db/manifest.csv", "subject,sequence,expression,neutral,examined\n" + rows)
    monkeypatch.chdir(tmp_path)
    database = read_database("manifest", Path("db"))
    write_frames_csv(database, tmp_path / "frames.csv")
    assert "a/neutral;1.png" in (tmp_path / "frames.csv").read_text()
    assert read_database("manifest", Path("db"), frames_csv=Path("frames.csv")).sequences == database.sequences
