"""What a call of `edit` is given: one change a place, and one for each set of codes."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.core.contract import Direction, EditPass, Inversion, TwinInversion
from bench.edits.change import change_of

COMPONENT = torch.nn.functional.one_hot(torch.tensor(2), 8).float()
SETS = Direction("set", "set_coordinate", COMPONENT.expand(4, 8), "00", COMPONENT, torch.zeros(8), 2.0)


class Listener:
    """Says what it was asked to add."""

    def edit(
        self,
        inversion: Inversion,
        delta: Tensor | None = None,
        style_delta: object = None,
        shadow_delta: Tensor | None = None,
    ) -> Tensor:
        assert delta is not None
        parts = [inversion.codes + delta]
        if isinstance(inversion, TwinInversion) and shadow_delta is not None:
            parts.append(inversion.shadow + shadow_delta)
        return torch.stack(parts)


def _made(inversion: Inversion, *places: int) -> Tensor:
    edits = {place: EditPass("set+", SETS, 3.0) for place in places}
    return change_of(edits, inversion).apply(Listener(), inversion)  # type: ignore[arg-type]


def test_a_coordinate_is_set_in_both_sets_of_codes() -> None:
    codes, shadow = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    own, other = _made(TwinInversion(codes, shadow), 1)
    for before, after in ((codes, own), (shadow, other)):
        torch.testing.assert_close(after[1, 0, 2], torch.tensor(6.0))
        assert torch.equal(after[0], before[0])
    assert not torch.allclose((own - codes)[1], (other - shadow)[1])


def test_a_method_of_one_set_is_given_one_change() -> None:
    (own,) = _made(Inversion(torch.randn(2, 4, 8)), 0, 1)
    torch.testing.assert_close(own[:, 0, 2], torch.tensor([6.0, 6.0]))
