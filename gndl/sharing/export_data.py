"""``gndl export-data``: a study's crops, pairs and folds as PNG and CSV, for another code base to train on.

::

    EXPORT/README.txt                     how to read it, and how to bring predictions back
    EXPORT/ckplus/crops/00000.png         every crop once, as the study trains on it
    EXPORT/ckplus/pairs.csv               sample,subject,sequence,frame,truth,label,fold,examined,neutral
    EXPORT/ckplus/folds.csv               subject,fold: the fold in which a subject is tested
    EXPORT/ckplus/classes.csv             label,expression
    EXPORT/ckplus/predictions.csv         a form to be filled in, for `gndl import-predictions`
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from gndl.errors import GndlError
from gndl.files import write_text
from gndl.licence import label_licensed
from gndl.prepare import Prepared
from gndl.results import write_csv
from gndl.sequences import STAND_IN_LABEL

README = """\
Crops, pairs and folds of a study by gndl ({titles}), for training in another code base.

DATABASE/pairs.csv   one row per sample: `sample` numbers it; `examined` and `neutral` are pictures; `truth` is the
                     class and `label` its number; `fold` is the one fold in which the sample is tested.
DATABASE/folds.csv   the fold in which each subject is tested. For fold k train on all subjects of other folds and on
                     nothing of those of fold k, be it for choosing epochs, thresholds or anything else.
DATABASE/crops       the pictures, aligned by the eyes, {size} pixels a side.

To bring predictions back, fill in DATABASE/predictions.csv: in `predicted` the class that the network trained without
a sample's fold gives it, in p_CLASS the probabilities, which sum to 1 and are largest for `predicted`. A fold that was
not tested is left out whole: delete its rows. Then

    gndl import-predictions predictions.csv --method NAME --run STUDY --database DATABASE --subject-disjoint
"""


def export_data(studies: Iterable[Prepared], folder: Path) -> Path:
    """Write crops, pairs and folds of each database into ``folder``, which must not be there yet.

    The same study gives the same bytes. An export of a licensed copy carries ``LICENSED-FACES.txt``, one of stand-ins
    their label, so that whoever reads it is told what it holds.

    Raises
    ------
    GndlError
        Where ``folder`` is there already.
    """
    if folder.exists():
        raise GndlError(f"{folder}: is there already; remove it, or name another folder with --out.")
    studies = list(studies)
    aside = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}")
    try:
        for study in studies:
            _export(study, aside / study.database.name)
            if study.database.source == "licensed":
                label_licensed(aside, study.database.title)
            if study.database.source == "rendered":
                write_text(aside / STAND_IN_LABEL, "Crops of rendered stand-ins: faces of nobody.\n")
        titles = ", ".join(study.database.title for study in studies)
        size = studies[0].crops.images.shape[1]
        write_text(aside / "README.txt", README.format(titles=titles, size=size))
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def pair_table(study: Prepared) -> pd.DataFrame:
    """List every sample of a study: who, which frame, its class, the fold that tests it and its two pictures."""
    pairs = study.pairs
    tested = {subject: fold for fold, subjects in enumerate(study.folds.test_subjects) for subject in subjects}
    label = np.asarray(pairs.label)
    return pd.DataFrame(
        {
            "sample": range(len(pairs)),
            "subject": pairs.subject,
            "sequence": pairs.sequence,
            "frame": pairs.frame,
            "truth": [pairs.expressions[int(one)] for one in label],
            "label": label,
            "fold": [tested[subject] for subject in pairs.subject],
            "examined": [picture_name(int(one)) for one in pairs.examined_index],
            "neutral": [picture_name(int(one)) for one in pairs.neutral_index],
        }
    )


def picture_name(crop: int) -> str:
    """Path of a crop's picture below the database's folder."""
    return f"crops/{crop:05d}.png"


def _export(study: Prepared, folder: Path) -> None:
    (folder / "crops").mkdir(parents=True)
    table = pair_table(study)
    used = {int(one) for index in (study.pairs.examined_index, study.pairs.neutral_index) for one in index}
    for crop in sorted(used):
        Image.fromarray(np.asarray(study.crops.images[crop])).save(folder / picture_name(crop), compress_level=6)
    write_csv(table, folder / "pairs.csv")
    names = study.pairs.expressions
    write_csv(pd.DataFrame({"label": range(len(names)), "expression": names}), folder / "classes.csv")
    folds = [(subject, fold) for fold, subjects in enumerate(study.folds.test_subjects) for subject in subjects]
    write_csv(pd.DataFrame(sorted(folds), columns=["subject", "fold"]), folder / "folds.csv")
    form = table[["sample", "fold", "truth"]].assign(predicted="", **{f"p_{name}": "" for name in names})
    write_csv(form, folder / "predictions.csv")
