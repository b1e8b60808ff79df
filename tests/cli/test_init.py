"""nnctl init: a first spec that validates, trains, and says why it is as it is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from nnctl.core import yaml

CITIES = ["Rome", "Oslo", "Lima"]
MIXED = "id,age,colour,name,city\n" + "".join(
    f"{100 + i},{'' if i % 9 == 0 else i % 40 + i % 3},{['red', 'blue', ''][i % 3]},person {i},{CITIES[i % 3]}\n"
    for i in range(90)
)
PRICES = "rooms;floor;price\n" + "".join(f"{i % 7 + i / 100};{i % 4};{100_000 + 431 * i}\n" for i in range(120))
RARE = "x,y\n" + "".join(f"{i / 10},{'ill' if i % 20 == 0 else 'well'}\n" for i in range(200))


def written(here, name="spec.yaml"):
    return yaml.load(here / name).data


def train(nnctl, *arguments):
    code, out, err = nnctl("train", *arguments, "training.epochs=2", "--no-plot", "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


@pytest.mark.parametrize("source", [[], ["iris"], ["diabetes"], ["moons"], ["xor"], ["wine"], ["sine"], ["spirals"]])
def test_the_spec_of_a_named_data_set_validates_and_trains(nnctl, source):
    code, out, err = nnctl("init", *source)
    assert (code, err) == (0, "")
    assert out.endswith("next: nnctl train\n")
    assert nnctl("validate").code == 0
    assert train(nnctl)["reason"]


@pytest.mark.parametrize(("name", "text"), [("mixed", MIXED), ("prices", PRICES), ("rare", RARE)])
def test_the_spec_of_a_file_validates_and_trains(nnctl, here, name, text):
    (here / f"{name}.csv").write_text(text)
    code, out, _ = nnctl("init", f"{name}.csv")
    assert code == 0
    assert "cannot be trained" not in out
    assert nnctl("validate").code == 0
    assert train(nnctl)["reason"]


def test_without_a_source_it_is_about_digits(nnctl, here):
    nnctl("init")
    spec = written(here)
    assert spec["data"]["source"] == "digits"
    assert spec["loss"] == "cross_entropy"


def test_a_regression_gets_its_loss_scaling_and_metrics(nnctl, here):
    (here / "prices.csv").write_text(PRICES)
    nnctl("init", "prices.csv")
    spec = written(here)
    assert spec["loss"] == "mse"
    assert spec["data"]["target_scaling"] == "standard"
    assert spec["metrics"] == ["r2", "rmse"]
    assert spec["data"]["source"]["csv"]["separator"] == ";"
    assert spec["data"]["source"]["csv"]["target"] == "price"


def test_two_classes_get_one_output(nnctl, here):
    nnctl("init", "moons")
    assert written(here)["loss"] == "binary_cross_entropy"


def test_identifiers_are_left_out_and_missing_values_are_spoken_of(nnctl, here):
    (here / "mixed.csv").write_text(MIXED)
    out = nnctl("init", "mixed.csv").out
    source = written(here)["data"]["source"]["csv"]
    assert source["drop"] == ["id", "name"]
    assert source["impute"] == "median"
    assert source["encoding"] == "onehot"
    assert "'city' is taken for the target; --target names another" in out
    assert "'name' is left out: 90 distinct texts" in out
    assert "median, mean or most_frequent" in (here / "spec.yaml").read_text()


def test_the_target_can_be_named(nnctl, here):
    (here / "mixed.csv").write_text(MIXED)
    code, out, _ = nnctl("init", "mixed.csv", "--target", "colour")
    assert code == 3  # it is missing in a third of the rows
    code, out, _ = nnctl("init", "mixed.csv", "--target", "id")
    assert code == 0
    assert "taken for the target" not in out
    assert written(here)["loss"] == "mse"


@pytest.mark.parametrize("layout", ["{y}-{m:02}-{d:02}", "{d:02}.{m:02}.{y}"])
@pytest.mark.parametrize("rows", [40, 120])
def test_dates_order_the_rows_and_are_not_dropped(nnctl, here, layout, rows):
    days = [layout.format(d=1 + i % 28, m=1 + i // 28 % 12, y=2023) for i in range(rows)]
    lines = [f"{day},{i % 9 / 4},{i / 7},{day if i % 2 else ''}\n" for i, day in enumerate(days)]
    (here / "days.csv").write_text("day,x,price,seen\n" + "".join(lines))
    out = nnctl("init", "days.csv").out
    data = written(here)["data"]
    assert data["split"]["time"] == "day"
    assert data["source"]["csv"]["target"] == "price"
    assert data["source"]["csv"]["drop"] == ["seen"]
    assert "column 'day' holds dates: the latest rows become the test part" in out
    assert "column 'seen' is left out: it holds dates" in out
    assert "The dates in 'day' order the rows" in (here / "spec.yaml").read_text()
    assert nnctl("validate").code == 0
    assert train(nnctl)["reason"]


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
@pytest.mark.parametrize("header", [True, False])
def test_decimal_commas_and_another_encoding_are_found_and_written(nnctl, here, encoding, header):
    rows = "".join(f"{i % 9},5;{['süß', 'herb'][i % 2]};{i},25\n" for i in range(60))
    (here / "a.csv").write_bytes((("größe;art;preis\n" if header else "") + rows).encode(encoding))
    out = nnctl("init", "a.csv").out
    source = written(here)["data"]["source"]["csv"]
    assert source["decimal"] == ","
    assert source["separator"] == ";"
    assert source["text_encoding"] == encoding
    assert source["target"] == ("preis" if header else "column_3")
    assert f"the file is no UTF-8 and is read as {encoding}" in out
    assert "numbers are read with a decimal comma" in out
    assert written(here)["loss"] == "mse"
    assert nnctl("validate").code == 0


def test_decimal_commas_beside_decimal_points_are_refused(nnctl, here):
    (here / "a.csv").write_text("a;b;c\n" + "".join(f"{i},5;{i}.5;{i % 2}\n" for i in range(60)))
    code, _, err = nnctl("init", "a.csv")
    assert code == 3
    assert "column 'a' holds numbers with a decimal comma" in err


@pytest.mark.parametrize("word", ["target", "Label", "class", "Y"])
def test_a_column_called_target_is_the_target(nnctl, here, word):
    (here / "a.csv").write_text(f"{word},x\n" + "".join(f"{i % 2},{i}\n" for i in range(60)))
    nnctl("init", "a.csv")
    assert written(here)["data"]["source"]["csv"]["target"] == word


def test_a_rare_class_is_spoken_of(nnctl, here):
    (here / "rare.csv").write_text(RARE)
    nnctl("init", "rare.csv")
    text = (here / "spec.yaml").read_text()
    assert "Only 5 % of the rows are of class 'ill'" in text
    assert "class_weight: balanced" in text
    assert written(here)["metrics"] == ["accuracy", "balanced_accuracy"]
    assert nnctl("validate", "loss={binary_cross_entropy: {class_weight: balanced}}").code == 0


def test_a_file_without_a_header_is_recognised(nnctl, here):
    (here / "bare.csv").write_text("".join(f"{i},{i * 2.5},{'ab'[i % 2]}\n" for i in range(60)))
    out = nnctl("init", "bare.csv").out
    source = written(here)["data"]["source"]["csv"]
    assert source["header"] is False
    assert source["target"] == "column_3"
    assert "60 rows" in out
    assert nnctl("validate").code == 0


def test_parquet_tsv_and_npz_are_looked_at_too(nnctl, here):
    import polars as pl

    frame = pl.DataFrame({"a": [i / 7 for i in range(60)], "kind": ["x", "y", "z"] * 20})
    frame.write_parquet(here / "a.parquet")
    frame.write_csv(here / "a.tsv", separator="\t")
    np.savez(here / "a.npz", x=np.arange(120.0).reshape(60, 2), y=np.arange(60) / 7)
    for name, loss in (("a.parquet", "cross_entropy"), ("a.tsv", "cross_entropy"), ("a.npz", "mse")):
        assert nnctl("init", name, "--force").code == 0
        assert written(here)["loss"] == loss
        assert nnctl("validate").code == 0


def test_the_path_in_the_spec_starts_from_the_spec(nnctl, here):
    (here / "data").mkdir()
    (here / "specs").mkdir()
    (here / "data" / "p.csv").write_text(PRICES)
    assert nnctl("init", "data/p.csv").code == 0
    assert written(here)["data"]["source"]["csv"]["path"] == "data/p.csv"
    assert nnctl("init", "data/p.csv", "-o", "specs/p.yaml").code == 0
    assert nnctl("validate", "specs/p.yaml").code == 0


def test_a_data_set_that_is_not_here_gets_its_spec_and_says_what_is_missing(nnctl, here):
    code, out, _ = nnctl("init", "mnist")
    spec = written(here)
    assert code == 0
    assert "nnctl fetch mnist" in out
    assert spec["data"]["scaling"] == "pixels"
    assert "test" not in spec["data"]["split"]
    assert nnctl("validate").code == 3


def test_every_section_is_explained(nnctl, here):
    nnctl("init", "diabetes")
    lines = (here / "spec.yaml").read_text().splitlines()
    keys = [i for i, line in enumerate(lines) if line[:1].isalpha() and not line.startswith("name")]
    assert all(lines[i - 1].startswith("#") for i in keys)
    assert max(map(len, lines)) <= 120


def test_a_spec_that_is_there_is_not_overwritten(nnctl, here):
    (here / "spec.yaml").write_text("mine")
    code, _, err = nnctl("init")
    assert code == 2
    assert "--force" in err
    assert (here / "spec.yaml").read_text() == "mine"
    assert nnctl("init", "--force").code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["irs"], "'iris'"),
        (["csv"], "data.csv"),
        (["iris", "--target", "y"], "--target"),
        (["a.csv", "--target", "prize"], "'price'"),
        (["a.doc"], ".csv"),
        (["--nope"], "--nope"),
    ],
)
def test_a_wrong_command_line_ends_with_2(nnctl, here, arguments, said):
    (here / "a.csv").write_text(PRICES.replace(";", ","))
    (here / "a.doc").write_text("x")
    code, _, err = nnctl("init", *arguments)
    assert code == 2
    assert said in err
    assert not (here / "spec.yaml").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "no such file"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2,3\n", "values"),
        ("a,y\n" + "1,same\n" * 30, "one class only"),
        ("a,y\n1,\n2,3\n", "missing"),
        ("a,y\n" + "".join(f"{i},word {i}\n" for i in range(200)), "distinct texts"),
    ],
)
def test_data_that_nothing_can_be_learned_from_end_with_3(nnctl, here, text, said):
    if text is not None:
        (here / "a.csv").write_text(text)
    code, _, err = nnctl("init", "a.csv")
    assert code == 3
    assert said in err
    assert not (here / "spec.yaml").exists()


def test_a_spec_that_cannot_be_written_ends_with_74(nnctl):
    assert nnctl("init", "iris", "-o", "no/where.yaml").code == 74


def test_names_of_columns_cannot_break_the_spec(nnctl, here):
    (here / "odd.csv").write_text(
        '"a: b","[red]x[/]","# no"\n' + "".join(f"{i % 7 / 3},{i / 3},{i % 2}\n" for i in range(60))
    )
    code, out, _ = nnctl("init", "odd.csv")
    assert code == 0
    assert "'# no' is taken for the target" in out
    assert written(here)["data"]["source"]["csv"]["target"] == "# no"
    assert nnctl("validate").code == 0
