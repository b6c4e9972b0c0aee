"""GNDL and its baseline, equation by equation (sections 3.2 to 3.4, Fig. 2 and Fig. 5).

Notation: B pairs of S × S pixels, K classes; ``examined`` and ``neutral`` are x_exam and x_neu, ``f_exam``, ``f_neu``
and ``f_gen`` are F_exam, F_neu and F'_neu, ``deviation`` is F_exp-d, ``lam`` is λ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gndl.files import GndlError

if TYPE_CHECKING:
    from gndl.pairs import FacePairs

FEATURES = 512
"""Channels of the examined feature vector (section 4.2)."""

Reduction = Literal["mean", "channel-sum", "sum"]
Group = Literal["both", "examined", "neutral"]


@dataclass(frozen=True)
class Output:
    """Result of a method for B examined faces.

    Parameters
    ----------
    logits : tensor (B, K)
    f_exam : tensor (B, 512)
    f_neu : tensor (B, 512) or None
        Features of the real neutral faces; None where the method saw none.
    f_gen : tensor (B, 512) or None
        Generated neutral features; None without a generator.
    deviation : tensor (B, D) or None
        What tells the face from its neutral one, F_exp-d of Eq. 7 in GNDL; None for methods that compare with none.
    """

    logits: Tensor
    f_exam: Tensor
    f_neu: Tensor | None = None
    f_gen: Tensor | None = None
    deviation: Tensor | None = None


@dataclass(frozen=True)
class Losses:
    """Losses of one batch, each a scalar tensor; ``neu`` is None for methods without a reconstruction loss.

    ``parts`` are further terms, the same in every batch: NAME is the column ``loss_NAME`` of epochs.csv.
    """

    total: Tensor
    cls: Tensor
    neu: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Method(nn.Module, ABC):
    """The interface that training and evaluation use; derive your own method from it.

    Name your class by ``--method FILE.py:CLASS`` or `gndl.register_method`; the package's own methods use nothing else.
    Whatever a method keeps between epochs belongs in parameters or buffers, so that an interrupted run resumes with it.
    """

    needs_neutral_at_test: bool = False
    """Whether evaluation sees the neutral face; tables list such a method separately."""
    uses_lam: bool = False
    """Whether λ enters the loss."""
    images_per_pair: int = 2
    """1 where training uses examined faces only."""
    whole_sequences: bool = False
    """Whether all examined frames of a sequence are in one batch, in training and at test; ``forward`` then also gets
    ``sequence``, an int tensor (B,) that numbers the batch's sequences from 0."""
    independent_noise: bool = False
    """Whether training draws the noise of a pair's two faces independently, whatever the settings say."""
    needs_subject: bool = False
    """Whether ``forward`` gets ``subject`` in training, an int tensor (B,) that numbers the database's subjects;
    evaluation never gives it."""
    depends_on_epochs: bool = False
    """Whether ``on_epoch`` divides the epochs into stages: then their number is part of a run's identity."""
    epochs_factor: float = 1.0
    """How many times a study's epochs a run lasts, where a stage precedes the one that learns to classify."""
    side_multiple: int = 1
    """Faces must be a multiple of this many pixels wide, 32 where pictures are drawn."""
    takes_weights: bool = True
    """Whether it has a ``backbone``, a ResNet-18 that can start from weights in a file."""
    rearrange: ClassVar[Callable[..., FacePairs] | None] = None
    """``rearrange(pairs, train_index)``, a static method, returns the pairs to train on where they differ from the
    database's. It may give training samples other neutral faces of training samples, and change nothing else."""

    @abstractmethod
    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Return logits and features of ``examined`` (B, 3, S, S).

        ``neutral`` is given in training where ``images_per_pair`` is 2, and at test where ``needs_neutral_at_test``.
        """

    def parameter_groups(self, learning_rate: float) -> Iterable[dict[str, Any]]:
        """Return Adam's parameter groups; a group's own ``lr`` keeps its ratio to ``learning_rate``.

        A group may have ``betas`` and ``weight_decay`` of its own, which replace those of the settings.
        """
        return [{"params": list(self.parameters())}]

    def on_epoch(self, epoch: int, epochs: int) -> None:
        """Called before ``epoch`` (from 1) of ``epochs``, for example to unfreeze a layer."""

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """Cross-entropy of Eq. 9 over the softmax of Eq. 10, averaged over the batch."""
        cls = F.cross_entropy(output.logits, labels)
        return Losses(total=cls, cls=cls)


class NeutralFeatureGenerator(nn.Module):
    """G of Eq. 7: from the feature of any expression to the neutral feature of the same face (section 3.3, Fig. 5).

    Parameters
    ----------
    channels : int
        Channels of the input and of the output.
    slope : float
        Negative slope of every LeakyReLU (ledger L7).
    decoder_layers : int
        Fully connected layers after the interpolation, each with its LeakyReLU (ledger L6).
    """

    def __init__(self, channels: int = FEATURES, slope: float = 0.01, decoder_layers: int = 2) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(channels, channels // 2), nn.LeakyReLU(slope))
        self.upsample = nn.Upsample(scale_factor=2, mode="nearest")
        self.decoder = nn.Sequential(
            *(layer for _ in range(decoder_layers) for layer in (nn.Linear(channels, channels), nn.LeakyReLU(slope)))
        )

    def forward(self, f_exam: Tensor) -> Tensor:
        """Return F'_neu (B, 512) for F_exam (B, 512)."""
        code = self.encoder(f_exam)  # (B, 512) -> (B, 256)
        doubled = self.upsample(code.unsqueeze(1)).squeeze(1)  # (B, 256) -> (B, 512), every channel twice
        return self.decoder(doubled)  # (B, 512) -> (B, 512)


