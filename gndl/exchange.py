"""Sharing a study: a bundle to pass on, crops and folds for other code, predictions from other code."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from gndl.check import SUM_TOLERANCE
from gndl.files import (
    GndlError,
    atomic_write,
    hash_file,
    hash_json,
    read_csv,
    read_table,
    write_csv,
    write_json,
    write_text,
)
from gndl.licence import LICENSED_FACES, label_licensed, publishable
from gndl.methods import IMPORTED_PREFIX
from gndl.paper import DATABASE_TITLES
from gndl.profiles import read_study_json
from gndl.runs import EPOCH_COLUMNS, run_folder, write_predictions
from gndl.sequences import STAND_IN_LABEL, normal_form
from gndl.tables import IMPORTED

if TYPE_CHECKING:
    from gndl.study import Study

NUMBERS = (".csv", ".gz", ".json")
TEXTS = (".md", ".tex", ".txt")
PICTURES = (".pdf", ".png", ".jpg", ".jpeg")

NUMBER_FIGURES = (
    *("ablations", "across", "confusion_matrices", "deviation_features", "deviation_measures", "folds", "granularity"),
    *("intensity", "learning_curves", "paired_differences", "reliability", "sample_cells", "sensitivity"),
    *("sensitivity_differences", "table-1"),
)
"""Plots without faces: all that a bundle of a study on real people contains of its pictures."""


class Bundle(NamedTuple):
    """A zip file, the files of the study in it, and those left out with the reason."""

    path: Path
    taken: list[str]
    left_out: dict[str, str]

    def left_out_in_words(self) -> list[str]:
        """One line for each reason."""
        reasons = list(self.left_out.values())
        first = {reason: name for name, reason in reversed(self.left_out.items())}
        return [f"{reasons.count(why)} files: {why} (such as `{first[why]}`)" for why in dict.fromkeys(reasons)]


def share(out: Path, to: Path | None = None) -> Bundle:
    """Write a study as one zip file that may be passed on (by default ``OUT-share.zip``).

    Numbers, tables, figures and notebooks; never weights or crops. If people in it may not be printed, neither
    notebooks nor any figure outside `NUMBER_FIGURES`.
    """
    content = read_study_json(out)
    source = str(content.get("source", "licensed"))
    shown = {name: publishable(out, name, source).subjects is None for name in content["asked"]["data_roots"]}
    to = to or out.with_name(f"{out.name}-share.zip")
    bundle = Bundle(to, [], {})
    for path in sorted(path for path in out.rglob("*") if path.is_file() and path != to):
        name = path.relative_to(out)
        if any(part.startswith(".") for part in name.parts) or path.name == LICENSED_FACES:
            continue
        if reason := _why_not(path, all(shown.values())):
            bundle.left_out[name.as_posix()] = reason
        else:
            bundle.taken.append(name.as_posix())
    everybody = "synthetic identities (no real people)" if source == "rendered" else "everybody, by consent"
    numbers = "none: numbers, tables and plots without faces only"
    about = [f"# {out.name}", "", f"Made by `gndl share` from a study on {source} faces.", "", "## Faces", ""]
    about += [f"- {DATABASE_TITLES.get(name, name)}: {everybody if all_ else numbers}." for name, all_ in shown.items()]
    about += ["", "## Left out", "", *(f"- {line}" for line in bundle.left_out_in_words() or ["nothing"])]
    about += ["", "Subject names, file names and the paths of the study's commands appear in its numbers.", ""]
    files = {name: (out / name).read_bytes() for name in bundle.taken} | {"SHARE.md": "\n".join(about).encode()}
    with atomic_write(to) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(files):  # the bytes of the archive depend on nothing but its content
            entry = zipfile.ZipInfo(f"{out.name}/{file}", (1980, 1, 1, 0, 0, 0))
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[file], zipfile.ZIP_DEFLATED)
    return bundle


def _why_not(path: Path, everybody: bool) -> str:
    suffix = path.suffix.lower()
    if path.is_symlink():
        return "a link"
    if suffix in NUMBERS or (suffix in TEXTS and (everybody or path.parent.name == "tables")):
        return ""
    if suffix in PICTURES or suffix == ".ipynb":
        number_figure = path.parent.name == "figures" and path.stem in NUMBER_FIGURES
        return "" if everybody or number_figure else "may show people who must not be printed"
    return "not numbers, a figure or a notebook"


README = """\
Crops, pairs and folds of a GNDL study ({titles}), for training with other code.

DATABASE/pairs.csv   one row a sample: `sample` is its number; `examined` and `neutral` are pictures; `truth` is the
                     class and `label` its number; `fold` is the one fold in which the sample is tested.
DATABASE/folds.csv   the fold in which each subject is tested. For fold k, train on the subjects of all other folds and
                     use nothing of fold k, not even to choose epochs or thresholds.
