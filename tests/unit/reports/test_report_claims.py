"""The paper's claims and its proxies: verdicts follow the rows, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reports_fake_run import facts, results

from bench.core.contract import EditPass
from bench.results.frame import frame_of
from bench.results.row import Row
from metrics.protocol import Bootstrap
from reports.checked import check_rows
from reports.claims import Finding, all_claims, claims_csv, findings
from reports.inputs import Facts
from reports.proxies import Agreement, agreements, agreements_csv

FACTS = Facts(titles={"hyperstyle": "HyperStyle", "styleres": "StyleRes", "warpres": "WarpRes"})
PROTOCOL = "synthetic-2"
NUMBERS = Bootstrap(resamples=300)
POSES, SMILES = ("pose+", "pose-"), ("smile+", "smile-")
Value = Callable[[int, str], float]


def row(method: str, edit: str, image: int, **values: float) -> Row:
    return Row(f"{image}.jpg", "aa", method, "bb", edit, "cc", 3.0, PROTOCOL, "dd", values=values)


def rows(method: str, value: Value, passes: Sequence[str] = (*POSES, *SMILES), metric: str = "asked_id") -> list[Row]:
    """Forty people; each is in one of the smile's passes and in both of the pose's."""
    taken = [(i, name) for i in range(40) for name in passes if name != ("smile+" if i % 2 else "smile-")]
    return [row(method, name, i, **{metric: value(i, name)}) for i, name in taken]


def hard(image: int) -> float:
    """What makes a person hard is hard for all methods."""
    return float(np.random.default_rng(image).normal(0, 0.2))


def said(found: Sequence[Finding], words: str) -> Finding:
    (finding,) = [item for item in found if words in item.sentence]
    return finding


def test_a_claim_is_decided_by_differences_person_by_person() -> None:
    """A lead of .01 under a spread of .2 between people: their means tell nothing, their differences everything."""
    styleres = rows("styleres", lambda i, name: hard(i))
    lead = rows("warpres", lambda i, name: hard(i) + (0.03 if name in POSES else 0.01))
    found = findings(frame_of([*styleres, *lead]), facts(), PROTOCOL, NUMBERS)
    better = said(found, "keeps identity better")
    assert better.verdict == "holds"
    assert better.value == pytest.approx((2 * 0.03 + 0.01) / 3)
    assert (better.n, better.seeds) == (40, 1)
    assert said(found, "larger under pose").verdict == "holds"
    assert said(found, "larger under pose").value == pytest.approx(0.02)
    worse = findings(frame_of([*rows("styleres", lambda i, name: hard(i) + 0.05), *lead]), facts(), PROTOCOL, NUMBERS)
    assert said(worse, "keeps identity better").verdict == "does not hold"
    noise = rows("warpres", lambda i, name: hard(i) + (0.1 if i % 2 else -0.1))
    assert said(findings(frame_of([*styleres, *noise]), facts(), PROTOCOL, NUMBERS), "keeps").verdict == "not separable"


def test_a_metric_where_less_is_better_is_turned_round() -> None:
    e4e = rows("e4e", lambda i, name: 0.5 + hard(i), ("reconstruction",), "lpips")
    found = findings(
        frame_of([*e4e, *rows("warpres", lambda i, name: 0.1 + hard(i), ("reconstruction",), "lpips")]),
        facts(),
        PROTOCOL,
        NUMBERS,
    )
    (finding,) = found
    assert finding.verdict == "holds" and finding.value == pytest.approx(0.4)
    assert "WarpRes reconstructs nearer to the input than e4e" in finding.sentence


def test_seeds_are_compared_with_each_other_and_counted() -> None:
    own: list[Row] = []
    for suffix, lead in (("", 0.02), ("-s43", 0.04), ("-s44", -0.01)):
        own += rows(f"styleres{suffix}", lambda i, name: hard(i))
        own += rows(f"warpres{suffix}", lambda i, name, lead=lead: hard(i) + lead)  # type: ignore[misc]
    finding = said(findings(frame_of(own), facts(), PROTOCOL, NUMBERS), "keeps identity better")
    assert (finding.seeds, finding.agree) == (3, 2)
    assert finding.value == pytest.approx(0.05 / 3)


def test_the_flow_s_direction_and_the_runtimes() -> None:
    flow = [row("warpres", "smile+", i, flow_slope=-0.2 + 0.001 * i) for i in range(30)]
    seconds = {"styleres": 0.1, "warpres": 0.2, "hyperstyle": 0.1}
    found = findings(frame_of(flow), facts(methods={name: {} for name in seconds}), PROTOCOL, NUMBERS, seconds)
    outward = said(found, "points outward")
    assert outward.verdict == "does not hold" and outward.measure == "Flow slope, smile+, less 0.5"
    assert said(found, "StyleRes is faster than WarpRes").verdict == "holds"
    assert said(found, "WarpRes is faster than HyperStyle").verdict == "does not hold"
    assert len(found) == 3
    assert claims_csv(found).count("\n") == 4


def test_few_images_decide_no_claim() -> None:
    flow = [row("warpres", "smile+", i, flow_slope=0.9 + 0.001 * i) for i in range(29)]
    (found,) = findings(frame_of(flow), facts(), PROTOCOL, NUMBERS)
    assert found.verdict == "too few images" and found.low is not None and found.low > 0 and not found.tried


def test_a_flow_counts_where_it_is_nearer_to_the_true_one_than_to_none() -> None:
    """Half of the true flow lies halfway between it and standing still."""
    for slope, verdict in ((0.4, "does not hold"), (0.5, "not separable"), (0.6, "holds")):
        flow = [row("warpres", "smile+", i, flow_slope=slope + 0.01 * (-1) ** i) for i in range(40)]
        (found,) = findings(frame_of(flow), facts(), PROTOCOL, NUMBERS)
        assert found.verdict == verdict
        assert bool(found.tried) == (verdict != "holds")


def test_every_claim_says_where_it_stands_and_names_what_it_compares() -> None:
    for claim in all_claims():
        assert claim.paper and claim.pairs and claim.tried
        assert "{second}" in claim.sentence
        # Two verdicts on one pair would else stand under the same words.
        assert len(claim.metrics) < 2 or "{metric}" in claim.sentence
        assert claim.kind == "faster" or (claim.metrics and claim.passes)


def _ranked(order: Sequence[float], passes: Sequence[EditPass]) -> list[Row]:
    """Five methods, nearer to the truth by number; their proxy as given."""
    return [
        row(f"m{at}", "pose+", i, id=proxy + hard(i), asked_lpips=0.5 - 0.05 * at + 0.1 * hard(i))
        for at, proxy in enumerate(order)
        for i in range(60)
    ]


class Without:
    """No features at all."""

    def of(self, *_: object) -> np.ndarray:
        raise LookupError

    references = of


@pytest.mark.parametrize(
    ("order", "verdict"),
    [((0.1, 0.2, 0.3, 0.4, 0.5), "tells the order"), ((0.5, 0.4, 0.3, 0.2, 0.1), "tells the opposite")],
)
def test_a_proxy_that_ranks_as_the_truth_does_is_told_from_one_that_does_not(
    order: Sequence[float], verdict: str
) -> None:
    turn = EditPass("pose+", None, 3.0)

    own = [*_ranked(order, [turn]), row("real", "pose+", 0, id=1.0, asked_lpips=0.0)]
    (finding,) = agreements(frame_of(own), [turn], facts(), PROTOCOL, NUMBERS, Without())
    assert finding.verdict == verdict
    assert abs(finding.value) == pytest.approx(1)
    assert (finding.methods, finding.people, finding.proxy) == (5, 60, "ID")
    assert verdict in agreements_csv([finding])
    few = [item for item in own if item.method in ("m0", "m1", "m2")]
    assert agreements(frame_of(few), [turn], facts(), PROTOCOL, NUMBERS, Without()) == []


def test_a_face_that_was_not_found_costs_a_person_and_no_proxy() -> None:
    turn = EditPass("pose+", None, 3.0)
    own = _ranked((0.1, 0.2, 0.3, 0.4, 0.5), [turn])
    lacking = next(at for at, item in enumerate(own) if item.method == "m2")
    kept = {name: value for name, value in own[lacking].values.items() if name != "id"}
    own[lacking] = replace(own[lacking], values=kept, failures={"id": "no face"})
    (finding,) = agreements(frame_of(own), [turn], facts(), PROTOCOL, NUMBERS, Without())
    assert (finding.people, finding.verdict) == (59, "tells the order")
    # A method without any value takes the proxy with it.
    none = [replace(item, values={"asked_lpips": 0.1}) if item.method == "m2" else item for item in own]
    assert agreements(frame_of(none), [turn], facts(), PROTOCOL, NUMBERS, Without()) == []


def test_a_frechet_distance_is_ranked_by_its_features() -> None:
    turn = EditPass("pose+", None, 3.0)
    random = np.random.default_rng(0)
    real = random.normal(size=(60, 4))

    class Shifted:
        def of(self, own: pd.DataFrame, metric: str) -> np.ndarray:
            if metric != "fd":
                raise LookupError(metric)
            return real + 1.0 - 0.2 * int(own.method.iloc[0][1:])  # further off the lower the number

        def references(self, *_: object) -> np.ndarray:
            return real

    own = [row(f"m{at}", "pose+", i, asked_lpips=0.5 - 0.1 * at) for at in range(5) for i in range(60)]
    (finding,) = agreements(frame_of(own), [turn], facts(), PROTOCOL, NUMBERS, Shifted())
    assert (finding.proxy, finding.verdict) == ("FD", "tells the order")


def test_a_weak_correlation_tells_only_part_and_further_seeds_do_not_vote() -> None:
    assert Agreement("Pose +", "ID", "ID asked", 5, 60, 0.5, 0.4, 0.6).verdict == "tells part of the order"
    assert Agreement("Pose +", "ID", "ID asked", 5, 60, 0.5, -0.1, 0.6).verdict == "does not tell"
    turn = EditPass("pose+", None, 3.0)

    own = _ranked((0.1, 0.2, 0.3, 0.4, 0.5), [turn])
    seeds = [replace(item, method="m0-s43") for item in own if item.method == "m0"]
    (finding,) = agreements(frame_of([*own, *seeds]), [turn], facts(), PROTOCOL, NUMBERS, Without())
    assert finding.methods == 5


def test_nothing_is_tested_on_filled_weights() -> None:
    own = [*rows("styleres", lambda i, name: hard(i)), *rows("warpres", lambda i, name: hard(i) + 1)]
    run = results(Path("nowhere"), {"protocols": {PROTOCOL: {}}, "pictures": {}}, own)
    assert check_rows(run, [], FACTS, None)
    assert check_rows(run, [], Facts(filled=("all networks",)), None) == []


def test_a_claim_counts_a_failure_as_its_protocol_does() -> None:
    """Identity under standard-1 is 0 where no face was found: who fails on a third keeps identity worse."""

    def own(method: str, lead: float, broken: int) -> list[Row]:
        blank = Row("", "aa", method, "bb", "pose+", "cc", 3.0, "standard-1", "dd")
        return [
            replace(blank, image=f"{i}.jpg", status="failed", reason="no face")
            if i < broken
            else replace(blank, image=f"{i}.jpg", values={"id": 0.7 + lead + hard(i)})
            for i in range(60)
        ]

    manifest = {"protocols": {"standard-1": {}}, "pictures": {}}
    for broken, verdict in ((0, "holds"), (20, "does not hold")):
        run = results(Path("nowhere"), manifest, [*own("styleres", 0, 0), *own("warpres", 0.01, broken)])
        (checked,) = check_rows(run, [], facts(), None)
        finding = said(checked.claims, "keeps identity better")
        assert (finding.verdict, finding.n) == (verdict, 60)
