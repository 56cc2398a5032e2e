/* SPDX-License-Identifier: Apache-2.0 */
/* Which codec a port has: by its name, the registry of codecs and ApplicationProtocol documents. */
#include "mt_conf_priv.h"

#include <string.h>
#include <strings.h>

static struct mt_proto *add(struct mt_build *b, const char *name, const struct mt_codec *codec)
{
	struct mt_proto *p = mt_region_alloc(&b->tmp, sizeof(*p));

	if (!p)
		return NULL;
	p->name = name;
	p->codec = codec;
	if (mt_strmap_put(&b->protocols, mt_b_lower(b, name), p, NULL))
		b->tmp.failed = true;
	return p;
}

const char *mt_b_codec_remedy(struct mt_build *b, const char *word)
{
	struct mt_suggest near = {.word = word};

	for (uint32_t i = 0; i < b->codecs->n; i++) {
		const struct mt_codec *c = b->codecs->v[i];

		mt_suggest_offer(&near, c->name);
		if (c->aeraki_name)
			mt_suggest_offer(&near, c->aeraki_name);
	}
	return near.best ? mt_region_printf(&b->tmp, "did you mean %s?", near.best)
			 : "docs/protocols lists the codecs of this build; codec files are in "
			   "directories of the Node's spec.codecs";
}

static bool is_built_in(const char *protocol)
{
	const struct mt_codec *codec =
		mt_codec_registry_find(mt_codec_registry_built_in(), protocol);

	return codec && !codec->opaque;
}

/*
 * Also for a built-in name: the document says which codec its protocol has. This cannot be the
 * codec of a file, to which DubboAuthorizationPolicies, for example, would not apply.
 */
static void add_document(struct mt_build *b, const struct mt_app_protocol *ap)
{
	const struct mt_codec *codec = mt_codec_registry_find(b->codecs, ap->codec.s);
	struct mt_proto *p;

	if (!codec || codec->opaque) {
		mt_b_error(b, &ap->meta, ap->codec.line, "spec.codec",
			mt_b_codec_remedy(b, ap->codec.s), "unknown codec \"%.96s\"", ap->codec.s);
		return;
	}
	if (codec->content && is_built_in(ap->protocol.s)) {
		mt_b_error(b, &ap->meta, ap->protocol.line, "spec.protocol",
			"choose another name, and use it in names of ports",
			"\"%.64s\" is a built-in protocol, which cannot have the codec of a file",
			ap->protocol.s);
		return;
	}
	p = add(b, ap->protocol.s, codec);
	if (!p || !ap->multiplexing.v)
		return;
	p->opts = MT_CODEC_OPT_MULTIPLEXING;
	if (codec->correlation_mux != MT_CORR_SAFE)
		mt_b_note(b, &ap->meta, ap->multiplexing.line, "spec.multiplexing", "remove it",
			"has no effect: ids of %s cannot be shared", codec->name);
}

void mt_b_protocols(struct mt_build *b)
{
	struct mt_strmap written = {0};

	for (uint32_t i = 0; i < b->codecs->n; i++) {
		const struct mt_codec *codec = b->codecs->v[i];
		struct mt_proto *p = codec->opaque ? NULL : add(b, codec->name, codec);

		if (p)
			p->of_file = codec->content != 0;
	}
	for (uint32_t i = 0; i < b->model->app_protocols.n; i++) {
		struct mt_app_protocol *ap = b->model->app_protocols.v[i];
		const char *name = mt_b_lower(b, ap->protocol.s);
		const struct mt_app_protocol *first = mt_strmap_get(&written, name);

		if (first && !mt_b_is_wrong(b, &first->meta)) {
			mt_b_error(b, &ap->meta, ap->protocol.line, "spec.protocol",
				"keep one of them", "\"%.64s\" is already defined at %s:%u",
				ap->protocol.s, first->meta.origin.file, first->protocol.line);
			continue;
		}
		mt_strmap_put(&written, name, ap, NULL);
		add_document(b, ap);
	}
	mt_strmap_fini(&written);
}

