"""Refuses new processes and threads, as the kernel does at the limit of processes of a pod."""

import ctypes
import errno
import os
import platform
import struct

CALLS = {"x86_64": (56, 57, 58, 435), "aarch64": (220, 435)}[platform.machine()]
"""clone, fork, vfork, clone3."""

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Program(ctypes.Structure):
    """A struct sock_fprog."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_processes() -> None:
    """From now on this process starts no other, and no thread: each try gets EAGAIN.

    By a seccomp filter, as the limits of users do not apply to root:
    https://man7.org/linux/man-pages/man2/seccomp.2.html
    """
    count = len(CALLS)
    tests = [(EQUAL, count - number, 0, call) for number, call in enumerate(CALLS)]
    lines = [(LOAD, 0, 0, 0), *tests, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, ERROR | errno.EAGAIN)]
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    program = Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
