/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks what the Node document needs from the machine, as far as that is possible without a start.
 * Contradictions in the document, and with the profiles in pmd-config, are errors. What this
 * machine lacks is a warning, because the document may be for another one.
 */
#include "daemon.h"

#include "mt_l4.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* The line of the field whose name lib/port returned. */
static uint32_t line_of(const struct mt_node_port *p, const char *field)
{
	if (strcmp(field, "profile") == 0)
		return p->profile.line;
	if (strcmp(field, "mtu") == 0)
		return p->mtu.line;
	if (strcmp(field, "kernelAddresses") == 0)
		return p->n_kernel_addresses ? p->kernel_addresses[0].line
					     : p->kernel_routes[0].line;
	return p->device.line;
}

static void check_port(const struct mt_node *n, uint32_t i, struct mt_diags *diags)
{
	const struct mt_node_port *p = &n->ports[i];
	const struct mt_port_conf c = {.name = p->name.s,
		.device = p->device.s,
		.profile = p->profile.s,
		.mtu = (uint16_t)p->mtu.v,
		.n_kernel_addresses = p->n_kernel_addresses,
		.n_kernel_routes = p->n_kernel_routes};
	const char *field;
	struct mt_err e;
	char path[64];

	if (mt_port_check(&c, &field, &e) == 0)
		return;
	snprintf(path, sizeof(path), "spec.ports[%u].%s", i, field);
	mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){p->origin.file, line_of(p, field)},
		path, NULL, "%s", e.text);
}

/*
 * Finds a device that is named twice. In "net_tap0,iface=a" the device is net_tap0; the EAL makes
 * one of each name.
 */
static void check_twice(const struct mt_node *n, uint32_t i, struct mt_diags *diags)
{
	const char *device = n->ports[i].device.s;
	size_t len = strcspn(device, ",");

	for (uint32_t k = 0; k < i; k++) {
		const struct mt_text *other = &n->ports[k].device;
		char path[64];

		if (strcspn(other->s, ",") != len || strncmp(other->s, device, len) != 0)
			continue;
		snprintf(path, sizeof(path), "spec.ports[%u].device", i);
		mt_diag_add(diags, MT_DIAG_ERROR,
			(struct mt_origin){n->ports[i].origin.file, n->ports[i].device.line}, path,
			"give each port a device of its own; virtual ones differ by their number",
			"%.*s is the device of the port on line %u already", (int)len, device,
			n->ports[k].origin.line);
		return;
	}
}

/* The value of iface= in a device string. Returns its length; 0: none. */
static size_t interface_of(const char *device, const char **name)
{
	const char *at = strstr(device, ",iface=");

	*name = at ? at + strlen(",iface=") : "";
	return strcspn(*name, ",");
}

/*
 * Finds two ports on one interface and VLAN: both would receive every frame and answer it. With
 * different VLANs each receives its own.
 */
static void check_shared(const struct mt_node *n, uint32_t i, struct mt_diags *diags)
{
	const struct mt_node_port *p = &n->ports[i];
	const char *name, *other;
	size_t len = interface_of(p->device.s, &name);
	char path[64];

	for (uint32_t k = 0; k < i && len; k++) {
		if (n->ports[k].vlan.v != p->vlan.v ||
			interface_of(n->ports[k].device.s, &other) != len ||
			strncmp(name, other, len) != 0)
			continue;
		snprintf(path, sizeof(path), "spec.ports[%u].device", i);
		mt_diag_add(diags, MT_DIAG_ERROR,
			(struct mt_origin){p->origin.file, p->device.line}, path,
			"give each port an interface or a vlan of its own; one port may have "
			"several "
			"addresses",
			"interface %.*s is that of the port on line %u already", (int)len, name,
			n->ports[k].origin.line);
		return;
	}
}

