"""Reads files by every public reader of users' files, each in a process of its own, and says what came of it.

    python -m tests.unit.hostile.reading SECONDS FILE ...

A line of JSON a file and reader: what was said, the peak of memory above where it began, the time it took.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from bench.core import pickles
from bench.core.checkpoint import read_checkpoint
from bench.core.errors import BenchError
from bench.core.metadata import read_metadata
from bench.core.schema import read_toml
from bench.core.small_files import read_tensors
from bench.data import cars, celeba_files, eg3d_crops, folder
from bench.data.images import decode, problem, size_of
from bench.edits.cards import all_cards
from bench.edits.direction_files import read_tensor
from bench.edits.fit.samples import scores_of_file
from bench.edits.mapper_files import load_mapper
from bench.edits.text_direction import convolution_deviations, read_frames
from bench.plan.config import load_config
from bench.results.manifest import read_manifest
from bench.results.reading import read_rows
from bench.results.store import repair
from bench.timing.clock import read_timing
from bench.weights.adopt import identify
from methods.training.checkpoints import load_checkpoint
from methods.training.full_size.images import TrainingImages
from metrics.identity.insightface import load_detector
from metrics.identity.npy import read_arrays
from metrics.protocol import load_protocol
from reports.figures.run_images import read_images
from reports.files import write_all
from reports.results_file.check import read_results
from tests.unit.hostile.making import MOST_STEPS


def _as(name: str, read: Callable[[Path], object], beside: str = "") -> Callable[[Path], object]:
    """A reader of a folder in which the file is called `name`."""

    def within(path: Path) -> object:
        root = Path(tempfile.mkdtemp())
        try:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.absolute())
            if beside:
                (root / beside).mkdir(parents=True)
            return read(root)
        finally:
            shutil.rmtree(root)

    return within


def _train(path: Path) -> object:
    images = TrainingImages(path, (64, 64), 2, 0, held_out=0, workers=2)
    return [images._image((0, place)).shape for place in range(min(2, len(images.names)))]


READERS: dict[str, Callable[[Path], object]] = {
    "checkpoint": read_checkpoint,
    "checkpoint, shapes alone": lambda path: read_checkpoint(path, values=False),
    "adoption": identify,
    "direction": read_tensors,
    "direction, one": read_tensor,
    "metadata": read_metadata,
    "mapper": load_mapper,
    "deviations": convolution_deviations,
    "mtcnn": lambda path: read_arrays(path, ("pnet",)),
    "mtcnn folder": _as("pnet.npy", lambda root: read_arrays(root, ("pnet",))),
    "detector": load_detector,
    "detector folder": _as("det_x.onnx", load_detector),
    "image": decode,
    "image, header": lambda path: (problem(path), problem(path, aspect=(1, 1)), size_of(path)),
    "training pictures": _train,
    "labels": _as("labels.csv", lambda root: folder.listing(root, "all")),
    "metadata.csv": _as("metadata.csv", lambda root: folder.listing(root, "all")),
    "annotations": celeba_files.read_annotations,
    "mapping": celeba_files.read_mapping,
    "partition": celeba_files.read_partition,
    "cameras": _as("label.json", lambda root: eg3d_crops.listing(root, "all")),
    "car marks": _as("cars_annos.mat", lambda root: cars.listing(root, "test"), beside="car_ims"),
    "scores": lambda path: scores_of_file(path, 10),
    "frames": read_frames,
    "toml": read_toml,
    "configuration": lambda path: load_config(file=path),
    "card": lambda path: all_cards([path]),
    "protocol": load_protocol,
    "results": read_results,
    "manifest": _as("manifest.json", read_manifest),
    "timing": _as("timing.json", read_timing),
    "rows": _as("rows/0.jsonl", read_rows),
    "rows, repaired": _as("rows/0.jsonl", repair),
    "features": _as("rows/0.fid@x-0.4.f32", read_rows),
    "run's image": _as("pictures/real/original/1.png", lambda root: read_images(root, 1)),
    "run's flow": _as("pictures/a/b/1.flow.npy", lambda root: read_images(root, 1)),
    "list of reports": _as(".reports.json", lambda root: write_all(root, {})),
    "training checkpoint": _as("checkpoint-0.json", load_checkpoint),
}


# Large files that are nothing but damaged lines to the readers of rows, for which "damage.jsonl" stands.
ROWS = frozenset({"rows", "rows, repaired"})
LEFT_OUT = dict.fromkeys(("many empty.pt", "annotations.txt", "rows.csv"), ROWS)


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))


def _read(path: Path, said: int) -> None:
    for name in (name for name in READERS if name not in LEFT_OUT.get(path.name, ())):
        os.write(said, json.dumps({"file": path.name, "reader": name}).encode() + b"\n")
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        before, began = _memory("VmRSS"), time.perf_counter()
        try:
            READERS[name](path)
            outcome = "read"
        except BenchError as error:
            outcome = f"refused: {error}"
        except BaseException:
            outcome = "fault: " + traceback.format_exc()[-1500:]
        record = {"outcome": outcome, "peak": _memory("VmHWM") - before, "seconds": time.perf_counter() - began}
        os.write(said, json.dumps(record).encode() + b"\n")


def _watched(path: Path, seconds: float) -> list[str]:
    """Lines of what a child says of one file; it is ended after that time."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(ours)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        _read(path, theirs)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    os.waitpid(child, 0)
    return lines


def _warm() -> None:
    """Import what readers import when first asked, once for all children."""
    for name in ("insightface.model_zoo", "onnxruntime", "scipy.io"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    all_cards()


if __name__ == "__main__":
    _warm()
    pickles.MOST_STEPS = MOST_STEPS
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    for argument in sys.argv[2:]:
        print("\n".join(_watched(Path(argument), float(sys.argv[1]))), flush=True)
