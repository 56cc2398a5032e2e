/* SPDX-License-Identifier: Apache-2.0 */
/* Filters in shared objects: which are refused, and what those that are not are given. */
#include "../../../lib/filter/module_priv.h"
#include "../../outcomes_seen.h"
#include "mt_filter_inbox.h"
#include "suites.h"

#include <errno.h>
#include <string.h>

static struct mt_filter_worker fw;
static struct mt_view view;
static struct mt_msg msg;

static void test_refused(void)
{
	static const struct {
		const char *file, *says;
	} rows[] = {
		{"version", "is built for version 77 of the filter ABI, and this Meltemi has "
			    "versions 1 to 2"},
		{"newer", "uses more of the filter ABI than this Meltemi has (4096 bytes"},
		{"smaller", "`size` of its struct mt_filter_module is 8"},
		{"nameless", "its filter has no name; set `name`"},
		{"greedy", "needs 65 bytes with each call, and may have 64"},
		{"nosymbol", "has no symbol \"mt_filter_module\", so it is not a filter"},
		{"missing", "cannot be loaded ("},
	};
	char path[512], err[512];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		snprintf(path, sizeof(path), FILTERS "%s.so", rows[i].file);
		CU_ASSERT_PTR_NULL(mt_filter_load(path, err, sizeof(err)));
		/* File, what, remedy. */
		CU_ASSERT_EQUAL(strncmp(err, path, strlen(path)), 0);
		CU_ASSERT_PTR_NOT_NULL(strstr(err, rows[i].says));
		CU_ASSERT_PTR_NOT_NULL(strchr(err, ';'));
	}
	CU_ASSERT_PTR_NULL(mt_filter_load("guard.so", err, sizeof(err)));
	CU_ASSERT_STRING_EQUAL(err, "guard.so: not an absolute path; write it from / on");
}

static void test_loaded(void)
{
	char err[512] = "";
	struct mt_filter_object *o = mt_filter_load(FILTERS "guard.so", err, sizeof(err));
	const struct mt_filter *type;
	void *conf = NULL;

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	type = mt_filter_object_type(o);
	CU_ASSERT_STRING_EQUAL(type->name, "guard");
	CU_ASSERT(type->bytes == 4 && type->reads && !type->on_reply);
	CU_ASSERT_EQUAL(mt_filter_object_configure(o, "", 0, &conf, err, sizeof(err)), -EINVAL);
	CU_ASSERT_STRING_EQUAL(err, "the key's name is missing, or too long");
	CU_ASSERT_EQUAL(mt_filter_object_configure(o, "user", 4, &conf, err, sizeof(err)), 0);
	type->free_conf(conf);
	mt_filter_unload(o);
}

/* What a verdict that there is not, or a wait that nobody can end, comes to. */
static void test_wrong_verdicts(void)
{
	char err[512] = "";
	struct mt_filter_object *o = mt_filter_load(FILTERS "verdicts.so", err, sizeof(err));
	struct mt_filter_inst f = {0};
	struct mt_filter_ctx ctx = {.fw = &fw};

	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	mt_filter_worker_init(&fw, 0);
	f.type = mt_filter_object_type(o);
	CU_ASSERT_EQUAL(mt_filter_object_configure(o, NULL, 0, &f.conf, err, sizeof(err)), 0);
	CU_ASSERT_EQUAL(f.type->on_request(&f, &view, &ctx), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_OVERLOAD);
	CU_ASSERT_STRING_EQUAL(ctx.reply_text, "a filter failed");
	CU_ASSERT_EQUAL(f.type->on_reply(&f, &view, &ctx), MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(fw.counters[MT_FILTER_verdicts_wrong], 2);
	outcomes_seen(&mt_filter_outcomes, fw.counters);
	f.type->free_conf(f.conf);
	mt_filter_unload(o);
}

/* ---- the host's functions ------------------------------------------------------------------------ */

/* Two values of "a", the last of which counts, and one of "b". */
static void index_two(const struct mt_codec *self, struct mt_msg *m, const struct mt_chain *c,
	struct mt_metadata *meta)
{
	static const char *const kv[][2] = {{"a", "one"}, {"b", "bee"}, {"a", "two"}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(kv); i++) {
		struct mt_meta_entry *e =
			mt_meta_add(meta, (struct mt_slice){(const uint8_t *)kv[i][0], 1});

		e->value.text = (const uint8_t *)kv[i][1];
		e->value_len = 3;
		e->kind = MT_META_TEXT;
	}
	meta->state = MT_META_READ;
}

static const struct mt_codec duplicates = {.name = "duplicates", .metadata.index = index_two};

static const struct mt_filter_host *host;
static void (*tries)(struct mt_filter_call *c);

static enum mt_filter_verdict on_any(void *conf, struct mt_filter_call *c)
{
	tries(c);
	return MT_FILTER_NEXT;
}

static uint64_t left(struct mt_filter_ctx *ctx)
{
	return 42;
}

/* As the chain would call a filter that does this. */
static struct mt_filter_ctx with_call(void (*what)(struct mt_filter_call *c))
{
	static const struct mt_filter_module module = {
		.name = "here", .bytes = 8, .on_request = on_any};
	static uint8_t own[MT_FILTER_BYTES_MAX] __attribute__((aligned(8)));
	const struct mt_filter type = mt_filter_type_of(&module);
	struct mt_filter_use use = {.module = &module};
	struct mt_filter_inst f = {.type = &type, .conf = &use, .own = 16};
	struct mt_filter_ctx ctx = {.fw = &fw, .now = 99, .own = own, .left = left};

	tries = what;
	fw.text_used = 0;
	memset(own, 0, sizeof(own));
	CU_ASSERT_EQUAL(type.on_request(&f, &view, &ctx), MT_FILTER_NEXT);
	return ctx;
}

static bool is(struct mt_filter_text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.p, s, t.len) == 0;
}

