/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first of two steps in which the daemon drops privileges (rights.c has the second): before it
 * reads documents, because it does not trust their authors with the host. It reads the Node's file,
 * which belongs to the operator, and keeps only the privileges that ports and listeners of the Node
 * need until they are open. --check opens none, so it keeps only rights to files.
 */
#include "daemon.h"

#include "mt_rights_profile.h"

#include <errno.h>
#include <linux/capability.h>

/* Root also needs these, as far as the process has them: files of other users, locked memory. */
#define OF_ROOT                                                                                    \
	(MT_RIGHT(CAP_DAC_READ_SEARCH) | MT_RIGHT(CAP_DAC_OVERRIDE) | MT_RIGHT(CAP_CHOWN) |        \
		MT_RIGHT(CAP_IPC_LOCK))

static void add(struct mt_rights_profile *p, const struct mt_node *n)
{
	for (uint32_t i = 0; i < n->n_ports; i++) {
		const struct mt_node_port *port = &n->ports[i];
		struct mt_err e;

		if (!port->device.s)
			continue;
		/* Opening the port reports that its device is missing. */
		if (!mt_rights_add_port(p, port->device.s, port->profile.s, "/sys", &e))
			(void)mt_rights_add_port(p, "", NULL, "/sys", &e);
	}
	profile_add_listeners(p, n);
}

static uint64_t capabilities(const struct mt_rights_profile *p)
{
	uint64_t keep = p->capabilities | OF_ROOT;

	/* An IOMMU with short addresses makes DPDK use physical ones. */
	if (p->devices & MT_RIGHTS_VFIO)
		keep |= MT_RIGHT(CAP_SYS_ADMIN);
	/* Linux before 5.11 counts maps of BPF as locked memory. */
	if (p->families & MT_RIGHTS_XDP)
		keep |= MT_RIGHT(CAP_SYS_RESOURCE);
	return keep;
}

static int drop(struct daemon *d, const struct mt_rights_profile *p, struct mt_err *e)
{
	char names[MT_RIGHTS_NAMES];
	int rc = mt_rights_keep(capabilities(p), e);

	d->calls = mt_rights_calls(p);
	if (!rc && !d->args.no_seccomp)
		rc = mt_rights_refuse_calls(MT_CALLS_ALL & ~d->calls, e);
	if (!rc)
		mt_log(MT_LOG_DEBUG, "boot", "capabilities while documents are read: %s",
			*mt_rights_names(mt_rights_now(), names) ? names : "none");
	return rc;
}

int needs_start(struct daemon *d, struct mt_err *e)
{
	struct mt_rights_profile p = {0};
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	int rc;

	if (!m)
		return mt_err(e, -ENOMEM, "no memory");
	/* Errors of the file are reported when it is read again with all documents. */
	mt_diags_init(&diags);
	if (!d->args.check)
		(void)mt_source_file(m, &diags, d->args.node);
	if (m->node)
		add(&p, m->node);
	mt_diags_fini(&diags);
	rc = drop(d, &p, e);
	mt_model_free(m);
	/* A host that does not permit the limits can check documents all the same. */
	if (rc && d->args.check)
		mt_log(MT_LOG_WARN, "boot", "documents are checked with all rights: %s", e->text);
	return d->args.check ? 0 : rc;
}

void needs_stop(struct daemon *d)
{
	(void)d;
}
