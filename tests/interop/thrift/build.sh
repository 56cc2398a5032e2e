#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generates the Python code of hello.thrift into build/interop/thrift/gen-py. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/thrift
if [ ! -e "$out/built" ] || [ "$here/hello.thrift" -nt "$out/built" ]; then
	mkdir -p "$out"
	thrift --gen py -out "$out" "$here/hello.thrift"
	mkdir -p "$out/gen-py"
	rm -rf "$out/gen-py/hello"
	mv "$out/hello" "$out/gen-py/hello"
	touch "$out/built"
fi
