"""The manifest: a run's record of itself, from which alone its rows can be read and its tables made again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.core.modules import loaded_plugins
from bench.data.splits import checksum
from bench.plan.checkpoints import entry_of
from bench.plan.work import NOT_APPLICABLE, Work, edit_digest, subset_labels

if TYPE_CHECKING:
    from bench.core.evaluator import Evaluator
    from bench.plan.build import Assembly
    from bench.plan.config import Config


def manifest(config: Config, assembly: Assembly, words: list[str]) -> dict[str, Any]:
    """The run's record of itself: what was asked, with which files and versions. No clock, no rank."""
    work = assembly.work
    labels = subset_labels([edit for spec in work.specs for edit in spec.passes])
    return {
        "format": 1,
        "run": config.run_name(),
        "title": config.title,
        "command": ["python", "run_bench.py", *words],
        "preset": config.preset,
        "paper_table": config.paper_table,
        "paper_figure": config.paper_figure,
        "domain": assembly.domain,
        "data": _data_record(config, work),
        "seed": config.run.seed,
        "device": work.device.partition(":")[0],
        "group": work.group,
        "machine": dict(work.machine),
        "versions": versions(),
        "methods": _methods_record(config, assembly),
        "passes": _passes_record(work),
        "plugins": _plugins_record(config),
        "protocols": {evaluator.protocol: _protocol_record(config, work, evaluator) for evaluator in work.evaluators},
        "missing": {
            kind: {
                one.name: {"status": one.status, "reason": one.reason, "command": one.command}
                for one in assembly.missing
                if one.kind == kind
            }
            for kind in ("methods", "columns")
        },
        "filled_weights": config.filled_weights,
        "pictures": {
            image.name: {"digest": digest, "attributes": {name: image.attributes[name] for name in labels}}
            for image, digest in zip(work.images, work.digests, strict=True)
        },
    }


def _plugins_record(config: Config) -> list[dict[str, Any]]:
    """The plug-ins in the order they were asked for: a process may have loaded them in another, for another run."""
    loaded = {own["name"]: own for own in loaded_plugins()}
    return [loaded[name] for name in dict.fromkeys(config.plugins) if name in loaded]


def _data_record(config: Config, work: Work) -> dict[str, Any]:
    """Which images: their names in order have the checksum that protocol cards call split_crc32."""
    names = [image.name for image in work.images]
    return {
        "name": work.dataset.name,
        "split": config.data.split,
        "pictures": len(names),
        "split_crc32": checksum(names),
    }


def _methods_record(config: Config, assembly: Assembly) -> dict[str, Any]:
    present = {spec.name: spec for spec in assembly.work.specs}
    record: dict[str, Any] = {}
    for name in config.methods:
        spec = present.get(name)
        record[name] = _printed(config, name)
        if unfit := [one for one in assembly.missing if one.method == name and one.status == NOT_APPLICABLE]:
            record[name]["not_applicable"] = {column: one.reason for one in unfit for column in one.columns}
        if spec is not None:
            record[name] |= {
                "digest": spec.digest,
                "files": [{"name": file, "sha256": digest} for file, digest in spec.files],
                "passes": {
                    edit.pass_name: {"edit_digest": edit_digest(edit), "strength": float(edit.strength)}
                    | ({} if edit.range_share is None else {"range_share": edit.range_share})
                    for edit in spec.passes
                },
            }
    return record


def _printed(config: Config, name: str) -> dict[str, Any]:
    """What tables call a method and where it stands in them; and what a variant is one of."""
    entry, variant = entry_of(config, name), config.variants.get(name)
    place = config.methods.index(name) if config.order == "asked" else entry.place
    printed: dict[str, Any] = {"title": variant.title if variant else entry.title, "place": place}
    return printed | ({"method": variant.method} if variant else {})


def _passes_record(work: Work) -> list[dict[str, Any]]:
    """Each column once, with the first method's strength (they differ only where strengths are matched).

    `reference` is what the rows of the input and of the true edit are of, where the truth is known.
    """
    columns: dict[str, dict[str, Any]] = {}
    references = {
        edit.pass_name: {"reference": {"edit_digest": edit_digest(edit), "strength": float(edit.asked_strength)}}
        for edit in work.reference_passes
    }
    for spec in work.specs:
        for edit in spec.passes:
            record = {"column": edit.pass_name, "strength": edit.strength, "inputs": edit.inputs, "reals": edit.reals}
            record |= {"note": edit.note} if edit.note else {}
            columns.setdefault(edit.pass_name, record | references.get(edit.pass_name, {}))
    return list(columns.values())


def _protocol_record(config: Config, work: Work, evaluator: Evaluator) -> dict[str, Any]:
    return {
        "digest": work.protocol_digest(evaluator),
        "networks": evaluator.networks_digest,
        "rules": evaluator.rules_digest,
        "input": evaluator.input_source,
        "lossy": evaluator.lossy,
        "file": next((name for name in config.protocols if name.endswith(f"{evaluator.protocol}.toml")), ""),
        "pair_metrics": list(evaluator.pair_metrics),
        "set_metrics": list(evaluator.set_metrics),
    }


def dropped(earlier: Mapping[str, Any], assembly: Assembly) -> list[str]:
    """What the report of an earlier run of this name shows and the new one will not: "method e4e", "8 images"."""
    work = assembly.work
    asked = {
        "method": {*assembly.columns},
        "pass": {edit.pass_name for edits in assembly.columns.values() for edit in edits},
        "protocol": {evaluator.protocol for evaluator in work.evaluators},
        "picture": {image.name for image in work.images},
    }
    shown = {
        "method": {name for name, about in earlier["methods"].items() if about.get("passes")},
        "pass": {edit["column"] for edit in earlier["passes"]},
        "protocol": {*earlier["protocols"]},
        "picture": {*earlier["pictures"]},
    }
    gone = {kind: sorted(shown[kind] - asked[kind]) for kind in shown}
    words = [f"{kind} {name}" for kind in ("method", "pass", "protocol") for name in gone[kind]]
    return words + ([f"{len(gone['picture'])} of {len(shown['picture'])} images"] if gone["picture"] else [])


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
