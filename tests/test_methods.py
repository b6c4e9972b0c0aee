"""Methods by name: the paper's, one per ledger option, and one's own."""

from __future__ import annotations

import pickle

import pytest
import torch

from gndl.errors import GndlError
from gndl.methods import build_method, lam_folder, method_names, method_settings, register_method, variant_name
from gndl.model import GNDL, ResNetBaseline


def test_every_built_in_variant_builds_and_says_what_it_shows() -> None:
    """Each has a purpose, and its images per pair are those of its network."""
    for name in ("baseline", "gndl", "gndl-stop-gradient", "gndl-channel-sum", "gndl-sum", "gndl-no-joint-norm",
                 "gndl-decoder-1", "gndl-no-bias", "baseline-joint-norm"):  # fmt: skip
        settings = method_settings(name)
        assert name in method_names() and settings.purpose
        network = build_method(settings, 6, 5.0 if settings.uses_lam else None)
        assert network.images_per_pair == settings.images_per_pair
        assert network.uses_lam == settings.uses_lam and not settings.needs_neutral_at_test


def test_one_seed_starts_baseline_and_gndl_from_the_same_weights() -> None:
    """What both have, backbone and classifier, is equal; another seed differs; global randomness is untouched."""
    torch.manual_seed(1)
    before = torch.get_rng_state()
    baseline, gndl = build_method("baseline", 7, seed=4).state_dict(), build_method("gndl", 7, 5.0, seed=4).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert set(baseline) < set(gndl) and all(torch.equal(baseline[key], gndl[key]) for key in baseline)
    other = build_method("baseline", 7, seed=5).state_dict()
    assert not torch.equal(other["backbone.conv1.weight"], baseline["backbone.conv1.weight"])


def test_lambda_is_needed_by_gndl_alone() -> None:
    """Missing, superfluous and negative values are refused; folders print it by %g."""
    for method, lam in (("gndl", None), ("gndl", -1.0), ("gndl", float("nan")), ("baseline", 5.0)):
        with pytest.raises(GndlError, match="λ"):
            build_method(method, 7, lam)
    assert [lam_folder(lam) for lam in (5.0, 0.5, 50.0, None)] == ["lam-5", "lam-0.5", "lam-50", "lam-none"]


def test_unknown_names_and_names_that_are_taken_are_refused() -> None:
    """The message lists the known methods; built-in ones cannot be replaced."""
    with pytest.raises(GndlError, match=r'"gdnl" is unknown; known are baseline, .*gndl'):
        method_settings("gdnl")
    with pytest.raises(GndlError, match="method of this package"):
        register_method("gndl", GNDL)
    for name in ("", "My Method", "../up", "a--b", "-a"):
        with pytest.raises(GndlError, match="cannot name a method"):
            register_method(name, GNDL)


def test_a_variant_of_ones_own_keeps_its_base_and_travels_to_other_processes() -> None:
    """Settings carry their factory, so that a worker process needs no registration of its own."""
    settings = register_method("gndl-slope", GNDL, options={"slope": 0.2})
    assert settings.base == "gndl" and settings.uses_lam and variant_name("gndl-slope") == "gndl-slope"
    copy = pickle.loads(pickle.dumps(settings))
    assert build_method(copy, 7, 5.0).generator.encoder[1].negative_slope == 0.2
    assert copy.factory is not ResNetBaseline
