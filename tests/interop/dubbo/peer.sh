#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs one Java peer, built by build.sh: peer.sh 2.7.23|3.2.16 Provider|Consumer [--name value ...]
# MORE_CLASSES: further entries of the class path, such as those of tests/interop/tracing/brave.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../../build/interop/dubbo-$1
class=io.meltemi.interop.$2
shift 2
# Small and quick to start; the opened packages are what Dubbo's reflection needs on a current JVM.
exec java -Xmx192m -Xss512k -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto \
	--add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED \
	--add-opens java.base/java.math=ALL-UNNAMED --add-opens java.base/java.time=ALL-UNNAMED \
	-Djava.net.preferIPv4Stack=true -Duser.home="${TMPDIR:-/tmp}" -Ddubbo.application.qos-enable=false \
	-Ddubbo.network.interface.ignored= -Ddubbo.service.shutdown.wait=3000 \
	-cp "$out/classes:$out/lib/*${MORE_CLASSES:+:$MORE_CLASSES}" "$class" "$@"
