# SPDX-License-Identifier: Apache-2.0
# Completion of meltemid(8) for bash.
_meltemid() {
	local words='-c --config -d --directory --check --strict --json --analyse --principal --from --metrics --commands --complete
		--rights --unit --udev --log-level --log-format --log-time --core-files --no-seccomp -h --help -V --version'
	COMPREPLY=()
	case ${COMP_WORDS[COMP_CWORD - 1]} in
	-c | --config) compopt -o default && return ;;
	-d | --directory) compopt -o dirnames && return ;;
	--principal | --from) return ;;
	--log-level) words='error warn info debug' ;;
	--log-format) words='text json' ;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}")
}
complete -F _meltemid meltemid
