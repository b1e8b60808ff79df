"""`nnctl init` of a folder of images or recordings: a spec that trains as it stands."""

from __future__ import annotations

import json
import wave

import numpy as np
import pytest
from PIL import Image

from nnctl.spec.lint.optimization import FEW_UPDATES


def image(path):
    Image.fromarray(np.random.default_rng(len(str(path))).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)


def sound(path):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes((np.sin(np.arange(2000) / 5) * 9999).astype("<i2").tobytes())


@pytest.mark.parametrize(("make", "suffix", "said"), [(image, "png", "24 images"), (sound, "wav", "24 recordings")])
def test_the_spec_of_a_folder_trains_as_it_stands(nnctl, here, make, suffix, said):
    for kind in ("cat", "dog"):
        (here / "files" / kind).mkdir(parents=True)
        for i in range(12):
            make(here / "files" / kind / f"{i}.{suffix}")
    code, out, err = nnctl("init", "files")
    assert (code, err) == (0, "")
    assert f"wrote spec.yaml: {said} of 2 classes" in out
    assert "next: nnctl train" in out
    trained = nnctl("train", "--no-plot", "--json")
    assert trained.code == 0
    assert json.loads(trained.out)["steps"] >= FEW_UPDATES


def test_a_folder_with_neither_is_refused(nnctl, here):
    (here / "empty").mkdir()
    code, _, err = nnctl("init", "empty")
    assert code == 3
    assert "without images or recordings" in err


def test_data_of_a_folder_names_the_way_to_a_spec(nnctl, here):
    (here / "files").mkdir()
    code, _, err = nnctl("data", "files")
    assert code == 2
    assert "nnctl init files" in err
