"""Faces of one's own, described by a table: ``subject,sequence,expression,neutral,examined``.

One row per pair; paths are relative to the table and stay below its folder; any set of expressions. Rows with the same
sequence are several examined faces of one sequence and must agree on its subject, expression and neutral face.

One picture, or pictures of the same bytes, under two subjects are an error, as are subjects whose names differ only
in case or blanks: whoever it is would be in training and in test at once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gndl.csv_rows import Row, read_table
from gndl.databases.folders import leads_out, relative
from gndl.databases.found_instead import explain, is_pixel_table
from gndl.databases.pictures import same_bytes
from gndl.databases.reading import Findings, ReadOptions, rendered_among, source_of
from gndl.errors import GndlError
from gndl.sequences import Database, FrameRef, Sequence

COLUMNS = ("subject", "sequence", "expression", "neutral", "examined")

LISTED = 5
"""Pictures that one finding names; of more, the number is said."""


@dataclass(frozen=True)
class _Pair:
    row: Row
    neutral: Path
    examined: Path


def read(root: Path, options: ReadOptions) -> Database:
    """Read a manifest.

    Parameters
    ----------
    root : Path
        The CSV file, or the folder that holds it under the name ``manifest.csv``.
    options : ReadOptions
        Nothing in it concerns a manifest.

    Returns
    -------
    Database
        With a finding of kind ``"error"`` for every row that cannot be used: the user wrote it and can mend it.
    """
    findings = Findings()
    file = root / "manifest.csv" if root.is_dir() else root
    pairs: list[_Pair] = []
    if not file.is_file() or is_pixel_table(file):
        findings.error(root, explain(root, "manifest"))
    else:
        try:
            pairs = _pairs(file, findings)
        except GndlError as error:
            findings.error(file, str(error))
    sequences = _sequences(file, pairs, findings)
    expressions = tuple(sorted({sequence.expression for sequence in sequences}))
    _require_different_names(file, "expressions", expressions, findings)
    _require_different_names(file, "subjects", (sequence.subject for sequence in sequences), findings)
    _require_one_subject_per_picture(file, sequences, findings)
    _name_pictures_counted_twice(file, sequences, findings)
    _name_mixed_sources(file, sequences, findings)
    return Database(
        name="manifest",
        root=root,
        source=source_of(file, {}, sequences, "own"),
        expressions=expressions,
        sequences=tuple(sequences),
        findings=tuple(findings.items),
        folders={"manifest": file} if file.is_file() else {},
        found={
            "sequences": len(sequences),
            "subjects": len({sequence.subject for sequence in sequences}),
        },
    )


def _pairs(file: Path, findings: Findings) -> list[_Pair]:
    """The rows whose cells are filled and whose pictures exist; an error finding for each of the others."""
    rows = read_table(file, COLUMNS)
    if not rows:
        findings.error(file, "no row below the header; one row per pair expected")
    pairs = []
    for row in rows:
        empty = [column for column in COLUMNS if not row[column]]
        if empty:
            findings.error(file, f"row {row.line}: nothing in {', '.join(empty)}; fill it, or remove the row")
            continue
        neutral, examined = (file.parent / row[column] for column in ("neutral", "examined"))
        outside = [reason for column in ("neutral", "examined") if (reason := _outside(file, row[column]))]
        for reason in outside:
            findings.error(
                file,
                f"row {row.line}: {reason}; a manifest names pictures below its own folder alone, so "
                "that it can be moved and shared: put them there, or the manifest above them",
            )
        if outside:
            continue
        missing = [path for path in (neutral, examined) if not path.is_file()]
        for path in missing:
            findings.error(
                file,
                f"row {row.line}: no such picture: {path} (paths are relative to the manifest); correct it, or remove "
                "the row",
            )
        if neutral == examined:
            findings.problem(
                file, f"row {row.line}: the neutral and the examined picture are the same file; name two, or remove it"
            )
        if not missing:
            pairs.append(_Pair(row, neutral, examined))
    return pairs


def _outside(file: Path, name: str) -> str | None:
    """Why a path of a manifest leads out of its folder, None where it does not."""
    if Path(name).is_absolute():
        return f"{name} is an absolute path"
    if (real := leads_out(file.parent / name, file.parent)) is not None:
        return f"{name} leads out of the manifest's folder, to {real}"
    return None


def _sequences(file: Path, pairs: list[_Pair], findings: Findings) -> list[Sequence]:
    grouped: dict[str, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        grouped[pair.row["sequence"]].append(pair)
    sequences = []
    for name, own in grouped.items():
        first = own[0]
        for other in own[1:]:
            for column in ("subject", "expression", "neutral"):
                if other.row[column] != first.row[column]:
                    findings.error(
                        file,
                        f"row {other.row.line}: sequence {name} has {column} {other.row[column]}, "
                        f"but {first.row[column]} in row {first.row.line}; correct one, or name another sequence",
                    )
        examined = {pair.examined: FrameRef(pair.examined) for pair in own}
        if len(examined) < len(own):
            findings.problem(
                file, f"sequence {name}: the same examined picture in several rows; it counts once, remove the others"
            )
        neutral = FrameRef(first.neutral)
        sequences.append(
            Sequence(
                subject=first.row["subject"],
                sequence=name,
                expression=first.row["expression"],
                neutral=neutral,
                examined=tuple(examined.values()),
                frames=tuple(dict.fromkeys((neutral, *examined.values()))),
                frames_chosen_by="manifest",
            )
        )
    return sequences


def _pictures(sequences: Iterable[Sequence]) -> dict[Path, set[str]]:
    """Every picture, where links lead to, with the subjects of the sequences that it is taken for."""
    subjects: dict[Path, set[str]] = defaultdict(set)
    for sequence in sequences:
        for frame in (sequence.neutral, *sequence.examined):
            subjects[frame.path.resolve()].add(sequence.subject)
    return subjects


def _require_different_names(file: Path, what: str, names: Iterable[str], findings: Findings) -> None:
    """Names that differ only in case or blanks are one name written in several ways."""
    alike: dict[str, set[str]] = defaultdict(set)
    for name in names:
        alike["".join(name.split()).casefold()].add(name)
    for same in alike.values():
        if len(same) > 1:
            listed = ", ".join(sorted(same))
            findings.error(
                file, f"{what} that differ only in upper and lower case or blanks: {listed}; write them alike"
            )


def _require_one_subject_per_picture(file: Path, sequences: list[Sequence], findings: Findings) -> None:
    """A face under two subjects could be in training and in test at once."""
    subjects = _pictures(sequences)
    try:
        copies = same_bytes(subjects)
    except OSError as error:
        findings.error(Path(error.filename), f"this picture cannot be read ({error.strerror}); make it readable")
        return
    alone = sorted(subjects.keys() - {path for same in copies for path in same})
    for same in [*copies, *([path] for path in alone)]:
        shown = sorted({subject for path in same for subject in subjects[path]})
        if len(shown) > 1:
            what = "one picture" if len(same) == 1 else "pictures of the same bytes"
            findings.error(
                file,
                f"{what} under several subjects ({', '.join(shown)}): "
                f"{', '.join(relative(path, file.parent.resolve()) for path in same)}; give such a face to one "
                "subject, for nobody may be in training and in test at once",
            )


def _name_pictures_counted_twice(file: Path, sequences: Iterable[Sequence], findings: Findings) -> None:
    """One picture examined in several sequences of one subject and class: each makes a pair of it.

    Another class is a conflict of labels (`gndl.databases.near_duplicates`), another subject an error.
    """
    holding: dict[tuple[Path, str, str], list[str]] = defaultdict(list)
    for sequence in sequences:
        for path in {frame.path.resolve() for frame in sequence.examined}:
            holding[path, sequence.subject, sequence.expression].append(sequence.sequence)
    shared: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    for (path, _, _), names in holding.items():
        if len(names) > 1:
            shared[tuple(names)].append(path)
    for alike, paths in shared.items():
        shown = [relative(path, file.parent.resolve()) for path in sorted(paths)]
        listed = ", ".join(shown[:LISTED]) + (f" and {more} more" if (more := len(shown) - LISTED) > 0 else "")
        findings.problem(
            file,
            f"sequences {', '.join(alike)} examine the same {'picture' if len(paths) == 1 else 'pictures'}: {listed}; "
            "counted once in each of them, so keep such a row in one sequence and remove it from the others",
        )


def _name_mixed_sources(file: Path, sequences: list[Sequence], findings: Findings) -> None:
    pictures = _pictures(sequences)
    rendered = rendered_among((file.parent, *pictures))
    if rendered and file.parent not in rendered and len(rendered) < len(pictures):
        findings.problem(
            file,
            f"{len(rendered)} of its {len(pictures)} pictures are rendered faces of a stand-in, the others are not; "
            "every result is reported as of rendered faces; list them in two manifests to keep them apart",
        )
