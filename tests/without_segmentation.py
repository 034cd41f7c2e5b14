"""Run pytest as if the kernel had no UDP segmentation offload, like Linux before 4.18.

    python -m tests.without_segmentation tests/dataplane tests/media

A seccomp filter refuses both socket options (UDP_SEGMENT, UDP_GRO) with ENOPROTOOPT, as such a kernel does.
"""

import ctypes
import errno
import platform
import socket
import struct
import sys

import pytest

UDP_SEGMENT, UDP_GRO = 103, 104
_SOL_UDP = 17
_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# Instructions of <linux/bpf_common.h>: load a word at an offset, jump if it equals a constant, return a constant.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
# <linux/seccomp.h>, struct seccomp_data: offsets of the call's number, its architecture, and two arguments' low words.
_NUMBER, _SYSTEM, _LEVEL, _OPTION = 0, 4, 24, 32
#: For each architecture: its AUDIT_ARCH constant, and its system call number of setsockopt.
_SYSTEMS = {"x86_64": (0xC000003E, 54), "aarch64": (0xC00000B7, 208)}


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def refuse_segmentation() -> None:
    """Refuse segmentation for this thread and everything it starts.  This cannot be undone.  Raises ``OSError``."""
    system, setsockopt = _SYSTEMS[platform.machine()]
    code = [
        (_LOAD, 0, 0, _SYSTEM),
        (_JUMP_EQUAL, 0, 7, system),
        (_LOAD, 0, 0, _NUMBER),
        (_JUMP_EQUAL, 0, 5, setsockopt),
        (_LOAD, 0, 0, _LEVEL),
        (_JUMP_EQUAL, 0, 3, _SOL_UDP),
        (_LOAD, 0, 0, _OPTION),
        (_JUMP_EQUAL, 2, 0, UDP_SEGMENT),
        (_JUMP_EQUAL, 1, 0, UDP_GRO),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | errno.ENOPROTOOPT),
    ]
    program = _Program(len(code), b"".join(struct.pack("=HBBI", *one) for one in code))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in (
        (_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)),
        (_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program)),
    ):
        if libc.prctl(*arguments) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl: {errno.errorcode[number]}")


def is_refused(option: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(_SOL_UDP, option, 1)
        except OSError as error:
            return error.errno == errno.ENOPROTOOPT
    return False


def main(arguments: list[str]) -> int:
    refuse_segmentation()
    assert is_refused(UDP_SEGMENT)
    assert is_refused(UDP_GRO)
    return pytest.main(["-p", "no:cacheprovider", *arguments])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
