"""The methods that Table 1 compares: their equations by hand, their stages, and what they may see."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import planted_pairs
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.folds import deal_folds
from gndl.methods import build_method, method_settings
from gndl.methods.dan import DAN, Attended, affinity_loss, partition_loss
from gndl.methods.derl import DeRL
from gndl.methods.dlp import DLP, locality_preserving
from gndl.methods.fdrl import FDRL, Decomposed, related, relation_weights
from gndl.methods.fmpn import FMPN
from gndl.methods.gcnet import GCNet, compared
from gndl.methods.iacnn import IACNN, contrastive
from gndl.methods.table_1 import ENTRIES
from gndl.model import Method, Output
from gndl.pairs import FacePairs
from gndl.profiles import TrainSettings
from gndl.train import FitResult, fit

SETTINGS = TrainSettings(image_size=32, epochs=2, batch_size=8, checkpoint_every=1)
PAIRS = planted_pairs()
TRAIN, TEST = deal_folds(PAIRS.subject, PAIRS.label, 3).train_test(0, PAIRS.subject)
NAMES = [entry["name"] for entry in ENTRIES]
by_name = pytest.mark.parametrize("name", NAMES)


def near(value: Tensor, expected: Any) -> None:
    """Within 1e-6, in float64."""
    assert value.dtype == torch.float64
    torch.testing.assert_close(value.detach(), torch.tensor(expected, dtype=value.dtype), atol=1e-6, rtol=0)


def float64(*rows: Any) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def reached(network: nn.Module, loss: Tensor) -> set[str]:
    """First names of the parameters that a loss moves."""
    network.zero_grad()
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]
    moved = [name for name, one in network.named_parameters() if one.grad is not None and one.grad.abs().max() > 0]
    return {name.partition(".")[0] for name in moved}


def run(folder: Path, name: str, pairs: FacePairs = PAIRS, **options: Any) -> FitResult:
    settings = method_settings(name).lengthened(SETTINGS)
    return fit(name, pairs, TRAIN, TEST, settings, run_folder=folder, show_progress=False, **options)


FACES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS, WHO = torch.tensor([0, 2, 1, 2, 0, 2]), torch.tensor([0, 0, 1, 1, 2, 3])


def given_all(network: Method) -> Output:
    """What a method makes of the six faces in training."""
    subject = {"subject": WHO} if network.needs_subject else {}
    output: Output = network(FACES, FACES.flip(0), **subject)
    return output


@by_name
def test_every_option_is_in_a_runs_identity(name: str) -> None:
    """Defaults too, as the class has them: only the variant's own two are others."""
    settings = method_settings(name)
    parameters = inspect.signature(settings.load_class()).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    others = {"alpha": "sum", "balance": "literal"} if name == "fdrl-literal" else {}
    assert settings.as_json()["options"] == defaults | others and defaults


@by_name
def test_evaluation_reads_the_examined_face_alone(name: str) -> None:
    """No neutral face, no subject, no other face of the batch."""
    network = build_method(name, 3)
    given_all(network)  # moves the running statistics
    network.eval()
    with torch.no_grad():
        logits = network(FACES).logits
        assert torch.equal(network(FACES, FACES.new_full(FACES.shape, torch.nan)).logits, logits)
        if network.needs_subject:
            assert torch.equal(network(FACES, subject=WHO).logits, logits)
        alone = torch.cat([network(face[None]).logits for face in FACES])
    torch.testing.assert_close(alone, logits, atol=1e-4, rtol=1e-4)
    assert logits.std(0).min() > 0


@by_name
def test_a_deviation_is_the_difference_from_a_generated_feature(name: str) -> None:
    """Whatever is classified; None where no feature is generated, so that nothing else is compared with it."""
    output = given_all(build_method(name, 3))
    assert (output.deviation is None) == (output.f_gen is None)
    assert output.f_gen is None or torch.equal(output.deviation, output.f_exam - output.f_gen)


