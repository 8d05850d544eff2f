"""`POST /predict`."""

import time
from collections.abc import Sequence
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
from service.api.responses import as_json
from service.api.schemas import Prediction as PredictionBody
from service.api.schemas import Predictions
from service.inference.predictor import Prediction, PredictItem
from service.inputs.preprocess import RawInput
from service.repository.model import Model
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
    services: Services, model: Model, given: Sequence[RawInput], top_k: int | None
) -> Response:
    """The answer to inputs that were read: one may share its run with other requests, several make
    one of their own.
    """
    came, deadline = time.monotonic(), deadline_of(services)
    wanted = [PredictItem(each, top_k, deadline, came) for each in given]
    try:
        results, waited = await _results(services, model, wanted, here=at_once(model, given[0]))
    except BaseException as error:
        record_failure(services, model, error, came)
        raise
    answers = [body_of(model, each, waited) for each in results]
    return as_json(
        answers[0] if len(answers) == 1 else {"results": answers},
        {"Server-Timing": server_timing(results, waited)},
    )


async def _results(
    services: Services, model: Model, wanted: Sequence[PredictItem], *, here: bool
) -> tuple[list[Prediction], float]:
    """What came of the inputs, and how long they waited."""
    deadline = wanted[0].deadline
    if len(wanted) == 1:
        one = await services.batcher.ask(
            partial(services.predictor.predict_all, model),
            wanted[0],
            deadline,
            model if model.shares else None,
            owner=model,
            here=here,
        )
        return [one.result], one.waited
    several = await services.batcher.ask(
        lambda _: [services.predictor.predict_all(model, wanted)], None, deadline, None, owner=model
    )
    return [
        _found(each, place, len(wanted)) for place, each in enumerate(several.result, 1)
    ], several.waited


def server_timing(results: Sequence[Prediction], waited: float) -> str:
    """The stages of all inputs together, as browsers' developer tools show them (W3C Server
    Timing).
    """
    decode, run = sum(each.decode for each in results), sum(each.run for each in results)
    return (
        f"decode;dur={decode * 1000:.3f}, queue;dur={waited * 1000:.3f}, run;dur={run * 1000:.3f}"
    )


def at_once(model: Model, given: RawInput) -> bool:
    """Whether the answer takes less time than handing the request to a thread and back."""
    return given.small and model.quick


def _found(result: Prediction | errors.FoveaError, number: int, count: int) -> Prediction:
    """Where there are several files, an error says which of them it is about."""
    if isinstance(result, errors.FoveaError):
        raise type(result)(f"file {number} of {count}: {result}") from result
    return result


def body_of(model: Model, prediction: Prediction, waited: float) -> dict[str, Any]:
    """The JSON of one answer."""
    return {
        "model": model.name,
        "version": model.version,
        "provider": model.provider,
        "input_id": prediction.input_id,
        "predictions": [
            {"index": each.index, "label": each.label, "probability": each.probability}
            for each in prediction.classes
        ],
        "timings_ms": {
            "decode": prediction.decode * 1000,
            "queue": waited * 1000,
            "run": prediction.run * 1000,
        },
    }
