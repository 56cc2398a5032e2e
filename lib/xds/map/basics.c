/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of texts, numbers and addresses of messages. */
#include "mt_xds_map_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool mt_xm_bad(struct mt_xmap *m, const char *field, const char *fmt, ...)
{
	char text[256], safe[320];
	va_list ap;

	if (m->rc)
		return false;
	m->rc = -EINVAL;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mt_escape(safe, sizeof(safe), text);
	mt_err(m->rd.why, -EINVAL, "%.160s%s%s%s%s", m->rd.at.text,
		field && m->rd.at.len ? "." : "", field ? field : "",
		field || m->rd.at.len ? ": " : "", safe);
	return false;
}

bool mt_xm_no_memory(struct mt_xmap *m)
{
	if (!m->rc)
		m->rc = mt_err(m->rd.why, -ENOMEM, "out of memory");
	return false;
}

void *mt_xm_alloc(struct mt_xmap *m, size_t size)
{
	void *p = mt_region_alloc(m->r, size);

	if (!p)
		mt_xm_no_memory(m);
	return p;
}

void *mt_xm_array(struct mt_xmap *m, size_t n, size_t size)
{
	if (n > UINT32_MAX / size) {
		mt_xm_no_memory(m);
		return NULL;
	}
	return mt_xm_alloc(m, n * size);
}

bool mt_xm_name(struct mt_xmap *m, const char *field, const char *s, const char **out)
{
	size_t len = strlen(s);

	if (!len)
		return mt_xm_bad(m, field, "missing");
	if (len > MT_XM_NAME_MAX)
		return mt_xm_bad(m, field, "longer than %u characters", MT_XM_NAME_MAX);
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return mt_xm_bad(
				m, field, "\"%.64s\" has a character that no name may have", s);
	*out = mt_region_strndup(m->r, s, len);
	return *out || mt_xm_no_memory(m);
}

bool mt_xm_name_text(struct mt_xmap *m, const char *field, const char *s, struct mt_text *out)
{
	return mt_xm_name(m, field, s, &out->s);
}

bool mt_xm_text(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out)
{
	size_t len = strlen(s);

	if (len > max)
		return mt_xm_bad(m, field, "longer than %zu bytes", max);
	out->s = mt_region_strndup(m->r, s, len);
	return out->s || mt_xm_no_memory(m);
}

bool mt_xm_words(
	struct mt_xmap *m, const char *field, const char *s, size_t max, struct mt_text *out)
{
	size_t len = strlen(s);

	for (size_t i = 0, n; i < len; i += n) {
		n = (unsigned char)s[i] < 0x80 ? 1 : mt_utf8_len(s + i, len - i);
		if (!n || (unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return mt_xm_bad(m, field, "\"%.64s\" is not printable text", s);
	}
	return mt_xm_text(m, field, s, max, out);
}

bool mt_xm_ms(struct mt_xmap *m, const char *field, const Xds__Duration *d, uint32_t min_ms,
	uint32_t *out)
{
	uint64_t ms;

	if (!d)
		return true;
	if (d->seconds < 0 || d->nanos < 0 || d->nanos > 999999999)
		return mt_xm_bad(m, field, "not a duration");
	if ((uint64_t)d->seconds > UINT32_MAX / 1000)
		return mt_xm_bad(m, field, "longer than 49 days");
	/* Round up, so that a timeout is never shorter than configured. */
	ms = (uint64_t)d->seconds * 1000 + ((uint32_t)d->nanos + 999999u) / 1000000u;
	if (ms < min_ms)
		return mt_xm_bad(m, field, "shorter than %u ms", min_ms);
	*out = (uint32_t)MT_MIN(ms, UINT32_MAX);
	return true;
}

bool mt_xm_u32(struct mt_xmap *m, const char *field, const Xds__UInt32Value *v, uint32_t min,
	uint32_t max, uint32_t *out)
{
	if (!v)
		return true;
	if (v->value < min || v->value > max)
		return mt_xm_bad(m, field, "%u is not within %u and %u", v->value, min, max);
	*out = v->value;
	return true;
}

bool mt_xm_port(struct mt_xmap *m, const char *field, uint32_t v, uint16_t *out)
{
	if (v < 1 || v > 65535)
		return mt_xm_bad(m, field, "%u is not a port", v);
	*out = (uint16_t)v;
	return true;
}

bool mt_xm_fraction(
	struct mt_xmap *m, const char *field, const Xds__FractionalPercent *f, uint32_t *ppm)
{
	static const uint32_t each[] = {10000, 100, 1};
	uint64_t v;

	*ppm = 1000000;
	if (!f)
		return true;
	if (f->denominator < 0 || f->denominator >= (int32_t)MT_ARRAY_LEN(each))
		return mt_xm_bad(m, field, "denominator %d is not known", f->denominator);
	v = (uint64_t)f->numerator * each[f->denominator];
	if (v > 1000000)
		return mt_xm_bad(m, field, "more than all");
	*ppm = (uint32_t)v;
	return true;
}

bool mt_xm_percent(struct mt_xmap *m, const char *field, const Xds__Percent *p, struct mt_num *out)
{
	if (!p)
		return true;
	if (!(p->value >= 0 && p->value <= 100))
		return mt_xm_bad(m, field, "not a percentage");
	*out = (struct mt_num){.v = (uint32_t)(p->value * 100 + 0.5), .set = true};
	return true;
}

bool mt_xm_socket(struct mt_xmap *m, const char *field, const Xds__Address *a, const char **host,
	uint16_t *port)
{
	uint32_t mark = mt_xm_in(m, field);
	const Xds__SocketAddress *s;

	if (!a || a->address_case == XDS__ADDRESS__ADDRESS__NOT_SET)
		return mt_xm_bad(m, NULL, "missing");
	if (a->address_case != XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS)
		return mt_xm_bad(m, NULL, "not a socket's address");
	s = a->socket_address;
	mt_xm_in(m, "socket_address");
	if (s->protocol != 0)
		return mt_xm_bad(m, "protocol", "only TCP is served");
	if (s->port_specifier_case != XDS__SOCKET_ADDRESS__PORT_SPECIFIER_PORT_VALUE)
		return mt_xm_bad(m, "port_value", "missing");
	if (!mt_xm_port(m, "port_value", s->port_value, port))
		return false;
	if (!*s->address)
		return mt_xm_bad(m, "address", "missing");
	*host = s->address;
	mt_xm_out(m, mark);
	return true;
}
