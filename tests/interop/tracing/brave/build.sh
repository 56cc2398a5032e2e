#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds Braved, which starts the peers of tests/interop/dubbo with Brave's instrumentation, into build/interop/brave/ (classes/ and lib/).
# Needs a JDK and Maven; the first run downloads Brave. Run again: nothing to do.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../../.." && pwd)
out=$root/build/interop/brave
mkdir -p "$root/build/interop"
# Several tests may start at once.
exec 9>"$root/build/interop/brave.lock"
flock 9
if [ -e "$out/built" ] && [ -z "$(find "$here" -newer "$out/built" -print -quit)" ]; then
	exit 0
fi
# Maven keeps files that are there, also those that a killed build has written in part.
rm -rf "$out"
mkdir -p "$out"
if ! timeout --foreground 420 mvn -q -B -f "$here/pom.xml" -Dout="$out" \
	compile dependency:copy-dependencies -DoutputDirectory="$out/lib" -DincludeScope=runtime >"$out/mvn.log" 2>&1; then
	tail -15 "$out/mvn.log" >&2
	echo "Maven could not build Braved" >&2
	exit 1
fi
touch "$out/built"
