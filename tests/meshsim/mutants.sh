#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs every mutant and fails when one survives: then the simulator would not notice that bug either.
# Usage: mutants.sh [MESHSIM [SEEDS]]
set -u
sim=${1:-build/tests/meshsim/meshsim}
seeds=${2:-1-400}
survived=0
n=0
for m in $("$sim" --list-mutants | cut -d' ' -f1); do
	n=$((n + 1))
	out=$("$sim" --seeds "$seeds" --mutant "$m" 2>&1)
	rc=$?
	first=$(printf '%s\n' "$out" | grep -m1 FAILED)
	case $rc in
	2 | 126 | 127) # it did not run: that catches nothing
		survived=$((survived + 1))
		printf 'NOT RUN   %-28s exit %d: %s\n' "$m" $rc "$out"
		;;
	0)
		survived=$((survived + 1))
		printf 'SURVIVED  %s\n' "$m"
		;;
	*) printf 'caught    %-28s %s\n' "$m" "${first:-by a crash (exit $rc)}" ;;
	esac
done
printf '{"mutants":%d,"survived":%d}\n' "$n" "$survived"
[ "$n" -gt 0 ] && [ "$survived" -eq 0 ]
