"""No advice leads nowhere: every command and option that our texts tell people to type is asked for its own --help."""

from __future__ import annotations

import ast
import contextlib
import io
import re
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

from bench.cli import COMMANDS, main
from bench.cli.planning import _steps
from bench.plan.missing import MissingItem
from methods.training.__main__ import main as train

ROOT = Path(__file__).parents[3]
ROOMS = ("bench", "methods", "metrics", "reports")
COMMAND = re.compile(r"run_bench\.py((?: [^\s,;:()`'\"]+)*)")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
# Options of other programs that advice names.
OTHERS = {"--nproc-per-node"}
# Commands whose next word is one of few.
WITH_ACTIONS = ("ls", "weights", "edits", "data", "synthetic")


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """(file:line, text) of every text a file may print; what is filled in stands as X."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {"FETCH": "python run_bench.py weights fetch"}
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            known |= {target.id: node.value.value for target in node.targets if isinstance(target, ast.Name)}
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [_part(part, known) for part in node.values]
            yield f"{path.relative_to(ROOT)}:{node.lineno}", "".join(parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | docstrings:
            yield f"{path.relative_to(ROOT)}:{node.lineno}", node.value


def _part(part: ast.expr, known: dict[str, str]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    value = part.value if isinstance(part, ast.FormattedValue) else part
    return known.get(value.id, "X") if isinstance(value, ast.Name) else "X"


def _all_texts() -> list[tuple[str, str]]:
    return [found for room in ROOMS for path in sorted((ROOT / room).rglob("*.py")) for found in _texts(path)]


@cache
def _help(command: str) -> str:
    """What `COMMAND --help` prints; "training" is the training's."""
    said = io.StringIO()
    with redirect_stdout(said), pytest.raises(SystemExit) as leaving:
        train(["--help"]) if command == "training" else main([command, "--help"])
    assert leaving.value.code == 0
    return said.getvalue()


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_every_command_that_is_advised_exists() -> None:
    advised = [(where, said.split()) for where, text in _all_texts() for said in COMMAND.findall(text)]
    assert len(advised) > 15
    wrong = [f"{where}: {fault}" for where, words in advised if (fault := _fault(words))]
    assert not wrong, "\n".join(wrong)


def _fault(words: list[str]) -> str:
    """What of a command's words its own help does not have; words that are filled in count as right."""
    command = next((word for word in words[:1] if not word.startswith("-")), "run")
    if command in ("COMMAND", "X"):
        return ""
    if command not in COMMANDS:
        return f"no command {command!r}"
    known = set(re.findall(r"[\w-]+", _help(command)))
    asked = [word.partition("=")[0] for word in words if word.startswith("--")]
    asked += [word for word in words[1:2] if command in WITH_ACTIONS and "X" not in word]
    return ", ".join(f"{command} has no {word}" for word in asked if word not in known)


def test_every_option_that_is_advised_exists() -> None:
    ours, training = (" ".join(map(_help, names)) for names in (COMMANDS, ["training"]))
    for where, text in _advice():
        place = training if where.startswith("methods/training") else ours + training
        for option in OPTION.findall(text):
            assert option in OTHERS or option in OPTION.findall(place), f"{where}: {option} is no option: {text}"


def _advice() -> Iterator[tuple[str, str]]:
    """The second argument of every error: what to do next."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Error") and len(node.args) > 1:
                    found = [part for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)]
                    text = " ".join(str(part.value) for part in found)
                    yield f"{path.relative_to(ROOT).as_posix()}:{node.lineno}", text


def test_the_scan_sees_advice() -> None:
    advice = dict(_advice())
    assert len(advice) > 100
    assert any("--align" in text for text in advice.values())


@pytest.mark.parametrize(
    "words",
    [
        ["--methods", "warpres", "styleres"],
        ["--methods", "warpres", "--strength", "smile"],
        ["--device", "quantum"],
        ["--methods", "all", "--preset", "paper-face"],
    ],
)
def test_what_is_advised_can_be_typed(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The options after "next:" replace the wrong ones, and the plan is printed."""
    with contextlib.suppress(SystemExit):
        main([*words, "--dry-run"])
    advice = capsys.readouterr().err.split("next: ")[1]
    offered = re.search(r"(--[a-z]+) (\S+)", advice) or re.search(r"(did you mean|known:) (\w[\w-]*)", advice)
    assert offered is not None, advice
    option, value = offered.groups()
    typed = [option, value] if option.startswith("--") else [words[-2], value]
    assert main([*[w for w in words[:-2] if w not in typed], *typed, "--limit", "2", "--dry-run"]) == 0


def test_a_plan_keeps_commands_whole() -> None:
    command = "python run_bench.py weights fetch --from FOLDER"
    by_hand = f"get it by hand (https://example.org/a/rather/long/address/of/a/repository), then: {command}"
    lines = list(_steps([MissingItem("mine", "checkpoint", ("mine",), "", by_hand, 0, "missing")]))
    assert any(line.strip() == command for line in lines) and max(map(len, lines)) <= 80
