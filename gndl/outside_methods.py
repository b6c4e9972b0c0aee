"""Methods from outside the package: a class in a file of one's own, or an installed package's entry point.

A file's code is executed, so it is taken only from the command line (``--method FILE.py:CLASS``), from the environment
variable ``GNDL_METHODS`` and from installed packages, never from what a study's files say.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from gndl.errors import GndlError
from gndl.model import Method
from gndl.paths import resolve

GROUP = "gndl.methods"
"""Entry points of this group name a subclass of `gndl.model.Method` each; the entry's name is the method's."""

VARIABLE = "GNDL_METHODS"
"""``FILE.py:CLASS``, several separated by semicolons; notebooks and other processes read it."""


def method_name(cls: type[Method]) -> str:
    """Return the class's ``name``, or what its own is in lower case with hyphens: ``CosineGNDL`` is ``cosine-gndl``."""
    own = vars(cls).get("name")
    if isinstance(own, str):
        return own
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).replace("_", "-").lower()


def method_class(text: str) -> type[Method]:
    """Load the class that ``FILE.py:CLASS`` names.

    The file's folder becomes part of the path that this process and those it starts import from, so that the file may
    import its neighbours and that its class travels to other processes.

    Raises
    ------
    GndlError
        Where the file or the class is not there, the class is no `gndl.model.Method`, the file cannot be imported or
        has the name of another module.
    """
    file_name, colon, class_name = text.rpartition(":")
    if not colon or not file_name.endswith(".py") or not class_name.isidentifier():
        raise GndlError(f"--method takes FILE.py:CLASS, such as mine.py:CosineGNDL; it was given {text!r}.")
    file = resolve(file_name).resolve()
    if not file.is_file():
        raise GndlError(f"{file}: there is no such file (--method).")
    found: Any = getattr(_imported(file), class_name, None)
    if not (isinstance(found, type) and issubclass(found, Method)):
        raise GndlError(
            f"{file}: {class_name} is no class derived from gndl.model.Method; nothing else can be trained."
        )
    return found


def _imported(file: Path) -> Any:
    if not file.stem.isidentifier():
        raise GndlError(f"{file}: its name cannot be imported; use letters, digits and underscores.")
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    before = os.environ.get("PYTHONPATH", "")
    if folder not in before.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([folder, *([before] if before else [])])
    importlib.invalidate_caches()
    known = sys.modules.get(file.stem)
    spec = importlib.util.find_spec(file.stem) if known is None else known.__spec__
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != file:
        raise GndlError(f"{file}: another module has the name {file.stem}; rename the file.")
    try:
        return importlib.import_module(file.stem)
    except Exception as error:
        raise GndlError(f"{file}: cannot be imported ({type(error).__name__}: {error}).") from error


def use_method(text: str) -> str:
    """Register the class that ``FILE.py:CLASS`` names, here and for all processes started here; return its name."""
    from gndl.methods import register_method  # which asks here for the names that it does not know

    cls = method_class(text)
    name = method_name(cls)
    register_method(name, cls, purpose=_first_line(cls))
    file_name, _, class_name = text.rpartition(":")
    whole = f"{resolve(file_name).resolve()}:{class_name}"
    others = [other for other in os.environ.get(VARIABLE, "").split(";") if other and other != whole]
    os.environ[VARIABLE] = ";".join([*others, whole])
    return name


def find_method(name: str) -> bool:
    """Register the method called ``name`` if ``GNDL_METHODS`` or an installed package has it; say whether it was found.

    Raises
    ------
    GndlError
        Where an entry point of that name cannot be loaded, or gives no `gndl.model.Method`.
    """
    from gndl.methods import register_method

    for text in os.environ.get(VARIABLE, "").split(";"):
        if text and method_name(cls := method_class(text)) == name:
            register_method(name, cls, purpose=_first_line(cls))
            return True
    for entry in importlib.metadata.entry_points(group=GROUP, name=name):
        try:
            found = entry.load()
        except Exception as error:
            raise GndlError(f"Entry point {name} of {entry.value} cannot be loaded ({error}).") from error
        if not (isinstance(found, type) and issubclass(found, Method)):
            raise GndlError(f"Entry point {name} of {entry.value} is no class derived from gndl.model.Method.")
        register_method(name, found, purpose=_first_line(found))
        return True
    return False


def installed_methods() -> tuple[str, ...]:
    """Return the names of the methods that installed packages bring."""
    return tuple(sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)}))


def _first_line(cls: type[Method]) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0].rstrip(".")
