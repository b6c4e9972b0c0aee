"""One training in memory: its steps, its losses, its evaluation and its checkpoint (sections 3.4 and 4.2)."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gndl.device import autocast
from gndl.files import GndlError, atomic_write
from gndl.methods import MethodSettings, build_method
from gndl.methods.weights import load_backbone_weights
from gndl.model import Method, Output
from gndl.pairs import Batch, DevicePairs, FacePairs
from gndl.profiles import Precision, TrainSettings
from gndl.runs import require_same

EVALUATION_BATCH = 256
EVALUATION_PIXELS = 64 * 224 * 224
"""Maximum of pixels in an evaluation batch, so that 224-pixel faces stay well below a gibibyte of activations."""
LOSS_CHECK_STEPS = 50
"""Steps between two looks at the losses: each look waits for the device."""
ADVICE = "Lower the learning rate or λ, or use fp32; the last checkpoint, if any, is from before."


class Diverged(GndlError):
    """A training ended because a loss or a prediction is not finite."""


def evaluate(
    method: Method,
    data: DevicePairs,
    index: NDArray[np.int64],
    precision: Precision = "fp32",
    *,
    with_neutral: bool = False,
    whole_sequences: bool = False,
) -> Tensor:
    """Logits (T, K) of the pairs in ``index``, in float32, by running statistics (ledger L5).

    The method sees examined faces only, unless ``with_neutral`` (for methods that declare ``needs_neutral_at_test``),
    and whole sequences where it declares ``whole_sequences``. It is left in evaluation mode.
    """
    options = {"with_neutral": with_neutral, "whole_sequences": whole_sequences}
    return evaluate_outputs(method, data, index, precision, ("logits",), **options)["logits"]


def evaluate_outputs(
    method: Method,
    data: DevicePairs,
    index: NDArray[np.int64],
    precision: Precision,
    names: Sequence[str],
    *,
    with_neutral: bool = False,
    whole_sequences: bool = False,
) -> dict[str, Tensor]:
    """Fields of `gndl.model.Output` (T, …) in the order of ``index``, without those that the method leaves None."""
    method.eval()
    batches = evaluation_batches(data, index, with_neutral=with_neutral, whole_sequences=whole_sequences)
    with torch.no_grad(), autocast(data.device, precision):
        outputs = (output_alone(method, batch.examined, batch.neutral, batch.sequence) for batch in batches)
        parts = [{name: getattr(output, name) for name in names} for output in outputs]
    given = {name: [part[name].float() for part in parts] for name in names if parts[0][name] is not None}
    joined = {name: torch.cat(values) for name, values in given.items()}
    if whole_sequences:
        place = torch.from_numpy(data.sequence_order(index)).argsort().to(data.device)
        joined = {name: values[place] for name, values in joined.items()}
    return joined


def evaluation_batches(data: DevicePairs, index: NDArray[np.int64], **options: bool) -> Iterator[Batch]:
    """The batches of `DevicePairs.evaluation_batches` in the size of every evaluation."""
    size = max(1, min(EVALUATION_BATCH, EVALUATION_PIXELS // data.images.shape[1] ** 2))
    return data.evaluation_batches(index, size, **options)


def output_alone(
    method: Method,
    examined: Tensor,
    neutral: Tensor | None = None,
    sequence: Tensor | None = None,
    **of_training: Tensor,
) -> Output:
    """What a method makes of faces (B, 3, S, S); without ``sequence`` each is a sequence of its own."""
    if sequence is None and method.whole_sequences:
        sequence = torch.arange(examined.shape[0], device=examined.device)
    output: Output = method(examined, neutral, *([] if sequence is None else [sequence]), **of_training)
    return output


class Trainer:
    """One training in memory: network, optimiser, data, and the history of its epochs."""

    def __init__(
        self,
        method: MethodSettings,
        pairs: FacePairs,
        train_index: NDArray[np.int64],
        test_index: NDArray[np.int64],
        settings: TrainSettings,
        *,
        lam: float | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        weights: Path | None = None,
        weights_partial: bool = False,
        dev_index: NDArray[np.int64] | None = None,
    ) -> None:
        self.method, self.pairs, self.settings, self.lam, self.seed = method, pairs, settings, lam, seed
        self.device, self.weights = torch.device(device), weights
        self.train_index, self.test_index, self.dev_index = train_index, test_index, dev_index
        self.network = build_method(method, len(pairs.expressions), lam, seed=seed)
        self.report = load_backbone_weights(self.network, weights, partial=weights_partial) if weights else None
        self.network.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = torch.optim.Adam(
            list(self.network.parameter_groups(settings.learning_rate)),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        self.lr_ratios = [group["lr"] / settings.learning_rate for group in self.optimizer.param_groups]
        self.generator = torch.Generator().manual_seed(seed)
        self.data = pairs.on(self.device, settings.image_size, mean=settings.input_mean, std=settings.input_std)
        independent = settings.augmentation.independent_noise or method.independent_noise
        self.augmentation = replace(settings.augmentation, independent_noise=independent)
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0

    def train_epoch(self, epoch: int) -> dict[str, Any]:
        """Train for one epoch, evaluate, and return the row of epochs.csv."""
        start, settings = time.perf_counter(), self.settings
        rate = settings.learning_rate  # constant: ledger L7
        if settings.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * (epoch - 1) / settings.epochs))
        for group, ratio in zip(self.optimizer.param_groups, self.lr_ratios, strict=True):
            group["lr"] = rate * ratio
        self.network.on_epoch(epoch, settings.epochs)
        row = {"epoch": epoch, **self.optimise(epoch), "accuracy_test": self.accuracy(self.test_index)}
        if self.dev_index is not None:
            row["accuracy_dev"] = self.accuracy(self.dev_index)
        self.history.append(row)
        self.seconds += time.perf_counter() - start
        return row

    def optimise(self, epoch: int) -> dict[str, float | None]:
        """Take one epoch of steps; losses and accuracy are summed on the device and read once, at the end."""
        self.network.train()
        settings, optimizer = self.settings, self.optimizer
        # Per pair: loss, loss_cls, loss_neu, correct, and the method's own parts.
        sums = torch.zeros((), dtype=torch.float64, device=self.device)
        rows: list[Tensor] = []
        seen, has_neu, names = 0, False, list[str]()
        for batch in self.data.training_batches(
            self.train_index, settings.batch_size, self.generator, self.augmentation,
            with_neutral=self.method.images_per_pair > 1, whole_sequences=self.method.whole_sequences,
            with_subject=self.method.needs_subject,
        ):  # fmt: skip
            subject = {} if batch.subject is None else {"subject": batch.subject}
            optimizer.zero_grad(set_to_none=True)
            with autocast(self.device, settings.precision):
                output = output_alone(self.network, batch.examined, batch.neutral, batch.sequence, **subject)
                losses = self.network.loss(output, batch.label)
            losses.total.backward()
            optimizer.step()
            with torch.no_grad():
                if (rows and list(losses.parts) != names) or {"cls", "neu"} & losses.parts.keys():
                    raise GndlError(
                        f"{self.method.name}: the parts of its losses must have the same names in every batch, none of "
                        f'them "cls" or "neu", got {", ".join(losses.parts) or "none"}.'
                    )
                size, has_neu, names = len(batch.label), losses.neu is not None, list(losses.parts)
                neu = losses.total.new_zeros(()) if losses.neu is None else losses.neu
                correct = (output.logits.argmax(1) == batch.label).double().mean()
                row = [losses.total, losses.cls, neu, correct, *losses.parts.values()]
                rows.append(torch.stack([value.double() for value in row]))
                sums = sums + size * rows[-1]
                seen += size
            if len(rows) % LOSS_CHECK_STEPS == 0:
                self._require_finite(sums[0], rows, epoch)
        self._require_finite(sums[0], rows, epoch)
        total, cls, neu_mean, accuracy, *parts = (sums / seen).tolist()
        named = {f"loss_{name}": part for name, part in zip(names, parts, strict=True)}
        main = {"loss": total, "loss_cls": cls, "loss_neu": neu_mean if has_neu else None}
        return {**main, **named, "accuracy_train": accuracy}

    def _require_finite(self, sum_of_losses: Tensor, rows: list[Tensor], epoch: int) -> None:
        """Raise `Diverged` naming the first step of the epoch whose loss is not finite."""
        if not math.isfinite(sum_of_losses):
            losses = torch.stack(rows).cpu()
            step = int((~losses[:, 0].isfinite()).int().argmax())
            untrained = "No step had been taken yet, so it is the method or λ, not the learning rate."
            advice = ADVICE if step or self.history else untrained
            total, cls, neu, *_ = losses[step].tolist()
            raise Diverged(
                f"The loss of {self.method.name} is not finite at step {step + 1} of epoch {epoch} (total {total:g}, "
                f"classification {cls:g}, neutral {neu:g}). {advice}"
            )

    def accuracy(self, index: NDArray[np.int64]) -> float:
        """Share of the pairs in ``index`` that are recognised, in [0, 1]."""
        correct = self.logits(index).argmax(1) == self.data.label[torch.from_numpy(index).to(self.device)]
        return float(correct.double().mean())

    def logits(self, index: NDArray[np.int64]) -> Tensor:
        """Logits (T, K) of the pairs in ``index``, with neutral faces only where the method declares to need them."""
        logits = evaluate(
            self.network, self.data, index, self.settings.precision,
            with_neutral=self.method.needs_neutral_at_test, whole_sequences=self.method.whole_sequences,
        )  # fmt: skip
        if not logits.isfinite().all():  # the weights of the last step, which is in no loss yet
            raise Diverged(f"The predictions of {self.method.name} are not finite, although its losses are. {ADVICE}")
        return logits

    def save(self, path: Path, identity: dict[str, Any]) -> None:
        """Write everything that training resumes from, between two epochs."""
        on_cuda = self.device.type == "cuda"
        state = {
            "identity": identity,
            "model": dict(self.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "torch_random": [torch.get_rng_state(), *([torch.cuda.get_rng_state(self.device)] if on_cuda else [])],
            "history": self.history,
            "seconds": self.seconds,
        }
        content = io.BytesIO()  # torch's own error for a full disk does not say so
        torch.save(state, content)
        with atomic_write(path) as temporary:
            temporary.write_bytes(content.getbuffer())

    def resume(self, path: Path, identity: Mapping[str, Any]) -> None:
        """Return to what `save` wrote, if there is anything; `GndlError` where it belongs to another run."""
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle makes the unpickler raise anything
            raise GndlError(f"{path}: is damaged; delete it to train this run from its first epoch.") from error
        require_same(path, state["identity"], identity, len(state["history"]), self.settings.epochs)
        self.network.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch_random"][0])
        if self.device.type == "cuda":
            torch.cuda.set_rng_state(state["torch_random"][1], self.device)
        self.history, self.seconds = state["history"], state["seconds"]
