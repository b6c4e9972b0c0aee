"""Own faces by a manifest, frames by a ``frames.csv``, and the audit of pictures: each strict, each naming the row."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts import WRITERS, write_mmi, write_oulu, write_picture, write_text
from PIL import Image, ImageEnhance

from gndl.databases import audit, inspect_database, read_database, write_frames_csv
from gndl.databases.audit import near_duplicates, thumbnail
from gndl.files import GndlError
from gndl.sequences import STAND_IN_LABEL, Database, Sequence

HEADER = "subject,sequence,expression,neutral,examined\n"
GOOD = "ann,ann_1,joy,a/neutral.png,a/joy.png\nNA,bob_1,anger,b/neutral.png,b/anger.png\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the pictures of two subjects, a copy, links in and out of it, and a manifest."""
    for name in ("a/neutral", "a/neutral2", "a/joy", "a/joy2", "b/neutral", "b/anger", "../secret"):
        write_picture(tmp_path / f"own/{name}.png")
    (tmp_path / "own/copy.png").write_bytes((tmp_path / "own/a/joy.png").read_bytes())
    (tmp_path / "own/link.png").symlink_to("a/joy.png")
    (tmp_path / "own/out.png").symlink_to(tmp_path / "secret.png")
    write_text(tmp_path / "own/manifest.csv", HEADER + GOOD)
    return tmp_path / "own"


def said(folder: Path, rows: str, kind: str) -> str:
    """The messages of one kind about a manifest of the good rows and ``rows``, of the reader alone."""
    write_text(folder / "manifest.csv", HEADER + GOOD + rows)
    findings = inspect_database("manifest", folder).findings
    return "\n".join(f"{finding.path.name}: {finding.message}" for finding in findings if finding.kind == kind)


def test_rows_become_sequences_with_paths_relative_to_the_manifest(folder: Path) -> None:
    """Rows of one sequence share its neutral face; what spreadsheets add changes nothing; "NA" is a name."""
    text = (HEADER + GOOD + "ann,ann_1,joy,a/neutral.png,a/joy2.png\n").replace("\n", "\r\n\r\n").replace(",", " , ")
    (folder / "manifest.csv").write_bytes(f"\ufeff{text},,,,\r\n".encode())
    database = read_database("manifest", folder)
    assert [(s.subject, s.sequence, s.expression) for s in database.sequences] == [
        ("ann", "ann_1", "joy"),
        ("NA", "bob_1", "anger"),
    ]
    assert [f.path for f in database.sequences[0].taken] == [folder / f"a/{n}.png" for n in ("neutral", "joy", "joy2")]
    assert (database.expressions, database.source, database.found["pairs"]) == (("anger", "joy"), "own", 3)
    assert read_database("manifest", folder / "manifest.csv").sequences == database.sequences


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("bob,ann_1,joy,a/neutral.png,a/joy2.png", "row 4: sequence ann_1 has subject bob, but ann in row 2"),
        ("ann,ann_1,anger,a/neutral.png,a/joy2.png", "row 4: sequence ann_1 has expression anger, but joy in row 2"),
        ("ann,ann_1,joy,b/neutral.png,a/joy2.png", "row 4: sequence ann_1 has neutral b/neutral.png"),
        ("ann,ann_2,joy,a,a/none.png", "row 4: no such picture"),
        ("ann,,joy,a/neutral.png,", "row 4: nothing in sequence, examined"),
        ("ann,ann_2,joy,a/neutral.png", "row 4: nothing in examined"),
        ("ann,ann_2,joy,a/neutral.png,a/joy2.png,x", "Expected 5 fields in line 4, saw 6"),
        ("ann,ann_2,Joy,a/neutral.png,a/joy2.png", "expressions that look like one in two spellings: Joy and joy"),
        ("cy,cy_1,joy,a/neutral2.png,b/../a/joy.png", "one picture under several subjects (ann, cy): a/joy.png"),
        ("cy,cy_1,joy,a/neutral2.png,link.png", "one picture under several subjects (ann, cy): a/joy.png"),
        ("cy,cy_1,joy,a/neutral2.png,copy.png", "the same bytes under several subjects (ann, cy): "),
        ("ann,ann_2,joy,a/neutral.png,/etc/hostname", "row 4: /etc/hostname is absolute or leads out of"),
        ("ann,ann_2,joy,a/../../secret.png,a/joy2.png", "row 4: a/../../secret.png is absolute or leads out of"),
        ("ann,ann_2,joy,a/neutral.png,out.png", "row 4: out.png is absolute or leads out of the manifest's folder (to"),
    ],
)
def test_a_row_that_cannot_be_used_is_an_error_by_its_number(folder: Path, row: str, words: str) -> None:
    """Conflicts, missing files, empty cells, one person under two names, paths that lead out of the folder."""
    assert words in said(folder, row + "\n", "error")
    with pytest.raises(GndlError, match=r"manifest\.csv: "):
        read_database("manifest", folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "No columns"),
        (HEADER.encode(), "no row below the header"),
        (b"subject,sequence,expression,neutral\n", "no column examined"),
        (HEADER.replace(",", ";").encode(), "separated by commas"),
        (b"subject," + HEADER.encode(), "no column subject, or several"),
        ((HEADER + "ann,a,anger,n.png,\0\n").encode(), "zero bytes"),
        ("sübject,sequence\n".encode("latin-1"), "save it as CSV UTF-8"),
        (HEADER.encode() + b'"ann,ann_1', "cannot be read as CSV"),
    ],
)
def test_a_table_that_is_not_one_says_what_is_wrong(folder: Path, content: bytes, words: str) -> None:
    """The audit lists it instead of raising."""
    (folder / "manifest.csv").write_bytes(content)
    assert words in str(audit("manifest", folder))


