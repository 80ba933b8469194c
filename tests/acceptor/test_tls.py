"""TLS as DCMTK's tools speak it; certificates made for the test."""

import datetime
import socket
import ssl
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from pydicom.data import get_testdata_file

from dicomd.acceptor.tls import build_ssl_context
from dicomd.errors import StartError
from dicomd.settings.listener import (
    AccessSettings,
    ListenerSettings,
    TimeoutSettings,
    TlsSettings,
)
from tests.acceptor.peers import OBJECT, establish, heard
from tests.acceptor.service import Service, wait_until
from tests.acceptor.sessions import status_of

SOURCE = str(get_testdata_file("CT_small.dcm"))
Profile = Literal["bcp-195", "bcp-195-nd", "bcp-195-ex", "aes", "null"]


@dataclass
class Papers:
    """Certificates and keys in files."""

    folder: Path
    authority: trustme.CA
    settings: TlsSettings

    @property
    def client(self) -> list[str]:
        return [str(self.folder / "client.key"), str(self.folder / "client.pem")]


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    authority = trustme.CA(key_type=trustme.KeyType.RSA)
    server = authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    client = authority.issue_cert(
        "ct.example", common_name="ct.example", key_type=trustme.KeyType.RSA
    )
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    server.private_key_pem.write_to_path(str(folder / "server.key"))
    server.cert_chain_pems[0].write_to_path(str(folder / "server.pem"))
    client.private_key_pem.write_to_path(str(folder / "client.key"))
    client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
    return Papers(
        folder,
        authority,
        TlsSettings(
            certificate=str(folder / "server.pem"),
            key=str(folder / "server.key"),
            ca=str(folder / "ca.pem"),
        ),
    )


def storescu(service: Service, papers: Papers, *options: str) -> int:
    """How a transfer by DCMTK ends."""
    trust = ["+cf", papers.settings.ca]
    command = ["/usr/bin/storescu", *options, *trust, "127.0.0.1", str(service.port), SOURCE]
    return subprocess.run(command, capture_output=True, timeout=30, check=False).returncode


@pytest.mark.parametrize(
    ("profile", "option"),
    [
        ("bcp-195", "+py"),
        ("bcp-195-nd", "+px"),
        ("bcp-195-ex", "+pz"),
        ("aes", "+pa"),
        ("null", "+pn"),
    ],
)
def test_dcmtk_stores_under_each_profile(
    papers: Papers, tmp_path: Path, profile: Profile, option: str
) -> None:
    listener = ListenerSettings(tls=replace(papers.settings, profile=profile))
    with Service(tmp_path, listener=listener) as service:
        assert storescu(service, papers, "+tls", *papers.client, option) == 0
        assert len(service.files()) == 1


def test_those_without_a_certificate_or_in_plain_text_get_nothing(
    papers: Papers, tmp_path: Path
) -> None:
    with Service(tmp_path, listener=ListenerSettings(tls=papers.settings)) as service:
        assert storescu(service, papers, "+tla") != 0
        plain = ["/usr/bin/echoscu", "127.0.0.1", str(service.port)]
        assert subprocess.run(plain, capture_output=True, check=False, timeout=30).returncode != 0
        assert not service.files()
        assert storescu(service, papers, "+tls", *papers.client) == 0


def test_a_certificate_of_another_authority_is_refused(papers: Papers, tmp_path: Path) -> None:
    stranger = trustme.CA().issue_cert("ct.example")
    key, certificate = str(tmp_path / "key"), str(tmp_path / "pem")
    stranger.private_key_pem.write_to_path(key)
    stranger.cert_chain_pems[0].write_to_path(certificate)
    with Service(tmp_path / "o", listener=ListenerSettings(tls=papers.settings)) as service:
        (tmp_path / "o").mkdir(exist_ok=True)
        assert storescu(service, papers, "+tls", key, certificate) != 0
        assert not service.files()


@pytest.mark.parametrize("wanted", ["optional", "none"])
def test_client_certificates_may_be_left_out(
    papers: Papers, tmp_path: Path, wanted: Literal["optional", "none"]
) -> None:
    listener = ListenerSettings(tls=replace(papers.settings, client_certificate=wanted))
    with Service(tmp_path, listener=listener) as service:
        assert storescu(service, papers, "+tla") == 0


def test_a_certificate_is_bound_to_titles(papers: Papers, tmp_path: Path) -> None:
    listener = ListenerSettings(
        tls=papers.settings, access=AccessSettings(certificates={"ct.example": ("CT1",)})
    )
    with Service(tmp_path, listener=listener) as service:
        assert storescu(service, papers, "+tls", *papers.client, "-aet", "CT1") == 0
        assert storescu(service, papers, "+tls", *papers.client, "-aet", "MR1") != 0


def test_a_handshake_that_stops_is_cut_and_holds_nobody_up(papers: Papers, tmp_path: Path) -> None:
    listener = ListenerSettings(tls=papers.settings, timeouts=TimeoutSettings(tls_handshake=0.5))
    with (
        Service(tmp_path, listener=listener) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as silent,
    ):
        assert storescu(service, papers, "+tls", *papers.client) == 0
        assert silent.recv(1) == b""


