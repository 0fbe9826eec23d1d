"""Several processes of one machine share a run: each is a shard of its own, the parent counts and waits.

Small networks do not fill a second core from within one process. The children are forked, so that nothing is imported
twice; they hand back nothing but counts, since results go to the disk.
"""

from __future__ import annotations

import ctypes
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import IO, Any

import torch

from bench.core.errors import BenchError, ExitCode
from bench.run.shard import Shard

# What a child does: its shard and where to report progress; returns plain data for the parent.
Job = Callable[[Shard, Callable[[int, str], None]], dict[str, Any]]
_PR_SET_PDEATHSIG = 1


@dataclass
class _Child:
    pid: int
    pipe: int
    unread: bytes = b""

    def messages(self) -> list[dict[str, Any]] | None:
        """What has come since the last time; None when the child has ended."""
        data = os.read(self.pipe, 1 << 16)
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [json.loads(line) for line in lines] if data else None


class WorkerError(BenchError):
    """A worker's error, told again by the parent with its own exit code."""

    def __init__(self, what: str, next_step: str, code: int) -> None:
        super().__init__(what, next_step)
        self.exit_code = ExitCode(code)


def possible(device: str, count: int) -> int:
    """How many processes may be used: 0 asks for one a core. One where forking is not safe, or a GPU does the work."""
    if device != "cpu" or not sys.platform.startswith("linux"):
        return 1
    return count if count > 0 else len(os.sched_getaffinity(0))


def run_workers(job: Job, count: int, progress: Callable[[int, str], None]) -> list[dict[str, Any]]:
    """Run `job` once in each of `count` processes; returns what each gave back.

    Raises:
        WorkerError: One failed; the others are stopped, results on disk are kept.
        KeyboardInterrupt: Ctrl-C, after every process has ended.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    children: list[_Child] = []
    try:
        for rank in range(count):
            children.append(_start(job, Shard(rank, count), children))
        return _listen(children, progress)
    finally:
        for child in children:
            _end(child)


def _start(job: Job, shard: Shard, older: Sequence[_Child]) -> _Child:
    reading, writing = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(writing)
        return _Child(pid, reading)
    code = int(ExitCode.OK)
    try:
        os.close(reading)
        for child in older:
            os.close(child.pipe)
        _die_with(parent)
        # A process that has computed with several threads hands its child a pool of threads that are not there:
        # the first parallel loop would wait for them for ever. One thread takes no pool, and there is a child a core.
        torch.set_num_threads(1)
        with os.fdopen(writing, "w", encoding="utf-8") as stream:
            code = _child(job, shard, stream)
    except BaseException:  # nothing of the parent's stack may run in a child
        code = code or int(ExitCode.INTERRUPTED)
    finally:
        os._exit(code)


def _child(job: Job, shard: Shard, stream: IO[str]) -> int:
    def send(**message: Any) -> None:
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    try:
        send(result=job(shard, lambda count, what: send(count=count, what=what)))
        return int(ExitCode.OK)
    except KeyboardInterrupt:
        return int(ExitCode.INTERRUPTED)
    except BenchError as error:
        send(error=[error.what, error.next_step, int(error.exit_code)])
        return int(error.exit_code)
    except Exception as error:
        if os.environ.get("WARPRES_BENCH_DEBUG"):
            import traceback

            traceback.print_exc()
        send(error=[f"internal fault in a worker: {type(error).__name__}: {error}", "", int(ExitCode.FAILED_CELLS)])
        return int(ExitCode.FAILED_CELLS)


def _die_with(parent: int) -> None:
    """Ask the system to end this process when its parent is killed; results are safe at any moment."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(int(ExitCode.INTERRUPTED))


def _listen(children: Sequence[_Child], progress: Callable[[int, str], None]) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    with selectors.DefaultSelector() as selector:
        for child in children:
            selector.register(child.pipe, selectors.EVENT_READ, child)
        while selector.get_map():
            for key, _ in selector.select():
                messages = key.data.messages()
                if messages is None:
                    selector.unregister(key.fileobj)
                for message in messages or ():
                    if "error" in message:
                        raise WorkerError(*message["error"])
                    if "result" in message:
                        results.append(message["result"])
                    else:
                        progress(message["count"], message["what"])
    if len(results) < len(children):
        raise WorkerError(
            f"{len(children) - len(results)} of {len(children)} worker processes were ended from outside",
            "run the same command again, it carries on; if memory is short, set run.workers = 1 in a --config file",
            int(ExitCode.MISSING),
        )
    return results


def _end(child: _Child) -> None:
    """Stop a child that still runs, and wait for it: it finishes the row in hand."""
    os.close(child.pipe)
    try:
        waited = 0
        while os.waitpid(child.pid, os.WNOHANG) == (0, 0):
            if waited % 100 == 0:  # again every five seconds: Python drops an interruption inside a destructor
                os.kill(child.pid, signal.SIGTERM)
            time.sleep(0.05)
            waited += 1
    except (ChildProcessError, ProcessLookupError):
        return
