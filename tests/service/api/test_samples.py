"""`GET /models/{name}/samples`: what lies in the folder beside the model and can be posted, and
nothing else.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from anatomy import model_file
from service.api.schemas import Samples
from service.settings import Settings
from tests.service.networks import encoded, npy, photo_model

Check = Callable[..., dict[str, Any]]
Start = Callable[[Settings], httpx.Client]
GREY = np.full((40, 60), 128, np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of samples of a model's newest version, empty."""
    model, card = photo_model()
    for version in ("1", "2"):
        model_file.write(model, tmp_path / f"models/photos/{version}/model.onnx", card)
    samples = tmp_path / "models/photos/2/samples"
    samples.mkdir()
    return samples


@pytest.fixture
def client(settings: Settings, folder: Path, started: Start) -> httpx.Client:
    return started(settings.model_copy(update={"models": folder.parents[2], "max_bytes": 5000}))


def files(client: httpx.Client, name: str = "photos") -> list[str]:
    body = client.get(f"/models/{name}/samples").json()
    Samples.model_validate(body)
    return [sample["file"] for sample in body["samples"]]


def test_samples_are_listed_by_file_name_with_what_they_are(
    client: httpx.Client, folder: Path
) -> None:
    kinds = {
        "a_red-fox.JPG": (encoded(GREY, "JPEG"), "a red fox", "image/jpeg"),
        "hard-5.png": (encoded(GREY), "hard 5", "image/png"),
        "photo.webp": (encoded(GREY, "WEBP"), "photo", "image/webp"),
        "pixels.npy": (npy(GREY), "pixels", "application/x-npy"),
        "signal.csv": (b"1,2\n", "signal", "text/csv"),
        "values.json": (b'{"inputs": [1]}', "values", "application/json"),
    }
    for file, (data, _, _) in reversed(kinds.items()):
        (folder / file).write_bytes(data)
    body = client.get("/models/photos/samples").json()
    Samples.model_validate(body)
    assert (body["model"], body["version"]) == ("photos", "2")
    assert body["samples"] == [
        {"name": name, "file": file, "media_type": kind, "bytes": len(data)}
        for file, (data, name, kind) in kinds.items()
    ]
    for file, (data, _, kind) in kinds.items():
        answer = client.get(f"/models/photos/samples/{file}")
        assert answer.content == data
        assert answer.headers["content-type"] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_a_sample_is_posted_as_it_is(client: httpx.Client, folder: Path) -> None:
    (folder / "grey.png").write_bytes(encoded(GREY))
    answer = client.get("/models/photos/samples/grey.png")
    headers = {"Content-Type": answer.headers["content-type"]}
    assert client.post("/predict", content=answer.content, headers=headers).status_code == 200


def test_credits_hidden_files_folders_and_other_kinds_are_not_served(
    client: httpx.Client, folder: Path, assert_problem: Check
) -> None:
    for file in ("README.md", ".hidden.png", "page.svg", "page.html", "notes.txt", "png"):
        (folder / file).write_bytes(b"x")
    (folder / "folder.png").mkdir()
    (folder / "empty.csv").touch()
    assert files(client) == []
    for path in folder.iterdir():
        assert_problem(
            client.get(f"/models/photos/samples/{path.name}"),
            404,
            "unknown-sample",
            "this model has none",
        )


def test_a_file_that_could_not_be_posted_is_left_out(client: httpx.Client, folder: Path) -> None:
    (folder / "fits.npy").write_bytes(b"x" * 5000)
    (folder / "large.npy").write_bytes(b"x" * 5001)
    assert files(client) == ["fits.npy"]
    assert client.get("/models/photos/samples/large.npy").status_code == 404


def test_a_link_out_of_the_folder_is_not_followed_and_one_inside_is(
    client: httpx.Client, folder: Path
) -> None:
    (folder.parent / "secret.csv").write_bytes(b"1,2")
    (folder / "real.csv").write_bytes(b"3,4")
    (folder / "outside.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "inside.csv").symlink_to("real.csv")
    (folder / "broken.csv").symlink_to("nowhere.csv")
    assert files(client) == ["inside.csv", "real.csv"]
    assert client.get("/models/photos/samples/outside.csv").status_code == 404
    assert client.get("/models/photos/samples/inside.csv").content == b"3,4"


@pytest.mark.parametrize(
    "file",
    [
        "..%2Fmodel.onnx",
        "%2e%2e%2fmodel.onnx",
        "..",
        "%2Fetc%2Fhostname",
        ".%2Freal.csv",
        "..%5Cmodel.onnx",
        "%00",
    ],
)
def test_no_name_leads_out_of_the_folder(client: httpx.Client, folder: Path, file: str) -> None:
    (folder / "real.csv").write_bytes(b"3,4")
    response = client.get(f"/models/photos/samples/{file}")
    assert response.status_code == 404 or response.json()["name"] == "photos"


def test_each_version_has_its_own_and_a_model_without_the_folder_has_none(
    client: httpx.Client, folder: Path
) -> None:
    (folder / "real.csv").write_bytes(b"3,4")
    assert files(client) == files(client, "photos:2") == ["real.csv"]
    assert files(client, "photos:1") == []


def test_an_unknown_model_has_no_samples(client: httpx.Client, assert_problem: Check) -> None:
    assert_problem(client.get("/models/nets/samples"), 404, "unknown-model", "photos")
    assert_problem(client.get("/models/nets/samples/a.png"), 404, "unknown-model", "photos")
    assert_problem(client.get("/models/photos/samples/" + "x" * 5000), 404, "unknown-sample")
