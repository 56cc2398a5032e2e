/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the log about the traffic: one for each event, one for its end, and none between. */
#include "suites.h"

#include "mt_ctl_events_priv.h"
#include "mt_l4.h"
#include "mt_source.h"

static const char service[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
	"metadata: {name: a, namespace: shop}\nspec:\n  hosts: [a.x]\n  addresses: [240.240.1.1]\n"
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  ports: [{number: 80, name: tcp, "
	"protocol: TCP}]\n";
static const char two[] = "  endpoints: [{address: 198.51.100.1}, {address: 198.51.100.2}]\n";
/* Without an identity the node cannot end mutual TLS. */
static const char closing[] =
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
	"metadata: {name: p, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n";

struct rig {
	struct mt_conf *conf;
	struct mt_ctl *c;
	uint64_t warned, told; /* lines so far */
};

static void publish(struct rig *r, const char *first, const char *second, const char *third)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err e;
	static char text[40000];

	mt_diags_init(&diags);
	snprintf(text, sizeof(text), "%s%s%s", first, second, third);
	mt_source_text(m, &diags, "t.yaml", text, strlen(text));
	s = mt_conf_compile(r->conf, m, &diags, r->c->now);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(r->conf, s, r->c->now, NULL, &e), 0);
	mt_conf_reap(r->conf, r->c->now);
	mt_diags_fini(&diags);
	mt_model_free(m);
}

static void begin(struct rig *r)
{
	const struct mt_conf_options opts = {.workers = 1};
	const struct mt_log_counts *n = mt_log_counts(MT_LOGS_worker);
	struct mt_err e;

	r->conf = mt_conf_create(&opts, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->conf);
	r->c = test_ctl(&(struct mt_ctl_env){.conf = r->conf});
	r->warned = n->lines[MT_LOG_WARN];
	r->told = n->lines[MT_LOG_INFO];
}

static void end(struct rig *r)
{
	mt_ctl_destroy(r->c);
	mt_conf_destroy(r->conf);
}

/* A second later: true if the log has so many new lines of warnings, and of their ends. */
static bool logs(struct rig *r, uint32_t warn, uint32_t info)
{
	const struct mt_log_counts *n = mt_log_counts(MT_LOGS_worker);
	bool yes;

	mt_ctl_turn(r->c, r->c->now + MT_SEC);
	yes = n->lines[MT_LOG_WARN] - r->warned == warn && n->lines[MT_LOG_INFO] - r->told == info;
	r->warned = n->lines[MT_LOG_WARN];
	r->told = n->lines[MT_LOG_INFO];
	return yes;
}

static struct mt_ep_state *endpoint(const struct rig *r, uint32_t i)
{
	const struct mt_snapshot *s = mt_conf_current(r->conf);

	CU_ASSERT_FATAL(s->n_clusters == 1 && i < s->clusters[0].n_eps);
	return s->clusters[0].eps[i].state;
}

static void eject(struct rig *r, uint32_t i)
{
	CU_ASSERT(mt_ep_silent(endpoint(r, i), NULL, r->c->now));
	r->c->endpoints_changed = true; /* as the worker's event does */
}

/* A cluster loses its endpoints one by one; the first that is back ends that. */
static void test_clusters(void)
{
	uint32_t pos = 0;
	struct rig r;

	begin(&r);
	publish(&r, service, two, "");
	CU_ASSERT(logs(&r, 0, 0));
	eject(&r, 0);
	CU_ASSERT(logs(&r, 0, 0));
	eject(&r, 1);
	CU_ASSERT(logs(&r, 1, 0));
	CU_ASSERT_STRING_EQUAL(mt_events_lacking_next(r.c, &pos), "outbound|80||a.x");
	CU_ASSERT_PTR_NULL(mt_events_lacking_next(r.c, &pos));
	/* The time of the ejection is over, but neither has answered: it goes on. */
	for (int s = 0; s < 60; s++)
		CU_ASSERT(logs(&r, 0, 0));
	mt_ep_returned(endpoint(&r, 1), r.c->now);
	CU_ASSERT(logs(&r, 0, 1));
	pos = 0;
	CU_ASSERT_PTR_NULL(mt_events_lacking_next(r.c, &pos));
	mt_ep_drain(endpoint(&r, 1), true);
	r.c->endpoints_changed = true;
	CU_ASSERT(logs(&r, 1, 0));
	mt_ep_drain(endpoint(&r, 1), false);
	CU_ASSERT(logs(&r, 0, 1));
	/* A configuration without endpoints, and with them. */
	publish(&r, service, "", "");
	CU_ASSERT(logs(&r, 1, 0));
	publish(&r, service, "", "");
	CU_ASSERT(logs(&r, 0, 0));
	publish(&r, service, two, "");
	CU_ASSERT(logs(&r, 0, 1));
	end(&r);
}

/* What a worker reports of the first endpoint. */
static void report(struct rig *r, enum mt_ep_event_what what)
{
	const struct mt_cluster *cl = &mt_conf_current(r->conf)->clusters[0];
	const struct mt_ep_state *state = cl->eps[0].state;

	mt_outliers_note(r->c,
		&(struct mt_ep_event){.what = what,
			.why = what == MT_EP_EVENT_EJECTED ? "calls time out" : NULL,
			.addr = cl->eps[0].addr,
			.port = cl->eps[0].port,
			.cluster = cl->index,
			.times = state->ejections,
			.at = r->c->now,
			.until = what == MT_EP_EVENT_EJECTED ? state->ejected_until : r->c->now,
			.wall = r->c->now});
}

/* True if `show outliers` has one row, and the views of the first endpoint have these texts. */
static bool views(struct rig *r, const char *outlier, const char *endpoint, const char *health)
{
	json_t *j = mt_show_outliers(r->c, NULL), *row;
	char *text;
	bool yes;
	int code;

	row = json_array_get(json_object_get(j, "outliers"), 0);
	yes = json_array_size(json_object_get(j, "outliers")) == 1 &&
	      strcmp(json_string_value(json_object_get(row, "now")), outlier) == 0;
	json_decref(j);
	j = mt_show_endpoints(r->c, NULL);
	row = json_array_get(json_object_get(j, "endpoints"), 0);
	yes &= strcmp(json_string_value(json_object_get(row, "health")), endpoint) == 0;
	json_decref(j);
	text = test_run(r->c, "show health", &code);
	yes &= !health == !strstr(text, "198.51.100.1:80 ejected");
	free(text);
	return yes;
}

/* Seconds pass without a line of the log. */
static void quiet(struct rig *r, uint32_t s)
{
	for (uint32_t i = 0; i < s; i++)
		CU_ASSERT(logs(r, 0, 0));
}

/* A server that is ejected again before it has answered is one incident, and all views agree. */
static void test_one_incident(void)
{
	json_t *j;
	struct rig r;

	begin(&r);
	publish(&r, service, two, "");
	CU_ASSERT(logs(&r, 0, 0));
	eject(&r, 0);
	report(&r, MT_EP_EVENT_EJECTED);
	CU_ASSERT(views(&r, "ejected", "ejected for 5 s", "ejected"));
	CU_ASSERT(logs(&r, 1, 0));
	quiet(&r, 5);
	CU_ASSERT(views(&r, "trial", "ejected, trial", "ejected"));
	/* The trial fails, and endpoints that take no call are ejected for longer. */
	CU_ASSERT(mt_ep_try(endpoint(&r, 0), NULL, r.c->now));
	CU_ASSERT(views(&r, "trial", "ejected, trial", "ejected"));
	quiet(&r, 10);
	eject(&r, 0);
	report(&r, MT_EP_EVENT_EJECTED);
	CU_ASSERT(views(&r, "ejected", "ejected for 20 s", "ejected"));
	quiet(&r, 20);
	CU_ASSERT(mt_ep_try(endpoint(&r, 0), NULL, r.c->now));
	CU_ASSERT(mt_ep_trial_over(endpoint(&r, 0), r.c->now));
	report(&r, MT_EP_EVENT_BACK);
	CU_ASSERT(views(&r, "returned", "ok", NULL));
	CU_ASSERT(logs(&r, 0, 1));
	j = mt_show_outliers(r.c, NULL);
	CU_ASSERT_EQUAL(json_integer_value(json_object_get(
				json_array_get(json_object_get(j, "outliers"), 0), "for_ms")),
		36000);
	json_decref(j);
	/* The next one is another. */
	eject(&r, 0);
	report(&r, MT_EP_EVENT_EJECTED);
	CU_ASSERT(logs(&r, 1, 0));
	end(&r);
}

/* Endpoints that do not answer: one answers again, one has no calls any more, one is removed. */
static void test_hangs(void)
{
	struct mt_ctl_waiting n[MADE_UP] = {0}, *first, *second;
	struct rig r;

	begin(&r);
	publish(&r, service, two, "");
	CU_ASSERT_FATAL(endpoint(&r, 0)->index < MADE_UP && endpoint(&r, 1)->index < MADE_UP);
	first = &n[endpoint(&r, 0)->index];
	second = &n[endpoint(&r, 1)->index];
	made_up_waiting = n;
	*first = (struct mt_ctl_waiting){.calls = 4, .oldest = 9 * MT_SEC, .silent = 9 * MT_SEC};
	*second = (struct mt_ctl_waiting){.streams = 1, .streams_silent = 60 * MT_SEC};
	CU_ASSERT(logs(&r, 0, 0));
	first->silent = 10 * MT_SEC;
	CU_ASSERT(logs(&r, 1, 0));
	CU_ASSERT(logs(&r, 0, 0));
	second->answers = true;
	CU_ASSERT(logs(&r, 1, 0));
	*first = (struct mt_ctl_waiting){.unheard = 10 * MT_MSEC};
	*second = (struct mt_ctl_waiting){.unheard = 90 * MT_SEC};
	CU_ASSERT(logs(&r, 0, 2));
	CU_ASSERT(logs(&r, 0, 0));
	first->silent = second->silent = 11 * MT_SEC;
	CU_ASSERT(logs(&r, 2, 0));
	/* The cluster has no endpoint any more, which is a line of its own. */
	publish(&r, service, "", "");
	CU_ASSERT(logs(&r, 1, 2));
	/* The ejection of an endpoint has a line of its own, too. */
	publish(&r, service, two, "");
	*first = *second = (struct mt_ctl_waiting){0};
	CU_ASSERT(logs(&r, 0, 1));
	eject(&r, 0);
	n[endpoint(&r, 0)->index] = (struct mt_ctl_waiting){.calls = 1, .silent = 11 * MT_SEC};
	CU_ASSERT(logs(&r, 0, 0));
	made_up_waiting = NULL;
	end(&r);
}

/* Many endpoints that do not answer have at most 20 lines a second, and as many ends. */
static void test_many_hangs(void)
{
	struct mt_ctl_waiting n[MADE_UP] = {0};
	char text[2000] = "  endpoints: [{address: 198.51.100.1}";
	struct rig r;

	for (uint32_t i = 2; i <= 25; i++)
		sprintf(text + strlen(text), ", {address: 198.51.100.%u}", i);
	strcat(text, "]\n");
	begin(&r);
	publish(&r, service, text, "");
	made_up_waiting = n;
	for (uint32_t i = 0; i < 25; i++) {
		CU_ASSERT_FATAL(endpoint(&r, i)->index < MADE_UP);
		n[endpoint(&r, i)->index] = (struct mt_ctl_waiting){
			.calls = 1, .oldest = 11 * MT_SEC, .silent = 11 * MT_SEC};
	}
	CU_ASSERT(logs(&r, 20, 0));
	CU_ASSERT(logs(&r, 5, 0));
	CU_ASSERT(logs(&r, 0, 0));
	memset(n, 0, sizeof(n));
	CU_ASSERT(logs(&r, 0, 20));
	CU_ASSERT(logs(&r, 0, 5));
	made_up_waiting = NULL;
	end(&r);
}

/* A cluster that never had an endpoint is not reported, nor one whose index was another's. */
static void test_lack(void)
{
	struct mt_lack l = {0};

	CU_ASSERT_EQUAL(mt_lack_step(&l, 7, true, MT_SEC), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 7, false, 2 * MT_SEC), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 7, true, 3 * MT_SEC), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(l.since, 3 * MT_SEC);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 7, true, 4 * MT_SEC), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 8, true, 5 * MT_SEC), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 8, false, 6 * MT_SEC), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 8, true, 7 * MT_SEC), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(mt_lack_step(&l, 8, false, 8 * MT_SEC), MT_EDGE_ENDS);
}

