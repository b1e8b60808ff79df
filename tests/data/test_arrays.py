"""Arrays in files: npz, npy and idx, and the headers that lie."""

import gzip
import io
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from nnctl.core.errors import DataError
from nnctl.data import memory
from nnctl.data.prepare import prepare
from nnctl.data.scaling import NoScaling, Pixels
from nnctl.data.sources import Source
from nnctl.data.sources.idx import read_idx
from nnctl.data.sources.npz import read_npz
from nnctl.data.splits import SplitPlan

ALL = SplitPlan(validation=0, test=0)


def idx(array, code=0x08):
    return struct.pack(">HBB", 0, code, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.arange(6 * 2 * 3, dtype=np.uint8).reshape(6, 2, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2], np.uint8)


def mnist_like(folder):
    (folder / "x.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (folder / "y").write_bytes(idx(LABELS))
    return {"images": "x.gz", "labels": "y"}


def test_idx_images_are_rows_or_images(tmp_path):
    fields = mnist_like(tmp_path)
    flat = prepare(Source.parse({"idx": fields}), ALL, Pixels(), task="classification", base=tmp_path)
    np.testing.assert_allclose(flat.train.x, IMAGES.reshape(6, 6) / 255, rtol=1e-6)
    assert flat.classes == ("0", "1", "2")
    assert flat.features[5] == "pixel_1_2"
    image = Source.parse({"idx": {**fields, "form": "image"}}).load(tmp_path, 0)
    assert image.x.shape == (6, 2, 3, 1)
    assert image.features == ()


def test_idx_test_files_are_the_test_part(tmp_path):
    fields = mnist_like(tmp_path)
    source = Source.parse({"idx": {**fields, "test_images": "x.gz", "test_labels": "y"}})
    data = prepare(source, SplitPlan(validation=0), NoScaling(), task="classification", base=tmp_path)
    assert np.array_equal(data.train.x, data.test.x)
    with pytest.raises(ValidationError, match=r"needs test_images and test_labels together"):
        Source.parse({"idx": {**fields, "test_images": "x.gz"}})


@pytest.mark.parametrize(("code", "dtype"), [(0x09, ">i1"), (0x0B, ">i2"), (0x0C, ">i4"), (0x0D, ">f4"), (0x0E, ">f8")])
def test_idx_knows_all_its_types(tmp_path, code, dtype):
    array = np.arange(-4, 4).astype(dtype).reshape(2, 4)
    (tmp_path / "a").write_bytes(idx(array, code))
    read = read_idx(tmp_path / "a")
    assert read.dtype.isnative
    assert np.array_equal(read, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PNG whatever", "is no idx file: it starts with 50 4e 47 20"),
        (b"\0\0", "is no idx file"),
        (idx(IMAGES)[:6], "ends within its header"),
        (idx(IMAGES)[:-1], "ends after 35 of 36 bytes"),
        (idx(IMAGES) + b"x", "goes on after"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-10], "cannot be read"),
        (struct.pack(">HBBII", 0, 8, 2, 2**31, 2**31), "claims the shape .* of memory are left"),
    ],
)
def test_a_damaged_idx_file_is_refused(tmp_path, content, message):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(tmp_path / "a")


def test_swapped_and_uneven_idx_files_are_refused(tmp_path):
    fields = mnist_like(tmp_path)
    with pytest.raises(DataError, match=r"Are they swapped"):
        Source.parse({"idx": {"images": "y", "labels": "x.gz"}}).load(tmp_path, 0)
    (tmp_path / "y").write_bytes(idx(LABELS[:-1]))
    with pytest.raises(DataError, match=r"there are 6 images in x.gz and 5 labels in y"):
        Source.parse({"idx": fields}).load(tmp_path, 0)


