"""MNIST is read strictly, from wherever it is, and never anything else in its place."""

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from model_build.datasets import mnist
from model_build.datasets.fetch import cache_folder
from model_build.datasets.idx import LARGEST, parsed, unpacked
from model_build.datasets.split import DataError, Dataset, Split

TEST_IMAGES = Path(__file__).parents[2] / "data" / "mnist"
NAMES = tuple(mnist.SHA256)


def idx(array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


SMALL = idx(np.arange(12, dtype=np.uint8).reshape(3, 2, 2))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_idx_file_is_read_plain_and_gzipped(pack: Callable[[bytes], bytes]) -> None:
    array = parsed(unpacked(pack(SMALL), "x"), "x", axes=3)
    assert np.array_equal(array, np.arange(12).reshape(3, 2, 2))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "x is truncated: 0 bytes, its header alone takes 16"),
        (SMALL[:10], "x is truncated: 10 bytes, its header alone takes 16"),
        (SMALL[:-1], r"x is truncated: 11 bytes of data, its sizes \[3, 2, 2\] take 12"),
        (
            SMALL + b"\0",
            r"x goes on after its last number: 13 bytes of data, its sizes \[3, 2, 2\] take 12",
        ),
        (
            idx(np.zeros(16, np.uint8)),
            "x has magic 0x00000801, expected 0x00000803: bytes on 3 axes",
        ),
        (b"\0\0\x0d\x03" + SMALL[4:], "x has magic 0x00000d03, expected 0x00000803"),
        (b"<!doctype html><p>not found", "x has magic 0x3c21646f"),
        (struct.pack(">HBB3I", 0, 8, 3, *[2**32 - 1] * 3), "x is truncated: 0 bytes of data"),
    ],
)
def test_what_is_no_idx_file_is_refused_with_what_is_wrong(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parsed(content, "x", axes=3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(SMALL, mtime=0)[:-9], "x is truncated: its gzip stream breaks off"),
        (gzip.compress(SMALL, mtime=0) + b"more", "x goes on after its gzip stream"),
        (gzip.compress(SMALL, mtime=0)[:10] + b"\xff" * 20, "x is corrupt"),
        (gzip.compress(b"\0" * (LARGEST + 1), 1, mtime=0), "x unpacks to more than 256 MiB"),
    ],
)
def test_a_broken_gzip_stream_is_refused_with_what_is_wrong(data: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        unpacked(data, "x")


def test_the_test_images_of_the_repository_are_the_published_ones() -> None:
    split = mnist.load_test(TEST_IMAGES)
    assert split.inputs.shape == (10_000, 28, 28, 1)
    assert split.inputs.dtype == np.uint8
    # LeCun's page: how often each digit occurs; the first one is a 7.
    assert np.bincount(split.labels).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    assert split.labels[0] == 7


def test_a_file_with_other_pictures_is_refused_by_its_digest(tmp_path: Path) -> None:
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(SMALL)
    with pytest.raises(
        DataError, match="t10k-images-idx3-ubyte is not the published file: SHA-256 "
    ):
        mnist.load_test(tmp_path)


def test_a_folder_without_the_files_is_refused_and_nothing_is_fetched_instead(
    tmp_path: Path,
) -> None:
    def asked(_request: httpx.Request) -> httpx.Response:
        pytest.fail("a mirror was asked")

    file = "train-images-idx3-ubyte"
    message = f"has neither {file}.gz nor {file}; --data names the folder"
    with pytest.raises(DataError, match=message):
        mnist.load(tmp_path, transport=httpx.MockTransport(asked))


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """A tiny MNIST, packed, by file name, with the expected digests; the cache is empty."""
    contents = {
        name: idx(np.full((3, 28, 28) if "images" in name else 3, 7, np.uint8)) for name in NAMES
    }
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    monkeypatch.setattr(mnist, "SHA256", digests)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in contents.items()}


class Mirrors:
    """Answers requests from a dictionary of files, the first mirror as `first` says, and counts
    them.
    """

    def __init__(
        self, files: dict[str, bytes], first: Callable[[bytes], httpx.Response] | None = None
    ) -> None:
        self.files, self.first, self.requests = files, first, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        mirror, _, name = str(request.url).rpartition("/")
        if self.first and f"{mirror}/" == mnist.MIRRORS[0]:
            return self.first(self.files[name])
        return httpx.Response(
            200, content=self.files[name], headers={"Content-Type": "application/x-gzip"}
        )

    def load(self) -> tuple[Dataset, list[str]]:
        lines: list[str] = []
        return mnist.load(log=lines.append, transport=httpx.MockTransport(self)), lines


