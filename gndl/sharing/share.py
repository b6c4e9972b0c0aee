"""``gndl share``: a study as one file that may be passed on, with every face removed that may not be printed.

The bundle takes what is known to be harmless and nothing else: CSV, JSON, Markdown and LaTeX; figures that say whose
faces they show, and show nobody but people who may be shown; notebooks without all other pictures. Weights, caches
and whatever else lies in the study stay behind. What was left out, and why, is listed in its SHARE.md.
"""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat

from gndl.errors import GndlError
from gndl.figures.shown import declaration_file, read_declaration
from gndl.files import hash_file, written_aside
from gndl.licence import LICENSED_FACES, Publishable, publishable
from gndl.paper import DATABASE_TITLES
from gndl.request import read_study_json
from gndl.sharing.hidden_pictures import holds_a_picture
from gndl.sharing.notebook_faces import MayShow, still_holds_a_picture, without_faces

NUMBERS = (".csv", ".json", ".md", ".tex", ".bib", ".txt")
PICTURES = (".pdf", ".svg", ".png", ".jpg", ".jpeg")
MANIFEST = "SHARE.md"

NOT_DECLARED = "does not say whose faces it shows: draw it again (gndl study, or gndl report for figures of numbers)"
NOT_TO_BE_SHOWN = "shows people who may not be printed"
CHANGED = "is not the file that was declared: it has changed since"
OTHER = "neither numbers, nor a figure, nor a notebook"


@dataclass(frozen=True)
class Bundle:
    """What was shared.

    Parameters
    ----------
    path : Path
        The zip file.
    taken : tuple of str
        Its files, SHARE.md aside.
    left_out : dict of str to str
        Files of the study that it lacks, with the reason.
    removed : dict of str to int
        Notebooks out of which pictures were taken, and how many.
    """

    path: Path
    taken: tuple[str, ...]
    left_out: dict[str, str]
    removed: dict[str, int]


def share(out: Path, to: Path | None = None) -> Bundle:
    """Write a bundle of a study that may be passed on.

    Parameters
    ----------
    out : Path
        The study's directory, which is only read.
    to : Path, optional
        The zip file; ``OUT-share.zip`` by default.

    Raises
    ------
    GndlError
        Where ``out`` holds no study.
    """
    content = read_study_json(out)
    source = str(content.get("source", "licensed"))
    rules = {name: publishable(out, name, source) for name in content["asked"]["data_roots"]}
    to = to or out.with_name(f"{out.name}-share.zip")
    whole = all(rule.subjects is None for rule in rules.values())

    def may_show(faces: Iterable[str]) -> bool:
        named = [face.split("/", 1) for face in faces]
        return all(len(one) == 2 and one[0] in rules and rules[one[0]].may_show(one[1]) for one in named)

    files: dict[str, bytes] = {}
    left_out: dict[str, str] = {}
    removed: dict[str, int] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if any(part.startswith(".") for part in path.relative_to(out).parts) or path.name == LICENSED_FACES:
            continue
        if path == to:
            continue
        reason = OTHER
        if path.is_symlink():
            reason = "a link"
        elif path.suffix in NUMBERS:
            text = path.read_bytes()
            reason = "" if whole or not holds_a_picture(text.decode("utf-8", "replace")) else "a picture in a text"
            files[name] = text
        elif path.suffix.lower() in PICTURES:
            reason = "" if whole else _why_not(path, may_show)
            files[name] = path.read_bytes()
        elif path.suffix == ".ipynb":
            reason = ""
            files[name], count = _notebook(path, None if whole else may_show)
            if count:
                removed[name] = count
        if reason:
            files.pop(name, None)
            left_out[name] = reason
    bundle = Bundle(to, tuple(files), left_out, removed)
    files[MANIFEST] = _manifest(out, source, rules, bundle).encode()
    if not whole:
        _second_look(files, may_show)
    _write(to, out.name, files)
    return bundle


def _why_not(path: Path, may_show: MayShow) -> str:
    """Why a figure is not taken, "" where it is: its declaration must fit this very file."""
    try:
        said = json.loads(declaration_file(path.parent, path.stem).read_text(encoding="utf-8"))
        faces, hashes = list(said["faces"]), dict(said["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return NOT_DECLARED
    if hashes.get(path.name) != hash_file(path):
        return CHANGED
    return "" if may_show(faces) else NOT_TO_BE_SHOWN


def _notebook(path: Path, may_show: MayShow | None) -> tuple[bytes, int]:
    if may_show is None:
        return path.read_bytes(), 0
    try:
        notebook = nbformat.read(path, as_version=4)
    except (ValueError, nbformat.ValidationError) as error:
        raise GndlError(f"{path}: is no notebook ({error}); remove it, then share again.") from error
    cleared, count = without_faces(notebook, may_show)
    return nbformat.writes(cleared).encode(), count


def _second_look(files: dict[str, bytes], may_show: MayShow) -> None:
    """Look once more at what is about to be written; a picture that slipped through stops the bundle."""
    for name, content in files.items():
        if name.endswith(".ipynb"):
            slipped = still_holds_a_picture(nbformat.reads(content.decode(), as_version=4), may_show)
        elif name.endswith((".png", ".jpg", ".jpeg")):
            faces = read_declaration(content)
            slipped = faces is None or not may_show(faces)
        else:
            continue
        if slipped:
            raise GndlError(f"{name}: still holds a picture that may show a face; nothing was written.")


def _write(to: Path, top: str, files: dict[str, bytes]) -> None:
    """Write a zip file whose bytes depend on nothing but its content."""
    with written_aside(to) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{top}/{name}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name], zipfile.ZIP_DEFLATED)


def _manifest(out: Path, source: str, rules: dict[str, Publishable], bundle: Bundle) -> str:
    lines = [f"# {out.name}, to be passed on", "", f"Made by `gndl share` from a study on {source} faces.", ""]
    lines += ["## Whose faces are in it", ""]
    for name, rule in rules.items():
        title = DATABASE_TITLES.get(name, name)
        if rule.subjects is None:
            who = "rendered people, nobody's faces" if source == "rendered" else "everybody"
        else:
            named = ", ".join(sorted(rule.subjects)) or "nobody"
            who = f"{named} at most ({rule.reason})"
        lines.append(f"- {title}: {who}.{f' Pictures of them: {rule.credit}.' if rule.credit else ''}")
    lines += ["", "## What was removed", ""]
    lines += [f"- `{name}`: {count} pictures or widgets" for name, count in bundle.removed.items()] or ["Nothing."]
    lines += ["", "## What was left out", ""]
    grouped = Counter(bundle.left_out.values())
    for reason, count in grouped.items():
        names = [name for name, why in bundle.left_out.items() if why == reason]
        lines.append(f"- {count} files: {reason} (such as `{names[0]}`)")
    lines += ["" if grouped else "Nothing.", ""]
    lines.append(
        "Names of subjects and files, and the paths that the study was called with, are in its numbers; faces are not."
    )
    return "\n".join(lines) + "\n"
