"""The methods that can be trained, by name: the paper's two, one variant per ledger option, and one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gndl.errors import GndlError
from gndl.imported import is_imported
from gndl.method_code import is_of_session
from gndl.model import Method
from gndl.outside_methods import find_method, installed_methods
from gndl.variants.built_in import BUILT_IN, METHOD_GROUPS, MethodSettings, Rearrange
from gndl.weights import load_backbone_weights, weights_name

_REGISTRY: dict[str, MethodSettings] = {settings.name: settings for settings in BUILT_IN}


def method_names() -> tuple[str, ...]:
    """Return the names of every registered method, the built-in ones first."""
    return tuple(_REGISTRY)


def methods_meant(names: Iterable[str]) -> tuple[str, ...]:
    """Return the methods that ``names`` stand for, groups spelt out and each method once, in the order given."""
    meant = [method for name in names for method in METHOD_GROUPS.get(name, (name,))]
    return tuple(dict.fromkeys(meant))


def method_settings(name: str | MethodSettings) -> MethodSettings:
    """Return the settings registered as ``name`` or found outside (`gndl.outside_methods`), or the settings given.

    The code of a method from a notebook is hashed anew, since a constant that it reads may have changed meanwhile.

    Raises
    ------
    GndlError
        Naming the known methods, where ``name`` is not one of them.
    """
    if isinstance(name, str) and name not in _REGISTRY and not find_method(name):
        raise GndlError(
            f'Method "{name}" is unknown; known are {", ".join((*_REGISTRY, *installed_methods()))}. '
            "Your own: --method FILE.py:CLASS; GNDL_METHODS=FILE.py:CLASS in the environment of a notebook or script; "
            "or register_method in a notebook."
        )
    settings = _REGISTRY[name] if isinstance(name, str) else name
    return replace(settings) if is_of_session(settings.factory) else settings


def register_method(
    name: str,
    factory: Callable[..., Method],
    *,
    options: Mapping[str, Any] | None = None,
    purpose: str = "",
    uses_lam: bool | None = None,
    images_per_pair: int | None = None,
    needs_neutral_at_test: bool | None = None,
    whole_sequences: bool | None = None,
    rearrange: Rearrange | None = None,
) -> MethodSettings:
    """Make a method of one's own known, or a further variant of a known one.

    Registering a name again replaces what it meant, so a notebook cell can be run twice. Runs are not mixed up by
    that: the code of ``factory``, with the functions and constants it refers to, is part of their identity
    (:func:`gndl.method_code.method_hash`).

    Parameters
    ----------
    name : str
        Lower-case letters, digits and hyphens; it names folders.
    factory : callable
        Best the class itself: ``factory(n_classes, **options)``, with ``lam`` second where λ is used.
    options, purpose
        As for :class:`MethodSettings`.
    uses_lam, images_per_pair, needs_neutral_at_test, whole_sequences, rearrange : optional
        Where left out, the factory's attributes of these names; failing those, the defaults of :class:`Method`.

    Raises
    ------
    GndlError
        Where the name is not usable or belongs to a method of this package, or the code refers to an object that
        cannot be hashed.

    Examples
    --------
    >>> from gndl.model import GNDL
    >>> register_method("gndl-slope-0.2", GNDL, options={"slope": 0.2}).uses_lam
    True
    """
    if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name):
        raise GndlError(f'"{name}" cannot name a method: use lower-case letters, digits and hyphens.')
    if name in _BUILT_IN:
        raise GndlError(f'"{name}" is a method of this package; register yours under another name.')
    if is_imported(name):
        raise GndlError(f'"{name}" would be taken for predictions that were imported; choose another name.')

    def attribute(given: Any, attribute_name: str) -> Any:
        return getattr(factory, attribute_name, getattr(Method, attribute_name)) if given is None else given

    bases = {known.factory: known.base for known in _REGISTRY.values() if known.name in _BUILT_IN}
    settings = MethodSettings(
        name=name,
        base=bases.get(factory, name),
        factory=factory,
        options=dict(options or {}),
        purpose=purpose,
        uses_lam=attribute(uses_lam, "uses_lam"),
        images_per_pair=attribute(images_per_pair, "images_per_pair"),
        needs_neutral_at_test=attribute(needs_neutral_at_test, "needs_neutral_at_test"),
        whole_sequences=attribute(whole_sequences, "whole_sequences"),
        rearrange=attribute(rearrange, "rearrange"),
    )
    _REGISTRY[name] = settings
    return settings


_BUILT_IN = frozenset(_REGISTRY)


def is_built_in(name: str) -> bool:
    """Whether a method of this package has the name, and not one that was registered."""
    return name in _BUILT_IN


def variant_name(method: str | MethodSettings, weights: Path | None = None) -> str:
    """Return METHOD of the run folders: the method's name and that of its ``weights``, such as ``"gndl-imagenet"``."""
    name = method_settings(method).name
    return name if weights is None else f"{name}-{weights_name(weights)}"


def lam_folder(lam: float | None) -> str:
    """Return the folder of a value of λ: ``"lam-5"``, ``"lam-0.5"``, and ``"lam-none"`` for methods without it."""
    return "lam-none" if lam is None else f"lam-{lam:g}"


def build_method(
    settings: str | MethodSettings,
    n_classes: int,
    lam: float | None = None,
    weights: Path | None = None,
    seed: int = 0,
) -> Method:
    """Build a method, its weights drawn from ``seed``; the global random state is left as it was.

    Parameters
    ----------
    settings : str or MethodSettings
    n_classes : int
        K.
    lam : float, optional
        λ of Eq. 11; needed by methods that use it, refused by the others.
    weights : Path, optional
        Starts the backbone from this file (ledger L8), see :func:`gndl.weights.load_backbone_weights`.
    seed : int
        The same seed gives the same weights; baseline and GNDL share those that both have.

    Raises
    ------
    GndlError
        Where λ is missing, superfluous or negative, or the weights do not fit.
    """
    settings = method_settings(settings)
    if settings.uses_lam and (lam is None or not 0 <= lam < float("inf")):
        raise GndlError(f"{settings.name} needs λ, a number of at least 0; got {lam}.")
    if not settings.uses_lam and lam is not None:
        raise GndlError(f"{settings.name} has no λ; leave it out.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        arguments = (n_classes, lam) if settings.uses_lam else (n_classes,)
        method = settings.factory(*arguments, **settings.options)
    if weights is not None:
        load_backbone_weights(method, weights)
    return method
