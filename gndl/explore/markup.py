"""Markdown of one sentence as the HTML that a widget takes."""

from __future__ import annotations


def as_html(text: str) -> str:
    """Bold and code of a Markdown sentence as HTML."""
    for mark, tag in (("**", "b"), ("`", "code")):
        parts = text.split(mark)
        text = "".join(
            part + (f"<{'/' if k % 2 else ''}{tag}>" if k < len(parts) - 1 else "") for k, part in enumerate(parts)
        )
    return text
