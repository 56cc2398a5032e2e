#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same seeds give the same run, alone or after others. Usage: replay.sh [SIM [SEEDS]]
set -eu
sim=${1:-build/tests/sim/sim}
seeds=${2:-21-30}
last=${seeds#*-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# run FILE OPTION...: writes a run's output to a file. It must succeed, because a pipe would hide its status.
run() {
	file=$folder/$1
	shift
	"$sim" "$@" >"$file" || { echo "$sim $*: exit $?"; exit 1; }
	[ -s "$file" ] || { echo "$sim $* prints nothing"; exit 1; }
}

# trace FILE: the packets of the last seed in the output of a run with --verbose.
trace() {
	grep -v '^{' "$folder/$1" | sed -n "/ seed $last scenario /,\$p" | sed '/^faults fired:/,$d' >"$folder/$1.last"
	[ -s "$folder/$1.last" ] || { echo "$1: no trace of seed $last"; exit 1; }
}

run first --seeds "$seeds" --json
run again --seeds "$seeds" --json
[ "$(tail -1 "$folder/first")" = "$(tail -1 "$folder/again")" ] || { echo "two runs of seeds $seeds differ"; exit 1; }
run after --seeds "$seeds" --verbose
run alone --seeds "$last" --verbose
trace after
trace alone
cmp -s "$folder/after.last" "$folder/alone.last" || { echo "seed $last after others is not seed $last alone"; exit 1; }
echo "seeds $seeds replay exactly"
