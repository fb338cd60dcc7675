"""`deny_syscall.py FEATURE COMMAND ...` runs a command as on a kernel without a feature, by a seccomp filter.

`nf_tables`: no netlink socket for netfilter. `netlink`: a seccomp profile denies that socket. `ip_tables`: no legacy
tables (`ip6_tables`: for IPv6). `original_destination`: as in a sandbox whose kernel does not tell the original
destination of an IPv4 connection.
"""

import ctypes
import errno
import os
import platform
import socket
import struct
import sys

SOCKET, GETSOCKOPT = {"x86_64": (41, 55), "aarch64": (198, 209)}[platform.machine()]
NETLINK_NETFILTER = 12
IPT_SO_GET_INFO = 64
SO_ORIGINAL_DST = 80
DENIED_CALLS = {
    # (system call, index and value of one argument, and of another): the error
    "nf_tables": (SOCKET, (0, socket.AF_NETLINK), (2, NETLINK_NETFILTER), errno.EPROTONOSUPPORT),
    "netlink": (SOCKET, (0, socket.AF_NETLINK), (2, NETLINK_NETFILTER), errno.EPERM),
    "original_destination": (GETSOCKOPT, (1, socket.IPPROTO_IP), (2, SO_ORIGINAL_DST), errno.ENOPROTOOPT),
    "ip_tables": (GETSOCKOPT, (1, socket.IPPROTO_IP), (2, IPT_SO_GET_INFO), errno.ENOPROTOOPT),
    "ip6_tables": (GETSOCKOPT, (1, socket.IPPROTO_IPV6), (2, IPT_SO_GET_INFO), errno.ENOPROTOOPT),
}
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
ALLOW, ERROR = 0x7FFF0000, 0x00050000
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def build_filter(call: int, first: tuple[int, int], second: tuple[int, int], error: int) -> bytes:
    """Build a BPF program; the offsets are in struct seccomp_data.

    https://man7.org/linux/man-pages/man2/seccomp.2.html
    """
    arguments = [(16 + 8 * index, value) for index, value in (first, second)]
    tests = [(0, call), *arguments]
    lines = []
    for number, (offset, value) in enumerate(tests):
        to_allow = 2 * (len(tests) - number) - 1
        lines += [(LOAD, 0, 0, offset), (EQUAL, 0, to_allow, value)]
    lines += [(RETURN, 0, 0, ERROR | error), (RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("HBBI", *line) for line in lines)


code = build_filter(*DENIED_CALLS[sys.argv[1]])
program = Program(len(code) // 8, code)
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
):
    sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
