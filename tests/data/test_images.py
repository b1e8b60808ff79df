"""Images from folders and lists: which files, which pixels, and what is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nnctl.core.errors import DataError
from nnctl.data import image_files
from nnctl.data.augment import Inputs
from nnctl.data.augment.augmenter import Augmenter
from nnctl.data.augment.image import RandomCrop
from nnctl.data.batches import Batches
from nnctl.data.prepare import prepare
from nnctl.data.reading import read_input
from nnctl.data.scaling import Channels, MinMax, Pixels
from nnctl.data.sources import images as module
from nnctl.data.sources.images import Images
from nnctl.data.splits import SplitPlan

RNG = np.random.default_rng(0)


def save(path: Path, pixels: np.ndarray, **settings) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **settings)
    return pixels


def grey(height: int = 4, width: int = 5) -> np.ndarray:
    return RNG.integers(0, 256, (height, width)).astype(np.uint8)


def color(height: int = 4, width: int = 5) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two classes of ten grey images."""
    for name in ("cat", "dog"):
        for k in range(10):
            save(tmp_path / "pets" / name / f"{k}.png", grey())
    return tmp_path / "pets"


def load(path: Path | None = None, **fields):
    return Images(path=None if path is None else str(path), **fields).load(Path.cwd(), 0)


def prepared(source: Images, scaling=None, seed: int = 0):
    return prepare(source, SplitPlan(validation=4, test=4), scaling or Channels(), task="classification", seed=seed)


# ------------------------------------------------------------------ which files


def test_the_folders_are_the_classes_and_their_images_the_rows(folder):
    table = load(folder)
    assert table.x.shape == (20, 4, 5, 1)
    assert table.x.dtype == np.uint8
    assert table.y.tolist() == ["cat"] * 10 + ["dog"] * 10
    for k in range(10):
        assert np.array_equal(table.x[10 + k, :, :, 0], np.asarray(Image.open(folder / "dog" / f"{k}.png")))


def test_images_at_any_depth_belong_to_the_class_and_other_files_are_passed_over(folder):
    deep = save(folder / "cat" / "2024" / "spring" / "a.PNG", grey())
    for other in ("cat/notes.txt", "cat/.hidden.png", ".git/x.png", "__MACOSX/x.png"):
        (folder / other).parent.mkdir(exist_ok=True)
        (folder / other).write_text("not an image")
    table = load(folder)
    assert table.y.tolist() == ["cat"] * 11 + ["dog"] * 10
    assert any(np.array_equal(image[..., 0], deep) for image in table.x)


def test_a_list_says_where_the_images_are_and_what_they_show(folder):
    lines = ["file, kind", "pets/dog/3.png, big dog", "pets/cat/0.png,cat"]
    (folder.parent / "list.csv").write_text("\n".join(lines))
    table = load(folder.parent / "list.csv", image="file", target="kind")
    assert table.y.tolist() == ["big dog", "cat"]
    assert np.array_equal(table.x[0, :, :, 0], np.asarray(Image.open(folder / "dog" / "3.png")))


@pytest.mark.parametrize(
    ("labels", "values"),
    [(["3", "-1"], [3, -1]), (["0.5", "2"], [0.5, 2.0]), (["01", "02"], ["01", "02"]), (["1", "b"], ["1", "b"])],
)
def test_labels_are_numbers_where_all_are_written_so(folder, labels, values):
    lines = ["path,label", *(f"pets/cat/{k}.png,{label}" for k, label in enumerate(labels))]
    (folder.parent / "list.csv").write_text("\n".join(lines))
    assert load(folder.parent / "list.csv").y.tolist() == values


def test_parts_have_folders_of_their_own(folder):
    for k in range(3):
        save(folder.parent / "later" / "dog" / f"{k}.png", grey())
    table = load(train=str(folder), test=str(folder.parent / "later"))
    assert table.parts["train"].tolist() == list(range(20))
    assert table.parts["test"].tolist() == [20, 21, 22]
    assert table.y[20:].tolist() == ["dog"] * 3


def test_a_source_finds_its_folder_from_the_spec_and_from_anywhere_once_located(folder, monkeypatch):
    located = Images(path="pets").located(folder.parent)
    monkeypatch.chdir("/")
    assert located.path == str(folder)
    assert len(located.load(Path("/"), 0)) == 20


# ------------------------------------------------------------------ which pixels


@pytest.mark.parametrize("suffix", ["png", "bmp"])
def test_colours_are_three_channels(tmp_path, suffix):
    pixels = save(tmp_path / "x" / "a" / f"1.{suffix}", color())
    assert np.array_equal(load(tmp_path / "x").x[0], pixels)


def test_a_jpeg_is_near_to_what_was_saved(tmp_path):
    smooth = np.linspace(0, 255, 32 * 32).reshape(32, 32).astype(np.uint8)
    save(tmp_path / "x" / "a" / "1.jpg", smooth, quality=95)
    assert np.abs(load(tmp_path / "x").x[0, :, :, 0].astype(int) - smooth).max() < 8


