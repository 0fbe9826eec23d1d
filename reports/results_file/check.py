"""What a results file must keep to stand on a leaderboard: the schema, known protocols, whole passes, enough images."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from bench.core.errors import MissingError, UsageError
from bench.core.files import read_json
from metrics.protocol import ProtocolFile, load_protocol, protocol_names
from reports.results_file.record import SCHEMA

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

# A file of every method, edit and protocol takes about one megabyte.
_LARGEST = 32 << 20
_LONGEST_MESSAGE = 200


def read_results(path: Path) -> dict[str, Any]:
    """A results file's content, held against the schema.

    Raises:
        MissingError: There is no such file.
        UsageError: It is too large, no JSON, or not what the schema says; names the first places.
    """
    try:
        content = read_json(path, _LARGEST, parse_constant=_no_number)
    except OSError as error:
        raise MissingError(f"{path} cannot be read: {error.strerror}", "name a results.json") from None
    except ValueError as error:
        raise UsageError(f"{path} is no results file: {str(error).splitlines()[0]}", _NEXT) from None
    if problems := list(_against_schema(content)):
        raise UsageError("\n  ".join([f"{path} is not as the schema says:", *problems]), _NEXT)
    found: dict[str, Any] = content
    return found


def problems(record: Mapping[str, Any], protocols: Sequence[str] = ()) -> list[str]:
    """Why a file that keeps to the schema cannot stand on a leaderboard, a sentence each; none for one that can.

    Args:
        record: What `read_results` gives.
        protocols: Protocol files (paths) beside those that come with the suite.
    """
    found = list(_whole(record))
    for name, about in record["protocols"].items():
        rules = known_rules(name, protocols, record)
        if rules is None:
            found.append(f"protocol {name} is not known here (known: {', '.join(protocol_names())})")
        elif rules.digest != about["rules"]:
            digests = f"its rules are {about['rules'][:8]}, here {rules.digest[:8]}"
            found.append(f"protocol {name} was another file: {digests}")
        else:
            found += _complete(record, name, rules)
    return found + list(_numbers(record))


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number in JSON; where there is no number, write null")


def _against_schema(content: object, most: int = 8) -> Iterator[str]:
    errors = sorted(_validator().iter_errors(content), key=lambda error: [str(part) for part in error.absolute_path])
    for error in errors[:most]:
        where = error.json_path.removeprefix("$").removeprefix(".") or "the file"
        yield f"{where}: {_short(error.message)}"
    if len(errors) > most:
        yield f"and {len(errors) - most} more"


@cache
def _validator() -> Draft202012Validator:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."


def known_rules(name: str, files: Sequence[str], record: Mapping[str, Any]) -> ProtocolFile | None:
    """The protocol of that name, of these files or of the suite; None where there is none.

    Of the record's metrics those with one value an image may be of a plug-in's kind.
    """
    own_scores = [score for score in record["scores"] if score["protocol"] == name]
    stored = {score["metric"] for score in own_scores} - {s["metric"] for s in own_scores if "reference_n" in s}
    own = next((file for file in files if Path(file).stem == name), name if name in protocol_names() else None)
    return load_protocol(own, stored) if own else None


def _whole(record: Mapping[str, Any]) -> Iterator[str]:
    if record["unfinished"]:
        yield f"the run is not finished: {record['unfinished']}"
    if record["filled_weights"]:
        yield f"weights are a test pattern: {', '.join(record['filled_weights'])}"
    for name, why in record["missing"]["methods"].items():
        yield f"method {name} was asked for and is not there: {why}"
    passes = {edit["name"] for edit in record["passes"]}
    known = {*record["methods"], *record["references"]}
    for name, method in record["methods"].items():
        for column in method["strengths"].keys() - passes:
            yield f"method {name} has a strength for {column}, which is no pass of the file"
        if any(place >= len(record["sources"]) for place in method["sources"]):
            yield f"method {name} names a source that is not there"
    images = {edit["name"]: edit["images"] for edit in record["passes"]}
    for place, score in enumerate(record["scores"]):
        if score["method"] in record["methods"] and score["n"] > images.get(score["pass"], score["n"]):
            yield f"scores[{place}] is of {score['n']} images, but its pass has {images[score['pass']]}"
        for kind, names in (("method", known), ("pass", passes), ("protocol", record["protocols"])):
            if score[kind] not in names:
                yield f"scores[{place}] is of the {kind} {score[kind]!r}, which the file does not describe"


def _complete(record: Mapping[str, Any], protocol: str, rules: ProtocolFile) -> Iterator[str]:
    """Every listed metric of every pass that a method was run on, over all images of the pass."""
    passes = {edit["name"]: edit for edit in record["passes"]}
    listed = {
        column.metric: column for column in rules.columns if column.metric in record["protocols"][protocol]["listed"]
    }
    if not listed:
        yield f"protocol {protocol} has no metric that was measured"
    scores = {
        (score["method"], score["pass"], score["metric"]): score
        for score in record["scores"]
        if score["protocol"] == protocol
    }
    for method, about in record["methods"].items():
        for name in about["strengths"].keys() & passes.keys():
            edit = passes[name]
            for metric, column in listed.items():
                where, score = f"{method}, {name}, {metric}@{protocol}", scores.get((method, name, metric))
                if score is None:
                    yield f"{where} is missing: a pass must be complete"
                    continue
                counted = score["n"] + (score["failed"] if score["rule"] == "skip" else 0)
                if score.get("planned") is not None or counted != edit["images"]:
                    yield f"{where} is of {counted} images, but the pass has {edit['images']}"
                if column.is_set:
                    yield from _large_enough(where, score, edit, rules)


def _large_enough(where: str, score: Mapping[str, Any], edit: Mapping[str, Any], rules: ProtocolFile) -> Iterator[str]:
    paired = edit["inputs"] == edit["reals"]
    fewest = rules.numbers.smallest_set if paired else rules.numbers.smallest_unpaired_set
    sizes = (score["n"], score.get("reference_n", edit["real_images"]))
    if score["value"] is not None and min(sizes) < fewest:
        yield f"{where} compares {sizes[0]} with {sizes[1]} images; {rules.name} gives no number below {fewest}"


def _numbers(record: Mapping[str, Any]) -> Iterator[str]:
    seen = set()
    for place, score in enumerate(record["scores"]):
        where = f"scores[{place}] ({score['method']}, {score['pass']}, {score['metric']}@{score['protocol']})"
        key = tuple(score[name] for name in ("method", "pass", "metric", "protocol"))
        if key in seen:
            yield f"{where} stands twice"
        seen.add(key)
        value, low, high = (score[name] for name in ("value", "low", "high"))
        if not all(number is None or math.isfinite(number) for number in (value, low, high)):
            yield f"{where} has a number that is not finite"
        elif (low is None) != (high is None) or (low is not None and low > high):
            yield f"{where} has no sound interval: [{low}, {high}]"
        elif value is not None and not score["n"]:
            yield f"{where} has a value of no image"


_NEXT = "python run_bench.py report RUN writes RUN/results.json; docs/results.md explains it"
