/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter chains of a discovery service's listener, as the data path chooses among them: the one that is served, and the
 * others, whose connections are refused. Nobody gets a chain that is not his.
 */
#include "mt_conf_mesh_priv.h"

#include <errno.h>
#include <string.h>

static const char not_served[] = "this filter chain of the listener is not served";

/* A snapshot outlives the model that it was made of. */
static int copy_prefixes(struct mt_build *b, const struct mt_mesh_prefix *from, uint32_t n,
	struct mt_prefix **to, uint32_t *n_to)
{
	struct mt_prefix *v = n ? mt_region_alloc(&b->snap->region, sizeof(*v) * n) : NULL;

	if (n && !v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		v[i] = (struct mt_prefix){from[i].addr, from[i].bits};
	*to = v;
	*n_to = n;
	return 0;
}

static int copy_names(struct mt_build *b, const char **from, uint32_t n, bool lower,
	const char *const **to, uint32_t *n_to)
{
	const char **v = n ? mt_region_alloc(&b->snap->region, sizeof(*v) * n) : NULL;

	if (n && !v)
		return -ENOMEM;
	*n_to = 0;
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(from[i], "*") != 0)
			v[(*n_to)++] = mt_b_keep(b, lower ? mt_b_lower(b, from[i]) : from[i]);
	*to = v;
	return 0;
}

static enum mt_transport_kind transport_of(const char *word)
{
	if (!word || !*word)
		return MT_TRANSPORT_ANY;
	return strcmp(word, "raw_buffer") == 0 ? MT_TRANSPORT_PLAIN : MT_TRANSPORT_TLS;
}

static int copy_match(
	struct mt_build *b, const struct mt_mesh_match *from, struct mt_filter_chain_match *to)
{
	to->dst_port = (uint16_t)from->port;
	to->transport = transport_of(from->transport);
	if (copy_prefixes(b, from->prefixes, from->n_prefixes, &to->dst, &to->n_dst) ||
		copy_prefixes(b, from->sources, from->n_sources, &to->src, &to->n_src) ||
		copy_names(b, from->server_names, from->n_server_names, true, &to->server_names,
			&to->n_server_names))
		return -ENOMEM;
	return copy_names(b, from->alpn, from->n_alpn, false, &to->alpn, &to->n_alpn);
}

/* Clear text names no application protocol, so it never fits, and nobody has to wait for the client's first bytes. */
static bool never_fits(const struct mt_mesh_match *m)
{
	return m->n_alpn && transport_of(m->transport) == MT_TRANSPORT_PLAIN;
}

int mt_mesh_chains(struct mt_build *b, const struct mt_listen *l, struct mt_listener *out)
{
	const struct mt_mesh_listener *ml = l->mesh;
	const struct mt_filter_chain serves = out->chains[0];
	uint32_t n = ml->n_chains + (ml->fallback != NULL), at = 0;
	struct mt_filter_chain *v = mt_region_alloc(&b->snap->region, sizeof(*v) * n);

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct mt_mesh_chain *chain =
			i < ml->n_chains ? &ml->chains[i] : ml->fallback;

		if (i != l->chain && never_fits(&chain->match))
			continue;
		v[at] = serves;
		if (i != l->chain)
			v[at] = (struct mt_filter_chain){.name = "", .refuse = not_served};
		/* A default chain takes what is left, whatever it says itself. */
		if (i < ml->n_chains && copy_match(b, &chain->match, &v[at].match))
			return -ENOMEM;
		at++;
	}
	out->chains = v;
	out->n_chains = at;
	out->has_fallback = ml->fallback != NULL;
	return 0;
}
