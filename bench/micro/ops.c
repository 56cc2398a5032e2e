/* SPDX-License-Identifier: Apache-2.0 */
/* bench_ops NAME: repeats one operation many times, for callgrind; --list names the operations. */
#include "ops.h"

#include "mt_filter_priv.h"
#include "mt_balance.h"
#include "mt_codec_priv.h"
#include "mt_net_cksum.h"
#include "mt_rand.h"
#include "mt_view.h"
#include "mt_wheel.h"

#include <stdio.h>
#include <string.h>

#include <rte_eal.h>

static uint64_t sink; /* keeps results alive for the compiler */

/* ---- timers ------------------------------------------------------------------------------- */

#define TIMERS 1000

static struct mt_wheel wheel;
static struct mt_timer timers[TIMERS];

static void fire(void *arg, struct mt_timer *t)
{
	sink++;
}

/*
 * Each timer is armed and fires: deadlines within 4 s in random order, one loop iteration per ms.
 */
static OPS_MEASURED void op_timer(const uint64_t *deadlines, uint64_t from)
{
	for (uint32_t i = 0; i < TIMERS; i++)
		mt_wheel_arm(&wheel, &timers[i], from + deadlines[i]);
	for (uint64_t ms = 1; ms <= 4096; ms++)
		mt_wheel_run(&wheel, from + ms * MT_MSEC, UINT32_MAX, fire, NULL);
}

static uint32_t run_timer(struct mt_pools *p)
{
	static uint64_t deadlines[TIMERS];
	struct mt_rand r;

	mt_rand_seed(&r, 1);
	mt_wheel_init(&wheel, 0);
	for (uint32_t i = 0; i < TIMERS; i++) {
		mt_timer_init(&timers[i]);
		deadlines[i] = mt_rand_below(&r, 4000) * MT_MSEC;
	}
	for (uint64_t i = 0; i < 10; i++)
		op_timer(deadlines, i * 5 * MT_SEC);
	MT_ASSERT(sink == 10 * TIMERS);
	return 10 * TIMERS;
}

/* ---- codecs ------------------------------------------------------------------------------- */

static const char dubbo[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\x61"
			    "\x05"
			    "2.0.2\x0a"
			    "bench.Echo\x05"
			    "0.0.0\x04"
			    "echo\x12"
			    "Ljava/lang/String;\x14"
			    "xxxxxxxxxxxxxxxxxxxx"
			    "H\x04"
			    "path\x0a"
			    "bench.Echo\x04"
			    "user\x05"
			    "jasonZ";
static const char thrift[] = "\0\0\0\x2c\x80\1\0\1\0\0\0\4echo\0\0\0\1\x0b\0\1\0\0\0\x14"
			     "xxxxxxxxxxxxxxxxxxxx\0";

static void decode(const struct mt_codec *codec, const struct mt_chain *c, struct mt_msg *msg)
{
	struct mt_decoder d;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, c);
	MT_ASSERT(mt_decoder_run(&d, msg) == MT_DECODE_DONE);
}

static OPS_MEASURED void op_dubbo_decode(const struct mt_chain *c, struct mt_msg *msg)
{
	decode(&mt_codec_dubbo, c, msg);
}

static OPS_MEASURED void op_thrift_decode(const struct mt_chain *c, struct mt_msg *msg)
{
	decode(&mt_codec_thrift, c, msg);
}

static OPS_MEASURED void op_dubbo_metadata(
	const struct mt_chain *c, struct mt_msg *msg, const struct mt_key *key)
{
	static struct mt_view view;
	struct mt_slice v;

	mt_view_bind(&view, &mt_codec_dubbo, msg, (struct mt_chain *)c);
	MT_ASSERT(mt_view_get(&view, key, &v));
	sink += v.len;
}

static uint32_t run_dubbo_decode(struct mt_pools *p)
{
	struct mt_chain c = {0};
	struct mt_msg msg;

	MT_ASSERT(mt_chain_write(&c, p, dubbo, sizeof(dubbo) - 1) == 0);
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_dubbo_decode(&c, &msg);
	mt_chain_free(&c);
	return OPS_ROUNDS;
}

static uint32_t run_thrift_decode(struct mt_pools *p)
{
	struct mt_chain c = {0};
	struct mt_msg msg;

	MT_ASSERT(mt_chain_write(&c, p, thrift, sizeof(thrift) - 1) == 0);
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_thrift_decode(&c, &msg);
	mt_chain_free(&c);
	return OPS_ROUNDS;
}

