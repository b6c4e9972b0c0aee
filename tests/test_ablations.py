"""Ablations and finer grains: each changes what it says, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gndl.device import choose_device
from gndl.errors import GndlError
from gndl.identity import run_identity
from gndl.methods import METHOD_GROUPS, build_method, method_settings, methods_meant
from gndl.pairs import FacePairs
from gndl.profiles import Augmentation, TrainSettings
from gndl.train import fit, load_method
from gndl.variants.ablations import OracleSwap, OracleTrain, shuffled_neutral
from gndl.variants.granularity import CHANNELS, MapGNDL

SETTINGS = TrainSettings(image_size=32, epochs=1, batch_size=4, checkpoint_every=0, augmentation=Augmentation())
NEW = [
    name
    for name in methods_meant(METHOD_GROUPS)
    if name not in ("baseline", "gndl")
]  # fmt: skip


def some_pairs(subjects: int = 4, each: int = 3) -> FacePairs:
    """Pairs of random pixels: every subject has one neutral crop and ``each`` examined ones."""
    count = subjects * each
    images = np.random.default_rng(0).integers(0, 256, (subjects + count, 32, 32), dtype=np.uint8)
    who = np.repeat(np.arange(subjects), each)
    return FacePairs(
        images, subjects + np.arange(count), who, np.arange(count) % 2, [f"S{i}" for i in who],
        [f"S{i}_1" for i in who], [f"{i}" for i in range(count)], ("anger", "fear"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def faces() -> tuple[torch.Tensor, torch.Tensor]:
    """Four examined and four neutral faces of 32 pixels."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 32, 32, generator=draw), torch.randn(4, 3, 32, 32, generator=draw)


@pytest.mark.parametrize("name", NEW)
def test_every_variant_learns_from_a_batch(name: str, faces: tuple[torch.Tensor, torch.Tensor]) -> None:
    """A gradient reaches every parameter, and the losses are finite."""
    settings = method_settings(name)
    network = build_method(settings, 7, 5.0 if settings.uses_lam else None).train()
    output = network(*faces)
    losses = network.loss(output, torch.tensor([0, 1, 2, 3]))
    losses.total.backward()
    assert torch.isfinite(losses.total) and output.logits.shape == (4, 7)
    assert (losses.neu is not None) == name.startswith(("gndl", "oracle-swap"))
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("name", NEW)
def test_a_variant_reads_the_neutral_face_at_test_only_where_it_says_so(
    name: str, faces: tuple[torch.Tensor, torch.Tensor]
) -> None:
    """Without a neutral face it either predicts, or refuses; with another one its answer changes only in the latter."""
    examined, neutral = faces
    settings = method_settings(name)
    network = build_method(settings, 7, 5.0 if settings.uses_lam else None).eval()
    with torch.no_grad():
        if settings.needs_neutral_at_test:
            with pytest.raises(GndlError, match="at test"):
                network(examined)
        else:
            network(examined)
        one, other = network(examined, neutral).logits, network(examined, neutral.flip(0)).logits
    assert torch.equal(one, other) != settings.needs_neutral_at_test


