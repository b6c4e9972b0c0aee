"""Copies as people have them and as attackers would make them: each bad file is named with what to do, harming none."""

from __future__ import annotations

import os
import random
import shutil
import struct
import zlib
from pathlib import Path

import pytest
from layouts import WRITERS, write_ckplus, write_clip, write_oulu, write_picture, write_session, write_text

from gndl.databases import audit, inspect_database, locate_databases, read_database
from gndl.files import GndlError
from gndl.frames import count_frames, read_image

IMAGE = "cohn-kanade-images/S005/001/S005_001_00000006.png"
LABEL = "Emotion/S005/001/S005_001_00000006_emotion.txt"
OULU = "OriginalImg/VL/Strong/P001/Anger/004.jpeg"
CLIP, COPY = "Sessions/11/S004-011.avi", "Sessions/1/S001-001.avi"
XML, SESSION, UNITS = (f"Sessions/11/{name}.xml" for name in ("S004-011", "session", "S004-011-oao_aucs"))
UNKNOWN = "it is empty, damaged or not in a supported format: PNG"


def png(width: int, height: int) -> bytes:
    """A PNG of a few dozen bytes whose header promises a picture of any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 9)), (b"IEND", b"")):
        content += struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
    return content


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
XMLS = {
    "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><Clip><Metatag Name="Emotion" Value="&l9;"/></Clip>',
    "file": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><Clip>&x;</Clip>',
    "entity": '<!DOCTYPE a [<!ENTITY x "4">]><Clip><Metatag Name="Emotion" Value="&x;"/></Clip>',
    "address": '<!DOCTYPE a [<!ENTITY x SYSTEM "http://192.0.2.1/x">]><Clip>&x;</Clip>',
    "cut": '<Clip><Metatag Name="Emotion" Val',
    "empty": "",
    "bytes": "\0\1\2",
}
PLAYLIST = b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nhttp://192.0.2.1/secret.ts\n#EXT-X-ENDLIST\n"

DAMAGES: list[tuple[str, str, str | bytes, str, str]] = [
    # database, file, its content, kind of finding, words of its message
    *[("ckplus", LABEL, content, "problem", "one number from 0 to 7 expected") for content in ("happy", "", "3 4")],
    *[("ckplus", LABEL, content, "problem", "unpack it again") for content in ("8", "-1", "2.5", "nan", "1e999")],
    ("ckplus", LABEL, "3" * 2_000_000, "problem", "left out, unpack it again"),
    ("ckplus", LABEL, "0.0000000e+00", "skip", "label 0 (neutral) is not an expression; sequence left out"),
    ("ckplus", LABEL.replace("06_emotion", "05_emotion"), "2", "problem", "disagree; left out, keep the distributed"),
    ("ckplus", LABEL.replace("06_emotion", "07_emotion"), "1", "problem", "peak frames missing"),
    ("ckplus", LABEL.replace("/S005_", "/S010_"), "1", "skip", "not a file of its folder"),
    ("ckplus", LABEL.replace("S005", "S020"), "3", "problem", "a label without frames: the pictures are missing"),
    ("ckplus", IMAGE, b"", "error", UNKNOWN),
    ("ckplus", IMAGE, png(60_000, 60_000), "error", "pixels"),
    ("ckplus", IMAGE, png(9000, 9000), "error", "9000×9000 pixels are more than the limit of 64,000,000"),
    ("ckplus", IMAGE, png(64, 48)[:40], "error", "cannot be read: "),
    ("ckplus", IMAGE, png(64, 48)[9:], "error", UNKNOWN),
    ("ckplus", IMAGE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "error", UNKNOWN),
    ("ckplus", IMAGE, b"\0\0\0\x18ftypheic", "error", UNKNOWN),
    ("oulu_casia", OULU, b"<html>404 not found</html>", "error", UNKNOWN),
    *[("mmi", CLIP, b"", "skip", "without a readable clip (it is empty (0 bytes)); left out, download")],
    *[("mmi", CLIP, content, "skip", "without a readable clip") for content in (b"no clip", png(9, 9), PLAYLIST)],
    ("mmi", CLIP, b"ffconcat version 1.0\nfile clip.bin\n", "skip", "without a readable clip"),
    *[("mmi", XML, content, "problem", "not readable as XML (") for content in XMLS.values()],
    *[("mmi", SESSION, content, "problem", "the view is not known, so the recording") for content in XMLS.values()],
    *[("mmi", UNITS, content, "problem", "the middle of the clip is taken") for content in XMLS.values()],
    ("mmi", XML, f'<Clip><Metatag Name="Emotion" Value="{"9" * 5000}"/></Clip>', "skip", "is not one of the six"),
    ("mmi", XML, "<Clip/>", "skip", "no metatag named Emotion; left out"),
    ("mmi", SESSION, "<session/>", "skip", "no track with one view"),
    ("mmi", "Sessions/99/notes.txt", "x", "skip", "a session without a clip"),
    ("mmi", "Sessions/99/S009-099.xml", "<Clip/>", "skip", "metadata of S009-099 without a clip"),
]


@pytest.mark.parametrize(("name", "file", "content", "kind", "words"), DAMAGES)
def test_a_bad_file_is_named_with_the_reason_and_harms_no_other(
    tmp_path: Path, name: str, file: str, content: str | bytes, kind: str, words: str
) -> None:
    """By the audit of the copy; at most its own sequence is lost, nothing is fetched, and messages stay short."""
    WRITERS[name](tmp_path)
    if name == "mmi":
        write_session(tmp_path / "Sessions/11", "S004-011", frames=0, units="")
        for copy in (tmp_path / CLIP, tmp_path / "Sessions/11/clip.bin"):  # the second is named by a list of files
            shutil.copy(tmp_path / COPY, copy)
    before = len(inspect_database(name, tmp_path).sequences)
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    report = audit(name, tmp_path)
    named = {(tmp_path / file).name, (tmp_path / file).parent.name}
    messages = [f.message for f in report.findings if f.kind == kind and words in f.message and f.path.name in named]
    assert len(messages) == 1 and len(messages[0]) < 400
    assert report.database is not None and len(report.database.sequences) >= before - 1
    assert report.ok == (kind != "error") and words in str(report)
    if isinstance(content, bytes) and kind == "error":
        with pytest.raises(GndlError, match="replace it with an undamaged copy"):
            read_image(tmp_path / file)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("seed", range(3))
def test_no_damage_makes_the_audit_raise(tmp_path: Path, name: str, seed: int) -> None:
    """Files emptied, cut, overwritten, removed, replaced by folders: every copy still gets its report."""
    WRITERS[name](tmp_path)
    chance = random.Random(f"{name} {seed}")
    files = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    for path in chance.sample(files, len(files) // 3):
        content = path.read_bytes()
        path.unlink()
        damage = chance.choice(("", "folder", b"", content[: len(content) // 2], chance.randbytes(200)))
        if damage == "folder":
            path.mkdir()
        elif isinstance(damage, bytes):
            path.write_bytes(damage)
    assert str(audit(name, tmp_path))


def test_odd_names_change_nothing(tmp_path: Path) -> None:
    """Blanks, separators, line ends, scripts and bytes that are not UTF-8 are letters like others."""
    names = [os.fsencode(name) for name in ("blank at end ", "a;b,c", "100%d %s", "new\nline", "日本", "-rf", "file:x")]
    for name in (*names, b"caf\xe9"):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        folder.mkdir()
        write_clip(tmp_path / "S001-001.avi", 6).rename(folder / "S001-001.avi")
        assert count_frames(folder / "S001-001.avi") == 6
        shutil.move(write_oulu(tmp_path / "plain", size=(64, 48)), folder / "oulu")
        assert len(inspect_database("oulu_casia", folder / "oulu").sequences) == 12
    assert "caf\\xe9" in str(audit("oulu_casia", folder / "oulu"))


def test_links_that_lead_back_or_nowhere_end_nothing(tmp_path: Path) -> None:
    """A folder linked into itself, a link to itself, and a pipe change nothing; a link that is taken is named."""
    write_ckplus(tmp_path, frames=6)
    expected = read_database("ckplus", tmp_path).sequences
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "cohn-kanade-images/S005/again").symlink_to(tmp_path / "cohn-kanade-images")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "cohn-kanade-images/S005/001/S005_001_00000003.5.png")
    assert read_database("ckplus", tmp_path).sequences == expected
    for target in ("nowhere.png", Path(IMAGE).name):
        (tmp_path / IMAGE).unlink()
        (tmp_path / IMAGE).symlink_to(target)
        assert [f.path for f in audit("ckplus", tmp_path).findings if f.kind == "error"] == [tmp_path / IMAGE]


def test_a_copy_that_cannot_be_written_is_read_and_left_as_it_was(tmp_path: Path) -> None:
    """Reading and auditing write nothing, not even for a moment: no folder's time of modification changes."""
    root = write_ckplus(tmp_path / "db")
    before = {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))}
    assert audit("ckplus", root).ok
    assert {path: path.stat().st_mtime_ns for path in (root, *root.rglob("*"))} == before