/* A policy that cannot be evaluated closes a service, also at the start; then it is taken away. */
static void test_services(void)
{
	const char *name, *by;
	uint32_t pos = 0;
	struct rig r;

	begin(&r);
	publish(&r, service, two, closing);
	CU_ASSERT(logs(&r, 1, 0));
	CU_ASSERT_PTR_NOT_NULL_FATAL(name = mt_events_closed_next(r.c, &pos, &by));
	CU_ASSERT_STRING_EQUAL(name, "a.x");
	CU_ASSERT_STRING_EQUAL(by, "PeerAuthentication shop/p");
	CU_ASSERT_PTR_NULL(mt_events_closed_next(r.c, &pos, &by));
	publish(&r, service, two, closing);
	CU_ASSERT(logs(&r, 0, 0));
	publish(&r, service, two, "");
	CU_ASSERT(logs(&r, 0, 1));
	publish(&r, service, two, closing);
	CU_ASSERT(logs(&r, 1, 0));
	end(&r);
}

/* Many at once have 20 lines and one that counts the others. */
static void test_many_services(void)
{
	enum { N = 50, LINES = 20 };
	static char all[32768];
	const char *by;
	uint32_t pos = 0, n = 0;
	struct rig r;

	all[0] = '\0';
	for (int i = 0; i < N; i++)
		snprintf(all + strlen(all), sizeof(all) - strlen(all),
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: a%d, namespace: shop}\nspec:\n  hosts: [h%d.x]\n"
			"  addresses: [240.240.1.%d]\n  location: MESH_INTERNAL\n"
			"  resolution: STATIC\n  ports: [{number: 80, name: tcp, protocol: "
			"TCP}]\n%s",
			i, i, i + 1, two);
	begin(&r);
	publish(&r, all, closing, "");
	CU_ASSERT(logs(&r, LINES + 1, 0));
	while (mt_events_closed_next(r.c, &pos, &by))
		n++;
	CU_ASSERT_EQUAL(n, N);
	publish(&r, all, "", "");
	CU_ASSERT(logs(&r, 0, LINES + 1));
	pos = 0;
	CU_ASSERT_PTR_NULL(mt_events_closed_next(r.c, &pos, &by));
	end(&r);
}

