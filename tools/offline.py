"""python -m tools.offline <command …>: run a command that can reach this machine and nothing else.

Where the kernel of the system allows it the command lives in a network namespace of its own, with
nothing but the loopback device: no process in it can send a byte outside, whatever it is written in.
Elsewhere a guard inside every Python process, notebook kernels too, refuses what is not loopback
(`tools/network_guard`). One line on standard error says which of the two it is.
"""

import argparse
import ctypes
import os
import socket
import struct
import sys
from pathlib import Path

GUARD = Path(__file__).resolve().parent / "network_guard"

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 0x1
_IFREQ = "16sh14x"  # struct ifreq: the interface's name, its flags, padding


def main(arguments: list[str] | None = None) -> int:
    """Replace this process by the command, the network being off; returns only when that fails."""
    options = _parser().parse_args(arguments)
    if not options.command:
        print("offline: no command given", file=sys.stderr)
        return 2
    obstacle = "asked for" if options.guard else namespace_obstacle()
    if not obstacle:
        enter_namespace()
        print("offline: network namespace, only loopback is there", file=sys.stderr, flush=True)
    elif options.namespace:
        print(f"offline: no network namespace: {obstacle}", file=sys.stderr)
        return 1
    else:
        python_path = [str(GUARD), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(python_path)
        print(f"offline: socket guard in every Python process ({obstacle})", file=sys.stderr, flush=True)
    try:
        os.execvp(options.command[0], options.command)
    except OSError as error:
        print(f"offline: {options.command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def namespace_obstacle() -> str:
    """Why this process cannot enter a network namespace; empty when it can. Tried in a child."""
    if not sys.platform.startswith("linux"):
        return f"no network namespaces on {sys.platform}"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter_namespace()
        except Exception as error:  # whatever it is, the parent has to know
            os.write(writer, str(error).encode()[:500])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        obstacle = pipe.read()
    os.waitpid(child, 0)
    return obstacle


def enter_namespace() -> None:
    """Move this process, under its own user id, to a network that consists of loopback."""
    user, group = os.geteuid(), os.getegid()
    try:
        _unshare(_CLONE_NEWNET)  # a superuser keeps his rights over everybody's files
    except PermissionError:
        _unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    _loopback_up()


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "unshare")


def _loopback_up() -> None:
    """What `ip link set lo up` does, on systems that have no `ip`."""
    import fcntl  # not on every system, and needed on Linux only

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        answer = fcntl.ioctl(control, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0))
        flags = struct.unpack(_IFREQ, answer)[1]
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.offline", description=__doc__.partition("\n")[0])
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--guard", action="store_true", help="use the socket guard even where a namespace is possible")
    way.add_argument("--namespace", action="store_true", help="fail where a namespace is impossible")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    sys.exit(main())
