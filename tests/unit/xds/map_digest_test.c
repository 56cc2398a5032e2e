/* SPDX-License-Identifier: Apache-2.0 */
/* When two bodies say the same; secrets; words of JSON; the page of what has no effect. */
#include "grpc/grpc_server.h"
#include "map_fixture.h"
#include "map/mt_xds_map_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the digest -------------------------------------------------------------------------------------- */

#define IN_TYPED_STRUCT                                                                            \
	"{'name': 'l', 'filter_chains': [{'filters': [{'name': 'm', 'typed_config': {'@type':"     \
	" 'type.googleapis.com/udpa.type.v1.TypedStruct', 'type_url': 'x/y', 'value': %s}}]}]}"
#define IN_METADATA "{'name': 'c', 'metadata': {'filter_metadata': %s}}"
#define IN_ROUTES   "{'name': 'r', 'virtual_hosts': [{'routes': [%s]}]}"
#define IN_UNKNOWN                                                                                 \
	"{'name': 'l', 'filter_chains': [{'filters': [{'name': 'm', 'typed_config': {'@type': "    \
	"'%s'}}]}]}"

static const struct {
	enum mt_xds_type type;
	const char *format, *a, *b;
	bool same;
} pairs[] = {
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 1, 'b': 2, 'c': 3}", "{'c': 3, 'a': 1, 'b': 2}", true},
	{MT_XDS_LDS, IN_TYPED_STRUCT,
		"{'a': {'x': [1, {'p': true, 'q': null}], 'y': 's'}, 'b': {}}",
		"{'b': {}, 'a': {'y': 's', 'x': [1, {'q': null, 'p': true}]}}", true},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 1, 'b': 2}", "{'a': 2, 'b': 1}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': [1, 2]}", "{'a': [2, 1]}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': [1, 1]}", "{'a': [1, 1, 1]}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 'x'}", "{'a': ['x']}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 'xy'}", "{'ax': 'y'}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': {'b': 1}, 'c': 1}", "{'a': {'c': 1}, 'b': 1}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 0}", "{'a': false}", false},
	{MT_XDS_LDS, IN_TYPED_STRUCT, "{'a': 'a long text that has more than a few words'}",
		"{'a': 'a long text that has more than a few word2'}", false},
	{MT_XDS_LDS, IN_UNKNOWN, "a.B", "a.C", false},
	{MT_XDS_CDS, IN_METADATA, "{'istio': {'a': 1}, 'x': {'b': 2}}",
		"{'x': {'b': 2}, 'istio': {'a': 1}}", true},
	{MT_XDS_CDS, IN_METADATA, "{'istio': {'a': 1}}", "{'istio': {'a': 2}}", false},
	{MT_XDS_RDS, IN_ROUTES, "{'name': 'a'}, {'name': 'b'}", "{'name': 'b'}, {'name': 'a'}",
		false},
	{MT_XDS_RDS, IN_ROUTES, "{'name': 'a'}", "{'name': 'a'}, {}", false},
	{MT_XDS_EDS, "{'cluster_name': 'c', 'endpoints': [%s]}", "{'priority': 1}, {}",
		"{}, {'priority': 1}", false},
	{MT_XDS_EDS, "{'cluster_name': 'c', 'endpoints': [%s]}", "{'load_balancing_weight': 1}",
		"{'priority': 1}", false},
};

static void in_double_quotes(char *to, const char *format, const char *body)
{
	strcpy(to, in_text(format, body));
	for (char *c = to; *c; c++)
		if (*c == '\'')
			*c = '"';
}

