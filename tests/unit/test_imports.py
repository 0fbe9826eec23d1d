"""Imports point down: cli → reports → plan, run → results → methods, metrics → data, world, edits → nets → core."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("bench", "methods", "metrics", "reports")

# A folder is on one floor; its files may import their own floor and those below, in functions too. Longest prefix wins.
FLOORS = {
    "bench.core": 0,
    "methods.nets": 1,
    "bench.weights": 2,
    "bench.data": 2,
    "bench.world": 2,
    "bench.edits": 2,
    "methods": 3,
    "metrics": 3,
    "bench.results": 4,
    "bench.plan": 5,
    "bench.run": 5,
    "bench.timing": 5,
    "reports": 6,
    # Training is a program of its own beside the bench: it uses the world, the edits and the methods.
    "methods.training": 6,
    "bench.cli": 7,
    "bench.api": 7,
    "bench.__main__": 8,
    "run_bench": 8,
}
# What lies on one floor and must not know of the other.
STRANGERS = [("methods", "metrics"), ("metrics", "methods")]


def _belongs(module: str, room: str) -> bool:
    return module == room or module.startswith(room + ".")


def _floor(module: str) -> int:
    return FLOORS[max((room for room in FLOORS if _belongs(module, room)), key=len)]


def _modules() -> Iterator[tuple[str, Path]]:
    yield "run_bench", ROOT / "run_bench.py"
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imports(module: str, path: Path) -> Iterator[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*above, base] if base else above)
            yield base
            # `from bench import store` names a module, not only a package.
            yield from (f"{base}.{alias.name}" for alias in node.names if _is_module(f"{base}.{alias.name}"))


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but those that only the type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from _run(node)


def _is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _ours(name: str) -> bool:
    return any(_belongs(name, room) for room in ROOMS)


# `bench` itself is no floor: importing `bench.core.errors` runs `bench/__init__.py`, which has nothing in it.
def _arrows() -> Iterator[tuple[str, str]]:
    for module, path in _modules():
        for name in _imports(module, path):
            if _ours(name) and name not in ROOMS and module not in ROOMS:
                yield module, name


def test_no_import_runs_back_up() -> None:
    wrong = sorted({(module, name) for module, name in _arrows() if _floor(name) > _floor(module)})
    assert not wrong, "\n".join(f"{module} imports {name}" for module, name in wrong)


def test_neighbours_stay_strangers() -> None:
    def outside(module: str, room: str) -> bool:
        # Training stands above its room's floor.
        return _belongs(module, room) and not _belongs(module, "methods.training")

    wrong = sorted(
        {
            (module, name)
            for module, name in _arrows()
            for room, stranger in STRANGERS
            if outside(module, room) and _belongs(name, stranger) and _floor(name) == _floor(stranger)
        }
    )
    assert not wrong, "\n".join(f"{module} imports {name}" for module, name in wrong)


def test_no_file_is_in_a_circle() -> None:
    """Imports in functions count as well; only what the type checker alone reads does not."""
    arrows: dict[str, set[str]] = {}
    known = {module for module, _ in _modules()}
    for module, name in _arrows():
        if name in known and name != module:
            arrows.setdefault(module, set()).add(name)
    # Whoever imports only what is in no circle is in none; what never gets there is left.
    left = dict(arrows)
    while done := [module for module, names in left.items() if not names & left.keys()]:
        for module in done:
            del left[module]
    assert not left, "\n".join(
        f"{module} -> {', '.join(sorted(names & left.keys()))}" for module, names in left.items()
    )


def test_networks_know_only_torch_and_each_other() -> None:
    allowed = ("torch", "methods.nets", "bench.core")
    wrong = [
        (module, name)
        for module, path in _modules()
        if _belongs(module, "methods.nets")
        for name in _imports(module, path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        if not any(_belongs(name, room) for room in allowed)
    ]
    assert not wrong


def test_every_walk_found_something() -> None:
    """Guards the walk itself: were it empty, the tests above would pass for nothing."""
    arrows = set(_arrows())
    assert ("bench.run.engine", "bench.results.store") in arrows
    assert ("methods.psp.adapter", "methods.registry") in arrows
    assert len({module for module, _ in arrows}) > 40


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["run", "--presset", "x"], ["ls", "presets"]])
def test_talk_needs_neither_torch_nor_pandas(words: list[str]) -> None:
    code = (
        "import sys; sys.modules['torch'] = sys.modules['pandas'] = None\n"
        f"from bench.cli import main\ntry:\n    main({words!r})\nexcept SystemExit as leaving:\n"
        "    assert leaving.code in (0, 2), leaving.code\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "internal fault" not in done.stderr
