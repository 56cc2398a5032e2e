/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of workers as records. */
#include "mt_alog_entry.h"

#include "mt_alog_format_priv.h"

static struct mt_slice slice(const char *p, uint16_t len)
{
	return len == MT_ALOG_NO_TEXT ? (struct mt_slice){NULL, 0}
				      : (struct mt_slice){(const uint8_t *)p, len};
}

/* The trace and span of an entry with spans. Without spans, those that the client names. */
static bool read_trace(
	const struct mt_alog_entry *from, const struct mt_alog_record *r, struct mt_span *s)
{
	struct mt_alog_spans own;

	if (!from->spans)
		return r->n_named && mt_alog_trace(r->named, r->n_named, s);
	mt_alog_entry_spans(from, &own);
	*s = (struct mt_span){.len = own.trace_len, .has_id = true};
	memcpy(s->trace, own.trace, sizeof(s->trace));
	memcpy(s->id, own.call, sizeof(s->id));
	return true;
}

static void set_trace(
	const struct mt_alog_entry *from, struct mt_alog_made *made, struct mt_alog_record *to)
{
	struct mt_span s;

	if (!read_trace(from, to, &s))
		return;
	mt_alog_set_text(to, MT_ALOG_TRACE_ID, mt_span_hex(s.trace, s.len, made->trace));
	if (s.has_id)
		mt_alog_set_text(to, MT_ALOG_SPAN_ID, mt_span_hex(s.id, MT_SPAN_ID, made->span));
}

static void set_texts(const struct mt_alog_entry *from, const char *text, struct mt_alog_record *to)
{
	mt_alog_set_text(to, MT_ALOG_PROTOCOL, from->protocol);
	mt_alog_set_text(to, MT_ALOG_AUTHORITY, from->host);
	mt_alog_set_text(to, MT_ALOG_ROUTE, from->route);
	mt_alog_set_text(to, MT_ALOG_CLUSTER, from->cluster);
	to->texts[MT_ALOG_INTERFACE] = slice(text, from->interface_len);
	text += to->texts[MT_ALOG_INTERFACE].len;
	to->texts[MT_ALOG_METHOD] = slice(text, from->method_len);
	text += to->texts[MT_ALOG_METHOD].len;
	if (from->reason_len)
		to->texts[MT_ALOG_REASON] = slice(text, from->reason_len);
}

static void set_stream_id(const struct mt_alog_entry *from, char *name, struct mt_alog_record *to)
{
	uint32_t n = mt_alog_digits(name, from->worker);

	name[n++] = '-';
	n += mt_alog_digits(name + n, from->exchange.idx);
	name[n++] = '-';
	n += mt_alog_digits(name + n, from->exchange.gen);
	if (from->exchange.gen)
		to->texts[MT_ALOG_STREAM_ID] = (struct mt_slice){(const uint8_t *)name, n};
}

static void set_stream_points(const struct mt_alog_entry *from, struct mt_alog_record *to)
{
	mt_alog_set_point(to, MT_ALOG_DS_CX_BEG, from->started);
	mt_alog_set_point(to, MT_ALOG_DS_CX_END, from->ended);
	if (from->sent)
		mt_alog_set_point(to, MT_ALOG_US_CX_END, from->sent);
}

/* The times of `show slow`; of other points nothing is known. */
static void set_points(const struct mt_alog_entry *from, struct mt_alog_record *to)
{
	to->wall = from->wall;
	mt_alog_set_point(to, MT_ALOG_STARTED, from->started);
	mt_alog_set_point(to, MT_ALOG_ENDED, from->ended);
	if (from->connecting)
		mt_alog_set_point(to, MT_ALOG_US_CX_BEG, from->connecting);
	if (from->type == MT_ALOG_TCP_END) {
		set_stream_points(from, to);
		return;
	}
	mt_alog_set_point(to, MT_ALOG_DS_RX_BEG, from->started);
	if (from->sent)
		mt_alog_set_point(to, MT_ALOG_US_TX_END, from->sent);
	if (from->replied)
		mt_alog_set_point(to, MT_ALOG_US_RX_BEG, from->replied);
}

static void set_ends(const struct mt_alog_entry *from, struct mt_alog_record *to)
{
	to->ends[MT_ALOG_CLIENT] = to->ends[MT_ALOG_CLIENT_DIRECT] =
		(struct mt_alog_end_value){from->client, from->client_port};
	to->ends[MT_ALOG_DOWN_LOCAL] = (struct mt_alog_end_value){from->local, from->local_port};
	to->ends[MT_ALOG_UP_LOCAL] =
		(struct mt_alog_end_value){from->up_local, from->up_local_port};
	to->ends[MT_ALOG_ENDPOINT] =
		(struct mt_alog_end_value){from->endpoint, from->endpoint_port};
}

/* All but texts and metadata. */
static void set_rest(const struct mt_alog_entry *from, struct mt_alog_record *to)
{
	to->type = (enum mt_alog_type)from->type;
	to->ending = (enum mt_ending)from->ending;
	to->oneway = from->oneway;
	to->flags = from->flags;
	to->code = from->code;
	set_points(from, to);
	set_ends(from, to);
	mt_alog_set_number(to, MT_ALOG_BYTES_RECEIVED, from->bytes_in);
	mt_alog_set_number(to, MT_ALOG_BYTES_SENT, from->bytes_out);
	mt_alog_set_number(to, MT_ALOG_ATTEMPTS, from->attempts);
}

void mt_alog_parts_view(const struct mt_alog_parts *from,
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES], struct mt_alog_record *to)
{
	memset(to, 0, sizeof(*to));
	set_texts(from->head, from->texts, to);
	to->named = named;
	if (from->head->kept_len)
		to->n_named = mt_alog_kept(from->kept, from->head->kept_len, named);
	set_rest(from->head, to);
}

void mt_alog_entry_view(
	const struct mt_alog_entry *from, struct mt_alog_made *made, struct mt_alog_record *to)
{
	const struct mt_alog_parts parts = {from, from->texts,
		(const uint8_t *)from->texts +
			mt_alog_texts_len(from->interface_len, from->method_len, from->reason_len)};

	mt_alog_parts_view(&parts, made->named, to);
	set_trace(from, made, to);
	set_stream_id(from, made->name, to);
}
