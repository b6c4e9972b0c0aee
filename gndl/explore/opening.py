"""Opens the studio in a notebook: with the networks that are there, with an offer to train some, or as a picture."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import ipywidgets as widgets
from IPython.display import display

from gndl.explore.live import LiveReader, has_weights, live_reader
from gndl.explore.markup import as_html
from gndl.explore.panel import StudioPanel
from gndl.explore.picture import still_picture
from gndl.explore.small_training import FOLDER, WEAKNESS, Training, trained_small
from gndl.explore.state import Expression, State
from gndl.explore.studio import FaceStudio
from gndl.figures import save_figure
from gndl.paths import resolve
from gndl.request import read_study_json
from gndl.results import finished_runs
from gndl.standins.box import what_a_render_can_tell
from gndl.study import open_study
from gndl.sweeping.background import someone_is_there

POLL = 0.7
"""Seconds between two looks at how far the training has come."""

_open: StudioPanel | None = None


def open_studio(
    database: str,
    *,
    data_root: str = "",
    profile: str = "quick",
    out: str | Path = "runs/quick",
    device: str = "auto",
    seed: int = 0,
    small: str | Path = FOLDER,
) -> StudioPanel | None:
    """Show the face studio below a notebook's cell.

    The networks are those of the study in ``out`` where their weights lie there, else those of the small training.
    Where there are neither, a button offers that training. Where nobody can answer, as under papermill, a still
    picture is shown instead of the widgets and None is returned.

    Parameters
    ----------
    database, data_root, profile, out, device, seed
        The notebook's parameters, as for :func:`gndl.study.open_study`; no study is begun.
    small : path
        Folder of the small training.
    """
    reader = _reader_of_study(database, data_root, profile, out, device, seed)
    note = ""
    if reader is None and (study := trained_small(small)) is not None:
        reader, note = live_reader(study), as_html(WEAKNESS)
    studio, folder = FaceStudio(), resolve(out) / database
    if not someone_is_there():
        state = State(expression=Expression("happiness"))
        figure, table = still_picture(studio, reader, state)
        display(figure)
        if folder.exists():
            save_figure(figure, folder / "figures", "face_studio", table, "rendered")
        return None
    global _open
    if _open is not None:  # the cell was run again
        _open.close()
    _open = panel = StudioPanel(studio, folder / "pictures")
    if reader is not None:
        panel.use(reader, note)
    else:
        TrainingOffer(panel, small)
    display(_STYLE, panel.widget)
    return panel


def box(database: str, out: str | Path = "runs/quick") -> str:
    """What the studio's faces can tell, in Markdown; they are rendered whatever the networks were trained on."""
    path = resolve(out) / "study.json"
    source = read_study_json(resolve(out)).get("source", "rendered") if path.exists() else "rendered"
    if source == "rendered":
        return what_a_render_can_tell(database)
    return (
        "> **The faces of this studio are rendered and belong to nobody**, but the networks were trained on pictures "
        "of people. What they say of a render says nothing about how well they do on people; that is in `2_training`.\n"
    )


_STYLE = widgets.HTML("<style>.gndl-face {image-rendering: auto; border-radius: 6px; background: #888;}</style>")


def _reader_of_study(
    database: str, data_root: str, profile: str, out: str | Path, device: str, seed: int
) -> LiveReader | None:
    """The networks of the study in ``out``; None where it has no weights for this database."""
    runs = finished_runs(resolve(out))
    if not any(run.database == database and has_weights(run.folder) for run in runs):
        return None
    study = open_study(database, data_root=data_root, profile=profile, out=out, device=device, seed=seed)
    return live_reader(study)


class TrainingOffer:
    """A button that trains a small model while the studio goes on, and a bar that shows how far it has come."""

    def __init__(self, panel: StudioPanel, out: str | Path) -> None:
        self._panel, self._out = panel, out
        text = widgets.HTML(
            "<div style='line-height:1.5;max-width:840px'><b>No trained network is here yet.</b> Train a small one on "
            "rendered people, baseline and GNDL side by side, in about two minutes on two cores; the studio goes on "
            "meanwhile. It will be kept for the next time. "
            f"{as_html(WEAKNESS)}</div>"
        )
        self.button = widgets.Button(
            description="Train a small model (two minutes)",
            icon="play",
            button_style="primary",
            layout={"width": "270px"},
        )
        self.button.add_class("gndl-train")
        self.bar = widgets.FloatProgress(min=0, max=1, layout={"width": "400px", "visibility": "hidden"})
        self.words = widgets.HTML()
        self.button.on_click(self.start)
        panel.reading.offer.children = [text, widgets.HBox([self.button, self.bar]), self.words]

    def start(self, _: object = None) -> None:
        """Start the training and watch it."""
        self.button.disabled = True
        self.bar.layout.visibility = "visible"
        threading.Thread(target=self.watch, args=[Training(self._out)], daemon=True).start()

    def watch(self, training: Training) -> None:
        """Show how far it has come; at its end let the networks look at the face."""
        while training.running():
            progress = training.progress()
            self.bar.value = max(self.bar.value, progress.share)
            self.words.value = f"{progress.stage} … {training.seconds:.0f} s"
            time.sleep(POLL)
        failure = training.failure()
        study = trained_small(self._out) if failure is None else None
        reader = live_reader(study) if study is not None else None
        if reader is None:
            self.words.value = f"The training failed: {failure}. All that it said is in {training.out}/training.log."
            self.button.disabled = False
            return
        self._panel.reading.offer.children = []
        self._panel.use(reader, f"{as_html(WEAKNESS)} Trained in {training.seconds:.0f} s.")
