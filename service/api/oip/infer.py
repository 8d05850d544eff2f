"""`POST /v2/models/{m}/infer`, with or without a version: bytes in, bytes out, nothing between them
that validates.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.api.dependencies import ServicesDependency, deadline_of, limits_of, record_failure
from service.api.oip import coding, request_bodies, schemas
from service.api.oip.failures import documented
from service.oip import inference, request, response
from service.oip.request import InferRequest
from service.oip.response import InferResponse
from service.repository.model import Model
from service.services import Services

PATH = "/v2/models/{name}/infer"
VERSION_PATH = "/v2/models/{name}/versions/{version}/infer"
BINARY = "application/octet-stream"
JSON = "application/json"
FAILURES = documented(400, 404, 408, 413, 415, 429, 503, 504)

Result = TypeVar("Result")

router = APIRouter(tags=["Open Inference Protocol"])


@router.post(
    PATH,
    summary="Run a model, or look into its layers",
    response_class=Response,
    responses=schemas.INFERRED | FAILURES,
    openapi_extra=schemas.INFERENCE,
)
async def infer(request: Request, services: ServicesDependency, name: str) -> Response:
    """The outputs, or any layers named among them, for a tensor in JSON or in binary form, or an
    encoded picture.

    The newest version answers. One item shares its run with other requests; a batch of one's own is
    one run.
    """
    return await inferred(request, services, name)


@router.post(
    VERSION_PATH,
    summary="Run a version of a model, or look into its layers",
    response_class=Response,
    responses=schemas.INFERRED | FAILURES,
    openapi_extra=schemas.INFERENCE,
)
async def infer_version(
    request: Request, services: ServicesDependency, name: str, version: str
) -> Response:
    """The same, by this version."""
    return await inferred(request, services, name, version)


async def inferred(
    http: Request, services: Services, name: str, version: str | None = None
) -> Response:
    """The answer to a request for an inference; raises the errors of the tree."""
    started = time.monotonic()
    model = services.catalogue.get(name if version is None else f"{name}:{version}")
    try:
        return await _answered(http, services, model)
    except BaseException as error:
        record_failure(services, model, error, started)
        raise


async def _answered(http: Request, services: Services, model: Model) -> Response:
    body = await request_bodies.read(http, limits_of(services))
    read, length = time.monotonic(), request_bodies.head_length(http)
    limit = deadline_of(services)
    parse = partial(_asked, model, body, length)
    asked = await _off_loop(services, model, limit, len(body), parse)
    plan = inference.planned(model, asked)
    deadline = limit if asked.timeout is None else min(limit, read + asked.timeout)
    max_pixels = services.settings.max_pixels
    computed = await inference.infer(
        plan, services.pipeline, services.statistics, max_pixels, deadline
    )

    def respond() -> Response:
        outputs = inference.outputs_of(plan, computed)
        answer = response.answer(model.name, model.version, asked.id, outputs)
        return _response(answer, http.headers.get("accept-encoding"))

    size = sum(array.nbytes for array in computed.values())
    return await _off_loop(services, model, limit, size, respond, admitted=True)


def _asked(model: Model, body: bytes, length: int | None) -> InferRequest:
    """What the body asks for; one without a document is the input itself, and all outputs are
    wanted as bytes.
    """
    if length == 0:
        return InferRequest([inference.raw(model, body)], binary=True)
    return request.parse(*request.split(body, length))


def _response(answer: InferResponse, accepted: str | None) -> Response:
    headers = {"Vary": "Accept-Encoding"}
    if answer.length is not None:
        headers[request_bodies.HEADER] = str(answer.length)
    body, packing = answer.body, coding.choose(accepted, len(answer.body))
    if packing:
        headers["Content-Encoding"] = packing
        body = coding.packed(body, packing)
    return Response(body, headers=headers, media_type=JSON if answer.length is None else BINARY)


async def _off_loop(
    services: Services,
    model: Model,
    deadline: float,
    size: int,
    work: Callable[[], Result],
    *,
    admitted: bool = False,
) -> Result:
    """Do it now if it is little, else on the threads of the pipeline."""
    if size < request_bodies.LARGE:
        return work()
    return (await services.pipeline.on_cpu(model, deadline, work, admitted=admitted)).result