@by_name
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_parameter_is_trained(name: str, dtype: torch.dtype) -> None:
    """In both precisions; of a method of two stages, in the stage that it is for."""
    network, found = build_method(name, 3), set[str]()
    for epoch in (1, 2) if network.depends_on_epochs else (1,):
        network.on_epoch(epoch, 2)
        network.zero_grad()
        with torch.autocast("cpu", dtype, enabled=dtype == torch.bfloat16):
            losses = network.loss(given_all(network), LABELS)
        assert all(part.dtype == torch.float32 and part.isfinite() for part in (losses.total, *losses.parts.values()))
        losses.total.backward()
        found |= {key for key, one in network.named_parameters() if one.grad is not None and one.grad.abs().max() > 0}
    assert {key for key, _ in network.named_parameters()} - found == set()


@by_name
def test_a_kill_and_other_names_of_the_subjects_change_no_byte(name: str, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    last = method_settings(name).lengthened(SETTINGS).epochs - 1

    def kill(row: dict[str, Any]) -> None:
        if row["epoch"] in (1, last):
            raise Killed

    names = [f"{9 - int(subject[1:])}-{subject}" for subject in PAIRS.subject]  # sorted the other way round
    renamed = replace(PAIRS, subject=names)
    whole = run(tmp_path / "whole", name).folder
    for _ in {1, last}:  # in the second stage too, of a method that has one
        with pytest.raises(Killed):
            run(tmp_path / "killed", name, pairs=renamed, on_epoch=kill)
    resumed = run(tmp_path / "killed", name, pairs=renamed).folder
    for file in ("weights.safetensors", "epochs.csv"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes()


@by_name
def test_faces_and_weights_that_do_not_fit_are_refused_before_training(name: str, tmp_path: Path) -> None:
    """Any other method takes 40 pixels; without a backbone there is nothing that could start from weights."""
    settings = method_settings(name)
    with torch.device("meta"):
        network = build_method(name, 3)
    assert settings.takes_weights == hasattr(network, "backbone")
    if settings.side_multiple == 1:
        network = build_method(name, 3).eval()
        assert network(torch.zeros(2, 3, 40, 40)).logits.shape == (2, 3)
        return
    with pytest.raises(GndlError, match=f"{name} needs faces of a multiple of 32 pixels, not 40"):
        fit(name, PAIRS, TRAIN, TEST, replace(SETTINGS, image_size=40), run_folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_fdrl_weighs_alike_where_nothing_was_learnt() -> None:
    """W^s = 0: every sum of 128 sigmoids is 64; L_B is 0, and 9 · (64 − 1/9) taken literally."""
    for settings, expected in ({}, 0.0), ({"alpha": "sum", "balance": "literal"}, 575.0):
        network = FDRL(3, **settings).double()
        for one in network.weigh.parameters():
            nn.init.zeros_(one)
        output = network(FACES.double())
        assert output.sums.eq(64).all()
        near(network.loss(output, LABELS).parts["balance"], expected)


def test_sums_of_sigmoids_saturate_fdrls_relations() -> None:
    """Choice FD2: every relation weight is 1 to the last bit, and so none is ever trained."""
    seen = {}
    for alpha in ("mean", "sum"):
        network = FDRL(3, alpha=alpha)
        with torch.no_grad():
            output = network(FACES)
            f = network._weights(output.sums).unsqueeze(2) * output.latent
            g = torch.stack([layer(f[:, j]) for j, layer in enumerate(network.message)], 1).relu()
        seen[alpha] = 1 - relation_weights(g)[:, ~torch.eye(9, dtype=torch.bool)]
    assert seen["mean"].max() > 0.1 and seen["sum"].max() == 0


def test_fdrl_relates_messages() -> None:
    """(3, 4)·(½ + ½ tanh 5) for g = (0, 0), (3, 4); with δ = 1 no distance enters; equal messages are no trouble."""
    g = float64([[0, 0], [3, 4]])
    near(related(g, 0.5).sum(1), [[2.999864, 3.999818]])
    near(related(g, 1.0).sum(1), [[3, 4]])
    equal = float64([[1, 2], [1, 2]])
    related(equal, 0.5).sum().backward()
    assert equal.grad is not None and equal.grad.isfinite().all()


def test_fdrls_centres_move_as_its_losses_say() -> None:
    network = FDRL(3, latent=2, width=2).double()
    nn.init.zeros_(network.class_centres)
    with torch.no_grad():
        network.class_centres[1, 1] = 1
    for latent, expected in (([[1, 0], [0, 2]],), 5.0), (([[1, 0], [0, 2]], [[0, 0], [0, 0]]), 2.5):
        count = len(latent)
        sums = float64([1, 3]).expand(count, 2)
        output = Decomposed(torch.zeros(count, 3).double(), sums, latent=float64(*latent), sums=sums)
        parts = network.loss(output, torch.ones(count, dtype=torch.int64)).parts
        near(parts["compact"], expected)
        near(parts["distribution"], 5.0)
        near(parts["balance"], 0.5)
        network.zero_grad()
        (parts["compact"] + parts["distribution"]).backward()
        near(network.centres.grad, [[-2 / count, 0], [0, -4 / count]] if count == 1 else [[-1, 0], [0, -2]])
        near(network.class_centres.grad, [[0, 0], [-2, -4], [0, 0]])
    assert FDRL(3).centres.eq(0).all() and FDRL(3).class_centres.eq(64).all(), "choice FD1"


def test_fdrls_losses_reach_what_they_should() -> None:
    """Neither L_B nor L_D reaches the classifier, nor L_C the weights; the total is λ-weighted."""
    network = FDRL(3)
    losses = network.loss(network(FACES), LABELS)
    c, b, d = (losses.parts[name] for name in ("compact", "balance", "distribution"))
    assert reached(network, c) == {"backbone", "decompose", "centres"}
    assert reached(network, b) == {"backbone", "decompose", "weigh"}
    assert reached(network, d) == {"backbone", "decompose", "weigh", "class_centres"}
    assert losses.total.item() == pytest.approx((losses.cls + 1e-4 * c + b + 1e-4 * d).item())


def test_the_order_of_fdrls_features_does_not_matter() -> None:
    network = FDRL(3, latent=4).double()
    before = network(FACES.double())
    was = network.loss(before, LABELS).total
    for part in (network.decompose, network.weigh, network.message):
        layers = list(part)
        for j, layer in enumerate(layers):
            part[(j + 1) % 4] = layer
    after = network(FACES.double())
    near(after.logits, before.logits.tolist())
    near(network.loss(after, LABELS).total, was.item())


def test_dlp_pulls_towards_the_nearest_of_the_class() -> None:
    """By hand on a line; the neighbours are constants, unless asked otherwise."""
    labels = torch.tensor([0, 0, 0, 1])
    for k, expected in (1, 2.25), (2, 3.9375), (20, 3.9375):
        near(locality_preserving(float64([0], [1], [5], [9]), labels, k), expected)
    x = float64([0], [1], [5], [9])
    locality_preserving(x, labels, 2).backward()
    near(x.grad, [[-0.75], [-0.375], [1.125], [0]])
    x.grad = None
    locality_preserving(x, labels, 2, detach=False).backward()
    near(x.grad, [[-1.125], [-0.5625], [1.6875], [0]])
    near(locality_preserving(3 * x + 7, labels, 2), 9 * 3.9375)
    alone = float64([0], [4])
    locality_preserving(alone, torch.tensor([0, 1]), 20).backward()
    near(alone.grad, [[0], [0]])
    network = DLP(3)
    losses = network.loss(network(FACES), LABELS)
    assert losses.total.item() == pytest.approx((losses.cls + 0.003 * losses.parts["locality"]).item())


def test_dlps_neighbours_are_those_of_a_plain_loop() -> None:
    x, labels = torch.randn(20, 5, dtype=torch.float64), torch.arange(20) % 3
    total = 0.0
    for i in range(20):
        others = [j for j in range(20) if j != i and labels[j] == labels[i]]
        nearest = sorted(others, key=lambda j, i=i: float((x[i] - x[j]).norm()))[:4]
        total += 0.5 * float((x[i] - x[nearest].mean(0)).square().sum()) / 20
    near(locality_preserving(x, labels, 4), total)


def test_iacnn_contrasts_pairs() -> None:
    f, none = float64([0, 0], [3, 4], [0.6, 0.8]), torch.zeros(3, 3, dtype=torch.bool)
    for j, expected in (2, 0.5), (1, 12.75):
        similar = none.clone()
        similar[0, j] = True
        near(contrastive(f, similar, 2.0), expected)
    near(contrastive(f, none, 2.0), 0.5 / 3)
    near(contrastive(f, ~none, 2.0), 0.5 * (25 + 1 + 16) / 3)
    across = float64([1, 0], [0, 1])
    near(contrastive(across, none[:2, :2], 1.0), 0.0)
    near(contrastive(across, none[:2, :2], 1.5), 0.003680)
    equal = float64([1, 1], [1, 1])
    contrastive(equal, none[:2, :2], 1.0).backward()
    assert equal.grad is not None and equal.grad.isfinite().all()


def test_iacnns_losses_reach_what_they_should() -> None:
    network = IACNN(3)
    output = network(FACES, subject=WHO)
    losses, unit = network.loss(output, LABELS), nn.functional.normalize(output.identity)
    assert torch.equal(losses.parts["same_identity"], contrastive(unit, WHO[:, None] == WHO, 1.0))
    assert reached(network, losses.parts["same_identity"]) == {"backbone", "to_identity"}
    assert reached(network, losses.parts["same_expression"]) == {"backbone", "to_expression"}
    assert reached(network, losses.parts["expression"]) == {"backbone", "to_expression", "expression_classifier"}
    assert losses.total.item() == pytest.approx((losses.cls + sum(losses.parts.values())).item())
    with pytest.raises(GndlError, match="subjects"):
        network.loss(network(FACES), LABELS)


def test_dan_keeps_its_heads_apart_and_its_classes_together() -> None:
    near(partition_loss(float64([[0.0], [2.0]])), 0.693147)
    equal = float64([[1.0], [1.0]])
    partition_loss(equal).backward()
    assert equal.grad is not None and equal.grad.isfinite().all()
    centres = float64([0, 0], [2, 2])
    affinity = affinity_loss(float64([1, 1]), centres, torch.tensor([0]))
    near(affinity, 0.5)
    affinity.backward()
    near(centres.grad, [[-0.25, -0.25], [-0.25, -0.25]])
    near(affinity_loss(float64([1, 1], [2, 2]), centres, torch.tensor([0, 1])), 0.25)


def test_dans_heads_share_every_channel_and_have_no_order() -> None:
    network = DAN(3).double()
    output = network(FACES.double())
    assert isinstance(output, Attended)
    near(output.heads.logsumexp(1), [[0.0] * 512] * 6)
    losses = network.loss(output, LABELS)
    assert reached(network, losses.parts["affinity"]) == {"backbone", "centres"}
    assert reached(network, losses.parts["partition"]) == {"backbone", "heads"}
    assert losses.total.item() == pytest.approx((losses.cls + sum(losses.parts.values())).item())
    network.heads = nn.ModuleList(reversed(list(network.heads)))
    near(network(FACES.double()).logits, output.logits.tolist())


def test_gcnet_compares_channel_by_channel() -> None:
    e, r = float64(1, 4), float64(3, 1)
    for distance, expected in ("absolute", [2, 3]), ("squared", [4, 9]), ("signed", [-2, 3]):
        near(compared(e, r, distance), expected)


def test_gcnet_sees_nothing_where_the_reference_is_the_face_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then logits are the bias for every face; with all targets met the loss is the cross-entropy."""
    network = GCNet(3, weights=(2.0, 3.0, 5.0))
    for decoder in (network.reference_decoder, network.image_decoder):
        monkeypatch.setattr(decoder, "forward", lambda maps: FACES)
    output = network(FACES, FACES)
    assert torch.equal(output.logits, network.classifier.bias.expand(6, 3))
    losses = network.loss(output, LABELS)
    assert torch.equal(losses.total, losses.cls)
    losses = network.loss(replace(output, reference=FACES + 1, query=FACES + 2, reference_again=FACES + 4), LABELS)
    assert [losses.parts[name].item() for name in losses.parts] == pytest.approx([1, 4, 9], rel=1e-5)
    assert losses.total.item() == pytest.approx(losses.cls.item() + 2 + 3 * 4 + 5 * 9, rel=1e-5)


def test_gcnet_learns_pictures_first() -> None:
    """The target of ñ is a constant, what it is drawn from is not; both kinds of faces keep statistics of their own."""
    network, decoders = GCNet(3), {"reference_decoder", "image_decoder"}
    network.on_epoch(1, 4)
    assert reached(network, network.loss(network(FACES, FACES.flip(0)), LABELS).total) == {"backbone", *decoders}
    network.on_epoch(2, 4)
    output = network(FACES, FACES.flip(0))
    losses = network.loss(output, LABELS)
    assert reached(network, losses.total) == {"backbone", "classifier", *decoders}
    assert reached(network, losses.parts["reference"]) == {"backbone", "reference_decoder"}
    assert reached(network, losses.parts["reference_again"]) == {"backbone", *decoders}, "by way of the second pass"
    again = replace(output, reference_again=output.reference_again.detach())
    assert not network.loss(again, LABELS).parts["reference_again"].requires_grad, "choice GC6"
    norm = network.backbone.bn1
    assert not torch.allclose(norm.running_mean, norm.neutral_running_mean) and norm.neutral_running_mean.any()
    assert network.eval().generated_neutral(FACES).shape == FACES.shape


def test_derls_generator_and_discriminator_share_one_backward() -> None:
    """D ≡ 0 costs 3 ln 2; the gradients are those of L(D) for D and of L(G) for G alone."""
    network = DeRL(3).double()
    network.on_epoch(1, 2)
    output = network(FACES.double(), FACES.double().flip(0))
    losses = network.loss(output, LABELS)
    assert reached(network, losses.parts["discriminator"]) == {"discriminator"}
    assert reached(network, losses.parts["generator"]) == reached(network, losses.parts["l1"]) == {"generator"}
    assert reached(network, losses.total) == {"generator", "discriminator"}
    real, fake = (torch.cat([FACES.double(), second], 1) for second in (FACES.double().flip(0), output.generated))
    right, wrong = (network.discriminator(pair).sigmoid() for pair in (real, fake))
    near(losses.parts["discriminator"], -(right.log().mean() + (1 - wrong).log().mean()).item())
    near(losses.parts["generator"], -wrong.log().mean().item())
    nn.init.zeros_(network.discriminator[-1].weight)
    nn.init.zeros_(network.discriminator[-1].bias)
    losses = network.loss(output, LABELS)
    near(losses.parts["l1"], (output.generated - FACES.double().flip(0)).abs().mean().item())
    near(losses.total - 100 * losses.parts["l1"], 2.079442)


def test_derl_leaves_its_generator_alone_in_the_second_stage() -> None:
    """Running statistics included; five losses of weight 1, and one pair of layers for each of four sizes."""
    network = DeRL(3)
    network.on_epoch(2, 2)
    network.train()
    before = {name: value.clone() for name, value in network.generator.state_dict().items()}
    output = network(FACES, FACES)
    losses = network.loss(output, LABELS)
    assert reached(network, losses.total) == {"local", "local_classifiers", "code", "classifier"}
    torch.optim.Adam(network.parameters()).step()
    assert all(torch.equal(value, before[name]) for name, value in network.generator.state_dict().items())
    fives = [nn.functional.cross_entropy(one, LABELS) for one in (*output.local_logits, output.logits)]
    assert losses.total.item() == pytest.approx(sum(fives).item()) and output.f_exam.shape == (6, 512)
    shapes = [tuple(pair.shape[1:]) for pair in network.generator(torch.zeros(1, 3, 64, 64))[2]]
    assert shapes == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    with pytest.raises(GndlError, match="at least 2 epochs"):
        network.on_epoch(1, 1)


def test_fmpns_masks_are_the_mean_differences_of_a_class() -> None:
    """(½, 1) for the differences (0, 2) and (2, 2), whatever other classes show; it learns masks first."""
    network = FMPN(3).double()
    halves = torch.tensor([[0.0, 2.0], [2.0, 2.0], [5.0, 3.0]], dtype=torch.float64).repeat_interleave(32, 1)
    network.observe(halves[:, None, None].expand(3, 1, 64, 64), torch.tensor([1, 1, 2]))
    masks = network.class_masks()
    near(masks[1, 5, [0, 31]], [0.5, 1.0])
    near(masks[[0, 2], 0, 0], [0.0, 1.0])
    network.on_epoch(1, 2)
    losses = network.loss(network(FACES.double(), FACES.double().flip(0)), LABELS)
    assert reached(network, losses.total) == {"generator"} and network.motion_counts.tolist() == [2, 3, 4]
    network.on_epoch(2, 2)
    losses = network.loss(network(FACES.double(), FACES.double().flip(0)), LABELS)
    assert reached(network, losses.total) == {"generator", "fusion", "backbone", "classifier"}
    assert network.motion_counts.tolist() == [2, 3, 4], "the second stage adds nothing"
    near(losses.total - losses.cls, 0.1 * losses.parts["mask"].item())