# Nothing of the database at all


def refusal(name: str, root: Path) -> str:
    """The message with which a folder is refused, by the reader and by the audit."""
    with pytest.raises(GndlError) as error:
        read_database(name, root)
    report = audit(name, root)
    assert not report.ok and str(root) in str(report)
    return str(error.value)


def test_what_is_found_instead_of_a_database_is_explained(tmp_path: Path) -> None:
    """The wrong copies in circulation, archives, other folders, files and nothing: what they are and what to do."""
    for name in ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"):
        write_picture(tmp_path / "kaggle/CK+48" / name / "S010_004_00000017.png", size=(48, 48))
    message = refusal("ckplus", tmp_path / "kaggle")
    assert "7 pictures in one folder per class (anger, " in message and "CK+48" in message and "manifest.csv" in message
    write_picture(tmp_path / "kaggle/CK+48/neutral/S010_004_00000001.png", size=(48, 48))
    message = refusal("ckplus", tmp_path / "kaggle")
    assert "with neutral faces, but nothing tells which of them" in message and "CK+48 have none" not in message
    table = write_text(tmp_path / "table/data/fer2013.csv", "emotion,pixels,Usage\n0,1 2 3,Training\n")
    for name, root in (("ckplus", tmp_path / "table"), ("mmi", table)):
        assert "fer2013.csv, a table of pixels without subjects or neutral faces" in refusal(name, root)
    assert "found emotion,pixels,Usage" in refusal("manifest", table)
    archive = write_text(tmp_path / "packed/extended-cohn-kanade-images.zip", "")
    for root in (archive.parent, archive):
        assert f"unpack {archive}" in refusal("ckplus", root)
    write_picture(tmp_path / "holiday/beach.jpg")
    message = refusal("oulu_casia", tmp_path / "holiday")
    assert "expected OriginalImg/VL/Strong" in message and "found beach.jpg; give the folder into which" in message
    (tmp_path / "empty").mkdir()
    assert "an empty folder" in refusal("mmi", tmp_path / "empty")
    assert "no such file or folder" in refusal("manifest", tmp_path / "nowhere")
    shutil.rmtree(write_ckplus(tmp_path / "unlabelled") / "Emotion")
    assert "no emotion labels: expected" in refusal("ckplus", tmp_path / "unlabelled")


