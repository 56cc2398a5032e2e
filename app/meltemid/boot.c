/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which subsystems are started, as one list. They are stopped in reverse order. */
#include "daemon.h"

#include <errno.h>
#include <time.h>

struct room {
	const char *name;
	int (*start)(struct daemon *d, struct mt_err *e);
	void (*stop)(struct daemon *d);
	bool check; /* also for --check */
	int code;   /* exit code when it does not start */
};

static const struct room rooms[] = {
	/* locked memory for keys, before the first one is read */
	{"keys", keys_start, keys_stop, true, EXIT_RUN},
	/* drops the privileges that no port needs, before documents are read */
	{"needs", needs_start, needs_stop, true, EXIT_RUN},
	/* documents, checked and compiled */
	{"config", config_start, config_stop, true, EXIT_CONFIG},
	/* from here on, configurations in force can be restored */
	{"history", history_start, history_stop, true, EXIT_RUN},
	/* tests that the state directory can be written */
	{"state", state_start, state_stop, false, EXIT_RUN},
	/* a thread that waits for disks */
	{"service", service_start, service_stop, false, EXIT_RUN},
	/* the service thread reads the node's identities from here on */
	{"identity", identity_start, identity_stop, false, EXIT_RUN},
	/*
	 * the hosts that were served, before the publish takes addresses from hosts that have gone
	 */
	{"ready", ready_start, ready_stop, false, EXIT_RUN},
	/* hugepages, EAL, clock */
	{"memory", memory_start, memory_stop, false, EXIT_RUN},
	/* devices, buffers, queues */
	{"ports", ports_start, ports_stop, false, EXIT_RUN},
	/* the port of all virtual machines; they are attached when workers run */
	{"guests", guests_start, guests_stop, false, EXIT_RUN},
	/* the eventfd by which workers wake the control thread */
	{"wake", wake_start, wake_stop, false, EXIT_RUN},
	/* sockets for DNS; workers get rings to them */
	{"dns", dns_start, dns_stop, false, EXIT_RUN},
	/* addresses, routes, VIPs */
	{"net", net_start, net_stop, false, EXIT_RUN},
	/* threads for handshakes, ciphers of workers */
	{"tls", tls_start, tls_stop, false, EXIT_RUN},
	/* threads that verify tokens, and fetch the keys for that */
	{"tokens", tokens_start, tokens_stop, false, EXIT_RUN},
	/* rings for the access log; threads that write it start with the first log */
	{"access log", access_log_start, access_log_stop, false, EXIT_RUN},
	{"workers", workers_start, workers_stop, false, EXIT_RUN},
	/* the first snapshot, before any worker runs */
	{"publish", publish_start, publish_stop, false, EXIT_RUN},
	/* signals, directory watch */
	{"control", control_start, control_stop, false, EXIT_RUN},
	/* connects to discovery servers */
	{"xds", mesh_start, mesh_stop, false, EXIT_RUN},
	/* admin socket, HTTP */
	{"admin", admin_start, admin_stop, false, EXIT_RUN},
	/* drops the privileges that were needed to open ports and sockets */
	{"rights", rights_start, rights_stop, false, EXIT_RUN},
	/* from here on workers process packets */
	{"launch", launch_start, launch_stop, false, EXIT_RUN},
	/* applies overrides of worker settings */
	{"override", override_start, override_stop, false, EXIT_RUN},
	/* reports to the service manager when workers run */
	{"notify", notify_start, notify_stop, false, EXIT_RUN},
};

/* How long each step of a restart takes (tests/smoke/restart_is_short.py). */
static void trace(const char *what, const char *name)
{
	struct timespec cpu = {0};

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
	mt_log(MT_LOG_DEBUG, "boot", "%s %s: %lld ms of CPU time since the start of the process",
		what, name, (long long)cpu.tv_sec * 1000 + cpu.tv_nsec / 1000000);
}

static void stop_below(struct daemon *d, size_t n)
{
	while (n-- > 0) {
		if (d->args.check && !rooms[n].check)
			continue;
		rooms[n].stop(d);
		trace("stopped", rooms[n].name);
	}
}

int boot_start(struct daemon *d)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rooms); i++) {
		struct mt_err e = {""};

		if (d->args.check && !rooms[i].check)
			continue;
		if (rooms[i].start(d, &e) == 0) {
			trace("started", rooms[i].name);
			continue;
		}
		if (e.text[0])
			mt_log(MT_LOG_ERROR, "boot", "%s: %s", rooms[i].name, e.text);
		/* Each stop function copes with a subsystem that was only partly started. */
		stop_below(d, i + 1);
		return rooms[i].code;
	}
	if (d->args.check)
		stop_below(d, MT_ARRAY_LEN(rooms));
	return EXIT_OK;
}

void boot_stop(struct daemon *d)
{
	stop_below(d, MT_ARRAY_LEN(rooms));
}
