"""Figures and words that compare methods sample by sample: nothing overlaps, nothing is made up, all can be redrawn."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from written_runs import write_simulated_study

from gndl import figures
from gndl.analysis.hard_samples import compare_samples
from gndl.analysis.paired import paired_differences
from gndl.analysis.reliability import reliability, reliability_table
from gndl.analysis.sample_gallery import Answer, ShownSample
from gndl.analysis.variants import Variant
from gndl.figures.redraw import redraw
from gndl.narrative import sample_words
from gndl.paper import EXPRESSIONS
from gndl.results import write_csv

BASELINE, GNDL, OTHER = Variant("baseline"), Variant("gndl", "5"), Variant("gndl-stop-gradient", "5")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight folds of four subjects with six sequences each, by three methods."""
    out = tmp_path_factory.mktemp("simulated")
    skills = {("baseline", "none"): 1.6, ("gndl", "5"): 2.8, ("gndl-stop-gradient", "5"): 1.6}
    write_simulated_study(out, skills, classes=EXPRESSIONS["oulu_casia"], folds=8, subjects=4)
    return out


def texts(figure: Figure) -> list[Text]:
    """Every text that a figure shows: not the hidden and empty ones, nor labels of ticks beyond an axis' ends."""
    beyond = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            beyond |= {id(tick.label1) for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    found = [text for text in figure.findobj(Text) if isinstance(text, Text) and id(text) not in beyond]
    return [text for text in found if text.get_text().strip() and text.get_visible()]


def assert_readable(figure: Figure) -> None:
    """No text leaves the figure, and no two texts lie on each other."""
    FigureCanvasAgg(figure).draw()
    whole = figure.bbox
    boxes = []
    for text in texts(figure):
        box = text.get_window_extent()
        assert box.x0 >= whole.x0 - 1 and box.x1 <= whole.x1 + 1, text.get_text()
        assert box.y0 >= whole.y0 - 1 and box.y1 <= whole.y1 + 1, text.get_text()
        boxes.append((text.get_text(), box.shrunk(0.9, 0.7).translated(0.05 * box.width, 0.15 * box.height)))
    for number, (name, box) in enumerate(boxes):
        for other, other_box in boxes[number + 1 :]:
            assert not box.overlaps(other_box), (name, other)


def along(methods: Iterable[tuple[str, str]]) -> pd.DataFrame:
    """Curves along sequences as `gndl.analysis.intensity_curves.curves` returns them."""
    rows = []
    for method, lam in methods:
        for position in np.linspace(0, 1, 5):
            rows.append(
                {
                    "method": method,
                    "lam": lam,
                    "position": position,
                    "sequences": 18,
                    "subjects": 15,
                    "accuracy": 0.2 + 0.6 * position,
                    "accuracy_low": 0.1 + 0.6 * position,
                    "accuracy_high": 0.3 + 0.6 * position,
                    "truth_p": 0.2 + 0.5 * position,
                    "deviation": 0.4 + 0.6 * position if method != "baseline" else np.nan,
                    "from_neutral": position,
                    "intensity": position**2,
                    "database": "oulu_casia",
                    "source": "rendered",
                }
            )
    return pd.DataFrame(rows)


def shown(count: int, saliency: bool = True) -> list[ShownSample]:
    """Rows of a gallery, with long names."""
    face = np.arange(1024, dtype=np.uint8).reshape(32, 32)
    spot = np.zeros((16, 16), np.float32)
    spot[4:8, 4:8] = 1
    wrong = Answer("sadness", 0.71, 0.12, spot if saliency else None)
    right = Answer("happiness", 0.93, 0.93, spot if saliency else None)
    return [
        ShownSample("S1234", "S1234_001", f"S1234_001_{number:08}.png", "happiness", face, face, wrong, right)
        for number in range(count)
    ]


@pytest.mark.parametrize("saliency", [True, False])
def test_a_gallery_shows_faces_answers_and_probabilities(saliency: bool) -> None:
    """Two or four pictures a row, truth and both answers beside them, and nothing overlaps."""
    figure = figures.hard_sample_gallery(shown(6, saliency), "baseline", "gndl-stop-gradient, λ = 5", source="rendered")
    pictures = sum(len(axes.images) for axes in figure.axes)
    assert pictures == (24 if saliency else 12)
    words = " ".join(text.get_text() for text in texts(figure))
    assert "truth: happiness" in words
    assert "✗ baseline: sadness, 71% (happiness 12%)" in words
    assert "λ = 5: happiness, 93%" in words.replace("\n    ", " ")
    assert "rendered stand-in" in words
    assert figure.get_figwidth() == pytest.approx(7.0)
    assert_readable(figure)


def test_a_map_that_is_not_there_is_said_to_be_missing() -> None:
    """One answer without weights, one that no part alone supports."""
    one, two = shown(2)
    missing = Answer("sadness", 0.7, 0.1, None)
    nothing = Answer("happiness", 0.9, 0.9, np.zeros((16, 16), np.float32))
    mixed = [ShownSample(**{**vars(one), "a": missing}), ShownSample(**{**vars(two), "b": nothing})]
    words = " ".join(
        text.get_text() for text in texts(figures.hard_sample_gallery(mixed, "baseline", "GNDL", source="own"))
    )
    assert "weights\nnot kept" in words
    assert "no part\nalone" in words
    assert "stand-in" not in words


def test_figures_of_comparisons_are_readable(study: Path) -> None:
    """Cells, dots, diagrams and curves of three methods: no text is cut off or lies on another."""
    cells = compare_samples(study, "oulu_casia", BASELINE, OTHER).cells()
    pairs = paired_differences(study, "oulu_casia", [GNDL, OTHER], BASELINE).table()
    bins = reliability_table([reliability(study, "oulu_casia", one) for one in (BASELINE, GNDL, OTHER)])
    curves = along([("baseline", "none"), ("gndl", "5"), ("gndl-stop-gradient", "5")])
    assert_readable(figures.cells_figure(cells, source="rendered"))
    assert_readable(figures.paired_dots(pairs, source="rendered"))
    assert_readable(figures.reliability_diagrams(bins, source="rendered"))
    assert_readable(figures.intensity_curves(curves, source="rendered"))


def test_the_dots_are_the_differences(study: Path) -> None:
    """Every fold and every subject has one dot at its difference in points."""
    found = paired_differences(study, "oulu_casia", [GNDL], BASELINE)
    left, right = figures.paired_dots(found.table(), source="rendered").axes

    def heights(axes) -> list[float]:  # type: ignore[no-untyped-def]
        dots = [line for line in axes.lines if line.get_marker() in ("^", "v", "o")]
        return sorted(float(value) for line in dots for value in line.get_ydata())

    assert heights(left) == pytest.approx(sorted(100 * found.folds["difference"]))
    assert heights(right) == pytest.approx(sorted(100 * found.subjects["difference"]))


def test_every_comparison_is_redrawn_from_its_csv(study: Path, tmp_path: Path) -> None:
    """The CSV behind a figure is all it takes, is kept to the last digit, and the caption names stand-in and method."""
    folder = tmp_path / "oulu_casia" / "figures"
    folder.mkdir(parents=True)
    named = {"database": "oulu_casia", "source": "rendered"}
    pairs = paired_differences(study, "oulu_casia", [GNDL], BASELINE).table().assign(**named)
    tables = {
        "sample_cells": compare_samples(study, "oulu_casia", BASELINE, GNDL).cells().assign(**named),
        "paired_differences": pairs,
        "reliability": reliability_table([reliability(study, "oulu_casia", GNDL)]).assign(**named),
        "intensity": along([("gndl", "5")]),
    }
    for name, table in tables.items():
        write_csv(table.assign(source="rendered"), folder / f"{name}.csv")
    drawn = redraw(folder.parent, tmp_path / "again", list(tables))
    assert [file.stem for file in drawn] == list(tables)
    for file in drawn:
        tex = file.with_suffix(".tex").read_text(encoding="utf-8")
        assert "Oulu-CASIA stand-in" in tex
        assert "GNDL" in tex
        assert file.with_suffix(".csv").read_bytes() == (folder / f"{file.stem}.csv").read_bytes()


def test_words_tell_both_directions_and_what_the_tests_say(study: Path) -> None:
    """From seven folds on there are two p; the numbers are those of the table."""
    found = compare_samples(study, "oulu_casia", BASELINE, GNDL)
    words = sample_words.of_cells(found, "rendered")
    assert (
        f"GNDL, λ = 5 alone is right on {found.sequences.only_b}, baseline alone on {found.sequences.only_a}" in words
    )
    assert f"p = {found.p_mcnemar:.2g}" in words
    assert "a difference beyond chance" in words
    assert "says nothing about people" in words
    assert "people" not in sample_words.of_cells(found, "licensed")


def test_words_of_an_empty_gallery_say_so() -> None:
    """No sample of a kind is no gap."""
    words = sample_words.of_gallery(GNDL, BASELINE, shown=0, sequences=0, frames=0)
    assert words == "There is no frame that GNDL, λ = 5 gets right and baseline wrong, so there is nothing to show."


def test_words_never_say_nan(tmp_path: Path) -> None:
    """One fold of one subject: what cannot be told is told in words."""
    write_simulated_study(
        tmp_path, {("baseline", "none"): 2.0, ("gndl", "5"): 2.0}, classes=EXPRESSIONS["mmi"], folds=1, subjects=1
    )
    pairs = paired_differences(tmp_path, "oulu_casia", [GNDL], BASELINE)
    cells = compare_samples(tmp_path, "oulu_casia", BASELINE, GNDL)
    believed = [reliability(tmp_path, "oulu_casia", one) for one in (BASELINE, GNDL)]
    curves = along([("baseline", "none"), ("gndl", "5")])
    frames = pd.DataFrame(
        {
            **dict.fromkeys(("fold", "seed"), 0),
            "method": ["baseline", "gndl"],
            "lam": ["none", "5"],
            "sequence": "S1_1",
            "subject": "S1",
            "truth": "fear",
            "predicted": ["anger", "fear"],
            "position": 0.0,
        }
    )
    alarms = pd.DataFrame(
        {
            "method": ["baseline", "gndl"],
            "lam": ["none", "5"],
            "neutral_faces": 1,
            "subjects": 1,
            "false_alarms": [1, 0],
            "share": [1.0, 0.0],
            "anger": [1, 0],
            "fear": 0,
        }
    )
    words = "\n".join(
        [
            sample_words.of_paired(pairs.summaries, "rendered"),
            sample_words.of_cells(cells, "rendered"),
            sample_words.of_reliability(believed, "rendered"),
            sample_words.of_intensity(frames, curves, alarms, "rendered"),
        ]
    )
    assert "nan" not in words.lower().replace("finance", "")
    assert "One fold has no spread" in words
    assert "1 fold allows no test" in words
    assert "is right at the apex of none of 1 sequence" in words
    assert "1 of 1 neutral face an expression with more than 50% confidence, anger" in words
    for figure in (
        figures.paired_dots(pairs.table(), source="rendered"),
        figures.cells_figure(cells.cells(), source="rendered"),
        figures.reliability_diagrams(reliability_table(believed), source="rendered"),
    ):
        assert not any("nan" in text.get_text().lower() for text in texts(figure))
