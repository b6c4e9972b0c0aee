"""The face studio, and your own photo: a face that you make or bring, and what a study's networks say about it."""

from __future__ import annotations

import base64
import random
import textwrap
from collections.abc import Iterable, Sequence
from copy import copy
from functools import cache
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from gndl import gallery, plots
from gndl.analysis import features
from gndl.analysis.features import FoldFeatures
from gndl.explore.widgets import (
    WIDTH,
    Explorer,
    Faces,
    answered,
    command,
    dropdown,
    in_rows,
    new_figure,
    probability_bars,
    slider,
)
from gndl.eyes import Eyes, cut, eyes_in_crop, geometry_from_eyes
from gndl.files import GndlError, counted
from gndl.frames import as_colour, as_grey, open_photograph
from gndl.pairs import FacePairs
from gndl.paper import figure_order
from gndl.predict import crop_photograph
from gndl.runs import WEIGHTS
from gndl.train import load_method
from standins import Studio
from standins.studio import BEARDS, EMOTIONS, FRINGES, GLASSES, HAIR, action_groups, in_words, sides_of

if TYPE_CHECKING:
    from gndl.study import Study

SIZE = 320
"""Side of a rendered picture in pixels."""
NEIGHBOURS = 5
BOTH, LEFT, RIGHT = "both sides", "subject's left", "subject's right"
MEASURED, ANCESTRIES = ("age", "femininity"), ("african", "asian", "european")
PAGES = {
    "Expression": ("strength", "variant", "second", "share"),
    "Person": ("seed", "tone", *MEASURED, *ANCESTRIES, "glasses", "beard", "hair", "fringe"),
    "Pose and light": ("yaw", "pitch", "roll", "azimuth", "height", "lamp", "room"),
}
"""Fields of `standins.studio.Portrait`."""
MARK = "#F0E442"
CAUTION = {
    "rendered": "**These networks have seen rendered faces only.** What they say about a photo of a person means "
    "little: it shows how the parts work, and is never a statement about the person.",
    "": "These networks have seen posed expressions in the pictures of one database. What they say about another photo "
    "is a guess about its pixels, never a statement about what the person feels.",
}
KEPT = (
    "The photo stays in this kernel's memory and is written nowhere. JPEG, PNG or WebP of at most 9 MB; the face "
    "should look at the camera."
)


_studio = cache(Studio)
"""Its copies have settings of their own and share the painted faces, which take longest."""


class Networks:
    """The trained networks of one fold of a study; `GndlError`, naming the command, where there are none."""

    def __init__(self, study: Study) -> None:
        results = answered(study)
        runs = results.runs[~results.runs["needs_neutral_at_test"].astype(bool) & results.runs["folder"].notna()]
        runs = runs[[(folder / WEIGHTS).exists() for folder in runs["folder"]]]
        if runs.empty:
            again = command(study, out="runs/again")
            raise GndlError(f"**This study has no weights here** (records have none). Train it again: `{again}`.")
        self.study, self.classes = study, results.classes(study.name)
        self.fold = int(runs["fold"].mode().min())  # the first that has both methods
        self.runs = runs[runs["fold"] == self.fold].set_index("method")
        loaded = {str(name): load_method(folder) for name, folder in self.runs["folder"].items()}
        self.methods = {name: method for name, (method, _) in loaded.items()}
        self.colour = any(record["colour"] for _, record in loaded.values())

    def read(self, crop: NDArray[np.uint8]) -> tuple[pd.DataFrame, NDArray[Any] | None]:
        """Probability of every class (row) by every method (column) for one crop, and GNDL's deviation feature (D,)."""
        image = as_colour(crop) if self.colour else as_grey(crop)
        index, settings = np.zeros(1, np.int64), self.study.train_settings
        data = FacePairs.of_faces(image[None], self.classes).on(
            "cpu", settings.image_size, mean=settings.input_mean, std=settings.input_std
        )
        outputs = {name: features.outputs(method, data, index, settings) for name, method in self.methods.items()}
        table = pd.DataFrame({name: one.logits.softmax(1)[0] for name, one in outputs.items()}, list(self.classes))
        deviations = [one.deviation[0].numpy() for one in outputs.values() if one.deviation is not None]
        return table, deviations[0] if deviations else None

    def in_words(self) -> str:
        """What the networks were trained on, and how often they are right."""
        one = self.runs.iloc[0]
        right = " and ".join(f"{row.accuracy_last:.0%} ({row.Index})" for row in self.runs.itertuples())
        return (
            f"Networks trained on {self.study.title}: {counted(one['epochs'], 'epoch')}, {one['n_train']} pairs. "
            f"Accuracy on the {one['n_test']} faces of people left out (fold {self.fold}): {right}."
        )


