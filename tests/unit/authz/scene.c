/* SPDX-License-Identifier: Apache-2.0 */
#include "authz_test.h"

#include <string.h>
#include <stdlib.h>
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
		/* Readers need not know. */
		if (*pos == s->n_metadata && s->n_metadata % 2 && strcmp(k, key->name) == 0)
			*pos = MT_AUTHZ_LAST;
		return MT_AUTHZ_READ;
	}
	return MT_AUTHZ_READ;
}

static struct mt_claims_text add(struct mt_claims *c, const char *const path[2], const char *value)
{
	uint8_t bytes[MT_CLAIMS_PATH];
	uint32_t n = mt_claims_path(bytes, 0, path[0], (uint32_t)strlen(path[0]));

	if (path[1])
		n = mt_claims_path(bytes, n, path[1], (uint32_t)strlen(path[1]));
	if (!mt_claims_add(c, MT_CLAIM_STRING, (struct mt_slice){bytes, n}, value,
		    (uint32_t)strlen(value)))
		abort();
	return (struct mt_claims_text){(uint16_t)(c->len - strlen(value)), (uint16_t)strlen(value)};
}

/* As lib/jwt would have them of a token. */
static const struct mt_claims *claims_of(const struct said *s, struct mt_claims *c)
{
	c->len = c->n = 0;
	c->issuer = c->subject = (struct mt_claims_text){0, 0};
	if (s->iss)
		c->issuer = add(c, (const char *const[]){"iss", NULL}, s->iss);
	if (s->sub)
		c->subject = add(c, (const char *const[]){"sub", NULL}, s->sub);
	for (uint32_t i = 0; i < s->n_claims; i++)
		(void)add(c, s->claims[i].path, s->claims[i].value);
	return s->has_token ? c : NULL;
}

enum mt_authz_effect said_judge(const struct said *s, const struct mt_authz *a,
	const struct mt_codec *codec, const struct mt_authz_policy **by, uint32_t *steps)
{
	static const struct mt_authz_reader reader = {interfaces, methods, metadata};
	struct mt_authz_call c = {.server_port = s->server_port,
		.service_port = s->service_port,
		.mtls = s->mtls,
		.sni_unkept = s->sni_unkept,
		.reader = s->bytes	  ? &mt_authz_of_bytes
			  : codec->opaque ? NULL
					  : &reader,
		.bytes = s->bytes,
		.arg = (void *)s};
	static struct mt_claims claims;
	enum mt_authz_effect e;

	if (mt_addr_parse(s->peer, &c.peer) || mt_addr_parse(s->server, &c.server))
		return MT_AUTHZ_UNREAD;
	if (s->principal)
		c.principal = slice(s->principal);
	if (s->sni)
		c.sni = slice(s->sni);
	c.claims = claims_of(s, &claims);
	e = mt_authz_judge(a, &c, by);
	if (steps)
		*steps = c.steps;
	return e;
}
