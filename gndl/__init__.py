"""GNDL: facial expression recognition through neutral faces (ACM MM 2023), as a reproducible study."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_LAZY = {
    "open_study": "gndl.study",
    "Study": "gndl.study",
    "register_method": "gndl.methods",
    "check_parameters": "gndl.batch",
    "results": "",
    "plots": "",
    "tables": "",
    "analysis": "",
}
"""Names loaded on first use, so that ``import gndl`` stays quick: attribute to its module, "" for a submodule."""

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'gndl' has no attribute {name!r}")
    module = _LAZY[name]
    return getattr(import_module(module), name) if module else import_module(f"gndl.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
