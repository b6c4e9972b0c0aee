"""DLP-CNN's locality-preserving loss (Li, Deng, Du, CVPR 2017; Li & Deng, TIP 2019), written from its equation.

Features are pulled towards the nearest features of their class. It runs on the backbone of all methods here and is
trained on the fold, where the authors report features learnt on RAF-DB; choices LP1 to LP6 are in the ledger.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from gndl.model import Losses, Output, ResNetBaseline


class DLP(ResNetBaseline):
    """The baseline with the locality-preserving loss.

    Parameters
    ----------
    n_classes : int
        K.
    lam : float
        λ of L = L_cls + λ L_LP.
    k : int
        Number of neighbours; all that there are where a batch has fewer (LP2).
    detach : bool
        True keeps the gradient from reaching the neighbours (LP3).
    """

    def __init__(self, n_classes: int, *, lam: float = 0.003, k: int = 20, detach: bool = True) -> None:
        super().__init__(n_classes)
        self.lam, self.k, self.detach = lam, k, detach

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L = L_cls + λ L_LP."""
        cls = F.cross_entropy(output.logits, labels)
        locality = locality_preserving(output.f_exam, labels, self.k, detach=self.detach)
        return Losses(cls + self.lam * locality, cls, parts={"locality": locality})


def locality_preserving(x: Tensor, labels: Tensor, k: int, *, detach: bool = True) -> Tensor:
    """L_LP = 1/B Σ_i ½ ‖x_i − mean of its k nearest features of the same class in the batch‖², of ``x`` (B, D).

    A feature without another of its class adds 0. ``detach`` takes the means for constants.
    """
    others = (labels[:, None] == labels) & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    distance = torch.cdist(x.detach(), x.detach(), compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distance.masked_fill(~others, torch.inf).topk(min(k, len(x)), largest=False)
    counted = nearest.values.isfinite()  # (B, k): not all have k others
    neighbours = (x.detach() if detach else x)[nearest.indices] * counted.unsqueeze(2)  # (B, k, D)
    number = counted.sum(1, keepdim=True)
    squared = (x - neighbours.sum(1) / number.clamp(min=1)).square().sum(1)
    return 0.5 * (squared * (number.squeeze(1) > 0)).mean()
