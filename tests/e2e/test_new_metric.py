"""A protocol that extends another by a metric: only that metric's code runs over images that were scored before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from metrics import similarity
from metrics.columns import known_kinds
from tests.e2e.conftest import Desk
from tests.e2e.test_walkthroughs import FILE, PARTS

EXTENDED = """
extends = "{base}"
name = "bright-1"
title = "With brightness"
[[columns]]
stem = "brightness"
title = "Brightness"
better = "lower"
kind = "brightness"
what = "Difference of mean brightness."
"""


@pytest.fixture(autouse=True)
def _leave_no_kind() -> Iterator[None]:
    kinds = known_kinds()
    before = set(kinds)
    yield
    for name in set(kinds) - before:
        dict.pop(kinds, name)  # type: ignore[arg-type]


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("an old metric was measured again")


def _plan(desk: Desk, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert desk.here(*words, "--dry-run", "--json") == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    return plan


def _files(run: Path) -> dict[str, bytes]:
    files = [path for folder in ("tables", "grids") for path in sorted((run / folder).rglob("*")) if path.is_file()]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def test_only_the_new_metrics_code_runs(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.folder / "brightness.py").write_text(dict(FILE.findall(PARTS["A metric"]))["brightness.py"])
    (desk.folder / "bright-1.toml").write_text(EXTENDED.format(base=desk.folder / "plain-1.toml"))
    (desk.folder / "less-1.toml").write_text(
        f'extends = "{desk.folder / "plain-1.toml"}"\nname = "less-1"\n[numbers]\nresamples = 100\n'
    )
    wide = [
        *desk.basics,
        "--plugin",
        str(desk.folder / "brightness.py"),
        "--protocols",
        str(desk.folder / "bright-1.toml"),
    ]
    elsewhere = ["--output", str(desk.folder / "elsewhere"), "--name", "alone"]
    assert desk.here(*wide, *elsewhere) == 0
    alone = _files(desk.folder / "elsewhere/alone")
    assert desk.here(*desk.basics, "--name", "one") == 0
    for name in ("ssim", "psnr"):
        monkeypatch.setattr(similarity, name, _refuse)
    capsys.readouterr()
    for name in ("one", "two"):
        plan = _plan(desk, capsys, *wide, "--name", name)
        assert plan["known_in_part"].startswith("70 results lack brightness alone")
        assert sum(cell["done"] for cell in plan["cells"]) == 0
    assert _plan(desk, capsys, *wide, "--name", "one", "--fresh")["known_in_part"] == ""
    plan = _plan(desk, capsys, *desk.basics, "--protocols", str(desk.folder / "less-1.toml"), "--name", "three")
    assert sum(cell["done"] for cell in plan["cells"]) == 58
    assert plan["known_in_part"].startswith("12 results lack their images alone")
    assert sum(cell["done"] for cell in _plan(desk, capsys, *desk.basics, "--name", "one")["cells"]) == 70
    assert sum(cell["done"] for cell in _plan(desk, capsys, *desk.basics, "--name", "one", "--fresh")["cells"]) == 0
    assert desk.here(*wide, "--name", "two") == 0  # from the run beside it
    assert "70 results lack brightness alone" in capsys.readouterr().err
    assert _files(desk.folder / "runs/two") == alone
    # Under the same name the rows of the earlier protocol lie in the folder itself; its own columns stay known.
    assert desk.here(*wide, "--name", "one") == 0
    assert _files(desk.folder / "runs/one") == alone
    # Another rule for intervals measures nothing at all.
    assert desk.here(*desk.basics, "--protocols", str(desk.folder / "less-1.toml"), "--name", "three") == 0
    said = capsys.readouterr().err
    assert "58 results taken over from other protocols" in said and "12 results lack their images alone" in said
    # The refusal is real: where nothing is taken over it ends the run.
    assert desk.here(*wide, "--name", "two", "--fresh") != 0
