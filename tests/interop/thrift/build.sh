#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Generates the code of hello.thrift into build/interop/thrift/gen-py and, asked for "cpp", builds the C++ client and
# server beside it, or, asked for "go", the Go client gocaller and server goserver (the first time it downloads Apache's library). Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/thrift
mkdir -p "$out"
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
if [ ! -e "$out/built" ] || [ "$here/hello.thrift" -nt "$out/built" ]; then
	thrift --gen py -out "$out" "$here/hello.thrift"
	mkdir -p "$out/gen-py"
	rm -rf "$out/gen-py/hello"
	mv "$out/hello" "$out/gen-py/hello"
	touch "$out/built"
fi
if [ "${1:-}" = go ]; then
	PATH=$PATH:/usr/local/go/bin
	export PATH
	if [ -x "$out/gocaller" ] && [ -x "$out/goserver" ] && [ -z "$(find "$here/gocaller" "$here/hello.thrift" -newer "$out/gocaller" -print -quit)" ]; then
		exit 0
	fi
	command -v go >/dev/null || { echo "Go is not installed" >&2; exit 1; }
	rm -rf "$out/go"
	cp -r "$here/gocaller" "$out/go"
	mkdir "$out/go/gen"
	thrift --gen go:package_prefix=meltemi.io/tests/gocaller/gen/ -out "$out/go/gen" "$here/hello.thrift"
	(cd "$out/go" && CGO_ENABLED=0 timeout --foreground 300 go build -trimpath -o "$out/gocaller.new" .) >&2
	(cd "$out/go" && CGO_ENABLED=0 timeout --foreground 300 go build -trimpath -o "$out/goserver.new" ./server) >&2
	mv "$out/goserver.new" "$out/goserver"
	mv "$out/gocaller.new" "$out/gocaller"
fi
[ "${1:-}" = cpp ] || exit 0
for program in client server; do
	newest=$(ls -t "$here/hello.thrift" "$here/peer.hpp" "$here/$program.cpp" | head -n 1)
	[ ! -x "$out/$program" ] || [ "$newest" -nt "$out/$program" ] || continue
	mkdir -p "$out/gen-cpp"
	thrift --gen cpp:no_skeleton -out "$out/gen-cpp" "$here/hello.thrift"
	g++ -std=c++17 -O1 -I"$out/gen-cpp" -o "$out/$program.new" "$here/$program.cpp" "$out/gen-cpp/Hello.cpp" \
		"$out/gen-cpp/hello_types.cpp" -lthriftz -lthriftnb -levent -lthrift -pthread
	mv "$out/$program.new" "$out/$program"
done
