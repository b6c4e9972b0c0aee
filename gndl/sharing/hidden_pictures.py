"""Pictures hidden in texts: as a data address, a tag, a run of base64 however it is wrapped, or the repr of bytes."""

from __future__ import annotations

import re

REMOVED = "(picture removed: it may show a face that is not to be passed on)"

_BETWEEN = r"""(?:\\+[nrt]|[\s\x00"',\\>#|])"""
"""What wraps base64: line ends, also as JSON or Python writes them, with the quotes and commas of a list of lines."""

_BASE64 = r"[A-Za-z0-9+/]"

_ADDRESS = re.compile(
    r"data:(?:[a-z]+/|\s+(?:image|video|text|application)/[a-z0-9.+-]+[;,])[^\s\"')>]*"
    rf"(?:{_BETWEEN}{{1,40}}{_BASE64}{{16,}}={{0,2}}(?!{_BASE64}))*",
    re.IGNORECASE,
)
# Short words between long ones end a run, so that prose and tables of numbers are none.
_RUN = re.compile(
    rf"(?<!{_BASE64}){_BASE64}{{16,}}={{0,2}}(?:{_BETWEEN}{{1,40}}{_BASE64}{{16,}}={{0,2}})*"
    rf"(?:{_BETWEEN}{{1,40}}{_BASE64}{{1,15}}={{1,2}})?"
)
LONGEST_RUN = 400
"""Characters of base64 that are taken for a picture, whatever they decode to."""

_DRAWING = re.compile(r"<\s*svg\b.*?</\s*svg\s*>", re.IGNORECASE | re.DOTALL)
_TAGS = r"img|svg|image|video|canvas|iframe|object|embed|picture|script"
_MARKUP = re.compile(
    rf"<\s*(svg|video|canvas|iframe|object|picture|script)\b.*?</\s*\1\s*>|<\s*(?:{_TAGS})\b[^>]*>?|url\([^)]*\)?",
    re.IGNORECASE | re.DOTALL,
)
# Base64 of the first bytes of PNG, JPEG, GIF, WebP and two kinds of SVG, looked for where all wrapping is taken out.
_BEGINNINGS = re.compile(
    r"iVBORw0KGgo|/9j/(?:[45]|2w|7)[A-Za-z0-9+/]{8}|R0lGOD[dl]h|UklGR[A-Za-z0-9+/]{6}XRUJQ|PHN2Zy[AB]|PD94bWwg"
)
_BYTES = re.compile(r"(?:\\+x[0-9a-f]{2}[^\\\n]{0,8}){32}")
_HEX = re.compile(r"[0-9a-f]*|[0-9A-F]*")


def holds_a_picture(text: str) -> bool:
    """Whether a text that is shown as Markdown or HTML has a picture in it, or pixels of one in any other way."""
    return bool(_MARKUP.search(text)) or hides_pixels(text)


def hides_pixels(text: str) -> bool:
    """Whether a text, shown as it stands, holds a picture: a drawing, a data address, base64 or the repr of bytes."""
    encoded = any(_is_encoded(found[0]) for found in _RUN.finditer(text))
    return encoded or bool(_DRAWING.search(text) or _ADDRESS.search(text)) or _begins_one(text)


def without_pictures(text: str, markup: bool) -> tuple[str, int]:
    """Return a text without the pictures in it, and how many were taken out.

    Parameters
    ----------
    text : str
    markup : bool
        Whether it is shown as Markdown or HTML, in which a tag or a style shows a picture.
    """
    removed = 0

    def replaced(found: re.Match[str]) -> str:
        nonlocal removed
        removed += 1
        return REMOVED

    def if_encoded(found: re.Match[str]) -> str:
        return replaced(found) if _is_encoded(found[0]) else found[0]

    text = (_MARKUP if markup else _DRAWING).sub(replaced, text)
    text = _RUN.sub(if_encoded, _ADDRESS.sub(replaced, text))
    if _begins_one(text):  # wrapped in some other way: where it ends cannot be told
        return REMOVED, removed + 1
    return text, removed


def _is_encoded(run: str) -> bool:
    """Whether a run of long words is base64 of a picture; lists of hashes are long too, and hexadecimal."""
    words = re.split(rf"{_BETWEEN}+", run)
    length = sum(map(len, words))
    return length >= LONGEST_RUN and (max(map(len, words)) >= LONGEST_RUN or not all(map(_HEX.fullmatch, words)))


def _begins_one(text: str) -> bool:
    unwrapped = re.sub(r"\\+[nrt]|[\s\x00\"',\\>#|]+", "", re.sub(r"\\+/", "/", text))
    return bool(_BEGINNINGS.search(unwrapped) or _BYTES.search(text))
