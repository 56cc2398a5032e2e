/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles formats of access logs: text, and the texts in a JSON format. */
#include "mt_alog_format_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

static const char default_text[] =
	"[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
	"%RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% "
	"%CONNECTION_TERMINATION_DETAILS% \"%UPSTREAM_TRANSPORT_FAILURE_REASON%\" "
	"%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
	"\"%REQ(X-FORWARDED-FOR)%\" \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" "
	"\"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\" %UPSTREAM_CLUSTER_RAW% "
	"%UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% "
	"%REQUESTED_SERVER_NAME% %ROUTE_NAME%\n";

const char mt_alog_envoy_format[] =
	"[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" "
	"%RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% "
	"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" "
	"\"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" "
	"\"%UPSTREAM_HOST%\"\n";

static const char default_json[] =
	"{\"start_time\":\"%START_TIME%\",\"route_name\":\"%ROUTE_NAME%\","
	"\"method\":\"%REQ(:METHOD)%\",\"path\":\"%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%\","
	"\"protocol\":\"%PROTOCOL%\",\"response_code\":\"%RESPONSE_CODE%\","
	"\"response_flags\":\"%RESPONSE_FLAGS%\","
	"\"response_code_details\":\"%RESPONSE_CODE_DETAILS%\","
	"\"connection_termination_details\":\"%CONNECTION_TERMINATION_DETAILS%\","
	"\"bytes_received\":\"%BYTES_RECEIVED%\",\"bytes_sent\":\"%BYTES_SENT%\","
	"\"duration\":\"%DURATION%\","
	"\"upstream_service_time\":\"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%\","
	"\"x_forwarded_for\":\"%REQ(X-FORWARDED-FOR)%\",\"user_agent\":\"%REQ(USER-AGENT)%\","
	"\"request_id\":\"%REQ(X-REQUEST-ID)%\",\"authority\":\"%REQ(:AUTHORITY)%\","
	"\"upstream_host\":\"%UPSTREAM_HOST%\",\"upstream_cluster\":\"%UPSTREAM_CLUSTER_RAW%\","
	"\"upstream_local_address\":\"%UPSTREAM_LOCAL_ADDRESS%\","
	"\"downstream_local_address\":\"%DOWNSTREAM_LOCAL_ADDRESS%\","
	"\"downstream_remote_address\":\"%DOWNSTREAM_REMOTE_ADDRESS%\","
	"\"requested_server_name\":\"%REQUESTED_SERVER_NAME%\","
	"\"upstream_transport_failure_reason\":\"%UPSTREAM_TRANSPORT_FAILURE_REASON%\"}";

/* ---- errors --------------------------------------------------------------------------------- */

bool mt_alog_fail(struct mt_alog_maker *m, size_t where, const char *fmt, ...)
{
	size_t line = 1, start = 0;
	char words[400];
	va_list ap;

	for (size_t i = 0; i < where && i < m->len; i++)
		if (m->text[i] == '\n') {
			line++;
			start = i + 1;
		}
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	if (line == 1)
		(void)mt_err(m->e, -EINVAL, "column %zu: %s", where + 1, words);
	else
		(void)mt_err(
			m->e, -EINVAL, "line %zu, column %zu: %s", line, where - start + 1, words);
	return false;
}

bool mt_alog_no_memory(struct mt_alog_maker *m)
{
	(void)mt_err(m->e, -ENOMEM, "no memory");
	return false;
}

/* ---- pieces --------------------------------------------------------------------------------- */

bool mt_alog_literal(struct mt_alog_maker *m, const char *p, size_t n)
{
	size_t cap = m->literal_cap ? m->literal_cap : 256;
	char *more;

	while (cap < m->literal_len + n)
		cap *= 2;
	if (cap != m->literal_cap) {
		more = realloc(m->literal, cap);
		if (!more)
			return mt_alog_no_memory(m);
		m->literal = more;
		m->literal_cap = cap;
	}
	memcpy(m->literal + m->literal_len, p, n);
	m->literal_len += n;
	return true;
}

static struct mt_alog_piece *push(struct mt_alog_maker *m, enum mt_alog_piece_kind kind)
{
	void *items = m->f->pieces;
	struct mt_alog_piece *p;

	if (m->f->n_pieces == MT_ALOG_PIECES) {
		(void)mt_err(m->e, -E2BIG, "the format has more than %d parts", MT_ALOG_PIECES);
		return NULL;
	}
	p = mt_region_push(&m->f->region, &items, &m->f->n_pieces, sizeof(*p));
	m->f->pieces = items;
	if (!p) {
		(void)mt_alog_no_memory(m);
		return NULL;
	}
	p->kind = (uint8_t)kind;
	return p;
}

