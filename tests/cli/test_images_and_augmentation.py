"""What a spec with images or augmentation is told that cannot be trained."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_iris

DIGITS = """\
name: digits
data:
  source: digits
  scaling: {scaling}
  augment: [{augment}]
architecture: [{{reshape: [8, 8, 1]}}, flatten, {{dense: outputs}}]
loss: {loss}
training: {{epochs: 1}}
"""


def spec_of(here, augment: str, scaling: str = "channels", loss: str = "cross_entropy") -> str:
    (here / "spec.yaml").write_text(DIGITS.format(augment=augment, scaling=scaling, loss=loss))
    return "spec.yaml"


@pytest.mark.parametrize(
    ("augment", "others", "said"),
    [
        ("flip", {"scaling": "standard"}, "flip: moves pixels, and data.scaling gives every pixel a center"),
        ("noise, {random_crop: 8}", {}, "random_crop: padding must be smaller than the image, which is 8 x 8. Got 8."),
        ("flipp", {}, "unknown augmentation 'flipp'. Did you mean 'flip'?"),
        ("random_rotation", {}, "unknown augmentation 'random_rotation'. Did you mean 'rotation'?"),
        ("rotation: 500", {}, "rotation.degrees: must be <= 180. Got 500."),
    ],
)
def test_an_augmentation_that_cannot_be_is_told_with_its_line(nnctl, here, augment, others, said):
    answer = nnctl("train", spec_of(here, augment, **others))
    assert answer.code == 2
    assert "spec.yaml:5:" in answer.err
    assert said in answer.err.replace("\n", " ")


def test_images_are_needed_to_flip(nnctl, here):
    text = DIGITS.format(augment="flip", scaling="standard", loss="cross_entropy").replace("digits", "iris")
    (here / "spec.yaml").write_text(text.replace("{reshape: [8, 8, 1]}, ", ""))
    answer = nnctl("train", "spec.yaml")
    assert answer.code == 2
    assert "flip: needs images, of shape (H, W, C). A row here has shape (4,)." in answer.err


@pytest.fixture
def pets(here):
    for name in ("cat", "dog"):
        for k in range(20):
            (here / "pets" / name).mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(k).integers(0, 256, (6, 6)).astype(np.uint8)
            Image.fromarray(pixels // 2 + 127 * (name == "cat")).save(here / "pets" / name / f"{k}.png")
    (here / "spec.yaml").write_text(
        "name: pets\ndata: {source: {images: pets}, scaling: channels}\n"
        "architecture: [flatten, {dense: outputs}]\nloss: cross_entropy\n"
        "training: {epochs: 3, batch_size: 8}\n"
    )
    return here / "pets"


def test_a_corrupt_image_is_named_and_skipped_only_if_the_spec_says_so(nnctl, here, pets):
    (pets / "dog" / "7.png").write_bytes(b"nothing")
    answer = nnctl("train", "spec.yaml")
    assert answer.code == 3
    said = answer.err.replace("\n", "")
    assert said.startswith("error: spec.yaml:2:8: data.source: /")
    assert "pets/dog/7.png: is no image that can be read" in said
    skipped = nnctl("train", "spec.yaml", "data.source.images.skip_broken=true", "--no-plot", "--runs-dir", "runs")
    assert skipped.code == 0
    assert "1 image cannot be read and is left out" in skipped.out + skipped.err
    [run] = here.glob("runs/pets-*")
    predicted = nnctl("predict", run, "pets")
    assert predicted.code == 0
    assert "1 image cannot be read and is left out" in predicted.err
    assert len(predicted.out.splitlines()) == 40
    assert "dog/7.png" not in predicted.out
    assert "dog/7.png: cannot be read." in nnctl("predict", run, "pets/dog/7.png").err


@pytest.mark.parametrize("kind", ["dog", "cat"])
def test_a_corrupt_image_that_is_read_batch_by_batch_is_found_before_the_training(nnctl, here, pets, kind):
    whole = (pets / kind / "7.png").read_bytes()
    (pets / kind / "7.png").write_bytes(whole[:-30])
    for part in range(8):  # of which some hold it for validation or test
        answer = nnctl("train", "spec.yaml", "data.source.images.keep=disk", "data.scaling=pixels", "--seed", part)
        assert answer.code == 3
        assert f"{kind}/7.png: is no image that can be read" in answer.err.replace("\n", "")
    assert not list(here.glob("runs/*"))


def test_images_of_different_sizes_are_refused_without_resize(nnctl, pets):
    Image.new("L", (9, 6)).save(pets / "cat" / "3.png")
    answer = nnctl("train", "spec.yaml")
    assert answer.code == 3
    assert "cat/3.png: is 6 x 9 pixels (height x width)" in answer.err
    assert nnctl("train", "spec.yaml", "data.source.images.resize=[4, 4]", "--no-plot").code == 0


def test_a_folder_that_is_not_there_is_named(nnctl, pets):
    answer = nnctl("train", "spec.yaml", "data.source.images.path=pet")
    assert answer.code == 3
    assert "pet: there is no such file or folder" in answer.err
    assert "Did you mean 'pets'?" in answer.err


def test_images_are_trained_on_and_predicted_alike_from_memory_and_from_disk(nnctl, pets):
    figures = set()
    for keep in ("memory", "disk"):
        assert nnctl("train", "spec.yaml", f"data.source.images.keep={keep}", "--no-plot", "--runs-dir", keep).code == 0
        [run] = pets.parent.glob(f"{keep}/pets-*")
        figures.add((run / "metrics.jsonl").read_text().split('"seconds"')[0])
        predicted = nnctl("predict", run, pets)
        assert predicted.code == 0
        figures.add(predicted.out)
    assert len(figures) == 2


def test_data_shows_images_before_and_after(nnctl, here):
    answer = nnctl("data", spec_of(here, "noise, {random_crop: 1}"))
    assert answer.code == 0
    [picture] = (here / "runs").glob("*/augmented.png")
    with Image.open(picture) as image:
        assert min(image.size) > 300
    figures = json.loads((picture.parent / "check.json").read_text())["figures"]
    assert [len(line["pixels"]) for line in figures["augmented"]["lines"]] == [12] * 6
    assert all(len(set(line["pixels"])) == 12 for line in figures["augmented"]["lines"])
    assert nnctl("data", spec_of(here, "")).code == 0
    assert len(list((here / "runs").glob("*/augmented.png"))) == 1


def test_data_shows_rows_before_and_after_in_their_own_units(nnctl, here):
    text = "name: x\ndata: {source: iris, augment: [{noise: 1e-9}]}\n"
    text += "architecture: [{dense: outputs}]\nloss: cross_entropy\n"
    (here / "spec.yaml").write_text(text)
    answer = nnctl("data", "spec.yaml", "--json")
    rows = json.loads(answer.out)["figures"]["augmented_rows"]["rows"]
    iris = load_iris().data
    for row in rows:
        np.testing.assert_allclose(row["before"], iris[row["row"] - 1], rtol=1e-5)
        np.testing.assert_allclose(row["after"], row["before"], rtol=1e-5)


def test_overfit_batch_does_without_augmentation_and_says_so(nnctl, here):
    answer = nnctl("overfit-batch", spec_of(here, "noise, mixup"), "--json")
    figures = json.loads(answer.out)["figures"]
    plain = json.loads(nnctl("overfit-batch", spec_of(here, ""), "--json").out)["figures"]
    assert "augmentation" in figures["switched_off"]
    assert figures["rungs"] == plain["rungs"]


def test_gradcheck_checks_one_draw_of_the_augmented_rows(nnctl, here):
    losses = [
        json.loads(nnctl("gradcheck", spec_of(here, augment), "--json").out)["figures"]["points"][0]["loss"]
        for augment in ("{rotation: 10}, mixup", "{rotation: 10}, mixup", "")
    ]
    assert losses[0] == losses[1] != losses[2]


def test_targets_of_every_position_are_not_mixed(nnctl, here):
    (here / "spec.yaml").write_text("""
name: positions
data:
  source: {seasonal: {lookback: 12, horizon: 1, forecast_at: every position}}
  augment: [mixup]
architecture: [{gru: {units: 4, returns: sequence}}, {dense: outputs}]
loss: mse
training: {epochs: 1}
""")
    answer = nnctl("train", "spec.yaml", "--dry-run")
    assert answer.code == 2
    assert "mixes the targets of two rows" in answer.err.replace("\n", " ")
