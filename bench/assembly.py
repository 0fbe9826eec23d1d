"""From a configuration to the work: data, methods, edits, protocols, each checked before the first picture is read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.config import Config
from bench.errors import MissingError, UsageError, unknown_name
from bench.locate import AbsentError, checkpoint_files, direction_files, network_path
from bench.plan import Contestant, InputSource, Need, Work, edit_digest, subset_labels
from bench.plugins import load_plugins
from bench.shard import Shard

if TYPE_CHECKING:
    from bench.contract import Dataset, Domain, EditPass, Judge, Method

SYNTHETIC = "synthetic"
# Rows of the W+ codes of the generators that the checkpoints of a family share.
_LATENT_ROWS = {("synthetic", "faces"): 10, ("released", "faces"): 18, ("released", "cars"): 16}


@dataclass(frozen=True)
class Assembly:
    """The work as far as it can be done, and what stands in the way of the rest."""

    work: Work
    needs: tuple[Need, ...]
    domain: Domain

    def refuse_if_incomplete(self) -> None:
        """Raise MissingError when a method that could be here is not, or a protocol has nothing to measure.

        What nobody released is no obstacle, nor is a column whose network is absent: tables say so in their cells.
        """
        blocking = [need for need in self.needs if need.kind != "columns" and need.status != "not released"]
        if not blocking:
            return
        lines = [f"{need.name}: {need.reason}" for need in blocking]
        here = [contestant.name for contestant in self.work.contestants]
        advice = "\n        ".join(dict.fromkeys(need.command for need in blocking if need.command))
        if here and all(need.kind == "methods" for need in blocking):
            advice += f"\n        or run those that are here: --methods {','.join(here)}"
        raise MissingError("something is missing\n  " + "\n  ".join(lines), advice.strip())


def assemble(config: Config, shard: Shard | None = None, *, dry: bool = False) -> Assembly:
    """Check everything a configuration names and put the work together.

    No picture is read and no method loaded, but to find matched strengths that are not known yet; never when `dry`.

    Raises:
        UsageError: A name that does not exist, an edit that does not fit.
        MissingError: No data set, no directions.
    """
    _set_threads(config.run.threads)
    load_plugins(config.plugins)
    dataset = open_data(config)
    device = device_of(config, shard or Shard())
    needs: list[Need] = []
    contestants = _contestants(config, dataset, device, needs)
    if config.edits.mode == "matched" and contestants:
        contestants = _matched(config, dataset, device, contestants, search=not dry)
    judges = _judges(config, dataset, device, needs)
    work = Work(
        dataset=dataset,
        pictures=tuple(dataset.pictures[: config.data.limit]),
        contestants=tuple(contestants),
        judges=tuple(judges),
        inputs={judge.protocol: input_source(judge) for judge in judges},
        observers=_observers(config, device),
        group=config.run.group,
        batch=config.run.batch,
        loaded_methods=config.run.loaded_methods,
        grid_pictures=config.run.grid_pictures,
        device=device,
        seed=config.run.seed,
    )
    return Assembly(work, tuple(needs), dataset.domain)


def _set_threads(threads: int) -> None:
    # Before the first tensor is touched: a pool of threads that was once used would not survive a fork.
    if threads:
        import torch

        torch.set_num_threads(threads)


def device_of(config: Config, shard: Shard) -> str:
    """The device a run uses. Raises UsageError when the one asked for is not there."""
    import torch

    name = config.run.device
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        name = "cuda" if cuda else "mps" if mps else "cpu"
    if (name.startswith("cuda") and not cuda) or (name == "mps" and not mps):
        raise UsageError(f"--device {name}: no such device on this machine", "use --device cpu or auto")
    return f"cuda:{shard.local_rank % torch.cuda.device_count()}" if name == "cuda" else name


def open_data(config: Config) -> Dataset:
    """The data set of a configuration."""
    data = config.data
    if data.name == SYNTHETIC:
        if data.root:
            raise UsageError(
                f"the synthetic world is drawn, it is not read from {data.root}",
                "name a preset with a data set, e.g. --preset paper-faces",
            )
        from bench.synthetic import open_world

        world: Dataset = open_world(data.split, data.limit)
        return world
    from bench.data import kind_of, open_dataset

    kind_of(data.name)
    if not data.root:
        raise MissingError(f"the folder of the data set {data.name} is not given", "add --data DIR")
    return open_dataset(data.name, data.root, data.split, data.limit)


def input_source(judge: Any) -> InputSource:
    """What the judge's protocol feeds to methods."""
    source: InputSource = judge.rules.pictures.input
    return source


