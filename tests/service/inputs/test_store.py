"""The store of posted pictures: content-addressed, bounded, shared, safe against crafted ids."""

import errno
import hashlib
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from service.errors import SettingsError, UnknownInput
from service.inputs import store as store_module
from service.inputs.store import InputStore
from tests.e2e.process import until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inputs"


@pytest.fixture
def store(folder: Path) -> InputStore:
    return InputStore(folder, max_bytes=1000, max_seconds=60)


def total(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def age(path: Path, seconds: float) -> None:
    past = time.time() - seconds
    os.utime(path, (past, past))


def test_what_is_put_is_got_by_its_sha256(store: InputStore) -> None:
    input_id = store.put(b"picture")
    assert input_id == hashlib.sha256(b"picture").hexdigest()
    assert store.get(input_id) == b"picture"


def test_the_same_picture_is_kept_once(store: InputStore, folder: Path) -> None:
    assert store.put(b"picture") == store.put(b"picture")
    assert len(list(folder.iterdir())) == 1


def test_two_workers_share_the_folder(store: InputStore, folder: Path) -> None:
    assert InputStore(folder, 1000, 60).get(store.put(b"picture")) == b"picture"


def test_the_folder_and_its_files_are_for_this_user_only(store: InputStore, folder: Path) -> None:
    input_id = store.put(b"picture")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / input_id).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    InputStore(tmp_path, 1000, 60)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


def test_an_unknown_id_is_told_to_post_again(store: InputStore) -> None:
    with pytest.raises(UnknownInput, match="post it again"):
        store.get("0" * 64)


@pytest.mark.parametrize(
    "crafted",
    [
        "",
        "..",
        "../secret",
        "0" * 63,
        "0" * 65,
        "A" * 64,
        "0" * 64 + "\n",
        "0" * 62 + "/.",
        "\u0660" * 64,
        "0" * 63 + "\0",
    ],
)
def test_an_id_is_64_hexadecimal_digits_and_nothing_else_reaches_the_disk(
    store: InputStore, folder: Path, crafted: str
) -> None:
    (folder.parent / "secret").write_bytes(b"secret")
    with pytest.raises(UnknownInput, match="not an input id"):
        store.get(crafted)


def test_no_more_than_the_bound_is_kept_and_the_oldest_go_first(
    store: InputStore, folder: Path
) -> None:
    ids = []
    for number in range(40):
        ids.append(store.put(bytes([number]) * 100))
        age(folder / ids[-1], 40 - number)
        assert total(folder) <= 1000
    kept = [input_id for input_id in ids if (folder / input_id).exists()]
    assert kept == ids[-len(kept) :]
    assert len(kept) >= 8


def test_a_read_counts_as_a_use(store: InputStore, folder: Path) -> None:
    first, second = store.put(b"a" * 400), store.put(b"b" * 400)
    age(folder / first, 20)
    age(folder / second, 10)
    store.get(first)
    store.put(b"c" * 400)
    assert store.get(first)
    with pytest.raises(UnknownInput):
        store.get(second)


def test_posting_again_counts_as_a_use(store: InputStore, folder: Path) -> None:
    first = store.put(b"a")
    age(folder / first, 50)
    store.put(b"a")
    assert time.time() - (folder / first).stat().st_mtime < 10


def test_a_picture_past_its_age_is_gone(store: InputStore, folder: Path) -> None:
    input_id = store.put(b"picture")
    age(folder / input_id, 61)
    with pytest.raises(UnknownInput):
        store.get(input_id)
    assert not (folder / input_id).exists()


def test_the_next_picture_sweeps_out_the_old_ones(
    store: InputStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "SWEEP_SECONDS", 0)
    old = store.put(b"old")
    (folder / ".incoming-of-a-worker-that-died").write_bytes(b"half")
    age(folder / old, 61)
    age(folder / ".incoming-of-a-worker-that-died", 61)
    new = store.put(b"new")
    assert [path.name for path in folder.iterdir()] == [new]


def test_a_picture_larger_than_the_store_is_not_kept_and_evicts_nothing(store: InputStore) -> None:
    small = store.put(b"small")
    large = store.put(b"x" * 1001)
    assert store.get(small) == b"small"
    with pytest.raises(UnknownInput):
        store.get(large)


def test_a_store_of_no_bytes_keeps_nothing(folder: Path) -> None:
    store = InputStore(folder, 0, 60)
    assert store.put(b"picture") == hashlib.sha256(b"picture").hexdigest()
    assert list(folder.iterdir()) == []


