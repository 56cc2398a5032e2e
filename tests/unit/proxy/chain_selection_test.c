/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of which first bytes, or silence, have to tell what serves them. */
#include "chain_selection.h"

#include "mt_codec_priv.h"

static void test_dribbled(void)
{
	struct fake_conn *c;
	uint32_t n;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	n = undecided_hello("a.example");
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_STREAMING], 0);
		lab_feed(c, undecided_bytes + i, 1);
		lab_advance(10 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_RECEIVING], 0);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_STREAMING] >= n);
	undecided_passed(0, n);
	memset(undecided_bytes, 'x', 100);
	lab_feed(c, undecided_bytes, 100);
	undecided_passed(0, 100);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 1);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

static void test_records(void)
{
	struct hello_how how = {.names = {"a.example"}, .record = 1, .padding = 3000};
	struct fake_conn *c;
	uint32_t n;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	n = hello_make(undecided_bytes, &how);
	lab_feed(c, undecided_bytes, n);
	undecided_passed(0, n);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* The server may speak first: after the detection time-out it is the plain chain's. */
static void test_silence(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_advance(999 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_feed(scene_connected_server(0), "220 hello", 9);
	CU_ASSERT_EQUAL(lab_take(c, undecided_got, sizeof(undecided_got)), 9);
	lab_close(c, MT_CLOSE_RESET);
	/* It is the listener's to say how long. */
	lab.snap->listeners[0].detect_ms = 15000; /* also longer than a message may take */
	c = undecided_client();
	lab_advance(14999 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 2);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* A ClientHello that was lost twice, and sent again, is not taken for plaintext. */
static void test_hello_sent_again(void)
{
	struct fake_conn *c;
	uint32_t n = undecided_hello("a.example");

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_advance(700 * MT_MSEC);
	lab_feed(c, undecided_bytes, n);
	undecided_passed(0, n);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* A client that counts as plaintext, because it was silent, and that its server has greeted. */
static struct fake_conn *silent_client(struct fake_conn **server)
{
	uint64_t before = scene_counted(MT_PROXY_chain_detect_timeout);
	struct fake_conn *c = undecided_client();

	lab_advance(1001 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), before + 1);
	*server = scene_connected_server(0);
	lab_feed(*server, "220 hello", 9);
	CU_ASSERT_EQUAL(lab_take(c, undecided_got, sizeof(undecided_got)), 9);
	return c;
}

/* Bytes that clients have sent to servers. */
static uint64_t bytes_in(void)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < 4; i++)
		sum += lab.p->service_stats[i].bytes_in;
	return sum;
}

/* A ClientHello that comes too late ends the connection: no server gets a byte of it. */
static void test_late_hello(void)
{
	uint32_t n = undecided_hello("a.example"), late = 0;
	struct fake_conn *c, *s;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	for (uint32_t first = 1; first < n; first += first < 8 ? 1 : 50) {
		c = silent_client(&s);
		lab_feed(c, undecided_bytes, first);
		CU_ASSERT_EQUAL(c->aborted, first >= 6);
		if (!c->aborted && first % 2)
			lab_feed(c, undecided_bytes + first, n - first);
		else if (!c->aborted)
			lab_fin(c);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_TRUE(s->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_late), ++late);
	}
	/* A reset leaves no byte of it behind, either. */
	c = silent_client(&s);
	lab_feed(c, undecided_bytes, 3);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(bytes_in(), 0);
	undecided_stop();
}

/* Bytes that are no ClientHello are plaintext, also if they start with a length of 22 or 790. */
static void test_late_plaintext(void)
{
	static const char *const firsts[] = {"login", "\x16\1\1\1", "\x16\3\1\1\1\2"};
	struct fake_conn *c, *s;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(firsts); i++) {
		uint32_t n = (uint32_t)strlen(firsts[i]);

		c = silent_client(&s);
		memcpy(undecided_bytes, firsts[i], n);
		lab_feed(c, undecided_bytes, 1);
		lab_feed(c, undecided_bytes + 1, n - 1);
		undecided_passed(0, n);
		/* Later bytes may be anything. */
		undecided_hello("a.example");
		lab_feed(c, undecided_bytes, 20);
		undecided_passed(0, 20);
		lab_close(c, MT_CLOSE_RESET);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_late), 0);
	undecided_stop();
}

