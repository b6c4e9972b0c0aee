"""One validation fold of a finished study, opened for a closer look: what each method said, and GNDL's features."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gndl.analysis.agreement import cosine, mean_neutral
from gndl.analysis.ensure import ensure_run, has_weights, one_run
from gndl.analysis.features import FoldFeatures, features_of_run
from gndl.errors import GndlError
from gndl.methods import variant_name
from gndl.paper import figure_order
from gndl.prepare import Prepared
from gndl.results import FinishedRun, finished_runs, read_csv
from gndl.runs import weights_path

METHODS = ("baseline", "gndl")

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class OpenedFold:
    """One validation fold.

    Parameters
    ----------
    study : Prepared
    fold : int
    tested : int array (T,)
        Its examined faces, as positions in the study's pairs.
    probabilities : dict of str to array (T, K)
        Of the last epoch, by method (``"baseline"``, ``"gndl"``), as the study has them.
    features : FoldFeatures or None
        GNDL's, in the same order; None where its weights are not at hand.
    lacking : str
        Why there are no features, in words; "" where there are.
    """

    study: Prepared
    fold: int
    tested: NDArray[np.int64]
    probabilities: dict[str, Array]
    features: FoldFeatures | None
    lacking: str = ""

    @property
    def expressions(self) -> tuple[str, ...]:
        """The database's classes, in the order of the probabilities' columns."""
        return self.study.pairs.expressions

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each examined face (T,)."""
        return np.asarray(self.study.pairs.label)[self.tested]

    def name(self, place: int) -> str:
        """Subject, sequence and frame of one examined face, as far as each says something new."""
        pairs, pair = self.study.pairs, int(self.tested[place])
        names = [str(pairs.subject[pair]), str(pairs.sequence[pair]), str(pairs.frame[pair])]
        return " · ".join(name for k, name in enumerate(names) if not any(name in other for other in names[k + 1 :]))

    def examined_face(self, place: int) -> NDArray[np.uint8]:
        """The crop that was classified."""
        return self._image(self.study.pairs.examined_index[self.tested[place]])

    def neutral_face(self, place: int) -> NDArray[np.uint8]:
        """The neutral crop of the same pair, which validation does not look at."""
        return self._image(self.study.pairs.neutral_index[self.tested[place]])

    def gallery_face(self, place: int) -> NDArray[np.uint8]:
        """The crop of one of the database's neutral faces, by its place in the features' gallery."""
        assert self.features is not None
        return self._image(self.features.gallery_crop[place])

    def _image(self, crop: np.int64) -> NDArray[np.uint8]:
        return np.asarray(self.study.pairs.images[int(crop)])

    def expressions_shown(self) -> tuple[str, ...]:
        """The classes that the fold tests, in Fig. 6's order."""
        shown = {self.expressions[label] for label in self.labels}
        return tuple(name for name in figure_order(self.expressions) if name in shown)

    def subjects_showing(self, expression: str) -> tuple[str, ...]:
        """The validation subjects with a sample of this class."""
        return tuple(dict.fromkeys(self.subject(place) for place in self._places(expression)))

    def samples(self, expression: str, subject: str) -> tuple[int, ...]:
        """Places of one subject's samples of one class."""
        return tuple(place for place in self._places(expression) if self.subject(place) == subject)

    def same_sequence(self, place: int) -> tuple[int, ...]:
        """Places of all examined frames of one sample's sequence, itself included."""
        sequences = [str(self.study.pairs.sequence[int(pair)]) for pair in self.tested]
        return tuple(other for other, name in enumerate(sequences) if name == sequences[place])

    def _places(self, expression: str) -> Iterable[int]:
        return np.flatnonzero(self.labels == self.expressions.index(expression)).tolist()

    def subject(self, place: int) -> str:
        """Who is seen in one sample."""
        return str(self.study.pairs.subject[int(self.tested[place])])

    def predicted(self, method: str, place: int) -> str:
        """The class that a method gives one sample."""
        return self.expressions[int(self.probabilities[method][place].argmax())]


