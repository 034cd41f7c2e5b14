"""The defaults of settings agree with the media side and with the protocol."""

import attrs

from gateway.config import Config
from protocol import limits
from sfu.settings import MediaSettings


def test_the_media_settings_of_a_default_gateway_differ_from_the_defaults_in_the_addresses_only() -> None:
    assert attrs.evolve(Config().media, hosts=MediaSettings().hosts) == MediaSettings()
    assert Config().media.hosts is None


def test_a_media_setting_reaches_the_media_side() -> None:
    config = Config(media_host=("192.0.2.1",), media_port=50000, exit_timeout=3, max_consumers=7)
    assert config.media == MediaSettings(hosts=("192.0.2.1",), port=50000, exit_timeout=3, max_consumers=7)


def test_the_time_for_cleaning_up_a_session_is_the_one_that_the_protocol_states() -> None:
    assert Config().exit_timeout == limits.SESSION_CLEANUP_TIMEOUT