def npz(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return Source.parse({"npz": "a.npz"})


def test_npz_holds_inputs_targets_and_what_else_is_named(tmp_path):
    source = npz(
        tmp_path, x=np.ones((8, 2, 3), np.float32), y=np.arange(8) % 2, who=np.arange(8) // 4, extra=np.ones(3)
    )
    table = source.load(tmp_path, 0)
    assert table.x.shape == (8, 2, 3)
    assert list(table.side) == ["who"]
    data = prepare(
        source, SplitPlan(validation=0, test=1, group="who"), NoScaling(), task="classification", base=tmp_path
    )
    assert data.input_shape == (2, 3)
    assert len(set(data.test.rows // 4)) == 1


def test_npz_keys_can_be_named_and_labels_can_be_texts(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data=np.eye(3), label=np.array(["u", "v", "w"]), w=np.ones(3))
    source = Source.parse({"npz": {"path": "a.npz", "x": "data", "y": "label", "weight": "w"}})
    data = prepare(source, ALL, NoScaling(), task="classification", base=tmp_path)
    assert data.classes == ("u", "v", "w")
    assert data.train.weight.tolist() == [1, 1, 1]


@given(
    st.sampled_from(["f4", "f8", "u1", "i8", "?", "U3", ">f4"]),
    st.lists(st.integers(0, 4), min_size=0, max_size=3),
    st.sampled_from(["C", "F"]),
)
def test_what_numpy_saves_is_read_back(tmp_path_factory, dtype, shape, order):
    array = np.asarray(np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype), order=order)
    folder = tmp_path_factory.mktemp("npz")
    np.savez(folder / "a.npz", x=array)
    np.save(folder / "a.npy", array)
    for file in ("a.npz", "a.npy"):
        read = read_npz(folder / file)["x"]
        assert read.dtype == array.dtype
        assert read.shape == array.shape
        assert np.array_equal(read, array)


def test_pickled_objects_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"'x': holds pickled objects, which are not read"):
        npz(tmp_path, x=np.array([{"a": 1}, None], object), y=np.arange(2)).load(tmp_path, 0)


def header(shape):
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def test_a_header_that_claims_more_than_the_memory_is_refused_at_once(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", header((2**40, 2**10)))
    with pytest.raises(DataError, match=r"claims the shape .* GB are needed"):
        read_npz(tmp_path / "a.npz")


def test_an_archive_that_unpacks_to_more_than_the_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(100_000))
    monkeypatch.setattr(memory, "available_memory", lambda: 10_000)
    with pytest.raises(DataError, match=r"GB of memory are left"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"PK\x03\x04 no archive", b"nothing of the kind", header((5,)) + b"\0" * 8])
def test_a_damaged_npz_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"no NumPy archive that can be read|cut short"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.ones((3, 2)), "labels": np.ones(3)}, r"there is no array 'y'. It holds: x, labels"),
        ({"x": np.ones((3, 2)), "y": np.ones(4)}, "'x' has 3 rows and 'y' has shape"),
        ({"x": np.float64(1), "y": np.ones(4)}, "single number"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "no rows"),
        ({"x": np.array([[1.0, np.nan], [2, 3]]), "y": np.arange(2)}, r"column 'x2' is NaN in 1 row of 2 \(row 1\)"),
        ({"x": np.array([["a"], ["b"]]), "y": np.arange(2)}, "the inputs are no numbers"),
        ({"x": np.ones((2, 2)), "y": np.ones((2, 3))}, "Classification needs one label a row"),
        ({"x": np.ones((2, 2)), "y": np.array([1.0, np.nan])}, r"target 'y' is NaN in 1 row of 2 \(row 2\)"),
        ({"x": np.full((2, 2, 2), np.inf), "y": np.arange(2)}, r"column at \(0, 0\) is infinite in 2 rows"),
    ],
)
def test_arrays_that_cannot_be_learned_from_are_refused(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        prepare(npz(tmp_path, **arrays), ALL, NoScaling(), task="classification", base=tmp_path)


def test_a_regression_may_have_several_outputs(tmp_path):
    data = prepare(npz(tmp_path, x=np.eye(4), y=np.ones((4, 3))), ALL, NoScaling(), task="regression", base=tmp_path)
    assert data.outputs == 3
    assert data.train.y.shape == (4, 3)
