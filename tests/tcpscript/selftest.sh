#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Scripts that are wrong on purpose: each must fail at the line, and in the words, that its first comment says.
# Usage: selftest.sh RUN FOLDER
set -u
run=$1
n=0
bad=0
for script in "$2"/*.tcp; do
	want=$(sed -n 's/^# fails: //p' "$script")
	got=$("$run" "$script" 2>&1)
	rc=$?
	line=${want%%:*}
	words=${want#*: }
	n=$((n + 1))
	case $rc:$got in
	1:*"$(basename "$script"):$line: "*"$words"*) ;;
	*)
		bad=$((bad + 1))
		printf '%s should fail with "%s"; exit %d:\n%s\n' "$script" "$want" "$rc" "$got"
		;;
	esac
done
printf '{"wrong_scripts":%d,"not_noticed":%d}\n' "$n" "$bad"
[ "$n" -gt 0 ] && [ "$bad" -eq 0 ]
