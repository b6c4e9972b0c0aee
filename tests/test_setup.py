"""The ways to install agree with each other, and the README says what the Makefile does."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
CONDA_NAMES = {"pytorch-cpu": "torch"}


def project_requirements() -> dict[str, Requirement]:
    """Requirements of pyproject.toml by name, the development extra included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = project["dependencies"] + project["optional-dependencies"]["dev"]
    return {Requirement(text).name: Requirement(text) for text in texts}


def constraints() -> dict[str, Version]:
    """Tested versions by name, in lower case with hyphens."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {name.strip().lower().replace("_", "-"): Version(version.split("#")[0].strip()) for name, version in pairs}


def test_every_requirement_has_a_tested_version_inside_its_range() -> None:
    """constraints.txt pins each package of pyproject.toml to a version that its range admits."""
    tested = constraints()
    for name, requirement in project_requirements().items():
        pinned = tested.get(name.lower().replace("_", "-"))
        assert pinned is not None, f"{name} has no version in constraints.txt"
        assert requirement.specifier.contains(pinned), f"{name} {pinned} is outside {requirement.specifier}"


def test_conda_users_get_the_same_ranges() -> None:
    """environment.yml names every dependency of pyproject.toml with the same range."""
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    entries = [entry for entry in environment if isinstance(entry, str) and entry != "pip"] + pip
    found = {}
    for entry in entries:
        if entry.startswith("-e"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9_-]+)(.*)", entry)
        assert match is not None
        found[CONDA_NAMES.get(match[1], match[1])] = match[2]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(Requirement(f"python{found.pop('python')}").specifier) == set(
        Requirement(f"python{project['requires-python']}").specifier
    )
    wanted = {Requirement(text).name: Requirement(text).specifier for text in project["dependencies"]}
    assert found.keys() == wanted.keys()
    for name, text in found.items():
        assert Requirement(f"{name}{text}").specifier == wanted[name], name


@pytest.mark.parametrize("command", ["make study", "make test"])
def test_readme_commands_are_what_the_makefile_does(command: str) -> None:
    """Both commands of the README are targets of the Makefile, and both install first."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    assert f"\n{command}\n" in readme or f"\n{command} " in readme
    target = command.split()[1]
    assert re.search(rf"^{target}: install", makefile, flags=re.MULTILINE)


def test_citation_names_the_version_of_the_package() -> None:
    """CITATION.cff, the package and the change log agree on the version."""
    import gndl

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == gndl.__version__
    assert citation["preferred-citation"]["doi"] == "10.1145/3581783.3612014"
    assert f"## {gndl.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_notebooks_are_committed_without_outputs() -> None:
    """No notebook carries an output, an execution count or a second parameter cell."""
    import nbformat

    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    assert notebooks
    for path in notebooks:
        notebook = nbformat.read(path, as_version=4)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert all(not cell.outputs and cell.execution_count is None for cell in code), path.name
        tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
        assert len(tagged) == 1, path.name
        for name in ("database", "data_root", "profile", "out", "device", "seed"):
            assert re.search(rf"^{name} = ", tagged[0].source, flags=re.MULTILINE), (path.name, name)