/* Without a time-out silence never decides. */
static void test_no_timeout(void)
{
	static const struct undecided_row both = {{.name = "both"}, THRIFT | TCP};
	struct fake_conn *c;
	uint32_t n;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	lab.snap->listeners[0].detect_ms = MT_LISTENER_DETECT_NEVER;
	c = undecided_client();
	lab_advance(3599 * MT_SEC);
	n = undecided_hello("a.example");
	lab_feed(c, undecided_bytes, n);
	undecided_passed(0, n);
	lab_close(c, MT_CLOSE_RESET);
	c = undecided_client();
	lab_advance(3601 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	c = undecided_client();
	lab_fin(c);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(c, MT_CLOSE_RESET);
	/* A few bytes without TLS are decided in the usual time. */
	PUBLISH(1, &both);
	lab.snap = lab.p->snap;
	lab.p->snap->listeners[0].detect_ms = MT_LISTENER_DETECT_NEVER;
	c = undecided_client();
	lab_feed(c, "QUI", 3);
	lab_advance(1001 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 2);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* Whose first undecided_bytes had to wait is not silent: they come again. In the end they do not. */
static void test_put_back_is_not_silent(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab.puts_back = true;
	lab_feed(c, undecided_bytes, undecided_hello("a.example") / 2);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	CU_ASSERT_FALSE(c->aborted);
	lab.puts_back = false;
	memcpy(undecided_bytes, "QUIT\r\n", 6); /* what was read before is forgotten */
	lab_feed(c, undecided_bytes, 6);
	undecided_passed(0, 6);
	lab_close(c, MT_CLOSE_RESET);
	c = undecided_client();
	lab.puts_back = true;
	lab_feed(c, undecided_bytes, undecided_hello("a.example") / 2);
	lab_advance(29900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	undecided_stop();
}

/* What comes at last has the time that a message has, from then on. */
static void test_time_of_what_came_again(void)
{
	struct fake_conn *c;
	uint32_t half = undecided_hello("a.example") / 2;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab.puts_back = true;
	lab_feed(c, undecided_bytes, half);
	lab_advance(9 * MT_SEC);
	lab.puts_back = false;
	lab_feed(c, undecided_bytes, half);
	lab_advance(9900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	undecided_stop();
}

/* No server there speaks first, or a ClientHello has begun: it has the time that a message has. */
static void test_silence_of_others(void)
{
	struct fake_conn *c, *d;
	uint32_t n = undecided_hello("a.example");

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	lab_advance(5 * MT_SEC);
	d = undecided_client();
	lab_advance(4900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(d, undecided_bytes, n - 1);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	lab_advance(9700 * MT_MSEC);
	CU_ASSERT_FALSE(d->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(d->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 0);
	undecided_stop();
}

/* A byte that no ClientHello begins with is enough. */
static void test_plain_beside_tls(void)
{
	struct fake_conn *c;

	START(&undecided_any_tls, &undecided_plain_toy);
	c = undecided_client();
	undecided_toy(c);
	scene_bye(c);
	/* Also one that looks like TLS for a while. */
	c = undecided_client();
	lab_feed(c, "\x16\x03", 2);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(c, "xxxxxxxxxxxxxxxxxxxx", 20);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 2);
	undecided_stop();
}

static const struct mt_codec *codec_of_the_client(void)
{
	uint32_t i = 0;
	const struct mt_down *d = mt_slab_next(&lab.p->downs, &i);

	return d ? d->codec : NULL;
}

static void test_sniffing(void)
{
	static const struct undecided_row both = {{.name = "both"}, DUBBO | THRIFT};
	static const uint8_t dubbo[16] = {0xda, 0xbb, 0xc2, 0, [11] = 7, [15] = 200};
	static const uint8_t thrift[12] = {0, 0, 0, 40, 0x80, 1, 0, 1, 0, 0, 0, 4};
	struct fake_conn *c;

	START(&both);
	for (uint32_t n = 1; n < 16; n++) {
		c = undecided_client();
		lab_feed(c, dubbo, n);
		CU_ASSERT_PTR_NULL(codec_of_the_client());
		lab_feed(c, dubbo + n, 16 - n);
		CU_ASSERT_PTR_EQUAL(codec_of_the_client(), &mt_codec_dubbo);
		lab_close(c, MT_CLOSE_RESET);
		c = undecided_client();
		lab_feed(c, thrift, MT_MIN(n, 7u));
		CU_ASSERT_PTR_NULL(codec_of_the_client());
		lab_feed(c, thrift + MT_MIN(n, 7u), 12 - MT_MIN(n, 7u));
		CU_ASSERT_PTR_EQUAL(codec_of_the_client(), &mt_codec_thrift);
		lab_close(c, MT_CLOSE_RESET);
	}
	c = undecided_client();
	lab_feed(c, "GET / HTTP/1.1\r\n", 16);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_protocol_unknown), 1);
	undecided_stop();
}

/* The byte stream takes what nobody knows, and who says nothing. */
static void test_sniffing_to_bytes(void)
{
	static const struct undecided_row all = {{.name = "all"}, DUBBO | TCP};
	struct fake_conn *c;

	START(&all);
	c = undecided_client();
	memcpy(undecided_bytes, "\xda\xbbGET", 5);
	lab_feed(c, undecided_bytes, 2);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* No more will come. */
	lab_fin(c);
	undecided_passed(0, 2);
	lab_close(c, MT_CLOSE_RESET);
	c = undecided_client();
	lab_advance(1001 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* Too few undecided_bytes to tell by, and then nothing: after the detection time they go to who takes any undecided_bytes. */
static void test_few_bytes(void)
{
	static const struct undecided_row both = {{.name = "both"}, THRIFT | TCP};
	static const struct undecided_row no_bytes = {
		{.name = "no undecided_bytes"}, DUBBO | THRIFT};
	struct fake_conn *c;

	START(&both);
	c = undecided_client();
	lab_advance(990 * MT_MSEC);
	memcpy(undecided_bytes, "QUIT\r\n", 6);
	lab_feed(c, undecided_bytes, 3);
	lab_advance(500 * MT_MSEC);
	lab_feed(c, undecided_bytes + 3, 3);
	lab_advance(499 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(2 * MT_MSEC);
	undecided_passed(0, 6);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(c, MT_CLOSE_RESET);
	/* Where nobody takes any undecided_bytes they have the time of a message, also after a new configuration. */
	PUBLISH(1, &no_bytes);
	c = undecided_client();
	lab_feed(c, undecided_bytes, 3);
	lab_advance(200 * MT_MSEC);
	PUBLISH(2, &no_bytes);
	lab_advance(9700 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	undecided_stop();
}

/* A ClientHello that has begun is waited for, though the plain server takes any undecided_bytes. */
static void test_begun_hello(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_feed(c, "\x16\x03\x01", 3);
	lab_advance(9900 * MT_MSEC);
	CU_ASSERT_FALSE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 1);
	undecided_stop();
}

/* Its clients never get another chain, though there is one for all. */
static void test_refused(void)
{
	static const struct undecided_row all = {{.name = "all"}, TCP};
	struct fake_conn *c;
	uint32_t n;

	START(&undecided_refused_b, &all);
	c = undecided_client();
	lab_feed(c, undecided_bytes, undecided_hello("b.example"));
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_refused), 1);
	c = undecided_client();
	n = undecided_hello("c.example");
	lab_feed(c, undecided_bytes, n);
	undecided_passed(0, n);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

/* Where addresses tell, at accept. */
static void test_by_address(void)
{
	static struct mt_prefix client_2, client_3;
	static const struct undecided_row of_2 = {
		{.name = "2", .match = {.src = &client_2, .n_src = 1}}, TCP};
	static const struct undecided_row of_3 = {{.name = "3",
							  .match = {.src = &client_3, .n_src = 1},
							  .refuse = "TLS is not spoken yet"},
		0};
	struct fake_conn *c;

	mt_prefix_parse("192.0.2.2", &client_2.addr, &client_2.bits);
	mt_prefix_parse("192.0.2.3", &client_3.addr, &client_3.bits);
	START(&of_2, &of_3);
	c = undecided_client();
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_PTR_NULL(lab_client_from(CONFIG_SAFE, 3));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_refused), 1);
	scene_line_is("0 NR filter_chain_not_found");
	CU_ASSERT_PTR_NULL(lab_client_from(CONFIG_SAFE, 4));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_unmatched), 1);
	scene_line_is("0 NR filter_chain_not_found");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_waited), 0);
	lab_close(c, MT_CLOSE_RESET);
	undecided_stop();
}

