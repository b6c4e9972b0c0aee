"""What comparisons of methods sample by sample show, in plain words."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from gndl.analysis.hard_samples import RULE, SampleComparison
from gndl.analysis.intensity_curves import SURE, first_right
from gndl.analysis.paired import PairedSummary
from gndl.analysis.reliability import Reliability
from gndl.analysis.variants import Variant
from gndl.comparison import CONFIDENCE, FEWEST_FOLDS

NOT_PEOPLE = " Measured on rendered faces, it says nothing about people."


def counted(number: int, noun: str) -> str:
    """A number with its noun, such as ``"1 fold"`` or ``"3 folds"``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def of_cells(found: SampleComparison, source: str) -> str:
    """Say which samples both methods, one or none gets right, and what the tests make of it."""
    a, b = found.a.title, found.b.title
    cells, frames = found.sequences, found.frames
    text = (
        f"Of {counted(cells.total, 'sequence')} of {counted(found.subjects, 'subject')} in "
        f"{counted(found.folds, 'fold')}, one vote each, both get {cells.both} right and neither {cells.neither}. "
        f"**{b} alone is right on {cells.only_b}, {a} alone on {cells.only_a}.** Counted by frames it is "
        f"{frames.only_b} against {frames.only_a} of {frames.total}; three frames of a sequence are near copies, so "
        f"these are no independent samples. Subject by subject, {b} gets more sequences right for {found.subjects_b} "
        f"and {a} for {found.subjects_a}; for the others both get as many."
    )
    if found.p_mcnemar is None or found.p_subjects is None:
        text += (
            f" {counted(found.folds, 'fold').capitalize()} allow{'s' if found.folds == 1 else ''} no test (from "
            f"{FEWEST_FOLDS} on there is one): no difference shown either way."
        )
    else:
        verdict = "a difference beyond chance" if found.p_subjects < 1 - CONFIDENCE else "no difference shown"
        text += (
            f" Exact McNemar test on the sequences: p = {found.p_mcnemar:.2g}. Sequences of one subject are alike, so "
            f"the test that counts is by subject (exact, all flips of their signs): p = {found.p_subjects:.2g}, "
            f"{verdict}. Both take the trained networks as they are: another training would give other votes, and the "
            "comparison over folds in notebook 2 stands beside them."
        )
    return text + _on_people(source)


def of_gallery(right: Variant, wrong: Variant, *, shown: int, sequences: int, frames: int) -> str:
    """Say how many samples there are of the kind that a gallery shows, and how those shown were chosen."""
    kind = f"that {right.title} gets right and {wrong.title} wrong"
    if not frames:
        return f"There is no frame {kind}, so there is nothing to show."
    return (
        f"There {'is' if frames == 1 else 'are'} {counted(frames, 'frame')} {kind}, of "
        f"{counted(sequences, 'sequence')}; {shown} {'is' if shown == 1 else 'are'} shown, chosen by a rule and not by "
        f"hand: {RULE}."
    )


def of_traits(source: str, known: bool) -> str:
    """Say what the table of :func:`readable_traits` is; where the traits are not known, why there is none."""
    if not known:
        return "Who wears glasses, a beard or a fringe is known of rendered stand-ins only, so there is no table here."
    return (
        "One vote a sequence. Intervals are over subjects and given from five on; several rows are looked at at once, "
        "so one that leaves out zero by a little shows nothing. Traits overlap: who wears a beard may wear glasses too."
        + _on_people(source)
    )


def readable_traits(table: pd.DataFrame, a: Variant, b: Variant) -> pd.DataFrame:
    """Return the table of `gndl.analysis.worn.right_by_trait` as text; a dash where there is nothing to count."""
    rows = []
    for row in table.to_dict("records"):
        interval = f"{100 * row['low']:+.0f} to {100 * row['high']:+.0f}" if pd.notna(row["low"]) else "–"
        rows.append(
            {
                "trait": row["trait"],
                "has it": "yes" if row["has"] else "no",
                "subjects": row["subjects"],
                "sequences": row["sequences"],
                a.title: f"{100 * row['right_a']:.0f} %" if row["sequences"] else "–",
                b.title: f"{100 * row['right_b']:.0f} %" if row["sequences"] else "–",
                "difference, points": f"{100 * row['difference']:+.0f}" if row["sequences"] else "–",
                "95 % over subjects": interval,
            }
        )
    return pd.DataFrame(rows)


