/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps NameTable (NDS): hosts and their addresses. It is one resource with thousands of rows, so an
 * unusable row is left out with a note and the others are kept.
 */
#include "mt_xds_map_priv.h"

#include "mt_dns.h"

#include <string.h>

static bool is_host(const char *s)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (strncmp(s, "*.", 2) == 0)
		s += 2;
	return *s && s[strspn(s, chars)] == '\0' && mt_dns_is_name(s);
}

/* Istio sends "0.0.0.0" for hosts without an address. */
static bool is_address(const char *text, struct mt_addr *a)
{
	return mt_addr_parse(text, a) == 0 && !mt_addr_is_zero(a) &&
	       !(mt_addr_is4(a) && mt_addr_v4(a) == 0);
}

static bool addresses(
	struct mt_xmap *m, const Xds__NameTable__NameInfo *from, struct mt_res_name *out)
{
	struct mt_addr *list = from->n_ips ? mt_xm_array(m, from->n_ips, sizeof(*list)) : NULL;
	uint32_t n = 0;

	for (size_t i = 0; list && i < from->n_ips; i++) {
		if (is_address(from->ips[i], &list[n]))
			n++;
		else
			mt_xm_note(m, MT_XDS_NOTE_name_address, "ips");
	}
	out->addrs = list;
	out->n_addrs = n;
	return list || !from->n_ips;
}

static int by_host(const void *a, const void *b)
{
	return strcmp(((const struct mt_res_name *)a)->host, ((const struct mt_res_name *)b)->host);
}

/* Maps a row to `out`; *used false: left out. */
static bool row(struct mt_xmap *m, const Xds__NameTable__TableEntry *from, struct mt_res_name *out,
	bool *used)
{
	*used = false;
	if (!is_host(from->key)) {
		mt_xm_note(m, MT_XDS_NOTE_name_unusable, NULL);
		return true;
	}
	if (!from->value)
		return true;
	if (!addresses(m, from->value, out))
		return false;
	if (!out->n_addrs)
		return true;
	out->host = mt_host_name(m->r, from->key);
	*used = true;
	return out->host || mt_xm_no_memory(m);
}

bool mt_xm_names(struct mt_xmap *m, const Xds__NameTable *t)
{
	struct mt_res_names *out = mt_xm_alloc(m, sizeof(*out));
	uint32_t mark;

	if (!out || !mt_xm_add(m, &m->out->part->res_names, &out->meta, "NameTable", "names"))
		return false;
	if (!t->n_table)
		return true;
	out->names = mt_xm_array(m, t->n_table, sizeof(*out->names));
	mark = mt_xm_in(m, "table");
	for (size_t i = 0; out->names && i < t->n_table; i++) {
		bool used;

		if (!row(m, t->table[i], &out->names[out->n_names], &used))
			return false;
		out->n_names += used;
	}
	mt_xm_out(m, mark);
	/* Map entries have no order: sort them for a stable result. */
	if (out->names)
		qsort(out->names, out->n_names, sizeof(*out->names), by_host);
	return out->names != NULL;
}
