"""Ablations: which part of GNDL earns what. Each changes one thing, trains on the same folds and starts from one seed.

Two of them are upper bounds that the paper does not show: they are given the real neutral face at test time, and every
table sets them apart for it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gndl.errors import GndlError
from gndl.model import FEATURES, GNDL, Method, Output, ResNetBaseline, resnet18_backbone
from gndl.pairs import FacePairs


class OracleSwap(GNDL):
    """GNDL, trained as ever, whose generated neutral feature is swapped for the real one at test time.

    Its weights are those of GNDL from the same seed: training does not know of the swap.
    """

    needs_neutral_at_test = True

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify F_exam − F_neu in evaluation, and as :class:`GNDL` does in training."""
        output = super().forward(examined, neutral)
        if self.training:
            return output
        f_neu = self._features(_required(neutral), "neutral")
        deviation = output.f_exam - f_neu  # Eq. 7 with the real neutral feature
        with torch.autocast(examined.device.type, enabled=False):
            return Output(self.classifier(deviation), output.f_exam, f_neu, output.f_gen, deviation)


class OracleTrain(Method):
    """The deviation from the real neutral feature, in training and at test: no generator, no L_neu.

    Parameters
    ----------
    n_classes : int
        K.
    """

    needs_neutral_at_test = True

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(FEATURES, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify F_exam − F_neu; both faces pass the backbone together, as in Eq. 4 to 6."""
        faces = torch.cat([examined, _required(neutral)])  # (2B, 3, S, S)
        f_exam, f_neu = self.backbone(faces).to(self.classifier.weight.dtype).chunk(2)
        with torch.autocast(examined.device.type, enabled=False):
            deviation = f_exam - f_neu
            return Output(self.classifier(deviation), f_exam, f_neu, None, deviation)


class WithoutNeutralLoss(GNDL):
    """GNDL at λ = 0: the generator is there, and nothing asks it for neutral features.

    Parameters
    ----------
    n_classes : int
        K.
    """

    uses_lam = False

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes, 0.0)


class Concatenation(GNDL):
    """F_exam and G(F_exam) side by side (B, 1024) in place of their difference (Eq. 7)."""

    def __init__(self, n_classes: int, lam: float) -> None:
        super().__init__(n_classes, lam)
        self.classifier = nn.Linear(2 * FEATURES, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify both features; the loss is that of Eq. 11."""
        f_neu = None
        if self.training:
            f_exam, f_neu = self._features(torch.cat([examined, _required(neutral)]), "both").chunk(2)
        else:
            f_exam = self._features(examined, "examined")
        with torch.autocast(examined.device.type, enabled=False):
            f_gen = self.generator(f_exam)
            both = torch.cat([f_exam, f_gen], dim=1)  # (B, 1024)
            return Output(self.classifier(both), f_exam, f_neu, f_gen, both)


class ImageDifference(ResNetBaseline):
    """The difference before the network, not after it: ResNet-18 on x_exam − x_neu, in training and at test.

    Parameters
    ----------
    n_classes : int
        K.
    """

    needs_neutral_at_test = True

    def __init__(self, n_classes: int) -> None:
        super().__init__(n_classes)
        self.images_per_pair = 2

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify ``examined − neutral`` (B, 3, S, S), normalised pixels both."""
        return super().forward(examined - _required(neutral))


def shuffled_neutral(pairs: FacePairs, train_index: NDArray[np.int64], seed: int = 0) -> FacePairs:
    """Give every training subject the neutral faces of one other training subject.

    Subjects are shuffled and each takes those of the next in the round; a subject's sequences take their partner's in
    turn. Pairs outside ``train_index`` stay as they are, so that no test subject's face enters training.

    Raises
    ------
    GndlError
        Where fewer than two subjects train.
    """
    names = sorted({str(pairs.subject[int(i)]) for i in train_index})
    if len(names) < 2:
        raise GndlError("A neutral face of another subject needs at least two subjects in training.")
    order = [names[int(i)] for i in np.random.default_rng(seed).permutation(len(names))]
    partner = dict(zip(order, order[1:] + order[:1], strict=True))
    own: dict[str, list[int]] = {name: [] for name in names}
    for i in train_index:
        neutral = int(pairs.neutral_index[int(i)])
        if neutral not in own[str(pairs.subject[int(i)])]:
            own[str(pairs.subject[int(i)])].append(neutral)
    shuffled = np.array(pairs.neutral_index, dtype=np.int64)
    for i in train_index:
        subject = str(pairs.subject[int(i)])
        others = own[partner[subject]]
        shuffled[int(i)] = others[own[subject].index(int(pairs.neutral_index[int(i)])) % len(others)]
    return FacePairs(
        pairs.images, pairs.examined_index, shuffled, pairs.label, pairs.subject, pairs.sequence, pairs.frame,
        pairs.expressions,
    )  # fmt: skip


def _required(neutral: Tensor | None) -> Tensor:
    if neutral is None:
        raise GndlError("This method needs the neutral face of every pair, at test too.")
    return neutral
