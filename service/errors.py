"""Everything that can go wrong in the service, as one tree without HTTP in it.

    FoveaError
    ├── SettingsError              a variable or flag is unknown or its value impossible (start-up)
    ├── DeviceUnavailable          the device asked for cannot be had (start-up)
    ├── UnsupportedUvicorn         the HTTP server lacks what the service overrides (start-up)
    ├── InvalidRequest             malformed: it cannot be read as what it claims to be
    │   ├── EmptyBody              nothing was posted
    │   ├── StalledUpload          the body stopped arriving
    │   └── BrokenPicture          the header is that of a picture, the rest is truncated or corrupt
    ├── NotFound                   a well-formed name for something that is not here
    │   ├── UnknownModel
    │   ├── UnknownLayer
    │   ├── UnknownInput
    │   └── UnknownSample
    ├── NotAllowed                 this service is set not to do it
    ├── TooLarge                   more than this service is set to take
    │   ├── TooManyBytes
    │   └── TooManyPixels
    ├── UnsupportedMedia           a kind of content that is not accepted
    │   ├── UnsupportedContentType
    │   └── UnsupportedPicture     not a picture, or a picture in a format that is not accepted
    ├── Impossible                 understood, but there is no answer to it
    │   ├── ModelRefused           its file was asked to be loaded and cannot be served
    │   ├── NoImageInput           the model takes something else than pictures
    │   ├── UnknownChannel
    │   ├── UnknownUnit            outside the map, or of the wrong rank
    │   └── NoSpatialAxes          the layer has no positions to ask about
    ├── QueueFull                  too much work is waiting; carries `retry_after` in seconds
    ├── NotReady                   starting up or draining
    └── DeadlinePassed             the run took longer than allowed and was ended

The text of an error is what the caller reads: what was wrong and what to do, never a path or a
library's internals. `api/problems.py` holds the one table from these classes to statuses.
"""


class FoveaError(Exception):
    """Root of the tree."""


class SettingsError(FoveaError):
    """A variable or flag is unknown, or its value is impossible."""


class UnsupportedUvicorn(FoveaError):
    """The installed version of the HTTP server lacks what the service overrides."""


class DeviceUnavailable(FoveaError):
    """The device that was asked for cannot be had."""


class InvalidRequest(FoveaError):
    """The request is malformed."""


class EmptyBody(InvalidRequest):
    """Nothing was posted."""


class StalledUpload(InvalidRequest):
    """The body stopped arriving before its end."""


class BrokenPicture(InvalidRequest):
    """A picture whose data is truncated or corrupt."""


class NotFound(FoveaError):
    """A well-formed name for something that is not here."""


class UnknownModel(NotFound):
    """No such model or version is served."""


class UnknownLayer(NotFound):
    """The model has no such layer."""


class UnknownInput(NotFound):
    """Nothing is kept under this id (any more)."""


class UnknownSample(NotFound):
    """The model has no such sample."""


class NotAllowed(FoveaError):
    """This service is set not to do what is asked."""


class TooLarge(FoveaError):
    """More than this service is set to take."""


class TooManyBytes(TooLarge):
    """The body exceeds `max_bytes`."""


class TooManyPixels(TooLarge):
    """The picture exceeds `max_pixels`; it was not decoded."""


class UnsupportedMedia(FoveaError):
    """A kind of content that is not accepted."""


class UnsupportedContentType(UnsupportedMedia):
    """The Content-Type is none that the route takes."""


class UnsupportedPicture(UnsupportedMedia):
    """Not a picture, or one in a format that is not accepted."""


class Impossible(FoveaError):
    """The request is understood but has no answer."""


class ModelRefused(Impossible):
    """A model that was asked to be loaded cannot be served."""


class NoImageInput(Impossible):
    """The model takes signals or volumes, or has no card that says how to make an input of a
    picture.
    """


class UnknownChannel(Impossible):
    """The layer has no such channel."""


class UnknownUnit(Impossible):
    """The position is outside the layer's map, or of the wrong rank."""


class NoSpatialAxes(Impossible):
    """The layer has no positions to ask about."""


class QueueFull(FoveaError):
    """Too much work is waiting."""

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotReady(FoveaError):
    """The service is starting up or draining."""


class DeadlinePassed(FoveaError):
    """The run took longer than allowed and was ended."""
