"""Read by every Python process that has this folder on PYTHONPATH: refuses the outside network.

An audit hook sees each connection, datagram and name lookup before it happens and cannot be taken
off again. Loopback, Unix sockets and this machine's own name stay. Libraries that open sockets in
C, and programs that are not Python, are beyond it: for those there is the network namespace.
"""

import importlib.machinery
import importlib.util
import ipaddress
import os
import socket
import sys

_LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}
_SENDS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
_OWN_NAMES = {"", "localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname()}


def _is_own(host: object) -> bool:
    if isinstance(host, bytes | bytearray):
        host = host.decode("ascii", "replace")
    if host is None or host in _OWN_NAMES:
        return True
    try:
        address = ipaddress.ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified  # connecting to 0.0.0.0 reaches this machine


def _refuse_outside(event: str, arguments: tuple) -> None:
    if event in _LOOKUPS:
        if not _is_own(arguments[0]):
            raise OSError(f"the network is off: refused to look up {arguments[0]!r}")
    elif event in _SENDS:
        connection, address = arguments
        outside = connection.family in (socket.AF_INET, socket.AF_INET6) and address is not None
        if outside and not _is_own(address[0]):
            raise OSError(f"the network is off: refused to reach {address[0]!r}")


def _run_the_hidden_one() -> None:
    """Another `sitecustomize` further down the path, which this file hides, has its turn as well."""
    here = os.path.dirname(os.path.abspath(__file__))
    elsewhere = [entry for entry in sys.path if os.path.abspath(entry) != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.addaudithook(_refuse_outside)
_run_the_hidden_one()