class SeparateBatchNorm2d(nn.BatchNorm2d):
    """Batch-norm that normalises examined and neutral faces each by their own statistics (option of ledger L4).

    Both share γ and β. The inherited running statistics are those of the examined faces, ``neutral_running_mean`` and
    ``neutral_running_var`` those of the neutral ones. ``group`` says what the next input holds: ``"both"`` (examined
    first, then as many neutral), ``"examined"`` or ``"neutral"``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.group: Group = "examined"
        self.neutral_running_mean: Tensor
        self.neutral_running_var: Tensor
        self.register_buffer("neutral_running_mean", torch.zeros(channels))
        self.register_buffer("neutral_running_var", torch.ones(channels))

    def forward(self, input: Tensor) -> Tensor:
        """Normalise (2B, C, H, W) in halves, or (B, C, H, W) of one group."""
        if self.group == "examined":
            return super().forward(input)
        if self.group == "neutral":
            return self._neutral(input)
        examined, neutral = input.chunk(2)
        return torch.cat([super().forward(examined), self._neutral(neutral)])

    def _neutral(self, input: Tensor) -> Tensor:
        mean, var = self.neutral_running_mean, self.neutral_running_var
        return F.batch_norm(input, mean, var, self.weight, self.bias, self.training, self.momentum or 0.0, self.eps)


def resnet18_backbone(norm_layer: Callable[..., nn.Module] | None = None) -> nn.Module:
    """Return torchvision's ResNet-18, randomly initialised (ledger L8), up to its average pooling.

    It maps (B, 3, S, S) to (B, 512); its state dict has torchvision's own names, without ``fc``.
    """
    from torchvision.models import resnet18  # takes as long to import as torch itself

    backbone = resnet18(weights=None, norm_layer=norm_layer)
    backbone.fc = nn.Identity()
    return backbone


def last_map(backbone: nn.Module, faces: Tensor) -> Tensor:
    """The map (B, 512, S/32, S/32) that a ResNet-18 averages, of ``faces`` (B, 3, S, S)."""
    for layer in list(backbone.children())[:-2]:  # all but avgpool and fc
        faces = layer(faces)
    return faces


class ResNetBaseline(Method):
    """The paper's baseline: ResNet-18 on the examined face alone (Table 1).

    Parameters
    ----------
    n_classes : int
        K.
    bias : bool
        Bias of the classifier; Eq. 10 shows none (ledger L20).
    joint_norm : bool
        True lets batch-norm see the neutral faces too, in training, and changes nothing else (ledger L21).
    """

    images_per_pair = 1

    def __init__(self, n_classes: int, *, bias: bool = True, joint_norm: bool = False) -> None:
        super().__init__()
        self.joint_norm = joint_norm
        if joint_norm:
            self.images_per_pair = 2
        self.backbone = resnet18_backbone()
        self.classifier = nn.Linear(FEATURES, n_classes, bias=bias)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify ``examined`` (B, 3, S, S) by its features."""
        if self.training and self.joint_norm:
            faces = torch.cat([examined, given(neutral)])  # (2B, 3, S, S)
            f_exam = self.backbone(faces)[: len(examined)]
        else:
            f_exam = self.backbone(examined)
        with torch.autocast(examined.device.type, enabled=False):
            f_exam = f_exam.to(self.classifier.weight.dtype)
            return Output(logits=self.classifier(f_exam), f_exam=f_exam)


