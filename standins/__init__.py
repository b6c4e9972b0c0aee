"""Synthetic stand-ins for CK+, Oulu-CASIA and MMI: rendered faces (no real people) in the databases' own layouts.

The smile, and every expression: recipes.toml. The renderer is imported when it is first needed: this module loads
neither Warp nor anny.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from standins.files import StandInError

if TYPE_CHECKING:
    from standins.counterfactual import render_factorial
    from standins.label import GENERATOR_VERSION, is_standin_of
    from standins.plan import Size
    from standins.render import render_database
    from standins.sheet import subjects_sheet
    from standins.studio import Studio

__all__ = [
    "GENERATOR_VERSION",
    "Size",
    "StandInError",
    "Studio",
    "is_standin_of",
    "render_database",
    "render_factorial",
    "subjects_sheet",
]

_MODULES = {
    "GENERATOR_VERSION": "label",
    "Size": "plan",
    "Studio": "studio",
    "is_standin_of": "label",
    "render_database": "render",
    "render_factorial": "counterfactual",
    "subjects_sheet": "sheet",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
