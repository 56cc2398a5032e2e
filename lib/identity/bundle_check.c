/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a bundle that need no connection. */
#include "mt_bundle.h"

#include "mt_cert.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define AUDIENCE    "istio-ca" /* that istiod requires of a workload's token */
#define K8S_SUBJECT "system:serviceaccount:"
#define NEW_TOKEN                                                                                  \
	"kubectl create token %s -n %s --audience istio-ca > istio-token, or make a new bundle"

/* ---- address --------------------------------------------------------------------------------- */

static int bad_address(const struct mt_bundle *b, const char *text, bool ca, struct mt_finding *f)
{
	static const char remedy[] = "write it like istiod.istio-system.svc:15012";
	const struct mt_env_row *row = ca ? mt_env_row(&b->env, "CA_ADDR") : NULL;

	if (row && row->value[0])
		return mt_find(f, "cluster.env", row->line, "CA_ADDR", remedy,
			"\"%.128s\" is not like host:port", text);
	return mt_find(f, "mesh.yaml", ca ? b->mesh.ca_line : b->mesh.discovery_line,
		ca ? "defaultConfig.caAddress" : "defaultConfig.discoveryAddress", remedy,
		"\"%.128s\" is not like host:port", text);
}

int mt_bundle_check_address(struct mt_bundle *b, struct mt_finding *f)
{
	const char *ca = mt_env_get(&b->env, "CA_ADDR");
	char host[256];
	uint16_t port;

	b->discovery = b->mesh.discovery ? b->mesh.discovery : MT_ISTIOD_DEFAULT;
	b->ca = ca && *ca ? ca : b->mesh.ca ? b->mesh.ca : b->discovery;
	if (!b->mesh.discovery)
		snprintf(b->note, sizeof(b->note),
			"mesh.yaml names no discoveryAddress: Istio's default is taken");
	if (mt_host_port(b->discovery, b->host, sizeof(b->host), &b->port))
		return bad_address(b, b->discovery, false, f);
	if (mt_host_port(b->ca, host, sizeof(host), &port))
		return bad_address(b, b->ca, true, f);
	if (b->port == 15010)
		return mt_find(f, "mesh.yaml", b->mesh.discovery_line,
			"defaultConfig.discoveryAddress", "use istiod's port 15012",
			"15010 is istiod's port without TLS: a certificate cannot be had there");
	return 0;
}

/* ---- roots ----------------------------------------------------------------------------------- */

int mt_bundle_check_roots(struct mt_bundle *b, int64_t now, struct mt_finding *f)
{
	static const char remedy[] =
		"copy it again from the config map istio-ca-root-cert of the workload's namespace";
	uint32_t n = mt_cert_count(b->roots), good = 0;
	char when[40];
	struct mt_cert c = {0};
	struct mt_err e;

	for (uint32_t i = 0; i < n; i++) {
		if (mt_cert_read(b->roots, i, &c, &e))
			continue;
		if (!c.authority)
			return mt_find(f, "root-cert.pem", 0, "", remedy,
				"certificate %u (%.100s) is not an authority: it cannot sign "
				"others",
				i + 1, c.subject);
		good += now < c.not_after;
	}
	if (good)
		return 0;
	return mt_find(f, "root-cert.pem", 0, "", remedy, "the root %.100s expired at %s",
		c.subject, mt_time_words(c.not_after, when, sizeof(when)));
}

/* ---- token ----------------------------------------------------------------------------------- */

static int bad_token(
	const struct mt_bundle *b, struct mt_finding *f, const char *field, const char *words)
{
	char remedy[sizeof(f->remedy)];

	snprintf(remedy, sizeof(remedy), NEW_TOKEN, b->service_account, b->namespace);
	return mt_find(f, "istio-token", 0, field, remedy, "%s", words);
}

static int check_times(const struct mt_bundle *b, int64_t now, struct mt_finding *f)
{
	char words[300], span[48], when[40], clock[40];

	if (!b->jwt.expires)
		return bad_token(b, f, "exp", "the token has no expiry time");
	if (now < b->jwt.expires)
		return 0;
	snprintf(words, sizeof(words), "the token expired %s ago, at %s (this machine's clock: %s)",
		mt_span_words(now - b->jwt.expires, span, sizeof(span)),
		mt_time_words(b->jwt.expires, when, sizeof(when)),
		mt_time_words(now, clock, sizeof(clock)));
	return bad_token(b, f, "exp", words);
}

static int check_subject(const struct mt_bundle *b, struct mt_finding *f)
{
	char want[400], words[sizeof(f->words)];

	if (!b->jwt.subject[0])
		return bad_token(b, f, "sub", "the token has no subject");
	/* Other issuers have other forms of subjects, which only the server can check. */
	if (strncmp(b->jwt.subject, K8S_SUBJECT, strlen(K8S_SUBJECT)) != 0)
		return 0;
	snprintf(want, sizeof(want), K8S_SUBJECT "%s:%s", b->namespace, b->service_account);
	if (strcmp(b->jwt.subject, want) == 0)
		return 0;
	snprintf(words, sizeof(words), "the token is for %.160s; cluster.env has %.200s",
		b->jwt.subject, want);
	return bad_token(b, f, "sub", words);
}

int mt_bundle_check_token(struct mt_bundle *b, int64_t now, struct mt_finding *f)
{
	char words[300];
	struct mt_err e;

	if (mt_jwt_read(b->token, strlen(b->token), &b->jwt, &e))
		return bad_token(b, f, "", e.text);
	if (!b->jwt.issuer[0])
		return bad_token(b, f, "iss", "the token has no issuer");
	if (!b->jwt.n_audiences)
		return bad_token(
			b, f, "aud", "the token names no audience; istiod takes " AUDIENCE);
	if (!mt_jwt_is_for(&b->jwt, AUDIENCE)) {
		snprintf(words, sizeof(words),
			"the token is for the audience %.128s, not for " AUDIENCE,
			b->jwt.audiences[0]);
		return bad_token(b, f, "aud", words);
	}
	if (check_times(b, now, f))
		return -EINVAL;
	return check_subject(b, f);
}
