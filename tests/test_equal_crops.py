"""Two versions of the code that crops are one only where they were shown to give the same bytes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from marked import SMALL, two_subjects

from gndl import crop_identity
from gndl.checking import equal_crops
from gndl.checking.equal_crops import committed_versions, compare_crops, crop_again, note_equal
from gndl.crop import prepare_crops
from gndl.crop_identity import EQUAL_CROPS, code_as_it_runs, crop_code, crop_modules
from gndl.errors import GndlError
from gndl.files import write_json


@pytest.fixture
def noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty list of equal versions in place of the package's own."""
    file = tmp_path / "equal_crops.json"
    write_json(file, {"landmarks": [], "detector": []})
    monkeypatch.setattr(crop_identity, "EQUAL_CROPS", file)
    return file


def test_code_that_was_shown_to_be_equal_keeps_the_crops_of_the_first(
    noted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changed, it has crops of its own; noted, those of the first version, for that way of finding eyes alone."""
    source = Path(crop_identity.__file__).parent
    (tmp_path / "gndl").mkdir()
    for name in crop_modules(by_landmarks=False):
        (tmp_path / "gndl" / f"{name}.py").write_text((source / f"{name}.py").read_text(encoding="utf-8"))
    monkeypatch.setattr(crop_identity, "__file__", str(tmp_path / "gndl" / "crop_identity.py"))
    first = {by_landmarks: crop_code(by_landmarks) for by_landmarks in (True, False)}
    versions = [first[True]]
    for line in ("SIDE = 1\n", "SIDE = 2\n"):
        with (tmp_path / "gndl" / "align.py").open("a") as file:
            file.write(line)
        assert crop_code(by_landmarks=True) == code_as_it_runs(by_landmarks=True) != first[True]
        note_equal(True, versions[-1], code_as_it_runs(by_landmarks=True), noted)
        versions.append(code_as_it_runs(by_landmarks=True))
        assert crop_code(by_landmarks=True) == first[True]
        assert crop_code(by_landmarks=False) != first[False]
    assert json.loads(noted.read_text(encoding="utf-8")) == {"landmarks": [versions], "detector": []}


def test_a_database_is_cropped_again_and_compared_byte_by_byte(noted: Path, tmp_path: Path) -> None:
    """Equal: the version that made the crops comes back. One pixel off: refused. Never cropped by it: said."""
    database, cache = two_subjects(tmp_path / "db"), tmp_path / "crops"
    crops = prepare_crops(database, SMALL, cache)
    code = code_as_it_runs(by_landmarks=True)
    assert crop_again(database, SMALL, cache, [{"align": "0"}, code]) == code
    with pytest.raises(GndlError, match="holds no crops of"):
        crop_again(database, SMALL, cache, [{"align": "0"}])
    images = np.array(crops.images)
    images[-1, 0, 0] ^= 1
    np.save(crops.folder / "images.npy", images)
    with pytest.raises(GndlError, match=r"images\.npy: today's code gives other bytes"):
        crop_again(database, SMALL, cache, [code])
    with pytest.raises(GndlError, match=r"crops\.csv: today's code gives other bytes"):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "images.npy").write_bytes((crops.folder / "images.npy").read_bytes())
        (tmp_path / "other" / "crops.csv").write_text("other\n")
        compare_crops(crops.folder, tmp_path / "other")


def test_committed_versions_come_oldest_first_and_once(tmp_path: Path) -> None:
    """A comment makes no version of its own, nor does a commit before all modules were there."""

    def commit(text: str, *names: str) -> None:
        for name in names:
            (tmp_path / "gndl" / f"{name}.py").write_text(text)
        author = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        for words in (["add", "."], [*author, "commit", "-q", "-m", "m"]):
            subprocess.run(["git", "-C", str(tmp_path), *words], check=True)

    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / "gndl").mkdir()
    commit("A = 1\n", "align")
    commit("A = 1\n", *crop_modules(by_landmarks=True))
    commit("A = 1  # said\n", "align")
    commit("A = 2\n", "align")
    one, two = committed_versions(True, tmp_path)
    assert one["align"] != two["align"] and one["crop_sequence"] == two["crop_sequence"] == one["align"]


def test_the_versions_noted_in_the_package_name_every_module() -> None:
    """Each group has two versions or more, of exactly the modules that count for its way of finding eyes."""
    content = json.loads(EQUAL_CROPS.read_text(encoding="utf-8"))
    assert set(content) == {"landmarks", "detector"}
    for by_landmarks in (True, False):
        for group in content[equal_crops.eyes_by(by_landmarks)]:
            assert len(group) > 1 and all(set(code) == set(crop_modules(by_landmarks)) for code in group)
