"""All methods by name: the paper's two, variants of the ledger, ablations, finer grains, compared methods, and yours.

A further method is a class derived from `gndl.model.Method` in a file of this folder and an entry of ``BUILT_IN``. This
module does not load torch: classes are named as ``"module:Class"`` and imported when they are built.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import linecache
import math
import os
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from gndl.files import GndlError, resolve
from gndl.methods import table_1

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gndl.model import Method
    from gndl.pairs import FacePairs
    from gndl.profiles import TrainSettings

IMPORTED_PREFIX = "imported-"
"""How the names of methods begin whose predictions were imported; a method that is trained cannot have such a name."""

VARIABLE = "GNDL_METHODS"
"""Environment variable with ``FILE.py:CLASS``, several separated by semicolons, for notebooks and other processes.

Code is loaded only from there, from the command line and from Python calls, never because a study's files name it.
"""

_PREFIX = "gndl_method_"
"""How the modules are named that files given by ``FILE.py:CLASS`` are executed as."""
_packages_by_module = cache(packages_distributions)


@dataclass(frozen=True)
class MethodSettings:
    """One named method with its options: all that is needed to build it, except λ and the number of classes.

    cloudpickle can send it to another process, also where its class is defined in a notebook or in a file.
    """

    name: str
    """Names the variant in folders and tables, such as ``"gndl-stop-gradient"``."""
    base: str
    """The method that this is a variant of, or the name under which a method from outside was registered."""
    factory: str | type[Method] = field(compare=False, repr=False)
    """The class, ``"module:Class"`` or ``"FILE.py:Class"``; called with the number of classes, λ if used, options."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the class; values that JSON can hold."""
    purpose: str = ""
    """What the variant shows, in one line."""
    uses_lam: bool = False
    images_per_pair: int = 2
    """1 where training looks at examined faces only."""
    needs_neutral_at_test: bool = False
    whole_sequences: bool = False
    independent_noise: bool = False
    rearrange: bool = False
    """Whether the class has a function ``rearrange`` that gives training samples other neutral faces."""
    needs_subject: bool = False
    depends_on_epochs: bool = False
    epochs_factor: float = 1.0
    side_multiple: int = 1
    takes_weights: bool = True
    source: str | None = field(default=None, repr=False)
    """Hash of the source of a class from outside, and of its package's version; None for this package's."""

    def load_class(self) -> type[Method]:
        """The class itself, imported or read from its file."""
        if not isinstance(self.factory, str):
            return self.factory
        place, _, name = self.factory.rpartition(":")
        if not place.endswith(".py"):
            loaded: type[Method] = getattr(importlib.import_module(place), name)
            return loaded
        # Read anew for every run: a worker process that has run before may hold an earlier version.
        loaded = _class_in_file(Path(place), name)
        if _source_hash(loaded) != self.source:
            raise GndlError(f"{place}: has changed since {self.name} was loaded from it; start again.")
        return loaded

    def pairs_for(self, pairs: FacePairs, train_index: NDArray[np.int64]) -> FacePairs:
        """The pairs that this method trains and is tested on; `GndlError` where ``rearrange`` changed too much."""
        if not self.rearrange:
            return pairs
        rearranged: FacePairs = self.load_class().rearrange(pairs, train_index)  # type: ignore[misc]
        kept = ("images", "examined_index", "label", "subject", "sequence", "frame", "expressions")
        changed = [part for part in kept if not np.array_equal(getattr(pairs, part), getattr(rearranged, part))]
        was, now = np.asarray(pairs.neutral_index), np.asarray(rearranged.neutral_index)
        if not np.array_equal(np.delete(was, train_index), np.delete(now, train_index)):
            changed.append("the neutral faces of samples that are not trained on")
        if not set(now[train_index]) <= {*was[train_index], *np.asarray(pairs.examined_index)[train_index]}:
            changed.append("some to faces that are not trained on, perhaps a test subject's")
        if changed:
            raise GndlError(
                f"{self.name}: rearrange changed {', '.join(changed)}; it may only give training samples the faces of "
                "other training samples."
            )
        return rearranged

    def lengthened(self, settings: TrainSettings) -> TrainSettings:
        """The settings of a run where a study's are ``settings``: ``epochs_factor`` times its epochs, rounded up."""
        return replace(settings, epochs=math.ceil(round(self.epochs_factor * settings.epochs, 6)))

    def as_json(self) -> dict[str, Any]:
        """What run.json keeps of the method."""
        return {
            "name": self.name,
            "base": self.base,
            "options": dict(self.options),
            "uses_lam": self.uses_lam,
            "images_per_pair": self.images_per_pair,
            "needs_neutral_at_test": self.needs_neutral_at_test,
            **{name: getattr(self, name) for name, usual in _UNUSUAL.items() if getattr(self, name) != usual},
        }