/* A certificate that is valid for 900 s, from 100 s on; what is seen of it at these times. */
static void test_certificates(void)
{
	static const struct {
		int64_t now;
		enum mt_cert_age age;
		enum mt_edge edge;
	} t[] = {
		{100, MT_CERT_FRESH, MT_EDGE_NONE},
		{700, MT_CERT_FRESH, MT_EDGE_NONE},
		/* A hundredth later than a third, so that renewal at a third is in time. */
		{709, MT_CERT_FRESH, MT_EDGE_NONE},
		{710, MT_CERT_THIRD, MT_EDGE_STARTS},
		{800, MT_CERT_THIRD, MT_EDGE_NONE},
		{910, MT_CERT_THIRD, MT_EDGE_NONE},
		{911, MT_CERT_TENTH, MT_EDGE_STARTS},
		{999, MT_CERT_TENTH, MT_EDGE_NONE},
		{1000, MT_CERT_OVER, MT_EDGE_STARTS},
		{5000, MT_CERT_OVER, MT_EDGE_NONE},
	};
	struct mt_cert_look l = {.still = true};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		CU_ASSERT_EQUAL(mt_cert_step(&l, 100, 1000, 1000 - t[i].now), t[i].edge);
		CU_ASSERT_EQUAL(l.age, t[i].age);
	}
	/* Renewed; replaced by another one that is old as well; renewed in time. */
	CU_ASSERT_EQUAL(mt_cert_step(&l, 5000, 5900, 800), MT_EDGE_ENDS);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 4000, 5900, 100), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 4001, 5900, 100), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 5800, 6700, 900), MT_EDGE_ENDS);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 6400, 7300, 900), MT_EDGE_NONE);
	/* The first look of a start finds an old one. */
	l = (struct mt_cert_look){.still = true};
	CU_ASSERT_EQUAL(mt_cert_step(&l, 100, 1000, 50), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(l.age, MT_CERT_TENTH);
	/* A revocation list is late at a tenth. */
	l = (struct mt_cert_look){.still = true, .list = true};
	CU_ASSERT_EQUAL(mt_cert_step(&l, 100, 1000, 200), MT_EDGE_NONE);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 100, 1000, 89), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(l.age, MT_CERT_TENTH);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 100, 1000, 0), MT_EDGE_STARTS);
	CU_ASSERT_EQUAL(mt_cert_step(&l, 900, 1800, 800), MT_EDGE_ENDS);
}

