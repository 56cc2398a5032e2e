/* SPDX-License-Identifier: Apache-2.0 */
#include "chain_selection.h"

#include "mt_codec_priv.h"

#define MAX_CHAINS 4

uint8_t undecided_bytes[HELLO_ROOM], undecided_got[HELLO_ROOM];

static const char *const a_example[] = {"a.example"};
static const char *const b_example[] = {"b.example"};

const struct undecided_row undecided_tls_to_a = {
	{.name = "a", .match = {.server_names = a_example, .n_server_names = 1}}, TCP};
const struct undecided_row undecided_refused_b = {
	{.name = "b",
		.match = {.server_names = b_example, .n_server_names = 1},
		.refuse = "TLS is not spoken yet"},
	0};
const struct undecided_row undecided_any_tls = {
	{.name = "tls", .match = {.transport = MT_TRANSPORT_TLS}}, TCP};
const struct undecided_row undecided_plain_toy = {
	{.name = "plain", .match = {.transport = MT_TRANSPORT_PLAIN}}, TOY};
const struct undecided_row undecided_plain_tcp = {
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

void undecided_chains(
	struct mt_snapshot *s, uint32_t gen, uint32_t n, const struct undecided_row *const *rows)
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

void undecided_stop(void)
{
	scene_stop();
	for (int gen = 1; gen < 4; gen++)
		config_free(gen);
}

uint32_t undecided_hello(const char *name)
{
	return hello_make(undecided_bytes, &(struct hello_how){.names = {name}, .alpn = {"h2"}});
}

struct fake_conn *undecided_client(void)
{
	struct fake_conn *c = lab_client(CONFIG_SAFE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

void undecided_passed(uint32_t i, uint32_t n)
{
	struct fake_conn *s = lab_server(i);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	CU_ASSERT_EQUAL_FATAL(s->sent.len, n);
	lab_take(s, undecided_got, n);
	CU_ASSERT_EQUAL(memcmp(undecided_got, undecided_bytes, n), 0);
}

void undecided_toy(struct fake_conn *c)
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
