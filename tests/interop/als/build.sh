#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the receivers alsd (go-control-plane's Access Log Service) and otelcol (OpenTelemetry's collector) into build/interop/als/. Needs
# Go; the first run downloads both libraries and what they need. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/als
mkdir -p "$out"
out=$(cd "$out" && pwd)
# Several tests may start at once.
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
for program in alsd otelcol; do
	if [ -x "$out/$program" ] && [ -z "$(find "$here/$program" -newer "$out/$program" -print -quit)" ]; then
		continue
	fi
	command -v go >/dev/null || { echo "Go is not installed" >&2; exit 1; }
	if ! (cd "$here/$program" && CGO_ENABLED=0 timeout --foreground 550 go build -trimpath -ldflags "-s -w" -o "$out/$program.new" .) \
		>"$out/$program.log" 2>&1; then
		tail -15 "$out/$program.log" >&2
		echo "Go could not build $program" >&2
		exit 1
	fi
	mv "$out/$program.new" "$out/$program"
done
