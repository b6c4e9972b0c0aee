"""Killed, interrupted, out of room, forbidden: nothing is lost, nothing half-written stays, and the user is told."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from marked import SMALL, two_subjects
from test_execute import task, write_notebook
from written_runs import predictions, write_run

from gndl import cli, crop, results
from gndl.crop import prepare_crops
from gndl.ending import in_words
from gndl.errors import GndlError
from gndl.execute import execute_missing
from gndl.files import aside_of, locked, write_text, written_aside
from gndl.profiles import PROFILES, StandInSize
from gndl.request import StudyRequest, save_request
from gndl.standins import render


def hidden(folder: Path) -> list[str]:
    """What lies half-written or locked below a folder."""
    return sorted(path.name for path in folder.rglob(".*"))


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def in_a_process_that_dies(work: Callable[[], object]) -> None:
    """Do ``work`` in a child of this process, which must kill itself (-9) on the way."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def die(*_: object, **__: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: the system then refuses as where a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# Killed


def test_a_kill_while_a_file_is_written_leaves_the_old_one_whole_and_the_next_write_tidies_up(tmp_path: Path) -> None:
    """What a living process is writing just now stays, whoever writes beside it."""
    file = tmp_path / "epochs.csv"
    write_text(file, "old")

    def write_half() -> None:
        with locked(file), written_aside(file) as aside:
            aside.write_text("ha")
            die()

    in_a_process_that_dies(write_half)
    assert file.read_text() == "old" and len(hidden(tmp_path)) == 2  # the half and its lock
    living = aside_of(file)
    living.write_text("another thread's")
    with locked(file):  # the system has freed the dead process's lock
        write_text(file, "new")
    assert file.read_text() == "new" and hidden(tmp_path) == [living.name]


def test_a_kill_while_rendering_costs_one_subject_and_changes_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Subjects that are done are not rendered again, the one that was cut short is, and nothing of its half stays."""
    rendered: list[str] = []

    def subject(name: str, root: Path, planned: object, seed: int, studio: object) -> int:
        rendered.append(planned.name)  # type: ignore[attr-defined]
        for frame in range(3):
            with written_aside(root / f"{planned.name}_{frame}.txt") as aside:  # type: ignore[attr-defined]
                aside.write_text(f"{name} {frame}")
                if kills and len(rendered) == 2 and frame == 1:
                    die()
        write_text(root / ".done" / f"{planned.name}.npz", "done")  # type: ignore[attr-defined]
        return 3

    monkeypatch.setattr(render, "_render_subject", subject)
    monkeypatch.setattr(render, "load_head", lambda: None)
    monkeypatch.setattr(render, "join_parts", lambda *_: None)
    size = StandInSize(subjects=3, sequences=18, labelled=18, frames=(8, 8))
    kills = False
    expected = contents(render.render_database("oulu_casia", tmp_path / "undisturbed", size=size))
    kills, rendered[:] = True, []
    in_a_process_that_dies(lambda: render.render_database("oulu_casia", tmp_path / "tree", size=size))
    assert not (tmp_path / "tree").exists()
    kills = False
    assert contents(render.render_database("oulu_casia", tmp_path / "tree", size=size)) == expected
    assert len(rendered) == 2 and names(tmp_path) == ["tree", "undisturbed"]


def test_a_kill_while_cropping_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The half-written folder goes when the crops are made again."""
    database = two_subjects(tmp_path / "db")
    expected = contents(prepare_crops(database, SMALL, tmp_path / "undisturbed").folder)
    with monkeypatch.context() as patched:
        patched.setattr(crop, "write_json", die)
        in_a_process_that_dies(lambda: prepare_crops(database, SMALL, tmp_path / "crops"))
    assert len(hidden(tmp_path / "crops")) == 1
    assert contents(prepare_crops(database, SMALL, tmp_path / "crops").folder) == expected
    assert hidden(tmp_path / "crops") == []


def test_a_kill_while_reporting_changes_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """accuracy.csv is the old one until it is the new one."""
    rows = predictions([("S001", "S001_1", "anger", (0.8, 0.1, 0.1))])
    write_run(tmp_path, "baseline", "none", 0, rows)
    results.write_accuracy(tmp_path)
    old = contents(tmp_path)["accuracy.csv"]
    write_run(tmp_path, "gndl", "5", 0, rows)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", die)
        in_a_process_that_dies(lambda: results.write_accuracy(tmp_path))
    assert contents(tmp_path)["accuracy.csv"] == old and hidden(tmp_path)
    results.write_accuracy(tmp_path)
    assert contents(tmp_path)["accuracy.csv"].startswith(old) and hidden(tmp_path) == []


SLOW = "from pathlib import Path\nimport os, time\nPath(marker).write_text(str(os.getpid()))\ntime.sleep(seconds)"


def test_a_kill_while_a_notebook_runs_leaves_no_half_of_it(tmp_path: Path) -> None:
    """Its kernel ends by itself, and the next call runs it whole."""
    marker = tmp_path / "marker"
    source = write_notebook(tmp_path / "1_slow.ipynb", "marker = ''\nseconds = 60", SLOW)
    program = (
        "import sys; from pathlib import Path; from gndl.execute import execute_notebook\n"
        "execute_notebook(Path(sys.argv[1]), Path(sys.argv[2]), {'marker': sys.argv[3]})\n"
    )
    command = [sys.executable, "-c", program, str(source), str(tmp_path / "out"), str(marker)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: marker.exists() and marker.read_text())
        process.kill()
    kernel = int(marker.read_text())
    assert not (tmp_path / "out/1_slow.ipynb").exists()
    done = list(execute_missing([task(source, tmp_path / "out", {"marker": str(marker), "seconds": 0})], 1))
    assert [executed.error for executed in done] == [""]
    assert names(tmp_path / "out") == ["1_slow.ipynb"]
    wait_for(lambda: has_ended(kernel))


