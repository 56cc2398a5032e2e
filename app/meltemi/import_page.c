/* SPDX-License-Identifier: Apache-2.0 */
/* One page: counts, services by status, objects by reason. */
#include "import.h"

#include "import_groups.h"

#include "mt_log.h"
#include "mt_strmap.h"

#include <string.h>

#define SERVED	 20 /* rows; --all prints all */
#define ROWS	 10 /* for services that are not served, and for files */
#define PORTS	 4
#define HOST_MAX 60

/* ---- counts ---------------------------------------------------------------------------------- */

static uint32_t count(const json_t *list, const char *status)
{
	json_t *row;
	uint32_t n = 0;
	size_t i;

	json_array_foreach(list, i, row) n += strcmp(text_in(row, "status"), status) == 0;
	return n;
}

/* The statuses of services, in the order of output. */
static const struct {
	const char *status, *words, *heading;
} kinds[] = {
	{"served", "served", "Served"},
	{"closed", "closed",
		"Closed: calls are denied, because an object that restricts the service cannot be "
		"evaluated here. Fix or withdraw it, or, if\nit is not refused, list it in the "
		"Node's `unenforced`, until a day"},
	{"no endpoints", "without endpoints",
		"Without endpoints to call: none was read (EndpointSlices, Endpoints, Pods, "
		"WorkloadEntries, endpoints of a ServiceEntry),\nor all of them expect mTLS, which "
		"needs the Node's `identity`; a discovery server may send more"},
	{"needs node identity", "for members of the mesh",
		"For clients that may use the node's identity (the Node's `mesh.nodeIdentityUse`): "
		"their endpoints expect mTLS"},
};

/* Prints "3 services: 2 served, 1 closed". */
static void put_services_count(const json_t *services, FILE *out)
{
	size_t all = json_array_size(services);
	const char *before = ": ";

	fprintf(out, "%zu service%s", all, all == 1 ? "" : "s");
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		uint32_t n = count(services, kinds[i].status);

		if (n)
			fprintf(out, "%s%u %s", before, n, kinds[i].words);
		before = n ? ", " : before;
	}
	fputc('\n', out);
}

static void put_counts(const struct import *m, FILE *out)
{
	const json_t *objects = json_object_get(m->report, "objects");
	const char *before = ": ";

	fprintf(out, "%zu object%s", json_array_size(objects),
		json_array_size(objects) == 1 ? "" : "s");
	for (int s = 0; s < MT_OBJECT_STATUSES; s++) {
		const char *word = mt_object_status_str((enum mt_object_status)s);
		uint32_t n = count(objects, word);

		if (n)
			fprintf(out, "%s%u %s", before, n, word);
		before = n ? ", " : before;
	}
	fputc('\n', out);
	put_services_count(json_object_get(m->report, "services"), out);
}

/* ---- services -------------------------------------------------------------------------------- */

/* "10.96.102.7"; with several addresses the first, and how many more. */
static void put_address(const json_t *ports, char *buf, size_t size)
{
	const json_t *first = json_array_get(ports, 0);
	const char *address = text_in(first, "address");
	uint32_t more = 0;
	json_t *row;
	size_t i;

	/* Rows of one port are adjacent, and every address has every port. */
	json_array_foreach(ports, i, row) more +=
		strcmp(text_in(row, "address"), address) != 0 &&
		json_equal(json_object_get(row, "port"), json_object_get(first, "port"));
	if (more)
		snprintf(buf, size, "%s +%u", address, more);
	else
		snprintf(buf, size, "%s", *address ? address : "-");
}

/* Formats "20880 dubbo, 22222 tcp". */
static void put_ports(const json_t *ports, bool all, char *buf, size_t size)
{
	const char *first = text_in(json_array_get(ports, 0), "address");
	uint32_t n = 0, more = 0;
	size_t len = 0, i;
	json_t *row;

	snprintf(buf, size, "-");
	json_array_foreach(ports, i, row)
	{
		if (strcmp(text_in(row, "address"), first) != 0)
			continue;
		if ((!all && n == PORTS) || len + 40 >= size) {
			more++;
			continue;
		}
		len += (size_t)snprintf(buf + len, size - len, "%s%lld %.20s", n++ ? ", " : "",
			(long long)json_integer_value(json_object_get(row, "port")),
			text_in(row, "protocol"));
	}
	if (more && len < size)
		snprintf(buf + len, size - len, " +%u", more);
}

/* Widths of the columns of host, address and ports. */
struct widths {
	int host, address, ports;
};

struct cells {
	char host[HOST_MAX * 4 + 1], address[64], ports[512];
};

static void fill(struct cells *c, const json_t *row, bool all)
{
	const json_t *ports = json_object_get(row, "ports");

	(void)mt_escape(c->host, sizeof(c->host), text_in(row, "host"));
	put_address(ports, c->address, sizeof(c->address));
	put_ports(ports, all, c->ports, sizeof(c->ports));
}

static void widen(struct widths *w, const struct cells *c)
{
	w->host = MT_MAX(w->host, MT_MIN((int)strlen(c->host), HOST_MAX));
	w->address = MT_MAX(w->address, (int)strlen(c->address));
	w->ports = MT_MAX(w->ports, MT_MIN((int)strlen(c->ports), HOST_MAX));
}

/*
 * Collects by host the objects to mention next to a service that is served. Those that fail closed
 * deny some of its calls. A PeerAuthentication for its own sidecars may require more of callers
 * than this node offers: such calls are not denied here, but fail.
 */
