"""Every component says in its docstring what it is, by which formula, on which shapes, and where it is from."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest

import nnctl
from nnctl.core.component import Component
from nnctl.nn.layer import Layer


def components() -> Iterator[type[Component]]:
    """Yield every registered component of nnctl, once all its modules are imported; other tests register their own."""
    for module in walk_packages(nnctl.__path__, "nnctl."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    queue: list[type[Component]] = [Component]
    while queue:
        found = queue.pop(0)
        queue += found.__subclasses__()
        if found.__module__.startswith("nnctl.") and found.name and found.registry.get(found.name) is found:
            yield found


COMPONENTS = sorted(components(), key=lambda component: (component.family, component.name))
every_component = pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.family}-{c.name}")
every_layer = pytest.mark.parametrize("layer", Layer.members().values(), ids=Layer.members())

FROM_PAPERS = {"layer", "initializer", "optimizer"}
"""Families whose members are somebody's invention."""

OLDER_THAN_ANY_PAPER = {
    "linear",
    "flatten",
    "reshape",
    "sequential",
    "repeat",
    "zeros",
    "constant",
    "normal",
    "uniform",
}
"""The members that are nobody's."""


def doc_of(component: type[Component]) -> str:
    assert component.__doc__ is not None
    assert "__doc__" in vars(component), "the docstring is that of its base"
    return inspect.cleandoc(component.__doc__)


@every_component
def test_a_component_says_in_one_sentence_what_it_is(component: type[Component]) -> None:
    summary, *rest = doc_of(component).splitlines()
    assert summary.endswith(".")
    assert not rest or not rest[0]
    assert not summary[0].islower()


@every_component
def test_every_field_has_a_docstring_of_its_own(component: type[Component]) -> None:
    docs = component.field_docs()
    assert set(docs) == set(component.model_fields)
    assert all(re.search(r"[.?]$", text) for text in docs.values()), docs


@every_layer
def test_a_layer_tells_its_formulas_and_shapes(layer: type[Layer]) -> None:
    text = doc_of(layer)
    for line in (r"^forward:  \s*\S", r"^backward: \s*\S", r"^Shapes: "):
        assert re.search(line, text, re.MULTILINE), line


@pytest.mark.parametrize(
    "component", [c for c in COMPONENTS if c.family in FROM_PAPERS], ids=lambda c: f"{c.family}-{c.name}"
)
def test_what_comes_from_a_paper_names_it(component: type[Component]) -> None:
    source = re.search(r"^Source: .*[A-Z].*(19|20)\d\d", doc_of(component), re.MULTILINE | re.DOTALL)
    assert bool(source) != (component.name in OLDER_THAN_ANY_PAPER)
