"""What tests/conftest.py promises: no network here, loopback in the rings with services, those last."""

from __future__ import annotations

import socket

import pytest
from hypothesis import settings
from pytest_socket import SocketBlockedError, SocketConnectBlockedError

from tests import conftest
from tests.architecture import tree


def test_this_ring_has_no_network() -> None:
    """A socket is refused here, so a test that needs one fails instead of reaching out."""
    with pytest.warns(UserWarning, match="socket"), pytest.raises(SocketBlockedError):
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


@pytest.mark.allow_hosts(conftest.LOOPBACK)
def test_rings_with_services_reach_loopback_only() -> None:
    """With their marker a server on loopback is reached, and an outside address is refused."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        socket.create_connection(server.getsockname(), timeout=5).close()
    with (
        pytest.warns(UserWarning, match="connect"),
        pytest.raises(SocketConnectBlockedError),
        socket.socket() as outside,
    ):
        outside.connect(("192.0.2.1", 9))  # an address for documents: nobody has it


def test_ring_is_the_folder() -> None:
    """A test's ring is the folder under tests that it is in."""
    tests = tree.ROOT / "tests"
    assert conftest.ring_of(tests / "fault" / "test_x.py") == "fault"
    assert conftest.ring_of(tests / "integration" / "deep" / "test_x.py") == "integration"
    assert conftest.ring_of(tests / "test_x.py") == ""


def test_ci_examples_are_repeatable() -> None:
    """The profile of CI draws the same 300 examples every time, and prints how to repeat one."""
    profile = settings.get_profile("ci")
    assert (profile.max_examples, profile.derandomize, profile.print_blob) == (300, True, True)