@pytest.mark.parametrize(
    ("name", "others", "subject"),
    [("ckplus", "*/S010", "S005"), ("oulu_casia", "*/*/*/P002", "P001"), ("mmi", "Sessions/[!2]*", "S002")],
)
def test_one_subject_is_not_enough_for_a_study(tmp_path: Path, name: str, others: str, subject: str) -> None:
    """Subject-independent folds need two subjects: which one is there is said, and what to do."""
    for folder in WRITERS[name](tmp_path).glob(others):
        shutil.rmtree(folder)
    assert f"all sequences are of one subject ({subject}); at least two are needed" in refusal(name, tmp_path)


def test_one_class_is_not_enough_and_a_missing_one_is_named(tmp_path: Path) -> None:
    """One class teaches nothing; without fear there is a study, in which it is never recognised."""
    tree = write_oulu(tmp_path, size=(64, 48)) / "OriginalImg/VL/Strong"
    for folder in tree.glob("*/Fear"):
        shutil.rmtree(folder)
    (problem,) = (f.message for f in read_database("oulu_casia", tmp_path).findings if f.kind == "problem")
    assert problem.startswith("no sequence of fear; add some")
    for folder in tree.glob("*/[!A]*"):
        shutil.rmtree(folder)
    assert "all sequences are of one class; at least two are needed" in refusal("oulu_casia", tmp_path)