uint64_t mt_b_protocols_hash(const struct mt_build *b, uint64_t h)
{
	const struct mt_objs *documents = &b->model->app_protocols;

	for (uint32_t i = 0; i < b->codecs->n; i++)
		h = mt_hash_u64(mt_codec_identity(b->codecs->v[i]), h);
	for (uint32_t i = 0; i < documents->n; i++)
		h = mt_hash_u64(((const struct mt_meta *)documents->v[i])->serial, h);
	return mt_hash_u64(documents->n, h);
}

struct mt_proto *mt_b_protocol(struct mt_build *b, const char *name)
{
	return mt_strmap_get(&b->protocols, mt_b_lower(b, name));
}

const char *mt_b_protocol_remedy(struct mt_build *b, const char *name)
{
	struct mt_suggest near = {.word = name};
	const struct mt_proto *p;
	uint32_t pos = 0;

	while ((p = mt_strmap_next(&b->protocols, &pos, NULL)) != NULL)
		mt_suggest_offer(&near, p->name);
	return near.best ? mt_region_printf(&b->tmp, "did you mean %s?", near.best)
			 : "add its codec file, or an ApplicationProtocol that names its codec";
}

static bool same_token(const char *token, size_t len, const char *word)
{
	return len == strlen(word) && strncasecmp(token, word, len) == 0;
}

static bool is_one_of(const char *token, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (same_token(token, len, words[i]))
			return true;
	return false;
}

static const char unsaid[] =
	"no supported protocol is named, and none is detected: it is forwarded as opaque TCP";

/* What a word says of a port that no codec of its name reads; NULL: nothing. */
static const char *told_of(const char *word, size_t len, bool *known)
{
	static const char *const webs[] = {
		"http", "http2", "h2c", "grpc", "grpc-web", "http1", "ws", "websocket"};
	static const char *const bytes[] = {
		"tcp", "tls", "https", "wss", "mongo", "mysql", "redis"};

	*known = true;
	if (is_one_of(word, len, webs, MT_ARRAY_LEN(webs)))
		return "HTTP is forwarded as opaque TCP; routes by its headers are not applied";
	if (is_one_of(word, len, bytes, MT_ARRAY_LEN(bytes)))
		return NULL;
	*known = false;
	return unsaid;
}

static struct mt_proto *proto_of(struct mt_build *b, const char *word, size_t len)
{
	char *name = len ? mt_region_strndup(&b->tmp, word, len) : NULL;

	return name ? mt_b_protocol(b, name) : NULL;
}

/* "tcp-metaprotocol-PROTOCOL[-anything]": false: it is another name. */
static bool metaprotocol(struct mt_build *b, const char *rest, struct mt_port_is *is)
{
	size_t len = strcspn(rest, "-");
	const char *word = rest + len + 1;
	char *name;

	if (!same_token(rest, len, "metaprotocol"))
		return false;
	is->kind = MT_PORT_BAD;
	if (rest[len] != '-' || *word == '\0' || *word == '-')
		return true;
	name = mt_region_strndup(&b->tmp, word, strcspn(word, "-"));
	is->proto = name ? mt_b_protocol(b, name) : NULL;
	is->kind = is->proto ? MT_PORT_MESSAGES : MT_PORT_BYTES;
	if (!name || is->proto)
		return true;
	is->harms = true;
	is->told = mt_region_printf(
		&b->tmp, "unknown protocol \"%s\": it is forwarded as opaque TCP", name);
	is->remedy = mt_b_protocol_remedy(b, name);
	return true;
}

/* The word says it all; false: it says nothing. `files`: it may be the name of a codec file. */
static bool by_word(
	struct mt_build *b, const char *word, size_t len, bool files, struct mt_port_is *is)
{
	bool known;

