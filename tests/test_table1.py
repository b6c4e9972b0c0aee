"""The methods that Table 1 compares: their equations by hand, their stages, and what they may see."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from planted import planted_pairs
from torch import Tensor, nn

from gndl.files import GndlError
from gndl.folds import deal_folds
from gndl.methods import MethodSettings, build_method, method_settings
from gndl.methods.dan import DAN, Attended, affinity_loss, partition_loss
from gndl.methods.dlp import DLP, locality_preserving
from gndl.methods.fdrl import FDRL, Decomposed, related, relation_weights
from gndl.methods.iacnn import IACNN, contrastive
from gndl.methods.table_1 import ENTRIES
from gndl.model import Losses, Method, Output, stage_of
from gndl.profiles import TrainSettings
from gndl.runs import run_identity
from gndl.train import FitResult, fit
from gndl.trainer import Trainer

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


def run(folder: Path, method: str | MethodSettings, settings: TrainSettings = SETTINGS, **options: Any) -> FitResult:
    settings = method_settings(method).lengthened(settings)
    options = {"pairs": PAIRS, "train_index": TRAIN, "test_index": TEST, "show_progress": False} | options
    return fit(method, settings=settings, run_folder=folder, **options)


class Staged(Method):
    """Asks for all that a method may ask for, and keeps what it was given."""

    images_per_pair = 1
    needs_subject = depends_on_epochs = True
    epochs_factor = 4 / 3
    given: list[Tensor | None] = []  # noqa: RUF012

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.classifier, self.slow = nn.Linear(3, n_classes), nn.Linear(3, n_classes)

    def forward(self, examined: Tensor, neutral: Tensor | None = None, *, subject: Tensor | None = None) -> Output:
        Staged.given.append(subject)
        f_exam = examined.mean(dim=(2, 3))
        return Output(logits=self.classifier(f_exam) + self.slow(f_exam), f_exam=f_exam)

    def parameter_groups(self, learning_rate: float) -> list[dict[str, Any]]:
        own = {"lr": 0.1 * learning_rate, "betas": (0.5, 0.9), "weight_decay": 0.25}
        return [{"params": list(self.classifier.parameters())}, {"params": list(self.slow.parameters()), **own}]

    def loss(self, output: Output, labels: Tensor) -> Losses:
        losses = super().loss(output, labels)
        return replace(losses, parts={"twice": 2 * losses.cls, "none": losses.cls.new_zeros(())})


STAGED = MethodSettings(
    "staged", "staged", Staged, images_per_pair=1, needs_subject=True, depends_on_epochs=True, epochs_factor=4 / 3
)


def test_training_alone_is_told_the_subjects(monkeypatch: pytest.MonkeyPatch) -> None:
    """By their number in the whole database; evaluation gives none, and a method that does not ask gets none."""
    monkeypatch.setattr(Staged, "given", [])
    training = Trainer(STAGED, PAIRS, TRAIN, TEST, SETTINGS)
    training.optimise(1)
    numbers = torch.cat([subject for subject in Staged.given if subject is not None])
    assert sorted(numbers.tolist()) == sorted(int(PAIRS.subject[i][1:]) for i in TRAIN)
    Staged.given.clear()
    training.logits(TEST)
    Trainer(replace(STAGED, needs_subject=False), PAIRS, TRAIN, TEST, SETTINGS).optimise(1)
    assert Staged.given and not [subject for subject in Staged.given if subject is not None]


def test_further_terms_are_columns_of_epochs_csv(tmp_path: Path) -> None:
    epochs = run(tmp_path, STAGED).epochs
    assert list(epochs[0])[3:6] == ["loss_neu", "loss_twice", "loss_none"] and len(epochs) == 3, "4/3 of two epochs"
    assert [row["loss_twice"] for row in epochs] == pytest.approx([2 * row["loss_cls"] for row in epochs])
    assert all(row["loss_none"] == 0 and row["loss_neu"] is None for row in epochs)


def test_a_group_of_parameters_has_adams_options_of_its_own() -> None:
    """They are not those of the settings, which the other group has."""
    training = Trainer(STAGED, PAIRS, TRAIN, TEST, replace(SETTINGS, betas=(0.8, 0.99)))
    training.train_epoch(1)
    found = [(group["lr"], group["betas"], group["weight_decay"]) for group in training.optimizer.param_groups]
    rate = SETTINGS.learning_rate
    assert found == [(rate, (0.8, 0.99), 0.0), (pytest.approx(0.1 * rate), (0.5, 0.9), 0.25)]


def test_a_run_with_stages_cannot_grow(tmp_path: Path) -> None:
    """The number of epochs is part of its identity under a constant schedule too, and of no other method's."""
    run(tmp_path, STAGED, replace(SETTINGS, epochs=3))
    with pytest.raises(GndlError, match=r"train\.epochs: 4, now 8"):
        run(tmp_path, STAGED, replace(SETTINGS, epochs=6))
    told = {"pairs": "", "lam": None, "fold": 0, "seed": 0, "device": "cpu"}
    staged, baseline = (run_identity(m, SETTINGS, **told) for m in (STAGED, method_settings("baseline")))
    assert (
        staged["method"].items() >= {"needs_subject": True, "depends_on_epochs": True, "epochs_factor": 4 / 3}.items()
    )
    assert "epochs" not in baseline["train"] and not baseline["method"].keys() & {"needs_subject", "epochs_factor"}