static void same_and_not(void)
{
	static char a[4096], b[4096];

	for (size_t i = 0; i < MT_ARRAY_LEN(pairs); i++) {
		struct mt_pb_arena arena;
		Xds__Any *x, *y;
		struct mt_xds_digest dx, dy;
		bool same;

		mt_pb_arena_init(&arena, 16u << 20);
		in_double_quotes(a, pairs[i].format, pairs[i].a);
		in_double_quotes(b, pairs[i].format, pairs[i].b);
		x = any_of_text(&arena, pairs[i].type, a);
		y = any_of_text(&arena, pairs[i].type, b);
		/* The bytes differ in each row, or it would show nothing. */
		CU_ASSERT(x->value.len != y->value.len ||
			  memcmp(x->value.data, y->value.data, x->value.len) != 0);
		dx = mt_xds_digest(x);
		dy = mt_xds_digest(y);
		same = memcmp(&dx, &dy, sizeof(dx)) == 0;
		if (same != pairs[i].same)
			printf("\n  %s\n  %s\n", a, b);
		CU_ASSERT_EQUAL(same, pairs[i].same);
		/* Both halves tell them apart. */
		CU_ASSERT_EQUAL(dx.v[0] == dy.v[0], pairs[i].same);
		CU_ASSERT_EQUAL(dx.v[1] == dy.v[1], pairs[i].same);
		mt_pb_arena_fini(&arena);
	}
}

/* Fields in another order than they are numbered in are the same message. */
static void order_of_fields(void)
{
	static uint8_t a[] = "\x0a\x01x\x30\x02", b[] = "\x30\x02\x0a\x01x";
	Xds__Any x = XDS__ANY__INIT, y = XDS__ANY__INIT;
	struct mt_xds_digest dx, dy;

	x.type_url = y.type_url = (char *)mt_xds_url(MT_XDS_CDS);
	x.value = (ProtobufCBinaryData){sizeof(a) - 1, a};
	y.value = (ProtobufCBinaryData){sizeof(b) - 1, b};
	dx = mt_xds_digest(&x);
	dy = mt_xds_digest(&y);
	CU_ASSERT_EQUAL(memcmp(&dx, &dy, sizeof(dx)), 0);
	y.type_url = (char *)mt_xds_url(MT_XDS_LDS);
	dy = mt_xds_digest(&y);
	CU_ASSERT_NOT_EQUAL(memcmp(&dx, &dy, sizeof(dx)), 0);
}

/* Deeper than anything is unpacked, and cut off anywhere: an answer all the same. */
static void any_bytes(void)
{
	static uint8_t deep[4096];
	Xds__Any any = XDS__ANY__INIT;
	struct mt_xds_digest whole, cut;

	/* Value.list_value in ListValue.values, over and over, by lengths that fit. */
	for (size_t i = 0; i + 6 <= sizeof(deep); i += 6) {
		size_t left = sizeof(deep) - i;

		deep[i] = 0x32;
		deep[i + 1] = (uint8_t)((left - 3) & 0x7f) | 0x80;
		deep[i + 2] = (uint8_t)((left - 3) >> 7);
		deep[i + 3] = 0x0a;
		deep[i + 4] = (uint8_t)((left - 6) & 0x7f) | 0x80;
		deep[i + 5] = (uint8_t)((left - 6) >> 7);
	}
	any.type_url = (char *)"type.googleapis.com/google.protobuf.Struct";
	any.value = (ProtobufCBinaryData){sizeof(deep), deep};
	whole = mt_xds_digest(&any);
	for (size_t n = 0; n < sizeof(deep); n += 97) {
		any.value.len = n;
		cut = mt_xds_digest(&any);
		CU_ASSERT_NOT_EQUAL(memcmp(&whole, &cut, sizeof(cut)), 0);
	}
}