static void check_cores(const struct mt_node *n, struct mt_diags *diags)
{
	cpu_set_t here;

	if (sched_getaffinity(0, sizeof(here), &here) != 0)
		return;
	for (uint32_t i = 0; i < n->n_cores; i++) {
		char path[32];

		if (n->cores[i].v < CPU_SETSIZE && CPU_ISSET(n->cores[i].v, &here))
			continue;
		snprintf(path, sizeof(path), "spec.cores[%u]", i);
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, n->cores[i].line}, path,
			"`lscpu -e` shows the cores, `taskset -p $$` those that are allowed",
			"this machine has no core %u, or it may not be used", n->cores[i].v);
	}
	if (!n->n_cores && n->workers.v > (uint32_t)CPU_COUNT(&here))
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, n->workers.line}, "spec.workers",
			"one worker for each core at most",
			"%u workers would share the %d cores of this machine", n->workers.v,
			CPU_COUNT(&here));
}

/* True if buffers of this size are in hugepages, which no memory.max counts. */
static bool in_hugepages(const struct mt_node *n)
{
	if (n->memory.hugepages.v != MT_HUGEPAGES_AUTO)
		return n->memory.hugepages.v == MT_HUGEPAGES_ON;
	/* Count used hugepages, too, because a running daemon has taken some already. */
	return mt_hugepages_all("/sys") >= n->memory.mb.v;
}

/* Memory of a node without documents and buffers, and of a cluster (docs/how-to/sizing.md). */
#define PROGRAM_BYTES (44ull << 20)
#define CLUSTER_BYTES 4037ull

void check_memory_use(const struct mt_node *n, const struct mt_snapshot *s, struct memory_use *u)
{
	*u = (struct memory_use){.hugepages = in_hugepages(n),
		.buffers = buffer_bytes(n),
		.program = PROGRAM_BYTES + s->n_clusters * CLUSTER_BYTES,
		.connections = (connection_bytes() * n->connections.v + worker_log_bytes(s)) *
			       n->workers.v};
	if (s->n_forwards)
		u->flows = mt_l4_flow_bytes() * n->flows.v * n->workers.v;
}

static void check_memory(const struct mt_node *n, struct mt_diags *diags)
{
	struct mt_memory_bound most;

	mt_memory_most("/proc", "/sys", in_hugepages(n), &most);
	if (n->memory.mb.v > most.mb)
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, n->memory.mb.line},
			"spec.memory.mb",
			most.cgroup ? "raise the cgroup's limit (`systemctl edit meltemid`), or "
				      "use hugepages, which it does not count"
				    : "leave memory for the rest of the machine",
			"%s has %u MiB", most.of, most.mb);
}

/* True if an entry names the file or directory, or a file in it. */
static bool is_named(const struct mt_diags *diags, const char *path)
{
	size_t len = strlen(path);

	for (uint32_t i = 0; i < diags->n; i++) {
		const char *file = diags->items[i].origin.file;

		if (file && strncmp(file, path, len) == 0 && (!file[len] || file[len] == '/'))
			return true;
	}
	return false;
}

void check_partial(const struct mt_source_reading *r, struct mt_diags *diags)
{
	for (uint32_t i = 0; i < r->n_partial; i++)
		if (!is_named(diags, r->partial[i]))
			mt_diag_add(diags, MT_DIAG_ERROR, (struct mt_origin){r->partial[i], 0},
				NULL, "check again when it is written",
				"it changed while it was read");
}

void check_connections(const struct mt_node *n, const struct mt_snapshot *s, struct mt_diags *diags)
{
	static const char remedy[] = "a node with so little memory left refuses to start with this";
	struct mt_err e;

	if (connections_fit(n, s, &e))
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, n->connections.line},
			"spec.connections", remedy, "%s", e.text + strlen("spec.connections: "));
	if (flows_fit(n, &e))
		mt_diag_add(diags, MT_DIAG_MACHINE,
			(struct mt_origin){n->meta.origin.file, n->flows.line}, "spec.flows",
			remedy, "%s", e.text + strlen("spec.flows: "));
}