DATABASE/crops       the pictures, aligned by the eyes, {size} pixels a side.

To import predictions, fill in DATABASE/predictions.csv: `predicted` is the class given by the network trained without
the sample's fold; the probabilities p_CLASS sum to 1 and are largest for `predicted`. Delete the rows of folds that you
did not test. Then run

    gndl import-predictions predictions.csv --method NAME --run STUDY --database DATABASE --subject-disjoint
"""


PICTURE = "crops/{:05d}.png"


def export_data(studies: Iterable[Study], folder: Path) -> Path:
    """Write the crops, pairs and folds of each database as PNG and CSV into ``folder``, which must not exist.

    The same study gives the same bytes. Crops of a licensed copy and of stand-ins are labelled as such.
    """
    if folder.exists():
        raise GndlError(f"{folder} already exists; remove it, or choose another folder with --out.")
    studies = list(studies)
    with atomic_write(folder) as temporary:
        for study in studies:
            _export_database(study, temporary / study.name)
            if study.source == "licensed":
                label_licensed(temporary, study.database.title)
            if study.source == "rendered":
                write_text(temporary / STAND_IN_LABEL, "Crops of synthetic stand-ins (no real people).\n")
        titles = ", ".join(study.database.title for study in studies)
        write_text(temporary / "README.txt", README.format(titles=titles, size=studies[0].crops.images.shape[1]))
    return folder


def pair_table(study: Study) -> pd.DataFrame:
    """Every sample of a study: who, which frame, its class, the fold that tests it and its two pictures."""
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
            "examined": [PICTURE.format(one) for one in pairs.examined_index],
            "neutral": [PICTURE.format(one) for one in pairs.neutral_index],
        }
    )


def _export_database(study: Study, folder: Path) -> None:
    from PIL import Image

    (folder / "crops").mkdir(parents=True)
    table = pair_table(study)
    used = {int(one) for index in (study.pairs.examined_index, study.pairs.neutral_index) for one in index}
    for crop in sorted(used):
        Image.fromarray(np.asarray(study.crops.images[crop])).save(folder / PICTURE.format(crop), compress_level=6)
    folds = table[["subject", "fold"]].drop_duplicates().sort_values("subject")
    form = table[["sample", "fold", "truth"]].assign(predicted="", **{f"p_{name}": "" for name in study.classes})
    write_csv(table, folder / "pairs.csv")
    write_csv(folds, folder / "folds.csv")
    write_csv(form, folder / "predictions.csv")


def import_predictions(
    study: Study,
    file: Path,
    name: str,
    *,
    subject_disjoint: bool,
    seed: int = 0,
    needs_neutral_at_test: bool = False,
) -> list[Path]:
    """Check a CSV of predictions against a study's folds and store it next to the study's own runs.

    Return the folders of the runs, one a fold. The method is called ``imported-NAME``. ``subject_disjoint`` is your
    declaration that nothing of a fold's test subjects was used in training for it, or to choose anything.
    `GndlError` names file and row of whatever cannot be compared; other predictions stored before are kept.
    """
    if study.is_record:
        raise GndlError(f"{study.out} is a packed record, which is read only.")
    if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name) or name.startswith(IMPORTED_PREFIX):
        raise GndlError(
            f"{name!r} is not a valid name: use lower-case letters, digits and hyphens, without {IMPORTED_PREFIX!r}"
        )
    if not subject_disjoint:
        raise GndlError(
            f"{file}: pass --subject-disjoint to declare that the network that predicts a fold was trained without any "
            "picture (neutral ones included) of its test subjects, and that nothing was chosen on them. Otherwise "
            "these numbers cannot be compared with the others."
        )
    table = read_predictions(study, file)
    declared = {"file": file.name, "sha256": hash_file(file), "subject_disjoint": True, "audited": False}
    declared["note"] = IMPORTED
    return _store(study, f"{IMPORTED_PREFIX}{name}", table, seed, declared, needs_neutral_at_test)


def read_predictions(study: Study, file: Path) -> pd.DataFrame:
    """Read and check a file of predictions: ``sample`` as index, ``fold``, and float32 ``p_CLASS`` that sum to 1."""
    classes = list(study.pairs.expressions)
    columns = [f"p_{name}" for name in classes]
    table = read_table(file, ("sample", "truth", "predicted", *columns), ("fold", "subject", "sequence", "frame"))
    if table.empty:
        raise GndlError(f"{file}: holds no predictions")
    table = table.reset_index(names="row")  # line of the file
    known = pair_table(study)

    def refuse(bad: Any, column: str, what: str | Sequence[str]) -> None:
        """Raise for the first row in which ``bad`` holds; ``what`` is the reason, the same or one a row."""
        if np.any(bad):
            row = int(np.argmax(np.asarray(bad)))
            reason = what if isinstance(what, str) else what[row]
            raise GndlError(f"{file}, row {table['row'][row]}: {column} is {table[column][row][:40]!r}, {reason}")

    refuse(~table["sample"].str.fullmatch(r"[0-9]{1,9}"), "sample", "not a number of a sample")
    sample = table["sample"].astype(int)
    refuse(sample >= len(known), "sample", f"but samples are 0 to {len(known) - 1} (pairs.csv)")
    refuse(sample.duplicated(), "sample", "which appears twice")
    own = known.iloc[sample].reset_index(drop=True)
    for column in ("truth", "fold", "subject", "sequence", "frame"):
        if column in table:
            said, theirs = table[column], own[column].astype(str)
            differs = said.map(normal_form) != theirs.map(normal_form) if column == "subject" else said != theirs
            refuse(differs, column, [f"in the study {text!r}; correct the file" for text in theirs])
    values = table[columns].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    for number, column in enumerate(columns):
        refuse(~((values[:, number] >= 0) & (values[:, number] <= 1)), column, "not a probability")
    total = values.sum(axis=1)
    refuse(np.abs(total - 1) > SUM_TOLERANCE, "predicted", [f"its probabilities sum to {one:.4g}" for one in total])
    refuse(~table["predicted"].isin(classes), "predicted", f"not one of {', '.join(classes)}")
    values = (values / total[:, None]).astype(np.float32)
    said = values[np.arange(len(values)), [classes.index(name) for name in table["predicted"]]]
    tied = (values == values.max(axis=1, keepdims=True)).sum(axis=1) > 1
    refuse((said < values.max(axis=1)) | tied, "predicted", "but its probability is not the largest alone")
    found = pd.DataFrame(values, columns=columns, index=pd.Index(sample, name="sample"))
    found.insert(0, "fold", own["fold"].to_numpy())
    for fold, complete in known[known["fold"].isin(set(found["fold"]))].groupby("fold"):
        missing = complete[~complete["sample"].isin(found.index)]
        if len(missing):
            one = missing.iloc[0]
            raise GndlError(
                f"{file}: {len(missing)} of the {len(complete)} samples of fold {fold} are missing, the first is "
                f"sample {one['sample']} ({one['frame']} of {one['sequence']}); import a fold completely or not at all."
            )
    return found.sort_index()


def _store(
    study: Study, variant: str, table: pd.DataFrame, seed: int, declared: dict[str, Any], needs_neutral_at_test: bool
) -> list[Path]:
    """Write one run a fold, unless other predictions are already stored there."""
    from gndl.results import write_accuracy

    columns = [name for name in table.columns if name != "fold"]
    folders = {int(fold): run_folder(study.folder, variant, None, int(fold), seed) for fold in table["fold"].unique()}
    for fold, folder in folders.items():
        path = folder / "predictions.csv"
        own = table.loc[table["fold"] == fold, columns].to_numpy(np.float32)
        if path.exists() and not np.array_equal(read_csv(path, columns)[columns].to_numpy(np.float32), own):
            raise GndlError(f"{path} holds other predictions; delete {folder}, or import under another name.")
    for fold, folder in folders.items():
        trained, tested = study.folds.train_test(fold, study.pairs.subject)
        values = table.loc[tested, columns].to_numpy(np.float32)
        write_predictions(folder, study.pairs, tested, values)
        write_text(folder / "epochs.csv", ",".join(EPOCH_COLUMNS) + "\n")
        method = {"name": variant, "base": variant, "images_per_pair": 1, "options": {}}
        key = {"method": method, "lam": None, "fold": fold, "seed": seed}
        identity = {
            **key,
            "train": {},
            "weights": None,
            "pairs": study.pairs.content_hash,
            "train_samples": hash_json([int(sample) for sample in trained]),
            "test_samples": hash_json([int(sample) for sample in tested]),
            "imported": True,
            "extra": study.identity_of_fold(fold),
        }
        record = {
            **key,
            "variant": variant,
            "imported": {**declared, "predictions_sha256": hash_file(folder / "predictions.csv")},
            "needs_neutral_at_test": needs_neutral_at_test,
            "expressions": list(study.pairs.expressions),
            "epochs": 0,
            "accuracy_last": float((values.argmax(axis=1) == np.asarray(study.pairs.label)[tested]).mean()),
            **dict.fromkeys(("accuracy_best", "epoch_best", "images_per_epoch", "parameters")),
            "n_train": len(trained),
            "n_test": len(tested),
            "identity": identity,
            "identity_hash": hash_json(identity),
        }
        write_json(folder / "run.json", record)
    write_accuracy(study.out)
    return list(folders.values())
