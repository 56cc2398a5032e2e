#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the Java peers into build/interop/dubbo-<version>/ (classes/ and lib/), once for each Apache Dubbo version.
# Needs a JDK and Maven; the first run downloads Apache Dubbo and its dependencies. Run again: nothing to do.
#   build.sh [2.7.23|3.2.16 ...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
[ $# -gt 0 ] || set -- 2.7.23 3.2.16
mkdir -p "$root/build/interop"
# Several tests may start at once.
exec 9>"$root/build/interop/dubbo.lock"
flock 9

for version; do
	out=$root/build/interop/dubbo-$version
	stamp=$out/built
	if [ -e "$stamp" ] && [ -z "$(find "$here/src" "$here/pom.xml" -newer "$stamp" -print -quit)" ]; then
		continue
	fi
	# Maven keeps files that are there, also those that a killed build has written in part.
	rm -rf "$out"
	mkdir -p "$out"
	echo "building the Dubbo $version peers (log: build/interop/dubbo-$version/mvn.log)"
	if ! timeout --foreground 420 mvn -q -B -f "$here/pom.xml" -Dout="$out" -Ddubbo.version="$version" \
		compile dependency:copy-dependencies -DoutputDirectory="$out/lib" -DincludeScope=runtime \
		>"$out/mvn.log" 2>&1; then
		tail -15 "$out/mvn.log" >&2
		echo "Maven could not build the Dubbo $version peers" >&2
		exit 1
	fi
	touch "$stamp"
done
