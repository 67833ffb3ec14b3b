"""Files of images: what is read, how it is split, and what is refused in one line."""

import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from lnpbrian.checks import InvalidInput
from lnpbrian.learning.vision.images import ImageTask, image_task

DATA = Path(os.environ.get("LNPBRIAN_DATA", Path(__file__).parents[2] / "shared" / "data"))
IDX = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}


def idx(array, kind=8):
    array = np.asarray(array, np.uint8)
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def digits_folder(tmp_path):
    """A folder of the IDX files of six and three images, and what is in them."""
    rng = np.random.default_rng(0)
    content = {}
    for part, m in (("train", 6), ("t10k", 3)):
        content[f"{part}-images-idx3-ubyte"] = rng.integers(256, size=(m, 28, 28), dtype=np.uint8)
        content[f"{part}-labels-idx1-ubyte"] = np.arange(m, dtype=np.uint8)
    for name, array in content.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
    return tmp_path, content


@pytest.fixture
def rows():
    """Labels and rows of four images in CIFAR's order: red, green and blue planes."""
    rng = np.random.default_rng(1)
    return np.array([3, 0, 9, 7], np.uint8), rng.integers(256, size=(4, 3072), dtype=np.uint8)


def sorted_by_label(x, y):
    order = np.argsort(y)
    return x[order], y[order]


def refused(match, *arguments, **options):
    with pytest.raises(InvalidInput, match=match) as caught:
        image_task(*arguments, **options)
    assert "\n" not in str(caught.value)


# --- what is read -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
def test_idx(digits_folder, packed):
    folder, content = digits_folder
    if not packed:
        for name in content:
            (folder / name).write_bytes(gzip.decompress((folder / f"{name}.gz").read_bytes()))
            (folder / f"{name}.gz").unlink()
    task = image_task("mnist", folder)
    x, y = sorted_by_label(task.x_train, task.y_train)
    assert y.tolist() == [0, 1, 2, 3, 4, 5]
    assert (x[..., 0] == content["train-images-idx3-ubyte"]).all()
    assert (len(task.y_test), task.shape, task.classes[3]) == (3, (28, 28, 1), "3")
    assert "6 of 6 train, 3 of 3 test" in task.notes[0]


def test_choice_and_seed(digits_folder):
    folder, _ = digits_folder
    few = image_task("fashion", folder, train=4, test=2, seed=1)
    again, other = (image_task("fashion", folder, train=4, test=2, seed=seed) for seed in (1, 2))
    assert (few.y_train == again.y_train).all()
    assert (few.x_test == again.x_test).all()
    assert len(set(few.y_train.tolist())) == 4
    assert few.y_train.tolist() != other.y_train.tolist()
    assert few.record()["train_images"] == 4
    assert few.record()["seed"] == 1


def test_digits_are_split_without_overlap():
    task = image_task("digits", seed=3)
    counts = np.bincount(np.concatenate([task.y_train, task.y_test]))
    # Alpaydin and Kaynak 1998, as scikit-learn describes them.
    assert counts.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    images = np.concatenate([task.x_train, task.x_test]).reshape(1797, -1)
    assert len(np.unique(images, axis=0)) == len(images)
    assert task.intensities(task.x_train).max() == 1


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("keys", [str, str.encode])
def test_cifar_python(tmp_path, rows, protocol, keys):
    y, x = rows
    for name in ("data_batch_1", "data_batch_2", "test_batch"):
        with (tmp_path / name).open("wb") as file:
            pickle.dump({keys("data"): x, keys("labels"): y.tolist(), keys("batch_label"): "one"}, file, protocol)
    task = image_task("cifar10", tmp_path)
    assert len(task.y_train) == 8
    found, labels = sorted_by_label(task.x_test, task.y_test)
    assert labels.tolist() == sorted(y.tolist())
    # Row 5 and column 7 of the green plane.
    assert found[:, 5, 7, 1].tolist() == x[np.argsort(y), 1024 + 5 * 32 + 7].tolist()


def test_cifar_python_of_old_pickles(tmp_path, rows):
    """Python 2 wrote text as bytes, and NumPy had its modules elsewhere."""
    y, x = rows
    raw = pickle.dumps({"data": x, "fine_labels": y.tolist()}, 2).replace(b"numpy._core", b"numpy.core")
    for name in ("train", "test"):
        (tmp_path / name).write_bytes(raw)
    task = image_task("cifar100", tmp_path)
    assert (task.n_classes, len(task.y_train)) == (100, 4)


