"""Muon: what it makes of a matrix, Adam where it is Adam, and that it learns and carries on after a stop."""

from __future__ import annotations

import torch
from torch import nn

from methods.training.muon import Muon, orthogonalised


def test_singular_values_come_near_one() -> None:
    matrices = torch.randn(3, 24, 60, generator=torch.Generator().manual_seed(0))
    matrices[1] *= 100
    for shaped in (matrices, matrices.transpose(1, 2)):
        values = torch.linalg.svdvals(orthogonalised(shaped))
        assert values.min() > 0.6
        assert values.max() < 1.3


def test_vectors_take_adams_steps() -> None:
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    muon, adam = Muon([ours], lr=0.01), torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.99))
    for k in range(4):
        for parameter, optimiser in ((ours, muon), (theirs, adam)):
            parameter.grad = torch.linspace(-1, 1, 5) * (k + 1)
            optimiser.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_a_step_is_as_long_as_adams() -> None:
    conv = nn.Conv2d(16, 8, 3)
    before = conv.weight.detach().clone()
    optimiser = Muon(conv.parameters(), lr=1e-2)
    conv(torch.randn(2, 16, 8, 8)).square().mean().backward()
    optimiser.step()
    rms = float((conv.weight.detach() - before).square().mean().sqrt())
    assert 0.1e-2 < rms < 0.3e-2


def test_it_learns_and_its_state_comes_back() -> None:
    torch.manual_seed(0)
    images, wanted = torch.randn(16, 4, 8, 8), nn.Conv2d(4, 6, 3)
    with torch.no_grad():
        targets = wanted(images)

    def trained(steps: int, net: nn.Conv2d, optimiser: Muon) -> float:
        loss = torch.zeros(())
        for _ in range(steps):
            optimiser.zero_grad()
            loss = (net(images) - targets).square().mean()
            loss.backward()
            optimiser.step()
        return float(loss.detach())

    whole, part = nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 3)
    part.load_state_dict(whole.state_dict())
    optimiser = Muon(whole.parameters(), lr=2e-2)
    first = trained(1, whole, optimiser)
    assert trained(39, whole, optimiser) < 0.1 * first
    begun = Muon(part.parameters(), lr=2e-2)
    trained(20, part, begun)
    again = Muon(part.parameters(), lr=2e-2)
    again.load_state_dict(begun.state_dict())
    trained(20, part, again)
    assert torch.allclose(part.weight, whole.weight, atol=1e-6)
