"""Fold lists of others are read as they are, audited on their own, used where they can be, and ours are exported."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from gndl import cli
from gndl.checking.folds import audit_folds
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.fold_lists import match_subjects, read_lists, subject_of
from gndl.folds import Folds, read_folds, write_folds
from gndl.sharing.fold_export import export_folds, headed_list, picture_name

HEADED = """\
1-fold 3 Angry 1 Sad 1 Happy 1
S130/007 Angry
S130/008 Sad
S055/001 Happy
2-fold 3 Angry 1 Sad 1 Happy 1
S052/001 Angry
S052/002 Sad
S074/001 Happy
"""


def write_ids(folder: Path, test: list[list[str]], train: list[list[str]] | None = None) -> Path:
    """Id files of every fold; by default all other names train."""
    folder.mkdir(exist_ok=True)
    for fold, own in enumerate(test):
        others = [name for number, names in enumerate(test) if number != fold for name in names]
        (folder / f"test_ids_{fold}.csv").write_text("".join(f"{name}\n" for name in own))
        (folder / f"train_ids_{fold}.csv").write_text(
            "".join(f"{name}\n" for name in (train[fold] if train else others))
        )
    return folder


CLEAN = [["S156_002_00000019.png", "S156_002_00000020.png"], ["S050_003_030.png"]]


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("S156_002_00000019.png", "S156"),
        ("S050_003_030.png", "S050"),
        ("S130/007", "S130"),
        ("anger/S010_004_00000017.png", "S010"),
        ("OriginalImg/VL/Strong/P001/Anger/000.jpeg", "P001"),
        ("s005-001.avi#12", "S005"),
        ("surprise_12.png", None),
        ("sadness/7.png", None),
    ],
)
def test_the_subject_is_read_from_any_name(name: str, subject: str | None) -> None:
    """A letter S or P with a number, as a word of its own."""
    assert subject_of(name) == subject


@pytest.mark.parametrize("name", ["a.S01.png", "a.S01", "x S01", "S01 007.png", "(S01)/a.png", "S01:2", "S01²", "éS01"])
def test_a_name_that_tells_a_subject_in_an_odd_way_is_read(tmp_path: Path, name: str) -> None:
    """Whatever stands around it; found by giving the reader what nobody would write."""
    for side in ("train", "test"):
        (tmp_path / f"{side}_ids_0.csv").write_text(f"{name}\n")
    (listed,) = read_lists(tmp_path).test[0]
    assert listed.subject == "S01" and listed.sequence.split("_")[0] == "S01"


def test_a_count_of_thousands_of_digits_is_no_header(tmp_path: Path) -> None:
    """Such a line is none that was expected, and is named."""
    (tmp_path / "list.txt").write_text(f"1-fold {'9' * 5000} Angry 1\nS130/007 Angry\n")
    with pytest.raises(GndlError, match=r"line 1: .*comes before any header"):
        read_lists(tmp_path / "list.txt")


def test_id_files_are_read_given_their_folder_or_any_one_of_them(tmp_path: Path) -> None:
    """Frame names of CK+ and MMI; the same folds either way."""
    folder = write_ids(tmp_path / "ids", CLEAN)
    for path in (folder, folder / "train_ids_1.csv"):
        lists = read_lists(path)
        assert [[one.subject for one in own] for own in lists.test] == [["S156", "S156"], ["S050"]]
        assert lists.test[0][0].sequence == "S156_002"
    assert read_folds(folder, ["S156", "S050"]) == Folds((("S156",), ("S050",)))


def test_a_headed_list_is_read_and_used(tmp_path: Path) -> None:
    """Folds counted from 1 become folds counted from 0; S52 is the database's S052."""
    path = tmp_path / "folds.txt"
    path.write_text(HEADED.replace("S052", "S52"))
    subjects = ["S052", "S055", "S074", "S130"]
    assert read_folds(path, subjects) == Folds((("S055", "S130"), ("S052", "S074")))
    audit = audit_folds(path)
    assert audit.ok
    assert audit.folds["test"].tolist() == [3, 3]
    assert audit.folds["missing_in_test"].tolist() == ["–", "–"]
    assert audit.report().endswith("nobody is trained on and tested in the same fold.")


def test_a_header_that_counts_wrongly_is_told(tmp_path: Path) -> None:
    """The number of sequences, and of one class."""
    path = tmp_path / "folds.txt"
    path.write_text(HEADED.replace("1-fold 3 Angry 1", "1-fold 4 Angry 2"))
    problems = audit_folds(path).problems
    assert any("header of fold 1 says 4 sequences, 3 follow" in line for line in problems)
    assert any("says 2 of anger, 1 follow" in line for line in problems)


