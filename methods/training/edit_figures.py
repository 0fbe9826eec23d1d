"""What a method does to validation people, while it is trained: reconstruction, edits against the truth, the flow.

The judges of the world measure, as in the bench; they never see the test people here, and no loss sees them. An edit
is asked of the codes by its direction at the cards' strength; its truth is the same scene with the attribute changed
by as much as that strength changes generated images ("asked" truth, one for all methods).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.contract import Method
from bench.core.metadata import read_metadata
from bench.world.directions import ATTRIBUTES
from bench.world.networks import WEIGHTS, load_world_networks
from bench.world.render import IMAGE_SIZE, View, render
from bench.world.scene import Scene
from bench.world.splits import people
from bench.world.truth import STILL, edited, layers, true_flow

STRENGTH = 3.0
LEAST_MOVE = 0.5  # pixels: what moves less is no moving point
CHUNK = 50

Render = Callable[[Tensor | None], Tensor]
Invert = Callable[[Tensor], Render]


def psnr(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of images (N, 3, h, w) in [-1, 1], per image (N,); made ones are clamped."""
    return -10 * torch.log10(((first.clamp(-1, 1) - second) / 2).square().mean((1, 2, 3)))


def invert_by(method: Method) -> Invert:
    """A method of the bench as `EditFigures` asks it."""

    def invert(images: Tensor) -> Render:
        inversion = method.invert(images)
        return lambda delta: method.edit(inversion, None if delta is None else delta.expand(method.latent_rows, -1))

    return invert


@dataclass(frozen=True)
class TrueEdit:
    """One edit of some of the people.

    Attributes:
        name: "pose+", "pose-", "smile+", "smile-".
        attribute: What it changes.
        delta: Its direction times its strength, (D,).
        rows: Which people: a smile is put on those without one, and taken from the others.
        asked: The change of the attribute that is asked for.
        truth: Images (R, 3, 64, 64) in [-1, 1] of the people so changed.
        embedding: Theirs, (R, 128).
        flow: True flow (R, 2, 64, 64) in pixels from the changed to the real image.
        moving: Points of the head, seen in both, that move (R, 64, 64).
    """

    name: str
    attribute: str
    delta: Tensor
    rows: Tensor
    asked: float
    truth: Tensor
    embedding: Tensor
    flow: Tensor
    moving: Tensor


