/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the network: names, connections, certificates, clocks. */
#include "join.h"

#include <errno.h>
#include <openssl/x509_vfy.h>
#include <stdio.h>
#include <string.h>

#define LOOKUP_NS   (10 * MT_SEC)
#define PROBE_MS    5000
#define CLOCK_SLACK 60 /* s; issuers usually allow that much */
#define SET_CLOCK   "set the clock: timedatectl set-ntp true, or chronyc makestep"

/* ---- names ----------------------------------------------------------------------------------- */

struct answer {
	struct join_target *t;
	bool done;
	struct mt_err why;
};

static void on_answer(void *arg, const struct mt_lookup_result *result)
{
	struct answer *a = arg;

	a->done = true;
	a->t->n_addrs = MT_MIN(result->n, (uint32_t)JOIN_ADDRS);
	memcpy(a->t->addrs, result->addrs, sizeof(result->addrs[0]) * a->t->n_addrs);
	if (!result->n)
		mt_err(&a->why, 0, "%s", result->why);
}

static bool look_up(struct join *j, struct join_target *t, struct mt_finding *f)
{
	struct answer a = {.t = t};
	struct mt_lookup *l = mt_lookup(j->names, t->host, on_answer, &a);
	uint64_t end = join_now() + LOOKUP_NS;
	char remedy[sizeof(f->remedy)];

	while (!a.done && join_now() < end)
		join_wait(j);
	if (!a.done) {
		mt_lookup_cancel(l);
		mt_err(&a.why, 0, "no answer within 10 s");
	}
	if (t->n_addrs)
		return true;
	snprintf(remedy, sizeof(remedy),
		"add the line \"ADDRESS %.128s\" to the bundle's hosts, with the address of the "
		"mesh's east-west gateway (istioctl: --ingressIP)",
		t->host);
	mt_find(f, "hosts", 0, "", remedy, "%s has no entry here, and DNS answers: %s", t->host,
		a.why.text);
	return false;
}

static bool find_addresses(struct join *j, struct join_target *t, struct mt_finding *f)
{
	const struct mt_host_row *row = mt_hosts_find(&j->bundle.hosts, t->host);

	t->n_addrs = 1;
	if (mt_addr_parse(t->host, &t->addrs[0]) == 0)
		return true;
	t->from_hosts = row != NULL;
	if (!row)
		return look_up(j, t, f);
	t->addrs[0] = row->addr;
	return true;
}

bool join_names(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	char text[MT_ADDR_STRLEN];
	size_t n = 0;

	for (uint32_t i = 0; i < j->n_targets; i++) {
		struct join_target *t = &j->targets[i];

		if (!find_addresses(j, t, f))
			return false;
		mt_addr_str(&t->addrs[0], text);
		if (n < size)
			n += (size_t)snprintf(words + n, size - n, "%s%s is %s (%s)", i ? "; " : "",
				t->host, text,
				t->from_hosts		     ? "hosts of the bundle"
				: strcmp(t->host, text) == 0 ? "as written"
							     : "resolver");
	}
	return true;
}

/* ---- reach ----------------------------------------------------------------------------------- */

static const char *reach_remedy(const struct mt_probe *p)
{
	switch (p->error) {
	case ECONNREFUSED:
		return "nothing listens there: is the address that of the east-west gateway, and "
		       "does the gateway forward port 15012 "
		       "(samples/multicluster/expose-istiod.yaml)?";
	case ETIMEDOUT:
		return "a firewall or security group drops the packets, or the address is wrong: "
		       "allow "
		       "TCP to this port";
	case EHOSTUNREACH:
	case ENETUNREACH:
		return "this machine has no route to the address: ip route get ADDRESS";
	default:
		return "look at the machine's network";
	}
}

/* Connects to the first address that accepts; false if none does. */
static bool connect_target(struct join *j, struct join_target *t, struct mt_finding *f)
{
	char text[MT_ADDR_STRLEN];

	for (uint32_t i = 0; i < t->n_addrs; i++) {
		mt_probe_server(&t->addrs[i], t->port, t->server_name, j->bundle.roots, PROBE_MS,
			&t->probe);
		snprintf(t->server, sizeof(t->server), "%s",
			mt_addr_port_str(&t->addrs[i], t->port, text));
		if (t->probe.stage != MT_PROBE_CONNECT)
			return true;
	}
	mt_find(f, t->from_hosts ? "hosts" : t->file, 0, "", reach_remedy(&t->probe),
		"%s (%s) is not reached: %s", t->what, t->server, t->probe.why.text);
	return false;
}

