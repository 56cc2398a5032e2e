#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Meltemi and demonstrates it with unmodified Dubbo and Thrift programs: sudo ./demo.sh
exec "$(dirname "$0")/tests/demo/run" "$@"
