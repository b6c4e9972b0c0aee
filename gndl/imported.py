"""Predictions that another code base has made: what they are called, and what is said of them everywhere."""

from __future__ import annotations

from typing import Any

PREFIX = "imported-"
"""How the names of imported methods begin; no method that is trained here can take such a name."""

MARK = "imported: training not audited"
"""What every table says of an imported method."""


def is_imported(method: Any) -> bool:
    """Whether a method, by its name or settings, was imported and not trained here."""
    return str(getattr(method, "name", method)).startswith(PREFIX)


def imported_note(*methods: Any) -> str:
    """Say of which methods only predictions were imported, as a sentence; "" where it is none of them."""
    names = list(dict.fromkeys(str(getattr(one, "name", one)) for one in methods if is_imported(one)))
    return f"{' and '.join(names)}: {MARK}" if names else ""
