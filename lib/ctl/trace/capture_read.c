/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the records of the workers' rings as rows, in order of time. */
#include "mt_ctl_capture_priv.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#define ROWS_MAX  4096
#define BYTES_MAX (512u << 10) /* of one answer, before they are encoded as text */

static const char *const at_names[MT_CAPTURE_N_AT] = {
	[MT_CAPTURE_RX] = "rx",
	[MT_CAPTURE_TX] = "tx",
	[MT_CAPTURE_REQUEST] = "request",
	[MT_CAPTURE_FORWARDED] = "forwarded",
	[MT_CAPTURE_REPLY] = "reply",
	[MT_CAPTURE_ANSWER] = "answer",
};

/* Converts a time stamp counter value to Unix time in ns. */
static uint64_t wall_of(const struct mt_ctl_capture *p, uint64_t tsc)
{
	uint64_t hz = rte_get_tsc_hz(), since = tsc > p->tsc ? tsc - p->tsc : 0;

	if (!hz)
		return p->wall;
	return p->wall + since / hz * MT_SEC + since % hz * MT_SEC / hz;
}

/*
 * Comment of a packet: the names of its exchanges, and its outcome if that is above severity INFO.
 */
static void packet_comment(const struct mt_capture_rec *r, uint16_t worker, struct mt_text_buf *out)
{
	char name[MT_EXCHANGE_NAME];

	for (uint32_t i = 0; i < r->n_exchanges; i++) {
		struct mt_ref ref = {
			.idx = (uint32_t)r->exchanges[i], .gen = (uint32_t)(r->exchanges[i] >> 32)};

		mt_exchange_name(worker, ref, name);
		mt_text_add(out, "%sexchange=%s", out->len ? " " : "", name);
	}
	if (r->outcome && r->outcome->severity != MT_SEV_INFO)
		mt_text_add(out, "%soutcome=%s (%s)", out->len ? " " : "", r->outcome->name,
			r->outcome->words);
}

static void put_comment(json_t *row, const struct mt_capture_rec *r, uint16_t worker)
{
	struct mt_text_buf out = {0};
	char text[1024];

	if (r->comment)
		mt_text_bytes(&out, mt_capture_comment(r), r->comment);
	else
		packet_comment(r, worker, &out);
	if (out.len) {
		mt_escape(text, sizeof(text), out.p);
		mt_json_set(row, MT_M("comment", text));
	}
	mt_text_fini(&out);
}

static void put_ends(json_t *row, const struct mt_capture_rec *r)
{
	char addr[MT_ADDR_STRLEN];

	mt_json_set(row, MT_M("src", mt_addr_str(&r->src, addr)),
		MT_M("dst", mt_addr_str(&r->dst, addr)), MT_M("sport", r->sport),
		MT_M("dport", r->dport));
}

static json_t *row_of(
	const struct mt_ctl_capture *p, const struct mt_capture_rec *r, uint16_t worker)
{
	char *data = malloc(4 * ((size_t)r->snap + 2) / 3 + 4);
	json_t *row;

	if (!data)
		return NULL;
	EVP_EncodeBlock((unsigned char *)data, mt_capture_bytes(r), (int)r->snap);
	row = mt_json_object(MT_M("at", at_names[r->at]), MT_M("ns", wall_of(p, r->tsc)),
		MT_M("worker", worker), MT_M("len", r->len), MT_M("data", data));
	free(data);
	if (r->port)
		mt_json_set(row, MT_M("port", r->port));
	else
		put_ends(row, r);
	put_comment(row, r, worker);
	mt_render_absent(row, "port src dst sport dport comment");
	return row;
}

/* The earliest of all workers' next records; NULL: there is none. */
static const struct mt_capture_rec *earliest(struct mt_ctl_capture *p, uint16_t *worker)
{
	const struct mt_capture_rec *found = NULL;

	for (uint16_t w = 0; w < MT_WORKERS_MAX; w++) {
		const struct mt_capture_rec *r = p->rings[w] ? mt_capture_peek(p->rings[w]) : NULL;

		if (!r || (found && found->tsc <= r->tsc))
			continue;
		found = r;
		*worker = w;
	}
	return found;
}

json_t *mt_ctl_capture_rows(struct mt_ctl_capture *p, bool *more)
{
	json_t *rows = json_array();
	const struct mt_capture_rec *r;
	uint32_t bytes = 0;
	uint16_t w = 0;

	while (p->n_read < p->asked.count && (r = earliest(p, &w)) != NULL) {
		*more = json_array_size(rows) == ROWS_MAX || bytes > BYTES_MAX;
		if (*more)
			break;
		json_array_append_new(rows, row_of(p, r, w));
		bytes += r->snap;
		p->bytes_read += r->snap;
		p->n_read++;
		mt_capture_pop(p->rings[w]);
	}
	return rows;
}