def test_stages_share_the_epochs() -> None:
    """Both get at least one; what comes before is extra, so the second stage gets no fewer than the study's epochs."""
    assert [stage_of(epoch, 4, 0.25) for epoch in (1, 2, 3, 4)] == [1, 2, 2, 2]
    assert [stage_of(1, 2, share) for share in (0.0, 1.0)] == [1, 1] and stage_of(2, 2, 1.0) == 2
    with pytest.raises(GndlError, match="at least 2 epochs"):
        stage_of(1, 1, 0.5)
    lengths = [STAGED.lengthened(replace(SETTINGS, epochs=epochs)).epochs for epochs in range(60)]
    assert [lengths[epochs] for epochs in (1, 3, 5, 30)] == [2, 4, 7, 40]
    for epochs, whole in enumerate(lengths[1:], 1):
        assert sum(stage_of(epoch, whole, 0.25) == 2 for epoch in range(1, whole + 1)) >= epochs


FACES = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS, WHO = torch.tensor([0, 2, 1, 2, 0, 2]), torch.tensor([0, 0, 1, 1, 2, 3])


def given_all(network: Method) -> Output:
    """What a method makes of the six faces in training."""
    subject = {"subject": WHO} if network.needs_subject else {}
    output: Output = network(FACES, FACES.flip(0), **subject)
    return output


@by_name
def test_evaluation_reads_the_examined_face_alone(name: str) -> None:
    """No neutral face, no subject, no other face of the batch."""
    network = build_method(name, 3)
    given_all(network)  # moves the running statistics
    network.eval()
    with torch.no_grad():
        logits = network(FACES).logits
        assert torch.equal(network(FACES, FACES.new_full(FACES.shape, torch.nan)).logits, logits)
        alone = torch.cat([network(face[None]).logits for face in FACES])
    torch.testing.assert_close(alone, logits, atol=1e-4, rtol=1e-4)
    assert logits.std(0).min() > 0


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

    def kill(row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise Killed

    names = [f"{9 - int(subject[1:])}-{subject}" for subject in PAIRS.subject]  # sorted the other way round
    settings, renamed = replace(SETTINGS, epochs=3), replace(PAIRS, subject=names)
    whole = run(tmp_path / "whole", name, settings).folder
    with pytest.raises(Killed):
        run(tmp_path / "killed", name, settings, pairs=renamed, on_epoch=kill)
    resumed = run(tmp_path / "killed", name, settings, pairs=renamed).folder
    for file in ("weights.safetensors", "epochs.csv"):
        assert (resumed / file).read_bytes() == (whole / file).read_bytes()


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
    similar = {
        (i, j): none.clone().index_put_((torch.tensor(i), torch.tensor(j)), torch.tensor(True)) for i, j in PAIRED
    }
    near(contrastive(f, similar[0, 2], 2.0), 0.5)
    near(contrastive(f, similar[0, 1], 2.0), 12.75)
    near(contrastive(f, none, 2.0), 0.5 / 3)
    near(contrastive(f, ~none, 2.0), 0.5 * (25 + 1 + 16) / 3)
    across = float64([1, 0], [0, 1])
    near(contrastive(across, none[:2, :2], 1.0), 0.0)
    near(contrastive(across, none[:2, :2], 1.5), 0.003680)
    equal = float64([1, 1], [1, 1])
    contrastive(equal, none[:2, :2], 1.0).backward()
    assert equal.grad is not None and equal.grad.isfinite().all()


PAIRED = ((0, 2), (0, 1))


def test_iacnns_losses_reach_what_they_should() -> None:
    network = IACNN(3)
    losses = network.loss(network(FACES, subject=WHO), LABELS)
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
    near(affinity_loss(float64([1, 1]), centres, torch.tensor([0])), 0.5)
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
