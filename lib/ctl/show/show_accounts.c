/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounts: worker buffers charged to connections by class, the share of each class, and the
 * largest holders.
 */
#include "ask.h"

#include <stdio.h>

#define HOLDERS 16 /* rows shown */

static const char *const meanings[MT_N_CLASSES] = {
	[MT_CLASS_RECEIVING] = "requests that are not complete, data out of order",
	[MT_CLASS_WAITING] =
		"complete messages that wait for a connection, a limit, a filter or a cluster",
	[MT_CLASS_REPLYING] = "replies that clients have not acknowledged",
	[MT_CLASS_RESENDING] = "requests that servers have not acknowledged",
	[MT_CLASS_RETAINED] = "requests kept for another try, copies for a mirror",
	[MT_CLASS_STREAMING] = "opaque TCP connections",
};

static struct mt_ledger_numbers numbers_of(const struct mt_ctl *c, uint16_t worker, int class)
{
	return mt_ledger_read(
		mt_tcp_ledger(mt_worker_tcp(c->env.workers[worker])), (enum mt_class) class);
}

/* null for a class without a share, because its size is not bounded. */
static json_t *share(uint64_t bytes)
{
	return bytes ? json_integer((json_int_t)bytes) : json_null();
}

static json_t *classes_of(const struct mt_ctl *c)
{
	json_t *list = json_array();

	for (int k = 0; k < MT_N_CLASSES; k++) {
		struct mt_ledger_numbers sum = {0};

		for (uint16_t w = 0; w < c->env.n_workers; w++) {
			struct mt_ledger_numbers n = numbers_of(c, w, k);

			sum.charged += n.charged;
			sum.share += n.share;
			sum.evicted += n.evicted;
		}
		mt_json_add(list, MT_M("class", mt_class_name((enum mt_class)k)),
			MT_M("held_bytes", sum.charged), MT_M("share_bytes", share(sum.share)),
			MT_M("evicted", sum.evicted), MT_M("of", meanings[k]));
	}
	return list;
}

static json_t *classes_of_workers(const struct mt_ctl *c)
{
	json_t *list = json_array();

	for (uint16_t w = 0; w < c->env.n_workers; w++)
		for (int k = 0; k < MT_N_CLASSES; k++) {
			struct mt_ledger_numbers n = numbers_of(c, w, k);

			mt_json_add(list, MT_M("worker", w),
				MT_M("class", mt_class_name((enum mt_class)k)),
				MT_M("held_bytes", n.charged), MT_M("share_bytes", share(n.share)),
				MT_M("peak_bytes", n.peak), MT_M("holders", n.holders),
				MT_M("evicted", n.evicted));
		}
	return list;
}

/* ---- holders -------------------------------------------------------------------------------- */

/* Sorted, largest first. */
struct largest {
	uint32_t n;
	struct {
		struct mt_ask_holder h;
		uint16_t worker;
	} of[HOLDERS];
};

static void keep(struct largest *l, const struct mt_ask_holder *h, uint16_t worker)
{
	uint32_t at = l->n;

	while (at > 0 && l->of[at - 1].h.bytes < h->bytes)
		at--;
	if (at == HOLDERS)
		return;
	l->n = MT_MIN(l->n + 1, (uint32_t)HOLDERS);
	memmove(&l->of[at + 1], &l->of[at], (l->n - 1 - at) * sizeof(l->of[0]));
	l->of[at].h = *h;
	l->of[at].worker = worker;
}

static json_t *holder_row(const struct mt_ask_holder *h, uint16_t worker)
{
	char addr[MT_ADDR_STRLEN], text[MT_ADDR_STRLEN + 8];

	mt_addr_str(&h->key, addr);
	if (h->prefix == 32)
		snprintf(text, sizeof(text), "%s", addr);
	else
		snprintf(text, sizeof(text), "%s/%u", addr, h->prefix);
	return mt_json_object(MT_M("holder", text),
		MT_M("side", h->side == MT_SIDE_CLIENT ? "client" : "server"),
		MT_M("class", mt_class_name(h->class)), MT_M("held_bytes", h->bytes),
		MT_M("connections", h->conns), MT_M("worker", worker));
}

static json_t *holders_of(struct mt_ctl *c, json_t *silent)
{
	json_t *list = json_array();
	struct largest l = {0};
	struct mt_expr any = {0};

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ask *a = mt_ask(c, w, MT_ASK_HOLDERS, &any);

		if (!a)
			json_array_append_new(silent, json_integer(w));
		for (uint32_t i = 0; a && i < a->n; i++)
			keep(&l, &a->holders[i], w);
	}
	for (uint32_t i = 0; i < l.n; i++)
		json_array_append_new(list, holder_row(&l.of[i].h, l.of[i].worker));
	return list;
}

void mt_show_accounts(struct mt_ctl *c, json_t *all)
{
	json_t *silent = json_array();

	mt_json_set(all, MT_M("classes", classes_of(c)),
		MT_M("classes_of_workers", classes_of_workers(c)),
		MT_M("holders", holders_of(c, silent)));
	if (json_array_size(silent))
		json_object_set(all, "workers_without_answer", silent);
	mt_render_absent(all, "workers_without_answer");
	json_decref(silent);
}
