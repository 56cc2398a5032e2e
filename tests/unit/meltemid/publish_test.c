/* SPDX-License-Identifier: Apache-2.0 */
/* A configuration becomes the current one with its addresses, or neither does: whatever memory is missing on the way. */
#include "daemon.h"
#include "suites.h"

#include <errno.h>

#define NOW (100 * MT_SEC)

/* ---- memory that is missing ------------------------------------------------------------------- */

static uint32_t calls, fail_at; /* the call that fails, from 1; 0: none */

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return ++calls == fail_at ? NULL : __real_calloc(n, size);
}

/* ---- what publish.c and net.c have around them ----------------------------------------------- */

static uint32_t told;

void history_cause(struct daemon *d, const char *from, const struct mt_who *who, const char *what)
{
}

void history_published(
	struct daemon *d, const struct mt_snapshot *s, const struct mt_conf_change *change)
{
	told++;
}

void config_in_force(struct daemon *d)
{
}

void config_keep(struct daemon *d)
{
}

int config_first_again(struct daemon *d, struct mt_err *e)
{
	return 0;
}

/* ---- a daemon without workers ----------------------------------------------------------------- */

struct rig {
	struct daemon d;
	struct mt_node node;
	struct mt_netw *w;
};

static void rig_init(struct rig *r)
{
	const struct mt_conf_options opts = {.workers = 1};
	const struct mt_net_conf none = {.n_addrs = 0};
	struct mt_err e;

	memset(r, 0, sizeof(*r));
	calls = fail_at = told = 0;
	r->d.node = &r->node;
	r->d.conf = mt_conf_create(&opts, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->d.conf);
	CU_ASSERT_EQUAL_FATAL(access_log_start(&r->d, &e), 0);
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&r->d.steer, 1, 64), 0);
	r->d.net = mt_net_create(NULL, 0, 1, &r->d.steer);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->d.net);
	CU_ASSERT_EQUAL(mt_net_configure(r->d.net, &none, NULL, &e), 0);
	r->w = mt_netw_create(r->d.net, 0, &r->d.pools[0], NULL, NULL, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->w);
}

static void rig_fini(struct rig *r)
{
	fail_at = 0;
	publish_stop(&r->d);
	access_log_stop(&r->d);
	mt_conf_destroy(r->d.conf);
	mt_netw_destroy(r->w);
	net_stop(&r->d);
	mt_steer_fini(&r->d.steer);
}

/* A service at this address. */
static struct mt_snapshot *compile(struct rig *r, const char *addr)
{
	static const char form[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n"
		"spec:\n  hosts: [a.x]\n  addresses: [%s]\n  resolution: STATIC\n"
		"  ports: [{number: 1, name: tcp}]\n  endpoints: [{address: 198.51.100.1}]\n";
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	char text[1024];

	mt_diags_init(&diags);
	snprintf(text, sizeof(text), form, addr);
	mt_source_text(m, &diags, "t", text, strlen(text));
	s = mt_conf_compile(r->d.conf, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

static bool answers(const struct rig *r, const char *addr)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL(mt_addr_parse(addr, &a), 0);
	mt_net_begin(r->w, NOW);
	return mt_net_is_local(r->w, &a);
}

/* ---- tests ------------------------------------------------------------------------------------ */

/*
 * Each call for memory in turn is the one that fails. The last configuration goes on with its addresses, the new one waits,
 * nobody is told that it is there; when memory has come back it is, with its addresses.
 */
static void all_or_nothing(void)
{
	uint32_t waited = 0;
	bool failed = true;

	for (uint32_t k = 1; failed && k < 100; k++) {
		struct rig r;
		struct mt_snapshot *first, *second;
		int rc;

		rig_init(&r);
		first = compile(&r, "203.0.113.1");
		CU_ASSERT_EQUAL(publish_snapshot(&r.d, first, NOW), 0);
		CU_ASSERT(told == 1 && answers(&r, "203.0.113.1"));
		second = compile(&r, "203.0.113.2");
		calls = 0;
		fail_at = k;
		rc = publish_snapshot(&r.d, second, NOW);
		failed = calls >= k;
		fail_at = 0;
		CU_ASSERT_EQUAL(mt_conf_current(r.d.conf) == second, answers(&r, "203.0.113.2"));
		CU_ASSERT_EQUAL(rc == 0, answers(&r, "203.0.113.2"));
		CU_ASSERT(rc == 0 || (mt_conf_current(r.d.conf) == first && told == 1 &&
					     r.d.waiting == second && r.d.waiting_words[0]));
		CU_ASSERT(answers(&r, "203.0.113.1")); /* leaving, or served */
		waited += rc != 0;
		publish_retry(&r.d, NOW + 2 * MT_SEC);
		CU_ASSERT(mt_conf_current(r.d.conf) == second && answers(&r, "203.0.113.2"));
		CU_ASSERT(told == 2 && !r.d.waiting);
		rig_fini(&r);
	}
	CU_ASSERT_FALSE(failed);
	CU_ASSERT(waited >= 3);
}

/* The line of a reload names the first three objects that it changed, and counts the others. */
static void changes_are_named(void)
{
	static const char four[] = "203.0.113.1, 203.0.113.2, 203.0.113.3, 203.0.113.4";
	struct rig r;

	rig_init(&r);
	CU_ASSERT_EQUAL(publish_snapshot(&r.d, compile(&r, four), NOW), 0);
	CU_ASSERT(strstr(r.d.reload_words, "reloaded: 4 listeners added, ") == r.d.reload_words);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.d.reload_words,
		" (listener 203.0.113.1:1, listener 203.0.113.2:1, listener 203.0.113.3:1 and "));
	CU_ASSERT_PTR_NOT_NULL(strstr(r.d.reload_words, " more)"));
	CU_ASSERT_EQUAL(publish_snapshot(&r.d, compile(&r, "203.0.113.1"), NOW), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(r.d.reload_words, " (listener 203.0.113.2:1, "));
	CU_ASSERT_EQUAL(publish_snapshot(&r.d, compile(&r, "203.0.113.1"), NOW), 0);
	CU_ASSERT_STRING_EQUAL(r.d.reload_words, "reloaded: no change");
	/* An operator's reload also has the time of the last change. */
	r.d.cause = "files";
	r.d.changed_wall = 1000000000 * MT_SEC;
	CU_ASSERT_EQUAL(publish_snapshot(&r.d, compile(&r, "203.0.113.1"), NOW), 0);
	CU_ASSERT_STRING_EQUAL(r.d.reload_words,
		"reloaded: no change since 2001-09-09 01:46:40Z (`show history`)");
	CU_ASSERT_EQUAL(publish_snapshot(&r.d, compile(&r, "203.0.113.2"), NOW), 0);
	CU_ASSERT_NOT_EQUAL(r.d.changed_wall, 1000000000 * MT_SEC);
	rig_fini(&r);
}

const struct mt_test publish_tests[] = {{"all_or_nothing", all_or_nothing},
	{"the line of a reload names what changed", changes_are_named}, {0}};
