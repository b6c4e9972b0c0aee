"""What λ does (Eq. 11), read from the runs that are there: accuracy, confusion, and one sample's probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gndl.errors import GndlError
from gndl.explore.commands import command
from gndl.explore.drawing import INK, OTHER, class_colour, legend_above, probability_bars, side_by_side, titled_face
from gndl.figures import METHOD_COLOURS, TWO_COLUMNS, add_note, draw_matrix, new_figure, style
from gndl.methods import variant_name
from gndl.paper import DATABASE_TITLES, figure_order
from gndl.prepare import Prepared
from gndl.results import FinishedRun, confusion_counts, finished_runs, read_csv
from gndl.runs import weights_path

ROOM_FOR_A_NUMBER = 0.38
"""Between two numbers on the axis of λ, in decades."""


@dataclass(frozen=True, eq=False)
class LamRuns:
    """GNDL's finished runs of several λ on the same folds.

    Parameters
    ----------
    study : Prepared
    lams : tuple of float
        In rising order.
    folds : tuple of int
        The folds that every one of them has; everything is about these.
    predictions : dict of float to DataFrame
        By λ: the rows of predictions.csv of these folds with ``fold``; the same samples in the same order for each.
    baseline : float or None
        Mean accuracy of the baseline on these folds; None where it lacks one of them.
    left_out : tuple of float
        Values of λ that share no fold with the others.
    """

    study: Prepared
    lams: tuple[float, ...]
    folds: tuple[int, ...]
    predictions: dict[float, pd.DataFrame]
    baseline: float | None
    left_out: tuple[float, ...]

    def accuracy(self, lam: float) -> pd.Series:
        """Accuracy of the last epoch by fold."""
        table = self.predictions[lam]
        return (table["truth"] == table["predicted"]).groupby(table["fold"]).mean()

    @property
    def samples(self) -> pd.DataFrame:
        """The samples tested: ``sample``, ``subject``, ``sequence``, ``frame``, ``truth`` and ``fold``."""
        columns = ["fold", "sample", "subject", "sequence", "frame", "truth"]
        return self.predictions[self.lams[0]][columns]

    def probabilities(self, row: int) -> np.ndarray:
        """One sample's probabilities, (number of λ, K), by its row in ``samples``."""
        columns = [f"p_{name}" for name in self.study.pairs.expressions]
        return np.stack([self.predictions[lam][columns].iloc[row].to_numpy(dtype=float) for lam in self.lams])

    @property
    def lam_to_begin_with(self) -> float:
        """The study's own λ where it is among them."""
        own = self.study.request.settings.lam
        return own if own in self.lams else self.lams[-1]

    @property
    def first_row(self) -> int:
        """The first sample of the first class in Fig. 6's order."""
        truths = self.samples["truth"].tolist()
        first = next(name for name in figure_order(self.study.pairs.expressions) if name in truths)
        return truths.index(first)

    def in_words(self, lam: float) -> str:
        """The accuracy at one λ, and how many folds stand behind it."""
        values = self.accuracy(lam)
        each = ", ".join(f"{100 * value:.1f}" for value in values)
        if len(values) == 1:
            return f"λ = {lam:g}: {each} % on fold {self.folds[0]} alone, so nothing is known of the spread."
        spread = f"± {100 * values.std(ddof=1):.1f}"
        return f"λ = {lam:g}: {100 * values.mean():.1f} {spread} % (mean and sd of {len(values)} folds: {each})."

    def how_to_train_others(self) -> str:
        """The command that trains the values of Fig. 7, in Markdown; "" where several are there."""
        if len(self.lams) > 1:
            return ""
        request = self.study.request
        others = [f"{lam:g}" for lam in request.settings.lams if lam != self.lams[0]]
        # A profile whose sweep is one value has nothing to sweep over.
        option, values = ("--sweep", ", ".join(others)) if others else ("--lams 0.5,5,50", "0.5 and 50")
        name = self.study.database.name
        root, profile = request.data_roots.get(name, ""), request.settings.name
        line = command(f"gndl train {option}", profile=profile, database=name, root=root, out=request.out)
        return (
            f"Only λ = {self.lams[0]:g} is trained here. `{line}` trains λ = {values} too; the notebook "
            "`3_sensitivity` shows what comes of it. Then run this cell again."
        )


def lam_runs(study: Prepared) -> LamRuns:
    """Read GNDL's runs of every λ that a study holds, as far as they share folds.

    Raises
    ------
    GndlError
        Where there is no finished run of GNDL, or runs of one fold tested different samples.
    """
    request = study.request
    names = {method: variant_name(method, weights_path(study)) for method in ("baseline", "gndl")}
    own = [run for run in finished_runs(request.out) if run.database == study.database.name]
    own = [run for run in own if run.seed == request.seeds[0]]
    by_lam: dict[float, dict[int, FinishedRun]] = {}
    for run in own:
        if run.method == names["gndl"]:
            by_lam.setdefault(float(run.lam), {})[run.fold] = run
    if not by_lam:
        raise GndlError(f"{study.folder}: holds no finished run of GNDL; `gndl study` trains what is missing.")
    folds: set[int] = set()
    kept: list[float] = []
    # The values with the most folds come first: one that shares none with them is left out, and named.
    for lam in sorted(by_lam, key=lambda lam: (-len(by_lam[lam]), lam != request.settings.lam, lam)):
        common = folds & set(by_lam[lam]) if kept else set(by_lam[lam])
        if common:
            folds = common
            kept.append(lam)
    baseline = {run.fold: float(run.record["accuracy_last"]) for run in own if run.method == names["baseline"]}
    predictions = {lam: _predictions({fold: by_lam[lam][fold] for fold in sorted(folds)}) for lam in sorted(kept)}
    first = next(iter(predictions.values()))
    for lam, table in predictions.items():
        if not table[["fold", "sample", "truth"]].equals(first[["fold", "sample", "truth"]]):
            raise GndlError(f"{study.folder}: the runs of λ = {lam:g} tested other samples than those of other λ.")
    return LamRuns(
        study=study,
        lams=tuple(predictions),
        folds=tuple(sorted(folds)),
        predictions=predictions,
        baseline=float(np.mean([baseline[fold] for fold in folds])) if folds <= set(baseline) else None,
        left_out=tuple(sorted(set(by_lam) - set(kept))),
    )


