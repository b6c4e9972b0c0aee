"""MMI is read as it is downloaded, in one piece or in several."""

from __future__ import annotations

import shutil

import pytest
from layouts import action_unit, write_clip, write_mmi, write_picture, write_session, write_text

from gndl.databases import ReadOptions, inspect_database, read_database
from gndl.databases.apex import spread
from gndl.databases.mmi_metadata import EMOTIONS
from gndl.sequences import STAND_IN_LABEL

DUAL = ReadOptions(mmi_views="frontal+dual")


def reasons(database, kind="skip"):
    """Findings of one kind: file name → message."""
    return {finding.path.name: finding.message for finding in database.findings if finding.kind == kind}


def names(database):
    """Names of the sequences taken."""
    return [sequence.sequence for sequence in database.sequences]


def one(database, name):
    """The sequence of that name."""
    return next(sequence for sequence in database.sequences if sequence.sequence == name)


def test_first_frame_is_neutral_and_three_lie_at_the_apex(tmp_path):
    """Subject, class, frames and how they were chosen, of coded and uncoded clips."""
    database = read_database("mmi", write_mmi(tmp_path))
    assert [(s.sequence, s.subject, s.expression) for s in database.sequences] == [
        ("S001-001", "S001", "anger"),
        ("S002-002", "S002", "happiness"),
        ("S003-010", "S003", "surprise"),
    ]
    coded, uncoded = one(database, "S002-002"), one(database, "S001-001")
    assert coded.neutral.path == tmp_path / "Sessions/2/S002-002.avi"
    assert (coded.neutral.index, [f.index for f in coded.examined]) == (0, list(spread(10, 18)))
    assert "AU apex (frames 11–19" in coded.frames_chosen_by
    assert (uncoded.neutral.index, [f.index for f in uncoded.examined]) == (0, [14, 15, 16])
    assert "middle of the clip (not AU-coded)" in uncoded.frames_chosen_by
    assert all(s.may_lie_on_its_side and s.view == "frontal" for s in database.sequences)
    assert database.found == {
        **{"clips": 3, "sequences": 3, "subjects": 3},
        **{"labelled": 3, "labelled_subjects": 3, "pairs": 9},
    }
    assert database.folders == {"sessions": tmp_path / "Sessions"}


@pytest.mark.parametrize(("code", "expression"), EMOTIONS.items())
def test_emotion_codes_are_the_databases_own(tmp_path, code, expression):
    """Code k is the class that MMI gives it."""
    write_session(write_mmi(tmp_path) / "Sessions/1", "S001-001", emotion=str(code))
    assert one(read_database("mmi", tmp_path), "S001-001").expression == expression


def test_several_downloads_are_joined(tmp_path):
    """Any number of ``Sessions`` roots in any wrapper is one database, and each root is reported."""
    write_session(tmp_path / "mmi-facial-expression-database_download_2019-04-27/Sessions/1", "S001-001")
    write_session(tmp_path / "mmi-oao-page10/Sessions/501", "S002-002", emotion="5")
    write_session(tmp_path / "mmi_happy/Sessions/7", "S003-003")
    database = read_database("mmi", tmp_path)
    assert names(database) == ["S001-001", "S002-002", "S003-003"]
    assert len(database.folders) == 3


@pytest.mark.parametrize("root", ["Sessions", "."])
def test_the_sessions_folder_itself_may_be_given(tmp_path, root):
    """The root may be the download or its ``Sessions``."""
    assert len(read_database("mmi", write_mmi(tmp_path) / root).sequences) == 3


def test_renamed_sessions_are_read(tmp_path):
    """What the session's folder is called does not matter: the subject is in the clip's name."""
    write_mmi(tmp_path)
    (tmp_path / "Sessions/2").rename(tmp_path / "Sessions/4__123")
    (tmp_path / "Sessions/1").rename(tmp_path / "Sessions/123__img")
    assert [s.subject for s in read_database("mmi", tmp_path).sequences] == ["S001", "S002", "S003"]


