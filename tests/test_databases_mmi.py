"""MMI is read as it is downloaded, in one piece or in several, and its clips are taken at their apex."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from layouts import one, said, write_clip, write_mmi, write_picture, write_session, write_text

from gndl.databases import ReadOptions, read_database
from gndl.databases.mmi import Marker, choose_examined
from gndl.files import GndlError


def test_takes_the_first_frame_and_three_at_the_apex(tmp_path: Path) -> None:
    """Subject, class, frames and how they were chosen, of coded and uncoded clips; ``Sessions`` may be given too."""
    database = read_database("mmi", write_mmi(tmp_path))
    coded, uncoded = one(database, "S002-002"), one(database, "S001-001")
    assert [(s.subject, s.expression) for s in (coded, uncoded)] == [("S002", "happiness"), ("S001", "anger")]
    assert [frame.index for frame in coded.taken] == [0, 11, 14, 17]
    assert "AU apex (frames 11–19" in coded.frames_chosen_by
    assert [frame.index for frame in uncoded.taken] == [0, 14, 15, 16]
    assert "middle of the clip (not AU-coded)" in uncoded.frames_chosen_by
    assert all(s.may_lie_on_its_side and s.view == "frontal" and not s.frames for s in database.sequences)
    counts = {"clips": 3, "sequences": 3, "subjects": 3, "labelled": 3, "labelled_subjects": 3, "pairs": 9}
    assert database.found == counts and database.folders == {"sessions": tmp_path / "Sessions"}
    assert read_database("mmi", tmp_path / "Sessions").sequences == database.sequences


def test_emotion_codes_are_the_databases_own(tmp_path: Path) -> None:
    """Codes 1 to 6 are the classes that MMI gives them; they are read by the tag's name, in any namespace."""
    classes = ("anger", "disgust", "fear", "happiness", "sadness", "surprise")
    for code in range(1, 7):
        folder = write_session(tmp_path / f"Sessions/{code}", f"S00{code}-00{code}", frames=6)
        tags = f'<Metatag Value="{code}" Name="Emotion"/><Metatag Name="Laughter" Value="1"/>'
        write_text(folder / f"S00{code}-00{code}.xml", f'<Clip xmlns="http://example.org/mmi">{tags}</Clip>')
    database = read_database("mmi", tmp_path)
    assert tuple(sequence.expression for sequence in database.sequences) == classes == database.expressions


def test_an_emotion_that_is_a_word_is_not_called_a_code(tmp_path: Path) -> None:
    """Seven is a code beyond the six; a word is a problem, and is told the codes."""
    write_session(write_mmi(tmp_path) / "Sessions/20", "S005-020", emotion="Happiness", frames=6)
    write_session(tmp_path / "Sessions/21", "S006-021", emotion="7", frames=6)
    database = read_database("mmi", tmp_path)
    message = said(database, "problem")["S005-020.xml"]
    assert "emotion 'Happiness' is not a code" in message and "4 happiness" in message and len(database.sequences) == 3
    assert "emotion code 7 is not one of the six" in said(database, "skip")["S006-021.xml"]


def test_downloads_are_joined_and_sessions_may_be_renamed(tmp_path: Path) -> None:
    """Any number of ``Sessions`` in any wrapper is one database; a clip met twice counts once, the best described."""
    write_session(tmp_path / "mmi_download_2019/Sessions/4__123", "S001-001")
    write_session(tmp_path / "mmi-oao-page10/Sessions/501", "S002-002", emotion="5")
    first = write_session(tmp_path / "again/Sessions/9", "S003-003")
    second = shutil.copytree(first, tmp_path / "mmi_happy/Sessions/123__img")
    (first / "session.xml").unlink()
    database = read_database("mmi", tmp_path)
    assert [s.sequence for s in database.sequences] == ["S001-001", "S002-002", "S003-003"]
    assert len(database.folders) == 4 and one(database, "S003-003").neutral.path.parent == second
    assert f"identical to {second / 'S003-003.avi'}" in said(database, "skip")["S003-003.avi"]


