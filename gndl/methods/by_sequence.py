"""GNDL on batches of whole sequences: the neutral face that a sequence's pairs share passes the network once.

Three pairs of a sequence take four passes here, and six in GNDL.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gndl.files import GndlError
from gndl.model import GNDL, Output


class GNDLBySequence(GNDL):
    """GNDL whose batches are drawn by sequence, each neutral face in them once (faster; not in the paper).

    It changes the joint normalisation of Eq. 4 to 6: with three examined faces a sequence, batch-norm's statistics come
    from three quarters examined and one quarter neutral faces instead of half and half. A batch of as many pairs shows
    a third as many people, and all pairs of a sequence are flipped alike. The losses are those of the same pairs.
    """

    whole_sequences = True

    def forward(self, examined: Tensor, neutral: Tensor | None = None, sequence: Tensor | None = None) -> Output:
        """Classify the deviation of ``examined`` (B, 3, S, S) as GNDL does.

        In training only the first of each sequence's neutral faces (B, 3, S, S) is used; ``sequence`` (B,) numbers the
        batch's n sequences from 0.
        """
        if not self.training:
            return super().forward(examined)
        if neutral is None or sequence is None:
            raise GndlError("Training by sequence needs the neutral face and the sequence of every pair.")
        shown = neutral[first_of_each(sequence)]  # (n, 3, S, S)
        f_both = self._features(torch.cat([examined, shown]), "both")  # (B + n, 512): one set of statistics
        f_exam, f_shown = f_both.split([len(examined), len(shown)])
        return self._classified(f_exam, f_shown[sequence])


def first_of_each(sequence: Tensor) -> Tensor:
    """Return the position (n,) in ``sequence`` (B,) of the first pair of each of the n sequences, numbered from 0."""
    places = torch.arange(len(sequence), device=sequence.device)
    found = torch.full((int(sequence.max()) + 1,), len(sequence), device=sequence.device)
    return found.scatter_reduce(0, sequence, places, "amin")
