"""Time series from the command line: trained, shown, predicted with their times, and refused with a sentence."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

HOURS = 260
SPEC = """\
name: load
data:
  source:
    time_series:
      path: load.csv
      time: when
      inputs: [load, wind]
      targets: [load, wind]
      lookback: 6
      horizon: [1, 3]
      season: 12
  target_scaling: standard
architecture: [flatten, dense: outputs]
loss: mse
optimizer: {adam: 1e-2}
training: {epochs: 20, dtype: float64}
metrics: [rmse, mae]
"""


def lines(start: int, stop: int) -> list[str]:
    """Return hours of a load with a season of twelve, which follows the wind."""
    t = np.arange(HOURS)
    wind = 3 + np.random.default_rng(0).normal(0, 1, HOURS)
    load = 100 + 20 * np.sin(2 * np.pi * t / 12) + 5 * np.roll(wind, 1)
    first = datetime.fromisoformat("2024-01-01")
    return [f"{first + timedelta(hours=i):%Y-%m-%d %H:%M},{load[i]:.4f},{wind[i]:.4f}" for i in range(start, stop)]


def write(path: Path, start: int = 0, stop: int = HOURS) -> None:
    path.write_text("\n".join(["when,load,wind", *lines(start, stop)]) + "\n")


@pytest.fixture
def run(trained, here):
    """The directory of a run on load.csv, which is here, too."""
    write(here / "load.csv")
    return trained(SPEC, load=(here / "load.csv").read_text())


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_result_stands_beside_the_naive_forecasts(nnctl, here, run):
    record = json.loads((run / "run.json").read_text())
    forecast, metrics = record["summary"]["forecast"], record["summary"]["metrics"]["test"]
    assert list(forecast["errors"]) == ["network", "persistence", "seasonal naive"]
    assert forecast["errors"]["network"]["rmse"] == pytest.approx(metrics["rmse"])
    assert forecast["errors"]["network"]["mae"] == pytest.approx(metrics["mae"])
    assert forecast["errors"]["network"]["rmse"] < 0.5 * forecast["errors"]["persistence"]["rmse"]
    shown = nnctl("show", run).out
    assert "persistence" in shown
    assert "mase" in shown
    assert nnctl("compare", run, "--metric", "test_mase").code == 0


def test_the_naive_forecasts_are_measured_by_hand(run):
    rows = [line.split(",") for line in lines(0, HOURS)]
    y = np.array([[float(load), float(wind)] for _, load, wind in rows])
    forecast = json.loads((run / "run.json").read_text())["summary"]["forecast"]
    first = HOURS - 39  # the test part: 0.15 of the times, rounded up
    origins = [t for t in range(5, HOURS) if t + 1 >= first and t + 3 < HOURS]
    errors = np.array([[y[t + h] - y[t] for h in (1, 2, 3)] for t in origins]).reshape(-1, 6)
    assert forecast["errors"]["persistence"]["rmse"] == pytest.approx(np.sqrt((errors**2).mean(0)).mean())
    assert forecast["errors"]["persistence"]["mae"] == pytest.approx(np.abs(errors).mean())
    past = y[: HOURS - 78]
    scale = np.abs(past[12:] - past[:-12]).mean(axis=0)
    scaled = np.abs(errors).reshape(-1, 3, 2) / scale
    assert forecast["errors"]["persistence"]["mase"] == pytest.approx(scaled.mean())


def test_a_training_tells_of_the_naive_forecast_and_draws_the_forecasts(nnctl, here):
    write(here / "load.csv")
    (here / "spec.yaml").write_text(SPEC.replace("epochs: 20", "epochs: 1"))
    answer = nnctl("train")
    assert answer.code == 0
    assert "seasonal naive" in answer.out
    assert "times that of the best naive forecast" in answer.out
    [picture] = here.glob("runs/*/plots/forecast.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_forecasts_say_when_they_are_made_and_for_which_time(nnctl, here, run):
    write(here / "new.csv", 100, 110)
    rows = table(nnctl("predict", run, "new.csv").out)
    assert list(rows[0])[:4] == ["row", "from", "time", "steps"]
    assert len(rows) == (10 - 5) * 3
    assert (rows[0]["from"], rows[0]["time"], rows[0]["steps"]) == ("2024-01-05 09:00", "2024-01-05 10:00", "1")
    assert (rows[-1]["from"], rows[-1]["time"], rows[-1]["steps"]) == ("2024-01-05 13:00", "2024-01-05 16:00", "3")
    assert float(rows[0]["target_load"]) == pytest.approx(float(lines(106, 107)[0].split(",")[1]))
    assert rows[-1]["target_load"] == rows[-1]["target_wind"] == ""
    assert rows[-1]["prediction_load"]


def test_predictions_of_the_file_are_those_of_the_run(nnctl, here, run):
    whole = {(row["from"], row["steps"]): row for row in table(nnctl("predict", run, "load.csv").out)}
    answer = nnctl("predict", run, "test")
    part = table(answer.out)
    assert part
    for row in part:
        same = whole[row["from"], row["steps"]]
        assert float(same["prediction_load"]) == pytest.approx(float(row["prediction_load"]))
        assert same["target_wind"] == row["target_wind"]
    metrics = json.loads((run / "run.json").read_text())["summary"]["metrics"]["test"]
    assert f"rmse {metrics['rmse']:.4g}" in answer.err


def test_what_is_not_yet_known_needs_no_column(nnctl, here, trained):
    write(here / "load.csv")
    text = SPEC.replace("targets: [load, wind]", "targets: [load]").replace("inputs: [load, wind]", "inputs: [wind]")
    run = trained(text, load=(here / "load.csv").read_text())
    rows = [line.split(",") for line in lines(0, 8)]
    (here / "wind.csv").write_text("\n".join(["when,wind", *(f"{when},{wind}" for when, _, wind in rows)]))
    answer = nnctl("predict", run, "wind.csv")
    assert answer.code == 0
    assert list(table(answer.out)[0]) == ["row", "from", "time", "steps", "prediction"]
    assert "score" not in answer.err


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (["2024-01-01 00:00,1,2"], "6 rows without a gap, and 1 row at most"),
        ([f"2024-01-01 00:{i:02d},1,2" for i in range(10)], "on another grid"),
        ([f"{i},1,2" for i in range(10)], "counted in numbers"),
        ([f"2024-01-01 {i:02d}:00,,2" for i in range(10)], "input 'load' is missing"),
        (["noon,1,2"], "'noon' in column 'when' is neither a number nor a time"),
    ],
)
def test_a_file_that_nothing_can_be_foretold_from_is_an_error_of_the_data(nnctl, here, run, rows, said):
    (here / "bad.csv").write_text("\n".join(["when,load,wind", *rows]))
    answer = nnctl("predict", run, "bad.csv")
    assert answer.code == 3
    assert said in " ".join(answer.err.split())
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(
    ("old", "new", "code", "said"),
    [
        ("lookback: 6", "lookback: 0", 2, "lookback"),
        ("horizon: [1, 3]", "horizon: [3, 1]", 2, "horizon must rise"),
        ("horizon: [1, 3]", "horizon: 0", 2, "horizon"),
        ("stride", "stride", 0, "ok"),
        ("time: when", "time: whne", 3, "Did you mean 'when'"),
        ("targets: [load, wind]", "targets: [lod]", 3, "Did you mean 'load'"),
        ("targets: [load, wind]", "target: load", 2, "targets"),
        ("lookback: 6", "lookback: 500", 3, "needs 503"),
        ("loss: mse", "loss: cross_entropy", 3, "Use a regression loss"),
        ("path: load.csv", "path: load.txt", 3, "load.txt"),
    ],
)
def test_a_spec_that_does_not_fit_is_told_in_one_message(nnctl, here, old, new, code, said):
    write(here / "load.csv")
    (here / "spec.yaml").write_text(SPEC.replace("metrics: [rmse, mae]\n", "").replace(old, new))
    answer = nnctl("validate")
    assert answer.code == code
    assert said in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_a_network_with_a_forecast_at_every_position_is_trained_and_predicts(nnctl, here, trained):
    write(here / "load.csv")
    text = SPEC.replace("season: 12", "forecast_at: every position").replace(
        "[flatten, dense: outputs]", "[{gru: {units: 8, returns: sequence}}, dense: outputs]"
    )
    text = text.replace("epochs: 20", "batch_size: 8, epochs: 5")
    run = trained(text, load=(here / "load.csv").read_text())
    rows = table(nnctl("predict", run, "load.csv").out)
    assert len(rows) == HOURS // 6 * 6 * 3
    assert rows[-1]["time"] == "2024-01-11 22:00"
    assert len({(row["from"], row["steps"]) for row in rows}) == len(rows)
    forecast = json.loads((run / "run.json").read_text())["summary"]["forecast"]
    assert set(forecast["errors"]) == {"network", "persistence"}


def test_a_network_that_sees_what_it_is_to_foretell_is_refused(nnctl, here):
    write(here / "load.csv")
    text = SPEC.replace("season: 12", "forecast_at: every position").replace("epochs: 20", "batch_size: 8, epochs: 1")
    both = "[{gru: {units: 8, returns: sequence, bidirectional: concat}}, dense: outputs]"
    (here / "spec.yaml").write_text(text.replace("[flatten, dense: outputs]", both))
    answer = nnctl("train")
    assert answer.code == 2
    assert "sees the steps that it is to foretell" in answer.err
    assert not (here / "runs").exists()


def test_init_writes_a_spec_for_a_file_that_is_plainly_a_time_series(nnctl, here):
    write(here / "load.csv")
    answer = nnctl("init", "load.csv", "--target", "load")
    assert answer.code == 0
    assert "a time series" in answer.out
    spec = (here / "spec.yaml").read_text()
    assert "time_series:" in spec
    assert "time: when" in spec
    assert nnctl("train", "training.epochs=1", "--no-plot").code == 0


def test_init_leaves_a_table_a_table_where_the_past_tells_nothing(nnctl, here):
    write(here / "load.csv")
    answer = nnctl("init", "load.csv", "--target", "wind")
    assert "a regression" in answer.out
    assert "time_series" not in (here / "spec.yaml").read_text()


def test_init_drops_from_a_series_what_only_numbers_the_rows(nnctl, here):
    rows = "\n".join(f"{line},{i}" for i, line in enumerate(lines(0, HOURS)))
    (here / "load.csv").write_text(f"when,load,wind,number\n{rows}\n")
    nnctl("init", "load.csv", "--target", "load")
    assert "inputs: [load, wind]" in (here / "spec.yaml").read_text()
