/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the Access Log Service. The method of a call is not one of HTTP: it stands in the path
 * (/interface/method) and, with interface and protocol, in metadata with the name `meltemi`.
 */
#include "mt_alog_format_priv.h"
#include "mt_alog_wire_priv.h"

#include "accesslog.pb-c.h"

#define ENTRY	   0x0a /* field 1 */
#define IDENTIFIER 0x0a
#define TEXTS	   16 /* of an entry, at most */
#define WORDS	   3  /* of the metadata */

/* The messages of an entry. */
struct entry {
	const struct mt_alog_record *r;
	Xds__AccessLogCommon common;
	Xds__Address addresses[MT_ALOG_ENDS];
	Xds__SocketAddress sockets[MT_ALOG_ENDS];
	char hosts[MT_ALOG_ENDS][MT_ADDR_STRLEN];
	Xds__Timestamp start;
	Xds__Duration sent, replied, duration;
	Xds__ResponseFlags flags;
	Xds__ResponseFlags__Unauthorized unauthorized;
	Xds__Metadata metadata;
	Xds__Metadata__FilterMetadataEntry of_meltemi, *metadata_list[1];
	Xds__Struct fields;
	Xds__Struct__FieldsEntry words[WORDS], *word_list[WORDS];
	Xds__Value values[WORDS];
	struct mt_pb_texts texts;
	char bytes[TEXTS * (MT_ALOG_WIRE_TEXT + 1)];
};

/* ---- values --------------------------------------------------------------------------------- */

static char *text(struct entry *e, struct mt_slice from)
{
	return mt_pb_text(&e->texts, from, MT_ALOG_WIRE_TEXT);
}

static char *text_of(struct entry *e, enum mt_alog_text which)
{
	return text(e, e->r->texts[which]);
}

/* The value of an operator without arguments, as in lines. */
static char *value(struct entry *e, enum mt_alog_source source)
{
	const struct mt_alog_piece piece = {.source = (uint8_t)source};
	char joined[MT_ALOG_WIRE_TEXT];
	struct mt_alog_value v;
	uint32_t n = 0;

	mt_alog_value_of(&piece, e->r, 0, &v);
	if (v.type != MT_ALOG_IS_TEXT)
		return text(e, (struct mt_slice){NULL, 0});
	for (uint32_t i = 0; i < v.n_parts; i++) {
		uint32_t len = MT_MIN(v.parts[i].len, (uint32_t)sizeof(joined) - n);

		if (len)
			memcpy(joined + n, v.parts[i].p, len);
		n += len;
	}
	return text(e, (struct mt_slice){(const uint8_t *)joined, n});
}

static Xds__Address *address(struct entry *e, enum mt_alog_end which)
{
	const struct mt_alog_end_value *from = &e->r->ends[which];
	Xds__Address *a = &e->addresses[which];
	Xds__SocketAddress *s = &e->sockets[which];

	if (mt_addr_is_zero(&from->addr))
		return NULL;
	xds__socket_address__init(s);
	s->address = (char *)mt_addr_str(&from->addr, e->hosts[which]);
	s->port_specifier_case = XDS__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE;
	s->port_value = from->port;
	xds__address__init(a);
	a->address_case = XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS;
	a->socket_address = s;
	return a;
}

/* From the start to a point; NULL: it is not known. */
static Xds__Duration *since_start(struct entry *e, enum mt_alog_point point, Xds__Duration *d)
{
	const struct mt_alog_record *r = e->r;
	uint64_t from = r->points[MT_ALOG_STARTED], ns = r->points[point];

	if (!(r->points_known >> point & 1) || !(r->points_known >> MT_ALOG_STARTED & 1))
		return NULL;
	ns = ns > from ? ns - from : 0;
	xds__duration__init(d);
	d->seconds = (int64_t)(ns / MT_SEC);
	d->nanos = (int32_t)(ns % MT_SEC);
	return d;
}

static uint64_t number(const struct mt_alog_record *r, enum mt_alog_number which)
{
	return r->numbers_known >> which & 1 ? r->numbers[which] : 0;
}

/* ---- flags ---------------------------------------------------------------------------------- */

