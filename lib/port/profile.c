/* SPDX-License-Identifier: Apache-2.0 */
/* Reads one profile of pmd-config/ into a struct mt_profile. Each setting is a row of `fields`. */
#include "mt_port_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum type { T_NAME, T_U16, T_BOOL, T_SWITCH, T_QUEUES, T_FRAMING, T_WAKEUP, T_DRIVERS, T_WORDS };

struct field {
	const char *path;
	enum type type;
	size_t offset;
	uint16_t min, max; /* limits of T_U16 */
};

#define AT(member) offsetof(struct mt_profile, member)

static const struct field fields[] = {
	{"profile", T_NAME, AT(name), 0, 0},
	{"drivers", T_DRIVERS, 0, 0, 0},
	{"about", T_WORDS, 0, 0, 0},
	{"notes", T_WORDS, 0, 0, 0},
	{"descriptors.rx", T_U16, AT(rx_desc), 0, 32768},
	{"descriptors.tx", T_U16, AT(tx_desc), 0, 32768},
	{"burst", T_U16, AT(burst), 1, 64},
	{"mtu.default", T_U16, AT(mtu), 576, 9702},
	{"mtu.min", T_U16, AT(mtu_min), 68, 9702},
	{"mtu.max", T_U16, AT(mtu_max), 576, 9702},
	{"mtu.set", T_BOOL, AT(set_mtu), 0, 0},
	{"queues.model", T_QUEUES, AT(queues), 0, 0},
	{"queues.max", T_U16, AT(queues_max), 1, MT_WORKERS_MAX},
	{"framing.limit", T_FRAMING, AT(framing), 0, 0},
	{"framing.overhead", T_U16, AT(framing_overhead), 0, 1024},
	{"offloads.rx-checksum", T_SWITCH, AT(rx_checksum), 0, 0},
	{"offloads.tx-checksum", T_SWITCH, AT(tx_checksum), 0, 0},
	{"offloads.vlan-strip", T_SWITCH, AT(vlan_strip), 0, 0},
	{"sheet.tx-chains", T_BOOL, AT(tx_chains), 0, 0},
	{"sheet.tx-holds", T_BOOL, AT(tx_holds), 0, 0},
	{"sheet.tx-min-length", T_U16, AT(tx_min_len), 0, 128},
	{"sheet.rx-superframes", T_BOOL, AT(rx_superframes), 0, 0},
	{"sheet.rx-shared", T_BOOL, AT(rx_shared), 0, 0},
	{"sheet.rx-wakeup", T_WAKEUP, AT(wakeup), 0, 0},
	{"kernel.interface", T_SWITCH, AT(interface), 0, 0},
	{"kernel.made-by-driver", T_BOOL, AT(makes_interface), 0, 0},
	{"link.restart", T_BOOL, AT(link_restart), 0, 0},
};

struct words {
	const char *word;
	int value;
};

static const struct words switch_words[] = {
	{"auto", MT_SWITCH_AUTO},
	{"on", MT_SWITCH_ON},
	{"off", MT_SWITCH_OFF},
	{0},
};
static const struct words bool_words[] = {
	{"true", true}, {"yes", true}, {"false", false}, {"no", false}, {0}};
static const struct words queues_words[] = {
	{"single", MT_QUEUES_SINGLE},
	{"each", MT_QUEUES_EACH},
	{"rss", MT_QUEUES_RSS},
	{0},
};
static const struct words framing_words[] = {
	{"mtu", MT_FRAMING_MTU},
	{"ring", MT_FRAMING_RING},
	{"buffer", MT_FRAMING_BUFFER},
	{0},
};

static const struct words wakeup_words[] = {
	{"none", MT_WAKEUP_NONE},
	{"socket", MT_WAKEUP_SOCKET},
	{"interrupt", MT_WAKEUP_INTERRUPT},
	{0},
};

struct parse {
	struct mt_profile *p;
	struct mt_err *e;
	bool seen[MT_ARRAY_LEN(fields)];
};

static int wrong(struct parse *s, const struct mt_yaml_pair *y, const char *wanted)
{
	return mt_err(s->e, -EINVAL, "%s:%u: %s: \"%s\" is not %s", s->p->file, y->line, y->path,
		y->value, wanted);
}

static int word_of(const struct words *words, const char *text)
{
	for (; words->word; words++)
		if (strcmp(words->word, text) == 0)
			return words->value;
	return -1;
}

