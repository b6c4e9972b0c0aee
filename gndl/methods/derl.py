"""DeRL, de-expression residue learning (Yang, Ciftci, Yin, CVPR 2018), written from its objectives.

A generator learns to take the expression off a face; what its layers hold of it is then classified. The generator is
trained on the fold's own pairs, where the authors' was trained on BU-4DFE and BP4D; layer sizes and loss weights are
ours. Choices DE1 to DE7 are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from gndl.files import GndlError
from gndl.model import Losses, Method, Output, given, stage_of

WIDTHS = (64, 128, 256, 512)
"""Channels of the generator's layers at S/2, S/4, S/8 and S/16."""


@dataclass(frozen=True, kw_only=True)
class Residues(Output):
    """Output with the logits of the four local nets, and the pictures (B, 3, S, S): I, G(I) and in training T."""

    local_logits: tuple[Tensor, ...]
    examined: Tensor
    generated: Tensor
    neutral: Tensor | None


class Generator(nn.Module):
    """G: from a face to the same face without expression, past a bottleneck and without skip connections.

    Parameters
    ----------
    channels : int
        Channels of what is drawn: 3 for a face, 1 for FMPN's mask.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        widths = (3, *WIDTHS, 512)
        self.encoder = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b) if i else nn.Identity(), nn.LeakyReLU(0.2)
            )
            for i, (a, b) in enumerate(pairwise(widths))
        )  # fmt: skip
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in zip(widths[:1:-1], widths[-2:0:-1], strict=True)
        )
        self.picture = nn.ConvTranspose2d(WIDTHS[0], channels, 4, 2, 1)

    def forward(self, face: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return G(I) (B, channels, S, S), the code (B, 512, S/32, S/32), and encoder ‖ decoder of the four sizes."""
        down, up, x = list[Tensor](), list[Tensor](), face
        for layer in self.encoder:
            x = layer(x)
            down.append(x)
        for layer in self.decoder:
            x = layer(x)
            up.append(x)
        pairs = [torch.cat(both, dim=1) for both in zip(down[:-1], reversed(up), strict=True)]
        return self.picture(x), down[-1], pairs


class LocalNet(nn.Sequential):
    """From one size's pair of layers (B, 2C, s, s) to 96 features."""

    def __init__(self, channels: int) -> None:
        layers: list[nn.Module] = []
        for wide, size in ((channels, 4), (64, 2)):
            layers += [nn.Conv2d(wide, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.AdaptiveMaxPool2d(size)]
        super().__init__(*layers, nn.Flatten(), nn.Linear(256, 96), nn.ReLU())


class DeRL(Method):
    """A conditional GAN in the first stage, and in the second a classifier of what its fixed layers hold.

    Parameters
    ----------
    n_classes : int
        K.
    theta1 : float
        θ1: weight of the L1 distance to the real neutral face (DE2).
    lams : five floats
        λ_1 … λ_5 of the local nets' losses and of the joint one (DE3).
    generator_share : float
        Share of the epochs for the generator (DE6).
    """

    depends_on_epochs = True
    epochs_factor = 2.0
    side_multiple = 32
    takes_weights = False

    def __init__(
        self,
        n_classes: int,
        *,
        theta1: float = 100.0,
        lams: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0),
        generator_share: float = 0.5,
    ) -> None:
        super().__init__()
        self.theta1, self.lams, self.generator_share, self.stage = theta1, lams, generator_share, 2
        self.generator, self.discriminator = Generator(), discriminator()
        self.local = nn.ModuleList(LocalNet(2 * width) for width in WIDTHS)
        self.local_classifiers = nn.ModuleList(nn.Linear(96, n_classes) for _ in WIDTHS)
        self.code = nn.Sequential(nn.Linear(512, 128), nn.ReLU())
        self.classifier = nn.Linear(4 * 96 + 128, n_classes)

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Train the generator first, then everything but the generator."""
        self.stage = stage_of(epoch, epochs, self.generator_share)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith(("generator.", "discriminator.")) == (self.stage == 1))
        self.train(self.training)

    def train(self, mode: bool = True) -> DeRL:
        """Set the mode; in the second stage the generator, running statistics included, stays as it is."""
        super().train(mode)
        self.generator.train(mode and self.stage == 1)
        return self

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Residues:
        """Classify ``examined`` (B, 3, S, S), S a multiple of 32; ``neutral`` is kept for the loss in training."""
        generated, code, pairs = self.generator(examined)
        local = [net(pair) for net, pair in zip(self.local, pairs, strict=True)]  # 4 × (B, 96)
        with torch.autocast(examined.device.type, enabled=False):
            dtype = self.classifier.weight.dtype
            local = [features.to(dtype) for features in local]
            logits = tuple(layer(x) for layer, x in zip(self.local_classifiers, local, strict=True))
            f_exam = torch.cat([*local, self.code(code.to(dtype).mean((2, 3)))], dim=1)  # (B, 512)
            real = given(neutral) if self.training else None
            return Residues(
                self.classifier(f_exam), f_exam,
                local_logits=logits, examined=examined, generated=generated.to(dtype), neutral=real,
            )  # fmt: skip

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """First stage: L(D) + L(G); second: Σ λ_s L_s over the four local nets and the joint classifier."""
        if not isinstance(output, Residues) or output.neutral is None:
            raise GndlError("DeRL's loss needs the neutral faces: call it in training mode.")
        cls = F.cross_entropy(output.logits, labels)
        if self.stage == 1:
            parts = self._adversarial(output.examined, output.generated, output.neutral)
            parts |= {"local": cls.new_zeros(())}
            return Losses(parts["discriminator"] + parts["generator"] + self.theta1 * parts["l1"], cls, parts=parts)
        *first, last = self.lams
        local = sum(lam * F.cross_entropy(one, labels) for lam, one in zip(first, output.local_logits, strict=True))
        parts = {name: cls.new_zeros(()) for name in ("discriminator", "generator", "l1")}
        return Losses(local + last * cls, cls, parts=parts | {"local": torch.as_tensor(local)})

    def _adversarial(self, examined: Tensor, generated: Tensor, neutral: Tensor) -> dict[str, Tensor]:
        """L(D) without a gradient to G, and L(G) without one to D, so that one backward pass serves both."""
        dtype = self.classifier.weight.dtype
        fixed = {name: one.detach() for name, one in self.discriminator.named_parameters()}
        real = self.discriminator(torch.cat([examined, neutral], dim=1)).to(dtype)
        fake = self.discriminator(torch.cat([examined, generated.detach()], dim=1)).to(dtype)
        passed = functional_call(self.discriminator, fixed, (torch.cat([examined, generated], dim=1),)).to(dtype)
        return {
            "discriminator": F.softplus(-real).mean() + F.softplus(fake).mean(),  # −log D(I, T) − log(1 − D(I, G(I)))
            "generator": F.softplus(-passed).mean(),  # −log D(I, G(I))
            "l1": (neutral - generated).abs().mean(),
        }


def discriminator() -> nn.Sequential:
    """D: from two pictures (B, 6, S, S) to a map of logits that they are a face and its real neutral face."""
    layers: list[nn.Module] = []
    for i, (a, b) in enumerate(((6, 64), (64, 128), (128, 256))):
        # No batch-norm: its running statistics would be written three times a step.
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b) if i else nn.Identity()]
        layers += [nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv2d(256, 1, 4, 1, 1))
