#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The shared library exports what the public headers mark WEFT_API, all of it and nothing else.

Usage: exports.py SOURCE_DIR LIBRARY
"""

import glob
import os
import re
import subprocess
import sys

# Read by inlined code through assembly, so no declaration of it exists in a header.
UNDECLARED = {"weft__self"}
DECLARATION = re.compile(r"^WEFT_API\b[^;{]*?\b(weft_\w+)\s*(?:\(|\[|;)", re.MULTILINE)


def declared(root):
    names = set()
    for path in glob.glob(os.path.join(root, "*", "include", "weft", "*.h")):
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
            names.update(DECLARATION.findall(text))
    return names


def exported(library):
    lines = subprocess.run(["nm", "-D", "--defined-only", library], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    # An absolute symbol (A) is the name of a version, not something to link with.
    symbols = [line.split()[-2:] for line in lines]
    return {name.split("@")[0] for kind, name in symbols if kind != "A"}


def main():
    root, library = sys.argv[1:]
    wanted = declared(root) | UNDECLARED
    found = exported(library)
    for name in sorted(found - wanted):
        print(f"{name} is exported, but no public header marks it WEFT_API")
    for name in sorted(wanted - found):
        print(f"{name} is marked WEFT_API, but the library does not define it")
    print(f"{len(found)} exported symbols, {len(wanted)} wanted")
    return 0 if found == wanted else 1


if __name__ == "__main__":
    sys.exit(main())
