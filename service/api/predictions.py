"""`POST /predict`."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service import errors
from service.api import bodies, problems
from service.api.rendering import as_json
from service.api.schemas import Prediction as PredictionBody
from service.api.schemas import Predictions
from service.api.work import ChosenModel, Serving, deadline_of, limits_of, queued
from service.predictor import Prediction
from service.repository import Model

router = APIRouter(tags=["predictions"])

PICTURE_PROBLEMS: Sequence[type[errors.FoveaError]] = (
    errors.InvalidRequest,
    errors.EmptyBody,
    errors.StalledUpload,
    errors.BrokenPicture,
    errors.UnknownModel,
    errors.TooManyBytes,
    errors.TooManyPixels,
    errors.UnsupportedContentType,
    errors.UnsupportedPicture,
    errors.Impossible,
    errors.NoImageInput,
    errors.QueueFull,
    errors.NotReady,
    errors.DeadlinePassed,
)

TopK = Annotated[
    int | None,
    Query(ge=1, description="how many classes, at most as many as the network has; 5 if not given", examples=[5]),
]


@router.post(
    "/predict",
    summary="Classify a picture, a signal or a volume, or several",
    response_model=PredictionBody | Predictions,
    responses=problems.documented(*PICTURE_PROBLEMS),
    openapi_extra=bodies.documented(several=True),
)
async def predict(request: Request, services: Serving, model: ChosenModel, top_k: TopK = None) -> Response:
    """The strongest classes of what is in the body. Several files in a form are answered as `{"results": [...]}`.

    The model's card says what it takes, see `GET /models`. The input is kept for a while: its
    `input_id` stands for it in the routes of the layers.
    """
    given = await bodies.read_all(request, limits_of(services))
    deadline = deadline_of(services)

    def work() -> list[Prediction]:
        results = []
        for number, each in enumerate(given, 1):
            with _numbered(number, len(given)):
                results.append(services.predictor.predict(model, each, top_k, deadline))
        return results

    done = await queued(services, deadline, work)
    results = [_body(model, each, done.waited) for each in done.result]
    for each in done.result:
        _observe(request, each, done.waited)
    return as_json(results[0] if len(results) == 1 else {"results": results})


@contextmanager
def _numbered(number: int, count: int) -> Iterator[None]:
    """Where there are several files, an error says which of them it is about."""
    try:
        yield
    except errors.FoveaError as error:
        if count == 1:
            raise
        raise type(error)(f"file {number} of {count}: {error}") from error


def _observe(request: Request, prediction: Prediction, waited: float) -> None:
    metrics = request.app.state.metrics
    for stage, seconds in (("queue", waited), ("decode", prediction.decode), ("run", prediction.run)):
        metrics.stage(stage, seconds)


def _body(model: Model, prediction: Prediction, waited: float) -> dict[str, Any]:
    return {
        "model": model.name,
        "version": model.version,
        "provider": model.provider,
        "input_id": prediction.input_id,
        "predictions": [
            {"index": each.index, "label": each.label, "probability": each.probability} for each in prediction.classes
        ],
        "timings_ms": {
            "decode": prediction.decode * 1000,
            "queue": waited * 1000,
            "run": prediction.run * 1000,
        },
    }
