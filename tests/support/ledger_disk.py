"""Disks that fail: fsync that reports an error, a disk that is full, a disk whose power is cut.

A process that is killed loses nothing that it has written, for the kernel has it; so a missing fsync shows only where
the kernel's memory is lost too. Here the file system is told to shut down at once and write nothing more, which is what
a power cut is to it (the `godown` of xfstests); mounted again it holds what had been made durable.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ledger_procs import wait_for
from tests.support.tools import require_tool

_EXT4_IOC_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_UNSHARED_SECONDS = 10.0


class LoopDisk:
    """An ext4 file system of its own on a file, mounted at `place`."""

    def __init__(self, image: Path, place: Path, megabytes: int = 256) -> None:
        """Make the file system; `mount` follows."""
        self._image, self._place = image, place
        place.mkdir(parents=True, exist_ok=True)
        with image.open("wb") as file:
            file.truncate(megabytes * 1024**2)
        subprocess.run([require_tool("mkfs.ext4"), "-q", "-F", str(image)], check=True, stdin=subprocess.DEVNULL)

    def mount(self) -> None:
        """Mount it, replaying its journal. Only fsync commits: the clock does not."""
        mount("-o", "loop,commit=3600", str(self._image), str(self._place))
        self._place.chmod(0o700)

    def cut_power(self) -> None:
        """Write nothing from here on, also nothing of what the kernel still holds."""
        place = os.open(self._place, os.O_RDONLY)
        try:
            fcntl.ioctl(place, _EXT4_IOC_SHUTDOWN, ctypes.c_uint32(_NO_LOG_FLUSH))
        finally:
            os.close(place)

    def unmount(self) -> None:
        """Take it off."""
        unmount(self._place)


def mount(*arguments: str) -> None:
    """Mount; skip the calling test where that is not permitted."""
    done = subprocess.run([require_tool("mount"), *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


def unmount(place: Path) -> None:
    """Take off what is mounted at `place`, as soon as nobody uses it."""
    umount = require_tool("umount")
    wait_for(
        f"{place} unmounted",
        lambda: subprocess.run([umount, str(place)], capture_output=True).returncode == 0,
        _UNSHARED_SECONDS,
    )


@contextmanager
def small_disk(place: Path, megabytes: int) -> Iterator[None]:
    """Have a file system of so many megabytes at `place` for the time of the block."""
    place.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(place))
    try:
        yield
    finally:
        unmount(place)


def fill(place: Path) -> Path:
    """Write a file that takes all that is free at `place`; return it."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1024**2, 4096, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return filler


@contextmanager
def failing_calls(pid: int, calls: str, error: str) -> Iterator[None]:
    """Let system calls of `pid` ("fsync,fdatasync") fail with `error` ("EIO") for the time of the block."""
    command = [require_tool("strace"), "-f", "-qq", "-o", os.devnull, "-p", str(pid)]
    command += ["-e", f"trace={calls}", "-e", f"inject={calls}:error={error}"]
    tracer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _wait_attached(tracer, pid)
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            # Where `pid` was killed meanwhile, strace can wait for ever for a thread to stop. The kernel lets go of
            # what a killed tracer holds.
            tracer.kill()
            tracer.communicate()


def _wait_attached(tracer: subprocess.Popen[str], pid: int) -> None:
    def attached() -> bool:
        return all(
            f"TracerPid:\t{tracer.pid}\n" in (thread / "status").read_text()
            for thread in Path(f"/proc/{pid}/task").iterdir()
        )

    began = time.monotonic()
    while not attached():
        if tracer.poll() is not None:
            pytest.skip(f"tracing is not permitted here: {tracer.communicate()[1].strip()}")
        assert time.monotonic() - began < _UNSHARED_SECONDS, "strace did not attach"
        time.sleep(0.02)
