#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Java peers of a library into build/interop/NAME/ (classes/ and lib/): bolt, motan.
# Needs a JDK and Maven; the first run downloads the library and its dependencies. Run again: nothing to do.
#   build.sh [bolt|motan ...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
[ $# -gt 0 ] || set -- bolt motan
mkdir -p "$root/build/interop"
# Several tests may start at once.
exec 9>"$root/build/interop/javarpc.lock"
flock 9

for peer; do
	out=$root/build/interop/$peer
	stamp=$out/built
	if [ -e "$stamp" ] && [ -z "$(find "$here/$peer" "$here/pom.xml" -newer "$stamp" -print -quit)" ]; then
		continue
	fi
	# Maven keeps files that are there, also those that a killed build has written in part.
	rm -rf "$out"
	mkdir -p "$out"
	echo "building the $peer peers (log: build/interop/$peer/mvn.log)"
	if ! timeout --foreground 420 mvn -q -B -f "$here/pom.xml" -P"$peer" -Dpeer="$peer" -Dout="$out" \
		compile dependency:copy-dependencies -DoutputDirectory="$out/lib" -DincludeScope=runtime \
		>"$out/mvn.log" 2>&1; then
		tail -15 "$out/mvn.log" >&2
		echo "Maven could not build the $peer peers" >&2
		exit 1
	fi
	touch "$stamp"
done
