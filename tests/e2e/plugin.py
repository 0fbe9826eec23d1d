"""A method for the end-to-end tests: 18 rows of tiny codes, no trained network, any file as its checkpoint."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.contract import Domain, Inversion, Method, stage
from methods.registry import Checkpoint, MethodEntry


class Blocks(nn.Module):
    """Codes are an 8x8 thumbnail; the image is that thumbnail, enlarged, and the edit shifts its colours."""

    stages = ("encode", "synthesise")
    input_size = output_size = (64, 64)
    latent_rows = 18

    def __init__(self, name: str, domain: Domain, gain: float) -> None:
        super().__init__()
        self.name, self.domain, self.gain = name, domain, gain

    def invert(self, images: Tensor) -> Inversion:
        time.sleep(float(os.environ.get("SLOW", "0")))
        with stage("encode"):
            thumbnail = F.adaptive_avg_pool2d(images, (8, 8)).flatten(1)
            codes = F.pad(thumbnail, (0, 512 - thumbnail.shape[1]))
            return Inversion(codes[:, None].expand(-1, 18, -1).contiguous())

    def edit(self, inversion: Inversion, delta: Tensor | None = None) -> Tensor:
        with stage("synthesise"):
            codes = inversion.codes if delta is None else inversion.codes + 0.5 * delta
            return self.gain * F.interpolate(codes[:, 0, :192].reshape(-1, 3, 8, 8), (64, 64), mode="bilinear")


def build(entry: MethodEntry, domain: Domain, checkpoints: Sequence[Checkpoint]) -> Method:
    state: Any = checkpoints[0].content["state_dict"]
    return Blocks(entry.name, domain, float(state["gain"]))


METHODS = (
    MethodEntry(name="blocks", build=build, domains=("faces", "cars"), summary="thumbnails"),
    MethodEntry(name="dull-blocks", build=build, summary="thumbnails, duller"),
)
