"""The tables of one run: epochs.csv and predictions.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gndl.errors import GndlError
from gndl.files import write_text
from gndl.pairs import FacePairs

EPOCHS = "epochs.csv"
PREDICTIONS = "predictions.csv"
EPOCH_COLUMNS = ("epoch", "loss", "loss_cls", "loss_neu", "accuracy_train", "accuracy_test")
DEV_COLUMN = "accuracy_dev"
"""A last column of epochs.csv where the folds hold development subjects."""


def write_epochs(folder: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write one row per epoch; ``loss_neu`` is empty for methods without a reconstruction loss.

    Losses are means over the epoch's pairs, ``accuracy_train`` counts the predictions made while training (on augmented
    faces, by weights that still moved), ``accuracy_test`` and, where there are development subjects, ``accuracy_dev``
    are taken after the epoch. Accuracies lie in [0, 1].
    """
    columns = [*EPOCH_COLUMNS, *([DEV_COLUMN] if history and DEV_COLUMN in history[0] else [])]
    rows = [["" if row[name] is None else repr(row[name]) for name in columns] for row in history]
    write_text(folder / EPOCHS, _csv([columns, *rows]))


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of epochs.csv as they were before writing.

    Raises
    ------
    GndlError
        Where the file is not as :func:`write_epochs` leaves it.
    """
    path = folder / EPOCHS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        columns = [*EPOCH_COLUMNS[1:], *([DEV_COLUMN] if DEV_COLUMN in (reader.fieldnames or ()) else [])]
        return [
            {"epoch": int(row["epoch"])} | {name: float(row[name]) if row[name] else None for name in columns}
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GndlError(f"{path}: is damaged ({error}); delete this run's folder to train it again.") from error


def write_predictions(
    folder: Path, pairs: FacePairs, test_index: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> None:
    """Write one row per test pair: who and which frame, the true and the predicted class, all probabilities.

    Parameters
    ----------
    folder : Path
        Of the run.
    pairs : FacePairs
    test_index : int array (T,)
        ``sample`` of each row, its position in ``pairs``.
    probabilities : float32 array (T, K)
        Softmax of the logits (Eq. 10); nine digits, which give back the same float32.
    """
    names = pairs.expressions
    header = ["sample", "subject", "sequence", "frame", "truth", "predicted", *(f"p_{name}" for name in names)]
    rows = [
        [
            str(int(sample)),
            str(pairs.subject[int(sample)]),
            str(pairs.sequence[int(sample)]),
            str(pairs.frame[int(sample)]),
            names[int(pairs.label[int(sample)])],
            names[int(row.argmax())],
            *(f"{probability:.9g}" for probability in row),
        ]
        for sample, row in zip(test_index, probabilities, strict=True)
    ]
    write_text(folder / PREDICTIONS, _csv([header, *rows]))


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