char *mt_alog_copy(struct mt_alog_maker *m, const char *p, size_t n)
{
	char *copy = mt_region_alloc(&m->f->region, n + MT_ALOG_PADDING);

	if (copy)
		memcpy(copy, p, n);
	return copy;
}

/* Moves the literal bytes to a piece. */
static bool take_literal(struct mt_alog_maker *m, struct mt_slice *to)
{
	char *text;

	if (!m->literal_len)
		return true;
	text = mt_alog_copy(m, m->literal, m->literal_len);
	if (!text)
		return mt_alog_no_memory(m);
	*to = (struct mt_slice){(const uint8_t *)text, (uint32_t)m->literal_len};
	m->literal_len = 0;
	return true;
}

bool mt_alog_flush(struct mt_alog_maker *m)
{
	struct mt_alog_piece *p = m->literal_len ? push(m, MT_ALOG_LITERAL) : NULL;

	return !m->literal_len || (p && take_literal(m, &p->text));
}

struct mt_alog_piece *mt_alog_piece(struct mt_alog_maker *m, enum mt_alog_piece_kind kind)
{
	struct mt_alog_piece *p;

	if (kind != MT_ALOG_VALUE)
		return mt_alog_flush(m) ? push(m, kind) : NULL;
	p = push(m, kind);
	return p && take_literal(m, &p->before) ? p : NULL;
}

/* ---- operators ------------------------------------------------------------------------------ */

static size_t place(const struct mt_alog_source_text *s, size_t i)
{
	return s->at ? s->at[i] : s->start + i;
}

/* Reads ":N", if it is there, and "%". Returns the place after it; 0: there is none. */
static size_t end_of(const struct mt_alog_source_text *s, size_t i, struct mt_alog_use *use)
{
	uint64_t limit = 0;

	use->has_limit = i + 1 < s->n && s->p[i] == ':' && s->p[i + 1] >= '0' && s->p[i + 1] <= '9';
	if (use->has_limit)
		for (i++; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++)
			limit = MT_MIN(
				limit * 10 + (uint64_t)(s->p[i] - '0'), (uint64_t)MT_ALOG_LINE);
	use->limit = (uint32_t)limit;
	return i < s->n && s->p[i] == '%' ? i + 1 : 0;
}

/* Arguments may contain a parenthesis if neither % nor a length follows it. */
static size_t arguments(const struct mt_alog_source_text *s, size_t i, struct mt_alog_use *use)
{
	use->has_arguments = true;
	for (size_t k = i; k < s->n && s->p[k] != '\n'; k++) {
		size_t end = s->p[k] == ')' ? end_of(s, k + 1, use) : 0;

		if (!end)
			continue;
		use->arguments = (struct mt_slice){(const uint8_t *)s->p + i, (uint32_t)(k - i)};
		return end;
	}
	return 0;
}

