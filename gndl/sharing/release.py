"""One archive of a version, to be deposited and cited: source, record, ground truth and weights, with checksums.

``python -m gndl.sharing.release`` (``make release``) needs the repository, the study of record with its weights and the
full-size stand-ins. Depositing the archive, and so giving it an identifier, is a maintainer's step: ``RELEASE.md`` in
it says how.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from gndl import __version__
from gndl.checkpoint import WEIGHTS, read_record
from gndl.errors import GndlError
from gndl.files import hash_file, written_aside
from gndl.methods import lam_folder
from gndl.paper import DATABASES
from gndl.paths import data_folder, repository_root, resolve
from gndl.request import profile_from_json, read_study_json
from gndl.sharing.export import CARD, DESCRIPTION, export_run
from gndl.standins.truth import truth_folder

SUMS, METADATA, HOW = "SHA256SUMS", ".zenodo.json", "RELEASE.md"


@dataclass(frozen=True)
class Release:
    """What was built.

    Parameters
    ----------
    archive : Path
        ``gndl-VERSION.zip``.
    sha256 : str
        Its checksum, also in the file beside it.
    files : int
        Files in it.
    """

    archive: Path
    sha256: str
    files: int


def build_release(folder: Path, record: Path, standins: Path) -> Release:
    """Write ``gndl-VERSION.zip`` and its checksum into ``folder``; the same commit gives the same bytes.

    Parameters
    ----------
    folder : Path
    record : Path
        The study of record. Of each of its databases the weights of GNDL on the first fold are taken, as safetensors
        with a model card; only weights trained on rendered faces are.
    standins : Path
        Folder with ``DATABASE.truth`` beside each full-size stand-in.

    Raises
    ------
    GndlError
        Where the working tree has changes that are not committed, or something that belongs into it is missing.
    """
    root = repository_root()
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    if changed:
        raise GndlError(f"{root} has changes that are not committed ({changed.split()[-1]}); commit them first.")
    name = f"gndl-{__version__}"
    with tempfile.TemporaryDirectory() as aside:
        content = Path(aside) / name
        _source(root, content)
        _truth(standins, content / "standins")
        _weights(record, content / "weights")
        (content / METADATA).write_text(json.dumps(archive_metadata(root / "CITATION.cff"), indent=1), encoding="utf-8")
        (content / HOW).write_text(_how(name), encoding="utf-8")
        files = sorted(path for path in content.rglob("*") if path.is_file())
        sums = "".join(f"{hash_file(path)}  {path.relative_to(content).as_posix()}\n" for path in files)
        (content / SUMS).write_text(sums, encoding="utf-8")
        archive = folder / f"{name}.zip"
        when = _git(root, "show", "-s", "--format=%cd", "--date=format:%Y %m %d %H %M %S", "HEAD").split()
        with written_aside(archive) as target:
            _zip([*files, content / SUMS], content.parent, target, tuple(int(part) for part in when))
    sha256 = hash_file(archive)
    (folder / f"{name}.zip.sha256").write_text(f"{sha256}  {archive.name}\n", encoding="utf-8")
    return Release(archive, sha256, len(files) + 1)


def archive_metadata(citation: Path) -> dict[str, Any]:
    """Return what an archive asks of a deposit, from ``CITATION.cff``; authors as they stand there."""
    about = yaml.safe_load(citation.read_text(encoding="utf-8"))
    paper = about["preferred-citation"]
    return {
        "title": about["title"],
        "version": str(about["version"]),
        "upload_type": "software",
        "description": " ".join(about["abstract"].split()),
        "creators": [{"name": _name(author)} for author in about["authors"]],
        "license": about["license"],
        "keywords": ["facial expression recognition", "neutral face", "reproducibility", "rendered faces"],
        "related_identifiers": [{"identifier": paper["doi"], "relation": "isSupplementTo", "scheme": "doi"}],
        "references": [f"{paper['title']}. {paper['collection-title']}, {paper['year']}."],
    }


def _name(author: dict[str, str]) -> str:
    return author["name"] if "name" in author else f"{author['family-names']}, {author['given-names']}"


def _source(root: Path, content: Path) -> None:
    """Everything that is committed: source, notebooks, figures of record, accuracies and predictions, data card."""
    with tempfile.NamedTemporaryFile(suffix=".tar") as packed:
        _git(root, "archive", "--format=tar", f"--output={packed.name}", "HEAD")
        with tarfile.open(packed.name) as tar:
            tar.extractall(content, filter="data")


def _truth(standins: Path, into: Path) -> None:
    for name in DATABASES:
        source = truth_folder(standins / name)
        if not source.is_dir():
            raise GndlError(f"{source} is missing; `gndl render --profile standard` makes it.")
        for file in sorted(source.iterdir()):
            target = into / source.name / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())


def _weights(record: Path, into: Path) -> None:
    """Weights at the λ that was fixed beforehand, whatever the sweep has left beside them."""
    lam = profile_from_json(read_study_json(record)["asked"]["settings"]).lam
    for name in DATABASES:
        runs = sorted(record.glob(f"{name}/gndl/{lam_folder(lam)}/fold-0/seed-*"))
        run = next((run for run in runs if (run / WEIGHTS).exists()), None)
        if run is None:
            raise GndlError(f"{record / name}: no weights of GNDL on fold 0 lie there; `gndl train` makes them.")
        source = (read_record(run) or {})["identity"]["extra"]["source"]
        if source != "rendered":
            raise GndlError(f"{run}: was trained on {source} faces; such weights are never released.")
        with tempfile.TemporaryDirectory() as aside:
            export_run(run, Path(aside))
            for part in (WEIGHTS, CARD, DESCRIPTION):
                target = into / name / part
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes((Path(aside) / part).read_bytes())


def _how(name: str) -> str:
    return f"""# {name}

`sha256sum -c {SUMS}` checks every file. `make figures` draws every table of record, and every figure but the pictures
of faces, again from the CSV files in `record/`; it trains nothing. The pictures of faces, which no CSV file gives back,
are in `figures/` as files; its `README.md` has the command that makes each. `standins/` has the ground truth of the
full-size rendered stand-ins (data card: `docs/stand-ins.md`), `weights/` one trained GNDL for each with its model card:
rendered stand-ins, faces of nobody.

A maintainer deposits the archive (title, authors, licence and relations are in `{METADATA}`), and writes the identifier
that it is given into `CITATION.cff` and `ARTIFACT.md`. Nothing here does that by itself.
"""


def _zip(files: list[Path], base: Path, target: Path, when: tuple[int, ...]) -> None:
    """Pack files with one time and one mode, sorted, so that the bytes follow from the content."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(base).as_posix(), (*when[:6],))  # type: ignore[arg-type]
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o755 if path.stat().st_mode & 0o100 else 0o644) << 16
            packed.writestr(entry, path.read_bytes())


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise GndlError(f"{root}: a release is built from the repository, and git says: {said.strip()}") from error
    return done.stdout.strip()


def main() -> None:
    """Build the release of this version."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", default="release", help="folder for the archive")
    parser.add_argument("--record", default="record/standard", help="the study of record, with its weights")
    options = parser.parse_args()
    try:
        built = build_release(resolve(options.out), resolve(options.record), data_folder() / "standins" / "standard")
    except GndlError as error:
        sys.exit(f"gndl: {error}")
    print(f"{built.archive}: {built.files} files, sha256 {built.sha256}")
    print(f"To be cited it has to be deposited, a maintainer's step: see {HOW} in it.")


if __name__ == "__main__":
    main()
