"""Audit the runs across databases: who was trained on and who tested, from the crops of every database involved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from gndl.checking.crops import Looked, cached_crops, labels_of, pairs_of_crops
from gndl.checking.runs import check_epochs, check_predictions, check_record
from gndl.checking.samples import read_crops_csv, samples_of_crops
from gndl.cross import CrossPairs, cross_pairs, finished_across
from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.methods import method_names, method_settings
from gndl.pairs import FacePairs
from gndl.paper import EXPRESSIONS
from gndl.results import FinishedRun, read_csv, require_one_configuration
from gndl.train import pairs_per_epoch

LEFT_OUT_COLUMNS = ("database", "expression", "pairs", "subjects")


@dataclass(frozen=True)
class _Side:
    """What is known of one database: its crops, their samples, and the classes of its sequences."""

    name: str
    crops: pd.DataFrame
    samples: pd.DataFrame
    labels: dict[str, str]
    tested_whole: tuple[frozenset[str], ...]
    """Classes of every pair that tests this database: a sequence not tested there is of none of them."""

    def kept(self, classes: Sequence[str]) -> pd.DataFrame | None:
        """The samples of these classes; None where the class of a sequence is neither said nor ruled out."""
        unknown = set(self.samples["sequence"]) - set(self.labels)
        if unknown and not any(set(classes) <= whole for whole in self.tested_whole):
            return None
        return self.samples[self.samples["sequence"].map(self.labels).isin(list(classes))]


def check_across(out: Path, within: Sequence[FinishedRun], content: dict[str, Any]) -> list[Looked]:
    """Derive every number of the runs below ``OUT/across`` again, and verify who was trained on and who tested.

    Parameters
    ----------
    out : Path
        The study's directory.
    within : sequence of FinishedRun
        The study's runs within one database; they too say which class a sequence has.
    content : dict
        Of study.json, which says where the databases lie; may be empty.

    Returns
    -------
    list of Looked
        Empty where nothing was run across.
    """
    runs = finished_across(out)
    if not runs:
        return []
    problems: list[str] = []
    tested: list[tuple[FinishedRun, pd.DataFrame]] = []
    for run in runs:
        predictions, wrong = check_predictions(run)
        problems += [*check_record(run), *check_epochs(run), *wrong]
        if predictions is not None:
            tested.append((run, predictions))
    try:
        require_one_configuration(runs)
    except GndlError as error:
        problems.append(str(error))
    fine = f"across: accuracies and best epochs of {len(runs)} runs"
    parts = [Looked(tuple(problems), () if problems else (fine,))]
    try:
        sides = {name: _side(out, name, within, tested, content) for name in _involved(runs)}
    except GndlError as error:
        return [*parts, Looked((str(error),))]
    for pair in dict.fromkeys(run.database for run in runs):
        own = [(run, predictions) for run, predictions in tested if run.database == pair]
        if own:
            parts.append(_check_pair(out / "across" / pair, own, sides))
    return parts


def _parts_of(pair: str) -> tuple[list[str], str]:
    """Split ``ckplus+mmi-to-oulu_casia`` into what was trained on and what tested."""
    train, _, test = pair.partition("-to-")
    return train.split("+"), test


def _involved(runs: Sequence[FinishedRun]) -> list[str]:
    return sorted({name for run in runs for name in (*_parts_of(run.database)[0], _parts_of(run.database)[1])})


def _side(
    out: Path,
    name: str,
    within: Sequence[FinishedRun],
    tested: Sequence[tuple[FinishedRun, pd.DataFrame]],
    content: dict[str, Any],
) -> _Side:
    """Read one database's crops, and collect the classes of its sequences from whoever says them.

    Raises
    ------
    GndlError
        Where crops.csv cannot be read, or two runs give one sequence different classes.
    """
    crops = read_crops_csv(out / name / "crops.csv")
    samples = samples_of_crops(crops)
    said = [
        (run.folder, read_csv(run.folder / "predictions.csv", ("sequence", "truth")), "")
        for run in within
        if run.database == name
    ]
    said += [(run.folder, table, f"{name}/") for run, table in tested if _parts_of(run.database)[1] == name]
    labels: dict[str, str] = {}
    for folder, table, prefix in said:
        for sequence, truth in table[["sequence", "truth"]].drop_duplicates().itertuples(index=False):
            plain = str(sequence).removeprefix(prefix)
            if labels.setdefault(plain, str(truth)) != truth:
                raise GndlError(
                    f"{folder / 'predictions.csv'}: sequence {plain} of {name} is {truth}; another run says "
                    f"{labels[plain]}"
                )
    whole = tuple(frozenset(run.record["expressions"]) for run, _ in tested if _parts_of(run.database)[1] == name)
    if content:
        known = pd.DataFrame({"sequence": list(labels), "truth": list(labels.values())})
        labels = labels_of(name, known, samples, content)
    return _Side(name, crops, samples, labels, whole)


def _check_pair(folder: Path, tested: list[tuple[FinishedRun, pd.DataFrame]], sides: dict[str, _Side]) -> Looked:
    """Check the runs of one pair of databases against the samples that both give."""
    train, test = _parts_of(folder.name)
    if test in train:
        return Looked((f"{folder}: {test} is trained on and tested on",))
    classes = tuple(tested[0][0].record["expressions"])
    problems = list(_check_names(folder, tested, classes, [*train, test]))
    kept = {name: sides[name].kept(classes) for name in (*train, test)}
    parts = [rows for name in train if (rows := kept[name]) is not None]
    n_train = sum(map(len, parts)) if len(parts) == len(train) else None
    for run, predictions in tested:
        problems += _check_run(run, predictions, n_train, kept[test], test)
    title = f"across/{folder.name}"
    unknown = [name for name in (*train, test) if kept[name] is None]
    if unknown:
        text = f"{title}: training sets and pixels: the classes of {', '.join(unknown)} are not at hand"
        return Looked(tuple(problems), unverified=(text,))
    done = (f"{title}: training and test sets of {len(tested)} runs, all subjects of {test} untrained",)
    left = _check_left_out(folder, sides, (*train, test), classes)
    pixels = _check_pixels(title, tested, sides, kept, train, test)
    return Looked(
        (*problems, *left.problems, *pixels.problems),
        (*(() if problems else done), *left.verified, *pixels.verified),
        (*left.unverified, *pixels.unverified),
    )


def _check_names(
    folder: Path, tested: list[tuple[FinishedRun, pd.DataFrame]], classes: tuple[str, ...], names: list[str]
) -> Iterator[str]:
    """Every run names the pair of its folder, and the classes that all databases have."""
    own = [EXPRESSIONS[name] for name in names if name in EXPRESSIONS]
    common = [name for name in own[0] if all(name in others for others in own)] if len(own) == len(names) else None
    for run, _ in tested:
        path = run.folder / "run.json"
        if run.record["identity"]["extra"].get("database") != folder.name:
            yield f"{path}: is of {run.record['identity']['extra'].get('database')}, but lies in {folder.name}"
        if tuple(run.record["expressions"]) != classes:
            yield f"{path}: was trained on other classes than the runs beside it"
    if common is not None and set(common) != set(classes):
        yield f"{folder}: its classes are {', '.join(classes)}; all databases have {', '.join(common)}"


def _check_run(
    run: FinishedRun, predictions: pd.DataFrame, n_train: int | None, expected: pd.DataFrame | None, test: str
) -> list[str]:
    """Samples are numbered through: those trained on first, then those tested; the run keeps a hash of each part."""
    path, table, record = run.folder / "run.json", run.folder / "predictions.csv", run.record
    problems = []
    strangers = sorted(set(predictions.loc[~predictions["subject"].str.startswith(f"{test}/"), "subject"]))
    if strangers:
        problems.append(f"{table}: tests {strangers[0]}, who is not of {test}")
    if n_train is None:
        n_train = int(record["n_train"])
    elif record["n_train"] != n_train:
        problems.append(f"{path}: n_train is {record['n_train']}; the crops give {n_train}")
    n_test = len(predictions) if expected is None else len(expected)
    for name, index in (
        ("train_samples", range(n_train)),
        ("test_samples", range(n_train, n_train + n_test)),
    ):
        if record["identity"][name] != hash_json(list(index)):
            what = "trained" if name.startswith("train") else "tested"
            problems.append(f"{path}: was not {what} on exactly the samples of its databases (hash {name})")
    if predictions["sample"].tolist() != list(range(n_train, n_train + n_test)):
        problems.append(f"{table}: does not hold the {n_test} samples of {test}, each once and in order")
    elif expected is not None:
        problems += _check_rows(table, predictions, expected, test)
    identity = record["identity"]
    images = pairs_per_epoch(n_train, identity["train"]["batch_size"]) * identity["method"]["images_per_pair"]
    if record["images_per_epoch"] != images:
        problems.append(f"{path}: images_per_epoch is {record['images_per_epoch']}; the crops give {images}")
    return problems


def _check_rows(path: Path, predictions: pd.DataFrame, expected: pd.DataFrame, test: str) -> list[str]:
    said = predictions[["subject", "sequence", "frame"]].reset_index(drop=True).astype(str)
    known = expected[["subject", "sequence", "frame"]].reset_index(drop=True).astype(str)
    known = known.assign(subject=f"{test}/" + known["subject"], sequence=f"{test}/" + known["sequence"])
    differs = (said != known).any(axis=1)
    if not differs.any():
        return []
    row = int(differs.to_numpy().argmax())
    return [
        f"{path}: sample {predictions['sample'].iloc[row]} is {', '.join(said.iloc[row])}; {test}/crops.csv makes it "
        f"{', '.join(known.iloc[row])} ({int(differs.sum())} such rows)"
    ]


def _check_left_out(folder: Path, sides: dict[str, _Side], names: Sequence[str], classes: Sequence[str]) -> Looked:
    """Count again what has a class that not every database has."""
    path = folder / "left_out.csv"
    if any(set(sides[name].samples["sequence"]) - set(sides[name].labels) for name in names):
        return Looked(unverified=(f"across/{folder.name}: left_out.csv, for the classes left out are not at hand",))
    rows = set()
    for name in names:
        own = sides[name].samples.assign(expression=sides[name].samples["sequence"].map(sides[name].labels))
        for expression, group in own[~own["expression"].isin(list(classes))].groupby("expression"):
            rows.add((name, str(expression), len(group), group["subject"].nunique()))
    try:
        written = read_csv(path, LEFT_OUT_COLUMNS)
    except GndlError as error:
        return Looked((str(error),))
    if set(written[list(LEFT_OUT_COLUMNS)].itertuples(index=False, name=None)) != rows or len(written) != len(rows):
        return Looked((f"{path}: does not count what the crops and their classes leave out; it was changed",))
    return Looked(verified=(f"across/{folder.name}: what falls out (left_out.csv)",))


def _check_pixels(
    title: str,
    tested: list[tuple[FinishedRun, pd.DataFrame]],
    sides: dict[str, _Side],
    kept: dict[str, pd.DataFrame | None],
    train: Sequence[str],
    test: str,
) -> Looked:
    """Put the pairs together again from the cached crops, and compare their hash with the one that the runs keep."""
    what = f"{title}: pixels of the cached crops"
    classes = tuple(tested[0][0].record["expressions"])
    cached: list[list[FacePairs]] = []
    for name in (*train, test):
        rows, side = kept[name], sides[name]
        alike = [
            folder
            for folder in cached_crops(name, side.crops)
            if read_crops_csv(folder / "crops.csv").equals(side.crops)
        ]
        found = [] if rows is None else [pairs_of_crops(folder, rows, side.labels, classes) for folder in alike]
        cached.append([pairs for pairs in found if pairs is not None])
        if not cached[-1]:
            return Looked(unverified=(f"{what}: those of {name} are not cached here",))
    wrong: list[FinishedRun] = []
    for chosen in product(*cached):  # one database may be cached in several sizes
        if len({pairs.size for pairs in chosen}) > 1:
            continue
        named = list(zip((*train, test), chosen, strict=True))
        wrong = _trained_on_others([run for run, _ in tested], cross_pairs(named[:-1], named[-1:]))
        if not wrong:
            return Looked(verified=(f"{what}, labels and names by the hash that the runs keep",))
    if not wrong:
        return Looked(unverified=(f"{what}: those of {' and '.join(train)} and of {test} differ in size",))
    return Looked(
        (f"{wrong[0].folder / 'run.json'}: was trained on other pixels or labels than the cached crops have",)
    )


def _trained_on_others(runs: Sequence[FinishedRun], cross: CrossPairs) -> list[FinishedRun]:
    """The runs whose hash is not that of these pairs, rearranged as the run's method does."""
    wrong = []
    for run in runs:
        name, own = str(run.record["method"]["name"]), cross.pairs
        if name in method_names() and method_settings(name).rearrange is not None:
            own = method_settings(name).pairs_for(own, cross.train_index)
        if own.content_hash != run.record["identity"]["pairs"]:
            wrong.append(run)
    return wrong
