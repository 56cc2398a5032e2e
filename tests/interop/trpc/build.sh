#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the tRPC peer, a program in Go, into build/interop/trpc/trpcpeer; the first time it downloads tRPC's library. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/trpc
mkdir -p "$out"
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
if [ -x "$out/trpcpeer" ] && [ -z "$(find "$here/peer" -newer "$out/trpcpeer" -print -quit)" ]; then
	exit 0
fi
command -v go >/dev/null || { echo "Go is not installed" >&2; exit 1; }
(cd "$here/peer" && CGO_ENABLED=0 timeout --foreground 400 go build -trimpath -o "$out/trpcpeer.new" .) >&2
mv "$out/trpcpeer.new" "$out/trpcpeer"
