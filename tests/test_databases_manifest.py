"""A manifest of one's own faces is read strictly: every row that cannot be used is named."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from layouts import write_picture, write_text

from gndl.databases import audit, inspect_database, read_database
from gndl.errors import GndlError
from gndl.sequences import STAND_IN_LABEL

HEADER = "subject,sequence,expression,neutral,examined\n"
GOOD = "ann,ann_1,joy,a/neutral.png,a/joy.png\nbob,bob_1,anger,b/neutral.png,b/anger.png\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with the pictures of two subjects and a manifest of them."""
    for name in ("a/neutral", "a/joy", "a/joy2", "b/neutral", "b/anger"):
        write_picture(tmp_path / f"{name}.png")
    write_text(tmp_path / "manifest.csv", HEADER + GOOD)
    return tmp_path


def errors(root: Path) -> str:
    """The messages of all error findings."""
    return "\n".join(f"{f.path}: {f.message}" for f in inspect_database("manifest", root).findings if f.kind == "error")


@pytest.mark.parametrize("below", ["manifest.csv", "."])
def test_rows_become_sequences_with_paths_relative_to_the_manifest(folder, below):
    """The file or its folder may be given; the classes are those of the rows, sorted."""
    database = read_database("manifest", folder / below)
    assert [(s.subject, s.sequence, s.expression) for s in database.sequences] == [
        ("ann", "ann_1", "joy"),
        ("bob", "bob_1", "anger"),
    ]
    assert database.sequences[0].neutral.path == folder / "a/neutral.png"
    assert database.sequences[0].examined[0].path == folder / "a/joy.png"
    assert (database.expressions, database.source) == (("anger", "joy"), "own")


def test_rows_of_one_sequence_are_its_examined_faces(folder):
    """Several rows with the same sequence make several pairs with the same neutral face."""
    write_text(folder / "manifest.csv", HEADER + GOOD + "ann,ann_1,joy,a/neutral.png,a/joy2.png\n")
    database = read_database("manifest", folder)
    assert [f.path.name for f in database.sequences[0].examined] == ["joy.png", "joy2.png"]
    assert database.found["pairs"] == 3


def test_byte_order_mark_blank_lines_and_blanks_are_tolerated(folder):
    """What spreadsheets add changes nothing."""
    expected = read_database("manifest", folder)
    text = "\ufeff" + (HEADER + GOOD).replace("\n", "\r\n\r\n").replace(",", " , ") + ",,,,\r\n"
    (folder / "manifest.csv").write_bytes(text.encode())
    assert read_database("manifest", folder) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("bob,ann_1,joy,a/neutral.png,a/joy2.png", "row 4: sequence ann_1 has subject bob, but ann in row 2"),
        ("ann,ann_1,anger,a/neutral.png,a/joy2.png", "row 4: sequence ann_1 has expression anger, but joy in row 2"),
        ("ann,ann_1,joy,b/neutral.png,a/joy2.png", "row 4: sequence ann_1 has neutral b/neutral.png"),
        ("ann,ann_2,joy,a/neutral.png,a/none.png", "row 4: no such picture"),
        ("ann,ann_2,joy,a,a/joy.png", "row 4: no such picture"),
        ("ann,,joy,a/neutral.png,", "row 4: nothing in sequence, examined"),
        (
            "ann,ann_2,Joy,a/neutral.png,a/joy.png",
            "expressions that differ only in upper and lower case or blanks: Joy, j",
        ),
        (
            "Ann,ann_2,joy,a/neutral2.png,a/joy2.png",
            "subjects that differ only in upper and lower case or blanks: Ann, a",
        ),
        (
            "a nn,ann_2,joy,a/neutral2.png,a/joy2.png",
            "subjects that differ only in upper and lower case or blanks: a n",
        ),
        ("cy,cy_1,joy,a/neutral2.png,a/joy.png", "one picture under several subjects (ann, cy): a/joy.png"),
        ("cy,cy_1,joy,a/neutral2.png,b/../a/joy.png", "one picture under several subjects (ann, cy): a/joy.png"),
        ("cy,cy_1,joy,a/neutral2.png,c/copy.png", "the same bytes under several subjects (ann, cy): "),
        ("cy,cy_1,joy,a/neutral2.png,c/link.png", "one picture under several subjects (ann, cy): a/joy.png"),
        ("ann,ann_2,joy,a/neutral.png", "row 4: 4 cells, 5 expected"),
    ],
)
def test_a_row_that_cannot_be_used_is_an_error_naming_row_and_file(folder, row, words):
    """Conflicts, missing files, empty cells, one person under two names: the message has the file and the reason."""
    write_picture(folder / "a/neutral2.png", 1)
    (folder / "c").mkdir()
    (folder / "c/copy.png").write_bytes((folder / "a/joy.png").read_bytes())
    (folder / "c/link.png").symlink_to(folder / "a/joy.png")
    write_text(folder / "manifest.csv", HEADER + GOOD + row + "\n")
    assert words in errors(folder) and "manifest.csv" in errors(folder)
    with pytest.raises(GndlError, match="manifest"):
        read_database("manifest", folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (HEADER.encode(), "no row below the header"),
        (b"subject,sequence,expression,neutral\n", "no column examined"),
        (HEADER.replace(",", ";").encode(), "not semicolons"),
        ((HEADER + "ann,a,anger,n.png,\0\n").encode(), "line 2: a zero byte"),  # found by fuzzing
        (b"subject,subject,sequence,expression,neutral,examined\n", "twice"),
        ("sübject,sequence\n".encode("latin-1"), "UTF-8"),
        (HEADER.encode() + b'"ann,ann_1', "not readable as CSV"),
    ],
)
def test_a_table_that_is_none_says_what_is_wrong(folder, content, words):
    """The message says what to mend, and the audit lists it instead of raising."""
    (folder / "manifest.csv").write_bytes(content)
    assert words in errors(folder)
    assert not audit(folder, "manifest").ok


