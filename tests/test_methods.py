"""Every method does what its name says and nothing else; your own method trains like the package's."""

from __future__ import annotations

import importlib
import linecache
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted import planted_pairs
from torch import Tensor, nn

from gndl import methods
from gndl.files import GndlError, hash_json
from gndl.methods import (
    BUILT_IN,
    METHOD_GROUPS,
    MethodSettings,
    build_method,
    expand_groups,
    load_method_file,
    method_names,
    method_settings,
    register_method,
    variant_name,
)
from gndl.methods.ablations import shuffled_neutral
from gndl.methods.by_sequence import first_of_each
from gndl.methods.table_1 import ENTRIES
from gndl.model import GNDL, ResNetBaseline
from gndl.pairs import FacePairs

COMPARED = {entry["name"] for entry in ENTRIES}
"""Those of other papers have tests of their own (test_table1)."""
LAM = 2.5
LABELS = torch.tensor([0, 2, 1, 2])
SEQUENCE = torch.tensor([1, 0, 1, 0])
FIRST = [0, 1, 0, 1]
"""The first pair of each pair's sequence."""
NAMES = tuple(settings.name for settings in BUILT_IN if settings.name not in COMPARED)
by_name = pytest.mark.parametrize("name", NAMES)
Array = Any


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(methods, "_REGISTRY", dict(methods._REGISTRY))
    monkeypatch.setenv("GNDL_METHODS", "")
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def built(method: str | MethodSettings, **options: Any) -> Any:
    return build_method(method, 3, LAM if method_settings(method).uses_lam else None, **options)


class TinyBackbone(nn.Module):
    """The stages of ResNet-18 by name, each layer one 1 × 1 convolution: no activation, no batch-norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = self.bn1 = self.relu = self.maxpool = nn.Identity()
        widths = (3, 64, 128, 256, 512)
        for number in (1, 2, 3, 4):
            setattr(self, f"layer{number}", nn.Conv2d(widths[number - 1], widths[number], 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)

    def forward(self, faces: Tensor) -> Tensor:
        return self.avgpool(self.layer4(self.layer3(self.layer2(self.layer1(faces))))).flatten(1)


class ByHand:
    """What a method's equations give, in numpy, with the weights of its network."""

    def __init__(self, network: nn.Module, name: str) -> None:
        self.weights = {key: value.numpy() for key, value in network.state_dict().items()}
        self.name = name
        self.layer = int(name[-1]) if name.startswith("gndl-layer-") else 4

    def linear(self, name: str, x: Array) -> Array:
        bias = self.weights.get(f"{name}.bias", 0.0)
        return x @ self.weights[f"{name}.weight"].reshape(-1, x.shape[-1]).T + bias

    def layers(self, maps: Array, first: int, last: int) -> Array:
        for number in range(first, last + 1):
            maps = self.linear(f"backbone.layer{number}", maps)
        return maps

    def generated(self, x: Array) -> Array:
        """G of Fig. 5: FC to half, every channel twice, one or two FC, each with a LeakyReLU of slope 0.01."""
        decoders = (
            ("generator.decoder.0",)
            if self.name == "gndl-decoder-1"
            else ("generator.decoder.0", "generator.decoder.2")
        )
        x = leaky(self.linear("generator.encoder.0", x)).repeat(2, axis=-1)
        for decoder in decoders:
            x = leaky(self.linear(decoder, x))
        return x

    def outputs(self, examined: Array, neutral: Array, *, training: bool) -> dict[str, Array]:
        """Every field of the output, from faces (B, H, W, 3)."""
        exam, neu = (self.layers(faces, 1, self.layer) for faces in (examined, neutral))  # maps after the layer
        if self.name == "gndl-by-sequence":
            neu = neu[FIRST]
        found: dict[str, Array] = {"f_exam": mean(exam), "f_neu": mean(neu), "maps": (exam, neu)}
        if self.name.startswith("baseline"):
            return found | {"logits": self.linear("classifier", mean(exam)), "f_neu": None}
        if self.name == "image-difference":
            f_exam = mean(self.layers(examined - neutral, 1, 4))
            return found | {"f_exam": f_exam, "f_neu": None, "logits": self.linear("classifier", f_exam)}
        if self.name == "oracle-train":
            deviation = found["f_exam"] - found["f_neu"]
            return found | {"deviation": deviation, "logits": self.linear("classifier", deviation)}
        maps = self.name.startswith("gndl-layer-")
        gen = self.generated(exam) if maps else self.generated(mean(exam))[:, None, None]
        deviation = mean(self.layers(exam - gen, self.layer + 1, 4))
        if self.name == "gndl-concatenation":
            deviation = np.concatenate([mean(exam), mean(gen)], axis=1)
        if self.name == "oracle-swap" and not training:
            deviation = found["f_exam"] - found["f_neu"]
        elif not training:
            found["f_neu"] = None
        difference = np.abs((neu if maps else mean(neu)[:, None, None]) - gen)
        sums = {"gndl-sum": 1.0, "gndl-channel-sum": 1 / len(exam)}
        neu_loss = difference.sum() * sums.get(self.name, 1 / difference.size)
        lam = 0.0 if self.name == "gndl-lam-0" else LAM
        logits = self.linear("classifier", deviation)
        return found | {"deviation": deviation, "f_gen": mean(gen), "logits": logits, "neu": neu_loss, "lam": lam}


