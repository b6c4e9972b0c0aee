"""Copies as people have them and as attackers would make them: each bad file is named with what to do, harming none."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from layouts import (
    action_unit,
    write_ckplus,
    write_clip,
    write_mmi,
    write_oulu,
    write_picture,
    write_session,
    write_text,
)

from gndl.databases import audit, inspect_database, read_database
from gndl.databases.clip import UnreadableClip, count_frames, decode_all
from gndl.databases.mmi_metadata import LARGEST
from gndl.errors import GndlError
from gndl.folds import Folds, classes_without_training, deal_folds, read_folds
from gndl.frames_reading import iterate_clip, read_image, read_landmarks
from gndl.sequences import Database
from gndl.study import open_study

HEADER = "subject,sequence,expression,neutral,examined\n"
LABEL = "Emotion/S005/001/S005_001_00000006_emotion.txt"


def said(database: Database) -> dict[str, str]:
    """Everything that was found: file name → all messages about it."""
    messages: dict[str, str] = {}
    for finding in database.findings:
        messages[finding.path.name] = f"{messages.get(finding.path.name, '')} {finding.kind}: {finding.message}".strip()
    return messages


# File names


ODD_NAMES = ["blank at end ", "a;b,c", "100%d %s", "new\nline", "日本", "-rf", "file:x", "x" * 200]


@pytest.mark.parametrize("folder", ODD_NAMES)
def test_odd_folder_names_change_nothing(tmp_path: Path, folder: str) -> None:
    """Blanks, separators, patterns, line ends and scripts are letters like others, for pictures and for clips."""
    plain = read_database("ckplus", write_ckplus(tmp_path / "plain", frames=4))
    odd = read_database("ckplus", write_ckplus(tmp_path / folder / "odd", frames=4))
    assert [s.sequence for s in odd.sequences] == [s.sequence for s in plain.sequences]
    assert read_image(odd.sequences[0].neutral.path).shape == (64, 64)
    assert count_frames(write_clip(tmp_path / folder / "S001-001.avi", 6)) == 6


def test_names_that_are_no_utf8_are_read_like_others(tmp_path: Path) -> None:
    """Archives packed on other systems leave such names; clips and pictures below them are opened all the same."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    clip = write_clip(tmp_path / "S001-001.avi", 7)
    folder.mkdir()
    moved = clip.rename(folder / clip.name)
    assert count_frames(moved) == 7 and [index for index, _ in iterate_clip(moved)] == list(range(7))
    write_oulu(tmp_path / "plain", size=(64, 48))
    (tmp_path / "plain").rename(folder / "oulu")
    assert len(inspect_database("oulu_casia", folder / "oulu").sequences) == 12
    assert "caf" in audit(folder / "oulu", "oulu_casia").report()


# Links


def test_links_that_lead_back_or_to_themselves_end_nothing(tmp_path: Path) -> None:
    """A folder linked into itself, a link to itself and a pipe: the copy is read as if they were not there."""
    write_ckplus(tmp_path, frames=4)
    expected = read_database("ckplus", tmp_path).sequences
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "cohn-kanade-images/S005/again").symlink_to(tmp_path / "cohn-kanade-images")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "Emotion/S005/001/loop.txt").symlink_to("loop.txt")
    os.mkfifo(tmp_path / "cohn-kanade-images/S005/001/S005_001_00000003.5.png")
    assert read_database("ckplus", tmp_path).sequences == expected


def test_a_link_out_of_ones_own_copy_is_followed_and_reported(tmp_path: Path) -> None:
    """A subject on another disk counts, and the report says where it really lies."""
    copy, disk = write_ckplus(tmp_path / "copy", frames=4), tmp_path / "disk"
    (copy / "cohn-kanade-images/S005").rename(disk)
    (copy / "cohn-kanade-images/S005").symlink_to(disk)
    database = read_database("ckplus", copy)
    assert len(database.sequences) == 6
    notes = [finding for finding in database.findings if "leads out of the copy" in finding.message]
    assert len(notes) == 1 and notes[0].kind == "note"
    assert str(disk) in notes[0].message and "(12 files taken lie outside)" in notes[0].message


