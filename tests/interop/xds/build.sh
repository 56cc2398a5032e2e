#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the discovery server adsd into build/interop/xds/. Needs Go; the first run downloads go-control-plane and what it
# needs. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/xds
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
if [ -x "$out/adsd" ] && [ -z "$(find "$here/adsd" -newer "$out/adsd" -print -quit)" ]; then
	exit 0
fi
if ! command -v go >/dev/null; then
	echo "Go is not installed" >&2
	exit 1
fi
echo "building adsd (log: build/interop/xds/go.log)"
if ! (cd "$here/adsd" && CGO_ENABLED=0 timeout --foreground 550 go build -trimpath -ldflags "-s -w" -o "$out/adsd.new" .) >"$out/go.log" 2>&1; then
	tail -15 "$out/go.log" >&2
	echo "Go could not build adsd" >&2
	exit 1
fi
mv "$out/adsd.new" "$out/adsd"
