"""Whatever bytes a file from outside holds, its reader answers or refuses it by name: nothing else is ever raised."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import save

from gndl.databases import audit
from gndl.files import GndlError
from gndl.folds import read_folds
from gndl.folds_audit import audit_folds
from gndl.frames import read_image, read_landmarks
from gndl.licence import read_publishable
from gndl.profiles import SMOKE, StudyConfig, read_study_json
from gndl.train import read_weights

SUBJECTS = ("S001", "S002", "S003")


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((24, 20), 40).save(file, kind)
    return file.getvalue()


MANIFEST = b"subject,sequence,expression,neutral,examined\nS001,a,joy,n.png,x.png\nS002,b,fear,n.png,x.png\n"
TARGETS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "x.png": (picture("PNG"), read_image),
    "x.jpg": (picture("JPEG"), read_image),
    "x.tif": (picture("TIFF"), read_image),
    "x.gif": (picture("GIF"), read_image),
    "x_landmarks.txt": (b"  1.5000000e+02   2.0000000e+02\n" * 68, read_landmarks),
    "manifest.csv": (MANIFEST, lambda path: str(audit("manifest", path))),
    "folds.json": (b'{"0": ["S001"], "1": ["S002", "S003"]}', lambda path: read_folds(path, SUBJECTS)),
    "folds.csv": (b"subject,fold\nS001,0\nS002,1\nS003,1\n", lambda path: str(audit_folds(path))),
    "publishable.csv": (b"database,subject\noulu_casia,P001\nmmi,S002\n", read_publishable),
    "study.json": (
        json.dumps({"asked": StudyConfig(SMOKE, data_roots={"ckplus": ""}).as_json()}).encode(),
        lambda path: StudyConfig.from_json(read_study_json(path.parent)["asked"], path),
    ),
    "weights.safetensors": (save({"a": np.zeros(2, np.float32)}), lambda path: read_weights(path.parent)),
}
WORDS = st.sampled_from([b"\0", b"\n", b",", b'"', b"..", b"\xff", b"9" * 5000, b"-1", b"nan", b"1e999", b"{", b"]"])


@st.composite
def damage(draw: st.DrawFn, valid: bytes) -> bytes:
    """A file with a few bytes set, cut out, doubled or inserted, or with its end cut off."""
    content = bytearray(valid)
    for _ in range(draw(st.integers(1, 5))):
        at, length = draw(st.integers(0, len(content))), draw(st.sampled_from([1, 2, 4, 64]))
        kind = draw(st.sampled_from(["set", "set", "cut", "double", "insert", "end"]))
        new = {"set": draw(st.binary(max_size=4)), "double": content[at : at + length] * 2, "insert": draw(WORDS)}
        content[at : len(content) if kind == "end" else at + (length if kind != "insert" else 0)] = new.get(kind, b"")
    return bytes(content)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(
    name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    valid, read = TARGETS[name]
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(valid)
    read(path)
    path.write_bytes(data.draw(damage(valid)))
    try:
        read(path)
    except GndlError as error:
        assert str(path.name) in str(error)
