"""The archive of a version: whole, checked, the same bytes from the same commit, and free of weights of real faces."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from gndl.errors import GndlError
from gndl.figures_of_record import COMMANDS, GALLERY_COMMAND
from gndl.files import write_json
from gndl.paper import DATABASES
from gndl.profiles import PROFILES
from gndl.sharing import release
from gndl.sharing.release import archive_metadata, build_release

ROOT = Path(__file__).parents[1]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small repository with one commit, in place of the package's own; the archive takes one database."""
    root = tmp_path / "repository"
    root.mkdir()
    shutil.copy(ROOT / "CITATION.cff", root)
    (root / "Makefile").write_text("figures:\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "All"]):
        subprocess.run([*git, *arguments], cwd=root, check=True)
    monkeypatch.setattr(release, "repository_root", lambda: root)
    monkeypatch.setattr(release, "DATABASES", ("ckplus",))
    return root


def test_the_archive_holds_source_truth_and_weights_with_their_checksums(
    repository: Path, tiny_study: Path, rendered_trees: dict[str, Path], tmp_path: Path
) -> None:
    """Every file has its sum, the weights their card, and a second build gives the same bytes."""
    built = build_release(tmp_path / "one", tiny_study, rendered_trees["ckplus"].parent)
    with zipfile.ZipFile(built.archive) as packed:
        names = {name.partition("/")[2]: name for name in packed.namelist()}
        assert {"Makefile", "run.sh", "weights/ckplus/weights.safetensors", "weights/ckplus/MODEL-CARD.md"} <= set(
            names
        )
        assert {"standins/ckplus.truth/truth.csv", "SHA256SUMS", ".zenodo.json", "RELEASE.md"} <= set(names)
        assert packed.getinfo(names["run.sh"]).external_attr >> 16 == 0o755
        sums = dict(reversed(line.split("  ")) for line in packed.read(names["SHA256SUMS"]).decode().splitlines())
        assert set(sums) == set(names) - {"SHA256SUMS"} and built.files == len(names)
        for name, expected in sums.items():
            assert hashlib.sha256(packed.read(names[name])).hexdigest() == expected
        assert "rendered stand-in" in packed.read(names["weights/ckplus/MODEL-CARD.md"]).decode()
    again = build_release(tmp_path / "two", tiny_study, rendered_trees["ckplus"].parent)
    assert again.sha256 == built.sha256 == hashlib.sha256(built.archive.read_bytes()).hexdigest()


def test_changes_that_are_not_committed_and_missing_parts_are_named(
    repository: Path, tiny_study: Path, tmp_path: Path
) -> None:
    """The file that was changed; the ground truth that is not there; weights of real faces."""
    with pytest.raises(GndlError, match=r"ckplus\.truth is missing"):
        build_release(tmp_path / "out", tiny_study, tmp_path)
    study = shutil.copytree(tiny_study, tmp_path / "study")
    record = study / "ckplus/gndl/lam-5/fold-0/seed-0/run.json"
    content = json.loads(record.read_text())
    content["identity"]["extra"]["source"] = "licensed"
    write_json(record, content)
    with pytest.raises(GndlError, match="licensed faces; such weights are never released"):
        release._weights(study, tmp_path / "weights")
    (repository / "Makefile").write_text("changed")
    with pytest.raises(GndlError, match=r"not committed \(Makefile\)"):
        build_release(tmp_path / "out", tiny_study, tmp_path)


def test_weights_are_those_of_the_fixed_λ_though_a_sweep_lies_beside_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folders of smaller values come first by name."""
    study = tmp_path / "study"
    write_json(study / "study.json", {"asked": {"settings": asdict(PROFILES["standard"])}})
    for lam in ("0.1", "5", "50"):
        run = study / f"ckplus/gndl/lam-{lam}/fold-0/seed-0"
        write_json(run / "run.json", {"identity": {"extra": {"source": "rendered"}}, "lam": lam})
        (run / release.WEIGHTS).touch()

    def export(run: Path, into: Path) -> None:
        for name in (release.WEIGHTS, release.CARD, release.DESCRIPTION):
            (into / name).write_text(str(json.loads((run / "run.json").read_text())["lam"]))

    monkeypatch.setattr(release, "DATABASES", ("ckplus",))
    monkeypatch.setattr(release, "export_run", export)
    release._weights(study, tmp_path / "weights")
    assert (tmp_path / "weights/ckplus" / release.WEIGHTS).read_text() == "5"


def test_what_no_csv_file_gives_back_is_in_the_archive_as_files() -> None:
    """RELEASE.md promises `make figures` for all but pictures of faces; these are committed, each with its command."""
    words = " ".join(release._how("gndl-1").split())
    assert "every figure but the pictures of faces" in words and "are in `figures/` as files" in words
    gallery = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    tracked = (ROOT / ".git").exists() and subprocess.run(
        ["git", "ls-files", "figures"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name, command in COMMANDS.items():
        for folder in [f"{one}/" for one in DATABASES] if command == GALLERY_COMMAND else [""]:
            shown = re.search(rf"\]\(({folder}{name}\.(?:png|jpg))\)", gallery)
            assert shown and (ROOT / "figures" / shown[1]).is_file()
            assert not tracked or f"figures/{shown[1]}" in tracked
            assert command.format(database=folder.rstrip("/")) in gallery


def test_the_deposit_is_described_from_the_citation_file() -> None:
    """Title, version, authors and the paper that it supplements."""
    about = archive_metadata(ROOT / "CITATION.cff")
    assert about["creators"] == [{"name": "The gndl authors"}] and about["version"] == "0.1.0"
    assert about["related_identifiers"][0]["identifier"] == "10.1145/3581783.3612014"
