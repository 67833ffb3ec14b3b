"""Network files that were crafted or hold other types: each is refused in one line, quickly, and nothing is left."""

import io
import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from lnpbrian import NetworkSpec, files
from lnpbrian.checks import InvalidInput
from lnpbrian.models import HRSNN


@pytest.fixture(scope="module")
def spec():
    return HRSNN(20, 0.3, plastic=True, check_rate=False).spec


def npy(values) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asarray(values))
    return stream.getvalue()


def crafted(header: str, data: bytes = b"", version: int = 1) -> bytes:
    line = header.encode() + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + len(line).to_bytes(2, "little") + line + data


def write(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, raw in members.items():
            archive.writestr(f"{name}.npy", raw)
    return path


def members(spec) -> dict[str, bytes]:
    return {"format": npy(1)} | {name: npy(value) for name, value in spec.to_arrays().items()}


def refused(call, message=None) -> None:
    with pytest.raises(InvalidInput, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_what_is_written_is_read(spec, tmp_path):
    """By NumPy and by `files.read_arrays` alike, whether compressed or not, and in Fortran order."""
    for compress in (True, False):
        spec.save(tmp_path / "a.npz", compress=compress, note="")
        with np.load(tmp_path / "a.npz") as stored:
            expected = dict(stored)
        found = files.read_arrays(tmp_path / "a.npz")
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            assert found[name].dtype == values.dtype
            np.testing.assert_array_equal(found[name], values)
    table = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    np.savez(tmp_path / "b.npz", table=table, none=np.zeros((0, 4)), waves=table * 1j, big=table.astype(">f4"))
    found = files.read_arrays(tmp_path / "b.npz")
    np.testing.assert_array_equal(found["table"], table)
    np.testing.assert_array_equal(found["waves"], table * 1j)
    np.testing.assert_array_equal(found["big"], table)
    assert found["none"].shape == (0, 4)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(
            (name, lambda a: np.where(np.arange(a.size) == 3, 2**32 + 3, a.astype(np.int64)))
            for name in ("pre", "post")
        ),
        ("cluster", lambda a: a + np.int64(2**32)),
        ("cluster", lambda a: np.full(a.shape, 1e300)),
        *((name, lambda a: a + 0.5) for name in ("pre", "post", "cluster")),
        *((name, lambda a: a.astype(str)) for name in ("pre", "bias", "weights", "alive")),
        *((name, lambda a: a + 0j) for name in ("pre", "weights", "bias", "time_constants")),
        *((name, lambda a: np.full(a.shape, np.nan)) for name in ("alive", "excitatory", "cluster", "pre", "bias")),
        *((name, lambda a: a + np.uint8(2)) for name in ("alive", "excitatory")),
        *((name, lambda a: np.full(a.shape, np.datetime64("2020-01-01"))) for name in ("bias", "pre", "alive")),
        *((name, lambda a: np.zeros(a.shape, np.timedelta64)) for name in ("bias", "cluster")),
        *((name, lambda a: np.array([a.item()] * 2)) for name in ("model", "dt", "spike_timing", "refractory_period")),
        *((name, lambda a: np.array("5")) for name in ("dt", "synaptic_time_constant")),
        *((name, lambda a: np.array(True)) for name in ("dt", "synaptic_time_constant")),
        *((name, lambda a: np.array(5.0)) for name in ("model", "spike_timing", "bias", "pre")),
        ("model", lambda a: np.array("two\nlines")),
        ("stdp_tau_plus", lambda a: a + 0j),
        ("stdp_w_max", lambda a: np.array([4.0, 4.0])),
    ],
)
def test_other_types_are_refused_in_files_and_in_python(spec, tmp_path, name, change):
    wrong = change(spec.to_arrays()[name])
    path = write(tmp_path / "a.npz", members(spec) | {name: npy(wrong)})
    refused(lambda: NetworkSpec.load(path))
    value = wrong.item() if wrong.ndim == 0 else wrong
    if name.startswith("stdp_"):
        refused(lambda: replace(spec.plasticity, **{name.removeprefix("stdp_"): value}))
    elif name != "model":
        refused(lambda: replace(spec, **{name: value}))


