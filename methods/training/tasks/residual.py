"""StyleRes and WarpRes on the world's e4e: the paper's two paths and losses, Eq. 4-9 ("warpres" card 4).

One task for both, so that what differs is the flow and nothing else. What the recipe can switch: `model` (styleres or
warpres), every loss weight (0 leaves the term out), `flow_from_teacher` (start the flow head at the teacher's),
`start` (E_1 and E_2 of an earlier training), `adversarial_every` and `r1_every`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.checkpoint import load_strict, read_checkpoint, state_dict_of, take
from bench.world.flow_teacher import load_flow_teacher
from bench.world.networks import load_critics
from methods.nets.flow.network import normalise
from methods.nets.stylegan2 import Discriminator
from methods.styleres.pipeline import Prepared, Rendered, StyleRes
from methods.training import losses
from methods.training.paths import Base, SimulatedEdit, cycle_pass, first_pass, simulate_edit
from methods.training.recipe import Recipe
from methods.training.task import Context, Task
from methods.training.world import (
    DISCRIMINATOR,
    find,
    images_of_people,
    load_encoder,
    load_generator,
    prefixed,
    write_part,
)
from methods.warpres.network import WarpRes
from methods.warpres.presets import WORLD_STYLERES, WORLD_WARPRES


def build(recipe: Recipe, context: Context) -> ResidualTask:
    return ResidualTask(recipe, context)


class ResidualTask(Task):
    """Trains a `StyleRes` or `WarpRes` and, along with it, the discriminator."""

    def __init__(self, recipe: Recipe, context: Context) -> None:
        self.recipe, self.context, options, runs = recipe, context, recipe.options, context.runs
        self.weights, self.cycle_weights = options["weights"], options["cycle"]
        generator, average = load_generator(runs)
        self.base = Base(load_encoder(runs), average, generator)
        self.critics = losses.Critics(*load_critics(find("critics.safetensors", runs)))
        self.flows = options["model"] == "warpres"
        self.model: StyleRes = WarpRes(WORLD_WARPRES) if self.flows else StyleRes(WORLD_STYLERES)
        self.teacher = load_flow_teacher(find("teacher.safetensors", runs)) if self.flows else None
        self.discriminator = Discriminator(DISCRIMINATOR)
        tensors = state_dict_of(read_checkpoint(find("discriminator.safetensors", runs)))
        load_strict(self.discriminator, take(tensors, "discriminator."), "discriminator.safetensors")
        self._start_from(runs)
        self.modules: dict[str, nn.Module] = {"model": self.model, "discriminator": self.discriminator}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": torch.optim.Adam(self.model.parameters(), lr=recipe.rate, betas=recipe.betas),
            "discriminator": torch.optim.Adam(
                [
                    {
                        "params": list(self.discriminator.parameters()),
                        "rate_factor": options["discriminator_rate_factor"],
                    }
                ],
                lr=recipe.rate,
                betas=recipe.betas,
            ),
        }

    def _start_from(self, runs: Path) -> None:
        """E_1 and E_2 of an earlier training, and the flow head of the teacher, as the recipe says."""
        start = self.recipe.options.get("start")
        if start:
            tensors = take(state_dict_of(read_checkpoint(find(start, runs))), "styleres.")
            load_strict(self.model.extractor, take(tensors, "extractor."), start)
            load_strict(self.model.injector, take(tensors, "injector."), start)
        if self.flows and self.recipe.options["flow_from_teacher"]:
            assert isinstance(self.model, WarpRes) and self.teacher is not None
            load_strict(self.model.head, self.teacher.head.state_dict(), "the teacher's head")

    # --- one step

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        self.model.train()
        real = images_of_people("train", self.recipe.batch, random)
        codes, taps = self.base.encode(real)
        edit = simulate_edit(self.base, codes, random)
        if step < self.recipe.options.get("flow_warm_up_steps", 0):
            parts = {"flow": self.weights["flow"] * self._warm_up(codes, edit)}
            self._update(parts)
            return {name: value.detach() for name, value in parts.items()}
        _, rendered = first_pass(self.model, self.base, codes, taps, edit)
        with torch.no_grad():
            features, identity = self.critics.features(real), self.critics.embed(real)
        parts = self._first_losses(real, features, identity, codes, edit, rendered)
        if any(self.cycle_weights.values()):
            again = cycle_pass(self.model, self.base, rendered.image, edit).image
            parts |= self._cycle_losses(again, real, features, identity)
        self._update(parts)
        shown = {name: value.detach() for name, value in parts.items()}
        if self.weights["adversarial"] and step % self.recipe.options["adversarial_every"] == 0:
            shown["discriminator"] = self._step_discriminator(step, real, rendered.image.detach())
        return shown

    def _first_losses(
        self,
        real: Tensor,
        features: list[Tensor],
        identity: Tensor,
        codes: Tensor,
        edit: SimulatedEdit,
        rendered: Rendered,
    ) -> dict[str, Tensor]:
        """Reconstruction terms where nothing was edited, the rest everywhere."""
        weights, made = self.weights, rendered.image
        still = (~edit.edited).float()
        share = still / still.sum().clamp_min(1)
        perceptual = losses.perceptual_loss(self.critics.features(made), features)
        parts = {
            "l2": weights["l2"] * (losses.pixel_loss(made, real) * share).sum(),
            "perceptual": weights["perceptual"] * (perceptual * share).sum(),
            "identity": weights["identity"] * (losses.identity_loss(self.critics.embed(made), identity) * share).sum(),
            "regulariser": weights["regulariser"] * losses.regulariser(rendered.addition).mean(),
        }
        if weights["adversarial"]:
            self.discriminator.requires_grad_(False)
            logits = self.discriminator(made)
            self.discriminator.requires_grad_(True)
            parts["adversarial"] = weights["adversarial"] * losses.generator_adversarial(logits).mean()
        if self.flows and weights["flow"]:
            assert rendered.cells is not None
            target = self._teacher_cells(codes, edit)
            parts["flow"] = weights["flow"] * losses.flow_loss(rendered.cells, target).mean()
        return parts

    def _cycle_losses(self, again: Tensor, real: Tensor, features: list[Tensor], identity: Tensor) -> dict[str, Tensor]:
        weights = self.cycle_weights
        return {
            "cycle_l2": weights["l2"] * losses.pixel_loss(again, real).mean(),
            "cycle_perceptual": weights["perceptual"]
            * losses.perceptual_loss(self.critics.features(again), features).mean(),
            "cycle_identity": weights["identity"] * losses.identity_loss(self.critics.embed(again), identity).mean(),
        }

    def _warm_up(self, codes: Tensor, edit: SimulatedEdit) -> Tensor:
        """The flow alone, before E_1 and E_2 see it: random adapters would make the teacher's head meaningless."""
        model = self.model
        with torch.no_grad():
            prefix = model.prefix(self.base.generator, codes)
            target = model.prefix(self.base.generator, codes + edit.delta)
        source = model.flow_maps(self.base.generator, codes, prefix)
        prepared = Prepared(codes, prefix.state.x, prefix, source)
        cells = model.flow(self.base.generator, prepared, codes + edit.delta, target)
        assert cells is not None
        return losses.flow_loss(cells, self._teacher_cells(codes, edit)).mean()

    @torch.no_grad()
    def _teacher_cells(self, codes: Tensor, edit: SimulatedEdit) -> Tensor:
        """The teacher's flow between the images without residuals, in cells; zero where nothing was edited."""
        assert self.teacher is not None and isinstance(self.model, WarpRes)
        target = self.base.generator(codes + edit.delta).clamp(-1, 1)
        source = self.base.generator(codes).clamp(-1, 1)
        flow = self.teacher(normalise(target), normalise(source)).flow1
        return self.model.cells(flow) * edit.edited[:, None, None, None]

    def _update(self, parts: Mapping[str, Tensor]) -> None:
        self.optimisers["model"].zero_grad(set_to_none=True)
        torch.stack(list(parts.values())).sum().backward()
        self.context.processes.average(self.model)
        nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.options["clip"])
        self.optimisers["model"].step()

    def _step_discriminator(self, step: int, real: Tensor, made: Tensor) -> Tensor:
        """One fake per real; the fake is the step's own first-pass image, which saves a forward pass."""
        loss = losses.discriminator_loss(self.discriminator(real), self.discriminator(made))
        every = self.recipe.options["r1_every"]
        if every and step % every == 0:
            loss = loss + every * losses.r1_penalty(self.discriminator, real, self.recipe.options["r1_gamma"])
        self.optimisers["discriminator"].zero_grad(set_to_none=True)
        loss.backward()
        self.context.processes.average(self.discriminator)
        self.optimisers["discriminator"].step()
        return loss.detach()

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """Held-out people (val): reconstruction error, and the flow's distance to the teacher in cells."""
        self.model.eval()
        random = torch.Generator().manual_seed(0)
        real = images_of_people("val", 48, random)
        codes, taps = self.base.encode(real)
        nothing = SimulatedEdit(torch.zeros_like(codes), torch.zeros(len(codes), dtype=torch.bool))
        _, rendered = first_pass(self.model, self.base, codes, taps, nothing)
        found = {"mse": float(losses.pixel_loss(rendered.image.clamp(-1, 1), real).mean())}
        if self.flows:
            edit = simulate_edit(self.base, codes, random, share=1.0)
            _, moved = first_pass(self.model, self.base, codes, taps, edit)
            target = self._teacher_cells(codes, edit)
            assert moved.cells is not None
            found["flow_to_teacher_cells"] = float((moved.cells - target).square().sum(1).sqrt().mean())
            found["teacher_flow_cells"] = float(target.square().sum(1).sqrt().mean())
        return {name: round(value, 5) for name, value in found.items()}

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        part = "warpres" if self.flows else "styleres"
        write_part(path, part, self.model.config, prefixed(f"{part}.", self.model), provenance, self.check())
