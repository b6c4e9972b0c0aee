"""One face through the whole method, step by step: from pixels to probabilities, with every shape on the way.

The face is one that the network has not seen in training. Where a study with a trained GNDL lies there, its network is
taken; else a small one is trained in about two minutes, the face studio's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gndl.batches import Batch
from gndl.checkpoint import WEIGHTS
from gndl.device import autocast
from gndl.errors import GndlError
from gndl.explore.small_training import FOLDER, WEAKNESS, train_small, trained_small
from gndl.gallery import who_may_be_shown
from gndl.model import GNDL, Losses, Output
from gndl.pairs import FacePairs
from gndl.paths import resolve
from gndl.prepare import Prepared
from gndl.request import profile_from_json, read_study_json
from gndl.results import FinishedRun, finished_runs
from gndl.study import open_study
from gndl.train import load_method

Array = NDArray[np.floating[Any]]

FAVOURITE = "happiness"
"""The class that is shown where nobody asks for another: its apex is easy to see."""


@dataclass(frozen=True, eq=False)
class Guide:
    """A trained GNDL of one fold and the people it was tested on.

    Parameters
    ----------
    study : Prepared
    method : GNDL
        In evaluation mode.
    record : dict
        The run's run.json.
    weakness : str
        Markdown on a network that was trained for this tour alone; "" for a study's.
    """

    study: Prepared
    method: GNDL
    record: dict[str, Any]
    weakness: str = ""


@dataclass(frozen=True, eq=False)
class Steps:
    """Everything between a pair of pictures and the answer, for S pixels a side, 512 channels and K classes.

    Parameters
    ----------
    title, source : str
        Of the database.
    subject, sequence, truth : str
    expressions : tuple of K str
    neutral, examined : uint8 array (H, H) or (H, H, 3)
        The crops.
    x_neu, x_exam : array (3, S, S)
        As the network sees them: scaled, three channels, normalised (ledger L20).
    f_exam, f_neu, f_gen, deviation : array (512,)
        F_exam, F_neu (from the real neutral face, which the network is not given), F'_neu and F_exp-d.
    logits, probabilities : array (K,)
    loss_cls, loss_neu, loss : float
        Of Eq. 9, 8 and 11 for this one pair, were it a training pair.
    lam : float
    stages : tuple of (str, shape)
        The feature maps on the way through the backbone.
    may_be_shown : bool
        Whether this person's face may be printed (`gndl.licence`).
    note : str
        Who of a licensed copy may not be, and why; "" where everybody may.
    """

    title: str
    source: str
    subject: str
    sequence: str
    truth: str
    expressions: tuple[str, ...]
    neutral: NDArray[np.uint8]
    examined: NDArray[np.uint8]
    x_neu: Array
    x_exam: Array
    f_exam: Array
    f_neu: Array
    f_gen: Array
    deviation: Array
    logits: Array
    probabilities: Array
    loss_cls: float
    loss_neu: float
    loss: float
    lam: float
    stages: tuple[tuple[str, tuple[int, ...]], ...]
    may_be_shown: bool = True
    note: str = ""

    @property
    def answer(self) -> str:
        """The class of the highest probability."""
        return self.expressions[int(self.probabilities.argmax())]


def open_guide(
    database: str,
    *,
    data_root: str = "",
    profile: str = "quick",
    out: str | Path = "runs/quick",
    device: str = "auto",
    seed: int = 0,
    small: str | Path = FOLDER,
) -> Guide:
    """Load the GNDL of the first fold of the study in ``out``; train the small one where there is none.

    Parameters
    ----------
    database, data_root, profile, out, device, seed
        The notebook's parameters, as for :func:`gndl.study.open_study`; no study is begun in ``out``.
    small : path
        Folder of the small training.
    """
    run = _run_of_study(resolve(out), database, seed)
    if run is not None:
        study = open_study(database, data_root=data_root, profile=profile, out=out, device=device, seed=seed)
        return _guide(study, run.folder)
    study_there = trained_small(small)
    if study_there is None:
        print(f"No trained GNDL lies in {out}: a small one is trained now on rendered people, about two minutes.")
        study_there = train_small(small)
    run = _run_of_study(study_there.request.out, study_there.database.name, study_there.request.seeds[0])
    if run is None:
        raise GndlError(f"{study_there.request.out}: the small training left no GNDL; remove the folder and try again.")
    return _guide(study_there, run.folder, WEAKNESS)


def walk(guide: Guide, expression: str | None = None, subject: str | None = None) -> Steps:
    """Take one face of the guide's test fold through all steps.

    Parameters
    ----------
    guide : Guide
    expression : str, optional
        Default happiness, or where the fold tests none, the first class that it tests.
    subject : str, optional
        Default the first by name who shows the class; of a licensed copy the first whose face may be printed, where
        the fold has one. Of the sequence the last frame is taken, the apex.

    Raises
    ------
    GndlError
        Where the fold tests no such face; those that it tests are named.
    """
    pairs = guide.study.pairs
    _, tested = guide.study.folds.train_test(int(guide.record["fold"]), pairs.subject)
    there = {pairs.expressions[int(pairs.label[k])] for k in tested}
    if expression is None:
        expression = FAVOURITE if FAVOURITE in there else next(name for name in pairs.expressions if name in there)
    fitting = [int(k) for k in tested if pairs.expressions[int(pairs.label[k])] == expression]
    fitting = [k for k in fitting if subject in (None, pairs.subject[k])]
    if not fitting:
        faces = sorted({(pairs.subject[int(k)], pairs.expressions[int(pairs.label[int(k)])]) for k in tested})
        named = ", ".join(f"{who} {what}" for who, what in faces)
        raise GndlError(f"Fold {guide.record['fold']} tests no {expression} of {subject or 'anybody'}; it has {named}.")
    rule = who_may_be_shown(guide.study)
    first = min(fitting, key=lambda k: (not rule.may_show(pairs.subject[k]), pairs.subject[k], pairs.sequence[k]))
    pair = max(k for k in fitting if pairs.sequence[k] == pairs.sequence[first])
    shown = rule.may_show(pairs.subject[pair])
    note = rule.note(pairs.subject[int(k)] for k in tested)
    return replace(_steps(guide, pair), may_be_shown=shown, note=note)


def _run_of_study(out: Path, database: str, seed: int) -> FinishedRun | None:
    """The GNDL run of the first fold that has weights, at the headline's λ of its study; None where there is none."""
    runs = [
        run
        for run in finished_runs(out)
        if run.database == database and run.record["method"]["name"] == "gndl" and (run.folder / WEIGHTS).exists()
    ]
    if not runs:
        return None
    lam = profile_from_json(read_study_json(out)["asked"]["settings"]).lam
    at_headline = [run for run in runs if run.lam == f"{lam:g}"] or runs
    return min(at_headline, key=lambda run: (run.fold, run.seed != seed, run.seed))


