"""Every method with weights for the world keeps the contract, and reconstructs better than what it builds on."""

from __future__ import annotations

import pytest
import torch

from bench.core.metadata import read_metadata
from bench.plan.checkpoints import checkpoint_files
from bench.plan.config import load_config
from bench.plan.names import spelled_out
from bench.world.networks import WEIGHTS
from methods.conformance import check
from methods.registry import load_method

CONFIG = spelled_out(load_config("synthetic", command_line={"methods": ["ready", "e4e+*"]}))
FILES = {name: WEIGHTS / f"{name}.safetensors" for name in CONFIG.methods}


@pytest.mark.parametrize("name", CONFIG.methods)
def test_the_contract_is_kept(name: str) -> None:
    files = checkpoint_files(CONFIG, name, "faces")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        findings = check(load_method(name, checkpoint=files))
    finally:
        torch.set_num_threads(before)
    assert len(findings) == 10
    assert not [finding for finding in findings if not finding.ok]


@pytest.mark.parametrize("name", [name for name, file in FILES.items() if file.is_file()])
def test_it_reconstructs_better_than_what_it_builds_on_or_the_card_says_so(name: str) -> None:
    held_out = read_metadata(FILES[name])["held_out"]
    if "psnr_before" not in held_out:
        # The encoders that stand for themselves, and the residual methods, whose base is another row of the table.
        assert name.partition("+")[0] in {"psp", "e4e", "styletransformer", "styleres", "warpres"}
        return
    psnr, before = held_out["psnr"], held_out["psnr_before"]
    verdict = "better" if psnr > before else "not better after"
    assert f"| {name} | {psnr:.2f} | {before:.2f} | {verdict}" in (WEIGHTS / "CARD.md").read_text(encoding="utf-8")