def mean(maps: Array) -> Array:
    return maps.mean(axis=(1, 2))


def leaky(x: Array) -> Array:
    return np.where(x > 0, x, 0.01 * x)


def tiny(name: str) -> tuple[Any, tuple[Tensor, Tensor]]:
    """A method on the tiny backbone in float64, and four examined and neutral faces of 2 × 2 pixels."""
    network = built(name, seed=3)
    torch.manual_seed(1)
    network.backbone = TinyBackbone()
    draw = torch.Generator().manual_seed(0)
    faces = [torch.randn(4, 3, 2, 2, generator=draw, dtype=torch.float64) for _ in range(2)]
    return network.double(), (faces[0], faces[1])


def called(network: Any, *faces: Tensor | None) -> Any:
    return network(*faces, *([SEQUENCE] if network.whole_sequences else []))


def channels_last(faces: Tensor) -> Array:
    return faces.permute(0, 2, 3, 1).numpy()


@by_name
@pytest.mark.parametrize("training", [True, False])
def test_a_method_computes_its_equations(name: str, training: bool) -> None:
    """Features, G, Eq. 7, the logits and Eq. 8 to 11, each against numpy; every parameter has a gradient."""
    network, faces = tiny(name)
    assert (network.classifier.bias is None) == (name == "gndl-no-bias")
    expected = ByHand(network, name).outputs(*map(channels_last, faces), training=training)
    output = called(network.train(training), *faces)
    for field in ("logits", "f_exam", "f_neu", "f_gen", "deviation"):
        found, wanted = getattr(output, field), expected.get(field)
        assert (found is None) == (wanted is None), field
        if wanted is not None:
            np.testing.assert_allclose(found.detach(), wanted, rtol=1e-9, atol=1e-12, err_msg=field)
    if not training:
        return
    losses = network.loss(output, LABELS)
    exponentials = np.exp(expected["logits"])
    p = exponentials / exponentials.sum(axis=1, keepdims=True)  # Eq. 10
    cls = -np.log(p[range(4), LABELS]).mean()  # Eq. 9
    neu = expected.get("neu")
    assert (losses.neu is None) == (neu is None)
    found = [value.item() for value in (losses.total, losses.cls, losses.neu) if value is not None]
    wanted = [cls, cls] if neu is None else [cls + expected["lam"] * neu, cls, neu]
    assert found == pytest.approx(wanted, rel=1e-9)
    if neu is not None:  # Eq. 8 pulls on the real neutral feature too, unless the gradient is stopped (L3)
        target = getattr(output, "map_neu", output.f_neu)
        to_neu, to_gen = torch.autograd.grad(
            losses.neu, [target, getattr(output, "map_gen", output.f_gen)], retain_graph=True, allow_unused=True
        )
        assert (to_neu is None) == (name == "gndl-stop-gradient") and to_gen.abs().sum() > 0
    losses.total.backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@by_name
