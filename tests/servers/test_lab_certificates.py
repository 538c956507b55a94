"""The throwaway authority: clients that check are content with it, and with nothing else."""

from __future__ import annotations

import ssl
from dataclasses import replace

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


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
@pytest.mark.parametrize("key", [("pop3", "tls"), ("smtp", "starttls")], ids="-".join)
@pytest.mark.parametrize("holder", ["nobody", "a stranger", "the lab"])
def test_only_a_client_certificate_of_the_labs_authority_lets_in(certificates, key, version, holder):
    service = replace(SERVICES[key], client_certificate=True)
    context = certificates.client_context()
    context.maximum_version = version
    issuers = {"a stranger": LabCertificates(), "the lab": certificates}
    if holder in issuers:
        issuers[holder].certify(context, "Taro", "pc-taro.lab.example")
    with ToyServers([service], accounts=[], certificates=certificates) as servers:
        with raw_peer(servers.endpoints[service]) as peer:
            if key[1] == "starttls":
                peer.line()
                peer.ask(b"STARTTLS")
            try:
                peer.start_tls(context)
                peer.send(b"NOOP\r\n")
                greeted = peer.sock.recv(3)
            except OSError:
                greeted = b""
        assert bool(greeted) == (holder == "the lab")
        assert servers.wait_idle(10, sessions=1)
        assert servers.faults == ()


def test_old_versions_of_tls_are_not_spoken(certificates):
    assert certificates.server_context().minimum_version >= ssl.TLSVersion.TLSv1_2