@pytest.mark.parametrize(("name", "labels", "stems"), [
    ("cifar10", 1, ("data_batch_3", "test_batch")),
    ("cifar100", 2, ("train", "test")),
])  # fmt: skip
def test_cifar_binary(tmp_path, rows, name, labels, stems):
    y, x = rows
    columns = [np.full(4, 99, np.uint8)] * (labels - 1) + [y]
    for stem in stems:
        (tmp_path / f"{stem}.bin").write_bytes(np.column_stack([*columns, x]).tobytes())
    found, found_labels = sorted_by_label(*(lambda t: (t.x_train, t.y_train))(image_task(name, tmp_path)))
    assert found_labels.tolist() == sorted(y.tolist())
    assert found[:, 0, 31, 2].tolist() == x[np.argsort(y), 2048 + 31].tolist()


def test_npz(tmp_path, rows):
    y, x = rows
    images = x.reshape(4, 32, 32, 3)
    path = tmp_path / "mine_cifar10.npz"
    np.savez(path, x_train=images, y_train=y, x_test=images, y_test=y, classes=np.array(list("abcdefghij")))
    for given in (path, tmp_path):
        task = image_task("cifar10", given, train=3)
        assert (task.classes[9], len(task.y_train), len(task.y_test)) == ("j", 3, 4)


@pytest.mark.parametrize(("name", "folder", "train", "test"), [
    ("fashion", "fashion_mnist", 60_000, 10_000),
    ("mnist", "mnist10000", 8_000, 2_000),
    ("cifar10", "cifar", 5_085, 1_017),
    ("cifar100", "cifar", 281, 148),
])  # fmt: skip
def test_real_files(name, folder, train, test):
    if not (DATA / folder).exists():
        pytest.skip(f"no {folder} under LNPBRIAN_DATA")
    task = image_task(name, DATA / folder)
    assert (len(task.y_train), len(task.y_test)) == (train, test)
    if name == "fashion":
        assert task.record()["images_per_class"] == [6000] * 10


# --- what is refused --------------------------------------------------------------------------------------------------


def test_names_and_numbers():
    refused("name must be one of", "imagenet")
    refused("take no data", "digits", "folder")
    refused("comes from files; give the folder", "mnist")
    refused("does not exist", "cifar10", "/nowhere/at/all")
    refused("test must be at most the 500 images", "digits", test=501)
    refused("train must be a whole number", "digits", train=0)


def test_folders(tmp_path, digits_folder):
    folder, _ = digits_folder
    refused("holds no images of cifar100", "cifar100", folder)
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    refused("only those that train", "mnist", folder)
    (tmp_path / "a.txt").write_text("x")
    refused("no folder and no npz", "mnist", tmp_path / "a.txt")


def with_idx(folder, name, raw):
    (folder / f"{name}.gz").write_bytes(raw)


def packed(raw):
    """The same bytes whenever it is called (gzip writes the time), so that all workers collect the same tests."""
    return gzip.compress(raw, mtime=0)


@pytest.mark.parametrize(("name", "raw", "match"), [
    ("train-images-idx3-ubyte", packed(b"hello"), "no IDX file"),
    ("train-images-idx3-ubyte", b"", "no IDX file"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 28, 28)), 13)), "holds no bytes"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 784)))), "has 2 dimensions, 3 are wanted"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 28, 28)))[:-1]), "announces 4704 values and holds 4703"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 28, 28))) + b"x"), "4704 values and holds more"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 28, 28))))[:-30], "is damaged"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((5, 28, 28)))), "have 6 labels for 5 images"),
    ("train-images-idx3-ubyte", packed(idx(np.zeros((6, 8, 8)))), "must be 28 x 28 x 1, .* 8 x 8 x 1"),
    ("t10k-labels-idx1-ubyte", packed(idx([0, 1, 10])), "labels of .* must be 0..9, got 0..10"),
], ids=lambda value: "" if isinstance(value, bytes) else None)  # fmt: skip
def test_damaged_idx(digits_folder, name, raw, match):
    folder, _ = digits_folder
    with_idx(folder, name, raw)
    refused(match, "mnist", folder)


def test_idx_without_labels(digits_folder):
    folder, _ = digits_folder
    (folder / "train-labels-idx1-ubyte.gz").unlink()
    refused("'train-labels-idx1-ubyte' is missing", "mnist", folder)