static void test_unmatched(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_refused_b);
	c = undecided_client();
	lab_feed(c, undecided_bytes, undecided_hello("c.example"));
	CU_ASSERT_TRUE(c->aborted);
	c = undecided_client();
	lab_feed(c, PLAIN, 1);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_unmatched), 2);
	undecided_stop();
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

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_feed(c, "\x16\x03\x01\x40\x00\x01\x01\x00\x00", 9);
	check_told(c);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_too_long), 1);
	undecided_stop();
}

/* The same, when they came with the connection. */
static void test_bad_at_once(void)
{
	static const uint8_t longer[] = {0x16, 3, 1, 0x40, 0, 1, 1, 0, 0};
	struct hello_how how = {.names = {"a.example"}, .trailing = 1};

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	lab.first = undecided_bytes;
	lab.n_first = hello_make(undecided_bytes, &how);
	check_told(undecided_client());
	lab.first = longer;
	lab.n_first = sizeof(longer);
	check_told(undecided_client());
	lab.n_first = 0;
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_too_long), 1);
	undecided_stop();
}

/* It is TLS, and no plain server gets it, also when there is one; nor does anybody who has no chain for a name. */
static void test_malformed(void)
{
	static const struct undecided_row all = {{.name = "all"}, TCP};
	struct hello_how how = {.names = {"a.example"}, .trailing = 1};
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_feed(c, undecided_bytes, hello_make(undecided_bytes, &how));
	check_told(c);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 1);
	PUBLISH(1, &undecided_tls_to_a, &all);
	c = undecided_client();
	how = (struct hello_how){.names = {"a.example"}, .twice = true};
	lab_feed(c, undecided_bytes, hello_make(undecided_bytes, &how));
	check_told(c);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_malformed), 2);
	undecided_stop();
}

const struct mt_test chain_selection_tests[] = {
	{"a ClientHello byte by byte", test_dribbled},
	{"a ClientHello in many records", test_records},
	{"silence", test_silence},
	{"a ClientHello that is sent again", test_hello_sent_again},
	{"a ClientHello after silence", test_late_hello},
	{"plaintext after silence", test_late_plaintext},
	{"silence without a time-out", test_no_timeout},
	{"put back is not silent", test_put_back_is_not_silent},
	{"time of what came again", test_time_of_what_came_again},
	{"silence where no server speaks first", test_silence_of_others},
	{"plain beside TLS", test_plain_beside_tls},
	{"sniffing", test_sniffing},
	{"sniffing to bytes", test_sniffing_to_bytes},
	{"few bytes", test_few_bytes},
	{"a ClientHello that stops", test_begun_hello},
	{"a refused chain", test_refused},
	{"decided by address", test_by_address},
	{"no chain", test_unmatched},
	{"too long", test_too_long},
	{"malformed", test_malformed},
	{"a hello that is there at once, and bad", test_bad_at_once},
	{0},
};
