/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Authorization of a call by a hundred policies: 50 of DENY, none of which matches, and 50 of
 * ALLOW, of which only the last one matches. A quarter each match a path, a path's prefix or
 * suffix, the caller's network, and metadata. The cost of parsing a message is measured with the
 * codec (dubbo_metadata).
 */
#include "ops.h"

#include "mt_authz.h"

#include <string.h>

#define POLICIES 100

static struct mt_authorization_policy written[POLICIES];
static struct mt_authz_policy *compiled[POLICIES];
static struct mt_region region;

static struct mt_slice slice(const char *s)
{
	return (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
}

static enum mt_authz_read interfaces(struct mt_authz_call *c)
{
	c->interfaces[0] = slice("org.shop.Orders");
	c->n_interfaces = 1;
	return MT_AUTHZ_READ;
}

static enum mt_authz_read methods(struct mt_authz_call *c)
{
	c->methods[0] = slice("get");
	c->n_methods = 1;
	return MT_AUTHZ_READ;
}

static enum mt_authz_read metadata(
	struct mt_authz_call *c, const struct mt_key *key, uint32_t *pos, struct mt_slice *v)
{
	*v = slice("tenant-24-of-allow");
	*pos = MT_AUTHZ_LAST;
	return MT_AUTHZ_READ;
}

static void texts(struct mt_texts *l, char *text)
{
	l->v = mt_region_alloc(&region, sizeof(*l->v));
	l->v[0].s = text;
	l->n = 1;
}

/* The kinds alternate; DENY comes first. */
static void write_policy(uint32_t i)
{
	struct mt_authorization_policy *p = &written[i];
	struct mt_policy_rule *u = p->rules = mt_region_alloc(&region, sizeof(*u));
	struct mt_policy_operation *o = mt_region_alloc(&region, sizeof(*o));
	struct mt_policy_source *s = mt_region_alloc(&region, sizeof(*s));
	const char *name = i < POLICIES / 2 ? "deny" : "allow";
	uint32_t n = i % (POLICIES / 2) / 2;

	*p = (struct mt_authorization_policy){
		.meta = {.kind = "AuthorizationPolicy", .ns = "shop", .name = name},
		.action.v = i < POLICIES / 2 ? MT_POLICY_DENY : MT_POLICY_ALLOW,
		.n_rules = 1,
		.rules = u};
	u->from = mt_region_alloc(&region, sizeof(*u->from));
	u->to = mt_region_alloc(&region, sizeof(*u->to));
	u->when = mt_region_alloc(&region, sizeof(*u->when));
	u->from->source = s;
	u->to->operation = o;
	u->when->key.s = "request.headers[tenant]";
	u->n_from = i % 4 == 2;
	u->n_to = i % 4 < 2;
	u->n_when = i % 4 == 3;
	if (i % 4 == 0)
		texts(&o->paths, mt_region_printf(&region, "/org.shop.Stock%u%s/get", n, name));
	else if (i % 4 == 1)
		texts(&o->paths,
			mt_region_printf(&region,
				i % 8 == 1 ? "/org.shop.Users%u%s*" : "*/list%u%s", n, name));
	else if (i % 4 == 2)
		texts(&s->ip_blocks, mt_region_printf(&region, "10.%u.%u.0/24", i < 50, n));
	else
		texts(&u->when->values, mt_region_printf(&region, "tenant-%u-of-%s", n, name));
}

static const struct mt_authz *build(void)
{
	static const char *const domains[] = {"cluster.local"};
	const struct mt_authz_callers who = {false, true, domains, 1};

	mt_region_init(&region, 1 << 20);
	for (uint32_t i = 0; i < POLICIES; i++) {
		write_policy(i);
		compiled[i] =
			mt_authz_compile(&region, &written[i], mt_codec_find("dubbo"), NULL, &who);
		MT_ASSERT(compiled[i]);
	}
	return mt_authz_set(&region, compiled, POLICIES, NULL);
}

static OPS_MEASURED enum mt_authz_effect op_authz_100(
	const struct mt_authz *a, struct mt_authz_call *c, const struct mt_authz_policy **by)
{
	return mt_authz_judge(a, c, by);
}

uint32_t ops_authz(struct mt_pools *pools)
{
	static const struct mt_authz_reader reader = {interfaces, methods, metadata};
	const struct mt_authz *a = build();

	MT_ASSERT(a);
	for (uint32_t i = 0; i < OPS_ROUNDS; i++) {
		struct mt_authz_call c = {
			.reader = &reader, .principal = slice("cluster.local/ns/shop/sa/clerk")};
		const struct mt_authz_policy *by;

		MT_ASSERT(mt_addr_parse("10.7.7.7", &c.peer) == 0);
		MT_ASSERT(op_authz_100(a, &c, &by) == MT_AUTHZ_ALLOWED);
	}
	mt_region_fini(&region);
	return OPS_ROUNDS;
}
