"""The audit of a copy: counts next to the paper's, and every problem by file name.

Near duplicates are two frames whose perceptual hashes (`imagehash.phash`) differ in at most 6 of 64 bits and whose
32 × 32 grey thumbnails correlate at 0.995 or more. Another size, brightness, contrast or compression leaves both nearly
as they are; another face does not. Mirrored copies are compared too; a picture with less than 4 grey levels between the
quartiles of its thumbnail is too plain to be compared.
"""

from __future__ import annotations

import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gndl.databases.common import Findings, relative, same_bytes
from gndl.databases.reader import inspect_database
from gndl.files import GndlError, progress
from gndl.frames import Unreadable, as_grey, decode_clip, open_picture, read_frames
from gndl.paper import COUNTS, DATABASE_TITLES
from gndl.sequences import Database, Finding, FrameRef, ReadOptions

THUMBNAIL = 32
MAX_BITS = 6
MIN_CORRELATION = 0.995
MIN_CONTRAST = 4.0
BY_HAND = " with a frames.csv"
"""How frames are chosen by hand (`gndl.databases.manifest`)."""

_KINDS = {
    "error": "Errors: the study cannot run",
    "problem": "Problems: something is wrong, but the study can run",
    "skip": "Left out",
    "note": "Notes",
}
_COUNTED = {
    "sequences": "sequences in all",
    "subjects": "subjects in all",
    "labelled": "sequences taken",
    "labelled_subjects": "subjects taken",
    "pairs": "pairs",
}
_PAPER = ReadOptions()


@dataclass(frozen=True)
class AuditReport:
    """What an audit found; ``str()`` prints all of it.

    ``database`` is None where nothing could be read. ``counts`` has sequences, subjects, pairs and sequences of each
    class: how many were found, and how many the paper has.
    """

    name: str
    root: Path
    database: Database | None
    findings: tuple[Finding, ...]
    counts: dict[str, tuple[int, int | None]]

    @property
    def ok(self) -> bool:
        """Whether the study can run on this copy."""
        return not any(finding.kind == "error" for finding in self.findings)

    def __str__(self) -> str:
        title = self.database.title if self.database else DATABASE_TITLES.get(self.name, self.name)
        lines = [f"{title} at {self.root}" + (f", {self.database.source}" if self.database else "")]
        if self.database and self.database.folders:
            lines += ["", "Folders"]
            lines += [f"  {role}: {relative(path, self.root)}" for role, path in self.database.folders.items()]
        if self.counts:
            lines += ["", "Counts", f"  {'':<24}{'found':>8}{'paper':>8}"]
        for what, (found, paper) in self.counts.items():
            differs = "" if paper in (None, found) else "   differs"
            lines.append(f"  {what:<24}{found:>8}{'–' if paper is None else paper:>8}{differs}")
        for kind in _KINDS:
            lines += self._findings(kind)
        lines += ["", f"The study {'can' if self.ok else 'cannot'} run on this copy.", ""]
        # Names on disk need not be UTF-8, and must not stop the report from being printed.
        return "\n".join(lines).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _findings(self, kind: str) -> list[str]:
        grouped: dict[str, list[str]] = defaultdict(list)
        for finding in self.findings:
            if finding.kind == kind:
                grouped[finding.message].append(relative(finding.path, self.root))
        lines = ["", f"{_KINDS[kind]} ({sum(map(len, grouped.values()))})"] if grouped else []
        for message, names in grouped.items():
            if len(names) == 1:
                lines.append(f"  {names[0]}: {message}")
                continue
            wrapped = textwrap.fill(", ".join(names), 106, break_long_words=False, break_on_hyphens=False)
            lines += [f"  {message} ({len(names)}):", textwrap.indent(wrapped, "    ")]
        return lines


def audit(name: str, root: Path, options: ReadOptions = _PAPER, *, frames_csv: Path | None = None) -> AuditReport:
    """Audit a copy of a database; whatever is wrong with the copy is a finding, nothing raises.

    Decodes every picture and every clip that the study takes frames from. Parameters as of `read_database`.
    """
    try:
        database = inspect_database(name, root, frames_csv=frames_csv, options=options)
    except (GndlError, OSError) as error:
        message = str(error).removeprefix(f"{root}: ")
        return AuditReport(name, root, None, (Finding("error", root, message),), {})
    findings = Findings(database.findings)
    _check_files(database, findings)
    _check_near_duplicates(database, findings)
    paper = COUNTS.get(name)
    counts = {
        text: (database.found[key], getattr(paper, key) if paper else None)
        for key, text in _COUNTED.items()
        if key in database.found
    }
    classes = Counter(sequence.expression for sequence in database.sequences)
    per_class = (paper.per_class if paper else None) or {}
    counts |= {expression: (classes[expression], per_class.get(expression)) for expression in database.expressions}
    return AuditReport(name, root, database, tuple(findings), counts)


