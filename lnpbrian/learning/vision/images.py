"""Labelled images as tasks, and the files that they come from: IDX, CIFAR (Python and binary) and npz."""

from __future__ import annotations

import gzip
import io
import math
import os
import pickle
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnpbrian import checks, files
from lnpbrian.checks import InvalidInput
from lnpbrian.streams import Streams

__all__ = ["IMAGES", "ImageTask", "image_task"]

IMAGES = ("digits", "fashion", "mnist", "cifar10", "cifar100")
# Height, width, channels and classes.
_SHAPES = {
    "fashion": (28, 28, 1, 10),
    "mnist": (28, 28, 1, 10),
    "cifar10": (32, 32, 3, 10),
    "cifar100": (32, 32, 3, 100),
}
_FASHION = (
    *("T-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_DIGITS = tuple("0123456789")
# Of scikit-learn's 1797 digits; the others test.
_DIGITS_TRAIN, _DIGITS_WHITE = 1297, 16

Split = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, repr=False)
class ImageTask:
    """Images with labels, those that train and those that test.

    Parameters
    ----------
    name : str
        For people.
    x_train, x_test : ndarray of uint8, shapes (M, H, W, C)
        Levels from 0 to `white`.
    y_train, y_test : ndarray of int, shapes (M,)
        Number of the class of each image.
    classes : tuple of str
        Names of the K classes.
    white : int
        Level of full intensity.
    seed : int
        Of the choice among more images, and of their order.
    notes : tuple of str
        Where the images came from, and how many were there.

    Raises
    ------
    InvalidInput
        If images and labels are not as many, or not of one kind.

    Examples
    --------
    >>> x, y = np.full((2, 1, 1, 1), 51, np.uint8), np.array([0, 1])
    >>> task = ImageTask("two", x, y, x, y, ("dark", "bright"))
    >>> task
    ImageTask(two: 2 + 2 images of 1 x 1 x 1, 2 classes)
    >>> task.intensities(task.x_test).ravel().tolist()
    [0.20000000298023224, 0.20000000298023224]
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: tuple[str, ...]
    white: int = 255
    seed: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for x, y, part in ((self.x_train, self.y_train, "training"), (self.x_test, self.y_test, "test")):
            _check(np.asarray(x), np.asarray(y), f"the {part} images of {self.name}", self.n_classes)
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            raise InvalidInput(
                f"the images of {self.name} must be of one shape, got {self.x_train.shape[1:]} in training "
                f"and {self.x_test.shape[1:]} in test"
            )

    @property
    def n_classes(self) -> int:
        """Number of classes K."""
        return len(self.classes)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and colour channels of an image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    @property
    def chance(self) -> float:
        """Fraction of the test images in the class that is commonest there: what a constant answer gets."""
        return float(np.bincount(self.y_test).max() / self.y_test.size)

    def intensities(self, x: np.ndarray) -> np.ndarray:
        """Return images (..., H, W, C) as intensities in [0, 1], in single precision."""
        return np.asarray(x, np.float32) / np.float32(self.white)

    def record(self) -> dict[str, Any]:
        """Return what a result file says of the task."""
        return {
            "name": self.name,
            "train_images": len(self.y_train),
            "test_images": len(self.y_test),
            "shape": list(self.shape),
            "classes": list(self.classes),
            "images_per_class": np.bincount(self.y_train, minlength=self.n_classes).tolist(),
            "seed": self.seed,
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        size = " x ".join(str(n) for n in self.shape)
        return (
            f"ImageTask({self.name}: {len(self.y_train)} + {len(self.y_test)} images of {size}, "
            f"{self.n_classes} classes)"
        )


def image_task(
    name: str,
    data: str | os.PathLike[str] | None = None,
    *,
    train: int | None = None,
    test: int | None = None,
    seed: int = 0,
) -> ImageTask:
    """Return labelled images by their name.

    Parameters
    ----------
    name : {"digits", "fashion", "mnist", "cifar10", "cifar100"}
        The digits are 1797 of 8 x 8 pixels that scikit-learn ships; the others come from files.
    data : path-like, optional
        Folder of the files, or an ``.npz`` file. See Notes.
    train, test : int, optional
        Numbers of images that train and that test, chosen at random; by default all.
    seed : int
        Of that choice and of the order; the digits are split by it.

    Returns
    -------
    ImageTask

    Raises
    ------
    InvalidInput
        If a file is missing, damaged or of another kind, or there are fewer images than asked for.

    Notes
    -----
    A folder holds one of these, as they are published:

    * ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte``,
      each with or without ``.gz`` (LeCun et al. 1998, doi:10.1109/5.726791; Xiao et al. 2017, arXiv 1708.07747);
    * ``data_batch_1`` .. ``data_batch_5`` and ``test_batch``, or ``train`` and ``test``: pickles of Python, of which
      arrays, text and lists are read, and nothing is called (Krizhevsky 2009);
    * ``data_batch_1.bin`` .. and ``test_batch.bin``, or ``train.bin`` and ``test.bin``;
    * one ``.npz`` file with ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (or ``y_train_fine`` ...).

    Examples
    --------
    >>> image_task("digits", test=300)
    ImageTask(digits: 1297 + 300 images of 8 x 8 x 1, 10 classes)
    >>> image_task("fashion")
    Traceback (most recent call last):
    lnpbrian.checks.InvalidInput: fashion comes from files; give the folder of its train-images-idx3-ubyte.gz ...
    """
    checks.choice("name", name, IMAGES)
    white = 255
    if name == "digits":
        if data is not None:
            raise InvalidInput("digits are those of scikit-learn and take no data; use mnist with a folder")
        fit, held_out, classes, note = *_digits(seed), _DIGITS, "scikit-learn's digits, split at random"
        white = _DIGITS_WHITE
    else:
        if data is None:
            raise InvalidInput(f"{name} comes from files; give the folder of its {_WANTED[name]}")
        fit, held_out, classes, note = _from_files(name, Path(data))
    streams = Streams(seed).child("images").child(name)
    x_train, y_train = _chosen(fit, "train", train, streams)
    x_test, y_test = _chosen(held_out, "test", test, streams)
    notes = (f"{note}; {len(y_train)} of {len(fit[1])} train, {len(y_test)} of {len(held_out[1])} test",)
    return ImageTask(name, x_train, y_train, x_test, y_test, classes, white, seed, notes)


_IDX = "train-images-idx3-ubyte.gz and the three files beside it"
_NPZ = "one npz file with x_train, y_train, x_test and y_test"
_BATCHES = f"batches (Python or binary), or {_NPZ}"
_WANTED = {
    "fashion": _IDX,
    "mnist": _IDX,
    "cifar10": f"data_batch_1 .. {_BATCHES}",
    "cifar100": f"train and test {_BATCHES}",
}


def _chosen(images: Split, what: str, number: int | None, streams: Streams) -> Split:
    x, y = images
    if number is None:
        number = len(y)
    if checks.count(what, number) > len(y):
        raise InvalidInput(f"{what} must be at most the {len(y)} images that there are, got {number}")
    order = streams.rng(what).permutation(len(y))[:number]
    return x[order], y[order]


def _digits(seed: int) -> tuple[Split, Split]:
    from sklearn.datasets import load_digits  # takes a second to load

    x, y = load_digits(return_X_y=True)
    x, y = x.reshape(-1, 8, 8, 1).astype(np.uint8), y.astype(int)
    order = Streams(seed).child("images").rng("split of the digits").permutation(len(y))
    first, rest = order[:_DIGITS_TRAIN], order[_DIGITS_TRAIN:]
    return (x[first], y[first]), (x[rest], y[rest])


# -------------------------------------------------------------------------------------------------------------- files


def _from_files(name: str, path: Path) -> tuple[Split, Split, tuple[str, ...], str]:
    """Return what trains, what tests, the names of the classes, and a note."""
    if path.is_file():
        if path.suffix != ".npz":
            raise InvalidInput(f"{str(path)!r} is no folder and no npz file; give the folder of {_WANTED[name]}")
        fit, held_out, classes = _npz(path, name)
        note = path.name
    elif not path.is_dir():
        raise InvalidInput(f"{str(path)!r} does not exist; give the folder of {_WANTED[name]}")
    else:
        fit, held_out, classes, note = _from_folder(name, path)
    for (x, _), part in ((fit, "training"), (held_out, "test")):
        if x.shape[1:] != _SHAPES[name][:3]:
            wanted = " x ".join(str(n) for n in _SHAPES[name][:3])
            got = " x ".join(str(n) for n in x.shape[1:])
            raise InvalidInput(f"images of {name} must be {wanted}, the {part} images in {str(path)!r} are {got}")
    return fit, held_out, classes, note


def _from_folder(name: str, path: Path) -> tuple[Split, Split, tuple[str, ...], str]:
    kinds: dict[str, Callable[[Path, str], Split]]
    if name in ("fashion", "mnist"):
        names = {"train": ["train"], "test": ["t10k"]}
        kinds = {"-images-idx3-ubyte": _idx, "-images-idx3-ubyte.gz": _idx}
        classes = _FASHION if name == "fashion" else _DIGITS
    else:
        batches = [f"data_batch_{k}" for k in range(1, 6)]
        names = {"train": ["train"], "test": ["test"]}
        if name == "cifar10":
            names = {"train": batches, "test": ["test_batch"]}
        kinds = {"": _cifar_python, ".bin": _cifar_binary}
        classes = _CIFAR10 if name == "cifar10" else tuple(f"class {k}" for k in range(100))
    found: dict[str, Split] = {}
    for part, stems in names.items():
        for suffix, read in kinds.items():
            # As published CIFAR-10 has five batches; fewer are fewer images.
            present = [path / f"{stem}{suffix}" for stem in stems if (path / f"{stem}{suffix}").is_file()]
            if present:
                parts = [read(one, name) for one in present]
                found[part] = (np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]))
                break
    if len(found) == 2:
        return found["train"], found["test"], classes, path.name
    archives = sorted(path.glob("*.npz"))
    fitting = [one for one in archives if re.search(rf"{name}(?!\d)", one.name)] or archives
    if not found and len(fitting) == 1:
        fit, held_out, classes = _npz(fitting[0], name)
        return fit, held_out, classes, fitting[0].name
    lacking = "" if not found else f", only those that {'train' if 'train' in found else 'test'}"
    raise InvalidInput(f"{str(path)!r} holds no images of {name}{lacking}; give the folder of {_WANTED[name]}")


def _check(x: np.ndarray, y: np.ndarray, where: str, classes: int) -> None:
    if x.dtype != np.uint8:
        raise InvalidInput(f"{where} must be levels 0..255 of type uint8, got {x.dtype}")
    if x.ndim != 4:
        raise InvalidInput(f"{where} must have shape (images, height, width, channels), got {x.shape}")
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise InvalidInput(f"labels of {where} must be whole numbers in a row, got {y.dtype} of shape {y.shape}")
    if len(x) != len(y):
        raise InvalidInput(f"{where} have {len(y)} labels for {len(x)} images")
    if len(y) == 0:
        raise InvalidInput(f"{where} are none")
    if y.min() < 0 or y.max() >= classes:
        raise InvalidInput(f"labels of {where} must be 0..{classes - 1}, got {y.min()}..{y.max()}")


def _checked(x: np.ndarray, y: np.ndarray, path: Path, name: str) -> Split:
    _check(x, y, f"the images in {str(path)!r}", _SHAPES[name][3])
    return x, y.astype(int)


def _bytes(path: Path) -> bytes:
    try:
        return files.read_bytes(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read ({error})") from error


def _idx(path: Path, name: str) -> Split:
    images = _idx_array(path, 3)
    for suffix in ("", ".gz"):
        labels = path.with_name(path.name.replace("images-idx3", "labels-idx1").removesuffix(".gz") + suffix)
        if labels.is_file():
            return _checked(images[..., np.newaxis], _idx_array(labels, 1), path, name)
    raise InvalidInput(f"{str(path)!r} has no labels beside it; {labels.name.removesuffix('.gz')!r} is missing")


def _idx_array(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file: two zeros, the type, the number of dimensions, sizes as big-endian integers, and the values."""
    raw = _bytes(path)
    start = 4 + 4 * dimensions
    source: io.BufferedIOBase = io.BytesIO(raw)
    if raw[:2] == b"\x1f\x8b":
        source = gzip.GzipFile(fileobj=source)
    try:
        head = source.read(start)
        if head[:2] != b"\0\0" or len(head) < start:
            raise InvalidInput(f"{str(path)!r} is no IDX file")
        if head[2] != 8:
            raise InvalidInput(f"{str(path)!r} holds no bytes (type 0x{head[2]:02x}, 0x08 is wanted)")
        if head[3] != dimensions:
            raise InvalidInput(f"{str(path)!r} has {head[3]} dimensions, {dimensions} are wanted")
        shape = [int(n) for n in np.frombuffer(head, ">u4", offset=4)]
        size = math.prod(shape)
        # One byte more than is announced, and never more than that: a small file can unpack to any size.
        body = source.read(min(size, 1100 * len(raw)) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidInput(f"{str(path)!r} is damaged ({error})") from error
    if len(body) != size:
        more = "more" if len(body) > size else f"{len(body)}"
        raise InvalidInput(f"{str(path)!r} announces {size} values and holds {more}")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _cifar_binary(path: Path, name: str) -> Split:
    raw, labels = _bytes(path), 1 if name == "cifar10" else 2
    row = labels + 3072
    if not raw or len(raw) % row:
        raise InvalidInput(f"{str(path)!r} must hold {row} bytes an image of {name}, got {len(raw)} in all")
    table = np.frombuffer(raw, np.uint8).reshape(-1, row)
    # Of CIFAR-100's two labels the second is the fine one.
    return _checked(_planes(table[:, labels:]), table[:, labels - 1], path, name)


def _planes(rows: np.ndarray) -> np.ndarray:
    """Return images (M, 32, 32, 3) of rows (M, 3072): red, green and blue planes."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


def _cifar_python(path: Path, name: str) -> Split:
    try:
        content = _ArraysOnly(io.BytesIO(_bytes(path)), encoding="bytes").load()
    except Exception as error:  # damaged pickles raise almost anything
        raise InvalidInput(f"{str(path)!r} cannot be read as a pickle of CIFAR: {error}") from error
    if not isinstance(content, Mapping):
        raise InvalidInput(f"{str(path)!r} must hold a dictionary with data and labels, got {type(content).__name__}")
    entries = {key.decode(errors="replace") if isinstance(key, bytes) else key: value for key, value in content.items()}
    key = "labels" if name == "cifar10" else "fine_labels"
    for wanted in ("data", key):
        if wanted not in entries:
            raise InvalidInput(f"{str(path)!r} has no entry {wanted!r}")
    data, labels = entries["data"], entries[key]
    if not isinstance(data, np.ndarray) or data.ndim != 2 or data.shape[1] != 3072:
        got = f"shape {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise InvalidInput(f"data in {str(path)!r} must be an array of 3072 columns, got {got}")
    try:
        numbers = np.asarray(labels)
    except ValueError:
        numbers = np.zeros(0, object)
    return _checked(_planes(data), numbers, path, name)


class _ArraysOnly(pickle.Unpickler):
    """Unpickles what CIFAR's files are made of, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        package, _, rest = module.partition(".")
        made = {
            # numpy.core in old versions, numpy._core in new ones.
            ("numpy", "core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "_core.multiarray", "_reconstruct"): _empty_array,
            ("numpy", "", "dtype"): _Type,
            # Only named, as what is to be made.
            ("numpy", "", "ndarray"): "ndarray",
            ("_codecs", "", "encode"): _latin1,
        }.get((package, rest, name))
        if made is None:
            raise InvalidInput(f"it asks for {module}.{name}, which CIFAR's files do not need and which may do harm")
        return made


class _Type:
    """A type of whole numbers, by its short name and the order of its bytes, as pickles of NumPy spell it."""

    def __init__(self, spelled: Any, *_: Any) -> None:
        self._name = spelled.decode("latin1") if isinstance(spelled, bytes) else str(spelled)
        self._order = "="
        if self._name not in {f"{kind}{size}" for kind in "iu" for size in (1, 2, 4, 8)}:
            raise InvalidInput(f"it holds an array of {self._name!r}, and only whole numbers are read")

    def __setstate__(self, state: Any) -> None:
        order = state[1]
        self._order = order.decode("latin1") if isinstance(order, bytes) else str(order)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of NumPy."""
        return np.dtype(self._name).newbyteorder(self._order if self._order in "<>=" else "=")  # type: ignore[arg-type]


class _Array(np.ndarray):
    """An array that takes bytes from a pickle, and no objects."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, raw = state
        dtype = kind.dtype
        if not isinstance(raw, bytes) or len(raw) != math.prod(shape) * dtype.itemsize:
            raise InvalidInput("an array in it does not hold as many numbers as it announces")
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), raw))  # type: ignore[arg-type]


