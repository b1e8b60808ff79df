"""The checks of a time series: neighbours are alike and no fault, and the naive forecast is an opponent."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnctl.checks.baselines import against_linear_model
from nnctl.checks.data import check_data
from nnctl.checks.naive import naive_scores
from nnctl.checks.short_run import ShortRun
from nnctl.cli.pictures import series as picture
from nnctl.experiment.assembly import Experiment
from nnctl.spec.load import load_spec

SPEC = """\
name: seasonal
data: {{source: {{seasonal: {{samples: 900, lookback: 24, {fields}}}}}, target_scaling: standard}}
architecture: [flatten, dense: outputs]
loss: mse
optimizer: {{adam: {lr}}}
training: {{epochs: 20}}
"""


def experiment(folder, fields="horizon: [1, 3]", lr=3e-3):
    path = folder / "spec.yaml"
    path.write_text(SPEC.format(fields=fields, lr=lr))
    return Experiment(load_spec(path))


def rules(report, verdict):
    return {finding.rule for finding in report.findings if finding.verdict == verdict}


@pytest.mark.parametrize("more", ["", ", forecast_at: every position, season: 5", ", targets: [load, weather]"])
def test_a_healthy_series_has_no_leaks_copies_or_drift(tmp_path, more):
    """Its windows overlap, its inputs hold the target's past, and it goes on; all of that is as it should be."""
    made = "[{gru: {units: 4, returns: sequence}}, dense: outputs]" if "every" in more else "[flatten, dense: outputs]"
    found = experiment(tmp_path, "stride: 1, trend: 0, horizon: [1, 3]")
    path = tmp_path / "spec.yaml"
    text = SPEC.format(fields=f"stride: 1, trend: 0, horizon: [1, 3]{more}", lr=0.003)
    path.write_text(text.replace("[flatten, dense: outputs]", made))
    found = Experiment(load_spec(path))
    report = check_data(found)
    assert rules(report, "fail") | rules(report, "warn") <= {"small-validation"}
    assert "target-leak" not in {finding.rule for finding in report.findings}
    json.dumps(report.figures, allow_nan=False)
    assert picture.draw(report.figures).startswith(b"\x89PNG")


def test_a_series_that_leaves_the_range_of_its_training_part_is_told(tmp_path):
    report = check_data(experiment(tmp_path, "trend: 30"))
    assert "beyond-training" in rules(report, "warn")
    assert report.figures["series"]["beyond"]["test"] > 0.5


def test_the_naive_forecast_is_measured_on_the_same_windows(tmp_path):
    found = experiment(tmp_path, "horizon: 2, season: 24")
    validation = found.data.validation
    load, rows = found.data.series.values[:, 0], validation.rows
    truth = load[rows + 2]
    scores = naive_scores(found, validation)
    for who, said in (("persistence", load[rows]), ("seasonal naive", load[rows + 2 - 24])):
        r2 = 1 - np.square(truth - said).mean() / truth.var()
        assert scores[who] == pytest.approx(r2)


def test_a_network_worse_than_the_naive_forecast_is_told(tmp_path):
    hopeless, good = experiment(tmp_path, "horizon: 1", lr=1e-7), experiment(tmp_path, "horizon: 6")
    report = against_linear_model(hopeless, ShortRun.of(hopeless))
    assert "naive-forecast" in rules(report, "warn")
    report = against_linear_model(good, ShortRun.of(good))
    assert "naive-forecast" in rules(report, "pass")
    assert set(report.figures["naive"]) == {"persistence", "seasonal naive"}