class DeviationMap:
    """A fold's deviation features (Eq. 7) in the plane of their main components; of each sequence the last frame."""

    def __init__(self, known: FoldFeatures) -> None:
        rows = sorted({name: row for row, name in enumerate(known.sequence.tolist())}.values())
        if len(rows) < 3 or known.deviation is None:
            raise GndlError("This fold has too few sequences for a map of deviation features.")
        self.truth = known.truth[rows]
        self.values = known.deviation[rows]
        plane = PCA(2, svd_solver="full").fit(self.values)
        self.place = plane.transform
        """Where features (n, D) lie in the plane (n, 2)."""
        self.points = plane.transform(self.values)

    def nearest(self, feature: NDArray[Any]) -> NDArray[np.int64]:
        """The points whose features are nearest to one (D,), in all channels."""
        return np.argsort(np.linalg.norm(self.values - feature, axis=1), kind="stable")[:NEIGHBOURS]

    def draw(self, ax: Axes, classes: Sequence[str], chosen: NDArray[Any]) -> None:
        """Draw the points in the colours of their classes, and a ring around a place (2,)."""
        order = [name for name in figure_order(classes) if name in set(self.truth)]
        x, y = self.points.T
        colours: Any = plots.class_colours(classes)
        sns.scatterplot(x=x, y=y, hue=self.truth, hue_order=order, palette=colours, s=14, linewidth=0, ax=ax)
        ax.plot(*chosen, "o", markersize=9, markerfacecolor="none", markeredgecolor=plots.INK, label="this face")
        ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
        ax.margins(0.08)
        ax.spines[:].set(visible=True, color="#DDDDDD")
        ax.legend(ncols=3, fontsize=6.5, loc="upper center", bbox_to_anchor=(0.5, -0.01), columnspacing=0.8)


