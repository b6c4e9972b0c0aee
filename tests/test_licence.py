"""Whose faces may be printed, and the label of what holds licensed faces."""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import write_ckplus

import gndl
from gndl.files import GndlError, write_json
from gndl.licence import CKPLUS_SUBJECTS, LICENSED_FACES, enter, publishable, read_publishable


def test_ckplus_allows_eleven_subjects_to_be_printed_and_the_others_none(tmp_path: Path) -> None:
    """The lists by database and source; a stand-in has no rule."""
    ckplus = publishable(tmp_path, "ckplus", "licensed")
    assert len(CKPLUS_SUBJECTS) == 11
    assert [ckplus.may_show(name) for name in ("S052", "S132", "S005", "S52")] == [True, True, False, False]
    assert ckplus.credit == "©Jeffrey Cohn"
    for name, source in (("oulu_casia", "licensed"), ("mmi", "licensed"), ("manifest", "own")):
        assert publishable(tmp_path, name, source).subjects == frozenset()
    assert publishable(tmp_path, "ckplus", "rendered").subjects is None


def test_a_licensee_enters_subjects_and_consent(tmp_path: Path) -> None:
    """A file replaces what an earlier one entered; consent stays; wrong rows are refused by line."""
    file = tmp_path / "may.csv"
    file.write_text("database,subject\noulu_casia,P002\noulu_casia,P001\n")
    content: dict[str, object] = {"asked": {"settings": {"train": {"epochs": 1}}}}
    enter(content, str(file), consent=True)
    write_json(tmp_path / "study.json", content)
    assert publishable(tmp_path, "oulu_casia", "licensed").subjects == {"P001", "P002"}
    assert publishable(tmp_path, "mmi", "licensed").subjects == frozenset()
    assert publishable(tmp_path, "manifest", "own").subjects is None
    write_json(tmp_path / "study.json", content | {"publishable": {"manifest": ["S001"]}})
    assert publishable(tmp_path, "manifest", "own").subjects == frozenset(), "consent is of all or of nobody"
    file.write_text("database,subject\nmmi,S003\n")
    enter(content, str(file), consent=False)
    assert content["publishable"] == {"mmi": ["S003"], "manifest": ["*"]}
    for row, words in (("ckplus,S005", "row 2: CK\\+'s subjects"), ("fer,1", "row 2: 'fer'"), ("mmi,*", "name one")):
        file.write_text(f"database,subject\n{row}\n")
        with pytest.raises(GndlError, match=words):
            read_publishable(file)


def test_a_note_counts_who_is_left_out_and_why() -> None:
    """Two of three, the reason and the credit; no credit where nobody is shown; nothing for a stand-in."""
    rule = publishable(Path("nowhere"), "ckplus", "licensed")
    assert rule.note(["S055", "S005", "S010", "S010"]) == (
        "2 of 3 subjects left out: CK+'s agreement names 11 subjects who may be printed. ©Jeffrey Cohn"
    )
    assert rule.note(["S005"]) == "1 of 1 subjects left out: CK+'s agreement names 11 subjects who may be printed"
    assert rule.note(["S055"]) == "©Jeffrey Cohn"
    assert publishable(Path("nowhere"), "ckplus", "rendered").note(["S005"]) == ""


def test_a_licensed_study_and_its_crops_are_labelled_and_stay_without_stand_ins(tmp_path: Path) -> None:
    """LICENSED-FACES.txt is at the root of both; a stand-in next to it is refused before anything is rendered."""
    root = write_ckplus(tmp_path / "CK+", ("S055", "S010"))
    study = gndl.open_study("ckplus", data_root=root, profile="smoke", out=tmp_path / "study", device="cpu", jobs=1)
    for folder in (study.out, study.crops.folder):
        assert "licensed copy of CK+" in (folder / LICENSED_FACES).read_text()
    assert study.source == "licensed" and "must not be passed on" in study.notice()
    with pytest.raises(GndlError, match="reads licensed faces and mmi holds rendered ones; they never mix"):
        gndl.open_study("mmi", profile="smoke", out=tmp_path / "study", device="cpu")
