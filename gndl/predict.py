"""What a trained run makes of a photograph: find the face, crop it as the study does, give each class a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl.eyes import SECOND_ATTEMPT, Eyes, cut, find_eyes, geometry_from_eyes
from gndl.files import GndlError
from gndl.frames import as_colour, as_grey, open_photograph
from gndl.pairs import FacePairs
from gndl.profiles import CropSettings, StudyConfig, read_study_json

Photograph = str | Path | NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A face cut from a photograph: uint8 ``image`` (S, S) or (S, S, 3), eye centres in the upright photograph."""

    image: NDArray[np.uint8]
    eyes: Eyes
    score: float
    faces: int
    """Faces found; the largest was cut."""
    note: str
    """What the reader should know about the choice, ``""`` for nothing."""


def crop_photograph(photograph: Photograph, settings: CropSettings | None = None) -> FaceCrop:
    """Find the largest face of a picture file or a uint8 array, and cut it as the study cuts its faces.

    `GndlError` where the file is not a picture, or no frontal face is found.
    """
    name = "the picture" if isinstance(photograph, np.ndarray) else str(photograph)
    picture = photograph if isinstance(photograph, np.ndarray) else open_photograph(photograph)
    found = find_eyes(as_grey(picture))
    if found is None:
        raise GndlError(f"{name}: no face found. It should be upright, facing the camera, and at least 40 pixels wide.")
    notes = [f"{found.faces} faces found, the largest was used"] if found.faces > 1 else []
    if found.how == SECOND_ATTEMPT:
        notes.append("found only after enlarging and equalising the picture")
    image = cut(picture, geometry_from_eyes(found.eyes, settings or CropSettings()))
    return FaceCrop(image, found.eyes, found.score, found.faces, "; ".join(notes))


def predict_photographs(run: str | Path, photographs: Sequence[Photograph], device: str = "auto") -> pd.DataFrame:
    """Give the probabilities that a finished run (``…/fold-K/seed-S``) assigns to the faces of photographs.

    One row a photograph: photograph, predicted, ``p_CLASS`` for each class, faces (found in it), note. A method of
    whole sequences takes each for a sequence of one frame. `GndlError` where one shows no face, the run is unfinished
    or has no weights, or its method needs the neutral face.
    """
    from gndl.device import choose_device
    from gndl.train import load_method
    from gndl.trainer import evaluate

    run = Path(run)
    method, record = load_method(run)
    if record["needs_neutral_at_test"]:
        raise GndlError(f"{run}: {record['variant']} also needs the person's neutral face, which one photo lacks.")
    settings = crop_settings_of(run)
    crops = [crop_photograph(photograph, settings) for photograph in photographs]
    faces = np.stack([as_colour(crop.image) if record["colour"] else as_grey(crop.image) for crop in crops])
    classes = tuple(str(name) for name in record["expressions"])
    names = ["the picture" if isinstance(photo, np.ndarray) else str(photo) for photo in photographs]
    training, chosen = record["settings"], choose_device(device)
    data = FacePairs.of_faces(faces, classes).on(
        chosen, training["image_size"], mean=training["input_mean"], std=training["input_std"]
    )
    logits = evaluate(
        method.to(chosen), data, np.arange(len(faces)), training["precision"], whole_sequences=method.whole_sequences
    )
    probabilities = logits.softmax(1).cpu().numpy()
    table = pd.DataFrame(probabilities, columns=[f"p_{name}" for name in classes])
    table.insert(0, "photograph", names)
    table.insert(1, "predicted", [classes[best] for best in probabilities.argmax(axis=1)])
    return table.assign(faces=[crop.faces for crop in crops], note=[crop.note for crop in crops])


def study_of_run(run: Path) -> Path:
    """Folder of the study that a run lies in: five folders up, six for a run across databases."""
    parents = [*run.resolve().parents, *[Path("/")] * 6]
    study = parents[5] if parents[4].name == "across" else parents[4]
    if not (study / "study.json").exists():
        raise GndlError(f"{run} is not in a study (runs/NAME/DATABASE/METHOD/lam-L/fold-K/seed-S).")
    return study


def crop_settings_of(run: Path) -> CropSettings:
    """How the faces of a run's study were cropped, read from its study.json."""
    study = study_of_run(run)
    return StudyConfig.from_json(read_study_json(study)["asked"], study / "study.json").settings.crop
