"""Everything a running service holds, made once from the settings and passed down as one value."""

from dataclasses import dataclass

from service.batcher import Batcher
from service.control import Control
from service.engine import CPU, Engine
from service.inputs import InputStore
from service.inspector import Inspector
from service.ledger import Ledger
from service.loading import Loader
from service.predictor import Predictor
from service.prepared import PreparedInputs
from service.repository import Repository
from service.sessions import Cache
from service.settings import Settings
from service.statistics import Statistics

INSTANCES_ON_CUDA = 2
"""One prepares while the other runs; more would tear batches apart."""


@dataclass(frozen=True, eq=False)
class Services:
    """The parts that the routes use."""

    settings: Settings
    engine: Engine
    repository: Repository
    control: Control
    store: InputStore
    prepared: PreparedInputs
    predictor: Predictor
    inspector: Inspector
    batcher: Batcher
    ledger: Ledger
    statistics: Statistics

    @classmethod
    def start(cls, settings: Settings, ledger: Ledger | None = None) -> "Services":
        """Find the device and load the models; raises DeviceUnavailable or SettingsError.

        What is counted is in `ledger`, or in one of its own.
        """
        ledger = ledger or Ledger()
        statistics = Statistics(ledger)
        crowd = [0.0]
        engine = Engine(
            settings.device,
            settings.run_threads,
            settings.cuda,
            settings.max_batch,
            built=ledger.block("sum", "sessions", (), 1),
            threads_beside=settings.run_threads_beside,
            crowd=crowd,
        )
        counts, kept = ledger.block("sum", "layer sessions", (), 3), ledger.block("now", "layer sessions now", (), 1)
        loader = Loader(engine, Cache(settings.layer_sessions, counts, kept))
        control = Control(settings.models, loader, settings.model_control, settings.default_model, settings.load_models)
        store = InputStore(
            settings.input_store,
            settings.input_store_bytes,
            settings.input_store_seconds,
            ledger.block("sum", "inputs", (), 4),
        )
        workers = settings.instances or (settings.processors if engine.provider == CPU else INSTANCES_ON_CUDA)
        queue = ledger.block("now", "queue", (), 1)
        batcher = Batcher(workers, settings.queue_size, engine.max_batch, queue, crowd)
        prepared = PreparedInputs(store, settings.max_pixels)
        predictor = Predictor(store, settings.max_pixels, statistics)
        if settings.model_control == "poll":
            control.watch(settings.poll_seconds)
        return cls(
            settings,
            engine,
            control.repository,
            control,
            store,
            prepared,
            predictor,
            Inspector(statistics),
            batcher,
            ledger,
            statistics,
        )

    def close(self) -> None:
        """Finish the work that is running, then end the threads."""
        self.control.close()
        self.batcher.close()
