"""The three databases are read as they are distributed, with everything that copies of them are known to have."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from layouts import (
    OULU_EXPRESSIONS,
    WRITERS,
    one,
    said,
    write_ckplus,
    write_ckplus_frame,
    write_oulu,
    write_picture,
    write_text,
)
from PIL import Image

from gndl.databases import ReadOptions, inspect_database, read_database
from gndl.files import GndlError
from gndl.frames import read_frames
from gndl.sequences import STAND_IN_LABEL

IMAGES = "cohn-kanade-images"
CROPPED = ReadOptions(oulu_pictures="cropped")


@pytest.mark.parametrize("name", WRITERS)
def test_what_macos_leaves_is_never_entered(tmp_path: Path, name: str) -> None:
    """``__MACOSX``, ``._`` files and ``.DS_Store`` are neither read nor reported."""
    before = read_database(name, WRITERS[name](tmp_path))
    assert all(f.message.startswith("no sequence of") for f in before.findings), "nothing is wrong with a plain copy"
    WRITERS[name](tmp_path / "__MACOSX")
    for folder in {frame.path.parent for sequence in before.sequences for frame in sequence.taken}:
        write_text(folder / ".DS_Store", "x")
        write_text(folder / "._S001-001.avi", "x")
    assert read_database(name, tmp_path) == before


@pytest.mark.parametrize("name", WRITERS)
def test_the_label_of_a_stand_in_makes_the_source_rendered(tmp_path: Path, name: str) -> None:
    """``STAND-IN.txt`` above the root, at it, or where links lead to is the only difference."""
    tree = WRITERS[name](tmp_path / "tree")
    licensed = read_database(name, tree)
    write_text(tree / STAND_IN_LABEL, "rendered")
    rendered = read_database(name, tree)
    assert (licensed.source, rendered.source) == ("licensed", "rendered")
    assert rendered.title == f"{licensed.title} stand-in" and replace(rendered, source="licensed") == licensed
    (tmp_path / "linked").mkdir()
    for folder in tree.iterdir():
        (tmp_path / "linked" / folder.name).symlink_to(folder)
    (tmp_path / "linked" / STAND_IN_LABEL).unlink()
    assert read_database(name, tmp_path / "linked").source == "rendered"


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia", "mmi"])
def test_a_rendered_tree_is_read_with_every_count_right(rendered_trees: dict[str, Path], name: str) -> None:
    """The stand-in's label says how many sequences there are; every sequence of pictures is taken by the rule."""
    root = rendered_trees[name]
    label = dict(line.split(": ", 1) for line in (root / STAND_IN_LABEL).read_text().splitlines() if ": " in line)
    database = read_database(name, root)
    assert database.source == "rendered"
    assert (str(database.found["labelled"]), str(database.found["sequences"])) == (
        label["labelled"],
        label["sequences"],
    )
    assert database.found["pairs"] == 3 * len(database.sequences)
    for sequence in database.sequences:
        if sequence.frames:
            assert sequence.taken == (sequence.frames[0], *sequence.frames[-3:])
            assert all(frame.landmarks is not None for frame in sequence.taken) == (name == "ckplus")


# CK+


def test_ckplus_takes_the_first_frame_and_the_last_three(tmp_path: Path) -> None:
    """A plain copy gives every sequence with its label and frames, each with its landmarks."""
    database = read_database("ckplus", write_ckplus(tmp_path))
    assert [(s.sequence, s.subject, s.expression) for s in database.sequences] == [
        (f"{subject}_{number}", subject, expression)
        for subject in ("S005", "S010")
        for number, expression in (("001", "anger"), ("002", "happiness"), ("003", "surprise"))
    ]
    for sequence in database.sequences:
        assert [frame.path.name[-6:-4] for frame in sequence.taken] == ["01", "04", "05", "06"]
        assert sequence.frames_chosen_by == "first and last three" and len(sequence.frames) == 6
        for frame in sequence.frames:
            assert frame.landmarks is not None and frame.landmarks.name == f"{frame.path.stem}_landmarks.txt"
    counts = {"sequences": 6, "subjects": 2, "frames": 36, "labelled": 6, "labelled_subjects": 2, "pairs": 18}
    assert database.found == counts and set(database.folders) == {"images", "labels", "landmarks"}


