#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every mutant over the default seeds and fails when one survives: then the simulator would not
# notice that bug either. Usage: mutants.sh [SIM [SEEDS]]
set -u
sim=${1:-build/tests/sim/sim}
seeds=${2:-1-2000}
survived=0
n=0
for m in $("$sim" --list-mutants | cut -d' ' -f1); do
	n=$((n + 1))
	# What only makes it slow or wasteful shows where goodput and retransmissions have bounds.
	case $m in
	no_reorder_window | dsack_ignored | undo_missing) args="--scenario goodput_late --seeds 1-3" ;;
	# What waits behind a long reply, and a window whose opening is lost, are rare in the worlds of all seeds.
	held_not_returned) args="--scenario proxy_mixed --seeds 1-100" ;;
	no_probe) args="--scenario proxy_mixed --seeds 101-300" ;;
	*) args="--seeds $seeds" ;;
	esac
	# shellcheck disable=SC2086
	out=$("$sim" $args --mutant "$m" --json 2>&1)
	rc=$?
	first=$(printf '%s\n' "$out" | sed -n 's/^seed \([0-9]* FAILED: .*\)/\1/p' | head -1)
	case $rc in
	2 | 126 | 127) # it did not run: that catches nothing
		survived=$((survived + 1))
		printf 'NOT RUN   %-28s exit %d: %s\n' "$m" $rc "$out"
		continue
		;;
	esac
	if [ $rc -eq 0 ]; then
		survived=$((survived + 1))
		printf 'SURVIVED  %s\n' "$m"
	else
		printf 'caught    %-28s %s\n' "$m" "${first:-by a crash (exit $rc)}"
	fi
done
printf '{"mutants":%d,"survived":%d}\n' "$n" "$survived"
[ "$n" -gt 0 ] && [ "$survived" -eq 0 ]
