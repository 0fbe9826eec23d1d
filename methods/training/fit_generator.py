"""First stage of the world's generator: fit it to rendered scenes, latent to picture.

The adversarial stage (`gan.py`) then makes a GAN of it. Loss: L1 + L1 of gradients + L1 at 2x and 4x coarser sizes. Two processes
under torchrun share the batch; one process alone works as well.

    torchrun --nproc-per-node 2 -m methods.training.fit_generator --out training-runs/generator --minutes 35
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.nn import functional as F

from bench.synthetic.render import render
from bench.synthetic.scene import scene_of_latent
from methods.nets.stylegan2 import Generator, GeneratorConfig

WORLD_GENERATOR = GeneratorConfig(
    size=64, style_dim=64, mapping_layers=4, channels={4: 128, 8: 128, 16: 96, 32: 64, 64: 32}
)
HALF_SIZE_SHARE = 0.25  # of the time


def picture_loss(fake: Tensor, real: Tensor) -> Tensor:
    """L1 of pictures, of their gradients, and of 2x and 4x averages; (N, 3, H, W) each, scalar out."""
    difference = fake - real
    loss = difference.abs().mean()
    loss = loss + (difference.diff(dim=-1).abs().mean() + difference.diff(dim=-2).abs().mean())
    for factor in (2, 4):
        loss = loss + 0.5 * F.avg_pool2d(difference, factor).abs().mean()
    return loss


def psnr(fake: Tensor, real: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of pictures in [-1, 1]."""
    return float(10 * torch.log10(4 / (fake.clamp(-1, 1) - real).square().mean()))


def _average_gradients(model: torch.nn.Module, world: int) -> None:
    if world == 1:
        return
    flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    distributed.all_reduce(flat)
    flat /= world
    at = 0
    for p in model.parameters():
        if p.grad is not None:
            p.grad.copy_(flat[at : at + p.numel()].view_as(p))
            at += p.numel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=35)
    parser.add_argument("--batch", type=int, default=8, help="per process")
    parser.add_argument("--rate", type=float, default=2e-3)
    args = parser.parse_args()
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    if world > 1:
        distributed.init_process_group("gloo")
    generator = Generator(WORLD_GENERATOR)
    average = Generator(WORLD_GENERATOR)
    for i in range(WORLD_GENERATOR.layers):
        getattr(generator.noises, f"noise_{i}").zero_()
    optimiser = torch.optim.Adam(generator.parameters(), lr=args.rate, betas=(0.9, 0.99))
    average.load_state_dict(generator.state_dict())
    step, spent = 0, 0.0
    latest = args.out / "latest.pt"
    args.out.mkdir(parents=True, exist_ok=True)
    if latest.exists():
        saved = torch.load(latest, weights_only=True)
        generator.load_state_dict(saved["generator"])
        average.load_state_dict(saved["average"])
        optimiser.load_state_dict(saved["optimiser"])
        step, spent = saved["step"], saved["spent"]
    random = torch.Generator().manual_seed(1000 * step + rank)
    check_z = torch.randn(64, WORLD_GENERATOR.style_dim, generator=torch.Generator().manual_seed(99))
    check = render(scene_of_latent(check_z))
    began, saved_at = time.monotonic() - spent, time.monotonic()
    while (spent := time.monotonic() - began) < args.minutes * 60:
        share = spent / (args.minutes * 60)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, step / 200) * min(1.0, 3.3 * (1.0 - share) + 0.02)
        z = torch.randn(args.batch, WORLD_GENERATOR.style_dim, generator=random)
        real = render(scene_of_latent(z), chunk=8)
        codes = generator.broadcast(generator.mapping(z))
        if share < HALF_SIZE_SHARE:  # the coarse layers first: half size costs a third
            loss = picture_loss(generator.advance(None, codes, stop=7, noise="none").rgb, F.avg_pool2d(real, 2))
        else:
            loss = picture_loss(generator(codes, noise="none"), real)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        _average_gradients(generator, world)
        optimiser.step()
        step += 1
        with torch.no_grad():
            decay = min(0.995, step / (step + 20))
            for slow, fast in zip(average.parameters(), generator.parameters(), strict=True):
                slow.lerp_(fast, 1 - decay)
        # The stop must be the same step in every process; rank 0's clock decides.
        if world > 1 and step % 50 == 0:
            clock = torch.tensor([began])
            distributed.broadcast(clock, 0)
        if rank == 0 and step % 500 == 0:
            with torch.no_grad():
                made = average(average.broadcast(average.mapping(check_z)), noise="none")
            pictures = step * args.batch * world
            print(f"step {step} pictures {pictures} loss {float(loss):.4f} psnr {psnr(made, check):.2f} "
                  f"rate {pictures / spent:.0f}/s minutes {spent / 60:.1f}", flush=True)
        if rank == 0 and time.monotonic() - saved_at > 120:
            saved_at = time.monotonic()
            _save(latest, generator, average, optimiser, step, spent)
    if rank == 0:
        _save(latest, generator, average, optimiser, step, spent)
    os._exit(0)  # a peer may still wait in all_reduce for a step that will not come


def _save(path: Path, generator: Generator, average: Generator, optimiser: torch.optim.Optimizer, step: int, spent: float) -> None:
    part = path.with_suffix(".part")
    torch.save(
        {"generator": generator.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict(),
         "step": step, "spent": spent}, part,
    )
    part.replace(path)


if __name__ == "__main__":
    main()
