"""What only a world with truth can say of an edited image: how far the edit went, and how far it is from the true
edit.

The attribute's change is measured on pixels by the regressor, on the output and on the real input alike; the true
edit is then rendered *at the change this output achieved*, so a method is neither punished nor rewarded for the
strength of its edit.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.core.checkpoint import file_digest, read_checkpoint
from bench.core.contract import EditPass, ImageRecord
from bench.core.observer import Observation
from bench.world.dataset import drawn, scene_of
from bench.world.flow_teacher import TEACHER, load_flow_teacher
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import IMAGE_SIZE, View, render, to_uint8
from bench.world.scene import Scene
from bench.world.truth import STILL, edited, layers, true_flow
from methods.nets.flow.glunet import Maps
from methods.nets.flow.network import FlowNet, normalise
from metrics.flow import cells_to_pixels, end_point_error
from metrics.synthetic import perceptual_distance
from metrics.truth import distance_to_truth

DIRECTIONS = WEIGHTS / "directions.safetensors"
VERSION = "3"  # part of the key of every result: raise it when a definition here changes
ATTRIBUTE_OF = {"smile": "smile", "pose": "yaw", "age": "age"}


def observers(device: str = "cpu") -> Sequence[TruthObserver]:
    """The world's observers for `bench.plan.build`."""
    return (TruthObserver(load_world_networks(device=device), device),)


def attribute_of(edit: EditPass) -> str | None:
    """The scene field an edit is about ("yaw" for pose+), or None."""
    return None if edit.direction is None else ATTRIBUTE_OF.get(edit.direction.name)


class TruthObserver:
    """Columns achieved, leak, truth_psnr, truth_ssim, truth_lpips, id_of_truth (the identity score that the true edit
    itself would get) and, of methods that announce a flow, flow_epe of this flow, of none at all and of the teacher.

    The teacher looks at the real image and the true edited one, the best it can be shown. One pair at a time:
    a batch would let an image's number depend on its neighbours.
    """

    def __init__(self, networks: WorldNetworks, device: str = "cpu") -> None:
        self.networks, self.device = networks, device
        self.distance = perceptual_distance(networks, device)
        self.teacher: FlowNet = load_flow_teacher(device=device)
        files = [file_digest(path) for path in (WEIGHTS / "judges.safetensors", DIRECTIONS, TEACHER) if path.is_file()]
        self.digest = hashlib.sha256("".join([VERSION, *files]).encode()).hexdigest()
        self._measured = lru_cache(maxsize=256)(self._measure_input)
        self._embedded = lru_cache(maxsize=256)(self._embed_input)
        self._source_maps = lru_cache(maxsize=256)(self._maps_of_input)

    def observe(
        self, image: ImageRecord, edit: EditPass, output: np.ndarray, announced: Mapping[str, np.ndarray]
    ) -> Observation:
        attribute = attribute_of(edit)
        if attribute is None:
            return Observation()
        before, after = self._measured(image.name), self._measure(output)
        change = {name: after[name] - before[name] for name in after}
        scene = scene_of(image.name)
        target = edited(scene, attribute, change[attribute])
        rendered = render(target)
        truth = to_uint8(rendered)[0].numpy()
        values = dict(distance_to_truth(output, truth, self.distance))
        values["id_of_truth"] = float((self._embed(truth) * self._embedded(image.name)).sum())
        values["achieved"] = change[attribute]
        values |= {f"leak_{name}": abs(value) for name, value in change.items() if name != attribute}
        if "flow" in announced:
            flow = torch.from_numpy(announced["flow"])[None]
            flows = {"flow_epe": flow, "flow_epe_teacher": self._teacher_cells(image.name, rendered)}
            values |= flow_errors(scene, target, flows | {"flow_epe_of_zero": torch.zeros_like(flow)})
        return Observation(values)

    def truth(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """The true image at the change this edit has on generated images (see `nominal_change`)."""
        target = self._nominal(image, edit)
        return None if target is None else to_uint8(render(target))[0].numpy()

    def true_flow(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """True flow (2, 32, 32) in cells of a 32-cell grid, zero where the point is hidden."""
        target = self._nominal(image, edit)
        if target is None:
            return None
        found = true_flow(scene_of(image.name), target)
        flow = found.flow * found.visible[:, None]
        return torch.nn.functional.avg_pool2d(flow, 2)[0].div(2).numpy()

    def _nominal(self, image: ImageRecord, edit: EditPass) -> Scene | None:
        attribute = attribute_of(edit)
        if attribute is None:
            return None
        return edited(scene_of(image.name), attribute, edit.strength * nominal_change(attribute))

    @torch.inference_mode()
    def _measure(self, pixels: np.ndarray) -> dict[str, float]:
        return {name: float(value) for name, value in self.networks.attributes(self._signed(pixels)).items()}

    def _measure_input(self, name: str) -> dict[str, float]:
        return self._measure(drawn(name))

    @torch.inference_mode()
    def _embed(self, pixels: np.ndarray) -> Tensor:
        return self.networks.embed(self._signed(pixels))

    def _embed_input(self, name: str) -> Tensor:
        return self._embed(drawn(name))

    def _signed(self, pixels: np.ndarray) -> Tensor:
        """(1, 3, h, w) in [-1, 1] of a uint8 image (h, w, 3)."""
        return torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.device).float() / 127.5 - 1

    @torch.inference_mode()
    def _teacher_cells(self, name: str, target: Tensor) -> Tensor:
        """The teacher's flow from a true edited image (1, 3, 64, 64) to the real one, in cells of its own map."""
        flow = self.teacher.head(self._maps(target), self._source_maps(name)).flow1
        return flow * (flow.shape[-1] / IMAGE_SIZE)

    def _maps(self, images: Tensor) -> Maps:
        return Maps(*self.teacher.pyramid(normalise(images.to(self.device))))

    @torch.inference_mode()
    def _maps_of_input(self, name: str) -> Maps:
        return self._maps(render(scene_of(name)))


def flow_errors(source: Scene, target: Scene, flows: Mapping[str, Tensor]) -> dict[str, float]:
    """End-point errors in pixels of flows (1, 2, h, w) in cells, over the head's points visible in both scenes."""
    truth = true_flow(source, target)
    on_head = truth.visible & (_labels(target) != STILL)
    size = (truth.flow.shape[2], truth.flow.shape[3])
    pixels = {name: cells_to_pixels(cells.cpu().float(), size) for name, cells in flows.items()}
    return {name: float(end_point_error(flow, truth.flow, on_head)) for name, flow in pixels.items()}


def _labels(scene: Scene) -> Tensor:
    return layers(View.of(scene, IMAGE_SIZE))


@lru_cache(maxsize=1)
def _nominal_changes() -> Mapping[str, float]:
    metadata = read_checkpoint(DIRECTIONS)["metadata"]
    changes: Mapping[str, float] = metadata["change_per_unit"]
    return changes


def nominal_change(attribute: str) -> float:
    """Mean measured change of an attribute on generated images, per unit of strength (degrees, or the scene's
    units).
    """
    return float(_nominal_changes()[attribute])
