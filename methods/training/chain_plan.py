"""What the recipes of a group make of one another, what of it is there, and what has to be made, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench.core.errors import MissingError, UsageError, unknown_name
from bench.core.schema import from_table, read_toml
from methods.training.provenance import chosen_recipe, inputs, made_of
from methods.training.recipe import Recipe, load_recipe, shipped_recipes
from methods.training.world import find

GROUP = "world"  # the only one whose recipes make all that they start from


@dataclass(frozen=True)
class Program:
    """A step of the chain that is no training: a module that writes its output below the runs' folder.

    It is called as `python -m PROGRAM --out RUNS --device D --jobs N --budget X [--deadline S]`.
    """

    name: str
    program: str
    output: str
    needs: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    keep: bool = False
    intermediate: bool = False


@dataclass(frozen=True, eq=False)
class Node:
    """One step of the chain: a recipe (of one seed) or a program.

    Attributes:
        content: As its file says, without what another step chooses for it.
        budget: Times the recipe's steps.
    """

    content: Recipe | Program
    budget: float = 1.0

    @property
    def name(self) -> str:
        """As its file calls it ("world/e4e"), a further seed with its number ("world/styleres-s43")."""
        return self.content.name

    @property
    def output(self) -> str:
        """The main file that it writes, a name without a folder."""
        return self.content.output

    @property
    def files(self) -> tuple[str, ...]:
        """Names of all files that it writes, the main one first."""
        return (self.content.output, *self.content.also)

    def recipe(self, runs: Path) -> Recipe | None:
        """The recipe as it would be trained now; None of a program."""
        if isinstance(self.content, Program):
            return None
        return chosen_recipe(self.content.name, runs).scaled(self.budget)

    def state(self, runs: Path) -> str:
        """ "current", "kept", "missing", or why it is outdated; what it needs and is absent is no reason."""
        try:
            path = find(self.output, runs)
        except MissingError:
            return "missing"
        if self.content.keep:
            return "kept"
        made, recipe = made_of(path), self.recipe(runs)
        if recipe is not None and made.get("recipe_digest") != recipe.digest:
            return "outdated: the recipe"
        # What was chosen is part of the recipe's digest; the rest of that file decides nothing.
        chosen_by = "" if recipe is None else recipe.chosen_by
        needs = [name for name in self.content.needs if name != chosen_by]
        changed = [name for name in needs if made.get("inputs", {}).get(name) != _digest(name, runs, made)]
        return f"outdated: {', '.join(changed)}" if changed else "current"


def _digest(name: str, runs: Path, made: Mapping[str, Any]) -> str | None:
    """Digest of an input today; that of then where it is not here and its maker's recipe is still the same."""
    try:
        return inputs([name], runs)[name]
    except MissingError:
        then = made.get("input_recipes", {}).get(name)
        nodes = (node for recipe in shipped_recipes() if recipe.startswith(f"{GROUP}/") for node in _read(recipe))
        maker = next((node for node in nodes if name in node.files), None)
        recipe = None if maker is None else maker.recipe(runs)
        same = recipe is None or recipe.digest == then
        return made.get("inputs", {}).get(name) if same else None


def _read(name: str) -> list[Node]:
    """The steps of one recipe file: its own seed, then the further ones."""
    data = read_toml(shipped_recipes()[name])
    if "program" in data:
        return [Node(from_table(Program, data, name))]
    recipe = load_recipe(name)
    return [Node(recipe), *(Node(recipe.with_seed(seed)) for seed in recipe.seeds)]