def test_the_same_bytes_twice_of_one_subject_stay_usable(folder):
    """Collections hold a photograph twice; within one subject that leaks nothing, and the audit tells."""
    (folder / "a/again.png").write_bytes((folder / "a/joy.png").read_bytes())
    write_text(folder / "manifest.csv", HEADER + GOOD + "ann,ann_2,joy,a/neutral.png,a/again.png\n")
    result = audit(folder, "manifest")
    assert result.ok and any("the same bytes as" in f.message for f in result.findings)


@pytest.mark.parametrize("again", ["a/joy.png", "b/../a/joy.png", "a/link.png"])
def test_a_picture_examined_under_two_sequence_names_is_named_with_both(folder, again):
    """It makes two pairs, however it is written; the problem says which row to remove. Of another class it is none."""
    (folder / "a/link.png").symlink_to("joy.png")
    rows = f"ann,ann_2,joy,a/neutral.png,{again}\nann,ann_3,anger,a/neutral.png,a/joy.png\n"
    write_text(folder / "manifest.csv", HEADER + GOOD + rows)
    (problem,) = (f.message for f in inspect_database("manifest", folder).findings if f.kind == "problem")
    assert problem.startswith("sequences ann_1, ann_2 examine the same picture: a/joy.png; counted once in each")
    assert problem.endswith("keep such a row in one sequence and remove it from the others")


def test_of_many_pictures_that_two_sequences_share_the_first_are_named(folder):
    """One problem for a whole sequence that was entered twice."""
    for n in range(7):
        write_picture(folder / f"a/{n}.png")
    rows = "".join(f"ann,{name},joy,a/neutral.png,a/{n}.png\n" for name in ("ann_2", "ann_3") for n in range(7))
    write_text(folder / "manifest.csv", HEADER + GOOD + rows)
    (problem,) = (f.message for f in inspect_database("manifest", folder).findings if f.kind == "problem")
    assert "sequences ann_2, ann_3 examine the same pictures: a/0.png, " in problem and "a/4.png and 2 more;" in problem


def test_one_subject_is_not_enough_for_a_manifest(folder):
    """As of every database."""
    write_text(folder / "manifest.csv", HEADER + GOOD.splitlines()[0] + "\n")
    assert "all sequences are of one subject (ann)" in errors(folder)


def test_all_wrong_rows_are_listed_at_once(folder):
    """Mending a manifest takes one look, not one per row."""
    rows = "".join(f"ann,ann_{n},joy,a/neutral.png,a/none{n}.png\n" for n in range(3))
    write_text(folder / "manifest.csv", HEADER + GOOD + rows)
    assert all(f"row {4 + n}" in errors(folder) for n in range(3))


def test_a_face_as_its_own_neutral_is_a_problem(folder):
    """A pair of one picture teaches nothing and is named."""
    write_text(folder / "manifest.csv", HEADER + GOOD + "ann,ann_2,joy,a/joy.png,a/joy.png\n")
    assert any("same file" in f.message for f in read_database("manifest", folder).findings)


def test_rendered_faces_stay_rendered_in_a_manifest(folder):
    """A manifest beside ``STAND-IN.txt`` describes rendered faces."""
    write_text(folder / STAND_IN_LABEL, "rendered")
    assert read_database("manifest", folder).source == "rendered"


@pytest.mark.parametrize("by_link", [False, True])
def test_rendered_pictures_stay_rendered_wherever_the_manifest_lies(folder, by_link):
    """The label is looked for above every picture; a mixture counts as rendered, and the report says so."""
    tree = folder / "standins/ckplus"
    write_text(tree / STAND_IN_LABEL, "rendered")
    picture = write_picture(tree / "cohn-kanade-images/S005/001/S005_001_00000001.png")
    (folder / "link.png").symlink_to(picture)
    name = "link.png" if by_link else picture.relative_to(folder)
    write_text(folder / "manifest.csv", HEADER + GOOD + f"ann,ann_2,joy,a/neutral.png,{name}\n")
    database = read_database("manifest", folder)
    assert database.source == "rendered"
    assert any("1 of its 5 pictures are rendered" in f.message for f in database.findings if f.kind == "problem")


@pytest.mark.real_faces
def test_the_forty_real_pairs_are_read():
    """Forty pairs of eight subjects; the audit names the two pictures that show again what another one shows.

    One photograph of the Yale database is in it twice, as a neutral and as a sad face; and one subject's sad and sleepy
    faces differ in the lids alone.
    """
    beside = Path(__file__).resolve().parents[2] / "shared/real-faces"
    manifest = Path(os.environ.get("GNDL_REAL_FACES", beside)) / "manifest.csv"
    if not manifest.is_file():
        pytest.skip("the real photographs are not here")
    found = audit(manifest, "manifest")
    assert found.ok and found.database is not None
    assert (len(found.database.subjects), found.database.found["pairs"]) == (8, 40)
    told = [
        (f.path.name, f.message.split(" (")[0].split(";")[0].replace(str(manifest.parent), "")) for f in found.findings
    ]
    assert told == [
        ("subject04_sad.png", "the same bytes as /images/subject04_normal.png"),
        ("subject04_sad.png", "nearly the same picture as /images/subject04_normal.png, under another label"),
        ("subject05_sleepy.png", "nearly the same picture as /images/subject05_sad.png, under another label"),
    ]