def test_ckplus_four_frames_are_enough(tmp_path: Path) -> None:
    """Numbers order them, whatever the gaps; the label counts for its sequence whichever frame it is named after."""
    folder = write_ckplus(tmp_path, frames=4) / "Emotion/S005/001"
    (folder / "S005_001_00000004_emotion.txt").rename(folder / "S005_001_00000002_emotion.txt")
    (tmp_path / IMAGES / "S010/001/S010_001_00000002.png").unlink()
    gap = tmp_path / IMAGES / "S010/002"
    (gap / "S010_002_00000002.png").rename(gap / "S010_002_00001000.png")
    database = inspect_database("ckplus", tmp_path)
    assert len(database.sequences) == 5 and one(database, "S005_001").expression == "anger"
    assert [int(frame.path.stem[-8:]) for frame in one(database, "S010_002").frames] == [1, 3, 4, 1000]
    assert said(database, "skip")["001"].startswith("too short: 3 frames, but")


CKPLUS_CLASSES = ("anger", "contempt", "disgust", "fear", "happiness", "sadness", "surprise")


def test_ckplus_labels_are_the_databases_own(tmp_path: Path) -> None:
    """Labels 1 to 7 are the classes that the database's notes give them; files as they are distributed."""
    for number in range(1, 8):
        for frame in (1, 2, 3, 4):
            write_picture(tmp_path / f"cohn-kanade-images/S01{number}/001/S01{number}_001_0000000{frame}.png", frame)
        text = f"   {number}.0000000e+00\n"
        write_text(tmp_path / f"Emotion/S01{number}/001/S01{number}_001_00000004_emotion.txt", text)
    database = read_database("ckplus", tmp_path)
    assert tuple(sequence.expression for sequence in database.sequences) == CKPLUS_CLASSES == database.expressions


def test_ckplus_frames_are_ordered_by_number_and_a_subject_is_one_in_any_case(tmp_path: Path) -> None:
    """``s005`` is ``S005``; capital letters sort before small ones in a folder, numbers do not."""
    write_ckplus(tmp_path)
    for folder in (f"{IMAGES}/S005", "Emotion/S005", "Landmarks/S005"):
        (tmp_path / folder).rename(tmp_path / folder.replace("S005", "s005"))
    for folder in (f"{IMAGES}/s005/001", "Landmarks/s005/001"):
        for file in (tmp_path / folder).iterdir():
            if int(file.name[9:17]) in (1, 3, 5):
                file.rename(file.with_name(file.name.lower()))
    database = read_database("ckplus", tmp_path)
    sequence = one(database, "S005_001")
    assert database.subjects == ("S005", "S010") and sequence.subject == "S005"
    assert [int(frame.path.name[9:17]) for frame in sequence.frames] == [1, 2, 3, 4, 5, 6]
    assert [int(frame.path.name[9:17]) for frame in sequence.taken] == [1, 4, 5, 6]
    marks = [frame.landmarks.name[9:17] if frame.landmarks else "" for frame in sequence.frames]
    assert marks == [frame.path.name[9:17] for frame in sequence.frames]


def test_ckplus_wrapper_folders_are_passed_through_and_named(tmp_path: Path) -> None:
    """The wrappers that unpacking leaves change nothing, and the folders found inside them are reported."""
    plain, wrapped = write_ckplus(tmp_path / "plain"), tmp_path / "wrapped"
    wrappers = {
        "images": f"extended-cohn-kanade-images/{IMAGES}",
        "labels": "Emotion_labels/Emotion",
        "landmarks": "Landmarks/Landmarks",
    }
    write_text(wrapped / "FACS_labels/FACS/S005/001/S005_001_00000006_facs.txt", "12 3\n")
    for folder in wrappers.values():
        (wrapped / folder).parent.mkdir(parents=True)
        (plain / Path(folder).name).rename(wrapped / folder)
    database = read_database("ckplus", wrapped)
    assert len(database.sequences) == 6
    assert database.folders == {role: wrapped / folder for role, folder in wrappers.items()}