def test_records_that_wait_in_the_tls_layer_are_seen(papers: Papers, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=papers.settings.ca)
    context.check_hostname = False
    context.load_cert_chain(papers.client[1], papers.client[0])
    with (
        Service(tmp_path, listener=ListenerSettings(tls=papers.settings)) as service,
        socket.create_connection(("127.0.0.1", service.port), timeout=10) as plain,
        context.wrap_socket(plain) as sock,
    ):
        establish(sock)
        for _ in range(3):
            # One record for each byte: far more records than one turn takes.
            for at in range(0, len(OBJECT), 7):
                sock.sendall(OBJECT[at : at + 7])
            assert status_of(heard(sock)) == 0
        for _ in range(200):
            sock.sendall(OBJECT)
            assert status_of(heard(sock)) == 0
        assert service.ask()[0]["objects"] == 203


def test_der_files_and_passwords(papers: Papers, tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(Path(papers.settings.certificate).read_bytes())
    key = serialization.load_pem_private_key(Path(papers.settings.key).read_bytes(), None)
    authority = x509.load_pem_x509_certificate(Path(papers.settings.ca).read_bytes())
    der = serialization.Encoding.DER
    (tmp_path / "cert").write_bytes(certificate.public_bytes(der))
    (tmp_path / "ca").write_bytes(authority.public_bytes(der))
    plain = key.private_bytes(
        der, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    (tmp_path / "key").write_bytes(plain)
    settings = TlsSettings(
        certificate=str(tmp_path / "cert"),
        key=str(tmp_path / "key"),
        ca=str(tmp_path / "ca"),
        form="der",
    )
    assert build_ssl_context(settings).cert_store_stats()["x509_ca"] == 1
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (tmp_path / "secret.key").write_bytes(secret)
    (tmp_path / "password").write_text("secret\n")
    guarded = replace(papers.settings, key=str(tmp_path / "secret.key"))
    build_ssl_context(replace(guarded, key_password_file=str(tmp_path / "password")))
    build_ssl_context(replace(guarded, key_password="secret"))
    with pytest.raises(StartError, match="secret"):
        build_ssl_context(replace(guarded, key_password="wrong"))


def test_revoked_certificates_are_refused(papers: Papers, tmp_path: Path) -> None:
    authority = x509.load_pem_x509_certificate(Path(papers.settings.ca).read_bytes())
    key = serialization.load_pem_private_key(papers.authority.private_key_pem.bytes(), None)
    client = x509.load_pem_x509_certificate(Path(papers.client[1]).read_bytes())
    now = datetime.datetime.now(datetime.UTC)
    revoked = (
        x509.RevokedCertificateBuilder()
        .serial_number(client.serial_number)
        .revocation_date(now)
        .build()
    )
    crl = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.subject)
        .last_update(now - datetime.timedelta(days=1))
        .next_update(now + datetime.timedelta(days=1))
        .add_revoked_certificate(revoked)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]  # an RSA key, as made above
    )
    path = tmp_path / "crl.pem"
    path.write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    listener = ListenerSettings(tls=replace(papers.settings, crl=str(path)))
    with Service(tmp_path / "o", listener=listener) as service:
        (tmp_path / "o").mkdir(exist_ok=True)
        assert storescu(service, papers, "+tls", *papers.client) != 0
        assert not service.files()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"certificate": ""}, "certificate"),
        ({"certificate": "/no/such/file"}, "/no/such/file"),
        ({"ca": "/no/such/ca"}, "/no/such/ca"),
        ({"crl": "/no/such/crl"}, "/no/such/crl"),
        ({"key_password_file": "/no/such/password"}, "/no/such/password"),
    ],
)
def test_faults_name_the_file_or_key(papers: Papers, changes: dict[str, str], named: str) -> None:
    with pytest.raises(StartError, match=named):
        build_ssl_context(replace(papers.settings, **changes))  # type: ignore[arg-type]  # text fields by name


def test_without_authorities_every_caller_is_refused(papers: Papers, tmp_path: Path) -> None:
    listener = ListenerSettings(tls=replace(papers.settings, ca=""))
    with Service(tmp_path, listener=listener) as service:
        assert storescu(service, papers, "+tls", *papers.client) != 0


def test_further_authorities_count_too(papers: Papers, tmp_path: Path) -> None:
    tls = replace(papers.settings, ca="", further_authorities=(papers.settings.ca,))
    with Service(tmp_path, listener=ListenerSettings(tls=tls)) as service:
        assert storescu(service, papers, "+tls", *papers.client) == 0


def test_a_chain_without_its_lists_is_refused(papers: Papers, tmp_path: Path) -> None:
    listener = ListenerSettings(tls=replace(papers.settings, crl_check="chain"))
    with Service(tmp_path, listener=listener) as service:
        assert storescu(service, papers, "+tls", *papers.client) != 0


def test_a_slot_is_free_again_after_a_tls_association(papers: Papers, tmp_path: Path) -> None:
    with Service(tmp_path, listener=ListenerSettings(tls=papers.settings)) as service:
        assert storescu(service, papers, "+tls", *papers.client) == 0
        wait_until(lambda: service.scoreboard.associations() == 0, "the slot is free")
        wait_until(lambda: service.scoreboard.connections() == 0, "the connection is gone")
