"""One word for one thing in all that a reader sees: an image is no "picture", ID is no "Id"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli.reference import reference
from bench.core.schema import read_toml
from bench.plan.config import load_config, preset_names
from methods import describe
from metrics.protocol import load_protocol, protocol_names
from reports.claims import all_claims
from reports.naming import REFERENCE_NOTES, REFERENCE_TITLES

ROOT = Path(__file__).parents[2]
# Written apart from what is meant: names in code, options, addresses, tags.
_NAMES = re.compile(r"```.*?```|^    .*?$|`[^`]*`|<[^>]*>|--\w+|\]\([^)]*\)|\{[{%].*?[%}]\}", re.S | re.M)
_STRANGE = re.compile(r"\b(?:pictures?|Id|reached (?:change|truth)|(?:PSNR|SSIM|LPIPS|ID) reached)\b")


def _texts() -> Iterator[tuple[str, str]]:
    for name in protocol_names():
        protocol = load_protocol(name)
        yield name, protocol.title
        yield from ((f"{column.metric}@{name}", f"{column.title}. {column.what}") for column in protocol.columns)
    for name in preset_names():
        config = load_config(name)
        yield name, " ".join([config.title, *(own.title for own in config.variants.values())])
    for name, column in read_toml(ROOT / "reports/columns.toml").items():
        yield name, f"{column['label']}. {column['help']}"
    yield from (("claims", f"{claim.sentence} {claim.tried}") for claim in all_claims())
    yield from ((row["name"], row["summary"]) for row in describe())
    yield from (*REFERENCE_NOTES.items(), *REFERENCE_TITLES.items())
    yield "help", reference()
    for path in [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("leaderboard/*.md"),
        *ROOT.glob("reports/**/*.j2"),
    ]:
        yield path.name, path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "text"), [pytest.param(*found, id=found[0]) for found in _texts()])
def test_one_word_for_one_thing(name: str, text: str) -> None:
    assert not _STRANGE.findall(_NAMES.sub(" ", text)), name
