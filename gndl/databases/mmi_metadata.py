"""What MMI's XML files say: view and clips of a session, emotion of a clip, markers of its action units.

The files are outside input: they are parsed by defusedxml, elements and attributes are found by name (in any
namespace and any case), and whatever is malformed raises `MetadataError` with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import parse

from gndl.databases.apex import Marker

EMOTIONS = {1: "anger", 2: "disgust", 3: "fear", 4: "happiness", 5: "sadness", 6: "surprise"}
"""Codes of the basic emotions; the database has others beyond them."""

FRONTAL, PROFILE, DUAL = "0", "1", "2"
"""Values of ``view``: frontal, profile, both in one frame through a mirror."""


LARGEST = 16_000_000
"""Bytes of a metadata file at most; MMI's have a few thousand."""

_MOST_DIGITS = 9
"""Of a frame's number; Python refuses to read thousands of digits."""


class MetadataError(ValueError):
    """A metadata file that cannot be read, with the reason."""


def _root(path: Path) -> Element:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise MetadataError(f"{size:,} bytes of XML, where a few thousand are expected")
        with path.open("rb") as file:
            root = parse(file).getroot()
    except MetadataError:
        raise
    except (ParseError, DefusedXmlException) as error:
        raise MetadataError(f"malformed XML ({error})") from error
    except (OSError, ValueError, LookupError) as error:
        raise MetadataError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if root is None:
        raise MetadataError("malformed XML (no element in it)")
    return root


def _elements(root: Element, name: str) -> Iterator[Element]:
    """Elements of a name below ``root``, in any namespace and any case."""
    for element in root.iter():
        if isinstance(element.tag, str) and element.tag.rpartition("}")[2].lower() == name:
            yield element


def _attribute(element: Element, name: str) -> str | None:
    for key, value in element.attrib.items():
        if key.lower() == name:
            return value.strip()
    return None


def read_view(path: Path, clip: str) -> str | None:
    """View of a clip, from its session's ``session.xml``.

    Parameters
    ----------
    path : Path
        The ``session.xml``.
    clip : str
        Name of the clip without suffix; it tells its track where a session has several.

    Returns
    -------
    str or None
        ``"0"`` frontal, ``"1"`` profile, ``"2"`` both; None where the file does not say.

    Raises
    ------
    MetadataError
    """
    tracks = [track for track in _elements(_root(path), "track") if _attribute(track, "view") is not None]
    own = [track for track in tracks if _names(track, clip)]
    views = {_attribute(track, "view") for track in own or tracks}
    return views.pop() if len(views) == 1 else None


def _names(track: Element, clip: str) -> bool:
    """Whether a track, or an annotation in it, names a file of the clip."""
    names = (_attribute(element, "filename") for element in track.iter())
    return any(name is not None and name.lower().startswith(clip.lower()) for name in names)


def read_emotion(path: Path) -> str | None:
    """Value of the metatag named ``Emotion`` in a clip's own file, read by name; None where there is none.

    Raises
    ------
    MetadataError
        Also where there are several that disagree.
    """
    values = {
        _attribute(tag, "value") or ""
        for tag in _elements(_root(path), "metatag")
        if (_attribute(tag, "name") or "").lower() == "emotion"
    }
    if len(values) > 1:
        raise MetadataError(f"several emotions that disagree: {', '.join(sorted(values))[:80]}")
    return values.pop() if values else None


def read_action_units(path: Path) -> dict[str, list[Marker]]:
    """Markers (type, frame from 1) of every action unit, by the unit's ``Number``, which is text.

    A marker whose type or frame is no whole number is left out, which makes its action unit incomplete where it is
    needed.

    Raises
    ------
    MetadataError
    """
    units: dict[str, list[Marker]] = {}
    for unit in _elements(_root(path), "actionunit"):
        number = _attribute(unit, "number") or "?"
        side = _attribute(unit, "side")
        markers = units.setdefault(f"{number} {side}" if side else number, [])
        for marker in _elements(unit, "marker"):
            kind, frame = _attribute(marker, "type") or "", _attribute(marker, "frame") or ""
            if kind.isdecimal() and frame.isdecimal() and len(kind + frame) <= _MOST_DIGITS:
                markers.append((int(kind), int(frame)))
    return units
