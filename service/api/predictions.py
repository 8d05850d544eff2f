"""`POST /predict`."""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from service import errors
from service.api import problems, request_bodies
from service.api.dependencies import (
    ModelDependency,
    ServicesDependency,
    deadline_of,
    limits_of,
    record_failure,
)
from service.api.responses import JSON, json_bytes
from service.api.schemas import Prediction as PredictionBody
from service.api.schemas import Predictions
from service.inference.predictor import Prediction, PredictItem
from service.inputs.preprocess import RawInput
from service.repository.model import Model
from service.scheduling.work_item import Completed
from service.services import Services

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
    Query(
        ge=1,
        description="how many classes, at most as many as the network has; 5 if not given",
        examples=[5],
    ),
]


@router.post(
    "/predict",
    summary="Classify a picture, a signal or a volume, or several",
    response_model=PredictionBody | Predictions,
    responses=problems.documented(*PICTURE_PROBLEMS),
    openapi_extra=request_bodies.documented(several=True),
)
async def predict(
    request: Request, services: ServicesDependency, model: ModelDependency, top_k: TopK = None
) -> Response:
    """The strongest classes of what is in the body. Several files in a form are answered as
    `{"results": [...]}`.

    The model's card says what it takes, see `GET /models`. The input is kept for a while: its
    `input_id` stands for it in the routes of the layers.
    """
    return await predicted(
        services, model, await request_bodies.read_all(request, limits_of(services)), top_k
    )


async def predicted(
    services: Services, model: Model, sources: Sequence[RawInput], top_k: int | None
) -> Response:
    """The answer to inputs that were read: one may share its run with other requests, several make
    one of their own.
    """
    came, deadline = time.monotonic(), deadline_of(services)
    items = [PredictItem(source, top_k, deadline, came) for source in sources]
    try:
        completed = await _completed(services, model, items, inline=at_once(model, sources[0]))
        predictions = _successes(completed.result)
    except BaseException as error:
        record_failure(services, model, error, came)
        raise
    body, headers = answer_of(model, predictions, completed.waited)
    return Response(body, media_type=JSON, headers=dict(headers))


def answer_of(
    model: Model, predictions: Sequence[Prediction], waited: float
) -> tuple[bytes, Mapping[str, str]]:
    """The body of the answer with these predictions, and the headers that go with it."""
    bodies = [body_of(model, prediction, waited) for prediction in predictions]
    body = json_bytes(bodies[0] if len(bodies) == 1 else {"results": bodies})
    return body, {"Server-Timing": server_timing(predictions, waited)}


async def _completed(
    services: Services, model: Model, items: Sequence[PredictItem], *, inline: bool
) -> Completed[list[Prediction | errors.FoveaError]]:
    """What came of the inputs; one that takes no time is done by the event loop itself."""
    predictor = services.predictor
    if len(items) > 1 or not inline:
        return await predictor.predict(services.pipeline, model, items)
    completed = await services.batcher.run(
        partial(predictor.predict_all, model),
        items[0],
        items[0].deadline,
        model if model.shares else None,
        owner=model,
        inline=True,
    )
    return Completed([completed.result], completed.waited, completed.took)


def _successes(results: Sequence[Prediction | errors.FoveaError]) -> list[Prediction]:
    """All predictions, or the first error; where there are several files, it says which of them it
    is about.
    """
    predictions = []
    for number, result in enumerate(results, 1):
        if isinstance(result, errors.FoveaError):
            if len(results) == 1:
                raise result
            raise type(result)(f"file {number} of {len(results)}: {result}") from result
        predictions.append(result)
    return predictions


def server_timing(results: Sequence[Prediction], waited: float) -> str:
    """The stages of all inputs together, as browsers' developer tools show them (W3C Server
    Timing).
    """
    decode = sum(prediction.decode for prediction in results)
    run = sum(prediction.run for prediction in results)
    return (
        f"decode;dur={decode * 1000:.3f}, queue;dur={waited * 1000:.3f}, run;dur={run * 1000:.3f}"
    )


def at_once(model: Model, source: RawInput) -> bool:
    """Whether the answer takes less time than handing the request to a thread and back."""
    return source.small and model.is_fast


def body_of(model: Model, prediction: Prediction, waited: float) -> dict[str, Any]:
    """The JSON of one answer."""
    return {
        "model": model.name,
        "version": model.version,
        "provider": model.provider,
        "input_id": prediction.input_id,
        "predictions": [
            {"index": best.index, "label": best.label, "probability": best.probability}
            for best in prediction.classes
        ],
        "timings_ms": {
            "decode": prediction.decode * 1000,
            "queue": waited * 1000,
            "run": prediction.run * 1000,
        },
    }
