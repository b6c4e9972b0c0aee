"""FDRL, feature decomposition and reconstruction learning (Ruan et al., CVPR 2021), written from its equations.

An expression is a sum of latent features that all expressions share, weighted for each face. Started as all methods
here, where the authors start from weights trained on MS-Celeb-1M; choices FD1 to FD6 are in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.model import FEATURES, Losses, Method, Output, resnet18_backbone


@dataclass(frozen=True, kw_only=True)
class Decomposed(Output):
    """Output with the latent features l_ij (B, M, D) and the sums of their D sigmoids (B, M)."""

    latent: Tensor
    sums: Tensor


class FDRL(Method):
    """Feature decomposition and reconstruction, in training and at test from the examined face alone.

    Parameters
    ----------
    n_classes : int
        K.
    latent, width : int
        M latent features of D numbers.
    delta : float
        δ: share of a feature's own message in what is reconstructed.
    weights : (float, float, float)
        λ1, λ2, λ3 of the losses L_C, L_B, L_D.
    alpha : {"mean", "sum"}
        Feature weights a_ij as the mean or the sum of D sigmoids; by the sum every tanh of the relations starts
        saturated (FD2).
    balance : {"normalised", "literal"}
        L_B on weights scaled to the sum 1, or as they are (FD3).
    """

    images_per_pair = 1

    def __init__(
        self,
        n_classes: int,
        *,
        latent: int = 9,
        width: int = 128,
        delta: float = 0.5,
        weights: tuple[float, float, float] = (1e-4, 1.0, 1e-4),
        alpha: Literal["mean", "sum"] = "mean",
        balance: Literal["normalised", "literal"] = "normalised",
    ) -> None:
        super().__init__()
        if alpha not in ("mean", "sum") or balance not in ("normalised", "literal"):
            raise GndlError(f'alpha is "mean" or "sum", balance "normalised" or "literal", got {alpha!r}, {balance!r}.')
        self.delta, self.weights, self.alpha, self.balance = delta, weights, alpha, balance
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(width, n_classes)
        self.decompose = nn.ModuleList(nn.Linear(FEATURES, width) for _ in range(latent))  # W^d_j
        self.weigh = nn.ModuleList(nn.Linear(width, width) for _ in range(latent))  # W^s_j
        self.message = nn.ModuleList(nn.Linear(width, width) for _ in range(latent))  # W^e_j
        self.centres = nn.Parameter(torch.zeros(latent, width))  # c_j of L_C
        self.class_centres = nn.Parameter(torch.full((n_classes, latent), width / 2))  # of L_D; where the sums start

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Decomposed:
        """Classify ``examined`` (B, 3, S, S) by the sum of its related features (B, D)."""
        features = self.backbone(examined)
        with torch.autocast(examined.device.type, enabled=False):
            x = features.to(self.classifier.weight.dtype)  # (B, 512)
            latent = _each(self.decompose, [x] * len(self.decompose)).relu()  # l_ij (B, M, D)
            sigmoids = _each(self.weigh, latent.unbind(1)).sigmoid()
            f = self._weights(sigmoids.sum(2)).unsqueeze(2) * latent  # f_ij = a_ij · l_ij
            g = _each(self.message, f.unbind(1)).relu()
            y = related(g, self.delta).sum(1)
            return Decomposed(self.classifier(y), x, latent=latent, sums=sigmoids.sum(2))

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L = L_cls + λ1 L_C + λ2 L_B + λ3 L_D."""
        assert isinstance(output, Decomposed)
        cls = F.cross_entropy(output.logits, labels)
        compact = (output.latent - self.centres).square().sum((1, 2)).mean()  # L_C
        mean = self._weights(output.sums).mean(0)  # ā (M,)
        if self.balance == "normalised":
            mean = mean / mean.sum()
        balance = (mean - 1 / len(mean)).abs().sum()  # L_B
        distribution = (output.sums - self.class_centres[labels]).square().sum(1).mean()  # L_D, of the sums always
        total = cls + sum(w * part for w, part in zip(self.weights, (compact, balance, distribution), strict=True))
        return Losses(total, cls, parts={"compact": compact, "balance": balance, "distribution": distribution})

    def _weights(self, sums: Tensor) -> Tensor:
        """The a_ij (B, M): sums of D sigmoids, or their means."""
        return sums / self.centres.shape[1] if self.alpha == "mean" else sums


def relation_weights(g: Tensor) -> Tensor:
    """The w(j, m) = tanh ‖g_j − g_m‖ (B, M, M) between the messages ``g`` (B, M, D) of a face; w(j, j) = 0."""
    return torch.cdist(g, g, compute_mode="donot_use_mm_for_euclid_dist").tanh()  # its gradient is finite at 0


def related(g: Tensor, delta: float) -> Tensor:
    """The features δ g_j + (1 − δ) Σ_m w(j, m) g_m (B, M, D) of the messages ``g``."""
    return delta * g + (1 - delta) * relation_weights(g) @ g


def _each(layers: Iterable[nn.Module], inputs: Iterable[Tensor]) -> Tensor:
    """What the j-th layer makes of the j-th input, stacked (B, M, D)."""
    return torch.stack([layer(x) for layer, x in zip(layers, inputs, strict=True)], dim=1)
