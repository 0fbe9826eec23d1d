"""The command line's manners: help, close names, exit codes, JSON, no traceback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench import cli
from bench.cli import COMMANDS, main, methods_list, printing
from bench.cli.list_command import WHAT
from bench.cli.printing import show
from bench.core.errors import ExitCode, MissingError

CARDS = Path(__file__).parents[2] / "parity" / "cards"


@pytest.fixture(autouse=True)
def _leave_signals_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)


def _code(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as leaving:
        return int(str(leaving.code or 0))


@pytest.mark.parametrize("words", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_fits_the_screen(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: run_bench.py")
    assert max(len(line) for line in text.splitlines()) <= 100


@pytest.mark.parametrize(
    ("words", "close"),
    [
        (["chekc", "e4e"], "check"),
        (["--mehtods", "e4e"], "--methods"),
        (["ls", "--jsn", "methods"], "--json"),
        (["--preset", "paper-face"], "paper-faces"),
        (["--data", "."], "--preset paper-faces"),
        (["ls", "metods"], "methods"),
        (["report"], "--help"),
        (["check", "e4e", "stray"], "stray"),
    ],
)
def test_mistyped_words_offer_close_ones(words: list[str], close: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(words) == ExitCode.USAGE
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert close in said.err


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (KeyboardInterrupt(), 130, "results so far are kept"),
        (MissingError("no weights", "weights fetch e4e"), 3, "next: weights fetch e4e"),
        (BrokenPipeError(), 0, ""),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), 3, "make setup"),
        (ModuleNotFoundError("No module named 'dlib'", name="dlib"), 3, "pip install 'warpres-bench[align]'"),
        (ZeroDivisionError("division by zero"), cli.INTERNAL_FAULT, "internal fault: ZeroDivisionError"),
    ],
)
def test_faults_end_in_a_sentence_and_a_code(
    fault: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: Any) -> int:
        raise fault

    fake = SimpleNamespace(arguments=lambda parser: None, run=fail, __doc__="")
    monkeypatch.delenv("WARPRES_BENCH_DEBUG", raising=False)
    monkeypatch.setattr(cli, "import_module", lambda name: fake)
    assert main(["env"]) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("what", ["methods", "edits", "metrics", "presets", "protocols", "data"])
def test_lists_are_not_empty_and_json_says_more(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ls", what]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 2
    assert main(["ls", what, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) >= 3
    first = next(iter(rows[0]))
    assert {row[first] for row in rows} <= {line.split()[0].rstrip(":") for line in lines if line[:1].strip()}


def test_methods_say_first_what_can_run_here_then_what_gets_the_rest_then_parity(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["ls", "methods"]) == 0
    ready, elsewhere, parity = capsys.readouterr().out.split("\n\n")
    first, presets, heads, *rows = ready.splitlines()
    assert first.startswith("ready here: ") and heads.split() == ["name", "what"]
    assert presets == "on synthetic, synthetic-ablation, synthetic-claims"
    assert "e4e (Tov et al. 2021)" in next(row for row in rows if row.split()[0] == "e4e")
    assert not any(row.startswith("sfe ") for row in rows)
    # Commands stay whole, to be copied.
    assert "\n    python run_bench.py weights fetch sfe-faces stylegan2-ffhq e4e-faces\n" in elsewhere
    assert "atol + rtol" in parity
    assert sum(line.split()[0] == "e4e_ffhq" for line in parity.splitlines()) == 1
    card = json.loads((CARDS / "e4e_ffhq.json").read_text())
    cells = next(line.split() for line in parity.splitlines() if line.split()[0] == "e4e_ffhq")
    assert (cells[1], cells[2], cells[4]) == (f"{card['largest_deviation']:.1e}", "2e-04", card["date"])


def test_a_plug_in_without_released_weights_is_listed_with_what_runs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plugin = str(Path(__file__).parents[2] / "e2e" / "plugin.py")
    assert main(["ls", "methods", "--plugin", plugin]) == 0
    _, elsewhere, _ = capsys.readouterr().out.split("\n\n")
    assert f"\nblocks: thumbnails (from {plugin})\n" in elsewhere
    assert "\n    python run_bench.py --methods blocks --checkpoint blocks=FILE\n" in elsewhere


def test_weights_verify_shows_each_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["weights", "verify"]) == 0
    assert str(Path("world/weights/warpres.safetensors")) in capsys.readouterr().out
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["weights", "verify"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith(str(Path("world/weights/warpres.safetensors"))) for line in lines)  # never cut
    assert all(len(line) <= 80 or line.endswith(".safetensors") for line in lines)


PLUG_IN = """
import torch
from bench.core.contract import Inversion, stage
from bench.core.errors import UsageError
from methods.registry import MethodEntry


