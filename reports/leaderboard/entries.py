"""One results file a method, made of a run's: what a submission to a leaderboard is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.core.errors import UsageError
from bench.core.files import write_atomic
from bench.core.names import known_name
from reports.results_file.check import problems, read_results
from reports.results_file.record import NAME, results_text


def write_entries(run: Path, folder: Path, methods: Sequence[str] = (), protocols: Sequence[str] = ()) -> list[Path]:
    """Write `FOLDER/METHOD.json` of each of a run's methods (or of these), with the run's floors.

    What an earlier file of the same method says of it (its "about") is kept.

    Raises:
        MissingError: The run has no results.json.
        UsageError: An unknown method, or results that a leaderboard would refuse; nothing is written then.
    """
    record = read_results(run / NAME if run.is_dir() else run)
    chosen = [known_name("method of this run", name, record["methods"]) for name in methods] or record["methods"]
    made = {folder / f"{_file_name(name)}.json": _alone(record, name) for name in chosen}
    for path, content in made.items():
        if found := problems(content, protocols):
            raise UsageError("\n  ".join([f"{path.stem} cannot stand on a leaderboard:", *found]))
    return [write_atomic(path, results_text(_with_about(content, path))) for path, content in made.items()]


def _file_name(method: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "._+@-" else "_" for letter in method)


def _alone(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A file's content with one of its methods, that method's passes and sources, and the floors."""
    method = record["methods"][name]
    kept = {name, *record["references"]}
    passes = [edit for edit in record["passes"] if edit["name"] in method["strengths"]]
    names = {edit["name"] for edit in passes}
    places = {place: count for count, place in enumerate(method["sources"])}
    return {
        **record,
        "passes": passes,
        "methods": {name: {**method, "sources": list(places.values())}},
        "scores": [s for s in record["scores"] if s["method"] in kept and s["pass"] in names],
        "failures": [f for f in record["failures"] if f["method"] in kept],
        "missing": {**record["missing"], "methods": {}},
        "sources": [{**record["sources"][place], "methods": [name]} for place in places],
    }


def _with_about(content: dict[str, Any], path: Path) -> dict[str, Any]:
    if not path.is_file():
        return content
    earlier = read_results(path)["methods"]
    methods = {
        name: {**own, **({"about": earlier[name]["about"]} if "about" in earlier.get(name, {}) else {})}
        for name, own in content["methods"].items()
    }
    return {**content, "methods": methods}