def test_a_method_reads_the_neutral_face_at_test_only_if_it_says_so(name: str) -> None:
    """Others ignore it, be it NaN or missing; these refuse to answer without it and change with it."""
    network, (examined, neutral) = tiny(name)
    with pytest.raises(GndlError, match="neutral face") if network.images_per_pair > 1 else nullcontext():
        called(network.train(), examined, None)
    network.eval()
    if method_settings(name).needs_neutral_at_test:
        assert not torch.equal(
            called(network, examined, neutral.flip(0)).logits, called(network, examined, neutral).logits
        )
        with pytest.raises(GndlError, match="needs the neutral face"):
            called(network, examined, None)
    else:
        for garbage in (torch.full_like(neutral, float("nan")), None):
            assert torch.equal(called(network, examined, garbage).logits, called(network, examined, neutral).logits)
    if name.startswith("gndl"):
        with pytest.raises(GndlError, match="training mode"):
            network.loss(called(network, examined, None), LABELS)
        layer = ByHand(network, name).layer
        means = ByHand(network, name).layers(channels_last(neutral), 1, layer).mean(axis=(1, 2))
        np.testing.assert_allclose(network.neutral_features(neutral), means)
        with pytest.raises(GndlError, match="evaluation mode"):
            network.train().neutral_features(neutral)


@by_name
def test_features_are_subtracted_and_classified_in_full_precision(name: str) -> None:
    """Where the backbone runs in bf16: Eq. 7 would leave few of its eight bits."""
    network, faces = tiny(name)
    for training in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = called(network.float().train(training), *(face.float() for face in faces))
        classified = output.f_exam if output.deviation is None else output.deviation
        given = (output.logits, output.f_exam, output.f_gen, classified)
        assert {value.dtype for value in given if value is not None} == {torch.float32}
        assert torch.equal(output.logits, network.classifier(classified))
        if name.startswith("gndl-layer-") or name == "gndl-concatenation":
            continue
        if output.f_gen is not None and (training or not network.needs_neutral_at_test):
            assert torch.equal(classified, output.f_exam - network.generator(output.f_exam))


SHARES = {"baseline": 0.0, "gndl-no-joint-norm": 0.0, "gndl-by-sequence": 1 / 3}
"""How much of batch-norm's statistics comes from neutral faces (Eq. 4 and 5), where it is not half."""


@by_name
def test_batch_norm_sees_the_faces_that_it_should_and_counts_them(name: str) -> None:
    """The running mean of ResNet-18's first batch-norm after one step of training, by share of neutral faces."""
    network = built(name).train()
    examined, neutral = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8) + 1
    neutral = neutral[FIRST]
    norm = network.backbone.bn1
    with torch.no_grad():
        groups = (examined - neutral, neutral) if name == "image-difference" else (examined, neutral)
        means = [network.backbone.conv1(group).mean((0, 2, 3)) for group in groups]
        called(network, examined, neutral)
        share = 0.0 if name == "image-difference" else SHARES.get(name, 1 / 2)
        expected = 0.1 * ((1 - share) * means[0] + share * means[1])
        torch.testing.assert_close(norm.running_mean, expected)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        called(network.eval(), examined, neutral)
    counters = [value for key, value in before.items() if key.endswith("num_batches_tracked")]
    assert len(counters) == 20 and all(value == 1 for value in counters)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_built_in_methods_are_told_apart_as_ever() -> None:
    """Name, base, options and needs, as earlier runs have them, and the classes agree; only one draws other noise."""
    kept = {settings.name: settings.as_json() for settings in BUILT_IN if settings.name in NAMES}
    assert kept["image-difference"].pop("independent_noise") is True
    assert hash_json(kept) == "8d62075fad95ba4d50b7f9222468ae2691386e93ad1d65bf5446e6567b27fb2a"
    for settings in BUILT_IN:
        with torch.device("meta"):  # nothing is drawn
            network = built(settings)
        for need in (*methods._NEEDS, *methods._FITTING):
            assert getattr(network, need) == getattr(settings, need), (settings.name, need)
        assert (type(network).rearrange is not None) == settings.rearrange
        assert settings.purpose and settings.source is None and settings.name in method_names()
    assert METHOD_GROUPS["ablations"] == (
        "baseline", "baseline-joint-norm", "gndl", "gndl-lam-0", "gndl-no-joint-norm", "gndl-stop-gradient",
        "gndl-channel-sum", "gndl-decoder-1", "gndl-shuffled-neutral", "gndl-concatenation", "image-difference",
        "oracle-swap", "oracle-train",
    )  # fmt: skip


def test_one_seed_starts_methods_from_the_same_weights_and_leaves_random_numbers_alone() -> None:
    """What baseline and GNDL share is equal; another seed gives other weights."""
    before = torch.get_rng_state()
    baseline, gndl = (built(name, seed=4).state_dict() for name in ("baseline", "gndl"))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(baseline) < set(gndl) and all(torch.equal(baseline[key], gndl[key]) for key in baseline)
    other = built("baseline", seed=5).state_dict()
    assert not torch.equal(other["backbone.conv1.weight"], baseline["backbone.conv1.weight"])