def has_ended(process: int) -> bool:
    """Whether a process is no more, or waits only to be collected."""
    return not psutil.pid_exists(process) or psutil.Process(process).status() == psutil.STATUS_ZOMBIE


def wait_for(there: Callable[[], object], seconds: float = 600) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end
        time.sleep(0.05)


# Interrupted


@pytest.fixture
def heeding_ctrl_c() -> Iterator[None]:
    """Also where the tests run in the background, so that a shell has told them to ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_notebooks_at_once_and_keeps_none_as_failed(tmp_path: Path, heeding_ctrl_c: None) -> None:
    """Their kernels would go on for minutes otherwise."""
    marker = tmp_path / "marker"
    source = write_notebook(tmp_path / "1_slow.ipynb", "marker = ''\nseconds = 3600", SLOW)

    def interrupt() -> None:
        wait_for(lambda: marker.exists() and marker.read_text())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        list(execute_missing([task(source, tmp_path / "out", {"marker": str(marker)})], 1))
    thread.join()
    assert names(tmp_path / "out") == []
    wait_for(lambda: has_ended(int(marker.read_text())))


def test_ctrl_c_again_and_again_does_not_cut_the_tidying_short(tmp_path: Path, heeding_ctrl_c: None) -> None:
    """One message for the first, one line for each further one, no traceback, no half file, no lock."""
    program = (
        "import sys, time; from pathlib import Path; from gndl import cli, ending; from gndl.files import *\n"
        "def work(_):\n"
        "    with locked(Path(sys.argv[1])), written_aside(Path(sys.argv[1])) as aside:\n"
        "        try: aside.write_text('half'); print('writing', flush=True); time.sleep(60)\n"
        "        finally: print('tidying', flush=True); time.sleep(3)\n"
        "cli.run, cli.tyro.cli = work, lambda *_, **__: None\n"
        "cli.main()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "out/run.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "tidying\n"
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.5)
        said = process.stderr.read()
    assert process.returncode == 130 and names(tmp_path / "out") == []
    assert "gndl: stopped; call it again to go on from here." in said and "Traceback" not in said
    assert 1 <= said.count("gndl: is being stopped, and tidies up.") <= 2


# No room, no permission


def test_a_full_disk_leaves_the_old_file_whole(tmp_path: Path) -> None:
    """The error names the file that was to be written, not the one aside, and says what to do."""
    file = tmp_path / "study.json"
    write_text(file, "old")
    with room_for(1000), pytest.raises(OSError) as error:
        write_text(file, "new" * 1000)
    assert contents(tmp_path) == {"study.json": b"old"}
    assert in_words(error.value).startswith(f"{file}: no room to write it (File too large). What was finished is kept")


def test_a_full_disk_leaves_no_half_of_crops(tmp_path: Path) -> None:
    """With room again, the same call makes them."""
    database = two_subjects(tmp_path / "db")
    expected = contents(prepare_crops(database, SMALL, tmp_path / "undisturbed").folder)
    with room_for(8000), pytest.raises(OSError) as error:
        prepare_crops(database, SMALL, tmp_path / "crops")
    assert "no room to write it" in in_words(error.value) and str(tmp_path / "crops") in in_words(error.value)
    assert [path for path in (tmp_path / "crops").iterdir() if path.is_dir()] == []
    assert contents(prepare_crops(database, SMALL, tmp_path / "crops").folder) == expected


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.csv"), r"a\.csv: no room to write it .*free some space"),
        (OSError(errno.EROFS, "Read-only file system", "a.csv"), r"a\.csv: the system does not allow .*--out"),
        (PermissionError(errno.EACCES, "Permission denied", b"a.csv"), r"a\.csv: the system does not allow"),
        (OSError("3072 requested and 0 written"), r"no room to write it \(3072 requested"),
        (OSError(errno.EIO, "Input/output error", "a.csv"), r"a\.csv: Input/output error\."),
    ],
)
def test_what_the_system_refuses_is_said_in_words(error: OSError, words: str) -> None:
    """The file, the reason, what to do."""
    assert re.search(words, in_words(error))


def test_an_output_folder_that_cannot_be_written_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place in which even root may make no folder: status 1, the path, what to do, no traceback."""
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "argv", ["gndl", "train", "--profile", "smoke", "--out", "/sys/gndl-study"])
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("gndl: /sys/gndl-study: the system does not allow it (") and said.count("\n") == 1


def test_of_two_studies_started_at_once_in_one_folder_one_goes_on(tmp_path: Path) -> None:
    """The other is told which setting differs; what lies there is whole, and is the winner's."""
    smoke = PROFILES["smoke"]
    asked = [replace(smoke, train=replace(smoke.train, batch_size=size)) for size in (4, 8)]
    both = threading.Barrier(2)

    def start(settings: object) -> str:
        both.wait()
        try:
            save_request(StudyRequest(out=tmp_path / "out", settings=settings, data_roots={"ckplus": ""}))  # type: ignore[arg-type]
        except GndlError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(2) as pool:
        said = sorted(pool.map(start, asked))
    assert said[0] == "" and "study.json belongs to another study: settings.train.batch_size is" in said[1]
    assert "Choose another OUT directory" in said[1]
    assert set(names(tmp_path / "out")) <= {"study.json", ".study.lock"}
    kept = json.loads((tmp_path / "out/study.json").read_text())["asked"]["settings"]["train"]["batch_size"]
    assert f"batch_size is {kept} there and {12 - kept} now" in said[1]
