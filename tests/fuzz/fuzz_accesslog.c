/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Formats of access logs, and lines of records with any values. Bytes: options, length of the format,
 * the format, then lengths and bytes of texts. A line ends with its only newline besides those of the
 * format, and JSON is valid by another parser. A filter reads every attribute of the record, and
 * entries for collectors can be decoded.
 */
#include "fuzz.h"
#include "fuzz_reader.h"

#include "mt_alog_filter.h"
#include "mt_alog_format.h"
#include "mt_alog_wire.h"

#include "accesslog.pb-c.h"
#include "otlp.pb-c.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NAMED 3

static struct mt_alog_line line;

static uint32_t newlines(const char *p, size_t n)
{
	uint32_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += p[i] == '\n';
	return count;
}

static struct mt_slice slice(struct reader *in)
{
	uint32_t n = u8(in);
	struct mt_slice s;

	n = n > 250 ? u16(in) : n;
	n = (uint32_t)MT_MIN((size_t)n, in->left);
	s = (struct mt_slice){n ? in->at : NULL, n};
	in->at += n;
	in->left -= n;
	return s;
}

static void fill_named(
	struct reader *in, const struct mt_alog_format *f, struct mt_alog_named *named)
{
	for (uint32_t i = 0; i < NAMED; i++) {
		const struct mt_alog_key *key = mt_alog_key(f, i);

		memset(&named[i], 0, sizeof(named[i]));
		if (!key)
			continue;
		named[i].from = key->from;
		named[i].space = key->space;
		named[i].name = key->name;
		named[i].value.type = u8(in) & 7;
		if (named[i].value.type == MT_VALUE_TEXT)
			named[i].value.text = slice(in);
		else if (named[i].value.type == MT_VALUE_BOOL)
			named[i].value.yes = u8(in) & 1;
		else
			named[i].value.n = (u16(in) - 32768ll) * (1ll << (u8(in) % 48));
	}
}

static void fill(struct reader *in, struct mt_alog_record *r)
{
	memset(r, 0, sizeof(*r));
	r->ending = u8(in) % MT_N_ENDINGS;
	r->type = u8(in) % MT_ALOG_TYPES;
	r->flags = u16(in) << 10;
	r->code = (uint16_t)u16(in);
	r->wall = (uint64_t)u16(in) << (u8(in) % 48);
	r->points_known = (uint16_t)u16(in);
	r->numbers_known = u16(in);
	for (uint32_t i = 0; i < MT_ALOG_POINTS; i++)
		r->points[i] = (uint64_t)u16(in) << (u8(in) % 48);
	for (uint32_t i = 0; i < MT_ALOG_NUMBERS; i++)
		r->numbers[i] = (uint64_t)u16(in) << (u8(in) % 48);
	for (uint32_t i = 0; i < MT_ALOG_ENDS; i++) {
		uint32_t kind = u8(in) % 3;

		r->ends[i].port = (uint16_t)u16(in);
		if (kind == 1)
			r->ends[i].addr = mt_addr4(u16(in) << 16 | u16(in));
		for (uint32_t b = 0; kind == 2 && b < 16; b++)
			r->ends[i].addr.b[b] = (uint8_t)u8(in);
	}
	for (uint32_t i = 0; i < MT_ALOG_TEXTS; i++)
		r->texts[i] = slice(in);
}

static void check(bool json, const char *format, size_t len)
{
	uint32_t literal = newlines(format, len) + !(len && format[len - 1] == '\n');
	json_error_t e;
	json_t *o;

	MT_ASSERT(line.len > 0 && line.len <= MT_ALOG_LINE && line.text[line.len - 1] == '\n');
	if (!json) {
		MT_ASSERT(newlines(line.text, line.len) == literal);
		return;
	}
	MT_ASSERT(newlines(line.text, line.len) == 1);
	o = json_loadb(line.text, line.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);
	/* Numbers and names of a format may be beyond what this parser keeps. */
	MT_ASSERT(o || json_error_code(&e) == json_error_numeric_overflow ||
		  json_error_code(&e) == json_error_null_byte_in_key);
	json_decref(o);
}

/* Evaluates a filter with each attribute twice, with the same result. */
static void filter(const struct mt_alog_record *r)
{
	static const char text[] =
		"request.path != 'a' && request.url_path != 'a' || request.method != 'a' || "
		"request.host == 'a' || request.protocol == 'a' || response.code == 1 || "
		"request.time < timestamp(1) || request.duration > duration('1s') && "
		"request.size > 7 || response.code_details.contains('{') || response.flags == 2 || "
		"response.size == request.total_size || response.backend_latency == duration('0') "
		"|| "
		"response.total_size == 9 || source.address > upstream.address || "
		"destination.address == upstream.local_address || xds.route_name == "
		"xds.cluster_name || "
		"source.port == destination.port || upstream.port == 1 || "
		"upstream.request_attempt_count == 2u || request.headers['a'] == 'b' || "
		"has(response.headers.c)";
	static struct mt_alog_filter *f;
	static struct mt_alog_trial *t;
	struct mt_err e = {""};
	bool yes;

	if (!f)
		f = mt_alog_filter_new(text, &e);
	if (!t)
		t = malloc(mt_alog_trial_size());
	MT_ASSERT(f && t);
	yes = mt_alog_filter_passes(f, t, r);
	MT_ASSERT(mt_alog_filter_passes(f, t, r) == yes);
}

static void decode(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, uint32_t len)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(type, NULL, len, bytes);

	MT_ASSERT(m && !m->n_unknown_fields);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void wire(const struct mt_alog_record *r)
{
	static uint8_t bytes[MT_ALOG_WIRE];
	const struct mt_slice body = {(const uint8_t *)line.text, line.len};
	struct mt_alog_label labels[MT_ALOG_TEXTS];

	decode(&xds__stream_access_logs_message__httpaccess_log_entries__descriptor, bytes,
		mt_alog_als_entry(r, true, bytes));
	decode(&xds__stream_access_logs_message__tcpaccess_log_entries__descriptor, bytes,
		mt_alog_als_entry(r, false, bytes));
	for (uint32_t i = 0; i < MT_ALOG_TEXTS; i++)
		labels[i] = (struct mt_alog_label){r->texts[i], r->texts[MT_ALOG_TEXTS - 1 - i]};
	decode(&otlp__scope_logs__descriptor, bytes,
		mt_alog_otel_record(r, r->wall, body, labels, MT_ALOG_TEXTS, bytes));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = {data, size};
	uint32_t options = u8(&in);
	struct mt_slice format = slice(&in);
	struct mt_alog_spec spec = {.text = (const char *)format.p,
		.len = format.len,
		.encoding = options & 1 ? MT_ALOG_JSON : MT_ALOG_TEXT,
		.omit_empty = options & 2};
	struct mt_alog_named named[NAMED];
	struct mt_alog_record r = {0};
	struct mt_err e = {""};
	struct mt_alog_format *f;

	f = mt_alog_compile(&spec, &e);
	MT_ASSERT(!f == (e.text[0] != '\0'));
	if (!f)
		return 0;
	mt_alog_render(f, &r, 0, &line);
	check(options & 1, spec.text ? spec.text : "", format.len);
	fill(&in, &r);
	fill_named(&in, f, named);
	r.named = named;
	r.n_named = NAMED;
	mt_alog_render(f, &r, r.wall, &line);
	check(options & 1, spec.text ? spec.text : "", format.len);
	filter(&r);
	wire(&r);
	mt_alog_format_free(f);
	return 0;
}