def test_shared_subjects_are_counted_fold_by_fold(tmp_path: Path) -> None:
    """S001 is on both sides of both folds, once by the same sequence; S002 and S003 are not."""
    test = [["S001_001_00000001.png", "S002_001_00000001.png"], ["S001_001_00000002.png", "S003_001_00000001.png"]]
    audit = audit_folds(write_ids(tmp_path / "ids", test))
    assert audit.shared == ("S001",)
    assert audit.subjects == 3
    assert audit.folds["shared_subjects"].tolist() == [1, 1]
    assert audit.folds["shared_sequences"].tolist() == [1, 1]
    assert audit.folds["shared_samples"].tolist() == [0, 0]
    assert audit.folds["tested_of_shared"].tolist() == [1, 1]
    assert "1 of 3 subjects are trained on and tested in the same fold" in audit.report()
    with pytest.raises(GndlError, match=r"S001 is tested in more than one fold.*gndl check --folds"):
        read_folds(tmp_path / "ids", ["S001", "S002", "S003"])


@pytest.mark.parametrize("other", ["S52", "S0052", "s052"])
def test_a_leak_that_is_spelled_in_two_ways_is_found(tmp_path: Path, other: str) -> None:
    """Letter and number tell a person, in id files, a headed list, names in order, and lists of subjects."""
    ids = write_ids(tmp_path / "ids", [["S052_001_01.png", "S001_001_01.png"], [f"{other}_001_02.png"]])
    headed = tmp_path / "headed.txt"
    headed.write_text(f"1-fold 1 Angry 1\nS052/001 Angry\n2-fold 1 Angry 1\n{other}/001 Angry\n")
    (tmp_path / "order.txt").write_text(f"anger/S052_001_01.png\nanger/{other}_001_02.png\n")
    write_json(tmp_path / "folds.json", {"0": ["S052"], "1": [other]})
    (tmp_path / "folds.csv").write_text(f"subject,fold\nS052,0\n{other},1\n")
    audits = [audit_folds(tmp_path / name) for name in ("headed.txt", "folds.json", "folds.csv")]
    for audit in (audit_folds(ids), audit_folds(tmp_path / "order.txt", cut=2), *audits):
        assert [name.upper() for name in audit.shared] == ["S0052" if other == "S0052" else "S052"]
        assert audit.folds["shared_sequences"].tolist() == [1, 1]
        assert not audit.ok and "Subject-independent" not in audit.report()
        if other != "s052" or "subjects" in audit.lists.unit:  # pictures' names are read in capitals
            assert "spelled in two ways, taken as one: " in audit.report()


def test_a_development_subject_that_is_spelled_otherwise_does_not_train(tmp_path: Path) -> None:
    """Nor may it be tested in the same fold."""
    sides = {"0": {"test": ["S1"], "dev": ["S02"]}, "1": {"test": ["S2", "S3"], "dev": ["S01"]}}
    write_json(tmp_path / "folds.json", sides)
    assert audit_folds(tmp_path / "folds.json").folds["train"].tolist() == [1, 0]
    sides["0"]["dev"] = ["S001"]
    write_json(tmp_path / "folds.json", sides)
    assert any("fold 0 has S1 among its development" in one for one in audit_folds(tmp_path / "folds.json").problems)


def test_classes_that_names_do_not_tell_are_not_said_to_be_there(tmp_path: Path) -> None:
    """Id files of CK+ and lists of subjects tell none; a headed list may tell those of some lines only."""
    write_folds(tmp_path / "folds.json", Folds((("a", "b"), ("c",))))
    for path in (write_ids(tmp_path / "ids", CLEAN), tmp_path / "folds.json"):
        audit = audit_folds(path)
        for column in ("missing_in_train", "missing_in_test"):
            assert audit.folds[column].tolist() == ["not told by this form"] * 2
        assert audit.ok
    headed = tmp_path / "headed.txt"
    headed.write_text("1-fold 2 Angry 1\nS1/001 Angry\nS2/001\n2-fold 2 Angry 1 Sad 1\nS3/001 Angry\nS4/001 Sad\n")
    audit = audit_folds(headed)
    assert audit.folds["missing_in_test"].tolist() == ["not told by this form", "–"]
    assert audit.folds["missing_in_train"].tolist() == ["–", "not told by this form"]