def test_one_image_with_colours_makes_all_of_them_three_channels(folder):
    save(folder / "cat" / "color.png", color())
    table = load(folder)
    assert table.x.shape == (21, 4, 5, 3)
    assert (table.x[0] == table.x[0, :, :, :1]).all()
    assert load(folder, color="grey").x.shape == (21, 4, 5, 1)


def test_palettes_transparency_bits_and_sixteen_bits_are_brought_to_eight(tmp_path):
    pixels, root = color(), tmp_path / "x" / "a"
    root.mkdir(parents=True)
    opaque = np.full((4, 5, 1), 255, np.uint8)
    Image.fromarray(np.concatenate([pixels, opaque // 2], 2)).save(root / "alpha.png")
    few = Image.fromarray(pixels // 128 * 255).quantize(8)
    few.save(root / "palette.png", transparency=bytes(range(8)))
    Image.fromarray(grey() > 100).save(root / "bit.png")
    deep = RNG.integers(0, 65536, (4, 5)).astype(np.uint16)
    Image.fromarray(deep).save(root / "sixteen.png")
    alpha, bit, palette, sixteen = load(tmp_path / "x").x
    assert np.array_equal(alpha, pixels)
    assert np.array_equal(palette, pixels // 128 * 255)
    assert set(np.unique(bit)) == {0, 255}
    assert np.array_equal(sixteen[..., 0], deep >> 8)


def test_a_jpeg_is_turned_as_the_camera_was_held(tmp_path):
    smooth = np.repeat(np.linspace(0, 255, 16).astype(np.uint8)[None], 24, axis=0)  # brighter to the right
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by 90 degrees
    save(tmp_path / "x" / "a" / "1.jpg", smooth, exif=exif, quality=95)
    x = load(tmp_path / "x").x[0, :, :, 0].astype(int)
    assert x.shape == (16, 24)
    assert x[-1].mean() > x[0].mean() + 200  # brighter to the bottom


def test_resize_brings_all_to_one_size(folder):
    large = save(folder / "cat" / "large.png", np.full((40, 10), 77, np.uint8))
    table = load(folder, resize=(8, 6))
    assert table.x.shape == (21, 8, 6, 1)
    assert large.shape != (8, 6)
    assert any((image == 77).all() for image in table.x)


# ------------------------------------------------------------------ what is refused


def test_images_of_different_sizes_are_refused_by_name(folder):
    save(folder / "dog" / "odd.png", grey(9, 7))
    with pytest.raises(DataError, match=r"dog/odd.png: is 9 x 7 .* most of the others are 4 x 5. .*resize: \[4, 5\]"):
        load(folder)


@pytest.mark.parametrize("damage", [b"no image at all", b"", None], ids=["text", "empty", "cut short"])
def test_a_broken_image_is_refused_by_name_or_skipped_with_a_note(folder, damage):
    broken = folder / "cat" / "5.png"
    if damage is None:
        save(broken, RNG.integers(0, 256, (4, 5, 3)).astype(np.uint8))
        damage = broken.read_bytes()[:60]
    broken.write_bytes(damage)
    with pytest.raises(DataError, match=r"cat/5.png: is no image that can be read: .*skip_broken: true"):
        load(folder)
    for keep in ("memory", "disk"):
        table = load(folder, skip_broken=True, keep=keep)
        assert len(table.x) == len(table.y) == 19
        assert (table.y == "cat").sum() == 9
        assert table.notes == (f"1 image cannot be read and is left out: {broken}",)


def test_what_is_skipped_is_missing_in_its_own_part(folder):
    save(folder.parent / "later" / "dog" / "1.png", grey())
    (folder / "cat" / "5.png").write_text("")
    table = load(train=str(folder), test=str(folder.parent / "later"), skip_broken=True)
    assert {name: rows.tolist() for name, rows in table.parts.items()} == {"train": list(range(19)), "test": [19]}


def bomb(path: Path, side: int) -> None:
    """Write a PNG of a few bytes that claims to be side x side pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))


@pytest.mark.parametrize("side", [10_000, 60_000, 2_000_000])
def test_a_picture_bomb_is_refused_by_its_header(folder, side, monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was decoded"))
    bomb(folder / "dog" / "bomb.png", side)
    with pytest.raises(DataError, match=r"dog/bomb.png.*"):
        load(folder)


def test_an_image_larger_than_the_memory_is_refused_by_its_header(folder, monkeypatch):
    monkeypatch.setattr("nnctl.data.memory.available_memory", lambda: 10_000_000)
    bomb(folder / "dog" / "bomb.png", 3000)
    with pytest.raises(DataError, match=r"dog/bomb.png claims 3,000 x 3,000 pixels"):
        load(folder)


def test_a_folder_without_classes_or_images_is_refused(tmp_path, folder):
    save(tmp_path / "flat" / "1.png", grey())
    with pytest.raises(DataError, match="flat: has no folder for each class"):
        load(tmp_path / "flat")
    (folder / "bird").mkdir()
    with pytest.raises(DataError, match="pets/bird: there are no images"):
        load(folder)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("file,label\n1.png,a\n", r"has no column 'path'.*Columns: file, label"),
        ("path,kind\n1.png,a\n", r"has no column 'label'"),
        ("path,label\npets/cat/0.png,a\npets/none.png,b\n", r"list.csv:3: there is no image .*none.png"),
        ("path,label\npets/cat/0.png,\n", r"list.csv:2: 0.png has no label"),
        ("path,label\n", "there are no images"),
    ],
)
def test_a_list_that_cannot_be_used_is_refused_by_its_line(folder, text, said):
    (folder.parent / "list.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        load(folder.parent / "list.csv")


# ------------------------------------------------------------------ from disk


def test_what_does_not_fit_stays_on_disk(folder, monkeypatch):
    size = 20 * 4 * 5 * 5  # values, and bytes for each
    monkeypatch.setattr(module, "available_memory", lambda: 2 * size)
    assert isinstance(load(folder).x, np.ndarray)
    monkeypatch.setattr(module, "available_memory", lambda: 2 * size - 1)
    assert isinstance(load(folder).x, image_files.ImageFiles)


@pytest.mark.parametrize("scaling", [Channels(), Pixels(), MinMax()])
def test_images_on_disk_are_trained_on_as_those_in_memory(folder, scaling):
    held, read = (prepared(Images(path=str(folder), keep=keep), scaling) for keep in ("memory", "disk"))
    assert held.preprocessing.to_json() == read.preprocessing.to_json()
    for one, other in ((held.train, read.train), (held.test, read.test)):
        assert isinstance(other.x, image_files.ScaledImages)
        assert other.x.shape == one.x.shape
        np.testing.assert_array_equal(np.asarray(other.x), one.x)
        np.testing.assert_array_equal(other.x[2:4], one.x[2:4])
        np.testing.assert_array_equal(other.y, one.y)
        assert other.astype(np.float64).x[:].dtype == np.float64
        np.testing.assert_allclose(other.astype(np.float64).x[:], one.x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("augment", [(), (RandomCrop(padding=1),)])
def test_batches_from_disk_are_those_from_memory_also_from_the_middle_of_an_epoch(folder, shuffle, augment):
    shown = []
    for keep in ("memory", "disk"):
        data = prepared(Images(path=str(folder), keep=keep))
        t = np.eye(2, dtype=np.float32)[data.train.y]
        change = (
            Augmenter(augment, Inputs.of(data), data.train.x, t, None, data.train.rows, seed=0) if augment else None
        )
        batches = Batches(data.train.x, t, None, 5, shuffle=shuffle, augmenter=change)
        shown.append([(b.x.copy(), b.t.copy()) for first in (0, 1) for b in batches.epoch(3, first)])
    assert len(shown[0]) == 5
    for one, other in zip(*shown, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_two_batches_are_read_ahead_and_no_more(folder, monkeypatch):
    data = prepared(Images(path=str(folder), keep="disk"))
    read = []
    whole = image_files.ScaledImages.__getitem__
    monkeypatch.setattr(image_files.ScaledImages, "__getitem__", lambda x, rows: read.append(rows) or whole(x, rows))
    batches = Batches(data.train.x, np.zeros((12, 1), np.float32), None, 2)
    epoch = batches.epoch(0)
    next(epoch)
    epoch.close()
    assert len(read) == 3


def test_an_image_that_breaks_while_training_is_named(folder):
    data = prepared(Images(path=str(folder), keep="disk"))
    broken = data.train.x.files.paths[data.train.rows[0]]
    broken.write_text("")
    with pytest.raises(DataError, match=str(broken)):
        list(Batches(data.train.x, np.zeros((12, 1), np.float32), None, 2).epoch(0))


# ------------------------------------------------------------------ to predict


def test_images_to_predict_are_one_or_a_folder_or_a_list(folder):
    source = Images(path=str(folder))
    preprocessing = prepared(source).preprocessing
    one = read_input(str(folder / "cat" / "3.png"), preprocessing, source)
    assert one.x.shape == (1, 4, 5, 1)
    assert one.y is None
    some = read_input(str(folder / "dog"), preprocessing, source)
    assert len(some) == 10
    assert some.y is None
    assert one.files == ("3.png",)
    assert some.files[:2] == ("0.png", "1.png")
    whole = read_input(str(folder), preprocessing, source)
    assert whole.y.tolist() == ["cat"] * 10 + ["dog"] * 10
    (folder.parent / "list.csv").write_text("path\npets/dog/1.png\n")
    listed = read_input(str(folder.parent / "list.csv"), preprocessing, source)
    np.testing.assert_array_equal(listed.x[0], some.x[1])
    assert listed.files == (str(Path("pets", "dog", "1.png")),)


def test_an_image_to_predict_has_the_size_that_was_trained_on(folder):
    source = Images(path=str(folder))
    preprocessing = prepared(source).preprocessing
    save(folder.parent / "new.png", grey(9, 9))
    with pytest.raises(DataError, match=r"new.png: is 9 x 9 .*the network was trained on 4 x 5"):
        read_input(str(folder.parent / "new.png"), preprocessing, source)
    assert read_input(str(folder.parent / "new.png"), preprocessing, Images(path="x", resize=(4, 5))).x.shape[1:3] == (
        4,
        5,
    )