	is->proto = proto_of(b, word, len);
	if (is->proto && !files && is->proto->of_file)
		is->proto = NULL;
	if (is->proto) {
		is->kind = MT_PORT_MESSAGES;
		return true;
	}
	is->told = told_of(word, len, &known);
	return known;
}

/*
 * The transport: a Service of Kubernetes has a field for it, and its ports of TCP with "udp" in
 * their names are a contradiction. A ServiceEntry has it in the port's name or protocol.
 */
static enum mt_port_kind transport(const struct mt_port_words *w, size_t first)
{
	bool named = same_token(w->name, first, "udp");
	bool udp = w->protocol && strcasecmp(w->protocol, "udp") == 0;

	if (udp || (named && !(w->kubernetes && w->protocol)))
		return MT_PORT_DATAGRAMS;
	if (named || (w->kubernetes && w->protocol && strcasecmp(w->protocol, "tcp") != 0))
		return MT_PORT_NOT_SERVED;
	return MT_PORT_BYTES;
}

/* The name says bytes, and the protocol HTTP. */
static const char *web_only(const char *protocol)
{
	bool known;
	const char *told = told_of(protocol, strlen(protocol), &known);

	return known ? told : NULL;
}

static void find_kind(struct mt_build *b, const struct mt_port_words *w, struct mt_port_is *is)
{
	static const char prefix[] = "kubernetes.io/";
	const char *app = w->app_protocol, *dash = strchr(w->name, '-');
	size_t first = strcspn(w->name, "-");
	struct mt_port_is second = {.kind = MT_PORT_BYTES};

	*is = (struct mt_port_is){.kind = transport(w, first)};
	if (is->kind == MT_PORT_NOT_SERVED) {
		is->told = "only TCP and UDP are served";
		is->harms = true;
	}
	if (is->kind != MT_PORT_BYTES)
		return;
	if (app) {
		app += strncmp(app, prefix, strlen(prefix)) == 0 ? strlen(prefix) : 0;
		(void)by_word(b, app, strlen(app), true, is);
		return;
	}
	if (dash && metaprotocol(b, dash + 1, is))
		return;
	/* A ServiceEntry's own word comes where the name says none that is read. */
	if (same_token(w->name, first, "tcp") && dash &&
		by_word(b, dash + 1, strcspn(dash + 1, "-"), false, &second) && second.proto)
		*is = second;
	else if (!by_word(b, w->name, first, false, is) && w->protocol && !w->kubernetes)
		(void)by_word(b, w->protocol, strlen(w->protocol), false, is);
	else if (!is->proto && !is->told && w->protocol && !w->kubernetes)
		is->told = web_only(w->protocol);
}

static bool says_web(const char *word, size_t len)
{
	bool known;

	return told_of(word, len, &known) && known;
}

/* Any word for HTTP counts here, also one that is not what decides how the port is served. */
static enum mt_port_web web_of(const struct mt_port_words *w, const struct mt_port_is *is)
{
	const char *app = w->app_protocol, *slash = app ? strchr(app, '/') : NULL;

	app = slash ? slash + 1 : app;
	if ((app && says_web(app, strlen(app))) || says_web(w->name, strcspn(w->name, "-")) ||
		(w->protocol && says_web(w->protocol, strlen(w->protocol))))
		return MT_WEB;
	return is->told == unsaid ? MT_WEB_MAYBE : MT_WEB_NOT;
}

static bool same_word(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_words(const struct mt_port_words *a, const struct mt_port_words *b)
{
	return a->kubernetes == b->kubernetes && same_word(a->name, b->name) &&
	       same_word(a->protocol, b->protocol) && same_word(a->app_protocol, b->app_protocol);
}

/* Most of ten thousand ports are called as the one before. */
void mt_b_port(struct mt_build *b, const struct mt_port_words *w, struct mt_port_is *is)
{
	if (!b->port_words.name || !same_words(&b->port_words, w)) {
		find_kind(b, w, &b->port_is);
		b->port_is.web = web_of(w, &b->port_is);
		b->port_words = *w;
	}
	*is = b->port_is;
}