@given(st.lists(st.integers(1, 4), min_size=3, max_size=8), st.integers(0, 3))
def test_a_shuffled_neutral_face_is_another_training_subjects(sequences: list[int], seed: int) -> None:
    """One other training subject for each, whatever the numbers of sequences; the test pairs keep theirs."""
    who = np.repeat(np.arange(len(sequences)), sequences)
    count = len(who)
    names = [str(i) for i in who]
    pairs = FacePairs(
        np.zeros((2 * count, 8, 8), np.uint8), count + np.arange(count), np.arange(count), np.zeros(count, np.int64),
        names, names, names, ("anger",),
    )  # fmt: skip
    train = np.flatnonzero(who > 0)
    shuffled = shuffled_neutral(pairs, train, seed)
    taken = who[shuffled.neutral_index]
    assert np.array_equal(shuffled.neutral_index[who == 0], pairs.neutral_index[who == 0])
    assert np.all(taken[train] != who[train]) and np.all(taken[train] > 0)
    for subject in range(1, len(sequences)):
        partner = set(taken[who == subject])
        own, others = sequences[subject], sequences[int(min(partner))]
        assert len(partner) == 1 and len(set(shuffled.neutral_index[who == subject])) == min(own, others)


SHUFFLED = [1, 3, 5, 2, 0, 4, 1, 3, 5, 3, 4, 5]


def test_the_shuffled_neutral_faces_are_those_of_the_record() -> None:
    """Subject by subject for the seed of every run; a database of one subject has none."""
    pairs = planted_pairs(12)
    assert method_settings("gndl-shuffled-neutral").pairs_for(pairs, np.arange(9)).neutral_index.tolist() == SHUFFLED
    with pytest.raises(GndlError, match="at least two subjects"):
        shuffled_neutral(pairs, np.array([0, 6]))


def test_the_first_pair_of_each_sequence_is_found() -> None:
    assert first_of_each(torch.tensor([2, 0, 0, 1, 2])).tolist() == [1, 3, 0]
    with pytest.raises(GndlError, match="sequence of every pair"):
        built("gndl-by-sequence")(torch.zeros(2, 3, 8, 8), torch.zeros(2, 3, 8, 8))


def test_names_groups_and_lambdas_that_cannot_be_meant_are_refused() -> None:
    """The message lists the known methods and says how to use one's own; built-in ones cannot be replaced."""
    assert expand_groups(["gndl", "granularity"])[:2] == ("gndl", "baseline")
    assert set(expand_groups(METHOD_GROUPS)) < set(method_names())
    with pytest.raises(GndlError, match=r'"gdnl" is unknown; known are baseline, .*--method FILE\.py:CLASS'):
        method_settings("gdnl")
    with pytest.raises(GndlError, match="method of this package"):
        register_method("gndl", GNDL)
    for name in ("", "My Method", "../up", "a--b", "-a", "imported-mine"):
        with pytest.raises(GndlError, match="not a valid method name"):
            register_method(name, GNDL)
    for method, lam in (("gndl", None), ("gndl", -1.0), ("gndl", float("nan")), ("baseline", 5.0)):
        with pytest.raises(GndlError, match="λ"):
            build_method(method, 7, lam)


def test_a_class_registered_anew_keeps_its_needs() -> None:
    """All that training and evaluation ask a method for; only joint_norm is an option, not a class."""
    needs = (*methods._NEEDS, *methods._FITTING, "rearrange")
    for settings in BUILT_IN:
        if settings.name != "baseline-joint-norm":
            own = register_method(f"own-{settings.name}", settings.load_class())
            assert [getattr(own, need) for need in needs] == [getattr(settings, need) for need in needs], own
    assert ResNetBaseline(3, bias=False).classifier.bias is None and build_method("gndl", 3, 0.0).lam == 0


def test_a_further_variant_of_a_known_method_keeps_its_base() -> None:
    """Its needs are read from its class, and its options are passed on."""
    settings = register_method("gndl-slope", GNDL, options={"slope": 0.2})
    assert settings.base == "gndl" and settings.uses_lam and settings.source is None
    assert variant_name("gndl-slope", Path("resnet18_msceleb.pth")) == "gndl-slope-msceleb"
    generator = built(cloudpickle.loads(cloudpickle.dumps(settings))).generator
    assert {layer.negative_slope for layer in generator.modules() if isinstance(layer, nn.LeakyReLU)} == {0.2}


