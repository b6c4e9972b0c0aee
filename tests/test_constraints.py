"""What the installers read agrees with itself: pins, hashes, and the ranges that pyproject.toml allows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pins(file: str) -> dict[str, str]:
    """Name and version of every pin of a constraints file."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.+!-]+)", text, re.M)}


def test_every_pin_has_hashes_and_no_other_package_has() -> None:
    """constraints-hashes.txt is constraints.txt with hashes; `python .ci/hash_constraints.py` writes it anew."""
    assert pins("constraints-hashes.txt") == pins("constraints.txt")
    text = (ROOT / "constraints-hashes.txt").read_text(encoding="utf-8")
    entries = re.split(r"^(?=[\w.-]+==)", text, flags=re.M)[1:]
    assert len(entries) == len(pins("constraints.txt"))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry) for entry in entries)


def test_every_dependency_is_pinned_within_its_range() -> None:
    """Whatever pyproject.toml asks for, build tools included, was tested in a version that it allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    asked += [one for name in ("dev",) for one in project["project"]["optional-dependencies"][name]]
    pinned = pins("constraints.txt")
    for text in asked:
        requirement = Requirement(text)
        if requirement.name == "gndl":
            continue
        version = pinned.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} has no pin"
        assert requirement.specifier.contains(version), f"{text} does not allow the pinned {version}"
