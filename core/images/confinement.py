"""What a process gives up, for good, before it looks at the bytes of strangers."""

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from contextlib import suppress
from pathlib import Path

FILES = 16  # descriptors

# The same on every machine (Linux, include/uapi/asm-generic/unistd.h)
_LANDLOCK_CREATE_RULESET, _LANDLOCK_RESTRICT_SELF = 444, 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_SECCOMP_MODE_FILTER = 2
# Rights over files that a version of Landlock knows, from the first on; those over TCP came with 4,
# signals with 6
_FILE_RIGHTS = (13, 14, 15, 15, 16)
_ALL_OF_TCP, _ALL_SCOPES = 0b11, 0b11

# Calls that are refused: socket, execve, execveat, io_uring_setup; by the name of a machine and its
# audit number
_REFUSED_CALLS = {
    "x86_64": (0xC000003E, (41, 59, 322, 425)),
    "aarch64": (0xC00000B7, (198, 221, 281, 425)),
}
_OTHER_ABI = 0x40000000  # from here on x86_64 counts the calls of its 32-bit variant, x32
# instructions of the classic packet filter
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_CALL, _MACHINE = 0, 4  # where its data say which call and which machine
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM


def confine(memory: int) -> None:
    """Give up files, network, other programs and processes, and all memory beyond so many bytes.

    Limits hold everywhere; the walls (Landlock, seccomp) where the kernel has them: Linux 5.13, and
    6.12 for all of it. Modules that are not imported by now cannot be imported any more.
    """
    with suppress(OSError):  # Linux: without memory, this process is the first to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    # macOS counts as memory what all processes share, and refuses the limit
    if sys.platform != "linux":
        return
    system = ctypes.CDLL(None)
    system.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _leave_files(system)
    _refuse_calls(system)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def allow_cpu_time(seconds: int) -> None:
    """The kernel ends the process (SIGXCPU) once it has computed so long from now on."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    until = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def landlock_version() -> int:
    """Which version this kernel has; less than 1 for none."""
    version: int = ctypes.CDLL(None).syscall(
        _LANDLOCK_CREATE_RULESET, None, 0, _LANDLOCK_CREATE_RULESET_VERSION
    )
    return version


def _leave_files(system: ctypes.CDLL) -> None:
    """No file is opened, made or removed, no TCP connection made, no other process looked at or
    signalled.
    """
    version = landlock_version()
    if version < 1:
        return
    rights = [(1 << _FILE_RIGHTS[min(version, len(_FILE_RIGHTS)) - 1]) - 1]
    rights += [_ALL_OF_TCP] if version >= 4 else []
    rights += [_ALL_SCOPES] if version >= 6 else []
    ruleset = struct.pack(f"={len(rights)}Q", *rights)
    descriptor = system.syscall(_LANDLOCK_CREATE_RULESET, ruleset, len(ruleset), 0)
    system.syscall(_LANDLOCK_RESTRICT_SELF, descriptor, 0)
    os.close(descriptor)


def _refuse_calls(system: ctypes.CDLL) -> None:
    """No socket is made and no program started."""
    if platform.machine() not in _REFUSED_CALLS:
        return
    machine, calls = _REFUSED_CALLS[platform.machine()]
    to_refuse = range(len(calls) + 1, 0, -1)  # instructions from each test to the last one
    program = [
        (_LOAD, 0, 0, _MACHINE),
        (_IF_EQUAL, 1, 0, machine),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _CALL),
        (_IF_AT_LEAST, to_refuse[0], 0, _OTHER_ABI),
        *(
            (_IF_EQUAL, distance, 0, call)
            for distance, call in zip(to_refuse[1:], calls, strict=True)
        ),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    instructions = ctypes.create_string_buffer(
        b"".join(struct.pack("=HBBI", *one) for one in program)
    )
    filter_program = struct.pack("@HP", len(program), ctypes.addressof(instructions))
    system.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_program, 0, 0)
