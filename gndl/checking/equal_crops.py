"""Show that the code of today crops every face to the bytes that older code gave, although it was changed since.

``python -m gndl.checking.equal_crops record/standard`` crops all databases of a study again, aside, and compares
``images.npy`` and ``crops.csv`` with those that a committed version of the code has left in the cache. Only where all
databases agree are the versions noted as equal (``gndl/assets/equal_crops.json``); then crops keep their folder, and
nothing is cropped again for a change that changes no pixel. Called once more, it checks what is noted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from gndl.crop import hashed_sources, prepare_crops
from gndl.crop_identity import EQUAL_CROPS, code_as_it_runs, crop_modules, eyes_by, hash_of_crops
from gndl.databases import ReadOptions, read_database
from gndl.errors import GndlError
from gndl.files import write_json
from gndl.method_code import code_hash
from gndl.paths import crops_folder, repository_root, resolve, standin_folder
from gndl.profiles import CropSettings
from gndl.request import read_study_json
from gndl.sequences import Database

COMPARED = ("images.npy", "crops.csv")

Code = dict[str, str]


def committed_versions(by_landmarks: bool, repository: Path | None = None) -> list[Code]:
    """Hash the modules that make a crop's pixels at every commit that changed one of them, oldest first."""
    repository = repository or repository_root()
    files = [f"gndl/{name}.py" for name in crop_modules(by_landmarks)]

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else ""

    found: list[Code] = []
    for commit in git("log", "--reverse", "--format=%H", "--", *files).split():
        sources = {Path(file).stem: git("show", f"{commit}:{file}") for file in files}
        if all(sources.values()):  # not before the last of them was written
            code = {name: code_hash(source) for name, source in sources.items()}
            if code not in found:
                found.append(code)
    return found


def crops_made_before(
    database: Database, settings: CropSettings, cache: Path, versions: list[Code], by_landmarks: bool
) -> tuple[Path, Code]:
    """Return the cached crops of a database that the first of ``versions`` has left, and that version.

    Raises
    ------
    GndlError
        Where none of them has left any.
    """
    _, _, contents, root = hashed_sources(database, cache)
    for code in versions:
        folder = cache / hash_of_crops(database, settings, by_landmarks, contents, root, code)
        if (folder / "crops.json").is_file():
            return folder, code
    raise GndlError(
        f"{cache}: holds no crops of {database.root} that a committed version of the code has made; crop it by that "
        "version first (gndl prepare)."
    )


def compare_crops(was: Path, now: Path) -> None:
    """Raise `GndlError` naming the first file in which two folders of crops differ."""
    for name in COMPARED:
        if (was / name).read_bytes() != (now / name).read_bytes():
            raise GndlError(f"{was / name}: today's code gives other bytes; nothing was noted.")


def note_equal(by_landmarks: bool, was: Code, now: Code, file: Path = EQUAL_CROPS) -> None:
    """Note that two versions of the code give the same crops."""
    content = json.loads(file.read_text(encoding="utf-8"))
    groups: list[list[Code]] = content[eyes_by(by_landmarks)]
    known = next((group for group in groups if was in group), None)
    if known is None:
        groups.append([was, now])
    elif now not in known:
        known.append(now)
    write_json(file, content)


def crop_again(database: Database, settings: CropSettings, cache: Path, versions: list[Code] | None = None) -> Code:
    """Crop a database aside, compare with the crops of older code in ``cache``, and return that code's version.

    Parameters
    ----------
    database : Database
    settings : CropSettings
    cache : Path
    versions : list of dict, optional
        Of the older code; the committed ones by default.

    Raises
    ------
    GndlError
        Where there are no such crops, or a byte differs.
    """
    by_landmarks = hashed_sources(database, cache)[0]
    before, code = crops_made_before(
        database, settings, cache, committed_versions(by_landmarks) if versions is None else versions, by_landmarks
    )
    with tempfile.TemporaryDirectory(prefix="gndl-crops-") as aside:
        compare_crops(before, prepare_crops(database, settings, Path(aside), allow_missing_faces=True).folder)
    return code


def crop_study_again(out: Path) -> list[tuple[bool, Code]]:
    """Crop all databases of a study again, as `crop_again`; return how the eyes are found, and the older code."""
    asked = read_study_json(out)["asked"]
    settings = CropSettings(**asked["settings"]["crop"])
    shown = []
    for name, given in asked["data_roots"].items():
        root = Path(given) if given else standin_folder(asked["settings"]["name"], name)
        database = read_database(name, root, options=ReadOptions(**asked["read_options"]))
        code = crop_again(database, settings, crops_folder())
        print(f"{name}: equal, byte by byte", flush=True)
        shown.append(("eyes" not in code, code))
    return shown


def main() -> None:
    """Crop the study named on the command line again, compare and note."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m gndl.checking.equal_crops STUDY")
    try:
        shown = crop_study_again(resolve(sys.argv[1]))
        for by_landmarks in (True, False):
            codes = [code for by, code in shown if by == by_landmarks]
            now = code_as_it_runs(by_landmarks)
            if any(code != codes[0] for code in codes):
                raise GndlError("The databases' crops were made by different versions of the code; nothing was noted.")
            if codes and codes[0] != now:
                note_equal(by_landmarks, codes[0], now)
                print(f"noted in {EQUAL_CROPS.name}: crops by {eyes_by(by_landmarks)} of both versions are equal")
    except GndlError as error:
        sys.exit(f"gndl: {error}")


if __name__ == "__main__":
    main()