_UNUSUAL = {
    "whole_sequences": False, "independent_noise": False, "needs_subject": False, "depends_on_epochs": False,
    "epochs_factor": 1.0,
}  # fmt: skip
"""Needs that a run's identity states where they are not these, so that older identities stay."""
_NEEDS = ("uses_lam", "images_per_pair", "needs_neutral_at_test", *_UNUSUAL)
_FITTING = ("side_multiple", "takes_weights")  # they refuse runs and change no number
_GNDL, _BASELINE = "gndl.model:GNDL", "gndl.model:ResNetBaseline"
_ABLATIONS, _GRAIN = "gndl.methods.ablations", "gndl.methods.granularity:MapGNDL"


def _gndl(suffix: str, purpose: str, factory: str = _GNDL, **options: Any) -> MethodSettings:
    return MethodSettings(f"gndl{suffix}", "gndl", factory, options, purpose, uses_lam=True)


BUILT_IN: tuple[MethodSettings, ...] = (
    MethodSettings("baseline", "baseline", _BASELINE, {}, "ResNet-18 on the examined face", images_per_pair=1),
    MethodSettings(
        "baseline-joint-norm", "baseline", _BASELINE, {"joint_norm": True},
        "baseline whose batch-norm sees the neutral faces too, nothing else (L21)",
    ),
    _gndl("", "the paper's method"),
    _gndl("-stop-gradient", "Eq. 8 does not reach the real neutral feature (L3)", stop_gradient="target"),
    _gndl("-channel-sum", "Eq. 8 summed over channels, averaged over samples (L2)", reduction="channel-sum"),
    _gndl("-sum", "Eq. 8 summed over channels and samples, as printed (L2)", reduction="sum"),
    _gndl("-no-joint-norm", "examined and neutral faces normalised separately (L4)", joint_norm=False),
    _gndl("-decoder-1", "one layer after the generator's interpolation (L6)", decoder_layers=1),
    _gndl("-no-bias", "classifier without bias, as Eq. 10 is printed (L20)", bias=False),
    MethodSettings(
        "gndl-lam-0", "gndl-lam-0", f"{_ABLATIONS}:WithoutNeutralLoss", {}, "λ = 0: the generator without Eq. 8"
    ),
    MethodSettings(
        "gndl-shuffled-neutral", "gndl", f"{_ABLATIONS}:ShuffledNeutral", {},
        "trained with the neutral faces of another subject, the same one for every seed",
        uses_lam=True, rearrange=True,
    ),
    MethodSettings(
        "gndl-concatenation", "gndl-concatenation", f"{_ABLATIONS}:Concatenation", {},
        "F_exam concatenated with G(F_exam) instead of their difference (Eq. 7)", uses_lam=True,
    ),
    MethodSettings(
        "oracle-swap", "oracle-swap", f"{_ABLATIONS}:OracleSwap", {},
        "trained as GNDL, the real neutral feature at test", uses_lam=True, needs_neutral_at_test=True,
    ),
    MethodSettings(
        "oracle-train", "oracle-train", f"{_ABLATIONS}:OracleTrain", {},
        "the real neutral feature in training and at test", needs_neutral_at_test=True,
    ),
    MethodSettings(
        "image-difference", "image-difference", f"{_ABLATIONS}:ImageDifference", {},
        "ResNet-18 on examined minus neutral pixels, the noise of the two drawn independently",
        needs_neutral_at_test=True, independent_noise=True,
    ),
    MethodSettings(
        "gndl-by-sequence", "gndl", "gndl.methods.by_sequence:GNDLBySequence", {},
        "batches of whole sequences, each neutral face once: 4 passes instead of 6; neutral faces weigh ¼ in "
        "batch-norm", uses_lam=True, whole_sequences=True,
    ),
    *(
        MethodSettings(
            f"gndl-layer-{layer}", "gndl-layer", _GRAIN, {"layer": layer},
            f"the neutral map of layer {layer} is generated, not the pooled vector", uses_lam=True,
        )
        for layer in (1, 2, 3, 4)
    ),
    *(MethodSettings(**entry) for entry in table_1.ENTRIES),
)  # fmt: skip

