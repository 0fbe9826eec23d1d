"""Training steps today against the first trainer's, in turns.

`pytest tests/benchmarks/test_training_speed.py --benchmark-only -s`; skipped in ordinary runs, as all of this folder.
Both run in processes of their own on one thread, and seconds of CPU are compared, so that a neighbour on the machine
matters little. The earlier checkout comes from the repository's history. What was wanted stands beside; nothing fails.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

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


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    checkout = tmp_path_factory.mktemp("before") / "checkout"
    added = subprocess.run(
        ["git", "worktree", "add", "--detach", str(checkout), BEFORE], cwd=ROOT, capture_output=True, check=False
    )
    if added.returncode:
        pytest.skip(f"the history here does not reach {BEFORE}")
    yield checkout
    subprocess.run(["git", "worktree", "remove", "--force", str(checkout)], cwd=ROOT, check=True)


def images_per_second(checkout: Path, recipe: str, changes: tuple[str, ...]) -> float:
    probe = Path(__file__).with_name("training_probe.py")
    command = [sys.executable, str(probe), str(checkout), recipe, str(BATCH), str(STEPS), *changes]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1])["images_per_cpu_s"])


@pytest.mark.parametrize(("recipe", "changes", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_a_step_is_faster_than_the_first_trainers(
    recipe: str, changes: tuple[str, ...], wanted: float, before: Path, benchmark: Any
) -> None:
    rates: dict[str, list[float]] = {"before": [], "now": []}

    def in_turns() -> None:
        for _ in range(ROUNDS):
            rates["before"].append(images_per_second(before, recipe, changes))
            rates["now"].append(images_per_second(ROOT, recipe, changes))

    benchmark.pedantic(in_turns, rounds=1, iterations=1)
    old, new = (statistics.fmean(rates[name]) for name in ("before", "now"))
    benchmark.extra_info.update({"before": old, "now": new, "ratio": new / old, "wanted": wanted})
    print(f"{recipe}: {old:.1f} -> {new:.1f} images a CPU second, {new / old:.2f} times, wanted {wanted}")
