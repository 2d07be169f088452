# SPDX-License-Identifier: BSD-2-Clause
# For the other scripts here to read in: $found names the compilers there are.
found=
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null 2>&1; then
        found="$found $compiler"
    fi
done
if [ -z "$found" ]; then
    echo "neither gcc nor clang was found" >&2
    exit 1
fi