def test_a_clip_met_twice_counts_once(tmp_path):
    """The first one counts; the finding names both, and another recording of the same name is a problem."""
    write_mmi(tmp_path / "a")
    shutil.copytree(tmp_path / "a/Sessions/1", tmp_path / "b/Sessions/1")
    write_session(tmp_path / "b/Sessions/2", "S002-002", frames=12)
    database = read_database("mmi", tmp_path)
    assert len(database.sequences) == 3
    assert one(database, "S001-001").neutral.path == tmp_path / "a/Sessions/1/S001-001.avi"
    identical, other = (
        next(f for f in database.findings if f.path == tmp_path / "b" / p)
        for p in ("Sessions/1/S001-001.avi", "Sessions/2/S002-002.avi")
    )
    assert (identical.kind, other.kind) == ("skip", "problem")
    assert str(tmp_path / "a/Sessions/1/S001-001.avi") in identical.message
    assert str(tmp_path / "a/Sessions/2/S002-002.avi") in other.message


def coded(number):
    """An action unit at its apex from frame 11 to 19."""
    return action_unit(number, (1, 5), (2, 11), (3, 20))


@pytest.mark.parametrize("readable", [True, False])
@pytest.mark.parametrize("missing", ["session.xml", "S002-002.xml", "S002-002-oao_aucs.xml"])
def test_copies_of_a_clip_are_joined_whichever_is_the_worse(tmp_path, missing, readable):
    """What describes a clip may lie beside its second copy only; the second clip may be the only readable one."""
    write_mmi(tmp_path / "a")
    first, second = tmp_path / "a/Sessions/2", tmp_path / "b/Sessions/7"
    shutil.copytree(first, second)
    (first / missing).unlink()
    if not readable:
        (first / "S002-002.avi").write_bytes(b"")
        (second / ("session.xml" if missing == "S002-002.xml" else "S002-002.xml")).unlink()
    database = read_database("mmi", tmp_path)
    sequence = one(database, "S002-002")
    assert (sequence.expression, [f.index for f in sequence.examined]) == ("happiness", list(spread(10, 18)))
    assert readable or sequence.neutral.path == second / "S002-002.avi"
    assert readable or "cannot be read; left out for" in reasons(database, "problem")["S002-002.avi"]


def test_of_copies_that_differ_the_longer_one_counts_and_shares_nothing(tmp_path):
    """A clip that was cut short on its way is not preferred for coming first; another clip's coding is not its."""
    write_session(write_mmi(tmp_path / "a") / "Sessions/1", "S001-001", emotion="1", frames=9, units=coded("4"))
    write_session(tmp_path / "b/Sessions/1", "S001-001", emotion="1", frames=30)
    database = read_database("mmi", tmp_path)
    assert one(database, "S001-001").neutral.path == tmp_path / "b/Sessions/1/S001-001.avi"
    assert "not AU-coded" in one(database, "S001-001").frames_chosen_by
    cut = next(f for f in database.findings if f.path == tmp_path / "a/Sessions/1/S001-001.avi")
    assert cut.kind == "problem" and "another recording of the same name" in cut.message


def test_a_derived_clip_never_replaces_the_original(tmp_path):
    """The clip that bears the recording's own name counts; any other is named."""
    write_clip(write_mmi(tmp_path) / "Sessions/1/S001-001-cropped.avi", 12)
    write_clip(tmp_path / "Sessions/1/S001-001.mpg", 30, "mpeg2video", "yuv420p")
    database = read_database("mmi", tmp_path)
    assert one(database, "S001-001").neutral.path.name == "S001-001.avi"
    assert "derived" in reasons(database)["S001-001-cropped.avi"]
    assert "second format" in reasons(database)["S001-001.mpg"]


@pytest.mark.parametrize("view", ["1", "2", "7"])
def test_other_views_are_skipped_by_name(tmp_path, view):
    """Profile and dual clips are listed with their view, not taken."""
    write_mmi(tmp_path)
    write_session(tmp_path / "Sessions/11", "S004-011", view=view)
    database = read_database("mmi", tmp_path)
    assert len(database.sequences) == 3
    assert f"view {view}" in reasons(database)["S004-011.avi"]
    assert (database.found["sequences"], database.found["labelled"]) == (4, 3)


def test_dual_clips_are_taken_where_asked_for(tmp_path):
    """``frontal+dual`` takes view 2, marked as such, and still not view 1."""
    write_mmi(tmp_path)
    write_session(tmp_path / "Sessions/11", "S004-011", view="2")
    write_session(tmp_path / "Sessions/12", "S005-012", view="1")
    database = read_database("mmi", tmp_path, options=DUAL)
    assert [s.view for s in database.sequences] == ["frontal", "frontal", "frontal", "dual"]
    assert "S005-012.avi" in reasons(database)


