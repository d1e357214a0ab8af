"""The data of the examples: its content, and the messages if it is missing, corrupt or half downloaded."""

import gzip
import hashlib
import os
import struct
from dataclasses import replace
from http.client import IncompleteRead
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from examples.data import images as datasets
from examples.data import public_file as public

FIRST, SECOND = datasets.MIRRORS
TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = (file.name for file in datasets.MNIST)


def idx(array):
    """Return an array of uint8 as an IDX file."""
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def files(monkeypatch):
    """Replace MNIST by a small one with right checksums; return the compressed content of each file by name."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(0, 256, (20, 28, 28)), np.arange(20) % 10, rng.integers(0, 256, (10, 28, 28)), np.arange(10)]
    contents = {file.name: idx(array.astype(np.uint8)) for file, array in zip(datasets.MNIST, arrays, strict=True)}
    small = tuple(replace(file, md5=hashlib.md5(contents[file.name]).hexdigest()) for file in datasets.MNIST)
    monkeypatch.setattr(datasets, "MNIST", small)
    return {name: gzip.compress(content, mtime=0) for name, content in contents.items()}


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Return an empty cache; there is no other place with MNIST."""
    monkeypatch.delenv("PARITY_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "scratch-parity" / "mnist"


@pytest.fixture
def web(monkeypatch, cache):
    """Return the answers by address: bytes, an error raised when it is opened, or a function that is called to read it."""
    answers, asked = {}, []

    def urlopen(url, timeout):
        asked.append(url)
        answer = answers.get(url, URLError("no route to host"))
        if isinstance(answer, BaseException):
            raise answer
        response = BytesIO(answer if isinstance(answer, bytes) else b"")
        if callable(answer):
            response.read = answer
        return response

    monkeypatch.setattr(public, "urlopen", urlopen)
    answers["asked"] = asked
    return answers


def raising(error):
    def read():
        raise error

    return read


def test_digits_are_complete_and_held_out_images_are_others():
    data = datasets.digits()
    assert data.train_x.shape == (1437, 1, 8, 8)
    assert data.test_x.shape == (360, 1, 8, 8)
    assert (data.train_x.dtype, data.train_y.dtype, data.test_x.dtype, data.test_y.dtype) == ("f4", "i8", "f4", "i8")
    assert not {image.tobytes() for image in data.train_x} & {image.tobytes() for image in data.test_x}
    assert np.bincount(data.test_y, minlength=data.classes).min() >= 34  # a fifth of each digit
    assert abs(data.train_x.mean()) < 1e-6
    assert abs(data.train_x.std() - 1) < 1e-6


def test_digits_are_split_the_same_way_every_time():
    first, second = datasets.digits(), datasets.digits()
    np.testing.assert_array_equal(first.test_x, second.test_x)
    np.testing.assert_array_equal(first.train_y, second.train_y)


@pytest.mark.skipif(
    not (Path(os.environ.get("PARITY_DATA", "")) / "mnist").is_dir() or not os.environ.get("PARITY_DATA"),
    reason="PARITY_DATA names no directory with mnist/",
)
def test_mnist_has_its_known_facts():
    data = datasets.mnist()
    assert data.train_x.shape == (60000, 1, 28, 28)
    assert data.test_x.shape == (10000, 1, 28, 28)
    assert np.bincount(data.train_y).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(data.test_y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    black, white = data.train_x.min(), data.train_x.max()
    assert -black / (white - black) == pytest.approx(0.1307, abs=1e-4)  # its mean, where white is 1
    assert 1 / (white - black) == pytest.approx(0.3081, abs=1e-4)  # its deviation


def test_mnist_is_read_from_parity_data_and_from_the_cache(files, web, cache, monkeypatch, tmp_path):
    given = tmp_path / "given" / "mnist"
    for folder, names in ((given, (TRAIN_IMAGES, TRAIN_LABELS)), (cache, (TEST_IMAGES, TEST_LABELS))):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_bytes(files[name])
    monkeypatch.setenv("PARITY_DATA", str(tmp_path / "given"))
    data = datasets.mnist()
    assert data.train_x.shape == (20, 1, 28, 28)
    assert data.test_y.tolist() == list(range(10))
    assert web["asked"] == []


def test_mnist_is_downloaded_once(files, web, cache):
    web.update({FIRST + name: content for name, content in files.items()})
    datasets.mnist()
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == files
    datasets.mnist()
    assert len(web["asked"]) == 4


FAILURES = {
    "unreachable": lambda packed: URLError("timed out"),
    "a broken connection": lambda packed: raising(ConnectionResetError("connection reset")),
    "shorter than announced": lambda packed: raising(IncompleteRead(packed[:100])),
    "cut short": lambda packed: packed[: len(packed) // 2],
    "a login page": lambda packed: b"<!doctype html>",
    "another file": lambda packed: gzip.compress(b"something else"),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_the_next_mirror_is_asked_if_one_fails(failure, files, web, cache):
    web[FIRST + TRAIN_IMAGES] = failure(files[TRAIN_IMAGES])
    web[SECOND + TRAIN_IMAGES] = files[TRAIN_IMAGES]
    datasets.MNIST[0].read()
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == {TRAIN_IMAGES: files[TRAIN_IMAGES]}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_a_failed_download_leaves_no_file_and_names_the_folders(failure, files, web, cache):
    web.update({mirror + TRAIN_IMAGES: failure(files[TRAIN_IMAGES]) for mirror in (FIRST, SECOND)})
    with pytest.raises(ValueError, match="could not be downloaded") as caught:
        datasets.mnist()
    for part in (TRAIN_IMAGES, str(cache), FIRST, SECOND, "PARITY_DATA"):
        assert part in str(caught.value)
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(files, web, cache):
    web[FIRST + TRAIN_IMAGES] = raising(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        datasets.mnist()
    assert list(cache.iterdir()) == []


def test_a_full_disk_leaves_nothing(files, web, cache, monkeypatch):
    web[FIRST + TRAIN_IMAGES] = files[TRAIN_IMAGES]
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        datasets.mnist()
    assert list(cache.iterdir()) == []


def test_a_cache_that_cannot_be_made_is_named(web, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"file/scratch-parity/mnist: cannot write there .*set XDG_CACHE_HOME"):
        datasets.mnist()
    assert web["asked"] == []


@pytest.mark.parametrize(
    ("corrupt", "complaint"),
    [
        (lambda packed: packed[:-200], "expected a complete gzip file, got .* bytes"),
        (lambda packed: b"", "expected content of MD5 .*, got d41d8cd98f00b204e9800998ecf8427e"),
        (lambda packed: packed[:500] + bytes([packed[500] ^ 1]) + packed[501:], "expected a complete gzip file"),
        (lambda packed: b"not packed at all", "expected a complete gzip file"),
        (lambda packed: gzip.compress(gzip.decompress(packed)[:-1] + b"?"), "expected content of MD5"),
    ],
    ids=["truncated", "empty", "a flipped bit", "unpacked", "other content"],
)
def test_a_corrupt_file_is_found_whenever_it_is_read(corrupt, complaint, files, web, cache):
    cache.mkdir(parents=True)
    for name, content in files.items():
        (cache / name).write_bytes(corrupt(content) if name == TEST_IMAGES else content)
    with pytest.raises(ValueError, match=complaint) as caught:
        datasets.mnist()
    assert str(caught.value).startswith(f"{cache / TEST_IMAGES}: ")
    assert "delete the file" in str(caught.value)
    assert web["asked"] == []


def test_idx_gives_back_an_array():
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_array_equal(datasets.read_idx(idx(array)), array)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", r"source: expected the header of an IDX file of bytes \(.*\), got nothing"),
        (b"\x89PNG\r\n", "expected the header of an IDX file of bytes .*, got 89 50 4e 47 0d 0a"),
        (idx(np.zeros((2, 3), np.uint8))[:6], "got 00 00 08 02 00 00"),
        (idx(np.zeros((2, 3), np.uint8))[:-1], r"source: expected 6 bytes of data for shape \(2, 3\), got 5"),
        (idx(np.zeros((2, 3), np.uint8)) + b"?", r"source: expected 6 bytes of data for shape \(2, 3\), got 7"),
    ],
    ids=["empty", "another format", "half a header", "truncated", "too long"],
)
def test_idx_refuses_what_does_not_fit(content, complaint):
    with pytest.raises(ValueError, match=complaint):
        datasets.read_idx(content, "source")


def test_a_file_that_decompresses_to_too_much_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(public, "LARGEST", 10_000)
    monkeypatch.setenv("PARITY_DATA", str(tmp_path))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "bomb.gz").write_bytes(gzip.compress(bytes(10**6), mtime=0))
    with pytest.raises(ValueError, match=r"bomb\.gz: expected at most 10,000 bytes after decompression"):
        public.PublicFile("folder", "bomb.gz", "0" * 32).read()


@pytest.mark.parametrize("kind", ["a folder", "a link to itself"])
def test_a_folder_or_a_broken_link_is_refused(kind, monkeypatch, tmp_path):
    monkeypatch.setenv("PARITY_DATA", str(tmp_path))
    path = tmp_path / "folder" / "file"
    path.mkdir(parents=True) if kind == "a folder" else (tmp_path / "folder").mkdir()
    if kind != "a folder":
        path.symlink_to(path)
    with pytest.raises(ValueError, match=f"{path}: "):
        public.PublicFile("folder", "file", "0" * 32).read()
