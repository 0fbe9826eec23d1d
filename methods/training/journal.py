"""What a training says: `log.jsonl`, TensorBoard where it is installed, sample grids, and a progress bar.

The bar and the talk go to stderr. Only rank 0 keeps a journal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from bench.core.errors import BenchError
from bench.core.files import write_atomic
from methods.training.recipe import Recipe

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Journal:
    """The journal of one training folder, from `step` on.

    Args:
        folder: Holds `log.jsonl`, `tensorboard/` and `samples/`.
        step: Where the training stands; what an interrupted one logged beyond it is dropped, for it is done again.
    """

    def __init__(self, folder: Path, recipe: Recipe, step: int) -> None:
        self.recipe, self.folder = recipe, folder
        self._log = folder / "log.jsonl"
        self._forget_after(step)
        self._board = _summary_writer(folder / "tensorboard", step)
        # Without a terminal the bar keeps silent and `losses` writes lines.
        self._bar = tqdm(total=recipe.steps, initial=step, desc=recipe.name, unit="step", disable=None, leave=False)

    def tick(self) -> None:
        """One more step is done."""
        self._bar.update()

    def losses(self, step: int, means: Mapping[str, float], *, seconds: float, speed: float, rate: float) -> None:
        """Mean losses since the last record, images/s and the learning rate."""
        rounded = {name: _short(value) for name, value in means.items()}
        record = {"step": step, "seconds": round(seconds, 1), "pictures_per_s": round(speed, 1), "losses": rounded}
        self._append(record)
        for name, value in means.items():
            self._scalar(name if "/" in name else f"loss/{name}", value, step)
        self._scalar("speed/pictures_per_s", speed, step)
        self._scalar("speed/learning_rate", rate, step)
        text = " ".join(f"{name} {value:.3g}" for name, value in means.items() if "/" not in name)
        if self._bar.disable:
            left = (self.recipe.steps - step) * self.recipe.batch / max(speed, 1e-9)
            spoken = f"{step}/{self.recipe.steps} {speed:.0f} images/s, {_time(left)} left  {text}"
            tell(f"{self.recipe.name} {spoken}")
        else:
            self._bar.set_postfix_str(f"{speed:.0f} images/s {text}")

    def check(self, step: int, figures: Mapping[str, float], samples: Mapping[str, Tensor]) -> None:
        """Held-out figures, and sample grids (3, H, W) in [0, 1] as PNG."""
        self._append({"step": step, "check": dict(figures)})
        for name, value in figures.items():
            self._scalar(f"check/{name}", value, step)
        for name, grid in samples.items():
            pixels = (grid.detach().float().cpu().clamp(0, 1) * 255).round().byte()
            if self._board is not None:
                self._board.add_image(name, pixels, step)
            path = self.folder / "samples" / f"{name}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())).save(path)

    def close(self) -> None:
        """End the progress bar and flush TensorBoard's file; nothing may be logged afterwards."""
        self._bar.close()
        if self._board is not None:
            self._board.close()

    def _scalar(self, name: str, value: float, step: int) -> None:
        if self._board is not None:
            self._board.add_scalar(name, value, step)

    def _append(self, record: Mapping[str, Any]) -> None:
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def _forget_after(self, step: int) -> None:
        if not self._log.is_file():
            return
        text = self._log.read_text(encoding="utf-8", errors="replace")
        kept = "".join(f"{line}\n" for line in text.splitlines() if _step_of(line) <= step)
        if kept != text:
            write_atomic(self._log, kept)


def told(error: BenchError) -> int:
    """Say on stderr what was wrong and what to do next; the program's exit code."""
    tell(f"error: {error}")
    return int(error.exit_code)


def tell(text: str) -> None:
    """Say something on stderr, past a progress bar."""
    tqdm.write(text, file=sys.stderr)


def _step_of(line: str) -> int:
    """Step of a record; of a torn line, one that no training reaches."""
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError, OverflowError):
        return sys.maxsize


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def _time(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _summary_writer(folder: Path, step: int) -> SummaryWriter | None:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        tell("note: no TensorBoard log; pip install 'warpres-bench[train]' (tensorboard) adds it")
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)  # what was logged at `step` itself stays
