"""A run that was made with a plug-in, read by who has not got it: what is stored is shown, what lacks is named."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.api import load_run
from bench.core import modules
from metrics.columns import known_kinds
from tests.e2e.conftest import Desk
from tests.e2e.test_walkthroughs import FILE, PARTS

BRIGHTNESS = """
extends = "{base}"
name = "{name}"
title = "With brightness"
[[columns]]
stem = "brightness"
title = "Brightness, of a plug-in"
better = "lower"
kind = "brightness"
what = "Difference of mean brightness."
"""
COLOURS = """
[[columns]]
stem = "colours"
title = "Colours"
better = "lower"
kind = "colours"
what = "Distance of mean colours."
"""
OF_SETS = """

import numpy as np

from metrics.columns import Estimate


@kind("colours")
@dataclass(frozen=True)
class Colours:
    def needs(self):
        return ()

    def shares(self):
        return None

    def prepare(self, resources):
        return resources.features("colours", lambda: of_each)

    def measure(self, made, real):
        return Estimate(float(np.abs(made.mean(0) - real.mean(0)).sum()), (np.zeros(len(made)), np.zeros(len(real))))


def of_each(batch):
    return [pixels.mean((0, 1), dtype=np.float32) for pixels in batch.pixels]


METRICS = (Brightness, Colours)
"""


@pytest.fixture(autouse=True)
def _no_kinds() -> Iterator[None]:
    before, own = set(known_kinds()), set(modules._plugins)
    yield
    _forget(before, own)


def _forget(before: set[str], own: set[str]) -> None:
    """As a fresh process has it: no plug-in's kinds of metric."""
    for names, known in ((before, known_kinds()), (own, modules._plugins)):
        for name in set(known) - names:
            dict.pop(known, name)  # type: ignore[arg-type]


def _run(desk: Desk, columns: str, code: str = "", *more: str) -> Path:
    """A run with a plug-in's metric, of which this process knows nothing afterwards."""
    before, own = set(known_kinds()), set(modules._plugins)
    (desk.folder / "brightness.py").write_text(dict(FILE.findall(PARTS["A metric"]))["brightness.py"] + code)
    text = BRIGHTNESS.format(base=desk.folder / "plain-1.toml", name="bright-1") + columns
    (desk.folder / "bright-1.toml").write_text(text)
    words = ["--plugin", str(desk.folder / "brightness.py"), "--protocols", str(desk.folder / "bright-1.toml")]
    assert desk.here(*desk.basics, *words, "--name", "made", *more) == 0
    _forget(before, own)
    return desk.folder / "runs/made"


def _tables(run: Path) -> dict[str, bytes]:
    files = [*sorted((run / "tables").iterdir()), run / "results.json"]
    return {file.name: file.read_bytes() for file in files}


def test_values_of_images_are_shown_without_the_plug_in(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    run = _run(
        desk, "", "", "--methods", "blocks,dull-blocks", "--checkpoint", f"dull-blocks={desk.folder / 'dull.pt'}"
    )
    plugins = json.loads((run / "manifest.json").read_text())["plugins"]
    assert [Path(own["name"]).name for own in plugins] == ["plugin.py", "brightness.py"]
    assert [own["offers"] for own in plugins] == [["METHODS"], ["METRICS"]]
    assert all(len(own["code"]) == 64 for own in plugins)
    whole = _tables(run)
    (source,) = json.loads(whole["results.json"])["sources"]
    assert source["plugins"] == [{"name": Path(own["name"]).name, "code": own["code"]} for own in plugins]
    (desk.folder / "brightness.py").unlink()  # nobody looks for it
    capsys.readouterr()
    assert desk.here("report", str(run)) == 0
    assert _tables(run) == whole and "Brightness, of a plug-in" in (run / "tables/scores@bright-1.md").read_text()
    assert desk.here("compare", str(run), "blocks", "dull-blocks") == 0
    assert "Brightness, of a plug-in" in capsys.readouterr().out
    assert desk.here("gate", str(run), str(run)) == 0
    assert load_run(run)["brightness"].notna().any()
    assert desk.here("ls", "runs", "--output", str(run.parent)) == 0
    assert desk.here("cache", "ls", "--output", str(run.parent)) == 0
    board = str(desk.folder / "board")
    assert desk.here("leaderboard", "add", str(run), board, "--protocol", str(desk.folder / "bright-1.toml")) == 0
    assert desk.here("leaderboard", board, "--protocol", str(desk.folder / "bright-1.toml")) == 0


@pytest.mark.parametrize(
    "words", [("report", "{run}"), ("compare", "{run}", "blocks", "blocks"), ("gate", "{run}", "{run}")]
)
def test_what_needs_the_plug_in_names_it_and_the_option(
    words: tuple[str, ...], desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    run = _run(desk, COLOURS, OF_SETS)
    whole, plugin = _tables(run), str(desk.folder / "brightness.py")
    own = [word.format(run=run) for word in words]
    capsys.readouterr()
    assert desk.here(*own) == 3
    said = capsys.readouterr().err
    assert "colours" in said and f"next: the same command with --plugin {shlex.quote(plugin)}\n" in said
    assert _tables(run) == whole and "plugin_brightness" not in {type.__module__ for type in known_kinds().values()}
    assert load_run(run).attrs["whole"]
    assert desk.here("ls", "runs", "--output", str(run.parent)) == 0
    assert desk.here("cache", "ls", "--output", str(run.parent)) == 0
    capsys.readouterr()
    assert desk.here(*own, "--plugin", plugin) == 0
    assert _tables(run) == whole and "brightness.py" not in capsys.readouterr().err
    with Path(plugin).open("a") as text:
        text.write("\nCHANGED = 1\n")
    assert desk.here(*own, "--plugin", plugin) == 0
    assert f"plug-in {plugin} is not the code" in capsys.readouterr().err


def test_a_leaderboard_names_the_option(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    run, board = _run(desk, COLOURS, OF_SETS), str(desk.folder / "board")
    add = ["leaderboard", "add", str(run), board, "--protocol", str(desk.folder / "bright-1.toml")]
    assert desk.here(*add) == 2
    assert "--plugin FILE" in capsys.readouterr().err
    assert desk.here(*add, "--plugin", str(desk.folder / "brightness.py")) == 0
