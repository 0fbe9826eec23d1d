"""Floor rows: doing nothing, real images against real ones, and what storing as JPEG costs alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli.gate_command import cells_of
from bench.core.errors import MissingError
from bench.plan.work import Work, edit_digest
from bench.results.features import load_features
from bench.results.manifest import write_manifest
from bench.results.reading import read_rows
from bench.results.summaries import Summaries, summarise_run
from bench.results.wholeness import load_results
from bench.run.engine import Engine
from metrics.evaluator import ProtocolEvaluator, load_evaluator
from metrics.floors import random_halves
from metrics.frechet import frechet_distance
from reports.inputs import Facts
from reports.tables import build_tables
from tests.unit.doubles import FewImages, MeanEvaluator, PoolingMethod, fingerprint, make_work, passes, run_work
from tests.unit.metrics.test_evaluator import ToyWorld

TOY = """
name = "toy-1"
title = "A world of averages"
[pictures]
input = "original"
resize = "pil_bicubic"
faces = [16, 16]
cars = [12, 16]
storage = "{storage}"
uint8 = "round"
[failures]
rule = "{rule}"
[numbers]
resamples = 200
[[columns]]
stem = "fd"
title = "FD"
better = "lower"
kind = "frechet"
extractor = "world"
what = "Distance of colours."
[[columns]]
stem = "id"
title = "ID"
better = "higher"
kind = "world_identity"
what = "Cosine."
[[columns]]
stem = "psnr"
title = "PSNR"
better = "higher"
kind = "psnr"
what = "Peak signal-to-noise ratio."
"""


def _evaluate(
    folder: Path, storage: str = "jpeg", rule: str = "skip", world: ToyWorld | None = None
) -> ProtocolEvaluator:
    def nothing(name: str) -> Path:
        raise MissingError(f"{name} is not here")

    file = folder / "toy-1.toml"
    file.write_text(TOY.format(storage=storage, rule=rule))
    return load_evaluator(file, domain="faces", weights=nothing, device="cpu", world=world or ToyWorld(), batch=4)


def _manifest(folder: Path, work: Work) -> dict[str, Any]:
    """What `bench.plan.manifest.manifest` writes and a summary reads."""
    return {
        "domain": "faces",
        "protocols": {
            evaluator.protocol: {"file": str(folder / "toy-1.toml"), "digest": work.protocol_digest(evaluator)}
            for evaluator in work.evaluators
        },
        "methods": {
            own.name: {
                "digest": own.digest,
                "passes": {e.pass_name: {"edit_digest": edit_digest(e), "strength": e.strength} for e in own.passes},
            }
            for own in work.specs
        },
        "passes": [
            {"column": e.pass_name, "strength": e.strength, "inputs": e.inputs, "reals": e.reals} for e in passes()
        ],
        "pictures": {p.name: {"digest": p.digest, "attributes": dict(p.attributes)} for p in work.images},
    }


def _summaries(folder: Path, data: FewImages, evaluator: ProtocolEvaluator) -> Summaries:
    work = make_work(data, [PoolingMethod()], evaluators=(evaluator,))
    run_work(work, folder / "run")
    manifest = _manifest(folder, work)
    return summarise_run(load_results(folder / "run", manifest))


def _features(folder: Path, method: str, smiling: int | None = None) -> np.ndarray:
    rows = [row for row in read_rows(folder / "run") if row.method == method and "fd" in row.features]
    return load_features(
        folder / "run", [r for r in rows if smiling is None or int(r.image.split(".")[0]) % 2 == smiling], "fd"
    )


def test_every_pass_has_the_floors_that_say_something(tmp_path: Path) -> None:
    cells = _summaries(tmp_path, FewImages(12), _evaluate(tmp_path))
    floors = {
        (method, column): {name.partition("@")[0] for name in found}
        for (method, column), found in cells.items()
        if method != "pool"
    }
    everything, halves = {"fd", "id", "psnr"}, {"fd"}
    smiles, others = ("smile+", "smile-"), ("pose+", "pose-", "reconstruction")
    assert floors == {
        **{("real", column): everything for column in smiles},
        # All images against themselves have no distance; their identity is still a ceiling.
        **{("real", column): {"id", "psnr"} for column in ("pose+", "pose-")},
        **{("real-halves", column): halves for column in (*smiles, *others)},
        **{("real-jpeg", column): everything for column in (*smiles, *others)},
    }


def test_no_edit_is_the_inputs_against_the_passs_reals(tmp_path: Path) -> None:
    cells = _summaries(tmp_path, FewImages(13), _evaluate(tmp_path))
    fd = cells["real", "smile+"]["fd@toy-1"]
    assert fd.value == pytest.approx(frechet_distance(_features(tmp_path, "real", 0), _features(tmp_path, "real", 1)))
    assert (fd.n, fd.reference_n, fd.failed) == (7, 6, 0)
    assert fd.low is not None and fd.high is not None and fd.low < fd.high
    same = cells["real", "pose+"]["id@toy-1"]
    assert (same.value, same.n, same.failed) == (pytest.approx(1), 13, 0)


def test_halves_are_seeded_disjoint_and_count_their_images(tmp_path: Path) -> None:
    cells = _summaries(tmp_path, FewImages(13), _evaluate(tmp_path))
    cell = cells["real-halves", "smile+"]["fd@toy-1"]
    smiling = _features(tmp_path, "real", 1)
    first, second = random_halves(len(smiling), 2020)
    assert cell.value == pytest.approx(frechet_distance(smiling[first], smiling[second]))
    assert (cell.n, cell.reference_n) == (3, 3)
    assert cells["real-halves", "pose+"] == cells["real-halves", "reconstruction"]
    assert cells["real-halves", "pose+"]["fd@toy-1"].n == 6


def test_jpeg_is_measured_on_the_passs_real_images(tmp_path: Path) -> None:
    data, evaluator = FewImages(8), _evaluate(tmp_path)
    cells = _summaries(tmp_path, data, evaluator)
    images = [data.read(image) for image in data.images]
    mse = [np.square(evaluator.store(p).astype(float) - p).mean() for p in images]
    psnr = cells["real-jpeg", "reconstruction"]["psnr@toy-1"]
    assert psnr.value == pytest.approx(np.mean(10 * np.log10(255**2 / np.array(mse))), rel=1e-5)
    assert (psnr.n, psnr.failed) == (8, 0)
    assert psnr.low is not None and psnr.value is not None and psnr.high is not None
    assert psnr.low < psnr.value < psnr.high
    fd = cells["real-jpeg", "smile+"]["fd@toy-1"]
    expected = frechet_distance(_features(tmp_path, "real-jpeg", 1), _features(tmp_path, "real", 1))
    assert fd.value == pytest.approx(expected)
    assert expected > 0
    assert (fd.n, fd.reference_n) == (4, 4)


def test_a_lossless_protocol_has_no_jpeg_row(tmp_path: Path) -> None:
    world = ToyWorld()
    cells = _summaries(tmp_path, FewImages(4), _evaluate(tmp_path, "memory", world=world))
    assert not [block for block in cells if block[0] == "real-jpeg"]
    # Four real images, and 4 + 2 + 2 + 4 + 4 made of them.
    assert world.seen["pooled"] == 4 + 16


@pytest.mark.parametrize(("rule", "n", "failed"), [("skip", 7, 1), ("zero", 8, 1)])
def test_a_bad_image_is_counted_in_every_floor(tmp_path: Path, rule: str, n: int, failed: int) -> None:
    cells = _summaries(tmp_path, FewImages(8, broken=[5]), _evaluate(tmp_path, rule=rule))
    for floor, column in (("real", "pose+"), ("real-jpeg", "reconstruction")):
        cell = cells[floor, column]["id@toy-1"]
        assert (cell.n, cell.failed, cell.rule) == (n, failed, rule)
    half = cells["real-halves", "pose+"]["fd@toy-1"]
    assert (half.n, half.reference_n, half.failed) == (3, 3, 1)
    jpeg = cells["real-jpeg", "smile+"]["fd@toy-1"]
    assert (jpeg.n, jpeg.reference_n, jpeg.failed) == (3, 3, 1)
    ceiling = cells["real", "pose+"]["id@toy-1"].value
    assert ceiling == pytest.approx(7 / 8 if rule == "zero" else 1)


def test_each_image_is_read_once_and_seen_once_before_and_after_jpeg(tmp_path: Path) -> None:
    data, evaluator = FewImages(8), MeanEvaluator(lossy=True)
    run_work(make_work(data, [PoolingMethod()], evaluators=(evaluator,)), tmp_path)
    assert sorted(data.reads) == sorted(image.name for image in data.images)
    assert evaluator.described == 8 + 8 + (8 + 8 + 8 + 8)
    again, other = FewImages(8), MeanEvaluator(lossy=True)
    run_work(make_work(again, [PoolingMethod()], evaluators=(other,)), tmp_path)
    assert (again.reads, other.described) == ([], 0)


def test_only_what_is_missing_is_looked_at_again(tmp_path: Path) -> None:
    run_work(make_work(FewImages(4), [PoolingMethod()], evaluators=(MeanEvaluator(lossy=True),)), tmp_path)
    evaluator = MeanEvaluator(lossy=True)
    methods = [PoolingMethod(), PoolingMethod("b", 0.5)]
    run_work(make_work(FewImages(4), methods, evaluators=(evaluator,)), tmp_path)
    # The real images as stored, for the new method to be compared with; not those before JPEG.
    assert evaluator.described == 4 + (4 + 4 + 4 + 4)


def test_order_of_work_changes_no_byte(tmp_path: Path) -> None:
    def work(limit: int | None = None, methods: Sequence[str] = ("a", "b"), **changes: Any) -> Work:
        data = FewImages(11, broken=[5])
        made = [PoolingMethod(name) for name in methods]
        return make_work(data, made, limit, evaluators=(MeanEvaluator(lossy=True), MeanEvaluator("plain-1")), **changes)

    run_work(work(), tmp_path / "whole")
    for limit in (3, 7, None):
        run_work(work(limit, ("a",)), tmp_path / "grown")
    run_work(work(batch=1), tmp_path / "grown")
    for rank in range(2):
        run_work(work(), tmp_path / "shared", {"RANK": str(rank), "WORLD_SIZE": "2"})
    whole = fingerprint(tmp_path / "whole")
    assert fingerprint(tmp_path / "grown") == whole
    assert fingerprint(tmp_path / "shared") == whole


def test_a_cut_between_real_rows_is_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def work() -> Work:
        return make_work(FewImages(8), [PoolingMethod()], evaluators=(MeanEvaluator(lossy=True),))

    run_work(work(), tmp_path / "whole")
    run_work(work(), tmp_path / "cut")
    rows = tmp_path / "cut/rows/0.jsonl"
    lines = rows.read_bytes().splitlines(keepends=True)
    rows.write_bytes(b"".join(lines[:5]) + lines[5][:30])
    assert any(b"real-jpeg" in line for line in lines[5:])
    run_work(work(), tmp_path / "cut")
    assert fingerprint(tmp_path / "cut") == fingerprint(tmp_path / "whole")


def test_a_image_that_only_fails_before_jpeg_fails_only_there(tmp_path: Path) -> None:
    class Picky(MeanEvaluator):
        def extract(self, stored: Sequence[np.ndarray]) -> Sequence[Any]:
            if any((image % 16).any() and (image == odd).all() for image in stored):
                raise RuntimeError("will not look at this one")
            return super().extract(stored)

    data = FewImages(4)
    odd = data.read(data.images[2])
    run_work(make_work(data, [PoolingMethod()], evaluators=(Picky(lossy=True),)), tmp_path)
    failed = [row for row in read_rows(tmp_path) if row.status == "failed"]
    assert [(row.method, row.image, row.reason) for row in failed] == [
        ("real-jpeg", "2.png", "RuntimeError: will not look at this one")
    ]


def test_a_method_that_fails_everywhere_has_cells_that_say_so(tmp_path: Path) -> None:
    evaluator = _evaluate(tmp_path)
    methods = [PoolingMethod(), PoolingMethod("broken", float("nan"))]
    work = make_work(FewImages(6), methods, evaluators=(evaluator,))
    run_work(work, tmp_path / "run")
    manifest = _manifest(tmp_path, work)
    manifest["protocols"]["toy-1"] |= {"pair_metrics": ["id", "psnr"], "set_metrics": ["fd"]}
    cells = summarise_run(load_results(tmp_path / "run", manifest))
    broken = cells["broken", "pose+"]
    assert {name: (c.value, c.n, c.failed) for name, c in broken.items()} == dict.fromkeys(
        ("fd@toy-1", "id@toy-1", "psnr@toy-1"), (None, 0, 6)
    )
    tables = build_tables(cells, passes(), Facts.from_manifest(manifest))
    (row,) = [row for row in tables[0].rows if row.name == "broken"]
    assert {entry.word for entry in row.entries} == {"failed"}
    assert "No number: all 6 images failed; the reasons are in the failure list." in tables[0].notes
    # A column that could not be measured for any method stays missing for this one.
    manifest["protocols"]["toy-1"]["pair_metrics"] = ["psnr"]
    assert "id@toy-1" not in summarise_run(load_results(tmp_path / "run", manifest))["broken", "pose+"]


def test_the_gate_judges_methods_alone(tmp_path: Path) -> None:
    evaluator = _evaluate(tmp_path)
    work = make_work(FewImages(6), [PoolingMethod()], evaluators=(evaluator,))
    run_work(work, tmp_path / "run")
    write_manifest(tmp_path / "run", _manifest(tmp_path, work))
    assert {method for method, _ in cells_of(load_results(tmp_path / "run"))} == {"pool"}


def test_the_plan_counts_the_floors(tmp_path: Path) -> None:
    work = make_work(
        FewImages(5), [PoolingMethod()], evaluators=(MeanEvaluator("a-1", lossy=True), MeanEvaluator("b-1"))
    )
    engine = run_work(work, tmp_path)
    assert isinstance(engine, Engine)
    done = {row.key for row in read_rows(tmp_path)}
    found = [cell for cell in work.cells(done) if cell.method != "pool"]
    cells = {(cell.method, cell.protocol): (cell.images, cell.done) for cell in found}
    assert cells == {("real", "a-1"): (5, 5), ("real-jpeg", "a-1"): (5, 5), ("real", "b-1"): (5, 5)}
