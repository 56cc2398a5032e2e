/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of which first bytes, or silence, have to tell what serves them. */
#include "../tls/hello_make.h"
#include "mt_codec_priv.h"
#include "scene.h"

#define MAX_CHAINS 4
#define PLAIN	   "T" /* begins a message of the toy protocol */

/* What a chain serves; several are asked in this order. */
enum serves { TOY = 1, SERIAL = 2, DUBBO = 4, THRIFT = 8, TCP = 16 };

struct row {
	struct mt_filter_chain chain;
	uint32_t serves;
};

static uint8_t bytes[HELLO_ROOM], got[HELLO_ROOM];

static const char *const a_example[] = {"a.example"};
static const char *const b_example[] = {"b.example"};

static const struct row tls_to_a = {
	{.name = "a", .match = {.server_names = a_example, .n_server_names = 1}}, TCP};
static const struct row refused_b = {
	{.name = "b",
		.match = {.server_names = b_example, .n_server_names = 1},
		.refuse = "TLS is not spoken yet"},
	0};
static const struct row any_tls = {{.name = "tls", .match = {.transport = MT_TRANSPORT_TLS}}, TCP};
static const struct row plain_toy = {
	{.name = "plain", .match = {.transport = MT_TRANSPORT_PLAIN}}, TOY};
static const struct row plain_tcp = {
	{.name = "plain", .match = {.transport = MT_TRANSPORT_PLAIN}}, TCP};

/* The services are those of the listeners that speak it alone. */
static void add_protos(
	struct mt_snapshot *s, uint32_t serves, struct mt_filter_chain_proto *all, uint32_t *n)
{
	const struct {
		const struct mt_codec *codec;
		uint32_t listener;
	} of[] = {{&toy_codec, 3}, {&toy_serial_codec, 2}, {&mt_codec_dubbo, 2},
		{&mt_codec_thrift, 2}, {&mt_codec_opaque, 1}};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(of); i++)
		if (serves & 1u << i)
			all[(*n)++] = (struct mt_filter_chain_proto){.codec = of[i].codec,
				.services = s->listeners[of[i].listener].protos->services,
				.n_services = 1};
}

/* The snapshot's first listener has these chains. */
static void set_chains(
	struct mt_snapshot *s, uint32_t gen, uint32_t n, const struct row *const *rows)
{
	static struct mt_filter_chain chains[CONFIG_GENS][MAX_CHAINS];
	static struct mt_filter_chain_proto protos[CONFIG_GENS][MAX_CHAINS * 5];
	struct mt_listener *l = &s->listeners[0];

	l->chains = chains[gen];
	l->protos = protos[gen];
	l->n_chains = n;
	l->n_protos = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = l->n_protos;

		add_protos(s, rows[i]->serves, l->protos, &l->n_protos);
		chains[gen][i] = rows[i]->chain;
		chains[gen][i].n_protos = l->n_protos - before;
	}
	mt_snapshot_index_free(s);
	MT_ASSERT(mt_snapshot_index(s) == 0);
}

#define CHAINS(s, gen, ...)                                                                        \
	set_chains(s, gen, MT_ARRAY_LEN(((const struct row *const[]){__VA_ARGS__})),               \
		(const struct row *const[]){__VA_ARGS__})

#define START(...)                                                                                 \
	do {                                                                                       \
		scene_start(1);                                                                    \
		CHAINS(lab.snap, 0, __VA_ARGS__);                                                  \
	} while (0)

/* Another configuration: the usual one, with these chains. */
#define PUBLISH(gen, ...)                                                                          \
	do {                                                                                       \
		struct mt_snapshot *next_ = config_make(gen, lab.p->snap->version + 1, 1, true);   \
		CHAINS(next_, gen, __VA_ARGS__);                                                   \
		mt_proxy_adopt(lab.p, next_);                                                      \
		lab_advance(MT_MSEC);                                                              \
	} while (0)

static void stop(void)
{
	scene_stop();
	for (int gen = 1; gen < 4; gen++)
		config_free(gen);
}

static uint32_t hello_for(const char *name)
{
	return hello_make(bytes, &(struct hello_how){.names = {name}, .alpn = {"h2"}});
}