def test_ckplus_derived_pictures_are_ignored_and_listed_by_name(tmp_path: Path) -> None:
    """Only ``Sxxx_yyy_dddddddd.png`` in its own folder is a frame; every other picture is named in a finding."""
    write_ckplus(tmp_path)
    strays = {
        *("S005/001/S005_001_00000009aligned.png", "S005/001/S005_001_0000009.png", "S005/face.png"),
        *("S005/001/S010_001_00000009.png", "S005/001/S005_002_00000009.png", "S005/001/S005_001_00000009.jpg"),
    }
    for stray in strays:
        write_picture(tmp_path / IMAGES / stray)
    database = read_database("ckplus", tmp_path)
    assert {f.path for f in database.findings if f.kind == "skip"} == {tmp_path / IMAGES / stray for stray in strays}
    assert [frame.path.name[-6:-4] for frame in one(database, "S005_001").examined] == ["04", "05", "06"]


def test_ckplus_sequences_without_label_take_no_part(tmp_path: Path) -> None:
    """Missing and empty label folders both mean no label; such sequences are counted and noted."""
    write_ckplus(tmp_path)
    for number in ("001", "002"):
        for frame in range(1, 7):
            write_ckplus_frame(tmp_path, "S011", number, frame)
    (tmp_path / "Emotion/S011/001").mkdir(parents=True)
    database = read_database("ckplus", tmp_path)
    assert [database.found[key] for key in ("sequences", "labelled", "subjects", "labelled_subjects")] == [8, 6, 3, 2]
    assert said(database, "note")["Emotion"].endswith("take no part: 2")


@pytest.mark.parametrize(
    "content", [None, "300 200\n" * 68, "30 20\n" * 68, "1 2\n" * 67, "1 2\n" * 67 + "nan 1", "x y", ""]
)
def test_ckplus_landmarks_are_used_for_all_frames_taken_or_for_none(tmp_path: Path, content: str | None) -> None:
    """One file that is missing, malformed or without two eyes in its picture is named, and all faces are detected."""
    file = write_ckplus(tmp_path) / "Landmarks/S010/002/S010_002_00000005_landmarks.txt"
    file.unlink() if content is None else write_text(file, content)
    (tmp_path / "Landmarks/S005/001/S005_001_00000002_landmarks.txt").unlink()  # a frame that is not taken
    database = read_database("ckplus", tmp_path)
    assert all(f.landmarks is None for s in database.sequences for f in (*s.taken, *s.frames))
    problems = said(database, "problem")
    named = "S010_002_00000005.png" if content is None else file.name
    assert problems[named].startswith("no landmark file" if content is None else "not usable")
    assert "1 of the 24 frames taken" in problems["Landmarks"] and "found by detection" in problems["Landmarks"]
    write_text(file, (tmp_path / "Landmarks/S010/002/S010_002_00000006_landmarks.txt").read_text())
    assert all(f.landmarks for s in read_database("ckplus", tmp_path).sequences for f in s.taken)


@pytest.mark.parametrize("folder", [IMAGES, "Emotion", "Landmarks"])
def test_two_folders_of_one_role_are_an_error_that_names_both(tmp_path: Path, folder: str) -> None:
    """Nothing is chosen by size or by the alphabet."""
    shutil.copytree(write_ckplus(tmp_path) / folder, tmp_path / "old" / folder)
    with pytest.raises(GndlError, match=r"a second folder of .* move the one that is not meant") as error:
        read_database("ckplus", tmp_path)
    assert all(str(tmp_path / place) in str(error.value) for place in (folder, f"old/{folder}"))


@pytest.mark.parametrize(
    ("name", "folder", "other"),
    [("ckplus", f"{IMAGES}/S005", "s005"), ("oulu_casia", "OriginalImg/VL/Strong/P001", "p001")],
)
def test_one_subject_in_two_folders_is_an_error_that_shows_both(
    tmp_path: Path, name: str, folder: str, other: str
) -> None:
    """Two spellings are one person; which folder is meant is not guessed."""
    original = WRITERS[name](tmp_path) / folder
    shutil.copytree(original, original.with_name(other))
    with pytest.raises(GndlError, match=f"in two spellings: {original.name} and {other}; write them alike"):
        read_database(name, tmp_path)


# Oulu-CASIA