class FaceStudio:
    """A rendered face with everything about it on sliders, both networks' probabilities, and the deviation feature."""

    def __init__(self, study: Study) -> None:
        self.study, self.studio = study, copy(_studio())
        self.networks: Networks | None = None
        self.map: DeviationMap | None = None
        try:
            self.networks = Networks(study)
            self.note = self.networks.in_words()
            if absent := [name for name in self.networks.classes if name not in EMOTIONS]:
                self.note += f" The studio cannot render these classes of the study: {', '.join(absent)}."
            if "gndl" in self.networks.methods and Faces(study).pairs is not None:
                self.map = DeviationMap(features.of_fold(study, "gndl", self.networks.fold))
        except GndlError as error:
            self.note = str(error) if self.networks is None else f"{self.note} {error}"

    def figure(self, emotion: str = "happiness", **portrait: Any) -> Figure:
        """Draw a face with these fields of `standins.studio.Portrait`, and what the networks say about it."""
        face = self.studio.set(emotion=emotion, **portrait).render(SIZE)
        shown = sorted(zip(self.studio.actions.tolist(), self.studio.action_names, strict=True), reverse=True)
        does = ", ".join(f"{in_words(name)} {amount:.1f}" for amount, name in shown[:12] if amount >= 0.05)
        figure = new_figure(2.9, note=textwrap.fill(f"Facial actions: {does or 'none'}.", 150))
        left, middle, right = figure.subplots(1, 3, width_ratios=(1, 0.85, 1))
        gallery.show_face(left, face)
        left.set_title(f"synthetic identity {self.studio.portrait.seed} (no real person)", fontsize=7)
        if self.networks is not None:
            eyes = Eyes.from_landmarks(self.studio.landmarks)
            table, deviation = self.networks.read(cut(face, geometry_from_eyes(eyes, self.study.settings.crop)))
            probability_bars(middle, table)
            if self.map is not None and deviation is not None:
                self.map.draw(right, self.networks.classes, self.map.place(deviation[None])[0])
                near = pd.Series(self.map.truth[self.map.nearest(deviation)]).value_counts()
                words = ", ".join(f"{count} {name}" for name, count in near.items())
                right.set_title(textwrap.fill(f"deviation feature; nearest faces: {words}", 50), fontsize=6.5)
        for ax in (middle, right):
            ax.axis("on" if ax.has_data() else "off")
        return figure

    def widget(self) -> Explorer:
        """All sliders in tabs, above the picture."""
        groups, own = action_groups(self.studio.action_names), _controls()
        hands = {action: slider(in_words(action), -1, 1, 0.0) for group in groups.values() for action in group}
        explorer: Explorer
        usual = {name: control.value for name, control in (own | hands).items()}

        def drawn() -> dict[str, Any]:
            """Where the seed of the person has the other sliders of the page."""
            seen = self.studio.set(seed=own["seed"].value).drawn
            seen = dict(zip(ANCESTRIES, seen["ancestry"], strict=True)) | {name: seen[name] for name in MEASURED}
            return {name: seen.get(name, usual[name]) for name in PAGES["Person"][1:]}

        at_rest = {name: value for name, value in usual.items() if name not in PAGES["Person"]}
        bar, saved = [], widgets.HTML()
        for text, action in (
            ("Random person", lambda _: setattr(own["seed"], "value", random.randrange(1000))),
            ("Reset expression, pose and light", lambda _: explorer.move(at_rest)),
            ("Save picture", lambda _: setattr(saved, "value", self._download())),
        ):
            bar.append(widgets.Button(description=text, layout={"width": "auto"}))
            bar[-1].on_click(action)
        pages = {title: _page(own[name] for name in names) for title, names in PAGES.items()}
        by_group = widgets.Tab([_page(hands[one] for one in group) for group in groups.values()], titles=tuple(groups))
        pages["Movements"] = widgets.VBox([own["side"], by_group])
        for name, value in drawn().items():
            own[name].value = value
        own["seed"].observe(lambda _: explorer.set_quietly(drawn()), "value")
        tab = widgets.Tab(list(pages.values()), titles=tuple(pages), layout={"width": f"{WIDTH}px"})
        explorer = Explorer(self._draw, own | hands, [own["emotion"], tab, in_rows([*bar, saved])])
        return explorer

    def _draw(self, african: float, asian: float, european: float, side: str, **values: Any) -> Figure:
        """Draw what the sliders say."""
        names, by_hand = self.studio.action_names, dict[str, float]()
        for group in action_groups(names).values():
            for action in group:
                amount, both = values.pop(action), sides_of(action, names)
                chosen = both[:1] if side == LEFT else both[-1:] if side == RIGHT else both
                by_hand |= dict.fromkeys(chosen, amount)
        shares = np.array([african, asian, european]) + 1e-6
        return self.figure(**values, ancestry=tuple((shares / shares.sum()).tolist()), by_hand=by_hand)

    def _download(self) -> str:
        """HTML of a link by which the browser saves the picture, labelled as rendered."""
        name = f"person-{self.studio.portrait.seed}-{self.studio.portrait.emotion}.png"
        content = base64.b64encode(self.studio.labelled_png(448)).decode()
        return f"<a href='data:image/png;base64,{content}' download='{name}'><u>Download {name}</u></a>"


