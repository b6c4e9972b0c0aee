"""The code of a method of one's own as one hash, whether it stands in a file or in a notebook's cells."""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import io
import sys
import sysconfig
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, Literal

import joblib
import numpy as np
import torch

from gndl.errors import GndlError
from gndl.files import hash_json

Origin = Path | Literal["session", "library"]
"""Where code comes from: a file of one's own, a notebook or prompt, or a package whose version is kept instead."""

_STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]
_CODE = (FunctionType, type, staticmethod, classmethod, property, functools.cached_property)


def code_hash(source: str) -> str:
    """SHA-256 of Python source as it runs: comments, docstrings and blank space do not count.

    Text is cut out of the source rather than read back from the syntax tree, whose form differs between versions of
    Python.
    """
    source = textwrap.dedent(source)
    lines = source.splitlines(keepends=True)
    cuts = [
        (token.start, token.end)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    for node in ast.walk(ast.parse(source)):
        # Docstrings, and the strings under attributes: expressions that nobody reads at run time.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            start, end = (node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0)
            encoded = [lines[row - 1].encode() for row, _ in (start, end)]  # the tree counts bytes, tokens characters
            columns = [len(line[:col].decode()) for line, (_, col) in zip(encoded, (start, end), strict=True)]
            cuts.append(((start[0], columns[0]), (end[0], columns[1])))
    for (row, column), (last_row, last_column) in sorted(cuts, reverse=True):
        rest = lines[last_row - 1][last_column:]
        lines[row - 1 : last_row] = [lines[row - 1][:column] + rest, *[""] * (last_row - row)]
    return hash_json(["".join(line.split()) for line in lines if line.strip()])


def function_hash(file: Path, name: str) -> str:
    """Return the :func:`code_hash` of one function of a module, read from its ``file``."""
    source = file.read_text(encoding="utf-8")
    found = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == name]
    return code_hash(ast.get_source_segment(source, found[0]) or "")


def method_hash(factory: Callable[..., Any]) -> str | None:
    """Return the hash of a method's own code; None where all of it is this package's or a library's.

    From a file counts the whole file, and every file of one's own that it imports. From a notebook count the
    functions and classes that the method refers to, directly or through each other, and the values of the constants.

    Raises
    ------
    GndlError
        Where the code refers to an object that has no lasting content, such as a lock or an open file.
    """
    if isinstance(factory, FunctionType | type) and _origin(factory) == "library":
        return None
    walk = _Walk()
    return hash_json([walk.encode(factory, "the method"), walk.entries, sorted(walk.files)])


def is_of_session(part: Any) -> bool:
    """Whether a function or class stands in a notebook or at a prompt of this very process."""
    name = getattr(part, "__name__", "")
    return _origin(part) == "session" and vars(sys.modules[part.__module__]).get(name) is part