@dataclass(frozen=True)
class NearNeutral:
    """A neutral face of the database beside the one that was generated.

    Parameters
    ----------
    place : int
        In the features' gallery.
    rank : int
        From 1, the most similar.
    similarity : float
        Cosine of F'_neu and F_neu, both seen from the mean neutral feature of the training subjects.
    own : bool
        It is the neutral face of the same pair.
    same_subject : bool
    """

    place: int
    rank: int
    similarity: float
    own: bool
    same_subject: bool


def nearest_neutrals(opened: OpenedFold, place: int, count: int = 6) -> list[NearNeutral]:
    """Find the neutral faces of the whole database that are most like G(F_exam) of one sample.

    As in `gndl.analysis.retrieval`: by the cosine of the directions from the mean neutral feature of the training
    subjects. The sample's own neutral face comes last with its rank where it is not among them. No features, no faces.
    """
    features = opened.features
    if features is None or features.f_gen is None:
        return []
    centre = mean_neutral(features)
    gallery = features.gallery - centre
    similarity = cosine(gallery, np.broadcast_to(features.f_gen[place] - centre, gallery.shape))
    order = np.argsort(-similarity, kind="stable")
    own = int(features.own[place])
    rank_of_own = int(np.flatnonzero(order == own)[0])
    ranks = [*range(min(count, len(order))), *([rank_of_own] if rank_of_own >= count else [])]
    return [
        NearNeutral(
            place=int(order[rank]),
            rank=rank + 1,
            similarity=float(similarity[order[rank]]),
            own=int(order[rank]) == own,
            same_subject=str(features.gallery_subject[order[rank]]) == opened.subject(place),
        )
        for rank in ranks
    ]


def folds_to_open(study: Prepared) -> tuple[int, ...]:
    """The folds of which the study holds finished runs of baseline or GNDL at the headline's λ."""
    return tuple(sorted({run.fold for run in _headline_runs(study)}))


def open_fold(study: Prepared, fold: int) -> OpenedFold:
    """Read what the methods said of a fold's faces, and compute GNDL's features where its weights lie here.

    Raises
    ------
    GndlError
        Where the study has no finished run of this fold, or its predictions are of other faces than it has now.
    """
    runs = {str(run.record["method"]["name"]): run for run in _headline_runs(study) if run.fold == fold}
    if not runs:
        raise GndlError(f"{study.folder}: holds no finished run of fold {fold}; `gndl study` trains what is missing.")
    tables = {method: _probabilities(study, runs[method]) for method in METHODS if method in runs}
    tested = next(iter(tables.values()))[0]
    probabilities = {method: values for method, (_, values) in tables.items()}
    features, lacking = None, ""
    run = one_run(study, "gndl", None, fold)
    if "gndl" not in probabilities:
        lacking = f"GNDL is not trained on fold {fold} yet; `gndl study` trains what is missing."
    elif has_weights(study, run):
        features = features_of_run(study, ensure_run(study, "gndl", None, fold))
    else:
        lacking = (
            f"The weights of {run.name} are not kept in this study, and without them there are no features; "
            "notebook 4 (`4_deviation_features`) trains such a run again."
        )
    return OpenedFold(study, fold, tested, probabilities, features, lacking)


def _headline_runs(study: Prepared) -> list[FinishedRun]:
    """Finished runs of baseline and GNDL at the study's λ and first seed, from its own starting weights."""
    request = study.request
    variants = {variant_name(method, weights_path(study)) for method in METHODS}
    return [
        run
        for run in finished_runs(request.out)
        if (run.database, run.seed) == (study.database.name, request.seeds[0])
        and run.method in variants
        and run.lam in ("none", f"{request.settings.lam:g}")
    ]


def _probabilities(study: Prepared, run: FinishedRun) -> tuple[NDArray[np.int64], Array]:
    columns = [f"p_{name}" for name in study.pairs.expressions]
    path = run.folder / "predictions.csv"
    table = read_csv(path, ("sample", "sequence", "frame", *columns))
    tested = table["sample"].to_numpy(dtype=np.int64)
    pairs = study.pairs
    for name, known in (("sequence", pairs.sequence), ("frame", pairs.frame)):
        if tested.max() >= len(pairs) or [str(known[k]) for k in tested] != table[name].tolist():
            raise GndlError(f"{path} speaks of other faces than the database holds now; train this run anew.")
    return tested, table[columns].to_numpy(dtype=np.float64)
