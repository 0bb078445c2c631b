"""Search instead of trying every machine: NSGA-II of Optuna over the places on the axes of a space.

One generation is asked for, computed wherever the engine computes, and told in the order in which it was asked for; so
a seed gives the same machines whoever computes them and in whatever order they finish. Several models count together:
an objective is the geometric mean of their measures. A machine that a constraint leaves out, or that cannot run one of
the models, is told as failed and has no children.

Imported when it is used: Optuna belongs to the extra ``explore``.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tools.explore.space import DesignSpace, Search, SpaceChoice
from tools.explore.store import StoredPoint

Rows = Callable[[Sequence[SpaceChoice]], Sequence[Sequence[StoredPoint]]]
"""Machines to the rows of each."""


@dataclass(frozen=True)
class SpaceWalk:
    """What a search tried: machines in the order in which it asked for them, each once, and its front."""

    machines: tuple[SpaceChoice, ...]
    front: tuple[SpaceChoice, ...]


def search(space: DesignSpace, how: Search, rows_of: Rows) -> SpaceWalk:
    """Walk the space; ``rows_of`` is asked once for every generation, for machines that it was not asked for yet."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.NSGAIISampler(seed=how.seed, population_size=how.population)
    study = optuna.create_study(directions=[StudyDirection.MINIMIZE] * len(how.objectives), sampler=sampler)
    values: dict[SpaceChoice, list[float] | None] = {}
    chosen: dict[int, SpaceChoice] = {}
    while len(chosen) < how.trials:
        asked: list[tuple[optuna.trial.Trial, SpaceChoice]] = []
        for _ in range(min(how.population, how.trials - len(chosen))):
            trial = study.ask()
            places = [
                trial.suggest_int(name, 0, size - 1) for name, size in zip(_names(space), space.sizes, strict=True)
            ]
            choice = chosen[trial.number] = space.choice(places)
            asked.append((trial, choice))
        new = list(dict.fromkeys(choice for _, choice in asked if choice not in values and _wanted(space, choice)))
        values |= {choice: None for _, choice in asked if choice not in values}
        for choice, rows in zip(new, rows_of(new), strict=True):
            values[choice] = _objectives(rows, how)
        for trial, choice in asked:
            found = values[choice]
            study.tell(trial, found, state=TrialState.COMPLETE if found is not None else TrialState.FAIL)
    front = dict.fromkeys(chosen[trial.number] for trial in study.best_trials)
    return SpaceWalk(tuple(choice for choice, found in values.items() if found is not None), tuple(front))


def _wanted(space: DesignSpace, choice: SpaceChoice) -> bool:
    """Whether a machine is allowed, and tried for all models: an objective is a mean over all of them."""
    return space.allows(choice) and len(space.tried(choice)) == len(space.models)


def _names(space: DesignSpace) -> list[str]:
    return ["base", *(axis.name for axis in space.axes)]


def _objectives(rows: Sequence[StoredPoint], how: Search) -> list[float] | None:
    """The geometric mean of each objective over the rows of a machine, None if it cannot run all of them."""
    if not rows or not all(row.ok for row in rows):
        return None
    return [
        math.exp(sum(math.log(max(float(row.values[name]), 1e-12)) for row in rows) / len(rows))
        for name in how.objectives
    ]