# Manifests


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Folder with pictures of two people, and one picture outside of it."""
    for name in ("ann/neutral.png", "ann/joy.png", "bob/neutral.png", "bob/joy.png", "../secret.png"):
        write_picture(tmp_path / "own" / name)
    (tmp_path / "own/link.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "own/inside.png").symlink_to("ann/joy.png")
    return tmp_path / "own"


GOOD = "ann,a1,joy,ann/neutral.png,ann/joy.png\nbob,b1,fear,bob/neutral.png,bob/joy.png\n"


def findings_of(folder: Path, rows: str, kind: str = "error") -> list[str]:
    """Messages of one kind about a manifest of the good rows and ``rows``."""
    write_text(folder / "manifest.csv", HEADER + GOOD + rows)
    return [f.message for f in inspect_database("manifest", folder).findings if f.kind == kind]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/etc/hostname", "row 4: /etc/hostname is an absolute path"),
        ("../secret.png", "row 4: ../secret.png leads out of the manifest's folder"),
        ("ann/../../secret.png", "leads out of the manifest's folder, to"),
        ("link.png", "row 4: link.png leads out of the manifest's folder, to"),
    ],
)
def test_a_manifest_names_nothing_outside_its_folder(manifest: Path, path: str, words: str) -> None:
    """Absolute, by ``..`` or by a link: refused with the row, where it leads, and what to do."""
    for rows in (f"ann,a2,joy,ann/neutral.png,{path}\n", f"ann,a2,joy,{path},ann/joy.png\n"):
        errors = findings_of(manifest, rows)
        assert len(errors) == 1 and words in errors[0] and "put them there" in errors[0]


def test_links_and_dots_that_stay_inside_are_fine(manifest: Path) -> None:
    """What leads nowhere else is read."""
    assert findings_of(manifest, "ann,a2,joy,bob/../ann/neutral.png,inside.png\n") == []


def test_duplicate_rows_count_once_and_are_named(manifest: Path) -> None:
    """The same row twice teaches nothing twice."""
    problems = findings_of(manifest, GOOD.splitlines()[0] + "\n", "problem")
    assert problems == ["sequence a1: the same examined picture in several rows; it counts once, remove the others"]
    assert len(read_database("manifest", manifest).sequences) == 2


def test_a_neutral_face_of_another_subject_is_refused(manifest: Path) -> None:
    """Whose neutral face it is the manifest itself tells, by another row."""
    errors = findings_of(manifest, "ann,a2,joy,bob/neutral.png,inside.png\n")
    assert len(errors) == 1 and "one picture under several subjects (ann, bob): bob/neutral.png" in errors[0]


def test_a_missing_column_is_named(manifest: Path) -> None:
    """With the columns that are expected and those that were found."""
    write_text(manifest / "manifest.csv", HEADER.replace("neutral,", "") + "ann,a1,joy,ann/joy.png\n")
    with pytest.raises(GndlError, match=r"manifest\.csv: no column neutral; the columns subject,.* expected, found"):
        read_database("manifest", manifest)


# Clips


def test_a_clip_cut_short_is_named_with_the_frames_it_has(tmp_path: Path) -> None:
    """The check of a copy and the crop stage agree on where it ends."""
    clip = write_clip(tmp_path / "S001-001.avi", 30)
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    count = count_frames(clip)
    with pytest.raises(GndlError, match=r"S001-001\.avi: .*(ends after|after frame)"):
        list(iterate_clip(clip, {0, 29}))
    assert 5 < count < 30


def test_a_clip_without_frames_is_left_out_by_name(tmp_path: Path) -> None:
    """A header alone, as a download that broke off leaves it."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011")
    clip = folder / "S004-011.avi"
    clip.write_bytes(clip.read_bytes()[: clip.read_bytes().index(b"movi") + 4])
    with pytest.raises(UnreadableClip):
        decode_all(clip)
    assert "skip: metadata without a readable clip" in said(read_database("mmi", tmp_path))["S004-011.avi"]


NO_CLIPS = {
    "empty": b"",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(64),
    "playlist": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nhttp://192.0.2.1/secret.ts\n#EXT-X-ENDLIST\n",
    "list of files": b"ffconcat version 1.0\nfile S001-001.avi\n",
    "text": b"\x1b[31mhello\x1b[0m\n" * 50,
}


