#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs in the guest: commands come in base64, a line each, from the second serial line, where their status and output go.
exec 3<>/dev/ttyS1
stty -F /dev/ttyS1 raw -echo
echo ready >&3
while read -r -u 3 line; do
	status=0
	printf %s "$line" | base64 -d | bash >/run/lab.output 2>&1 || status=$?
	printf '%s %s\n' "$status" "$(base64 -w0 /run/lab.output)" >&3
done
