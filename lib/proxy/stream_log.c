/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log for opaque streams and refused connections. A stream holds no snapshot
 * once it is connected, so an entry has the names of the stream's service in the snapshot that is
 * current at its end. Bytes are the positions of the two connections, so that nothing is counted
 * while bytes pass.
 */
#include "mt_proxy_base.h"

#include <string.h>

static struct mt_stream_note *note_of(const struct mt_proxy *p, const struct mt_pair *pr)
{
	return &p->stream_notes[mt_slab_idx(&p->pairs, pr)];
}

/* ---- while the stream exists ----------------------------------------------------------------- */

void mt_stream_log_begin(struct mt_proxy *p, struct mt_pair *pr)
{
	if (mt_likely(!mt_call_log_is_on(p, p->snap)) || mt_log_skips(p, p->snap))
		return;
	pr->logged = true;
	*note_of(p, pr) = (struct mt_stream_note){.opened = p->now};
}

void mt_stream_log_connect(struct mt_proxy *p, const struct mt_pair *pr)
{
	struct mt_stream_note *n = note_of(p, pr);

	if (!n->connecting)
		n->connecting = p->now;
	n->connects += n->connects < UINT8_MAX;
}

void mt_stream_log_connected(struct mt_proxy *p, const struct mt_pair *pr)
{
	struct mt_stream_note *n = note_of(p, pr);

	if (!n->connected)
		n->connected = p->now;
}

void mt_stream_log_up(struct mt_proxy *p, const struct mt_pair *pr)
{
	struct mt_stream_note *n = note_of(p, pr);
	const struct mt_tuple *ends = mt_stream_ends(pr->up);

	n->bytes_in = mt_stream_positions(pr->up).accepted;
	n->up_local = ends->local;
	n->up_local_port = ends->lport;
	n->endpoint = pr->lanes->addr;
	n->endpoint_port = pr->lanes->port;
}

void mt_stream_log_reason(struct mt_proxy *p, const struct mt_pair *pr, const char *reason)
{
	struct mt_stream_note *n = note_of(p, pr);

	n->reason_len = (uint16_t)strnlen(reason, sizeof(n->reason));
	memcpy(n->reason, reason, n->reason_len);
}

/* ---- the entry ------------------------------------------------------------------------------- */

/* Fills an entry with the client's addresses, and all else unknown. */
static void fill(const struct mt_proxy *p, const struct mt_stream *s, uint64_t since,
	enum mt_ending ending, struct mt_alog_entry *e)
{
	const struct mt_tuple *ends = mt_stream_ends(s);

	*e = (struct mt_alog_entry){.type = MT_ALOG_TCP_END,
		.ending = (uint8_t)ending,
		.worker = p->worker,
		.exchange = MT_REF_NONE,
		.wall = p->wall - (p->now - since),
		.started = since,
		.ended = p->now,
		.client = ends->remote,
		.client_port = ends->rport,
		.local = ends->local,
		.local_port = ends->lport,
		.interface_len = MT_ALOG_NO_TEXT,
		.method_len = MT_ALOG_NO_TEXT};
}

static void fill_names(
	const struct mt_proxy *p, const struct mt_service *service, struct mt_alog_entry *e)
{
	e->protocol = "tcp";
	if (!service)
		return;
	e->host = service->name;
	e->scope = service->log_scope;
	if (!service->n_tcp_dests && service->tcp_cluster != MT_ROUTE_NO_CLUSTER)
		e->cluster = p->snap->clusters[service->tcp_cluster].name;
}

/* Writes the entry with this reason, if an output wants it and the ring has room. */
static void put(struct mt_proxy *p, struct mt_alog_entry *from, const char *reason)
{
	const struct mt_alog_parts parts = {from, reason, NULL};
	struct mt_alog_entry *e;

	if (!p->log.ring || !mt_log_wants(p, p->snap, &parts, &from->verdict))
		return;
	e = mt_byte_ring_reserve(p->log.ring,
		mt_alog_entry_size(MT_ALOG_NO_TEXT, MT_ALOG_NO_TEXT, from->reason_len, 0));
	if (!e)
		return;
	*e = *from;
	memcpy(e->texts, reason, from->reason_len);
	mt_byte_ring_publish(p->log.ring);
}

void mt_stream_log_end(struct mt_proxy *p, struct mt_pair *pr, enum mt_ending ending)
{
	const struct mt_service *service = mt_opaque_service(mt_opaque_proto(p, pr));
	const struct mt_stream_note *n = note_of(p, pr);
	struct mt_alog_entry e;

	pr->logged = false;
	if (!pr->down || !mt_call_log_has_reader(p->snap, service))
		return;
	if (pr->up)
		mt_stream_log_up(p, pr);
	fill(p, pr->down, n->opened, ending, &e);
	fill_names(p, service, &e);
	e.connecting = n->connecting;
	e.sent = n->connected;
	e.bytes_in = n->bytes_in;
	e.bytes_out = mt_stream_positions(pr->down).accepted;
	e.attempts = n->connects;
	e.up_local = n->up_local;
	e.up_local_port = n->up_local_port;
	e.endpoint = n->endpoint;
	e.endpoint_port = n->endpoint_port;
	e.reason_len = n->reason_len;
	put(p, &e, n->reason);
}

void mt_stream_log_refused(
	struct mt_proxy *p, const struct mt_stream *s, uint64_t since, enum mt_ending ending)
{
	const struct mt_tuple *ends = mt_stream_ends(s);
	const struct mt_listener *l;
	const struct mt_alog_scope *scope;
	struct mt_alog_entry e;

	if (mt_likely(!p->snap || !mt_call_log_is_on(p, p->snap)))
		return;
	l = mt_snapshot_listener(p->snap, &ends->local, ends->lport);
	scope = l ? l->log_scope : NULL;
	if (scope ? !scope->n : !p->snap->log_unserved)
		return;
	fill(p, s, since, ending, &e);
	e.scope = scope;
	put(p, &e, "");
}
