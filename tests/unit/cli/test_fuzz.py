"""No command line and no configuration file, however odd, ends in an internal fault or a traceback."""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from bench.cli import main
from bench.core import digest
from bench.core.errors import ExitCode, MissingError
from tests.unit.cli.fuzzing import lines, make_folder, make_runs, shown, tables

LINES, TABLES = 300, 100
ALLOWED = {int(code) for code in ExitCode}


def stop_here(*words: object, **options: object) -> None:
    raise MissingError("what comes now would load networks and compute")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("methods.load_method", stop_here)
    monkeypatch.setattr("methods.generators.load_generator", stop_here)
    # Nothing is written but below the test's own folder, whatever path a line names.
    monkeypatch.setattr("bench.world.export.export", stop_here)
    # The suite's own code stays the same while this runs.
    monkeypatch.setattr(digest, "_closure", cache(digest._closure))
    make_folder(tmp_path)
    make_runs(tmp_path / "runs")
    return tmp_path


def outcome(words: list[str], what: str, capfd: pytest.CaptureFixture[str]) -> int:
    try:
        code = main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    except BaseException as error:
        pytest.fail(f"{what}: {type(error).__name__}: {error}")
    said = capfd.readouterr()
    assert "internal fault" not in said.err and "Traceback" not in said.err, f"{what}: {said.err[-2000:]}"
    assert code in ALLOWED, f"{what}: exit code {code}"
    assert code == 0 or said.out.strip() or said.err.strip(), f"{what}: exit code {code} and not a word"
    return code


@pytest.mark.slow
def test_command_lines(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    codes = Counter(outcome(words, shown(words), capfd) for words in lines(seed=20, count=LINES))
    # The lines are of use only where some get to the end, and others are refused on the way.
    assert codes[0] > LINES // 10 and codes[2] > LINES // 10 and codes[3] > LINES // 20


@pytest.mark.slow
def test_configuration_files(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    codes: Counter[int] = Counter()
    for text in tables(seed=20, count=TABLES):
        Path("own.toml").write_bytes(text.encode())
        codes[outcome(["run", "--config", "own.toml", "--dry-run"], repr(text), capfd)] += 1
    assert codes[0] > TABLES // 20 and codes[2] > TABLES // 10
