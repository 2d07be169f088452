# SPDX-License-Identifier: BSD-2-Clause
"""The real data: fetched once from the Debian archive, checked, cached; or what is already here."""

import hashlib
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from array import array
from dataclasses import asdict, dataclass
from pathlib import Path

from errors import Complaint

PACKAGE = "emboss-data"
VERSION = "6.6.0+dfsg-12"
PACKAGE_SHA256 = "0197c365690535b2b419dad1663c0ae07082dfca99807622463647d91565b46a"
MEMBER = "./usr/share/EMBOSS/data/TAXONOMY/nodes.dmp"
TREE_SHA256 = "7ba21a049c8e499cf85d0efe39a9637802eb4843c152100304b0b7927e41aebb"
MAGIC = b"WEFTTREE"
FALLBACK_ROOT = "/usr"


@dataclass
class Data:
    """A tree file, and what the report says about it."""

    path: str
    title: str
    source: str
    licence: str
    nodes: int
    is_real: bool  # the taxonomy, not the fallback
    note: str = ""

    def as_dict(self):
        return asdict(self)


def cache_directory():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    directory = Path(base) / "weft"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Complaint(f"{directory}: {error.strerror}") from error
    return directory


def write_atomically(path, content):
    """Write under a temporary name, then rename: nobody ever sees half a file."""
    path = Path(path)
    try:
        fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise Complaint(f"{path}: {error.strerror}") from error
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException as error:
        os.unlink(name)
        if isinstance(error, OSError):
            raise Complaint(f"{path}: {error.strerror}") from error
        raise


def encode_tree(parents):
    """The file the tree kernel reads; `parents` are indices, the root is its own parent."""
    words = array("I", parents)
    if sys.byteorder != "little":
        words.byteswap()
    return MAGIC + struct.pack("<Q", len(words)) + words.tobytes()


def count_nodes(path):
    """Number of nodes a tree file announces, after a check of its form."""
    try:
        with open(path, "rb") as file:
            head = file.read(16)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Complaint(f"{path}: {error.strerror}") from error
    if len(head) < 16 or head[:8] != MAGIC:
        raise Complaint(f"{path}: damaged or not a tree file")
    nodes = struct.unpack("<Q", head[8:])[0]
    if size != 16 + 4 * nodes:
        raise Complaint(f"{path}: damaged: {size} bytes for {nodes} nodes")
    return nodes


def parse_taxonomy(text):
    """Parents by index from nodes.dmp, whose lines are `id | parent | rank | …`."""
    ids, parents = [], []
    for line in text.splitlines():
        fields = line.split(b"|", 2)
        ids.append(int(fields[0]))
        parents.append(int(fields[1]))
    index = {taxon: i for i, taxon in enumerate(ids)}
    return [index[parent] for parent in parents]


def file_sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def download(directory, timeout):
    """The package's file in `directory`; None when the archive cannot be reached."""
    command = ["apt-get", "download", "-q", "-o", f"Acquire::http::Timeout={timeout}",
               "-o", "Acquire::Retries=0", f"{PACKAGE}={VERSION}"]
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not shutil.which("tar"):
        return None
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, timeout=timeout,
                              check=False)
    except subprocess.TimeoutExpired:
        return None
    packages = list(Path(directory).glob("*.deb"))
    return packages[0] if done.returncode == 0 and packages else None


def extract(package):
    """The one file we want out of the package, without unpacking the rest to disk."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)],
                          stdout=subprocess.PIPE) as tar:
        done = subprocess.run(["tar", "-xO", MEMBER], stdin=tar.stdout, capture_output=True,
                              check=False)
        tar.stdout.close()
    if done.returncode != 0 or not done.stdout:
        raise Complaint(f"{package.name}: holds no {MEMBER}")
    return done.stdout


def fetch_taxonomy(path, say, timeout):
    """Fill the cache; False when offline."""
    say(f"fetching {PACKAGE} {VERSION} from the Debian archive (61 MB, once)")
    with tempfile.TemporaryDirectory(prefix="weft-") as directory:
        package = download(directory, timeout)
        if not package:
            return False
        if file_sha256(package) != PACKAGE_SHA256:
            raise Complaint(f"{package.name}: checksum differs from the pinned one")
        say("converting the taxonomy")
        write_atomically(path, encode_tree(parse_taxonomy(extract(package))))
    return True


def taxonomy(path):
    if file_sha256(path) != TREE_SHA256:
        raise Complaint(f"{path}: damaged: checksum differs; delete it to fetch it again")
    return Data(str(path), "NCBI taxonomy: the tree of life",
                f"Debian package {PACKAGE} {VERSION}, {MEMBER[1:]}",
                "CC-BY-3.0, National Center for Biotechnology Information", count_nodes(path), True)


def walk_directories(root, nodes_max=2_000_000):
    """Parents by index of the directories and files under `root`."""
    parents, open_directories = [0], [(root, 0)]
    while open_directories and len(parents) < nodes_max:
        directory, index = open_directories.pop()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    parents.append(index)
                    if entry.is_dir(follow_symlinks=False):
                        open_directories.append((entry.path, len(parents) - 1))
        except OSError:
            continue  # a directory we may not read is a leaf
    return parents


def fallback(directory, say):
    """The tree of files under /usr: as real, but different on every machine."""
    say(f"offline: using the tree of files under {FALLBACK_ROOT} instead")
    path = directory / "files.tree"
    parents = walk_directories(FALLBACK_ROOT)
    write_atomically(path, encode_tree(parents))
    return Data(str(path), f"directories and files under {FALLBACK_ROOT} of this machine",
                "this machine", "none needed", len(parents), False,
                "the Debian archive could not be reached; figures do not compare across machines")


def provide(given, offline, timeout, say):
    """The tree to measure on: the user's file, the taxonomy, or the fallback."""
    if given:
        nodes = count_nodes(given)
        return Data(str(given), f"tree in {given}", "given with --tree", "unknown", nodes, False)
    directory = cache_directory()
    path = directory / f"taxonomy-{VERSION}.tree"
    if path.exists() or (not offline and fetch_taxonomy(path, say, timeout)):
        return taxonomy(path)
    return fallback(directory, say)
