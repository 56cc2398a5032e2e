/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"
#include "options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char usage[] =
	"usage: meltemi [-s SOCKET] doctor [--json] [--all]\n"
	"\n"
	"Examines the running daemon and the host under it, and names a remedy for each thing\n"
	"that is not as it should be. Without a daemon it examines the host alone.\n"
	"\n"
	"      --all        also what is all right\n"
	"      --json       the findings as JSON\n"
	"      --root DIR   the host's files are below DIR (/proc, /sys)\n"
	"\n"
	"Exit status: 0 no fault (there may be warnings), 1 a fault, 2 bad usage.\n";

static const char *const states[] = {"ok", "note", "warning", "fault"};

static const struct {
	const char *name;
	doctor_check_fn *run;
	const char *fine;
	bool of_cores; /* skipped while the workers' cores are unknown */
} checks[] = {
	{"hugepages", doctor_pages, "set aside", false},
	{"cpu quota", doctor_quota, "none", false},
	{"clock", doctor_clock, "the TSC, and kept right", false},
	{"steal", doctor_steal, "the processors are this host's own", false},
	{"isolation", doctor_isolation, "the workers' cores are theirs alone", true},
	{"sleep states", doctor_sleep, "shallow, and at full speed", true},
	{"siblings", doctor_siblings, "no two workers share a physical core", true},
	{"devices", doctor_pci, "drivers and NUMA nodes fit", false},
	{"iommu", doctor_iommu, "on, or not needed", false},
	{"interfaces", doctor_interfaces, "the kernel's interfaces under the ports are up", false},
};

void doctor_found(struct doctor *d, enum doctor_state s, const char *about, const char *remedy,
	const char *fmt, ...)
{
	char text[512];
	va_list ap;

	d->n += s != DOCTOR_OK;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_array_append_new(d->list,
		json_pack("{s:s, s:s, s:s, s:s, s:n, s:s?}", "check", d->check, "state", states[s],
			"about", about, "words", text, "also_counted", "remedy", remedy));
}

/* ---- the daemon ----------------------------------------------------------------------------- */

void doctor_take_node(struct doctor *d, const json_t *node)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(node, "cores"), i, row) if (d->n_cores < DOCTOR_CORES)
		d->cores[d->n_cores++] = (uint32_t)json_integer_value(row);
	json_array_foreach(json_object_get(node, "ports"), i, row)
	{
		struct doctor_port *p = &d->ports[d->n_ports];

		if (d->n_ports == DOCTOR_PORTS)
			break;
		d->n_ports++;
		snprintf(p->name, sizeof(p->name), "%s", text_in(row, "name"));
		snprintf(p->device, sizeof(p->device), "%s", text_in(row, "device"));
		snprintf(p->interface, sizeof(p->interface), "%s", text_in(row, "interface"));
	}
}

/* Reports why the daemon's findings are missing. */
static void no_answer(struct doctor *d, const char *socket, int why)
{
	if (why == EAGAIN)
		doctor_found(d, DOCTOR_FAULT, socket,
			"`ps -C meltemid -o pid,stat,wchan:20` shows whether it is stopped (T); "
			"restart it if it stays so; here the host alone was examined",
			"a daemon is there, and does not answer: it hangs, is stopped, or is busy");
	else if (why == EACCES || why == EPERM)
		doctor_found(d, DOCTOR_FAULT, socket,
			"use sudo, or a user of the socket's group; here the host alone was "
			"examined",
			"this user may not open the daemon's socket");
	else
		doctor_found(d, DOCTOR_FAULT, socket,
			"start meltemid, or name its admin.socket by -s; here the host alone was "
			"examined",
			"no daemon answers");
}

static void ask_daemon(struct doctor *d, const char *socket)
{
	struct client c = {.fd = -1};
	json_t *answer = NULL;
	char *body = NULL;

	if (client_open(&c, socket) && client_ask(&c, "--json show health", &body) == EXIT_DONE)
		answer = json_loads(body, 0, NULL);
	free(body);
	client_close(&c);
	d->check = "daemon";
	d->daemon = json_is_array(json_object_get(answer, "health"));
	if (d->daemon) {
		json_array_extend(d->list, json_object_get(answer, "health"));
		doctor_take_node(d, json_object_get(answer, "node"));
	} else {
		no_answer(d, socket, c.failed);
	}
	json_decref(answer);
}

/* ---- the report ----------------------------------------------------------------------------- */

static void examine_host(struct doctor *d)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(checks); i++) {
		if (checks[i].of_cores && d->n_cores == 0)
			continue;
		d->check = checks[i].name;
		d->n = 0;
		checks[i].run(d);
		if (d->n == 0)
			doctor_found(d, DOCTOR_OK, "", NULL, "%s", checks[i].fine);
	}
}

static void print_row(const json_t *row, const char *state)
{
	const char *about = json_string_value(json_object_get(row, "about"));
	const char *also = json_string_value(json_object_get(row, "also_counted"));
	const char *remedy = json_string_value(json_object_get(row, "remedy"));

	printf("%-8s %-14s %s%s%s\n", state, json_string_value(json_object_get(row, "check")),
		about, about && *about ? ": " : "",
		json_string_value(json_object_get(row, "words")));
	if (also)
		printf("%-23s also counted as: %s\n", "", also);
	if (remedy)
		printf("%-23s remedy: %s\n", "", remedy);
}

/*
 * Prints the findings, faults first; those that are all right only with `all`. Returns the number
 * of faults.
 */
static uint32_t print_all(const struct doctor *d, bool all)
{
	uint32_t n[4] = {0};
	json_t *row;
	size_t i;

	for (int s = DOCTOR_FAULT; s >= DOCTOR_OK; s--) {
		json_array_foreach(d->list, i, row)
		{
			const char *state = json_string_value(json_object_get(row, "state"));

			if (!state || strcmp(state, states[s]) != 0)
				continue;
			n[s]++;
			if (all || s != DOCTOR_OK)
				print_row(row, state);
		}
	}
	printf("faults: %u, warnings: %u, notes: %u, all right: %u\n", n[DOCTOR_FAULT],
		n[DOCTOR_WARNING], n[DOCTOR_NOTE], n[DOCTOR_OK]);
	return n[DOCTOR_FAULT];
}

static uint32_t print_json(const struct doctor *d)
{
	json_t *row, *all = json_pack("{s:O}", "findings", d->list);
	uint32_t faults = 0;
	size_t i;

	json_array_foreach(d->list, i, row)
	{
		const char *state = json_string_value(json_object_get(row, "state"));

		faults += state && strcmp(state, states[DOCTOR_FAULT]) == 0;
	}
	screen_json(all);
	return faults;
}

json_t *doctor_findings(const char *socket)
{
	struct doctor d = {.root = "", .list = json_array()};

	ask_daemon(&d, socket);
	examine_host(&d);
	return json_pack("{s:o}", "findings", d.list);
}

int doctor_run(int argc, char **argv, const char *socket, bool json)
{
	struct doctor d = {.root = "", .list = json_array()};
	bool all = false;
	const struct option_row options[] = {
		{"root", .text = &d.root}, {"json", .flag = &json}, {"all", .flag = &all}, {NULL}};
	uint32_t faults;
	int code = options_read(options, NULL, true, usage, argc, argv);

	if (code < 0 && optind < argc)
		code = options_wrong(usage);
	if (code < 0) {
		ask_daemon(&d, socket);
		examine_host(&d);
		faults = json ? print_json(&d) : print_all(&d, all);
		code = faults ? EXIT_REFUSED : EXIT_DONE;
	}
	json_decref(d.list);
	return code;
}
