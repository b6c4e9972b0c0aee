"""Opens the explorers in a notebook: as widgets where somebody is there, else as a figure of how each begins."""

from __future__ import annotations

from IPython.display import Markdown, display

from gndl.errors import GndlError
from gndl.explore.exploration import Exploration
from gndl.explore.feature_map import feature_map, feature_map_figure
from gndl.explore.lam_explorer import LamExplorer
from gndl.explore.lam_runs import lam_figure, lam_runs
from gndl.explore.map_explorer import MapExplorer
from gndl.explore.own_photograph import (
    caution,
    example_photograph,
    look_at_photograph,
    photograph_figure,
    photograph_in_words,
)
from gndl.explore.photograph_explorer import PhotographExplorer
from gndl.explore.samples import SampleExplorer, first_sample, sample_figure
from gndl.sweeping.background import someone_is_there

NOTHING = Markdown("*Nothing to look into yet: the beginning of this part says what to run first.*")


def show_samples(exploration: Exploration) -> SampleExplorer | None:
    """Show the sample explorer; None where nobody is there or there is nothing to explore."""
    if not exploration:
        display(NOTHING)
        return None
    if not someone_is_there():
        opened = exploration.fold(exploration.folds()[0])
        display(sample_figure(opened, first_sample(opened)))
        return None
    explorer = SampleExplorer(exploration)
    explorer.draw()
    display(explorer.widget)
    return explorer


def show_feature_map(exploration: Exploration) -> MapExplorer | None:
    """Show the feature-map explorer of the first fold whose features are at hand; None as for :func:`show_samples`."""
    if not exploration:
        display(NOTHING)
        return None
    folds = (exploration.fold(fold) for fold in exploration.folds())
    first = next((opened for opened in folds if opened.features is not None), None)
    if first is None:
        display(Markdown(exploration.fold(exploration.folds()[0]).lacking))
        return None
    if not someone_is_there():
        display(feature_map_figure(feature_map(first), first_sample(first)))
        return None
    explorer = MapExplorer(exploration, first.fold)
    display(explorer.widget)
    return explorer


def show_lams(exploration: Exploration) -> LamExplorer | None:
    """Show the λ explorer; None as for :func:`show_samples`, or where GNDL is not trained."""
    if not exploration:
        display(NOTHING)
        return None
    try:
        runs = lam_runs(exploration.study())
    except GndlError as error:
        display(Markdown(str(error)))
        return None
    if not someone_is_there():
        lam = runs.lam_to_begin_with
        display(Markdown(f"{runs.in_words(lam)} {runs.how_to_train_others()}"), lam_figure(runs, lam, runs.first_row))
        return None
    explorer = LamExplorer(runs)
    explorer.draw()
    display(explorer.widget)
    return explorer


def show_own_photograph(exploration: Exploration) -> PhotographExplorer | None:
    """Show the upload, with a rendered face until a photograph comes; None as for :func:`show_samples`."""
    if not exploration:
        display(NOTHING)
        return None
    reader = exploration.reader()
    if reader is None:
        display(Markdown("The weights of this study are not kept here, so no network can look at a photograph."))
        return None
    if not someone_is_there():
        looked = look_at_photograph(*example_photograph(), reader)
        display(Markdown(f"{caution(reader)}\n\n{photograph_in_words(looked, reader)}"))
        display(photograph_figure(looked, reader))
        return None
    explorer = PhotographExplorer(reader)
    explorer.show_example()
    display(explorer.widget)
    return explorer
