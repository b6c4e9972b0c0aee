"""Make the crops that come with the package (`gndl.shipped`) from the rendered full-size stand-ins.

    gndl render --profile standard
    python tools/ship_crops.py data/standins/standard

The crops are those of a study, scaled down by the area averaging of training, so that a run of profile ``standard`` has
the same bytes from either.
"""

import shutil
import sys
from pathlib import Path

from gndl.analysis.groups import read_truth, truth_folder
from gndl.crops import pairs_from_crops, prepare_crops, relative_to_root
from gndl.databases import read_database
from gndl.files import crops_folder, write_csv, write_json
from gndl.pairs import downscale
from gndl.profiles import CropSettings
from gndl.sequences import STAND_IN_LABEL
from gndl.shipped import FOLDER, SIZE, hash_pictures, pack


def ship(name: str, root: Path) -> None:
    """Write the shipped files of one stand-in from the frames at ``root``."""
    database = read_database(name, root)
    crops = prepare_crops(database, CropSettings(), crops_folder(), jobs=2)
    classes = {sequence.sequence: sequence.expression for sequence in database.sequences}
    images = downscale(crops.images, SIZE)
    packed, folder = pack(images), FOLDER / name
    about = {
        "shape": list(images.shape),
        "pictures": hash_pictures(images),
        "made_from_pairs": pairs_from_crops(database, crops).content_hash,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pictures.xz").write_bytes(packed)
    write_json(folder / "about.json", about)
    write_csv(crops.table.assign(expression=crops.table["sequence"].map(classes)), folder / "crops.csv.gz")
    taken = {
        (relative_to_root(frame.path, root), max(frame.index, 0)) for one in database.sequences for frame in one.taken
    }
    frames, subjects = read_truth(root)
    in_clip = name == "mmi"
    known = [(file, index if in_clip else 0) in taken for file, index in frames[["file", "index"]].to_numpy()]
    truth = truth_folder(folder)
    write_csv(frames[known].drop(columns="row"), truth / "truth.csv")
    write_csv(subjects, truth / "subjects.csv")
    for label in (folder, truth):
        shutil.copy(root / STAND_IN_LABEL, label / STAND_IN_LABEL)
    print(f"{name}: {len(images)} crops in {len(packed) / 1e6:.2f} MB")


if __name__ == "__main__":
    for name in sys.argv[2:] or ("ckplus", "oulu_casia", "mmi"):
        ship(name, Path(sys.argv[1]).resolve() / name)
