"""Say in words and tables what a study reads, what it trains and what it does otherwise than the paper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from gndl.absent_methods import absent_methods
from gndl.methods import build_method, method_settings
from gndl.paper import COUNTS, LEDGER
from gndl.prepare import Prepared
from gndl.results import write_csv
from gndl.standins.box import what_a_render_can_tell
from gndl.train import pairs_per_epoch

SOURCE_TEXTS = {
    "licensed": (
        "**{title}: licensed copy.** Pictures of people: keep to the database's agreement before you publish any of "
        "the figures below."
    ),
    "own": "**{title}.** Faces of your own, read from a manifest; the paper has no numbers for them.",
}


def source_box(study: Prepared) -> str:
    """Say, in Markdown, what the numbers that follow were measured on, and what they can tell."""
    database, settings = study.database, study.request.settings
    number = "fold" if len(study.run_folds) == 1 else "folds"
    run = f"{number} {', '.join(map(str, study.run_folds))} of {len(study.folds)}"
    profile = f"> Profile `{settings.name}`: {settings.purpose}. It runs {run}."
    if database.source == "rendered":
        return f"{what_a_render_can_tell(database.name)}>\n{profile}"
    return f"> {SOURCE_TEXTS[database.source].format(title=database.title)}\n>\n{profile}"


def found_beside_paper(prepared: Prepared) -> pd.DataFrame:
    """Count what is on disk beside what the paper counts; a dash where the paper states nothing."""
    database, pairs = prepared.database, prepared.pairs
    counts = COUNTS.get(database.name)
    taken = pd.Series([sequence.expression for sequence in database.sequences]).value_counts()
    rows = [
        ("sequences on disk", database.found.get("sequences", len(database.sequences)), counts and counts.sequences),
        ("labelled sequences taken", len(database.sequences), counts and counts.labelled),
        ("subjects in them", len(database.subjects), counts and counts.labelled_subjects),
        ("pairs", len(pairs), counts and counts.pairs),
    ]
    per_class = (counts and counts.per_class) or {}
    rows += [(f"  {name}", int(taken.get(name, 0)), per_class.get(name)) for name in database.expressions]
    return pd.DataFrame(
        [(what, found, "–" if paper is None else paper) for what, found, paper in rows],
        columns=["what", database.title, "paper"],
    )


def fold_table(prepared: Prepared) -> pd.DataFrame:
    """Count the pairs of each class that every fold tests; the index is the fold."""
    rows = {}
    for fold in range(len(prepared.folds)):
        _, tested = prepared.folds.train_test(fold, prepared.pairs.subject)
        counts = np.bincount(np.asarray(prepared.pairs.label)[tested], minlength=len(prepared.pairs.expressions))
        rows[fold] = dict(zip(prepared.pairs.expressions, counts.tolist(), strict=True))
    return pd.DataFrame.from_dict(rows, orient="index")


def findings_table(study: Prepared) -> pd.DataFrame:
    """List everything that was left out or is wrong, by file, what the crops have to say first."""
    rows: list[tuple[str, str, str]] = [("crops", study.database.name, note) for note in study.crops.notes]
    order = ("error", "problem", "skip", "note")
    for found in sorted(study.database.findings, key=lambda found: order.index(found.kind)):
        rows.append((found.kind, str(found.path), found.message))
    return pd.DataFrame(rows, columns=["kind", "file", "what was found"])


def write_findings(study: Prepared) -> Path:
    """Write all findings to ``findings.csv`` in the database's folder of the study."""
    return write_csv(findings_table(study).assign(source=study.database.source), study.folder / "findings.csv")


def how_eyes_were_found(study: Prepared) -> pd.DataFrame:
    """Count the crops by the way in which their eyes were found."""
    crops = study.crops.table.drop_duplicates("crop")
    how = crops["how"].str.replace(r"^nearest frame .*", "borrowed from the nearest frame with a face", regex=True)
    return how.value_counts().rename_axis("how the eyes were found").rename("crops").reset_index()


def settings_table(study: Prepared) -> pd.DataFrame:
    """List the settings of the trainings beside the paper's, with the ledger entry where the paper is silent."""
    train, augmentation = study.train, study.train.augmentation
    rows = [
        ("image size", f"{train.image_size} × {train.image_size}", "224 × 224", "section 4.2"),
        ("epochs", train.epochs, 150, "section 4.2"),
        ("batch", f"{train.batch_size} pairs", "128 pairs", "section 4.2"),
        ("optimiser", f"Adam, lr {train.learning_rate:g}, betas {train.betas}", "Adam, lr 0.001, (0.9, 0.999)", "4.2"),
        ("schedule", train.schedule, "not stated", "L7"),
        ("λ", f"{study.request.settings.lam:g}", "5.0", "section 4.2, L19"),
        ("backbone starts from", study.request.weights or "random weights", "not stated", "L8"),
        (
            "augmentation",
            f"flip {augmentation.flip_probability:g}, noise {augmentation.noise_probability:g} "
            f"with σ = {augmentation.noise_sigma:g}",
            "flip or Gaussian noise",
            "L14",
        ),
        ("folds", f"{len(study.run_folds)} of {len(study.folds)} run", "10, subject-independent", "L13"),
        ("precision", train.precision, "not stated", ""),
    ]
    return pd.DataFrame(rows, columns=["setting", "here", "paper", "where"]).set_index("setting").astype(str)


def methods_table(study: Prepared) -> pd.DataFrame:
    """List the methods trained with what each costs: images per epoch and parameters (ledger L21).

    Of a method whose class is not at hand here its finished runs say it (`gndl.absent_methods`).
    """
    largest = max(
        pairs_per_epoch(len(study.folds.train_test(fold, study.pairs.subject)[0]), study.train.batch_size)
        for fold in study.run_folds
    )
    rows, absent = [], absent_methods(study)
    for name in study.request.settings.methods:
        if name in absent:
            record = absent[name]
            rows.append(
                {
                    "method": name,
                    "what it is": "a method of one's own, read from its finished runs; its code is not at hand here",
                    "images per epoch": largest * int(record["method"]["images_per_pair"]),
                    "parameters": int(record["parameters"]),
                }
            )
            continue
        settings = method_settings(name)
        model = build_method(
            settings, len(study.pairs.expressions), lam=study.request.settings.lam if settings.uses_lam else None
        )
        rows.append(
            {
                "method": settings.name,
                "what it is": settings.purpose,
                "images per epoch": largest * settings.images_per_pair,
                "parameters": sum(parameter.numel() for parameter in model.parameters()),
            }
        )
    return pd.DataFrame(rows)


def ledger_table() -> pd.DataFrame:
    """The ledger of the paper's ambiguities and slips, with the choice made here."""
    rows = [(choice.number, choice.paper, choice.default, choice.option) for choice in LEDGER]
    return pd.DataFrame(rows, columns=["#", "the paper", "here", "as an option"])
