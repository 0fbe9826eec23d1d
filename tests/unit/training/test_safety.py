"""What a training survives: damaged checkpoints, losses that are no numbers, signals, deadlines, a second trainer."""

from __future__ import annotations

import errno
import json
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch import Tensor

from bench.core.errors import ExitCode, MissingError, UsageError
from bench.core.files import part_of
from methods.training import checkpoints, loop
from methods.training.checkpoints import load_checkpoint, newest_note, save_checkpoint
from methods.training.guard import DivergedError, Losses
from methods.training.loop import train
from methods.training.processes import Processes
from methods.training.task import Context
from tests.unit.training.test_loop import RECIPE, LineTask


def _damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


def test_two_checkpoints_alternate_and_a_damaged_one_falls_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in (10, 20, 30):
        save_checkpoint(tmp_path, {"step": step, "weights": torch.full((1000,), float(step))})
    assert newest_note(tmp_path)[0] == 30
    newest = next(path for path in tmp_path.glob("*.json") if json.loads(path.read_text())["step"] == 30)
    _damage(newest.with_suffix(".pt"))
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 20
    assert torch.equal(state["weights"], torch.full((1000,), 20.0))
    assert "damaged" in capsys.readouterr().err
    newest.with_suffix(".pt").write_bytes(b"")
    newest.unlink()
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 20


def test_a_resumed_run_with_a_damaged_checkpoint_ends_at_the_same_weights(tmp_path: Path) -> None:
    whole, again = LineTask(), LineTask()
    train(whole, RECIPE, tmp_path / "whole")
    for until in (40, 80):
        train(LineTask(), RECIPE, tmp_path / "stopped", until=until)
    newest = max((tmp_path / "stopped").glob("*.pt"), key=lambda path: path.stat().st_mtime_ns)
    _damage(newest)
    train(again, RECIPE, tmp_path / "stopped")
    assert torch.equal(whole.line.weight, again.line.weight)


def test_where_no_whole_checkpoint_is_left_it_begins_anew_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for until in (40, 80):
        train(LineTask(), RECIPE, tmp_path, until=until)
    for path in tmp_path.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:500])
    assert train(LineTask(), RECIPE, tmp_path, until=30).step == 30
    assert "the training begins anew" in capsys.readouterr().err


@pytest.mark.parametrize("note", ['{"step": "x", "sha256": "0"}', '{"step": null}', "[1]", '{"step": 9, "key": 3}'])
def test_a_note_of_other_things_counts_as_damaged(tmp_path: Path, note: str) -> None:
    train(LineTask(), RECIPE, tmp_path, until=20)
    train(LineTask(), RECIPE, tmp_path, until=40)
    next(path for path in tmp_path.glob("*.json") if '"step": 40' in path.read_text()).write_text(note)
    assert newest_note(tmp_path).step == 20
    assert train(LineTask(), RECIPE, tmp_path, until=30).step == 30


def _renamed(state: dict[str, Any]) -> None:
    state["modules"]["row"] = state["modules"].pop("line")


def _reshaped(state: dict[str, Any]) -> None:
    state["modules"]["line"]["weight"] = torch.zeros(2, 1)


def _regrouped(state: dict[str, Any]) -> None:
    state["optimisers"]["line"]["param_groups"][0]["params"] = [0]


def _doubled(state: dict[str, Any]) -> None:
    state["optimisers"]["line"]["param_groups"] *= 2


def _shortened(state: dict[str, Any]) -> None:
    del state["legs"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_renamed, "it has none of the modules line and the modules row, which nothing here has"),
        (_reshaped, "weight"),
        (_regrouped, "parameter group"),
        (_doubled, "2 parameter groups, not 1"),
        (_shortened, "it has no legs"),
    ],
)
def test_a_checkpoint_of_other_networks_is_refused_and_kept(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    train(LineTask(), RECIPE, tmp_path, until=20)
    state = load_checkpoint(tmp_path)
    assert state is not None
    change(state)
    save_checkpoint(tmp_path, {**state, "step": 21})
    with pytest.raises(UsageError, match="is of another training or of an earlier version") as caught:
        train(LineTask(), RECIPE, tmp_path)
    assert said in caught.value.what
    assert "--fresh" in caught.value.next_step
    assert newest_note(tmp_path).step == 21
    assert train(LineTask(), RECIPE, tmp_path, fresh=True).finished


def test_what_a_kill_left_half_written_is_removed(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path, until=5)
    part_of(tmp_path / "checkpoint-1.pt").write_bytes(b"half")
    train(LineTask(), RECIPE, tmp_path, until=10)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full")
def test_a_full_disk_is_told_as_that() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match="space") as caught:
        checkpoints._write({"weights": torch.zeros(1 << 20)}, full)
    assert caught.value.errno == errno.ENOSPC


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(MissingError, match="cannot write"):
        train(LineTask(), RECIPE, tmp_path, until=5)


