"""IACNN, identity-aware CNN (Meng, Liu, Cai, Han, Tong, FG 2017), its losses in their usual form.

Identity is removed by labels: of two features one is to tell expressions apart, the other people. Backbone, margins
and weights are ours, and nothing was trained on FER2013 before; choices IA1 to IA6 are in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.model import FEATURES, Losses, Method, Output, resnet18_backbone

WIDTH = 128
"""Numbers of each of the two features."""


@dataclass(frozen=True, kw_only=True)
class TwoFeatures(Output):
    """Output with the expression feature e and the identity feature d (B, 128), and in training who is who (B,)."""

    expression: Tensor
    identity: Tensor
    expression_logits: Tensor
    subject: Tensor | None


class IACNN(Method):
    """Two features of one backbone, an expression-sensitive and an identity-sensitive one, classified together.

    Parameters
    ----------
    n_classes : int
        K.
    margin : float
        α: how far apart dissimilar features of length 1 are pushed (IA3).
    weights : (float, float, float)
        μ1, μ2, μ3 of the second cross-entropy and the two contrastive losses (IA4).
    """

    images_per_pair = 1
    needs_subject = True

    def __init__(
        self, n_classes: int, *, margin: float = 1.0, weights: tuple[float, float, float] = (1.0, 1.0, 1.0)
    ) -> None:
        super().__init__()
        self.margin, self.weights = margin, weights
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(2 * WIDTH, n_classes)  # W
        self.to_expression, self.to_identity = nn.Linear(FEATURES, WIDTH), nn.Linear(FEATURES, WIDTH)  # W_e, W_d
        self.expression_classifier = nn.Linear(WIDTH, n_classes)  # W'

    def forward(self, examined: Tensor, neutral: Tensor | None = None, *, subject: Tensor | None = None) -> TwoFeatures:
        """Classify ``examined`` (B, 3, S, S); ``subject`` (B,) is kept for the loss and changes no logit."""
        features = self.backbone(examined)
        with torch.autocast(examined.device.type, enabled=False):
            x = features.to(self.classifier.weight.dtype)  # (B, 512)
            e, d = self.to_expression(x), self.to_identity(x)
            both = torch.cat([e.relu(), d.relu()], dim=1)  # (B, 256)
            return TwoFeatures(
                self.classifier(both), x, expression=e, identity=d,
                expression_logits=self.expression_classifier(e.relu()), subject=subject,
            )  # fmt: skip

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L = L_cls + μ1 L_cls of e alone + μ2 L_con of e by expression + μ3 L_con of d by identity."""
        if not isinstance(output, TwoFeatures) or output.subject is None:
            raise GndlError("This loss needs to know the subjects: give them in training.")
        e, d, who = F.normalize(output.expression), F.normalize(output.identity), output.subject
        cls = F.cross_entropy(output.logits, labels)
        parts = {
            "expression": F.cross_entropy(output.expression_logits, labels),
            "same_expression": contrastive(e, labels[:, None] == labels, self.margin),
            "same_identity": contrastive(d, who[:, None] == who, self.margin),
        }
        total = cls + sum(weight * part for weight, part in zip(self.weights, parts.values(), strict=True))
        return Losses(total, cls, parts=parts)


def contrastive(f: Tensor, similar: Tensor, margin: float) -> Tensor:
    """Contrastive loss over all pairs i < j of ``f`` (B, D); ``similar`` (B, B) says which belong together.

    The mean of ½ ‖f_i − f_j‖² over similar pairs, plus that of ½ max(0, α − ‖f_i − f_j‖)² over all others; 0 for a
    kind of which there is no pair.
    """
    i, j = torch.triu_indices(len(f), len(f), 1, device=f.device)
    squared, together = (f[i] - f[j]).square().sum(1), similar[i, j]
    apart = (margin - (squared + 1e-12).sqrt()).clamp(min=0).square()  # + 1e-12: a finite gradient where equal
    pulled = (squared * together).sum() / together.sum().clamp(min=1)
    pushed = (apart * ~together).sum() / (~together).sum().clamp(min=1)
    return 0.5 * (pulled + pushed)
