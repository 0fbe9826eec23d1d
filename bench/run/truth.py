"""What only a world with truth can say of an edited image: how far the edit went, what the true edit looks like, and
how well a flow follows the true one.

There are two true edits. The *asked* one is the same for every method: the person with the attribute changed as much
as the generator itself changes at this strength (`bench.world.asked`). The *achieved* one has the change that this
very output shows by the regressor, on pixels, against the real input. A method that does not do what it was asked
loses in the first and not in the second.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import file_digest, read_checkpoint, state_dict_of
from bench.core.contract import Direction, EditPass, ImageRecord
from bench.core.digest import code_of
from bench.core.observer import Observation, Output
from bench.world.asked import FILE as ASKED
from bench.world.asked import load_asked
from bench.world.dataset import scene_of
from bench.world.networks import WEIGHTS, WorldNetworks, load_world_networks
from bench.world.render import IMAGE_SIZE, View, render, to_uint8
from bench.world.scene import Scene
from bench.world.truth import STILL, edited, layers, true_flow
from metrics.flow import cells_to_pixels, flow_columns

DIRECTIONS = WEIGHTS / "directions.safetensors"
ATTRIBUTE_OF = {"smile": "smile", "pose": "yaw", "age": "age"}
# Of people who start near the end of the generator's range next to nothing is asked, and a share of that would be
# noise: the column `share` leaves out those of whom less than this is asked, in the attribute's unit.
_LEAST_ASKED = {"smile": 0.2, "yaw": 6.0, "age": 0.1}
_REMEMBERED = 4096


def observers(device: str = "cpu") -> Sequence[TruthObserver]:
    """The world's observers for `bench.plan.build`."""
    return (TruthObserver(load_world_networks(device=device), device),)


def attribute_of(edit: EditPass) -> str | None:
    """The scene field an edit is about ("yaw" for pose+), or None."""
    return None if edit.direction is None else ATTRIBUTE_OF.get(edit.direction.name)


def asked_change(image: ImageRecord, edit: EditPass) -> float | None:
    """Change that an edit asks of a person, in the attribute's unit; None for a direction that is not the world's
    own."""
    attribute = attribute_of(edit)
    if attribute is None or edit.direction is None or not _is_shipped(edit.direction, attribute):
        return None
    start = float(scene_of(image.name)[attribute])
    return load_asked()(attribute, start, edit.asked_strength)


class TruthObserver:
    """Columns achieved, share (of the asked change), leak and, of methods that announce a flow, its errors
    (`metrics.flow.flow_columns`) against the true flow at the change achieved; and both true edits.
    """

    def __init__(self, networks: WorldNetworks, device: str = "cpu") -> None:
        self.networks, self.device = networks, device
        files = [file_digest(path) for path in (WEIGHTS / "judges.safetensors", DIRECTIONS, WEIGHTS / ASKED)]
        self.digest = hashlib.sha256("".join([code_of(self), *files]).encode()).hexdigest()
        self._before: dict[str, dict[str, float]] = {}

    def knows(self, edit: EditPass) -> bool:
        """Whether the world knows the true image of an edit."""
        attribute = attribute_of(edit)
        return attribute is not None and edit.direction is not None and _is_shipped(edit.direction, attribute)

    def observe(self, outputs: Sequence[Output | None]) -> Sequence[Observation]:
        """Measure what one call made, see `bench.core.observer.Observer`."""
        known = [output if output is not None and attribute_of(output.edit) else None for output in outputs]
        if not any(known):
            return [Observation()] * len(outputs)
        self._remember_inputs(known)
        after = self._measured([None if output is None else output.pixels for output in known])
        changes = [
            None
            if output is None
            else {name: now[name] - before for name, before in self._before[output.image.name].items()}
            for output, now in zip(known, after, strict=True)
        ]
        targets = [
            None if output is None or change is None else _edited(output.image, output.edit, change[_attribute(output)])
            for output, change in zip(known, changes, strict=True)
        ]
        truths = _drawn(targets)
        flows = _flows(known, targets)
        return [
            Observation()
            if output is None or change is None
            else Observation(_changes(output, change) | flow, truth=truth)
            for output, change, truth, flow in zip(known, changes, truths, flows, strict=True)
        ]

    def asked(self, edits: Sequence[tuple[ImageRecord, EditPass] | None]) -> Sequence[np.ndarray | None]:
        """The true images that edits ask for, uint8 (h, w, 3); None for each that is none or not known."""
        return _drawn([None if each is None else _asked(*each) for each in edits])

    def asked_strength(self, edit: EditPass, images: Sequence[ImageRecord], change: float) -> float | None:
        """The strength at which the true edit changes the attribute by `change`; None where it is not known."""
        attribute = attribute_of(edit)
        if attribute is None or not self.knows(edit):
            return None
        starts = np.array([float(scene_of(image.name)[attribute]) for image in images])
        return load_asked().strength_of(attribute, starts, change)

    def asked_flow(self, image: ImageRecord, edit: EditPass) -> np.ndarray | None:
        """True flow (2, 32, 32) in cells of a 32-cell grid, zero where the point is hidden."""
        target = _asked(image, edit)
        if target is None:
            return None
        found = true_flow(scene_of(image.name), target)
        flow = found.flow * found.visible[:, None]
        return F.avg_pool2d(flow, 2)[0].div(2).numpy()

    def _remember_inputs(self, outputs: Sequence[Output | None]) -> None:
        if len(self._before) > _REMEMBERED:
            self._before.clear()
        new = [output if output is not None and output.image.name not in self._before else None for output in outputs]
        if any(new):
            measured = self._measured([None if output is None else output.original for output in new])
            self._before.update(
                {o.image.name: values for o, values in zip(new, measured, strict=True) if o is not None}
            )

    @torch.inference_mode()
    def _measured(self, pixels: Sequence[np.ndarray | None]) -> list[dict[str, float]]:
        """Measured attributes of uint8 images (h, w, 3), all in one batch; blanks at empty places."""
        blank = np.zeros_like(next(image for image in pixels if image is not None))
        batch = torch.from_numpy(np.stack([blank if image is None else image for image in pixels]))
        found = self.networks.attributes(batch.permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1)
        lists = {name: values.tolist() for name, values in found.items()}
        return [{name: values[at] for name, values in lists.items()} for at in range(len(pixels))]