/* Fields of ResponseFlags; a flag without one is left out. */
static const struct {
	uint32_t flag;
	size_t at;
} flag_fields[] = {
	{MT_FLAG_UH, offsetof(Xds__ResponseFlags, no_healthy_upstream)},
	{MT_FLAG_UT, offsetof(Xds__ResponseFlags, upstream_request_timeout)},
	{MT_FLAG_LR, offsetof(Xds__ResponseFlags, local_reset)},
	{MT_FLAG_UR, offsetof(Xds__ResponseFlags, upstream_remote_reset)},
	{MT_FLAG_UF, offsetof(Xds__ResponseFlags, upstream_connection_failure)},
	{MT_FLAG_UC, offsetof(Xds__ResponseFlags, upstream_connection_termination)},
	{MT_FLAG_UO, offsetof(Xds__ResponseFlags, upstream_overflow)},
	{MT_FLAG_NR, offsetof(Xds__ResponseFlags, no_route_found)},
	{MT_FLAG_DI, offsetof(Xds__ResponseFlags, delay_injected)},
	{MT_FLAG_FI, offsetof(Xds__ResponseFlags, fault_injected)},
	{MT_FLAG_RL, offsetof(Xds__ResponseFlags, rate_limited)},
	{MT_FLAG_RLSE, offsetof(Xds__ResponseFlags, rate_limit_service_error)},
	{MT_FLAG_DC, offsetof(Xds__ResponseFlags, downstream_connection_termination)},
	{MT_FLAG_URX, offsetof(Xds__ResponseFlags, upstream_retry_limit_exceeded)},
	{MT_FLAG_SI, offsetof(Xds__ResponseFlags, stream_idle_timeout)},
	{MT_FLAG_DPE, offsetof(Xds__ResponseFlags, downstream_protocol_error)},
	{MT_FLAG_DT, offsetof(Xds__ResponseFlags, duration_timeout)},
	{MT_FLAG_UPE, offsetof(Xds__ResponseFlags, upstream_protocol_error)},
	{MT_FLAG_NC, offsetof(Xds__ResponseFlags, no_cluster_found)},
	{MT_FLAG_OM, offsetof(Xds__ResponseFlags, overload_manager)},
};

static void set_flags(struct entry *e)
{
	uint32_t flags = mt_endings[e->r->ending].flags | e->r->flags;

	if (!flags)
		return;
	xds__response_flags__init(&e->flags);
	for (size_t i = 0; i < MT_ARRAY_LEN(flag_fields); i++)
		if (flags & flag_fields[i].flag)
			*(protobuf_c_boolean *)((char *)&e->flags + flag_fields[i].at) = true;
	if (flags & MT_FLAG_UAEX) {
		xds__response_flags__unauthorized__init(&e->unauthorized);
		e->unauthorized.reason = 1;
		e->flags.unauthorized_details = &e->unauthorized;
	}
	e->common.response_flags = &e->flags;
}

/* ---- metadata ------------------------------------------------------------------------------- */

static void add_word(struct entry *e, char *key, enum mt_alog_text which)
{
	size_t i = e->fields.n_fields;

	if (!e->r->texts[which].p)
		return;
	xds__value__init(&e->values[i]);
	e->values[i].kind_case = XDS__VALUE__KIND_STRING_VALUE;
	e->values[i].string_value = text_of(e, which);
	xds__struct__fields_entry__init(&e->words[i]);
	e->words[i].key = key;
	e->words[i].value = &e->values[i];
	e->word_list[i] = &e->words[i];
	e->fields.n_fields++;
}

static void set_metadata(struct entry *e)
{
	static char space[] = "meltemi", protocol[] = "protocol", service[] = "service",
		    method[] = "method";

	xds__struct__init(&e->fields);
	e->fields.fields = e->word_list;
	add_word(e, protocol, MT_ALOG_PROTOCOL);
	add_word(e, service, MT_ALOG_INTERFACE);
	add_word(e, method, MT_ALOG_METHOD);
	xds__metadata__filter_metadata_entry__init(&e->of_meltemi);
	e->of_meltemi.key = space;
	e->of_meltemi.value = &e->fields;
	e->metadata_list[0] = &e->of_meltemi;
	xds__metadata__init(&e->metadata);
	e->metadata.filter_metadata = e->metadata_list;
	e->metadata.n_filter_metadata = 1;
	e->common.metadata = &e->metadata;
}

/* ---- entries -------------------------------------------------------------------------------- */

static void set_start(struct entry *e)
{
	xds__timestamp__init(&e->start);
	e->start.seconds = (int64_t)(e->r->wall / MT_SEC);
	e->start.nanos = (int32_t)(e->r->wall % MT_SEC);
	e->common.start_time = &e->start;
}

