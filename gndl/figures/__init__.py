"""Results in, matplotlib figures out: one function per figure, and one that saves any of them for a manuscript.

Widths are acmart's: 3.33 in for one column, 7.0 in for two. A figure on rendered faces says so in words.
"""

from gndl.figures.across import across_databases
from gndl.figures.deviation import deviation_map
from gndl.figures.faces import face_grid, show_face
from gndl.figures.intensity import intensity_curves
from gndl.figures.measures import deviation_measures
from gndl.figures.paired import paired_dots
from gndl.figures.reliability import reliability_diagrams
from gndl.figures.samples import cells_figure, hard_sample_gallery
from gndl.figures.saving import save_figure
from gndl.figures.sensitivity import sensitivity_curves, sensitivity_differences, sensitivity_figures
from gndl.figures.sensitivity_captions import differences_caption, sensitivity_caption
from gndl.figures.style import (
    CLASS_COLOURS,
    METHOD_COLOURS,
    ONE_COLUMN,
    STAND_IN_NOTE,
    STYLE,
    TWO_COLUMNS,
    add_note,
    new_figure,
    style,
)
from gndl.figures.training import confusion_matrices, draw_matrix, fold_balance, learning_curves, training_figures
from gndl.figures.variants import variant_differences

__all__ = [
    "CLASS_COLOURS",
    "METHOD_COLOURS",
    "ONE_COLUMN",
    "STAND_IN_NOTE",
    "STYLE",
    "TWO_COLUMNS",
    "across_databases",
    "add_note",
    "cells_figure",
    "confusion_matrices",
    "deviation_map",
    "deviation_measures",
    "differences_caption",
    "draw_matrix",
    "face_grid",
    "fold_balance",
    "hard_sample_gallery",
    "intensity_curves",
    "learning_curves",
    "new_figure",
    "paired_dots",
    "reliability_diagrams",
    "save_figure",
    "sensitivity_caption",
    "sensitivity_curves",
    "sensitivity_differences",
    "sensitivity_figures",
    "show_face",
    "style",
    "training_figures",
    "variant_differences",
]
