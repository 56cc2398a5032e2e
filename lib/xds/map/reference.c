/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the tables of docs/reference/xds.md from the message descriptors and the rows of notes.c.
 */
#include "mt_xds_map_priv.h"

#include <string.h>

#define SEEN_MAX 200u
#define ENFORCED "Enforced fields; an unsupported value rejects the resource"

/* Parts in the order of the page. Each lists the messages that no earlier part has listed. */
static const struct {
	const char *title;
	const ProtobufCMessageDescriptor *roots[5];
	const char *what; /* title for fields without a row; NULL: ENFORCED */
} parts[] = {
	{"Where resources come from", {&xds__config_source__descriptor}, NULL},
	{"Endpoints (EDS)", {&xds__cluster_load_assignment__descriptor}, NULL},
	{"Clusters (CDS)", {&xds__cluster__descriptor}, NULL},
	{"Routes (RDS)", {&xds__route_configuration__descriptor}, NULL},
	{"Access logs",
		{&xds__access_log__descriptor, &xds__expression_filter__descriptor,
			&xds__file_access_log__descriptor, &xds__stdout_access_log__descriptor,
			&xds__stderr_access_log__descriptor},
		"Used; a log with an unsupported value has no lines"},
	{"Listeners (LDS)", {&xds__listener__descriptor}, NULL},
	{"tcp_proxy",
		{&xds__tcp_proxy__descriptor, &xds__network_rate_limit__descriptor,
			&xds__network_local_rate_limit__descriptor},
		NULL},
	{"MetaProtocol proxy",
		{&xds__meta_protocol_proxy__descriptor, &xds__meta_local_rate_limit__descriptor,
			&xds__meta_rate_limit__descriptor},
		NULL},
	{"Envoy's thrift_proxy",
		{&xds__thrift_proxy__descriptor, &xds__thrift_rate_limit__descriptor}, NULL},
	{"Envoy's dubbo_proxy", {&xds__dubbo_proxy__descriptor}, NULL},
	{"Transport sockets",
		{&xds__upstream_tls_context__descriptor, &xds__downstream_tls_context__descriptor,
			&xds__common_tls_context__descriptor},
		"Enforced fields; TLS with an unsupported value is not used"},
	{"Secrets (SDS)", {&xds__secret__descriptor}, "Read and kept"},
	{"Extensions (ECDS)", {&xds__typed_extension_config__descriptor}, NULL},
	{"Names (NDS)", {&xds__name_table__descriptor, &xds__name_table__name_info__descriptor},
		"Used"},
};

/* Message types found so far, over all parts. */
struct seen {
	const ProtobufCMessageDescriptor *types[SEEN_MAX];
	uint32_t n, from; /* from: first of the current part */
};

/*
 * True for well-known types, map entries, and messages that are always rejected: they are not
 * listed.
 */
static bool is_plain(const ProtobufCMessageDescriptor *type)
{
	static const ProtobufCMessageDescriptor *const plain[] = {&xds__any__descriptor,
		&xds__struct__descriptor, &xds__metadata__descriptor, &xds__duration__descriptor,
		&xds__uint32_value__descriptor, &xds__uint64_value__descriptor,
		&xds__bool_value__descriptor, &xds__double_value__descriptor,
		&xds__string_value__descriptor, &xds__pipe__descriptor,
		&xds__internal_address__descriptor, &xds__path_config_source__descriptor,
		&xds__grpc_service__google_grpc__descriptor, &xds__unread__descriptor};

	for (size_t i = 0; i < MT_ARRAY_LEN(plain); i++)
		if (plain[i] == type)
			return true;
	return mt_pb_is_entry(type);
}

static const struct mt_xds_row *row_of(const ProtobufCMessageDescriptor *type, const char *field)
{
	for (const struct mt_xds_rows *r = mt_xds_rows; r->type; r++)
		for (uint32_t i = 0; r->type == type && i < r->n; i++)
			if (strcmp(r->rows[i].field, field) == 0)
				return &r->rows[i];
	return NULL;
}

