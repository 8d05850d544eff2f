"""docs/data.md says what the code does: the same mirrors, digests, recipes and types."""

import re
from pathlib import Path

import numpy as np

from model_build.datasets import mnist, mnist1d, voxels
from model_build.datasets.split import Dataset
from model_build.training import augment

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
CREDIT = (ROOT / "tests" / "data" / "mnist" / "README.md").read_text(encoding="utf-8")


def row(data: Dataset) -> str:
    shape = ", ".join(map(str, ("N", *data.train.inputs.shape[1:])))
    return f"| {len(data.train):,} | {len(data.test):,} | `{data.train.inputs.dtype} [{shape}]`"


def test_mirrors_and_digests_are_on_the_page() -> None:
    assert all(f"`{mirror}`" in PAGE for mirror in mnist.MIRRORS)
    assert (
        dict(re.findall(r"^\| `(\S+-ubyte)` \| `([0-9a-f]{64})` \|$", PAGE, re.MULTILINE))
        == mnist.SHA256
    )


def test_the_credit_beside_the_test_images_names_their_digests_and_the_licence() -> None:
    assert all(
        f"{name}  {digest}" in CREDIT
        for name, digest in mnist.SHA256.items()
        if name.startswith("t10k")
    )
    assert mnist.LICENCE in CREDIT


def test_types_and_numbers_of_the_table_are_those_of_the_data() -> None:
    assert row(mnist1d.load()) in PAGE
    test = mnist.load_test(ROOT / "tests" / "data" / "mnist").take(np.arange(3))
    assert f"`{test.inputs.dtype} [N, {', '.join(map(str, test.inputs.shape[1:]))}]`" in PAGE
    volumes = voxels.turned(test, np.random.default_rng(0)).inputs
    assert f"`{volumes.dtype} [N, {', '.join(map(str, volumes.shape[1:]))}]`" in PAGE


def test_the_recipe_of_the_solids_is_that_of_the_page() -> None:
    assert f"solids of {' × '.join(3 * [str(voxels.SIDE)])} voxels" in PAGE
    assert f"evenly between -{voxels.DEGREES:g}° and {voxels.DEGREES:g}°" in PAGE
    assert f"the mean of the {28 / voxels.SIDE} × {28 / voxels.SIDE} pixels" in PAGE


def test_every_augmentation_is_on_the_page() -> None:
    members = {
        name: member
        for name, member in vars(augment).items()
        if getattr(member, "__module__", "") == augment.__name__
    }
    names = {name for name, member in members.items() if hasattr(member, "draw")} - {
        "Warp",
        "Extrude",
    }
    assert set(re.findall(r"^\| `([A-Z]\w+)` \|", PAGE, re.MULTILINE)) == names