class _Walk:
    """What has been met on the way from a method through everything its code refers to."""

    def __init__(self) -> None:
        self.entries: list[Any] = []
        self.files: set[str] = set()
        self._modules: set[str] = set()
        self._met: dict[int, tuple[int, Any]] = {}  # the object is kept so that no other gets its id

    def encode(self, value: Any, name: str) -> Any:
        """Return ``value`` as JSON: content of constants, and for code the number of its entry."""
        if (
            isinstance(value, FunctionType)
            and hasattr(value, "__wrapped__")
            and _is_installed(value.__code__.co_filename)
        ):
            # A library's decorator, such as torch.no_grad, gives its wrapper the name of what it wraps.
            return [value.__code__.co_qualname, self.encode(value.__wrapped__, name)]
        if isinstance(value, FunctionType | type):
            return self._enter(value, self._describe_code, f"{value.__module__}.{value.__qualname__}")
        if isinstance(value, ModuleType):
            return self._module(value)
        if isinstance(value, functools.partial):
            return ["partial", *(self.encode(part, name) for part in (value.func, value.args, value.keywords))]
        if isinstance(value, staticmethod | classmethod):
            return self.encode(value.__func__, name)
        if isinstance(value, property):
            return [self.encode(part, name) for part in (value.fget, value.fset)]
        if isinstance(value, functools.cached_property):
            return self.encode(value.func, name)
        if inspect.isbuiltin(value):
            return value.__qualname__
        if inspect.ismethod(value):
            return [self.encode(part, name) for part in (value.__func__, value.__self__)]
        return self._constant(value, name)

    def _constant(self, value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            pairs = [[self.encode(key, name), self.encode(entry, name)] for key, entry in value.items()]
            return [type(value).__name__, pairs]
        if isinstance(value, list | tuple):
            return [type(value).__name__, *(self.encode(entry, name) for entry in value)]
        if isinstance(value, torch.nn.Module):
            return [self.encode(type(value), name), repr(value), self.encode(value.state_dict(), name)]
        if isinstance(value, torch.Tensor):
            plain = value.detach().cpu()
            plain = plain.float() if plain.dtype == torch.bfloat16 else plain
            return ["tensor", str(value.dtype), joblib.hash(np.asarray(plain))]
        if isinstance(value, torch.device | torch.dtype):
            return str(value)
        if _origin(type(value)) != "library" and hasattr(value, "__dict__"):
            return self._enter(value, lambda it: [self.encode(part, name) for part in (type(it), vars(it))], None)
        try:
            return [type(value).__name__, joblib.hash(value)]
        except Exception as error:  # whatever an object raises that cannot be written down
            raise GndlError(
                f"{name}, which the method refers to, has no content that could be told apart from another's "
                f"({type(value).__name__}): make it inside the method, or give the method plain values."
            ) from error

    def _enter(self, value: Any, describe: Callable[[Any], Any], library_name: str | None) -> Any:
        """Describe ``value`` once; every reference to it is the number of its entry."""
        if library_name is not None and _origin(value) == "library":
            return library_name
        if id(value) not in self._met:
            number = len(self.entries)
            self._met[id(value)] = (number, value)
            self.entries.append(None)
            self.entries[number] = describe(value)
        return ["entry", self._met[id(value)][0]]

    def _describe_code(self, part: Any) -> Any:
        origin = _origin(part)
        self._add_module(part.__module__)
        described = self._class(part, origin) if isinstance(part, type) else self._function(part, origin)
        return [part.__qualname__, *described]

    def _class(self, part: type, origin: Origin) -> list[Any]:
        """Describe the bases and the members; of a class in a file only functions, for the file says the rest."""
        bases = [self.encode(base, base.__name__) for base in part.__bases__]
        members = []
        for name, member in sorted(vars(part).items()):
            code = isinstance(member, _CODE)
            if code or (origin == "session" and not (name.startswith("__") or name == "_abc_impl")):
                members.append([name, self.encode(member, f"{part.__name__}.{name}")])
        return [bases, members]

    def _function(self, part: FunctionType, origin: Origin) -> list[Any]:
        """Describe a function's source, what it has bound, and the global names that it reads."""
        source = _source_hash(part) if origin == "session" else None
        cells = zip(part.__code__.co_freevars, part.__closure__ or (), strict=True)
        bound = {name: self._cell(cell, name) for name, cell in cells if name != "__class__"}
        defaults = [self.encode(value, part.__name__) for value in (part.__defaults__, part.__kwdefaults__)]
        inner = self.encode(part.__wrapped__, part.__name__) if hasattr(part, "__wrapped__") else None
        read = {}
        for name in sorted(set(_global_names(part.__code__)) & set(part.__globals__)):
            value = part.__globals__[name]
            # A file says what its constants are; code that it imports may stand in other files.
            if origin == "session" or isinstance(value, FunctionType | type | ModuleType):
                read[name] = self.encode(value, name)
        return [source, bound, defaults, inner, read]

    def _cell(self, cell: Any, name: str) -> Any:
        try:
            content = cell.cell_contents
        except ValueError:  # a name that is not bound yet
            return None
        return self.encode(content, name)

    def _module(self, module: ModuleType) -> str:
        self._add_module(module.__name__)
        return module.__name__

    def _add_module(self, name: str) -> None:
        """Add a file of one's own and every such file that it imports; libraries are left out."""
        origin = _module_origin(name or "builtins")
        if not isinstance(origin, Path) or name in self._modules:
            return
        self._modules.add(name)
        source = origin.read_text(encoding="utf-8")
        self.files.add(code_hash(source))
        package = sys.modules[name].__package__ or ""
        for imported in _imported_names(source, package):
            self._add_module(imported)


def _imported_names(source: str, package: str) -> Iterator[str]:
    """Yield the names of the modules that a file imports; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*parents, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _global_names(code: CodeType) -> Iterator[str]:
    """Yield the global names that ``code`` and the functions inside it read."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _global_names(constant)


def _source_hash(function: FunctionType) -> str:
    """Hash a function by its source or, where it never had any (such as a dataclass's), by what was compiled."""
    try:
        return code_hash(inspect.getsource(function.__code__))
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):  # SyntaxError: a lambda cut out of its expression
        return hash_json(_compiled(function.__code__))


def _compiled(code: CodeType) -> list[Any]:
    constants = [_compiled(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), list(code.co_varnames), constants]


def _origin(part: Any) -> Origin:
    return _module_origin(getattr(part, "__module__", None) or "builtins")


def _module_origin(name: str) -> Origin:
    if name.split(".")[0] in {"gndl", *sys.stdlib_module_names}:
        return "library"
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None:
        return "session" if isinstance(sys.modules.get(name), ModuleType) else "library"
    return "library" if _is_installed(file) or Path(file).suffix != ".py" else Path(file)


def _is_installed(file: str) -> bool:
    path = Path(file)
    return bool({"site-packages", "dist-packages"} & set(path.parts)) or path.is_relative_to(_STANDARD_LIBRARY)