def _attribute(output: Output) -> str:
    attribute = attribute_of(output.edit)
    assert attribute is not None
    return attribute


def _edited(image: ImageRecord, edit: EditPass, change: float) -> Scene:
    attribute = attribute_of(edit)
    assert attribute is not None
    return edited(scene_of(image.name), attribute, change)


def _asked(image: ImageRecord, edit: EditPass) -> Scene | None:
    change = asked_change(image, edit)
    return None if change is None else _edited(image, edit, change)


def _changes(output: Output, change: Mapping[str, float]) -> dict[str, float]:
    attribute = _attribute(output)
    values = {"achieved": change[attribute]}
    values |= {f"leak_{name}": abs(value) for name, value in change.items() if name != attribute}
    asked = asked_change(output.image, output.edit)
    if asked is not None and abs(asked) >= _LEAST_ASKED[attribute]:
        values["share"] = change[attribute] / asked
    return values


def _drawn(scenes: Sequence[Scene | None]) -> list[np.ndarray | None]:
    """Pixels uint8 (64, 64, 3) of the scenes that are there, each drawn at its place of one batch."""
    there = [scene for scene in scenes if scene is not None]
    if not there:
        return [None] * len(scenes)
    batch = Scene(torch.cat([(there[0] if scene is None else scene).values for scene in scenes]))
    pixels = to_uint8(render(batch)).numpy()
    return [None if scene is None else image for scene, image in zip(scenes, pixels, strict=True)]


def _flows(outputs: Sequence[Output | None], targets: Sequence[Scene | None]) -> list[dict[str, float]]:
    """The flow columns of each output that has a flow."""
    found: list[dict[str, float]] = [{} for _ in outputs]
    cells = {
        at: (output.announced["flow"], output.image, target)
        for at, (output, target) in enumerate(zip(outputs, targets, strict=True))
        if output is not None and target is not None and "flow" in output.announced
    }
    if cells:
        flows = torch.from_numpy(np.stack([flow for flow, _, _ in cells.values()]))
        source = Scene(torch.cat([scene_of(image.name).values for _, image, _ in cells.values()]))
        target = Scene(torch.cat([scene.values for _, _, scene in cells.values()]))
        for at, values in zip(cells, flow_errors(source, target, flows), strict=True):
            found[at] = values
    return found


def flow_errors(source: Scene, target: Scene, cells: Tensor) -> list[dict[str, float]]:
    """The flow columns of flows (N, 2, h, w) in cells, over the head's points visible in both scenes."""
    truth = true_flow(source, target)
    on_head = truth.visible & (layers(View.of(target, IMAGE_SIZE)) != STILL)
    pixels = cells_to_pixels(cells.cpu().float(), (IMAGE_SIZE, IMAGE_SIZE))
    return flow_columns(pixels, truth.flow, on_head)


@lru_cache(maxsize=1)
def _shipped_directions() -> Mapping[str, Tensor]:
    return state_dict_of(read_checkpoint(DIRECTIONS))


def _is_shipped(direction: Direction, attribute: str) -> bool:
    """Whether the direction is the world's own, all rows alike: the asked changes were measured with these."""
    shipped = _shipped_directions()[attribute]
    same = direction.rule == "add" and direction.vector.shape[-1] == len(shipped)
    return same and bool(torch.allclose(direction.vector.cpu(), shipped.expand_as(direction.vector)))
