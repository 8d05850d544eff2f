"""The 8-bit sibling of a model: calibrated, measured beside it, and written with a card that says
so.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from anatomy.cards.card import Card, ImageInput
from anatomy.model_file import ModelFile, read, write
from model_build.datasets.split import Array
from model_build.evaluate import CPU, EvaluationError, probabilities, scored
from model_build.quantising.calibration_images import PictureError, pictures_in, prepared
from model_build.quantising.quantise import Int8Error, check, quantised
from model_build.samples import FOLDER, write_readable

LogCallback = Callable[[str], None]
BATCH = 32
LEAST, MOST = 4, 1024
"""Pictures that a folder has to have, and that are taken of it."""
EXAMPLES = 512
"""Of a data set: how many calibrate."""
SECONDS = 1.0
"""How long the two models are run in turns for the printed times."""
VNNI = ("avx512_vnni", "avx_vnni")


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Inputs that calibrate, others that measure, with their classes where these are known; `about`
    says what both are.
    """

    calibration: Array
    measured: Array
    labels: NDArray[np.int64] | None
    about: str


ERRORS = (Int8Error, PictureError, EvaluationError)


def run(
    path: Path, target: Path, gather: Callable[[ModelFile], CalibrationData], say: LogCallback
) -> None:
    """Write the sibling of the model at `path` to `target`, by the material that `gather` has for
    it.

    Raises ModelFileError, those of `ERRORS`, and the errors of `gather`.
    """
    data = path.read_bytes()
    model = read(path)
    check(model)
    material = gather(model)
    batch = _batch(model)
    proto = quantised(model, material.calibration, batch)
    sizes = {"bytes_float": _size(model.proto), "bytes_int8": _size(proto)}
    answers = [
        probabilities(each.SerializeToString(), material.measured, batch, CPU)
        for each in (model.proto, proto)
    ]
    scores = measured(answers[0], answers[1], material.labels)
    card = described(
        model.card or Card(title=target.parent.parent.name),
        scores,
        {
            "from": hashlib.sha256(data).hexdigest(),
            "calibrated_with": len(material.calibration),
            **sizes,
        },
        f"{path.parent.parent.name}/{path.parent.name}/{path.name}",
        material.about,
    )
    write(proto, target, card)
    for sample in sorted(each for each in (path.parent / FOLDER).glob("*") if each.is_file()):
        write_readable(target.parent / FOLDER / sample.name, sample.read_bytes())
    say(
        f"{target}: {sizes['bytes_float']:,} -> {sizes['bytes_int8']:,} bytes without the card; "
        f"{material.about}"
    )
    say("  " + ", ".join(f"{name} {score:.6g}" for name, score in scores.items()))
    say(f"  {timing(model.proto, proto, material.measured[:1])}")


def photographs(folder: Path | None, model: ModelFile) -> CalibrationData:
    """Every second picture of a folder calibrates, the others measure; raises Int8Error and
    PictureError.
    """
    spec = None if model.card is None else model.card.input
    if not isinstance(spec, ImageInput):
        raise Int8Error("its card does not say how a picture becomes its input; adopt it first")
    if folder is None:
        raise Int8Error(
            "name a folder of pictures like those that it will see with --calibrate DIR"
        )
    found = pictures_in(folder)
    if len(found) < LEAST:
        raise Int8Error(
            f"{folder} has {len(found)} pictures; expected {LEAST} at least, hundreds for a good "
            "range"
        )
    taken = [
        found[index * len(found) // min(len(found), MOST)] for index in range(min(len(found), MOST))
    ]
    calibration, held_out = prepared(taken[::2], spec), prepared(taken[1::2], spec)
    about = f"calibrated with {len(calibration)} pictures of a folder, measured on {len(held_out)} others of it"
    return CalibrationData(calibration, held_out, None, about)


def examples(calibration: Array, test: Array, labels: NDArray[np.int64]) -> CalibrationData:
    """The first of the examples that the training held out, and the whole test."""
    taken = calibration[:EXAMPLES]
    about = f"calibrated with {len(taken)} examples held out from training, measured on the {len(test)} of the test"
    return CalibrationData(taken, test, labels, about)


def measured(float_: Array, int8: Array, labels: NDArray[np.int64] | None) -> dict[str, float]:
    """Scores of 8 bits beside float from the probabilities [N, classes] of both; raises Int8Error
    for other shapes.
    """
    if float_.ndim != 2:
        raise Int8Error(
            f"it answers each input with an array {list(float_.shape[1:])}, expected one score "
            "for each class"
        )
    difference = np.abs(int8.astype(np.float64) - float_)
    compared = {
        "float_agreement": float((float_.argmax(axis=1) == int8.argmax(axis=1)).mean()),
        "float_difference_mean": float(difference.mean()),
        "float_difference_max": float(difference.max()),
        "measured_on": len(float_),
    }
    if labels is None:
        return compared
    before, after = scored(float_, labels), scored(int8, labels)
    low, high = after.interval
    return {
        "test_accuracy": after.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_loss": after.loss,
        "float_test_accuracy": before.accuracy,
        "float_test_loss": before.loss,
        **compared,
    }


def described(
    card: Card, scores: dict[str, float], figures: dict[str, int | str], source: str, about: str
) -> Card:
    """The card of the sibling: what holds of the float model too, and how this one came of it."""
    version = onnxruntime.__version__
    made = (
        f"Quantised by `python -m model_build --int8` from {source}, SHA-256 {figures['from']}, "
        "with ONNX Runtime "
        f"{version} (static, QDQ; weights per channel and symmetric; ranges by least and greatest "
        f"value); {about}."
    )
    return replace(
        card,
        title=f"{card.title} (int8)",
        description=f"{card.description} With weights and activations of 8 bits.".strip(),
        provenance=f"{card.provenance} {made}".strip(),
        scores=scores,
        history={
            **card.history,
            "int8": {**figures, "onnxruntime": version, "measured_on": scores["measured_on"]},
        },
    )


def timing(float_: onnx.ModelProto, int8: onnx.ModelProto, given: Array) -> str:
    """How long one input takes on this machine, on one thread, the two models run in turns: a line
    to print.
    """
    sessions = [_session(each) for each in (float_, int8)]
    feeds = {sessions[0].get_inputs()[0].name: given}
    spent: tuple[list[float], list[float]] = ([], [])
    until = time.perf_counter() + SECONDS
    while time.perf_counter() < until or len(spent[0]) < 3:
        for session, times in zip(sessions, spent, strict=True):
            start = time.perf_counter()
            session.run(None, feeds)
            times.append(time.perf_counter() - start)
    before, after = (median(times) * 1e3 for times in spent)
    return f"one input, one thread, here: {before:.3g} ms -> {after:.3g} ms, {after / before:.2f} of the time{_vnni()}"


def _session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=list(CPU))


def _vnni() -> str:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return ""
    return f" (a processor with{'' if any(flag in flags for flag in VNNI) else 'out'} VNNI)"


def _batch(model: ModelFile) -> int:
    """How many inputs at a time: as many as the graph fixes."""
    shape = model.graph.shape(model.input)
    size = shape[0] if shape else None
    return size if isinstance(size, int) else BATCH


def _size(proto: onnx.ModelProto) -> int:
    """Bytes of a model without what its metadata say, the card among them."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.metadata_props[:]
    return int(bare.ByteSize())
