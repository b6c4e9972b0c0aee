"""Backbone weights load from both conventions of the field, and execute nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import resnet18

from gndl.errors import GndlError
from gndl.methods import build_method, variant_name
from gndl.weights import load_backbone_weights, weights_name


@pytest.fixture(scope="module")
def torchvision_weights() -> dict[str, torch.Tensor]:
    """The state dict of a ResNet-18 with 1,000 classes and running statistics that are not the defaults."""
    torch.manual_seed(11)
    state = resnet18(weights=None).state_dict()
    return {key: torch.rand_like(value) if "running" in key else value for key, value in state.items()}


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def same_backbone(method: torch.nn.Module, state: dict[str, torch.Tensor]) -> bool:
    own = method.get_submodule("backbone").state_dict()
    return all(torch.equal(value, own[key]) for key, value in state.items() if key in own and "tracked" not in key)


def test_torchvision_weights_load_from_torch_and_safetensors_files(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """All 100 tensors of the backbone match, ``fc`` is reported unused, and the variant is named after the file."""
    torch_file = saved(tmp_path / "resnet18-f37072fd.pth", torchvision_weights)
    save_file(torchvision_weights, tmp_path / "resnet18-5c106cde.safetensors")
    for path in (torch_file, tmp_path / "resnet18-5c106cde.safetensors"):
        method = build_method("gndl", 7, 5.0)
        report = load_backbone_weights(method, path)
        assert same_backbone(method, torchvision_weights)
        assert (report.matched, report.expected, report.missed) == (100, 100, ())
        assert report.unused == ("fc.bias", "fc.weight") and report.name == "imagenet"
        assert variant_name("gndl", path) == "gndl-imagenet"


def test_msceleb_weights_load_with_their_nesting_prefixes_and_other_fc(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """``state_dict`` with ``module.`` prefixes, a face-recognition ``fc``, and no counters of batches."""
    nested = {f"module.{key}": value for key, value in torchvision_weights.items() if "tracked" not in key}
    nested |= {"module.fc.weight": torch.zeros(8631, 512), "module.feature.weight": torch.zeros(2)}
    path = saved(tmp_path / "resnet18_msceleb.pth", {"epoch": 3, "arch": "resnet18", "state_dict": nested})
    method = build_method("baseline", 7)
    report = load_backbone_weights(method, path)
    assert same_backbone(method, torchvision_weights)
    assert report.matched == 100 and report.unused == ("fc.bias", "fc.weight", "feature.weight")
    assert variant_name("baseline", path) == "baseline-msceleb"


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
    assert "missed: conv1.weight" in str(report)
    for key in report.missed:
        assert torch.equal(method.get_parameter(f"backbone.{key}"), fresh.get_parameter(f"backbone.{key}"))


def test_separate_statistics_of_neutral_faces_start_from_the_same_ones(
    torchvision_weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """L4's option has two sets of running statistics; a file has one, which both start from."""
    method = build_method("gndl-no-joint-norm", 7, 5.0, weights=saved(tmp_path / "w.pt", torchvision_weights))
    norm = method.get_submodule("backbone.layer3.0.bn1")
    assert torch.equal(norm.neutral_running_var, torchvision_weights["layer3.0.bn1.running_var"])


def test_files_that_are_no_resnet18_weights_are_refused_by_name(tmp_path: Path) -> None:
    """Other networks, other contents, no file, and files that would execute code."""
    method = build_method("baseline", 7)
    with pytest.raises(GndlError, match=r"vgg\.pt: holds 0 of the backbone's 100 tensors.*first keys are features"):
        load_backbone_weights(method, saved(tmp_path / "vgg.pt", {"features.0.weight": torch.zeros(3)}))
    with pytest.raises(GndlError, match=r"list\.pt: holds a list"):
        load_backbone_weights(method, saved(tmp_path / "list.pt", [1, 2]))
    with pytest.raises(GndlError, match=r"none\.pt: there is no such"):
        load_backbone_weights(method, tmp_path / "none.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"12")
    with pytest.raises(GndlError, match=r"cut\.safetensors: is no file of plain tensors"):
        load_backbone_weights(method, tmp_path / "cut.safetensors")
    with pytest.raises(GndlError, match=r"whole\.pt: is no file of plain tensors.*would execute code are refused"):
        load_backbone_weights(method, saved(tmp_path / "whole.pt", torch.nn.Linear(2, 2)))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("resnet18-f37072fd.pth", "imagenet"),
        ("resnet18_msceleb.pth", "msceleb"),
        ("Resnet18_MS1M_pytorch.pth.tar", "ms1m-pytorch"),
        ("resnet18.pth", "pretrained"),
        ("My faces (v2).safetensors", "my-faces-v2"),
    ],
)
def test_names_of_weights_can_be_parts_of_folder_names(file: str, name: str) -> None:
    """Lower case, hyphens, without the architecture's name."""
    assert weights_name(Path(file)) == name
