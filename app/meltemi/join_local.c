/* SPDX-License-Identifier: Apache-2.0 */
#include "join.h"

#include <stdio.h>
#include <string.h>

bool join_bundle(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	if (mt_bundle_read(&j->bundle, j->o.dir, f))
		return false;
	snprintf(words, size, "5 files; %s", j->bundle.spiffe);
	return true;
}

static void set_target(struct join *j, const char *what, const char *address, const char *file,
	const char *field, uint32_t line)
{
	struct join_target *t = &j->targets[j->n_targets++];
	struct mt_addr a;

	t->what = what;
	t->file = file;
	t->field = field;
	t->line = line;
	(void)mt_host_port(address, t->host, sizeof(t->host), &t->port);
	/*
	 * Certificates are for names, so by an address only Istio's own service name can be meant.
	 */
	t->server_name = mt_addr_parse(t->host, &a) ? t->host : "istiod.istio-system.svc";
}

bool join_address(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	struct mt_bundle *b = &j->bundle;
	const struct mt_env_row *row = mt_env_row(&b->env, "CA_ADDR");
	bool in_env = row && row->value[0];

	if (mt_bundle_check_address(b, f))
		return false;
	set_target(j, "the control plane", b->discovery, "mesh.yaml",
		"defaultConfig.discoveryAddress", b->mesh.discovery_line);
	if (strcmp(b->ca, b->discovery) != 0)
		set_target(j, "the certificate authority", b->ca,
			in_env ? "cluster.env" : "mesh.yaml",
			in_env ? "CA_ADDR" : "defaultConfig.caAddress",
			in_env ? row->line : b->mesh.ca_line);
	snprintf(words, size, "%s%s%s%s%s", b->discovery,
		j->n_targets > 1 ? ", certificates from " : "", j->n_targets > 1 ? b->ca : "",
		b->note[0] ? "; " : "", b->note);
	return true;
}

bool join_roots(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	uint32_t n = mt_cert_count(j->bundle.roots);
	struct mt_cert c;
	struct mt_err e;
	char left[48];

	if (mt_bundle_check_roots(&j->bundle, join_wall(), f) ||
		mt_cert_read(j->bundle.roots, 0, &c, &e))
		return false;
	snprintf(words, size, "%u root%s; %s, valid for %s", n, n == 1 ? "" : "s", c.subject,
		mt_span_words(c.not_after - join_wall(), left, sizeof(left)));
	return true;
}

bool join_token(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	char left[48], subject[400], issuer[300];

	if (mt_bundle_check_token(&j->bundle, join_wall(), f))
		return false;
	mt_escape(subject, sizeof(subject), j->bundle.jwt.subject);
	mt_escape(issuer, sizeof(issuer), j->bundle.jwt.issuer);
	snprintf(words, size, "%.200s, by %.200s, valid for %s", subject, issuer,
		mt_span_words(j->bundle.jwt.expires - join_wall(), left, sizeof(left)));
	return true;
}
