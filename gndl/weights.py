"""Backbone weights from a file: torchvision's ImageNet ones, or the MS-Celeb-1M ones that this field uses (ledger L8).

Both kinds go with the input normalisation of ImageNet. torchvision documents it for its own; for ResNet-18 trained on
MS-Celeb-1M (``resnet18_msceleb.pth``) the public code of SCN and DAN feeds pixels in [0, 1] normalised by ImageNet's
mean and standard deviation. The public code of Frame Attention Networks (``Resnet18_MS1M``) feeds plain [0, 1]: for
those weights set ``input_mean`` to zeros and ``input_std`` to ones.
"""

from __future__ import annotations

import re
import urllib.error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import ResNet18_Weights

from gndl.errors import GndlError
from gndl.files import hash_file, written_aside

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "backbone.", "encoder.", "model.")
_TORCHVISION_HASHES = ("f37072fd", "5c106cde")
_LEAST_MATCH = 0.9
_BLOCK = re.compile(r"layer\d+\.\d+\.(conv|bn|downsample)")


@dataclass(frozen=True)
class WeightsReport:
    """What became of a weights file; kept in run.json.

    Parameters
    ----------
    name : str
        Part of the variant's name.
    sha256 : str
        Of the file.
    matched, expected : int
        Tensors of the backbone that were found in the file, and that it has.
    missed : tuple of str
        Tensors of the backbone that the file lacks, or has in another shape; they stay as they were initialised.
    unused : tuple of str
        Tensors of the file that the backbone has no place for, such as ``fc``.
    """

    name: str
    sha256: str
    matched: int
    expected: int
    missed: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.name}: {self.matched} of {self.expected} tensors of the backbone matched"
        if self.missed:
            text += f"; missed: {', '.join(self.missed)}"
        return text + (f"; unused: {', '.join(self.unused)}" if self.unused else "")


def weights_name(path: Path) -> str:
    """Return a file's short name: ``"msceleb"`` for ``resnet18_msceleb.pth``, ``"imagenet"`` for torchvision's."""
    stem = path.name.lower()
    for suffix in (".tar", ".pth", ".pt", ".safetensors", ".bin"):
        stem = stem.removesuffix(suffix)
    if any(known in stem for known in _TORCHVISION_HASHES):
        return "imagenet"
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"resnet-?_?18", "", stem)).strip("-")
    return slug or "pretrained"


def load_backbone_weights(method: nn.Module, path: Path) -> WeightsReport:
    """Start ``method.backbone`` from the weights in ``path``.

    Accepts a ResNet-18 state dict, nested in ``state_dict`` or not, with ``module.`` and like prefixes or not, and
    with an ``fc`` of any size, as ``.safetensors`` or as a torch file; nothing in the file is ever executed.

    Parameters
    ----------
    method : nn.Module
        With a ``backbone`` in torchvision's names.
    path : Path

    Returns
    -------
    WeightsReport

    Raises
    ------
    GndlError
        Naming the file, where it cannot be read or fewer than nine tenths of the backbone are found in it.
    """
    backbone = getattr(method, "backbone", None)
    if not isinstance(backbone, nn.Module):
        raise GndlError(f"{path}: cannot be used, {type(method).__name__} has no backbone to start from it.")
    found = {_bare(key): value for key, value in _read_tensors(path).items()}
    wanted = backbone.state_dict()
    # Counters of batches seen are absent from older files and play no part with a fixed momentum.
    expected = [key for key in wanted if not key.endswith("num_batches_tracked")]
    for key in expected:  # a second set of running statistics (ledger L4) starts from the only one there is
        if ".neutral_running_" in key and key not in found:
            twin = key.replace("neutral_running_", "running_")
            if twin in found:
                found[key] = found[twin]
    fitting = {key: found[key] for key in wanted if key in found and found[key].shape == wanted[key].shape}
    missed = tuple(key for key in expected if key not in fitting)
    unused = tuple(sorted(key for key in found if key not in fitting))
    report = WeightsReport(
        weights_name(path), hash_file(path), len(expected) - len(missed), len(expected), missed, unused
    )
    if report.matched < _LEAST_MATCH * report.expected:
        raise GndlError(
            f"{path}: holds {report.matched} of the backbone's {report.expected} tensors, so it is hardly a ResNet-18 "
            f"state dict; its first keys are {', '.join(sorted(found)[:3]) or 'none'}."
        )
    deeper = [key for key in unused if key not in wanted and _BLOCK.match(key)]
    if deeper:
        raise GndlError(
            f"{path}: holds blocks that a ResNet-18 has not ({', '.join(deeper[:3])}), so it is of another "
            "architecture, such as a ResNet-34; give the weights of a ResNet-18."
        )
    backbone.load_state_dict(fitting, strict=False)
    return report


def fetch_imagenet_weights(folder: Path) -> Path:
    """Download torchvision's ImageNet weights (45 MB) into ``folder``, unless they are there; return the path.

    Raises
    ------
    GndlError
        Where the download fails or does not have the published hash.
    """
    url = ResNet18_Weights.IMAGENET1K_V1.url
    path = folder / url.rsplit("/", 1)[1]
    if path.exists():
        return path
    try:
        with written_aside(path) as aside:
            torch.hub.download_url_to_file(url, str(aside), hash_prefix=_TORCHVISION_HASHES[0])
    except (OSError, RuntimeError, urllib.error.URLError) as error:
        raise GndlError(f"{path}: could not be fetched from {url} ({error}).") from error
    return path


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise GndlError(f"{path}: there is no such weights file.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle makes the unpickler raise whatever it meets
        raise GndlError(
            f"{path}: is no file of plain tensors ({type(error).__name__}). Files that would execute code are refused; "
            "load it where you trust it and save its state_dict with safetensors.torch.save_file."
        ) from error
    for key in _NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise GndlError(f"{path}: holds a {type(content).__name__}, not a state dict.")
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _bare(key: str) -> str:
    """Return ``key`` without the prefixes that wrappers leave, however many."""
    while key.startswith(_PREFIXES):
        key = key.split(".", 1)[1]
    return key
