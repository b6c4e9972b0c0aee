"""What documents tell a reader to type exists: commands with their options, modules, and files of the repository."""

import dataclasses
import json
import re
from importlib.util import find_spec
from typing import get_args

import pytest

from gndl.options import Command
from gndl.paper import DATABASES
from gndl.paths import repository_root

ROOT = repository_root()
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in (
        "*.md",
        "docs/*.md",
        "cluster/*.md",
        "benchmarks/README.md",
        "figures/README.md",
        "notebooks/*.ipynb",
    )
    for path in ROOT.glob(pattern)
)


def options_of(options: type) -> set[str]:
    """Options of a command; one that is true or false has a form with ``no``."""
    names = {field.name.replace("_", "-"): field.type in ("bool", bool) for field in dataclasses.fields(options)}
    return {"--help", *(f"--{name}" for name in names), *(f"--no-{name}" for name, flag in names.items() if flag)}


COMMANDS = {
    described.name: options_of(options)
    for options, described in (get_args(annotated) for annotated in get_args(Command))
}
PATH = re.compile(r"`((?:gndl|docs|figures|tests|campaigns|cluster|benchmarks|record|notebooks)/[\w./-]*\w)/?`")


def words_of(document: str) -> str:
    """Text of a document; of a notebook, its cells. A command that goes on after a backslash is one line."""
    path = ROOT / document
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) + "\n" for cell in json.loads(text)["cells"])
    return text.replace("\\\n", " ")


def unknown_commands(text: str) -> list[str]:
    """Calls of ``gndl`` whose command, or an option of it, does not exist."""
    wrong = []
    for command, rest in re.findall(r"(?:^|[\s`/\"(])gndl ([a-z][a-z-]+)([^`\n#|;]*)", text):
        options = re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest)
        if command in COMMANDS:
            wrong += [f"gndl {command} {option}" for option in options if option not in COMMANDS[command]]
        elif options:  # without options it may be a sentence: "gndl reads ..."
            wrong.append(f"gndl {command}")
    return wrong


def test_the_reading_finds_what_does_not_exist():
    assert unknown_commands("Run `gndl study --profile smoke --speed 3`, then gndl chek --folds x\n") == [
        "gndl study --speed",
        "gndl chek",
    ]


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_that_a_document_names_has_these_options(document):
    assert unknown_commands(words_of(document)) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_module_that_a_document_runs_exists(document):
    modules = re.findall(r"python3? -m (gndl[\w.]*\w)", words_of(document))
    assert [module for module in modules if find_spec(module) is None] == []


@pytest.mark.parametrize("document", [document for document in DOCUMENTS if document != "CHANGELOG.md"])
def test_every_file_of_the_repository_that_a_document_names_exists(document):
    paths = PATH.findall(words_of(document))
    paths = [path.replace("DATABASE", name) for path in paths for name in DATABASES]  # which stands for each of them
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_target_of_make_that_a_document_names_exists(document):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    assert set(re.findall(r"`make ([a-z-]+)", words_of(document))) <= targets


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_parameter_that_papermill_is_told_is_one_of_the_notebooks(document):
    for notebook, rest in re.findall(r"papermill (notebooks/\w+\.ipynb)([^`\n]*)", words_of(document)):
        cells = json.loads((ROOT / notebook).read_text(encoding="utf-8"))["cells"]
        named = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", ()))
        assert set(re.findall(r"-p (\w+)", rest)) <= set(re.findall(r"^(\w+) =", named, re.M))


@pytest.mark.parametrize(
    ("document", "method"),
    [("docs/licensed-copies.md", "imported-my-net"), ("notebooks/8_your_own_method.ipynb", "cosine-gndl")],
)
def test_notebook_5_on_another_method_is_a_command_to_copy(document, method):
    text = words_of(document)
    assert re.search(rf"papermill notebooks/5_hard_samples\.ipynb [^`\n]*-p method {method}", text)
    assert "GNDL_METHODS=mine.py:CosineGNDL " in text  # by which another process finds the class
