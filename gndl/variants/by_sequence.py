"""GNDL on batches of whole sequences, whose one neutral face passes the network once.

A sequence's three pairs share their neutral face, so that three pairs take four passes here where GNDL takes six.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gndl.errors import GndlError
from gndl.model import GNDL, Output, SeparateBatchNorm2d


class GNDLBySequence(GNDL):
    """GNDL whose batches are drawn by sequence, each neutral face in them once (an option of cost, not of the paper).

    It changes the joint normalisation of Eq. 4 to 6: with three examined faces a sequence, batch-norm's statistics are
    made of three quarters examined and one quarter neutral faces, where pairs give half and half; and a batch of as
    many pairs shows a third as many people, all pairs of a sequence flipped alike. The losses are those of the same
    pairs. With ``joint_norm=False``, where each group has statistics of its own, nothing but the drawing differs.

    Parameters
    ----------
    n_classes, lam, **options
        As for :class:`gndl.model.GNDL`.
    """

    whole_sequences = True

    def __init__(self, n_classes: int, lam: float, **options: Any) -> None:
        super().__init__(n_classes, lam, **options)
        self.apart = any(isinstance(module, SeparateBatchNorm2d) for module in self.backbone.modules())

    def forward(self, examined: Tensor, neutral: Tensor | None = None, sequence: Tensor | None = None) -> Output:
        """Classify the deviation of ``examined`` (B, 3, S, S) as GNDL does.

        In training, of the neutral faces (B, 3, S, S) only the first of each sequence is looked at; ``sequence`` (B,)
        numbers the batch's n sequences from 0.
        """
        if not self.training:
            return super().forward(examined)
        if neutral is None or sequence is None:
            raise GndlError("Training by sequence needs the neutral face and the sequence of every pair.")
        shown = neutral[first_of_each(sequence)]  # (n, 3, S, S)
        if self.apart:
            f_exam, f_shown = self._features(examined, "examined"), self._features(shown, "neutral")
        else:
            f_both = self._features(torch.cat([examined, shown]), "both")  # (B + n, 512): one set of statistics
            f_exam, f_shown = f_both.split([len(examined), len(shown)])
        with torch.autocast(examined.device.type, enabled=False):
            f_gen = self.generator(f_exam)  # (B, 512)
            deviation = f_exam - f_gen  # Eq. 7
            logits = self.classifier(deviation)  # (B, K)
        return Output(logits, f_exam, f_shown[sequence], f_gen, deviation)


def first_of_each(sequence: Tensor) -> Tensor:
    """Return the places (n,) at which each of the n sequences, numbered from 0, is first found in ``sequence`` (B,)."""
    places = torch.arange(len(sequence), device=sequence.device)
    found = torch.full((int(sequence.max()) + 1,), len(sequence), device=sequence.device)
    return found.scatter_reduce(0, sequence, places, "amin")
