/* SPDX-License-Identifier: Apache-2.0 */
#include "dialect.h"
#include "codec_file.h"
#include "toy.h"

#include <string.h>

static const struct dialect *by_index(uint32_t i)
{
	static const struct dialect *const first[] = {
		[DIALECT_TOY] = &dialect_toy,
		[DIALECT_DUBBO] = &dialect_dubbo,
		[DIALECT_AWESOME] = &dialect_awesome,
		[DIALECT_VARINTS] = &dialect_varints,
		[DIALECT_LINES] = &dialect_lines,
	};

	return first[i] ? first[i] : &dialect_thrift[i - DIALECT_THRIFT];
}

const char *dialect_name(uint32_t index)
{
	_Static_assert(DIALECTS <= SIM_DIALECTS, "sim_stats.dialect");
	return by_index(index)->name;
}

/* ---- codec files ---- */

static const struct declared {
	const char *codec;
	const struct dialect *dialect;
	const char *route_key;
} declared[] = {
	{"awesome", &dialect_awesome, "route"},
	{"varints", &dialect_varints, "method"},
	{"lines", &dialect_lines, "method"},
};

static const struct declared *find_declared(const char *codec)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(declared); i++)
		if (strcmp(declared[i].codec, codec) == 0)
			return &declared[i];
	return NULL;
}

const struct dialect *dialect_of_file(const char *codec)
{
	const struct declared *f = find_declared(codec);

	return f ? f->dialect : NULL;
}

static void draw_declared(struct protocol *p, bool serial)
{
	const struct mt_codec *codec = &sim_codec_file(serial)->codec;
	const struct declared *f = find_declared(codec->name);

	*p = (struct protocol){
		.codec = codec,
		.serial = serial,
		.ordered = serial,
		.keeps_ids = serial,
		.route_key = f->route_key,
		.route_leads = true,
		.dialects = f->dialect,
		.n_dialects = 1,
	};
}

bool dialect_is_drawn(uint32_t index)
{
	bool files = false;

	for (uint32_t serial = 0; serial < 2; serial++) {
		const struct mt_codec_table *t = sim_codec_file(serial);

		if (t && dialect_of_file(t->codec.name)->index == index)
			return true;
		files |= t != NULL;
	}
	return !files && index != DIALECT_VARINTS && index != DIALECT_LINES;
}

/* ---- protocols that Meltemi knows ---- */

static void draw_toy(struct protocol *p, struct mt_rand *r, bool serial)
{
	*p = (struct protocol){
		.codec = serial ? &toy_serial : &toy_safe,
		.serial = serial,
		.ordered = serial,
		.route_key = "route",
		.route_leads = true,
		.dialects = &dialect_toy,
		.n_dialects = 1,
	};
}

/* Routed by the method, or by an attachment at the message's other end. */
static void draw_dubbo(struct protocol *p, struct mt_rand *r, bool serial)
{
	bool leads = !sim_one_in(r, 3);

	*p = (struct protocol){
		.codec = mt_codec_find("dubbo"),
		.route_key = leads ? "method" : "tag",
		.route_leads = leads,
		.dialects = &dialect_dubbo,
		.n_dialects = 1,
	};
}

static void draw_awesome(struct protocol *p, struct mt_rand *r, bool serial)
{
	*p = (struct protocol){
		.codec = mt_codec_find("awesomerpc"),
		.route_key = "route",
		.route_leads = true,
		.dialects = &dialect_awesome,
		.n_dialects = 1,
	};
}

/* Clients of one listener may differ in transport and encoding. */
static void draw_thrift(struct protocol *p, struct mt_rand *r, bool serial)
{
	*p = (struct protocol){
		.codec = mt_codec_find("thrift"),
		.opts = serial ? 0 : MT_CODEC_OPT_MULTIPLEXING,
		.serial = serial,
		.ordered = true,
		.route_key = "method",
		.route_leads = true,
		.dialects = dialect_thrift,
		.n_dialects = DIALECT_THRIFT_N,
		.of = dialect_thrift_of,
	};
}

void protocol_draw(struct protocol *p, struct mt_rand *r, enum protocol_want want)
{
	/* As often as they stand here. */
	static void (*const safe[])(struct protocol *, struct mt_rand *, bool) = {draw_toy,
		draw_dubbo, draw_dubbo, draw_dubbo, draw_awesome, draw_thrift, draw_thrift};
	static void (*const one[])(struct protocol *, struct mt_rand *, bool) = {
		draw_toy, draw_thrift, draw_thrift};
	bool serial = want == WANT_SERIAL || (want == WANT_ANY && sim_one_in(r, 3));

	if (want == WANT_DUBBO)
		draw_dubbo(p, r, false);
	else if (want == WANT_THRIFT) /* one call at a time, whose method it names */
		draw_thrift(p, r, true);
	else if (sim_codec_file(serial))
		draw_declared(p, serial);
	else if (serial)
		one[sim_below(r, MT_ARRAY_LEN(one))](p, r, true);
	else
		safe[sim_below(r, MT_ARRAY_LEN(safe))](p, r, false);
}

bool dialect_same(const struct dialect *d, const uint8_t *p, uint32_t n, const struct wire_msg *m,
	uint32_t salt, struct rpc_bytes *again)
{
	rpc_clear(again);
	d->write(d, again, m, salt);
	return again->len - again->off == n && memcmp(again->b + again->off, p, n) == 0;
}
