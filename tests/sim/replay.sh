#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same seeds give the same run, alone or behind others. Usage: replay.sh [SIM [SEEDS]]
set -eu
sim=${1:-build/tests/sim/sim}
seeds=${2:-21-30}
last=${seeds#*-}
trace() { "$sim" --seeds "$1" --verbose | grep -v '^{' | sed -n "/ seed $2 scenario /,\$p" |
	sed '/^faults fired:/,$d' | cksum; }
first=$("$sim" --seeds "$seeds" --json | tail -1)
again=$("$sim" --seeds "$seeds" --json | tail -1)
[ "$first" = "$again" ] || { echo "two runs of seeds $seeds differ"; exit 1; }
[ "$(trace "$seeds" "$last")" = "$(trace "$last" "$last")" ] || {
	echo "seed $last behind others is not seed $last alone"
	exit 1
}
echo "seeds $seeds replay exactly"
