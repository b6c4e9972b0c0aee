"""The long campaigns find what was planted: a reader that raises, a stage that loses something when it is killed."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "campaigns"))

import faults
import fuzz

LIGHT = [name for name in fuzz.TARGETS if name not in ("mmi", "clip", "weights", "oulu_casia")]


@pytest.mark.parametrize("name", LIGHT)
def test_readers_answer_or_refuse_whatever_they_are_given(name: str) -> None:
    """A few examples of what `make fuzz` tries for minutes."""
    tried, _, said = fuzz.try_examples(name, 1, 5)
    assert said == "" and tried >= 1


def test_a_study_that_crashes_the_audit_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The target of whole studies lets nothing pass but a refusal in words."""

    def crashes(*_: object) -> None:
        raise KeyError("planted")

    monkeypatch.setattr("gndl.checking.study.check_study_json", crashes)
    assert "KeyError: 'planted'" in fuzz.try_examples("study", 0, 2)[2]


def test_a_reader_that_raises_is_a_finding_with_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest example is kept, and the exit status says that there was one."""

    def target(draw: Any, folder: Path) -> None:
        number = draw(fuzz.st.integers(0, 1000))
        (folder / "number.txt").write_text(str(number))
        if number > 10:
            raise KeyError(number)

    monkeypatch.setitem(fuzz.TARGETS, "planted", target)
    monkeypatch.setattr(fuzz, "CHUNK", 30)
    assert fuzz.main(fuzz.Options(minutes=1e-4, out=tmp_path, only=("planted",))) == 1
    assert "KeyError: 11" in (tmp_path / "planted-0.txt").read_text()
    assert (tmp_path / "planted-0/number.txt").read_text() == "11"
    assert (tmp_path / "fuzz.csv").read_text().startswith("target,examples,refused,findings,seconds\nplanted,")


def test_a_reader_that_dies_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As decoders do that are not written in Python."""
    monkeypatch.setitem(fuzz.TARGETS, "planted", lambda *_: faults.os.kill(faults.os.getpid(), 9))
    assert fuzz.fuzz("planted", 0.01, 0, tmp_path)["findings"] == 1
    assert "died with exit status -9" in (tmp_path / "planted-0.txt").read_text()


LOSES = "[ -e out ] || { echo half > out; sleep 60; echo whole > out; }"
WHOLE = "echo half > aside; [ -e seen ] || { touch ../seen; sleep 60; }; mv aside out"
LEAVES = "[ -e ../seen ] && { echo whole > out; exit; }; touch ../seen; echo half > .aside; sleep 60"


@pytest.mark.parametrize(
    ("program", "survived", "what"),
    [
        (LOSES, False, "different: out (1)"),
        (WHOLE.replace("-e seen", "-e ../seen").replace("half", "whole"), True, ""),
        (LEAVES, False, "left over: .aside (1)"),
    ],
)
def test_a_kill_that_loses_or_leaves_something_is_not_survived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, survived: bool, what: str
) -> None:
    """A stage that takes a half-written file for a whole one, one that does not, and one that does not tidy up."""
    work, before = tmp_path / "work", tmp_path / "before"
    before.mkdir()

    def start(stage: str, at: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sh", "-c", program], cwd=at, start_new_session=True)

    class Chance(random.Random):
        def uniform(self, a: float, b: float) -> float:
            return 1.0

        def random(self) -> float:
            return 0.0  # all processes are killed

    monkeypatch.setattr(faults, "start", start)
    kill = faults.try_kill("train", 0, work, before, {"out": b"whole\n"}, 2.0, Chance(0))
    assert kill is not None and (kill.survived, kill.what) == (survived, what)


def test_noted_times_are_no_difference_and_anything_else_is(tmp_path: Path) -> None:
    """Of run.json the time is left out; a number is not."""
    contents = []
    for name, time_, accuracy in (("a", 1, 0.5), ("b", 2, 0.5), ("c", 1, 0.6)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(f'{{"time": {time_}, "accuracy_last": {accuracy}}}')
        contents.append(faults.snapshot(tmp_path / name))
    assert faults.difference(contents[0], contents[1]) == ""
    assert faults.difference(contents[0], contents[2]) == "different: run.json (1)"
    assert faults.difference(contents[0], {}) == "missing: run.json (1)"


def test_versions_machine_and_command_are_compared_and_the_commit_is_not(tmp_path: Path) -> None:
    """None of them is a time; a commit that leaves the code as it is may be made while the campaign runs."""
    kept = {"seconds": {}, "written": "now", "git": {"commit": "a"}, "versions": {}, "machine": {}, "command": "gndl"}
    (tmp_path / "study.json").write_text(json.dumps(kept))
    expected = faults.snapshot(tmp_path)
    for key in kept:
        (tmp_path / "study.json").write_text(json.dumps({**kept, key: "another"}))
        same = faults.difference(expected, faults.snapshot(tmp_path)) == ""
        assert same == (key in ("seconds", "written", "git")), key


def test_a_campaign_whose_code_is_changed_ends_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than to count a run of other code as lost."""
    codes = iter(["before", "before", "after"])
    kill = faults.Kill("render", 0, 1.0, 1.0, "all processes", True, "", 1.0, 0)
    monkeypatch.setattr(faults, "code", lambda: next(codes))
    monkeypatch.setattr(faults, "run_whole", lambda *_: (0, 1.0))
    monkeypatch.setattr(faults, "try_kill", lambda *_: kill)
    with pytest.raises(SystemExit, match=r"the code of gndl was changed .*start it again"):
        faults.campaign(faults.Options(kills=3, out=tmp_path / "out", only=("render",)))
    assert len((tmp_path / "out/faults.csv").read_text().splitlines()) == 2, "the kill before it is kept"
