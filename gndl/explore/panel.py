"""The studio as one widget: picture, buttons, sliders, and what the networks say; drawn anew whenever one is moved.

Everything runs in the kernel's own thread. A browser sends the next value of a slider only when the kernel has
answered the last one, so a picture that takes longer means fewer pictures, never a queue of them.
"""

from __future__ import annotations

import asyncio
import base64
import random
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch

from gndl.explore.controls import PEOPLE, WIDTH, Controls, Kind
from gndl.explore.live import LiveReader
from gndl.explore.reading_view import ReadingView
from gndl.explore.state import EMOTIONS, Person
from gndl.explore.studio import LABEL, FaceStudio, Photograph, actions_of, identity_of
from gndl.figures import CLASS_COLOURS
from gndl.standins.head import Floats, load_head

MOVING, RESTING = 224, 448
"""Side of the picture in pixels while something is moved, and once it rests."""
SHOWN = "336px"
REST_AFTER = 0.25
"""Seconds without a change after which the picture is made anew, with all its shading."""
SHADE_EVERY = 0.5
"""Seconds after which a drag that goes on gets fresh shading."""
READING_SHARE = 0.3
"""Share of the time, at most, that the networks take while something is moved."""
FRAMES_OF_A_CHANGE = 6
"""Pictures from one expression to the next when a button is pressed."""


class StudioPanel:
    """The whole studio.

    Parameters
    ----------
    studio : FaceStudio
    pictures : Path
        Folder in which pictures are saved.
    reader : LiveReader, optional
        Networks to look at the face; they may come later by :meth:`use`.
    """

    def __init__(self, studio: FaceStudio, pictures: Path, reader: LiveReader | None = None) -> None:
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
        self._rest: asyncio.TimerHandle | None = None
        self._change: asyncio.Task[None] | None = None
        self._last_shading = self._last_reading = self._reading_took = 0.0
        self._trail: deque[tuple[float, float]] = deque(maxlen=12)
        self._shown_actions = np.zeros(len(names), np.float32)
        self._photograph: Photograph | None = None
        picture = widgets.VBox([self.image, self.caption, self._buttons()], layout={"width": "346px"})
        side = widgets.VBox([self.controls.widget, self._emotions()], layout={"width": WIDTH})
        above = widgets.HBox([picture, side], layout={"flex_flow": "row wrap"})
        self.widget = widgets.VBox([above, self.saved, self.reading.widget], layout={"max_width": "1000px"})
        self.widget.add_class("gndl-studio")
        self.new_person(0)
        if reader is not None:
            self.use(reader)

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
        state = self.controls.state()
        now = time.monotonic()
        stale = now - self._last_shading > SHADE_EVERY
        if not hurry or stale:
            self._last_shading = now
        size = MOVING if hurry else RESTING
        in_haste = hurry and not (stale and self.studio.knows(state.person))
        self._photograph = self.studio.show(state, size, actions=actions, hurry=in_haste)
        self._shown_actions = actions_of(state) if actions is None else actions
        self.image.value = self._photograph.encoded()
        if not hurry:
            self._describe()
        if self.reader is not None and (not hurry or self._may_read(now)):
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
        before = self._shown_actions
        self.controls.press(emotion)
        self._stop_change()
        loop = _loop()
        if loop is None:
            self.draw()
        else:
            self._change = loop.create_task(self._go_over(before))

    async def _go_over(self, before: Floats) -> None:
        after = actions_of(self.controls.state())
        for k in range(1, FRAMES_OF_A_CHANGE + 1):
            time_gone = k / FRAMES_OF_A_CHANGE
            share = time_gone * time_gone * (3 - 2 * time_gone)
            self.draw(hurry=True, actions=before + (after - before) * np.float32(share))
            await asyncio.sleep(0.03)
        self._rest_later()

    def _moved(self, kind: Kind) -> None:
        """A slider was moved: show it at once, and finely once it rests."""
        self._stop_change()
        if kind == "person":
            state = self.controls.state()
            if state.person.age is None and state.person.ancestry is None and state.person == Person(state.person.seed):
                self.controls.show_person(state.person.seed, identity_of(state.person))
        self.draw(hurry=_loop() is not None)
        self._rest_later()

    def _rest_later(self) -> None:
        loop = _loop()
        if loop is None:
            return
        if self._rest is not None:
            self._rest.cancel()
        self._rest = loop.call_later(REST_AFTER, self.draw)

    def _stop_change(self) -> None:
        if self._change is not None:
            self._change.cancel()
            self._change = None

    def _may_read(self, now: float) -> bool:
        return now - self._last_reading > self._reading_took / READING_SHARE - self._reading_took

    def _read(self, photograph: Photograph) -> None:
        assert self.reader is not None
        started = time.monotonic()
        reading = self.reader.read(photograph)
        if reading.place is not None:
            self._trail.append(reading.place)
        self.reading.show(reading, self._trail)
        self._last_reading = time.monotonic()
        self._reading_took = self._last_reading - started

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
        entries: list[tuple[str, str, Callable[[object], None]]] = [
            ("Surprise me", "random", lambda _: self.new_person()),
            ("Next person", "step-forward", lambda _: self.new_person((self.controls.seed.value + 1) % (PEOPLE + 1))),
            ("Save picture", "download", lambda _: self._offer_picture()),
        ]
        buttons = []
        for text, icon, action in entries:
            button = widgets.Button(description=text, icon=icon, layout={"width": "109px"})
            button.on_click(action)
            buttons.append(button)
        buttons[0].button_style = "primary"
        return widgets.HBox(buttons)

    def _emotions(self) -> widgets.Widget:
        buttons = []
        for emotion in EMOTIONS:
            layout = {"width": "118px", "border_left": f"6px solid {CLASS_COLOURS.get(emotion, '#bbb')}"}
            button = widgets.Button(description=emotion, layout=layout)
            button.add_class(f"gndl-{emotion}")
            button.on_click(lambda _, emotion=emotion: self.press(emotion))
            buttons.append(button)
        return widgets.HBox(buttons, layout={"flex_flow": "row wrap", "width": WIDTH})


def _loop() -> asyncio.AbstractEventLoop | None:
    """The kernel's event loop; None in a plain script, where everything is done at once."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