def test_the_view_of_a_clip_is_that_of_its_own_track(tmp_path):
    """Where a session has several tracks, the one that names the clip's files tells its view."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011")
    write_session(folder, "S004-012")
    tracks = '<track view="1"><annotation filename="S004-011.xml"/></track><track view="0" filename="S004-012.avi"/>'
    write_text(folder / "session.xml", f"<session>{tracks}</session>")
    database = read_database("mmi", tmp_path)
    assert "S004-012" in names(database) and "view 1" in reasons(database)["S004-011.avi"]


def test_codes_beyond_the_six_and_missing_tags_are_skipped_by_name(tmp_path):
    """Emotion codes from 7 on, no metatag named Emotion and no metadata at all: each with its reason."""
    write_mmi(tmp_path)
    write_session(tmp_path / "Sessions/11", "S004-011", emotion="13")
    write_session(tmp_path / "Sessions/12", "S004-012", emotion=None)
    (write_session(tmp_path / "Sessions/13", "S004-013") / "S004-013.xml").unlink()
    database = read_database("mmi", tmp_path)
    assert len(database.sequences) == 3
    found = reasons(database)
    assert "code 13" in found["S004-011.xml"]
    assert "no metatag named Emotion" in found["S004-012.xml"]
    assert "no emotion" in found["S004-013.avi"]


def test_the_emotion_is_read_by_name_never_by_position(tmp_path):
    """Other metatags may stand before and after, in any namespace."""
    write_mmi(tmp_path)
    tags = '<Metatag Name="Laughter" Value="1"/><Metatag Value="6" Name="Emotion"/><Metatag Name="Other" Value="2"/>'
    write_text(tmp_path / "Sessions/1/S001-001.xml", f'<Clip xmlns="http://example.org/mmi">{tags}</Clip>')
    assert one(read_database("mmi", tmp_path), "S001-001").expression == "surprise"


@pytest.mark.parametrize("frames", [b"", b"this is no video"])
def test_metadata_without_a_readable_clip_is_skipped_by_name(tmp_path, frames):
    """A clip that is missing, empty or no video is a skip with its reason."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011", frames=0)
    assert "without a clip" in reasons(read_database("mmi", tmp_path))["11"]
    (folder / "S004-011.avi").write_bytes(frames)
    database = read_database("mmi", tmp_path)
    assert len(database.sequences) == 3
    assert "without a readable clip" in reasons(database)["S004-011.avi"]


def test_a_session_without_session_xml_is_skipped_by_name(tmp_path):
    """Without session.xml the view is not known, and nothing is guessed."""
    write_mmi(tmp_path)
    write_session(tmp_path / "Sessions/11", "S004-011", view=None)
    assert "its view is not known" in reasons(read_database("mmi", tmp_path))["S004-011.avi"]


def test_an_empty_session_is_named(tmp_path):
    """A folder beside the sessions without anything known in it is reported."""
    (write_mmi(tmp_path) / "Sessions/99").mkdir()
    assert "without a clip" in reasons(read_database("mmi", tmp_path))["99"]


BOMB = '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;">]><Clip><Metatag Name="Emotion" Value="&y;"/></Clip>'
FILE = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Clip><Metatag Name="Emotion" Value="4"/>&x;</Clip>'


@pytest.mark.parametrize("content", ["", "<Clip>", "no xml", BOMB, FILE, "<Clip><Metatag Name='Emotion' Value='4'"])
@pytest.mark.parametrize("file", ["S004-011.xml", "session.xml"])
def test_malformed_and_malicious_xml_is_a_problem_by_name(tmp_path, file, content):
    """Broken XML and entities leave out their recording and nothing else."""
    write_mmi(tmp_path)
    write_text(write_session(tmp_path / "Sessions/11", "S004-011") / file, content)
    database = read_database("mmi", tmp_path)
    assert len(database.sequences) == 3
    assert file in reasons(database, "problem")


def test_malformed_action_units_fall_back_to_the_middle_and_say_so(tmp_path):
    """An unreadable coding is a problem by name; the clip is taken at its middle, recorded as such."""
    write_mmi(tmp_path)
    write_text(tmp_path / "Sessions/2/S002-002-oao_aucs.xml", "<Annotation>")
    database = read_database("mmi", tmp_path)
    assert "middle of the clip" in one(database, "S002-002").frames_chosen_by
    assert "S002-002-oao_aucs.xml" in reasons(database, "problem")