class GNDL(Method):
    """Generative Neutral Features-Disentangled Learning (section 3, Fig. 2).

    Parameters
    ----------
    n_classes : int
        K.
    lam : float
        λ of Eq. 11.
    reduction : {"mean", "channel-sum", "sum"}
        Eq. 8 averaged over samples and channels, over samples only, or over neither (ledger L2).
    stop_gradient : {None, "target"}
        ``"target"`` keeps the gradient of Eq. 8 from reaching F_neu (ledger L3).
    joint_norm : bool
        Eq. 4 to 6: batch-norm over examined and neutral faces together; False normalises each group by its own
        statistics (ledger L4).
    bias : bool
        Bias of the classifier; Eq. 10 shows none (ledger L20).
    slope, decoder_layers : float, int
        As for :class:`NeutralFeatureGenerator`.
    """

    uses_lam = True

    def __init__(
        self,
        n_classes: int,
        lam: float,
        *,
        reduction: Reduction = "mean",
        stop_gradient: Literal["target"] | None = None,
        joint_norm: bool = True,
        bias: bool = True,
        slope: float = 0.01,
        decoder_layers: int = 2,
    ) -> None:
        super().__init__()
        if reduction not in ("mean", "channel-sum", "sum"):
            raise GndlError(f'Reduction "{reduction}" is unknown; use "mean", "channel-sum" or "sum" (ledger L2).')
        if stop_gradient not in (None, "target"):
            raise GndlError(f'stop_gradient "{stop_gradient}" is unknown; use None or "target" (ledger L3).')
        self.lam = lam
        self.reduction = reduction
        self.stop_gradient = stop_gradient
        # Backbone and classifier come first, as in the baseline, so that one seed starts both from the same weights.
        self.backbone = resnet18_backbone(None if joint_norm else SeparateBatchNorm2d)
        self.classifier = nn.Linear(FEATURES, n_classes, bias=bias)
        self.generator = NeutralFeatureGenerator(FEATURES, slope, decoder_layers)

    def forward(self, examined: Tensor, neutral: Tensor | None = None) -> Output:
        """Classify the deviation of ``examined`` from the neutral feature generated for it.

        Both inputs are (B, 3, S, S). In training the neutral faces take part in batch-norm (Eq. 4 to 6) and are the
        generator's target; in evaluation ``neutral`` is never read (section 3.1).
        """
        f_neu = None
        if self.training:
            faces = torch.cat([examined, given(neutral)])  # (2B, 3, S, S): one pass, one set of statistics
            f_exam, f_neu = self._features(faces, "both").chunk(2)  # 2 × (B, 512)
        else:
            f_exam = self._features(examined, "examined")  # (B, 512)
        return self._classified(f_exam, f_neu)

    def loss(self, output: Output, labels: Tensor) -> Losses:
        """L_total = L_cls + λ L_neu (Eq. 11), with L_cls of Eq. 9 and L_neu of Eq. 8 as read by ledger L1 and L2."""
        if output.f_neu is None or output.f_gen is None:
            raise GndlError("GNDL's loss needs the features of the neutral faces: call it in training mode.")
        cls = F.cross_entropy(output.logits, labels)  # Eq. 9 and 10
        target = output.f_neu.detach() if self.stop_gradient == "target" else output.f_neu
        distance = (target - output.f_gen).abs()  # (B, 512); Eq. 8 between F_neu and F'_neu
        if self.reduction == "sum":
            neu = distance.sum()
        elif self.reduction == "channel-sum":
            neu = distance.sum(dim=1).mean()
        else:
            neu = distance.mean()
        return Losses(total=cls + self.lam * neu, cls=cls, neu=neu)

    @torch.no_grad()
    def neutral_features(self, neutral: Tensor) -> Tensor:
        """Return F_neu (B, 512) of real neutral faces in evaluation, to compare with F'_neu (Fig. 8)."""
        if self.training:
            raise GndlError("neutral_features needs evaluation mode: call eval() first.")
        return self._features(neutral, "neutral")

    def _classified(self, f_exam: Tensor, f_neu: Tensor | None) -> Output:
        # In full precision: Eq. 7 subtracts similar numbers, which leaves few of bf16's eight bits.
        with torch.autocast(f_exam.device.type, enabled=False):
            f_gen = self.generator(f_exam)  # (B, 512)
            deviation = f_exam - f_gen  # Eq. 7
            logits = self.classifier(deviation)  # (B, K), θ_k · F_exp-d of Eq. 10
        return Output(logits, f_exam, f_neu, f_gen, deviation)

    def _features(self, faces: Tensor, group: Group) -> Tensor:
        for module in self.backbone.modules():
            if isinstance(module, SeparateBatchNorm2d):
                module.group = group
        return self.backbone(faces).to(self.classifier.weight.dtype)


def stage_of(epoch: int, epochs: int, share: float) -> int:
    """Stage of ``epoch`` (from 1), 1 or 2: the first lasts about ``share`` of ``epochs``, and each at least one."""
    if epochs < 2:
        raise GndlError(f"A method of two stages needs at least 2 epochs, got {epochs}.")
    return 1 if epoch <= min(max(1, round(share * epochs)), epochs - 1) else 2


def given(neutral: Tensor | None) -> Tensor:
    """The neutral faces; `GndlError` where there are none."""
    if neutral is None:
        raise GndlError("This method needs the neutral face of every pair here.")
    return neutral
