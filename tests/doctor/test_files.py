"""What the doctor says about the files and folders that settings name."""

from datetime import timedelta
from pathlib import Path

from gateway.checks.files import check_files
from gateway.checks.findings import Finding
from gateway.config import Config
from tests.front_door.made_up_certificates import DAY, make_certificate


def found(name: str, config: Config) -> Finding:
    [finding] = [one for one in check_files(config) if one.subject == name]
    return finding


def with_certificate(folder: Path, end: timedelta) -> Config:
    files = make_certificate(folder, begin=-30 * DAY, end=end)
    return Config(tls_cert=files.cert, tls_key=files.key)


def test_a_certificate_that_counts_for_long_is_fine(tmp_path: Path) -> None:
    assert found("tls_cert", with_certificate(tmp_path, 30 * DAY)).level == "ok"


def test_a_certificate_that_expires_soon_is_a_warning(tmp_path: Path) -> None:
    finding = found("tls_cert", with_certificate(tmp_path, 3 * DAY))
    assert (finding.level, "within 7 days" in finding.text) == ("warning", True)


def test_a_certificate_that_has_expired_is_an_error(tmp_path: Path) -> None:
    finding = found("tls_cert", with_certificate(tmp_path, -DAY))
    assert (finding.level, "has expired" in finding.text) == ("error", True)


def test_the_key_of_another_certificate_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = make_certificate(tmp_path / "other", end=30 * DAY)
    files = make_certificate(tmp_path, end=30 * DAY)
    finding = found("tls_cert", Config(tls_cert=files.cert, tls_key=other.key))
    assert (finding.level, "does not belong" in finding.text) == ("error", True)


def test_a_state_folder_is_made_if_need_be(tmp_path: Path) -> None:
    assert found("state_dir", Config(state_dir=tmp_path / "new" / "state")).level == "ok"
    assert not (tmp_path / "new").exists()


def test_a_state_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert found("state_dir", Config(state_dir=tmp_path / "file")).level == "error"
    assert found("state_dir", Config(state_dir=tmp_path / "file" / "state")).level == "error"
