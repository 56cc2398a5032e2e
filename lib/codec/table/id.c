/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes ids that may have another width than those of Meltemi, are missing, or are checksummed.
 * Other codecs have their id at a fixed place (mt_codec_put_id()).
 */
#include "mt_mutant.h"
#include "look.h"
#include "write.h"

#include <errno.h>

void table_save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	const struct table_source in = {self, msg, c, NULL};

	table_save_from(&in, seed);
}

void mt_codec_table_seed(const struct mt_codec_table *t, const struct mt_msg *msg, const uint8_t *p,
	struct mt_seed *seed)
{
	const struct table_source in = {&t->codec, msg, NULL, p};

	table_save_from(&in, seed);
}

static const struct table_event *id_of(const struct table_trace *t)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->event[i].op->code == MT_CT_ID)
			return &t->event[i];
	return NULL;
}

/* The slot that a place is in. */
static uint32_t slot_of(const struct table_trace *t, const struct mt_ct_place *form)
{
	if (form->base == MT_CT_IN)
		return form->slot;
	if (form->base == MT_CT_AFTER && t->of[form->slot])
		return t->event[t->of[form->slot] - 1].op->within;
	return MT_CT_NONE;
}

static int replace(struct write_change *c, const struct table_event *e, uint64_t id)
{
	const struct mt_ct_place *form = &c->r->t->places[e->place];
	struct write_edit *w = write_edit_add(c, e->at.off, e->at.len);
	uint8_t tmp[WRITE_NUMBER];
	const uint8_t *old = tmp;

	if (!w || e->at.len > sizeof(tmp))
		return -ENOTSUP;
	if (e->at.len)
		old = table_bytes(c->r, e->at.off, e->at.len, tmp);
	w->len = old ? write_number_width(form, old, e->at.len, id, true) : 0;
	if (w->len == 0)
		return -ENOTSUP;
	write_number(form, old, e->at.len, id, w->small, w->len);
	return write_edit_in(c, w, slot_of(c->r->trace, form)) ? 0 : -ENOTSUP;
}

/*
 * A copy with another number is written only with MT_CT_IF: old peers of tRPC send zero there, and
 * servers of Motan answer with it.
 */
static int copies(struct write_change *c, uint64_t id)
{
	const struct table_trace *t = c->r->trace;
	int rc = 0;

	for (uint32_t i = 0; i < t->n && rc == 0; i++) {
		const struct table_event *e = &t->event[i];

		if (e->op->code == MT_CT_COPY && e->there &&
			(e->op->flags & MT_CT_IF || e->value == c->r->msg->id))
			rc = replace(c, e, id);
	}
	return rc;
}

static int put(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *chain, uint64_t id,
	struct mt_pools *p)
{
	struct table_trace trace;
	struct table_state s;
	struct table_run r = {.trace = &trace, .s = &s};
	const struct table_event *e;
	struct mt_cursor cur;
	struct mt_msg again;
	struct write_change c;
	int rc;

	if (!table_again(&r, table_of(self), (enum mt_dir)msg->flags, chain, &cur, &again) ||
		!write_begin(&c, &r))
		return -ENOTSUP;
	e = id_of(&trace);
	/* One-way calls may lack an id. Any other message would keep that of its sender. */
	if (!e)
		return msg->kind == MT_MSG_ONEWAY ? 0 : -ENOTSUP;
	rc = e->there ? replace(&c, e, id) : write_insert(&c, &r.t->places[e->place], id);
	if (rc == 0)
		rc = copies(&c, id);
	return rc ? rc : write_apply(&c, msg, chain, id, p);
}

int table_set_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c, uint64_t id,
	struct mt_pools *p)
{
	return put(self, msg, c, id, p);
}

int table_restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p)
{
	if (mt_mutant(MT_MUTANT_table_id_not_restored))
		return 0;
	return put(self, msg, c, seed->id, p);
}