/* Enumerations and switches: stores the word's value in an int, or in a bool. */
static int set_word(struct parse *s, const struct field *f, const struct mt_yaml_pair *y)
{
	static const struct {
		const struct words *words;
		const char *list;
	} of[] = {
		[T_BOOL] = {bool_words, "true or false"},
		[T_SWITCH] = {switch_words, "auto, on or off"},
		[T_QUEUES] = {queues_words, "single, each or rss"},
		[T_FRAMING] = {framing_words, "mtu, ring or buffer"},
		[T_WAKEUP] = {wakeup_words, "none, socket or interrupt"},
	};
	void *at = (char *)s->p + f->offset;
	int v = word_of(of[f->type].words, y->value);

	if (v < 0)
		return wrong(s, y, of[f->type].list);
	if (f->type == T_BOOL)
		*(bool *)at = v;
	else
		*(int *)at = v;
	return 0;
}

static int set_u16(struct parse *s, const struct field *f, const struct mt_yaml_pair *y)
{
	char wanted[48], *end;
	unsigned long v = strtoul(y->value, &end, 10);

	if (y->value[0] < '0' || y->value[0] > '9' || *end || v < f->min || v > f->max) {
		snprintf(wanted, sizeof(wanted), "a number between %u and %u", f->min, f->max);
		return wrong(s, y, wanted);
	}
	*(uint16_t *)((char *)s->p + f->offset) = (uint16_t)v;
	return 0;
}

static int add_driver(struct parse *s, const struct mt_yaml_pair *y)
{
	struct mt_profile *p = s->p;

	if (p->n_drivers == MT_PROFILE_DRIVERS || strlen(y->value) >= sizeof(p->drivers[0]))
		return wrong(s, y, "one of at most 6 driver names");
	strcpy(p->drivers[p->n_drivers++], y->value);
	return 0;
}

static int add_arg(struct parse *s, const struct mt_yaml_pair *y, const char *key)
{
	struct mt_profile *p = s->p;
	struct mt_port_arg *a = &p->args[p->n_args];

	if (p->n_args == MT_PROFILE_ARGS || strlen(key) >= sizeof(a->key) ||
		strlen(y->value) >= sizeof(a->value) || y->in_list)
		return wrong(s, y, "one of at most 12 short device arguments");
	strcpy(a->key, key);
	strcpy(a->value, y->value);
	p->n_args++;
	return 0;
}

static int set_field(struct parse *s, const struct field *f, const struct mt_yaml_pair *y)
{
	bool list = f->type == T_DRIVERS || f->type == T_WORDS;

	if (y->in_list != list && f->type != T_WORDS)
		return wrong(s, y, list ? "in a list" : "one value");
	if (!list && s->seen[f - fields])
		return mt_err(
			s->e, -EINVAL, "%s:%u: %s is set twice", s->p->file, y->line, y->path);
	s->seen[f - fields] = true;
	switch (f->type) {
	case T_NAME:
		if (strlen(y->value) >= sizeof(s->p->name))
			return wrong(s, y, "a short name");
		strcpy(s->p->name, y->value);
		return 0;
	case T_U16:
		return set_u16(s, f, y);
	case T_DRIVERS:
		return add_driver(s, y);
	case T_WORDS:
		return 0;
	default:
		return set_word(s, f, y);
	}
}

static int pair(void *arg, const struct mt_yaml_pair *y)
{
	static const char args[] = "device-args.";
	struct parse *s = arg;

	if (strncmp(y->path, args, sizeof(args) - 1) == 0)
		return add_arg(s, y, y->path + sizeof(args) - 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++)
		if (strcmp(fields[i].path, y->path) == 0)
			return set_field(s, &fields[i], y);
	return mt_err(s->e, -EINVAL,
		"%s:%u: unknown setting %s (docs/reference/profiles.md lists them all)", s->p->file,
		y->line, y->path);
}

int mt_profile_read(const char *file, struct mt_profile *p, struct mt_err *e)
{
	struct parse s = {.p = p, .e = e};
	int rc;

	*p = (struct mt_profile){.burst = 32,
		.mtu = 1500,
		.mtu_min = 68,
		.mtu_max = 1500,
		.queues_max = 1,
		.rx_checksum = MT_SWITCH_OFF,
		.tx_checksum = MT_SWITCH_OFF,
		.vlan_strip = MT_SWITCH_OFF,
		.interface = MT_SWITCH_OFF};
	if (snprintf(p->file, sizeof(p->file), "%s", file) >= (int)sizeof(p->file))
		return mt_err(e, -ENAMETOOLONG, "%s: the path is too long", file);
	rc = mt_yaml_pairs(file, pair, &s, e);
	if (rc)
		return rc;
	if (!p->name[0] || p->n_drivers == 0)
		return mt_err(e, -EINVAL, "%s:1: profile and drivers are wanted", file);
	if (p->mtu < p->mtu_min || p->mtu > p->mtu_max)
		return mt_err(
			e, -EINVAL, "%s:1: mtu.default is not between mtu.min and mtu.max", file);
	return 0;
}