def test_whole_numbers_of_other_types_are_taken(spec):
    same = replace(
        spec,
        pre=spec.pre.astype(float),
        cluster=spec.cluster.tolist(),
        alive=spec.alive.astype(int),
        post=list(spec.post),
    )
    for name, values in spec.to_arrays().items():
        np.testing.assert_array_equal(same.to_arrays()[name], values)
    assert same.alive.dtype == bool


SHAPE = "{'descr': '<f8', 'fortran_order': False, 'shape': %s, }"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x93NUMPY",
        crafted("{"),
        crafted("("),
        crafted("-" * 9000),
        crafted("[" * 9000),
        crafted(SHAPE % "(99999999999999999999999,)"),
        crafted(SHAPE % "(10000000000000,)"),
        crafted(SHAPE % "(0, 999999999999999999, 999999999999999999)"),
        crafted(SHAPE % "(True,)", b"\0" * 480),
        crafted(SHAPE % "(-1,)"),
        crafted(SHAPE % "(20)", b"\0" * 160),
        crafted(SHAPE % "(20,)", b"\0" * 159),
        crafted(SHAPE % "(20,)", b"\0" * 161),
        crafted((SHAPE % "(20,)").replace("<f8", "|O8"), b"\0" * 160),
        crafted((SHAPE % "(20,)").replace("<f8", "<f3"), b"\0" * 60),
        crafted((SHAPE % "()").replace("<f8", "<U999999999"), b"\0" * 60),
        crafted((SHAPE % "(20,)").replace("'<f8'", "[('a', '<f8')]"), b"\0" * 160),
        crafted((SHAPE % "()").replace("<f8", "<U1"), b"\xff" * 4),
        crafted((SHAPE % "(20,)").replace("<f8", "|b1"), b"\x02" * 20),
        crafted(SHAPE % "(20,)", b"\0" * 160, version=9),
    ],
)
@pytest.mark.parametrize("name", ["time_constants", "model"])
def test_crafted_headers(spec, tmp_path, raw, name):
    path = write(tmp_path / "a.npz", members(spec) | {name: raw})
    refused(lambda: NetworkSpec.load(path), "cannot be read as a network file")


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(spec, tmp_path, method):
    path = write(tmp_path / "a.npz", members(spec), method)
    refused(lambda: NetworkSpec.load(path), "compressed in a way that NumPy does not write")


def test_bombs_are_not_unpacked(spec, tmp_path):
    """The directory of the archive says how much there would be; here it is 16 GB, which nothing backs."""
    path = write(tmp_path / "a.npz", members(spec))
    raw = bytearray(path.read_bytes())
    for k in range(4):
        place = [n for n in range(len(raw)) if raw[n : n + 4] == b"PK\x01\x02"][k]
        raw[place + 24 : place + 28] = (0xFFFFFFF0).to_bytes(4, "little")
    path.write_bytes(raw)
    refused(lambda: NetworkSpec.load(path), "it would unpack to")


def test_one_array_of_one_name(spec, tmp_path):
    path = write(tmp_path / "a.npz", members(spec))
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("bias.npy", npy(np.zeros(20)))
    refused(lambda: NetworkSpec.load(path), "not one array of one name")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipes_and_devices_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    for path in (tmp_path / "pipe.npz", "/dev/zero", tmp_path, "a\x00b", None):
        refused(lambda path=path: NetworkSpec.load(path), "cannot be read as a network file")


@pytest.mark.parametrize("name", ["network", "network.npz", "net.work", ".npz", "[bold]"])
def test_saving_appends_the_suffix_and_leaves_nothing_else(spec, tmp_path, name):
    spec.save(tmp_path / name)
    written = name if name == "network.npz" else f"{name}.npz"
    assert os.listdir(tmp_path) == [written]
    assert NetworkSpec.load(tmp_path / written).n_synapses == spec.n_synapses
    with pytest.raises(OSError, match="No such file"):
        spec.save(tmp_path / "none" / name)
    assert os.listdir(tmp_path) == [written]


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "nul", '{"a": 1' + "0" * 5000 + "}", b"\xff\xfe" * 10_000])
def test_json_fails_in_two_ways_only(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"nested|Expecting|Exceeds|UTF-8") as caught:
        files.read_json(path)
    # Errors are shown to the user, the file is not.
    assert len(repr(caught.value)) < 200
