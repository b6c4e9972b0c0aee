"""The network computes the paper's equations as the ledger reads them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.methods import build_method
from gndl.model import GNDL, Losses, NeutralFeatureGenerator, Output, SeparateBatchNorm2d

BATCH = 3
Faces = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Examined and neutral faces (3, 3, 48, 48), of different brightness and contrast, in float64."""
    generator = torch.Generator().manual_seed(5)
    examined = torch.randn(BATCH, 3, 48, 48, generator=generator, dtype=torch.float64)
    neutral = 0.4 * torch.randn(BATCH, 3, 48, 48, generator=generator, dtype=torch.float64) + 0.7
    return examined, neutral


def watched(network: nn.Module, layer: str, *inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run ``network`` and return what went into and came out of the batch-norm called ``layer``."""
    seen: list[tuple[Tensor, Tensor]] = []
    handle = network.get_submodule(layer).register_forward_hook(
        lambda _, given, out: seen.append((given[0].detach().clone(), out.detach().clone()))
    )
    network(*inputs)
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


@pytest.mark.parametrize("layer", ["backbone.bn1", "backbone.layer2.0.bn2", "backbone.layer4.1.bn2"])
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
    x, y = watched(network, "backbone.bn1", faces[0])
    expected = (x - norm.running_mean.view(-1, 1, 1)) / torch.sqrt(norm.running_var.view(-1, 1, 1) + norm.eps)
    torch.testing.assert_close(y, expected, rtol=1e-10, atol=1e-10)
    assert not torch.equal(network.neutral_features(faces[1]), network(faces[1]).f_exam)


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


def test_the_interpolation_of_the_generator_repeats_every_channel() -> None:
    """Nearest-neighbour ×2 of (a, b, …) is (a, a, b, b, …), and G equals its layers worked out by hand."""
    generator = NeutralFeatureGenerator(channels=4).double()
    f_exam = torch.randn(3, 4, dtype=torch.float64)

    def layer(linear: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(linear, nn.Linear)
        x = x @ linear.weight.T + linear.bias
        return torch.where(x > 0, x, 0.01 * x)

    code = layer(generator.encoder[0], f_exam)  # (3, 2)
    doubled = torch.stack([code[:, 0], code[:, 0], code[:, 1], code[:, 1]], dim=1)
    expected = layer(generator.decoder[2], layer(generator.decoder[0], doubled))
    torch.testing.assert_close(generator(f_exam), expected)


def losses_by_hand(output: Output, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 9 and 10, and the absolute differences of Eq. 8 between F_neu and F'_neu (L1)."""
    exponentials = torch.exp(output.logits)
    p = exponentials / exponentials.sum(1, keepdim=True)  # Eq. 10
    cls = -sum(torch.log(p[i, labels[i]]) for i in range(len(labels))) / len(labels)  # Eq. 9
    assert output.f_neu is not None and output.f_gen is not None
    return torch.as_tensor(cls), torch.abs(output.f_neu - output.f_gen)


@pytest.mark.parametrize(("variant", "divisor"), [("gndl", BATCH * 512), ("gndl-channel-sum", BATCH), ("gndl-sum", 1)])
def test_losses_are_equations_8_to_11(faces: Faces, variant: str, divisor: int) -> None:
    """L_cls, L_neu in each reading of L2, and L_total = L_cls + λ L_neu, by hand; Eq. 7 and 10 for the logits."""
    network = build_method(variant, 7, 2.5).double().train()
    output: Output = network(*faces)
    labels = torch.tensor([0, 6, 3])
    assert isinstance(network, GNDL) and output.deviation is not None and output.f_gen is not None
    torch.testing.assert_close(output.deviation, output.f_exam - network.generator(output.f_exam))  # Eq. 7
    theta, bias = network.classifier.weight, network.classifier.bias
    torch.testing.assert_close(output.logits, output.deviation @ theta.T + bias)  # Eq. 10's exponents
    cls, differences = losses_by_hand(output, labels)
    losses: Losses = network.loss(output, labels)
    torch.testing.assert_close(losses.cls, cls)
    torch.testing.assert_close(losses.neu, differences.sum() / divisor)
    torch.testing.assert_close(losses.total, cls + 2.5 * differences.sum() / divisor)


def test_training_without_neutral_faces_is_refused(faces: Faces) -> None:
    """GNDL in training mode needs them; so does its loss."""
    network = build_method("gndl", 7, 5.0).double().train()
    with pytest.raises(GndlError, match="needs the neutral face"):
        network(faces[0])
    with pytest.raises(GndlError, match="training mode"):
        network.loss(network.eval()(faces[0]), torch.tensor([0, 1, 2]))


def test_stop_gradient_keeps_the_reconstruction_loss_from_the_real_neutral_feature(faces: Faces) -> None:
    """L3: by default L_neu has a gradient with respect to F_neu, with stop_gradient it has none; F'_neu always has."""
    for variant, reaches in (("gndl", True), ("gndl-stop-gradient", False)):
        network = build_method(variant, 7, 5.0).double().train()
        output = network(*faces)
        losses = network.loss(output, torch.tensor([0, 1, 2]))
        to_neu, to_gen = torch.autograd.grad(losses.neu, [output.f_neu, output.f_gen], allow_unused=True)
        assert (to_neu is not None) == reaches
        assert to_gen is not None and to_gen.abs().sum() > 0


def test_the_subtraction_stays_in_full_precision_under_bf16(faces: Faces) -> None:
    """Eq. 7 to 11 are computed in float32 where the backbone runs in bf16."""
    network = build_method("gndl", 7, 5.0).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = network(*(face.float() for face in faces))
    assert output.deviation.dtype == output.logits.dtype == output.f_gen.dtype == torch.float32
