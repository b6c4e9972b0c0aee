"""Backbone weights from a file: torchvision's ImageNet ones, or the MS-Celeb-1M ones common in this field (ledger L8).

torchvision's are https://download.pytorch.org/models/resnet18-f37072fd.pth (45 MB). Both expect ImageNet's input
normalisation: torchvision documents it for its own, and for ResNet-18 trained on MS-Celeb-1M
(``resnet18_msceleb.pth``) the public code of SCN and DAN uses it. The public code of Frame Attention Networks
(``Resnet18_MS1M``) feeds plain [0, 1]; for those weights set ``input_mean`` to zeros, ``input_std`` to ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gndl.files import GndlError, hash_file
from gndl.methods import weights_name

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "backbone.", "encoder.", "model.")
_LEAST_MATCH = 0.9
_BLOCK = re.compile(r"layer\d+\.\d+\.(conv|bn|downsample)")


@dataclass(frozen=True)
class WeightsReport:
    """How a weights file was used; kept in run.json."""

    name: str
    """Part of the variant's name."""
    sha256: str
    matched: int
    """Tensors of the backbone that were found in the file, of ``expected``."""
    expected: int
    missed: tuple[str, ...]
    """Tensors that the file lacks, or has in another shape; they stay as they were initialised."""
    unused: tuple[str, ...]
    """Tensors of the file that the backbone has no place for, such as ``fc``."""


def load_backbone_weights(method: nn.Module, path: Path) -> WeightsReport:
    """Start ``method.backbone``, which has torchvision's names, from the weights in ``path``.

    Accepts a ResNet-18 state dict as ``.safetensors`` or as a torch file, nested in ``state_dict`` or not, with
    ``module.`` and similar prefixes or not, and with an ``fc`` of any size. Nothing in the file is executed.
    """
    backbone = getattr(method, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise GndlError(f"{path}: {type(method).__name__} has no backbone that could start from it.")
    found = {_bare(key): value for key, value in _read_tensors(path).items()}
    wanted = backbone.state_dict()
    # Counters of batches seen are absent from older files and play no part with a fixed momentum.
    expected = [key for key in wanted if not key.endswith("num_batches_tracked")]
    for key in expected:  # a second set of running statistics (ledger L4) starts from the only one there is
        twin = key.replace("neutral_running_", "running_")
        if twin in found:
            found.setdefault(key, found[twin])
    fitting = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    missed = tuple(key for key in expected if key not in fitting)
    unused = tuple(sorted(key for key in found if key not in fitting))
    report = WeightsReport(
        weights_name(path), hash_file(path), len(expected) - len(missed), len(expected), missed, unused
    )
    if report.matched < _LEAST_MATCH * report.expected:
        raise GndlError(
            f"{path}: holds {report.matched} of the backbone's {report.expected} tensors, so it is not a ResNet-18 "
            f"state dict; its first keys are {', '.join(sorted(found)[:3]) or 'none'}."
        )
    deeper = [key for key in unused if key not in wanted and _BLOCK.match(key)]
    if deeper:
        raise GndlError(
            f"{path}: holds blocks that a ResNet-18 does not have ({', '.join(deeper[:3])}), so it is of another "
            "architecture, such as a ResNet-34; use the weights of a ResNet-18."
        )
    backbone.load_state_dict(fitting, strict=False)
    return report


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise GndlError(f"{path}: no such weights file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever it meets
        raise GndlError(
            f"{path}: is not a file of plain tensors ({type(error).__name__}). Files that would execute code are "
            "refused: load it where you trust it and save its state_dict with safetensors.torch.save_file."
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise GndlError(f"{path}: holds a {type(content).__name__}, not a state dict.")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _bare(key: str) -> str:
    while key.startswith(_PREFIXES):
        key = key.split(".", 1)[1]
    return key
