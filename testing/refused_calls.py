"""Has the kernel refuse system calls of this process, as it does at the limits of a pod or a node.

By a seccomp filter, as the limits of users do not apply to root, and those of the node apply to all:
https://man7.org/linux/man-pages/man2/seccomp.2.html
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Sequence

START_CALLS, ACCEPT_CALLS, WATCH_CALLS = {
    "x86_64": ((56, 57, 58, 435), (43, 288), (233,)),
    "aarch64": ((220, 435), (202, 242), (21,)),
}[platform.machine()]
"""clone, fork, vfork, clone3; accept, accept4; epoll_ctl."""

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Program(ctypes.Structure):
    """A struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_processes() -> None:
    """From now on this process starts no other, and no thread: each try gets EAGAIN."""
    _refuse(START_CALLS, errno.EAGAIN)


def refuse_clients(error: int) -> None:
    """From now on this process accepts no client: each try gets this error."""
    _refuse(ACCEPT_CALLS, error)


def refuse_watches(error: int) -> None:
    """From now on this process watches no socket by epoll: each try gets this error."""
    _refuse(WATCH_CALLS, error)


def _refuse(calls: Sequence[int], error: int) -> None:
    tests = [(EQUAL, len(calls) - number, 0, call) for number, call in enumerate(calls)]
    lines = [(LOAD, 0, 0, 0), *tests, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERROR | error)]
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    program = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
