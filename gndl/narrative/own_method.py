"""What notebook 8 shows of a method of one's own, beside the baseline and GNDL on the same folds.

Everything that is drawn here goes into the method's own folder, ``OUT/DATABASE/METHOD/figures``, and leaves the study's
figures as they are; with the folder goes all of the method.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from gndl import comparison, figures, results
from gndl.analysis import hard_samples as hard
from gndl.analysis.deviation import deviation_map
from gndl.analysis.paired import paired_differences
from gndl.analysis.sample_gallery import show_samples
from gndl.analysis.variants import Variant, variant_of
from gndl.errors import GndlError
from gndl.figures import deviation as deviation_figures
from gndl.figures.samples import GALLERY_DESCRIPTION, hard_sample_gallery
from gndl.figures.shown import declare_faces
from gndl.gallery import who_may_be_shown
from gndl.methods import MethodSettings, is_built_in
from gndl.narrative import sample_words
from gndl.prepare import Prepared
from gndl.runs import weights_path
from gndl.sweeping.background import is_running
from gndl.tables import results_table as tables
from gndl.weights import weights_name

Name = str | MethodSettings


@dataclass(frozen=True)
class OwnMethod:
    """A method of one's own beside others.

    Parameters
    ----------
    table : DataFrame
        Rows as in Table 1 (`gndl.tables.results_table.measured_rows`): the others, then one's own.
    matrices : Figure
        Confusion matrices of all of them.
    words : str
        How it compares with each of the others, in Markdown.
    """

    table: pd.DataFrame
    matrices: Figure
    words: str


def report_own_method(study: Prepared, method: Name, beside: Iterable[Name] = ("baseline", "gndl")) -> OwnMethod:
    """Summarise a method and others on the folds that were run, at the λ fixed beforehand (ledger L19).

    Reads the runs on disk; train them first with :func:`gndl.study.train_missing`. Nothing is written into the study's
    own tables and figures.

    Raises
    ------
    GndlError
        Where one of the methods has no finished run.
    """
    out, database, source = study.request.out, study.database.name, study.database.source
    own = variant_of(study, method)
    variants = list(dict.fromkeys([*(variant_of(study, other) for other in beside), own]))
    summary = results.summarise(out, database)
    named = [Variant(str(row.method), str(row.lam)) for row in summary.itertuples()]
    for variant in variants:
        if variant not in named:
            raise GndlError(f"{study.folder / variant.method}: holds no finished run of {variant.title}; train it.")
    summary = summary.iloc[[named.index(variant) for variant in variants]].reset_index(drop=True)
    counts = {}
    for variant, folds in zip(variants, summary["folds"], strict=True):
        predictions = results.read_predictions(out, database, variant.method, variant.lam)
        title = f"{variant.title} ({sample_words.counted(int(folds), 'fold')})"
        counts[title] = results.confusion_counts(predictions, study.database.expressions)
    matrices = figures.confusion_matrices(counts, source=source)
    caption = (
        f"{study.database.title}: confusion matrices of {', '.join(variant.title for variant in variants)} on the same "
        "folds. Rows are the true classes and columns the predicted ones."
    )
    counted = pd.concat(counts, names=["panel", "truth"]).reset_index()
    _save(study, own, matrices, "confusion_matrices", counted, caption)
    compared = comparison.compare_with_baseline(summary, results.accuracy_table(out, database))
    mine = compared[compared["method"].eq(own.method) & compared["lam"].eq(own.lam)]
    others = [variant for variant in variants if variant not in (own, variant_of(study, "baseline"))]
    pairs = [paired_differences(out, database, [own], other).summaries[0] for other in others]
    words = "\n".join([comparison.in_plain_words(mine), sample_words.of_paired(pairs, "") if pairs else ""])
    return OwnMethod(tables.measured_rows(summary), matrices, words)


def own_deviation_map(
    study: Prepared, method: Name, *, fold: int | None = None, seed: int = 0
) -> tuple[Figure | None, str]:
    """Draw Fig. 8 of a method with a generator, of one fold; None, and why, where there is nothing to draw.

    Parameters
    ----------
    study, method
    fold : int, optional
        Default the first that is run.
    seed : int
        Of t-SNE.
    """
    fold = study.run_folds[0] if fold is None else fold
    try:
        table, note = deviation_map(study, method, None, fold, seed)
    except GndlError as error:
        return None, f"No map can be drawn: {error}"
    if table.empty:
        return None, f"Fold {fold} tests too few samples for a map."
    source = study.database.source
    figure = deviation_figures.deviation_map(table, source=source)
    caption = deviation_figures.map_caption(table.assign(source=source))
    description = deviation_figures.MAP_DESCRIPTION
    _save(study, variant_of(study, method), figure, "deviation_features", table, caption, description)
    return figure, note


def own_hard_samples(
    study: Prepared, method: Name, against: Name = "gndl", *, gained_by: Literal["own", "other"] = "own", count: int = 4
) -> tuple[Figure | None, str]:
    """Show samples that one's own method gets right and another wrong, or the reverse, chosen by notebook 5's rule.

    Returns
    -------
    Figure or None
        None where there is no such sample.
    str
        What is seen, in Markdown.
    """
    other, own = variant_of(study, against), variant_of(study, method)
    paired = hard.pair_predictions(study.request.out, study.database.name, other, own, study.request.seeds[0])
    which: Literal["a", "b"] = "b" if gained_by == "own" else "a"
    everything = hard.hard_samples(paired, which, count=len(paired))
    right, wrong = (own, other) if gained_by == "own" else (other, own)
    frames = len(hard.gained_samples(paired, which))
    rule = who_may_be_shown(study)
    chosen = everything[everything["subject"].map(rule.may_show).astype(bool)].head(count)
    note = rule.note(everything["subject"], "subjects with such a sample")
    words = sample_words.of_gallery(right, wrong, shown=len(chosen), sequences=len(everything), frames=frames)
    words += f" {note}." if note else ""
    if chosen.empty:
        return None, words
    shown = show_samples(study, chosen, (against, None), (method, None))
    figure = hard_sample_gallery(shown, other.title, own.title, source=study.database.source, note=note)
    declare_faces(figure, study.database.name, chosen["subject"])
    name = "hard_samples" if gained_by == "own" else "hard_samples_reverse"
    caption = f"{study.database.title}: samples that {right.title} gets right and {wrong.title} wrong. {hard.RULE}."
    caption += f" {note}." if note else ""
    _save(study, own, figure, name, everything, caption, GALLERY_DESCRIPTION)
    return figure, words


def remove_own_method(study: Prepared, name: str) -> Path:
    """Remove all runs and figures of a method of one's own from a study, and its rows from accuracy.csv.

    Needed before a method that was changed is trained under the same name: runs of another code are never reused or
    overwritten. Methods of this package are refused.

    Returns
    -------
    Path
        The folder that was removed.
    """
    if is_built_in(name):
        raise GndlError(f"{name} is a method of this package; its runs belong to the study and are not removed here.")
    weights = weights_path(study)
    variant = name if weights is None else f"{name}-{weights_name(weights)}"
    folder = study.folder / variant
    if not (folder.parent == study.folder and list(folder.glob("lam-*"))):
        raise GndlError(f"{folder}: holds no runs of a method {name}.")
    if is_running(study.folder):
        raise GndlError(f"{study.folder}: a background training is at work; wait for its end, or stop it.")
    shutil.rmtree(folder)
    results.write_accuracy(study.request.out)
    return folder


def _save(
    study: Prepared, own: Variant, figure: Figure, name: str, table: pd.DataFrame, caption: str, description: str = ""
) -> None:
    folder = study.folder / own.method / "figures"
    figures.save_figure(figure, folder, name, table, study.database.source, caption=caption, description=description)