METHOD_GROUPS: dict[str, tuple[str, ...]] = {
    "ablations": (
        "baseline", "baseline-joint-norm", "gndl", "gndl-lam-0", "gndl-no-joint-norm", "gndl-stop-gradient",
        "gndl-channel-sum", "gndl-decoder-1", "gndl-shuffled-neutral", "gndl-concatenation", "image-difference",
        "oracle-swap", "oracle-train",
    ),
    "granularity": ("baseline", "gndl-layer-1", "gndl-layer-2", "gndl-layer-3", "gndl-layer-4", "gndl"),
    "table-1": ("baseline", "gndl", "fdrl", "gcnet", "derl", "iacnn", "dlp", "fmpn", "dan"),
}  # fmt: skip
"""Names that stand for several methods: one part of GNDL changed at a time, the layer at which it works,
and the compared methods: those of Table 1 that are written here, FMPN and DAN."""

_REGISTRY: dict[str, MethodSettings] = {settings.name: settings for settings in BUILT_IN}


def method_names() -> tuple[str, ...]:
    """Names of all registered methods, the built-in ones first."""
    return tuple(_REGISTRY)


def expand_groups(names: Iterable[str]) -> tuple[str, ...]:
    """Replace groups by their methods and keep each method once, in the order given."""
    return tuple(dict.fromkeys(method for name in names for method in METHOD_GROUPS.get(name, (name,))))


def is_imported(method: str | MethodSettings) -> bool:
    """Whether a method's predictions were imported, so that it cannot be trained here."""
    return getattr(method, "name", str(method)).startswith(IMPORTED_PREFIX)


def method_settings(name: str | MethodSettings) -> MethodSettings:
    """Settings of a method: a registered one, one of a file named in ``GNDL_METHODS``, or those given."""
    if not isinstance(name, str):
        return name
    for text in os.environ.get(VARIABLE, "").split(";") if name not in _REGISTRY else ():
        if text:
            load_method_file(text)
    if name not in _REGISTRY:
        raise GndlError(
            f'Method "{name}" is unknown; known are {", ".join(_REGISTRY)}. To use your own: --method FILE.py:CLASS on '
            f"the command line, {VARIABLE}=FILE.py:CLASS in the environment, or register_method in a notebook."
        )
    return _REGISTRY[name]


def register_method(
    name: str, cls: type[Method], *, options: Mapping[str, Any] | None = None, purpose: str = ""
) -> MethodSettings:
    """Make your own method known, or a further variant of a known one.

    Registering a name again replaces it, so a notebook cell can be run twice. Runs are not mixed up: the source of the
    class and of its base classes outside this package is part of their identity, and so is the version of an installed
    package that they come from. Other functions and constants that the class uses are not: rename the method when you
    change one of those.

    Parameters
    ----------
    name
        Lower-case letters, digits, hyphens and dots; it becomes a folder name.
    cls
        Derived from `gndl.model.Method`; called as ``cls(n_classes, **options)``, or ``cls(n_classes, lam, **options)``
        where its attribute ``uses_lam`` is set.
    options, purpose
        As in `MethodSettings`; ``purpose`` defaults to the first line of the docstring.

    Examples
    --------
    >>> from gndl.model import GNDL
    >>> register_method("gndl-slope-0.2", GNDL, options={"slope": 0.2}).uses_lam
    True
    """
    from gndl.model import Method

    if not re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", name) or is_imported(name):
        raise GndlError(
            f'"{name}" is not a valid method name: use lower-case letters, digits, hyphens and dots, and no '
            f'"{IMPORTED_PREFIX}" at the start.'
        )
    if any(name == settings.name for settings in BUILT_IN):
        raise GndlError(f'"{name}" is a method of this package; register yours under another name.')
    if not (isinstance(cls, type) and issubclass(cls, Method)):
        raise GndlError(f"{getattr(cls, '__name__', cls)} is not a class derived from gndl.model.Method.")
    bases = {settings.factory: settings.base for settings in BUILT_IN}
    _REGISTRY[name] = MethodSettings(
        name=name,
        base=bases.get(f"{cls.__module__}:{cls.__name__}", name),
        factory=cls,
        options=dict(options or {}),
        purpose=purpose or (vars(cls).get("__doc__") or "").strip().partition("\n")[0].rstrip("."),
        **{need: getattr(cls, need) for need in (*_NEEDS, *_FITTING)},
        rearrange=cls.rearrange is not None,
        source=_source_hash(cls),
    )
    return _REGISTRY[name]


