/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures policies, so that their work can be counted before they are compiled: their rules, and
 * if these depend on ports, because rules are then chosen for each port. Conditions are compiled
 * once for all ports of a codec.
 */
#include "mt_conf_policy_priv.h"

#include <string.h>

/* A policy at a port, and a rule of it there, without its conditions: 200 and 70 bytes. */
#define STEPS_AT_PORT 6
#define STEPS_OF_RULE 2
/* A policy for a codec, a condition or rule, and a value in it: 300, 200 and 100 bytes. */
#define STEPS_COMPILED 6
#define STEPS_OF_COND  4
#define STEPS_OF_WORD  2
#define BYTES_OF_WORD  100
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

/* A policy while it is measured. */
struct sizing {
	struct mt_policy_sum *sum;
	uint64_t words, domains;
};

/* Values, and more for long ones, which are copied. */
static uint64_t words_of(const struct mt_texts *l)
{
	uint64_t n = l->n;

	for (uint32_t i = 0; i < l->n; i++)
		n += l->v[i].s ? strlen(l->v[i].s) / BYTES_OF_WORD : 0;
	return n;
}

/* Adds lists of values of a condition. Only those that must match have places in an index. */
static void add_values(struct sizing *to, uint8_t field, const struct mt_texts *values,
	const struct mt_texts *nots)
{
	to->sum->values += field ? values->n : 0;
	to->sum->networks += field == OF_PEER ? values->n : 0;
	to->sum->fields |= values->n ? field : 0;
	to->words += words_of(values) + words_of(nots);
}

/* The same of names in trust domains. */
static void add_names(struct sizing *to, uint8_t field, const struct mt_texts *values,
	const struct mt_texts *nots)
{
	add_values(to, field, values, nots);
	to->words += (words_of(values) + words_of(nots)) * to->domains;
}

static void add_source(struct sizing *to, const struct mt_policy_source *s)
{
	add_names(to, OF_PRINCIPAL, &s->principals, &s->not_principals);
	add_values(to, OF_NAMESPACE, &s->namespaces, &s->not_namespaces);
	add_values(to, OF_ACCOUNT, &s->service_accounts, &s->not_service_accounts);
	add_values(to, OF_PEER, &s->ip_blocks, &s->not_ip_blocks);
	add_values(to, OF_PEER, &s->remote_ip_blocks, &s->not_remote_ip_blocks);
	add_values(to, 0, &s->request_principals, &s->not_request_principals);
	add_names(to, 0, &s->trust_domains, &s->not_trust_domains);
}

static void add_operation(struct sizing *to, const struct mt_policy_operation *o)
{
	add_values(to, OF_METHOD, &o->methods, &o->not_methods);
	add_values(to, OF_PATH, &o->paths, &o->not_paths);
	add_values(to, OF_INTERFACE, &o->interfaces, &o->not_interfaces);
	add_values(to, 0, &o->hosts, &o->not_hosts);
	add_values(to, 0, &o->ports, &o->not_ports);
	to->sum->parts += (uint64_t)o->ports.n + o->not_ports.n;
}

static void add_condition(struct sizing *to, const struct mt_policy_condition *c)
{
	static const struct {
		const char *key;
		uint8_t field;
	} kinds[] = {{"source.ip", OF_PEER}, {"remote.ip", OF_PEER},
		{"source.namespace", OF_NAMESPACE}, {"source.principal", OF_PRINCIPAL},
		{"source.serviceAccount", OF_ACCOUNT}, {"connection.sni", OF_SNI}};
	uint8_t field = 0;

	if (!c->key.s)
		return;
	if (is_port(c))
		to->sum->parts += (uint64_t)c->values.n + c->not_values.n;
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++)
		if (strcmp(c->key.s, kinds[i].key) == 0)
			field = kinds[i].field;
	(field == OF_PRINCIPAL ? add_names : add_values)(to, field, &c->values, &c->not_values);
	if (strncmp(c->key.s, "request.headers[", strlen("request.headers[")) == 0) {
		to->sum->keys++;
		to->sum->values += c->values.n;
	}
}

static void add_rule(struct sizing *to, const struct mt_policy_rule *r)
{
	to->sum->parts += (uint64_t)r->n_from + r->n_to + r->n_when;
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
	for (uint32_t i = 0; i < a->n_rules; i++) {
		add_tokens(s, &a->rules[i]);
		/* Where tokens cannot be verified, any of them is denied. */
		s->closings += MT_MAX(a->rules[i].n_headers, 1u);
	}
}

/* ---- all ------------------------------------------------------------------------------------- */

static void measure_peers(struct mt_policy_sum *s, const struct mt_peer_authentication *a)
{
	s->closings = 1;
	s->varies = a->n_ports > 0;
	s->looks = a->n_ports / MT_PARTS_OF_STEP;
}

static void measure_closing(struct mt_policy_sum *s, const struct mt_closing *c)
{
	s->closings = !c->harmless;
	s->varies = !c->harmless && c->n_places;
	s->looks = c->n_places / MT_PARTS_OF_STEP;
}

static void measure_rules(struct mt_policy *p, uint32_t domains)
{
	const struct mt_authorization_policy *a = p->of.authorization;
	struct mt_policy_sum *s = &p->size;
	struct sizing to = {.sum = s, .domains = domains};

	for (uint32_t i = 0; i < a->n_rules; i++) {
		p->by_port |= depends_on_ports(&a->rules[i]);
		add_rule(&to, &a->rules[i]);
	}
	if (!mt_policy_is_real(p))
		return;
	s->rules = a->n_rules;
	s->closings = a->n_rules == 0;
	s->compiled =
		STEPS_COMPILED + STEPS_OF_COND * (s->rules + s->parts) + STEPS_OF_WORD * to.words;
	s->varies = p->by_port;
	if (p->by_port)
		s->at_ports =
			STEPS_AT_PORT + STEPS_OF_RULE * s->rules + s->parts / MT_PARTS_OF_STEP;
}

void mt_policy_measure(struct mt_policy *p, uint32_t domains)
{
	struct mt_policy_sum *s = &p->size;

	*s = (struct mt_policy_sum){.n = 1};
	switch (p->kind) {
	case MT_POLICY_OF_AUTHORIZATION:
		measure_rules(p, domains);
		break;
	case MT_POLICY_OF_PEERS:
		measure_peers(s, p->of.peers);
		break;
	case MT_POLICY_OF_TOKENS:
		measure_tokens(s, p->of.tokens);
		break;
	case MT_POLICY_OF_CLOSING:
		measure_closing(s, p->of.closing);
		break;
	}
}
