"""The quantised variant of a model: calibrated, compared with it, and written with its own card."""

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
from model_build.quantising.calibration_images import ImageError, images_in, prepared
from model_build.quantising.quantise import Int8Error, check, quantised
from model_build.samples import FOLDER, write_readable

LogCallback = Callable[[str], None]
BATCH_SIZE = 32
LEAST_IMAGES, MOST_IMAGES = 4, 1024
"""Images that a folder has to have, and that are taken of it."""
MOST_EXAMPLES = 512
"""Examples of a data set that calibrate."""
SECONDS = 1.0
"""How long the two models are run in turns for the printed times."""
VNNI = frozenset(("avx512_vnni", "avx_vnni"))
ERRORS = (Int8Error, ImageError, EvaluationError)


@dataclass(frozen=True, eq=False)
class CalibrationData:
    """Inputs that calibrate, and others that measure, with their classes where these are known.

    `about` says what both are.
    """

    calibration: Array
    measured: Array
    labels: NDArray[np.int64] | None
    about: str


def run(
    path: Path, target: Path, gather: Callable[[ModelFile], CalibrationData], log: LogCallback
) -> None:
    """Write the quantised variant of the model at `path` to `target`.

    `gather` has the calibration data of a model. Raises ModelFileError, those of `ERRORS`, and the
    errors of `gather`.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    model = read(path)
    check(model)
    data = gather(model)
    batch_size = _batch_size(model)
    proto = quantised(model, data.calibration, batch_size)
    scores = compared(
        _answers(model.proto, data.measured, batch_size),
        _answers(proto, data.measured, batch_size),
        data.labels,
    )
    figures: dict[str, int | str] = {
        "from": digest,
        "calibrated_with": len(data.calibration),
        "bytes_float": _size(model.proto),
        "bytes_int8": _size(proto),
    }
    card = model.card or Card(title=target.parent.parent.name)
    source = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    write(proto, target, described(card, scores, figures, source, data.about))
    _copy_samples(path.parent / FOLDER, target.parent / FOLDER)
    log(
        f"{target}: {figures['bytes_float']:,} -> {figures['bytes_int8']:,} bytes without the "
        f"card; {data.about}"
    )
    log("  " + ", ".join(f"{name} {score:.6g}" for name, score in scores.items()))
    log(f"  {timing(model.proto, proto, data.measured[:1])}")


def _answers(proto: onnx.ModelProto, inputs: Array, batch_size: int) -> Array:
    return probabilities(proto.SerializeToString(), inputs, batch_size, CPU)


def _copy_samples(source: Path, target: Path) -> None:
    for sample in sorted(source.glob("*")):
        if sample.is_file():
            write_readable(target / sample.name, sample.read_bytes())


def photographs(folder: Path | None, model: ModelFile) -> CalibrationData:
    """Every second image of a folder calibrates, the others measure.

    Raises Int8Error and ImageError.
    """
    spec = None if model.card is None else model.card.input
    if not isinstance(spec, ImageInput):
        raise Int8Error("its card does not say how a picture becomes its input; adopt it first")
    if folder is None:
        raise Int8Error(
            "name a folder of pictures like those that it will see with --calibrate DIR"
        )
    paths = images_in(folder)
    if len(paths) < LEAST_IMAGES:
        raise Int8Error(
            f"{folder} has {len(paths)} pictures; expected {LEAST_IMAGES} at least, hundreds for a "
            "good range"
        )
    count = min(len(paths), MOST_IMAGES)
    chosen = [paths[index * len(paths) // count] for index in range(count)]
    calibration, held_out = prepared(chosen[::2], spec), prepared(chosen[1::2], spec)
    about = (
        f"calibrated with {len(calibration)} pictures of a folder, "
        f"measured on {len(held_out)} others of it"
    )
    return CalibrationData(calibration, held_out, None, about)


def examples(held_out: Array, test: Array, labels: NDArray[np.int64]) -> CalibrationData:
    """The first of the examples that the training held out calibrate, the whole test measures."""
    calibration = held_out[:MOST_EXAMPLES]
    about = (
        f"calibrated with {len(calibration)} examples held out from training, "
        f"measured on the {len(test)} of the test"
    )
    return CalibrationData(calibration, test, labels, about)


def compared(
    float_answers: Array, int8_answers: Array, labels: NDArray[np.int64] | None
) -> dict[str, float]:
    """Scores of 8 bits beside float, from the probabilities [N, classes] of both.

    Raises Int8Error for other shapes.
    """
    if float_answers.ndim != 2:
        raise Int8Error(
            f"it answers each input with an array {list(float_answers.shape[1:])}, expected one "
            "score for each class"
        )
    difference = np.abs(int8_answers.astype(np.float64) - float_answers)
    same = float_answers.argmax(axis=1) == int8_answers.argmax(axis=1)
    agreement = {
        "float_agreement": float(same.mean()),
        "float_difference_mean": float(difference.mean()),
        "float_difference_max": float(difference.max()),
        "measured_on": len(float_answers),
    }
    if labels is None:
        return agreement
    before, after = scored(float_answers, labels), scored(int8_answers, labels)
    low, high = after.interval
    return {
        "test_accuracy": after.accuracy,
        "test_accuracy_low": low,
        "test_accuracy_high": high,
        "test_loss": after.loss,
        "float_test_accuracy": before.accuracy,
        "float_test_loss": before.loss,
        **agreement,
    }


def described(
    card: Card, scores: dict[str, float], figures: dict[str, int | str], source: str, about: str
) -> Card:
    """The card of the variant: what holds of the float model too, and how this one was made."""
    version = onnxruntime.__version__
    origin = (
        f"Quantised by `python -m model_build --int8` from {source}, SHA-256 {figures['from']}, "
        f"with ONNX Runtime {version} (static, QDQ; weights per channel and symmetric; ranges by "
        f"least and greatest value); {about}."
    )
    return replace(
        card,
        title=f"{card.title} (int8)",
        description=f"{card.description} With weights and activations of 8 bits.".strip(),
        provenance=f"{card.provenance} {origin}".strip(),
        scores=scores,
        history={
            **card.history,
            "int8": {**figures, "onnxruntime": version, "measured_on": scores["measured_on"]},
        },
    )


def timing(float_model: onnx.ModelProto, int8_model: onnx.ModelProto, example: Array) -> str:
    """How long one input takes here, on one thread, the two models run in turns: a line of text."""
    sessions = [_session(model) for model in (float_model, int8_model)]
    feeds = {sessions[0].get_inputs()[0].name: example}
    times: tuple[list[float], list[float]] = ([], [])
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times[0]) < 3:
        for session, durations in zip(sessions, times, strict=True):
            start = time.perf_counter()
            session.run(None, feeds)
            durations.append(time.perf_counter() - start)
    before, after = (median(durations) * 1e3 for durations in times)
    return (
        f"one input, one thread, here: {before:.3g} ms -> {after:.3g} ms, "
        f"{after / before:.2f} of the time{_vnni()}"
    )


def _session(proto: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=list(CPU))


def _vnni() -> str:
    """Whether the processor has VNNI, in words; nothing where the system does not tell."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8").split()
    except OSError:
        return ""
    return " (a processor without VNNI)" if VNNI.isdisjoint(flags) else " (a processor with VNNI)"


def _batch_size(model: ModelFile) -> int:
    """How many inputs at a time: as many as the graph fixes."""
    shape = model.graph.shape(model.input)
    size = shape[0] if shape else None
    return size if isinstance(size, int) else BATCH_SIZE


def _size(proto: onnx.ModelProto) -> int:
    """Bytes of a model without its metadata, the card among them."""
    bare = onnx.ModelProto()
    bare.CopyFrom(proto)
    del bare.metadata_props[:]
    return int(bare.ByteSize())
