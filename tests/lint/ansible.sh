#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the roles and playbooks: ansible-lint, then each playbook in check mode on this host.
set -eu
command -v ansible-lint >/dev/null || { echo "SKIPPED: ansible-lint is not installed"; exit 77; }
cd "$(dirname "$0")/../../ansible"
ansible-lint --offline -q host.yml site.yml upgrade.yml remove.yml roles
log=$(mktemp)
trap 'rm -rf "$log" "$log.deb" "$log.etc" "$log.yml"' EXIT
: >"$log.deb"

# Runs a playbook in check mode; what it is about comes first.
play() {
	what=$1
	shift
	ansible-playbook -i inventory.local.yml --check "$@" >"$log" 2>&1 || {
		cat "$log"
		echo "check mode failed: $what" >&2
		exit 1
	}
}

# The same, for settings that must be refused with these words.
refused() {
	words=$1
	shift
	if ansible-playbook -i inventory.local.yml --check "$@" >"$log" 2>&1 || ! grep -q -e "$words" "$log"; then
		cat "$log"
		echo "not refused with the words \"$words\"" >&2
		exit 1
	fi
}

play "every part of role host" host.yml -e '{"host_isolated_cores": "1", "host_interfaces": ["lo"],
	"host_devices": [{"address": "0000:00:00.0", "driver": "vfio-pci"}]}'
refused "host_isolated_cores" host.yml -e host_isolated_cores=many
play "installation of a package" site.yml -e "meltemi_deb=$log.deb" -e host_hugepages_mb=0
for names in '"name": "policy"' '"name": "a.yaml", "content": {}}, {"name": "a.yaml"'; do
	refused "each name may be there once" site.yml -e host_hugepages_mb=0 -e "{\"meltemi_package\": \"none\",
		\"meltemi_daemon\": \"/bin/true\", \"meltemi_directory\": \"$log.etc\", \"meltemi_documents\": [{$names, \"content\": {}}]}"
done
other="\"meltemi_package\": \"none\", \"meltemi_service\": \"none\", \"meltemi_start_command\": \"true\", \"meltemi_daemon\": \"/bin/true\",
	\"meltemi_shell\": \"/bin/false\", \"meltemi_directory\": \"$log.etc\""
play "a new host without a package" site.yml --diff -e host_hugepages_mb=0 -e "{$other, \"meltemi_stop_command\": \"true\",
	\"meltemi_node\": {\"spec\": {}}, \"meltemi_documents\": [{\"name\": \"a.yaml\", \"content\": {}}]}"
grep -q "the new configuration is not checked" "$log" || { cat "$log"; echo "nothing tells that the configuration is not checked" >&2; exit 1; }
printf -- '- hosts: all\n  gather_facts: false\n  tasks: [{ansible.builtin.include_role: {name: node, tasks_from: restart.yml}}]\n' >"$log.yml"
began=$(date +%s)
if ANSIBLE_ROLES_PATH=roles ansible-playbook -i inventory.local.yml "$log.yml" -e "{$other, \"meltemi_stop_command\": \"sleep 300\",
	\"meltemi_command_seconds\": 1}" >"$log" 2>&1 || [ $(($(date +%s) - began)) -gt 60 ]; then
	cat "$log"
	echo "a stop command that never ends is not ended" >&2
	exit 1
fi
mkdir -p "$log.etc/services"
play "a Node document with a token" site.yml --diff -e host_hugepages_mb=0 -e "{\"meltemi_package\": \"none\", \"meltemi_service\": \"none\",
	\"meltemi_start_command\": \"true\", \"meltemi_stop_command\": \"true\", \"meltemi_daemon\": \"/bin/true\", \"meltemi_directory\": \"$log.etc\",
	\"meltemi_node\": {\"spec\": {\"otlp\": {\"headers\": {\"authorization\": \"of-the-collector\"}}}}}"
if grep -q of-the-collector "$log" || ! grep -q "node.yaml differs" "$log"; then
	cat "$log"
	echo "the token of a Node document is shown, or its difference is not reported" >&2
	exit 1
fi
play "upgrade from source" upgrade.yml -e '{"meltemi_package": "none", "upgrade_install_command": "true", "upgrade_rollback_command": "true"}'
play "removal" remove.yml --limit localhost -e '{"meltemi_remove_host": true}'
echo "ansible: lint clean, check mode ran"