@pytest.mark.parametrize(("one", "other"), [("021", "21"), ("S021", "S21"), ("P1", "P01"), ("Zo\u00eb", "Zoe\u0308")])
def test_one_person_in_two_spellings_is_an_error_that_shows_both(folder: Path, one: str, other: str) -> None:
    """They would be in training and in test at once; 10 and 1 are two people (see test_folds)."""
    rows = "{},x,joy,a/neutral.png,a/joy2.png\n{},y,joy,a/neutral2.png,a/joy2.png\n"
    message = said(folder, rows.format(one, other), "error")
    assert "subjects that look like one in two spellings: " in message and all(name in message for name in (one, other))
    assert "spellings" not in said(folder, rows.format("10", "1"), "error")


def test_windows_paths_are_one_error_whatever_the_number_of_rows(folder: Path) -> None:
    rows = "".join(f"bob,bob_{number},joy,b\\neutral.png,b\\joy{number}.png\n" for number in range(40))
    (message,) = said(folder, rows, "error").splitlines()
    assert "row 4: b\\neutral.png is a path of Windows, the first of 80 cells; write / for every \\" in message


def test_what_is_doubtful_in_a_manifest_is_a_problem(folder: Path) -> None:
    """A row twice, a face as its own neutral; a rendered face among others makes all results count as rendered."""
    assert "sequence ann_1: the same examined picture in several rows" in said(folder, GOOD, "problem")
    assert "joy.png: examined in 2 sequences" in said(folder, "ann,ann_2,joy,a/neutral.png,a/joy.png\n", "problem")
    assert "row 4: the neutral and the examined" in said(folder, "ann,x,joy,a/joy2.png,a/joy2.png\n", "problem")
    write_text(folder / f"b/{STAND_IN_LABEL}", "rendered")
    write_text(folder / "manifest.csv", HEADER + GOOD)
    assert read_database("manifest", folder).source == "rendered"


# frames.csv


@pytest.mark.parametrize("name", WRITERS)
def test_an_untouched_frames_csv_changes_no_sequence(tmp_path: Path, name: str) -> None:
    """Written and read back, the same frames are taken and still by the reader's choice; video frames count from 1."""
    database = read_database(name, WRITERS[name](tmp_path / "db"))
    write_frames_csv(database, tmp_path / "frames.csv")
    lines = (tmp_path / "frames.csv").read_text().splitlines()
    first = {"ckplus": "S005_001,S005_001_00000001.png,S005_001_00000004.png;", "mmi": "S001-001,1,15;16;17"}
    assert lines[0] == "sequence,neutral,examined" and lines[1].startswith(first.get(name, "P001_Anger,000.jpeg,"))
    assert read_database(name, tmp_path / "db", frames_csv=tmp_path / "frames.csv").sequences == database.sequences


def corrected(tmp_path: Path, name: str, rows: str) -> tuple[Database, dict[str, Sequence]]:
    """A tiny database, and its sequences by name, after these rows."""
    write_text(tmp_path / "frames.csv", "sequence,neutral,examined\n" + rows)
    database = read_database(name, WRITERS[name](tmp_path / "db"), frames_csv=tmp_path / "frames.csv")
    return database, {sequence.sequence: sequence for sequence in database.sequences}


