"""Write a study's folds in the forms that public code reads, so that others can test on the very same people."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from gndl.checking.crops import labels_of
from gndl.checking.samples import read_crops_csv, read_folds_json, samples_of_crops
from gndl.errors import GndlError
from gndl.files import write_text
from gndl.folds import Folds
from gndl.request import read_study_json
from gndl.results import finished_runs, read_csv, write_csv

WORDS = {
    "anger": "Angry",
    "contempt": "Contempt",
    "disgust": "Disgust",
    "fear": "Fear",
    "happiness": "Happy",
    "sadness": "Sad",
    "surprise": "Surprise",
}
"""Classes as headed lists write them."""

_CLIP = re.compile(r"(S\d+)-(\d+)\.\w+#(\d+)", re.IGNORECASE)


def export_folds(out: Path, database: str, folder: Path) -> list[Path]:
    """Write the folds of one database of a study in every form that `gndl.fold_lists` and `gndl.folds` read.

    Parameters
    ----------
    out : Path
        The study's directory.
    database : str
    folder : Path
        ``folds.csv`` (``subject,fold``), ``folds.txt`` (a header a fold, counted from 1) and ``ids/train_ids_K.csv``
        and ``ids/test_ids_K.csv`` (names of frames) are written.

    Returns
    -------
    list of Path

    Raises
    ------
    GndlError
        Where the study has no folds or crops of this database, or the classes of its sequences are not at hand.
    """
    folds = read_folds_json(out / database / "folds.json")
    samples = samples_of_crops(read_crops_csv(out / database / "crops.csv"))
    tested = [read_csv(run.folder / "predictions.csv", ("sequence", "truth")) for run in finished_runs(out)
              if run.database == database]  # fmt: skip
    predictions = pd.concat(tested) if tested else pd.DataFrame({"sequence": [], "truth": []})
    labels = labels_of(database, predictions, samples, read_study_json(out))
    unknown = sorted(set(samples["sequence"]) - set(labels))
    if unknown:
        raise GndlError(
            f"{out / database}: the class of {unknown[0]} is not at hand ({len(unknown)} such sequences): no run has "
            "tested it and the database does not lie where study.json says."
        )
    rows = [(subject, fold) for fold, own in enumerate(folds.test_subjects) for subject in own]
    table = folder / "folds.csv"
    write_csv(pd.DataFrame(rows, columns=["subject", "fold"]), table)
    text = folder / "folds.txt"
    write_text(text, headed_list(folds, samples, labels))
    return [table, text, *_write_ids(folds, samples, folder / "ids")]


def headed_list(folds: Folds, samples: pd.DataFrame, labels: dict[str, str]) -> str:
    """Write one header a fold, ``1-fold 33 Angry 2 …``, and its sequences below, ``S130/007 Angry``."""
    sequences = samples.drop_duplicates("sequence")
    lines = []
    for fold, own in enumerate(folds.test_subjects):
        here = sequences[sequences["subject"].isin(own)]
        words = [_word(labels[name]) for name in here["sequence"]]
        counts = " ".join(
            f"{word} {words.count(word)}" for word in dict.fromkeys(map(_word, sorted(set(labels.values()))))
        )
        lines.append(f"{fold + 1}-fold {len(here)} {counts}")
        for subject, sequence, word in zip(here["subject"], here["sequence"], words, strict=True):
            lines.append(f"{subject}/{sequence.removeprefix(subject).lstrip('_-')} {word}")
    return "\n".join(lines) + "\n"


def picture_name(subject: str, sequence: str, frame: str) -> str:
    """Name a frame so that it tells its subject: ``S156_002_00000019.png``; of a clip, ``S050_003_030.png``."""
    if clip := _CLIP.fullmatch(frame):
        return f"{clip[1]}_{clip[2]}_{int(clip[3]):03}.png"
    return frame if frame.startswith(subject) else f"{sequence}_{frame}"


def _write_ids(folds: Folds, samples: pd.DataFrame, folder: Path) -> list[Path]:
    names = pd.Series(
        [picture_name(*row) for row in samples[["subject", "sequence", "frame"]].itertuples(index=False)],
        index=samples.index,
    )
    written = []
    for fold, own in enumerate(folds.test_subjects):
        tested = samples["subject"].isin(own)
        held = samples["subject"].isin(folds.dev_subjects[fold] if folds.dev_subjects else ())
        sides = {"train": ~tested & ~held, "test": tested, **({"dev": held} if folds.dev_subjects else {})}
        for side, chosen in sides.items():
            path = folder / f"{side}_ids_{fold}.csv"
            write_text(path, "".join(f"{name}\n" for name in names[chosen]))
            written.append(path)
    return written


def _word(expression: str) -> str:
    return WORDS.get(expression, expression.capitalize())
