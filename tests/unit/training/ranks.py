"""Processes that share a training as torchrun's do, forked from a server that has imported what they need."""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable


def run_ranks(target: Callable[..., None], count: int, *arguments: object) -> None:
    """Call `target(*arguments)` in `count` processes under torchrun's names; each of them must end well."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        names = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": str(count)}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([target.__module__])
    ranks = [names | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    started = [context.Process(target=_run, args=(target, own, arguments), daemon=True) for own in ranks]
    for process in started:
        process.start()
    try:
        for process in started:
            process.join(240)
        assert [process.exitcode for process in started] == [0] * count
    finally:
        for process in started:
            process.kill()


def _run(target: Callable[..., None], names: dict[str, str], arguments: tuple[object, ...]) -> None:
    os.environ.update(names)
    target(*arguments)
