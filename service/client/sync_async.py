"""A client of the service: `Client`, and `AsyncClient` with the same methods to await.

    with Client("http://127.0.0.1:8000") as fovea:
        prediction = fovea.predict(Path("cat.jpg"))
        maps = fovea.activations("stem.conv", input_id=prediction.input_id)

A refused request raises ProblemError; a service that cannot be reached raises httpx.TransportError.
What is said and how the answer is read is in `service/client/requests.py`, once for both; these two
only send.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Self, overload

import anyio.to_thread
import httpx

from service.client import requests
from service.client.models import Layer, LayerField, Model, Prediction, Sample, UnitField
from service.client.requests import Answer, Array, Input, PreparedRequest, Tap

ADDRESS = "http://127.0.0.1:8000"
TIMEOUT = 60.0


class Client:
    """Calls the service at `address`; `model` (NAME or NAME:VERSION) answers where a call names
    none.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        *,
        model: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._model = model
        self._http = httpx.Client(base_url=address, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; leaving the `with` block does."""
        self._http.close()

    @overload
    def predict(
        self, source: Input, *, top_k: int | None = None, model: str | None = None
    ) -> Prediction: ...

    @overload
    def predict(
        self, source: Sequence[Input], *, top_k: int | None = None, model: str | None = None
    ) -> tuple[Prediction, ...]: ...

    def predict(
        self, source: Input | Sequence[Input], *, top_k: int | None = None, model: str | None = None
    ) -> Prediction | tuple[Prediction, ...]:
        """The strongest classes of an input, or of each of several in one request.

        An input is the bytes of a picture; a file, a picture or .npy, .csv or .json by its name; or
        an array, of a signal [C, L] or a volume [C, D, H, W].
        """
        return self._send(requests.predict(source, top_k, model or self._model))

    def models(self) -> tuple[Model, ...]:
        """What is served."""
        return self._send(requests.models())

    def samples(self, *, model: str | None = None) -> tuple[Sample, ...]:
        """Inputs to try a model with; raises ValueError unless a model is named here or to the
        client.
        """
        return self._send(requests.samples(model or self._model))

    def sample(self, file: str, *, model: str | None = None) -> bytes:
        """One of them, as `predict` and `activations` take it."""
        return self._send(requests.sample(file, model or self._model))

    def layers(self, *, model: str | None = None) -> tuple[Layer, ...]:
        """Every layer, in topological order."""
        return self._send(requests.layers(model or self._model))

    def activations(
        self,
        layer: int | str,
        source: Input | None = None,
        *,
        input_id: str | None = None,
        channel: int | Sequence[int] | None = None,
        tap: Tap | None = None,
        operand: int | None = None,
        strongest: int | None = None,
        model: str | None = None,
    ) -> Array:
        """The layer's tensor [C, ...] for an input, or for one posted before; `channel` picks some
        of its channels.

        `tap="input"` asks for what the layer reads (which `operand`, if several), `strongest` for
        so many channels of the largest maximum.
        """
        model = model or self._model
        return self._send(
            requests.activations(layer, source, input_id, channel, tap, model, operand, strongest)
        )

    @overload
    def receptive_field(
        self, layer: int | str, *, of: int | str | None = None, model: str | None = None
    ) -> LayerField: ...

    @overload
    def receptive_field(
        self,
        layer: int | str,
        unit: Sequence[int],
        *,
        input_id: str | None = None,
        of: int | str | None = None,
        model: str | None = None,
    ) -> UnitField: ...

    def receptive_field(
        self,
        layer: int | str,
        unit: Sequence[int] | None = None,
        *,
        input_id: str | None = None,
        of: int | str | None = None,
        model: str | None = None,
    ) -> LayerField | UnitField:
        """The field of a layer or of one unit (its position), on the input or on the layer `of`."""
        return self._send(requests.receptive_field(layer, unit, input_id, of, model or self._model))

    def _send(self, call: PreparedRequest[Answer]) -> Answer:
        return call.answer(self._http.request(**call.request))


class AsyncClient:
    """`Client` for asyncio and trio: the same methods, to be awaited."""

    def __init__(
        self,
        address: str = ADDRESS,
        *,
        model: str | None = None,
        timeout: float = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._model = model
        self._http = httpx.AsyncClient(base_url=address, timeout=timeout, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections; leaving the `async with` block does."""
        await self._http.aclose()

    @overload
    async def predict(
        self, source: Input, *, top_k: int | None = None, model: str | None = None
    ) -> Prediction: ...

    @overload
    async def predict(
        self, source: Sequence[Input], *, top_k: int | None = None, model: str | None = None
    ) -> tuple[Prediction, ...]: ...

    async def predict(
        self, source: Input | Sequence[Input], *, top_k: int | None = None, model: str | None = None
    ) -> Prediction | tuple[Prediction, ...]:
        """See `Client.predict`."""
        return await self._send(partial(requests.predict, source, top_k, model or self._model))

    async def models(self) -> tuple[Model, ...]:
        """See `Client.models`."""
        return await self._send(requests.models)

    async def samples(self, *, model: str | None = None) -> tuple[Sample, ...]:
        """See `Client.samples`."""
        return await self._send(partial(requests.samples, model or self._model))

    async def sample(self, file: str, *, model: str | None = None) -> bytes:
        """See `Client.sample`."""
        return await self._send(partial(requests.sample, file, model or self._model))

    async def layers(self, *, model: str | None = None) -> tuple[Layer, ...]:
        """See `Client.layers`."""
        return await self._send(partial(requests.layers, model or self._model))

    async def activations(
        self,
        layer: int | str,
        source: Input | None = None,
        *,
        input_id: str | None = None,
        channel: int | Sequence[int] | None = None,
        tap: Tap | None = None,
        operand: int | None = None,
        strongest: int | None = None,
        model: str | None = None,
    ) -> Array:
        """See `Client.activations`."""
        model = model or self._model
        build = partial(
            requests.activations, layer, source, input_id, channel, tap, model, operand, strongest
        )
        return await self._send(build)

    @overload
    async def receptive_field(
        self, layer: int | str, *, of: int | str | None = None, model: str | None = None
    ) -> LayerField: ...

    @overload
    async def receptive_field(
        self,
        layer: int | str,
        unit: Sequence[int],
        *,
        input_id: str | None = None,
        of: int | str | None = None,
        model: str | None = None,
    ) -> UnitField: ...

    async def receptive_field(
        self,
        layer: int | str,
        unit: Sequence[int] | None = None,
        *,
        input_id: str | None = None,
        of: int | str | None = None,
        model: str | None = None,
    ) -> LayerField | UnitField:
        """See `Client.receptive_field`."""
        return await self._send(
            partial(requests.receptive_field, layer, unit, input_id, of, model or self._model)
        )

    async def _send(self, build: Callable[[], PreparedRequest[Answer]]) -> Answer:
        # Building reads files, which must not block the event loop.
        call = await anyio.to_thread.run_sync(build)
        return call.answer(await self._http.request(**call.request))
