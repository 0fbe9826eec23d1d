"""The world's flow teacher: a GLU-Net on images, trained on the world's exact flow.

The paper takes a released network that was trained by warp consistency, without true flow. Here true flow exists, so
the teacher is supervised by it (mean end-point error over visible points, at all four levels). Pairs are what it will
be asked about: a scene and the same scene part of the way to somebody else (as W_alpha is between W and W_r), or with
another yaw, another smile, or both. A smile moves a tenth of the head, which a mean over all points does not feel;
so the moving points of the smile pairs have a term of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bench.core.errors import UsageError
from bench.core.schema import from_table
from bench.world.render import IMAGE_SIZE, View, render
from bench.world.scene import FACE_FIELDS, Scene
from bench.world.truth import STILL, TrueFlow, edited, layers, true_flow
from methods.nets.flow.network import FlowNet, normalise
from methods.training import losses
from methods.training.bounds import Share, Weight
from methods.training.edit_figures import LEAST_MOVE, flow_figures, full_size
from methods.training.frozen import match_layout, quicken
from methods.training.grids import grid
from methods.training.optimisers import fastest
from methods.training.processes import Processes
from methods.training.recipe import Recipe
from methods.training.sample_grids import flow_colours
from methods.training.task import Context, Task
from methods.training.world import batch_of_people, prefixed, write_part
from methods.warpres.presets import WORLD_FLOW, WORLD_PYRAMID

LEVEL_WEIGHTS = {"flow4": 0.2, "flow3": 0.2, "flow2": 0.3, "flow1": 1.0}
KINDS = ("toward", "yaw", "smile", "both")
PLAIN = 0.6  # share of pairs without details, as generated images are
YAW, SMILE = 25.0, 0.8  # largest changes
HELD_OUT = (("yaw+17", "yaw", 17.0), ("smile+", "smile", 0.5), ("smile-", "smile", -0.5))


@dataclass(frozen=True)
class Options:
    """Options of the task.

    Attributes:
        toward, yaw, smile, both: Shares of the pairs: part of the way to somebody else, another yaw alone, another
            smile alone, both. They sum to 1.
        moving: Weight of the moving points' own term, on the pairs with another smile alone.
        least_move: Pixels from which on a point moves, for that term.
    """

    toward: Share = 0.3
    yaw: Share = 0.2
    smile: Share = 0.35
    both: Share = 0.15
    moving: Weight = 0.3
    least_move: Weight = 0.4

    def __post_init__(self) -> None:
        whole = sum(getattr(self, kind) for kind in KINDS)
        if abs(whole - 1) > 1e-6:
            raise UsageError(
                f"{' + '.join(KINDS)} is {whole:g}, but they are shares of all pairs", "make them sum to 1"
            )

    def counts(self, pairs: int) -> dict[str, int]:
        """How many of `pairs` are of which kind; what rounding leaves goes to the last."""
        found: dict[str, int] = {}
        for kind in KINDS[:-1]:
            found[kind] = min(round(getattr(self, kind) * pairs), pairs - sum(found.values()))
        return found | {KINDS[-1]: pairs - sum(found.values())}


def build(recipe: Recipe, context: Context) -> TeacherTask:
    """The world's flow teacher. Raises UsageError for an option that `Options` does not have."""
    return TeacherTask(recipe, from_table(Options, recipe.options, recipe.name), context)


def pairs(counts: Mapping[str, int], random: torch.Generator, split: str = "train") -> tuple[Scene, Scene]:
    """Source (unedited) and target (edited) scenes, kind after kind, on the CPU."""
    count = sum(counts.values())
    source = batch_of_people(split, count, random)
    plain = torch.rand(count, generator=random) < PLAIN
    source = Scene(torch.where(plain[:, None], source.without_details().values, source.values))
    yaw = YAW * (2 * torch.rand(count, generator=random) - 1)
    smile = SMILE * (2 * torch.rand(count, generator=random) - 1)
    targets, first = [], 0
    for kind in KINDS:
        rows = slice(first, first + counts[kind])
        targets.append(_changed(kind, Scene(source.values[rows]), yaw[rows], smile[rows], random, split))
        first = rows.stop
    return source, Scene(torch.cat(targets))


def _changed(kind: str, source: Scene, yaw: Tensor, smile: Tensor, random: torch.Generator, split: str) -> Tensor:
    if kind == "toward":
        faces = len(FACE_FIELDS)
        other = batch_of_people(split, len(source), random)
        alpha = 0.4 + 0.1 * torch.rand(len(source), 1, generator=random)
        face = source.values[:, :faces].lerp(other.values[:, :faces], alpha)
        return torch.cat([face, source.values[:, faces:]], 1)
    changed = source if kind == "smile" else edited(source, "yaw", yaw)
    return (changed if kind == "yaw" else edited(changed, "smile", smile)).values


def end_point_loss(flow: Tensor, true: Tensor, counted: Tensor, processes: Processes | None = None) -> Tensor:
    """Mean distance in pixels over counted points; flow (N, 2, h, w) in pixels of the 64-px image, truth and
    `counted` (N, 64, 64) at 64 px. Of several processes each gets its share of the global mean.

    A loss, not the column `flow_epe` (`metrics.flow.end_point_error`): the truth comes to each level's own grid, all
    images' points count alike, and the gradient is finite where the flow is exact.
    """
    processes = processes or Processes()
    size = (flow.shape[-2], flow.shape[-1])
    weight = F.adaptive_avg_pool2d(counted[:, None].float(), size)
    target = F.adaptive_avg_pool2d(true * counted[:, None], size) / weight.clamp_min(1e-3)
    distance = torch.sqrt((flow.float() - target).square().sum(1, keepdim=True) + 1e-6)
    chosen = (weight > 0.5).float()
    return (distance * chosen).sum() * processes.count / processes.total(chosen.sum()).clamp_min(1)