/* Two contents that a digest without a secret key took for one: found in ten minutes of a core. */
static void forged(void)
{
	static uint64_t contents[2][3] = {
		{0x79047fff8bba4017u, 0x0e92b60d132fd8b1u, 0xdfe88582ed39f67eu},
		{0x67b607d7086bd400u, 0xc3ad0a7894970dd6u, 0xdfe88582ed39f67eu}};
	Xds__Any x = XDS__ANY__INIT, y = XDS__ANY__INIT;
	struct mt_xds_digest dx, dy;

	x.type_url = y.type_url = (char *)"type.googleapis.com/unknown";
	x.value = (ProtobufCBinaryData){sizeof(contents[0]), (uint8_t *)contents[0]};
	y.value = (ProtobufCBinaryData){sizeof(contents[1]), (uint8_t *)contents[1]};
	dx = mt_xds_digest(&x);
	dy = mt_xds_digest(&y);
	CU_ASSERT_NOT_EQUAL(dx.v[0], dy.v[0]);
	CU_ASSERT_NOT_EQUAL(dx.v[1], dy.v[1]);
}

/* ---- secrets ------------------------------------------------------------------------------------------- */

/* A PEM text in JSON: its line ends are written out. */
static const char *in_json(const char *pem)
{
	static char buf[3][8192];
	static unsigned int turn;
	char *to = buf[turn++ % 3], *start = to;

	for (; *pem; pem++)
		if (*pem == '\n')
			to = stpcpy(to, "\\n");
		else
			*to++ = *pem;
	*to = '\0';
	return start;
}

static struct mapped secret(const char *chain, const char *key)
{
	static char text[20000];

	snprintf(text, sizeof(text),
		"{'name': 'default', 'tls_certificate': {'certificate_chain': {'inline_string': "
		"'%s'}, 'private_key':"
		" {'inline_string': '%s'}}}",
		in_json(chain), in_json(key));
	return map_text(MT_XDS_SDS, text);
}

static void secrets(void)
{
	struct identity ca = identity_new(NULL, "DNS:ca"), a = identity_new(&ca, "DNS:a"),
			b = identity_new(&ca, "DNS:b");
	const struct mt_res_secret *s;
	struct mapped m = secret(a.cert_pem, a.key_pem);
	static char text[20000];

	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	s = (const void *)m.m.meta;
	CU_ASSERT_STRING_EQUAL(s->meta.name, "default");
	CU_ASSERT_STRING_EQUAL(s->chain, a.cert_pem);
	CU_ASSERT_STRING_EQUAL(s->key, a.key_pem);
	CU_ASSERT_PTR_NULL(s->roots);
	unmap(&m);
	m = secret(a.cert_pem, b.key_pem);
	CU_ASSERT_EQUAL(m.rc, -EINVAL);
	CU_ASSERT_STRING_EQUAL(
		m.why.text, "tls_certificate.private_key: it is not the certificate's");
	unmap(&m);
	m = secret(a.cert_pem, a.cert_pem);
	CU_ASSERT_STRING_EQUAL(
		m.why.text, "tls_certificate.private_key: not a private key without a passphrase");
	unmap(&m);
	snprintf(text, sizeof(text),
		"{'name': 'ROOTCA', 'validation_context': {'trusted_ca': {'inline_string': '%s'}, "
		"'crl': {'inline_string': 'x'}}}",
		in_json(ca.cert_pem));
	m = map_text(MT_XDS_SDS, text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	s = (const void *)m.m.meta;
	CU_ASSERT_STRING_EQUAL(s->roots, ca.cert_pem);
	CU_ASSERT_PTR_NULL(s->key);
	CU_ASSERT_STRING_EQUAL(s->crl, "x");
	CU_ASSERT_STRING_EQUAL(ignored_str(&m), "");
	unmap(&m);
	identity_free(&a);
	identity_free(&b);
	identity_free(&ca);
}

/* What a peer may not choose, and what is no secret. */
static const struct {
	const char *text, *why;
} no_secrets[] = {
	{"{'name': 's', 'tls_certificate': {}}", "tls_certificate.certificate_chain: missing"},
	{"{'name': 's', 'tls_certificate': {'certificate_chain': {}}}",
		"tls_certificate.certificate_chain: missing"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'inline_string': 'x'}, "
	 "'match_typed_subject_alt_names': [{'san_type': 'URI', 'matcher': {'exact': 'a'}}]}}",
		"validation_context.match_typed_subject_alt_names: a secret with more"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'filename': '/etc/shadow'}}}",
		"validation_context.trusted_ca: only texts come over the network"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'environment_variable': 'HOME'}}}",
		"validation_context.trusted_ca: only texts come over the network"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'inline_string': ''}}}",
		"validation_context.trusted_ca: not a PEM text"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'inline_bytes': 'LQAt'}}}",
		"validation_context.trusted_ca: not a PEM text"},
	{"{'name': 's', 'validation_context': {'trusted_ca': {'inline_string': 'words'}}}",
		"validation_context.trusted_ca: it holds no certificate"},
	{"{'name': 's', 'tls_certificate': {'certificate_chain': {'inline_string': 'words'}, "
	 "'private_key': {'inline_string': 'words'}}}",
		"tls_certificate.certificate_chain: it holds no certificate"},
	{"{'name': 's', 'tls_certificate': {'certificate_chain': {'inline_string': 'words'}, "
	 "'private_key': {'inline_string': 'words'}, 'password': {'inline_string': 'x'}}}",
		"tls_certificate.password: keys with a passphrase are not read"},
	{"{'name': 's'}", "neither tls_certificate nor validation_context"},
};

