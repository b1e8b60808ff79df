"""`nnctl gradcheck`: tables, JSON, exit codes."""

from __future__ import annotations

import json

import numpy as np

from nnctl.nn.dense import Dense


def test_without_a_spec_every_component_is_checked(nnctl, here):
    answer = nnctl("gradcheck")
    assert answer.code == 0
    for word in ("batch_norm", "cross_entropy", "l2", "relu", "relative error"):
        assert word in answer.out
    (folder,) = (here / "runs").iterdir()
    assert json.loads((folder / "check.json").read_text())["verdict"] == "pass"


def test_a_spec_is_checked_with_one_line_for_each_tensor(nnctl, spec):
    answer = nnctl("gradcheck", spec, "training.epochs=5")
    assert answer.code == 0
    for word in ("at the start", "after 20 steps", "input", "0.dense.W", "2.dense.b", "outputs", "32 x 4"):
        assert word in answer.out


def test_an_override_alone_takes_the_spec_that_lies_here(nnctl, spec):
    answer = nnctl("gradcheck", "loss=hinge", "--json")
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["check"] == "gradcheck"
    assert len(document["figures"]["points"]) == 2


def test_a_wrong_gradient_ends_with_exit_code_5_and_names_it(nnctl, spec, monkeypatch):
    right = Dense.backward

    def wrong(self, p, g, dy, ctx):
        dx = right(self, p, g, dy, ctx)
        np.negative(g.W, out=g.W)
        return dx

    monkeypatch.setattr(Dense, "backward", wrong)
    answer = nnctl("gradcheck", spec)
    assert answer.code == 5
    assert "2.dense, alone" in answer.err
    assert "a sign" in answer.err
    assert "ratio -1" in answer.out
    assert nnctl("gradcheck").code == 5


def test_a_spec_that_is_not_there_is_an_error_and_no_registry(nnctl, here):
    answer = nnctl("gradcheck", "spec.yaml")
    assert answer.code == 2
    assert "spec.yaml" in answer.err
