"""Every method does what its name says and nothing else; your own method trains like the package's."""

from __future__ import annotations

import linecache
import os
import subprocess
import sys
from collections.abc import Iterator
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
from torch import Tensor

from gndl import methods
from gndl.files import GndlError
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
from gndl.methods.by_sequence import GNDLBySequence, first_of_each
from gndl.methods.granularity import CHANNELS, MapGNDL
from gndl.model import GNDL, ResNetBaseline
from gndl.pairs import FacePairs

SEQUENCE = torch.tensor([0, 0, 1, 1])
Faces = tuple[Tensor, Tensor]
by_name = pytest.mark.parametrize("settings", BUILT_IN, ids=lambda settings: settings.name)


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Four examined and four neutral faces of 32 pixels."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 32, 32, generator=draw), torch.randn(4, 3, 32, 32, generator=draw)


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(methods, "_REGISTRY", dict(methods._REGISTRY))
    monkeypatch.setenv("GNDL_METHODS", "")
    monkeypatch.setattr(sys, "path", list(sys.path))


def built(settings: MethodSettings, **options: Any) -> Any:
    return build_method(settings, 7, 5.0 if settings.uses_lam else None, **options)


def called(settings: MethodSettings, network: Any, *faces: Tensor | None) -> Any:
    return network(*faces, *([SEQUENCE] if settings.whole_sequences else []))


@by_name
def test_every_method_has_a_purpose_and_trains_all_its_parameters(settings: MethodSettings, faces: Faces) -> None:
    """Logits (B, K), finite losses, L_neu where there is a generator, a gradient for every parameter."""
    network = built(settings).train()
    assert settings.purpose and settings.source is None and settings.name in method_names()
    assert (network.uses_lam, network.needs_neutral_at_test) == (settings.uses_lam, settings.needs_neutral_at_test)
    assert (network.images_per_pair, network.whole_sequences) == (settings.images_per_pair, settings.whole_sequences)
    assert (type(network).rearrange is not None) == settings.rearrange
    output = called(settings, network, *faces)
    losses = network.loss(output, torch.tensor([0, 1, 2, 3]))
    losses.total.backward()
    assert output.logits.shape == (4, 7) and output.f_exam.shape[0] == 4 and torch.isfinite(losses.total)
    assert (losses.neu is not None) == settings.name.startswith(("gndl", "oracle-swap"))
    assert all(parameter.grad is not None for parameter in network.parameters())


@by_name
def test_a_method_reads_the_neutral_face_at_test_only_if_it_says_so(settings: MethodSettings, faces: Faces) -> None:
    """Others ignore it, be it NaN or missing, bit for bit; these refuse to answer without it and change with it."""
    examined, neutral = faces
    network = built(settings)
    called(settings, network.train(), *faces)  # so that running statistics are not the defaults
    network.eval()
    with torch.no_grad():
        logits = called(settings, network, examined, neutral).logits
        if settings.needs_neutral_at_test:
            assert not torch.equal(called(settings, network, examined, neutral.flip(0)).logits, logits)
            with pytest.raises(GndlError, match="needs the neutral face"):
                network(examined)
        else:
            for garbage in (neutral.flip(0), torch.full_like(neutral, float("nan")), None):
                assert torch.equal(called(settings, network, examined, garbage).logits, logits)


def test_a_variant_has_the_option_of_its_name() -> None:
    """Each differs from the paper's method in one option, or in its class."""
    options = {settings.name: settings.options for settings in BUILT_IN if settings.options}
    assert options == {
        "baseline-joint-norm": {"joint_norm": True}, "gndl-stop-gradient": {"stop_gradient": "target"},
        "gndl-channel-sum": {"reduction": "channel-sum"}, "gndl-sum": {"reduction": "sum"},
        "gndl-no-joint-norm": {"joint_norm": False}, "gndl-decoder-1": {"decoder_layers": 1},
        "gndl-no-bias": {"bias": False}, **{f"gndl-layer-{layer}": {"layer": layer} for layer in (1, 2, 3, 4)},
    }  # fmt: skip
    assert built(method_settings("gndl-lam-0")).lam == 0


def test_one_seed_starts_methods_from_the_same_weights_and_leaves_random_numbers_alone() -> None:
    """What baseline and GNDL share is equal; another seed gives other weights."""
    before = torch.get_rng_state()
    baseline, gndl = (built(method_settings(name), seed=4).state_dict() for name in ("baseline", "gndl"))
    assert torch.equal(torch.get_rng_state(), before)
    assert set(baseline) < set(gndl) and all(torch.equal(baseline[key], gndl[key]) for key in baseline)
    other = build_method("baseline", 7, seed=5).state_dict()
    assert not torch.equal(other["backbone.conv1.weight"], baseline["backbone.conv1.weight"])