def _guide(study: Prepared, folder: Path, weakness: str = "") -> Guide:
    method, record = load_method(folder)
    return Guide(study, cast(GNDL, method), record, weakness)


def _steps(guide: Guide, pair: int) -> Steps:
    pairs, method, settings = guide.study.pairs, guide.method, guide.record["settings"]
    images = np.stack([pairs.images[int(index[pair])] for index in (pairs.neutral_index, pairs.examined_index)])
    batch = _batch(images, int(pairs.label[pair]), pairs.expressions, settings)
    stages: list[tuple[str, tuple[int, ...]]] = []
    with torch.no_grad(), autocast(torch.device("cpu"), settings["precision"]):
        with _Watched(method.backbone, stages):
            output = method(batch.examined, None)
        f_neu = method.neutral_features(cast(Tensor, batch.neutral))
        losses: Losses = method.loss(_with(output, f_neu), batch.label)

    def plain(value: Tensor | None) -> Array:
        return cast(Tensor, value)[0].float().numpy()

    return Steps(
        title=guide.study.database.title,
        source=guide.study.database.source,
        subject=pairs.subject[pair],
        sequence=pairs.sequence[pair],
        truth=pairs.expressions[int(pairs.label[pair])],
        expressions=pairs.expressions,
        neutral=images[0],
        examined=images[1],
        x_neu=plain(batch.neutral),
        x_exam=plain(batch.examined),
        f_exam=plain(output.f_exam),
        f_neu=plain(f_neu),
        f_gen=plain(output.f_gen),
        deviation=plain(output.deviation),
        logits=plain(output.logits),
        probabilities=plain(output.logits.float().softmax(1)),
        loss_cls=float(losses.cls),
        loss_neu=float(cast(Tensor, losses.neu)),
        loss=float(losses.total),
        lam=method.lam,
        stages=tuple(stages),
    )


def _batch(images: NDArray[np.uint8], label: int, expressions: tuple[str, ...], settings: dict[str, Any]) -> Batch:
    """One pair as evaluation sees it, the neutral face too."""
    index = np.array([1]), np.array([0]), np.array([label])
    pairs = FacePairs(images, *index, ("",), ("",), ("",), expressions)
    data = pairs.on("cpu", settings["image_size"], mean=settings["input_mean"], std=settings["input_std"])
    return next(iter(data.evaluation_batches(np.array([0]), 1, with_neutral=True)))


def _with(output: Output, f_neu: Tensor) -> Output:
    return Output(output.logits, output.f_exam, f_neu, output.f_gen, output.deviation)


class _Watched:
    """Notes the shape of what each stage of a ResNet returns, as long as the block lasts."""

    def __init__(self, backbone: nn.Module, stages: list[tuple[str, tuple[int, ...]]]) -> None:
        names = {"maxpool": "first convolution and pooling", "avgpool": "average pooling"}
        names |= {f"layer{k}": f"residual stage {k}" for k in range(1, 5)}

        def note(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
            return lambda _, __, maps: stages.append((name, tuple(maps.shape[1:])))

        parts = [(names[key], part) for key, part in backbone.named_children() if key in names]
        self._handles = [part.register_forward_hook(note(name)) for name, part in parts]

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
