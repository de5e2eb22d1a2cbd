from __future__ import annotations

import socket
import time

from bridge.bench.sockets import address, arrived, rtp_socket, send_all, udp_socket, wall_to_monotonic_ns


def test_kernel_time_stamps_are_brought_to_the_monotonic_clock() -> None:
    """A packet has arrived after it was sent and before we looked."""
    with rtp_socket("127.0.0.1") as ear, udp_socket("127.0.0.1") as mouth:
        before = time.monotonic_ns()
        for payload in (b"one", b"two"):
            mouth.sendto(payload, ear.getsockname())
        found = list(arrived(ear))
        after = time.monotonic_ns()
        assert [data for data, _ in found] == [b"one", b"two"]
        slack_ns = 1_000_000  # between the two readings of the clocks we may have been interrupted
        assert before - slack_ns < found[0][1] <= found[1][1] < after + slack_ns
        assert list(arrived(ear)) == []


def test_a_port_that_was_closed_is_no_end_of_reading() -> None:
    with rtp_socket("127.0.0.1") as ear, udp_socket("127.0.0.1") as mouth:
        ear.connect(mouth.getsockname())
        mouth.close()
        ear.send(b"to nobody")  # ICMP comes back as ConnectionRefusedError at the next read
        assert list(arrived(ear)) == []


def test_sending_to_nobody_is_not_an_error() -> None:
    with udp_socket("127.0.0.1") as gone, udp_socket("127.0.0.1") as sock:
        sock.connect(gone.getsockname())
        gone.close()
        send_all(sock, [b"one", b"two", b"three"])


def test_two_conversions_agree_to_far_less_than_what_is_measured_with_them() -> None:
    assert abs(wall_to_monotonic_ns() - wall_to_monotonic_ns()) < 5_000_000


def test_addresses_of_a_command_line() -> None:
    assert address("127.0.0.1:5060") == ("127.0.0.1", 5060)
    assert socket.inet_aton(address("10.0.0.1:1")[0])