class EditFigures:
    """Held-out people of a split with their true edits, rendered once.

    Args:
        device: Where images, judges and methods are.
        count: People, the first of the split (half of them smile).
    """

    def __init__(self, device: torch.device | str = "cpu", count: int = 48, split: str = "val") -> None:
        self.device = torch.device(device)
        self.evaluators = load_world_networks(device=self.device)
        self.scenes = Scene(people(split).values[:count])
        self.images = render(self.scenes).to(self.device)
        with torch.no_grad():
            self._before = self.evaluators.attributes(self.images)
            self._embedding = self.evaluators.embed(self.images)
        smiling = self.scenes["smile"] > 0.35
        everyone = torch.arange(count)
        self.edits = (
            self._edit("pose+", "yaw", STRENGTH, everyone),
            self._edit("pose-", "yaw", -STRENGTH, everyone),
            self._edit("smile+", "smile", STRENGTH, everyone[~smiling]),
            self._edit("smile-", "smile", -STRENGTH, everyone[smiling]),
        )

    def _edit(self, name: str, attribute: str, strength: float, rows: Tensor) -> TrueEdit:
        file = WEIGHTS / "directions.safetensors"
        asked = strength * read_metadata(file)["change_per_unit"][attribute]
        assert attribute in ATTRIBUTES
        source = Scene(self.scenes.values[rows])
        target = edited(source, attribute, asked)
        found = true_flow(source, target)
        length = found.flow.square().sum(1).sqrt()
        moving = found.visible & (layers(View.of(target, IMAGE_SIZE)) != STILL) & (length > LEAST_MOVE)
        truth = render(target).to(self.device)
        with torch.no_grad():
            embedding = self.evaluators.embed(truth)
        delta = (strength * state_dict_of(read_checkpoint(file))[attribute].float()).to(self.device)
        flow, moving = found.flow.to(self.device), moving.to(self.device)
        return TrueEdit(name, attribute, delta, rows.to(self.device), asked, truth, embedding, flow, moving)

    @torch.no_grad()
    def measure(self, invert: Invert) -> dict[str, float]:
        """Figures of a method.

        Args:
            invert: Takes images (n, 3, 64, 64) in [-1, 1], gives a function of a change of the codes ((D,) or None)
                that gives images (n, 3, 64, 64).

        Returns:
            `psnr` and `id` of the reconstruction; per edit the kept share of the change asked for, PSNR and identity
            to the asked truth; `asked_psnr`, the mean of the five PSNRs, by which recipes are chosen.
        """
        renders = [invert(part) for part in self.images.split(CHUNK)]
        made = torch.cat([render_(None) for render_ in renders]).float()
        figures = {
            "psnr": float(psnr(made, self.images).mean()),
            "mse": float((made.clamp(-1, 1) - self.images).square().mean()),
            "id": float((self.evaluators.embed(made.clamp(-1, 1)) * self._embedding).sum(1).mean()),
        }
        for edit in self.edits:
            made = torch.cat([render_(edit.delta) for render_ in renders]).float()[edit.rows].clamp(-1, 1)
            figures |= {f"{edit.name}/{key}": value for key, value in self._compare(edit, made).items()}
        scores = [figures["psnr"], *(figures[f"{edit.name}/psnr_asked"] for edit in self.edits)]
        figures["asked_psnr"] = sum(scores) / len(scores)
        return {name: round(value, 5) for name, value in figures.items()}

    def _compare(self, edit: TrueEdit, made: Tensor) -> dict[str, float]:
        change = self.evaluators.attributes(made)[edit.attribute] - self._before[edit.attribute][edit.rows]
        return {
            "kept": float(change.mean()) / edit.asked,
            "psnr_asked": float(psnr(made, edit.truth).mean()),
            "id_asked": float((self.evaluators.embed(made) * edit.embedding).sum(1).mean()),
        }

    @torch.no_grad()
    def measure_flow(self, flow_of: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
        """Figures of a flow.

        Args:
            flow_of: Takes images (n, 3, 64, 64) and a change of the codes (D,), gives the flow from the edited to
                the unedited image in pixels, (n, 2, h, w) on any grid.

        Returns:
            Per edit the mean end-point error in pixels over moving points and the slope (how much of the true flow is
            there; 1 is all of it); `flow_without_edit` in pixels.
        """
        figures: dict[str, float] = {}
        for edit in self.edits:
            parts = [flow_of(part, edit.delta) for part in self.images.split(CHUNK)]
            flow = full_size(torch.cat(parts)[edit.rows])
            figures |= {
                f"{edit.name}/{key}": value for key, value in flow_figures(flow, edit.flow, edit.moving).items()
            }
        nothing = torch.zeros_like(self.edits[0].delta)
        still = torch.cat([flow_of(part, nothing) for part in self.images.split(CHUNK)])
        figures["flow_without_edit"] = float(still.square().sum(1).sqrt().mean())
        return {name: round(value, 5) for name, value in figures.items()}


def full_size(flow: Tensor) -> Tensor:
    """A flow (N, 2, h, w) in pixels on the image's own grid."""
    return F.interpolate(flow.float(), size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)


def flow_figures(flow: Tensor, truth: Tensor, moving: Tensor) -> Mapping[str, float]:
    """Mean end-point error over moving points, and the slope of the flow on the true one there.

    Args:
        flow, truth: (N, 2, h, w) in pixels.
        moving: bool (N, h, w).
    """
    weight = moving[:, None].float()
    error = ((flow - truth).square().sum(1, keepdim=True).sqrt() * weight).sum() / weight.sum().clamp_min(1)
    slope = (flow * truth * weight).sum() / (truth.square() * weight).sum().clamp_min(1e-6)
    return {"flow_epe_moving": float(error), "flow_slope": float(slope)}
