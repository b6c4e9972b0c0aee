"""The referee: bytes that no change of structure may move. Same seed, same machine, same bytes (CPU).

(a) two epochs in fp32 of baseline and GNDL on planted pairs, (b) the crops of a tiny tree of each layout, (c) that tree
itself as rendered. A change that means to move them says so in CHANGELOG.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from planted import like_golden, planted_pairs
from safetensors.numpy import load_file

from gndl.crops import prepare_crops
from gndl.databases import read_database
from gndl.folds import deal_folds
from gndl.profiles import CropSettings, TrainSettings
from gndl.train import fit

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


def weights(path: Path) -> str:
    tensors = load_file(path)
    return sha256(
        *(part for name in sorted(tensors) for part in (name.encode(), np.ascontiguousarray(tensors[name]).tobytes()))
    )


@pytest.mark.parametrize("method", ["baseline", "gndl"])
def test_a_run_writes_the_same_bytes(method: str, tmp_path: Path) -> None:
    pairs = planted_pairs()
    train, test = deal_folds(pairs.subject, pairs.label, 3).train_test(0, pairs.subject)
    settings = TrainSettings(image_size=32, epochs=2, batch_size=8, checkpoint_every=0)
    lam = 5.0 if method == "gndl" else None
    fit(method, pairs, train, test, settings, run_folder=tmp_path, lam=lam, show_progress=False)
    found = {name: sha256((tmp_path / name).read_bytes()) for name in ("epochs.csv", "predictions.csv")}
    assert found | {"weights": weights(tmp_path / "weights.safetensors")} == GOLDEN["runs"][method]


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia", "mmi"])
def test_a_render_gives_the_same_bytes(name: str, rendered_trees: dict[str, Path]) -> None:
    root = rendered_trees[name]
    assert {"tree": tree(root), "truth": tree(root.with_name(f"{name}.truth"))} == GOLDEN["renders"][name]


@pytest.mark.parametrize("name", ["ckplus", "oulu_casia", "mmi"])
def test_a_crop_has_the_same_bytes(name: str, rendered_trees: dict[str, Path], tmp_path: Path) -> None:
    crops = prepare_crops(read_database(name, rendered_trees[name]), CropSettings(size=64), tmp_path)
    table = crops.table.loc[:, :"crop"].to_csv(index=False, lineterminator="\n").encode()
    assert {"images": sha256(np.ascontiguousarray(crops.images).tobytes()), "table": sha256(table)} == GOLDEN["crops"][
        name
    ]
