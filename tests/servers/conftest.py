"""What the servers' tests share."""

from __future__ import annotations

import pytest
from toylab import ALL_SERVICES, HANAKO, TARO

from mailtap.servers import LabCertificates, ToyServers


@pytest.fixture(scope="session")
def certificates():
    return LabCertificates()


@pytest.fixture(scope="session")
def ca_file(certificates, tmp_path_factory):
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(certificates.ca_pem)
    return path


@pytest.fixture
def lab(certificates):
    """Servers on every kind of port; after the test, all sessions have ended and nothing went wrong."""
    with ToyServers(ALL_SERVICES, accounts=(HANAKO, TARO), certificates=certificates) as servers:
        yield servers
        assert servers.wait_idle(10)
    assert servers.faults == ()
