#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# `weft shm`: what it lists, shows and removes. Usage: test_shm_tool.sh PATH_OF_WEFT
exec python3 "$(dirname "$0")/shm_tool.py" "$1"
