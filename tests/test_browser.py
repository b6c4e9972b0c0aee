"""The face studio in JupyterLab, in a real browser: what a reader sees when a slider is moved or a button pressed."""

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
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest

from gndl.execute import notebook_sources

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "studio"
SENTINEL = "the studio is open"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium to open a notebook with")


@contextmanager
def jupyterlab(root: Path, settings: Path) -> Iterator[str]:
    """Serve ``root`` by a JupyterLab that touches nothing outside ``settings``; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    lab = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = os.environ | {name: str(settings / name.lower()) for name in (*places, *lab)}
    news = settings / "jupyterlab_settings_dir" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    # Else a question about news covers the page.
    choice = {"fetchNews": "false", "checkForUpdates": False}
    (news / "notification.jupyterlab-settings").write_text(json.dumps(choice))
    options = ("--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", "--ServerApp.port_retries=0")
    own = (f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}")
    command = [sys.executable, "-m", "jupyterlab", *options, *own]
    with (settings / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{address}/api/status?token={TOKEN}"), 60, "JupyterLab does not answer")
        yield address
    finally:
        server.terminate()
        server.wait(20)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(condition: Callable[[], Any], seconds: float, otherwise: str) -> Any:
    """Return what ``condition`` gives once that is true; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(otherwise)


def opened_notebook(folder: Path, out: Path) -> str:
    """Copy the notebook into ``folder``, with another study's directory and a last cell that says it is done."""
    source = next(path for path in notebook_sources() if path.stem == "6_explore")
    notebook = nbformat.read(source, as_version=4)
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    cell.source += f"\nout = {str(out)!r}"
    notebook.cells.append(nbformat.v4.new_code_cell(f"print('{SENTINEL}'.upper())"))
    folder.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, folder / source.name)
    return source.name


def run_all(page: Any, address: str, name: str) -> None:
    """Open a notebook, run all of it and wait for its end."""
    page.goto(f"{address}/lab/tree/{name}?token={TOKEN}&reset")
    # The indicator at the notebook's head says idle too early; this one does not.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.get_by_text(SENTINEL.upper(), exact=True).wait_for(timeout=120_000)


def test_the_face_follows_buttons_and_sliders_in_jupyterlab(tmp_path: Path) -> None:
    """Run from top to bottom, the notebook shows a face; an emotion pressed and a slider dragged change the picture."""
    from playwright.sync_api import sync_playwright

    name = opened_notebook(tmp_path / "notebooks", tmp_path / "no-study")
    (tmp_path / "settings").mkdir()
    with jupyterlab(tmp_path / "notebooks", tmp_path / "settings") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        run_all(page, address, name)
        face = page.locator("img.gndl-face")
        face.wait_for(timeout=60_000)

        def picture() -> str:
            return str(face.get_attribute("src"))

        assert page.get_by_text("What a render can tell").is_visible()
        assert page.get_by_text("rendered: nobody").first.is_visible()
        neutral = picture()
        page.locator("button.gndl-happiness").click()
        wait_for(lambda: picture() != neutral, 30, "an emotion was pressed and the face did not change")
        time.sleep(1.5)  # until the face has come to rest
        happy = picture()
        slider = page.locator(".jupyter-widgets.widget-slider", has_text="strength")
        handle = slider.locator(".noUi-handle")
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 120, y, steps=8)
        page.mouse.up()
        wait_for(lambda: picture() != happy, 30, "a slider was moved and the face did not change")
        shown = slider.locator(".widget-readout").inner_text()
        assert 0.0 < float(shown) < 1.0
        assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.error']").count() == 0
        browser.close()
