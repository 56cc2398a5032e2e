#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one Java peer, built by build.sh: peer.sh Server PORT ID, peer.sh Client
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/brpc
class=io.meltemi.interop.brpc.$1
shift
# Small and quick to start; the opened packages are what the library's reflection needs on a current JVM.
exec java -Xmx192m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
	--add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED --add-opens java.base/java.net=ALL-UNNAMED \
	-Djava.net.preferIPv4Stack=true -Duser.home="${TMPDIR:-/tmp}" -cp "$out/classes:$out/lib/*" "$class" "$@"
