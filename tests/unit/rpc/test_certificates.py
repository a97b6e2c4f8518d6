from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from libs.rpc import devca
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import UnavailableError


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def pass_days(self, days: float) -> None:
        self.elapsed += days * 86400


def serial(path: Path) -> int:
    return x509.load_pem_x509_certificate(path.read_bytes()).serial_number


def test_certificates_name_the_service_and_the_machine(tmp_path: Path) -> None:
    made = devca.ensure_dev_ca(tmp_path, ["storage"])
    assert list(made) == ["storage"]
    certificate = x509.load_pem_x509_certificate((made["storage"] / "tls.crt").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["storage.sealpost.internal", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    assert (made["storage"] / "ca.crt").read_bytes() == (tmp_path / "ca.crt").read_bytes()


def test_keys_are_readable_by_nobody_else(tmp_path: Path) -> None:
    made = devca.ensure_dev_ca(tmp_path / "tls", ["storage"])
    keys = [tmp_path / "tls" / "ca.key", made["storage"] / "tls.key"]
    assert [key.stat().st_mode & 0o777 for key in keys] == [0o600, 0o600]
    assert made["storage"].stat().st_mode & 0o777 == 0o700


def test_good_certificates_stay(tmp_path: Path) -> None:
    first = serial(devca.ensure_dev_ca(tmp_path, ["a"])["a"] / "tls.crt")
    assert serial(devca.ensure_dev_ca(tmp_path, ["a", "b"])["a"] / "tls.crt") == first


def test_certificates_are_renewed_before_their_end(tmp_path: Path) -> None:
    time = Time()
    leaf = devca.ensure_dev_ca(tmp_path, ["a"], clock=time)["a"] / "tls.crt"
    authority, first = serial(tmp_path / "ca.crt"), serial(leaf)
    time.pass_days(59)
    devca.ensure_dev_ca(tmp_path, ["a"], clock=time)
    assert serial(leaf) == first
    time.pass_days(2)
    devca.ensure_dev_ca(tmp_path, ["a"], clock=time)
    assert serial(leaf) != first
    assert serial(tmp_path / "ca.crt") == authority
    time.pass_days(3650)
    devca.ensure_dev_ca(tmp_path, ["a"], clock=time)
    assert serial(tmp_path / "ca.crt") != authority


@pytest.mark.parametrize("damage", ["ca.key", "ca.crt"])
def test_another_authority_makes_other_certificates(tmp_path: Path, damage: str) -> None:
    leaf = devca.ensure_dev_ca(tmp_path, ["a"])["a"] / "tls.crt"
    first = serial(leaf)
    (tmp_path / damage).write_bytes(b"damaged")
    devca.ensure_dev_ca(tmp_path, ["a"])
    assert serial(leaf) != first
    assert (tmp_path / "a" / "ca.crt").read_bytes() == (tmp_path / "ca.crt").read_bytes()


def test_a_damaged_certificate_is_replaced(tmp_path: Path) -> None:
    leaf = devca.ensure_dev_ca(tmp_path, ["a"])["a"] / "tls.crt"
    leaf.write_bytes(b"damaged")
    devca.ensure_dev_ca(tmp_path, ["a"])
    assert serial(leaf) > 0


def test_files_are_read_again_only_after_a_change(tmp_path: Path) -> None:
    time = Time()
    authority = devca.make_authority(clock=time)
    devca.write_leaf(tmp_path, authority, ["a.sealpost.internal"], clock=time)
    files = TlsFiles(tmp_path, clock=time, interval=5)
    first = files.material()
    time.elapsed += 6
    assert files.material() is first
    devca.write_leaf(tmp_path, authority, ["a.sealpost.internal"], clock=time)
    assert files.material() is first
    time.elapsed += 6
    second = files.material()
    assert second is not first
    assert second.certificate == (tmp_path / "tls.crt").read_bytes()


@pytest.mark.parametrize("name", ["tls.key", "tls.crt", "ca.crt"])
@pytest.mark.parametrize("content", [b"", b"damaged", None])
def test_half_a_replacement_is_not_used(tmp_path: Path, name: str, content: bytes | None) -> None:
    time = Time()
    authority = devca.make_authority(clock=time)
    devca.write_leaf(tmp_path, authority, ["a.sealpost.internal"], clock=time)
    files = TlsFiles(tmp_path, clock=time, interval=0)
    first = files.material()
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    assert files.material() is first
    devca.write_leaf(tmp_path, authority, ["a.sealpost.internal"], clock=time)
    assert files.material() is not first


def test_the_key_of_another_certificate_is_not_used(tmp_path: Path) -> None:
    time = Time()
    authority = devca.make_authority(clock=time)
    devca.write_leaf(tmp_path, authority, ["a.sealpost.internal"], clock=time)
    devca.write_leaf(tmp_path / "other", authority, ["a.sealpost.internal"], clock=time)
    files = TlsFiles(tmp_path, clock=time, interval=0)
    first = files.material()
    (tmp_path / "tls.crt").write_bytes((tmp_path / "other" / "tls.crt").read_bytes())
    assert files.material() is first
    (tmp_path / "tls.key").write_bytes((tmp_path / "other" / "tls.key").read_bytes())
    assert files.material() is not first


def test_without_files_there_is_nothing_to_start_with(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="tls_files"):
        TlsFiles(tmp_path).material()


def test_the_key_hides(tmp_path: Path) -> None:
    directory = devca.ensure_dev_ca(tmp_path, ["a"])["a"]
    assert "PRIVATE" not in repr(TlsFiles(directory).material())