def test_idx_that_unpacks_to_more_than_memory(digits_folder):
    folder, _ = digits_folder
    head = bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**31, 2**31)
    with_idx(folder, "train-images-idx3-ubyte", gzip.compress(head + bytes(10_000_000)))
    refused("announces", "mnist", folder)


class Harm:
    def __reduce__(self):
        return os.mkdir, ("harm was done",)


class Objects:
    """An array of objects, as a pickle would bring it in."""

    def __reduce__(self):
        return np.array([{}], object).__reduce__()


@pytest.mark.parametrize(("content", "match"), [
    ({"data": Harm(), "labels": [0]}, "asks for posix.mkdir"),
    ({"data": Objects(), "labels": [0]}, "array of 'O8'"),
    ([1, 2], "must hold a dictionary .* got list"),
    ({"data": np.zeros((1, 3072), np.uint8)}, "no entry 'labels'"),
    ({"labels": [0]}, "no entry 'data'"),
    ({"data": np.zeros((1, 3071), np.uint8), "labels": [0]}, "3072 columns, got shape"),
    ({"data": "zeros", "labels": [0]}, "3072 columns, got str"),
    ({"data": np.zeros((1, 3072), np.int64), "labels": [0]}, "type uint8, got int64"),
    ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "have 1 labels for 2 images"),
    ({"data": np.zeros((1, 3072), np.uint8), "labels": ["cat"]}, "labels of .* must be whole numbers"),
    ({"data": np.zeros((2, 3072), np.uint8), "labels": [[0], [0, 1]]}, "labels of .* must be whole numbers"),
])  # fmt: skip
def test_harmful_and_wrong_pickles(tmp_path, monkeypatch, content, match):
    monkeypatch.chdir(tmp_path)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(pickle.dumps(content, 2))
    refused(match, "cifar10", tmp_path)
    assert not (tmp_path / "harm was done").exists()


def test_array_that_announces_more_than_it_holds(tmp_path, rows):
    _, x = rows
    raw = pickle.dumps({"data": x, "labels": [0] * 4}, 2)
    at = raw.index(b"K\x04M\x00\x0c")  # the shape (4, 3072)
    for name in ("data_batch_1", "test_batch"):
        (tmp_path / name).write_bytes(raw[:at] + b"K\x05" + raw[at + 2 :])
        refused("as many numbers as it announces", "cifar10", tmp_path)


@pytest.mark.parametrize("raw", [b"", b"not a pickle", pickle.dumps({"data": 1}, 2)[:-3]])
def test_damaged_pickles(tmp_path, raw):
    (tmp_path / "data_batch_1").write_bytes(raw)
    refused("cannot be read as a pickle", "cifar10", tmp_path)


def test_damaged_binary(tmp_path):
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3072))
    refused("must hold 3073 bytes an image of cifar10, got 3072", "cifar10", tmp_path)


@pytest.mark.parametrize(("changes", "match"), [
    ({"x_train": None}, "has no array 'x_train'"),
    ({"y_test": None}, "has no array 'y_test'"),
    ({"x_train": np.zeros((2, 32, 32, 3))}, "type uint8, got float64"),
    ({"x_train": np.zeros((2, 3072), np.uint8)}, "must have shape"),
    ({"y_train": np.array([0.0, 1.0])}, "must be whole numbers"),
    ({"x_test": np.zeros((0, 32, 32, 3), np.uint8), "y_test": np.zeros(0, int)}, "are none"),
    ({"y_train": np.array([0, -1])}, r"must be 0..9, got -1..0"),
])  # fmt: skip
def test_wrong_npz(tmp_path, changes, match):
    x, y = np.zeros((2, 32, 32, 3), np.uint8), np.array([0, 1])
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y} | changes
    np.savez(tmp_path / "a.npz", **{name: array for name, array in arrays.items() if array is not None})
    refused(match, "cifar10", tmp_path)


def test_npz_of_objects_and_text(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=np.array([{}], object))
    refused("cannot be read", "cifar10", tmp_path)
    (tmp_path / "a.npz").write_text("text")
    refused("cannot be read", "cifar10", tmp_path / "a.npz")


def test_task_of_two_shapes():
    x, y = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])
    with pytest.raises(InvalidInput, match="of one shape"):
        ImageTask("mine", x, y, x[:, :3], y, ("a", "b"))
