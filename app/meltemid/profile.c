/* SPDX-License-Identifier: Apache-2.0 */
/* --rights: what the service manager must grant for the ports and listeners of a Node document. */
#include "daemon.h"

#include "mt_rights_profile.h"

#include <stdio.h>
#include <string.h>

/* Returns false, and prints the reason, for a PCI device that is not on this host. */
static bool add_ports(struct mt_rights_profile *p, const struct mt_node *n, bool rows)
{
	for (uint32_t i = 0; i < n->n_ports; i++) {
		const struct mt_node_port *port = &n->ports[i];
		struct mt_err e;
		const char *because =
			mt_rights_add_port(p, port->device.s, port->profile.s, "/sys", &e);

		if (!because) {
			fprintf(stderr, "meltemid: %s:%u: port %s: %s\n", port->origin.file,
				port->device.line, port->name.s, e.text);
			return false;
		}
		if (rows)
			printf("port              %s: %s: %s\n", port->name.s, port->device.s,
				because);
	}
	return true;
}

void profile_add_listeners(struct mt_rights_profile *p, const struct mt_node *n)
{
	mt_rights_add_listener(p, n->admin.http_port);
	if (n->admin.tls)
		mt_rights_add_listener(p, n->admin.tls->port);
	if (n->dns)
		mt_rights_add_listener(p, n->dns->listen_port);
	p->view_group = n->admin.view_group.s;
}

/* Returns false, and prints the reason, if the directory has no place in the profile. */
static bool add_path(struct mt_rights_profile *p, const char *file, const char *field,
	const struct mt_text *path)
{
	char safe[256];

	if (mt_rights_add_path(p, path->s))
		return true;
	mt_escape(safe, sizeof(safe), path->s);
	fprintf(stderr,
		"meltemid: %s:%u: %s: \"%s\" is one of more than %u directories to write to: name "
		"one above several of them\n",
		file, path->line, field, safe, MT_RIGHTS_PATHS);
	return false;
}

/* The directories that the daemon writes to, if they have places. */
static bool add_paths(struct mt_rights_profile *p, const struct mt_node *n, const char *file)
{
	const struct mt_node_access_log *l = n->access_log;

	if (!add_path(p, file, "spec.stateDirectory", &n->state_dir))
		return false;
	for (uint32_t i = 0; l && i < l->n_directories; i++)
		if (!add_path(p, file, "spec.accessLog.directories", &l->directories[i]))
			return false;
	/* A joined node renews its certificate there. */
	for (uint32_t i = 0; i < n->n_sources; i++)
		if (n->sources[i].xds && !add_path(p, file, "spec.sources[].xds.identity",
						 &n->sources[i].xds->identity))
			return false;
	return true;
}

static int print(const struct args *a, const struct mt_node *n)
{
	struct mt_rights_profile p = {0};
	char safe[256];

	if (!add_ports(&p, n, !a->unit && !a->udev))
		return EXIT_RUN;
	profile_add_listeners(&p, n);
	/* The rule for udev names no directories. */
	if (!a->udev && !add_paths(&p, n, a->node))
		return EXIT_CONFIG;
	if (a->unit && mt_rights_misfit(&p)) {
		mt_escape(safe, sizeof(safe), mt_rights_misfit(&p));
		fprintf(stderr,
			"meltemid: %s: a unit cannot have \"%s\": write it without blanks, quotes, "
			"backslashes and %%\n",
			a->node, safe);
		return EXIT_CONFIG;
	}
	if (a->unit)
		mt_rights_print_unit(&p, a->node, stdout);
	if (a->udev)
		mt_rights_print_udev(&p, a->node, stdout);
	if (!a->unit && !a->udev)
		mt_rights_print(&p, stdout);
	return fflush(stdout) == 0 ? EXIT_OK : EXIT_RUN;
}

static void print_errors(const struct mt_diags *diags)
{
	char line[1024];

	for (uint32_t i = 0; i < diags->n; i++) {
		(void)mt_diag_format(&diags->items[i], line, sizeof(line));
		fprintf(stderr, "%s\n", line);
	}
}

/* Reads the Node's file alone, because root runs this: authors of documents are not trusted. */
int profile_print(const struct args *a)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	int code = EXIT_CONFIG;

	mt_diags_init(&diags);
	if (m && mt_source_file(m, &diags, a->node) == 0 && m->node)
		code = print(a, m->node);
	else {
		print_errors(&diags);
		fprintf(stderr, "meltemid: %s: there is no usable Node document in it\n", a->node);
	}
	mt_diags_fini(&diags);
	mt_model_free(m);
	return code;
}
