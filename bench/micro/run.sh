#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Instructions per operation, one JSON line each: bench/micro/run.sh [--build DIR] [--check | --update]; see run.py --help.
exec /usr/bin/python3 "$(dirname "$0")/run.py" "$@"