static struct fake_conn *client(void)
{
	struct fake_conn *c = lab_client(CONFIG_SAFE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

/* The i-th server's connection, which has got just `n` of `bytes`. */
static void check_passed(uint32_t i, uint32_t n)
{
	struct fake_conn *s = lab_server(i);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	CU_ASSERT_EQUAL_FATAL(s->sent.len, n);
	lab_take(s, got, n);
	CU_ASSERT_EQUAL(memcmp(got, bytes, n), 0);
}

/* The client's next message is served as the toy protocol. */
static void check_toy(struct fake_conn *c)
{
	struct toy q;

	scene_send_request(c, 'Q', 5, 64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab_server(0));
	if (!lab_server(0)->connected)
		lab_connect(lab_server(0));
	q = scene_next_sent(lab_server(0));
	CU_ASSERT_EQUAL(q.kind, 'Q');
	scene_answer(lab_server(0), q.id, 5, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'P');
}

static void test_dribbled(void)
{
	struct fake_conn *c;
	uint32_t n;

	START(&tls_to_a, &plain_toy);
	c = client();
	n = hello_for("a.example");
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_STREAMING], 0);
		lab_feed(c, bytes + i, 1);
		lab_advance(10 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_RECEIVING], 0);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_STREAMING] >= n);
	check_passed(0, n);
	memset(bytes, 'x', 100);
	lab_feed(c, bytes, 100);
	check_passed(0, 100);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 1);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void test_records(void)
{
	struct hello_how how = {.names = {"a.example"}, .record = 1, .padding = 3000};
	struct fake_conn *c;
	uint32_t n;

	START(&tls_to_a, &plain_toy);
	c = client();
	n = hello_make(bytes, &how);
	lab_feed(c, bytes, n);
	check_passed(0, n);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* The server may speak first: after the detection time-out it is the plain chain's. */
static void test_silence(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_advance(99 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_feed(scene_connected_server(0), "220 hello", 9);
	CU_ASSERT_EQUAL(lab_take(c, got, sizeof(got)), 9);
	lab_close(c, MT_CLOSE_RESET);
	/* It is the listener's to say how long. */
	lab.snap->listeners[0].detect_ms = 15000; /* also longer than a message may take */
	c = client();
	lab_advance(14999 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 2);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* Whose first bytes had to wait is not silent: they come again. In the end they do not. */
static void test_put_back_is_not_silent(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab.puts_back = true;
	lab_feed(c, bytes, hello_for("a.example") / 2);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	CU_ASSERT_FALSE(c->aborted);
	lab.puts_back = false;
	memcpy(bytes, "QUIT\r\n", 6); /* what was read before is forgotten */
	lab_feed(c, bytes, 6);
	check_passed(0, 6);
	lab_close(c, MT_CLOSE_RESET);
	c = client();
	lab.puts_back = true;
	lab_feed(c, bytes, hello_for("a.example") / 2);
	lab_advance(29900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	stop();
}

/* What comes at last has the time that a message has, from then on. */
static void test_time_of_what_came_again(void)
{
	struct fake_conn *c;
	uint32_t half = hello_for("a.example") / 2;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab.puts_back = true;
	lab_feed(c, bytes, half);
	lab_advance(9 * MT_SEC);
	lab.puts_back = false;
	lab_feed(c, bytes, half);
	lab_advance(9900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	stop();
}

/* No server there speaks first, or a ClientHello has begun: it has the time that a message has. */
static void test_silence_of_others(void)
{
	struct fake_conn *c, *d;
	uint32_t n = hello_for("a.example");

	START(&tls_to_a, &plain_toy);
	c = client();
	lab_advance(5 * MT_SEC);
	d = client();
	lab_advance(4900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(d, bytes, n - 1);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	lab_advance(9700 * MT_MSEC);
	CU_ASSERT_FALSE(d->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(d->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	stop();
}

/* A byte that no ClientHello begins with is enough. */
static void test_plain_beside_tls(void)
{
	struct fake_conn *c;

	START(&any_tls, &plain_toy);
	c = client();
	check_toy(c);
	scene_bye(c);
	/* Also one that looks like TLS for a while. */
	c = client();
	lab_feed(c, "\x16\x03", 2);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(c, "xxxxxxxxxxxxxxxxxxxx", 20);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 2);
	stop();
}

static const struct mt_codec *codec_of_the_client(void)
{
	uint32_t i = 0;
	const struct mt_down *d = mt_slab_next(&lab.p->downs, &i);

	return d ? d->codec : NULL;
}

static void test_sniffing(void)
{
	static const struct row both = {{.name = "both"}, DUBBO | THRIFT};
	static const uint8_t dubbo[16] = {0xda, 0xbb, 0xc2, 0, [11] = 7, [15] = 200};
	static const uint8_t thrift[12] = {0, 0, 0, 40, 0x80, 1, 0, 1, 0, 0, 0, 4};
	struct fake_conn *c;

	START(&both);
	for (uint32_t n = 1; n < 16; n++) {
		c = client();
		lab_feed(c, dubbo, n);
		CU_ASSERT_PTR_NULL(codec_of_the_client());
		lab_feed(c, dubbo + n, 16 - n);
		CU_ASSERT_PTR_EQUAL(codec_of_the_client(), &mt_codec_dubbo);
		lab_close(c, MT_CLOSE_RESET);
		c = client();
		lab_feed(c, thrift, MT_MIN(n, 7u));
		CU_ASSERT_PTR_NULL(codec_of_the_client());
		lab_feed(c, thrift + MT_MIN(n, 7u), 12 - MT_MIN(n, 7u));
		CU_ASSERT_PTR_EQUAL(codec_of_the_client(), &mt_codec_thrift);
		lab_close(c, MT_CLOSE_RESET);
	}
	c = client();
	lab_feed(c, "GET / HTTP/1.1\r\n", 16);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_protocol_unknown), 1);
	stop();
}

/* The byte stream takes what nobody knows, and who says nothing. */
static void test_sniffing_to_bytes(void)
{
	static const struct row all = {{.name = "all"}, DUBBO | TCP};
	struct fake_conn *c;

	START(&all);
	c = client();
	memcpy(bytes, "\xda\xbbGET", 5);
	lab_feed(c, bytes, 2);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* No more will come. */
	lab_fin(c);
	check_passed(0, 2);
	lab_close(c, MT_CLOSE_RESET);
	c = client();
	lab_advance(101 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* Too few bytes to tell by, and then nothing: after the detection time they go to who takes any bytes. */
static void test_few_bytes(void)
{
	static const struct row both = {{.name = "both"}, THRIFT | TCP};
	static const struct row no_bytes = {{.name = "no bytes"}, DUBBO | THRIFT};
	struct fake_conn *c;

	START(&both);
	c = client();
	lab_advance(90 * MT_MSEC);
	memcpy(bytes, "QUIT\r\n", 6);
	lab_feed(c, bytes, 3);
	lab_advance(50 * MT_MSEC);
	lab_feed(c, bytes + 3, 3);
	lab_advance(49 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(2 * MT_MSEC);
	check_passed(0, 6);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(c, MT_CLOSE_RESET);
	/* Where nobody takes any bytes they have the time of a message, also after a new configuration. */
	PUBLISH(1, &no_bytes);
	c = client();
	lab_feed(c, bytes, 3);
	lab_advance(200 * MT_MSEC);
	PUBLISH(2, &no_bytes);
	lab_advance(9700 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	stop();
}

/* A ClientHello that has begun is waited for, though the plain server takes any bytes. */
static void test_begun_hello(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_feed(c, "\x16\x03\x01", 3);
	lab_advance(9900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	stop();
}

/* Its clients never get another chain, though there is one for all. */
static void test_refused(void)
{
	static const struct row all = {{.name = "all"}, TCP};
	struct fake_conn *c;
	uint32_t n;

	START(&refused_b, &all);
	c = client();
	lab_feed(c, bytes, hello_for("b.example"));
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_refused), 1);
	c = client();
	n = hello_for("c.example");
	lab_feed(c, bytes, n);
	check_passed(0, n);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* Where addresses tell, at accept. */
static void test_by_address(void)
{
	static struct mt_prefix client_2, client_3;
	static const struct row of_2 = {
		{.name = "2", .match = {.src = &client_2, .n_src = 1}}, TCP};
	static const struct row of_3 = {{.name = "3",
						.match = {.src = &client_3, .n_src = 1},
						.refuse = "TLS is not spoken yet"},
		0};
	struct fake_conn *c;

	mt_prefix_parse("192.0.2.2", &client_2.addr, &client_2.bits);
	mt_prefix_parse("192.0.2.3", &client_3.addr, &client_3.bits);
	START(&of_2, &of_3);
	c = client();
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_PTR_NULL(lab_client_from(CONFIG_SAFE, 3));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_refused), 1);
	CU_ASSERT_PTR_NULL(lab_client_from(CONFIG_SAFE, 4));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_unmatched), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 0);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void test_unmatched(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &refused_b);
	c = client();
	lab_feed(c, bytes, hello_for("c.example"));
	CU_ASSERT_TRUE(c->aborted);
	c = client();
	lab_feed(c, PLAIN, 1);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_unmatched), 2);
	stop();
}

/* decode_error, in clear text, and then FIN. */
static void check_told(struct fake_conn *c)
{
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 50};
	uint8_t said[64];

	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(lab_take(c, said, sizeof(said)), sizeof(alert));
	CU_ASSERT_EQUAL(memcmp(said, alert, sizeof(alert)), 0);
}

static void test_too_long(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_feed(c, "\x16\x03\x01\x40\x00\x01\x01\x00\x00", 9);
	check_told(c);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_too_long), 1);
	stop();
}