def test_the_swap_subtracts_the_real_neutral_feature_from_gndls_own(faces: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Same weights as GNDL from one seed, same training step; at test θ · (F_exam − F_neu)."""
    gndl, swap = build_method("gndl", 7, 5.0, seed=3), build_method("oracle-swap", 7, 5.0, seed=3)
    assert isinstance(swap, OracleSwap)
    assert all(torch.equal(a, b) for a, b in zip(gndl.state_dict().values(), swap.state_dict().values(), strict=True))
    assert torch.equal(gndl(*faces).logits, swap(*faces).logits)
    swap.eval()
    with torch.no_grad():
        f_exam, f_neu = swap.backbone(faces[0]), swap.backbone(faces[1])
        expected = (f_exam - f_neu) @ swap.classifier.weight.T + swap.classifier.bias
        assert torch.allclose(swap(*faces).logits, expected, atol=1e-5)


def test_the_deviation_of_a_neutral_face_from_itself_is_nothing(faces: tuple[torch.Tensor, torch.Tensor]) -> None:
    """Where examined and neutral are one picture, the oracle has the classifier's bias alone to go by."""
    network = build_method("oracle-train", 7).eval()
    assert isinstance(network, OracleTrain)
    with torch.no_grad():
        assert torch.allclose(network(faces[0], faces[0]).logits, network.classifier.bias.expand(4, 7), atol=1e-6)


@pytest.mark.parametrize("layer", CHANNELS)
def test_the_generator_of_maps_is_the_generator_of_vectors_at_each_position(layer: int) -> None:
    """The map after a layer, position by position through G; the loss is the mean distance of the maps."""
    network = MapGNDL(7, 2.0, layer=layer)
    examined, neutral = torch.randn(3, 3, 64, 64), torch.randn(3, 3, 64, 64)
    output = network(examined, neutral)
    side = 32 // 2**layer
    assert output.map_gen.shape == (3, side, side, CHANNELS[layer]) and output.deviation.shape == (3, 512)
    losses = network.loss(output, torch.tensor([0, 1, 2]))
    assert losses.total.item() == pytest.approx(losses.cls.item() + 2.0 * losses.neu.item(), rel=1e-6)
    assert losses.neu.item() == pytest.approx(float(np.abs((output.map_neu - output.map_gen).detach().numpy()).mean()))
    network.eval()
    with torch.no_grad():
        maps = network._maps(examined)
        assert torch.allclose(network(examined).map_gen[:, 0, 0], network.generator(maps[:, 0, 0]), atol=1e-6)


@given(st.lists(st.integers(1, 4), min_size=3, max_size=8), st.integers(0, 3))
def test_a_shuffled_neutral_is_never_ones_own_and_never_a_test_subjects(sequences: list[int], seed: int) -> None:
    """One other training subject for each, whatever the numbers of sequences; the test pairs keep theirs."""
    who = np.repeat(np.arange(len(sequences)), sequences)
    count = len(who)
    images = np.zeros((2 * count, 8, 8), dtype=np.uint8)
    pairs = FacePairs(
        images, count + np.arange(count), np.arange(count), np.zeros(count, np.int64), [str(i) for i in who],
        [f"{i}" for i in range(count)], ["0"] * count, ("anger",),
    )  # fmt: skip
    train = np.flatnonzero(who > 0)
    shuffled = shuffled_neutral(pairs, train, seed)
    taken = who[shuffled.neutral_index]
    assert np.array_equal(shuffled.neutral_index[who == 0], pairs.neutral_index[who == 0])
    assert np.all(taken[train] != who[train]) and np.all(taken[train] > 0)
    for subject in range(1, len(sequences)):
        assert len(set(taken[who == subject])) == 1


def test_runs_of_variants_are_told_apart_by_their_code_and_their_pairs(tmp_path: Path) -> None:
    """A module of its own enters the identity of its variants, and of no other; a finished run is found again."""
    pairs, train, test = some_pairs(), np.arange(9), np.arange(9, 12)

    def identity(name: str) -> dict[str, object]:
        settings = method_settings(name)
        return run_identity(
            settings, settings.pairs_for(pairs, train), train, test, SETTINGS,
            lam=5.0 if settings.uses_lam else None, fold=0, seed=0, device=choose_device("cpu"),
        )  # fmt: skip

    assert (
        "gndl.variants.ablations" in identity("oracle-train")["code"]
        and "gndl.variants.granularity" in identity("gndl-layer-1")["code"]
    )
    assert not [key for key in identity("gndl")["code"] if key.startswith("gndl.")]
    assert identity("gndl-shuffled-neutral")["pairs"] != identity("gndl")["pairs"]
    for name in ("oracle-swap", "gndl-layer-2"):
        run = fit(name, pairs, train, test, SETTINGS, run_folder=tmp_path / name, lam=5.0, show_progress=False)
        again = fit(name, pairs, train, test, SETTINGS, run_folder=tmp_path / name, lam=5.0, show_progress=False)
        assert again.reused and run.record["needs_neutral_at_test"] == (name == "oracle-swap")
        assert load_method(tmp_path / name)[1]["method"]["name"] == name


def test_shuffled_neutrals_say_that_every_seed_has_the_same_ones_and_the_words_are_in_no_identity() -> None:
    """Who gets whose neutral face is drawn once: another seed of a run moves it by its training alone."""
    pairs, train, test = some_pairs(), np.arange(9), np.arange(9, 12)
    told = method_settings("gndl-shuffled-neutral")
    assert "the same one for every seed" in told.purpose
    identities = [
        run_identity(
            settings, settings.pairs_for(pairs, train), train, test, SETTINGS,
            lam=5.0, fold=0, seed=seed, device=choose_device("cpu"),
        )
        for settings, seed in ((told, 0), (told, 1), (replace(told, purpose="other words"), 0))
    ]  # fmt: skip
    assert identities[0]["pairs"] == identities[1]["pairs"]
    assert identities[0] == identities[2]


def test_a_group_stands_for_its_methods() -> None:
    """Spelt out once each, in order, beside names of single methods."""
    assert methods_meant(["gndl", "granularity"])[:2] == ("gndl", "baseline")
    assert len(methods_meant(["ablations", "granularity"])) == len(set(methods_meant(METHOD_GROUPS)))
    for name in methods_meant(METHOD_GROUPS):
        assert method_settings(name).purpose