static void reads(struct mt_filter_call *c)
{
	struct mt_filter_text v;

	CU_ASSERT(host->get(c, "a", 1, &v) && is(v, "two"));
	CU_ASSERT(host->get_nth(c, "a", 1, 0, &v) && is(v, "one"));
	CU_ASSERT(host->get_nth(c, "a", 1, 1, &v) && is(v, "two"));
	CU_ASSERT(!host->get_nth(c, "a", 1, 2, &v) && v.p == NULL);
	CU_ASSERT(!host->get(c, "c", 1, &v) && !host->get(c, "", 0, &v));
}

static void changes(struct mt_filter_call *c)
{
	char value[8] = "blue";
	struct mt_filter_text v;

	CU_ASSERT_EQUAL(host->set(c, "a", 1, value, 4), 0);
	strcpy(value, "XXXX");
	CU_ASSERT(host->get(c, "a", 1, &v) && is(v, "blue"));
	/* As it arrived. */
	CU_ASSERT(host->get_nth(c, "a", 1, 0, &v) && is(v, "one"));
	CU_ASSERT_EQUAL(host->remove(c, "b", 1), 0);
	CU_ASSERT_FALSE(host->get(c, "b", 1, &v));
	CU_ASSERT_EQUAL(host->set(c, "", 0, "x", 1), -EINVAL);
	CU_ASSERT_EQUAL(host->set(c, "a", 1, value, 70000), -EINVAL);
}

/* Until no more fits; what was said before stays. */
static void too_many(struct mt_filter_call *c)
{
	static char large[MT_VIEW_CHANGES / 2];
	struct mt_filter_text v;
	char key = 'A';

	CU_ASSERT_EQUAL(host->set(c, "a", 1, "kept", 4), 0);
	CU_ASSERT_EQUAL(host->set(c, "x", 1, large, sizeof(large)), 0);
	CU_ASSERT_EQUAL(host->set(c, "y", 1, large, sizeof(large)), -ENOSPC);
	for (uint32_t i = 2; i < MT_VIEW_MUTATIONS; i++, key++)
		CU_ASSERT_EQUAL(host->set(c, &key, 1, "", 0), 0);
	CU_ASSERT_EQUAL(host->remove(c, &key, 1), -ENOSPC);
	CU_ASSERT(host->get(c, "a", 1, &v) && is(v, "kept"));
}

/* It knows the answer already: that is told without the ring, in which another thread may stand. */
static void answers_itself(struct mt_filter_call *c)
{
	const struct mt_filter_completion how = {.size = sizeof(how)};
	struct mt_filter_ticket t;

	host->pause(c, &t);
	CU_ASSERT_EQUAL(host->complete(&t, &how), 0);
}

static void looks(struct mt_filter_call *c)
{
	uint64_t *own = host->bytes(c);
	struct mt_filter_ticket t;
	uint8_t addr[16];

	CU_ASSERT(*own == 0 && (uintptr_t)own % 8 == 0);
	*own = 1;
	host->peer(c, addr);
	CU_ASSERT_EQUAL(memcmp(addr, &view.peer, 16), 0);
	CU_ASSERT(host->now(c) == 99 && host->remaining(c) == 42);
	host->pause(c, &t);
	host->answer(c, MT_FILTER_TIMED_OUT, "late", 4);
}

static void test_host(void)
{
	struct mt_filter_ctx ctx;

	host = mt_filter_host_of(MT_FILTER_ABI_VERSION);
	mt_filter_worker_init(&fw, 0);
	CU_ASSERT(host->abi_version == MT_FILTER_ABI_VERSION && host->size == sizeof(*host));
	for (int again = 0; again < 3; again++) {
		mt_view_bind(&view, &duplicates, &msg, NULL);
		with_call(reads);
		with_call(changes);
		CU_ASSERT_EQUAL(view.n_mutations, 2);
		mt_view_bind(&view, &duplicates, &msg, NULL);
		with_call(too_many);
	}
	view.peer = mt_addr4(0x0a000001);
	ctx = with_call(looks);
	CU_ASSERT_EQUAL(ctx.reply, MT_REPLY_TIMEOUT);
	CU_ASSERT_STRING_EQUAL(ctx.reply_text, "late");
}

static void test_answers_itself(void)
{
	host = mt_filter_host_of(MT_FILTER_ABI_VERSION);
	mt_filter_worker_init(&fw, 0);
	fw.inbox = mt_filter_inbox_new();
	mt_view_bind(&view, &duplicates, &msg, NULL);
	with_call(answers_itself);
	CU_ASSERT_EQUAL(fw.inbox->n_own, 1);
	CU_ASSERT_TRUE(mt_filter_inbox_rung(fw.inbox));
	mt_filter_inbox_free(fw.inbox);
	fw.inbox = NULL;
}

const struct mt_test load_tests[] = {
	{"objects that are refused", test_refused},
	{"an object that is not", test_loaded},
	{"verdicts that there are not", test_wrong_verdicts},
	{"the host's functions", test_host},
	{"a filter that ends its own wait", test_answers_itself},
	{0},
};
