/* SPDX-License-Identifier: Apache-2.0 */
/* Which codec a port has: by its name, the built-in codecs and ApplicationProtocol documents. */
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
	mt_strmap_put(&b->protocols, mt_b_lower(b, name), p, NULL);
	return p;
}

static const char *codec_remedy(struct mt_build *b, const char *word)
{
	struct mt_suggest near = {.word = word};

	for (const struct mt_codec *const *c = mt_codecs; *c; c++) {
		mt_suggest_offer(&near, (*c)->name);
		if ((*c)->aeraki_name)
			mt_suggest_offer(&near, (*c)->aeraki_name);
	}
	return near.best ? mt_region_printf(&b->tmp, "did you mean %s?", near.best)
			 : "docs/protocols lists the codecs of this build";
}

/* Also for a built-in name: the document says which codec its protocol has. */
static void add_document(struct mt_build *b, const struct mt_app_protocol *ap)
{
	const struct mt_codec *codec = mt_codec_find(ap->codec.s);
	struct mt_proto *p;

	if (!codec || codec->opaque) {
		mt_b_error(b, &ap->meta, ap->codec.line, "spec.codec", codec_remedy(b, ap->codec.s),
			"unknown codec \"%.96s\"", ap->codec.s);
		return;
	}
	p = add(b, ap->protocol.s, codec);
	if (!p || !ap->multiplexing.v)
		return;
	p->opts = MT_CODEC_OPT_MULTIPLEXING;
	if (codec->correlation_mux != MT_CORR_SAFE)
		mt_b_warn(b, &ap->meta, ap->multiplexing.line, "spec.multiplexing", "remove it",
			"has no effect: ids of %s cannot be shared", codec->name);
}

void mt_b_protocols(struct mt_build *b)
{
	struct mt_strmap written = {0};

	for (const struct mt_codec *const *c = mt_codecs; *c; c++)
		if (!(*c)->opaque)
			add(b, (*c)->name, *c);
	for (uint32_t i = 0; i < b->model->app_protocols.n; i++) {
		struct mt_app_protocol *ap = b->model->app_protocols.v[i], *first;
		void *before;

		mt_strmap_put(&written, mt_b_lower(b, ap->protocol.s), ap, &before);
		first = before;
		if (first)
			mt_b_error(b, &ap->meta, ap->protocol.line, "spec.protocol",
				"keep one of them", "\"%.64s\" is already defined at %s:%u",
				ap->protocol.s, first->meta.origin.file, first->protocol.line);
		else
			add_document(b, ap);
	}
	mt_strmap_fini(&written);
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
			 : "add an ApplicationProtocol document that names its codec";
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

/*
 * tcp-metaprotocol-<protocol>[-anything] carries messages. Anything else over TCP is bytes, also what
 * other proxies would read as HTTP (*web). UDP is not served.
 */
enum mt_port_kind mt_port_kind(const char *name, const char *protocol, const char **word, bool *web)
{
	static const char *const webs[] = {"http", "http2", "grpc", "https", "grpc-web", "http1"};
	const char *dash = strchr(name, '-');
	size_t first = dash ? (size_t)(dash - name) : strlen(name);
	const char *second = dash ? dash + 1 : "";
	size_t second_len = strcspn(second, "-");

	*word = NULL;
	*web = is_one_of(name, first, webs, MT_ARRAY_LEN(webs)) ||
	       (protocol && is_one_of(protocol, strlen(protocol), webs, MT_ARRAY_LEN(webs)));
	if (same_token(name, first, "udp") ||
		(protocol && same_token(protocol, strlen(protocol), "udp")))
		return MT_PORT_NOT_SERVED;
	if (!same_token(second, second_len, "metaprotocol"))
		return MT_PORT_BYTES;
	if (second[second_len] != '-' || second[second_len + 1] == '\0' ||
		second[second_len + 1] == '-')
		return MT_PORT_BAD;
	*word = second + second_len + 1;
	return MT_PORT_MESSAGES;
}
