"""What the explorers share: controls above a picture, bars of probabilities, and faces that may be shown."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets
import pandas as pd
import seaborn as sns
from IPython.core.getipython import get_ipython
from IPython.display import Image, Markdown, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gndl import gallery, plots
from gndl.files import GndlError, shown_path, standin_folder
from gndl.methods import variant_name
from gndl.paper import figure_order
from gndl.results import Results
from gndl.shipped import is_shipped
from standins import StandInError

if TYPE_CHECKING:
    from gndl.study import Study

WIDTH, DOTS_PER_INCH = 840, 180
"""Of a figure over two columns: its width on the screen in pixels, and its resolution."""
METHODS = ("baseline", "gndl")


class Explorer(widgets.VBox):
    """Controls above a picture that is drawn again when one of them changes."""

    def __init__(
        self, draw: Callable[..., Figure], controls: Mapping[str, widgets.Widget], above: Sequence[widgets.Widget]
    ) -> None:
        super().__init__()
        self.controls, self.quiet = dict(controls), False
        self.drawn: Figure | str | None = None
        """The figure shown now, or the words that say why there is none."""
        self._draw = draw
        output = widgets.interactive_output(self._show, self.controls)
        output.layout.min_height = "280px"  # or the page jumps while a picture is replaced
        self.children = [*above, output]

    def move(self, values: Mapping[str, Any]) -> None:
        """Move several controls, then draw once."""
        self.set_quietly(values)
        with self.children[-1]:
            self.children[-1].clear_output(wait=True)
            self._show(**{name: control.value for name, control in self.controls.items()})

    def set_quietly(self, values: Mapping[str, Any]) -> None:
        """Move controls and draw nothing."""
        self.quiet = True
        for name, value in values.items():
            self.controls[name].value = value
        self.quiet = False

    def _show(self, **values: Any) -> None:
        if self.quiet:
            return
        try:
            self.drawn = self._draw(**values)
            display(picture(self.drawn))
        except (GndlError, StandInError) as error:
            self.drawn = str(error)
            display(Markdown(self.drawn))


def present(explores: Callable[[Study], Any], study: Study) -> Explorer | None:
    """Return an explorer's widget; in a batch display its first picture. Where it lacks something, say what."""
    try:
        explorer = explores(study)
        if note := getattr(explorer, "note", ""):
            display(Markdown(note))
        if is_interactive():
            return explorer.widget()
        display(picture(explorer.figure()))
    except (GndlError, StandInError) as error:
        display(Markdown(str(error)))
    return None


def is_interactive() -> bool:
    """Whether somebody uses the notebook: papermill and other batches allow no input, scripts have no kernel."""
    kernel = getattr(get_ipython(), "kernel", None)
    return kernel is not None and bool(getattr(kernel, "_allow_stdin", True))


def picture(figure: Figure) -> Image:
    """The figure as a notebook shows it, whatever its matplotlib backend."""
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DOTS_PER_INCH)
    return Image(file.getvalue(), width=WIDTH)


def new_figure(height: float, title: str = "", note: str = "") -> Figure:
    """An empty figure over two columns, with a title above and a note below."""
    figure = Figure((plots.TWO_COLUMNS[0], height), layout="constrained")
    figure.suptitle(title, fontsize=8.5)
    figure.supxlabel(note, fontsize=6, color="#555555")
    return figure


def slider(text: str, low: float, high: float, value: float, step: float = 0.01) -> widgets.Widget:
    """A slider that reports its value when it is released."""
    whole = isinstance(value, int)
    return (widgets.IntSlider if whole else widgets.FloatSlider)(
        value, min=low, max=high, step=1 if whole else step, description=text, continuous_update=False,
        style={"description_width": "136px"}, layout={"width": "370px"},
    )  # fmt: skip


def dropdown(text: str, options: Sequence[Any] = (), width: str = "200px", name: str = "68px") -> widgets.Dropdown:
    """A choice of a width, of which its name in front takes a part."""
    style, layout = {"description_width": name}, {"width": width}
    return widgets.Dropdown(options=options, description=text, style=style, layout=layout)


def offer(choice: widgets.Widget, options: Iterable[Any]) -> None:
    """Change the options of a choice; keep what is chosen where it is still among them, else choose the first."""
    options, kept = list(options), choice.value
    choice.options = options
    values = [option[1] if isinstance(option, tuple) else option for option in options]
    choice.value = kept if kept in values else values[0]


