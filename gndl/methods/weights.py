"""Backbone weights from a file: torchvision's ImageNet ones, or the MS-Celeb-1M ones common in this field (ledger L8).

torchvision's are https://download.pytorch.org/models/resnet18-f37072fd.pth (45 MB). Both expect ImageNet's input
normalisation: torchvision documents it for its own, and for ResNet-18 trained on MS-Celeb-1M
(``resnet18_msceleb.pth``) the public code of SCN and DAN uses it. The public code of Frame Attention Networks
(``Resnet18_MS1M``) feeds plain [0, 1]; for those weights set ``input_mean`` to zeros, ``input_std`` to ones.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from gndl.files import GndlError, hash_file
from gndl.methods import weights_name
from gndl.model import ResNetBaseline

_PREFIXES = ("module.", "backbone.", "encoder.", "model.", "net.")
_USUAL = ("state_dict", "model_state_dict", "model")
"""Where training scripts keep the network among other state dicts."""
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

    def __str__(self) -> str:
        rest = [("left as initialised", self.missed), ("of no use here", self.unused)]
        return "; ".join(
            [f"{self.matched} of the backbone's {self.expected} tensors matched"]
            + [f"{what}: {', '.join(names)}" for what, names in rest if names]
        )


def load_backbone_weights(method: nn.Module, path: Path, *, partial: bool = False) -> WeightsReport:
    """Start ``method.backbone``, which has torchvision's names, from the weights in ``path``.

    Accepts a ResNet-18 state dict in a safetensors or torch file, nested or not, with ``module.`` and similar prefixes
    or not, and with an ``fc`` of any size. Nothing in the file is executed. `GndlError` where a layer is missing or has
    another shape, unless ``partial`` leaves it as initialised.
    """
    backbone = getattr(method, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise GndlError(f"{path}: {type(method).__name__} has no backbone that could start from it.")
    wanted = backbone.state_dict()
    # Counters of batches seen are absent from older files and play no part with a fixed momentum.
    expected = [key for key in wanted if not key.endswith("num_batches_tracked")]
    found = _best_matching(path, _state_dicts(_read(path)), expected)
    for key in expected:  # a second set of running statistics (ledger L4) starts from the only one there is
        twin = key.replace("neutral_running_", "running_")
        if twin in found:
            found.setdefault(key, found[twin])
    fitting = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    missed = tuple(key for key in expected if key not in fitting)
    unused = tuple(sorted(found.keys() - wanted.keys()))
    if len(missed) == len(expected):
        raise GndlError(
            f"{path}: holds none of the backbone's tensors; its first are {', '.join(sorted(found)[:3])}. Use the "
            "state dict of a ResNet-18 with torchvision's names."
        )
    if deeper := [key for key in unused if _BLOCK.match(key)]:
        raise GndlError(
            f"{path}: holds blocks that a ResNet-18 does not have ({', '.join(deeper[:3])}), so it is of another "
            "architecture, such as a ResNet-34; use the weights of a ResNet-18."
        )
    if missed and not partial:
        shapes = {key: f"{tuple(found[key].shape)}" if key in found else "missing" for key in missed}
        listed = "; ".join(f"{key} is {shapes[key]}, not {tuple(wanted[key].shape)}" for key in missed[:5])
        raise GndlError(
            f"{path}: {len(missed)} of the backbone's {len(expected)} tensors do not fit ({listed}). Use weights that "
            "fit, or leave these tensors as initialised (--weights-partial)."
        )
    for key, value in fitting.items():
        if not value.isfinite().all():
            raise GndlError(f"{path}: {key} holds NaN or infinite values; the file is damaged, use another copy.")
    backbone.load_state_dict(fitting, strict=False)
    matched = len(expected) - len(missed)
    return WeightsReport(weights_name(path), hash_file(path), matched, len(expected), missed, unused)


def require_weights(path: Path, *, partial: bool = False) -> None:
    """Print how the file in ``path`` fits a ResNet-18; `GndlError` where it does not (`load_backbone_weights`)."""
    report = load_backbone_weights(ResNetBaseline(n_classes=2), path, partial=partial)
    print(f"{path}: {report}", file=sys.stderr)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise GndlError(f"{path}: no such weights file.")
    with path.open("rb") as file:
        head = file.read(200)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    members = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    if not head:
        problem = "is empty; download it again."
    elif text.startswith(b"<"):
        problem = "is a web page, not weights; download the file that the page offers."
    elif text.startswith(b"version https://git-lfs"):
        problem = "is a Git LFS pointer, not the weights themselves; run `git lfs pull`, or download the file itself."
    elif head.startswith(b"PK") and not members:
        problem = "is cut off; download it again."
    elif head.startswith(b"\x93NUMPY") or any(name.endswith(".npy") for name in members):
        problem = "holds NumPy arrays; save them under torchvision's names with safetensors.torch.save_file."
    else:
        try:
            return load_file(path) if head[8:9] == b"{" else torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged pickle makes the unpickler raise whatever it meets
            if "Unsupported global" in str(error) or "TorchScript" in str(error):
                problem = (
                    "holds more than tensors, and loading that would execute code; load it where you trust it and "
                    "save its state_dict with safetensors.torch.save_file."
                )
            else:
                problem = f"is damaged, or neither a safetensors nor a torch file ({type(error).__name__})."
    raise GndlError(f"{path}: {problem}")


def _state_dicts(content: Any, name: str = "") -> dict[str, dict[str, Tensor]]:
    if not isinstance(content, Mapping):
        return {}
    own = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    found = {name: own} if own else {}
    for key, value in content.items():
        found |= _state_dicts(value, f"{name}.{key}".strip("."))
    return found


def _best_matching(path: Path, found: dict[str, dict[str, Tensor]], expected: list[str]) -> dict[str, Tensor]:
    bare = {name: {_bare(key): value for key, value in tensors.items()} for name, tensors in found.items()}
    matches = {name: len(tensors.keys() & set(expected)) for name, tensors in bare.items()}
    best = [name for name in bare if matches[name] == max(matches.values())]
    best = [name for name in _USUAL if name in best] or best
    if not best:
        raise GndlError(f"{path}: holds no state dict; save the state_dict of a ResNet-18 in it.")
    if len(best) > 1 and matches[best[0]]:
        raise GndlError(f"{path}: holds several networks ({', '.join(best)}); save the state dict of one of them.")
    return bare[best[0]]


def _bare(key: str) -> str:
    while key.startswith(_PREFIXES):
        key = key.split(".", 1)[1]
    return key
