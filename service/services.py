"""Everything a running service holds, made once from the settings and passed down as one value."""

from dataclasses import dataclass

from service.inference.inspector import Inspector
from service.inference.pipeline import Pipeline
from service.inference.predictor import Predictor
from service.inputs.cache import DecodedInputCache
from service.inputs.store import InputStore
from service.repository.catalogue import Catalogue
from service.repository.loader import Loader
from service.repository.manager import ModelManager
from service.repository.session_cache import LRUCache
from service.runtime.cuda import Cuda
from service.runtime.engine import Engine
from service.runtime.placement import CPU
from service.runtime.process import Threads
from service.runtime.session import Session
from service.scheduling.batcher import Batcher
from service.settings import Settings
from service.telemetry.instruments import Gauge
from service.telemetry.metrics import Metrics
from service.telemetry.statistics import Statistics

INSTANCES_ON_CUDA = 2
"""One prepares while the other runs; more would tear batches apart."""


def cuda_of(settings: Settings) -> Cuda:
    """How a GPU is used, as it is set."""
    return Cuda(
        settings.cuda_device, settings.gpu_memory_bytes, settings.tf32, settings.cudnn_search
    )


@dataclass(frozen=True, eq=False)
class Services:
    """The parts that the routes use."""

    settings: Settings
    engine: Engine
    catalogue: Catalogue
    manager: ModelManager
    store: InputStore
    decoded_inputs: DecodedInputCache
    predictor: Predictor
    inspector: Inspector
    pipeline: Pipeline
    metrics: Metrics
    statistics: Statistics

    @classmethod
    def start(cls, settings: Settings, metrics: Metrics | None = None) -> "Services":
        """Find the device and load the models; raises DeviceUnavailable or SettingsError.

        It counts in `metrics`, or in some of its own.
        """
        metrics = metrics or Metrics()
        statistics = Statistics(metrics)
        busy_workers = Gauge()
        threads = Threads.share(settings.workers, settings.instances, settings.threads)
        engine = _engine(settings, threads, metrics, busy_workers)
        sessions = LRUCache[Session](settings.layer_sessions, metrics.layer_sessions)
        manager = _manager(settings, Loader(engine, sessions))
        store = _store(settings, metrics)
        batcher = _batcher(settings, threads, engine, metrics, busy_workers)
        if settings.model_control == "poll":
            manager.watch(settings.poll_seconds)
        return cls(
            settings,
            engine,
            manager.catalogue,
            manager,
            store,
            DecodedInputCache(store, settings.max_pixels),
            Predictor(store, settings.max_pixels, statistics),
            Inspector(statistics),
            Pipeline(batcher, settings.queue_size, threads.processors),
            metrics,
            statistics,
        )

    def close(self) -> None:
        """Finish the work that is running, then end the threads."""
        self.manager.close()
        self.pipeline.close()

    @property
    def batcher(self) -> Batcher:
        """The queue before the run slots."""
        return self.pipeline.batcher


def _engine(settings: Settings, threads: Threads, metrics: Metrics, busy_workers: Gauge) -> Engine:
    return Engine(
        settings.device,
        threads.alone,
        cuda_of(settings),
        settings.max_batch,
        built=metrics.sessions_built,
        contended_threads=threads.contended,
        busy_workers=busy_workers,
    )


def _manager(settings: Settings, loader: Loader) -> ModelManager:
    return ModelManager(
        settings.models,
        loader,
        settings.model_control,
        settings.default_model,
        settings.load_models,
    )


def _store(settings: Settings, metrics: Metrics) -> InputStore:
    return InputStore(
        settings.input_store,
        settings.input_store_bytes,
        settings.input_store_seconds,
        metrics.input_store,
    )


def _batcher(
    settings: Settings,
    threads: Threads,
    engine: Engine,
    metrics: Metrics,
    busy_workers: Gauge,
) -> Batcher:
    workers = threads.processors if engine.provider == CPU else INSTANCES_ON_CUDA
    return Batcher(
        settings.instances or workers,
        settings.queue_size,
        engine.max_batch,
        metrics.queue_length,
        busy_workers,
    )
