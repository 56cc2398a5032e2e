/* SPDX-License-Identifier: Apache-2.0 */
#include "authz_test.h"

#include <string.h>
#include <strings.h>

static struct mt_slice slice(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static enum mt_authz_read interfaces(struct mt_authz_call *c)
{
	const struct said *s = c->arg;

	for (uint32_t i = 0; i < s->n_interfaces; i++)
		c->interfaces[c->n_interfaces++] = slice(s->interfaces[i]);
	return s->no_interfaces ? MT_AUTHZ_UNREADABLE : MT_AUTHZ_READ;
}

static enum mt_authz_read methods(struct mt_authz_call *c)
{
	const struct said *s = c->arg;

	for (uint32_t i = 0; i < s->n_methods; i++)
		c->methods[c->n_methods++] = slice(s->methods[i]);
	return s->no_methods ? MT_AUTHZ_UNREADABLE : MT_AUTHZ_READ;
}

static enum mt_authz_read metadata(
	struct mt_authz_call *c, const struct mt_key *key, uint32_t *pos, struct mt_slice *v)
{
	const struct said *s = c->arg;

	if (s->no_metadata)
		return MT_AUTHZ_UNREADABLE;
	while (*pos < s->n_metadata) {
		const char *k = s->metadata[*pos].key, *value = s->metadata[*pos].value;

		(*pos)++;
		if ((key->icase ? strcasecmp(k, key->name) : strcmp(k, key->name)) != 0)
			continue;
		if (!value)
			return MT_AUTHZ_UNREADABLE;
		*v = slice(value);
		return MT_AUTHZ_READ;
	}
	return MT_AUTHZ_READ;
}

enum mt_authz_effect said_judge(const struct said *s, const struct mt_authz *a,
	const struct mt_codec *codec, const struct mt_authz_policy **by, uint32_t *steps)
{
	static const struct mt_authz_reader reader = {interfaces, methods, metadata};
	struct mt_authz_call c = {.server_port = s->server_port,
		.service_port = s->service_port,
		.mtls = s->mtls,
		.sni_unkept = s->sni_unkept,
		.reader = codec->opaque ? NULL : &reader,
		.arg = (void *)s};
	enum mt_authz_effect e;

	if (mt_addr_parse(s->peer, &c.peer) || mt_addr_parse(s->server, &c.server))
		return MT_AUTHZ_UNREAD;
	if (s->principal)
		c.principal = slice(s->principal);
	if (s->sni)
		c.sni = slice(s->sni);
	e = mt_authz_judge(a, &c, by);
	if (steps)
		*steps = c.steps;
	return e;
}
