"""Two notebooks in JupyterLab, in a real browser: they run from top to bottom, and a moved slider changes the face.

Screenshots are kept in the folder that `GNDL_SCREENSHOTS` names. Limits of time only end a hang.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

from gndl.files import repository_root

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN, SENTINEL = "gndl", "every cell was run"
PATIENCE = 900.0
"""Seconds to wait for anything at most: a machine that does much else is slow."""
SETTINGS = {  # no question about news over the page; cells out of sight are in the page
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "notebook-extension/tracker": {"windowingMode": "none"},
}
FOLDERS = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "JUPYTERLAB_WORKSPACES_DIR")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open a notebook with")


def wait_for(condition: Callable[[], Any], otherwise: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.2)


def answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=10):
        return True
    return False


@pytest.fixture(scope="module")
def open_notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Function that opens a notebook in JupyterLab with parameters, runs all cells and returns the browser's page."""
    from playwright.sync_api import sync_playwright

    own = tmp_path_factory.mktemp("jupyterlab")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, content in SETTINGS.items():
        file = own / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    environment = os.environ | {name: str(own / name) for name in FOLDERS}
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(own / "settings")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={own}"]
    address = f"http://127.0.0.1:{port}"
    with (own / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"{address}/api/status?token={TOKEN}"), "JupyterLab does not answer")
        with sync_playwright() as playwright:
            options = ["--no-sandbox", "--disable-dev-shm-usage"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            yield lambda name, **parameters: run_all(context.new_page(), address, own, name, parameters)
            browser.close()
    finally:
        server.terminate()  # and with it its kernels
        server.wait()


def run_all(page: Any, address: str, folder: Path, name: str, parameters: dict[str, Any]) -> Any:
    """Run a copy of a notebook to its end; the first error fails."""
    notebook = nbformat.read(repository_root() / "notebooks" / f"{name}.ipynb", as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    cell.source += "".join(f"\n{key} = {value!r}" for key, value in parameters.items())
    notebook.cells.append(nbformat.v4.new_code_cell(f"print('{SENTINEL}'.upper())"))
    nbformat.write(notebook, folder / f"{name}.ipynb")
    page.set_default_timeout(1000 * PATIENCE)
    page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb?token={TOKEN}&reset")
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.keyboard.press("Control+b")  # no list of files at the side
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def ended() -> bool:
        errors = page.locator("[data-mime-type='application/vnd.jupyter.stderr']", has_text="Traceback (most recent")
        assert errors.count() == 0, f"{name}: {errors.first.inner_text()[-1500:]}"
        return bool(page.get_by_text(SENTINEL.upper(), exact=True).count())

    wait_for(ended, f"{name} does not end")
    return page


def keep(page: Any, place: Any, name: str) -> None:
    if folder := os.environ.get("GNDL_SCREENSHOTS"):
        place.evaluate("element => element.scrollIntoView({block: 'center'})")
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_training_notebook_shows_a_finished_study(open_notebook: Any, planted_study: Path, tmp_path: Path) -> None:
    """Its curves, confusion matrices and tables, without an error."""
    shutil.copytree(planted_study, tmp_path / "study")
    page = open_notebook("2_training", profile="smoke", out=str(tmp_path / "study"))
    assert page.get_by_text("Synthetic stand-in for CK+").first.is_visible()
    assert page.locator(".jp-OutputArea-output img").count() >= 4
    keep(page, page.locator(".jp-OutputArea-output img").nth(1), "2_training")


def test_the_face_follows_a_button_and_a_slider(open_notebook: Any, trained_study: Path, tmp_path: Path) -> None:
    """An emotion pressed and a slider dragged change the face; a picture without a face is answered in words."""
    shutil.copytree(trained_study / "study", tmp_path / "study")
    roots = {"data_root": str(trained_study / "ckplus"), "out": str(tmp_path / "study")}
    page = open_notebook("6_explore", profile="smoke", device="cpu", **roots)
    faces = page.locator(".widget-vbox .jp-OutputArea-output img")
    wait_for(lambda: faces.count() == 5, "an explorer has no picture")
    for number in range(5):
        keep(page, faces.nth(number), f"6_explore-{number}")
    neutral = faces.first.get_attribute("src")
    page.get_by_role("button", name="happiness", exact=True).click()
    wait_for(lambda: faces.first.get_attribute("src") != neutral, "an emotion was pressed and the face stayed")
    happy = faces.first.get_attribute("src")
    slider = page.locator(".jupyter-widgets.widget-slider", has_text="strength")
    slider.locator(".noUi-handle").drag_to(slider.locator(".noUi-base"), force=True)  # to its middle
    wait_for(lambda: faces.first.get_attribute("src") != happy, "a slider was moved and the face stayed")
    assert 0.0 < float(slider.locator(".widget-readout").inner_text()) < 1.0
    keep(page, faces.first, "6_explore-moved")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8)).save(tmp_path / "noise.png")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a photo").click()
    chooser.value.set_files(tmp_path / "noise.png")
    page.get_by_text("noise.png: no face found").wait_for()
