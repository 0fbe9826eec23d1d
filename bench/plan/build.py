"""From a configuration to the work: data, methods, edits, protocols, each checked before the first image is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.device import choose_device
from bench.core.digest import code_of
from bench.core.errors import MissingError, UsageError
from bench.core.machine import machine_of
from bench.plan.checkpoints import network_path
from bench.plan.config import Config
from bench.plan.limits import check_folders
from bench.plan.methods import specs_of, with_matched_strengths
from bench.plan.missing import missing_items, next_steps
from bench.plan.plugins import load_plugins
from bench.plan.sources import networks_of, open_data, planned_data, unused_files
from bench.plan.work import NOT_APPLICABLE, Missing, Work
from bench.run.shard import Shard

if TYPE_CHECKING:
    from bench.core.contract import Dataset, Domain, EditPass
    from bench.core.evaluator import Evaluator


@dataclass(frozen=True)
class Assembly:
    """The work as far as it can be done, and what stands in the way of the rest.

    Attributes:
        columns: Method asked for -> its passes, without directions, whether it can run or not.
        counted: Whether the images of the data set are known; only a plan may lack them.
        unused: What lies in the data set's folder and is not used, counted and named; "" for nothing.
    """

    work: Work
    missing: tuple[Missing, ...]
    domain: Domain
    columns: Mapping[str, tuple[EditPass, ...]]
    counted: bool = True
    unused: str = ""

    def refuse_if_incomplete(self) -> None:
        """Raise MissingError when a method that could be here is not, or a protocol has nothing to measure.

        What nobody released is no obstacle, nor is a column whose network is absent: tables say so in their cells.
        """
        blocking = [one for one in self.missing if one.blocking]
        if not blocking:
            return
        items = missing_items(blocking)
        lines = [f"{', '.join(item.needed_for)}: {item.reason}" for item in items]
        here = [spec.name for spec in self.work.specs]
        advice = next_steps(items)
        if here and all(one.kind in ("methods", "edits") for one in blocking):
            advice.append(f"or run those that are here: --methods {','.join(here)}")
        raise MissingError("something is missing\n  " + "\n  ".join(lines), "\n        ".join(advice))

    @property
    def notes(self) -> list[str]:
        """What is unusual about passes, a sentence each."""
        notes: dict[str, list[str]] = {}
        for edit in (edit for columns in self.columns.values() for edit in columns if edit.note):
            names = notes.setdefault(edit.note, [])
            names += [edit.pass_name] if edit.pass_name not in names else []
        for one in self.missing:
            if one.status == NOT_APPLICABLE:
                notes.setdefault(one.reason, []).append(f"{one.name} of {one.method}")
        found = [f"{', '.join(names)}: {note}" for note, names in notes.items()]
        return [*found, self.unused] if self.unused else found


def assemble(config: Config, shard: Shard | None = None, *, dry: bool = False) -> Assembly:
    """Check everything a configuration names and put the work together.

    No image is read and no method loaded, but to find matched strengths that are not known yet. When `dry`, no
    network is loaded at all, and absent data are missing like any other thing.

    Raises:
        UsageError: A name that does not exist, an edit that does not fit.
        MissingError: No data set.
    """
    from bench.data import kind_of

    check_folders(config)
    _set_threads(config)
    load_plugins(config.plugins)
    missing: list[Missing] = []
    dataset = planned_data(config, missing) if dry else open_data(config)
    device = device_of(config, shard or Shard())
    specs, columns = specs_of(config, dataset, device, missing)
    if config.edits.mode == "matched" and specs:
        specs = with_matched_strengths(config, dataset, device, specs, search=not dry)
    evaluators = _evaluators(config, dataset, device, missing, dry=dry)
    work = Work(
        dataset=dataset,
        images=tuple(dataset.images[: config.data.limit]),
        specs=tuple(specs),
        evaluators=tuple(evaluators),
        observers=kind_of(config.data.name).observers_on(device),
        group=config.run.group,
        batch=config.run.batch,
        loaded_methods=config.run.loaded_methods,
        grid_pictures=config.run.grid_pictures,
        device=device,
        seed=config.run.seed,
        machine=machine_of(device),
        code=_code(dataset),
    )
    return Assembly(work, tuple(missing), dataset.domain, columns, dataset.counted, unused_files(config))


def _set_threads(config: Config) -> None:
    # Before the first tensor is touched: a pool of threads that was once used would not survive a fork. Several
    # processes have one thread each, so that their results have the key of the machine they are made on. A backend's
    # parts may have more if asked; what the processes of its cluster have by themselves decides nothing.
    run = config.run
    threads = run.threads
    if run.device in ("auto", "cpu"):
        threads = 1 if run.workers != 1 else threads or int(run.backend != "local")
    if threads:
        import torch

        torch.set_num_threads(threads)


def _code(dataset: Dataset) -> str:
    """Of what lies between files and methods, and between methods and rows."""
    from bench.core import contract
    from bench.edits import change
    from bench.run import engine, group, input, observed, real_images, references, rows

    own = code_of(contract, change, engine, group, input, observed, real_images, references, rows, follow=False)
    return f"{own} {code_of(dataset)}"


def device_of(config: Config, shard: Shard) -> str:
    """The device a run uses. Raises UsageError or MissingError when the one asked for is not there."""
    return choose_device(config.run.device, shard.local_rank)


def _evaluators(config: Config, dataset: Dataset, device: str, missing: list[Missing], *, dry: bool) -> list[Evaluator]:
    from metrics.evaluator import load_evaluator, plan_evaluator

    if not config.protocols:
        raise UsageError("no protocol is named", "add --protocols, see `run_bench.py ls protocols`")
    evaluators: list[Any] = []
    for name in config.protocols:
        world = networks_of(config, device)
        if dry:
            evaluator = plan_evaluator(name, domain=dataset.domain, weights=network_path, world=world)
        else:
            batch = config.run.group
            evaluator = load_evaluator(
                name, domain=dataset.domain, weights=network_path, device=device, world=world, batch=batch
            )
        for metric, why in evaluator.missing.items():
            files = why.files
            missing.append(
                Missing("columns", f"{metric}@{evaluator.protocol}", why.what, why.next_step, "missing", files)
            )
        if not evaluator.pair_metrics and not evaluator.set_metrics:
            missing.append(Missing("run", evaluator.protocol, "none of its columns can be measured here"))
        evaluators.append(evaluator)
    return evaluators