class TeacherTask(Task):
    """Trains a `FlowNet` whose head has the shape of WarpRes's, so that it can start from it as the paper's does."""

    def __init__(self, recipe: Recipe, options: Options, context: Context) -> None:
        self.recipe, self.options, self.context = recipe, options, context
        network = quicken(FlowNet(WORLD_FLOW, WORLD_PYRAMID))
        self.network = network.to(context.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules: dict[str, nn.Module] = {"network": self.network}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "network": torch.optim.AdamW(
                self.network.parameters(),
                lr=recipe.rate,
                betas=recipe.betas,
                weight_decay=1e-4,
                **fastest(context.device),
            )
        }

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step on pairs of scenes with their true flow; gradients are clipped to length 5."""
        self.network.train()
        counts = self.options.counts(self.recipe.batch)
        smiles = torch.zeros(self.recipe.batch, dtype=torch.bool)
        first = counts["toward"] + counts["yaw"]
        smiles[first : first + counts["smile"]] = True
        source, target = (self._part(scene) for scene in pairs(counts, random))
        smiles = self.context.processes.part(smiles).to(self.context.device)
        terms = self._terms(source, target, smiles)
        self.optimisers["network"].zero_grad(set_to_none=True)
        losses.total(terms).backward()
        match_layout(self.network.parameters())
        self.context.processes.average(self.network)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimisers["network"].step()
        return {name: term.detach() for name, term in terms.items()}

    def _part(self, scene: Scene) -> Scene:
        return Scene(self.context.processes.part(scene.values).to(self.context.device))

    def _terms(self, source: Scene, target: Scene, smiles: Tensor) -> dict[str, Tensor]:
        truth = true_flow(source, target)
        flows = self.network(*self._images(source, target))
        moving = truth.visible & smiles[:, None, None] & (truth.flow.square().sum(1) > self.options.least_move**2)
        terms = {}
        for name, weight in LEVEL_WEIGHTS.items():
            flow = getattr(flows, name)
            terms[name] = weight * end_point_loss(flow, truth.flow, truth.visible, self.context.processes)
            if self.options.moving:
                own = end_point_loss(flow, truth.flow, moving, self.context.processes)
                terms[f"{name}_moving"] = self.options.moving * weight * own
        return terms

    def _images(self, source: Scene, target: Scene) -> tuple[Tensor, Tensor]:
        images = normalise(render(Scene(torch.cat([target.values, source.values]))))
        target_images, source_images = images.contiguous(memory_format=torch.channels_last).chunk(2)
        return target_images, source_images

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """On held-out people (val): end-point error in pixels on mixed pairs with that of zero flow beside it; on one
        edit at a time, with details and without, over the head, over moving points, and the slope there.
        """
        self.network.eval()
        source, target = pairs(Options().counts(96), torch.Generator().manual_seed(0), "val")
        truth, flow = self._estimated(source, target)
        found = {
            "epe_px": float(end_point_loss(flow, truth.flow, truth.visible)),
            "epe_px_of_zero": float(end_point_loss(torch.zeros_like(truth.flow), truth.flow, truth.visible)),
        }
        people = batch_of_people("val", 64, torch.Generator().manual_seed(5))
        for which, scene in (("", people), ("_plain", people.without_details())):
            for name, attribute, change in HELD_OUT:
                figures = self._figures(scene, edited(scene, attribute, change))
                found |= {f"{name}{which}/{key}": value for key, value in figures.items()}
        return {name: round(value, 4) for name, value in found.items()}

    def _estimated(self, source: Scene, target: Scene) -> tuple[TrueFlow, Tensor]:
        source, target = (Scene(scene.values.to(self.context.device)) for scene in (source, target))
        return true_flow(source, target), full_size(self.network(*self._images(source, target)).flow1)

    def _figures(self, source: Scene, target: Scene) -> dict[str, float]:
        truth, flow = self._estimated(source, target)
        scene = Scene(target.values.to(self.context.device))
        head = truth.visible & (layers(View.of(scene, IMAGE_SIZE)) != STILL)
        moving = head & (truth.flow.square().sum(1) > LEAST_MOVE**2)
        error = (flow - truth.flow).square().sum(1).sqrt()
        return {"flow_epe": float(error[head].mean()), **flow_figures(flow, truth.flow, moving)}

    @torch.no_grad()
    def samples(self) -> Mapping[str, Tensor]:
        """Held-out pairs of a smile and of a turn: source, target, true flow, the teacher's."""
        self.network.eval()
        people = Scene(batch_of_people("val", 4, torch.Generator().manual_seed(5)).values)
        source = Scene(torch.cat([people.values, people.values]))
        changed = [edited(people, "smile", 0.5).values, edited(people, "yaw", 17.0).values]
        target = Scene(torch.cat(changed))
        truth, flow = self._estimated(source, target)
        shown = flow_colours(truth.flow * truth.visible[:, None]), flow_colours(flow)
        return {"pairs": grid(render(source), render(target), *shown)}

    def exported(self) -> Mapping[str, nn.Module]:
        """Flow head and image pyramid."""
        return {"teacher.": self.network}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Writes what `exported` names."""
        write_part(path, "teacher", self.network.config, prefixed(self.exported()), provenance, self.check())
