"""Databases are found where people keep them, and what is missing is said with the way out."""

from __future__ import annotations

import shutil

import pytest
from layouts import write_ckplus, write_mmi, write_oulu, write_picture, write_session, write_text

from gndl.databases import audit, locate_databases, read_database
from gndl.errors import GndlError


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        *[("ckplus", spelling) for spelling in ("ckplus", "CK+", "CKplus", "CK_plus", "Cohn-Kanade+")],
        *[("oulu_casia", s) for s in ("oulu_casia", "Oulu-CASIA", "Oulu_CASIA_NIR_VIS", "OuluCASIA", "Oulu CASIA")],
        *[("mmi", spelling) for spelling in ("mmi", "MMI", "MMI Facial Expression Database")],
    ],
)
def test_natural_spellings_are_found_under_data(tmp_path, name, spelling):
    """The folder's name may be the database's own."""
    (tmp_path / spelling).mkdir()
    write_text(tmp_path / spelling / "file", "")
    assert locate_databases([name], tmp_path, {}) == {name: tmp_path / spelling}


def test_an_override_wins_and_needs_no_data(tmp_path):
    """``CKPLUS=`` beside or without ``DATA=``."""
    for folder in ("data/ckplus", "elsewhere", "data/mmi"):
        write_text(tmp_path / folder / "file", "")
    override = {"ckplus": tmp_path / "elsewhere"}
    assert locate_databases(["ckplus"], None, override) == override
    assert locate_databases(["ckplus", "mmi"], tmp_path / "data", override) == {
        **override,
        "mmi": tmp_path / "data/mmi",
    }


def test_a_missing_database_prints_the_databases_that_would_work(tmp_path):
    """The message is the variable to copy."""
    for folder in ("ckplus", "mmi"):
        write_text(tmp_path / folder / "file", "")
    with pytest.raises(GndlError, match='DATABASES="ckplus mmi"') as error:
        locate_databases(["ckplus", "oulu_casia", "mmi"], tmp_path, {})
    assert str(tmp_path / "oulu_casia") in str(error.value)


def test_data_that_is_the_database_itself_is_recognised(tmp_path):
    """``DATA=/data/CK+`` is answered with ``CKPLUS=/data/CK+``."""
    (tmp_path / "CK+").mkdir()
    with pytest.raises(GndlError, match=r"use CKPLUS=.*CK\+"):
        locate_databases(["ckplus"], tmp_path / "CK+", {})


@pytest.mark.parametrize(
    ("archive", "command"),
    [
        ("extended-cohn-kanade-images.zip", 'unzip -d "{folder}" "{archive}"'),
        ("Emotion_labels.tar.gz", 'tar -xf "{archive}" -C "{folder}"'),
    ],
)
def test_archives_not_yet_unpacked_are_named_with_their_commands(tmp_path, archive, command):
    """A folder of archives alone is an error with the commands that unpack them."""
    packed = write_text(tmp_path / "ckplus" / archive, "")
    folder = packed.with_name(archive.split(".")[0])
    expected = command.format(folder=folder, archive=packed)
    with pytest.raises(GndlError) as error:
        locate_databases(["ckplus"], tmp_path, {})
    assert expected in str(error.value)
    with pytest.raises(GndlError) as error:
        read_database("ckplus", tmp_path / "ckplus")
    assert expected in str(error.value)


def test_archives_left_beside_what_they_held_do_not_matter(tmp_path):
    """Many keep the zips."""
    write_ckplus(tmp_path / "ckplus")
    write_text(tmp_path / "ckplus/extended-cohn-kanade-images.zip", "")
    assert len(read_database("ckplus", locate_databases(["ckplus"], tmp_path, {})["ckplus"]).sequences) == 6


