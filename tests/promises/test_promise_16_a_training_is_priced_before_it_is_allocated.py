"""Promise 16: a training is priced before it is allocated, and refused above 80 % of the memory that is free.

That the price is within a quarter of the true peak on 20 networks is measured by tests/benchmarks/memory.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nnctl.core.errors import SpecError
from nnctl.core.machine import available_memory
from nnctl.experiment import assembly
from nnctl.experiment.assembly import Experiment
from nnctl.experiment.price import price_by_layer
from nnctl.experiment.session import Session
from nnctl.nn.network import Replica
from nnctl.nn.team import Team
from nnctl.spec.load import load_spec

SPECS = {
    "dense": ("{moons: 400}", "[{dense: 300}, relu, {dense: 200}, dropout, {dense: outputs}]", "{adam: 1e-3}"),
    "normalized": ("{moons: 400}", "[{dense: 200}, batch_norm, gelu, {dense: 100}, layer_norm]", "{sgd: 0.1}"),
    "convolution": (
        "digits",
        "[{reshape: [8, 8, 1]}, {conv2d: {channels: 16, padding: same}}, relu, max_pool, flatten, {dense: outputs}]",
        "{adam: 1e-3}",
    ),
    "recurrence": ("{adding: {samples: 200, length: 30}}", "[{lstm: 16}, {dense: outputs}]", "{momentum: 0.1}"),
    "attention": (
        "{copy: {samples: 300, length: 20}}",
        "[{dense: 16}, {transformer_block: {heads: 2}}, global_avg_pool, {dense: outputs}]",
        "{adamw: 1e-3}",
    ),
    "positions": (
        "{reversal: {samples: 200, length: 5}}",
        "[{dense: 9}, {segment: {start: 5, alone: true, layers: [{gru: {units: 9, returns: sequence}}]}}, {dense: 8}]",
        "{adam: 1e-3}",
    ),
}


def spec(folder: Path, name: str, *, more: str = "") -> Path:
    source, net, optimizer = SPECS[name]
    loss = "mse" if name == "recurrence" else "cross_entropy"
    if name == "normalized":
        net = net[:-1] + ", {dense: outputs}]"
    path = folder / "spec.yaml"
    path.write_text(
        f"name: price\ndata: {{source: {source}}}\narchitecture: {net}\nloss: {loss}\noptimizer: {optimizer}\n"
        f"training: {{steps: 3, batch_size: 32}}\n{more}"
    )
    return path


def held_by(replica: Replica) -> int:
    scratch = replica.now.scratch
    return replica.root.ctx.nbytes() + (0 if scratch is None else scratch.nbytes())


def held_by_each(replica: Replica) -> list[int]:
    """Return the bytes in the own buffers of every layer, without those of its parts."""
    parts = [sum(part.ctx.nbytes() for part in bound.ctx.parts) for bound in replica.bound()]
    return [bound.ctx.nbytes() - inner for bound, inner in zip(replica.bound(), parts, strict=True)]


@pytest.mark.parametrize("replicas", [1, 2])
@pytest.mark.parametrize("name", SPECS)
def test_the_price_of_the_network_is_what_is_counted_after_training(name, replicas, tmp_path, monkeypatch):
    for module in ("assembly", "price"):
        monkeypatch.setattr(f"nnctl.experiment.{module}.replicas_for", lambda *_: replicas)
    experiment = Experiment(load_spec(spec(tmp_path, name)))
    session = Session.start(experiment, tmp_path / "runs")
    for _ in session.epochs():
        pass
    learner, memory = session.learner, experiment.memory
    assert learner.team.size == replicas
    assert memory.activations == pytest.approx(sum(map(held_by, learner.team.replicas)), rel=0.1)
    by_layer = np.sum([held_by_each(replica) for replica in learner.team.replicas], axis=0)
    assert price_by_layer(experiment)[1:] == pytest.approx(by_layer[1:], rel=0.1, abs=100 * replicas)
    assert sum(price_by_layer(experiment)) < memory.activations
    vectors = [learner.network.theta, *(replica.grad for replica in learner.team.replicas)]
    vectors += [*learner.slots.moments.values(), session.progress.best.theta]
    assert memory.parameters == pytest.approx(sum(vector.nbytes for vector in vectors), rel=0.01, abs=5000)
    assert memory.evaluation >= sum(map(held_by, learner.network._inference))
    parts = (experiment.data.train, experiment.data.validation, experiment.data.test)
    assert memory.data == sum(part.x.nbytes + part.y.nbytes for part in parts)
    t = session.train.t
    assert memory.copies >= session.progress.outputs.nbytes + t.nbytes * (t.dtype.kind == "f")
    assert memory.total == memory.data + max(memory.data, memory.to_come)


def test_above_four_fifths_of_what_is_free_it_is_refused_with_the_breakdown(tmp_path, monkeypatch):
    loaded = load_spec(spec(tmp_path, "dense"))
    needed = Experiment(loaded).memory
    monkeypatch.setattr(assembly, "available_memory", lambda: int(needed.to_come / 0.79))
    Experiment(loaded)
    monkeypatch.setattr(assembly, "available_memory", lambda: int(needed.to_come / 0.81))
    monkeypatch.setattr(Team, "__init__", None)  # nothing is allocated first
    with pytest.raises(SpecError) as refused:
        Experiment(loaded)
    said = str(refused.value)
    assert "more than 80% of the" in said
    assert "architecture" in said, "it names the layer that takes most"
    assert needed.parts() in said
    for part in ("data", "copies", "parameters", "activations", "evaluation"):
        assert part in needed.parts()


@pytest.mark.parametrize("version", [1, 2])
def test_the_limit_of_a_container_counts(version, tmp_path, monkeypatch):
    loaded = load_spec(spec(tmp_path, "dense"))
    needed = Experiment(loaded).memory.to_come
    limit, used = {1: ("memory.limit_in_bytes", "memory.usage_in_bytes"), 2: ("memory.max", "memory.current")}[version]
    mount = tmp_path / "cgroup" if version == 2 else tmp_path / "cgroup" / "memory"
    (mount / "box").mkdir(parents=True)
    (tmp_path / "groups").write_text("0::/box\n" if version == 2 else "4:memory:/box\n")
    (tmp_path / "meminfo").write_text("MemAvailable: 99999999999 kB\n")
    monkeypatch.setattr(
        assembly,
        "available_memory",
        lambda: available_memory(tmp_path / "meminfo", tmp_path / "groups", tmp_path / "cgroup"),
    )
    (mount / "box" / used).write_text("1000000\n")
    (mount / "box" / limit).write_text(f"{1_000_000 + int(1.3 * needed)}\n")
    Experiment(loaded)
    (mount / "box" / limit).write_text(f"{1_000_000 + int(1.2 * needed)}\n")
    with pytest.raises(SpecError, match="that are free"):
        Experiment(loaded)


def test_where_the_system_does_not_say_what_is_free_nothing_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(assembly, "available_memory", lambda: None)
    Experiment(load_spec(spec(tmp_path, "dense")))


def test_a_network_beyond_all_memory_is_refused_at_once(tmp_path):
    huge = load_spec(spec(tmp_path, "dense"), ["architecture=[{dense: 3000000}, {dense: 3000000}, {dense: outputs}]"])
    with pytest.raises(SpecError, match="GiB"):
        Experiment(huge)


def test_float64_takes_twice_as_much(tmp_path):
    path = spec(tmp_path, "dense")
    single, double = (Experiment(load_spec(path, [f"training.dtype=float{bits}"])).memory for bits in (32, 64))
    assert double.parameters == 2 * single.parameters
    assert double.activations == 2 * single.activations


def test_a_checkpoint_is_written_from_where_the_tensors_are():
    from nnctl.runs.checkpoint import encode

    tensors = {"a": np.arange(1_000.0), "b": np.ones((10, 10), np.float32), "steps": np.array(3)}
    pieces = encode(tensors, {})
    assert sum(isinstance(piece, bytes) * len(piece) for piece in pieces) < 1_000, "only the header is made"
    assert sum(map(len, pieces[2:])) == sum(tensor.nbytes for tensor in tensors.values())
