#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Takes the place of systemctl where systemd does not run: records each call, and starts and stops the command of the unit meltemid
# with the directories, user, capabilities and filters that the unit and its drop-ins ask for. The real program enables and disables
# units, for which it needs no systemd. All other verbs succeed.
set -eu
unit=/lib/systemd/system/meltemid.service
echo "$*" >>/standin/calls
words=
for word; do
	case $word in
	-*) ;;
	preset | enable | disable | mask | unmask) SYSTEMD_OFFLINE=1 exec /bin/systemctl "$@" ;;
	*) words="$words $word" ;;
	esac
done
# shellcheck disable=SC2086
set -- $words
verb=${1-}
running() { [ -e /standin/pid ] && kill -0 "$(cat /standin/pid)" 2>/dev/null; }

start() {
	running && return
	command=$(sed -n 's/^ExecStart=//p' $unit)
	for kind in Runtime:run State:var/lib Logs:var/log; do
		name=$(sed -n "s/^${kind%%:*}Directory=//p" $unit)
		mode=$(sed -n "s/^${kind%%:*}DirectoryMode=//p" $unit)
		mkdir -p -m "$mode" "/${kind#*:}/$name"
		chown -R "$(sed -n 's/^User=//p' $unit):" "/${kind#*:}/$name"
	done
	set -- /etc/systemd/system/meltemid.service.d/*.conf
	[ -e "$1" ] || shift
	# shellcheck disable=SC2086
	RUNTIME_DIRECTORY=/run/meltemi setsid python3 -B /standin/unit_rights.py start "$(id -u "$(sed -n 's/^User=//p' $unit)")" $unit "$@" -- $command \
		>>/standin/log 2>&1 </dev/null &
	echo $! >/standin/pid
	until meltemi show version >/dev/null 2>&1; do
		running || exit 1
		sleep 0.1
	done
}

stop() {
	! running || kill "$(cat /standin/pid)"
	while running; do sleep 0.1; done
	rm -rf /standin/pid /run/meltemi
}

case "$verb ${2-}" in
"is-enabled "*) [ -e /etc/systemd/system/multi-user.target.wants/meltemid.service ] && echo enabled ;;
"is-active "*) running ;;
"start meltemid"*) start ;;
"stop meltemid"*) stop ;;
"restart meltemid"*) stop && start ;;
esac
