"""GNDL at a finer grain: the neutral feature is disentangled in the feature map of a layer, not in the pooled vector.

The paper names this as future work (section 5). One generator, the same at every position, predicts the neutral map of
the layer from the examined one; the difference of the two maps passes through the remaining layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.model import FEATURES, Losses, Method, NeutralFeatureGenerator, Output, given, resnet18_backbone

CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512}
"""Channels of the map after each of ResNet-18's four layers."""


@dataclass(frozen=True)
class MapOutput(Output):
    """Output of a method that works on maps (B, H, W, C); ``f_exam``, ``f_neu`` and ``f_gen`` are their means.

    ``map_neu`` is the real neutral faces' map, None in evaluation, and ``map_gen`` the generated one.
    """

    map_neu: Tensor | None = None
    map_gen: Tensor | None = None


class MapGNDL(Method):
    """GNDL whose Eq. 4 to 8 hold position by position, in the map after ``layer`` (1 to 4) of ResNet-18."""

    uses_lam = True

    def __init__(self, n_classes: int, lam: float, *, layer: int) -> None:
        super().__init__()
        self.lam, self.layer = lam, layer
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(FEATURES, n_classes)
        self.generator = NeutralFeatureGenerator(CHANNELS[layer])

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify ``examined`` (B, 3, S, S) after subtracting the generated neutral map."""
        map_neu = None
        if self.training:
            map_exam, map_neu = self._maps(torch.cat([examined, given(neutral)])).chunk(2)  # 2 × (B, H, W, C)
        else:
            map_exam = self._maps(examined)
        with torch.autocast(examined.device.type, enabled=False):
            map_gen = self.generator(map_exam.reshape(-1, map_exam.shape[-1])).view_as(map_exam)  # position by position
            difference = map_exam - map_gen  # Eq. 7, (B, H, W, C)
        deviation = self._remaining(difference.permute(0, 3, 1, 2))  # (B, 512)
        with torch.autocast(examined.device.type, enabled=False):
            deviation = deviation.to(self.classifier.weight.dtype)
            logits = self.classifier(deviation)
        f_neu = None if map_neu is None else map_neu.mean(dim=(1, 2))
        f_exam, f_gen = map_exam.mean(dim=(1, 2)), map_gen.mean(dim=(1, 2))
        return MapOutput(logits, f_exam, f_neu, f_gen, deviation, map_neu, map_gen)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """Eq. 11, with Eq. 8 averaged over samples, positions and channels."""
        if not isinstance(output, MapOutput) or output.map_neu is None or output.map_gen is None:
            raise GndlError("This loss needs the neutral faces' maps: call it in training mode.")
        cls = F.cross_entropy(output.logits, labels)  # Eq. 9 and 10
        neu = (output.map_neu - output.map_gen).abs().mean()  # Eq. 8
        return Losses(total=cls + self.lam * neu, cls=cls, neu=neu)

    @torch.no_grad()
    def neutral_features(self, neutral: Tensor) -> Tensor:
        """Return the mean over positions (B, C) of the map of real neutral faces, in evaluation."""
        if self.training:
            raise GndlError("neutral_features needs evaluation mode: call eval() first.")
        return self._maps(neutral).mean(dim=(1, 2))

    def _maps(self, faces: Tensor) -> Tensor:
        """The maps after the chosen layer, channels last and in the classifier's precision."""
        stem = ("conv1", "bn1", "relu", "maxpool")
        maps = self._through(faces, *stem, *(f"layer{layer}" for layer in range(1, self.layer + 1)))
        return maps.permute(0, 2, 3, 1).to(self.classifier.weight.dtype)

    def _remaining(self, maps: Tensor) -> Tensor:
        return self._through(maps, *(f"layer{layer}" for layer in range(self.layer + 1, 5)), "avgpool").flatten(1)

    def _through(self, maps: Tensor, *names: str) -> Tensor:
        for name in names:
            maps = self.backbone.get_submodule(name)(maps)
        return maps
