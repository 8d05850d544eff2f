"""Everything a running service holds, made once from the settings and passed down as one value."""

from dataclasses import dataclass

from service.batcher import Batcher
from service.engine import Engine
from service.inputs import InputStore
from service.inspector import Inspector
from service.predictor import Predictor
from service.repository import Repository
from service.settings import Settings


@dataclass(frozen=True, eq=False)
class Services:
    """The parts that the routes use."""

    settings: Settings
    engine: Engine
    repository: Repository
    store: InputStore
    predictor: Predictor
    inspector: Inspector
    batcher: Batcher

    @classmethod
    def start(cls, settings: Settings) -> "Services":
        """Find the device and load the models; raises DeviceUnavailable or SettingsError."""
        engine = Engine(settings.device, settings.run_threads)
        repository = Repository.load(settings.models, engine, settings.default_model, settings.layer_sessions)
        store = InputStore(settings.input_store, settings.input_store_bytes, settings.input_store_seconds)
        batcher = Batcher(settings.instances, settings.queue_size)
        predictor = Predictor(store, settings.max_pixels)
        return cls(settings, engine, repository, store, predictor, Inspector(), batcher)

    def close(self) -> None:
        """Finish the work that is running, then end the threads."""
        self.batcher.close()
