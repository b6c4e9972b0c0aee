"""Ablations: each changes one part of GNDL, trains on the same folds and starts from the same seed.

Three of them see the real neutral face at test time, so tables list them separately. The paper does not show the two
oracles.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.model import FEATURES, GNDL, Output, ResNetBaseline, given
from gndl.pairs import FacePairs


class OracleSwap(GNDL):
    """GNDL whose generated neutral feature is replaced by the real one at test time, and only there.

    Its weights are those of GNDL from the same seed.
    """

    needs_neutral_at_test = True

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify F_exam − F_neu in evaluation, and as :class:`GNDL` does in training."""
        output = super().forward(examined, neutral)
        if self.training:
            return output
        f_neu = self._features(given(neutral), "neutral")
        deviation = output.f_exam - f_neu  # Eq. 7 with the real neutral feature
        with torch.autocast(examined.device.type, enabled=False):
            return Output(self.classifier(deviation), output.f_exam, f_neu, output.f_gen, deviation)


class OracleTrain(ResNetBaseline):
    """The deviation from the real neutral feature, in training and at test: no generator, no L_neu."""

    images_per_pair = 2
    needs_neutral_at_test = True

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify F_exam − F_neu; both faces pass the backbone together, as in Eq. 4 to 6."""
        faces = torch.cat([examined, given(neutral)])  # (2B, 3, S, S)
        f_exam, f_neu = self.backbone(faces).to(self.classifier.weight.dtype).chunk(2)
        with torch.autocast(examined.device.type, enabled=False):
            deviation = f_exam - f_neu
            return Output(self.classifier(deviation), f_exam, f_neu, None, deviation)


class WithoutNeutralLoss(GNDL):
    """GNDL at λ = 0: a generator that no loss pulls towards neutral features."""

    uses_lam = False

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes, 0.0)


class Concatenation(GNDL):
    """F_exam concatenated with G(F_exam) (B, 1024) instead of their difference (Eq. 7); the loss is that of Eq. 11."""

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        self.classifier = nn.Linear(2 * FEATURES, n_classes)

    def _classified(self, f_exam: Tensor, f_neu: Tensor | None) -> Output:
        with torch.autocast(f_exam.device.type, enabled=False):
            f_gen = self.generator(f_exam)
            both = torch.cat([f_exam, f_gen], dim=1)  # (B, 1024)
            return Output(self.classifier(both), f_exam, f_neu, f_gen, both)


class ImageDifference(ResNetBaseline):
    """The difference before the network, not after it: ResNet-18 on x_exam − x_neu, in training and at test.

    The noise of the two faces is drawn independently: the same noise would cancel, and the augmentation with it.
    """

    images_per_pair = 2
    needs_neutral_at_test = True
    independent_noise = True

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify ``examined − neutral`` (B, 3, S, S), normalised pixels both."""
        return super().forward(examined - given(neutral))


def shuffled_neutral(pairs: FacePairs, train_index: NDArray[np.int64], seed: int = 0) -> FacePairs:
    """Give every training subject the neutral faces of one other training subject.

    Subjects are shuffled and each takes those of the next, the last those of the first; a subject's sequences take
    their partner's in turn. Pairs outside ``train_index`` stay as they are, so no test subject's face enters training.
    """
    names = sorted({str(pairs.subject[i]) for i in train_index})
    if len(names) < 2:
        raise GndlError("A neutral face of another subject needs at least two subjects in training.")
    order = [names[int(i)] for i in np.random.default_rng(seed).permutation(len(names))]
    partner = dict(zip(order, order[1:] + order[:1], strict=True))
    subject, neutral = np.array([str(name) for name in pairs.subject]), np.array(pairs.neutral_index)
    own = {name: list(dict.fromkeys(neutral[[i for i in train_index if subject[i] == name]])) for name in names}
    shuffled = neutral.copy()
    for i in train_index:
        others = own[partner[subject[i]]]
        shuffled[i] = others[own[subject[i]].index(neutral[i]) % len(others)]
    return replace(pairs, neutral_index=shuffled)


class ShuffledNeutral(GNDL):
    """GNDL trained with the neutral faces of another subject, the same one for every seed."""

    @staticmethod
    def rearrange(pairs: FacePairs, train_index: NDArray[np.int64]) -> FacePairs:
        return shuffled_neutral(pairs, train_index)