/* The same, when they came with the connection. */
static void test_bad_at_once(void)
{
	static const uint8_t longer[] = {0x16, 3, 1, 0x40, 0, 1, 1, 0, 0};
	struct hello_how how = {.names = {"a.example"}, .trailing = 1};

	START(&tls_to_a, &plain_tcp);
	lab.first = bytes;
	lab.n_first = hello_make(bytes, &how);
	check_told(client());
	lab.first = longer;
	lab.n_first = sizeof(longer);
	check_told(client());
	lab.n_first = 0;
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_too_long), 1);
	stop();
}

/* It is TLS, and no plain server gets it, also when there is one; nor does anybody who has no chain for a name. */
static void test_malformed(void)
{
	static const struct row all = {{.name = "all"}, TCP};
	struct hello_how how = {.names = {"a.example"}, .trailing = 1};
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_feed(c, bytes, hello_make(bytes, &how));
	check_told(c);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 1);
	PUBLISH(1, &tls_to_a, &all);
	c = client();
	how = (struct hello_how){.names = {"a.example"}, .twice = true};
	lab_feed(c, bytes, hello_make(bytes, &how));
	check_told(c);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 2);
	stop();
}

/* It is decided under the configuration of the moment. */
static void test_published_meanwhile(void)
{
	static const struct row all = {{.name = "all"}, TCP};
	struct fake_conn *c, *d, *e;
	uint32_t n = hello_for("a.example");

	START(&refused_b, &plain_toy);
	c = client();
	d = client();
	e = client();
	lab_feed(c, bytes, n - 1);
	lab_feed(d, PLAIN, 1);
	/* The ClientHello goes on where a chain is for it now. */
	PUBLISH(1, &plain_toy, &tls_to_a);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_feed(c, bytes + n - 1, 1);
	check_passed(0, n);
	/* Now nothing has to be known of e, not even a byte. */
	PUBLISH(2, &all);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1); /* d: no more toys */
	for (uint32_t i = 0; i < 3; i++)
		lab_close((struct fake_conn *[]){c, d, e}[i], MT_CLOSE_RESET);
	stop();
}