def _check_files(database: Database, findings: Findings) -> None:
    last_taken: dict[Path, int] = {}  # -1 for a picture
    for frame in sorted(frame for sequence in database.sequences for frame in sequence.taken):
        last_taken[frame.path] = max(last_taken.get(frame.path, -1), frame.index)
    for path, last in progress(last_taken.items(), "opening pictures and clips", unit="file"):
        try:
            if last < 0:
                with open_picture(path) as image:
                    image.load()
            elif last >= (count := decode_clip(path)):
                findings.error(
                    path, f"frame {last + 1} is taken, but only {count} decode: cut short, download it again"
                )
        except (OSError, Unreadable) as error:
            if 0 <= last < getattr(error, "decoded", 0):
                findings.problem(path, f"{error}; the frames taken lie before it, so it may stay")
            else:
                findings.error(path, f"cannot be read: {error}; unpack it again, or take other frames{BY_HAND}")
    for first, *others in same_bytes(path for path in last_taken if path.is_file()):
        for other in others:
            same = relative(first, database.root)
            findings.problem(other, f"the same bytes as {same}; replace the wrong one, or leave one out{BY_HAND}")


def _check_near_duplicates(database: Database, findings: Findings) -> None:
    """Report pictures that two subjects share, where folds would leak, and pictures under two labels.

    An examined frame conflicts with a near duplicate of another class, and with a neutral frame of the very same
    pixels; a faint expression may look nearly like the neutral face. Frames that cannot be read are named elsewhere.
    """
    seen: dict[tuple[FrameRef, str, str], np.ndarray] = {}  # sequences of one subject may share a neutral face
    for sequence in progress(database.sequences, "comparing pictures", unit="sequence"):
        try:
            pictures = read_frames(sequence.taken)
        except (GndlError, OSError):
            continue
        for frame in sequence.taken:
            label = "neutral" if frame == sequence.neutral else sequence.expression
            seen[frame, sequence.subject, label] = thumbnail(pictures[frame])
    taken, thumbnails = list(seen), list(seen.values())
    for first, second in near_duplicates(thumbnails):
        (frame, *one), (copy, *other) = taken[first], taken[second]
        equal = np.array_equal(thumbnails[first], thumbnails[second])
        conflicts = {
            "of another subject": one[0] != other[0],
            "under another label": one[1] != other[1] and (equal or "neutral" not in (one[1], other[1])),
        }
        for what in (what for what, conflict in conflicts.items() if conflict):
            number = f"#{frame.index + 1}" if frame.is_video else ""
            same = f"{relative(frame.path, database.root)}{number}, {what} ({' '.join(one)}, {' '.join(other)})"
            advice = f"look at both and correct the wrong one, or take other frames{BY_HAND}"
            findings.problem(copy.path, f"nearly the same picture as {same}; {advice}")


def thumbnail(picture: np.ndarray) -> np.ndarray:
    """Grey thumbnail of a picture, uint8 (32, 32), every pixel the mean of what it covers."""
    size = (THUMBNAIL, THUMBNAIL)
    return np.asarray(Image.fromarray(as_grey(picture)).resize(size, Image.Resampling.BOX))


def near_duplicates(thumbnails: list[np.ndarray]) -> Iterator[tuple[int, int]]:
    """Yield all pairs ``first < second`` of near duplicates among thumbnails, in order."""
    from imagehash import phash

    if not thumbnails:
        return

    def described(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        bits = np.stack([phash(Image.fromarray(np.ascontiguousarray(picture))).hash.ravel() for picture in pictures])
        flat = pictures.reshape(len(pictures), -1).astype(np.float32)
        flat -= flat.mean(axis=1, keepdims=True)
        return bits, flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-3)

    stacked = np.stack(thumbnails)
    low, high = np.quantile(stacked, (0.25, 0.75), axis=(1, 2))
    shows = high - low >= MIN_CONTRAST
    plain, mirrored = described(stacked), described(stacked[:, :, ::-1])
    for first in np.flatnonzero(shows):
        near: set[int] = set()
        for bits, flat in (plain, mirrored):
            later = np.flatnonzero(shows & ((bits != plain[0][first]).sum(axis=1) <= MAX_BITS))
            near |= {int(n) for n in later[flat[later] @ plain[1][first] >= MIN_CORRELATION] if n > first}
        yield from ((int(first), second) for second in sorted(near))