def test_oulu_has_every_class_once(tmp_path: Path) -> None:
    """By the names of its folders, in any case of letters; first frame and last three by number."""
    classes = {"Anger": "anger", "Disgust": "disgust", "Fear": "fear", "Happiness": "happiness", "Sadness": "sadness"}
    for subject in ("P001", "p002"):
        for folder in (*classes, "SURPRISE"):
            for number in (0, 1, 2, 9, 10):
                write_picture(tmp_path / f"OriginalImg/VL/Strong/{subject}/{folder}/{number}.jpeg", number)
    database = read_database("oulu_casia", tmp_path)
    assert [sequence.expression for sequence in database.sequences] == [*classes.values(), "surprise"] * 2
    assert database.subjects == ("P001", "P002")
    assert {tuple(frame.path.stem for frame in s.taken) for s in database.sequences} == {("0", "2", "9", "10")}


@pytest.mark.parametrize(
    "tree",
    [
        *("OriginalImg/VL/Strong", "B_OriginalImg/B_OriginalImg/OriginalImg/VL/Strong", "VL/Strong"),
        *("Oulu_CASIA_NIR_VIS/OriginalImg/VL/Strong", "Oulu_CASIA_NIR_VIS/VL/Strong", "originalimg/vl/strong"),
    ],
)
def test_oulu_originals_are_found_through_every_wrapper(tmp_path: Path, tree: str) -> None:
    """Whatever the wrappers, every label, first frame and last three are right; any folder on the way may be given."""
    database = read_database("oulu_casia", write_oulu(tmp_path, tree))
    named = [(subject, expression) for subject in ("P001", "P002") for expression in OULU_EXPRESSIONS]
    for sequence, (subject, expression) in zip(database.sequences, named, strict=True):
        folder = tmp_path / tree / subject / expression
        assert (sequence.sequence, sequence.expression) == (f"{subject}_{expression}", expression.lower())
        assert [frame.path for frame in sequence.taken] == [folder / f"{n:03d}.jpeg" for n in (0, 2, 3, 4)]
    assert database.folders == {"images": tmp_path / tree} and database.found["pairs"] == 36
    for above in (tmp_path / tree, (tmp_path / tree).parent):
        assert read_database("oulu_casia", above).sequences == database.sequences


@pytest.mark.parametrize("wrapper", ["PreProcess Img", "PreProcess_Img", "PreProcessImg", "PreProcess"])
def test_oulu_cropped_pictures_are_told_by_their_folder(tmp_path: Path, wrapper: str) -> None:
    """They are never taken for whole frames."""
    write_oulu(tmp_path / "named", f"{wrapper}/VL_Acropped/Strong", size=(70, 80))
    assert len(read_database("oulu_casia", tmp_path / "named", options=CROPPED).sequences) == 12
    with pytest.raises(GndlError, match=r"found cropped VL Strong in .*--oulu-pictures"):
        read_database("oulu_casia", tmp_path / "named")


@pytest.mark.parametrize(("size", "pictures"), [((320, 240), "original"), ((72, 80), "cropped")])
def test_oulu_without_a_telling_name_the_size_decides(tmp_path: Path, size: tuple[int, int], pictures: str) -> None:
    """A note says so."""
    write_oulu(tmp_path, "VL/Strong", size=size)
    database = inspect_database("oulu_casia", tmp_path, options=replace(CROPPED, oulu_pictures=pictures))
    assert f"as {pictures} pictures by their size ({size[0]}×{size[1]})" in said(database, "note")["Strong"]
    assert len(database.sequences) == 12


def test_oulu_camera_light_and_pictures_are_options(tmp_path: Path) -> None:
    """What is taken is what was asked for; the rest is noted; what is missing is an error that lists what is there."""
    trees = ("OriginalImg/VL/Strong", "OriginalImg/NI/Weak", "OriginalImg/VL/Dark", "PreProcess Img/VL_Acropped/Strong")
    for tree in trees:
        write_oulu(tmp_path, tree)
    asked = (ReadOptions(), ReadOptions("NI", "Weak"), ReadOptions(oulu_light="Dark"), CROPPED)
    for tree, options in zip(trees, asked, strict=True):
        database = read_database("oulu_casia", tmp_path, options=options)
        assert database.folders["images"] == tmp_path / tree
        assert sum("not asked for" in finding.message for finding in database.findings) == 3
    assert [said(database, "note")["Dark"]] == ["not asked for: original pictures, VL, Dark"]
    with pytest.raises(GndlError, match="no original pictures of camera NI in Strong light; found original NI Weak"):
        read_database("oulu_casia", tmp_path, options=ReadOptions(oulu_camera="NI"))
    write_oulu(tmp_path, "again/OriginalImg/VL/Strong")
    with pytest.raises(GndlError, match=r"a second folder of the same pictures as .*move the one"):
        read_database("oulu_casia", tmp_path)


