"""The results file of a report: every score with its interval, and what it takes to believe it. No clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.results.merge import source_of
from bench.results.recorded import recorded_protocol
from bench.results.row import Row
from bench.results.wholeness import chosen
from reports.columns import Better, split_column
from reports.failures import collect
from reports.inputs import Cell, Facts, Summaries, interval, number
from reports.naming import is_reference, method_title

NAME = "results.json"
FORMAT = "results-1"
SCHEMA = Path(__file__).parent / f"{FORMAT}.schema.json"
_BETTER: dict[Better, str] = {"down": "lower", "up": "higher", "none": "none"}


def results_record(
    manifest: Mapping[str, Any], summaries: Summaries, rows: Sequence[Row], facts: Facts
) -> dict[str, Any] | None:
    """What `results.json` holds, by the schema at `SCHEMA`; None for a manifest without a plan.

    A pure function of the same things as the tables: the same bytes wherever the report is made.
    """
    if not {"pictures", "data", "passes", "domain"} <= manifest.keys():
        return None
    methods = {name: about for name, about in manifest["methods"].items() if about.get("passes")}
    sources = manifest.get("sources") or [source_of(manifest, facts.run, list(methods))]
    references = sorted({method for method, _ in summaries if is_reference(method, facts.references)})
    return {
        "format": FORMAT,
        "name": facts.run,
        "title": facts.title,
        "command": facts.command,
        "domain": manifest["domain"],
        "data": _data(manifest),
        "protocols": {name: _protocol(name, manifest, summaries, facts) for name in manifest["protocols"]},
        "passes": [_pass(edit, manifest) for edit in manifest["passes"]],
        "methods": {name: _method(name, about, facts, sources) for name, about in methods.items()},
        "references": {name: method_title(name, facts.references) for name in references},
        "scores": _scores(summaries),
        "failures": _failures(rows),
        "missing": {
            "methods": {name: why.sentence() for name, why in facts.absent_methods.items()},
            "columns": {name: why.sentence() for name, why in facts.absent_columns.items()},
        },
        "unfinished": facts.unfinished,
        "filled_weights": list(facts.filled),
        "sources": sources,
    }


def results_text(record: Mapping[str, Any]) -> str:
    """The file's text."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _data(manifest: Mapping[str, Any]) -> dict[str, Any]:
    data, images = manifest["data"], manifest["pictures"]
    listed = json.dumps(sorted((name, about["digest"]) for name, about in images.items()))
    return {
        "name": data["name"],
        "split": data["split"],
        "images": len(images),
        "names_crc32": str(data["split_crc32"]),
        "sha256": hashlib.sha256(listed.encode()).hexdigest(),
    }


def _protocol(name: str, manifest: Mapping[str, Any], summaries: Summaries, facts: Facts) -> dict[str, Any]:
    about = manifest["protocols"][name]
    numbers = recorded_protocol(manifest, name).numbers
    columns = dict.fromkeys(column for cells in summaries.values() for column in cells)
    metrics = sorted(metric for metric, own in map(split_column, columns) if own == name)
    return {
        "rules": about["rules"],
        "networks": about["networks"],
        "digest": about["digest"],
        "smallest_set": numbers.smallest_set,
        "smallest_unpaired_set": numbers.smallest_unpaired_set,
        "metrics": {metric: _metric(metric, name, facts) for metric in metrics},
        "listed": sorted({*about.get("pair_metrics", ()), *about.get("set_metrics", ())}),
    }


def _metric(name: str, protocol: str, facts: Facts) -> dict[str, str]:
    metric = facts.metric(name, protocol)
    return {"title": metric.label, "better": _BETTER[metric.better]}


def _pass(edit: Mapping[str, Any], manifest: Mapping[str, Any]) -> dict[str, Any]:
    sides = {side: edit.get(side, "all") for side in ("inputs", "reals")}
    asked = edit.get("reference", {}).get("strength")
    return {
        "name": edit["column"],
        **sides,
        "images": len(chosen(manifest["pictures"], sides["inputs"])),
        "real_images": len(chosen(manifest["pictures"], sides["reals"])),
        "asked": asked,
        "note": edit.get("note", ""),
    }


def _method(name: str, about: Mapping[str, Any], facts: Facts, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "title": method_title(name, facts.titles),
        "digest": about["digest"],
        "files": [dict(file) for file in about["files"]],
        "strengths": {column: float(own["strength"]) for column, own in about["passes"].items()},
        "sources": [place for place, source in enumerate(sources) if name in source["methods"]],
    }


def _failures(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {"method": own.method, "pass": own.pass_name, "metric": own.what or None, "reason": own.reason}
        | {"images": len(own.images)}
        for own in collect(rows)
    ]


def _scores(summaries: Summaries) -> list[dict[str, Any]]:
    found = [
        {"method": method, "pass": column, **_score(name, cell)}
        for (method, column), cells in summaries.items()
        for name, cell in cells.items()
    ]
    return sorted(found, key=lambda score: (score["protocol"], score["method"], score["pass"], score["metric"]))


def _score(name: str, cell: Cell) -> dict[str, Any]:
    metric, protocol = split_column(name)
    low, high = interval(cell) or (None, None)
    known = {"value": number(cell), "low": low, "high": high, "n": cell.n, "failed": cell.failed, "rule": cell.rule}
    more = ("reference_n", "planned", "reference_planned", "needs_n")
    rest = {key: value for key in more if (value := vars(cell)[key]) is not None}
    return {"metric": metric, "protocol": protocol, **known, **rest}
