"""Shows below a cell how far a background training is, and offers to stop it; the training itself needs no page."""

from __future__ import annotations

import threading
import time

import ipywidgets as widgets
from IPython.display import Markdown, display

from gndl.sweeping.background import Progress, Standing, progress_of, stop

POLL = 3.0
"""Seconds between two looks at the files."""


def show_standing(standing: Standing) -> TrainingWatch | None:
    """Say what became of a training; where it goes on in the background, show how far it is while the page is open."""
    display(Markdown(standing.words))
    if not standing.running:
        return None
    watch = TrainingWatch(standing)
    display(watch.widget)
    threading.Thread(target=watch.follow, daemon=True).start()
    return watch


class TrainingWatch:
    """A bar, a line of words and a button, fed from the files of the study."""

    def __init__(self, standing: Standing) -> None:
        self._folder = standing.folder
        self.bar = widgets.FloatProgress(min=0, max=1, layout={"width": "420px"})
        self.words = widgets.HTML()
        self.button = widgets.Button(description="Stop it", icon="stop", layout={"width": "110px"})
        self.button.on_click(self.stop)
        self.widget = widgets.VBox([widgets.HBox([self.bar, self.button]), self.words])
        self.update()

    def follow(self) -> None:
        """Look again and again until it has ended."""
        while self.update():
            time.sleep(POLL)

    def update(self) -> bool:
        """Look once; return whether it still runs."""
        progress = progress_of(self._folder)
        if progress is None:
            return False
        self.bar.value = progress.share
        self.words.value = in_words(progress)
        self.button.disabled = not progress.running
        return progress.running

    def stop(self, _: object = None) -> None:
        """End it; what it has trained stays."""
        self.button.disabled = True
        stop(self._folder)


def in_words(progress: Progress) -> str:
    """How far a training is, in one sentence."""
    done = f"{progress.epochs_done} of {progress.epochs} epochs"
    if progress.running:
        minutes = progress.seconds / 60
        return f"{done} after {minutes:.0f} minute{'' if round(minutes) == 1 else 's'}."
    if progress.failure:
        return (
            f"Ended after {done}: {progress.failure}. Run the cell again to go on from here; all that the training "
            "said is in background.log."
        )
    return "Finished. Run the cells below again to see all of it."