static bool is_name(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Reads the operator at i, where a percent sign is. Returns the place after it; 0: it is none. */
static size_t read_use(const struct mt_alog_source_text *s, size_t i, struct mt_alog_use *use)
{
	size_t start = i + 1, k = start;

	memset(use, 0, sizeof(*use));
	use->where = place(s, i);
	while (k < s->n && is_name(s->p[k]))
		k++;
	use->name = (struct mt_slice){(const uint8_t *)s->p + start, (uint32_t)(k - start)};
	if (k == start)
		return 0;
	return k < s->n && s->p[k] == '(' ? arguments(s, k + 1, use) : end_of(s, k, use);
}

static bool bad_use(struct mt_alog_maker *m, const struct mt_alog_use *use)
{
	if (!use->name.len)
		return mt_alog_fail(m, use->where,
			"no operator follows this %%; write %%%% for a percent sign");
	return mt_alog_fail(m, use->where,
		"%.*s does not end: %%NAME%%, %%NAME(ARGUMENTS)%% or "
		"%%NAME(ARGUMENTS):LENGTH%% is needed",
		(int)MT_MIN(use->name.len, 64u), (const char *)use->name.p);
}

static bool add_use(struct mt_alog_maker *m, const struct mt_alog_use *use, enum mt_alog_form form)
{
	const struct mt_alog_operator *op =
		mt_alog_operator_find((const char *)use->name.p, use->name.len);
	struct mt_alog_piece *p;

	if (!op)
		return mt_alog_fail(m, use->where, "%.*s is not an operator",
			(int)MT_MIN(use->name.len, 64u), (const char *)use->name.p);
	p = mt_alog_piece(m, MT_ALOG_VALUE);
	if (!p)
		return false;
	p->form = (uint8_t)form;
	return mt_alog_arguments(m, op, use, p);
}

bool mt_alog_is_single(const struct mt_alog_source_text *s)
{
	struct mt_alog_use use;

	return s->n > 1 && s->p[0] == '%' && read_use(s, 0, &use) == s->n;
}

/* Literal bytes of a JSON string are escaped here, those of text are the operator's own. */
static bool plain(struct mt_alog_maker *m, const char *p, size_t n)
{
	struct mt_alog_out o = {0};
	char form[16];

	if (!m->json)
		return mt_alog_literal(m, p, n);
	for (size_t i = 0, step; i < n; i += step) {
		step = (unsigned char)p[i] < 0x80 ? 1 : mt_utf8_len(p + i, n - i);
		step = step ? step : 1;
		o = (struct mt_alog_out){.p = form, .end = sizeof(form)};
		mt_alog_escape(&o, (struct mt_slice){(const uint8_t *)p + i, (uint32_t)step}, true);
		if (!mt_alog_literal(m, form, o.len))
			return false;
	}
	return true;
}

bool mt_alog_template(
	struct mt_alog_maker *m, const struct mt_alog_source_text *s, enum mt_alog_form form)
{
	struct mt_alog_use use;
	size_t i = 0;

	while (i < s->n) {
		const char *percent = memchr(s->p + i, '%', s->n - i);
		size_t to = percent ? (size_t)(percent - s->p) : s->n;

		if (!plain(m, s->p + i, to - i))
			return false;
		if (to == s->n)
			break;
		if (to + 1 < s->n && s->p[to + 1] == '%') {
			if (!plain(m, "%", 1))
				return false;
			i = to + 2;
			continue;
		}
		i = read_use(s, to, &use);
		if (!i)
			return bad_use(m, &use);
		if (!add_use(m, &use, form))
			return false;
	}
	return true;
}

/* ---- the whole ------------------------------------------------------------------------------ */

static bool text_format(struct mt_alog_maker *m)
{
	struct mt_alog_source_text s = {.p = m->text, .n = m->len};

	if (!mt_alog_template(m, &s, MT_ALOG_AS_TEXT))
		return false;
	if (m->len && m->text[m->len - 1] == '\n')
		return true;
	return mt_alog_literal(m, "\n", 1);
}

/* Fewest bytes of a piece in a line. */
static uint32_t least(const struct mt_alog_piece *p)
{
	switch ((enum mt_alog_piece_kind)p->kind) {
	case MT_ALOG_VALUE:
	case MT_ALOG_FIRST:
		return p->before.len + (p->form == MT_ALOG_AS_JSON ? 4 : 1); /* null, - */
	case MT_ALOG_END_MEMBER:
		return 1; /* a comma */
	default:
		return p->text.len;
	}
}

static bool measure(struct mt_alog_maker *m)
{
	uint64_t rest = 0;

	for (uint32_t i = m->f->n_pieces; i-- > 0;) {
		m->f->pieces[i].rest = (uint32_t)MT_MIN(rest, (uint64_t)UINT32_MAX);
		rest += least(&m->f->pieces[i]);
	}
	if (rest <= MT_ALOG_LINE)
		return true;
	(void)mt_err(m->e, -E2BIG, "a line would have at least %llu bytes, and has at most %d",
		(unsigned long long)rest, MT_ALOG_LINE);
	return false;
}

struct mt_alog_format *mt_alog_compile(const struct mt_alog_spec *spec, struct mt_err *e)
{
	bool json = spec->encoding == MT_ALOG_JSON;
	const char *standard = json ? default_json : default_text;
	struct mt_alog_maker m = {.text = spec->text ? spec->text : standard,
		.len = spec->text ? spec->len : strlen(standard),
		.json = json,
		.e = e};
	bool made;

	if (m.len > MT_ALOG_FORMAT_TEXT) {
		(void)mt_err(e, -E2BIG, "the format has more than %d bytes", MT_ALOG_FORMAT_TEXT);
		return NULL;
	}
	m.f = calloc(1, sizeof(*m.f));
	if (!m.f) {
		(void)mt_alog_no_memory(&m);
		return NULL;
	}
	mt_region_init(&m.f->region, 0);
	m.f->omit_empty = spec->omit_empty;
	made = (json ? mt_alog_json(&m) : text_format(&m)) && mt_alog_flush(&m) && measure(&m);
	free(m.literal);
	if (made)
		return m.f;
	mt_alog_format_free(m.f);
	return NULL;
}

void mt_alog_format_free(struct mt_alog_format *f)
{
	if (!f)
		return;
	mt_region_fini(&f->region);
	free(f);
}

const char *mt_alog_note(const struct mt_alog_format *f, uint32_t i)
{
	return i < f->n_notes ? f->notes[i] : NULL;
}

const struct mt_alog_key *mt_alog_key(const struct mt_alog_format *f, uint32_t i)
{
	return i < f->n_keys ? &f->keys[i] : NULL;
}
