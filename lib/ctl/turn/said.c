/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view of a described message. Routes and filters read it through the codec's leading(),
 * so that they treat it like a received message, and no second matching code exists.
 */
#include "explain.h"
#include "names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_key(const struct mt_said_pair *p, const char *name, size_t len, bool icase)
{
	if (p->key_len != len)
		return false;
	return icase ? strncasecmp(p->key, name, len) == 0 : memcmp(p->key, name, len) == 0;
}

/* Well-known keys match by the protocol's own name, whatever their case in a condition. */
static bool metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	const struct mt_said *s = mt_container_of(self, struct mt_said, codec);
	const char *name = key->id >= 0 ? s->codec.keys[key->id] : key->name;
	size_t len = key->id >= 0 ? strlen(name) : key->len;
	bool icase = key->id < 0 && key->icase;

	for (uint32_t i = 0; i < s->n_pairs; i++) {
		const struct mt_said_pair *p = &s->pairs[i];

		if (!is_key(p, name, len, icase))
			continue;
		*value = (struct mt_slice){(const uint8_t *)p->value, (uint32_t)strlen(p->value)};
		return true;
	}
	return false;
}

static int add(struct mt_said *s, const char *key, size_t len, const char *value, struct mt_err *e)
{
	for (uint32_t i = 0; i < s->n_pairs; i++)
		if (is_key(&s->pairs[i], key, len, false))
			return mt_err(e, -EINVAL, "%.*s is given twice", (int)len, key);
	if (s->n_pairs == MT_SAID_PAIRS)
		return mt_err(e, -EINVAL, "more than %u keys", MT_SAID_PAIRS);
	s->pairs[s->n_pairs++] = (struct mt_said_pair){key, value, len};
	return 0;
}

void mt_said_use(struct mt_said *s, const struct mt_codec *codec)
{
	s->codec = *codec;
	s->codec.metadata.leading = metadata;
	s->codec.metadata.index = NULL;
	s->codec.metadata.carries = NULL;
	s->codec.metadata.lacks = NULL;
	s->codec.metadata.inner_method = NULL;
	s->view.codec = &s->codec;
	s->view.msg = &s->msg;
	/* `service` becomes the key that this protocol uses for its service. */
	for (uint32_t i = 0; i < s->n_pairs; i++) {
		struct mt_said_pair *p = &s->pairs[i];

		if (p->value != s->service || !codec->service_key)
			continue;
		p->key = codec->service_key;
		p->key_len = strlen(codec->service_key);
	}
}

/* ---- arguments ------------------------------------------------------------------------------ */

static int parse_listener(struct mt_said *s, const char *text, struct mt_err *e)
{
	char addr[MT_ADDR_STRLEN];
	const char *colon = strrchr(text, ':'), *from = text;
	unsigned long port;
	size_t len;
	char *end;

	if (!colon || colon[1] < '0' || colon[1] > '9')
		return mt_err(e, -EINVAL, "listener=%s: not ADDRESS:PORT", text);
	port = strtoul(colon + 1, &end, 10);
	len = (size_t)(colon - text);
	if (len > 1 && text[0] == '[' && text[len - 1] == ']') {
		from++;
		len -= 2;
	}
	if (*end || !port || port > UINT16_MAX || len >= sizeof(addr))
		return mt_err(e, -EINVAL, "listener=%s: not ADDRESS:PORT", text);
	memcpy(addr, from, len);
	addr[len] = '\0';
	if (mt_addr_parse(addr, &s->listener))
		return mt_err(e, -EINVAL, "listener=%s: %s is not an address", text, addr);
	s->listener_port = (uint16_t)port;
	s->has_listener = true;
	return 0;
}

static int parse_protocol(struct mt_said *s, const char *text, struct mt_err *e)
{
	s->protocol = mt_codec_registry_find(s->codecs, text);
	if (!s->protocol)
		return mt_err(e, -EINVAL, "protocol=%s: there is no such protocol", text);
	return 0;
}

static int parse_src(struct mt_said *s, const char *text, struct mt_err *e)
{
	if (mt_addr_parse(text, &s->view.peer))
		return mt_err(e, -EINVAL, "src=%s: not an address", text);
	s->has_src = true;
	return 0;
}

/* Accepts the principal with or without "spiffe://". */
static int parse_principal(struct mt_said *s, const char *text, struct mt_err *e)
{
	static const char scheme[] = "spiffe://";
	size_t n = sizeof(scheme) - 1;

	text += strncmp(text, scheme, n) == 0 ? n : 0;
	if (!*text || strlen(text) > MT_TLS_PRINCIPAL_MAX - n)
		return mt_err(e, -EINVAL,
			"principal=%.64s: not TRUSTDOMAIN/ns/NAMESPACE/sa/ACCOUNT", text);
	snprintf(s->who.principal, sizeof(s->who.principal), "%s%s", scheme, text);
	s->by_tls = s->who.certificate = s->who.member = true;
	return 0;
}