@dataclass(frozen=True)
class Chain:
    """All steps of a group, each after what it needs."""

    nodes: Sequence[Node]

    @classmethod
    def of(cls, group: str, budgets: Mapping[str, float] | None = None, budget: float = 1.0) -> Chain:
        """The chain of a folder of recipes ("world").

        Args:
            budgets: Times the steps of single recipes (all seeds), by name with or without the group.
            budget: Of the others.
        """
        names = [name for name in shipped_recipes() if name.startswith(f"{group}/")]
        if not names:
            raise unknown_name("group of recipes", group, [GROUP])
        if group != GROUP:
            raise UsageError(
                f"the recipes of {group} are no chain: they train on images of yours",
                f"one at a time: python -m methods.training {names[0]} --data FOLDER_OR_ZIP",
            )
        full = {_full(group, name): factor for name, factor in (budgets or {}).items()}
        if unknown := [name for name in full if name not in names]:
            raise unknown_name("recipe", unknown[0], names)
        nodes = [Node(node.content, full.get(name, budget)) for name in names for node in _read(name)]
        return cls(_in_order(nodes))

    @cached_property
    def makers(self) -> dict[str, Node]:
        """Which step writes a file, by the file's name."""
        return {file: node for node in self.nodes for file in node.files}

    def before(self, node: Node) -> list[Node]:
        """The steps that make what a step needs."""
        makers = [self.makers[name] for name in node.content.needs if name in self.makers]
        return list({maker.name: maker for maker in makers}.values())

    def to_make(self, runs: Path, only: Sequence[str] = (), group: str = "world") -> list[Node]:
        """Steps to run, in order: what is missing or outdated, and of intermediate ones those that others need.

        Args:
            only: Names of the wanted steps (a recipe's stands for all its seeds); what they need and is missing comes
                along, what is merely outdated is used as it is.
        """
        states = {node.name: node.state(runs) for node in self.nodes}
        if only:
            return self._wanted(states, {_full(group, name) for name in only})
        stale: set[str] = set()
        for node in self.nodes:
            reasons = [before.name for before in self.before(node) if before.name in stale]
            # An intermediate result that is not here is no reason to make again what was made of it.
            reasons = [
                name for name in reasons if not (self._node(name).content.intermediate and states[name] == "missing")
            ]
            own = states[node.name] not in ("current", "kept")
            if own or (reasons and states[node.name] != "kept"):
                stale.add(node.name)
        made: set[str] = set()
        for node in reversed(self.nodes):
            after = any(other.name in made and node in self.before(other) for other in self.nodes)
            if node.name in stale and (after or not node.content.intermediate):
                made.add(node.name)
        return [node for node in self.nodes if node.name in made]

    def _wanted(self, states: Mapping[str, str], names: set[str]) -> list[Node]:
        chosen = {node.name for node in self.nodes if any(_is_seed_of(node.name, name) for name in names)}
        if unknown := [name for name in names if not any(_is_seed_of(node.name, name) for node in self.nodes)]:
            raise unknown_name("recipe", unknown[0], [node.name for node in self.nodes])
        for node in reversed(self.nodes):
            if node.name in chosen:
                chosen |= {before.name for before in self.before(node) if states[before.name] == "missing"}
        return [node for node in self.nodes if node.name in chosen]

    def _node(self, name: str) -> Node:
        return next(node for node in self.nodes if node.name == name)


def _full(group: str, name: str) -> str:
    return name if name.startswith(f"{group}/") else f"{group}/{name}"


def _is_seed_of(name: str, recipe: str) -> bool:
    rest = name.removeprefix(f"{recipe}-s")
    return name == recipe or (rest != name and rest.isdigit())


def _in_order(nodes: Sequence[Node]) -> list[Node]:
    """Every step after those whose files it needs. Raises UsageError where steps need one another."""
    makers = {file: node for node in nodes for file in node.files}
    placed: dict[str, Node] = {}
    left = list(nodes)
    while left:
        ready = [
            node for node in left if all(makers[name].name in placed for name in node.content.needs if name in makers)
        ]
        if not ready:
            raise UsageError(f"these recipes need one another: {', '.join(node.name for node in left)}")
        placed |= {node.name: node for node in ready}
        left = [node for node in left if node.name not in placed]
    return list(placed.values())
