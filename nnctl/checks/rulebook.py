"""Every rule of every check, for `nnctl explain`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pkgutil import walk_packages
from types import ModuleType

import nnctl.checks
import nnctl.spec.lint
import nnctl.train
from nnctl.core.finding import Rule

__all__ = ["close_to", "rules"]


def rules() -> Mapping[str, Rule]:
    """Return all rules by id, in alphabetical order; imports every module that declares some."""
    for package in (nnctl.spec.lint, nnctl.train, nnctl.checks):
        _import_all(package)
    return dict(sorted(Rule.known.items()))


def close_to(name: str) -> str | None:
    """Return the id of the rule whose name resembles a word most, if one does."""
    return next(iter(get_close_matches(name, list(rules()), n=1, cutoff=0.6)), None)


def _import_all(package: ModuleType) -> None:
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)
