"""The studio's sliders and choices, in tabs: who, which expression, which movements by name, pose and light."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import ipywidgets as widgets

from gndl.explore.state import (
    BEARD,
    EMOTIONS,
    FRINGE,
    GLASSES,
    HAIR,
    Expression,
    Person,
    Scene,
    State,
    action_groups,
    in_words,
    sides_of,
)
from gndl.standins.identity import Identity

Kind = Literal["person", "expression", "scene"]

WIDTH = "504px"
BOTH, LEFT, RIGHT = "both sides", "the subject's left", "the subject's right"
PEOPLE = 999
ANCESTRIES = ("African", "Asian", "European")
GROUP_HEIGHT = "268px"


def _slider(text: str, low: float, high: float, value: float, step: float = 0.01, **more: Any) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        value,
        min=low,
        max=high,
        step=step,
        description=text,
        readout_format=".0f" if step >= 1 else ".2f",
        continuous_update=True,
        style={"description_width": "128px"},
        layout={"width": "460px"},
        **more,
    )


def _choice(text: str, options: tuple[str, ...]) -> widgets.Dropdown:
    return widgets.Dropdown(
        options=options, description=text, style={"description_width": "62px"}, layout={"width": "228px"}
    )


class Controls:
    """All sliders; :meth:`state` reads them, and ``on_change`` is told what kind of thing was moved."""

    def __init__(self, action_names: tuple[str, ...], on_change: Callable[[Kind], None]) -> None:
        self._names = action_names
        self._on_change = on_change
        self._quiet = False
        self._settled: set[str] = set()
        self._by_hand: dict[str, float] = {}
        titles, pages = zip(
            ("Person", self._person_page()),
            ("Expression", self._expression_page()),
            ("Movements", self._movements_page()),
            ("Pose and light", self._scene_page()),
            strict=True,
        )
        self.widget = widgets.Tab(pages, titles=titles, layout={"width": WIDTH, "height": "374px"})
        self.widget.selected_index = 1

    def state(self) -> State:
        """What is set now."""
        return State(self._person(), self._expression(), self._scene())

    def show_person(self, seed: int, identity: Identity) -> None:
        """Put the sliders where the person that was drawn has them."""
        with self._quietly():
            self.seed.value = seed
            self._settled.clear()
            self.age.value, self.femininity.value, self.tone.value = identity.age, identity.femininity, 0.0
            for slider, share in zip(self.ancestry, identity.ancestry, strict=True):
                slider.value = float(share)
            for choice in (self.glasses, self.beard, self.hair, self.fringe):
                choice.value = choice.options[0]

    def press(self, emotion: str) -> None:
        """Show one emotion alone at its full strength, without what was added by hand."""
        with self._quietly():
            self.emotion.value, self.second.value, self.share.value = emotion, "neutral", 0.0
            self.strength.value = 1.0
            self._by_hand.clear()
            self._show_movements()
        self._on_change("expression")

    def straighten(self) -> None:
        """Turn the head to the camera and set the usual light."""
        usual = Scene()
        with self._quietly():
            for name, slider in self.scene.items():
                slider.value = getattr(usual, name)
        self._on_change("scene")

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        before, self._quiet = self._quiet, True
        try:
            yield
        finally:
            self._quiet = before

    def _watch(self, kind: Kind, *sources: widgets.Widget) -> None:
        def moved(_: object) -> None:
            if not self._quiet:
                self._on_change(kind)

        for source in sources:
            source.observe(moved, "value")

    def _person_page(self) -> widgets.Widget:
        self.seed = widgets.IntSlider(
            0, min=0, max=PEOPLE, description="person", style={"description_width": "128px"}, layout={"width": "460px"}
        )
        self.age = _slider("age: young to old", 0, 1, 0.3)
        self.femininity = _slider("sex: man to woman", 0, 1, 0.5)
        self.ancestry = tuple(_slider(f"{name} ancestry", 0, 1, 0.33) for name in ANCESTRIES)
        self.tone = _slider("skin: light to dark", -1.5, 1.5, 0)
        self.glasses, self.beard = _choice("glasses", GLASSES), _choice("beard", BEARD)
        self.hair, self.fringe = _choice("hair", HAIR), _choice("fringe", tuple(FRINGE))
        for name, sliders in (("age", [self.age]), ("femininity", [self.femininity]), ("ancestry", self.ancestry)):
            for slider in sliders:
                slider.observe(self._settler(name), "value")
        self.seed.observe(self._another_person, "value")
        settable = (self.age, self.femininity, *self.ancestry, self.tone)
        chosen = (self.glasses, self.beard, self.hair, self.fringe)
        self._watch("person", self.seed, *settable, *chosen)
        worn = widgets.VBox([widgets.HBox(chosen[:2]), widgets.HBox(chosen[2:])])
        return widgets.VBox([self.seed, *settable, worn])

    def _settler(self, name: str) -> Callable[[object], None]:
        def settle(_: object) -> None:
            if not self._quiet:
                self._settled.add(name)

        return settle

    def _another_person(self, _: object) -> None:
        if not self._quiet:  # the new person's own age, sex and ancestry
            self._settled.clear()

    def _person(self) -> Person:
        shares = [max(slider.value, 0.0) for slider in self.ancestry]
        total = sum(shares) or 1.0
        african, asian, european = (share / total for share in (shares if sum(shares) else [1 / 3] * 3))
        return Person(
            seed=self.seed.value,
            age=self.age.value if "age" in self._settled else None,
            femininity=self.femininity.value if "femininity" in self._settled else None,
            ancestry=(african, asian, european) if "ancestry" in self._settled else None,
            tone=self.tone.value,
            glasses=self.glasses.value,
            beard=self.beard.value,
            hair=self.hair.value,
            fringe=self.fringe.value,
        )

    def _expression_page(self) -> widgets.Widget:
        def emotion(text: str) -> widgets.Dropdown:
            style = {"description_width": "128px"}
            return widgets.Dropdown(options=EMOTIONS, description=text, style=style, layout={"width": "310px"})

        self.emotion, self.second = emotion("emotion"), emotion("blended with")
        self.strength = _slider("strength", 0, 1, 1.0)
        self.share = _slider("share of the blend", 0, 1, 0.0)
        self.variant = widgets.IntSlider(
            0, min=0, max=30, description="variant", style={"description_width": "128px"}, layout={"width": "460px"}
        )
        self._watch("expression", self.emotion, self.second, self.strength, self.share, self.variant)
        self.doing = widgets.HTML(layout={"width": "460px"})
        note = widgets.HTML(
            "<div style='line-height:1.4;font-size:12px;color:#666'>No two people smile alike: another variant is "
            "another draw of the same emotion's recipe.</div>"
        )
        return widgets.VBox([self.emotion, self.strength, self.second, self.share, self.variant, note, self.doing])

    def say_what_it_does(self, amounts: Mapping[str, float]) -> None:
        """List the movements that are visible now, the strongest first."""
        shown = sorted(((amount, name) for name, amount in amounts.items() if amount >= 0.05), reverse=True)
        words = " · ".join(f"{in_words(name)} {amount:.2f}" for amount, name in shown[:14]) or "nothing: a neutral face"
        self.doing.value = (
            f"<div style='line-height:1.4;font-size:12px;margin-top:6px'><b>The face does:</b> {words}</div>"
        )

    def _movements_page(self) -> widgets.Widget:
        self.sides = widgets.ToggleButtons(
            options=(BOTH, LEFT, RIGHT), style={"button_width": "130px"}, layout={"width": "460px"}
        )
        self.movements: dict[str, widgets.FloatSlider] = {}
        pages, titles = [], []
        for group, actions in action_groups(self._names).items():
            for action in actions:
                slider = _slider(in_words(action), -1, 1, 0.0)
                slider.observe(self._mover(action), "value")
                self.movements[action] = slider
            page = widgets.VBox(
                [self.movements[a] for a in actions], layout={"height": GROUP_HEIGHT, "overflow": "auto"}
            )
            page.layout.display = "block"  # or the sliders shrink to nothing instead of being scrolled to
            pages.append(page)
            titles.append(group)
        self.sides.observe(lambda _: self._show_movements(), "value")
        note = widgets.HTML(
            "<div style='line-height:1.3;font-size:12px;color:#666'>Added to the emotion; below zero takes away.</div>"
        )
        self.groups = widgets.ToggleButtons(options=titles, style={"button_width": "auto"}, layout={"width": "470px"})
        stack = widgets.Stack(pages, selected_index=0)
        self.groups.observe(lambda change: setattr(stack, "selected_index", titles.index(change["new"])), "value")
        self.sides.style.button_width = "142px"
        return widgets.VBox([self.groups, self.sides, note, stack])

    def _chosen_sides(self, action: str) -> tuple[str, ...]:
        both = sides_of(action, self._names)
        return both[:1] if self.sides.value == LEFT else both[-1:] if self.sides.value == RIGHT else both

    def _mover(self, action: str) -> Callable[[dict[str, Any]], None]:
        def move(change: dict[str, Any]) -> None:
            if self._quiet:
                return
            for name in self._chosen_sides(action):
                self._by_hand[name] = float(change["new"])
            self._on_change("expression")

        return move

    def _show_movements(self) -> None:
        """Put the sliders of the movements where the chosen side has them."""
        with self._quietly():
            for action, slider in self.movements.items():
                amounts = [self._by_hand.get(name, 0.0) for name in self._chosen_sides(action)]
                slider.value = sum(amounts) / len(amounts)

    def _expression(self) -> Expression:
        by_hand = {name: amount for name, amount in self._by_hand.items() if amount}
        return Expression(
            emotion=self.emotion.value,
            second=self.second.value,
            share=self.share.value,
            strength=self.strength.value,
            variant=self.variant.value,
            by_hand=by_hand,
        )

    def _scene_page(self) -> widgets.Widget:
        usual = Scene()
        self.scene = {
            "yaw": _slider("yaw: turn (°)", -45, 45, usual.yaw, 1),
            "pitch": _slider("pitch: nod (°)", -25, 25, usual.pitch, 1),
            "roll": _slider("roll: lean (°)", -30, 30, usual.roll, 1),
            "azimuth": _slider("lamp: left to right", -90, 90, usual.azimuth, 1),
            "height": _slider("lamp: low to high", -30, 80, usual.height, 1),
            "lamp": _slider("lamp: amount", 0, 2, usual.lamp),
            "room": _slider("light of the room", 0, 2, usual.room),
        }
        self._watch("scene", *self.scene.values())
        straighten = widgets.Button(description="Straight, in the usual light", layout={"width": "220px"})
        straighten.on_click(lambda _: self.straighten())
        return widgets.VBox([*self.scene.values(), straighten])

    def _scene(self) -> Scene:
        return Scene(**{name: slider.value for name, slider in self.scene.items()})
