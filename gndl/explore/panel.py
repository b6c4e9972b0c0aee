"""The studio as one widget: picture, buttons, sliders, and what the networks say; drawn anew whenever one is moved.

What a slider sends is only noted; one thread draws what is set at the moment, again and again until nothing moves, so
that a picture that takes longer means fewer pictures, never a queue of them.
"""

from __future__ import annotations

import base64
import random
import time
from collections import deque
from collections.abc import Callable
from html import escape
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from gndl.explore.controls import PEOPLE, Controls, Kind
from gndl.explore.live import LiveReader
from gndl.explore.painter import Painter, Share
from gndl.explore.reading_view import ReadingView
from gndl.explore.state import EMOTIONS, Person
from gndl.explore.studio import LABEL, FaceStudio, Photograph, actions_of, identity_of
from gndl.figures import CLASS_COLOURS
from gndl.standins.head import Floats, load_head

MOVING, RESTING = (224, 176, 136), 448
"""Side of the picture in pixels while something is moved – the largest that is fast enough – and once it rests."""
FAST, SLOW = 0.055, 0.105
"""Seconds for a picture below which a larger one is tried while something moves, and above which a smaller one."""
SHOWN = "318px"
SECONDS_OF_A_CHANGE = 0.6
"""From one expression to the next when a button is pressed."""


