"""The digest of code: what changes it, and what does not."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from bench.core.digest import code_of
from bench.core.modules import import_module
from metrics import similarity

PLUGIN = '''"""A plug-in."""
from typing import TYPE_CHECKING

import torch

from aside import HALF  # beside it

if TYPE_CHECKING:
    from typed import Kind


class Method:
    """Halves."""

    def edit(self, x: float) -> float:
        from late import more

        return HALF * x + more()
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "aside.py").write_text("HALF = 0.5\n")
    (tmp_path / "late.py").write_text("def more() -> float:\n    return 0.0\n")
    (tmp_path / "typed.py").write_text("Kind = int\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    module = import_module(str(tmp_path / "mine.py"))
    yield module
    for name in ("plugin_mine", "aside"):
        sys.modules.pop(name, None)


def change(module: ModuleType, name: str, old: str, new: str) -> None:
    path = Path(str(module.__file__)).with_name(name)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.py", "HALF * x", "HALF * x * x"),
        ("aside.py", "0.5", "0.25"),
        ("late.py", "0.0", "1.0"),
    ],
)
def test_a_changed_line_changes_the_digest(plugin: ModuleType, file: str, old: str, new: str) -> None:
    before = code_of(plugin)
    change(plugin, file, old, new)
    assert code_of(plugin) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("mine.py", "# beside it", "# right beside it"),
        ("mine.py", '"""Halves."""', '"""Halves,\n    and more.\n    """\n'),
        ("typed.py", "int", "float"),
        ("late.py", "    return", "\n\n    return"),
    ],
)
def test_words_for_people_do_not(plugin: ModuleType, file: str, old: str, new: str) -> None:
    before = code_of(plugin)
    change(plugin, file, old, new)
    assert code_of(plugin) == before


def test_classes_functions_and_instances_stand_for_their_files(plugin: ModuleType) -> None:
    assert code_of(plugin.Method) == code_of(plugin.Method()) == code_of(plugin.Method.edit) == code_of(plugin)
    assert code_of(similarity.psnr) == code_of(similarity) != code_of(similarity, plugin)
    assert code_of(similarity, plugin) == code_of(plugin, similarity)


def test_what_has_no_file_is_refused() -> None:
    with pytest.raises(TypeError, match="no source file"):
        code_of(3)
