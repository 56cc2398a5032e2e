/* SPDX-License-Identifier: Apache-2.0 */
/* Remote hosts of current connections, most bytes first. */
#include "view.h"

#include <stdio.h>
#include <string.h>

/* Copies the host of "192.0.2.1:80" or "[2001:db8::1]:80" without the port. */
static void host_of(const char *remote, char *host, size_t size)
{
	const char *end = strrchr(remote, ':');

	snprintf(host, size, "%.*s", end ? (int)(end - remote) : (int)strlen(remote), remote);
}

static void add(json_t *row, const char *name, json_int_t n)
{
	n += json_integer_value(json_object_get(row, name));
	json_object_set_new(row, name, json_integer(n));
}

static void talk(json_t *hosts, json_t *list, const json_t *connection)
{
	const char *remote = json_string_value(json_object_get(connection, "remote"));
	const char *side = json_string_value(json_object_get(connection, "side"));
	json_int_t in = json_integer_value(json_object_get(connection, "bytes_in"));
	json_int_t out = json_integer_value(json_object_get(connection, "bytes_out"));
	char host[MT_ADDR_STRLEN], key[MT_ADDR_STRLEN + 16];
	json_t *row;

	if (!remote || !side)
		return;
	host_of(remote, host, sizeof(host));
	snprintf(key, sizeof(key), "%s %s", side, host);
	row = json_object_get(hosts, key);
	if (!row) {
		row = mt_json_object(MT_M("host", host), MT_M("side", side));
		json_array_append_new(list, row);
		json_object_set(hosts, key, row);
	}
	add(row, "connections", 1);
	add(row, "bytes", in + out);
	add(row, "bytes_in", in);
	add(row, "bytes_out", out);
	add(row, "retransmits", json_integer_value(json_object_get(connection, "retransmits")));
}

json_t *mt_show_talkers(struct mt_ctl *c, const struct mt_request *r)
{
	struct mt_ctl_view view = {.sort = "bytes", .limit = UINT32_MAX};
	/* If there are more connections than rows, take those with most bytes. */
	struct mt_request whole = {.who = r->who, .words = {"top", "bytes"}, .n_args = 2};
	json_t *all, *hosts = json_object(), *list = json_array(), *row;
	struct mt_err e;
	size_t i;

	whole.args = whole.words;
	all = mt_show_connections(c, &whole);
	json_array_foreach(json_object_get(all, "connections"), i, row) talk(hosts, list, row);
	json_decref(hosts);
	row = json_pack("{s:o, s:O*, s:O*}", "talkers", list, "connections",
		json_object_get(all, "total"), "looked_at", json_object_get(all, "shown"));
	json_object_set(
		row, "workers_without_answer", json_object_get(all, "workers_without_answer"));
	json_decref(all);
	if (row && mt_view_apply(&view, &row, &e) < 0) {
		json_decref(row);
		row = NULL;
	}
	return row;
}