static void check_output(const struct mt_access_output *o, struct mt_diags *diags)
{
	char directory[PATH_MAX];
	struct stat st;

	if (!o->place.path)
		return;
	snprintf(directory, sizeof(directory), "%s/%s", o->place.directory, o->place.path);
	*strrchr(directory, '/') = '\0';
	if (stat(directory, &st) == 0 && S_ISDIR(st.st_mode))
		return;
	mt_diag_add(diags, MT_DIAG_MACHINE, o->origin, o->field,
		"make it, so that the daemon may write there",
		"there is no directory %.256s: no line is written", directory);
}

void check_access_log(const struct mt_snapshot *s, struct mt_diags *diags)
{
	for (uint32_t i = 0; s && s->log && i < s->log->n_outputs; i++)
		check_output(&s->log->outputs[i], diags);
}

static bool is_at(const struct mt_workload *w, const struct mt_addr *a)
{
	return w->origin.file && mt_addr_eq(&w->address, a);
}

/* The workload of a document with this address; NULL: a discovery server or DNS has named it. */
static const struct mt_workload *workload_at(const struct mt_model *m, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < m->service_entries.n; i++) {
		const struct mt_service_entry *se = m->service_entries.v[i];

		for (uint32_t k = 0; k < se->n_endpoints; k++)
			if (is_at(&se->endpoints[k], a))
				return &se->endpoints[k];
	}
	for (uint32_t i = 0; i < m->workload_entries.n; i++) {
		const struct mt_workload_entry *we = m->workload_entries.v[i];

		if (is_at(&we->w, a))
			return &we->w;
	}
	return NULL;
}

void check_reach(const struct mt_model *m, const struct mt_snapshot *s, struct mt_diags *diags)
{
	const struct mt_node *n = m->node;
	const struct mt_workload *w;
	const struct mt_cluster *of = NULL;
	const struct mt_addr *first = NULL;
	char text[MT_ADDR_STRLEN], place[320] = "";
	uint32_t lost = 0;

	for (uint32_t i = 0; i < s->n_clusters; i++)
		for (uint32_t k = 0; k < s->clusters[i].n_eps; k++) {
			if (mt_node_reaches(n, &s->clusters[i].eps[k].addr))
				continue;
			lost++;
			if (first)
				continue;
			of = &s->clusters[i];
			first = &of->eps[k].addr;
		}
	if (!first)
		return;
	w = workload_at(m, first);
	if (w)
		snprintf(place, sizeof(place), " (%.256s:%u)", w->origin.file, w->origin.line);
	mt_diag_object(diags, MT_DIAG_WARNING, &n->meta,
		n->n_routes ? n->routes[0].origin.line : n->meta.origin.line, "spec.routes",
		"write a route to it, or correct the networks of spec.ports",
		"no port and no route leads to %s of %s%s, and %u endpoints in all: calls go to "
		"them only if their clusters have no others, and fail",
		mt_addr_str(first, text), of->name, place, lost);
}

void check_sources(const struct daemon *d, const struct mt_node *n, struct mt_diags *diags)
{
	if (!n->n_sources && !d->args.n_dirs)
		mt_diag_object(diags, MT_DIAG_WARNING, &n->meta, n->meta.origin.line,
			"spec.sources", "write sources: [{directory: /etc/meltemi/services}]",
			"there are neither directories nor discovery servers: nothing is served");
}

void check_shell(const struct mt_node *n, struct mt_diags *diags)
{
	if (!n->admin.socket.s && !n->admin.tls)
		mt_diag_object(diags, MT_DIAG_NOTE, &n->meta, n->meta.origin.line,
			"spec.admin.socket", "write admin: {socket: /run/meltemi/admin.sock}",
			"no admin socket: meltemi cannot operate this node, and so not drain it");
}

void check_machine(const struct mt_node *n, struct mt_diags *diags)
{
	for (uint32_t i = 0; i < n->n_ports; i++) {
		check_port(n, i, diags);
		check_twice(n, i, diags);
		check_shared(n, i, diags);
	}
	check_cores(n, diags);
	check_memory(n, diags);
}
