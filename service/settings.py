"""What an operator may choose: one frozen `Settings`, read once and passed down as values.

Every field is a variable `FOVEA_<FIELD>` and a flag `--<field>` of `python -m service`; a flag
beats the environment, and an empty variable counts as unset. The description of a field is its help
line.
"""

import os
import tempfile
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.errors import SettingsError
from service.settings_sources import PREFIX, describe_error, read_flags, read_variables

MODELS = Path("models")
BUNDLED_MODELS = Path(str(resources.files("service").joinpath("bundled_models")))
"""The learned models that the wheel carries; a checkout has none."""


def _split(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    parts = (part.strip() for part in value.split(","))
    return tuple(part for part in parts if part)


def _input_store() -> Path:
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return Path(tempfile.gettempdir()) / f"fovea-inputs-{owner}"


class Settings(BaseSettings):
    """The service's settings; `Settings()` are the defaults, `Settings.load` reads the environment
    and the flags.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    host: str = Field(default="127.0.0.1", description="address to listen on; 0.0.0.0 for all")
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 lets the system choose"
    )
    models: Path = Field(
        default=MODELS,
        description=(
            "folder of the models: <name>/<version>/model.onnx; where it is unset and there is "
            "no such folder, the learned models that an installed package brings"
        ),
    )
    default_model: str | None = Field(
        default=None,
        description=(
            "model that answers when a request names none; without it, imagenet, or else "
            "the first by name"
        ),
    )
    model_control: Literal["none", "poll", "explicit"] = Field(
        default="none",
        description=(
            "when models are loaded: none, at start-up; poll, also as their files change; "
            "explicit, on request"
        ),
    )
    poll_seconds: float = Field(
        default=5.0,
        ge=0.1,
        le=86400,
        description="between two looks at the models folder, with poll",
    )
    load_models: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description="models loaded at start-up with explicit, separated by commas; * for all",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto",
        description="auto takes CUDA where it can be had; cuda fails at start-up where it cannot",
    )
    cuda_device: int = Field(default=0, ge=0, description="which GPU, where CUDA is used")
    gpu_memory_bytes: int | None = Field(
        default=None,
        ge=1,
        description="memory that each session may take on the GPU; without it, all there is",
    )
    tf32: bool = Field(
        default=False,
        description=(
            "sums of 10-bit fractions on the GPU: faster, but no more the numbers of the CPU"
        ),
    )
    cudnn_search: Literal["heuristic", "exhaustive", "default"] = Field(
        default="heuristic",
        description=(
            "how cuDNN chooses algorithms: heuristic; exhaustive, slower at start and at "
            "new shapes; default"
        ),
    )
    max_batch: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description=(
            "requests that may share one run; without it, 8 on the CPU (16 if they are "
            "short) and 32 on CUDA"
        ),
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description=(
            "threads per run; without it, the worker's share of the processors for a run "
            "that goes by itself, shared again by runs at the same time"
        ),
    )
    instances: int | None = Field(
        default=None,
        ge=1,
        description=(
            "runs of networks at the same time, per worker; without it, one per processor, or 2 on "
            "CUDA"
        ),
    )
    workers: int = Field(default=1, ge=1, description="processes that serve")
    queue_size: int = Field(
        default=128,
        ge=1,
        description="requests that may wait for one model; one more is answered 429",
    )
    deadline_seconds: float = Field(
        default=30.0,
        gt=0,
        description=(
            "longest wait and run of a request (past it, 504), and pause of its upload (408)"
        ),
    )
    shutdown_seconds: int = Field(
        default=20, ge=0, description="how long requests in flight may take to end at shutdown"
    )
    layer_sessions: int = Field(
        default=8,
        ge=1,
        description="sessions of single layers that are kept, least recently used out",
    )
    max_bytes: int = Field(
        default=20_000_000, ge=1, description="largest body of a request; more is answered 413"
    )
    max_pixels: int = Field(
        default=50_000_000, ge=1, description="largest picture; checked before anything is decoded"
    )
    max_files: int = Field(default=16, ge=1, description="pictures that one request may carry")
    input_store: Path = Field(
        default_factory=_input_store,
        description="folder of the pictures posted, shared by all workers of a machine",
    )
    input_store_bytes: int = Field(
        default=500_000_000, ge=0, description="pictures kept in all; the oldest go first"
    )
    input_store_seconds: float = Field(
        default=3600.0, gt=0, description="how long a picture is kept after its last use"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = Field(
        default=(),
        description=(
            "origins whose pages may call this service, separated by commas; empty for none"
        ),
    )
    log_format: Literal["console", "json"] = Field(
        default="console", description="console for people, json for machines"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="least level that is logged"
    )

    @field_validator("load_models")
    @classmethod
    def _on_request_only(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value and info.data.get("model_control") != "explicit":
            raise PydanticCustomError(
                "not_explicit", "without FOVEA_MODEL_CONTROL=explicit all models are loaded"
            )
        return value

    @field_validator("workers")
    @classmethod
    def _one_that_is_told(cls, value: int, info: ValidationInfo) -> int:
        if value > 1 and info.data.get("model_control") == "explicit":
            raise PydanticCustomError(
                "one_worker",
                "with FOVEA_MODEL_CONTROL=explicit it must be 1: a request to load a model reaches "
                "one worker only",
            )
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: Any,
        **__: Any,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: the environment is read by `load`, once and in sight."""
        return (init_settings,)

    @classmethod
    def load(cls, argv: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> Self:
        """Settings from the flags and the environment (`os.environ` unless given).

        Raises SettingsError for an unknown variable or flag and for an impossible value; `--help`
        prints and exits.
        """
        variables = read_variables(cls.model_fields, os.environ if environ is None else environ)
        flags = read_flags(cls.model_fields, argv)
        source = EnvSettingsSource(cls)
        source.env_vars = {name.lower(): value for name, value in variables.items() if value}
        values = source() | flags
        if "models" not in values and not MODELS.exists() and BUNDLED_MODELS.is_dir():
            values["models"] = BUNDLED_MODELS
        try:
            return cls(**values)
        except ValidationError as error:
            reasons = [describe_error(details, flags) for details in error.errors()]
            raise SettingsError("; ".join(reasons)) from None
