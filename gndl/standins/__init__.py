"""Rendered stand-ins for the three databases: faces of nobody, in the databases' own layouts."""

from gndl.standins.faces import render_training_face
from gndl.standins.plan import planned_frames
from gndl.standins.render import GENERATOR_VERSION, is_standin_of, render_database
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