static int parse_sni(struct mt_said *s, const char *text, struct mt_err *e)
{
	if (!*text || strlen(text) > MT_TLS_NAME_MAX)
		return mt_err(e, -EINVAL, "sni=%.64s: not a name", text);
	for (size_t i = 0; text[i]; i++)
		s->who.sni[i] = (char)tolower((unsigned char)text[i]);
	s->by_tls = true;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(struct mt_said *s, const char *text, struct mt_err *e);
} words_of_ours[] = {
	{"protocol", parse_protocol},
	{"src", parse_src},
	{"principal", parse_principal},
	{"sni", parse_sni},
	{"listener", parse_listener},
};

/* A word that starts with a dot is metadata, even if its key is one of the words above. */
static int parse_word(struct mt_said *s, const char *word, struct mt_err *e)
{
	const char *eq = strchr(word, '=');
	size_t len = eq ? (size_t)(eq - word) : 0;

	if (len == 0 || (word[0] == '.' && len == 1))
		return mt_err(e, -EINVAL, "%s: not KEY=VALUE", word);
	if (word[0] == '.')
		return add(s, word + 1, len - 1, eq + 1, e);
	for (size_t i = 0; i < MT_ARRAY_LEN(words_of_ours); i++)
		if (strlen(words_of_ours[i].name) == len &&
			memcmp(words_of_ours[i].name, word, len) == 0)
			return words_of_ours[i].parse(s, eq + 1, e);
	if (len == strlen("service") && memcmp(word, "service", len) == 0)
		s->service = eq + 1;
	return add(s, word, len, eq + 1, e);
}

/*
 * Appends a word without `=` to the value before it, as in "authorization=Bearer TOKEN". Only one
 * value may contain blanks.
 */
static bool goes_on(struct mt_said *s, const char *before, const char *word)
{
	struct mt_said_pair *p = s->n_pairs ? &s->pairs[s->n_pairs - 1] : NULL;
	bool begun = p && p->value == s->joined;
	const char *eq = strchr(before, '=');
	int n;

	if (strchr(word, '=') || !p || (!begun && (!eq || p->value != eq + 1 || s->joined[0])))
		return false;
	n = begun ? (int)strlen(s->joined) : snprintf(s->joined, sizeof(s->joined), "%s", p->value);
	if ((size_t)n + strlen(word) + 2 > sizeof(s->joined))
		return false;
	snprintf(s->joined + n, sizeof(s->joined) - (size_t)n, " %s", word);
	p->value = s->joined;
	return true;
}

int mt_said_parse(struct mt_said *s, const struct mt_codec_registry *codecs,
	const char *const *words, uint32_t n, struct mt_err *e)
{
	memset(s, 0, sizeof(*s));
	s->codecs = codecs;
	for (uint32_t i = 0; i < n; i++)
		if (!(i && goes_on(s, words[i - 1], words[i])) && parse_word(s, words[i], e))
			return -EINVAL;
	if (!s->protocol && !s->has_listener && !s->service)
		return mt_err(e, -EINVAL,
			"give service=NAME, protocol=NAME or listener=ADDRESS:PORT, and KEY=VALUE "
			"for the message's metadata");
	return 0;
}

/* ---- completion ----------------------------------------------------------------------------- */

static void offer_listeners(struct mt_ctl *c, struct mt_offers *o)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	char where[MT_ADDR_STRLEN], word[MT_ADDR_STRLEN + 16];

	for (uint32_t i = 0; s && i < s->n_listeners && !o->more; i++) {
		const struct mt_listener *l = &s->listeners[i];

		snprintf(word, sizeof(word), "listener=%s",
			mt_addr_port_str(&l->addr, l->port, where));
		mt_offer(o, word, l->n_protos ? l->protos[0].codec->name : "");
	}
}

void mt_offer_said(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o)
{
	static const struct {
		const char *word, *help;
		enum mt_expr_field field; /* field whose values complete it */
	} rows[] = {
		{"protocol=", "the protocol, if several have the service", MT_EXPR_proto},
		{"service=", "the service that is called", MT_EXPR_service},
		{"method=", "the method that is called", MT_EXPR_method},
		{"src=", "the client's address", MT_EXPR_src},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		size_t n = strlen(rows[i].word);

		if (strncmp(o->part, rows[i].word, n) == 0)
			mt_offer_values(c, rows[i].field, MT_EXPR_BIT(service), n, o);
		else
			mt_offer(o, rows[i].word, rows[i].help);
	}
	mt_offer(o, "principal=", "the principal in the client's mesh certificate");
	mt_offer(o, "sni=", "the server name (SNI) of its TLS");
	mt_offer_keys(c, o);
	if (strncmp(o->part, "listener=", strlen("listener=")) == 0)
		offer_listeners(c, o);
	else
		mt_offer(o, "listener=", "the address that the client called");
}