static void texts_that_are_no_secrets(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(no_secrets); i++) {
		struct mapped m = map_text(MT_XDS_SDS, no_secrets[i].text);

		CU_ASSERT_EQUAL(m.rc, -EINVAL);
		CU_ASSERT_PTR_NOT_NULL(strstr(m.why.text, no_secrets[i].why));
		if (!strstr(m.why.text, no_secrets[i].why))
			fprintf(stderr, "%zu: %s\n", i, m.why.text);
		unmap(&m);
	}
}

/* A certificate as bytes; behind more text than is read of a peer it is refused. */
static void secrets_of_bytes(void)
{
	struct identity ca = identity_new(NULL, "DNS:ca");
	static char base64[16384], text[20000], long_text[(1u << 20) + 4096];
	struct mapped m;

	EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)ca.cert_pem,
		(int)strlen(ca.cert_pem));
	snprintf(text, sizeof(text),
		"{'name': 's', 'validation_context': {'trusted_ca': {'inline_bytes': '%s'}}}",
		base64);
	m = map_text(MT_XDS_SDS, text);
	CU_ASSERT_EQUAL_FATAL(m.rc, 0);
	CU_ASSERT_STRING_EQUAL(
		((const struct mt_res_secret *)(const void *)m.m.meta)->roots, ca.cert_pem);
	unmap(&m);
	snprintf(long_text, sizeof(long_text),
		"{'name': 's', 'validation_context': {'trusted_ca': {'inline_string': '%s%*s'}}}",
		in_json(ca.cert_pem), 1 << 20, "");
	m = map_text(MT_XDS_SDS, long_text);
	CU_ASSERT_STRING_EQUAL(m.why.text, "validation_context.trusted_ca: not a PEM text");
	unmap(&m);
	identity_free(&ca);
}

/* ---- JSON ----------------------------------------------------------------------------------------------- */