SOURCE = '''
"""A method outside the package, with a neighbour."""
from gndl.methods.ablations import shuffled_neutral
from gndl.model import GNDL
from neighbour_of_tests import BIAS


class PlainGNDL(GNDL):
    """GNDL without a bias.

    More words.
    """

    def __init__(self, n_classes, lam):
        super().__init__(n_classes, lam, bias=BIAS)

    @staticmethod
    def rearrange(pairs, train_index):
        return shuffled_neutral(pairs, train_index, seed=3)


class NotAMethod:
    pass
'''
SECOND = 1_700_000_000


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A file with a method, and its neighbour."""
    (tmp_path / "method_of_tests.py").write_text(SOURCE)
    os.utime(tmp_path / "method_of_tests.py", (SECOND, SECOND + 0.1))
    (tmp_path / "neighbour_of_tests.py").write_text("BIAS = False\n")
    yield tmp_path / "method_of_tests.py"
    sys.modules.pop("neighbour_of_tests", None)


def test_a_method_from_a_file_is_known_here_and_in_notebooks(file: Path) -> None:
    """Its neighbour is imported, its first line is its purpose; a file that has changed since is refused."""
    settings = load_method_file(f"{file}:PlainGNDL")
    assert (settings.name, settings.purpose, settings.base) == ("plain-gndl", "GNDL without a bias", "plain-gndl")
    assert settings.uses_lam and settings.rearrange and built(settings).classifier.bias is None
    assert os.environ["GNDL_METHODS"] == f"{file}:PlainGNDL"
    del methods._REGISTRY["plain-gndl"]  # as in a process started here, such as a notebook's
    assert method_settings("plain-gndl") == settings
    pairs, train_index = planted_pairs(12), np.arange(9)
    expected = shuffled_neutral(pairs, train_index, seed=3).neutral_index
    assert settings.pairs_for(pairs, train_index).neutral_index.tolist() == expected.tolist()
    file.write_text(SOURCE.replace("bias=BIAS", "bias=True"))  # as long, in the same second: Python's cache would hold
    os.utime(file, (SECOND, SECOND + 0.2))
    with pytest.raises(GndlError, match=r"method_of_tests\.py: has changed since plain-gndl was loaded"):
        built(settings)
    again = load_method_file(f"{file}:PlainGNDL")
    assert again.source != settings.source and built(again).classifier.bias is not None


def test_a_file_without_a_method_is_refused_by_name(file: Path) -> None:
    """Each message names the file and says what is wrong."""
    (file.parent / "broken.py").write_text("1 / 0\n")
    refused = {
        "method_of_tests.py": r"must be FILE\.py:CLASS",
        "absent.py:Mine": r"absent\.py: no such file",
        "method_of_tests.py:NotAMethod": r"NotAMethod is not a class derived from gndl\.model\.Method",
        "method_of_tests.py:Absent": r"Absent is not a class derived from gndl\.model\.Method",
        "broken.py:Mine": r"broken\.py: cannot be imported \(ZeroDivisionError",
    }
    for text, said in refused.items():
        with pytest.raises(GndlError, match=said):
            load_method_file(str(file.parent / text))


CELL = """
class Mine(GNDL):
    def __init__(self, n_classes, lam):
        super().__init__(n_classes, lam, bias=False)
        self.a = 'a b'
        if lam:
            self.b = 1
            self.c = 2
"""


def defined_in_a_notebook(source: str, cell: str, base: type = GNDL) -> type:
    """The class ``Mine`` as a notebook's cell defines it: in ``__main__``, its source known to linecache alone."""
    linecache.cache[cell] = (len(source), None, source.splitlines(keepends=True), cell)
    names: dict[str, Any] = {"__name__": "__main__", "GNDL": base}
    exec(compile(source, cell, "exec"), names)
    return names["Mine"]


