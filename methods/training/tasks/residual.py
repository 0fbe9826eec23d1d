"""StyleRes and WarpRes on a base encoder of the world: the paper's two paths and losses, Eq. 4-9 ("warpres" card 4).

One task for both, so that what differs is the flow and nothing else. Of a batch the share `edited` takes the path of
simulated edits, the rest is reconstructed; the second pass runs on the edited samples. What is not in the paper is off
by default: `weights.w_consistency`, `weights.flow_moving`, `along_smile`. For its small networks the world also leaves
the group's order and pace: the discriminator steps after E_1 and E_2, on their images, and the costly terms join
every few steps at as many times their weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.core.checkpoint import read_checkpoint, state_dict_of
from bench.core.schema import from_table
from bench.world.networks import WEIGHTS
from methods.nets.flow.glunet import Maps
from methods.training import losses
from methods.training.bases import parts_of
from methods.training.bounds import check_groups
from methods.training.edit_figures import EditFigures, Render
from methods.training.frozen import FastDiscriminator, match_layout
from methods.training.optimisers import fastest
from methods.training.paths import Passes, as_targets, edited_codes, simulated_edit
from methods.training.people import People
from methods.training.recipe import Recipe
from methods.training.residual.networks import (
    flow_parts,
    load_discriminator,
    load_networks,
    new_model,
    trained_parameters,
)
from methods.training.residual.options import Options
from methods.training.residual.terms import (
    Real,
    Terms,
    adversarial_term,
    cycle_terms,
    flow_terms,
    gradient_shares,
    reconstruction_terms,
    regulariser_term,
    teacher_cells,
)
from methods.training.sample_grids import edit_grid
from methods.training.task import Context, Task
from methods.training.world import prefixed, write_part
from methods.warpres.network import WarpRes

__all__ = ["Options", "ResidualTask", "build"]

SHARES_EVERY = 200  # steps between two looks at the gradients' shares


def build(recipe: Recipe, context: Context) -> ResidualTask:
    """StyleRes or WarpRes on the world. Raises UsageError for an option that `Options` does not have."""
    return ResidualTask(recipe, context)


class ResidualTask(Task):
    """Trains a `StyleRes` or `WarpRes` and, along with it, the discriminator."""

    def __init__(self, recipe: Recipe, context: Context) -> None:
        self.recipe, self.context = recipe, context
        self.options = from_table(Options, recipe.options, recipe.name)
        self.edited = round(recipe.batch * self.options.edited)
        context.processes.size_of_part(self.edited, "an edited part of the batch")
        self.dtype = torch.bfloat16 if recipe.bfloat16 else torch.float32
        self.networks = load_networks(self.options, context, self.dtype)
        self.model = new_model(self.options, context)
        self.passes = Passes(self.model, self.networks.base)
        self.people = People("train", context.device, context.runs)
        direction = state_dict_of(read_checkpoint(WEIGHTS / "directions.safetensors"))["smile"]
        self.smile = direction.float().to(context.device)
        self.modules: dict[str, nn.Module] = {"model": self.model}
        self.optimisers: dict[str, torch.optim.Optimizer] = {
            "model": self._adam(trained_parameters(self.model, self.options))
        }
        self.adversary: FastDiscriminator | None = None
        if self.options.train == "all" and self.options.weights.adversarial:
            self._add_discriminator()
        self._figures: EditFigures | None = None
        self._checked: Mapping[str, float] | None = None  # the figures, until the next step

    def _adam(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        own = fastest(self.context.device)
        return torch.optim.Adam(groups, lr=self.recipe.rate, betas=self.recipe.betas, **own)

    def _add_discriminator(self) -> None:
        check_groups(self.context.processes.size_of_part(self.recipe.batch))
        discriminator = load_discriminator(self.context)
        self.adversary = FastDiscriminator(discriminator, self.dtype)
        self.modules["discriminator"] = discriminator
        factor = self.options.discriminator_rate_factor
        self.optimisers["discriminator"] = self._adam(
            [{"params": list(discriminator.parameters()), "rate_factor": factor}]
        )

    # --- one step

    def step(self, step: int, random: torch.Generator) -> Mapping[str, Tensor]:
        """One step of the flow alone, or of everything; the discriminator learns every few steps, after it."""
        self._checked = None
        with torch.autocast(self.context.device.type, enabled=False):
            self.model.train()
            if self.options.flow_source == "pictures":
                for part in flow_parts(self.model).values():
                    part.eval()
            images = self.people.draw(self.recipe.batch, random, self.context.processes)
            codes, taps = self.networks.base.encoder.encode(images)
            delta = self._edits(codes, random)
            if self.options.train == "flow":
                return self._step_flow(codes, delta)
            return self._step_all(step, images, codes, taps[self.model.config.base_tap], delta)

    def _edits(self, codes: Tensor, random: torch.Generator) -> Tensor:
        """Edits (E, L, D) of the first samples of this process's batch, drawn for the global one."""
        options, processes, device = self.options, self.context.processes, codes.device
        count, low, high = self.edited, *options.alpha
        noise = torch.randn(count, codes.shape[-1], generator=random)
        amount = low + (high - low) * torch.rand(count, generator=random)
        strength = options.smile_strength * (2 * torch.rand(count, generator=random) - 1)
        smiling = torch.arange(count) < round(count * options.along_smile)
        noise, amount, strength, smiling = (
            processes.part(value).to(device, non_blocking=True) for value in (noise, amount, strength, smiling)
        )
        with torch.no_grad():
            delta = simulated_edit(self.networks.base, codes[: len(noise)], noise, amount)
            along = (strength[:, None] * self.smile)[:, None].expand_as(delta)
            return torch.where(smiling[:, None, None], along, delta)

    def _step_flow(self, codes: Tensor, delta: Tensor) -> Terms:
        stand = self.passes.stand(edited_codes(codes, delta))
        cells = self.passes.cells(stand, len(delta))
        assert cells is not None and self.networks.teacher is not None
        taught = teacher_cells(self.networks.teacher, self.passes, stand, len(delta))
        terms = flow_terms(cells, taught, self.options, self.context.processes)
        self._update(terms)
        return {name: term.detach() for name, term in terms.items()}

    def _step_all(self, step: int, images: Tensor, codes: Tensor, base: Tensor, delta: Tensor) -> Terms:
        options, edited = self.options, len(delta)
        self.passes.pull()
        cycle = edited > 0 and step % options.cycle_every == 0
        cycled = any(asdict(options.cycle).values())
        real = Real.of(as_targets(images, edited), edited, self.networks.critics, options, cycle=cycle and cycled)
        stand = self.passes.stand(edited_codes(codes, delta))
        cells = self.passes.cells(stand, edited)
        rendered = self.passes.finish(stand, base, edited, cells)
        made = rendered.image
        terms = reconstruction_terms(real, made[: real.still], self.networks.critics, options)
        if options.weights.regulariser:
            terms["regulariser"] = regulariser_term(rendered, options)
        if self.networks.teacher is not None and cells is not None:
            taught = teacher_cells(self.networks.teacher, self.passes, stand, edited)
            terms |= flow_terms(cells, taught, options, self.context.processes)
        if self.adversary is not None and step % options.adversarial_every == 0:
            terms["adversarial"] = adversarial_term(made, self.adversary, options)
        if cycle and (cycled or options.weights.w_consistency):
            terms |= self._second_pass(real, made[real.still :], codes[:edited] + delta, delta, cycled=cycled)
        shares = gradient_shares(terms, rendered.addition) if step % SHARES_EVERY == 0 else {}
        self._update(terms)
        shown = {name: term.detach() for name, term in terms.items()} | shares
        if self.adversary is not None and step % options.discriminator_every == 0:
            shown["discriminator"] = self._step_discriminator(step, real.images, made.detach())
        return shown

    def _second_pass(self, real: Real, made: Tensor, wanted: Tensor, delta: Tensor, *, cycled: bool) -> Terms:
        """What is asked of x'_i (edited, 3, S, S) by way of its own codes: the cycle back, and w-consistency."""
        options, terms = self.options, Terms()
        through = options.cycle_grad == "through"
        codes, taps = self.networks.base.encoder.encode(made, gradient=through or options.weights.w_consistency > 0)
        if options.weights.w_consistency:
            factor = options.weights.w_consistency * options.cycle_every
            processes, lengths = self.context.processes, delta.square().sum((1, 2))
            length = processes.total(lengths.mean()) / processes.count
            terms["w_consistency"] = factor * losses.w_consistency_loss(codes, wanted, length).mean()
        if cycled:
            base = taps[self.model.config.base_tap]
            if not through:
                codes, base = codes.detach(), base.detach()
            again = self.passes.run(codes, base, -delta, through=through).image
            terms |= cycle_terms(real, again, self.networks.critics, options)
        return terms

    def _update(self, terms: Mapping[str, Tensor]) -> None:
        optimiser = self.optimisers["model"]
        optimiser.zero_grad(set_to_none=True)
        losses.total(terms).backward()
        if self.options.train == "all":
            self.passes.push()
        parameters = [p for group in optimiser.param_groups for p in group["params"]]
        match_layout(parameters)
        self.context.processes.average(self.model)
        if self.options.clip:
            nn.utils.clip_grad_norm_(parameters, self.options.clip)
        optimiser.step()

    def _step_discriminator(self, step: int, real: Tensor, made: Tensor) -> Tensor:
        """One fake per real; the fake is the step's own first-pass image, which saves a forward pass."""
        adversary, options = self.adversary, self.options
        assert adversary is not None
        weights = adversary.weights(trained=True)
        loss = losses.discriminator_loss(adversary(real, weights), adversary(made, weights))
        every = options.r1_every
        if every and step // options.discriminator_every % every == 0:
            loss = loss + every * losses.r1_penalty(lambda x: adversary(x, weights), real, options.r1_gamma)
        optimiser = self.optimisers["discriminator"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        match_layout(adversary.discriminator.parameters())
        self.context.processes.average(adversary.discriminator)
        optimiser.step()
        return loss.detach()

    # --- held out

    @property
    def figures(self) -> EditFigures:
        """Validation people with their true edits."""
        if self._figures is None:
            self._figures = EditFigures(self.context.device, self.options.figures)
        return self._figures

    @torch.no_grad()
    def _invert(self, images: Tensor) -> Render:
        """Reconstruct and edit in float32, by the same lines as the shipped method."""
        codes, taps = self.networks.encoder.encode(images)
        codes = codes + self.networks.average
        generator = self.networks.generator
        prepared = self.model.prepare(generator, codes, taps[self.model.config.base_tap])

        def render(delta: Tensor | None) -> Tensor:
            return self.model.render(generator, prepared, None if delta is None else codes + delta).image

        return render

    @torch.no_grad()
    def _flow_of(self, images: Tensor, delta: Tensor) -> Tensor:
        """WarpRes's flow (n, 2, r, r) in pixels."""
        assert isinstance(self.model, WarpRes)
        codes = self.networks.encoder.encode(images).codes + self.networks.average
        generator, model = self.networks.generator, self.model
        before, after = (model.prefix(generator, which) for which in (codes, codes + delta))
        maps = (model.flow_maps(generator, codes + delta, after), model.flow_maps(generator, codes, before))
        flow = model.cells(model.head(*(Maps(*part) for part in maps)).flow1)
        return flow * (self.figures.images.shape[-1] / flow.shape[-1])

    @torch.no_grad()
    def check(self) -> Mapping[str, float]:
        """Held-out people (val): see `EditFigures`; of a flow alone, its own figures."""
        if self._checked is not None:
            return self._checked
        self.model.eval()
        found: dict[str, float] = {}
        if self.options.train == "all":
            found |= self.figures.measure(self._invert)
        if isinstance(self.model, WarpRes):
            found |= self.figures.measure_flow(self._flow_of)
        self._checked = found
        return found

    def samples(self) -> Mapping[str, Tensor]:
        """Grids of validation people: input, reconstruction, edits beside their truth, and the flow."""
        if self.options.train != "all":
            return {}
        self.model.eval()
        grid = edit_grid(self.figures, self._invert, self._flow_of if isinstance(self.model, WarpRes) else None)
        return {"edits": grid}

    @property
    def _part(self) -> str:
        return "warpres" if isinstance(self.model, WarpRes) else "styleres"

    def exported(self) -> Mapping[str, nn.Module]:
        """The whole model, but for a teacher's frozen flow; of a flow alone, that alone."""
        if self.options.train == "flow":
            return {f"flow.{name}.": net for name, net in flow_parts(self.model).items()}
        frozen = flow_parts(self.model) if self.frozen_flow else {}
        parts = {name: net for name, net in self.model.named_children() if name not in frozen}
        return {f"{self._part}.{name}.": net for name, net in parts.items()}

    @property
    def frozen_flow(self) -> bool:
        """Whether the flow is a teacher's own, which has a file."""
        return self.options.flow_source == "pictures" and bool(self.options.flow_start)

    def export(self, path: Path, provenance: Mapping[str, Any]) -> None:
        """Writes what `exported` names; a teacher's frozen flow is named as a part."""
        made = {**provenance, "weights": asdict(self.options.weights), "cycle": asdict(self.options.cycle)}
        tensors = prefixed(self.exported())
        if self.options.train == "flow":
            write_part(path, "flow", self.model.config, tensors, made, self.check())
            return
        part, base = self._part, self.options.base
        beside = parts_of(base) + ([self.options.flow_start] if self.frozen_flow else [])
        write_part(
            path, part, self.model.config, tensors, made, self.check(),
            method=part if base == "e4e" else f"{base}+{part}", parts=beside, base=base,
        )  # fmt: skip
