#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the client and the server of TarsGo into build/interop/tars (the first time Go downloads the library). Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/tars
mkdir -p "$out"
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
if [ -x "$out/client" ] && [ -x "$out/server" ] && [ -z "$(find "$here/gopeer" -newer "$out/client" -print -quit)" ]; then
	exit 0
fi
command -v go >/dev/null || { echo "Go is not installed" >&2; exit 1; }
for program in server client; do
	(cd "$here/gopeer" && CGO_ENABLED=0 timeout --foreground 300 go build -trimpath -o "$out/$program.new" "./$program") >&2
	mv "$out/$program.new" "$out/$program"
done