def test_oulu_lists_logs_and_odd_frames_are_named(tmp_path: Path) -> None:
    """Label lists, odd folders and second frames change nothing but the findings; numbers order the frames."""
    strong = write_oulu(tmp_path) / "OriginalImg/VL/Strong"
    for text in ("labels.txt", "P001/change.log", "P001/Anger/list.txt"):
        write_text(strong / text, "x")
    for picture in ("extra/000", "P002/Talking/000", "P001/Anger/contact_sheet", "P004/Fear/000", "P001/Anger/010"):
        write_picture(strong / f"{picture}.jpeg")
    write_picture(strong / "P001/Anger/9.JPG")
    write_picture(strong / "P001/Anger/000.jpg")
    (strong / "P003/Anger").mkdir(parents=True)
    database = read_database("oulu_casia", tmp_path)
    assert [frame.path.name for frame in database.sequences[0].examined] == ["004.jpeg", "9.JPG", "010.jpeg"]
    named = {"labels.txt", "change.log", "list.txt", "contact_sheet.jpeg", "extra", "Talking", "Anger", "Fear"}
    assert len(database.sequences) == 12 and set(said(database, "skip")) == named
    assert "too short: 1 frame" in said(database, "skip")["Fear"]
    assert "a second frame 000; 000.jpeg is used" in said(database, "problem")["000.jpg"]


def test_oulu_without_the_folder_of_the_light_is_told_so(tmp_path: Path) -> None:
    """Its faces are not said to have no neutral one; next to whole trees such subjects are a problem, not nothing."""
    write_oulu(tmp_path, "OriginalImg/VL", size=(64, 48))
    with pytest.raises(
        GndlError, match=r"OriginalImg/VL: subjects' folders, but not in a folder of the light"
    ) as error:
        read_database("oulu_casia", tmp_path)
    assert "neutral" not in str(error.value) and str(error.value).count("\n") == 0
    write_oulu(tmp_path, "OriginalImg/VL/Strong", size=(64, 48))
    database = read_database("oulu_casia", tmp_path)
    assert len(database.sequences) == 12 and "move them" in said(database, "problem")["VL"]


# Pictures of 16 bits


@pytest.mark.parametrize(("bits", "brightest"), [(8, 255), (10, 1023), (10, 800), (12, 1024), (12, 4095), (16, 65535)])
def test_pictures_of_16_bits_have_one_scale_in_a_database(tmp_path: Path, bits: int, brightest: int) -> None:
    """The brightest picture of all sets it, and a note says so; a dark one stays dark, one of 8 bits as it is."""
    write_ckplus(tmp_path)
    dark, bright, plain = (tmp_path / IMAGES / f"S005/00{n}/S005_00{n}_00000006.png" for n in (1, 2, 3))
    Image.fromarray(np.full((64, 64), 51, np.uint16)).save(dark)
    Image.fromarray(np.array([[0, brightest]] * 32, np.uint16)).save(bright)
    Image.fromarray(np.full((64, 64), 51, np.uint8)).save(plain)
    database = read_database("ckplus", tmp_path)
    white = 2**bits - 1
    (note,) = (f.message for f in database.findings if "more than 8 bits" in f.message)
    assert note.startswith("2 pictures of") and f"is {brightest}, so white is {white} ({bits} bits) in all" in note
    frames = [one(database, f"S005_00{n}").examined[-1] for n in (1, 2, 3)]
    pictures = read_frames(frames)
    assert np.unique(pictures[frames[0]]).tolist() == [round(51 * 255 / white)]
    assert np.unique(pictures[frames[1]]).tolist() == [0, round(brightest * 255 / white)]
    assert np.unique(pictures[frames[2]]).tolist() == [51]
    assert all(frame.white == white for sequence in database.sequences for frame in sequence.frames)
