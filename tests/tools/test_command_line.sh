#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the tool `weft` prints and how it refuses. Usage: test_command_line.sh PATH_OF_WEFT
exec python3 "$(dirname "$0")/command_line.py" "$1"
