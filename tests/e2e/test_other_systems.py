"""Systems that lack what Linux has: Windows, as far as it can be played here, and file systems without locks."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.core import lock
from tests.e2e.conftest import Desk

ROOT = Path(__file__).parents[2]
# What Python has not on Windows, and its console's letters; a text file read in the system's own encoding is an error.
WINDOWS = """
import multiprocessing.context, os, signal, sys, warnings
for name in ("fcntl", "pwd", "grp", "resource", "termios", "pty", "tty", "syslog", "posix_ipc"):
    sys.modules[name] = None
for module, names in (
    (os, "fork forkpty sched_getaffinity sched_setaffinity killpg getpgid setsid mkfifo getuid nice".split()),
    (signal, ["SIGKILL", "SIGALRM", "SIGHUP"]),
    (multiprocessing.context, ["ForkProcess", "ForkContext"]),
):
    for name in names:
        delattr(module, name)
warnings.filterwarnings("error", category=EncodingWarning, module="(bench|methods|metrics|reports)[.]")
"""
RUN = "from bench.cli import main; sys.exit(main(sys.argv[1:]))"
TRAIN = "from methods.training.__main__ import main; sys.exit(main(sys.argv[1:]))"


def _on_windows(script: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-X", "warn_default_encoding", "-c", WINDOWS + script, *words]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, timeout=300)


@pytest.mark.slow
def test_the_default_job_runs_without_what_windows_lacks(tmp_path: Path) -> None:
    done = _on_windows(RUN, "--methods", "styleres", "--edits", "pose", "--limit", "3", "--device", "cpu", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode("cp1252")
    (run,) = (tmp_path / "runs").iterdir()
    assert (run / "index.html").is_file()
    again = _on_windows(RUN, "report", str(run.relative_to(tmp_path)), cwd=tmp_path)
    assert again.returncode == 0 and again.stdout == done.stdout
    assert b"Traceback" not in done.stderr + again.stderr


def test_what_needs_another_system_says_so_in_one_sentence(tmp_path: Path) -> None:
    done = _on_windows(TRAIN, "world", "--out", str(tmp_path / "out"), cwd=tmp_path)
    assert done.returncode == 2 and b"WSL" in done.stderr and b"Traceback" not in done.stderr


def test_a_module_of_pythons_own_is_not_called_a_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench import cli

    for module, says in (("fcntl", "Python's own module fcntl"), ("lpips", "package lpips is not installed")):

        def lacks(_: Any, name: str = module) -> int:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(cli, "_dispatch", lacks)
        monkeypatch.setattr("signal.signal", lambda *_: None)
        assert cli.main(["env"]) == 3
        said = capsys.readouterr().err
        assert says in said and ("WSL" in said) == (module == "fcntl")


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
def test_a_file_system_without_locks_runs_and_says_what_is_lost(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fcntl = pytest.importorskip("fcntl")
    words = [*desk.basics, "--limit", "3", "--edits", "none"]
    assert desk.here(*words, "--output", str(desk.folder / "sound"), "--name", "one") == 0

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(lock, "_told", set())
    capsys.readouterr()
    for _ in range(2):
        assert desk.here(*words, "--name", "one") == 0
    said = capsys.readouterr().err
    assert said.count("has no locks") == 1 and "checksums find" in said
    tables = [desk.folder / name / "one/tables/scores@plain-1.csv" for name in ("sound", "runs")]
    assert tables[0].read_bytes() == tables[1].read_bytes()
