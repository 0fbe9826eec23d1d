"""The chain of a group of recipes: what it makes and in which order, what it leaves, and how it stops.

Its steps here are programs of a few lines, so that processes are real and nothing is trained.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from bench.core.errors import ExitCode, UsageError
from bench.core.text_table import WIDTH
from methods.training.chain import Settings, run_chain
from methods.training.chain_plan import Chain
from methods.training.chain_report import plan, report, standing
from methods.training.provenance import chosen, chosen_recipe

PROGRAM = """
import hashlib, json, pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
began = time.time()
time.sleep({seconds})
if {code}:
    sys.exit({code})
inputs = {{name: hashlib.sha256(next(out.glob("world/*/" + name)).read_bytes()).hexdigest() for name in {needs}}}
spent = {{"began": began, "ended": time.time()}}
(out / "world/{name}/{name}.json").write_text(json.dumps({{"inputs": inputs, **spent}}))
"""


class Desk:
    """A folder of recipes, the modules they call, and the runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recipes, self.modules, self.runs = folder / "recipes", folder / "modules", folder / "runs"
        for path in (self.recipes / "world", self.modules):
            path.mkdir(parents=True)
        monkeypatch.setattr("methods.training.recipe.RECIPES", self.recipes)
        monkeypatch.setenv("PYTHONPATH", str(self.modules))

    def step(
        self, name: str, needs: Sequence[str] = (), *, seconds: float = 0.0, code: int = 0, more: str = ""
    ) -> None:
        files = [f"{each}.json" for each in needs]
        program = PROGRAM.format(name=name, needs=files, seconds=seconds, code=code)
        (self.modules / f"step_{name}.py").write_text(program)
        lines = [
            f'name = "world/{name}"',
            f'program = "step_{name}"',
            f'output = "{name}.json"',
            f"needs = {files}",
            more,
        ]
        (self.recipes / "world" / f"{name}.toml").write_text("\n".join(lines))

    def made(self, name: str) -> dict[str, float]:
        content: dict[str, float] = json.loads((self.runs / "world" / name / f"{name}.json").read_text())
        return content

    def wanted(self, *only: str) -> list[str]:
        return [node.name.removeprefix("world/") for node in Chain.of("world").to_make(self.runs, only)]

    def run(self, *only: str, jobs: int = 2, deadline: float | None = None) -> int:
        chain = Chain.of("world")
        return run_chain(
            chain, chain.to_make(self.runs, only), Settings(self.runs, torch.device("cpu"), jobs, deadline)
        )


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, monkeypatch)