def _contestants(config: Config, dataset: Dataset, device: str, needs: list[Need]) -> list[Contestant]:
    from methods.registry import find, method_names

    for name in config.methods:
        if name not in config.variants and name not in method_names():
            raise unknown_name("method", name, sorted({*method_names(), *config.variants}))
    for name in config.checkpoints:
        if name not in config.methods:
            raise unknown_name("method of --checkpoint", name, list(config.methods))
    contestants = []
    for name in config.methods:
        variant = config.variants.get(name)
        method = variant.method if variant else name
        try:
            files = checkpoint_files(config, name, dataset.domain, find(method))
        except AbsentError as error:
            needs.append(Need("methods", name, error.what, error.next_step, error.status))
            continue
        title = variant.title if variant else ""
        passes = _passes(config, dataset, method)
        contestants.append(_contestant(name, title, method, files, dataset.domain, device, passes))
    return contestants


def _contestant(
    name: str,
    title: str,
    method: str,
    files: tuple[Path, ...],
    domain: Domain,
    device: str,
    passes: tuple[EditPass, ...],
) -> Contestant:
    from bench.weights.load import file_digest
    from methods.registry import find, load_method, method_digest

    def load() -> Method:
        loaded = load_method(method, domain=domain, checkpoint=files, device=device)
        for edit in passes:
            rows = loaded.latent_rows if edit.direction is None else len(edit.direction.vector)
            if rows != loaded.latent_rows:
                raise UsageError(
                    f"the edit {edit.column!r} is for codes of {rows} rows; {name}'s have {loaded.latent_rows}",
                    "choose the preset of this checkpoint's generator",
                )
        return loaded

    digests = tuple((file.name, file_digest(file)) for file in files)
    return Contestant(name, method_digest(find(method), files), passes, load, title, digests)


def _matched(
    config: Config, dataset: Dataset, device: str, contestants: list[Contestant], *, search: bool
) -> list[Contestant]:
    """The same methods with strengths of equal achieved change."""
    if config.data.name != SYNTHETIC:
        raise UsageError(
            "matched strengths need a network that measures attributes; only the synthetic world has one",
            "use --mode fixed or sweep",
        )
    if device != "cpu":
        raise UsageError(f"matched strengths are measured on the CPU, not on {device}", "add --device cpu")
    from bench.matching import matched_strengths
    from bench.synthetic import open_world

    found = matched_strengths(
        contestants,
        open_world("val"),
        _world(config, device).attributes,
        config.run_folder(),
        group=config.run.group,
        say=lambda text: print(text, file=sys.stderr, flush=True),
        search=search,
    )
    return [
        replace(
            contestant,
            passes=tuple(
                replace(edit, strength=found.get(contestant.name, {}).get(edit.column, edit.strength))
                for edit in contestant.passes
            ),
        )
        for contestant in contestants
    ]


def _passes(config: Config, dataset: Dataset, method: str) -> tuple[EditPass, ...]:
    from bench.edits.cards import generator_of
    from bench.edits.directions import plan_passes

    edits = config.edits
    rows = _LATENT_ROWS[config.weights, dataset.domain]
    labels = set(dataset.pictures[0].attributes) if dataset.pictures else None
    return tuple(
        plan_passes(
            edits.names,
            direction_files(config),
            generator=generator_of(dataset.domain, rows),
            latent_rows=rows,
            method=method,
            # Matched strengths start from the cards' own and are found with the methods themselves.
            mode="sweep" if edits.mode == "sweep" else "fixed",
            strengths=edits.strengths or None,
            attributes=labels,
            cards=[Path(card) for card in edits.cards],
        )
    )