/* An attachment after the argument: the first access to each message's map. */
static uint32_t run_dubbo_metadata(struct mt_pools *p)
{
	struct mt_key key = mt_key_make(&mt_codec_dubbo, "user");
	struct mt_chain c = {0};
	struct mt_msg msg;

	MT_ASSERT(mt_chain_write(&c, p, dubbo, sizeof(dubbo) - 1) == 0);
	for (int i = 0; i < OPS_ROUNDS; i++) {
		decode(&mt_codec_dubbo, &c, &msg);
		op_dubbo_metadata(&c, &msg, &key);
	}
	mt_chain_free(&c);
	return OPS_ROUNDS;
}

/* ---- limits and balancing ----------------------------------------------------------------- */

static OPS_MEASURED void op_bucket(struct mt_bucket *b, struct mt_filter_worker *fw, uint64_t now)
{
	for (uint32_t i = 0; i < OPS_BURST; i++)
		sink += mt_bucket_take(b, fw, now);
}

static uint32_t run_bucket(struct mt_pools *p)
{
	const struct mt_bucket_numbers numbers = {1000000, 1000000, MT_SEC};
	struct mt_limit_registry *r = mt_limit_registry_new(1);
	struct mt_filter_worker fw = {.worker = 0};
	struct mt_bucket *b;

	mt_list_init(&fw.claims);
	MT_ASSERT(r && (b = mt_limit_bucket_get(r, "s", "*", 0, &numbers, 0)));
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_bucket(b, &fw, (uint64_t)i * MT_USEC);
	MT_ASSERT(sink == OPS_ROUNDS * OPS_BURST);
	mt_limit_bucket_put(r, b);
	mt_limit_registry_free(r);
	return OPS_ROUNDS * OPS_BURST;
}

static OPS_MEASURED void op_maglev(const struct mt_maglev *m, const char (*keys)[16])
{
	for (uint32_t i = 0; i < OPS_BURST; i++)
		sink += mt_maglev_pick(m, mt_balance_hash(keys[i], sizeof(keys[i]), 0));
}

static uint32_t run_maglev(struct mt_pools *p)
{
	static const char *const names[] = {"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"};
	char keys[OPS_BURST][16];
	struct mt_maglev m;

	MT_ASSERT(mt_maglev_build(&m, names, NULL, MT_ARRAY_LEN(names)) == 0);
	for (uint32_t i = 0; i < OPS_BURST; i++)
		snprintf(keys[i], sizeof(keys[i]), "user-%010u", i);
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_maglev(&m, keys);
	mt_maglev_free(&m);
	return OPS_ROUNDS * OPS_BURST;
}

/* ---- checksums ---------------------------------------------------------------------------- */

static uint8_t bytes[1460];

static OPS_MEASURED void op_checksum_64(void)
{
	sink += net_sum(bytes, 64);
}

static OPS_MEASURED void op_checksum_1460(void)
{
	sink += net_sum(bytes, sizeof(bytes));
}

static uint32_t run_checksum_64(struct mt_pools *p)
{
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_checksum_64();
	return OPS_ROUNDS;
}

static uint32_t run_checksum_1460(struct mt_pools *p)
{
	for (int i = 0; i < OPS_ROUNDS; i++)
		op_checksum_1460();
	return OPS_ROUNDS;
}

static const struct ops_case cases[] = {
	{"net_input", ops_net_input},
	{"tcp_input", ops_tcp_input},
	{"tcp_output", ops_tcp_output},
	{"lookup", ops_lookup},
	{"timer", run_timer},
	{"dubbo_decode", run_dubbo_decode},
	{"dubbo_metadata", run_dubbo_metadata},
	{"thrift_decode", run_thrift_decode},
	{"dubbo_by_file", ops_dubbo_by_file},
	{"awesome_decode", ops_awesome_decode},
	{"awesome_by_file", ops_awesome_by_file},
	{"authz_100", ops_authz},
	{"accesslog_text", ops_accesslog_text},
	{"accesslog_json", ops_accesslog_json},
	{"bucket", run_bucket},
	{"keyed", ops_keyed},
	{"keyed_limit", ops_keyed_limit},
	{"maglev", run_maglev},
	{"checksum_64", run_checksum_64},
	{"checksum_1460", run_checksum_1460},
};

static int do_case(const struct ops_case *c)
{
	static char *args[] = {"ops", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};
	struct mt_pools pools;

	if (rte_eal_init((int)MT_ARRAY_LEN(args) - 1, args) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "ops", 4095, 4095, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "bench_ops: no memory\n");
		return 1;
	}
	printf("%u\n", c->run(&pools));
	rte_eal_cleanup();
	return 0;
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		if (argc > 1 && strcmp(argv[1], "--list") == 0)
			puts(cases[i].name);
		else if (argc > 1 && strcmp(argv[1], cases[i].name) == 0)
			return do_case(&cases[i]);
	}
	return argc > 1 && strcmp(argv[1], "--list") == 0 ? 0 : 2;
}
