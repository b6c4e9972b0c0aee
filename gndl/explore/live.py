"""What trained networks make of the face in the studio, picture by picture: probabilities and deviation feature."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.device import autocast
from gndl.explore.studio import Photograph
from gndl.model import Method, Output
from gndl.pairs import FacePairs
from gndl.prepare import Prepared
from gndl.profiles import CropSettings
from gndl.results import FinishedRun, finished_runs
from gndl.train import load_method

NEIGHBOURS = 5

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class DeviationMap:
    """The validation set's deviation features (Eq. 7) in the plane of their two main components, fixed once.

    Parameters
    ----------
    features : array (T, 512)
        F_exp-d of the examined faces of the test fold.
    labels : int array (T,)
    points, neutral : array (T, 2), (U, 2)
        Where they lie, and where their subjects' neutral faces do.
    mean, axes : array (512,), (2, 512)
        Of the projection; computed from ``features`` alone.
    explained : float
        Share of the features' variance that the plane keeps.
    """

    features: Array
    labels: NDArray[np.int64]
    points: Array
    neutral: Array
    mean: Array
    axes: Array
    explained: float

    def place(self, feature: Array) -> tuple[float, float]:
        """Where a feature (512,) lies in the plane."""
        x, y = (feature - self.mean) @ self.axes.T
        return float(x), float(y)

    def nearest(self, feature: Array, expressions: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        """Classes of the nearest validation faces, in all 512 channels, the most frequent first."""
        distance = np.linalg.norm(self.features - feature, axis=1)
        classes = Counter(expressions[self.labels[k]] for k in np.argsort(distance, kind="stable")[:NEIGHBOURS])
        return tuple(classes.most_common())


@dataclass(frozen=True)
class Reading:
    """What the networks say of one picture.

    Parameters
    ----------
    probabilities : dict of str to array (K,)
        By method, in the order of the reader's ``expressions``.
    place : (float, float) or None
        Of the deviation feature in the map's plane; None without a trained GNDL.
    nearest : tuple of (str, int)
        Classes of the nearest validation faces, with their counts.
    """

    probabilities: dict[str, Array]
    place: tuple[float, float] | None = None
    nearest: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class LiveReader:
    """The trained networks of one fold, ready to look at the studio's face.

    Parameters
    ----------
    methods : dict of str to Method
        ``"baseline"``, ``"gndl"`` or both, as the study has them.
    records : dict of str to dict
        Their run.json.
    crop : CropSettings
        How the study's faces were cut.
    expressions : tuple of str
    map : DeviationMap or None
        None without GNDL.
    title, source : str
        What they were trained on.
    """

    methods: dict[str, Method]
    records: dict[str, dict[str, Any]]
    crop: CropSettings
    expressions: tuple[str, ...]
    map: DeviationMap | None
    title: str
    source: str

    def read(self, photograph: Photograph) -> Reading:
        """Look at one picture: cut and normalised as in training, at the size trained on."""
        return self.read_crop(photograph.crop(self.crop, in_colour=self.in_colour))

    @property
    def in_colour(self) -> bool:
        """Whether these networks were trained on crops in colour."""
        return bool(next(iter(self.records.values()))["colour"])

    def read_crop(self, crop: NDArray[np.uint8]) -> Reading:
        """Look at one crop (S, S), or (S, S, 3) where the networks were trained in colour."""
        image = crop[None]
        probabilities: dict[str, Array] = {}
        place: tuple[float, float] | None = None
        nearest: tuple[tuple[str, int], ...] = ()
        for name, method in self.methods.items():
            output = _outputs(method, self.records[name], image)
            probabilities[name] = output.logits.softmax(1)[0].numpy()
            if name == "gndl" and self.map is not None and output.deviation is not None:
                deviation = output.deviation[0].numpy()
                place, nearest = self.map.place(deviation), self.map.nearest(deviation, self.expressions)
        return Reading(probabilities, place, nearest)

    def in_words(self) -> str:
        """How good these networks are on the faces they were tested on, in one sentence."""
        said = [f"{100 * record['accuracy_last']:.0f} % ({_NAMES[name]})" for name, record in self.records.items()]
        record = next(iter(self.records.values()))
        return (
            f"Trained on {self.title}: {record['epochs']} epochs on {record['n_train']} pairs at "
            f"{record['settings']['image_size']} pixels. Of {record['n_test']} faces of people left out (fold "
            f"{record['fold']}) they are right on {' and '.join(said)}."
        )


_NAMES = {"baseline": "baseline", "gndl": "GNDL"}


def live_reader(study: Prepared) -> LiveReader | None:
    """Load baseline and GNDL of the first fold for which the study has weights; None where it has none."""
    by_fold: dict[tuple[int, int], dict[str, FinishedRun]] = {}
    for run in finished_runs(study.request.out):
        if run.database != study.database.name or run.method not in _NAMES:
            continue
        if run.lam not in ("none", f"{study.request.settings.lam:g}") or not has_weights(run.folder):
            continue
        by_fold.setdefault((run.fold, run.seed), {})[run.method] = run
    if not by_fold:
        return None
    runs = by_fold[min(by_fold, key=lambda place: (-len(by_fold[place]), place))]
    runs = {name: runs[name] for name in _NAMES if name in runs}
    loaded = {name: load_method(run.folder) for name, run in runs.items()}
    records = {name: record for name, (_, record) in loaded.items()}
    methods = {name: method for name, (method, _) in loaded.items()}
    fold = next(iter(records.values()))["fold"]
    return LiveReader(
        methods=methods,
        records=records,
        crop=study.request.settings.crop,
        expressions=study.pairs.expressions,
        map=_deviation_map(methods["gndl"], records["gndl"], study, fold) if "gndl" in methods else None,
        title=study.database.title,
        source=study.database.source,
    )


def has_weights(folder: Path) -> bool:
    """Whether a run's weights lie here; they are not committed with a study."""
    return (folder / "weights.safetensors").exists()


