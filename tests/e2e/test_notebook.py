"""The notebook of the first run does what it says: its code cells run one after another, in a folder of their own.

By these few lines, not by nbclient: a kernel and its thirty packages would be installed for one file.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

NOTEBOOK: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/first_run.ipynb").read_text(encoding="utf-8"))
CODE = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def _run(source: str, names: dict[str, Any]) -> Any:
    """Run a cell; the value of its last line, as a notebook shows it."""
    *lines, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        lines, value = [*lines, last], None
    else:
        value = last.value
    exec(compile(ast.Module(lines, []), "cell", "exec"), names)
    return eval(compile(ast.Expression(value), "cell", "eval"), names) if value is not None else None


def test_every_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    names: dict[str, Any] = {"__name__": "__main__"}
    with torch.random.fork_rng():
        shown = []
        for cell in CODE:
            shown.append(_run("".join(cell["source"]), names))
            assert names.get("code", 0) == 0, capsys.readouterr().err
    assert {"real", "truth", "warpres"} <= set(shown[1].index) and shown[1].loc["truth", "share"] > 0.9
    assert shown[3][0] == (3, 3, 64, 64)
    assert isinstance(shown[4], Image.Image) and shown[4].size == (2 * 6 * 64, 2 * 3 * 64)
    assert (tmp_path / "runs/notebook/results.json").is_file()


def test_its_stored_answers_are_of_these_cells() -> None:
    assert NOTEBOOK["nbformat"] == 4 and len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    outputs = [output for cell in CODE for output in cell["outputs"]]
    assert all(cell["outputs"] for cell in CODE)
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert "/tmp" not in json.dumps(NOTEBOOK) and "site-packages" not in json.dumps(NOTEBOOK)
