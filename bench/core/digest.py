"""What a result was made by, as one number: the one rule by which anything kept on disk is fresh or stale.

`code_of(objects)` covers the file that defines each object and, from there, every file of ours that it imports, in
functions too: methods, plug-ins, metrics, the preparation of inputs and the world all ask it. Comments, docstrings and
blank lines do not count, nor do imports for the type checker alone.
"""

from __future__ import annotations

import ast
import hashlib
import io
import sys
import tokenize
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from bench.core.errors import BenchError

_ROOT = Path(__file__).parents[2]
_ROOMS = frozenset({"bench", "methods", "metrics", "reports"})
# Sentences for people decide no number.
_NO_NUMBERS = frozenset({Path(sys.modules[BenchError.__module__].__file__ or "").resolve()})


def code_of(*objects: object, follow: bool = True) -> str:
    """Hex SHA-256 of the code behind modules, classes, functions or instances (of whose class it is).

    Without `follow` their own files alone: for plumbing whose imports decide no number.

    Our files are named by their place in the repository, a plug-in's by its place in its own package: the same code
    has the same digest on every machine. A plug-in's own package (or the modules beside its file) is followed as ours
    is; other distributions are not, see the manifest's versions.

    Raises:
        TypeError: An object without a source file (typed into an interpreter, or compiled).
    """
    files: dict[str, Path] = {}
    for item in objects:
        found = _closure(_file_of(item))
        files |= found if follow else dict([next(iter(found.items()))])
    whole = hashlib.sha256()
    for name, path in sorted(files.items()):
        whole.update(f"{name}\0{_read(path, path.stat().st_mtime_ns)[0]}\0".encode())
    return whole.hexdigest()


def _file_of(item: object) -> Path:
    if isinstance(item, ModuleType):
        file = item.__file__
    elif hasattr(item, "__code__"):
        file = item.__code__.co_filename
    else:
        kind = item if isinstance(item, type) else type(item)
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if not file or not Path(file).is_file():
        raise TypeError(f"{item!r} has no source file")
    return Path(file).resolve()


def _closure(start: Path) -> dict[str, Path]:
    """The file and all that it imports, of the distribution it belongs to and of ours: name -> path."""
    base = _base_of(start)
    top = _top(start, base)
    found: dict[str, Path] = {}
    left = [start]
    while left:
        path = left.pop()
        name, module = _place(path, base)
        if name in found or path in _NO_NUMBERS:
            continue
        found[name] = path
        for imported in _read(path, path.stat().st_mtime_ns)[1]:
            left += _resolved(imported, module, path.name == "__init__.py", base, top)
    return found


@lru_cache(maxsize=4096)
def _place(path: Path, base: Path) -> tuple[str, tuple[str, ...]]:
    """A file's name and the parts of its module's, below our root where it is ours, else below `base`."""
    own = path.relative_to(_ROOT if path.is_relative_to(_ROOT) and _top(path, _ROOT) in _ROOMS else base)
    return own.as_posix(), own.with_suffix("").parts


def _base_of(path: Path) -> Path:
    """The folder that the file's top package (or the file itself) lies in."""
    folder = path.parent
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return _ROOT if path.is_relative_to(_ROOT) and _top(path, _ROOT) in _ROOMS else folder


def _top(path: Path, base: Path) -> str:
    return path.relative_to(base).parts[0].removesuffix(".py")


def _resolved(name: str, module: tuple[str, ...], package: bool, base: Path, top: str) -> tuple[Path, ...]:
    """Files that an import of `name` runs, packages on the way to it included; () where it is nobody's of ours."""
    dots = len(name) - len(name.lstrip("."))
    parts = tuple(part for part in name.lstrip(".").split(".") if part)
    if dots:
        above = module[:-1] if package else module
        parts = above[: len(above) - dots + (1 if package else 0)] + parts
    if not parts:
        return ()
    if parts[0] in _ROOMS:
        return _ours(parts)
    return _files(base, parts) if parts[0] == top or (base / f"{parts[0]}.py").is_file() else ()


@lru_cache(maxsize=4096)
def _ours(parts: tuple[str, ...]) -> tuple[Path, ...]:
    """As `_files`; which files we have changes with an installation, not while a program runs."""
    return _files(_ROOT, parts)


def _files(root: Path, parts: tuple[str, ...]) -> tuple[Path, ...]:
    folders = [root.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    files = [*folders, root.joinpath(*parts).with_suffix(".py")]
    return tuple(file.resolve() for file in files if file.is_file())


@lru_cache(maxsize=1024)
def _read(path: Path, modified: int) -> tuple[str, tuple[str, ...]]:
    """A file's code without comments, docstrings and blank lines, and the names it imports (relative ones dotted)."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    lines = _without_comments(text)
    for first, last in _docstrings(tree):
        lines[first - 1 : last] = [""] * (last - first + 1)
    return "\n".join(line for line in lines if line.strip()), tuple(_imports(tree))


def _without_comments(text: str) -> list[str]:
    lines = text.splitlines()
    if "#" in text:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column].rstrip()
    return lines


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First and last line of each docstring that has its lines to itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body and ast.get_docstring(node, clean=False) is not None else None
            if first is not None and (isinstance(node, ast.Module) or first.lineno > node.lineno):
                yield first.lineno, first.end_lineno or first.lineno


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            # `from bench import store` names a module, not only a package.
            yield from (f"{base}{'' if base.endswith('.') else '.'}{alias.name}" for alias in node.names)
        else:
            yield from _imports(node)
