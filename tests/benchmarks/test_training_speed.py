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
import socket
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


def measured(recipe: str, changes: tuple[str, ...], count: int, *, together: bool) -> dict[str, Any]:
    """Images a second of `count` processes at once, a core each, by clock; and their arithmetic.

    Args:
        together: They share every batch, as a training's do; else each trains alone on as many images as its part
            would be: what these cores give beside each other, whatever a training does.
    """
    there = [str(core) for core in cores()[:count]]
    if together:
        port = _free_port()
        said = _said([([recipe, str(STEPS), ",".join(there), *changes], _rank(i, count, port)) for i in range(count)])
    else:
        part = f"batch={load_recipe(recipe, changes).batch // count}"
        said = _said([([recipe, str(STEPS), core, *changes, part], {}) for core in there])
    rates = {clock: sum(rate[f"images_per_{clock}_s"] for rate in said) for clock in ("wall", "cpu")}
    return {**rates, "arithmetic": said[0]["arithmetic"]}


def _rank(rank: int, count: int, port: str) -> dict[str, str]:
    """The environment of one of several processes, as torchrun sets it."""
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
    return {**own, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def _free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def _said(starts: list[tuple[list[str], dict[str, str]]]) -> list[dict[str, Any]]:
    """What each `process_probe` of words and an environment prints, all at once; of one training the first does."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.process_probe", *words], cwd=ROOT, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for words, environment in starts
    ]  # fmt: skip
    lines = [process.communicate(timeout=600)[0].splitlines() for process in started]
    return [json.loads(some[-1]) for some in lines if some]


@pytest.mark.skipif(len(cores()) < 2, reason="there is one core here")
def test_two_processes_are_faster_than_one(benchmark: Any) -> None:
    recipe, changes, wanted = TOGETHER
    found: dict[str, list[dict[str, Any]]] = {"one": [], "two processes": [], "two trainings": []}

    def in_turns() -> None:
        for _ in range(2 * ROUNDS):
            found["one"].append(measured(recipe, changes, 1, together=True))
            found["two processes"].append(measured(recipe, changes, 2, together=True))
            found["two trainings"].append(measured(recipe, changes, 2, together=False))

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    batch, arithmetic = load_recipe(recipe, changes).batch, found["one"][0]["arithmetic"]
    for clock in ("wall", "cpu"):
        rates = {name: statistics.fmean(each[clock] for each in some) for name, some in found.items()}
        benchmark.extra_info.update({f"{name}, {clock}": rate for name, rate in rates.items()})
        one = rates.pop("one")
        for name, rate in rates.items():
            columns = [rate if arithmetic == column else 0.0 for column in ("bfloat16", "float32")]
            _line(f"{name}, {clock}", batch, one, *columns, rate / one, wanted if name == "two processes" else 0.0)