def test_what_is_missing_is_fetched_once_and_then_comes_from_the_cache(
    small: dict[str, bytes],
) -> None:
    mirrors = Mirrors(small)
    data, lines = mirrors.load()
    assert (data.train.inputs.shape, data.test.labels.tolist()) == ((3, 28, 28, 1), [7, 7, 7])
    assert [line.split()[1] for line in lines] == list(small)
    again, lines = mirrors.load()
    assert (again.train.labels.tolist(), lines, mirrors.requests) == ([7, 7, 7], [], 4)
    assert sorted(path.name for path in (cache_folder() / "mnist").iterdir()) == sorted(small)


def unreachable(_data: bytes) -> httpx.Response:
    raise httpx.ConnectError("no route to host")


@pytest.mark.parametrize(
    "first",
    [
        lambda _data: httpx.Response(503),
        lambda data: httpx.Response(200, content=data[:-5]),
        lambda _data: httpx.Response(200, content=gzip.compress(SMALL, mtime=0)),
        lambda _data: httpx.Response(200, content=b"\0" * (65 << 20)),
        unreachable,
    ],
    ids=["busy", "breaks off", "other data", "endless", "unreachable"],
)
def test_a_mirror_that_fails_gives_way_to_the_next(
    small: dict[str, bytes], first: Callable[[bytes], httpx.Response]
) -> None:
    data, _ = Mirrors(small, first).load()
    assert data.test.labels.tolist() == [7, 7, 7]


def test_a_mirror_may_redirect(small: dict[str, bytes]) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "elsewhere.test":
            return httpx.Response(200, content=small[request.url.path[1:]])
        return httpx.Response(
            302, headers={"Location": f"https://elsewhere.test/{request.url.path.split('/')[-1]}"}
        )

    assert mnist.load(transport=httpx.MockTransport(answer)).test.labels.tolist() == [7, 7, 7]


def test_when_every_mirror_fails_the_error_says_why_and_names_the_option(
    small: dict[str, bytes],
) -> None:
    mirrors = Mirrors(small, unreachable)
    mirrors.files = dict.fromkeys(small, b"nothing of the kind")
    with pytest.raises(DataError) as caught:
        mirrors.load()
    assert str(caught.value).startswith("train-images-idx3-ubyte.gz could not be fetched (")
    assert "no route to host" in str(caught.value)
    assert all(mirror in str(caught.value) for mirror in mnist.MIRRORS)
    assert str(caught.value).endswith("name it with --data DIR")
    assert not cache_folder().exists()


def test_a_damaged_file_of_the_cache_is_fetched_anew(small: dict[str, bytes]) -> None:
    mirrors = Mirrors(small)
    mirrors.load()
    name = next(iter(small))
    (cache_folder() / "mnist" / name).write_bytes(b"half a fi")
    _, lines = mirrors.load()
    assert [mirrors.requests, len(lines)] == [5, 1]
    assert (cache_folder() / "mnist" / name).read_bytes() == small[name]


def test_the_cache_lies_where_the_desktop_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fovea"
    monkeypatch.setenv("HOME", str(tmp_path))
    for absent in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", absent)
        assert cache_folder() == tmp_path / ".cache" / "fovea"


def test_the_held_out_examples_are_others_and_keep_every_class_share() -> None:
    labels = np.repeat(np.arange(10), 40 + 10 * np.arange(10)).astype(np.int64)
    split = Split(np.arange(len(labels)), labels)
    rest, held_out = split.parted(len(labels) // 10, seed=1)
    assert sorted([*rest.inputs, *held_out.inputs]) == list(range(len(labels)))
    assert np.abs(np.bincount(held_out.labels) - np.bincount(labels) / 10).max() <= 1
    assert np.array_equal(split.parted(85, seed=1)[1].inputs, held_out.inputs)
    assert not np.array_equal(split.parted(85, seed=2)[1].inputs, held_out.inputs)


@pytest.mark.parametrize(("count", "sizes"), [(0, (5, 0)), (5, (0, 5))])
def test_nothing_and_everything_can_be_held_out(count: int, sizes: tuple[int, int]) -> None:
    rest, held_out = Split(np.zeros(5), np.zeros(5, np.int64)).parted(count, seed=0)
    assert (len(rest), len(held_out)) == sizes


def test_a_split_that_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match=r"3 examples, but labels of shape \[2\]"):
        Split(np.zeros((3, 1)), np.zeros(2, np.int64))
    with pytest.raises(DataError, match="expected labels of int64, got uint8"):
        Split(np.zeros((2, 1)), np.zeros(2, np.uint8))
    with pytest.raises(DataError, match="expected to hold out 0 to 2 examples, got 3"):
        Split(np.zeros(2), np.zeros(2, np.int64)).parted(3, seed=0)