static void meet(struct seen *s, const ProtobufCMessageDescriptor *type)
{
	if (is_plain(type) || s->n == SEEN_MAX)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->types[i] == type)
			return;
	s->types[s->n++] = type;
	/* Skip messages below a field with a row: they have no effect either. */
	for (unsigned int i = 0; i < type->n_fields; i++)
		if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE &&
			!row_of(type, type->fields[i].name))
			meet(s, type->fields[i].descriptor);
}

/* "Cluster.RingHashLbConfig" of "xds.Cluster.RingHashLbConfig". */
static const char *short_name(const ProtobufCMessageDescriptor *type)
{
	return strncmp(type->name, "xds.", 4) == 0 ? type->name + 4 : type->name;
}

static void write_enforced(FILE *out, const struct seen *s)
{
	for (uint32_t i = s->from; i < s->n; i++) {
		const ProtobufCMessageDescriptor *type = s->types[i];
		const char *before = ": ";

		for (unsigned int k = 0; k < type->n_fields; k++) {
			if (row_of(type, type->fields[k].name))
				continue;
			if (*before == ':')
				fprintf(out, "- `%s`", short_name(type));
			fprintf(out, "%s`%s`", before, type->fields[k].name);
			before = ", ";
		}
		if (*before == ',')
			fprintf(out, "\n");
	}
}

static void write_row(FILE *out, bool *any, const char *in, const char *field, const char *words)
{
	if (!*any)
		fprintf(out, "\n| accepted | what happens instead |\n|---|---|\n");
	*any = true;
	fprintf(out, "| `%s.%s` | %s |\n", in, field, words);
}

static void write_accepted(FILE *out, const struct seen *s)
{
	bool any = false;

	for (uint32_t i = s->from; i < s->n; i++) {
		const ProtobufCMessageDescriptor *type = s->types[i];
		const char *name = short_name(type);

		for (unsigned int k = 0; k < type->n_fields; k++) {
			const struct mt_xds_row *row = row_of(type, type->fields[k].name);

			if (row && row->words && !row->refused)
				write_row(out, &any, name, row->field, row->words);
		}
		for (uint32_t k = 0; k < MT_XDS_N_NOTES; k++)
			if (strcmp(mt_xds_notes[k].in, name) == 0)
				write_row(out, &any, name, mt_xds_notes[k].field,
					mt_xds_notes[k].words);
	}
}

/* Writes the rejected fields, or the ones without meaning, as one line. */
static void write_line(FILE *out, const struct seen *s, const char *title, bool refused)
{
	const char *before = title;

	for (uint32_t i = s->from; i < s->n; i++)
		for (unsigned int k = 0; k < s->types[i]->n_fields; k++) {
			const char *field = s->types[i]->fields[k].name;
			const struct mt_xds_row *row = row_of(s->types[i], field);

			if (!row || row->refused != refused || (!refused && row->words))
				continue;
			fprintf(out, "%s`%s.%s`", before, short_name(s->types[i]), field);
			before = ", ";
		}
	if (*before == ',')
		fprintf(out, "\n");
}

void mt_xds_reference(FILE *out)
{
	struct seen s = {.n = 0};

	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++) {
		s.from = s.n;
		for (size_t k = 0; k < MT_ARRAY_LEN(parts[i].roots) && parts[i].roots[k]; k++)
			meet(&s, parts[i].roots[k]);
		fprintf(out, "\n### %s\n\n", parts[i].title);
		fprintf(out, "%s:\n\n", parts[i].what ? parts[i].what : ENFORCED);
		write_enforced(out, &s);
		write_accepted(out, &s);
		write_line(out, &s, "\nRefused wherever they stand: ", true);
		write_line(out, &s, "\nWithout meaning here: ", false);
	}
}
