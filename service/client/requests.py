"""What the clients say and hear: each function here makes one `PreparedRequest`, a request with the
way to read its answer.

Nothing is sent here, so that `service/client/sync_async.py` can send the same calls with and
without waiting.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

import httpx
import numpy as np

from service.client.models import (
    Layer,
    LayerField,
    Model,
    Prediction,
    ProblemError,
    Sample,
    ScoredClass,
    UnitField,
)

Array = np.ndarray[Any, Any]
Input = bytes | Path | Array
Tap = Literal["post", "pre", "input"]
Answer = TypeVar("Answer")

NPY = "application/x-npy"
RAW = "application/octet-stream"
TYPES = {".npy": NPY, ".csv": "text/csv", ".json": "application/json"}


@dataclass(frozen=True)
class PreparedRequest(Generic[Answer]):
    """One request, and how its answer is read."""

    method: str
    path: str
    read: Callable[[httpx.Response], Answer]
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    files: Sequence[tuple[str, tuple[str, bytes, str]]] | None = None

    @property
    def request(self) -> dict[str, Any]:
        """The arguments of `httpx.Client.request`; parameters that are None are left out."""
        params = {name: value for name, value in self.params.items() if value is not None}
        body = {"content": self.content, "files": self.files}
        return {
            "method": self.method,
            "url": self.path,
            "params": params,
            "headers": dict(self.headers),
            **body,
        }

    def answer(self, response: httpx.Response) -> Answer:
        """The answer in a response; raises ProblemError."""
        if not response.is_success:
            raise _problem(response)
        try:
            return self.read(response)
        except (AttributeError, EOFError, KeyError, TypeError, ValueError) as error:
            detail = (
                f"the answer is not one of this service's: {error!r}; is {response.url} its "
                "address?"
            )
            raise ProblemError(
                "about:blank",
                "Unreadable answer",
                response.status_code,
                detail,
                request_id=_request_id(response),
            ) from error


def predict(
    source: Input | Sequence[Input], top_k: int | None, model: str | None
) -> PreparedRequest[Prediction | tuple[Prediction, ...]]:
    """`POST /predict`: one input raw, several as files of a form."""
    params = {"top_k": top_k, "model": model}
    if isinstance(source, bytes | Path | np.ndarray):
        data, media_type = _body(source)
        return PreparedRequest(
            "POST",
            "predict",
            lambda answer: _prediction(answer.json()),
            params,
            _content_type(media_type),
            data,
        )
    files = [("file", (f"{number}", *_body(item))) for number, item in enumerate(source)]
    return PreparedRequest("POST", "predict", _predictions, params, files=files)


def models() -> PreparedRequest[tuple[Model, ...]]:
    """`GET /models`."""
    return PreparedRequest(
        "GET",
        "models",
        lambda answer: tuple(_make(Model, item) for item in answer.json()["models"]),
    )


def samples(model: str | None) -> PreparedRequest[tuple[Sample, ...]]:
    """`GET /models/{name}/samples`; raises ValueError where no model is named."""
    return PreparedRequest(
        "GET",
        _samples(model),
        lambda answer: tuple(_make(Sample, item) for item in answer.json()["samples"]),
    )


def sample(file: str, model: str | None) -> PreparedRequest[bytes]:
    """`GET /models/{name}/samples/{file}`; raises ValueError where no model is named."""
    return PreparedRequest(
        "GET", f"{_samples(model)}/{quote(file, safe='')}", lambda answer: answer.content
    )


def layers(model: str | None) -> PreparedRequest[tuple[Layer, ...]]:
    """`GET /layers`."""
    return PreparedRequest(
        "GET",
        "layers",
        lambda answer: tuple(map(_layer, answer.json()["layers"])),
        {"model": model},
    )


def activations(
    layer: int | str,
    source: Input | None,
    input_id: str | None,
    channel: int | Sequence[int] | None,
    tap: Tap | None,
    model: str | None,
    operand: int | None = None,
    strongest: int | None = None,
) -> PreparedRequest[Array]:
    """`GET` or `POST /layers/{n}/activations` as .npy; raises ValueError unless given an input or
    an input_id.
    """
    if (source is None) == (input_id is None):
        raise ValueError("give either an input or the input_id of one posted before")
    path, accept = _path(layer, "activations"), {"Accept": NPY}
    params = {"input_id": input_id, "channel": channel, "tap": tap, "model": model}
    params |= {"operand": operand, "strongest": strongest}
    if source is None:
        return PreparedRequest("GET", path, _array, params, accept)
    data, media_type = _body(source)
    return PreparedRequest(
        "POST", path, _array, params, {**accept, **_content_type(media_type)}, data
    )


def receptive_field(
    layer: int | str,
    unit: Sequence[int] | None,
    input_id: str | None,
    of: int | str | None,
    model: str | None,
) -> PreparedRequest[LayerField | UnitField]:
    """`GET /layers/{n}/receptive-field`, of the layer or of one unit."""
    position = None if unit is None else ",".join(str(index) for index in unit)
    params = {"unit": position, "input_id": input_id, "of": of, "model": model}
    kind: type[LayerField | UnitField] = LayerField if unit is None else UnitField
    return PreparedRequest(
        "GET", _path(layer, "receptive-field"), lambda answer: _make(kind, answer.json()), params
    )


def _samples(model: str | None) -> str:
    if model is None:
        raise ValueError("name the model whose samples are meant")
    return f"models/{quote(model, safe=':')}/samples"


def _path(layer: int | str, what: str) -> str:
    return f"layers/{quote(str(layer), safe='')}/{what}"


def _body(source: Input) -> tuple[bytes, str]:
    """The bytes of an input and their type.

    A file's type is told by the end of its name; an array is sent as .npy.
    """
    if isinstance(source, np.ndarray):
        stream = io.BytesIO()
        np.save(stream, source, allow_pickle=False)
        return stream.getvalue(), NPY
    if isinstance(source, Path):
        return source.read_bytes(), TYPES.get(source.suffix.lower(), RAW)
    return source, RAW


def _content_type(media_type: str) -> Mapping[str, str]:
    return {"Content-Type": media_type}


def _prediction(body: Any) -> Prediction:
    scored = tuple(_make(ScoredClass, item) for item in body["predictions"])
    return _make(Prediction, body | {"predictions": scored})


def _predictions(answer: httpx.Response) -> tuple[Prediction, ...]:
    body = answer.json()
    return tuple(map(_prediction, body.get("results", [body])))


def _layer(body: Any) -> Layer:
    return _make(Layer, body | {"receptive_field": _make(LayerField, body["receptive_field"])})


def _array(answer: httpx.Response) -> Array:
    array: Array = np.load(io.BytesIO(answer.content), allow_pickle=False)
    return array


def _make(kind: type[Answer], body: Any) -> Answer:
    """The dataclass from the fields of a JSON object that it knows; KeyError where one without a
    default is absent.
    """
    values: dict[str, Any] = {}
    for entry in fields(kind):  # type: ignore[arg-type]
        if entry.name in body or entry.default is MISSING:
            values[entry.name] = _frozen(body[entry.name])
    return kind(**values)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


def _problem(response: httpx.Response) -> ProblemError:
    """The problem in a response; a proxy's error page becomes one too."""
    try:
        body = dict(response.json())
    except (TypeError, ValueError):
        body = {}
    return ProblemError(
        str(body.get("type", "about:blank")),
        str(body.get("title", response.reason_phrase)),
        response.status_code,
        str(body.get("detail", response.text[:200])),
        _seconds(response.headers.get("retry-after")),
        _request_id(response),
    )


def _request_id(response: httpx.Response) -> str | None:
    name: str | None = response.headers.get("x-request-id")
    return name


def _seconds(text: str | None) -> float | None:
    return float(text) if text is not None and text.isdecimal() else None