def _judges(config: Config, dataset: Dataset, device: str, needs: list[Need]) -> list[Judge]:
    from metrics.judge import load_judge

    if not config.protocols:
        raise UsageError("no protocol is named", "add --protocols, see `run_bench.py ls protocols`")
    judges: list[Any] = []
    for name in config.protocols:
        judge = load_judge(
            name,
            domain=dataset.domain,
            weights=network_path,
            device=device,
            world=_world(config, device),
            batch=config.run.group,
        )
        for stem, why in judge.missing.items():
            reason, _, command = why.partition("; ")
            needs.append(Need("columns", f"{stem}@{judge.protocol}", reason, command))
        if not judge.pair_metrics and not judge.set_metrics:
            needs.append(Need("run", judge.protocol, "none of its columns can be measured here"))
        judges.append(judge)
    return judges


def _world(config: Config, device: str) -> Any:
    """The synthetic world's networks, where the pictures are the world's."""
    if config.data.name != SYNTHETIC:
        return None
    from bench.synthetic.networks import load_world_networks

    return load_world_networks(device=device)


def _observers(config: Config, device: str) -> tuple[Any, ...]:
    if config.data.name != SYNTHETIC:
        return ()
    from bench.synthetic.observer import observers

    found: tuple[Any, ...] = tuple(observers(device=device))
    return found


def manifest(config: Config, assembly: Assembly, words: list[str]) -> dict[str, Any]:
    """The run's record of itself: what was asked, with which files and versions. No clock, no rank."""
    work = assembly.work
    labels = subset_labels([edit for contestant in work.contestants for edit in contestant.passes])
    return {
        "format": 1,
        "run": config.run_name(),
        "title": config.title,
        "command": ["python", "run_bench.py", *words],
        "preset": config.preset,
        "paper_table": config.paper_table,
        "domain": assembly.domain,
        "data": {"name": work.dataset.name, "split": config.data.split, "pictures": len(work.pictures)},
        "seed": config.run.seed,
        "device": work.device.partition(":")[0],
        "group": work.group,
        "versions": versions(),
        "methods": _methods_record(config, assembly),
        "passes": _passes_record(work),
        "protocols": {judge.protocol: _protocol_record(config, work, judge) for judge in work.judges},
        "missing": {
            kind: {need.name: {"status": need.status, "reason": need.reason, "command": need.command} for need in found}
            for kind, found in _by_kind(assembly.needs).items()
        },
        "filled_weights": config.filled_weights,
        "pictures": {
            picture.name: {"digest": digest, "attributes": {name: picture.attributes[name] for name in labels}}
            for picture, digest in zip(work.pictures, work.digests, strict=True)
        },
    }


def _methods_record(config: Config, assembly: Assembly) -> dict[str, Any]:
    present = {contestant.name: contestant for contestant in assembly.work.contestants}
    record: dict[str, Any] = {}
    for name in config.methods:
        contestant = present.get(name)
        record[name] = {"title": config.variants[name].title} if name in config.variants else {}
        if contestant is not None:
            record[name] |= {
                "digest": contestant.digest,
                "files": [{"name": file, "sha256": digest} for file, digest in contestant.files],
                "passes": {
                    edit.column: {"edit_digest": edit_digest(edit), "strength": float(edit.strength)}
                    for edit in contestant.passes
                },
            }
    return record


def _passes_record(work: Work) -> list[dict[str, Any]]:
    """Each column once, with the first method's strength (they differ only where strengths are matched)."""
    columns: dict[str, dict[str, Any]] = {}
    for contestant in work.contestants:
        for edit in contestant.passes:
            record = {"column": edit.column, "strength": edit.strength, "inputs": edit.inputs, "reals": edit.reals}
            columns.setdefault(edit.column, record)
    return list(columns.values())


def _protocol_record(config: Config, work: Work, judge: Judge) -> dict[str, Any]:
    return {
        "digest": work.protocol_digest(judge),
        "input": work.inputs[judge.protocol],
        "file": next((name for name in config.protocols if name.endswith(f"{judge.protocol}.toml")), ""),
        "pair_metrics": list(judge.pair_metrics),
        "set_metrics": list(judge.set_metrics),
    }


def _by_kind(needs: tuple[Need, ...]) -> Mapping[str, list[Need]]:
    return {kind: [need for need in needs if need.kind == kind] for kind in ("methods", "columns")}


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    found = {"python": platform.python_version()}
    for name in (
        "warpres-bench",
        "torch",
        "torchvision",
        "numpy",
        "scipy",
        "pillow",
        "scikit-image",
        "lpips",
        "torch-fidelity",
    ):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