static const struct {
	enum mt_xds_type type;
	const char *text, *why;
} words[] = {
	{MT_XDS_CDS, "{'name': 5}", "name: not a text"},
	{MT_XDS_CDS, "{'connect_timeout': 5}",
		"connect_timeout: not a duration in seconds, \"1.5s\""},
	{MT_XDS_CDS, "{'connect_timeout': '5m'}",
		"connect_timeout: not a duration in seconds, \"1.5s\""},
	{MT_XDS_CDS, "{'connect_timeout': '.5s'}",
		"connect_timeout: not a duration in seconds, \"1.5s\""},
	{MT_XDS_CDS, "{'connect_timeout': '1.0000000001s'}",
		"connect_timeout: not a duration in seconds, \"1.5s\""},
	{MT_XDS_CDS, "{'lb_policy': 'FASTEST'}", "lb_policy: not a word that is known here"},
	{MT_XDS_CDS, "{'lb_policy': 1.5}", "lb_policy: not a whole number of this range"},
	{MT_XDS_CDS, "{'circuit_breakers': []}", "circuit_breakers: not a map of fields"},
	{MT_XDS_CDS, "{'circuit_breakers': {'thresholds': {}}}",
		"circuit_breakers.thresholds: not a list"},
	{MT_XDS_CDS, "{'circuitBreakers': {'thresholds': [{}, {'maxRetries': 4294967296}]}}",
		"circuit_breakers.thresholds[1].max_retries: not a whole number of this range"},
	{MT_XDS_CDS, "{'circuitBreakers': {'thresholds': [{'maxRetries': '12x'}]}}",
		"circuit_breakers.thresholds[0].max_retries: not a whole number"},
	{MT_XDS_CDS, "{'respect_dns_ttl': 'true'}", "respect_dns_ttl: not true or false"},
	{MT_XDS_CDS, "{'metadata': {'filter_metadata': []}}",
		"metadata.filter_metadata: not a map"},
	{MT_XDS_CDS, "{'metadata': {'filter_metadata': {'a': 5}}}",
		"metadata.filter_metadata.a: not a map"},
	{MT_XDS_CDS, "{'common_lb_config': {'healthy_panic_threshold': {'value': 'x'}}}",
		"common_lb_config.healthy_panic_threshold.value: not a number"},
	{MT_XDS_CDS, "{'type': 'EDS', 'cluster_type': {}}",
		"cluster_type: only one of several fields may be there, and another is"},
	{MT_XDS_CDS, "{'transport_socket': {'typed_config': {}}}",
		"transport_socket.typed_config: it has no \"@type\""},
	{MT_XDS_SDS, "{'tls_certificate': {'private_key': {'inline_bytes': '*'}}}",
		"tls_certificate.private_key.inline_bytes: not base64"},
};

static void words_of_json(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		struct mt_pb_arena a;
		struct mt_err why = {""};
		struct mt_pb_reader r = {.arena = &a, .why = &why};
		char text[512];
		Xds__Struct *s;

		in_double_quotes(text, "%s", words[i].text);
		mt_pb_arena_init(&a, 1u << 20);
		s = mt_pb_struct_of_text(&a, "t", text, strlen(text), &why);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_PTR_NULL(mt_pb_from_struct(&r, mt_pb_type(mt_xds_url(words[i].type)), s));
		CU_ASSERT_STRING_EQUAL(why.text, words[i].why);
		if (strcmp(why.text, words[i].why) != 0)
			printf("\n  %s: %s\n", text, why.text);
		mt_pb_arena_fini(&a);
	}
}