def load_method_file(text: str) -> MethodSettings:
    """Register the class that ``FILE.py:CLASS`` names, here and in the notebooks that this process starts.

    The method is called what the class's attribute ``name`` says, else as the class, ``CosineGNDL`` as
    ``cosine-gndl``. The file may import modules that lie next to it.
    """
    file_name, _, class_name = text.rpartition(":")
    if not file_name.endswith(".py") or not class_name.isidentifier():
        raise GndlError(f"--method must be FILE.py:CLASS, such as mine.py:CosineGNDL, got {text!r}")
    file = resolve(file_name)
    cls = _class_in_file(file, class_name)
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", class_name).replace("_", "-").lower()
    name, factory = vars(cls).get("name", words), f"{file}:{class_name}"
    _REGISTRY[name] = replace(register_method(name, cls), factory=factory)
    listed = [entry for entry in os.environ.get(VARIABLE, "").split(";") if entry]
    os.environ[VARIABLE] = ";".join(dict.fromkeys([*listed, factory]))
    return _REGISTRY[name]


def weights_name(path: Path) -> str:
    """Short name of a weights file: ``"msceleb"`` for ``resnet18_msceleb.pth``, ``"imagenet"`` for torchvision's."""
    stem = path.name.lower()
    for suffix in (".tar", ".pth", ".pt", ".safetensors", ".bin"):
        stem = stem.removesuffix(suffix)
    if "f37072fd" in stem or "5c106cde" in stem:  # hashes in torchvision's file names
        return "imagenet"
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"resnet-?_?18", "", stem)).strip("-") or "pretrained"


def variant_name(method: str | MethodSettings, weights: Path | None = None) -> str:
    """METHOD of the run folders: the method's name and that of its starting weights, such as ``"gndl-imagenet"``."""
    name = method_settings(method).name
    return name if weights is None else f"{name}-{weights_name(weights)}"


def build_method(settings: str | MethodSettings, n_classes: int, lam: float | None = None, *, seed: int = 0) -> Method:
    """Build a method with weights drawn from ``seed``; torch's global random state is left as it was.

    ``lam`` is λ of Eq. 11, which methods that use it need and others refuse. Methods share the initial weights of the
    parts that they share.
    """
    import torch

    settings = method_settings(settings)
    if settings.uses_lam and (lam is None or not 0 <= lam < float("inf")):
        raise GndlError(f"{settings.name} needs λ, a number >= 0, got {lam}")
    if not settings.uses_lam and lam is not None:
        raise GndlError(f"{settings.name} has no λ; leave it out.")
    arguments = (n_classes, lam) if settings.uses_lam else (n_classes,)
    cls = settings.load_class()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return cls(*arguments, **settings.options)


def _class_in_file(file: Path, name: str) -> type[Method]:
    """Execute a file and return the method that it defines as ``name``."""
    from gndl.model import Method

    if not file.is_file():
        raise GndlError(f"{file}: no such file (--method).")
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))  # as Python does for a script, for the modules next to it
    module_name = f"{_PREFIX}{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
    sys.modules[module_name] = module = ModuleType(module_name)
    module.__file__ = str(file)
    try:  # compiled anew, for Python's cache takes an edit of the same length in the same second for the former code
        exec(compile(file.read_bytes(), file, "exec"), vars(module))
    except Exception as error:
        raise GndlError(f"{file}: cannot be imported ({type(error).__name__}: {error}).") from error
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise GndlError(f"{file}: {name} is not a class derived from gndl.model.Method.")
    return found


def _source_hash(cls: type) -> str | None:
    if cls.__module__.partition(".")[0] == "gndl":
        return None
    libraries = {"gndl", "torch", *sys.stdlib_module_names}
    own = [part for part in cls.__mro__ if part is cls or part.__module__.partition(".")[0] not in libraries]
    modules = {part.__module__.partition(".")[0] for part in own}
    outside = {name for name in modules if name != "__main__" and not name.startswith(_PREFIX)}
    packages = {package for name in outside for package in _packages_by_module().get(name, ())} if outside else ()
    versions = sorted(f"{package} {version(package)}" for package in packages)
    return hashlib.sha256("\n".join([*map(_source, own), *versions]).encode()).hexdigest()


def _source(cls: type) -> str:
    try:
        return inspect.getsource(cls)
    except (OSError, TypeError):  # in a notebook: the class does not know its cell, but its functions do
        for member in vars(cls).values():
            code = getattr(inspect.unwrap(getattr(member, "__func__", member)), "__code__", None)
            lines = linecache.getlines(code.co_filename) if code else []
            for node in ast.walk(ast.parse("".join(lines))):
                if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                    return "".join(lines[first - 1 : node.end_lineno])
        raise GndlError(
            f"{cls.__qualname__}: its source cannot be read, so its runs could not be told from others; define it in a "
            "file and load it as FILE.py:CLASS."
        ) from None
