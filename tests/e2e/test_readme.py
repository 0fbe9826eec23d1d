"""Every command of the README does what it says, as written but for the size of a run and where data lie."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from bench.cli import main
from methods.training.__main__ import main as train

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
INDENTED = re.compile(r"^    .*\n(?:    .*\n|\n(?=    ))*", re.M)
BLOCKS = ["\n".join(line[4:] for line in text.splitlines()) for text in INDENTED.findall(README)]
COMMANDS = [
    line.split("  #")[0].strip() for block in BLOCKS for line in block.splitlines() if line.startswith("python ")
]
# What the README's own places stand for here.
PLACES = {"/data/celebahq": "world", "~/Downloads": "downloads"}
# Without the released weights, the training that comes first and any downloads, a command says what is missing.
MISSING = {
    "--preset paper-faces --data world": "weights fetch",
    "methods.training world/warpres": "world/residual-start",
    "--from downloads": "no file there looks like weights",
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readme")
    (folder / "downloads").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _here(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(desk / "home"))
    monkeypatch.setattr("signal.signal", lambda *_: None)


def _code(command: str) -> int:
    words = shlex.split(command)[1:]
    if words[:2] == ["-m", "methods.training"]:
        return train([*words[2:], "--until", "1"])
    assert words[0] == "run_bench.py", command
    small = [] if "--dry-run" in words or words[1] in {"ls", "weights", "synthetic", "check"} else ["--limit", "3"]
    try:
        return main([*words[1:], *small])
    except SystemExit as leaving:
        return int(str(leaving.code))


@pytest.mark.parametrize("command", COMMANDS)
def test_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    for written, place in PLACES.items():
        command = command.replace(written, place)
    code, said = _code(command), capsys.readouterr()
    first = next((says for part, says in MISSING.items() if part in command and "--dry-run" not in command), None)
    assert code == (3 if first else 0), said.err
    assert (first or "") in said.err
    assert "Traceback" not in said.err
    assert said.out or said.err, "a command says something"


def test_make_bench_is_the_command_that_the_readme_names() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (named,) = re.findall(r"make bench +# python (run_bench\.py .+)", README)
    assert f"$(RUN) {named}\n" in makefile
    assert COMMANDS, "the README has no commands"


def test_python_snippet(desk: Path) -> None:
    (snippet,) = (block for block in BLOCKS if "import load_direction" in block)
    assert main(["synthetic", "export", "world/", "--split", "test", "--limit", "1"]) == 0
    exec(snippet, {})
    with Image.open(desk / "turned.png") as turned:
        assert (turned.format, turned.size) == ("PNG", (64, 64))