def test_ten_errors_are_listed_and_the_others_counted(tmp_path: Path) -> None:
    for number, said in ((10, False), (11, True)):
        rows = "".join(f"a,{n},joy,{n}.png,x{n}.png\n" for n in range(5)) + "a,b,joy,y.png,\n" * (number - 10)
        write_text(tmp_path / "manifest.csv", f"subject,sequence,expression,neutral,examined\n{rows}")
        message = refusal("manifest", tmp_path)
        assert (
            message.count("\n") == number - 1
            and (f"and 1 more; list them with gndl check {tmp_path}" in message) == said
        )


# Where the databases are


@pytest.mark.parametrize(
    ("name", "spelling"),
    [
        *[("ckplus", spelling) for spelling in ("ckplus", "CK+", "CK_plus", "Cohn-Kanade+", "extended cohn-kanade")],
        *[("oulu_casia", spelling) for spelling in ("Oulu-CASIA", "Oulu_CASIA_NIR_VIS", "Oulu-CASIA NIR&VIS", "oulu")],
        *[("mmi", spelling) for spelling in ("MMI", "MMI Facial Expression Database")],
    ],
)
def test_natural_spellings_are_found_under_data(tmp_path: Path, name: str, spelling: str) -> None:
    """The folder's name may be the database's own; a folder given by name wins."""
    (tmp_path / "data" / spelling).mkdir(parents=True)
    (tmp_path / "data/other").mkdir()
    assert locate_databases([name], tmp_path / "data", {}) == {name: tmp_path / "data" / spelling}
    (tmp_path / "data" / name).mkdir(exist_ok=True)
    assert locate_databases([name], tmp_path / "data", {}) == {name: tmp_path / "data" / name}, (
        "its own name is preferred"
    )
    override = {name: tmp_path / "data/other"}
    assert locate_databases([name], tmp_path / "data", override) == locate_databases([name], None, override) == override
    file = write_text(tmp_path / "data/manifest.csv", "")
    for data in (file, file.parent):
        assert locate_databases(["manifest"], data, {}) == {"manifest": file}


def test_a_missing_database_is_said_with_the_way_out(tmp_path: Path) -> None:
    """The variable to copy, the archive to unpack, or that the folder given is the database itself."""
    for folder in ("ckplus", "mmi"):
        (tmp_path / folder).mkdir()
    archive = write_text(tmp_path / "Oulu.tar.gz", "")
    with pytest.raises(GndlError, match='use DATABASES="ckplus mmi"') as error:
        locate_databases(["ckplus", "oulu_casia", "mmi"], tmp_path, {})
    assert f"{tmp_path / 'oulu_casia'}: no such folder" in str(error.value) and f"unpack {archive}" in str(error.value)
    for words, arguments in (
        ("use CKPLUS=.*/ckplus", (["ckplus"], tmp_path / "ckplus", {})),
        ("CK.: not given; set CKPLUS=/path or DATA=/path", (["ckplus"], None, {})),
        ("nowhere: no such folder", (["ckplus"], tmp_path / "nowhere", {})),
        ("nowhere: no such folder .MMI", (["mmi"], tmp_path, {"mmi": tmp_path / "nowhere"})),
        ("no manifest.csv here", (["manifest"], tmp_path, {})),
    ):
        with pytest.raises(GndlError, match=words):
            locate_databases(*arguments)
