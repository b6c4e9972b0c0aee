"""What one trained run makes of a photograph of one's own: find the face, crop it, give each class its probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gndl.align import Eyes, cut, geometry_from_eyes
from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.eyes import find_eyes
from gndl.frames_reading import as_colour, as_grey, read_image
from gndl.pairs import FacePairs
from gndl.paths import study_of_run
from gndl.profiles import CropSettings
from gndl.request import profile_from_json, read_study_json
from gndl.train import evaluate, load_method


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A face cut from a photograph.

    Parameters
    ----------
    image : ndarray of uint8, shape (S, S) or (S, S, 3)
    eyes : Eyes
        Eye centres in the upright photograph, in pixels.
    score : float
        The detector's score of the face.
    faces : int
        Faces found in the photograph; the largest is the one that was cut.
    note : str
        What to know about the choice, in words; "" where there is nothing to say.
    """

    image: np.ndarray
    eyes: Eyes
    score: float
    faces: int
    note: str


def crop_photograph(photograph: str | Path | np.ndarray, settings: CropSettings | None = None) -> FaceCrop:
    """Find the largest face of a photograph and cut it as the study cuts its faces.

    Parameters
    ----------
    photograph : path or ndarray of uint8, shape (H, W) or (H, W, 3)
        A file is turned upright as its EXIF orientation says.
    settings : CropSettings, optional

    Raises
    ------
    GndlError
        Where the file is no picture, or no frontal face is found.
    """
    name = "the picture given" if isinstance(photograph, np.ndarray) else str(photograph)
    picture = photograph if isinstance(photograph, np.ndarray) else read_image(Path(photograph))
    found = find_eyes(as_grey(picture))
    if found is None:
        raise GndlError(
            f"{name}: no face was found. It should look at the camera, upright, and be at least 40 pixels wide"
        )
    notes = [f"{found.faces} faces were found and the largest was taken"] if found.faces > 1 else []
    if "second attempt" in found.how:
        notes.append("the face was found only after enlarging and equalising the picture")
    image = cut(picture, geometry_from_eyes(found.eyes, settings or CropSettings()))
    return FaceCrop(image, found.eyes, found.score, found.faces, "; ".join(notes))


def predict_photographs(photographs: Sequence[str | Path], run: Path, device: str = "auto") -> pd.DataFrame:
    """Give the probabilities that one trained run assigns to the faces of photographs.

    Parameters
    ----------
    photographs : sequence of paths
    run : Path
        Folder of a finished run, ``runs/NAME/DATABASE/METHOD/lam-L/fold-K/seed-S``.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    DataFrame
        One row a photograph: photograph, predicted, one column ``p_CLASS`` for each class, faces (found in it), note.

    Raises
    ------
    GndlError
        Where a photograph shows no face or is no picture, the run is unfinished or has no weights, or its method
        needs the neutral face at test.
    """
    run = Path(run)
    method, record = load_method(run)
    if record["needs_neutral_at_test"]:
        raise GndlError(f"{run}: {record['variant']} needs the subject's neutral face too, which one photograph lacks")
    settings = crop_settings_of(run)
    crops = [crop_photograph(photograph, settings) for photograph in photographs]
    if not crops:
        raise GndlError("No photograph was given.")
    in_colour = record["colour"]
    faces = np.stack([as_colour(crop.image) if in_colour else as_grey(crop.image) for crop in crops])
    index = np.arange(len(crops))
    names = tuple(str(photograph) for photograph in photographs)
    expressions = tuple(record["expressions"])
    # A photograph has no neutral face and no class: its own crop and class 0 stand there, and nothing reads them.
    pairs = FacePairs(faces, index, index, np.zeros_like(index), names, names, names, expressions)
    training = record["settings"]
    on_device = choose_device(device)
    data = pairs.on(on_device, training["image_size"], mean=training["input_mean"], std=training["input_std"])
    probabilities = evaluate(method.to(on_device), data, index, training["precision"]).softmax(1).cpu().numpy()
    table = pd.DataFrame(probabilities, columns=[f"p_{expression}" for expression in expressions])
    table.insert(0, "photograph", list(names))
    table.insert(1, "predicted", [expressions[best] for best in probabilities.argmax(1)])
    return table.assign(faces=[crop.faces for crop in crops], note=[crop.note for crop in crops])


def crop_settings_of(run: Path) -> CropSettings:
    """Read how the faces of a run's study were cropped, from its study.json.

    Raises
    ------
    GndlError
        Where the run does not lie in a study.
    """
    return profile_from_json(read_study_json(study_of_run(run))["asked"]["settings"]).crop
