"""Explorers for notebook 6: a face to play with, and a finished study looked into, sample by sample.

Each takes a study and returns a widget, for the last line of a cell. In a notebook executed by papermill, where nobody
can move a slider, the first picture is displayed instead. Nothing is trained: an explorer that lacks something names
the command that makes it.
"""

from __future__ import annotations

from functools import partial

from gndl.explore.studio import FaceStudio, OwnPhotograph
from gndl.explore.tested import Samples
from gndl.explore.widgets import is_interactive, present

face_studio, photograph, samples = (partial(present, one) for one in (FaceStudio, OwnPhotograph, Samples))

__all__ = ["face_studio", "is_interactive", "photograph", "samples"]
