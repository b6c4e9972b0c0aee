"""GCNet-S1R1 (Kim, Yoo, Kwak, Choi, Kim, arXiv 1703.07140), its idea written from abstract and GNDL's description.

A neutral picture is generated, and its feature compared with that of the face. Encoder and decoders are ours and every
loss weighs 1; choices GC1 to GC7 are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.model import (
    FEATURES,
    Group,
    Losses,
    Method,
    Output,
    SeparateBatchNorm2d,
    given,
    last_map,
    resnet18_backbone,
    stage_of,
)


@dataclass(frozen=True, kw_only=True)
class Compared(Output):
    """Output with the pictures (B, 3, S, S): the generated neutral one n̂, and in training what they are compared with.

    ``query`` and ``query_again`` are x and x̃, ``neutral`` is the real n, ``reference_again`` is ñ.
    """

    reference: Tensor
    query: Tensor | None = None
    neutral: Tensor | None = None
    query_again: Tensor | None = None
    reference_again: Tensor | None = None


class GCNet(Method):
    """Classifies the distance of a face's feature from that of the neutral picture generated for it.

    Parameters
    ----------
    n_classes : int
        K.
    weights : (float, float, float)
        β1, β2, β3 of the three reconstruction losses (GC3).
    distance : {"absolute", "squared", "signed"}
        How features are compared, channel by channel (GC2).
    generator_share : float
        Share of the epochs in which only pictures are reconstructed (GC4).
    """

    depends_on_epochs = True
    epochs_factor = 4 / 3
    side_multiple = 32

    def __init__(
        self,
        n_classes: int,
        *,
        weights: tuple[float, float, float] = (1.0, 1.0, 1.0),
        distance: Literal["absolute", "squared", "signed"] = "absolute",
        generator_share: float = 0.25,
    ) -> None:
        super().__init__()
        if distance not in ("absolute", "squared", "signed"):
            raise GndlError(f'distance is "absolute", "squared" or "signed" (ledger GC2), got {distance!r}.')
        self.weights, self.distance, self.generator_share, self.stage = weights, distance, generator_share, 2
        self.backbone = resnet18_backbone(SeparateBatchNorm2d)  # E
        self.classifier = nn.Linear(FEATURES, n_classes)
        self.reference_decoder, self.image_decoder = picture_decoder(), picture_decoder()  # R and Q

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Learn to reconstruct first; classify in the second stage."""
        self.stage = stage_of(epoch, epochs, self.generator_share)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Compared:
        """Classify ``examined`` (B, 3, S, S); ``neutral`` is the target in training and is not read otherwise."""
        maps = self._maps(examined, "examined")  # m (B, 512, h, h)
        reference = self.reference_decoder(maps)  # n̂
        maps_of_reference = self._maps(reference, "neutral")
        drawn = {"reference": reference}
        if self.training:
            drawn |= {"query_again": self.image_decoder(maps), "reference_again": self.image_decoder(maps_of_reference)}
        with torch.autocast(examined.device.type, enabled=False):
            dtype = self.classifier.weight.dtype
            f_exam, f_gen = (one.to(dtype).mean((2, 3)) for one in (maps, maps_of_reference))  # (B, 512)
            logits = self.classifier(compared(f_exam, f_gen, self.distance))
            pictures = {name: picture.to(dtype) for name, picture in drawn.items()}
            if self.training:
                pictures |= {"query": examined, "neutral": given(neutral)}
            return Compared(logits, f_exam, None, f_gen, f_exam - f_gen, **pictures)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L_cls + β1 ‖n − n̂‖² + β2 ‖x − x̃‖² + β3 ‖n̂ − ñ‖², means all; without L_cls in the first stage."""
        if not isinstance(output, Compared) or output.neutral is None:
            raise GndlError("GCNet's loss needs the neutral faces: call it in training mode.")
        assert output.query is not None and output.query_again is not None and output.reference_again is not None
        cls = F.cross_entropy(output.logits, labels)
        parts = {
            "reference": F.mse_loss(output.reference, output.neutral),
            "query_again": F.mse_loss(output.query_again, output.query),
            "reference_again": F.mse_loss(output.reference_again, output.reference.detach()),  # GC6
        }
        total = sum(weight * part for weight, part in zip(self.weights, parts.values(), strict=True))
        return Losses(total + cls if self.stage == 2 else torch.as_tensor(total), cls, parts=parts)

    @torch.no_grad()
    def generated_neutral(self, examined: Tensor) -> Tensor:
        """The neutral pictures n̂ (B, 3, S, S), normalised pixels, that are drawn for ``examined``, in evaluation."""
        return self.reference_decoder(self._maps(examined, "examined"))

    def _maps(self, faces: Tensor, group: Group) -> Tensor:
        for module in self.backbone.modules():
            if isinstance(module, SeparateBatchNorm2d):
                module.group = group  # the generated neutral faces have statistics of their own
        return last_map(self.backbone, faces)


def compared(f_exam: Tensor, f_gen: Tensor, distance: str) -> Tensor:
    """The distance c (B, 512) of two features, channel by channel."""
    difference = f_exam - f_gen
    return {"absolute": difference.abs(), "squared": difference.square(), "signed": difference}[distance]


def picture_decoder() -> nn.Sequential:
    """From a map (B, 512, h, h) to normalised pixels (B, 3, 32h, 32h) (GC7)."""
    layers: list[nn.Module] = []
    for wide, narrow in ((512, 256), (256, 128), (128, 64), (64, 32), (32, 16)):
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(wide, narrow, 3, padding=1),
            nn.BatchNorm2d(narrow),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers, nn.Conv2d(16, 3, 3, padding=1))
