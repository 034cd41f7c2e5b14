"""How many open files the limits of a configuration add up to."""

from gateway.config.config import Config


def open_files_wanted(config: Config) -> int:
    """The number of open files with which every limit of connections can be reached. Each connection needs one."""
    http = config.max_http_connections + config.max_half_open_connections
    doors = 1 if config.metrics_port is None else 2
    return config.max_connections + doors * http + config.max_media_streams * config.media_tcp