def test_a_method_from_a_notebook_is_told_apart_by_its_source() -> None:
    """A changed class has another hash, the same class run again the same; a class without source is refused."""
    one = register_method("mine-of-tests", defined_in_a_notebook(CELL, "<cell 1>"))
    again = register_method("mine-of-tests", defined_in_a_notebook("x = 2\n" + CELL, "<cell 2>"))
    assert one.source == again.source
    changes = (("False", "True"), ("'a b'", "'a  b'"), ("    self.c", "self.c"), ("lam, bias", "lam,  bias"))
    cells = [defined_in_a_notebook(CELL.replace(*change), f"<cell {change}>") for change in changes]
    assert len({one.source, *(register_method("mine-of-tests", cell).source for cell in cells)}) == 1 + len(changes)
    with pytest.raises(GndlError, match="its source cannot be read"):
        register_method("derived-of-tests", type("Derived", (ResNetBaseline,), {}))
    cell = "class Mine(GNDL):\n    def on_epoch(self, epoch, epochs):\n        pass\n"  # the class above it counts too
    bases = [defined_in_a_notebook(CELL.replace("False", value), f"<base {value}>") for value in ("False", "True")]
    found = {register_method("mine-of-tests", defined_in_a_notebook(cell, "<own>", base)).source for base in bases}
    assert len(found) == 2


def test_a_method_of_an_installed_package_is_told_apart_by_the_packages_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its class may be the same where a function that it calls is another; a variant of it from a notebook too."""
    (tmp_path / "theirs_of_tests.py").write_text(
        "from gndl.model import GNDL\n\n\nclass Theirs(GNDL):\n    slope = 1\n"
    )
    (tmp_path / "theirs-1.dist-info").mkdir()
    (tmp_path / "theirs-1.dist-info" / "top_level.txt").write_text("theirs_of_tests\n")
    monkeypatch.syspath_prepend(tmp_path)
    cell = "class Mine(GNDL):\n    def on_epoch(self, epoch, epochs):\n        pass\n"
    found = []
    for number in ("1.0", "1.1", "1.1"):
        (tmp_path / "theirs-1.dist-info" / "METADATA").write_text(f"Name: theirs\nVersion: {number}\n")
        methods._packages_by_module.cache_clear()
        theirs = importlib.import_module("theirs_of_tests").Theirs
        own = defined_in_a_notebook(cell, "<over theirs>", theirs)
        found.append(tuple(register_method("of-tests", cls).source for cls in (theirs, own)))
    assert found[1] == found[2] and len({*found[0], *found[1]}) == 4


def test_methods_from_a_file_and_from_a_notebook_are_built_in_worker_processes(file: Path) -> None:
    """Sent by cloudpickle, as joblib and Ray do, to a process that knows neither."""
    own = [
        load_method_file(f"{file}:PlainGNDL"),
        register_method("mine-of-tests", defined_in_a_notebook(CELL, "<cell 4>")),
    ]
    (file.parent / "sent").write_bytes(cloudpickle.dumps(own))
    code = (
        "import sys, cloudpickle; from gndl.methods import build_method\n"
        "for settings in cloudpickle.loads(open(sys.argv[1], 'rb').read()):\n"
        "    network = build_method(settings, 7, 5.0)\n"
        "    print(type(network).__name__, network.classifier.bias, settings.source)\n"
    )
    command = [sys.executable, "-c", code, str(file.parent / "sent")]
    environment = {key: value for key, value in os.environ.items() if key != "GNDL_METHODS"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    expected = [f"PlainGNDL None {own[0].source}", f"Mine None {own[1].source}"]
    assert done.stdout.splitlines() == expected, done.stderr


def test_rearranging_may_only_give_training_samples_other_training_faces() -> None:
    """Neutral faces of test samples, truths, names and the faces of test subjects are out of reach."""
    pairs, train_index = planted_pairs(12, n_subjects=12), np.arange(9)
    own = pairs.neutral_index
    refused: dict[str, dict[str, Any]] = {
        "samples that are not trained on": {"neutral_index": np.roll(own, 1)},
        "perhaps a test subject's": {"neutral_index": np.array([*[own[-1]] * 9, *own[9:]])},
        "rearrange changed label": {"label": pairs.label + 1},
        "rearrange changed subject": {"subject": [*pairs.subject[1:], pairs.subject[0]]},
    }
    for said, changed in refused.items():

        class Rearranging(GNDL):
            @staticmethod
            def rearrange(pairs: FacePairs, train_index: Any, changed: dict[str, Any] = changed) -> FacePairs:
                return replace(pairs, **changed)

        settings = register_method("rearranging-of-tests", Rearranging)
        with pytest.raises(GndlError, match=f"rearranging-of-tests: .*{said}"):
            settings.pairs_for(pairs, train_index)