def test_files_of_others_are_neither_counted_nor_deleted(store: InputStore, folder: Path) -> None:
    (folder / "notes.txt").write_bytes(b"x" * 5000)
    for number in range(30):
        store.put(bytes([number]) * 100)
    assert (folder / "notes.txt").exists()
    assert store.get(store.put(b"picture")) == b"picture"


def test_a_folder_deleted_meanwhile_is_made_again(store: InputStore, folder: Path) -> None:
    folder.rmdir()
    store.put(b"first")
    assert store.get(store.put(b"second")) == b"second"


def test_a_file_that_does_not_hold_its_own_bytes_goes_away_and_can_be_posted_again(
    store: InputStore, folder: Path
) -> None:
    input_id = store.put(b"picture")
    (folder / input_id).write_bytes(b"")
    with pytest.raises(UnknownInput, match="post it again"):
        store.get(input_id)
    assert store.get(store.put(b"picture")) == b"picture"


def test_what_cannot_be_read_is_an_unknown_input_and_not_a_failure(
    store: InputStore, folder: Path
) -> None:
    input_id = store.put(b"picture")
    (folder / input_id).unlink()
    (folder / input_id).mkdir()
    with pytest.raises(UnknownInput):
        store.get(input_id)
    (folder / input_id).rmdir()
    folder.rmdir()
    folder.write_bytes(b"a file in the folder's place")
    with pytest.raises(UnknownInput):
        store.get(input_id)


def test_a_disk_that_became_read_only_still_gives_what_it_holds(
    store: InputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    input_id = store.put(b"picture")

    def refused(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "utime", refused)
    assert store.get(input_id) == b"picture"


def test_a_full_disk_does_not_fail_the_request(
    store: InputStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        input_id = store.put(b"picture")
    with pytest.raises(UnknownInput):
        store.get(input_id)


LARGE = bytes(range(256)) * 100


def test_half_a_file_is_never_left_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    write, store = os.write, InputStore(folder, 1_000_000, 60)
    monkeypatch.setattr(os, "rename", fail)
    store.put(LARGE)
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(os, "write", lambda number, data: write(number, data[:3]))
    store.put(b"picture")
    assert list(folder.iterdir()) == []
    monkeypatch.setattr(os, "write", fail)
    store.put(b"picture")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("data", [b"picture", LARGE])
def test_what_another_is_writing_at_this_moment_is_read_when_it_is_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    store = InputStore(folder, 1_000_000, 60)
    path = folder / store.put(data)
    path.write_bytes(data[:2])
    monkeypatch.setattr(time, "sleep", lambda _: path.write_bytes(data))
    assert store.get(path.name) == data


def test_what_stays_half_goes_away(folder: Path) -> None:
    store = InputStore(folder, 1_000_000, 60)
    path = folder / store.put(LARGE)
    path.write_bytes(LARGE[:-1])
    with pytest.raises(UnknownInput):
        store.get(path.name)
    assert not path.exists()


def test_writers_and_readers_at_once_never_see_an_error_or_a_wrong_picture(folder: Path) -> None:
    stores = [InputStore(folder, 20_000, 60) for _ in range(4)]

    def work(number: int) -> None:
        store = stores[number % 4]
        data = bytes([number % 40]) * 1000
        # Evicted in between: allowed.
        with suppress(UnknownInput):
            assert store.get(store.put(data)) == data

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(400)))
    assert total(folder) <= 20_000 + 8 * 1000


def test_a_symlink_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match="name another"):
        InputStore(tmp_path / "link", 10, 10)


def test_a_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.getuid", lambda: 4242)
    with pytest.raises(SettingsError, match="not a folder of this user"):
        InputStore(tmp_path, 10, 10)


def test_a_folder_that_cannot_be_made_is_a_settings_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SettingsError, match="cannot be used"):
        InputStore(tmp_path / "file" / "inputs", 10, 10)


def test_usage_counts_inputs_only_and_a_folder_that_is_gone_is_empty(tmp_path: Path) -> None:
    store = InputStore(tmp_path / "inputs", 1000, 60)
    assert store.usage() == (0, 0)
    for data in (b"one", b"three", b"three"):
        store.put(data)
    (tmp_path / "inputs/somebody's").write_bytes(b"else")
    (tmp_path / "inputs/.incoming-1-1").write_bytes(b"half")
    until(lambda: store.usage() == (2, 8), "it is looked through again")
    shutil.rmtree(tmp_path / "inputs")
    until(lambda: store.usage() == (0, 0), "it is looked through again")
