"""How the command line is spoken to, and how it answers: names, lists, help, its own name, any console."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import COMMANDS, command_module, command_parser, main
from bench.cli.completion import whole_parser
from bench.cli.printing import columns_here
from bench.cli.program import as_typed, program
from methods import load_method

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


def _said(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    try:
        code = main(words)
    except SystemExit as leaving:
        code = int(str(leaving.code or 0))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(("words", "same"), [(["help"], ["--help"]), (["help", "gate"], ["gate", "--help"])])
def test_help_is_a_word_too(words: list[str], same: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _said(words, capsys) == _said(same, capsys)


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--methods", "warpres", "styleres", "--edits", "none"], "commas: --methods warpres,styleres"),
        (["--methods", "warpres,", "styleres", "e4e"], "commas: --methods warpres,styleres,e4e"),
        (["--dry-run", "--edits", "smile", "pose"], "commas: --edits smile,pose"),
        (["time", "--methods", "e4e", "psp"], "commas: --methods e4e,psp"),
        (["--limit", "3", "styleres"], "run --help"),
        (["--strength", "smile"], "--strength smile=3"),
        (["--checkpoint", "warpres"], "--checkpoint warpres=FILE"),
        (["invert", "a.jpg"], "run_bench.py edit --help"),
        (["train"], "python -m methods.training --help"),
    ],
)
def test_what_is_meant_is_offered(words: list[str], advice: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _said(words, capsys)
    assert (code, out) == (2, "")
    assert advice in err


def test_names_may_be_in_any_case(capsys: pytest.CaptureFixture[str]) -> None:
    plan = ["--edits", "smile,pose", "--limit", "4", "--dry-run"]
    asked = _said(["--methods", "warpres,e4e", *plan, "--strength", "smile=2"], capsys)
    loud = ["--preset", "Synthetic", "--protocols", "SYNTHETIC-2", "--methods", "WarpRes,E4E", "--strength", "SMILE=2"]
    plan[1] = "Smile,POSE"
    assert _said([*loud, *plan], capsys) == asked
    assert asked[0] == 0
    assert load_method("StyleRes", weights="synthetic").name == "styleres"
    assert _said(["weights", "path", "Synthetic/WarpRes"], capsys)[1].strip().endswith("warpres.safetensors")


@pytest.mark.parametrize(
    ("started", "name"),
    [
        ("/usr/bin/warpres-bench", "warpres-bench"),
        ("/venv/Scripts/warpres-bench.exe", "warpres-bench"),
        ("/src/bench/__main__.py", "python -m bench"),
        ("/src/run_bench.py", "run_bench.py"),
        ("/usr/bin/pytest", "run_bench.py"),
    ],
)
def test_it_calls_itself_as_it_was_started(
    started: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [started])
    assert program() == name
    code, out, _ = _said(["gate", "--help"], capsys)
    assert code == 0 and out.startswith(f"usage: {name} gate")
    _, out, _ = _said(["--help"], capsys)
    assert out.startswith(f"usage: {name} [command]") and f"  {name} --methods" in out
    # Advice that is written as it is typed in a checkout.
    _, _, err = _said(["data", "check", "--root", "nowhere", "extra"], capsys)
    assert f"next: {name} data --help" in err
    fetch = as_typed("python run_bench.py weights fetch e4e-faces")
    assert fetch == ("python run_bench.py" if name == "run_bench.py" else name) + " weights fetch e4e-faces"


def test_the_module_is_the_same_program_on_any_console(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "bench", "ls", "metrics"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "Fréchet" in done.stdout.decode("utf-8")


def test_a_strangers_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "__init__.py").touch()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    for words in (["-m", "bench", "ls", "presets"], ["-c", "import bench.api"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == (3 if words[0] == "-m" else 1)
        assert f"another package called 'metrics': {tmp_path / 'metrics'}" in done.stderr


def test_lists_are_cut_to_a_terminal_and_to_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert columns_here() > 1000
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert columns_here() == 70


def test_completion_knows_every_command_and_the_names_options_take() -> None:
    parser = whole_parser({name: (text, command_module(name).arguments) for name, (_, text) in COMMANDS.items()})
    assert set(COMMANDS) <= set(parser.format_help().replace(",", " ").replace("{", " ").replace("}", " ").split())
    completers = {word: action for action in parser._actions for word in action.option_strings}
    answer = completers["--methods"].completer  # type: ignore[attr-defined]
    assert {"e4e,warpres", "e4e,all"} <= set(answer(prefix="e4e,war"))
    assert "paper-faces" in completers["--preset"].completer(prefix="")  # type: ignore[attr-defined]


def test_a_shell_is_answered(tmp_path: Path) -> None:
    pytest.importorskip("argcomplete")
    line, answer = "warpres-bench weights fetch e4e-f", tmp_path / "answer"
    asked = {"COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE": "1", "_ARGCOMPLETE_SHELL": "bash"}
    environment = {**os.environ, **asked, "COMP_TYPE": "9", "_ARGCOMPLETE_STDOUT_FILENAME": str(answer)}
    subprocess.run([sys.executable, str(ROOT / "run_bench.py")], env=environment, timeout=120, check=True)
    assert answer.read_text().strip() == "e4e-faces"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_fits_a_terminal_and_explains_every_word(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _said([name, "--help"], capsys)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    unexplained = [action.dest for action in command_parser(name)._actions if not action.help]
    assert not unexplained


def test_the_overview_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert max(map(len, _said(["--help"], capsys)[1].splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ls"], "ls needs one of: methods, edits"),
        (["weights"], "weights needs one of: ls, fetch"),
        (["edit"], "edit needs PHOTO and --method"),
        (["--edit", "smile"], "did you mean --edits? "),
    ],
)
def test_what_lacks_is_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = _said(words, capsys)
    assert code == 2
    assert said in err


def test_errors_are_broken_between_words_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--methods", "warpress"]
    assert max(map(len, _said(words, capsys)[2].splitlines())) > 100
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert max(map(len, _said(words, capsys)[2].splitlines())) <= 70
