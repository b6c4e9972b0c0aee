"""The methods that come with the package: the paper's two, one variant per ledger option, ablations, finer grains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gndl.errors import GndlError
from gndl.files import hash_json
from gndl.method_code import method_hash
from gndl.model import GNDL, Method, ResNetBaseline
from gndl.pairs import FacePairs
from gndl.variants.ablations import (
    Concatenation,
    ImageDifference,
    OracleSwap,
    OracleTrain,
    WithoutNeutralLoss,
    shuffled_neutral,
)
from gndl.variants.by_sequence import GNDLBySequence
from gndl.variants.granularity import MapGNDL

Rearrange = Callable[[FacePairs, NDArray[np.int64]], FacePairs]
"""Puts the pairs of a training together anew: `gndl.model.Method.rearrange`."""


@dataclass(frozen=True)
class MethodSettings:
    """One named method with its options: all that is needed to build it, but for λ and the number of classes.

    Parameters
    ----------
    name : str
        Names the variant in folders and tables, such as ``"gndl-stop-gradient"``.
    base : str
        ``"baseline"``, ``"gndl"`` or the name under which a method of one's own was registered.
    factory : callable
        ``factory(n_classes, **options)``, or ``factory(n_classes, lam, **options)`` where ``uses_lam``, returns a
        :class:`gndl.model.Method`. It travels with the settings, so that a method defined in a notebook cell also
        trains in other processes.
    options : dict
        Keyword arguments of the factory; values that JSON can hold.
    purpose : str
        What the variant is there to show, in one line, as reports print it.
    uses_lam : bool
        Whether λ (Eq. 11) enters the loss.
    images_per_pair : int
        1 where training looks at examined faces only, else 2.
    needs_neutral_at_test : bool
        Whether evaluation is given the neutral faces too; such a row is set apart in every table.
    whole_sequences : bool
        Whether batches hold all examined frames of a sequence, in training and at test.
    rearrange : callable or None
        ``rearrange(pairs, train_index)`` returns the pairs that are trained on, where they are not the database's own,
        such as with the neutral faces of other subjects.
    code : str or None
        Hash of the own code of the factory and of ``rearrange`` (:func:`gndl.method_code.method_hash`), None for this
        package's methods. Taken where the settings are made, for another process may not be able to read a notebook's
        source.
    """

    name: str
    base: str
    factory: Callable[..., Method] = field(compare=False, repr=False)
    options: Mapping[str, Any] = field(default_factory=dict)
    purpose: str = ""
    uses_lam: bool = False
    images_per_pair: int = 2
    needs_neutral_at_test: bool = False
    whole_sequences: bool = False
    rearrange: Rearrange | None = field(default=None, compare=False, repr=False)
    code: str | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", self._hash())

    def _hash(self) -> str | None:
        code = method_hash(self.factory)
        rearranging = None if self.rearrange is None else method_hash(self.rearrange)
        return code if rearranging is None else hash_json([code, rearranging])

    def pairs_for(self, pairs: FacePairs, train_index: NDArray[np.int64]) -> FacePairs:
        """Return the pairs that this method trains and is tested on.

        Raises
        ------
        GndlError
            Where ``rearrange`` changed more than the neutral faces of training samples, or took one that does not
            train: a test subject's, say.
        """
        if self.rearrange is None:
            return pairs
        rearranged = self.rearrange(pairs, train_index)
        _require_only_training_neutrals_moved(self.name, pairs, rearranged, train_index)
        return rearranged

    def as_json(self) -> dict[str, Any]:
        """Return what run.json keeps of the method: everything but its factory and its code."""
        sequences = {"whole_sequences": True} if self.whole_sequences else {}
        return {
            "name": self.name,
            "base": self.base,
            "options": dict(self.options),
            "uses_lam": self.uses_lam,
            "images_per_pair": self.images_per_pair,
            "needs_neutral_at_test": self.needs_neutral_at_test,
            **sequences,
        }


def _require_only_training_neutrals_moved(
    name: str, pairs: FacePairs, rearranged: FacePairs, train_index: NDArray[np.int64]
) -> None:
    """Raise :class:`GndlError` where a test sample, or a face, a truth or a name of any sample is another one."""
    kept = ("images", "examined_index", "label", "subject", "sequence", "frame", "expressions")
    changed = [part for part in kept if not np.array_equal(getattr(pairs, part), getattr(rearranged, part))]
    if changed:
        raise GndlError(f"{name}: rearrange changed {', '.join(changed)}; it may change neutral_index alone.")
    was, now = np.asarray(pairs.neutral_index), np.asarray(rearranged.neutral_index)
    training = np.zeros(len(was), dtype=bool)
    training[train_index] = True
    if now.shape != was.shape or (now != was)[~training].any():
        raise GndlError(f"{name}: rearrange gave other neutral faces to samples that do not train.")
    faces = np.concatenate([was[training], np.asarray(pairs.examined_index)[training]])
    if not np.isin(now[training], faces).all():
        raise GndlError(f"{name}: rearrange took neutral faces that do not train, perhaps a test subject's.")


def _gndl(suffix: str, purpose: str, **options: Any) -> MethodSettings:
    return MethodSettings(f"gndl{suffix}", "gndl", GNDL, options, purpose, uses_lam=True)


BUILT_IN: tuple[MethodSettings, ...] = (
    MethodSettings("baseline", "baseline", ResNetBaseline, {}, "ResNet-18 on the examined face", images_per_pair=1),
    MethodSettings(
        "baseline-joint-norm",
        "baseline",
        ResNetBaseline,
        {"joint_norm": True},
        "baseline whose batch-norm sees the neutral faces too, nothing else (L21)",
    ),
    _gndl("", "the paper's method"),
    _gndl("-stop-gradient", "Eq. 8 does not reach the real neutral feature (L3)", stop_gradient="target"),
    _gndl("-channel-sum", "Eq. 8 summed over channels, averaged over samples (L2)", reduction="channel-sum"),
    _gndl("-sum", "Eq. 8 summed over channels and samples, as printed (L2)", reduction="sum"),
    _gndl("-no-joint-norm", "examined and neutral faces normalised separately (L4)", joint_norm=False),
    _gndl("-decoder-1", "one layer after the generator's interpolation (L6)", decoder_layers=1),
    _gndl("-no-bias", "classifier without bias, as Eq. 10 is printed (L20)", bias=False),
    MethodSettings("gndl-lam-0", "gndl-lam-0", WithoutNeutralLoss, {}, "λ = 0: the generator without Eq. 8"),
    MethodSettings(
        "gndl-shuffled-neutral", "gndl", GNDL, {},
        "trained with the neutral faces of another subject, the same one for every seed",
        uses_lam=True, rearrange=shuffled_neutral,
    ),
    MethodSettings(
        "gndl-concatenation", "gndl-concatenation", Concatenation, {},
        "F_exam beside G(F_exam), not their difference (Eq. 7)", uses_lam=True,
    ),
    MethodSettings(
        "oracle-swap", "oracle-swap", OracleSwap, {}, "trained as GNDL, the real neutral feature at test",
        uses_lam=True, needs_neutral_at_test=True,
    ),
    MethodSettings(
        "oracle-train", "oracle-train", OracleTrain, {}, "the real neutral feature in training and at test",
        needs_neutral_at_test=True,
    ),
    MethodSettings(
        "image-difference", "image-difference", ImageDifference, {}, "ResNet-18 on examined minus neutral pixels",
        needs_neutral_at_test=True,
    ),
    MethodSettings(
        "gndl-by-sequence", "gndl", GNDLBySequence, {},
        "batches of whole sequences, each neutral face once: 4 passes for 6; neutral faces weigh ¼ in batch-norm",
        uses_lam=True, whole_sequences=True,
    ),
    *(
        MethodSettings(
            f"gndl-layer-{layer}", "gndl-layer", MapGNDL, {"layer": layer},
            f"the neutral map of layer {layer} is generated, not the pooled vector", uses_lam=True,
        )
        for layer in (1, 2, 3, 4)
    ),
)  # fmt: skip

METHOD_GROUPS: dict[str, tuple[str, ...]] = {
    "ablations": (
        "baseline", "baseline-joint-norm", "gndl", "gndl-lam-0", "gndl-no-joint-norm", "gndl-stop-gradient",
        "gndl-channel-sum", "gndl-decoder-1", "gndl-shuffled-neutral", "gndl-concatenation", "image-difference",
        "oracle-swap", "oracle-train",
    ),
    "granularity": ("baseline", "gndl-layer-1", "gndl-layer-2", "gndl-layer-3", "gndl-layer-4", "gndl"),
}  # fmt: skip
"""Names that stand for several methods: every part of GNDL changed by itself, and the layer at which it works."""
