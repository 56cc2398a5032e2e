/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots made current, held, retired and freed. */
#include "mt_alog_sieve.h"
#include "mt_conf_forward_priv.h"
#include "mt_conf_mesh_priv.h"
#include "mt_dns.h"
#include "mt_extauthz.h"
#include "mt_tls.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>

/*
 * Versions, the current one among them, that holders may stay with. Two fewer than may be alive, so that
 * two more publishes go through while workers still move what holds older ones.
 */
#define KEEP (MT_CONF_ALIVE_MAX - 2)

void mt_snap_free(struct mt_conf *c, struct mt_snap *s, uint64_t now)
{
	/* Buckets that go with it linger from now on. */
	mt_limit_now(c->limits, now);
	for (uint32_t i = 0; i < s->n_services; i++)
		mt_shared_service_put(c, s->services[i]);
	for (uint32_t i = 0; i < s->n_clusters; i++)
		mt_shared_cluster_put(c, s->clusters[i], now);
	for (uint32_t i = 0; i < s->n_limits; i++)
		s->limits[i]->type->free_conf(s->limits[i]->conf);
	for (uint32_t i = 0; i < s->n_closers; i++)
		mt_indexes_put(&c->closers, s->closers[i]);
	for (uint32_t i = 0; i < s->n_ends; i++)
		mt_tls_context_drop(s->ends[i].context);
	for (uint32_t i = 0; i < s->n_tokens; i++)
		mt_token_rules_drop(s->tokens[i]);
	for (uint32_t i = 0; i < s->n_providers; i++)
		mt_extauthz_drop(s->providers[i]);
	for (uint32_t i = 0; i < s->n_targets; i++)
		mt_grpc_target_drop(s->targets[i]);
	mt_forward_set_put(c, s->forward_set);
	mt_vips_build_free(s->vips);
	mt_caller_rows_put(c, s->callers);
	mt_dns_table_put(s->pub.dns);
	mt_alog_sieve_free(s->pub.log_sieve);
	mt_codec_registry_drop(s->codecs);
	if (s->pub.lookup)
		mt_snapshot_index_free(&s->pub);
	free(s->pub.holds);
	mt_region_fini(&s->region);
	free(s);
}

void mt_conf_discard(struct mt_conf *c, struct mt_snapshot *s, uint64_t now)
{
	mt_snap_free(c, mt_container_of(s, struct mt_snap, pub), now);
}

struct mt_snapshot *mt_conf_current(const struct mt_conf *c)
{
	return __atomic_load_n(&c->current, __ATOMIC_ACQUIRE);
}

struct mt_snapshot *const *mt_conf_slot(const struct mt_conf *c)
{
	return &c->current;
}

static bool is_held(const struct mt_conf *c, const struct mt_snap *s)
{
	for (uint32_t w = 0; w < c->o.workers; w++)
		if (__atomic_load_n(&s->pub.holds[w * MT_HOLD_STRIDE], __ATOMIC_ACQUIRE))
			return true;
	return false;
}

/*
 * Quiescence first: a worker that still saw the snapshot as the current one may take a hold until the
 * end of that turn, and none after it.
 */
static bool is_unused(const struct mt_conf *c, const struct mt_snap *s)
{
	if (c->o.rcu && !rte_rcu_qsbr_check(c->o.rcu, s->token, false))
		return false;
	return !is_held(c, s);
}

/*
 * Entries of the access log point to names of the snapshot that their call held. They are published
 * before the hold ends, so at the end of the last hold all of them are in the rings.
 */
static bool is_retired(const struct mt_conf *c, struct mt_snap *s)
{
	if (!s->marks.set && !is_unused(c, s))
		return false;
	if (!c->log)
		return true;
	if (!s->marks.set)
		mt_alog_marks(c->log, &s->marks);
	return mt_alog_passed(c->log, &s->marks);
}

/*
 * A worker that has not yet seen the current snapshot may eject an endpoint by a check of the one
 * before, which no later check would return.
 */
static void end_old_checks(struct mt_conf *c, uint64_t now)
{
	if (!c->old_checks ||
		(c->o.rcu && !rte_rcu_qsbr_check(c->o.rcu, c->old_checks_token, false)))
		return;
	c->old_checks = false;
	mt_forward_unchecked(c->current, now);
}

uint32_t mt_conf_reap(struct mt_conf *c, uint64_t now)
{
	struct mt_snap **at = &c->retired;
	uint32_t waiting = 0;

	end_old_checks(c, now);
	while (*at) {
		struct mt_snap *s = *at;

		if (!is_retired(c, s)) {
			at = &s->next;
			waiting++;
			continue;
		}
		*at = s->next;
		c->alive--;
		mt_snap_free(c, s, now);
	}
	return waiting;
}

/* From here on no worker turn that begins can see it; the token passes when all that began have ended. */
static void retire(struct mt_conf *c, struct mt_snapshot *old)
{
	struct mt_snap *s = mt_container_of(old, struct mt_snap, pub);

	s->token = c->o.rcu ? rte_rcu_qsbr_start(c->o.rcu) : 0;
	s->next = c->retired;
	c->retired = s;
	c->old_checks = true;
	c->old_checks_token = s->token;
}

/*
 * Passes to the endpoints' states how they are connected to. A connection made in another way may
 * work where earlier ones failed.
 */
static void talk(struct mt_snap *s)
{
	for (uint32_t i = 0; i < s->n_clusters; i++) {
		struct mt_shared_cluster *sc = s->clusters[i];

		for (uint32_t k = 0; !sc->talked && k < sc->c.n_eps; k++)
			mt_ep_talk(sc->c.eps[k].state, mt_endpoint_way(&sc->c, &sc->c.eps[k]));
		sc->talked = true;
	}
}

/* Whatever can fail comes before the first thing that cannot be taken back. */
int mt_conf_publish(struct mt_conf *c, struct mt_snapshot *s, uint64_t now,
	struct mt_conf_change *change, struct mt_err *err)
{
	struct mt_snapshot *old = c->current;
	int rc;

	MT_ASSERT(!c->o.read_only);
	mt_conf_reap(c, now);
	if (c->alive >= MT_CONF_ALIVE_MAX)
		return mt_err(
			err, -EBUSY, "%u older configurations are still in use", c->alive - 1);
	rc = mt_vips_commit(
		&c->vips, mt_container_of(s, struct mt_snap, pub)->vips, c->o.state_dir, err);
	if (rc)
		return rc;
	if (change)
		mt_snap_diff(c, old ? mt_container_of(old, struct mt_snap, pub) : NULL,
			mt_container_of(s, struct mt_snap, pub), change);
	s->version = ++c->version;
	s->keep_from = s->version > KEEP ? s->version - KEEP + 1 : 0;
	mt_limit_commit(c->limits, now);
	__atomic_store_n(&c->current, s, __ATOMIC_RELEASE);
	c->alive++;
	mt_conf_apply_drains(c, s);
	talk(mt_container_of(s, struct mt_snap, pub));
	mt_callers_publish(c, old ? mt_container_of(old, struct mt_snap, pub) : NULL,
		mt_container_of(s, struct mt_snap, pub));
	mt_forward_unchecked(s, now);
	if (old)
		retire(c, old);
	mt_credentials_published(c, mt_container_of(s, struct mt_snap, pub));
	mt_route_indexes_sweep(c);
	return 0;
}