static void test_spans(void)
{
	char buf[MT_CTL_SPAN];

	CU_ASSERT_STRING_EQUAL(mt_ctl_span(300 * MT_MSEC, buf), "300 ms");
	CU_ASSERT_STRING_EQUAL(mt_ctl_span(5 * MT_SEC, buf), "5 s");
	CU_ASSERT_STRING_EQUAL(mt_ctl_span(14600 * MT_MSEC, buf), "15 s");
	CU_ASSERT_STRING_EQUAL(mt_ctl_span(125 * MT_SEC, buf), "2 min 5 s");
}

/* A look a second at the counters of a service: so many packets of clients, and of endpoints. */
static uint64_t look(struct mt_one_way *l, uint64_t *now, uint64_t sent, uint64_t answered)
{
	const struct mt_l4_service s = {.owner = 7};
	const struct mt_l4_stats st = {.packets = {sent, answered}};

	*now += MT_SEC;
	mt_one_way_look(l, &s, &st, *now);
	return mt_one_way_ns(l, *now);
}

/* Services without replies are those whose clients go on to send. */
static void one_way(void)
{
	uint64_t now = 100 * MT_SEC, sent = 10;
	struct mt_one_way l = {0};

	/* The last packet of a conversation, such as an acknowledgement, has no answer. */
	CU_ASSERT_EQUAL(look(&l, &now, sent, 5), 0);
	CU_ASSERT_EQUAL(look(&l, &now, ++sent, 5), 0);
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(look(&l, &now, sent, 5), 0);
	/* The first one of the next, and its answer a moment later. */
	CU_ASSERT_EQUAL(look(&l, &now, ++sent, 5), 0);
	CU_ASSERT_EQUAL(look(&l, &now, sent, 6), 0);
	for (int i = 0; i < 31; i++)
		CU_ASSERT_EQUAL(look(&l, &now, ++sent, 6), 0);
	CU_ASSERT_EQUAL(look(&l, &now, ++sent, 6), 31 * MT_SEC);
	CU_ASSERT_EQUAL(look(&l, &now, sent, 6), 32 * MT_SEC);
	CU_ASSERT_EQUAL(look(&l, &now, ++sent, 7), 0);
}

