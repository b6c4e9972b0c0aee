"""Backbone weights load from both conventions of the field, fit entirely or say what does not, and execute nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from quick import quick_study
from safetensors.torch import save_file
from torch import Tensor
from torchvision.models import resnet18

from gndl.cli import StudyOptions, study_config
from gndl.files import GndlError, hash_file
from gndl.methods import build_method, variant_name, weights_name
from gndl.methods.weights import load_backbone_weights
from gndl.opening import save_config
from gndl.profiles import SMOKE, StudyConfig

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """The state dict of a ResNet-18 with 1,000 classes and running statistics that are not the defaults."""
    torch.manual_seed(11)
    drawn = resnet18(weights=None).state_dict()
    return {key: torch.rand_like(value) if "running" in key else value for key, value in drawn.items()}


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def test_weights_of_both_conventions_load_from_both_kinds_of_files(state: State, tmp_path: Path) -> None:
    """torchvision's; nested under any name, next to other state dicts; prefixes, a larger ``fc``, no counters."""
    nested = {f"module.{key}": value for key, value in state.items() if "tracked" not in key}
    nested |= {"module.fc.weight": torch.zeros(8631, 512), "module.feature.weight": torch.zeros(2)}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(2)}}}
    save_file(state, tmp_path / "resnet18-5c106cde.safetensors")
    files = {
        saved(tmp_path / "resnet18-f37072fd.pth", state): "imagenet",
        tmp_path / "resnet18-5c106cde.safetensors": "imagenet",
        saved(tmp_path / "resnet18_msceleb.pth", {"epoch": 3, "state_dict": nested, "optimizer": optimizer}): "msceleb",
        saved(
            tmp_path / "of_net.pt", {"optimizer": optimizer, "all": {"net": nested}, "mean": torch.zeros(3)}
        ): "of-net",
        saved(tmp_path / "averaged.pt", {"average": {**nested, "module.conv1.weight": 0}, "model": state}): "averaged",
    }
    for path, name in files.items():
        method = build_method("gndl", 7, 5.0)
        report = load_backbone_weights(method, path)
        own = method.get_submodule("backbone").state_dict()
        assert all(torch.equal(state[key], own[key]) for key in own if "tracked" not in key)
        assert (report.matched, report.expected, report.missed, report.name) == (100, 100, (), name)
        assert set(report.unused) - {"feature.weight"} == {"fc.bias", "fc.weight"}
        assert report.sha256 == hash_file(path) and variant_name("gndl", path) == f"gndl-{name}"
    separate = build_method("gndl-no-joint-norm", 7, 5.0)  # two sets of running statistics start from the only one
    assert load_backbone_weights(separate, path).matched == 140
    norm = separate.get_submodule("backbone.layer3.0.bn1")
    assert torch.equal(norm.neutral_running_var, state["layer3.0.bn1.running_var"])


