#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The inline bench over the cases that docs/performance.md and README quote; one JSON line each, also kept in a file:
#   bench/path/run.sh [PROGRAM] [OUTPUT]
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
path=${1:-$root/build/bench/path/path}
out=${2:-$root/bench/results/path-$(date +%Y%m%d).jsonl}
[ -x "$path" ] || {
	echo "$path is not built: meson setup build -Dbuildtype=release -Db_lto=true && ninja -C build" >&2
	exit 1
}
: >"$out"
failed=0
# A case that fails is named, and the others are run all the same.
bench() {
	if all=$("$path" --json "$@"); then
		echo "$all" | tail -n 1 | tee -a "$out"
	else
		echo "failed: $path --json $*" >&2
		failed=1
	fi
}
run() {
	bench --samples 20 --exchanges 20000 "$@"
}
for codec in thrift dubbo tcp; do
	run --codec $codec --link ring
	run --codec $codec --link memif
done
run --codec dubbo --link memif --peer stripped
run --codec thrift --multiplexing --link memif
run --codec dubbo --conns 16 --outstanding 8 --link memif
run --codec dubbo --codec-file "$root/tests/codecfiles/files/dubbo2.yaml" --link memif
run --codec awesomerpc --link memif
run --codec awesomerpc --codec-file "$root/tests/codecfiles/files/awesome.yaml" --link memif
run --codec dubbo --size 1024 --link memif
run --codec dubbo --policies off --link memif
run --codec dubbo --routes 100 --link memif
run --codec dubbo --routes 10000 --link memif
run --codec dubbo --conns 10000 --link ring
run --codec dubbo --link ring --workers 2
bench --samples 20 --exchanges 5000 --codec dubbo --link ring --churn
for mtu in 1500 9000; do
	for link in ring memif; do
		bench --samples 40 --exchanges 200 --codec tcp --size 120000 --conns 16 --link $link --mtu $mtu
	done
done
exit $failed
