"""The notebooks in JupyterLab, in a real browser: each runs, and what is dragged, chosen or uploaded is seen to change.

Screenshots are kept in the folder that `GNDL_SCREENSHOTS` names, else beside pytest's other temporary files.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lab import CHROMIUM, HEIGHT, WIDTH, Lab, jupyterlab, wait_for, write_notebooks
from PIL import Image

from gndl.execute import notebook_sources

NAMES = tuple(source.stem for source in notebook_sources())
EXPLORE = "6_explore"
LARGEST_NOTEBOOK = 10_000_000
"""Bytes of an executed notebook at most, so that any viewer reads it whole."""

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open a notebook with")


@pytest.fixture(scope="module")
def lab(
    tiny_study: Path,
    rendered_trees: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Lab]:
    """One server and one browser over a copy of the tiny study, which notebooks may add to."""
    from playwright.sync_api import sync_playwright

    own = tmp_path_factory.mktemp("jupyterlab")
    pictures = Path(os.environ.get("GNDL_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    pictures.mkdir(parents=True, exist_ok=True)
    shutil.copytree(tiny_study, own / "study", ignore=shutil.ignore_patterns("notebooks"))
    write_notebooks(own / "notebooks", own / "study", rendered_trees)
    asked = [item.callspec.params["name"] for item in request.session.items if hasattr(item, "callspec")
             and item.path == request.path and "name" in item.callspec.params]  # fmt: skip
    with jupyterlab(own / "notebooks", own) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT})
        yield Lab(address, context, own / "notebooks", pictures, asked)
        browser.close()


@pytest.mark.parametrize("name", NAMES)
def test_every_notebook_runs_from_top_to_bottom(lab: Lab, name: str) -> None:
    """Opened and run unchanged but for its study: no error, no warning, and small enough to be read anywhere."""
    lab.page(name)
    notebook = lab.saved(name)
    lab.picture(name)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.execution_count for cell in cells)
    assert not [output for output in outputs if output.output_type == "error"]
    said = "".join(output.text for output in outputs if output.get("name") == "stderr")
    assert "Warning" not in said, said[:2000]
    assert (lab.folder / f"{name}.ipynb").stat().st_size < LARGEST_NOTEBOOK
    if name != EXPLORE:
        lab.close(name)


@pytest.fixture
def explore(lab: Lab) -> Any:
    """The page of the sixth notebook, run to its end; one for all the tests below."""
    return lab.page(EXPLORE)


def source_of(page: Any, image: str) -> str:
    """What an image widget shows now."""
    return str(page.locator(f"img.{image}").get_attribute("src"))


def to_the_middle(page: Any, place: str) -> None:
    """Scroll so that a screenshot shows this part of the notebook."""
    page.locator(place).first.evaluate("element => element.scrollIntoView({block: 'center'})")
    page.wait_for_timeout(200)


def test_the_face_follows_buttons_and_sliders(lab: Lab, explore: Any) -> None:
    """An emotion pressed and a slider dragged change the face, and what the networks say of it."""
    assert explore.get_by_text("What a render can tell").first.is_visible()
    assert explore.get_by_text("rendered: nobody").first.count()
    neutral, said = source_of(explore, "gndl-face"), explore.locator(".gndl-bars").inner_html()
    explore.locator("button.gndl-happiness").click()
    wait_for(lambda: source_of(explore, "gndl-face") != neutral, "an emotion was pressed and the face stayed")
    wait_for(lambda: explore.locator(".gndl-bars").inner_html() != said, "the face changed and the bars stayed")
    explore.wait_for_timeout(1500)  # until the face has come to rest
    happy = source_of(explore, "gndl-face")
    slider = explore.locator(".jupyter-widgets.widget-slider", has_text="strength")
    handle = slider.locator(".noUi-handle")
    handle.scroll_into_view_if_needed()
    box = handle.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    explore.mouse.move(x, y)
    explore.mouse.down()
    explore.mouse.move(x - 120, y, steps=8)
    explore.mouse.up()
    wait_for(lambda: source_of(explore, "gndl-face") != happy, "a slider was moved and the face stayed")
    assert 0.0 < float(slider.locator(".widget-readout").inner_text()) < 1.0
    to_the_middle(explore, "img.gndl-face")
    lab.picture(EXPLORE, "studio")


def test_another_sample_gives_another_picture(lab: Lab, explore: Any) -> None:
    """Choosing a class shows one of its samples, in the same widget."""
    before = source_of(explore, "gndl-sample")
    choice = explore.locator(".gndl-choose-class select")
    options = choice.locator("option").all_inner_texts()
    assert len(options) > 1
    choice.select_option(options[1])
    wait_for(lambda: source_of(explore, "gndl-sample") != before, "a class was chosen and the sample stayed")
    to_the_middle(explore, "img.gndl-sample")
    lab.picture(EXPLORE, "sample")


def test_a_point_of_the_map_shows_its_face(lab: Lab, explore: Any) -> None:
    """Each point can be pressed where it lies, and has its name for a pointer that rests on it."""
    before = source_of(explore, "gndl-card")
    points = explore.locator("button.gndl-point")
    points.last.scroll_into_view_if_needed()
    assert " – " in points.last.get_attribute("title")

    def pressed() -> bool:
        """Press where points lie, whichever of near copies is on top, until the card shows another face."""
        for i in range(points.count() - 1, -1, -1):
            points.nth(i).click(force=True)
            explore.wait_for_timeout(1000)
            if source_of(explore, "gndl-card") != before:
                return True
        return False

    wait_for(pressed, "points were pressed and the card stayed")
    to_the_middle(explore, ".gndl-map")
    lab.picture(EXPLORE, "map")


def upload(page: Any, file: Path) -> None:
    """Choose a file as a reader does."""
    with page.expect_file_chooser() as chooser:
        page.locator("button.gndl-upload").click()
    chooser.value.set_files(file)


def test_a_photograph_is_read_and_one_without_a_face_is_answered(
    lab: Lab, explore: Any, rendered_trees: dict[str, Path], tmp_path: Path
) -> None:
    """A rendered face gets the answers of both methods; noise gets a sentence, and the next face is read again."""
    image, words = explore.locator("img.gndl-photograph"), explore.locator(".gndl-photograph-words")
    assert explore.get_by_text("rendered faces only").last.is_visible()
    face = sorted(rendered_trees["ckplus"].rglob("*.png"))[0]
    before = source_of(explore, "gndl-photograph")
    upload(explore, face)
    wait_for(lambda: face.name in words.inner_text(), "a photograph was chosen and nothing said of it")
    assert "the baseline says" in words.inner_text() and "GNDL says" in words.inner_text()
    wait_for(lambda: source_of(explore, "gndl-photograph") != before, "a photograph was chosen and is not shown")
    to_the_middle(explore, "img.gndl-photograph")
    lab.picture(EXPLORE, "photograph")
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT // 3, HEIGHT // 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "nobody.png")
    upload(explore, tmp_path / "nobody.png")
    wait_for(lambda: "no face was found" in words.inner_text(), "a picture without a face has no answer")
    assert not image.is_visible()
    lab.picture(EXPLORE, "no-face")
    upload(explore, face)
    wait_for(image.is_visible, "after a picture without a face no other is shown")
