#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Measures 1,000 to 1,000,000 connections: opaque TCP streams (both ends), and Dubbo and Thrift clients on shared server
# connections. Writes JSON lines, a table and curves to bench/results:
#   bench/scale/run.sh [PROGRAM] [OUTPUT without extension]
# The whole run takes about 6 GiB of memory and 15 minutes. Parts with one codec and one number of connections take less than
# five minutes each and add to the same OUTPUT, where they replace earlier lines:
#   SCALE_CODECS=dubbo SCALE_CONNS=100000 bench/scale/run.sh PROGRAM OUTPUT
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scale=${1:-$root/build/bench/scale/scale}
out=${2:-$root/bench/results/scale-$(date +%Y%m%d)}
[ -x "$scale" ] || {
	echo "$scale is not built: meson setup build -Dbuildtype=release -Db_lto=true && ninja -C build" >&2
	exit 1
}
for codec in ${SCALE_CODECS:-tcp dubbo thrift}; do
	# No idle hours for Dubbo and Thrift, because Meltemi closes their clients after an hour of silence.
	hours=0
	[ "$codec" != tcp ] || hours=3
	for conns in $(echo "${SCALE_CONNS:-1000,10000,100000,1000000}" | tr , ' '); do
		line=$("$scale" --codec "$codec" --conns "$conns" --idle-hours $hours)
		: >"$out.new"
		[ ! -f "$out.jsonl" ] || grep -v "\"codec\":\"$codec\",\"conns\":$conns," "$out.jsonl" >"$out.new" || true
		echo "$line" | tee -a "$out.new"
		mv "$out.new" "$out.jsonl"
	done
done
exec /usr/bin/python3 "$root/bench/scale/curve.py" "$out"
