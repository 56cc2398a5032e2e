/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator turns at run time: as text, in a set, in a file, and in what is compiled and published. */
#include "conf_test.h"
#include "conf_texts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int saved_rc;

static void saved(void *arg, int rc, const struct mt_err *e)
{
	saved_rc = rc;
}

/* ---- text --------------------------------------------------------------------------------------- */

static void text(void)
{
	static const struct {
		const char *line, *back; /* back NULL: refused */
	} t[] = {
		{"drain endpoint 192.0.2.1:80", "drain endpoint 192.0.2.1:80"},
		/* as files of earlier versions have it */
		{"drain 192.0.2.1:80", "drain endpoint 192.0.2.1:80"},
		{"drain endpoint [2001:db8::1]:80 outbound|80||a.x",
			"drain endpoint [2001:db8::1]:80 outbound|80||a.x"},
		{"drain service a.x", "drain service a.x"},
		{"drain listener 192.0.2.1:80", "drain listener 192.0.2.1:80"},
		{"drain service a.x refuse", "drain service a.x refuse"},
		{"drain listener 192.0.2.1:80 refuse", "drain listener 192.0.2.1:80 refuse"},
		{"drain service", NULL},
		{"drain service a.x refuse b.x", NULL},
		{"drain service a.x b.x", NULL},
		{"drain listener a.x", NULL},
		{"drain listener 192.0.2.1:80 a.x", NULL},
		{"drain endpoint", NULL},
		{"return endpoint 192.0.2.1:80 outbound|80||a.x",
			"return endpoint 192.0.2.1:80 outbound|80||a.x"},
		{"return endpoint 192.0.2.1:80", NULL},
		{"return service a.x", NULL},
		{"drain 192.0.2.1", NULL},
		{"drain 192.0.2.1:0", NULL},
		{"drain 192.0.2.1:65536", NULL},
		{"drain host:80", NULL},
		{"drain", NULL},
		{"drain 192.0.2.1:80 a b", NULL},
		{"weight 192.0.2.1:80 5", "weight 192.0.2.1:80 5"},
		{"weight 192.0.2.1:80 0", NULL},
		{"weight 192.0.2.1:80 1000001", NULL},
		{"weight 192.0.2.1:80 -1", NULL},
		{"split a.x canary v1=90 v2=10", "split a.x canary v1=90 v2=10"},
		{"split a.x canary outbound|1|v1|a.x=1", "split a.x canary outbound|1|v1|a.x=1"},
		{"split a.x canary v1=0 v2=0", NULL},
		{"split a.x canary v1", NULL},
		{"split a.x canary =1", NULL},
		{"split a.x canary", NULL},
		{"limit a.x:1 max=5", "limit a.x:1 max=5"},
		{"limit a.x:1 method exact sayHello report-only=on fill=1m",
			"limit a.x:1 method exact sayHello fill=60000ms report-only=on"},
		{"limit a.x:1 report-only=off", "limit a.x:1 report-only=off"},
		{"limit a.x:1 max=0", NULL},
		{"limit a.x:1 max=5 method", NULL},
		{"limit a.x:1 fill=10ms", NULL},
		{"limit a.x:1 fill=25h", NULL},
		{"limit a.x:1 report-only=maybe", NULL},
		{"limit a.x:1 method", NULL},
		{"limit a.x:1", NULL},
		{"fault a.x delay=100ms", "fault a.x delay=100ms delay-percent=100"},
		{"fault a.x abort-percent=0.5 delay=1s delay-percent=2",
			"fault a.x delay=1000ms delay-percent=2 abort-percent=0.5"},
		{"fault a.x delay-percent=5", NULL},
		{"fault a.x delay=61s", NULL},
		{"fault a.x abort-percent=101", NULL},
		{"fault a.x abort-percent=1e2", NULL},
		{"fault a.x abort-percent=0", NULL},
		{"worker idle=poll", "worker idle=poll"},
		{"worker idle=adaptive", "worker idle=adaptive"},
		{"worker burst=32", "worker burst=32"},
		{"worker burst=33", NULL},
		{"worker coalesce=0", "worker coalesce=0"},
		{"worker sampling=2s", "worker sampling=2000ms"},
		{"worker sampling=off", "worker sampling=off"},
		{"worker sampling=0ms", NULL},
		{"worker sampling=2h", NULL},
		{"worker log-sample=5", "worker log-sample=5"},
		{"worker log-sample=0", "worker log-sample=0"},
		{"worker log-sample=0.010", "worker log-sample=0.01"},
		{"worker log-sample=99.99", "worker log-sample=99.99"},
		{"worker log-sample=100", "worker log-sample=100"},
		{"worker log-sample=0.001", NULL},
		{"worker log-sample=100.01", NULL},
		{"worker log-sample=-1", NULL},
		{"worker log-sample=5%", NULL},
		{"worker log-sample=", NULL},
		{"worker idle=never", NULL},
		{"worker burst=1 idle=poll", NULL},
		{"log level=debug", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char buf[MT_OVERRIDE_TEXT];
		struct mt_override o, again;
		struct mt_err e = {""};
		int rc = mt_override_parse_line(&o, t[i].line, &e);

		CU_ASSERT_EQUAL(rc, t[i].back ? 0 : -EINVAL);
		CU_ASSERT_EQUAL(e.text[0] != '\0', !t[i].back);
		if (rc || !t[i].back)
			continue;
		CU_ASSERT_STRING_EQUAL(mt_override_str(&o, buf), t[i].back);
		CU_ASSERT_EQUAL(mt_override_parse_line(&again, buf, &e), 0);
		CU_ASSERT_TRUE(mt_override_same_target(&o, &again));
	}
}

/* ---- the set and its file ------------------------------------------------------------------------ */

static uint32_t put(struct mt_overrides *s, const char *line, bool keep)
{
	struct mt_override o;
	struct mt_err e;
	uint32_t id = 0;

	CU_ASSERT_EQUAL_FATAL(mt_override_parse_line(&o, line, &e), 0);
	o.keep = keep;
	snprintf(o.who, sizeof(o.who), "root (pid 7)");
	o.wall = 1234567890123456789u;
	CU_ASSERT_EQUAL(mt_overrides_set(s, &o, &id), 0);
	return id;
}

static void set(void)
{
	struct mt_overrides s = {0};
	uint32_t first = put(&s, "weight 192.0.2.1:80 5", true), other;
	struct mt_override o = {0};
	char line[64];

	other = put(&s, "weight 192.0.2.1:80 5 outbound|80||a.x", false);
	CU_ASSERT_NOT_EQUAL(first, other);
	/* The same target: the newer one takes its place, and stays kept. */
	CU_ASSERT_EQUAL(put(&s, "weight 192.0.2.1:80 6", false), first);
	CU_ASSERT(s.n == 2 && s.version == 3);
	CU_ASSERT(mt_overrides_find(&s, first)->value == 6 && mt_overrides_find(&s, first)->keep);
	CU_ASSERT_TRUE(mt_overrides_drop(&s, first));
	CU_ASSERT_FALSE(mt_overrides_drop(&s, first));
	CU_ASSERT(s.n == 1 && s.v[0].id == other);
	for (uint32_t i = 1; i < MT_OVERRIDES_MAX; i++) {
		snprintf(line, sizeof(line), "drain 192.0.2.1:%u", i);
		put(&s, line, false);
	}
	o.kind = MT_OVERRIDE_FAULT;
	CU_ASSERT_EQUAL(mt_overrides_set(&s, &o, &other), -E2BIG);
	mt_overrides_fini(&s);
}

static void file(void)
{
	char dir[] = "/tmp/mt-overrides-XXXXXX", path[64], text[MT_OVERRIDE_TEXT];
	struct mt_overrides s = {0}, back = {0};
	struct mt_err e = {""};
	struct stat st;
	FILE *f;

	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/overrides", dir);
	CU_ASSERT_EQUAL(mt_overrides_load(&back, dir, &e), 0);
	CU_ASSERT_EQUAL(back.n, 0);
	put(&s, "limit a.x:1 method exact sayHello max=7", true);
	put(&s, "drain 192.0.2.1:80", false);
	put(&s, "drain 192.0.2.2:80", true);
	mt_overrides_save(&s, dir, NULL, saved, NULL);
	CU_ASSERT_EQUAL(saved_rc, 0);
	CU_ASSERT(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
	CU_ASSERT_EQUAL(mt_overrides_load(&back, dir, &e), 0);
	CU_ASSERT_EQUAL_FATAL(back.n, 2);
	CU_ASSERT_STRING_EQUAL(
		mt_override_str(&back.v[0], text), "limit a.x:1 method exact sayHello max=7");
	CU_ASSERT_STRING_EQUAL(back.v[0].who, "root (pid 7)");
	CU_ASSERT(back.v[0].wall == 1234567890123456789u && back.v[0].keep);
	mt_overrides_fini(&back);
	/* What is damaged is told with its line; the others hold. */
	f = fopen(path, "a");
	fputs("17\troot\tdrain nowhere\n18\troot\tdrain 192.0.2.3:80\n19\troot", f);
	fclose(f);
	CU_ASSERT_EQUAL(mt_overrides_load(&back, dir, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "overrides:4: "));
	CU_ASSERT_EQUAL(back.n, 3);
	mt_overrides_fini(&back);
	f = fopen(path, "w");
	fputs("something else\n", f);
	fclose(f);
	CU_ASSERT_EQUAL(mt_overrides_load(&back, dir, &e), -EINVAL);
	CU_ASSERT_EQUAL(back.n, 0);
	(void)unlink(path);
	CU_ASSERT_EQUAL(rmdir(dir), 0); /* nothing was left beside it */
	mt_overrides_fini(&s);
}

/* ---- compiled ------------------------------------------------------------------------------------ */

static const char documents[] = SERVICE_A RULE_A ROUTER(
	"a") "  hosts: [a.x]\n  routes:\n  - name: split\n    route:\n"
	     "    - {destination: {host: a.x, subset: v1}, weight: 100}\n"
	     "    - {destination: {host: a.x, subset: v2}, weight: 0}\n"
	     "  localRateLimit:\n"
	     "    tokenBucket: {fillInterval: 60s, maxTokens: 5, tokensPerFill: 5}\n";

/* Compiles the documents with what is turned, publishes, and says what changed. */
static void load(struct mt_conf *c, struct mt_model *m, const struct mt_overrides *s, char *words,
	size_t size)
{
	struct mt_conf_change change;
	struct mt_diags diags;
	struct mt_snapshot *snap;
	struct mt_err e;

	CU_ASSERT_EQUAL(mt_conf_set_overrides(c, s), 0);
	mt_diags_init(&diags);
	snap = mt_conf_compile(c, m, &diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(snap);
	CU_ASSERT_EQUAL(mt_conf_publish(c, snap, NOW, &change, &e), 0);
	mt_conf_change_str(&change, words, size);
	mt_diags_fini(&diags);
}

static void compiled(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_overrides s = {0};
	const struct mt_route_action *a;
	const struct mt_service *svc;
	struct mt_limit_info info;
	struct mt_diags diags;
	struct mt_err e;
	char words[256];
	uint32_t idx = 0;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", documents, strlen(documents));
	CU_ASSERT_EQUAL(diags.errors, 0);
	load(c, m, &s, words, sizeof(words));
	put(&s, "split a.x split v1=1 v2=3", false);
	/* A host with capitals, from an operator or a file of an earlier version. */
	put(&s, "weight 198.51.100.1:20880 7 outbound|20880||A.x", false);
	put(&s, "drain 198.51.100.2:30880", false);
	put(&s, "limit A.x:20880 max=9 report-only=on", false);
	put(&s, "fault a.x abort-percent=1", false);
	for (uint32_t i = 0; i < s.n; i++)
		CU_ASSERT_TRUE(mt_conf_override_applies(c, &s.v[i], &e));
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_STRING_EQUAL(words, "1 service changed, 1 cluster changed");
	svc = service(mt_conf_current(c), "a.x");
	a = mt_route_at(svc->routes, 0);
	CU_ASSERT(a->n_dests == 2 && a->dests[0].weight == 1 && a->dests[1].weight == 3);
	CU_ASSERT_EQUAL(a->total_weight, 4);
	CU_ASSERT_EQUAL(svc->n_filter_insts, 2);
	CU_ASSERT_STRING_EQUAL(svc->filter_insts[0].type->name, "fault");
	CU_ASSERT_EQUAL(cluster(mt_conf_current(c), "outbound|20880||a.x")->eps[0].weight, 7);
	CU_ASSERT_EQUAL(cluster(mt_conf_current(c), "outbound|20880|v1|a.x")->eps[0].weight, 1);
	CU_ASSERT_TRUE(
		cluster(mt_conf_current(c), "outbound|20880|v2|a.x")->eps[0].state->draining);
	CU_ASSERT_FALSE(
		cluster(mt_conf_current(c), "outbound|20880|v1|a.x")->eps[0].state->draining);
	CU_ASSERT_TRUE(mt_limit_next(mt_conf_limits(c), &idx, NOW, &info));
	CU_ASSERT(info.numbers.max_tokens == 9 && info.report_only && info.turned);
	mt_overrides_fini(&s);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_STRING_EQUAL(words, "1 service changed, 1 cluster changed");
	svc = service(mt_conf_current(c), "a.x");
	CU_ASSERT(mt_route_at(svc->routes, 0)->n_dests == 1 && svc->n_filter_insts == 1);
	CU_ASSERT_FALSE(
		cluster(mt_conf_current(c), "outbound|20880|v2|a.x")->eps[0].state->draining);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(c);
}

/* A split that names nothing of the route, any more or yet, leaves it as it is written, and is told of. */
static void misses(void)
{
	struct mt_conf *c = new_conf();
	struct mt_overrides s = {0};
	struct mt_err e = {""};
	struct built b;

	put(&s, "split a.x split v3=1", false);
	CU_ASSERT_EQUAL(mt_conf_set_overrides(c, &s), 0);
	b = build_text(c, documents);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 31, "names none of its destinations"));
	CU_ASSERT_EQUAL(mt_route_at(service(b.s, "a.x")->routes, 0)->dests[0].weight, 100);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
	b.s = NULL;
	put(&s, "fault b.x abort-percent=1", false);
	CU_ASSERT_FALSE(mt_conf_override_applies(c, &s.v[1], &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no such service"));
	mt_overrides_fini(&s);
	unbuild(&b);
}

/*
 * The answer to an override before it is set: "" if it applies, "-..." if it is refused, else what
 * it does not do.
 */
static void told(const struct mt_conf *c, const char *line, const char *says)
{
	struct mt_err e = {""};
	struct mt_override o;
	char note[512];
	bool refused;

	CU_ASSERT_EQUAL_FATAL(mt_override_parse_line(&o, line, &e), 0);
	refused = !mt_conf_override_applies(c, &o, &e) || !mt_conf_override_changes(c, &o, &e);
	(void)mt_conf_override_note(c, &o, note, sizeof(note));
	CU_ASSERT_EQUAL(refused, *says == '-');
	if (refused)
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, says + 1));
	if (!refused && *says)
		CU_ASSERT_PTR_NOT_NULL(strstr(note, says));
	if (!*says)
		CU_ASSERT_STRING_EQUAL(note, "");
}

static void without_effect(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_overrides s = {0};
	struct mt_diags diags;
	char words[256];

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", documents, strlen(documents));
	load(c, m, &s, words, sizeof(words));
	told(c, "split a.x split v1=10 v9=90",
		"-v9 is not a destination of route split of a.x; these are: outbound|20880|v1|a.x");
	told(c, "split a.x split v9=100", "-v9 is not a destination");
	told(c, "split a.x split v1=7", "-are split so already");
	told(c, "split a.x split outbound|20880|v1|a.X=7 v2=0", "-are split so already");
	told(c, "split a.x split v1=1 v2=3", "");
	told(c, "weight 198.51.100.1:20880 1", "-it has that weight already");
	told(c, "weight 198.51.100.1:20880 5 outbound|20880|v1|a.x", "-only endpoint");
	told(c, "weight 198.51.100.1:20880 5", "");
	told(c, "drain 198.51.100.2:30880",
		"calls of outbound|20880|v2|a.x go on to it: it is the only endpoint there");
	told(c, "drain 198.51.100.2:30880 outbound|20880||a.x", "");
	told(c, "drain 198.51.100.2:30880 outbound|20880|v2|a.x", "-would go on to get its calls");
	told(c, "limit a.x:20880 max=5", "-has these settings already");
	told(c, "limit a.x:20880 max=5 fill=60s report-only=off", "-has these settings already");
	told(c, "limit a.x:20880 max=6", "");
	told(c, "limit a.x:20880 report-only=on", "");
	told(c, "limit a.x:1 max=6", "-no such limit");
	told(c, "fault b.x abort-percent=1", "-no such service");
	told(c, "log debug", "");
	snprintf(words, sizeof(words), "log xds %s",
		mt_log_level_str(mt_log_level_of((enum mt_log_module)mt_log_module_find("xds"))));
	told(c, words, "-its level already");
	/* The other one is drained by now. */
	put(&s, "drain 198.51.100.1:20880", false);
	put(&s, "split a.x split v1=1 v2=3", false);
	load(c, m, &s, words, sizeof(words));
	told(c, "drain endpoint 198.51.100.2:30880", "-would go on to get its calls");
	told(c, "split a.x split v2=6 v1=2", "-are split so already");
	told(c, "split a.x split v1=1 v2=3", "-is the same");
	told(c, "drain endpoint 198.51.100.1:20880", "-is the same");
	told(c, "drain endpoint 198.51.100.1:20880 outbound|20880||A.X", "-drained already");
	told(c, "split a.x split v2=1", "");
	mt_overrides_fini(&s);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(c);
}

/* ---- access logs --------------------------------------------------------------------------------- */

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  accessLog: {sample: 50}\n"
#define LOGGED                                                                                     \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data:\n  mesh: |\n    accessLogFile: /dev/stdout\n"

/* An override of the Node's sample, which needs a log; of 2^32 calls, log_skips leave no line. */
static void sampled(void)
{
	static const char logged[] = NODE SERVICE_A LOGGED;
	struct mt_conf *c = new_conf();
	struct mt_model *m = mt_model_new(), *bare = mt_model_new();
	struct mt_overrides s = {0};
	struct mt_diags diags;
	char words[256];
	uint32_t id;

	mt_diags_init(&diags);
	mt_source_text(bare, &diags, "t", documents, strlen(documents));
	mt_source_text(m, &diags, "t", logged, strlen(logged));
	CU_ASSERT_EQUAL_FATAL(diags.errors, 0);
	m->mesh.config = m->mesh_configs.v[0];
	load(c, bare, &s, words, sizeof(words));
	told(c, "worker log-sample=5", "-there is no access log");
	told(c, "worker burst=5", "");
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(mt_conf_current(c)->log_skips, 1ull << 31);
	told(c, "worker log-sample=50", "-that is the share already");
	told(c, "worker log-sample=25", "");
	(void)put(&s, "worker burst=5", false);
	id = put(&s, "worker log-sample=25", false);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(mt_conf_current(c)->log_skips, 3ull << 30);
	told(c, "worker log-sample=25", "-is the same");
	told(c, "worker log-sample=50", "");
	CU_ASSERT_EQUAL(put(&s, "worker log-sample=0", false), id);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(mt_conf_current(c)->log_skips, 1ull << 32);
	CU_ASSERT_TRUE(mt_overrides_drop(&s, id));
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(mt_conf_current(c)->log_skips, 1ull << 31);
	mt_overrides_fini(&s);
	mt_diags_fini(&diags);
	mt_model_free(bare);
	mt_model_free(m);
	mt_conf_destroy(c);
}

/* ---- listeners ----------------------------------------------------------------------------------- */

static uint32_t n_drained(const struct mt_conf *c)
{
	const struct mt_snapshot *s = mt_conf_current(c);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		n += s->listeners[i].drain != MT_LISTENER_SERVES;
	return n;
}

static uint32_t n_refusing(const struct mt_conf *c)
{
	const struct mt_snapshot *s = mt_conf_current(c);
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		n += s->listeners[i].drain == MT_LISTENER_REFUSES;
	return n;
}

/* By address, and by a service that has it alone. */
static void drained(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_overrides s = {0};
	struct mt_override back;
	const struct mt_listener *l;
	struct mt_diags diags;
	struct mt_err e;
	char words[256], line[128], where[MT_ADDR_STRLEN];
	uint32_t all;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", documents, strlen(documents));
	load(c, m, &s, words, sizeof(words));
	all = mt_conf_current(c)->n_listeners;
	l = &mt_conf_current(c)->listeners[0];
	CU_ASSERT(all > 0 && n_drained(c) == 0);
	snprintf(line, sizeof(line), "drain listener %s",
		mt_addr_port_str(&l->addr, l->port, where));
	told(c, line, "lists clients that are left");
	told(c, "drain listener 192.0.2.99:1", "-no such listener");
	told(c, "drain service b.x", "-no such service");
	told(c, "drain service a.x", "");
	put(&s, line, false);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(n_drained(c), 1);
	CU_ASSERT_EQUAL(n_refusing(c), 0);
	CU_ASSERT_EQUAL(mt_conf_current(c)->listeners[0].drain_ms, MT_NODE_DRAIN_MS);
	told(c, line, "-is the same");
	put(&s, "drain service A.x", false);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(n_drained(c), all);
	CU_ASSERT_EQUAL(n_refusing(c), 0);
	/* The same drain, and more: the stricter one of service and listener counts. */
	put(&s, "drain service a.x refuse", false);
	CU_ASSERT_EQUAL(s.n, 2);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(n_refusing(c), all);
	CU_ASSERT_EQUAL(mt_override_parse_line(&back, "drain service a.x", &e), 0);
	CU_ASSERT_TRUE(mt_overrides_returns(&s, &back));
	CU_ASSERT_EQUAL(mt_overrides_return(&s, &back), 0);
	CU_ASSERT_FALSE(mt_overrides_returns(&s, &back));
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(n_drained(c), 1);
	CU_ASSERT_EQUAL(mt_override_parse_line(&back, line, &e), 0);
	CU_ASSERT_EQUAL(mt_overrides_return(&s, &back), 0);
	load(c, m, &s, words, sizeof(words));
	CU_ASSERT_EQUAL(n_drained(c), 0);
	mt_overrides_fini(&s);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(c);
}

/* The clusters a and b of those in which the endpoint is drained. */
static const char *drained_in(const struct mt_overrides *s, const char *at)
{
	static char in[8];
	struct mt_override o;
	struct mt_err e;

	CU_ASSERT_EQUAL(mt_override_parse_line(&o, at, &e), 0);
	snprintf(in, sizeof(in), "%s%s", mt_overrides_drains(s, "a", &o.addr, o.port) ? "a" : "",
		mt_overrides_drains(s, "b", &o.addr, o.port) ? "b" : "");
	return in;
}

/* An endpoint that returns in one cluster is drained in the others, until it returns in all. */
static void returned(void)
{
	static const struct {
		const char *line; /* "+": drain, "-": return, "!": drop number 0 */
		const char *in;	  /* clusters in which it is drained then; "=": nothing changes */
		uint32_t n;	  /* overrides */
	} t[] = {
		{"-drain endpoint 192.0.2.1:80 a", "=", 0},
		{"+drain endpoint 192.0.2.1:80", "ab", 1},
		{"-drain endpoint 192.0.2.2:80 a", "=", 1},
		{"-drain endpoint 192.0.2.1:80 a", "b", 2},
		{"-drain endpoint 192.0.2.1:80 a", "=", 2},
		{"-drain endpoint 192.0.2.1:80 b", "", 3},
		/* A newer drain counts: of one cluster, and of all. */
		{"+drain endpoint 192.0.2.1:80 b", "b", 3},
		{"-drain endpoint 192.0.2.1:80 b", "", 3},
		{"+drain endpoint 192.0.2.1:80", "ab", 1},
		/* The end of a drain is the end of its exemptions. */
		{"-drain endpoint 192.0.2.1:80 b", "a", 2},
		{"-drain endpoint 192.0.2.1:80", "", 0},
		{"+drain endpoint 192.0.2.1:80", "ab", 1},
		{"-drain endpoint 192.0.2.1:80 b", "a", 2},
		{"!", "", 0},
		/* A drain in a cluster alone. */
		{"+drain endpoint 192.0.2.1:80 b", "b", 1},
		{"-drain endpoint 192.0.2.1:80 a", "=", 1},
		{"-drain endpoint 192.0.2.1:80 b", "", 0},
	};
	struct mt_overrides s = {0};
	char text[MT_OVERRIDE_TEXT];
	struct mt_override o;
	struct mt_err e;
	uint32_t id;

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		uint64_t version = s.version;

		if (*t[i].line == '!') {
			CU_ASSERT_TRUE(mt_overrides_drop(&s, s.v[0].id));
		} else {
			CU_ASSERT_EQUAL(mt_override_parse_line(&o, t[i].line + 1, &e), 0);
		}
		if (*t[i].line == '+')
			CU_ASSERT_EQUAL(mt_overrides_set(&s, &o, &id), 0);
		if (*t[i].line == '-') {
			CU_ASSERT_EQUAL(mt_overrides_returns(&s, &o), *t[i].in != '=');
			CU_ASSERT_EQUAL(mt_overrides_return(&s, &o), 0);
		}
		CU_ASSERT_EQUAL(s.version == version, *t[i].in == '=');
		if (*t[i].in != '=')
			CU_ASSERT_STRING_EQUAL(
				drained_in(&s, "drain endpoint 192.0.2.1:80"), t[i].in);
		CU_ASSERT_EQUAL(s.n, t[i].n);
	}
	/* The exemption is kept as the drain is. */
	put(&s, "drain endpoint 192.0.2.1:80", true);
	CU_ASSERT_EQUAL(mt_override_parse_line(&o, "drain endpoint 192.0.2.1:80 a", &e), 0);
	CU_ASSERT_EQUAL(mt_overrides_return(&s, &o), 0);
	CU_ASSERT_STRING_EQUAL(mt_override_str(&s.v[1], text), "return endpoint 192.0.2.1:80 a");
	CU_ASSERT_TRUE(s.v[1].keep);
	mt_overrides_fini(&s);
}

const struct mt_test override_tests[] = {
	{"text", text},
	{"set", set},
	{"file", file},
	{"compiled", compiled},
	{"misses", misses},
	{"without_effect", without_effect},
	{"sampled", sampled},
	{"drained", drained},
	{"returned", returned},
	{0},
};