def test_fold_sizes_say_what_they_count(tmp_path: Path) -> None:
    """Subjects, sequences or samples, as the form lists them."""
    write_folds(tmp_path / "folds.json", Folds((("a", "b"), ("c",))))
    (tmp_path / "headed.txt").write_text(HEADED)
    ids = write_ids(tmp_path / "ids", CLEAN)
    for path, unit in ((tmp_path / "folds.json", "subjects"), (tmp_path / "headed.txt", "sequences"), (ids, "samples")):
        report = audit_folds(path).report()
        assert f"{unit} tested, mean" in report
        assert f"train {unit}" in report and f"test {unit}" in report


def test_classes_missing_and_samples_tested_twice_or_never_are_problems(tmp_path: Path) -> None:
    """Fear is only in fold 1, which therefore trains on none; one frame is tested twice and one never."""
    path = tmp_path / "folds.txt"
    path.write_text(
        "1-fold 2 Angry 2\nS001/001 Angry\nS002/001 Angry\n2-fold 2 Angry 1 Fear 1\nS003/001 Angry\nS004/001 Fear\n"
    )
    audit = audit_folds(path)
    assert audit.folds["missing_in_train"].tolist() == ["–", "fear"]
    assert audit.folds["missing_in_test"].tolist() == ["fear", "–"]
    assert any("fold 2 trains on no fear" in line for line in audit.problems)
    names = [["S001_001_00000001.png"], ["S001_001_00000001.png", "S002_001_00000001.png"]]
    train = [["S003_001_00000001.png"], ["S003_001_00000001.png"]]
    problems = audit_folds(write_ids(tmp_path / "ids", names, train)).problems
    assert any("S001_001_00000001.png is tested more than once" in line for line in problems)
    assert any("S003_001_00000001.png is trained on and never tested" in line for line in problems)


def test_folds_cut_by_picture_order_put_subjects_on_both_sides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three frames of each of four subjects in two folds per class, as names and as a folder of class folders."""
    frames = [f"S00{subject}_001_0000000{frame}.png" for subject in (1, 2, 3) for frame in (1, 2, 3)]
    names = [f"{kind}/{frame}" for kind in ("anger", "fear") for frame in frames]
    listed = tmp_path / "names.txt"
    listed.write_text("\n".join(names))
    copy = tmp_path / "copy"
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()
    for path in (listed, copy):
        audit = audit_folds(path, cut=2)
        # Of nine pictures of a class the first four are fold 0: all three of S001, one of S002, whose others train.
        assert audit.folds["test"].tolist() == [8, 10]
        assert audit.shared == ("S002",)
        assert audit.folds["tested_of_shared"].tolist() == [2, 4]
    assert cli.run(cli.Check(folds=str(listed), cut=2)) == 1
    assert "1 of 3 subjects" in capsys.readouterr().out
    with pytest.raises(GndlError, match=r"--cut"):
        audit_folds(listed)
    with pytest.raises(GndlError, match="tells no class"):
        (tmp_path / "bare.txt").write_text("S001_001_00000001.png\n")
        audit_folds(tmp_path / "bare.txt", cut=2)


def test_our_own_forms_are_audited_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON and CSV of subjects; one in two folds is on both sides."""
    write_folds(tmp_path / "folds.json", Folds((("a", "b"), ("c",))))
    assert audit_folds(tmp_path / "folds.json").ok
    (tmp_path / "folds.csv").write_text("subject,fold\na,0\nb,0\nb,1\nc,1\n")
    assert audit_folds(tmp_path / "folds.csv").shared == ("b",)
    assert cli.run(cli.Check(folds=str(tmp_path / "folds.json"))) == 0
    assert "Subject-independent" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("S130/007 Angry\n", r"line 1: 'S130/007 Angry' comes before any header"),
        ("1-fold 1 Angry 1\nface17 Angry\n", r"line 2: 'face17' tells no subject"),
        ("1-fold 1 Angry 1\nS130/007 Bored\n", r"line 2: 'Bored' is no class"),
        ("1-fold 1 Angry 1\nS130/007 Angry or not\n", "has 4 words"),
        ("1-fold 1 Angry 1\nS130/007 Angry\n", "is no fold list"),
        ("", "is no fold list"),
    ],
)
def test_a_wrong_list_is_refused_by_line(tmp_path: Path, content: str, message: str) -> None:
    """No guess is made of what a line may mean."""
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(GndlError, match=f"list.txt.*{message}"):
        read_lists(path)


