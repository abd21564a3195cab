"""Free TCP ports for servers of the tests."""

import random
import socket

_given = set()


def free_port():
    """A loopback port that nobody has, never the same twice: below those that the kernel gives to clients, so that no
    outgoing connection takes it before the server does."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        most = max(2048, int(file.read().split()[0]))
    while True:
        port = random.SystemRandom().randrange(max(1024, most - 20000), most)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in _given:
            _given.add(port)
            return port