def test_corrected_frames_are_taken_in_order_of_time(tmp_path: Path) -> None:
    """A row overrides its sequence alone, with its landmarks; one without examined frames leaves its sequence out."""
    rows = "S005_001,S005_001_00000002.png,S005_001_00000006.png; S005_001_00000003.png\nS005_003,, ; \n"
    database, sequences = corrected(tmp_path / "images", "ckplus", rows)
    assert [f.path.name[-5] for f in sequences["S005_001"].taken] == ["2", "3", "6"]
    assert all(f.landmarks and f.landmarks.stem.startswith(f.path.stem) for f in sequences["S005_001"].taken)
    assert sequences["S005_001"].frames_chosen_by == "frames.csv"
    assert sequences["S005_002"].frames_chosen_by == "first and last three" and database.found["pairs"] == 14
    assert any(f.kind == "skip" and "row 3: sequence S005_003" in f.message for f in database.findings)
    _, sequences = corrected(tmp_path / "clips", "mmi", "S001-001,2,30;20\n")
    assert [f.index for f in sequences["S001-001"].taken] == [1, 19, 29]


@pytest.mark.parametrize(
    ("name", "rows", "words"),
    [
        ("ckplus", "S005_009,a.png,b.png\n", "row 2: no sequence 'S005_009'"),
        ("ckplus", "S005_001,x.png,S005_001_00000002.png\n", "row 2: sequence S005_001 has no frame 'x.png'; its 6"),
        ("ckplus", "S005_001,,S005_001_00000002.png\n", "no frame ''"),
        ("ckplus", "S005_001,S005_001_00000002.png,S005_001_00000002.png\n", "a frame is named twice"),
        ("ckplus", "S005_001,,\n\nS005_001,,\n", r"row 4: sequence S005_001 already has a row \(row 2\)"),
        *[("mmi", f"S001-001,1,{n}\n", f"no frame '{n}'; its 30 frames are 1 to 30") for n in ("0", "31", "-3", "two")],
    ],
)
def test_a_wrong_row_is_an_error_that_names_it(tmp_path: Path, name: str, rows: str, words: str) -> None:
    """Unknown sequences and frames stop the study with file and row."""
    with pytest.raises(GndlError, match=rf"frames\.csv, {words}" if words.startswith("row") else words):
        corrected(tmp_path, name, rows)


# The audit


@pytest.mark.parametrize(("name", "paper"), [("ckplus", 981), ("oulu_casia", 1440), ("mmi", 615)])
def test_a_whole_copy_is_ok_and_counted_next_to_the_paper(tmp_path: Path, name: str, paper: int) -> None:
    """Every count, every folder, and that the study can run."""
    report = audit(name, WRITERS[name](tmp_path))
    pairs = {"ckplus": 18, "oulu_casia": 36, "mmi": 9}[name]
    assert report.ok and report.database is not None and report.counts["pairs"] == (pairs, paper)
    assert f"  {'pairs':<24}{pairs:>8}{paper:>8}   differs\n" in str(report)
    assert all(str(path.relative_to(tmp_path)) in str(report) for path in report.database.folders.values())
    assert str(report).endswith("The study can run on this copy.\n")


def test_the_same_bytes_under_two_names_are_a_problem(tmp_path: Path) -> None:
    """One frame under another subject's name."""
    tree = write_oulu(tmp_path) / "OriginalImg/VL/Strong"
    (tree / "P002/Fear/004.jpeg").write_bytes((tree / "P001/Fear/004.jpeg").read_bytes())
    text = str(audit("oulu_casia", tmp_path))
    assert "P002/Fear/004.jpeg: the same bytes as OriginalImg/VL/Strong/P001/Fear/004.jpeg; replace" in text


@pytest.mark.parametrize(("damaged", "kind"), [(20, "error"), (14, "error"), (13, "problem"), (3, "problem")])
def test_a_clip_that_fails_before_a_frame_taken_is_an_error(tmp_path: Path, damaged: int, kind: str) -> None:
    """After the frames taken it is a problem; either way the frame is named."""
    clip = write_mmi(tmp_path) / "Sessions/1/S001-001.avi"
    content = bytearray(clip.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    ends = [start - 8 for start in starts[1:]] + [content.index(b"idx1")]  # chunks keep their headers of 8 bytes
    for start, end in list(zip(starts, ends, strict=True))[-damaged:]:
        content[start:end] = bytes([7]) * (end - start)
    clip.write_bytes(content)
    messages = [f.message for f in audit("mmi", tmp_path).findings if (f.path, f.kind) == (clip, kind)]
    assert len(messages) == 1 and f"frame {31 - damaged} does not decode" in messages[0]


@pytest.mark.parametrize(("decoded", "ok"), [(17, True), (16, False)])
def test_a_clip_that_ends_before_a_frame_taken_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decoded: int, ok: bool
) -> None:
    """The last frame taken of the uncoded clip is its 17th; a decoder may end early without an error."""
    module = sys.modules["gndl.databases.audit"]  # the package has a function of that name
    monkeypatch.setattr(module, "decode_clip", lambda path: decoded if "S001" in path.name else 30)
    report = audit("mmi", write_mmi(tmp_path))
    assert report.ok == ok and ("frame 17 is taken, but only 16 decode: cut short" in str(report)) == (not ok)


