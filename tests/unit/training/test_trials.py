"""Trials side by side: which of them count, and what a stop leaves. Here they are programs of a line."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from bench.core.errors import ExitCode, MissingError
from methods.training.trials import UnfinishedError, train_all

SLEEP = "import time; time.sleep(60)"
# Says that it is there, and saves when it is asked to stop.
SAVING = """
import pathlib, signal, sys, time
def save(*_):
    pathlib.Path(sys.argv[1], "saved").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
pathlib.Path(sys.argv[1], "there").touch()
time.sleep(60)
"""


def lines(folder: Path, **programs: str) -> dict[Path, list[str]]:
    return {folder / name: [sys.executable, "-c", text, str(folder / name)] for name, text in programs.items()}


def test_what_diverged_is_left_out_and_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = lines(tmp_path, good="print('well')", bad=f"raise SystemExit({int(ExitCode.DIVERGED)})")
    assert list(train_all(asked, 2)) == [tmp_path / "good"]
    assert (tmp_path / "good" / "output.log").read_text() == "well\n"
    assert "bad is left out, for it diverged" in capsys.readouterr().err


def test_another_failure_ends_all(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="bad failed with exit code 3") as caught:
        list(train_all(lines(tmp_path, long=SLEEP, bad="raise SystemExit(3)"), 2))
    assert "keeps what is done" in caught.value.next_step


def test_a_signal_lets_them_save_and_is_no_end(tmp_path: Path) -> None:
    def stop() -> None:
        while not (tmp_path / "long" / "there").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=stop).start()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(UnfinishedError) as caught:
        list(train_all(lines(tmp_path, long=SAVING, next=SLEEP), 1))
    assert caught.value.exit_code == ExitCode.INTERRUPTED
    assert (tmp_path / "long" / "saved").exists()
    assert not (tmp_path / "next").exists()
    assert signal.getsignal(signal.SIGINT) is before


def test_nothing_begins_after_the_deadline(tmp_path: Path) -> None:
    with pytest.raises(UnfinishedError):
        list(train_all(lines(tmp_path, late=SLEEP), 1, seconds=-1.0))
    assert not list(tmp_path.iterdir())
