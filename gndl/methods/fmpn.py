"""FMPN, facial motion prior networks (Chen et al., VCIP 2019, arXiv 1902.08788), written from its published steps.

A mask says where faces move in an expression; it is learnt from the mean difference of examined and neutral faces of
each class, so neutral faces are needed in training only, as in GNDL. Not in Table 1. The classifier is ResNet-18, where
the authors use Inception-v3 of ImageNet; choices FM1 to FM4 are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.methods.derl import Generator
from gndl.model import FEATURES, Losses, Method, Output, given, resnet18_backbone, stage_of

SIDE = 32
"""Pixels of a class's mask, whatever the size of the faces (FM1)."""


@dataclass(frozen=True, kw_only=True)
class Masked(Output):
    """Output with the masks (B, 1, S, S) in [0, 1], and in training |examined − neutral| (B, 1, S, S)."""

    mask: Tensor
    motion: Tensor | None


class FMPN(Method):
    """Classifies the face together with its moving parts.

    Parameters
    ----------
    n_classes : int
        K.
    weight : float
        Weight of the mask's squared error in the second stage.
    generator_share : float
        Share of the epochs in which only masks are learnt (FM2).
    """

    depends_on_epochs = True
    epochs_factor = 2.0
    side_multiple = 32

    def __init__(self, n_classes: int, *, weight: float = 0.1, generator_share: float = 0.5) -> None:
        super().__init__()
        self.weight, self.generator_share, self.stage = weight, generator_share, 2
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(FEATURES, n_classes)
        self.generator, self.fusion = Generator(channels=1), nn.Conv2d(6, 3, 3, padding=1)
        self.motion_sums: Tensor
        self.motion_counts: Tensor
        self.register_buffer("motion_sums", torch.zeros(n_classes, SIDE, SIDE))
        self.register_buffer("motion_counts", torch.zeros(n_classes))

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Learn masks first, then everything."""
        self.stage = stage_of(epoch, epochs, self.generator_share)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Masked:
        """Classify ``examined`` (B, 3, S, S), S a multiple of 32; ``neutral`` is only compared with it, in training."""
        mask = self.generator(examined)[0].sigmoid()  # (B, 1, S, S)
        fused = self.fusion(torch.cat([examined, examined * mask], dim=1))
        f_exam = self.backbone(fused)
        motion = (examined - given(neutral)).abs().mean(1, keepdim=True) if self.training else None
        with torch.autocast(examined.device.type, enabled=False):
            f_exam = f_exam.to(self.classifier.weight.dtype)
            return Masked(self.classifier(f_exam), f_exam, mask=mask.to(f_exam.dtype), motion=motion)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """The squared error of the masks, whose targets stage 1 gathers; in stage 2 L_cls + ``weight`` times it."""
        if not isinstance(output, Masked) or output.motion is None:
            raise GndlError("FMPN's loss needs the neutral faces: call it in training mode.")
        if self.stage == 1:
            self.observe(output.motion, labels)
        cls = F.cross_entropy(output.logits, labels)
        drawn = F.adaptive_avg_pool2d(output.mask, SIDE).squeeze(1)
        error = F.mse_loss(drawn, self.class_masks()[labels])
        return Losses(error if self.stage == 1 else cls + self.weight * error, cls, parts={"mask": error})

    @torch.no_grad()
    def observe(self, motion: Tensor, labels: Tensor) -> None:
        """Count the differences ``motion`` (B, 1, S, S) in the means of their classes."""
        small = F.adaptive_avg_pool2d(motion.to(self.motion_sums.dtype), SIDE).squeeze(1)
        of_class = F.one_hot(labels, len(self.motion_counts)).to(small.dtype)  # (B, K)
        self.motion_sums += (of_class.T[:, :, None, None] * small).sum(1)  # (K, B, 32, 32) -> (K, 32, 32)
        self.motion_counts += of_class.sum(0)

    def class_masks(self) -> Tensor:
        """The mean difference of each class, scaled to a maximum of 1 (K, 32, 32); 0 for a class not seen yet."""
        means = self.motion_sums / self.motion_counts.clamp(min=1)[:, None, None]
        return means / means.amax((1, 2), keepdim=True).clamp(min=1e-12)