def face(seed: int) -> Image.Image:
    """A smooth random picture, as different from any other as faces are in one set-up: half of it is shared."""
    common, own = (np.random.default_rng(number).normal(0, 1, (9, 7)) for number in (0, seed))
    small = Image.fromarray(np.clip(128 + 28 * (common + own), 0, 255).astype(np.uint8))
    return small.resize((96, 120), Image.Resampling.BICUBIC)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "recompressed": lambda picture: picture,
    "smaller": lambda picture: picture.resize((72, 90)),
    "brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.15),
    "less contrast": lambda picture: ImageEnhance.Contrast(picture).enhance(0.8),
    "mirrored": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
}


@pytest.mark.parametrize(("subject", "what"), [("cy", "of another subject"), ("ann", "under another label")])
@pytest.mark.parametrize("change", CHANGES)
def test_nearly_the_same_picture_is_found_whatever_was_done_to_it(
    tmp_path: Path, change: str, subject: str, what: str
) -> None:
    """Across subjects and under two labels; a face and its faint expression are no conflict, nor are other faces."""
    for seed, name in enumerate(("an", "aj", "bn", "ba", "cn"), 1):
        face(seed).save(tmp_path / f"{name}.png")
    CHANGES[change](face(2)).save(tmp_path / "copy.jpg", quality=80)
    faint = np.asarray(face(1)).copy()
    faint[60:64, 40:50] += 12
    Image.fromarray(faint).save(tmp_path / "faint.png")
    rows = f"ann,1,joy,an.png,aj.png\nann,1,joy,an.png,faint.png\nbob,2,anger,bn.png,ba.png\n{subject},3,"
    expression, neutral = ("joy", "cn.png") if subject == "cy" else ("anger", "an.png")
    write_text(tmp_path / "manifest.csv", f"{HEADER}{rows}{expression},{neutral},copy.jpg\n")
    (found,) = (f for f in audit("manifest", tmp_path).findings if "nearly the same" in f.message)
    assert (found.path.name, found.kind) == ("copy.jpg", "problem")
    assert f"as aj.png, {what} (ann joy, {subject} {expression})" in found.message


def test_near_duplicates_are_all_pairs_and_flat_pictures_are_like_nothing() -> None:
    """A picture, its copy and its mirror image are three pairs; black frames are none."""
    faces = [thumbnail(np.asarray(face(seed))) for seed in range(60)]
    faces[40], faces[59] = faces[3], faces[3][:, ::-1]
    flat = [thumbnail(np.full((64, 64), grey, np.uint8)) for grey in (0, 0, 128)]
    assert list(near_duplicates(faces + flat)) == [(3, 40), (3, 59), (40, 59)] and not list(near_duplicates([]))
    ramp = np.tile(np.arange(32, dtype=np.uint8), (32, 1))
    for divisor, near in ((2, [(0, 1)]), (8, [])):  # 8 grey levels between the quartiles, and 2
        assert list(near_duplicates([ramp // divisor + 100, ramp // divisor + 90])) == near


@pytest.mark.parametrize(("noise", "near"), [(1, True), (3, False), (8, False)])
def test_near_duplicates_correlate_at_0995(noise: int, near: bool) -> None:
    """Pictures whose hashes are alike and whose grey values are not are two pictures."""
    one = thumbnail(np.asarray(face(1)))
    other = np.clip(one + np.random.default_rng(0).normal(0, noise, one.shape), 0, 255).astype(np.uint8)
    assert (np.corrcoef(one.ravel(), other.ravel())[0, 1] >= 0.995) == near
    assert bool(list(near_duplicates([one, other]))) == near


@pytest.mark.real_faces
def test_the_audit_of_forty_real_pairs_names_what_is_shown_twice() -> None:
    """One photograph is in the set under two labels; one subject's sad and sleepy faces differ in the lids only."""
    default = Path(__file__).resolve().parents[2] / "shared/real-faces"
    manifest = Path(os.environ.get("GNDL_REAL_FACES", default)) / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("the real photographs are not here")
    report = audit("manifest", manifest)
    assert report.ok and report.counts["pairs"] == (40, None)
    assert [(f.path.name, f.message[:13]) for f in report.findings] == [
        ("subject04_sad.png", "the same byte"),
        ("subject04_sad.png", "nearly the sa"),
        ("subject05_sleepy.png", "nearly the sa"),
    ]
