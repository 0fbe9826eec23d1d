"""Training steps today against the first trainer's, and two processes against one, in turns.

`pytest tests/benchmarks/test_training_speed.py --benchmark-only -s` prints a table; skipped in ordinary runs, as all of
this folder. Every step is of the recipe's own batch, as a training's. Steps run in processes of their own on one
thread, and seconds of CPU are compared, so that a neighbour on the machine matters little; of two processes, wall
seconds as well, and beside them what two trainings of half the batch reach that do not wait for each other. The
earlier checkout comes from the repository's history, and computes in bfloat16 where its recipes say so. What was
wanted stands beside; nothing fails.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bench.core.cores import cores
from methods.training.recipe import load_recipe

ROOT = Path(__file__).parents[2]
BEFORE = "9dfff67"
ROUNDS = 2
STEPS = 16  # two turns of everything that joins every few steps at `PACE`
# The arithmetic of the first recipes: every term at their pace, from the shipped start, nothing that they had not.
PACE = ("adversarial_every=2", "discriminator_every=2", "cycle_every=1", "r1_every=8", "weights.w_consistency=0.0")
START = ('start="styleres.safetensors"', 'chosen_by=""', "along_smile=0.0", *PACE)
# Recipe, changes, steps, wanted; where all steps are alike, a few are enough.
CASES = [
    ("world/styleres", START, STEPS, 2.3),
    ("world/warpres", (*START, 'flow_start="teacher.safetensors"', "weights.flow_moving=0.0"), STEPS, 2.0),
    ("world/teacher", (), 6, 1.3),
    ("world/e4e", ("warm_up_share=0.0",), 2, 2.0),
    ("world/fit", ("half_size_share=0.0",), STEPS, 1.3),
]
TOGETHER = ("world/styleres", ('start="styleres.safetensors"', 'chosen_by=""'), 1.8)
HEADS = ("images a second", "batch", "before", "bfloat16", "float32", "ratio", "wanted")
LINE = "{:<24} {:>5} {:>9} {:>9} {:>9} {:>6} {:>7}"


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


def _line(name: str, batch: int, *values: float) -> None:
    print("\r" + LINE.format(name, batch, *(f"{value:.2f}" if value else "-" for value in values)))


def images_per_cpu_second(checkout: Path, recipe: str, steps: int, changes: tuple[str, ...]) -> float:
    probe, batch = Path(__file__).with_name("training_probe.py"), load_recipe(recipe).batch
    command = [sys.executable, str(probe), str(checkout), recipe, str(batch), str(steps), *changes]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["images_per_cpu_s"])


@pytest.mark.parametrize(("recipe", "changes", "steps", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_step_is_faster_than_the_first_trainers(
    recipe: str, changes: tuple[str, ...], steps: int, wanted: float, before: Path, benchmark: Any
) -> None:
    rates: dict[str, list[float]] = {"before": [], "bfloat16": [], "float32": []}

    def in_turns() -> None:
        for _ in range(ROUNDS):
            rates["before"].append(images_per_cpu_second(before, recipe, steps, changes))
            rates["bfloat16"].append(images_per_cpu_second(ROOT, recipe, steps, changes))
            rates["float32"].append(images_per_cpu_second(ROOT, recipe, steps, (*changes, "bfloat16=false")))

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    found = {name: statistics.fmean(values) for name, values in rates.items()}
    ratio = max(found["bfloat16"], found["float32"]) / found["before"]  # a training takes the faster one
    benchmark.extra_info.update({**found, "ratio": ratio, "wanted": wanted})
    _line(recipe, load_recipe(recipe).batch, *found.values(), ratio, wanted)


@pytest.mark.skipif(len(cores()) < 2, reason="there is one core here")
def test_two_processes_are_faster_than_one(benchmark: Any) -> None:
    recipe, changes, wanted = TOGETHER
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "-m"]
    words = [*launcher, "tests.benchmarks.process_probe", recipe, str(STEPS), str(4 * ROUNDS), *changes]

    def in_turns() -> dict[str, Any]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", *words]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return said

    said = benchmark.pedantic(in_turns, rounds=1, iterations=1)
    benchmark.extra_info.update(said)
    batch, arithmetic = load_recipe(recipe, changes).batch, said.pop("arithmetic")
    one = said.pop("one process")
    for name, rates in said.items():
        for clock, rate in rates.items():
            columns = [rate if arithmetic == column else 0.0 for column in ("bfloat16", "float32")]
            ratio, aim = rate / one[clock], wanted if name == "processes" else 0.0
            _line(f"two {name}, {clock}", batch, one[clock], *columns, ratio, aim)