class Mean:
    name, domain, input_size, output_size, latent_rows = "mean", "faces", (8, 8), (8, 8), 1
    stages = ("encode", "synthesise")

    def invert(self, images):
        if tuple(images.shape[1:]) != (3, 8, 8):
            raise UsageError("pictures of another size")
        with stage("encode"):
            return Inversion(images.mean((2, 3))[:, None])

    def edit(self, inversion, delta=None):
        with stage("synthesise"):
            codes = inversion.codes if delta is None else inversion.codes + delta
            return codes[:, 0, :, None, None].expand(-1, 3, 8, 8)


class Broken(Mean):
    def invert(self, images):
        raise ZeroDivisionError("no encoder")


METHODS = tuple(
    MethodEntry(kind.__name__.lower(), lambda entry, domain, files, kind=kind: kind(), summary="the mean colour")
    for kind in (Mean, Broken)
)
"""


@pytest.fixture
def plug_in(tmp_path: Path) -> Iterator[list[str]]:
    """Options of a plug-in with a small method, one that fails, and a checkpoint for them."""
    from methods import registry

    (tmp_path / "their_plug_in.py").write_text(PLUG_IN)
    torch.save({"a": torch.ones(1)}, tmp_path / "their.pt")
    yield ["--plugin", str(tmp_path / "their_plug_in.py"), "--checkpoint", str(tmp_path / "their.pt")]
    registry.entries.cache_clear()


def test_a_plug_in_that_keeps_the_contract_passes(plug_in: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "mean", *plug_in]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 11 and all(" ok " in row for row in rows[1:])


def test_a_broken_plug_in_is_reported(plug_in: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "broken", *plug_in]) == ExitCode.FAILED_CELLS
    assert "FAILED  ZeroDivisionError: no encoder" in capsys.readouterr().out
    assert main(["check", "broken", "--json", *plug_in]) == ExitCode.FAILED_CELLS
    findings = {row["check"]: row for row in json.loads(capsys.readouterr().out)}
    assert findings["attributes"]["ok"] and not findings["determinism"]["ok"]


@pytest.mark.parametrize("name", ["styleres", "warpres"])
def test_methods_of_the_shipped_world_keep_the_contract(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", name]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 11 and "FAILED" not in " ".join(rows)


def test_env_names_versions_and_devices(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["torch"].startswith("2.")
    assert found["cores"] >= 1


def test_weights_path_and_unknown_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path))
    assert main(["weights", "path"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path)
    assert main(["weights", "path", "e4e-faces"]) == ExitCode.MISSING
    assert "weights fetch e4e-faces" in capsys.readouterr().err
    assert main(["weights", "path", "e4e-face"]) == ExitCode.USAGE
    assert "e4e-faces" in capsys.readouterr().err


def test_data_check_names_problems_and_sources(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "1.png").write_bytes(b"")
    assert main(["data", "check", "--root", str(tmp_path), "--split", "all"]) == ExitCode.MISSING
    text = capsys.readouterr().out
    assert "1.png" in text
    assert "source:" in text
    assert text.startswith("guess: folder, by what lies there; --data NAME")
    assert main(["data", "check", "--root", str(tmp_path), "--split", "all", "--data", "folder"]) == ExitCode.MISSING
    assert "guess" not in capsys.readouterr().out


def test_tables_fit_and_lose_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show([{"a": "x" * 20, "b": "word " * 40}, {"a": "y", "b": "short"}], ("a", "b"), width=80)
    text = capsys.readouterr().out
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80 and text.count("word") == 40
    assert lines[1].startswith("x" * 20 + "  word")
    assert lines[-1].split() == ["y", "short"]


@pytest.mark.parametrize("words", [*(["ls", what] for what in WHAT if what != "runs"), ["weights", "ls"]])
def test_a_terminal_shows_all_that_a_pipe_gets(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(words)
    piped = capsys.readouterr().out
    for columns in (80, 120):
        for module in (printing, methods_list):
            monkeypatch.setattr(module, "columns_here", lambda columns=columns: columns)
        main(words)
        shown = capsys.readouterr().out
        assert sorted(shown.split()) == sorted(piped.split())
        # Too long only for a command or a single word, which stay whole.
        long = [line for line in shown.splitlines() if len(line) > columns]
        assert all("run_bench.py" in line or len(line.split()) == 1 for line in long)
