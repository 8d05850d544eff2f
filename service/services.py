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
from service.runtime.engine import CPU, Engine
from service.runtime.process import Threads
from service.scheduling.batcher import Batcher
from service.settings import Settings
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
    prepared: DecodedInputCache
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
        crowd = [0.0]
        threads = Threads.share(settings.workers, settings.instances, settings.threads)
        engine = Engine(
            settings.device,
            threads.alone,
            cuda_of(settings),
            settings.max_batch,
            built=metrics.sessions_built,
            threads_beside=threads.contended,
            crowd=crowd,
        )
        loader = Loader(engine, LRUCache(settings.layer_sessions, metrics.layer_sessions))
        manager = ModelManager(
            settings.models,
            loader,
            settings.model_control,
            settings.default_model,
            settings.load_models,
        )
        store = InputStore(
            settings.input_store,
            settings.input_store_bytes,
            settings.input_store_seconds,
            metrics.input_store,
        )
        workers = settings.instances or (
            threads.processors if engine.provider == CPU else INSTANCES_ON_CUDA
        )
        batcher = Batcher(
            workers, settings.queue_size, engine.max_batch, metrics.queue_length, crowd
        )
        pipeline = Pipeline(batcher, settings.queue_size, threads.processors)
        prepared = DecodedInputCache(store, settings.max_pixels)
        predictor = Predictor(store, settings.max_pixels, statistics)
        if settings.model_control == "poll":
            manager.watch(settings.poll_seconds)
        return cls(
            settings,
            engine,
            manager.catalogue,
            manager,
            store,
            prepared,
            predictor,
            Inspector(statistics),
            pipeline,
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
