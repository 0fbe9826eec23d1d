"""The four walkthroughs of CONTRIBUTING.md: their files are written, their commands run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.data import kinds
from methods import registry
from metrics.columns import known_kinds

pytestmark = pytest.mark.slow
TEXT = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^### (An?[^\n]*)\n(.*?)(?=^##)", TEXT, flags=re.MULTILINE | re.DOTALL))
FILE = re.compile(r"^`([\w.-]+)`:\n\n```\w+\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(autouse=True)
def _leave_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.chdir(tmp_path)
    kinds_before, metrics_before = dict(kinds()), dict(known_kinds())
    yield
    registry.entries.cache_clear()
    for known, before in ((kinds(), kinds_before), (known_kinds(), metrics_before)):
        for name in known.keys() - before.keys():
            dict.pop(known, name)  # type: ignore[arg-type]


def test_there_are_four() -> None:
    assert list(PARTS) == ["A method", "A metric", "A data set", "An edit"]


@pytest.mark.parametrize("name", list(PARTS))
def test_a_walkthrough_works_as_it_stands(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file, content in FILE.findall(PARTS[name]):
        (tmp_path / file).write_text(content, encoding="utf-8")
    (block,) = COMMANDS.findall(PARTS[name])
    for line in block.strip().splitlines():
        program, *words = shlex.split(line)
        assert program == "run_bench.py"
        assert main(words) == 0, capsys.readouterr().err
    says = {"A method": "Mean colour", "A metric": "Brightness", "A data set": "SSIM", "An edit": "Grin"}
    assert says[name] in capsys.readouterr().out
