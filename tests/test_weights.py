"""Backbone weights load from both conventions of the field, and execute nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from gndl.files import GndlError
from gndl.methods import build_method, variant_name, weights_name
from gndl.methods.weights import load_backbone_weights


@pytest.fixture(scope="module")
def torchvision_weights() -> dict[str, torch.Tensor]:
    """The state dict of a ResNet-18 with 1,000 classes and running statistics that are not the defaults."""
    torch.manual_seed(11)
    state = resnet18(weights=None).state_dict()
    return {key: torch.rand_like(value) if "running" in key else value for key, value in state.items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def test_weights_of_both_conventions_load_from_both_kinds_of_files(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """torchvision's, and a nested ``state_dict`` with ``module.`` prefixes, a larger ``fc`` and no counters."""
    save_file(torchvision_weights, tmp_path / "resnet18-5c106cde.safetensors")
    nested = {f"module.{key}": value for key, value in torchvision_weights.items() if "tracked" not in key}
    nested |= {"module.fc.weight": torch.zeros(8631, 512), "module.feature.weight": torch.zeros(2)}
    files = {
        saved(tmp_path / "resnet18-f37072fd.pth", torchvision_weights): "imagenet",
        tmp_path / "resnet18-5c106cde.safetensors": "imagenet",
        saved(tmp_path / "resnet18_msceleb.pth", {"epoch": 3, "state_dict": nested}): "msceleb",
    }
    separate = build_method("gndl-no-joint-norm", 7, 5.0)  # two sets of running statistics start from the only one
    load_backbone_weights(separate, next(iter(files)))
    norm = separate.get_submodule("backbone.layer3.0.bn1")
    assert torch.equal(norm.neutral_running_var, torchvision_weights["layer3.0.bn1.running_var"])
    for path, name in files.items():
        method = build_method("gndl", 7, 5.0)
        report = load_backbone_weights(method, path)
        own = method.get_submodule("backbone").state_dict()
        assert all(torch.equal(torchvision_weights[key], own[key]) for key in own if "tracked" not in key)
        assert (report.matched, report.expected, report.missed, report.name) == (100, 100, (), name)
        assert set(report.unused) - {"feature.weight"} == {"fc.bias", "fc.weight"}
        assert variant_name("gndl", path) == f"gndl-{name}"


def test_missed_tensors_are_reported_and_stay_as_initialised(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """One tensor absent, one of another shape."""
    state = dict(torchvision_weights)
    del state["layer4.1.conv2.weight"]
    state["conv1.weight"] = torch.zeros(64, 1, 7, 7)
    method, fresh = build_method("baseline", 7), build_method("baseline", 7)
    report = load_backbone_weights(method, saved(tmp_path / "grey.pt", state))
    assert report.missed == ("conv1.weight", "layer4.1.conv2.weight") and report.matched == 98
    for key in report.missed:
        assert torch.equal(method.get_parameter(f"backbone.{key}"), fresh.get_parameter(f"backbone.{key}"))


def test_files_that_are_not_resnet18_weights_are_refused_by_name(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """Other networks, other contents, no file, and files that would execute code."""
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    refused = {
        saved(tmp_path / "vgg.pt", {"features.0.weight": torch.zeros(3)}): "holds 0 of the backbone's 100 tensors",
        saved(tmp_path / "list.pt", [1, 2]): "holds a list",
        saved(tmp_path / "whole.pt", torch.nn.Linear(2, 2)): "is not a file of plain tensors.*would execute code",
        saved(
            tmp_path / "deeper.pt", torchvision_weights | {"layer1.2.conv1.weight": torch.zeros(1)}
        ): ".*such as a ResNet-34",
        tmp_path / "cut.safetensors": "is not a file of plain tensors",
        tmp_path / "none.pt": "no such weights file",
    }
    for path, said in refused.items():
        with pytest.raises(GndlError, match=f"{path.name}: {said}"):
            load_backbone_weights(build_method("baseline", 7), path)


def test_names_of_weights_can_be_parts_of_folder_names() -> None:
    """Lower case, hyphens, without the architecture's name."""
    expected = {
        "resnet18-f37072fd.pth": "imagenet", "resnet18_msceleb.pth": "msceleb", "resnet18.pth": "pretrained",
        "Resnet18_MS1M_pytorch.pth.tar": "ms1m-pytorch", "My faces (v2).safetensors": "my-faces-v2",
    }  # fmt: skip
    assert {name: weights_name(Path(name)) for name in expected} == expected