/* The detection time ends in the turn that takes over a configuration, before its rebinding. */
static void test_silence_ends_when_published(void)
{
	struct mt_snapshot *next;
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_advance(99 * MT_MSEC);
	next = config_make(1, lab.p->snap->version + 1, 1, true);
	CHAINS(next, 1, &plain_tcp, &tls_to_a);
	lab.now += 2 * MT_MSEC;
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, next);
	mt_proxy_timers(lab.p, 1000);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1);
	lab_feed(scene_connected_server(0), "220 hello", 9);
	CU_ASSERT_EQUAL(lab_take(c, got, sizeof(got)), 9);
	lab_close(c, MT_CLOSE_RESET);
	/* The same where it is not served that way any more. */
	c = client();
	lab_advance(99 * MT_MSEC);
	next = config_make(2, lab.p->snap->version + 1, 1, true);
	CHAINS(next, 2, &plain_toy, &tls_to_a);
	lab.now += 2 * MT_MSEC;
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, next);
	mt_proxy_timers(lab.p, 1000);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	check_toy(c);
	scene_bye(c);
	stop();
}

static void test_listener_gone(void)
{
	struct mt_snapshot *s;
	struct fake_conn *c;

	START(&tls_to_a, &plain_toy);
	c = client();
	s = config_make(1, 2, 1, true);
	s->listeners[0].port = 7;
	mt_snapshot_index_free(s);
	MT_ASSERT(mt_snapshot_index(s) == 0);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	stop();
}

/* Connections find their chain again; a stream's numbers go on under its own service. */
static void test_chain_moves(void)
{
	struct fake_conn *c, *d;
	uint32_t n = hello_for("a.example");

	START(&tls_to_a, &plain_toy);
	c = client();
	lab_feed(c, bytes, n);
	check_passed(0, n);
	d = client();
	lab_feed(d, PLAIN, 1);
	PUBLISH(1, &refused_b, &plain_toy, &tls_to_a);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_feed(c, bytes, 10);
	CU_ASSERT_EQUAL(lab.p->service_stats[1].bytes_in, n + 10);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	lab_close(lab_server(0), MT_CLOSE_OK);
	lab_close(d, MT_CLOSE_RESET);
	stop();
}

