#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the roles: ansible-lint, then check mode on this host twice, with every part enabled.
set -eu
command -v ansible-lint >/dev/null || { echo "SKIPPED: ansible-lint is not installed"; exit 77; }
cd "$(dirname "$0")/../../ansible"
ansible-lint --offline -q host.yml roles
extra='{"host_isolated_cores": "1", "host_interfaces": ["lo"],
	"host_devices": [{"address": "0000:00:00.0", "driver": "vfio-pci"}]}'
for round in first second; do
	ansible-playbook -i inventory.local.yml host.yml --check -e "$extra" >/tmp/meltemi-ansible.$$ 2>&1 || {
		cat /tmp/meltemi-ansible.$$
		rm -f /tmp/meltemi-ansible.$$
		echo "check mode failed in the $round round" >&2
		exit 1
	}
done
rm -f /tmp/meltemi-ansible.$$
# Settings that cannot be are refused.
if ansible-playbook -i inventory.local.yml host.yml --check -e host_isolated_cores=many >/dev/null 2>&1; then
	echo "a wrong CPU list was accepted" >&2
	exit 1
fi
echo "ansible: lint clean, check mode ran twice"
