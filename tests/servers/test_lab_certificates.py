"""The throwaway authority: clients that check are content with it, and with nothing else."""

from __future__ import annotations

import ssl

import pytest
from rawpeer import raw_peer
from toylab import SERVICES

from mailtap.servers import LAB_NAMES, LabCertificates, ToyServers

TLS_PORT = SERVICES["pop3", "tls"]


@pytest.mark.parametrize("name", LAB_NAMES)
def test_certificate_is_for(lab, certificates, name):
    with raw_peer(lab.endpoints[TLS_PORT]) as peer:
        peer.start_tls(certificates.client_context(), name)
        assert peer.line().startswith(b"+OK mail.lab.example")
        peer.ask(b"QUIT")


@pytest.mark.parametrize("name", ["other.example", "lab.example", "127.0.0.2"])
def test_certificate_is_not_for(lab, certificates, name):
    with raw_peer(lab.endpoints[TLS_PORT]) as peer, pytest.raises(ssl.SSLCertVerificationError):
        peer.start_tls(certificates.client_context(), name)


def test_another_authority_is_not_believed(lab):
    context = LabCertificates().client_context()
    with raw_peer(lab.endpoints[TLS_PORT]) as peer, pytest.raises(ssl.SSLCertVerificationError):
        peer.start_tls(context)


def test_names_can_be_chosen():
    certificates = LabCertificates(("impostor.example",))
    with ToyServers([TLS_PORT], accounts=[], certificates=certificates) as servers:
        with raw_peer(servers.endpoints[TLS_PORT]) as peer:
            peer.start_tls(certificates.client_context(), "impostor.example")
            peer.line()
        assert servers.wait_idle(10, sessions=1)


@pytest.mark.parametrize("key", [("pop3", "tls"), ("smtp", "starttls")], ids="-".join)
def test_session_keys_are_written_where_asked_for(tmp_path, key):
    keys = tmp_path / "keys.log"
    certificates = LabCertificates(keylog_filename=keys)
    service = SERVICES[key]
    with ToyServers([service], accounts=[], certificates=certificates) as servers:
        with raw_peer(servers.endpoints[service]) as peer:
            if key[1] == "starttls":
                peer.line()
                peer.ask(b"STARTTLS")
            peer.start_tls(certificates.client_context())
        assert servers.wait_idle(10, sessions=1)
    assert "TRAFFIC_SECRET" in keys.read_text(encoding="ascii")


def test_old_versions_of_tls_are_not_spoken(certificates):
    assert certificates.server_context().minimum_version >= ssl.TLSVersion.TLSv1_2
