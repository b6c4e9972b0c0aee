"""What notebooks 2 and 5 show of methods compared sample by sample: measured, drawn, written into the study, and told.

Every function writes its figure (PDF, SVG, PNG, CSV, LaTeX) into ``figures`` of the database's folder, further tables
into ``tables``, and says in Markdown what is seen. Where another pair than the baseline and GNDL is looked at, both lie
in the folder of the second method, so that the study's own stay.

Nothing here trains, but for runs whose weights are not at hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd
from matplotlib.figure import Figure

from gndl.analysis import hard_samples as hard
from gndl.analysis import intensity_curves as along_curves
from gndl.analysis.ensure import folds_with_weights
from gndl.analysis.frames_along import POSITIONS, SEQUENCES
from gndl.analysis.intensity import along_sequences
from gndl.analysis.paired import paired_differences
from gndl.analysis.reliability import reliability, reliability_table
from gndl.analysis.sample_gallery import MethodAtLam, show_samples
from gndl.analysis.variants import Variant, variant_of
from gndl.analysis.worn import right_by_trait, traits_of
from gndl.figures.intensity import INTENSITY_DESCRIPTION, intensity_caption, intensity_curves
from gndl.figures.paired import PAIRED_DESCRIPTION, paired_caption, paired_dots
from gndl.figures.reliability import RELIABILITY_DESCRIPTION, reliability_caption, reliability_diagrams
from gndl.figures.samples import (
    CELLS_DESCRIPTION,
    GALLERY_DESCRIPTION,
    cells_caption,
    cells_figure,
    hard_sample_gallery,
)
from gndl.figures.saving import save_figure
from gndl.figures.shown import declare_faces
from gndl.gallery import who_may_be_shown
from gndl.imported import imported_note, is_imported
from gndl.methods import MethodSettings
from gndl.narrative import sample_words as words
from gndl.prepare import Prepared
from gndl.results import finished_runs, write_csv

FOLDS_ALONG = 3
"""Folds at most whose networks are led along sequences, unless folds are named: it keeps notebook 5 short."""


@dataclass(frozen=True)
class Told:
    """A figure, the table behind it, and what is seen in words; ``figure`` is None where there is nothing to draw."""

    figure: Figure | None
    table: pd.DataFrame
    words: str


def report_cells(
    study: Prepared, reference: str | MethodSettings, method: str | MethodSettings, lam: float | None = None
) -> Told:
    """Count which samples both methods, one or none gets right, and test the sequences.

    Parameters
    ----------
    study : Prepared
    reference, method : str or MethodSettings
        The paper's pair is ``"baseline"`` and ``"gndl"``.
    lam : float, optional
        Of ``method``; default the profile's.
    """
    a, b = variant_of(study, reference), variant_of(study, method, lam)
    compared = hard.compare_samples(study.request.out, study.database.name, a, b, _seed(study))
    numbers, source = _of_study(study, compared.cells()), study.database.source
    figure = cells_figure(numbers, source=source)
    of_imported = _of_imported([a, b])
    _save(study, figure, "sample_cells", numbers, cells_caption(numbers) + of_imported, CELLS_DESCRIPTION, (a, b))
    return Told(figure, compared.readable(), words.of_cells(compared, source) + of_imported)


def report_gallery(
    study: Prepared,
    reference: str | MethodSettings,
    method: str | MethodSettings,
    lam: float | None = None,
    *,
    gained_by: Literal["a", "b"] = "b",
    count: int = 6,
) -> Told:
    """Show samples that the one method gets right and the other wrong; arguments as :func:`report_cells`.

    Parameters
    ----------
    gained_by : {"a", "b"}
        ``"b"``: right by ``method``, wrong by ``reference`` (Fig. 9); ``"a"``: the reverse, which the paper leaves out.
    count : int
        Samples at most.
    """
    a, b = variant_of(study, reference), variant_of(study, method, lam)
    paired = hard.pair_predictions(study.request.out, study.database.name, a, b, _seed(study))
    everything = _of_study(study, hard.hard_samples(paired, gained_by, count=len(paired)))
    rule, source = who_may_be_shown(study), study.database.source
    chosen = everything[everything["subject"].map(rule.may_show).astype(bool)].head(count)
    left_out = rule.note(everything["subject"], "subjects with such a sample")
    note = ". ".join(part for part in (left_out, imported_note(a.method, b.method)) if part)
    name = "hard_samples" if gained_by == "b" else "hard_samples_reverse"
    write_csv(everything, _folder(study, a, b) / "tables" / f"{name}.csv")
    right, wrong = (b, a) if gained_by == "b" else (a, b)
    frames = len(hard.gained_samples(paired, gained_by))
    told = words.of_gallery(right, wrong, shown=len(chosen), sequences=len(everything), frames=frames)
    told += f" {note}." if note else ""
    if chosen.empty:
        return Told(None, chosen, told)
    shown = show_samples(study, chosen, (reference, None), (method, lam))
    if any(answer.saliency is None for one in shown for answer in (one.a, one.b)):
        told += " Where the weights of a run were not kept, what its answer rests on is left out."
    title_a, title_b = (one.title for one in (a, b))
    figure = hard_sample_gallery(shown, title_a, title_b, source=source, note=note)
    declare_faces(figure, study.database.name, chosen["subject"])
    caption = (
        f"{study.database.title}: samples that {right.in_a_sentence} gets right and {wrong.in_a_sentence} wrong: "
        f"{len(chosen)} of {len(everything)} sequences with such a frame. Rule: {hard.RULE}. "
        "Percentages are the probability of the class before them."
    ) + (f" {note}." if note else "")
    _save(study, figure, name, chosen, caption, GALLERY_DESCRIPTION, (a, b))
    return Told(figure, chosen, told)


def report_traits(
    study: Prepared, reference: str | MethodSettings, method: str | MethodSettings, lam: float | None = None
) -> Told:
    """Compare both methods on subjects with and without glasses, beard, fringe and deep wrinkles, where it is known.

    Arguments as :func:`report_cells`. There is no figure.
    """
    a, b = variant_of(study, reference), variant_of(study, method, lam)
    traits, source = traits_of(study.database), study.database.source
    told = words.of_traits(source, known=not traits.empty)
    if traits.empty:
        return Told(None, pd.DataFrame(), told)
    votes = hard.pair_votes(study.request.out, study.database.name, a, b, _seed(study))
    table = right_by_trait(votes, traits)
    write_csv(_of_study(study, table), _folder(study, a, b) / "tables" / "right_by_trait.csv")
    return Told(None, words.readable_traits(table, a, b), told)


def report_intensity(
    study: Prepared,
    methods: Iterable[MethodAtLam],
    *,
    folds: Iterable[int] | None = None,
    sequences: int = SEQUENCES,
    positions: int = POSITIONS,
) -> Told:
    """Lead methods along whole validation sequences; the table is that of the false alarms on neutral faces.

    Parameters
    ----------
    study : Prepared
    methods : iterable of (method, λ)
        Imported ones are left out: there is no network of them.
    folds : iterable of int, optional
        Default: the first three whose weights are at hand for all methods, or the study's first.
    sequences, positions : int
        As for :func:`gndl.analysis.intensity.along_sequences`.
    """
    methods = list(methods)
    pair = variant_of(study, *methods[0]), variant_of(study, *methods[-1])
    folder = _folder(study, *pair) / "tables"
    methods = [one for one in methods if not is_imported(one[0])]  # of these there is no network to be led
    if folds is None:
        at_hand = [set(folds_with_weights(study, method, lam)) for method, lam in methods]
        folds = sorted(set.intersection(*at_hand))[:FOLDS_ALONG] or study.run_folds[:1]
    along = along_sequences(study, methods, folds, sequences=sequences, positions=positions)
    source = study.database.source
    curves = _of_study(study, along_curves.curves(along))
    alarms = along_curves.false_alarms(along, study.pairs.expressions)
    write_csv(along, folder / "along_sequences.csv")
    write_csv(alarms.assign(source=source), folder / "false_alarms.csv")
    figure = intensity_curves(curves, source=source)
    _save(study, figure, "intensity", curves, intensity_caption(curves), INTENSITY_DESCRIPTION, pair)
    return Told(figure, alarms, words.of_intensity(along, curves, alarms, source))


def report_paired(study: Prepared, reference: str | MethodSettings = "baseline") -> Told:
    """Compare every headline variant that is there with a reference, fold by fold and subject by subject."""
    base, variants = variant_of(study, reference), headline_variants(study)
    others = [variant for variant in variants if variant != base]
    if base not in variants or not others:
        return Told(None, pd.DataFrame(), f"{base.title} and another method are needed, so nothing is compared here.")
    found = paired_differences(study.request.out, study.database.name, others, base)
    table, source = _of_study(study, found.table()), study.database.source
    figure = paired_dots(table, source=source)
    of_imported = _of_imported(variants)
    _save(study, figure, "paired_differences", table, paired_caption(table) + of_imported, PAIRED_DESCRIPTION)
    return Told(figure, table, words.of_paired(found.summaries, source) + of_imported)


def report_reliability(study: Prepared) -> Told:
    """Draw the reliability diagram of every headline variant that is there."""
    found = [reliability(study.request.out, study.database.name, variant) for variant in headline_variants(study)]
    table, source = _of_study(study, reliability_table(found)), study.database.source
    figure = reliability_diagrams(table, source=source)
    of_imported = _of_imported([one.variant for one in found])
    _save(study, figure, "reliability", table, reliability_caption(table) + of_imported, RELIABILITY_DESCRIPTION)
    return Told(figure, table, words.of_reliability(found, source) + of_imported)


def headline_variants(study: Prepared) -> list[Variant]:
    """The variants with finished runs of this database: at the λ fixed beforehand, and those without λ (ledger L19)."""
    lam = f"{study.request.settings.lam:g}"
    runs = [run for run in finished_runs(study.request.out) if run.database == study.database.name]
    found = dict.fromkeys(Variant(run.method, run.lam) for run in runs if run.lam in ("none", lam))
    return sorted(found, key=lambda variant: (variant.method != "baseline", variant))


def _of_imported(variants: Iterable[Variant]) -> str:
    """Say which of the variants were imported, as a sentence with a blank before it; "" where none was."""
    note = imported_note(*(variant.method for variant in variants))
    return f" {note}." if note else ""


def _seed(study: Prepared) -> int:
    return study.request.seeds[0]


def _of_study(study: Prepared, table: pd.DataFrame) -> pd.DataFrame:
    """Say in every row which database it is of, and what kind of faces that has."""
    return table.assign(database=study.database.name, source=study.database.source)


def _folder(study: Prepared, reference: Variant, method: Variant) -> Path:
    """The database's folder for the study's own pair, that of the second method for any other."""
    own = (variant_of(study, "baseline"), variant_of(study, "gndl"))
    return study.folder if (reference, method) == own else study.folder / method.method


def _save(
    study: Prepared,
    figure: Figure,
    name: str,
    table: pd.DataFrame,
    caption: str,
    description: str,
    pair: tuple[Variant, Variant] | None = None,
) -> None:
    folder = (study.folder if pair is None else _folder(study, *pair)) / "figures"
    save_figure(figure, folder, name, table, study.database.source, caption=caption, description=description)