def test_weights_that_do_not_fit_entirely_are_refused_by_layer_unless_asked_for(
    state: State, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One tensor absent, one of another shape; a study says so before it is written, and prints once what matched."""
    most = state | {"conv1.weight": torch.zeros(64, 1, 7, 7)}
    del most["layer4.1.conv2.weight"]
    path, method = saved(tmp_path / "grey.pt", most), build_method("baseline", 7)
    said = (
        r"grey\.pt: 2 of the backbone's 100 tensors do not fit \(conv1.weight is \(64, 1, 7, 7\), not \(64, 3, 7, 7\); "
        r"layer4.1.conv2.weight is missing, not .*--weights-partial"
    )
    before = {key: value.clone() for key, value in method.state_dict().items()}
    config = StudyConfig(SMOKE, weights=str(path), data_roots={"ckplus": ""}, device="cpu")
    for load in (lambda: load_backbone_weights(method, path), lambda: save_config(tmp_path / "out", config)):
        with pytest.raises(GndlError, match=said):
            load()
    assert all(torch.equal(before[key], value) for key, value in method.state_dict().items())
    assert not (tmp_path / "out").exists() and capsys.readouterr().err == ""
    report = load_backbone_weights(method, path, partial=True)
    assert report.missed == ("conv1.weight", "layer4.1.conv2.weight") and report.matched == 98
    changed = {key for key, value in method.state_dict().items() if not torch.equal(before[key], value)}
    assert "backbone.layer1.0.conv1.weight" in changed and not {f"backbone.{key}" for key in report.missed} & changed
    save_config(
        tmp_path / "out", StudyConfig(SMOKE, weights=str(path), weights_partial=True, data_roots={"ckplus": ""})
    )
    assert capsys.readouterr().err == (
        f"{path}: 98 of the backbone's 100 tensors matched; left as initialised: conv1.weight, layer4.1.conv2.weight; "
        "of no use here: fc.bias, fc.weight\n"
    )


def test_the_option_reaches_every_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the command line to the study, and from there to the training."""
    path = saved(tmp_path / "own.pt", {})
    monkeypatch.setattr("gndl.train.fit", lambda *_, **given: given)
    for partial in (False, True):
        config = study_config(StudyOptions(weights=str(path), weights_partial=partial))[1]
        assert config.weights_partial is partial
        study = quick_study(tmp_path / "out", "gndl")
        study.config = replace(study.config, weights=str(path), weights_partial=partial)
        given: Any = study.fit(study.plan()[0])
        assert (given["weights"], given["weights_partial"]) == (path, partial)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:f37072fd\nsize 46830571\n"
REFUSED: dict[str, tuple[str, Any]] = {
    "page.pth": ("is a web page", b"\xef\xbb\xbf\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"),
    "pointer.pth": ("is a Git LFS pointer", LFS),
    "empty.pt": ("is empty", b""),
    "cut.pt": ("is cut off", lambda path: path.write_bytes(saved(path, {"a": torch.zeros(999)}).read_bytes()[:2000])),
    "cut.safetensors": ("is damaged", b"\x40\0\0\0\0\0\0\0{"),
    "noise.pt": ("is damaged, or neither a safetensors nor a torch file", bytes(range(256))),
    "arrays.npz": ("holds NumPy arrays", lambda path: np.savez(path, a=np.zeros(3))),
    "array.npy": ("holds NumPy arrays", lambda path: np.save(path, np.zeros(3))),
    "whole.pt": ("holds more than tensors.*would execute code", torch.nn.Linear(2, 2)),
    "script.pt": ("holds more than tensors", lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path)),
    "vgg.pt": ("holds none of the backbone's tensors; its first are features.0.weight", {"features.0.weight": 0}),
    "list.pt": ("holds no state dict", [1, 2]),
    "deeper.pt": (".*such as a ResNet-34", ("layer1.2.conv1.weight", 0)),
    "nan.pt": ("layer2.0.conv1.weight holds NaN or infinite values", ("layer2.0.conv1.weight", torch.nan)),
    "inf.pt": ("bn1.running_var holds NaN", ("bn1.running_var", torch.inf)),
    "two.pt": (r"holds several networks \(one, two\)", lambda path: saved(path, STATES)),
    "none.pt": ("no such weights file", None),
}
STATES: dict[str, State] = {}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_not_such_weights_is_named_for_what_it_is(name: str, state: State, tmp_path: Path) -> None:
    said, content = REFUSED[name]
    path = tmp_path / name
    STATES.update(one=state, two=state)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif callable(content) and not isinstance(content, torch.nn.Module):
        content(path)
    elif isinstance(content, tuple):  # one number of one tensor of the state dict is another
        key, value = content
        damaged = state.get(key, torch.zeros(2)).clone()
        damaged.view(-1)[-1] = value
        saved(path, state | {key: damaged})
    elif content is not None:
        saved(path, {key: torch.zeros(3) for key in content} if isinstance(content, dict) else content)
    with pytest.raises(GndlError, match=f"{name}: {said}"):
        load_backbone_weights(build_method("baseline", 7), path)


def test_a_method_without_a_backbone_is_named() -> None:
    with pytest.raises(GndlError, match="Linear has no backbone"):
        load_backbone_weights(torch.nn.Linear(2, 2), Path("x.pth"))


def test_names_of_weights_can_be_parts_of_folder_names() -> None:
    """Lower case, hyphens, without the architecture's name."""
    expected = {
        "resnet18-f37072fd.pth": "imagenet", "resnet18_msceleb.pth": "msceleb", "resnet18.pth": "pretrained",
        "Resnet18_MS1M_pytorch.pth.tar": "ms1m-pytorch", "My faces (v2).safetensors": "my-faces-v2",
    }  # fmt: skip
    assert {name: weights_name(Path(name)) for name in expected} == expected