def test_incomplete_id_files_are_refused(tmp_path: Path) -> None:
    """A test file without its training file, and a folder with neither."""
    folder = write_ids(tmp_path / "ids", CLEAN)
    (folder / "train_ids_1.csv").unlink()
    with pytest.raises(GndlError, match="fold 1 has only one of"):
        read_lists(folder)
    (tmp_path / "empty").mkdir()
    with pytest.raises(GndlError, match="holds no fold list"):
        read_lists(tmp_path / "empty")


def test_numbers_match_only_where_they_are_clear() -> None:
    """S52 is S052; not where S52 and S0052 could both be meant."""
    assert match_subjects(["S52", "P7", "x"], ["S052", "P007"]) == {"S52": "S052", "P7": "P007"}
    assert match_subjects(["S052"], ["S52", "S0052"]) == {}


def study_with_folds(out: Path, database: str, rows: list[tuple[str, str, str]], folds: Folds) -> None:
    """Only what an export reads: crops.csv, folds.json, study.json and the predictions of one run."""
    from written_runs import predictions, write_run

    crops = [
        {"sequence": sequence, "subject": subject, "role": role, "frame": frame, "crop": number, "source": "rendered"}
        for number, (subject, sequence, frame) in enumerate(rows)
        for role in (["neutral"] if frame.endswith(("01.png", "#1", "000.jpeg")) else ["examined 1"])
    ]
    folder = out / database
    folder.mkdir(parents=True)
    pd.DataFrame(crops).assign(source_file="x", source_sha256="0").to_csv(folder / "crops.csv", index=False)
    write_folds(folder / "folds.json", folds)
    tested = [(subject, sequence, "anger", (0.8, 0.1, 0.1)) for subject, sequence, _ in rows]
    write_run(out, "baseline", "none", 0, predictions(tested), database=database)
    asked = {"data_roots": {database: str(out / "nowhere")}, "settings": {"train": {"epochs": 1}}}
    write_json(out / "study.json", {"profile": "smoke", "asked": asked})


@pytest.mark.parametrize(
    ("database", "subject", "sequence", "frames"),
    [
        ("ckplus", "S{}", "S{}_001", ("S{}_001_00000001.png", "S{}_001_00000012.png")),
        ("oulu_casia", "P{}", "P{}_Anger", ("000.jpeg", "017.jpeg")),
        ("mmi", "S{}", "S{}-001", ("S{}-001.avi#1", "S{}-001.avi#30")),
    ],
)
def test_exported_folds_read_back_in_every_form(
    tmp_path: Path, database: str, subject: str, sequence: str, frames: tuple[str, str]
) -> None:
    """CSV, headed list and id files of all three databases give the very same folds, and pass the audit."""
    rows = [
        (subject.format(number), sequence.format(number), frame.format(number))
        for number in ("001", "002", "003", "004")
        for frame in frames
    ]
    names = sorted({row[0] for row in rows})
    folds = Folds(((names[0], names[2]), (names[1],), (names[3],)))
    study_with_folds(tmp_path / "study", database, rows, folds)
    written = export_folds(tmp_path / "study", database, tmp_path / "out")
    for path in (tmp_path / "out" / "folds.csv", tmp_path / "out" / "folds.txt", tmp_path / "out" / "ids"):
        assert read_folds(path, names) == folds
        assert audit_folds(path).ok, audit_folds(path).problems
    assert len(written) == 2 + 2 * 3
    assert (tmp_path / "out" / "folds.txt").read_text().splitlines()[0] == "1-fold 2 Angry 2"


def test_frames_of_clips_are_named_as_public_lists_name_them() -> None:
    """S050_003_030.png: subject, clip and frame."""
    assert picture_name("S050", "S050-003", "S050-003.avi#30") == "S050_003_030.png"
    assert picture_name("S156", "S156_002", "S156_002_00000019.png") == "S156_002_00000019.png"
    assert picture_name("P001", "P001_Anger", "017.jpeg") == "P001_Anger_017.jpeg"


def test_the_headed_list_counts_every_class() -> None:
    """A class that a fold does not show has the number 0."""
    samples = pd.DataFrame({"subject": ["S1", "S2"], "sequence": ["S1_001", "S2_001"]})
    text = headed_list(Folds((("S1",), ("S2",))), samples, {"S1_001": "anger", "S2_001": "happiness"})
    assert text == "1-fold 1 Angry 1 Happy 0\nS1/001 Angry\n2-fold 1 Angry 0 Happy 1\nS2/001 Happy\n"
