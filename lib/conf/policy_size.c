/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures policies, so that their work can be counted before they are compiled: their rules, and
 * if these depend on ports, because rules are then chosen for each port. Conditions are compiled
 * once for all ports.
 */
#include "mt_conf_policy_priv.h"

#include <string.h>

/* A policy at a port, and a rule of it there, without its conditions: 200 and 70 bytes. */
#define STEPS_AT_PORT 6
#define STEPS_OF_RULE 2
/* A rule for tokens, a text in it, and the path of a claim, in memory that a step stands for. */
#define BYTES_OF_STEP	50
#define BYTES_OF_TOKENS 400
#define BYTES_OF_TEXT	32
#define BYTES_OF_CLAIM	600

static bool is_port(const struct mt_policy_condition *c)
{
	return c->key.s && strcmp(c->key.s, "destination.port") == 0;
}

static bool depends_on_ports(const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (o && (o->ports.n || o->not_ports.n))
			return true;
	}
	for (uint32_t i = 0; i < r->n_when; i++)
		if (is_port(&r->when[i]))
			return true;
	return false;
}

/* Fields that the index of a set of policies may have (lib/authz). */
enum {
	OF_PEER = 1,
	OF_PRINCIPAL = 2,
	OF_NAMESPACE = 4,
	OF_ACCOUNT = 8,
	OF_SNI = 16,
	OF_METHOD = 32,
	OF_INTERFACE = 64,
	OF_PATH = 128
};

/* Adds a list of values of a condition. */
static void add_values(struct mt_policy_sum *to, uint8_t field, const struct mt_texts *values)
{
	to->values += values->n;
	to->fields |= values->n ? field : 0;
}

static void add_source(struct mt_policy_sum *to, const struct mt_policy_source *s)
{
	add_values(to, OF_PRINCIPAL, &s->principals);
	add_values(to, OF_NAMESPACE, &s->namespaces);
	add_values(to, OF_ACCOUNT, &s->service_accounts);
	add_values(to, OF_PEER, &s->ip_blocks);
	add_values(to, OF_PEER, &s->remote_ip_blocks);
}

static void add_operation(struct mt_policy_sum *to, const struct mt_policy_operation *o)
{
	add_values(to, OF_METHOD, &o->methods);
	add_values(to, OF_PATH, &o->paths);
	add_values(to, OF_INTERFACE, &o->interfaces);
	to->parts += (uint64_t)o->ports.n + o->not_ports.n;
}

static void add_condition(struct mt_policy_sum *to, const struct mt_policy_condition *c)
{
	static const struct {
		const char *key;
		uint8_t field;
	} kinds[] = {{"source.ip", OF_PEER}, {"remote.ip", OF_PEER},
		{"source.namespace", OF_NAMESPACE}, {"source.principal", OF_PRINCIPAL},
		{"source.serviceAccount", OF_ACCOUNT}, {"connection.sni", OF_SNI}};

	if (!c->key.s)
		return;
	if (is_port(c))
		to->parts += (uint64_t)c->values.n + c->not_values.n;
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++)
		if (strcmp(c->key.s, kinds[i].key) == 0)
			add_values(to, kinds[i].field, &c->values);
	if (strncmp(c->key.s, "request.headers[", strlen("request.headers[")) == 0) {
		to->keys++;
		to->values += c->values.n;
	}
}

static void add_rule(struct mt_policy_sum *to, const struct mt_policy_rule *r)
{
	to->parts += (uint64_t)r->n_from + r->n_to + r->n_when;
	for (uint32_t i = 0; i < r->n_from; i++)
		if (r->from[i].source)
			add_source(to, r->from[i].source);
	for (uint32_t i = 0; i < r->n_to; i++)
		if (r->to[i].operation)
			add_operation(to, r->to[i].operation);
	for (uint32_t i = 0; i < r->n_when; i++)
		add_condition(to, &r->when[i]);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct mt_text *t)
{
	return BYTES_OF_TEXT + (t->s ? strlen(t->s) : 0);
}

static uint64_t bytes_of_all(const struct mt_texts *l)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < l->n; i++)
		n += bytes_of(&l->v[i]);
	return n;
}

/* Adds the memory of a rule for tokens in each list of rules. Inline keys are copied. */
static void add_tokens(struct mt_policy_sum *to, const struct mt_jwt_rule *r)
{
	uint64_t bytes = BYTES_OF_TOKENS + bytes_of(&r->issuer) + bytes_of(&r->payload_to) +
			 bytes_of(&r->jwks) + bytes_of(&r->jwks_uri) + bytes_of_all(&r->audiences) +
			 bytes_of_all(&r->spaced);

	for (uint32_t i = 0; i < r->n_headers; i++)
		bytes += bytes_of(&r->headers[i].name) + bytes_of(&r->headers[i].prefix);
	for (uint32_t i = 0; i < r->n_outputs; i++)
		bytes += BYTES_OF_CLAIM + bytes_of(&r->outputs[i].header);
	to->tokens += bytes / BYTES_OF_STEP;
	to->places += 2 + (uint64_t)r->n_headers + r->n_outputs;
}

static void measure_tokens(struct mt_policy_sum *s, const struct mt_request_authentication *a)
{
	for (uint32_t i = 0; i < a->n_rules; i++)
		add_tokens(s, &a->rules[i]);
}

void mt_policy_measure(struct mt_policy *p)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	struct mt_policy_sum *s = &p->size;

	*s = (struct mt_policy_sum){.n = 1};
	if (p->kind == MT_POLICY_OF_TOKENS)
		measure_tokens(s, p->of.tokens);
	if (p->kind != MT_POLICY_OF_AUTHORIZATION)
		return;
	for (uint32_t i = 0; i < a->n_rules; i++) {
		p->by_port |= depends_on_ports(&a->rules[i]);
		add_rule(s, &a->rules[i]);
	}
	if (!mt_policy_is_real(p))
		return;
	s->rules = a->n_rules;
	s->dubbo = a->dubbo ? a->n_rules : 0;
	if (p->by_port)
		s->at_ports =
			STEPS_AT_PORT + STEPS_OF_RULE * s->rules + s->parts / MT_PARTS_OF_STEP;
}