static void test_pressure(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_toy);
	c = client();
	lab_feed(c, bytes, hello_for("a.example") - 1);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RECEIVING] > 0);
	/* It is wanted whole: what is there does not shut the window. */
	CU_ASSERT_EQUAL(c->s.rx_kept, c->s.rx.len);
	lab_evict(c, MT_CLASS_RECEIVING);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_receiving), 1);
	stop();
}

static void test_left(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_toy);
	c = client();
	lab_feed(c, bytes, hello_for("a.example") - 1);
	lab_close(c, MT_CLOSE_RESET);
	c = client();
	lab_fin(c);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_client_closed), 2);
	stop();
}

/* A FIN says that nothing comes any more: the server may have something to say, or it was a plain byte. */
static void test_left_half(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	c = client();
	lab_fin(c);
	CU_ASSERT_TRUE(scene_connected_server(0)->shut);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(lab_server(0), MT_CLOSE_OK);
	c = client();
	memcpy(bytes, "\x16", 1);
	lab_feed(c, bytes, 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_fin(c);
	check_passed(0, 1);
	lab_close(lab_server(0), MT_CLOSE_OK);
	stop();
}

/* Two bytes can be nothing but TLS: what ends behind them, wherever, is no plain server's, though one takes any bytes. */
static void test_cut_off(void)
{
	static const struct row all = {{.name = "all"}, TCP};
	uint64_t cut = 0;
	struct fake_conn *c;

	START(&tls_to_a, &plain_tcp);
	for (uint32_t n = 2, whole = hello_for("a.example"); n < whole; n += n < 12 ? 1 : 37) {
		c = client();
		lab_feed(c, bytes, n);
		lab_fin(c);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_truncated), ++cut);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* Nor is it a chain's that has nothing to say about TLS. */
	PUBLISH(1, &tls_to_a, &all);
	c = client();
	lab_feed(c, bytes, 50);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_truncated), cut + 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	stop();
}

static void test_many(void)
{
	static const struct mt_proxy_conf conf = {.max_down = 482, .max_up = 8};
	struct fake_conn *last;

	scene_start_with(1, &conf);
	CHAINS(lab.snap, 0, &tls_to_a, &plain_toy);
	for (int i = 0; i < 480; i++)
		lab_feed(client(), "\x16\x03\x01", 3);
	last = client();
	check_toy(last);
	client();
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_full), 1);
	lab_advance(10001 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 481);
	check_toy(last);
	scene_bye(last);
	stop();
}

static void test_drain(void)
{
	struct fake_conn *c;

	START(&tls_to_a, &plain_toy);
	c = client();
	mt_proxy_drain(lab.p);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 1);
	stop();
}

/* Decided while the walk over the clients is on its way: it would not come by again. */
static void test_decided_in_a_drain(void)
{
	static const struct mt_proxy_conf conf = {.max_down = 400, .max_up = 8};
	struct fake_conn *first, *c, *all[300];

	scene_start_with(1, &conf);
	CHAINS(lab.snap, 0, &tls_to_a, &plain_toy);
	first = client();
	check_toy(first);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++)
		all[i] = client();
	c = all[MT_ARRAY_LEN(all) - 1];
	lab_close(first, MT_CLOSE_RESET);
	mt_proxy_drain(lab.p);
	mt_proxy_timers(lab.p, 1000);
	CU_ASSERT_TRUE(all[0]->aborted);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(c, PLAIN, 1);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), MT_ARRAY_LEN(all));
	stop();
}

const struct mt_test undecided_tests[] = {{"a ClientHello byte by byte", test_dribbled},
	{"a ClientHello in many records", test_records}, {"silence", test_silence},
	{"put back is not silent", test_put_back_is_not_silent},
	{"time of what came again", test_time_of_what_came_again},
	{"silence where no server speaks first", test_silence_of_others},
	{"plain beside TLS", test_plain_beside_tls}, {"sniffing", test_sniffing},
	{"sniffing to bytes", test_sniffing_to_bytes}, {"few bytes", test_few_bytes},
	{"a ClientHello that stops", test_begun_hello}, {"a refused chain", test_refused},
	{"decided by address", test_by_address}, {"no chain", test_unmatched},
	{"too long", test_too_long}, {"malformed", test_malformed},
	{"a hello that is there at once, and bad", test_bad_at_once},
	{"published meanwhile", test_published_meanwhile},
	{"silence ends when published", test_silence_ends_when_published},
	{"listener gone", test_listener_gone}, {"a chain that moves", test_chain_moves},
	{"pressure", test_pressure}, {"client leaves", test_left},
	{"client leaves by half", test_left_half}, {"a ClientHello that is cut off", test_cut_off},
	{"many", test_many}, {"drain", test_drain}, {"decided in a drain", test_decided_in_a_drain},
	{0}};