static void find_concerns(const struct import *m, struct mt_strmap *concerns)
{
	json_t *row, *host;
	size_t i, k;

	json_array_foreach(json_object_get(m->report, "objects"), i, row)
	{
		bool elsewhere = strcmp(text_in(row, "status"), "elsewhere") == 0 &&
				 strcmp(text_in(row, "kind"), "PeerAuthentication") == 0;

		if (!elsewhere && strcmp(text_in(row, "status"), "fail-closed") != 0)
			continue;
		json_array_foreach(json_object_get(row, "touches"), k, host)(void)
			mt_strmap_put(concerns, json_string_value(host), row, NULL);
	}
}

static void put_served(const json_t *row, const json_t *concern, FILE *out)
{
	json_int_t n = json_integer_value(json_object_get(row, "instances"));
	const char *by = text_in(row, "by");
	char text[1024], safe[1024];

	fprintf(out, "  %lld endpoint%s", (long long)n, n == 1 ? "" : "s");
	if (*by) {
		(void)mt_escape(safe, sizeof(safe), by);
		fprintf(out, ", in part closed by %s", safe);
	} else if (concern) {
		snprintf(text, sizeof(text), "%s %s/%s", text_in(concern, "kind"),
			text_in(concern, "namespace"), text_in(concern, "name"));
		(void)mt_escape(safe, sizeof(safe), text);
		fprintf(out, ", but see %s", safe);
	}
}

static void put_service(const json_t *row, const struct widths *w, const struct mt_strmap *concerns,
	bool all, FILE *out)
{
	bool served = strcmp(text_in(row, "status"), "served") == 0;
	const char *by = text_in(row, "by");
	struct cells c;

	fill(&c, row, all);
	fprintf(out, "  %-*s  %-*s  %-*s", w->host, c.host, w->address, c.address,
		served || *by ? w->ports : 0, c.ports);
	if (served) {
		put_served(row, mt_strmap_get(concerns, text_in(row, "host")), out);
	} else if (*by) {
		(void)mt_escape(c.host, sizeof(c.host), by);
		fprintf(out, "  by %s", c.host);
	}
	fputc('\n', out);
}

/* The services of one status that are shown, in a new array. */
static json_t *shown(const struct import *m, const char *status)
{
	size_t most = strcmp(status, "served") == 0 ? SERVED : ROWS, i;
	json_t *all = json_array(), *row;

	json_array_foreach(json_object_get(m->report, "services"), i,
		row) if (strcmp(text_in(row, "status"), status) == 0 &&
			 (m->all || json_array_size(all) < most)) json_array_append(all, row);
	return all;
}

/* Prints the services of one status, with a heading. */
static void put_services(const struct import *m, const char *status, const char *heading,
	const struct mt_strmap *concerns, FILE *out)
{
	uint32_t all = count(json_object_get(m->report, "services"), status);
	json_t *rows = shown(m, status), *row;
	struct widths w = {0};
	struct cells c;
	size_t i;

	if (all)
		fprintf(out, "\n%s\n", heading);
	json_array_foreach(rows, i, row)
	{
		fill(&c, row, m->all);
		widen(&w, &c);
	}
	json_array_foreach(rows, i, row) put_service(row, &w, concerns, m->all, out);
	if (all > json_array_size(rows))
		fprintf(out, "  and %zu more (--all)\n", all - json_array_size(rows));
	json_decref(rows);
}

/* ---- the rest -------------------------------------------------------------------------------- */

static void put_files(const struct import *m, FILE *out)
{
	const json_t *files = json_object_get(m->report, "files");
	json_t *row;
	size_t i;

	if (json_array_size(files))
		fputs("\nFiles\n", out);
	json_array_foreach(files, i, row)
	{
		char name[1024];

		if (!m->all && i >= ROWS)
			continue;
		(void)mt_escape(name, sizeof(name), text_in(row, "file"));
		fprintf(out, "  %s: %s\n", name, text_in(row, "text"));
	}
	if (!m->all && json_array_size(files) > ROWS)
		fprintf(out, "  and %zu more (--all)\n", json_array_size(files) - ROWS);
}

/* Mentions Node documents among the inputs, which have their own sources. */
static void put_nodes(const struct import *m, FILE *out)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(m->report, "nodes"), i, row)
	{
		char name[1024];

		(void)mt_escape(name, sizeof(name), text_in(row, "file"));
		fprintf(out,
			"\nA Node document is among them, and is not checked here: `meltemid -c %s "
			"--check` does that.\n",
			name);
	}
}

static void put_end(const struct import *m, FILE *out)
{
	bool proposed = strstr(m->node, "# unenforced:") || strstr(m->node, "# mesh:") ||
			strstr(m->node, "# labels:");

	if (!m->out) {
		fprintf(out, "\n`-o NODE.yaml` writes the Node document to start with%s.\n",
			proposed ? ", with proposals as comments" : "");
		return;
	}
	fprintf(out, "\nWritten: %s", m->out);
	if (m->save)
		fprintf(out, ", and copies of what it reads to %s", m->save);
	fprintf(out,
		".\nIts ports are yours to set%s. `meltemid -c %s --check` checks it, without "
		"--check it "
		"runs.\n",
		proposed ? ", its comments are proposals" : "", m->out);
}

void import_page(const struct import *m, FILE *out)
{
	struct mt_strmap concerns = {0};

	find_concerns(m, &concerns);
	put_counts(m, out);
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++)
		put_services(m, kinds[i].status, kinds[i].heading, &concerns, out);
	put_files(m, out);
	import_groups(m, out);
	put_nodes(m, out);
	put_end(m, out);
	mt_strmap_fini(&concerns);
}
