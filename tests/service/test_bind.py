"""The socket that the service listens on is taken before anything is loaded, or the reason is one
line.
"""

import pytest

from service.__main__ import bind
from service.errors import SettingsError


def test_a_port_of_0_is_one_that_the_system_chose() -> None:
    with bind("127.0.0.1", 0) as listener:
        assert listener.getsockname()[1] > 0


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "::zz"])
def test_a_host_that_is_none_is_a_settings_error(host: str) -> None:
    with pytest.raises(SettingsError, match="choose another with --port or --host"):
        bind(host, 0)


def test_a_port_that_is_taken_is_a_settings_error() -> None:
    with (
        bind("127.0.0.1", 0) as listener,
        pytest.raises(SettingsError, match=r"cannot listen on .* port"),
    ):
        bind("127.0.0.1", listener.getsockname()[1])
