"""An eBPF program on a cgroup that rewrites the destination of connect(), as Cilium's socket-level load balancer does.

The instructions are assembled here, without a compiler: the program needs no map and no helper function.
https://docs.kernel.org/bpf/standardization/instruction-set.html
"""

import contextlib
import ctypes
import os
import platform
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
"""The system call's number."""

# https://github.com/torvalds/linux/blob/v6.1/include/uapi/linux/bpf.h
PROG_LOAD, PROG_ATTACH = 5, 8
CGROUP_SOCK_ADDR = 18
ATTACH_TYPES = {socket.AF_INET: 10, socket.AF_INET6: 11}  # BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT
ADDRESS_OFFSETS = {socket.AF_INET: (4,), socket.AF_INET6: (8, 12, 16, 20)}
"""Where struct bpf_sock_addr has the words of the destination address, in network byte order."""
PORT_OFFSET = 24
LOG_BYTES = 65536

LOAD_WORD, STORE_WORD, MOVE, JUMP_NOT_EQUAL, EXIT = 0x61, 0x63, 0xB4, 0x56, 0x95
RESULT, CONTEXT, VALUE = 0, 1, 2
"""Registers: the result, struct bpf_sock_addr, and one for values."""
ALLOW = 1

Destination = tuple[str, int]
Instruction = tuple[int, int, int, int, int]

libc = ctypes.CDLL(None, use_errno=True)


class UnsupportedError(Exception):
    """This kernel, or this process's capabilities, do not allow such a program."""


def build_rewrite(old: Destination, new: Destination) -> bytes:
    """Assemble: if the destination is `old`, make it `new`; always allow the connection."""
    family, fields = describe(*old)
    _, replacements = describe(*new)
    store = [
        line
        for offset, value in replacements
        for line in ((MOVE, VALUE, 0, 0, value), (STORE_WORD, CONTEXT, VALUE, offset, 0))
    ]
    lines: list[Instruction] = []
    for number, (offset, value) in enumerate(fields):
        left = 2 * (len(fields) - number - 1) + len(store)
        lines += [(LOAD_WORD, VALUE, CONTEXT, offset, 0), (JUMP_NOT_EQUAL, VALUE, 0, left, value)]
    lines += [*store, (MOVE, RESULT, 0, 0, ALLOW), (EXIT, 0, 0, 0, 0)]
    assert family in ATTACH_TYPES
    return b"".join(struct.pack("=BBhI", op, source << 4 | target, off, imm) for op, target, source, off, imm in lines)


def describe(address: str, port: int) -> tuple[socket.AddressFamily, list[tuple[int, int]]]:
    """Return the family, and offset and value of each word of a destination as the program reads them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    packed = socket.inet_pton(family, address)
    words = struct.unpack(f"={len(packed) // 4}I", packed)
    fields = [*zip(ADDRESS_OFFSETS[family], words, strict=True), (PORT_OFFSET, socket.htons(port))]
    return family, fields


def call(command: int, attributes: bytes) -> int:
    """Call bpf(2); raise OSError."""
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result: int = libc.syscall(BPF, command, buffer, len(attributes))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def load(code: bytes, family: socket.AddressFamily) -> int:
    """Load a program; return its descriptor. The error has the verifier's log."""
    instructions, licence = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"MIT")
    log = ctypes.create_string_buffer(LOG_BYTES)
    start = (CGROUP_SOCK_ADDR, len(code) // 8, ctypes.addressof(instructions), ctypes.addressof(licence))
    rest = (1, LOG_BYTES, ctypes.addressof(log), 0, 0, b"podrole_test", 0, ATTACH_TYPES[family])
    try:
        return call(PROG_LOAD, struct.pack("=IIQQIIQII16sII", *start, *rest))
    except PermissionError as error:
        raise UnsupportedError(f"bpf(2) to load a program: {error}: it needs CAP_BPF and CAP_NET_ADMIN") from None
    except OSError as error:
        raise UnsupportedError(f"bpf(2) to load a program: {error}: {log.value.decode()[-500:]}") from None


@contextlib.contextmanager
def rewritten(rewrites: dict[Destination, Destination]) -> Iterator[None]:
    """Move this process into a new cgroup with the programs, and back.

    Processes that are started meanwhile inherit the cgroup, also containers. Those that run already do not.
    """
    parent = find_cgroup()
    directory = parent / f"podrole-test-{os.getpid()}"
    with contextlib.ExitStack() as stack:
        try:
            directory.mkdir()
        except OSError as error:
            raise UnsupportedError(f"cannot create a cgroup: {error}") from None
        stack.callback(directory.rmdir)
        for old, new in rewrites.items():
            attach(directory, old, new)
        (directory / "cgroup.procs").write_text(str(os.getpid()))
        stack.callback(move_all, directory, parent)
        yield


def attach(directory: Path, old: Destination, new: Destination) -> None:
    family, _ = describe(*old)
    program = load(build_rewrite(old, new), family)
    cgroup = os.open(directory, os.O_RDONLY)
    try:
        call(PROG_ATTACH, struct.pack("=IIII", cgroup, program, ATTACH_TYPES[family], 0))
    finally:
        os.close(cgroup)
        os.close(program)


def move_all(directory: Path, parent: Path) -> None:
    """Move all processes to the parent: a cgroup with processes cannot be removed."""
    for pid in (directory / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            (parent / "cgroup.procs").write_text(pid)


def find_cgroup() -> Path:
    """Return this process's directory in the cgroup v2 hierarchy."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    points = [mount[1] for mount in mounts if mount[2] == "cgroup2"]
    if not points:
        raise UnsupportedError("no cgroup v2 hierarchy is mounted")
    own = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    return Path(points[0]) / own.removeprefix("0::/")