def _predictions(runs: dict[int, FinishedRun]) -> pd.DataFrame:
    columns = ("sample", "subject", "sequence", "frame", "truth", "predicted")
    tables = [read_csv(run.folder / "predictions.csv", columns).assign(fold=fold) for fold, run in runs.items()]
    return pd.concat(tables, ignore_index=True)


def lam_figure(runs: LamRuns, lam: float, row: int) -> Figure:
    """Draw accuracy against λ, the confusion matrix at one λ, and one sample's probabilities against λ.

    Parameters
    ----------
    runs : LamRuns
    lam : float
        One of ``runs.lams``.
    row : int
        The sample, by its row in ``runs.samples``.
    """
    study = runs.study
    expressions = study.pairs.expressions
    counts = confusion_counts(runs.predictions[lam], expressions)
    with style():
        figure = new_figure(TWO_COLUMNS, 3.05)
        left, middle, right = side_by_side(figure, 1, 1.25, 1.15)
        _draw_accuracy(left.subplots(), runs, lam)
        draw_matrix(middle.subplots(), f"GNDL, λ = {lam:g}", counts)
        face, lines = right.subplots(2, 1, height_ratios=(1, 1.7))
        _draw_sample(face, lines, runs, lam, row)
        title = DATABASE_TITLES.get(study.database.name, study.database.name)
        folds = f"fold {runs.folds[0]}" if len(runs.folds) == 1 else f"folds {', '.join(map(str, runs.folds))}"
        figure.suptitle(f"λ of Eq. 11: {title}, {folds}", fontsize=8.5)
        add_note(figure, study.database.source, _note(runs))
    return figure


def _note(runs: LamRuns) -> str:
    parts = ["A λ that is chosen by looking at these test folds would be flattered by them (ledger L19)"]
    if len(runs.folds) > 1:
        parts.append("Bars: standard deviation between folds")
    if runs.left_out:
        parts.append(f"Without λ = {', '.join(f'{lam:g}' for lam in runs.left_out)}, trained on other folds")
    return ". ".join(parts)


def _draw_accuracy(axes: Axes, runs: LamRuns, chosen: float) -> None:
    values = [runs.accuracy(lam) for lam in runs.lams]
    means = [value.mean() for value in values]
    spread = [value.std(ddof=1) if len(value) > 1 else 0.0 for value in values]
    if runs.baseline is not None:
        axes.axhline(runs.baseline, color=METHOD_COLOURS["baseline"], linestyle="--", label="baseline")
    axes.errorbar(
        runs.lams, means, spread if any(spread) else None, color=METHOD_COLOURS["gndl"], marker="o", markersize=3.5,
        capsize=2, linewidth=1.1, elinewidth=0.7, label="GNDL",
    )  # fmt: skip
    place = means[runs.lams.index(chosen)]
    axes.plot(
        [chosen], [place], "o", markersize=9, markerfacecolor="none", markeredgecolor=INK, label=f"λ = {chosen:g}"
    )
    _lam_axis(axes, runs)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    axes.set_ylabel("accuracy, last epoch")
    legend_above(axes)


def _draw_sample(face: Axes, lines: Axes, runs: LamRuns, chosen: float, row: int) -> None:
    study, sample = runs.study, runs.samples.iloc[row]
    expressions, truth = study.pairs.expressions, str(sample["truth"])
    crop = int(study.pairs.examined_index[int(sample["sample"])])
    titled_face(face, np.asarray(study.pairs.images[crop]), f"{sample['frame']}: {truth}", frame=class_colour(truth))
    values = runs.probabilities(row)
    if len(runs.lams) == 1:
        probability_bars(lines, {"gndl": values[0]}, expressions, truth)
        return
    for name in figure_order(expressions):
        wide = 2.0 if name == truth else 0.9
        lines.plot(
            runs.lams,
            values[:, expressions.index(name)],
            "o-",
            color=class_colour(name),
            linewidth=wide,
            markersize=1.5 + wide,
            label=name,
        )
    lines.axvline(chosen, color=OTHER, linewidth=0.7, linestyle=":")
    _lam_axis(lines, runs)
    lines.set_ylim(0, 1.02)
    lines.set_yticks([0, 0.5, 1])
    lines.set_ylabel("probability")
    for label in lines.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=6, handlelength=1.2).get_texts():
        label.set_fontweight("bold" if label.get_text() == truth else "normal")


def _lam_axis(axes: Axes, runs: LamRuns) -> None:
    lams = np.array(runs.lams)
    if lams.min() > 0:
        axes.set_xscale("log")
        axes.set_xlim(lams.min() / 1.6, lams.max() * 1.6)
        named = [runs.lams[0]]
        for lam in runs.lams[1:]:  # as many values as there is room for
            if np.log10(lam / named[-1]) > ROOM_FOR_A_NUMBER:
                named.append(lam)
        axes.set_xticks(runs.lams, [f"{lam:g}" if lam in named else "" for lam in runs.lams])
        axes.minorticks_off()
    axes.set_xlabel("λ")
