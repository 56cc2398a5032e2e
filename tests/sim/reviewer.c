/* SPDX-License-Identifier: Apache-2.0 */
#include "reviewer.h"

#include "mesh.h"

#include "mt_filter_inbox.h"

#include <stdlib.h>

/* Decisions come after up to so long; a wait without one ends after WAIT_MS. */
#define SOON	(50 * MT_MSEC)
#define WAIT_MS 300

/* What the filter has of an exchange. */
struct mark {
	uint32_t entered, replied;
};

/* A question to its thread. */
struct question {
	struct reviewer *r;
	struct mt_filter_ticket ticket;
};

/* Of no message: it stays as it is. */
static const struct mt_mutation nothing = {.key = "absent", .key_len = 6};

static struct mark *mark_of(const struct mt_filter_inst *f, const struct mt_filter_ctx *ctx)
{
	return (struct mark *)(void *)(ctx->own + f->own);
}

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct reviewer *r = f->conf;
	struct mark *mark = mark_of(f, ctx);

	(void)v;
	if (mark->entered)
		sim_fail(r->sim, "a filter gets a request twice");
	mark->entered = 1;
	r->began++;
	return MT_FILTER_NEXT;
}

/* The thread decides. */
static void decide(struct sim *s, void *arg, uint64_t unused)
{
	const struct mt_filter_change change = {{"absent", 6}, {NULL, 0}};
	struct question *q = arg;
	struct reviewer *r = q->r;
	bool denies = sim_one_in(&r->rand, 8);
	struct mt_filter_completion how = {.size = sizeof(how),
		.verdict = denies ? MT_FILTER_REPLY : MT_FILTER_NEXT,
		.answer = MT_FILTER_DENIED,
		.text = {"denied by policy", 16}, /* the words of a denial that clients know */
		.n_changes = sim_one_in(&r->rand, 2),
		.changes = &change};
	int rc = mt_filter_complete(&q->ticket, &how);

	(void)unused;
	if (rc && rc != -ESHUTDOWN)
		sim_fail(s, "a decision about a reply is refused: %d", rc);
	r->open--;
	r->gone += rc != 0;
	r->denied += !rc && denies;
	r->allowed += !rc && !denies;
	free(q);
	mesh_kick(r->mesh, s->now);
}

static void ask(struct reviewer *r, const struct mt_filter_ctx *ctx)
{
	struct question *q = malloc(sizeof(*q));

	MT_ASSERT(q);
	*q = (struct question){r, mt_filter_ticket_of(ctx)};
	sim_at(r->sim, r->sim->now + sim_between(&r->rand, 0, SOON), decide, q, 0);
	r->asked++;
	r->open++;
}

static enum mt_filter_verdict on_reply(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct reviewer *r = f->conf;
	struct mark *mark = mark_of(f, ctx);

	if (!mark->entered || mark->replied)
		sim_fail(r->sim, "a filter gets a reply without a request, or twice");
	mark->replied = 1;
	if (sim_one_in(&r->rand, 2))
		(void)mt_filter_change(ctx->fw, v, &nothing);
	switch (sim_below(&r->rand, 8)) {
	case 0:
	case 1:
		r->passed++;
		return MT_FILTER_NEXT;
	case 2:
	case 3:
		if (!mt_filter_delay(ctx, sim_between(&r->rand, 0, 2 * SOON)))
			return MT_FILTER_NEXT;
		r->delayed++;
		return MT_FILTER_SUSPEND;
	case 4:
		if (sim_one_in(&r->rand, 4)) {
			r->forgotten++;
			return MT_FILTER_SUSPEND;
		}
		/* fallthrough */
	default:
		ask(r, ctx);
		return MT_FILTER_SUSPEND;
	}
}

static void on_end(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	struct reviewer *r = f->conf;
	struct mark *mark = mark_of(f, ctx);

	if (end->how > MT_FILTER_ENDED_STOPPED)
		sim_fail(r->sim, "an exchange ended for no reason");
	r->ended += mark->entered;
	mark->entered = 0;
}

static const struct mt_filter reviews = {
	.name = "reviews",
	.on_request = on_request,
	.on_reply = on_reply,
	.on_end = on_end,
	.bytes = sizeof(struct mark),
	.reads = true,
	.conf_shared = true,
	.wait_ms = WAIT_MS,
};

struct reviewer *reviewer_new(struct sim *s, struct mesh *m)
{
	struct reviewer *r = calloc(1, sizeof(*r));

	MT_ASSERT(r);
	r->sim = s;
	r->mesh = m;
	r->inst = (struct mt_filter_inst){.type = &reviews, .conf = r};
	mt_rand_seed(&r->rand, s->seed ^ 0x7265766965776572ull);
	return r;
}

void reviewer_free(struct reviewer *r)
{
	free(r);
}