class StudioPanel:
    """The whole studio.

    Parameters
    ----------
    studio : FaceStudio
    pictures : Path
        Folder in which pictures are saved.
    reader : LiveReader, optional
        Networks to look at the face; they may come later by :meth:`use`.
    alive : bool
        Draw in a thread of its own, small and fast while something moves; False draws every change at once and fine.
    """

    def __init__(
        self, studio: FaceStudio, pictures: Path, reader: LiveReader | None = None, *, alive: bool = True
    ) -> None:
        torch.set_num_threads(1)  # the browser needs a core too
        self.studio, self.pictures = studio, pictures
        self.reader: LiveReader | None = None
        names = load_head().action_names
        self.controls = Controls(names, self._moved)
        self.image = widgets.Image(format="jpeg", layout={"width": SHOWN, "height": SHOWN})
        self.image.add_class("gndl-face")
        self.caption = widgets.HTML(layout={"width": SHOWN})
        self.saved = widgets.HTML()
        self.reading = ReadingView()
        self._painter: Painter | None = None
        self._leaving: tuple[Floats, float] | None = None
        self._shading, self._reading = Share(0.2), Share(0.3)
        self._step = 0
        self._trail: deque[tuple[float, float]] = deque(maxlen=12)
        self._shown_actions = np.zeros(len(names), np.float32)
        self._photograph: Photograph | None = None
        picture = widgets.VBox([self.image, self.caption, self._buttons()], layout={"width": "322px"})
        above = widgets.HBox([picture, self.controls.widget], layout={"flex_flow": "row wrap"})
        parts = [above, self._emotions(), self.saved, self.reading.widget]
        self.widget = widgets.VBox(parts, layout={"max_width": "840px"})
        self.widget.add_class("gndl-studio")
        self.new_person(0)
        if reader is not None:
            self.use(reader)
        if alive:
            self._painter = Painter(self._draw_quickly, self._draw_finely, self._failed)

    def use(self, reader: LiveReader, note: str = "") -> None:
        """Let these networks look at the face from now on."""
        self.reader = reader
        self._trail.clear()
        self.reading.use(reader, note)
        if self._photograph is not None:
            self._read(self._photograph)

    def new_person(self, seed: int | None = None) -> None:
        """Draw a person, at random where no number is given."""
        seed = random.randrange(PEOPLE + 1) if seed is None else seed
        self.controls.show_person(seed, identity_of(Person(seed)))
        self.draw()

    def draw(self, *, hurry: bool = False, actions: Floats | None = None) -> None:
        """Make the picture of what is set now, and let the networks look at it.

        In a hurry it is small and takes over what is dear from the picture before.
        """
        state, now = self.controls.state(), time.monotonic()
        # A drag that goes on gets fresh shading now and then.
        shade = not hurry or (self.studio.knows(state.person) and self._shading.is_due(now))
        size = MOVING[self._step] if hurry else RESTING
        self._photograph = self.studio.show(state, size, actions=actions, hurry=not shade)
        if shade and hurry:
            self._shading.took(now)
        elif hurry:
            self._adapt(time.monotonic() - now)
        self._shown_actions = actions_of(state) if actions is None else actions
        self.image.value = self._photograph.encoded()
        if not hurry:
            self._describe()
        if self.reader is not None and (not hurry or self._reading.is_due(now)):
            self._read(self._photograph)

    def save(self) -> Path:
        """Write the picture as PNG, with its label; return the file."""
        state = self.controls.state()
        data = self.studio.show(state, RESTING).labelled_png()
        stem = f"person-{state.person.seed}-{state.expression.emotion}"
        self.pictures.mkdir(parents=True, exist_ok=True)
        number = 1 + max((int(p.stem.rsplit("-", 1)[1]) for p in self.pictures.glob(f"{stem}-*.png")), default=0)
        path = self.pictures / f"{stem}-{number}.png"
        path.write_bytes(data)
        return path

    def _offer_picture(self) -> None:
        """Save the picture and say where, with a link by which the browser takes a copy."""
        path = self.save()
        link = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        self.saved.value = (
            f"<div style='line-height:1.5'>Saved as {path} – "
            f"<a href='{link}' download='{path.name}' style='text-decoration:underline'>download</a></div>"
        )

    def press(self, emotion: str) -> None:
        """Let the face go over to an emotion."""
        self._leaving = (self._shown_actions, time.monotonic())
        self.controls.press(emotion)

    def close(self) -> None:
        """End the thread that draws."""
        if self._painter is not None:
            self._painter.close()

    def _moved(self, kind: Kind) -> None:
        """A slider was moved: show it at once, and finely once it rests."""
        person = self.controls.state().person
        if kind == "person" and person == Person(person.seed):  # the number was moved: its own age, sex and so on
            self.controls.show_person(person.seed, identity_of(person))
        if kind != "expression":
            self._leaving = None
        if self._painter is None:
            self.draw()
        else:
            self._painter.ask()

    def _draw_quickly(self) -> None:
        """One picture of a movement; on the way from one expression to another it asks for the next itself."""
        actions = None
        if self._leaving is not None and self._painter is not None:
            before, started = self._leaving
            gone = (time.monotonic() - started) / SECONDS_OF_A_CHANGE
            if gone < 1:
                share = np.float32(gone * gone * (3 - 2 * gone))
                actions = before + (actions_of(self.controls.state()) - before) * share
                self._painter.ask()
            else:
                self._leaving = None
        self.draw(hurry=True, actions=actions)

    def _draw_finely(self) -> None:
        self._leaving = None
        self.draw()

    def _adapt(self, seconds: float) -> None:
        """Choose the size of the next picture by the time that the last one took."""
        if seconds > SLOW:
            self._step = min(self._step + 1, len(MOVING) - 1)
        elif seconds < FAST:
            self._step = max(self._step - 1, 0)

    def _failed(self, error: Exception) -> None:
        self.saved.value = f"<div style='color:#b00'>{escape(repr(error))}</div>"

    def _read(self, photograph: Photograph) -> None:
        assert self.reader is not None
        started = time.monotonic()
        reading = self.reader.read(photograph)
        if reading.place is not None:
            self._trail.append(reading.place)
        self.reading.show(reading, self._trail)
        self._reading.took(started)

    def _describe(self) -> None:
        """Caption of the picture, and the list of what the face does."""
        state = self.controls.state()
        self.caption.value = (
            f"<div style='line-height:1.4;text-align:center'><b>{LABEL}</b> · person {state.person.seed}</div>"
        )
        names = load_head().action_names
        amounts = dict(zip(names, actions_of(state).tolist(), strict=True))
        self.controls.say_what_it_does(amounts)

    def _buttons(self) -> widgets.Widget:
        entries: list[tuple[str, str, str, str, Callable[[object], None]]] = [
            ("Surprise me", "random", "126px", "Draw another person at random", lambda _: self.new_person()),
            (
                "Next",
                "step-forward",
                "92px",
                "The person with the next number",
                lambda _: self.new_person((self.controls.seed.value + 1) % (PEOPLE + 1)),
            ),
            (
                "Save",
                "download",
                "92px",
                "Save the picture as PNG, labelled as rendered",
                lambda _: self._offer_picture(),
            ),
        ]
        buttons = []
        for text, icon, width, tooltip, action in entries:
            button = widgets.Button(description=text, icon=icon, tooltip=tooltip, layout={"width": width})
            button.on_click(action)
            buttons.append(button)
        buttons[0].button_style = "primary"
        return widgets.HBox(buttons)

    def _emotions(self) -> widgets.Widget:
        buttons = []
        for emotion in EMOTIONS:
            layout = {"width": "98px", "border_left": f"6px solid {CLASS_COLOURS.get(emotion, '#bbb')}"}
            button = widgets.Button(description=emotion, layout=layout)
            button.add_class(f"gndl-{emotion}")
            button.on_click(lambda _, emotion=emotion: self.press(emotion))
            buttons.append(button)
        return widgets.HBox(buttons, layout={"flex_flow": "row wrap", "width": "826px"})