def _controls() -> dict[str, widgets.Widget]:
    """A control for every field of `standins.studio.Portrait`, and the side that moves."""
    return {
        "emotion": widgets.ToggleButtons(options=EMOTIONS, style={"button_width": "95px"}),
        "side": widgets.ToggleButtons(options=(BOTH, LEFT, RIGHT), style={"button_width": "130px"}),
        "strength": slider("strength", 0, 1, 1.0),
        "variant": slider("variant", 0, 30, 0),
        "second": dropdown("blend with", EMOTIONS, "370px", "136px"),
        "share": slider("share of the blend", 0, 1, 0.0),
        "seed": slider("person", 0, 999, 0),
        "tone": slider("skin: light to dark", -1.5, 1.5, 0.0),
        "age": slider("age: young to old", 0, 1, 0.3),
        "femininity": slider("sex: man to woman", 0, 1, 0.5),
        **{name: slider(f"{name.title()} ancestry", 0, 1, 0.33) for name in ANCESTRIES},
        "glasses": dropdown("glasses", GLASSES, "370px", "136px"),
        "beard": dropdown("beard", BEARDS, "370px", "136px"),
        "hair": dropdown("hair", HAIR, "370px", "136px"),
        "fringe": dropdown("fringe", tuple(FRINGES), "370px", "136px"),
        "yaw": slider("yaw: turn (°)", -45, 45, 0.0, 1),
        "pitch": slider("pitch: nod (°)", -25, 25, 0.0, 1),
        "roll": slider("roll: lean (°)", -30, 30, 0.0, 1),
        "azimuth": slider("lamp: left to right (°)", -90, 90, 25.0, 1),
        "height": slider("lamp: low to high (°)", -30, 80, 28.0, 1),
        "lamp": slider("lamp: amount", 0, 2, 1.0),
        "room": slider("light of the room", 0, 2, 1.0),
    }


def _page(controls: Iterable[widgets.Widget]) -> widgets.Widget:
    return in_rows(controls, width="auto", max_height="200px", overflow="auto")


class OwnPhotograph:
    """An upload, the face found in it, its crop and what every method says; until then a rendered face."""

    def __init__(self, study: Study) -> None:
        self.study, self.networks = study, Networks(study)
        self.note = CAUTION.get(study.source, CAUTION[""])

    def widget(self) -> Explorer:
        """The upload above the picture."""
        upload = widgets.FileUpload(accept="image/*", description="Choose a photo", layout={"width": "200px"})

        def draw(upload: tuple[dict[str, Any], ...]) -> Figure:
            return self.figure(bytes(upload[0]["content"]), str(upload[0]["name"])) if upload else self.figure()

        explorer = Explorer(draw, {"upload": upload}, [in_rows([upload, widgets.HTML(KEPT)])])
        # Once it is drawn the copy goes, and the same file can be chosen again.
        upload.observe(lambda _: explorer.set_quietly({"upload": ()}), "value")
        return explorer

    def figure(self, content: bytes | None = None, name: str = "example: synthetic (no real person)") -> Figure:
        """Draw a photo with the crop's outline and the eyes found, the crop, and every method's probabilities."""
        settings = self.study.settings.crop
        if content is None:
            photo = copy(_studio()).set(emotion="happiness").render(448)
        else:
            photo = open_photograph(content, name)
        try:
            crop = crop_photograph(photo, settings)
        except GndlError as error:
            raise GndlError(str(error).replace("the picture", name, 1)) from error
        figure = new_figure(2.6, note=f"{self.networks.in_words()} {crop.note}".strip())
        whole, face, bars = figure.subplots(1, 3, width_ratios=(1, 0.9, 0.9))
        gallery.show_face(whole, photo)
        gallery.show_face(face, crop.image if self.networks.colour else as_grey(crop.image))
        whole.set_title(textwrap.shorten(name, 45, placeholder="…"), fontsize=7)
        face.set_title("as the networks see it", fontsize=7)
        corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], dtype=float) * (settings.size - 1)
        outline = geometry_from_eyes(crop.eyes, settings).to_source(corners)
        whole.add_patch(Polygon(outline, fill=False, edgecolor=MARK, linewidth=1.2))
        for ax, eyes in ((whole, crop.eyes), (face, eyes_in_crop(settings))):
            ax.plot(*np.transpose([eyes.left, eyes.right]), "+", color=MARK, markersize=7)
        probability_bars(bars, self.networks.read(crop.image)[0])
        return figure
