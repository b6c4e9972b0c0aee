"""Faces of one's own, described by a table: ``subject,sequence,expression,neutral,examined``.

One row per pair; paths are relative to the table; any set of expressions. Rows with the same sequence are several
examined faces of one sequence and must agree on its subject, expression and neutral face.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

from gndl.csv_rows import Row, read_table
from gndl.databases.found_instead import explain, is_pixel_table
from gndl.databases.reading import Findings, ReadOptions, source_of
from gndl.errors import GndlError
from gndl.sequences import Database, FrameRef, Sequence

COLUMNS = ("subject", "sequence", "expression", "neutral", "examined")


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
    for lower, count in Counter(expression.lower() for expression in expressions).items():
        if count > 1:
            findings.error(file, f"expressions that differ only in upper and lower case: {lower}; write them alike")
    return Database(
        name="manifest",
        root=root,
        source=source_of(file.parent, {}, "own"),
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
            findings.error(file, f"row {row.line}: nothing in {', '.join(empty)}")
            continue
        neutral, examined = (file.parent / row[column] for column in ("neutral", "examined"))
        missing = [path for path in (neutral, examined) if not path.is_file()]
        for path in missing:
            findings.error(file, f"row {row.line}: no such picture: {path} (paths are relative to the manifest)")
        if neutral == examined:
            findings.problem(file, f"row {row.line}: the neutral and the examined picture are the same file")
        if not missing:
            pairs.append(_Pair(row, neutral, examined))
    return pairs


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
                        f"but {first.row[column]} in row {first.row.line}",
                    )
        examined = {pair.examined: FrameRef(pair.examined) for pair in own}
        if len(examined) < len(own):
            findings.problem(file, f"sequence {name}: the same examined picture in several rows; it counts once")
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