def of_intensity(along: pd.DataFrame, curves: pd.DataFrame, alarms: pd.DataFrame, source: str) -> str:
    """Say how early each method is right, what it says of neutral faces and how neutral these look to it."""
    lines, first = [], first_right(along)
    for (method, lam), own in curves.groupby(["method", "lam"]):
        title = Variant(str(method), str(lam)).title
        alarm = alarms[(alarms["method"] == method) & (alarms["lam"] == lam)].iloc[0]
        moments = first[(first["method"] == method) & (first["lam"] == lam)]["from_position"]
        lines.append(f"- **{title}** {_early(moments)} {_alarms(alarm)}{_neutral(own)}")
    sequences, subjects = int(curves["sequences"].max()), int(curves["subjects"].max())
    lines.append(
        f"\nThis describes {counted(sequences, 'sequence')} of {counted(subjects, 'subject')}; it is no test."
        + _on_people(source)
    )
    return "\n".join(lines)


def of_paired(summaries: Iterable[PairedSummary], source: str) -> str:
    """Say how many folds and subjects are better or worse, and what the spread between folds is made of."""
    lines = []
    for one in summaries:
        text = (
            f"- **{one.variant.title}** minus {one.reference.title}: {100 * one.difference:+.1f} points on average "
            f"over {counted(one.folds, 'fold')} ({one.folds_better} better, {one.folds_worse} worse, {one.folds_equal} "
            f"equal). Of {counted(one.subjects, 'subject')}, {one.subjects_better} are better, {one.subjects_worse} "
            f"worse and {one.subjects_equal} equal by their sequences."
        )
        if one.sd_fold_means is not None and one.sd_dealt is not None:
            text += (
                f" The folds' mean differences of their subjects spread by {100 * one.sd_fold_means:.1f} points "
                f"(standard deviation); dealing the same subjects to folds at random would spread them by "
                f"{100 * one.sd_dealt:.1f}. Near that number it is the subjects that differ; well above it, a fold's "
                "trainings would move all its subjects together."
            )
        else:
            text += " One fold has no spread."
        if one.sd_seeds is not None:
            text += (
                f" Between {one.seeds} seeds the difference of a fold spreads by {100 * one.sd_seeds:.1f} points: the "
                "part that comes from the training's own chance."
            )
        else:
            text += " With one seed, the chance of the training itself cannot be told apart."
        lines.append(text)
    return "\n".join(lines) + (f"\n\n{_on_people(source).strip()}" if _on_people(source) else "")


def of_reliability(found: Iterable[Reliability], source: str) -> str:
    """Say whether each method is too sure, and by how much."""
    lines = []
    for one in found:
        gap = 100 * (one.confidence - one.accuracy)
        tone = "too sure" if gap > 0 else "not sure enough" if gap < 0 else "as sure as it is right"
        by = f" by {abs(gap):.1f} points on average" if gap else " on average"
        lines.append(
            f"- **{one.variant.title}** is {tone}{by}: it is right in {100 * one.accuracy:.1f} % of "
            f"{counted(one.frames, 'frame')} and gives its answers {100 * one.confidence:.1f} %. Expected calibration "
            f"error {100 * one.error:.1f} points ({len(one.bins)} bins; few frames make it larger)."
        )
    return "\n".join(lines) + (f"\n\n{_on_people(source).strip()}" if _on_people(source) else "")


def _on_people(source: str) -> str:
    return NOT_PEOPLE if source == "rendered" else ""


def _early(moments: pd.Series) -> str:
    right = moments.dropna()
    if right.empty:
        return f"is right at the apex of none of {counted(len(moments), 'sequence')}."
    return (
        f"is right at the apex of {len(right)} of {counted(len(moments), 'sequence')}, and there from "
        f"{right.median():.0%} of the way on (median; 0 % is the neutral frame)."
    )


def _alarms(alarm: pd.Series) -> str:
    total, raised = int(alarm["neutral_faces"]), int(alarm["false_alarms"])
    text = (
        f"False alarms: it calls {raised} of {counted(total, 'neutral face')} an expression with more than "
        f"{SURE:.0%} confidence"
    )
    if raised:
        classes = alarm.drop(["method", "lam", "neutral_faces", "subjects", "false_alarms", "share"]).astype(int)
        text += f", most often {classes.idxmax()} ({classes.max()} times)" if raised > 1 else f", {classes.idxmax()}"
    return f"{text}."


def _neutral(own: pd.DataFrame) -> str:
    start = own.loc[own["position"] == 0, "deviation"]
    if start.isna().all():
        return ""
    return (
        f" On the neutral frame its deviation feature is {start.iloc[0]:.0%} as long as at the apex; a perfect "
        "generator would leave 0 %."
    )