def test_recordings_of_one_name_that_differ_are_an_error_that_names_both(tmp_path: Path) -> None:
    """One was cut short, or is another; nothing is guessed."""
    write_session(write_mmi(tmp_path / "a") / "Sessions/1", "S001-001", emotion="1")
    write_session(tmp_path / "b/Sessions/1", "S001-001", emotion="1", frames=9)
    with pytest.raises(GndlError, match="move the wrong one out") as error:
        read_database("mmi", tmp_path)
    assert all(str(tmp_path / f"{place}/Sessions/1/S001-001.avi") in str(error.value) for place in "ab")


def test_only_the_clip_of_the_recordings_own_name_is_read(tmp_path: Path) -> None:
    """A derived clip, a second format and pictures are left out; a session of stills is named."""
    write_clip(write_mmi(tmp_path) / "Sessions/1/S001-001-cropped.avi", 12)
    write_clip(tmp_path / "Sessions/1/S001-001.mpg", 30, "mpeg2video", "yuv420p")
    write_picture(tmp_path / "Sessions/1/S001-001.jpg")
    write_picture(write_session(tmp_path / "Sessions/13", "S004-013", frames=0) / "S004-013.jpg")
    database = read_database("mmi", tmp_path)
    assert one(database, "S001-001").neutral.path.name == "S001-001.avi" and len(database.sequences) == 3
    skipped = said(database, "skip")
    assert "not named after subject and clip" in skipped["S001-001-cropped.avi"]
    assert "a second clip of that name; S001-001.avi is used" in skipped["S001-001.mpg"]
    assert "metadata of S004-013 without a clip (only 1 picture)" in skipped["13"]


def test_views_are_an_option(tmp_path: Path) -> None:
    """Profile and dual clips are named with their view; ``frontal+dual`` takes view 2; the view is its own track's."""
    write_mmi(tmp_path)
    for number, view in ((11, "2"), (12, "1"), (13, "7")):
        write_session(tmp_path / f"Sessions/{number}", f"S004-0{number}", view=view)
    folder = write_session(write_session(tmp_path / "Sessions/14", "S004-014"), "S004-015")
    tracks = '<track view="1"><annotation filename="S004-014.xml"/></track><track view="0" filename="S004-015.avi"/>'
    write_text(folder / "session.xml", f"<session>{tracks}</session>")
    frontal = read_database("mmi", tmp_path)
    assert [s.sequence for s in frontal.sequences] == ["S001-001", "S002-002", "S003-010", "S004-015"]
    views = {"S004-011.avi": "view 2 (both", "S004-012.avi": "view 1 (profile", "S004-013.avi": "view 7 (not known"}
    skipped = said(frontal, "skip")
    assert all(words in skipped[file] for file, words in {**views, "S004-014.avi": "view 1"}.items())
    dual = read_database("mmi", tmp_path, options=ReadOptions(mmi_views="frontal+dual"))
    assert {s.sequence for s in dual.sequences if s.view == "dual"} == {"S004-011"} and len(dual.sequences) == 5


# The apex of an MMI clip

COMPLETE = [(0, 1), (1, 5), (2, 11), (3, 20), (0, 30)]