/* A limit of connections: one line at the first refusal, and one 60 s after the last. */
static void test_full(void)
{
	static const struct {
		uint64_t at, refused; /* s */
		enum mt_edge edge;
	} looks[] = {{1, 0, MT_EDGE_NONE}, {2, 4, MT_EDGE_STARTS}, {3, 9, MT_EDGE_NONE},
		{50, 10, MT_EDGE_NONE}, {109, 10, MT_EDGE_NONE}, {110, 10, MT_EDGE_ENDS},
		{111, 10, MT_EDGE_NONE}, {200, 11, MT_EDGE_STARTS}};
	struct mt_full f = {0};

	for (size_t i = 0; i < MT_ARRAY_LEN(looks); i++)
		CU_ASSERT_EQUAL(
			mt_full_step(&f, looks[i].refused, looks[i].at * MT_SEC), looks[i].edge);
	CU_ASSERT_EQUAL(f.before, 10);
	CU_ASSERT_EQUAL(f.since, 200 * MT_SEC);
}

const struct mt_test events_tests[] = {{"clusters without an endpoint", test_clusters},
	{"ejected again", test_one_incident}, {"endpoints that do not answer", test_hangs},
	{"many that do not answer", test_many_hangs}, {"start and end of a lack", test_lack},
	{"closed services", test_services}, {"many closed services", test_many_services},
	{"certificates", test_certificates}, {"spans", test_spans},
	{"limits of connections", test_full}, {"one way", one_way}, {0}};
