"""JupyterLab in a real browser: one server and one browser for many notebooks, each with a page and a kernel."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat

from gndl.execute import notebook_sources

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TOKEN = "gndl"
SENTINEL = "every cell was run"
WIDTH, HEIGHT, TALLEST = 1280, 900, 14_000
"""Of the page, and the tallest picture of a whole notebook, in pixels."""
PATIENCE = 180.0
"""Seconds to wait for a page or for what a click changes: a machine that does much else is slow."""
PATIENCE_TO_RUN = 600.0
"""Seconds that a whole notebook may take."""

SETTINGS = {
    # Else a question about news covers the page.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Else cells out of sight are not in the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
}


@contextmanager
def jupyterlab(root: Path, own: Path) -> Iterator[str]:
    """Serve ``root`` by a JupyterLab that touches nothing outside ``own``; yield its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    lab = ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = os.environ | {name: str(own / name.lower()) for name in (*places, *lab)}
    for name, content in SETTINGS.items():
        file = own / "jupyterlab_settings_dir" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    options = ("--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root", "--ServerApp.port_retries=0")
    settings = (f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={root}")
    command = [sys.executable, "-m", "jupyterlab", *options, *settings]
    with (own / "log.txt").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(f"{address}/api/status?token={TOKEN}"), "JupyterLab does not answer")
        yield address
    finally:
        server.terminate()  # and with it its kernels
        server.wait(PATIENCE)


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


def wait_for(condition: Callable[[], Any], otherwise: str, seconds: float = PATIENCE) -> Any:
    """Return what ``condition`` gives once that is true; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(otherwise)


def write_notebooks(folder: Path, out: Path, data_roots: dict[str, Path]) -> None:
    """Copy every notebook into ``folder``, with another study's directory and a last cell that says it is done."""
    folder.mkdir()
    for source in notebook_sources():
        notebook = nbformat.read(source, as_version=4)
        cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
        roots = {name: str(root) for name, root in data_roots.items()}
        cell.source += f"\nprofile, out = 'smoke', {str(out)!r}\ndata_root = {roots!r}.get(database, '')"
        notebook.cells.append(nbformat.v4.new_code_cell(f"print('{SENTINEL}'.upper())"))
        nbformat.write(notebook, folder / source.name)


@dataclass
class Lab:
    """The server, the browser and the pages that are open.

    Parameters
    ----------
    address : str
    browser : playwright's BrowserContext
        One for all pages, so that what JupyterLab is made of is fetched and compiled once.
    folder, pictures : Path
        Of the notebooks, and for screenshots.
    asked : sequence of str
        Names of the notebooks that will be opened, in their order: while one runs, the next is started.
    """

    address: str
    browser: Any
    folder: Path
    pictures: Path
    asked: Sequence[str] = ()
    pages: dict[str, Any] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)

    def start(self, name: str) -> None:
        """Open a notebook and run all of it, without waiting for its end."""
        if name in self.started:
            return
        self.started.add(name)
        page = self.pages[name] = self.browser.new_page()
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{self.address}/lab/workspaces/{name}/tree/{name}.ipynb?token={TOKEN}&reset")
        # The indicator at the notebook's head says idle too early; this one does not.
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.keyboard.press("Control+b")  # no list of files beside it
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def page(self, name: str) -> Any:
        """A notebook's page once all of its cells were run; the first error fails at once."""
        self.start(name)
        following = self.asked[self.asked.index(name) + 1 :] if name in self.asked else []
        for other in following[:1]:
            self.start(other)
        page = self.pages[name]

        def ended() -> bool:
            errors = page.locator("[data-mime-type='application/vnd.jupyter.error']")
            assert errors.count() == 0, f"{name}: {errors.first.inner_text()[-1500:]}"
            return bool(page.get_by_text(SENTINEL.upper(), exact=True).count())

        wait_for(ended, f"{name} was not done in {PATIENCE_TO_RUN:.0f} s", PATIENCE_TO_RUN)
        return page

    def saved(self, name: str) -> nbformat.NotebookNode:
        """Save the notebook by the keyboard and read it from disk, with its outputs."""

        def with_the_end() -> nbformat.NotebookNode | None:
            self.pages[name].keyboard.press("Control+s")
            self.pages[name].wait_for_timeout(500)
            try:
                notebook = nbformat.read(self.folder / f"{name}.ipynb", as_version=4)
            except nbformat.reader.NotJSONError:  # it is being written
                return None
            return notebook if notebook.cells[-1].execution_count else None  # its number comes after its output

        return wait_for(with_the_end, f"{name} was not saved")

    def picture(self, name: str, what: str = "") -> Path:
        """Keep a screenshot: of the whole notebook, or, under ``what``, of what is seen of it now."""
        page, path = self.pages[name], self.pictures / f"{name}{what and '-'}{what}.png"
        if not what:
            height = page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollHeight")
            page.set_viewport_size({"width": WIDTH, "height": min(int(height) + 140, TALLEST)})
            page.evaluate("document.querySelector('.jp-WindowedPanel-outer').scrollTop = 0")
            page.wait_for_timeout(300)
        page.screenshot(path=path)
        if not what:
            page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        return path

    def close(self, name: str) -> None:
        """Close a notebook's page and have its kernel end, without waiting for that."""
        self.pages.pop(name).close()  # it stays among those started: nothing is run twice
        threading.Thread(target=self._end_kernel, args=[name]).start()

    def _end_kernel(self, name: str) -> None:
        for session in json.loads(self._request("sessions")):
            if session["path"] == f"{name}.ipynb":
                self._request(f"sessions/{session['id']}", "DELETE")

    def _request(self, what: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"{self.address}/api/{what}?token={TOKEN}", method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())