def zipped(archive, folder):
    """An archive of a folder, as a download."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    shutil.make_archive(str(archive.with_suffix("")), "zip", folder)
    return archive


@pytest.mark.parametrize("unpacked", [".", "part2"])
@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_beside_unpacked_data_is_named_until_it_is_unpacked(tmp_path, suffix, unpacked):
    """Of two downloads one may be forgotten; its command is given, and nothing is said once it is unpacked."""
    write_mmi(tmp_path / "mmi")
    write_session(tmp_path / "other/Sessions/20", "S009-020")
    archive = tmp_path / "mmi/part2.zip"
    zipped(archive, tmp_path / "other")
    if suffix != ".zip":
        archive = archive.rename(tmp_path / f"mmi/part2{suffix}")
    note = next(f for f in read_database("mmi", tmp_path / "mmi").findings if f.path == archive)
    assert note.kind == "note" and str(archive) in note.message.split("to unpack it:")[1]
    assert "part2" in audit(tmp_path / "mmi", "mmi").report()
    if suffix == ".zip" or unpacked == "part2":
        shutil.copytree(tmp_path / "other", tmp_path / "mmi" / unpacked, dirs_exist_ok=True)
        database = read_database("mmi", tmp_path / "mmi")
        assert len(database.sequences) == 4 and archive not in {f.path for f in database.findings}


def test_what_was_asked_for_may_still_be_packed(tmp_path):
    """The error that the asked-for light is not here has the command of the archive beside it."""
    write_oulu(tmp_path / "db", "OriginalImg/VL/Dark")
    archive = zipped(tmp_path / "db/Strong.zip", write_oulu(tmp_path / "other"))
    message = refusal("oulu_casia", tmp_path / "db")
    assert "found original VL Dark" in message and f'unzip -d "{tmp_path / "db/Strong"}" "{archive}"' in message


def test_a_manifest_may_be_the_data_itself(tmp_path):
    """DATA is the file or its folder."""
    file = write_text(tmp_path / "manifest.csv", "")
    assert locate_databases(["manifest"], file, {}) == {"manifest": file}
    assert locate_databases(["manifest"], tmp_path, {}) == {"manifest": file}


@pytest.mark.parametrize("arguments", [(["ck"], None, {}), (["ckplus"], None, {})])
def test_unknown_names_and_no_place_are_errors(arguments):
    """Nothing is guessed."""
    with pytest.raises(GndlError):
        locate_databases(*arguments)


CLASSES = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")


def refusal(name, root):
    """The message with which a folder is refused."""
    with pytest.raises(GndlError) as error:
        read_database(name, root)
    return str(error.value)


@pytest.mark.parametrize("wrapper", [".", "CK+48", "archive/CK+48"])
def test_ck48_is_recognised(tmp_path, wrapper):
    """Cut-out peak frames in class folders: no neutral face, although the names tell the subject."""
    for name in CLASSES:
        write_picture(tmp_path / wrapper / name / "S010_004_00000017.png", size=(48, 48))
    message = refusal("ckplus", tmp_path)
    assert "CK+48" in message and "without any neutral face" in message and "still tell the subject" in message


def test_class_folders_without_subjects_are_recognised(tmp_path):
    """Pictures named by number: perhaps no subject either, and a neutral folder is not the sequence's neutral."""
    for name in ("train/Angry", "train/Happy", "train/Neutral", "test/Angry"):
        write_picture(tmp_path / name / "im0.png", size=(48, 48))
    message = refusal("ckplus", tmp_path)
    assert "perhaps without the subject" in message and "neutral face of the same sequence" in message


@pytest.mark.parametrize("file", ["fer2013.csv", "data/ckextended.csv"])
def test_a_table_of_pixels_is_recognised(tmp_path, file):
    """FER2013 and the CK+ tables made after it hold neither subject nor neutral face."""
    write_text(tmp_path / file, "emotion,pixels,Usage\n0,1 2 3,Training\n")
    message = refusal("ckplus", tmp_path)
    assert "FER2013" in message and file in message and "neither its subject" in message


def test_one_database_given_as_another_is_recognised(tmp_path):
    """The message names the database that it looks like."""
    write_ckplus(tmp_path / "c")
    write_oulu(tmp_path / "o")
    write_mmi(tmp_path / "m")
    assert "ask for the database oulu_casia" in refusal("ckplus", tmp_path / "o")
    assert "ask for the database mmi" in refusal("oulu_casia", tmp_path / "m")
    assert "ask for the database ckplus" in refusal("mmi", tmp_path / "c")


def test_anything_else_is_described(tmp_path):
    """What was expected, what was found, what to do."""
    write_text(tmp_path / "notes.txt", "x")
    write_picture(tmp_path / "holiday/beach.jpg")
    message = refusal("oulu_casia", tmp_path)
    assert "expected OriginalImg/VL/Strong" in message
    assert "holiday/, notes.txt" in message and "1 .jpg" in message and "unpacked" in message


def test_a_file_given_as_a_database_is_explained(tmp_path):
    """An archive is answered with its command, a table of pixels with why it is none, also as a manifest."""
    packed = write_text(tmp_path / "ck.zip", "")
    assert f'unzip -d "{tmp_path / "ck"}" "{packed}"' in refusal("ckplus", packed)
    table = write_text(tmp_path / "fer2013.csv", "emotion,pixels,Usage\n0,1 2 3,Training\n")
    assert "FER2013" in refusal("ckplus", table)
    assert "FER2013" in refusal("manifest", table)
    assert "found a file" in refusal("mmi", write_text(tmp_path / "x.bin", ""))
