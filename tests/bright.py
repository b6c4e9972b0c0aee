"""A tiny study of flat pictures in CK+'s layout, and methods whose answers can be worked out by hand."""

from __future__ import annotations

from pathlib import Path

import torch
from layouts import write_ckplus
from PIL import Image
from torch import Tensor, nn

from gndl.methods import MethodSettings
from gndl.model import Losses, Method, Output
from gndl.prepare import Prepared
from gndl.study import open_study

SUBJECTS = ("S052", "S055", "S074", "S106")
SHADES = (51, 76, 102, 153, 204, 230)
"""Brightness of the six frames of every sequence: nothing but this tells them apart."""


class Brightness(Method):
    """Sure of happiness above a brightness of one half, of anger below; the deviation is brightness minus 0.1."""

    images_per_pair = 1

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        channel = examined[:, 0].mean(dim=(1, 2))
        brightness = channel * 0.229 + 0.485  # back to [0, 1]
        logits = torch.zeros(len(examined), self.n_classes) + 0 * self.unused
        logits[:, 4] = 30 * (brightness - 0.5)  # happiness
        logits[:, 0] = -30 * (brightness - 0.5)  # anger
        return Output(logits=logits, f_exam=brightness[:, None], deviation=brightness[:, None] - 0.1)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        return Losses(total=0 * self.unused.sum(), cls=self.unused.detach().sum())


BRIGHTNESS = MethodSettings("brightness", "brightness", Brightness, images_per_pair=1)


class AlwaysAnger(Brightness):
    """Answers anger with a probability of e/(e + 6), whatever it is shown."""

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        output = super().forward(examined, neutral)
        logits = torch.zeros_like(output.logits)
        logits[:, 0] = 1
        return Output(logits=logits, f_exam=output.f_exam)


ALWAYS_ANGER = MethodSettings("always-anger", "always-anger", AlwaysAnger, images_per_pair=1)


def open_bright_study(folder: Path) -> Prepared:
    """Four subjects with a sequence of anger, happiness and surprise each; fold 0, of one subject, is run."""
    root = write_ckplus(folder / "ckplus", SUBJECTS, frames=len(SHADES))
    for path in (root / "cohn-kanade-images").rglob("*.png"):
        shade = SHADES[int(path.stem.split("_")[-1]) - 1]
        Image.new("L", (64, 64), shade).save(path)
    return open_study("ckplus", data_root=str(root), profile="smoke", out=folder / "study", jobs=1)