def test_steps_run_after_what_they_need_side_by_side_and_once(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.step("last", ["left", "right"])
    desk.step("left", ["first"], seconds=0.7)
    desk.step("right", ["first"], seconds=0.7)
    desk.step("first")
    assert desk.wanted() == ["first", "left", "right", "last"]
    assert desk.run() == ExitCode.OK
    first, left, right, last = (desk.made(name) for name in ("first", "left", "right", "last"))
    assert first["ended"] <= min(left["began"], right["began"])
    assert max(left["began"], right["began"]) < min(left["ended"], right["ended"])
    assert last["began"] >= max(left["ended"], right["ended"])
    said = capsys.readouterr()
    assert said.out.count("made") == 4
    assert desk.wanted() == []
    table = json.loads((desk.runs / "chain.json").read_text())
    assert [row["recipe"] for row in table] == ["world/first", "world/left", "world/right", "world/last"]


def test_what_changed_is_made_again_with_all_that_hangs_on_it(desk: Desk) -> None:
    desk.step("first")
    desk.step("second", ["first"])
    desk.step("other")
    desk.run()
    path = desk.runs / "world" / "first" / "first.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "changed": True}))
    assert desk.wanted() == ["second"]
    desk.step("second", ["first"], more="keep = true")
    assert desk.wanted() == []


def test_intermediate_steps_are_made_only_for_others(desk: Desk) -> None:
    desk.step("start", more="intermediate = true")
    assert desk.wanted() == []
    desk.step("end", ["start"])
    assert desk.wanted() == ["start", "end"]


def test_a_failing_step_ends_only_what_needs_it(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.step("bad", code=3)
    desk.step("after", ["bad"])
    desk.step("good", seconds=0.3)
    assert desk.run() == ExitCode.FAILED_CELLS
    said = capsys.readouterr().out
    assert "failed: exit code 3, see" in said
    assert "not run: world/bad was not made" in said
    assert desk.made("good")
    desk.step("bad")
    assert desk.wanted() == ["bad", "after"]
    assert desk.run() == ExitCode.OK


def test_only_takes_what_is_missing_before_it_along(desk: Desk) -> None:
    desk.step("first")
    desk.step("second", ["first"])
    desk.step("other")
    assert desk.wanted("second") == ["first", "second"]
    desk.run("second")
    assert desk.wanted("second") == ["second"]
    with pytest.raises(UsageError, match="unknown recipe") as caught:
        desk.wanted("secund")
    assert "world/second" in caught.value.next_step


def test_a_deadline_stops_everything(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.step("long", seconds=60)
    desk.step("next", ["long"])
    began = time.monotonic()
    assert desk.run(deadline=11.0) == ExitCode.INTERRUPTED
    assert time.monotonic() - began < 20
    said = capsys.readouterr().out
    assert "stopped" in said
    assert "not begun" in said


def test_a_signal_stops_everything(desk: Desk) -> None:
    desk.step("long", seconds=60)
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    before = signal.getsignal(signal.SIGINT)
    began = time.monotonic()
    assert desk.run() == ExitCode.INTERRUPTED
    assert time.monotonic() - began < 20
    assert signal.getsignal(signal.SIGINT) is before


def test_circles_are_refused(desk: Desk) -> None:
    desk.step("hen", ["egg"])
    desk.step("egg", ["hen"])
    with pytest.raises(UsageError, match="need one another"):
        Chain.of("world")


def test_the_plan_says_why(desk: Desk) -> None:
    desk.step("first")
    desk.step("second", ["first"])
    chain = Chain.of("world")
    text = plan(chain, chain.to_make(desk.runs), desk.runs)
    assert text.splitlines()[1].split() == ["world/first", "program", "run:", "missing"]


def test_what_is_told_fits_a_terminal(tmp_path: Path) -> None:
    chain = Chain.of("world")
    log = tmp_path / "world" / "warpres" / "log.jsonl"
    log.parent.mkdir(parents=True)
    figures = {name: 12.345678 for name in ("psnr", "mse", "id", "asked_psnr", "flow_without_edit", "pose+/kept")}
    records = [{"step": 100, "seconds": 9.5, "pictures_per_s": 20.0, "losses": {}}, {"step": 100, "check": figures}]
    log.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    told = report(chain.nodes, {"world/warpres": "failed: exit code 3, see its log"}, tmp_path)
    assert "flow_without_edit 12.35" in " ".join(told.split()) and "pose+/kept" not in told
    for text in (plan(chain, chain.to_make(tmp_path), tmp_path), told, f"[9999 s] {standing(log.parent)}"):
        assert max(map(len, text.splitlines())) <= WIDTH


def test_choices_of_another_step_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "world" / "sweep"
    folder.mkdir(parents=True)
    values = {"chosen": {"world/e4e": {"weights.l2": 0.25, "rate": 0.002}}}
    (folder / "choice.json").write_text(json.dumps(values))
    assert chosen("choice.json", "world/e4e", tmp_path) == ["weights.l2=0.25", "rate=0.002"]
    assert chosen("choice.json", "world/e4e-s7", tmp_path) == ["weights.l2=0.25", "rate=0.002"]
    assert chosen("choice.json", "world/psp", tmp_path) == []
    recipe = chosen_recipe("world/e4e", tmp_path, ['chosen_by="choice.json"', "rate=0.003"])
    assert recipe.options["weights"]["l2"] == 0.25
    assert recipe.rate == 0.003
    assert chosen_recipe("world/e4e", tmp_path).options["weights"]["l2"] == 1.0


def test_every_shipped_group_has_an_order() -> None:
    chain = Chain.of("world")
    names = [node.name for node in chain.nodes]
    assert names.index("world/e4e") < names.index("world/residual-start") < names.index("world/warpres")
    assert {need for node in chain.nodes for need in node.content.needs} <= set(chain.makers)


def test_a_folder_has_one_chain(desk: Desk) -> None:
    desk.step("first")
    desk.runs.mkdir()
    with FileLock(desk.runs / "chain.lock"), pytest.raises(UsageError, match="another chain trains in"):
        desk.run()
    assert desk.run() == ExitCode.OK
