"""A tiny tree of each layout as rendered: bytes that move only with a line in CHANGELOG.

Those of runs are in `test_train`, those of crops in `test_crops`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from planted import like_golden

pytestmark = [pytest.mark.golden, like_golden]
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))


def sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def tree(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sha256(*(part for f in files for part in (f.relative_to(folder).as_posix().encode(), f.read_bytes())))


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia", "mmi"])
def test_a_render_gives_the_same_bytes(name: str, rendered_trees: dict[str, Path]) -> None:
    root = rendered_trees[name]
    assert {"tree": tree(root), "truth": tree(root.with_name(f"{name}.truth"))} == GOLDEN["renders"][name]