static void set_common(struct entry *e)
{
	static const int32_t types[MT_ALOG_TYPES] = {
		[MT_ALOG_DOWNSTREAM_END] = 6,
		[MT_ALOG_TCP_END] = 3,
		[MT_ALOG_TCP_PERIODIC] = 2,
		[MT_ALOG_TCP_START] = 0,
		[MT_ALOG_TCP_CONNECTED] = 1,
	};
	Xds__AccessLogCommon *c = &e->common;

	xds__access_log_common__init(c);
	c->downstream_remote_address = address(e, MT_ALOG_CLIENT);
	c->downstream_direct_remote_address = address(e, MT_ALOG_CLIENT_DIRECT);
	c->downstream_local_address = address(e, MT_ALOG_DOWN_LOCAL);
	c->upstream_remote_address = address(e, MT_ALOG_ENDPOINT);
	c->upstream_local_address = address(e, MT_ALOG_UP_LOCAL);
	set_start(e);
	c->time_to_last_upstream_tx_byte = since_start(e, MT_ALOG_US_TX_END, &e->sent);
	c->time_to_first_upstream_rx_byte = since_start(e, MT_ALOG_US_RX_BEG, &e->replied);
	c->duration = since_start(e, MT_ALOG_ENDED, &e->duration);
	c->upstream_cluster = text_of(e, MT_ALOG_CLUSTER);
	c->route_name = text_of(e, MT_ALOG_ROUTE);
	c->stream_id = text_of(e, MT_ALOG_STREAM_ID);
	c->upstream_request_attempt_count = (uint32_t)number(e->r, MT_ALOG_ATTEMPTS);
	c->connection_termination_details = value(e, MT_ALOG_TERMINATION);
	c->access_log_type = types[e->r->type];
	set_flags(e);
	set_metadata(e);
}

static uint32_t http_entry(struct entry *e, uint8_t to[MT_ALOG_WIRE])
{
	Xds__HTTPAccessLogEntry entry = XDS__HTTPACCESS_LOG_ENTRY__INIT;
	Xds__HTTPRequestProperties request = XDS__HTTPREQUEST_PROPERTIES__INIT;
	Xds__HTTPResponseProperties response = XDS__HTTPRESPONSE_PROPERTIES__INIT;
	Xds__UInt32Value code = XDS__UINT32_VALUE__INIT;

	request.authority = text_of(e, MT_ALOG_AUTHORITY);
	request.path = value(e, MT_ALOG_PATH_OF);
	request.request_body_bytes = number(e->r, MT_ALOG_BYTES_RECEIVED);
	code.value = e->r->code ? e->r->code : mt_endings[e->r->ending].code;
	response.response_code = &code;
	response.response_body_bytes = number(e->r, MT_ALOG_BYTES_SENT);
	response.response_code_details = value(e, MT_ALOG_DETAILS);
	entry.common_properties = &e->common;
	entry.request = &request;
	entry.response = &response;
	return mt_pb_field(&entry.base, ENTRY, to, MT_ALOG_WIRE);
}

static uint32_t tcp_entry(struct entry *e, uint8_t to[MT_ALOG_WIRE])
{
	Xds__TCPAccessLogEntry entry = XDS__TCPACCESS_LOG_ENTRY__INIT;
	Xds__ConnectionProperties bytes = XDS__CONNECTION_PROPERTIES__INIT;

	bytes.received_bytes = number(e->r, MT_ALOG_BYTES_RECEIVED);
	bytes.sent_bytes = number(e->r, MT_ALOG_BYTES_SENT);
	entry.common_properties = &e->common;
	entry.connection_properties = &bytes;
	return mt_pb_field(&entry.base, ENTRY, to, MT_ALOG_WIRE);
}

uint32_t mt_alog_als_entry(const struct mt_alog_record *r, bool http, uint8_t to[MT_ALOG_WIRE])
{
	struct entry e;

	_Static_assert(sizeof(e.bytes) + 4096 < MT_ALOG_WIRE, "an entry has room");
	e.r = r;
	e.texts = (struct mt_pb_texts){.p = e.bytes, .size = sizeof(e.bytes)};
	set_common(&e);
	return http ? http_entry(&e, to) : tcp_entry(&e, to);
}

uint32_t mt_alog_als_identifier(
	const struct mt_alog_sender *s, const char *log_name, uint8_t to[MT_ALOG_WIRE_HEAD])
{
	static char agent[] = "meltemi", version[] = MT_VERSION;
	Xds__StreamAccessLogsMessage__Identifier m =
		XDS__STREAM_ACCESS_LOGS_MESSAGE__IDENTIFIER__INIT;
	Xds__Node node = XDS__NODE__INIT;
	char bytes[3 * (MT_ALOG_WIRE_TEXT + 1)];
	struct mt_pb_texts texts = {.p = bytes, .size = sizeof(bytes)};

	node.id = mt_pb_text(&texts, mt_alog_slice(s->node), MT_ALOG_WIRE_TEXT);
	node.cluster = mt_pb_text(&texts, mt_alog_slice(s->cluster), MT_ALOG_WIRE_TEXT);
	node.user_agent_name = agent;
	node.user_agent_version = version;
	m.node = &node;
	m.log_name = mt_pb_text(&texts, mt_alog_slice(log_name), MT_ALOG_WIRE_TEXT);
	return mt_pb_field(&m.base, IDENTIFIER, to, MT_ALOG_WIRE_HEAD);
}