@pytest.mark.parametrize("kind", NO_CLIPS)
def test_what_is_called_a_clip_and_is_none_is_refused_and_opens_nothing_else(tmp_path: Path, kind: str) -> None:
    """Pictures, playlists that name addresses or other files, and text are no clips, whatever their names say."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011", frames=0)
    write_clip(folder / "S001-001.avi", 5)  # what the list of files names is there
    clip = folder / "S004-011.avi"
    clip.write_bytes(NO_CLIPS[kind])
    with pytest.raises(UnreadableClip, match=r"it is empty \(0 bytes\)" if kind == "empty" else None):
        count_frames(clip)
    with pytest.raises(GndlError, match=r"S004-011\.avi: cannot be read as a clip"):
        list(iterate_clip(clip))
    assert "without a readable clip" in said(read_database("mmi", tmp_path))["S004-011.avi"]


def test_a_clip_with_a_wrong_extension_is_read_as_what_it_is(tmp_path: Path) -> None:
    """An MP4 called .avi: containers are told by their content."""
    clip = write_clip(tmp_path / "S001-001.mp4", 9, "mpeg4", "yuv420p").rename(tmp_path / "S001-001.avi")
    assert count_frames(clip) == 9 and len(list(iterate_clip(clip))) == 9


def test_an_interlaced_clip_shows_no_comb(tmp_path: Path) -> None:
    """Lines of the second field are replaced by the mean of their neighbours; frames are counted as ever."""
    path = tmp_path / "S001-001.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25, options={"flags": "+ildct+ilme", "qscale": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        picture = np.full((64, 64, 3), 60, dtype=np.uint8)
        picture[1::2] = 180  # the other moment
        for _ in range(6):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert count_frames(path) == 6
    frames = [picture for _, picture in iterate_clip(path)]
    with av.open(str(path)) as container:
        interlaced = [frame.interlaced_frame for frame in container.decode(video=0)]
    assert all(interlaced), "the encoder has marked its frames as interlaced"
    assert all(int(frame[2:-2].max()) - int(frame[2:-2].min()) < 40 for frame in frames)


def test_a_title_in_latin1_keeps_no_clip_from_being_read(tmp_path: Path) -> None:
    """Old recorders wrote their names in other encodings."""
    path = tmp_path / "S001-001.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "MARKER-OF-THE-TITLE"
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    content = path.read_bytes()
    assert content.count(b"MARKER-OF") == 1
    path.write_bytes(content.replace(b"MARKER-OF", b"Gesicht\xe4\xff"))
    assert count_frames(path) == 1


# XML

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
MALICIOUS = {
    "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><Clip><Metatag Name="Emotion" Value="&l9;"/></Clip>',
    "file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Clip>&x;</Clip>',
    "address": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://192.0.2.1/x">]><Clip>&x;</Clip>',
    "outer rules": '<!DOCTYPE a SYSTEM "http://192.0.2.1/rules.dtd"><Clip/>',
    "digits": f'<Clip><Metatag Name="Emotion" Value="{"9" * 5000}"/></Clip>',
    "deep": "<Clip>" * 20_000 + "</Clip>" * 20_000,
    "huge": f"<Clip>{' ' * LARGEST}</Clip>",
    "cut": '<Clip><Metatag Name="Emotion" Val',
    "bytes": "\0\1\2",
}


@pytest.mark.parametrize("kind", MALICIOUS)
def test_xml_of_any_kind_leaves_out_its_recording_and_nothing_else(tmp_path: Path, kind: str) -> None:
    """Named in a finding, short enough to read; no entity is resolved and nothing is fetched."""
    write_mmi(tmp_path)
    folder = write_session(tmp_path / "Sessions/11", "S004-011", frames=0)
    (folder / "S004-011.avi").write_bytes((tmp_path / "Sessions/1/S001-001.avi").read_bytes())
    for file in ("session.xml", "S004-011.xml"):
        kept = (folder / file).read_text()
        write_text(folder / file, MALICIOUS[kind])
        database = read_database("mmi", tmp_path)
        assert len(database.sequences) == 3
        message = said(database)[file]
        assert message and len(message) < 400
        write_text(folder / file, kept)


def test_action_units_of_thousands_of_digits_are_left_out(tmp_path: Path) -> None:
    """Their clip is taken at its middle, as without a complete action unit."""
    unit = action_unit("12", (0, 1)).replace('Frame="1"', f'Frame="{"9" * 5000}"')
    write_mmi(tmp_path)
    write_session(tmp_path / "Sessions/11", "S004-011", units=unit)
    added = {s.sequence: s for s in read_database("mmi", tmp_path).sequences}["S004-011"]
    assert "middle" in added.frames_chosen_by


# Label files


@pytest.mark.parametrize("content", ["   3.0 happy", "3 4", "3\n5", "3" * 2_000_000, "\0" * 50, "٣ joy"])
def test_a_label_with_extra_text_leaves_its_sequence_out_by_name(tmp_path: Path, content: str) -> None:
    """One number and nothing else; the message is short however long the file is."""
    write_ckplus(tmp_path, frames=6)
    write_text(tmp_path / LABEL, content)
    database = read_database("ckplus", tmp_path)
    message = said(database)["S005_001_00000006_emotion.txt"]
    assert len(database.sequences) == 5 and message.startswith("problem: ") and len(message) < 200


def test_two_labels_that_agree_count_once_and_are_noted(tmp_path: Path) -> None:
    """The second is named, since only one is distributed."""
    write_ckplus(tmp_path, frames=6)
    write_text(tmp_path / LABEL.replace("06_emotion", "05_emotion"), "1")
    database = read_database("ckplus", tmp_path)
    assert len(database.sequences) == 6
    assert "note: a second label of its sequence" in said(database)["S005_001_00000006_emotion.txt"]


def test_a_huge_landmark_file_is_refused_unread(tmp_path: Path) -> None:
    """68 lines have some two thousand bytes."""
    write_text(tmp_path / "landmarks.txt", "1 2\n" * 50_000)
    with pytest.raises(GndlError, match=r"landmarks\.txt: cannot be read as landmarks \(200,000 bytes\); 68 lines"):
        read_landmarks(tmp_path / "landmarks.txt")


# Who is there


def test_subjects_with_one_class_are_dealt_like_others(tmp_path: Path) -> None:
    """CK+ has many of them; nothing is wrong with it."""
    write_ckplus(tmp_path, ("S005", "S010", "S011"), frames=4)
    for subject, kept in (("S005", "001"), ("S010", "001")):
        for number in ("001", "002", "003"):
            if number != kept:
                (tmp_path / f"Emotion/{subject}/{number}/{subject}_{number}_00000004_emotion.txt").unlink()
    database = read_database("ckplus", tmp_path)
    assert len(database.sequences) == 5
    assert len(deal_folds([s.subject for s in database.sequences], [s.expression for s in database.sequences])) == 3


def test_fewer_subjects_than_folds_says_how_many_there_are() -> None:
    """And what to do."""
    with pytest.raises(GndlError, match=r"10 folds were asked for, but there are only 2 subjects: ask for fewer"):
        deal_folds(["a", "b"], [0, 1], n_folds=10)


def test_classes_that_nobody_in_training_shows_are_found() -> None:
    """Only b shows fear: the fold that tests b is trained without it."""
    folds = Folds((("a",), ("b",), ("c",)))
    subjects, labels = ["a", "a", "b", "b", "c"], ["joy", "anger", "fear", "joy", "anger"]
    assert classes_without_training(folds, subjects, labels) == {1: ["fear"]}
    assert classes_without_training(folds, subjects, ["joy"] * 5) == {}


def test_a_class_missing_in_training_is_said_once_with_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the fold that tests the one subject who shows it, when the folds are dealt; nothing where all is trained."""
    subjects = ("S052", "S055", "S074", "S106")
    whole = write_ckplus(tmp_path / "whole", subjects, frames=4)
    open_study("ckplus", data_root=str(whole), profile="smoke", out=tmp_path / "study_of_all", jobs=1)
    assert "trained without" not in capsys.readouterr().err
    lacking = write_ckplus(tmp_path / "lacking", subjects, frames=4)
    write_text(lacking / "Emotion/S074/001/S074_001_00000004_emotion.txt", "4")
    for _ in range(2):
        study = open_study("ckplus", data_root=str(lacking), profile="smoke", out=tmp_path / "study", jobs=1)
    fold = next(n for n, tested in enumerate(study.folds.test_subjects) if "S074" in tested)
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "trained without" in line)
    assert line.startswith(f"{tmp_path}/study/ckplus/folds.json: fold {fold} is trained without fear, ")
    assert line.endswith("ask for other folds (--n-folds or --folds) or add subjects who show it.")


NO_FOLDS = ["[" * 100_000, '{"0": ' * 10_000, '{"' + "9" * 5000 + '": []}', "\ud800", '{"0": "ab"}']


@pytest.mark.parametrize("content", NO_FOLDS)
def test_a_fold_file_of_nonsense_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """However deep, long or undecodable it is."""
    (tmp_path / "folds.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(GndlError, match=r"folds\.json: is no fold file"):
        read_folds(tmp_path / "folds.json", ["a", "b"])
    write_text(tmp_path / "folds.csv", f"subject,fold\na,{'9' * 5000}\nb,1\n")
    with pytest.raises(GndlError, match=r"folds\.csv, row 2: .* is no fold"):
        read_folds(tmp_path / "folds.csv", ["a", "b"])
