"""The API is complete and says what it does: every route is described, and every answer is what its
schema says.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import BaseModel

from service import errors
from service.api import field_schemas, problems, schemas
from service.api.oip import failures
from service.api.oip import schemas as v2
from service.settings import Settings
from tests.service.networks import encoded
from tests.service.serving import fill, serving

PICTURE = encoded(np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8))


@dataclass(frozen=True)
class Example:
    """A request that succeeds, and the schema of its answer; None where the answer is no JSON."""

    operation: str
    url: str
    schema: type[BaseModel] | None
    more: dict[str, Any] = field(default_factory=dict)


POSTED = {"content": PICTURE}
TWO = {"files": [("file", ("a.png", PICTURE)), ("file", ("b.png", PICTURE))]}
FIELD = "GET /layers/{n}/receptive-field"
TABLE = "GET /layers/{n}/receptive-fields"
PYRAMID = "GET /layers/{n}/pyramid"
V2_MODEL = "GET /v2/models/{name}"
V2_VERSION = "GET /v2/models/{name}/versions/{version}"
TENSOR = {"name": "x", "datatype": "FP32", "shape": [1, 4, 3, 3], "data": list(range(36))}
INFER = "/v2/models/decoder/infer", v2.InferenceAnswer, {"json": {"inputs": [TENSOR]}}
RAW = {"content": PICTURE, "headers": {"Inference-Header-Content-Length": "0"}}
EXAMPLES = (
    Example("POST /predict", "/predict?top_k=2", schemas.Prediction, POSTED),
    Example("POST /predict", "/predict", schemas.Predictions, TWO),
    Example("GET /models", "/models", schemas.Models),
    Example("GET /models/{name}", "/models/photos", schemas.ModelSummary),
    Example("GET /models/{name}/samples", "/models/photos/samples", schemas.Samples),
    Example("GET /models/{name}/samples/{file}", "/models/photos/samples/grey.png", None),
    Example("GET /layers", "/layers", schemas.Layers),
    Example("GET /layers", "/layers?model=signals", schemas.Layers),
    Example(
        "POST /layers/{n}/activations",
        "/layers/0/activations?full=true",
        schemas.Activations,
        POSTED,
    ),
    Example(
        "POST /layers/{n}/activations",
        "/layers/3/activations?channel=1",
        schemas.Activations,
        POSTED,
    ),
    Example(
        "POST /layers/{n}/activations",
        "/layers/1/activations?tap=input&strongest=2",
        schemas.Activations,
        POSTED,
    ),
    Example(
        "GET /layers/{n}/activations",
        "/layers/1/activations?tap=pre&input_id={id}",
        schemas.Activations,
    ),
    Example("GET /layers/{n}/kernels", "/layers/0/kernels", schemas.Kernels),
    Example(FIELD, "/layers/1/receptive-field", field_schemas.WholeField),
    Example(FIELD, "/layers/3/receptive-field", field_schemas.WholeField),
    Example(FIELD, "/layers/1/receptive-field?of=0", field_schemas.WholeField),
    Example(FIELD, "/layers/1/receptive-field?unit=0,0&input_id={id}", field_schemas.UnitField),
    Example(FIELD, "/layers/1/receptive-field?pixel=3,5", field_schemas.ProjectiveField),
    Example(TABLE, "/layers/1/receptive-fields?input_id={id}", field_schemas.FieldTable),
    Example(TABLE, "/layers/1/receptive-fields?of=0", field_schemas.FieldTable),
    Example(TABLE, "/layers/3/receptive-fields", field_schemas.FieldTable),
    Example(PYRAMID, "/layers/1/pyramid?unit=3,5&input_id={id}", field_schemas.Pyramid),
    Example(PYRAMID, "/layers/3/pyramid", field_schemas.Pyramid),
    Example("GET /inputs/{input_id}", "/inputs/{id}?view=network", None),
    Example("GET /livez", "/livez", schemas.Status),
    Example("GET /readyz", "/readyz", schemas.Status),
    Example("GET /metrics", "/metrics", None),
    Example("GET /problems/{slug}", "/problems/unknown-layer", schemas.ProblemType),
    Example("GET /v2", "/v2", v2.Server),
    Example("GET /v2/health/live", "/v2/health/live", v2.Live),
    Example("GET /v2/health/ready", "/v2/health/ready", v2.Ready),
    Example(V2_MODEL, "/v2/models/photos", v2.Metadata),
    Example(V2_MODEL, "/v2/models/signals", v2.Metadata),
    Example(V2_VERSION, "/v2/models/photos/versions/1", v2.Metadata),
    Example(f"{V2_MODEL}/ready", "/v2/models/photos/ready", v2.ModelReady),
    Example(f"{V2_VERSION}/ready", "/v2/models/photos/versions/1/ready", v2.ModelReady),
    Example(f"{V2_MODEL}/config", "/v2/models/photos/config", v2.Config),
    Example(f"{V2_VERSION}/config", "/v2/models/photos/versions/1/config", v2.Config),
    Example("GET /v2/models/stats", "/v2/models/stats", v2.ModelStatisticsResponse),
    Example(f"{V2_MODEL}/stats", "/v2/models/photos/stats", v2.ModelStatisticsResponse),
    Example(
        f"{V2_VERSION}/stats", "/v2/models/photos/versions/1/stats", v2.ModelStatisticsResponse
    ),
    Example("POST /v2/models/{name}/infer", *INFER),
    Example("POST /v2/models/{name}/infer", "/v2/models/photos/infer", None, RAW),
    Example(
        "POST /v2/models/{name}/versions/{version}/infer",
        "/v2/models/photos/versions/1/infer",
        None,
        RAW,
    ),
    Example("POST /v2/repository/index", "/v2/repository/index", v2.RepositoryIndexEntry),
)
# Answered with an empty body, and only by a service that is set to.
CONTROL = {"POST /v2/repository/models/{name}/load", "POST /v2/repository/models/{name}/unload"}
PROMISED = {
    "POST /predict",
    "GET /models",
    "GET /models/{name}",
    "GET /layers",
    "POST /layers/{n}/activations",
    "GET /layers/{n}/activations",
    "GET /layers/{n}/kernels",
    "GET /layers/{n}/receptive-field",
    "GET /layers/{n}/receptive-fields",
    "GET /layers/{n}/pyramid",
    "GET /inputs/{input_id}",
    "GET /livez",
    "GET /readyz",
    "GET /metrics",
}
PAGES = ("/", "/docs", "/openapi.json")


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("contract")
    settings = Settings(
        models=fill(folder / "models"),
        default_model="photos",
        device="cpu",
        threads=1,
        input_store=folder / "inputs",
    )
    with serving(settings) as client:
        yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = client.get("/openapi.json").json()
    return document


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def answered(client: httpx.Client, example: Example) -> httpx.Response:
    input_id = client.post("/predict", content=PICTURE).json()["input_id"]
    method = example.operation.partition(" ")[0]
    return client.request(method, example.url.replace("{id}", input_id), **example.more)


def referred(value: Any) -> Iterator[str]:
    """Every `$ref` within a part of the document."""
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from referred(each)


def test_every_promised_route_is_described(document: dict[str, Any]) -> None:
    assert operations(document).keys() >= PROMISED


def test_the_pages_are_served(client: httpx.Client) -> None:
    assert [client.get(path).status_code for path in PAGES] == [200] * len(PAGES)


def test_every_route_described_has_an_example_here(document: dict[str, Any]) -> None:
    assert {each.operation for each in EXAMPLES} | CONTROL == operations(document).keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: f"{each.operation}, {each.url}")
def test_an_answer_is_what_its_schema_says_and_the_document_names_that_schema(
    client: httpx.Client, document: dict[str, Any], example: Example
) -> None:
    response = answered(client, example)
    assert response.status_code == 200, response.text
    content = operations(document)[example.operation]["responses"]["200"]["content"]
    assert response.headers["content-type"].partition(";")[0] in content
    if example.schema is not None:
        body = response.json()
        for each in body if isinstance(body, list) else [body]:
            example.schema.model_validate(each)
        assert f"#/components/schemas/{example.schema.__name__}" in referred(
            content["application/json"]
        )


def test_every_schema_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(referred(document)) <= known
    assert known >= {
        f"#/components/schemas/{each}" for each in ("Problem", "Activations", "Kernels", "Layers")
    }


def test_every_route_and_parameter_is_explained(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        assert operation["summary"], name
        assert operation["description"], name
        for parameter in operation.get("parameters", ()):
            own = (
                parameter["name"] in ("name", "slug", "input_id", "version")
                and parameter["in"] == "path"
            )
            assert own or parameter.get("description"), (name, parameter["name"])


def test_every_failure_is_described_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document).items():
        failing = {
            status: answer for status, answer in operation["responses"].items() if status != "200"
        }
        v2_error = " /v2" in name
        for answer in failing.values():
            assert list(answer["content"]) == [
                failures.MEDIA_TYPE if v2_error else problems.MEDIA_TYPE
            ], name
            assert list(referred(answer)) == [
                f"#/components/schemas/{'V2Error' if v2_error else 'Problem'}"
            ]


@pytest.mark.parametrize(
    ("request_of", "operation"),
    [
        (lambda client: client.post("/predict", content=b"x"), "POST /predict"),
        (lambda client: client.post("/predict"), "POST /predict"),
        (lambda client: client.post("/predict", content=PICTURE[:300]), "POST /predict"),
        (lambda client: client.post("/predict?top_k=0", content=PICTURE), "POST /predict"),
        (lambda client: client.post("/layers/9/activations"), "POST /layers/{n}/activations"),
        (
            lambda client: client.post("/layers/0/activations", **TWO),
            "POST /layers/{n}/activations",
        ),
        (
            lambda client: client.post("/layers/0/activations?channel=99", **POSTED),
            "POST /layers/{n}/activations",
        ),
        (
            lambda client: client.get("/layers/0/activations?input_id=0"),
            "GET /layers/{n}/activations",
        ),
        (lambda client: client.get("/layers/1/kernels"), "GET /layers/{n}/kernels"),
        (lambda client: client.get("/layers/0/kernels?channel=8"), "GET /layers/{n}/kernels"),
        (
            lambda client: client.get("/layers/0/kernels", headers={"Accept": "a/b"}),
            "GET /layers/{n}/kernels",
        ),
        (lambda client: client.get("/layers/0/receptive-field?unit=99,0"), FIELD),
        (lambda client: client.get("/layers/3/receptive-field?unit=0,0"), FIELD),
        (lambda client: client.get("/layers/1/receptive-field?unit=x"), FIELD),
        (lambda client: client.get("/layers/0/receptive-fields?of=1"), TABLE),
        (lambda client: client.get("/layers/1/pyramid"), PYRAMID),
        (lambda client: client.get("/layers/1/pyramid?unit=9,0"), PYRAMID),
        (lambda client: client.get("/layers/3/pyramid?unit=0,0"), PYRAMID),
        (lambda client: client.get("/layers?model=x"), "GET /layers"),
        (lambda client: client.get("/models/x"), "GET /models/{name}"),
        (lambda client: client.get("/models/x/samples"), "GET /models/{name}/samples"),
        (
            lambda client: client.get("/models/photos/samples/x"),
            "GET /models/{name}/samples/{file}",
        ),
        (lambda client: client.get("/inputs/x"), "GET /inputs/{input_id}"),
    ],
)
def test_a_failure_is_one_of_those_that_its_route_describes(
    client: httpx.Client,
    document: dict[str, Any],
    request_of: Callable[[httpx.Client], httpx.Response],
    operation: str,
) -> None:
    response = request_of(client)
    body = response.json()
    problems.Problem.model_validate(body)
    described = operations(document)[operation]["responses"][str(response.status_code)][
        "description"
    ]
    assert f"`{body['type']}`" in described


def test_every_problem_type_has_its_own_address_that_says_what_it_means(
    client: httpx.Client,
) -> None:
    kinds = (*problems.KINDS.values(), *problems.FRAMEWORK)
    assert len({kind.slug for kind in kinds}) == len(kinds)
    for kind in kinds:
        explained = schemas.ProblemType.model_validate(client.get(kind.uri).json())
        assert (explained.type, explained.title, explained.status) == (
            kind.uri,
            kind.title,
            kind.status,
        )
        assert len(explained.description) > 10


def test_every_error_that_a_request_can_meet_has_a_problem_type() -> None:
    at_start = {
        errors.SettingsError,
        errors.DeviceUnavailable,
        errors.UnsupportedUvicorn,
        errors.FoveaError,
    }
    tree = [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.FoveaError)
    ]
    assert set(tree) - at_start <= set(problems.KINDS)


def test_every_variable_that_the_code_names_is_a_setting() -> None:
    source = "\n".join(
        path.read_text() for path in (Path(__file__).parents[2] / "service").rglob("*.py")
    )
    named = set(re.findall(r"FOVEA_[A-Z][A-Z_]*[A-Z]", source))
    assert named <= {f"FOVEA_{name.upper()}" for name in Settings.model_fields}
