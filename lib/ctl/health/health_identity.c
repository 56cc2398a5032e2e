/* SPDX-License-Identifier: Apache-2.0 */
/* Checks the node's identities: whether each can be used, and for how long. */
#include "mt_health.h"

#include "mt_cert.h"
#include "mt_extauthz.h"
#include "mt_jwks_store.h"

#include <string.h>

#define LEFT	    10 /* warn when less than a tenth of the lifetime is left */
#define ROOT_SOON_S (14 * 86400)

static const char renew[] =
	"does what writes the directory run (istio-agent, spiffe-helper, a timer)? `show identity`";

/* Checks certificates from directories; mt_check_certificates() checks the others. */
static void check_leaf(struct mt_health *h, const struct mt_ctl_identity *who, const char *about)
{
	const struct mt_credential *cr = who->credential;
	int64_t left = mt_ctl_until(h->c, cr->not_after);
	char words[64];

	if (!who->directory)
		return;
	if (left <= 0)
		mt_found(h, MT_FOUND_FAULT, about, renew,
			"the node's certificate has expired: peers refuse it");
	else if (left < (cr->not_after - cr->not_before) / LEFT)
		mt_found(h, MT_FOUND_WARNING, about, renew,
			"the node's certificate ends in %s and is not renewed",
			mt_span_words(left, words, sizeof(words)));
}

static void check_root(struct mt_health *h, const struct mt_credential_root *root, uint32_t *n_good)
{
	int64_t left = mt_ctl_until(h->c, root->not_after);
	char words[64];

	*n_good += left > 0;
	if (left <= 0)
		mt_found(h, MT_FOUND_NOTE, root->subject,
			"remove it from the roots, if no certificate depends on it",
			"a root of the node has expired");
	else if (left < ROOT_SOON_S)
		mt_found(h, MT_FOUND_NOTE, root->subject,
			"add the authority's next root to the roots before that",
			"a root of the node ends in %s", mt_span_words(left, words, sizeof(words)));
}

static void check_roots(struct mt_health *h, const struct mt_credential *cr, const char *about)
{
	struct mt_credential_root root;
	uint32_t n_good = 0;

	for (uint32_t i = 0; mt_credential_root(cr, i, &root); i++)
		check_root(h, &root, &n_good);
	if (n_good == 0)
		mt_found(h, MT_FOUND_FAULT, about,
			"write the authority's present root to the roots",
			"no root of the node is valid: all peers are rejected");
}

/*
 * After its next update a list is outdated, so that every certificate of its authority is refused.
 */
static void check_crl(struct mt_health *h, const struct mt_credential_crl *crl)
{
	static const char remedy[] = "put the authority's newest list into ca-crl.pem; what writes "
				     "it should do so in time";
	int64_t left = mt_ctl_until(h->c, crl->next_update);
	char words[64];

	if (left <= 0)
		mt_found(h, MT_FOUND_FAULT, crl->issuer, remedy,
			"a revocation list of the node is out of date: peers with certificates of "
			"its authority are refused");
	else if (left < (crl->next_update - crl->this_update) / LEFT)
		mt_found(h, MT_FOUND_WARNING, crl->issuer, remedy,
			"a revocation list of the node ends in %s",
			mt_span_words(left, words, sizeof(words)));
}

static void check_crls(struct mt_health *h, const struct mt_credential *cr)
{
	struct mt_credential_crl crl;

	for (uint32_t i = 0; mt_credential_crl(cr, i, &crl); i++)
		check_crl(h, &crl);
}

static const char look_again[] = "fix it; it is checked all the time, and no restart is needed";

static void none_there(struct mt_health *h, const struct mt_ctl_identity *who)
{
	const char *why = *who->why ? who->why : "there is none yet";

	if (who->held_for)
		mt_found(h, MT_FOUND_FAULT, who->held_for, look_again,
			"the identity that the node holds for it cannot be had, and its calls and "
			"its services' clients are refused: %s",
			why);
	else
		mt_found(h, MT_FOUND_FAULT, who->directory ? who->directory : "", look_again,
			"the node has no identity, and what needs one stays unused: %s", why);
}

/*
 * `own`: the node's own credential. An identity with the same roots and lists does not report them
 * again.
 */
static void check_one(
	struct mt_health *h, const struct mt_ctl_identity *who, const struct mt_credential *own)
{
	struct mt_credential_leaf leaf = {0};

	if (!who->credential) {
		none_there(h, who);
		return;
	}
	(void)mt_credential_leaf(who->credential, &leaf);
	if (*who->why)
		mt_found(h, MT_FOUND_WARNING, leaf.principal, look_again,
			"the last good identity stays in use, the new one cannot be used: %s",
			who->why);
	if (*who->note)
		mt_found(h, MT_FOUND_WARNING, leaf.principal,
			"the Node document and the certificate must agree; only the key's owner "
			"may read the key",
			"%s", who->note);
	check_leaf(h, who, leaf.principal);
	if (own && memcmp(own->trust_digest, who->credential->trust_digest,
			   sizeof(own->trust_digest)) == 0)
		return;
	check_roots(h, who->credential, leaf.principal);
	check_crls(h, who->credential);
}

void mt_check_identity(struct mt_health *h)
{
	const struct mt_credential *own = NULL;
	struct mt_ctl_identity who;

	for (uint32_t i = 0; mt_ctl_identity_at(h->c, i, &who); i++) {
		if (who.credential || who.wanted)
			check_one(h, &who, own);
		own = i ? own : who.credential;
	}
}

/* ---- keys of token issuers ------------------------------------------------------------------ */

void mt_check_jwks(struct mt_health *h)
{
	static const char remedy[] =
		"is its server there, and its certificate by an authority that the machine or the "
		"Node's spec.jwks.roots knows?";
	struct mt_jwks_status st;
	char name[256];

	if (!h->c->env.conf)
		return;
	for (uint32_t i = 0;
		mt_jwks_store_status(mt_conf_jwks(h->c->env.conf), i, &st, name, sizeof(name));
		i++) {
		if (!st.failed)
			continue;
		if (st.keys)
			mt_found(h, MT_FOUND_WARNING, name, remedy,
				"%u times in a row the keys could not be fetched (%s): those of "
				"before are used",
				st.failed, st.why);
		else
			mt_found(h, MT_FOUND_FAULT, name, remedy,
				"the keys cannot be fetched (%s): no token of its issuer is valid",
				st.why);
	}
}

/* ---- external authorization services -------------------------------------------------------- */

void mt_check_asks(struct mt_health *h)
{
	static const char remedy[] =
		"does it run at the address in MeshConfig's extensionProviders?";
	struct mt_callout_trouble t;

	for (uint32_t i = 0; h->c->env.asks && mt_extauthz_trouble(h->c->env.asks, i, &t); i++)
		mt_found(h, MT_FOUND_FAULT, t.name, remedy, "it cannot be queried (%s): %s", t.why,
			t.fails_open ? "calls pass without its decision (failOpen)"
				     : "calls that need its decision are denied");
}

/* ---- rate limit services --------------------------------------------------------------------- */

void mt_check_limit_services(struct mt_health *h)
{
	static const char remedy[] =
		"does it run at the endpoints of the service in globalRateLimit.rateLimitService?";
	struct mt_callout_trouble t;

	for (uint32_t i = 0; h->c->env.limits && mt_callout_trouble(h->c->env.limits, i, &t); i++)
		mt_found(h, MT_FOUND_FAULT, t.name, remedy, "it cannot be queried (%s): %s", t.why,
			t.fails_open ? "calls pass without a limit"
				     : "calls under its limits are refused (denyOnFail)");
}