def _deviation_map(method: Method, record: dict[str, Any], study: Prepared, fold: int) -> DeviationMap:
    pairs = study.pairs
    _, tested = study.folds.train_test(fold, pairs.subject)
    neutral = np.unique(np.asarray(pairs.neutral_index)[tested])
    features = _deviations(method, record, np.asarray(pairs.images[np.asarray(pairs.examined_index)[tested]]))
    mean = features.mean(axis=0)
    _, sizes, axes = np.linalg.svd(features - mean, full_matrices=False)
    axes = axes[:2]
    return DeviationMap(
        features=features,
        labels=np.asarray(pairs.label)[tested],
        points=(features - mean) @ axes.T,
        neutral=(_deviations(method, record, np.asarray(pairs.images[neutral])) - mean) @ axes.T,
        mean=mean,
        axes=axes,
        explained=float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12)),
    )


def _deviations(method: Method, record: dict[str, Any], images: NDArray[np.uint8]) -> Array:
    parts = [_outputs(method, record, images[start : start + 32]).deviation for start in range(0, len(images), 32)]
    return torch.cat([part for part in parts if part is not None]).numpy()


def _outputs(method: Method, record: dict[str, Any], images: NDArray[np.uint8]) -> Output:
    """The method's output on crops (N, S, S[, 3]), in float32, by running statistics (ledger L5)."""
    settings = record["settings"]
    index = np.arange(len(images))
    names = ("",) * len(images)
    # The classes and neutral faces of these pairs are read by nothing.
    pairs = FacePairs(images, index, index, np.zeros_like(index), names, names, names, tuple(record["expressions"]))
    data = pairs.on("cpu", settings["image_size"], mean=settings["input_mean"], std=settings["input_std"])
    with torch.no_grad(), autocast(torch.device("cpu"), settings["precision"]):
        output = method(next(iter(data.evaluation_batches(index, len(index)))).examined, None)

    def plain(value: Tensor | None) -> Tensor | None:
        return None if value is None else value.float()

    return Output(output.logits.float(), output.f_exam.float(), None, plain(output.f_gen), plain(output.deviation))