bool join_reach(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	for (uint32_t i = 0; i < j->n_targets; i++)
		if (!connect_target(j, &j->targets[i], f))
			return false;
	snprintf(j->ip, sizeof(j->ip), "%s", j->targets[0].probe.local);
	snprintf(words, size, "%s, from %s", j->targets[0].server, j->ip);
	return true;
}

/* ---- clock ----------------------------------------------------------------------------------- */

static bool clock_is_behind(int64_t begins, const char *what, struct mt_finding *f)
{
	char when[40], clock[40], span[48];
	int64_t wall = join_wall();

	if (begins <= wall + CLOCK_SLACK)
		return false;
	mt_find(f, "", 0, "", SET_CLOCK,
		"this machine's clock is %s, and %s is valid only from %s: the clock is late by %s "
		"or more",
		mt_time_words(wall, clock, sizeof(clock)), what,
		mt_time_words(begins, when, sizeof(when)),
		mt_span_words(begins - wall, span, sizeof(span)));
	return true;
}

bool join_clock(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	const struct mt_jwt *t = &j->bundle.jwt;
	char now[40];

	if (clock_is_behind(MT_MAX(t->issued_at, t->not_before), "the token", f))
		return false;
	for (uint32_t i = 0; i < j->n_targets; i++)
		if (clock_is_behind(j->targets[i].probe.cert.not_before,
			    "the control plane's certificate", f))
			return false;
	snprintf(words, size, "%s: not before the times of token and certificates",
		mt_time_words(join_wall(), now, sizeof(now)));
	return true;
}

/* ---- trust ----------------------------------------------------------------------------------- */

static bool bad_handshake(const struct join_target *t, struct mt_finding *f)
{
	const struct mt_probe *p = &t->probe;

	if (p->not_tls)
		mt_find(f, t->file, t->line, t->field,
			"use the port with TLS, which is istiod's 15012 (15010 is without)",
			"%s does not speak TLS", t->server);
	else
		mt_find(f, t->file, t->line, t->field,
			"another server answers at this address and port, or a gateway has no "
			"destination for the connection: look at the gateway's own log",
			"%s: %s", t->server, p->why.text);
	return false;
}

static bool expired(const struct join_target *t, struct mt_finding *f)
{
	char when[40], clock[40];

	mt_find(f, "", 0, "",
		"let the control plane renew it (restart istiod) if this machine's clock is right; "
		"else " SET_CLOCK,
		"the certificate of %s expired at %s; this machine's clock is %s", t->server,
		mt_time_words(t->probe.cert.not_after, when, sizeof(when)),
		mt_time_words(join_wall(), clock, sizeof(clock)));
	return false;
}

static bool check_trust(const struct join_target *t, struct mt_finding *f)
{
	const struct mt_probe *p = &t->probe;

	if (p->stage != MT_PROBE_DONE)
		return bad_handshake(t, f);
	if (p->verify == X509_V_ERR_CERT_HAS_EXPIRED)
		return expired(t, f);
	if (p->verify != X509_V_OK) {
		mt_find(f, "root-cert.pem", 0, "",
			"the file is of another mesh, or the mesh has a new root: copy it again "
			"from the config map istio-ca-root-cert",
			"the certificate of %s, issued by %s, does not chain to the root %s: %s",
			t->server, p->cert.issuer, p->root, p->distrust.text);
		return false;
	}
	if (!p->named) {
		mt_find(f, t->file, t->line, t->field,
			"write the name of the control plane that its certificate has",
			"the server's certificate is for %s, not for %s",
			p->cert.names[0] ? p->cert.names : "nobody", t->server_name);
		return false;
	}
	if (!p->h2) {
		mt_find(f, t->file, t->line, t->field,
			"something else answers at this address and port",
			"%s does not speak HTTP/2 over TLS", t->server);
		return false;
	}
	return true;
}

bool join_trust(struct join *j, char *words, size_t size, struct mt_finding *f)
{
	const struct mt_cert *c = &j->targets[0].probe.cert;
	char left[48];

	for (uint32_t i = 0; i < j->n_targets; i++)
		if (!check_trust(&j->targets[i], f))
			return false;
	snprintf(words, size, "%s, issued by %s, valid for %s", j->targets[0].server_name,
		c->issuer, mt_span_words(c->not_after - join_wall(), left, sizeof(left)));
	return true;
}
