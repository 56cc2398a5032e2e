#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one Java peer, built by build.sh: peer.sh bolt|motan Server|Client [word ...]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/$1
class=io.meltemi.interop.$1.$2
peer=$1
shift 2
# Small and quick to start; the opened packages are what the libraries' reflection needs on a current JVM. A client is silent for half a second
# before it sends a heartbeat.
exec java -Xmx192m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
	--add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED \
	--add-opens java.base/java.math=ALL-UNNAMED --add-opens java.base/java.time=ALL-UNNAMED \
	-Djava.net.preferIPv4Stack=true -Duser.home="${TMPDIR:-/tmp}/$peer" -Dbolt.tcp.heartbeat.interval=500 \
	-cp "$out/classes:$out/lib/*" "$class" "$@"