@pytest.mark.parametrize(
    ("units", "frames"),
    [
        (None, (19, 20, 21)),
        ([], (19, 20, 21)),
        ([COMPLETE], (11, 14, 17)),
        ([COMPLETE, [(1, 25), (2, 30)]], (11, 14, 17)),
        ([[(1, 25), (2, 30), (3, 30)]], (19, 20, 21)),
        ([[(1, 2), (2, 5), (3, 15)], [(1, 2), (2, 10), (3, 30)], [(1, 19), (2, 22), (3, 24)]], (9, 11, 13)),
        ([[(1, 5), (2, 30), (3, 90)]], (30, 34, 38)),
        ([[(1, 5), (2, 50), (3, 90)]], (19, 20, 21)),
        ([[(1, 5), (2, 20), (3, 21)]], (18, 19, 20)),
        ([[(1, 5), (2, 20), (3, 22)]], (19, 20, 21)),
        ([[(1, 5), (2, 40), (3, 41)]], (37, 38, 39)),
        ([[(1, 2), (2, 5), (3, 9), (2, 20), (3, 24)]], (4, 6, 7)),
        ([[(1, 2), (2, 5), (3, 9), (2, 20), (3, 26)]], (20, 22, 24)),
        ([[(1, 2), (2, 5), (3, 15), (2, 30)]], (5, 9, 12)),
        ([[(1, 2), (2, 5), (3, 9), (2, 9), (3, 39)]], (9, 21, 32)),
        ([[(1, 2), (2, 9), (3, 9)]], (19, 20, 21)),
        ([[(2, 5), (3, 15)]], (19, 20, 21)),
        ([[(1, 2), (2, 5), (2, 9), (3, 15)]], (5, 9, 12)),
        ([[(1, 2), (2, 1), (3, 4)]], (1, 2, 3)),
    ],
)
def test_examined_frames_of_a_clip_of_forty(units: list[list[Marker]] | None, frames: tuple[int, ...]) -> None:
    """Coded, uncoded, incomplete, overlapping, beyond the clip, too short (widened evenly), two runs.

    A second apex without an offset leaves the first one; one on an offset's frame begins there.
    """
    assert choose_examined(units, 40)[0] == frames


ONSET, APEX, OFFSET = (f'<Marker Type="{kind}" Frame="{frame}"/>' for kind, frame in ((1, 3), (2, 7), (3, 16)))
LATER = '<Marker Type="1" Frame="1"/><Marker Frame="10" Type="2"/><Marker Type="3" Frame="19"/>'


@pytest.mark.parametrize(
    ("xml", "apex", "indices"),
    [
        (f'<ActionUnit Number="6">{OFFSET}{ONSET}{APEX}</ActionUnit>', "7–15, 1 action unit complete", (7, 10, 13)),
        (f'<ActionUnit Number="6">{LATER}</ActionUnit>', "10–18, 1 action unit complete", (10, 13, 16)),
        (
            f'<ActionUnit Number="6">{ONSET}{APEX}</ActionUnit><actionunit number="6">{OFFSET.lower()}</actionunit>',
            "7–15, 1 action unit complete",
            (7, 10, 13),
        ),
        (
            f'<ActionUnit Number="6" Side="L">{ONSET}{APEX}</ActionUnit>'
            f'<ActionUnit Number="6" Side="R">{ONSET}{LATER}</ActionUnit>',
            "10–18, 1 action unit complete",
            (10, 13, 16),
        ),
        (
            f'<x:ActionUnit xmlns:x="urn:x" Number="46L">{ONSET}{APEX}{OFFSET}</x:ActionUnit>'
            f'<ActionUnit Number="46">{LATER}<Marker Type="two" Frame="1"/></ActionUnit>',
            "10–15, 2 action units complete",
            (10, 12, 14),
        ),
    ],
)
def test_an_apex_is_read_from_the_markers_of_a_session(
    tmp_path: Path, xml: str, apex: str, indices: tuple[int, ...]
) -> None:
    """Type 2 begins it, type 3 ends it on the frame before; units are told apart by number and side."""
    folder = write_mmi(tmp_path) / "Sessions/1"
    write_text(folder / "S001-001-oao_aucs.xml", f"<Annotation>{xml}</Annotation>")
    write_text(folder / "S001-001-aucs.xml", "<Annotation/>")  # frame by frame, without markers
    sequence = one(read_database("mmi", tmp_path), "S001-001")
    assert sequence.frames_chosen_by == f"first, and AU apex (frames {apex})"
    assert [frame.index for frame in sequence.taken] == [0, *indices]
