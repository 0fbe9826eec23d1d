"""`ls methods`: what can run here and on which preset, what gets the rest, and each network's parity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from textwrap import wrap
from typing import Any

from bench.cli.printing import columns_here, say, show

Rows = Sequence[Mapping[str, Any]]


def methods_listed(plugins: Sequence[str]) -> list[dict[str, Any]]:
    """Methods as the registry describes them, with the presets they are ready on and what gets them on others."""
    from bench.plan.beyond import licence_of
    from bench.plan.names import places_of
    from bench.plan.plugins import load_plugins
    from methods import describe
    from methods.registry import find

    load_plugins(plugins)
    rows = []
    for row in describe():
        entry = find(row["name"])
        places = places_of(entry)
        lacking = {place.preset: place.next_step for place in places if not place.ready}
        row["licence"] = {domain: text for domain in entry.domains if (text := licence_of(entry, domain))}
        rows.append({**row, "ready": [place.preset for place in places if place.ready], "next": lacking})
    return sorted(rows, key=lambda row: not row["ready"])


def show_methods(rows: Rows) -> None:
    """Print the methods in three parts: ready here, what gets the others, parity."""
    ready = [row for row in rows if row["ready"]]
    print(f"ready here: {len(ready)} of {len(rows)} methods")
    for presets in dict.fromkeys(tuple(row["ready"]) for row in ready):
        say("\n".join(_filled(f"on {', '.join(presets)}", "")))
        show([{**row, "what": _about(row)} for row in ready if tuple(row["ready"]) == presets], ("name", "what"))
    print("\nwhat gets them on the other presets")
    for row in rows:
        if row["next"] or not row["ready"]:
            say("\n".join(_elsewhere(row)))
    print()
    _show_parity(rows)


def _about(row: Mapping[str, Any]) -> str:
    return row["summary"] + ("" if row["origin"] == "built-in" else f" (from {row['origin']})")


def _elsewhere(row: Mapping[str, Any]) -> Iterator[str]:
    """A method's next steps, each once, and the licences of the files they fetch."""
    yield from [row["name"]] if row["ready"] else _filled(f"{row['name']}: {_about(row)}", "")
    for presets, step in _next_steps(row["next"]):
        # A command stays whole on its line, to be copied.
        yield from _filled(presets, "  ")
        yield from (f"    {one}" for one in step.split("; "))
    if not row["ready"] and not row["next"]:  # nobody released weights that are known here: a plug-in's
        yield from _filled(f"files of your own: {', '.join(row['files'])}", "  ")
        yield f"    python run_bench.py --methods {row['name']} --checkpoint {row['name']}=FILE"
    for licence in dict.fromkeys(row["licence"].values()):
        yield from _filled(f"licence: {licence}", "  ")


def _filled(text: str, indent: str) -> list[str]:
    """A text over as many lines as it takes here, those below the first further in."""
    return wrap(
        text, columns_here(), initial_indent=indent, subsequent_indent=indent + "  ",
        break_on_hyphens=False,
    )  # fmt: skip


def _next_steps(steps: Mapping[str, str]) -> list[tuple[str, str]]:
    """What gets a method, each step once: presets of one family want the same."""
    presets: dict[str, list[str]] = {}
    for preset, step in steps.items():
        presets.setdefault(step, []).append(preset)
    return [(f"{', '.join(names)}:", " ".join(step.split())) for step, names in presets.items() if step]


def _show_parity(rows: Rows) -> None:
    """Print each golden of the authors' networks once."""
    cards = {card["golden"]: card for row in rows for card in row["parity"]}
    print("parity with the authors' networks, on the same weights (pytest -m parity)")
    print("used: largest share of the tolerance, atol + rtol x the value's size")
    shown = [
        {
            "network": golden,
            "largest": f"{card['largest_deviation']:.1e}",
            "atol": f"{card['tolerance']['atol']:.0e}",
            "used": f"{card['largest_share_of_tolerance']:.0%}",
            "date": card["date"],
        }
        for golden, card in sorted(cards.items())
    ]
    show(shown, ("network", "largest", "atol", "used", "date"))
