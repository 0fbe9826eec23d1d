"""Training steps today against the first trainer's, and two processes against one, in turns.

`pytest tests/benchmarks/test_training_speed.py --benchmark-only -s` prints a table; skipped in ordinary runs, as all of
this folder. Steps run in processes of their own on one thread, and seconds of CPU are compared, so that a neighbour on
the machine matters little; of two processes, wall seconds. The earlier checkout comes from the repository's history,
and computes in bfloat16 where its recipes say so. What was wanted stands beside; nothing fails.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bench.core.cores import cores

ROOT = Path(__file__).parents[2]
BEFORE = "9dfff67"
BATCH, STEPS, ROUNDS = 16, 16, 2
# The arithmetic of the first recipes: every term at their pace, from the shipped start, nothing that they had not.
PACE = ("adversarial_every=2", "discriminator_every=2", "cycle_every=1", "r1_every=8", "weights.w_consistency=0.0")
START = ('start="styleres.safetensors"', 'chosen_by=""', "along_smile=0.0", *PACE)
CASES = [
    ("world/styleres", START, 2.3),
    ("world/warpres", (*START, 'flow_start="teacher.safetensors"', "weights.flow_moving=0.0"), 2.0),
    ("world/teacher", (), 1.3),
    ("world/e4e", ("warm_up_share=0.0",), 2.0),
    ("world/fit", ("half_size_share=0.0",), 1.3),
]
TOGETHER = ("world/styleres", ('start="styleres.safetensors"', 'chosen_by=""'), 1.8)
HEADS = ("images a second", "before", "bfloat16", "float32", "ratio", "wanted")
LINE = "{:<24} {:>9} {:>9} {:>9} {:>6} {:>7}"


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = tmp_path_factory.mktemp("before")
    archive = checkout / "before.tar"
    made = subprocess.run(["git", "archive", "-o", str(archive), BEFORE], cwd=ROOT, capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"the history here does not reach {BEFORE}")
    with tarfile.open(archive) as files:
        files.extractall(checkout, filter="data")
    return checkout


@pytest.fixture(scope="module", autouse=True)
def _heads() -> None:
    print("\n" + LINE.format(*HEADS))


def _line(name: str, *values: float) -> None:
    print("\r" + LINE.format(name, *(f"{value:.2f}" if value else "-" for value in values)))


def images_per_cpu_second(checkout: Path, recipe: str, changes: tuple[str, ...]) -> float:
    probe = Path(__file__).with_name("training_probe.py")
    command = [sys.executable, str(probe), str(checkout), recipe, str(BATCH), str(STEPS), *changes]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["images_per_cpu_s"])


@pytest.mark.parametrize(("recipe", "changes", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_step_is_faster_than_the_first_trainers(
    recipe: str, changes: tuple[str, ...], wanted: float, before: Path, benchmark: Any
) -> None:
    rates: dict[str, list[float]] = {"before": [], "bfloat16": [], "float32": []}

    def in_turns() -> None:
        for _ in range(ROUNDS):
            rates["before"].append(images_per_cpu_second(before, recipe, changes))
            rates["bfloat16"].append(images_per_cpu_second(ROOT, recipe, changes))
            rates["float32"].append(images_per_cpu_second(ROOT, recipe, (*changes, "bfloat16=false")))

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    found = {name: statistics.fmean(values) for name, values in rates.items()}
    ratio = max(found["bfloat16"], found["float32"]) / found["before"]  # a training takes the faster one
    benchmark.extra_info.update({**found, "ratio": ratio, "wanted": wanted})
    _line(recipe, *found.values(), ratio, wanted)


def images_per_second(recipe: str, changes: tuple[str, ...], count: int) -> tuple[float, str]:
    """Of `count` processes that share every batch, a core each; and their arithmetic."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    env = dict(os.environ, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, WORLD_SIZE=str(count), OMP_NUM_THREADS="1")
    there = ",".join(str(core) for core in cores()[:count])
    command = [sys.executable, "-m", "tests.benchmarks.process_probe", recipe, str(STEPS), there, *changes]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, env=env | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for rank in range(count)
    ]  # fmt: skip
    said = [process.communicate(timeout=600)[0] for process in started]
    measured = json.loads(said[0].splitlines()[-1])
    return float(measured["images_per_s"]), str(measured["arithmetic"])


@pytest.mark.skipif(len(cores()) < 2, reason="there is one core here")
def test_two_processes_are_faster_than_one(benchmark: Any) -> None:
    recipe, changes, wanted = TOGETHER
    rates: dict[int, list[float]] = {1: [], 2: []}
    used: set[str] = set()

    def in_turns() -> None:
        for _ in range(ROUNDS):
            for count, values in rates.items():
                rate, arithmetic = images_per_second(recipe, changes, count)
                values.append(rate)
                used.add(arithmetic)

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    one, two = (statistics.fmean(values) for values in rates.values())
    benchmark.extra_info.update({"one": one, "two": two, "ratio": two / one, "wanted": wanted})
    columns = {name: two if name in used else 0.0 for name in ("bfloat16", "float32")}
    _line("two processes, wall", one, *columns.values(), two / one, wanted)
