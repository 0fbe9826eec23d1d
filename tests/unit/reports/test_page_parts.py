"""What the page shows beside tables: spread of values, how to reproduce, whose work it is, thumbnails of failures."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from reports_fake_run import IMAGES, METHODS, PROTOCOL, facts, manifest, passes, summaries, write_run

from bench.results.frame import frame_of
from bench.results.paired import Pairs
from bench.results.row import Row
from metrics.protocol import load_protocol
from reports.failures import collect
from reports.figures.canvas import finish
from reports.figures.run_images import read_images
from reports.page.distributions import spreads
from reports.page.explorer import explorer_data
from reports.page.origins import bibliography, cited, origins
from reports.page.render import Content, render
from reports.page.reproduce import commands, digests
from reports.standing import Standing
from reports.table import Table
from reports.tables import build_tables


def _with_values(n: int) -> tuple[Table, Standing]:
    rows = [
        Row(f"{i}.jpg", "a", method, "b", "pose+", "c", 3.0, PROTOCOL, "d", values={"id": 0.5 + 0.001 * i + 0.1 * at})
        for at, method in enumerate(METHODS)
        for i in range(n)
    ]
    known = Standing(facts(), Pairs(frame_of(rows), {PROTOCOL: load_protocol(PROTOCOL)}))
    cells = {key: value for key, value in summaries().items() if key[1] == "pose+"}
    return build_tables(cells, passes(), facts())[0], known


def test_the_spread_of_each_column_is_drawn_and_said() -> None:
    table, known = _with_values(41)
    (spread,) = spreads(table, known)
    assert (spread.title, [chart.heading for chart in spread.charts]) == ("Pose", ["ID+ ↑"])
    svg = ElementTree.fromstring(spread.charts[0].svg)
    words = svg.attrib["aria-label"]
    assert "over 41 images" in words and "e4e 0.520, StyleRes 0.620, WarpRes 0.720" in words
    # A box, a mean and its points for each method; of many images no points.
    assert [len(svg.findall(tag)) for tag in ("rect", "circle")] == [3, 3]
    assert len(svg.findall("path[@class='points']")) == 3
    many = spreads(*_with_values(100))[0].charts[0].svg
    assert 'class="points"' not in many
    places = [float(box.attrib["x"]) for box in svg.findall("rect")]
    assert places == sorted(places)


def test_without_values_by_image_there_is_no_spread() -> None:
    assert spreads(_with_values(3)[0], Standing(facts())) == []


def _record() -> dict[str, object]:
    return manifest(
        domain="faces",
        methods={
            "warpres": {"digest": "0f" * 32, "files": [{"name": "warpres.safetensors", "sha256": "ab" * 32}]},
            "restyle-psp": {"digest": "1f" * 32, "files": [{"name": "mine.pt", "sha256": "cd" * 32}]},
            "early": {"method": "styleres", "digest": "2f" * 32, "files": []},
            "absent": {},
        },
    )


def test_every_method_has_its_licences_and_citations() -> None:
    found = {origin.title: origin for origin in origins(_record(), facts())}
    assert set(found) == {"WarpRes", "restyle-psp", "early"}
    assert found["WarpRes"].files == (("warpres.safetensors", "Apache-2.0 (ours)"),)
    assert found["restyle-psp"].files[0][1] == "not in the registry: a file of your own"
    assert found["restyle-psp"].keys[:1] == ("restyle",) and found["early"].keys == ("styleres", "stylegan2")
    text = cited(list(found.values()))
    assert text.count("@") == len(set(re.findall(r"@\w+\{([^,]+),", text))) == 4
    assert {"warpres", "stylegan2", *METHODS} <= set(bibliography())


def test_the_way_to_the_same_run_is_on_the_page() -> None:
    record = _record()
    assert "python run_bench.py --methods warpres,styleres --edits smile,pose" in commands(record)
    assert "gate FOLDER_OF_THIS_PAGE runs/'demo run'" in commands(record)
    found = digests(record)
    assert ("Protocol", PROTOCOL, "ab" * 32) in found and ("File", "mine.pt", "cd" * 32) in found
    assert ("Method", "warpres", "0f" * 32) in found
    known = facts()
    page = render(Content([], [], [], None, [], [], None, known, record, []))
    assert all(text in page for text in ("How to reproduce", "cd" * 32, "Apache-2.0 (ours)", "@article{warpres,"))


def test_failures_show_the_pictures_that_the_run_kept(tmp_path: Path) -> None:
    run = write_run(tmp_path)
    explorer = explorer_data(read_images(run, 8), ["reconstruction", "pose+"], facts())
    failed = [
        Row(f"{name}.jpg", "a", "e4e", "b", "pose+", "c", 3.0, "p", "d", status="failed", reason="no face")
        for name in (IMAGES[0], "elsewhere")
    ]
    page = render(Content([], [], [], explorer, [], collect(failed), None, facts(), manifest(), []))
    alts = re.findall(r'<img src="data:image/webp[^"]*" alt="([^"]*)"', page)
    assert alts == [f"Input {IMAGES[0]}.jpg, where e4e failed"] and "elsewhere.jpg" in page


def test_a_failure_shows_its_own_image_alone(tmp_path: Path) -> None:
    """In a folder below, and where two images would be kept under one name: the first is."""
    run = write_run(tmp_path)
    explorer = explorer_data(read_images(run, 8), ["pose+"], facts())
    assert explorer is not None
    explorer["pictures"]["input\tanna_7"] = explorer["pictures"][f"input\t{IMAGES[0]}"]
    names = [f"{IMAGES[0]}.jpg", f"{IMAGES[0]}.png", f"anna/{IMAGES[0]}.jpg", "anna/7.jpg"]
    failed = [
        Row(name, "a", "e4e", "b", "pose+", "c", 3.0, "p", "d", status="failed", reason="no face") for name in names
    ]
    known = manifest(pictures={name: {} for name in names})
    page = render(Content([], [], [], explorer, [], collect(failed), None, facts(), known, []))
    shown = re.findall(r'<img src="data:image/webp[^"]*" alt="Input ([^,]*),', page)
    assert shown == [names[0], names[3]]


def test_a_sweep_is_told_its_strengths(tmp_path: Path) -> None:
    known = facts(methods={"e4e": {"passes": {"pose+": {"strength": 2.5}, "pose-": {"strength": 2.5}}}})
    names = ["reconstruction", "pose+", "pose-", "smile-1.5"]
    data = explorer_data(read_images(write_run(tmp_path), 8), names, known)
    assert data is not None
    assert [(own["edit"], own["strength"]) for own in data["passes"]] == [
        ("", 0.0),
        ("pose", 2.5),
        ("pose", -2.5),
        ("smile", -1.5),
    ]


def test_large_images_travel_as_thumbnails(tmp_path: Path) -> None:
    """Of 9 methods, 5 passes and 8 images there are 400: of 25 kB each, they leave room for the rest of 15 MB."""
    size, random = 1024, np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (24, 24, 3), np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    for method in ("real/original", *(f"m{at}/reconstruction" for at in range(3))):
        folder = tmp_path / "pictures" / method
        folder.mkdir(parents=True)
        coarse.save(folder / "1.png", compress_level=1)
    data = explorer_data(read_images(tmp_path, 8), ["reconstruction"], facts())
    assert data is not None and len(data["pictures"]) == 4
    assert all(len(uri) < 25_000 for uri in data["pictures"].values())


def test_letters_that_a_figures_font_lacks_cause_no_talk() -> None:
    figure = Figure()
    figure.text(0.5, 0.5, "微笑")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert finish(figure, "one", "A caption.").png.startswith(b"\x89PNG")