class Breaking(LineTask):
    """Whose loss becomes `value` at step 70."""

    value = float("nan")

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        losses = super().step(step, random)
        return losses if step < 70 else {"square": torch.tensor(self.value)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e9])
def test_a_broken_loss_stops_at_the_last_good_checkpoint(tmp_path: Path, value: float) -> None:
    train(LineTask(), RECIPE, tmp_path, until=60)
    breaking = Breaking()
    breaking.value = value
    with pytest.raises(DivergedError, match=r"line: at step 70 .*step 60 is kept") as caught:
        train(breaking, RECIPE, tmp_path)
    assert caught.value.exit_code == ExitCode.DIVERGED
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 60
    assert not (tmp_path / "line.json").exists()


def test_a_weight_that_is_no_number_is_never_saved(tmp_path: Path) -> None:
    class Poisoned(LineTask):
        def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
            losses = super().step(step, random)
            with torch.no_grad():
                self.line.bias.fill_(float("nan"))
            return {"square": torch.ones_like(losses["square"])}

    with pytest.raises(DivergedError, match="a weight of 'line' was no number; there is no checkpoint yet"):
        train(Poisoned(), RECIPE, tmp_path, until=5)
    assert load_checkpoint(tmp_path) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_save_first(tmp_path: Path, number: signal.Signals) -> None:
    class Signalled(LineTask):
        def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
            if step == 33:
                signal.raise_signal(number)
            return super().step(step, random)

    before = signal.getsignal(number)
    ended = train(Signalled(), RECIPE, tmp_path)
    assert (ended.step, ended.finished, ended.signalled) == (34, False, True)
    assert newest_note(tmp_path)[0] == 34
    assert signal.getsignal(number) is before
    whole, again = LineTask(), LineTask()
    train(whole, RECIPE, tmp_path / "whole")
    train(again, RECIPE, tmp_path)
    assert torch.equal(whole.line.weight, again.line.weight)


def test_a_deadline_saves_and_stops(tmp_path: Path) -> None:
    ended = train(LineTask(), RECIPE, tmp_path, deadline=0.0)
    assert (ended.step, ended.finished, ended.signalled) == (0, False, False)
    assert train(LineTask(), RECIPE, tmp_path, deadline=600.0).finished


def test_a_lock_is_given_back_while_somebody_still_knows_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[FileLock] = []

    def kept(*given: Any, **named: Any) -> FileLock:
        known.append(FileLock(*given, **named))
        return known[-1]

    monkeypatch.setattr("methods.training.guard.FileLock", kept)
    train(LineTask(), RECIPE, tmp_path, until=1)
    assert [lock.is_locked for lock in known] == [False]


def test_a_folder_has_one_trainer(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"), pytest.raises(UsageError, match="another process is training"):
        train(LineTask(), RECIPE, tmp_path)


def test_a_training_may_run_beside_the_main_thread(tmp_path: Path) -> None:
    ended: list[loop.Ended] = []
    thread = threading.Thread(target=lambda: ended.append(train(LineTask(), RECIPE, tmp_path, until=3)))
    thread.start()
    thread.join()
    assert ended[0].step == 3


def test_lasting_growth_within_bounds_is_no_explosion() -> None:
    losses = Losses(bound=1.0)
    losses.add(5, {"large": torch.tensor(900.0), "gradient/l2": torch.tensor(1e9)})
    assert losses.take()["large"] == 900


def test_an_explosion_among_the_first_steps_is_one() -> None:
    losses = Losses()
    for step, value in enumerate([1.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1e20]):
        losses.add(step, {"square": torch.tensor(value)})
    with pytest.raises(DivergedError, match=r"at step 6 the losses had grown to 1e\+20, from 3"):
        losses.take()


@dataclass(frozen=True)
class Agreeing(Processes):
    """Two processes, of which the other one says what they agree on and stands `beyond` this one."""

    count: int = 2
    agreed: bool = False
    beyond: int = 0

    def any(self, flag: bool, device: torch.device) -> bool:
        return self.agreed

    def total(self, value: Tensor) -> Tensor:
        return 2 * value + self.beyond

    def broadcast(self, *modules: object) -> None: ...

    def wait(self) -> None: ...

    def share_statistics(self, *modules: object) -> None: ...


def test_processes_save_by_one_verdict_and_not_by_their_own_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", -1.0)
    monkeypatch.setattr(loop, "LOG_EVERY_STEPS", 1)
    train(LineTask(), RECIPE, tmp_path, Context(tmp_path, processes=Agreeing()), until=3)
    assert load_checkpoint(tmp_path) is None


def test_processes_that_see_other_checkpoints_are_told(tmp_path: Path) -> None:
    train(LineTask(), RECIPE, tmp_path, until=3)
    with pytest.raises(UsageError, match="stands at step 3") as caught:
        train(LineTask(), RECIPE, tmp_path, Context(tmp_path, processes=Agreeing(beyond=-3)))
    assert "that all machines share" in caught.value.next_step
