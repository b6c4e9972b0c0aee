"""Rendered stand-ins for the three databases: faces of nobody, in the databases' own layouts.

What renders is imported when it is first asked for: a study that only reads its faces starts a second sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gndl.standins.faces import render_training_face
    from gndl.standins.label import GENERATOR_VERSION, is_standin_of
    from gndl.standins.plan import planned_frames
    from gndl.standins.render import render_database
    from gndl.standins.sheet import preview_sheet, subjects_sheet

__all__ = [
    "GENERATOR_VERSION",
    "is_standin_of",
    "planned_frames",
    "preview_sheet",
    "render_database",
    "render_training_face",
    "subjects_sheet",
]

_MODULES = {
    "GENERATOR_VERSION": "label",
    "is_standin_of": "label",
    "planned_frames": "plan",
    "preview_sheet": "sheet",
    "render_database": "render",
    "render_training_face": "faces",
    "subjects_sheet": "sheet",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
