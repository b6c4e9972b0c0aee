"""The network computes the paper's equations as the ledger reads them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.methods import build_method
from gndl.model import GNDL, NeutralFeatureGenerator, SeparateBatchNorm2d

BATCH = 3
Faces = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Examined and neutral faces (3, 3, 24, 24), of different brightness and contrast, in float64."""
    generator = torch.Generator().manual_seed(5)
    examined = torch.randn(BATCH, 3, 24, 24, generator=generator, dtype=torch.float64)
    neutral = 0.4 * torch.randn(BATCH, 3, 24, 24, generator=generator, dtype=torch.float64) + 0.7
    return examined, neutral


def watched(
    network: nn.Module, layer: str, *inputs: Tensor, call: Callable[..., object] | None = None
) -> tuple[Tensor, Tensor]:
    """Run ``network`` and return what went into and came out of the batch-norm called ``layer``."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda _, given, out: seen.append((given[0].detach().clone(), out.detach().clone()))
    )
    (call or network)(*inputs)
    handle.remove()
    assert len(seen) == 1, "both groups pass through the layer together"
    return seen[0]


def moved(network: GNDL, layer: str) -> nn.BatchNorm2d:
    """Give a batch-norm γ, β and running statistics that differ from the defaults."""
    norm = network.get_submodule(layer)
    assert isinstance(norm, nn.BatchNorm2d)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for tensor, low in ((norm.weight, 0.5), (norm.bias, -0.5), (norm.running_mean, -1.0), (norm.running_var, 0.5)):
            assert tensor is not None
            tensor.copy_(torch.rand(tensor.shape, generator=generator, dtype=torch.float64) + low)
    return norm


@pytest.mark.parametrize("layer", ["backbone.bn1", "backbone.layer4.1.bn2"])
def test_joint_batch_norm_in_training_is_equations_4_to_6(faces: Faces, layer: str) -> None:
    """Mean and variance over the 2M images and all positions, per channel, by hand in float64 (L4)."""
    network = build_method("gndl", 7, 5.0).double().train()
    norm = moved(network, layer)
    running_mean, running_var = norm.running_mean.clone(), norm.running_var.clone()
    x, y = watched(network, layer, *faces)
    examined, neutral = x[:BATCH], x[BATCH:]
    m = BATCH * x.shape[2] * x.shape[3]  # M images, at every position
    for channel in (0, 3, 63):
        f_exam, f_neu = examined[:, channel], neutral[:, channel]
        mean = (f_exam.sum() + f_neu.sum()) / (2 * m)  # Eq. 4
        variance = (((f_exam - mean) ** 2).sum() + ((f_neu - mean) ** 2).sum()) / (2 * m)  # Eq. 5
        gamma, beta = norm.weight[channel], norm.bias[channel]
        expected = gamma * (x[:, channel] - mean) / torch.sqrt(variance + norm.eps) + beta  # Eq. 6, before g
        torch.testing.assert_close(y[:, channel], expected, rtol=1e-10, atol=1e-10)
        unbiased = variance * 2 * m / (2 * m - 1)
        torch.testing.assert_close(norm.running_mean[channel], 0.9 * running_mean[channel] + 0.1 * mean)
        torch.testing.assert_close(norm.running_var[channel], 0.9 * running_var[channel] + 0.1 * unbiased)


def test_batch_norm_in_evaluation_uses_the_running_statistics(faces: Faces) -> None:
    """Eq. 6 with running mean and variance, on the examined faces alone (L5)."""
    network = build_method("gndl", 7, 5.0).double().eval()
    norm = moved(network, "backbone.bn1")
    x, y = watched(network, "backbone.bn1", *faces)
    assert len(x) == BATCH
    for channel in (0, 63):
        mean, variance = norm.running_mean[channel], norm.running_var[channel]
        expected = norm.weight[channel] * (x[:, channel] - mean) / torch.sqrt(variance + norm.eps) + norm.bias[channel]
        torch.testing.assert_close(y[:, channel], expected, rtol=1e-10, atol=1e-10)


def test_without_joint_norm_each_group_has_its_own_statistics(faces: Faces) -> None:
    """joint_norm=False: two means in training, two running means, evaluation by the examined ones (L4)."""
    network = build_method("gndl-no-joint-norm", 7, 5.0).double().train()
    norm = network.get_submodule("backbone.bn1")
    assert isinstance(norm, SeparateBatchNorm2d)
    x, y = watched(network, "backbone.bn1", *faces)
    groups = ((slice(0, BATCH), norm.running_mean, norm.running_var),
              (slice(BATCH, None), norm.neutral_running_mean, norm.neutral_running_var))  # fmt: skip
    for group, running_mean, running_var in groups:
        assert running_mean is not None and running_var is not None
        mean, variance = x[group].mean((0, 2, 3)), x[group].var((0, 2, 3), unbiased=False)
        expected = (x[group] - mean.view(-1, 1, 1)) / torch.sqrt(variance.view(-1, 1, 1) + norm.eps)
        torch.testing.assert_close(y[group], expected, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(running_mean, 0.1 * mean)
        torch.testing.assert_close(running_var, 0.9 + 0.1 * x[group].var((0, 2, 3), unbiased=True))
    network.eval()
    assert isinstance(network, GNDL)
    norm = moved(network, "backbone.bn1")
    running = {"examined": (norm.running_mean, norm.running_var), "neutral": groups[1][1:]}
    for group, call in (("examined", network), ("neutral", network.neutral_features)):
        x, y = watched(network, "backbone.bn1", faces[0], call=call)
        mean, variance = (value.view(-1, 1, 1) for value in running[group])
        expected = (x - mean) / torch.sqrt(variance + norm.eps) * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
        torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)


def test_the_generator_has_the_layers_and_channels_of_figure_5() -> None:
    """512 → FC 256, LeakyReLU → nearest neighbour ×2 → 512 → (FC 512, LeakyReLU) twice (L6)."""
    generator = NeutralFeatureGenerator()
    shapes: list[tuple[str, tuple[int, ...]]] = []
    for module in generator.modules():
        if not list(module.children()):
            module.register_forward_hook(
                lambda layer, _, out: shapes.append((type(layer).__name__, tuple(out.flatten(1).shape[1:])))
            )
    generator(torch.randn(2, 512))
    assert shapes == [
        ("Linear", (256,)), ("LeakyReLU", (256,)), ("Upsample", (512,)),
        ("Linear", (512,)), ("LeakyReLU", (512,)), ("Linear", (512,)), ("LeakyReLU", (512,)),
    ]  # fmt: skip
    slopes = {module.negative_slope for module in generator.modules() if isinstance(module, nn.LeakyReLU)}
    assert slopes == {0.01}
    assert [len(NeutralFeatureGenerator(decoder_layers=layers).decoder) for layers in (1, 3)] == [2, 6]


def test_readings_that_do_not_exist_are_refused() -> None:
    for option, said in ({"reduction": "max"}, 'use "mean", "channel-sum"'), ({"stop_gradient": "both"}, "use None"):
        with pytest.raises(GndlError, match=said):
            GNDL(7, 5.0, **option)
