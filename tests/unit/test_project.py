"""What the project says of itself in several files: versions, dependencies, workflows, commands in documents."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.cli import COMMANDS, EXTRAS, command_parser
from bench.cli.reference import reference

ROOT = Path(__file__).parents[2]
ROOMS = ("bench", "methods", "metrics", "reports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
DOCUMENTS = [ROOT / "README.md", ROOT / "leaderboard/README.md", *sorted((ROOT / "docs").glob("*.md")), *WORKFLOWS]


def test_versions_agree() -> None:
    version = PROJECT["version"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert re.findall(r"^## \[(\d[^]]*)\]", changes, re.M)[0] == citation["version"] == version


def _third_party() -> Iterator[tuple[str, Path]]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names: list[str] = []
                if isinstance(node, ast.Import):
                    names = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                for name in {name.partition(".")[0] for name in names} - {*ROOMS, *sys.stdlib_module_names}:
                    yield name, path


def _declared(requirements: list[str]) -> set[str]:
    names = (re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0] for requirement in requirements)
    return {name.lower().replace("_", "-") for name in names}


def test_every_import_is_declared() -> None:
    known, always = packages_distributions(), _declared(PROJECT["dependencies"])
    for module, path in _third_party():
        if extra := EXTRAS.get(module):
            assert extra in PROJECT["optional-dependencies"], f"{path}: {module}"
            continue
        found = {name.lower().replace("_", "-") for name in known.get(module, [module])}
        assert found & always, f"{path} imports {module}, which pyproject.toml does not declare"


def test_extras_bring_their_modules() -> None:
    known = packages_distributions()
    for module, extra in EXTRAS.items():
        wanted = _declared(PROJECT["optional-dependencies"][extra])
        found = {name.lower().replace("_", "-") for name in known.get(module, wanted)}
        # dask comes with its scheduler.
        assert wanted & found or module == "dask", f"the extra {extra} lacks {module}"


def _commands(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in re.findall(r"run_bench\.py ([^\n`]*)", text):
        # A comment, the end of a sentence or of a quotation, or what is done with the answer.
        yield re.split(r"\s+#|[;|\"]|\s+>|, |\)$|…", line)[0].strip().rstrip(".")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in _commands(path):
        words = shlex.split(line)
        if not words or words[0].isupper() or words[0] in ("help",):
            continue
        name = words.pop(0) if words[0] in COMMANDS else "run"
        try:
            command_parser(name).parse_args(words)
        except SystemExit as leaving:
            assert not leaving.code, f"{path.name}: run_bench.py {line}\n{capsys.readouterr().err}"


def test_workflows_name_what_there_is() -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for path in WORKFLOWS:
        content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert content["permissions"] == {"contents": "read"}, path
        for job in content["jobs"].values():
            assert job["timeout-minutes"] <= 60
            for step in job["steps"]:
                for target in re.findall(r"^make (\w+)", step.get("run", ""), re.M):
                    assert target in targets, f"{path.name}: make {target}"
    scores = yaml.safe_load((ROOT / ".github/workflows/scores.yml").read_text(encoding="utf-8"))
    assert scores["jobs"]["gate"]["timeout-minutes"] <= 10


def test_the_reference_has_every_command_and_option() -> None:
    text = reference()
    for name in COMMANDS:
        assert f"\n## {name}\n" in text
        for action in command_parser(name)._actions:
            assert all(option in text for option in action.option_strings)


def test_the_site_has_every_page() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    pages = {page for entry in site["nav"] for page in entry.values()}
    assert pages == {path.name for path in (ROOT / "docs").glob("*.md")} | {"first_run.ipynb"} & pages
    assert site["strict"]


def test_the_readme_is_short_and_begins_with_the_picture() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    first = next(line for line in lines[1:] if line)
    assert (ROOT / re.findall(r"!\[.+\]\((.+)\)", first)[0]).is_file()


def test_the_package_ships_its_data() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]
    importlib.import_module("reports.results_file.record")
    for room in ROOMS:
        shipped = {path for pattern in data.get(room, ()) for path in (ROOT / room).glob(pattern)}
        for path in (ROOT / room).rglob("*"):
            if path.suffix in (".json", ".j2", ".css", ".js", ".toml", ".csv", ".bib") and path.is_file():
                assert path in shipped or "measured" in path.parts, f"{path} is not part of the package"