def test_action_unit_numbers_are_text(tmp_path):
    """``Number`` may be ``46L``; markers that are no numbers make their unit incomplete."""
    units = (
        action_unit("46L", (1, 5), (2, 11), (3, 20))
        + '<ActionUnit Number="4"><Marker Type="2" Frame="x"/></ActionUnit>'
    )
    write_session(write_mmi(tmp_path) / "Sessions/2", "S002-002", units=units)
    assert [f.index for f in one(read_database("mmi", tmp_path), "S002-002").examined] == list(spread(10, 18))


def test_a_session_of_pictures_is_an_image_sequence(tmp_path):
    """Pictures instead of a clip are its frames in the order of their numbers; markers count them from 1."""
    write_mmi(tmp_path)
    units = action_unit("12", (1, 3), (2, 5), (3, 8))
    folder = write_session(tmp_path / "Sessions/11__img", "S004-011", frames=0, units=units)
    for number in range(1, 13):
        write_picture(folder / f"S004_011_{number}.jpg", number)
    database = read_database("mmi", tmp_path)
    sequence = one(database, "S004-011")
    assert [f.path.name for f in sequence.frames] == [f"S004_011_{n}.jpg" for n in range(1, 13)]
    assert sequence.neutral.path.name == "S004_011_1.jpg"
    assert [f.path.name for f in sequence.examined] == [f"S004_011_{n}.jpg" for n in (5, 6, 7)]
    assert not sequence.neutral.is_video


def test_stray_pictures_are_no_frames_of_a_session(tmp_path):
    """Previews, faces cut out and second copies of a frame are named, and the neutral face stays the first frame."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011", frames=0)
    for number in range(1, 9):
        write_picture(folder / f"S004_011_{number}.jpg", number)
    strays = {
        "preview.jpg": "not called after its recording",
        "face_0.jpg": "not called after its recording",
        "S004-011.jpg": "without a frame's number",
        "S004_011_2cropped.jpg": "without a frame's number",
    }
    for stray in (*strays, "S004_011_03.png"):
        write_picture(folder / stray)
    database = read_database("mmi", tmp_path)
    frames = [frame.path.name for frame in one(database, "S004-011").frames]
    assert [name for name in frames if name[9] != "0"] == [f"S004_011_{n}.jpg" for n in (1, 2, *range(4, 9))]
    assert all(words in reasons(database)[stray] for stray, words in strays.items())
    assert "a second picture of frame 3" in reasons(database, "problem")["S004_011_3.jpg"]


def test_pictures_named_anyhow_are_frames_by_their_numbers(tmp_path):
    """The session's metadata names them; a picture without a number is none."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011", frames=0)
    for number in range(8, 13):
        write_picture(folder / f"img_{number}.jpg", number)
    write_picture(folder / "cover.jpg")
    database = read_database("mmi", tmp_path)
    assert [f.path.name for f in one(database, "S004-011").frames] == [f"img_{n}.jpg" for n in range(8, 13)]
    assert "without a frame's number" in reasons(database)["cover.jpg"]


def test_a_single_photograph_is_too_short(tmp_path):
    """MMI has sessions of one photograph; they hold no neutral face."""
    write_mmi(tmp_path)
    write_picture(write_session(tmp_path / "Sessions/11", "S004-011", frames=0) / "S004-011.jpg")
    assert "too short: 1 frame" in reasons(read_database("mmi", tmp_path))["11"]


def test_what_macos_leaves_is_never_entered(tmp_path):
    """``__MACOSX`` and ``._`` files are neither read nor reported."""
    before = read_database("mmi", write_mmi(tmp_path))
    write_session(tmp_path / "__MACOSX/Sessions/1", "S009-001")
    write_text(tmp_path / "Sessions/1/._S001-001.avi", "x")
    write_text(tmp_path / "Sessions/1/._session.xml", "x")
    assert read_database("mmi", tmp_path) == before


def test_the_label_of_a_stand_in_makes_the_source_rendered(tmp_path):
    """``STAND-IN.txt`` at the root is enough, also where a folder below it is given."""
    write_text(write_mmi(tmp_path) / STAND_IN_LABEL, "rendered")
    assert read_database("mmi", tmp_path).source == "rendered"
    assert read_database("mmi", tmp_path / "Sessions").source == "rendered"


def test_no_clip_at_all_is_an_error_that_says_what_was_expected(tmp_path):
    """An empty folder leads to one error finding."""
    database = inspect_database("mmi", tmp_path)
    assert [f.kind for f in database.findings] == ["error"]
    assert "session.xml" in database.findings[0].message and "empty folder" in database.findings[0].message
