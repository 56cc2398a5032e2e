#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the TLS peer of Go's library into build/interop/tls/. Needs Go. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/tls
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
if [ -x "$out/gopeer" ] && [ -z "$(find "$here/gopeer" -newer "$out/gopeer" -print -quit)" ]; then
	exit 0
fi
command -v go >/dev/null || { echo "Go is not installed" >&2; exit 1; }
(cd "$here/gopeer" && timeout --foreground 300 go build -trimpath -o "$out/gopeer.new" .) >&2
mv "$out/gopeer.new" "$out/gopeer"
