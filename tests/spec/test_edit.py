"""The learning rate changed in a spec's text, and nothing else."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnctl.core.errors import DiskError, SpecError
from nnctl.core.yaml import loads
from nnctl.spec.edit import replace_text, with_learning_rate
from nnctl.spec.load import parse_spec

HEAD = "# mine\nname:   'iris'   # kept\ndata: {source: iris}\narchitecture: [ dense: outputs ]\nloss: cross_entropy\n"


def rate(text: str) -> float:
    document = loads(text.removeprefix("\ufeff"))
    return parse_spec(document).optimizer.lr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("optimizer: adam", "optimizer: {adam: {lr: 0.02}}"),
        ("optimizer: adam   # fast", "optimizer: {adam: {lr: 0.02}}   # fast"),
        ('optimizer: "adam"', 'optimizer: {"adam": {lr: 0.02}}'),
        ("optimizer: {adam: 0.01}", "optimizer: {adam: 0.02}"),
        ("optimizer: {adam: {lr: 1e-3}}", "optimizer: {adam: {lr: 0.02}}"),
        (
            "optimizer: { 'adam' : { lr : 1e-3 , beta1: 0.8 } } # x",
            "optimizer: { 'adam' : { lr : 0.02 , beta1: 0.8 } } # x",
        ),
        ("optimizer: {adam: {beta1: 0.8}}", "optimizer: {adam: {lr: 0.02, beta1: 0.8}}"),
        ("optimizer: {adam: {}}", "optimizer: {adam: {lr: 0.02}}"),
        ("optimizer:\n  adam", "optimizer:\n  {adam: {lr: 0.02}}"),
        ("optimizer:\n  adam: 1e-3  # small", "optimizer:\n  adam: 0.02  # small"),
        (
            "optimizer:\n    adam:\n        # the rate\n        lr:   1e-3\n        beta1: 0.8",
            "optimizer:\n    adam:\n        # the rate\n        lr:   0.02\n        beta1: 0.8",
        ),
        (
            "optimizer:\n  adam:\n    # the means\n    beta1: 0.8\n    eps: 1e-7",
            "optimizer:\n  adam:\n    # the means\n    lr: 0.02\n    beta1: 0.8\n    eps: 1e-7",
        ),
        ("optimizer: {momentum: {nesterov: true, lr: .1}}", "optimizer: {momentum: {nesterov: true, lr: 0.02}}"),
        ("optimizer: &o {adam: {lr: 1e-3}}", "optimizer: &o {adam: {lr: 0.02}}"),
    ],
)
@pytest.mark.parametrize("tail", ["", "\n", "\ntraining: {epochs: 3}\n\n# the end"])
def test_every_spelling_keeps_all_but_the_rate(before, after, tail):
    assert with_learning_rate(HEAD + before + tail, 0.02) == HEAD + after + tail


@pytest.mark.parametrize("end", ["\n", ""])
def test_a_spec_without_an_optimizer_gets_one(end):
    text = HEAD.removesuffix("\n") + end
    edited = with_learning_rate(text, 0.02)
    assert edited == HEAD + "optimizer: {adam: {lr: 0.02}}\n"
    assert rate(edited) == 0.02


def test_a_spec_that_is_one_pair_of_braces_is_edited_within_them():
    text = "{data: {source: iris}, architecture: [dense: outputs], loss: cross_entropy}\n"
    assert with_learning_rate(text, 0.02) == text.replace("{data", "{optimizer: {adam: {lr: 0.02}}, data", 1)


def test_windows_line_ends_and_a_byte_order_mark_stay():
    text = "\ufeff" + (HEAD + "optimizer:\n  adam:\n    beta1: 0.8\n").replace("\n", "\r\n")
    edited = with_learning_rate(text, 0.02)
    assert edited == text.replace("    beta1", "    lr: 0.02\r\n    beta1")


def test_words_that_are_not_ascii_do_not_shift_the_place():
    text = "# größer 🙂\n" + HEAD + "optimizer: {adam: 0.01}  # für später\n"
    assert with_learning_rate(text, 0.02) == text.replace("0.01", "0.02")


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "optimizer: {adam: {lr: &a 1e-3, eps: *a}}\n",
        HEAD.replace("loss:", "early_stopping: {min_delta: &a 1e-3}\nloss:") + "optimizer: {adam: {lr: *a}}\n",
        HEAD + "...\n",
    ],
)
def test_what_cannot_be_changed_alone_is_refused_with_its_line_and_a_way_out(text):
    with pytest.raises(SpecError, match=r"spec.yaml:\d+:\d+: optimizer: cannot be changed in place. Write lr: 0.02"):
        with_learning_rate(text, 0.02)


def test_a_text_that_is_no_spec_is_refused():
    with pytest.raises(SpecError, match="rellu"):
        with_learning_rate(HEAD.replace("dense: outputs", "rellu") + "optimizer: adam\n", 0.02)


@given(st.floats(1e-12, 1e6))
def test_any_rate_is_read_back_as_it_was_given(lr):
    assert rate(with_learning_rate(HEAD + "optimizer: {adam: {lr: 1, beta1: 0.5}}\n", lr)) == lr


# ---------------------------------------------------------------------- the file


def test_the_file_gets_the_text_and_keeps_its_mode_and_its_link(tmp_path):
    file, link = tmp_path / "far.yaml", tmp_path / "spec.yaml"
    file.write_bytes(b"a\r\n")
    file.chmod(0o640)
    link.symlink_to(file)
    replace_text(link, "a\r\n", "b\r\n")
    assert file.read_bytes() == b"b\r\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["far.yaml", "spec.yaml"]


def test_a_file_that_someone_changed_meanwhile_is_left_alone(tmp_path):
    file = tmp_path / "spec.yaml"
    file.write_text("theirs")
    with pytest.raises(SpecError, match="changed by someone else meanwhile"):
        replace_text(file, "mine", "new")
    assert file.read_text() == "theirs"


def test_a_file_that_is_gone_or_cannot_be_written_is_a_disk_error(tmp_path, monkeypatch):
    file = tmp_path / "spec.yaml"
    with pytest.raises(DiskError, match="cannot be read again"):
        replace_text(file, "mine", "new")
    file.write_text("mine")

    def refuse(*_names, **_more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(DiskError, match="cannot be written: Permission denied"):
        replace_text(file, "mine", "new")
    assert file.read_text() == "mine"
