"""Killed at random moments or changed by a byte, a run never shows a wrong number and heals by its own command.

WARPRES_BENCH_TRIES=30 tries each harm thirty times; `-s` prints what became of them.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.running import _forget
from bench.results.row import parse
from bench.run.shard import Shard
from metrics.columns import known_kinds
from tests.e2e.conftest import PROTOCOL, ROOT, lay_desk
from tests.e2e.survival import COLUMN, METRIC, Killable, Patient, Tally, command, numbers, page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills by signal, looks into /proc"),
]
TRIES = int(os.environ.get("WARPRES_BENCH_TRIES", "0"))
KILLS = ("parent", "worker", "group", "report", "fresh")
FILES = {"rows": "rows/0.jsonl", "features": "rows/0.tint@*.f32", "manifest": "manifest.json", "timing": "timing.json"}


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    """A run with features and times; made once, copied for each harm."""
    kinds = known_kinds()
    before = set(kinds)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signal.signal", lambda *_: None)
        desk = lay_desk(tmp_path_factory.mktemp("survival"))
        # The server of forks begins here, and other folders are called "tests" too.
        patch.syspath_prepend(str(ROOT))
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.chdir(desk.folder)
        (desk.folder / "tint.py").write_text(METRIC)
        (desk.folder / "tint-1.toml").write_text(PROTOCOL.replace("plain-1", "tint-1") + COLUMN)
        with (desk.folder / "config.toml").open("a") as config:
            config.write("threads = 1\n")
        words = [*desk.basics, "--plugin", str(desk.folder / "tint.py")]
        words += ["--protocols", str(desk.folder / "tint-1.toml"), "--name", "one"]
        run, whole, untimed = (desk.folder / name / "one" for name in ("runs", "whole", "untimed"))
        code, _, said = command(*words)
        assert code == 0, said
        shutil.copytree(run, untimed)
        own = ["--plugin", str(ROOT / "tests/e2e/plugin.py"), "--checkpoint", f"blocks={desk.folder / 'bright.pt'}"]
        timed = command(
            "time", "--preset", "paper-faces", "--methods", "blocks", *own, "--samples", "1", "--into", str(run)
        )
        assert timed[0] == 0 and command(*words)[0] == 0, timed
        shutil.copytree(run, whole)
        assert numbers(whole) != numbers(untimed) or page(whole) != page(untimed)
        yield Patient(words, whole, untimed, run)
    for name in set(kinds) - before:
        dict.pop(kinds, name)  # type: ignore[arg-type]


def _judge(patient: Patient, tally: Tally, what: str, *, heal: bool = True) -> None:
    tally.tried += 1
    wrong = patient.wrong(heal=heal)
    tally.refused += "told" in wrong
    tally.lost += [f"{what}: {item}" for item in wrong if item != "told"]


@pytest.fixture
def workers(patient: Patient, whom: str) -> Iterator[None]:
    """Two processes, for whom one of them is killed; the run stays the same."""
    config = patient.run.parents[1] / "config.toml"
    text = config.read_text()
    if whom == "worker":
        config.write_text(text + "workers = 2\n")
    yield
    config.write_text(text)


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("whom", KILLS)
def test_kills_at_random_moments(patient: Patient, tmp_path: Path, whom: str) -> None:
    moments, tally = random.Random(f"kill {whom}"), Tally()
    words = list(patient.words)
    words = ["report", str(patient.run)] if whom == "report" else words + (["--fresh"] if whom == "fresh" else [])

    def begin() -> Killable:
        if whom in ("report", "fresh"):
            patient.restore()
        return Killable(tmp_path, words, [str(patient.run.parents[1] / "tint.py")], SLOW="0.15")

    shutil.rmtree(patient.run, ignore_errors=True)
    began = time.monotonic()
    assert begin().wait() == 0
    length = time.monotonic() - began
    shutil.rmtree(patient.run)
    tries, attempts = max(TRIES // len(KILLS), 1), 0
    while tally.tried < tries and attempts < 5 * tries + 20:
        attempts += 1
        process = begin()
        end = time.monotonic() + moments.uniform(0.05, 1.0 if whom != "fresh" else 0.6) * length
        choice = moments.randrange(2)
        while time.monotonic() < end:
            time.sleep(0.002)
        if whom == "worker":
            while not process.children() and process.process.is_alive():
                time.sleep(0.002)
            time.sleep(moments.uniform(0, 0.4))
        killed = process.kill(whom if whom in ("parent", "worker") else "group", choice)
        process.wait()
        if killed:
            # Half of them are killed again where they are.
            _judge(patient, tally, f"{whom} {tally.tried}", heal=moments.random() < 0.5 or tally.tried == tries - 1)
        if not killed or moments.random() < 0.5:
            shutil.rmtree(patient.run, ignore_errors=True)
    print(f"\nkills of {whom}: {tally}")
    assert tally.tried == tries and not tally.lost, tally.lost


@pytest.mark.parametrize("what", list(FILES))
def test_single_bytes_changed_at_random(patient: Patient, what: str) -> None:
    moments, tally = random.Random(f"byte {what}"), Tally()
    for _ in range(TRIES or 2):
        patient.restore()
        path = next(patient.run.glob(FILES[what]))
        data = bytearray(path.read_bytes())
        at, change = moments.randrange(len(data)), moments.randrange(1, 256)
        data[at] ^= change
        path.write_bytes(data)
        _judge(patient, tally, f"{what}, byte {at} ^ {change}")
    print(f"\nbytes of {what}: {tally}")
    assert not tally.lost, tally.lost


def test_the_verdict_sees_a_wrong_number(patient: Patient) -> None:
    """The tests above are worth something: an edit that keeps every checksum is found."""
    patient.restore()
    path = patient.run / "rows/0.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()
    row = parse(lines[-1].encode(), "0", {})
    assert row is not None
    values = {name: value * 1.5 for name, value in row.values.items()}
    path.write_text("\n".join([*lines[:-1], replace(row, values=values).to_json()]) + "\n", encoding="utf-8")
    assert any("exit 0" in item for item in patient.wrong(heal=False))


@pytest.mark.parametrize("name", ["index.html", "results.json"])
def test_the_verdict_sees_a_page_or_a_file_that_is_another(patient: Patient, name: str) -> None:
    patient.restore()
    assert patient._is_sound("")
    path = patient.run / name
    path.write_bytes(path.read_bytes().replace(b"blocks", b"rocks", 1))
    assert not patient._is_sound("")


def test_a_run_begun_afresh_leaves_nothing_of_its_report_behind(patient: Patient) -> None:
    patient.restore()
    (patient.run / "figures").mkdir()
    _forget(patient.run, Shard())
    assert {path.name for path in patient.run.iterdir()} <= {".lock", "rows"}
