# SPDX-License-Identifier: BSD-2-Clause
"""Finding, building and calling the programs: one for each system and compiler."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from errors import Complaint

COMPILERS = {"gcc": "g++", "clang": "clang++"}

# Settings of the user's shell must not favour anybody.
FOREIGN_PREFIXES = ("OMP_", "KMP_", "GOMP_", "LIBOMP_", "TBB_", "WEFT_", "GOMAXPROCS", "GOGC",
                    "GODEBUG", "UV_", "PYTHONASYNCIO")


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith(FOREIGN_PREFIXES)}


@dataclass
class Program:
    """An executable called SYSTEM-COMPILER that knows every kernel."""

    path: Path
    system: str
    version: str
    compiler: str
    kernels: dict = field(default_factory=dict)

    @property
    def name(self):
        return self.path.name

    @property
    def compiler_name(self):
        return self.name.rsplit("-", 1)[1]


def read_json_lines(text):
    """The lines that are JSON objects; a program that dies may leave half a line behind."""
    lines = []
    for line in text.splitlines():
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            lines.append(value)
    return lines


def describe_exit(code):
    return f"killed by signal {-code}" if code < 0 else f"exit status {code}"


def run(command, timeout):
    """Run a program; returns what it printed and None or what went wrong."""
    try:
        done = subprocess.run(list(map(str, command)), env=clean_environment(),
                              capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {timeout:.0f} s"
    except OSError as error:
        return "", str(error)
    if done.returncode == 0:
        return done.stdout, None
    said = done.stderr.strip().splitlines()
    return done.stdout, (said[-1] if said else describe_exit(done.returncode))


def call(path, arguments, timeout):
    """Run a program that prints JSON; returns its lines and None or what went wrong."""
    output, error = run([path, *arguments], timeout)
    return read_json_lines(output), error


def load(path):
    """What the program says of itself, or None if it does not run."""
    lines, error = call(path, ["--list"], timeout=20)
    if error or not lines or "system" not in lines[0]:
        return None
    program = Program(path, lines[0]["system"], lines[0]["version"], lines[0]["compiler"].strip())
    program.kernels = {k["kernel"]: k for k in lines[1:]}
    return program


def find(build_directories):
    """All programs in some build directories, in a fixed order: weft, then peers, then serial."""
    rank = {"weft": 0, "serial": 2}
    found = []
    for directory in build_directories:
        for path in sorted((directory / "bench").glob("*-*")):
            if path.name.endswith(tuple(f"-{c}" for c in COMPILERS)) and os.access(path, os.X_OK):
                program = load(path)
                if program:
                    found.append(program)
    found.sort(key=lambda p: (rank.get(p.system, 1), p.system, p.name != f"{p.system}-gcc"))
    return found


def cached_compiler(build):
    """Which compiler a build directory was configured with."""
    try:
        cache = (build / "CMakeCache.txt").read_text()
    except OSError as error:
        raise Complaint(f"{build}: not a build directory: {error.strerror}") from error
    for line in cache.splitlines():
        if line.startswith("CMAKE_C_COMPILER:"):
            return "clang" if "clang" in Path(line.split("=", 1)[1]).name else "gcc"
    raise Complaint(f"{build}/CMakeCache.txt: names no C compiler")


def build_other(source, build, say):
    """Build the programs of the other compiler in a tree of their own, next to `build`.

    Returns the directories that hold programs, and a note for each compiler left out.
    """
    directories, notes = [build], []
    mine = cached_compiler(build)
    for compiler, cxx in COMPILERS.items():
        if compiler == mine:
            continue
        if not shutil.which(compiler):
            notes.append(f"{compiler} is not installed: its programs are left out")
            continue
        other = build.with_name(f"{build.name}-{compiler}")
        say(f"building with {compiler} in {other}")
        error = configure_and_build(source, other, compiler, cxx)
        if error:
            notes.append(f"the build with {compiler} failed: {error}")
        else:
            directories.append(other)
    return directories, notes


def configure_and_build(source, build, compiler, cxx):
    """None, or the last line of what went wrong."""
    steps = []
    if not (build / "CMakeCache.txt").exists():
        generator = ["-G", "Ninja"] if shutil.which("ninja") else []
        cxx_setting = [f"-DCMAKE_CXX_COMPILER={cxx}"] if shutil.which(cxx) else []
        steps.append(["cmake", "-S", source, "-B", build, *generator, *cxx_setting,
                      f"-DCMAKE_C_COMPILER={compiler}", "-DCMAKE_BUILD_TYPE=Release",
                      "-DCMAKE_C_FLAGS_RELEASE=-O3 -g", "-DCMAKE_CXX_FLAGS_RELEASE=-O3 -g",
                      "-DWEFT_TESTS=OFF", "-DWEFT_EXAMPLES=OFF", "-DWEFT_TOOLS=OFF"])
    steps.append(["cmake", "--build", build, "--target", "bench-systems", "bench-duels",
                  "-j", "2"])
    for step in steps:
        done = subprocess.run(list(map(str, step)), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip().splitlines()
            errors = [line for line in said if "error" in line.lower()]
            return (errors or said or [describe_exit(done.returncode)])[0]
    return None