static void texts(void)
{
	static const struct {
		const char *text, *why; /* NULL: sound */
	} rows[] = {{"a: [1, 'x', true, ~]\nb: {}", NULL}, {"{\"a\": 1e3}", NULL},
		{"[1]", "t: it holds no map of fields"}, {"", "t: it holds no map of fields"},
		{"{a: [", "t:2: error:"}, {"a: 1\na: 2", "t:2: \"a\" is written twice"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_pb_arena a;
		struct mt_err why = {""};
		Xds__Struct *s;

		mt_pb_arena_init(&a, 1u << 20);
		s = mt_pb_struct_of_text(&a, "t", rows[i].text, strlen(rows[i].text), &why);
		CU_ASSERT_EQUAL(s == NULL, rows[i].why != NULL);
		if (rows[i].why)
			CU_ASSERT_NSTRING_EQUAL(why.text, rows[i].why, strlen(rows[i].why));
		if (rows[i].why && strncmp(why.text, rows[i].why, strlen(rows[i].why)) != 0)
			printf("\n  %s\n", why.text);
		mt_pb_arena_fini(&a);
	}
}

/* ---- the page ---- */

/* The page says what the rows say, each row once. MT_XDS_REFERENCE_OUT=FILE writes the part below the mark. */
static void reference(void)
{
	static const char mark[] =
		"<!-- from here on written by the rows of lib/xds/map/notes.c -->\n";
	static char page[128 * 1024];
	FILE *f = fopen(MT_SOURCE_ROOT "/docs/reference/xds.md", "r");
	char *text = NULL, *at;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
	fclose(f);
	mt_xds_reference(out);
	fclose(out);
	at = strstr(page, mark);
	CU_ASSERT_PTR_NOT_NULL_FATAL(at);
	CU_ASSERT(strcmp(at + strlen(mark), text) == 0);
	if (getenv("MT_XDS_REFERENCE_OUT")) {
		f = fopen(getenv("MT_XDS_REFERENCE_OUT"), "w");
		fwrite(text, 1, len, f);
		fclose(f);
	}
	free(text);
}

/* A row for a field that is not there would never be told. */
static void rows_name_fields(void)
{
	char *text = NULL, row[160];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	mt_xds_reference(out);
	fclose(out);
	for (const struct mt_xds_rows *r = mt_xds_rows; r->type; r++)
		for (uint32_t i = 0; i < r->n; i++) {
			CU_ASSERT_PTR_NOT_NULL(protobuf_c_message_descriptor_get_field_by_name(
				r->type, r->rows[i].field));
			snprintf(row, sizeof(row), "`%s.%s`", r->type->name + 4, r->rows[i].field);
			if (!strstr(text, row))
				printf("\n  %s is not on the page\n", row);
			CU_ASSERT_PTR_NOT_NULL(strstr(text, row));
		}
	for (uint32_t i = 0; i < MT_XDS_N_NOTES; i++) {
		snprintf(row, sizeof(row), "`%s.%s`", mt_xds_notes[i].in, mt_xds_notes[i].field);
		if (!strstr(text, row))
			printf("\n  %s is not on the page\n", row);
		CU_ASSERT_PTR_NOT_NULL(strstr(text, row));
	}
	free(text);
}

/* On the wire a map's entry may lack its value: a reason is told all the same. */
static void entries_without_a_value(void)
{
	Xds__Struct__FieldsEntry none = XDS__STRUCT__FIELDS_ENTRY__INIT, *nones[] = {&none};
	Xds__Struct__FieldsEntry outer = XDS__STRUCT__FIELDS_ENTRY__INIT, *outers[] = {&outer};
	Xds__Struct map = XDS__STRUCT__INIT, fields = XDS__STRUCT__INIT;
	Xds__Value value = XDS__VALUE__INIT;
	struct mt_err why = {""};
	struct mt_pb_arena a;
	struct mt_pb_reader r = {.arena = &a, .why = &why};

	none.key = (char *)"envoy.lb";
	map.fields = nones;
	map.n_fields = 1;
	value.kind_case = XDS__VALUE__KIND_STRUCT_VALUE;
	value.struct_value = &map;
	outer.key = (char *)"filterMetadata";
	outer.value = &value;
	fields.fields = outers;
	fields.n_fields = 1;
	mt_pb_arena_init(&a, 1u << 20);
	CU_ASSERT_PTR_NULL(mt_pb_from_struct(&r, &xds__metadata__descriptor, &fields));
	CU_ASSERT_STRING_EQUAL(why.text, "filter_metadata.envoy.lb: without a value");
	mt_pb_arena_fini(&a);
}

const struct mt_test map_digest_tests[] = {{"same_and_not", same_and_not},
	{"order_of_fields", order_of_fields}, {"forged", forged}, {"any_bytes", any_bytes},
	{"secrets", secrets}, {"texts_that_are_no_secrets", texts_that_are_no_secrets},
	{"secrets_of_bytes", secrets_of_bytes}, {"words_of_json", words_of_json}, {"texts", texts},
	{"reference", reference}, {"rows_name_fields", rows_name_fields},
	{"entries_without_a_value", entries_without_a_value}, {0}};
