"""Ground truth of a rendered tree: what was drawn for every subject and every frame, in a folder next to the tree.

For a tree ``ROOT`` it lies in ``ROOT.truth``, outside the official layout: ``truth.csv`` with one row for each frame,
``subjects.csv`` with one for each subject, and ``truth.npz`` with what does not fit a table. All columns and arrays are
described in ``docs/stand-ins.md``.
"""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from standins.files import STAND_IN_LABEL, atomic_write, write_text
from standins.filming import Frame
from standins.head import Floats, load_head
from standins.identity import Identity

LONG = ("macro", "local", "resting")
"""Parts of an identity that are too long for a table."""

WORN = ("glasses", "beard")
"""Parts of an identity that a subject may not have."""


@dataclass
class SequenceTruth:
    """What is known of the frames of one or several sequences, in the order in which they were written."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    actions: list[Floats] = field(default_factory=list)
    landmarks: list[Floats] = field(default_factory=list)
    hidden: list[NDArray[np.bool_]] = field(default_factory=list)

    def add(self, frame: Frame, place: dict[str, Any]) -> None:
        """Note one frame; ``place`` says where it lies and what it shows."""
        self.rows.append(place | frame.facts)
        self.actions.append(frame.actions)
        self.landmarks.append(frame.landmarks)
        self.hidden.append(frame.hidden)

    def extend(self, other: SequenceTruth) -> None:
        """Note all frames of ``other`` behind these."""
        for name in ("rows", "actions", "landmarks", "hidden"):
            getattr(self, name).extend(getattr(other, name))


def truth_folder(root: Path) -> Path:
    """Folder of the ground truth of the tree at ``root``; a link is followed to the tree it stands for."""
    root = Path(root).resolve()
    return root.with_name(f"{root.name}.truth")


def write_part(path: Path, name: str, identity: Identity, truth: SequenceTruth) -> None:
    """Write what is known of one subject's frames as one file (.npz), whole or not at all."""
    names, vector = _identity_vector(identity)
    about = {"name": name} | dict(_traits(identity))
    with atomic_write(path) as aside:
        np.savez(
            aside,
            about=json.dumps(about),
            rows=json.dumps(truth.rows),
            actions=np.array(truth.actions, np.float32).reshape(-1, len(load_head().action_names)),
            landmarks=np.array(truth.landmarks, np.float32).reshape(-1, 68, 2),
            hidden=np.array(truth.hidden, bool).reshape(-1, 68),
            resting=np.asarray(identity.resting, np.float32),
            identity=vector,
            identity_names=np.array(names),
        )


def join_parts(parts: Iterable[Path], root: Path, label: str) -> None:
    """Write the ground truth of the tree at ``root`` from the parts of its subjects, replacing one that is there."""
    folder = truth_folder(root)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    rows, subjects = list[dict[str, Any]](), list[dict[str, Any]]()
    arrays: dict[str, list[NDArray]] = {
        name: [] for name in ("subject", "actions", "landmarks", "hidden", "resting", "identity")
    }
    names: NDArray = np.array([])
    for number, path in enumerate(parts):
        with np.load(path) as part:
            own = json.loads(str(part["rows"]))
            subjects.append(json.loads(str(part["about"])))
            names = part["identity_names"]
            arrays["subject"].append(np.full(len(own), number))
            for name in ("actions", "landmarks", "hidden"):
                arrays[name].append(part[name])
            for name in ("resting", "identity"):
                arrays[name].append(part[name][None])
        rows += own
    partial.mkdir(parents=True)
    _write_csv(partial / "truth.csv", [{"row": k} | row for k, row in enumerate(rows)])
    _write_csv(partial / "subjects.csv", subjects)
    np.savez_compressed(
        partial / "truth.npz",
        action_names=np.array(load_head().action_names),
        identity_names=names,
        **{name: np.concatenate(several) for name, several in arrays.items()},  # type: ignore[arg-type]
    )
    write_text(partial / STAND_IN_LABEL, label)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _identity_vector(identity: Identity) -> tuple[list[str], Floats]:
    head = load_head()
    parts: list[tuple[list[str], Any]] = [
        (["age", "femininity"], [identity.age, identity.femininity]),
        ([f"ancestry/{name}" for name in ("african", "asian", "european")], identity.ancestry),
        ([f"macro/{name}" for name in head.macro_names], identity.macro),
        (
            [f"local/{name}/{direction}" for name in head.local_names for direction in ("plus", "minus")],
            np.ravel(identity.local),
        ),
    ]
    names = [name for own, _ in parts for name in own]
    return names, np.concatenate([np.asarray(values, np.float32) for _, values in parts])


def _traits(thing: Any, prefix: str = "") -> Iterable[tuple[str, float | str]]:
    """Everything in an identity that fits a table, by dotted names; ``none`` for what the subject does not wear."""
    for part in fields(thing):
        value, name = getattr(thing, part.name), f"{prefix}{part.name}"
        if part.name in LONG:
            continue
        if part.name in WORN:
            yield name, "yes" if value else "no"
        if is_dataclass(value):
            yield from _traits(value, f"{name}.")
        elif isinstance(value, (tuple, list, np.ndarray)):
            yield from ((f"{name}.{k}", _plain(one)) for k, one in enumerate(value) if np.ndim(one) == 0)
        elif isinstance(value, (str, int, float, np.number)):
            yield name, _plain(value)


def _plain(value: Any) -> float | str:
    return value if isinstance(value, (str, int)) else float(value)


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows whose columns are the union of theirs, in the order in which they first occur."""
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["row"]  # pandas reads no file without one
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _shown(value) for name, value in row.items()})


def _shown(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
