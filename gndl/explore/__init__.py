"""Explorers for notebook 6: a face to play with, and a finished study looked into, sample by sample.

Each takes a study and returns a widget, for the last line of a cell. In a notebook executed by papermill, where nobody
can move a slider, the first picture is displayed instead. Nothing is trained: an explorer that lacks something names
the command that makes it.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import Any

from gndl.explore.widgets import is_interactive, present

_EXPLORERS = {
    "face_studio": ("studio", "FaceStudio"),
    "photograph": ("studio", "OwnPhotograph"),
    "samples": ("tested", "Samples"),
    "feature_map": ("tested", "FeatureMap"),
}
"""Module and class of each explorer, loaded on first use."""

__all__ = ["is_interactive", *_EXPLORERS]


def __getattr__(name: str) -> Any:
    if name not in _EXPLORERS:
        raise AttributeError(f"module 'gndl.explore' has no attribute {name!r}")
    module, explorer = _EXPLORERS[name]
    return partial(present, getattr(import_module(f"gndl.explore.{module}"), explorer))