def _empty_array(*_: Any) -> np.ndarray:
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _latin1(text: str, encoding: Any) -> bytes:
    """Return bytes that Python 3 has written as text."""
    if encoding not in ("latin1", b"latin1"):
        raise InvalidInput(f"it holds text in {encoding!r}")
    return text.encode("latin1")


def _npz(path: Path, name: str) -> tuple[Split, Split, tuple[str, ...]]:
    try:
        arrays = files.read_arrays(path)
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{str(path)!r} cannot be read ({error}); give {_NPZ}") from error
    found = []
    for part in ("train", "test"):
        fine = f"y_{part}_fine"
        labels = fine if fine in arrays else f"y_{part}"
        for wanted in (f"x_{part}", labels):
            if wanted not in arrays:
                raise InvalidInput(f"{str(path)!r} has no array {wanted!r}")
        x = arrays[f"x_{part}"]
        found.append(_checked(x[..., np.newaxis] if x.ndim == 3 else x, arrays[labels], path, name))
    names = next((arrays[key] for key in ("classes", "fine_names") if key in arrays), None)
    number = _SHAPES[name][3]
    if names is None or names.shape != (number,):
        default = {"fashion": _FASHION, "mnist": _DIGITS, "cifar10": _CIFAR10}
        return found[0], found[1], default.get(name, tuple(f"class {k}" for k in range(number)))
    return found[0], found[1], tuple(str(one) for one in names)
