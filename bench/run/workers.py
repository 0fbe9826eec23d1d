"""Several processes of one machine share a run: each is a shard of its own, the parent counts and waits.

Small networks do not fill a second core from within one process. The children are forked, so that nothing is imported
twice; they hand back nothing but counts, since results go to the disk.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import torch

from bench.core.cores import cores
from bench.core.errors import BenchError, ExitCode
from bench.run.shard import Shard

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess  # not there on Windows

Progress = Callable[[int, str], None]
# What a child does: its shard and where to report progress; returns plain data for the parent.
Job = Callable[[Shard, Progress], dict[str, Any]]


class WorkerError(BenchError):
    """A worker's error, told again by the parent with its own exit code."""

    def __init__(self, what: str, next_step: str, code: int) -> None:
        super().__init__(what, next_step)
        self.exit_code = ExitCode(code)


@dataclass(frozen=True)
class _Failure:
    what: str
    next_step: str
    code: int


@dataclass(frozen=True)
class _Child:
    process: ForkProcess
    pipe: Connection


def possible(device: str, count: int) -> int:
    """How many processes may be used: 0 asks for one a core. One where forking is not safe, or a GPU does the work."""
    if device != "cpu" or not sys.platform.startswith("linux") or not hasattr(os, "fork"):
        return 1
    return count if count > 0 else len(cores())


def run_workers(job: Job, count: int, progress: Progress) -> list[dict[str, Any]]:
    """Run `job` once in each of `count` processes; returns what each gave back.

    Raises:
        WorkerError: One failed; the others are stopped, results on disk are kept.
        KeyboardInterrupt: Ctrl-C, after every process has ended.
    """
    context = multiprocessing.get_context("fork")
    children: list[_Child] = []
    try:
        for rank in range(count):
            receiving, sending = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(job, Shard(rank, count), sending), daemon=True)
            process.start()
            sending.close()
            children.append(_Child(process, receiving))
        return _listen(children, progress)
    finally:
        for child in children:
            _end(child)


def _work(job: Job, shard: Shard, pipe: Connection) -> None:
    """A child's whole life: what it made or why not goes through the pipe."""
    _end_with_parent()
    # A process that has computed with several threads hands its child a pool of threads that are not there: the first
    # parallel loop would wait for them for ever. One thread takes no pool, and there is a child a core.
    torch.set_num_threads(1)
    try:
        pipe.send(job(shard, lambda count, what: pipe.send((count, what))))
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(int(ExitCode.INTERRUPTED))
    except BenchError as error:
        pipe.send(_Failure(error.what, error.next_step, int(error.exit_code)))
    except Exception as error:
        if os.environ.get("WARPRES_BENCH_DEBUG"):
            raise
        what = f"internal fault in a worker: {type(error).__name__}: {error}"
        pipe.send(_Failure(what, "", int(ExitCode.FAILED_CELLS)))


def _end_with_parent() -> None:
    """Interrupt this process when its parent is gone; results are safe at any moment."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _listen(children: Sequence[_Child], progress: Progress) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    open_pipes = [child.pipe for child in children]
    while open_pipes:
        for pipe in wait(open_pipes):
            assert isinstance(pipe, Connection)
            try:
                message = pipe.recv()
            except EOFError:
                open_pipes.remove(pipe)
                continue
            if isinstance(message, _Failure):
                raise WorkerError(message.what, message.next_step, message.code)
            if isinstance(message, tuple):
                progress(*message)
            else:
                results.append(message)
    if len(results) < len(children):
        raise WorkerError(
            f"{len(children) - len(results)} of {len(children)} worker processes were ended from outside",
            "run the same command again, it carries on; if memory is short, set run.workers = 1 in a --config file",
            int(ExitCode.MISSING),
        )
    return results


def _end(child: _Child) -> None:
    """Stop a child that still runs, and wait for it: it finishes the row in hand."""
    child.pipe.close()
    while child.process.is_alive():
        child.process.terminate()  # again every five seconds: Python drops an interruption inside a destructor
        child.process.join(5)
