"""Code and settings are told apart where they change numbers, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest

from gndl.errors import GndlError
from gndl.identity import differences, require_same
from gndl.method_code import code_hash

SOURCE = '''
"""Module."""
X = 1  # why
class A:
    """Class "quoted" σ."""
    b: int = 2
    """Attribute."""
    def f(self, x):
        """One."""
        return f"{x} # no comment" + """no
    docstring"""
'''


def test_comments_docstrings_and_layout_are_no_part_of_the_code() -> None:
    """Rewording and reformatting leave a run what it is."""
    other = SOURCE.replace("# why", "# wherefore, λ").replace('"""One."""', '"""Two\n        lines."""')
    other = other.replace('"""Class "quoted" σ."""', '"""C."""').replace('"""Attribute."""', "")
    other = other.replace("X = 1", "X  =  1")
    assert code_hash(other) == code_hash(SOURCE)


@pytest.mark.parametrize(
    ("old", "new"), [("X = 1", "X = 2"), ("# no comment", "# another"), ("docstring", "string"), ("b: int", "c: int")]
)
def test_what_runs_is_part_of_the_code(old: str, new: str) -> None:
    """Constants, names, and strings that only look like comments or docstrings."""
    assert code_hash(SOURCE.replace(old, new)) != code_hash(SOURCE)


def test_indented_source_hashes_as_the_same_code() -> None:
    """A class defined inside a function has the hash that it has on its own."""
    assert code_hash("    def f():\n        return 1\n") == code_hash("def f():\n    return 1\n")


def test_differences_name_the_fields_with_both_values() -> None:
    """Nested fields with their path, hashes shortened, absent fields as None."""
    one = {"seed": 0, "train": {"lr": 0.1, "same": [1]}, "pairs": "a" * 64}
    other = {"seed": 0, "train": {"lr": 0.2, "same": [1]}, "pairs": "b" * 64, "extra": 1}
    assert differences(one, other) == [
        "extra: None, now 1",
        "pairs: aaaaaaaaaaaa…, now bbbbbbbbbbbb…",
        "train.lr: 0.1, now 0.2",
    ]
    with pytest.raises(GndlError, match=r"run\.json: belongs to another configuration \(extra: None, now 1"):
        require_same(Path("run.json"), one, other)
    require_same(Path("run.json"), one, dict(one))
