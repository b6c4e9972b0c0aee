"""DAN, "Distract your attention" (Wen et al., arXiv 2109.07270), written from its equations: a recent baseline.

Several heads attend to the same map, and a loss keeps them apart. Started as all methods here, where the authors start
from weights trained on MS-Celeb-1M, and trained by the same optimiser; choices DA1 to DA3 are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.model import FEATURES, Losses, Method, Output, last_map, resnet18_backbone


@dataclass(frozen=True, kw_only=True)
class Attended(Output):
    """Output with the heads' features (B, H, 512) after the log-softmax over heads."""

    heads: Tensor


class Attention(nn.Module):
    """One head: where to look in the map, then which channels count."""

    def __init__(self) -> None:
        super().__init__()
        half = FEATURES // 2
        self.reduce = nn.Sequential(nn.Conv2d(FEATURES, half, 1), nn.BatchNorm2d(half))
        self.look = nn.ModuleList(
            nn.Sequential(nn.Conv2d(half, FEATURES, size, padding="same"), nn.BatchNorm2d(FEATURES))
            for size in ((3, 3), (1, 3), (3, 1))
        )
        self.weigh = nn.Sequential(
            nn.Linear(FEATURES, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, FEATURES), nn.Sigmoid()
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the attended features (B, 512) of ``maps`` (B, 512, h, h)."""
        q = self.reduce(maps)  # (B, 256, h, h)
        where = sum(look(q) for look in self.look).relu().sum(1, keepdim=True)  # (B, 1, h, h)
        s: Tensor = (maps * where).mean((2, 3))  # (B, 512)
        return s * self.weigh(s)


class DAN(Method):
    """Attention heads on the last map of ResNet-18.

    Parameters
    ----------
    n_classes : int
        K.
    heads : int
        H.
    """

    images_per_pair = 1

    def __init__(self, n_classes: int, *, heads: int = 4) -> None:
        super().__init__()
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(FEATURES, n_classes)
        self.heads = nn.ModuleList(Attention() for _ in range(heads))
        self.norm = nn.BatchNorm1d(n_classes)  # DA1
        self.centres = nn.Parameter(torch.randn(n_classes, FEATURES))  # c of L_af

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Attended:
        """Classify ``examined`` (B, 3, S, S) by the sum of its heads."""
        maps = last_map(self.backbone, examined)  # (B, 512, h, h)
        heads = torch.stack([head(maps) for head in self.heads], dim=1)  # (B, H, 512)
        with torch.autocast(examined.device.type, enabled=False):
            heads = heads.to(self.classifier.weight.dtype).log_softmax(1)  # DA2: over heads, channel by channel
            o = heads.sum(1)
            f_exam = maps.to(heads.dtype).mean((2, 3))
            return Attended(self.norm(self.classifier(o)), f_exam, heads=heads)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L = L_cls + L_af + L_pt."""
        assert isinstance(output, Attended)
        cls = F.cross_entropy(output.logits, labels)
        affinity, partition = affinity_loss(output.f_exam, self.centres, labels), partition_loss(output.heads)
        return Losses(cls + affinity + partition, cls, parts={"affinity": affinity, "partition": partition})


def affinity_loss(x: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """L_af: mean squared distance of ``x`` (B, D) from its class's centre, by how far the ``centres`` (K, D) spread."""
    return (x - centres[labels]).square().sum(1).mean() / centres.var(0).sum()


def partition_loss(heads: Tensor) -> Tensor:
    """L_pt = log(1 + H / variance over heads), of ``heads`` (B, H, D): small where they differ."""
    return (1 + heads.shape[1] / (heads.var(1).mean() + 1e-12)).log()
