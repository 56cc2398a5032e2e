#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Many connections, from 1,000 to 1,000,000, as byte streams (both ends) and as Dubbo clients of shared server
# connections; JSON lines, a table and curves go to bench/results:
#   bench/scale/run.sh [PROGRAM] [OUTPUT without ending]
# Takes about 6 GiB of memory and five minutes; SCALE_CONNS=1000,10000 makes it small.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
scale=${1:-$root/build/bench/scale/scale}
out=${2:-$root/bench/results/scale-$(date +%Y%m%d)}
conns=${SCALE_CONNS:-1000,10000,100000,1000000}
[ -x "$scale" ] || {
	echo "$scale is not built: meson setup build -Dbuildtype=release -Db_lto=true && ninja -C build" >&2
	exit 1
}
: >"$out.jsonl"
"$scale" --codec tcp --conns "$conns" >>"$out.jsonl"
# Clients of messages that say nothing for an hour are closed: no idle hours.
"$scale" --codec dubbo --conns "$conns" --idle-hours 0 >>"$out.jsonl"
cat "$out.jsonl"
exec /usr/bin/python3 "$root/bench/scale/curve.py" "$out"
