"""The command line from end to end, with a plug-in method, real images and a protocol without networks."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk

# The real one: the desk puts a dummy in its place, so that the command line leaves this process's handlers alone.
SET_SIGNAL = signal.signal


def _tables(run: Path) -> dict[str, str]:
    files = [path for path in sorted((run / "tables").rglob("*")) if path.is_file()]
    assert files
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _size(rows: Path) -> int:
    return sum(path.stat().st_size for path in rows.glob("*.jsonl"))


def _run_folder(stdout: str, desk: Desk) -> Path:
    return desk.folder / stdout.strip().splitlines()[-1]


def test_a_run_and_the_same_again(desk: Desk) -> None:
    first = desk.bench(*desk.basics)
    assert first.returncode == 0, first.stderr
    run = _run_folder(first.stdout, desk)
    assert max(len(line) for line in first.stdout.splitlines()[:-1]) <= 80
    assert "blocks" in first.stdout
    for name in ("manifest.json", "index.html", "timing.json", "rows/0.jsonl", "pictures/real/original/0.png"):
        assert (run / name).is_file(), name
    tables, rows = _tables(run), (run / "rows/0.jsonl").read_bytes()
    second = desk.bench(*desk.basics, "--json", "--batch", "9")
    assert second.returncode == 0, second.stderr
    assert "nothing to compute" in second.stderr
    answer = json.loads(second.stdout)
    assert Path(desk.folder / answer["run"]) == run
    cells = {(c["method"], c["pass"], c["column"]): c["value"] for c in answer["cells"]}
    assert cells["blocks", "reconstruction", "psnr@plain-1"] > 15
    assert cells["blocks", "reconstruction", "psnr@plain-1"] < cells["real-jpeg", "reconstruction", "psnr@plain-1"] < 60
    assert "Real JPEG" in first.stdout
    assert (_tables(run), (run / "rows/0.jsonl").read_bytes()) == (tables, rows)


@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_and_killed_runs_end_with_the_same_tables(desk: Desk, workers: int) -> None:
    # Under another output: the run to be cut would take everything over from it.
    assert desk.here(*desk.basics, "--output", str(desk.folder / "whole"), "--name", "whole") == 0
    with (desk.folder / "config.toml").open("a") as config:
        config.write(f"workers = {workers}\n")
    for ending in (signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            desk.command(*desk.basics, "--name", "cut"),
            cwd=desk.folder, env={**os.environ, "SLOW": "0.4", "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
            # A suite started in the background hands down an ignored SIGINT; this process must hear it.
            preexec_fn=lambda: SET_SIGNAL(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        before = _size(desk.folder / "runs/cut/rows")
        deadline = time.monotonic() + 300
        while _size(desk.folder / "runs/cut/rows") < before + 3000 and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(ending)
        _, talk = process.communicate(timeout=300)
        if ending is signal.SIGINT:
            assert process.returncode == 130
            assert b"results so far are kept" in talk
            assert b"Traceback" not in talk
    assert desk.here(*desk.basics, "--name", "cut") == 0
    assert _tables(desk.folder / "runs/cut") == _tables(desk.folder / "whole/whole")


def test_ranks_share_a_run_and_the_last_one_reports(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.here(*desk.basics, "--name", "alone") == 0
    with monkeypatch.context() as array:
        array.setenv("SLURM_ARRAY_TASK_ID", "0")
        array.setenv("SLURM_ARRAY_TASK_COUNT", "2")
        assert desk.here(*desk.basics, "--name", "shared") == 0
    assert "results of other parts are still missing" in capsys.readouterr().err
    with monkeypatch.context() as rank:
        rank.setenv("RANK", "1")
        rank.setenv("WORLD_SIZE", "2")
        assert desk.here(*desk.basics, "--name", "shared") == 0
    assert _tables(desk.folder / "runs/shared") == _tables(desk.folder / "runs/alone")


def test_a_bad_image_is_counted_and_everything_else_kept(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.folder / "faces/3.png").write_bytes(b"")
    assert desk.here(*desk.basics) == 4
    said = capsys.readouterr()
    assert "3.png" in said.err
    rows = [json.loads(line) for line in (_run_folder(said.out, desk) / "rows/0.jsonl").read_text().splitlines()]
    assert {row["picture"] for row in rows if row["status"] == "failed"} == {"3.png"}
    assert sum(row["status"] == "ok" for row in rows) == 9 * 7


def test_dry_run_says_what_is_missing_and_touches_nothing(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.here(*desk.basics, "--methods", "blocks,dull-blocks,e4e", "--dry-run") == 0
    plan = capsys.readouterr().out
    assert "weights fetch e4e-faces" in plan
    assert "dull-blocks" in plan
    assert not (desk.folder / "runs").exists()
    assert desk.here(*desk.basics, "--methods", "blocks,e4e") == 3
    assert "weights fetch e4e-faces" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--methods", "warpress"], 2, "warpres"),
        (["--methods", "blocks", "--edits", "smil"], 2, "smile"),
        (["--protocols", "paper-2"], 2, "paper-1"),
        (["--limit", "0"], 2, "at least 1"),
        (["--device", "gpu"], 2, "auto, cpu, cuda, mps"),
        (["--checkpoint", "blocks"], 2, "NAME=VALUE"),
        (["--checkpoint", "blocks=none.pt"], 3, "none.pt"),
        (["--data", "./nowhere"], 3, "nowhere"),
        (["--plugin", "no_such_module"], 3, "no_such_module"),
    ],
)
def test_mistakes_are_named_with_the_right_exit_code(
    desk: Desk, capsys: pytest.CaptureFixture[str], words: list[str], code: int, says: str
) -> None:
    try:
        found = desk.here(*desk.basics, *words)
    except SystemExit as leaving:
        found = int(str(leaving.code))
    said = capsys.readouterr()
    assert found == code, said.err
    assert says in said.err
    assert said.out == ""
    assert not (desk.folder / "runs").exists()


def test_an_output_that_cannot_be_written(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    (desk.folder / "runs").write_text("a file, not a folder")
    assert desk.here(*desk.basics) == 2
    assert "--output" in capsys.readouterr().err


def test_report_and_gate_work_from_rows_alone(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.here(*desk.basics, "--name", "good") == 0
    shutil.copy(desk.folder / "dull.pt", desk.folder / "bright.pt")
    assert desk.here(*desk.basics, "--name", "bad") == 0
    runs = desk.folder / "runs"
    before = _tables(runs / "good")
    for path in (runs / "good/tables").rglob("*.csv"):
        path.unlink()
    assert desk.here("report", str(runs / "good")) == 0
    assert _tables(runs / "good") == before
    assert desk.here("gate", str(runs / "good"), str(runs / "good")) == 0
    capsys.readouterr()
    assert desk.here("gate", str(runs / "good"), str(runs / "bad")) == 1
    assert "psnr@plain-1" in capsys.readouterr().out


def test_a_changed_checkpoint_is_computed_again_and_replaces_its_rows_in_tables(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.here(*desk.basics, "--name", "one") == 0
    before = _tables(desk.folder / "runs/one")
    shutil.copy(desk.folder / "dull.pt", desk.folder / "bright.pt")
    assert desk.here(*desk.basics, "--name", "one") == 0
    after = _tables(desk.folder / "runs/one")
    assert after != before
    assert desk.here(*desk.basics, "--name", "two") == 0
    assert after == _tables(desk.folder / "runs/two")
    assert desk.here(*desk.basics, "--name", "one", "--fresh") == 0
    assert after == _tables(desk.folder / "runs/one")


def test_fresh_in_parts_is_refused_and_deletes_nothing(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert desk.here(*desk.basics, "--name", "one") == 0
    rows = desk.folder / "runs/one/rows/0.jsonl"
    before = rows.read_bytes()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert desk.here(*desk.basics, "--name", "one", "--fresh") == 2
        assert "remove the folder" in capsys.readouterr().err
    assert rows.read_bytes() == before


def test_damage_is_told_set_aside_and_made_again(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.here(*desk.basics, "--name", "one") == 0
    run = desk.folder / "runs/one"
    tables, rows = _tables(run), run / "rows/0.jsonl"
    sound = rows.read_bytes()
    rows.write_bytes(sound.replace(b'"ok"', b'"OK"', 1))
    (run / "tables/scores@plain-1.csv").write_bytes(b"")
    capsys.readouterr()
    assert desk.here(*desk.basics, "--name", "one") == 0
    said = capsys.readouterr().err
    assert "set aside" in said and "0.jsonl, byte 0" in said and "1 results to compute" in said
    assert _tables(run) == tables and (run / "rows/0.damaged").is_file()
