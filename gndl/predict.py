"""What a trained run makes of a photograph: find the face, crop it as the study does, give each class a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gndl.eyes import SECOND_ATTEMPT, Eyes, cut, doubts, find_eyes, geometry_from_eyes
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
    """Faces found; the largest clear one was cut."""
    note: str
    """What speaks against the crop (`gndl.eyes.doubts`), ``""`` for nothing."""


def crop_photograph(photograph: Photograph, settings: CropSettings | None = None) -> FaceCrop:
    """Find the main face of a photograph, and cut it as the study cuts its faces.

    Takes a picture file (JPEG, PNG, WebP, …), or an array of bytes: uint8 (H, W) grey or (H, W, 3) red, green and blue.
    `GndlError` where it is neither, or no frontal face is found.
    """
    if isinstance(photograph, np.ndarray):
        name, picture, shape = "the picture", photograph, photograph.shape
        if picture.dtype != np.uint8 or len(shape) not in (2, 3) or shape[2:] not in ((), (3,)) or not picture.size:
            raise GndlError(
                f"the picture is an array of {picture.dtype} {shape}; pass uint8 (H, W) or (H, W, 3), values 0 to 255 "
                "(floats from 0 to 1: (255 * x).round().astype('uint8'); four channels: x[..., :3])."
            )
    else:
        name, picture = str(photograph), open_photograph(photograph)
    found = find_eyes(as_grey(picture))
    if found is None:
        raise GndlError(f"{name}: no face found. It should be upright, facing the camera, and at least 40 pixels wide.")
    notes = doubts(found.faces, found.score, found.spread)
    if found.how == SECOND_ATTEMPT:
        notes.append("found only after enlarging and equalising the picture")
    image = cut(picture, geometry_from_eyes(found.eyes, settings or CropSettings()))
    return FaceCrop(image, found.eyes, found.score, found.faces, "; ".join(notes))


def predict_photographs(run: str | Path, photographs: Sequence[Photograph], device: str = "auto") -> pd.DataFrame:
    """Give the probabilities that a finished run (``…/fold-K/seed-S``) assigns to the faces of photographs.

    One row a photograph: photograph, predicted, ``p_CLASS`` for each class, faces (found in it), note. A photograph
    that cannot be read or shows no face keeps its row, without an answer, and its note says why. Frames of the run's
    test fold get the very probabilities of its predictions.csv, if their eyes are found at the same place. A method of
    whole sequences takes each photograph for a sequence of one frame. `GndlError` where no photograph can be used, the
    run is unfinished or has no weights, or its method needs the neutral face.
    """
    import torch

    from gndl.device import choose_device, computing_on
    from gndl.train import load_method
    from gndl.trainer import evaluate

    run = Path(run)
    method, record = load_method(run)
    if record["needs_neutral_at_test"]:
        raise GndlError(f"{run}: {record['variant']} also needs the person's neutral face, which one photo lacks.")
    settings = crop_settings_of(run)
    crops: list[FaceCrop | GndlError] = []
    for photograph in photographs:
        try:
            crops.append(crop_photograph(photograph, settings))
        except GndlError as error:
            crops.append(error)
    used = [crop.image for crop in crops if isinstance(crop, FaceCrop)]
    if not used:
        raise GndlError("\n".join(map(str, crops)) or "No photograph was given.")
    faces = np.stack([as_colour(image) if record["colour"] else as_grey(image) for image in used])
    classes = tuple(str(name) for name in record["expressions"])
    training, chosen = record["settings"], choose_device(device)
    data = FacePairs.of_faces(faces, classes).on(
        chosen, training["image_size"], mean=training["input_mean"], std=training["input_std"]
    )
    method.to(device=chosen, memory_format=torch.channels_last)  # type: ignore[call-overload]
    with computing_on(chosen, training["precision"], training["threads"], seed=0):  # as the run's own predictions
        logits = evaluate(
            method, data, np.arange(len(faces)), training["precision"], whole_sequences=method.whole_sequences
        )
        answers = iter(logits.softmax(1).cpu().numpy())
    rows = []
    for photograph, crop in zip(photographs, crops, strict=True):
        name = "the picture" if isinstance(photograph, np.ndarray) else str(photograph)
        if isinstance(crop, FaceCrop):
            answer = next(answers)
            rows.append((name, classes[answer.argmax()], *answer, crop.faces, crop.note))
        else:
            rows.append((name, "", *[np.nan] * len(classes), 0, str(crop)))
    return pd.DataFrame(rows, columns=["photograph", "predicted", *(f"p_{name}" for name in classes), "faces", "note"])


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