def test_oracles_and_concatenation_classify_what_they_say(faces: Faces) -> None:
    """θ · (F_exam − F_neu), with GNDL's training in the swap; nothing but the bias for one picture; both features."""
    names = ("gndl", "oracle-swap", "oracle-train", "gndl-concatenation")
    gndl, swap, oracle, both = (built(method_settings(name), seed=3) for name in names)
    assert torch.equal(gndl(*faces).logits, swap(*faces).logits)
    with torch.no_grad():
        f_exam, f_neu = swap.eval().backbone(faces[0]), swap.backbone(faces[1])
        expected = (f_exam - f_neu) @ swap.classifier.weight.T + swap.classifier.bias
        torch.testing.assert_close(swap(*faces).logits, expected)
        torch.testing.assert_close(oracle.eval()(faces[0], faces[0]).logits, oracle.classifier.bias.expand(4, 7))
        output = both.eval()(faces[0])
        assert torch.equal(output.deviation, torch.cat([output.f_exam, both.generator(output.f_exam)], 1))


@pytest.mark.parametrize("layer", CHANNELS)
def test_the_generator_of_maps_works_position_by_position(layer: int) -> None:
    """Eq. 7 and 8 in the map after a layer; Eq. 11 for the total."""
    network = MapGNDL(7, 2.0, layer=layer)
    examined, neutral = torch.randn(3, 3, 64, 64), torch.randn(3, 3, 64, 64)
    output: Any = network(examined, neutral)
    assert output.map_gen.shape == (3, 32 // 2**layer, 32 // 2**layer, CHANNELS[layer])
    losses = network.loss(output, torch.tensor([0, 1, 2]))
    torch.testing.assert_close(losses.neu, (output.map_neu - output.map_gen).abs().mean())
    torch.testing.assert_close(losses.total, losses.cls + 2.0 * losses.neu)
    network.eval()
    with torch.no_grad():
        maps, found = network._maps(examined), network(examined)
        torch.testing.assert_close(found.map_gen[:, 0, 0], network.generator(maps[:, 0, 0]))


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
    assert all(len(set(taken[who == subject])) == 1 for subject in range(1, len(sequences)))


def test_by_sequence_passes_each_neutral_face_once() -> None:
    """B examined and n neutral faces in one pass, so a quarter of the statistics is neutral; GNDL: half."""
    assert first_of_each(torch.tensor([2, 0, 0, 1, 2])).tolist() == [1, 3, 0]
    sequence = torch.tensor([0, 0, 0, 1, 1, 1])
    examined, neutral = torch.randn(6, 3, 8, 8), torch.randn(2, 3, 8, 8) + 1
    seen: list[int] = []
    for cls, arguments, share in ((GNDL, (), 1 / 2), (GNDLBySequence, (sequence,), 1 / 4)):
        network = cls(7, 5.0)
        with torch.no_grad():
            means = [network.backbone.conv1(group).mean((0, 2, 3)) for group in (examined, neutral)]
            network.backbone.conv1.register_forward_hook(lambda module, inputs, output: seen.append(len(inputs[0])))
            network(examined, neutral[sequence], *arguments)
        expected = 0.1 * ((1 - share) * means[0] + share * means[1])
        torch.testing.assert_close(network.backbone.bn1.running_mean, expected)
    assert seen == [12, 8]
    with pytest.raises(GndlError, match="sequence of every pair"):
        GNDLBySequence(7, 5.0)(examined, examined)


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


def test_a_further_variant_of_a_known_method_keeps_its_base() -> None:
    """Its needs are read from its class, and its options are passed on."""
    settings = register_method("gndl-slope", GNDL, options={"slope": 0.2})
    assert settings.base == "gndl" and settings.uses_lam and settings.source is None
    assert variant_name("gndl-slope", Path("resnet18_msceleb.pth")) == "gndl-slope-msceleb"
    assert built(cloudpickle.loads(cloudpickle.dumps(settings))).generator.encoder[1].negative_slope == 0.2


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


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    """A file with a method, and its neighbour."""
    (tmp_path / "method_of_tests.py").write_text(SOURCE)
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
    file.write_text(SOURCE.replace("bias=BIAS", "bias=not BIAS"))
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
    changed = register_method("mine-of-tests", defined_in_a_notebook(CELL.replace("False", "True"), "<cell 3>"))
    assert one.source == again.source != changed.source
    with pytest.raises(GndlError, match="its source cannot be read"):
        register_method("derived-of-tests", type("Derived", (ResNetBaseline,), {}))
    cell = "class Mine(GNDL):\n    def on_epoch(self, epoch, epochs):\n        pass\n"  # the class above it counts too
    bases = [defined_in_a_notebook(CELL.replace("False", value), f"<base {value}>") for value in ("False", "True")]
    found = {register_method("mine-of-tests", defined_in_a_notebook(cell, "<own>", base)).source for base in bases}
    assert len(found) == 2


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