def in_rows(controls: Iterable[widgets.Widget], **layout: str) -> widgets.Box:
    """Controls side by side, in as many rows as they need."""
    return widgets.HBox(list(controls), layout={"flex_flow": "row wrap", "width": f"{WIDTH}px", **layout})


def probability_bars(ax: Axes, table: pd.DataFrame, truth: str = "") -> None:
    """Draw the probability of every class (row) by every method (column); ``truth`` in bold on a band."""
    order = list(figure_order(table.index))
    rows = table.rename_axis("class").melt(var_name="method", value_name="probability", ignore_index=False)
    sns.barplot(
        rows.reset_index(), x="probability", y="class", hue="method", order=order, errorbar=None, saturation=1,
        palette=plots.method_colours(table.columns), ax=ax,
    )  # fmt: skip
    for bars, values in zip(ax.containers, table.loc[order].to_numpy().T, strict=True):
        labels = [f"{value:.0%}" if value >= 0.005 else "" for value in values]
        ax.bar_label(bars, labels, padding=2, fontsize=5.5, color="#444444")  # type: ignore[arg-type]
    if truth in order:
        place = order.index(truth)
        ax.axhspan(place - 0.5, place + 0.5, color="#F1EFE6", zorder=0, linewidth=0)
        ax.get_yticklabels()[place].set_fontweight("bold")
    ax.set(xlim=(0, 1.14), xlabel="probability", ylabel="", xticks=(0, 0.5, 1))
    ax.tick_params(axis="y", length=0)
    sns.move_legend(ax, "lower right", bbox_to_anchor=(1, 0.99), ncols=2, title=None, borderaxespad=0.2)


def answered(study: Study) -> Results:
    """Finished runs of baseline and GNDL, else of the first two methods, at the fixed λ and of the first seed.

    Raises `GndlError`, naming the command, where there is none.
    """
    found = study.results()
    found = found.headline.only(seeds=study.seeds[0]) if len(found.runs) else found
    there = list(dict.fromkeys(found.runs["method"]))
    if not there:
        raise GndlError(
            f"**{study.title}: no finished run in `{shown_path(study.out)}`.** Train with `{command(study)}` or in "
            "notebook `2_training`, then run this cell again."
        )
    named = [variant_name(method, study.weights) for method in METHODS]
    return found.only(methods=[name for name in named if name in there] or there[:2])


def command(study: Study, out: str = "") -> str:
    """A command line for this database of this study."""
    option = "data" if study.name == "manifest" else study.name.replace("_", "-")
    root = study.config.data_roots.get(study.name)
    where = f" --{option} {root}" if root else ""
    out = out or shown_path(study.out)
    return f"gndl study --profile {study.settings.name} --databases {study.name}{where} --out {out}"


class Faces:
    """The crops of a study, as far as they are on this machine and may be shown."""

    def __init__(self, study: Study) -> None:
        root = study.config.data_roots.get(study.name) or standin_folder(study.settings.name, study.name)
        self.pairs, self._rule = None, gallery.may_be_shown(study)
        self.note = f"The faces of this study are not on this machine ({root})."
        if is_shipped(study.config, study.name) or Path(root).exists():
            try:
                self.pairs = study.pairs
                self.note = self._rule.note(self.pairs.subject)
            except GndlError as error:  # its runs were trained on other faces
                self.note = str(error)

    def draw(
        self, ax: Axes, sample: int, title: str, *, neutral: bool = False, frame: str = "", below: str = ""
    ) -> None:
        """Draw the examined face of a pair, or its neutral one, in a frame of a colour; an empty cell if it may not."""
        ax.set_title(title, fontsize=6.5, pad=3, fontweight="bold" if frame else "normal")
        ax.set_xlabel(below, fontsize=6, labelpad=3)
        if self.pairs is None or not self._rule.may_show(str(self.pairs.subject[sample])):
            ax.set(xticks=[], yticks=[], facecolor="#EEEEEE", box_aspect=1)
            ax.text(0.5, 0.5, "not shown", ha="center", va="center", color="#777777", transform=ax.transAxes)
        else:
            index = self.pairs.neutral_index if neutral else self.pairs.examined_index
            gallery.show_face(ax, self.pairs.images[int(index[sample])])
        if frame:
            ax.spines[:].set(visible=True, color=frame, linewidth=2.2)
