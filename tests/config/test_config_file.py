"""Configuration files are read strictly, and every fault is named."""

from pathlib import Path

import pytest

from gateway.config.file import ConfigError, read_config_file


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_settings_of_a_file_are_read_unchanged(tmp_path: Path) -> None:
    read = read_config_file(
        write(
            tmp_path,
            """
            port = 8081
            ping_interval = 3
            drain_timeout = 0.5
            media_host = ["127.0.0.1", "::1"]
            log_format = "json"
            video_orientation = false
            web_root = "/srv/web"
            kiosk = true
            [[ice_servers]]
            urls = ["turn:turn.example.org"]
            username = "u"
            credential = "c"
            """,
        )
    )
    assert read == {
        "port": 8081,
        "ping_interval": 3,
        "drain_timeout": 0.5,
        "media_host": ["127.0.0.1", "::1"],
        "log_format": "json",
        "video_orientation": False,
        "web_root": "/srv/web",
        "kiosk": True,
        "ice_servers": [{"urls": ["turn:turn.example.org"], "username": "u", "credential": "c"}],
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [("prot", "port"), ("media-port", "media_port"), ("Ping_Intervall", "ping_interval"), ("joinToken", "join_token")],
)
def test_an_unknown_key_is_an_error_that_names_the_nearest_known_one(tmp_path: Path, key: str, meant: str) -> None:
    path = write(tmp_path, f"{key} = 1\n")
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    assert str(caught.value) == f"{path}: unknown key '{key}'; did you mean '{meant}'?"


def test_an_unknown_key_that_resembles_none_gets_no_suggestion(tmp_path: Path) -> None:
    path = write(tmp_path, "xyzzy = 1\n")
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    assert str(caught.value) == f"{path}: unknown key 'xyzzy'"


def test_a_table_is_no_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'server'"):
        read_config_file(write(tmp_path, "[server]\nport = 1\n"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('port = "8080"', "port must be a whole number, not '8080'"),
        ("port = 8080.0", "port must be a whole number, not 8080.0"),
        ("port = true", "port must be a whole number, not True"),
        ('ping_interval = "5"', "ping_interval must be a number, not '5'"),
        ("ping_interval = true", "ping_interval must be a number, not True"),
        ("host = 127", "host must be a string, not 127"),
        ('media_host = "::1"', "media_host must be a list of strings, not '::1'"),
        ("media_host = [1]", "media_host must be a list of strings, not [1]"),
        ('log_format = "xml"', "log_format must be one of 'console', 'json', not 'xml'"),
        ('video_orientation = "false"', "video_orientation must be true or false, not 'false'"),
        ("video_orientation = 0", "video_orientation must be true or false, not 0"),
        ("kiosk = 1", "kiosk must be true or false, not 1"),
        ('kiosk = "true"', "kiosk must be true or false, not 'true'"),
        ("web_root = 5", "web_root must be a path, as a string, not 5"),
        ('ice_servers = ["stun:a"]', "ice_servers must be a list of tables, each with urls"),
        ('ice_servers = [{url = "stun:a"}]', "ice_servers must be a list of tables, each with urls"),
        ('ice_servers = [{urls = ["stun:a"], extra = 1}]', "ice_servers must be a list of tables, each with urls"),
    ],
)
def test_a_value_of_the_wrong_type_is_an_error_that_names_the_key(tmp_path: Path, text: str, complaint: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config_file(path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


@pytest.mark.parametrize("text", ["admin_token = 12345", "join_token = [12345]", "ice_servers = [12345]"])
def test_a_secret_of_the_wrong_type_is_not_shown(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config_file(write(tmp_path, text))
    assert "12345" not in str(caught.value)


def test_a_file_that_is_not_toml_is_an_error_that_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.toml is not TOML: .*line 2"):
        read_config_file(write(tmp_path, "port = 1\nhost =\n"))


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"host = '\xff'")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_config_file(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("port = " + 5000 * "1", "has a number with too many digits"), ("port = " + 5000 * "[", "nests too deeply")],
    ids=["digits", "brackets"],
)
def test_a_file_that_toml_cannot_read_is_an_error(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        read_config_file(write(tmp_path, text))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*: No such file or directory"):
        read_config_file(tmp_path / "nothing.toml")
    with pytest.raises(ConfigError, match=r"cannot read .*: Is a directory"):
        read_config_file(tmp_path)
