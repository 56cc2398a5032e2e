/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls: TLS handshakes. A struct mt_tls_context holds the rules. A struct mt_tls_handshake runs
 * one handshake through memory, with the library: bytes in, bytes out. At its end the library's
 * object is freed, and struct mt_tls_keys has what records need. A worker calls nothing here except
 * the accessors of a context and what is noted, because the other calls allocate and compute for up
 * to a millisecond. Workers use mt_tls_pool.h.
 */
#pragma once

#include "mt_credential.h"
#include "mt_tls_keys.h"

#define MT_TLS_PRINCIPAL_MAX 255   /* "spiffe://td/ns/x/sa/y" */
#define MT_TLS_NAME_MAX	     255   /* of a server name, RFC 1035 §2.3.4 */
#define MT_TLS_ALPN_MAX	     31	   /* of our own protocol names; RFC 7301 allows 255 */
#define MT_TLS_INPUT_MAX     98304 /* bytes from the peer that a handshake accepts, with headers */
#define MT_TLS_CHAIN_MAX     65536 /* bytes of the peer's certificates */
#define MT_TLS_TICKET_S	     7200  /* the longest lifetime of a ticket */
#define MT_TLS_EARLY_SKIPPED                                                                       \
	16384 /* bytes of a client's early data to skip; none is accepted (RFC 8446 §4.2.10) */

enum mt_tls_reason {
#define MT_TLS_REASON(name, words) MT_TLS_WHY_##name,
#include "mt_tls_reasons.def"
#undef MT_TLS_REASON
	MT_TLS_REASONS
};

const char *mt_tls_reason_name(enum mt_tls_reason r);
/* "handshake failed: " and the words of mt_tls_reasons.def */
const char *mt_tls_reason_failed(enum mt_tls_reason r);

/*
 * ---- contexts ----------------------------------------------------------------------------------
 */

enum mt_tls_role { MT_TLS_CLIENT, MT_TLS_SERVER };

enum mt_tls_trust {
	MT_TLS_VERIFIED, /* the peer must present a certificate, which is verified */
	MT_TLS_IF_SHOWN, /* a server requests a certificate, and verifies it if it gets one */
	/* a server requests none, a client accepts any: the peer has no principal */
	MT_TLS_ANYBODY,
};

/* A name to match in the peer's certificate: URI, DNS name (wildcards per RFC 6125) or address. */
struct mt_tls_san {
	const char *text;
	bool prefix; /* match names that start with `text`; wildcards are literal */
};

/* Everything is copied; the context takes a reference to the credential. */
struct mt_tls_rules {
	enum mt_tls_role role;
	enum mt_tls_trust trust;
	struct mt_credential *credential;
	const struct mt_tls_san *sans; /* one of them must match; n_sans 0: any */
	uint32_t n_sans;
	/*
	 * The principal must be in one of these trust domains. n_trust_domains 0: any principal or
	 * none is accepted, and no peer is a member (mt_tls_peer.member), because any organization
	 * may own the roots.
	 */
	const char *const *trust_domains;
	uint32_t n_trust_domains;
	/*
	 * A client offers these in order. A server selects the first of its list that the client
	 * offers. If there is none, no protocol is selected and the handshake goes on, as in Envoy.
	 */
	const char *const *alpn;
	uint32_t n_alpn;
	uint16_t min_version, max_version; /* 0x0303 or 0x0304; 0: TLS 1.2 and TLS 1.3 */
	/* TLS 1.2, OpenSSL's names; NULL: those of Envoy and of Istio's servers */
	const char *ciphers;
	const char *suites; /* TLS 1.3; NULL: all three */
	bool tickets;	    /* a server issues one, and accepts those that it issued */
	const char *sni;    /* client only, at most MT_TLS_NAME_MAX bytes; NULL: sends no name */
	/*
	 * Client only. The new context shares the library's data (SSL_CTX) with this one if both
	 * differ only in names and `sni`, so that ten thousand contexts take no more memory than
	 * their names. NULL: shares nothing.
	 */
	const struct mt_tls_context *like;
};

/* Immutable and reference-counted; any thread may use it. */
struct mt_tls_context;

/*
 * Creates a context. Returns NULL with *e if the rules are invalid or the library cannot apply
 * them.
 */
struct mt_tls_context *mt_tls_context_new(const struct mt_tls_rules *r, struct mt_err *e);
/* Takes a reference. Allowed on a worker. */
struct mt_tls_context *mt_tls_context_hold(struct mt_tls_context *c);
/*
 * Drops a reference. The last one frees the context, so never call it on a worker. NULL is allowed.
 */
void mt_tls_context_drop(struct mt_tls_context *c);
/*
 * As mt_tls_context_drop(), for workers: mt_tls_contexts_sweep() frees the context if it was the
 * last reference.
 */
void mt_tls_context_leave(struct mt_tls_context *c);
/* Frees the contexts that workers have left. Any thread except a worker's; call now and then. */
void mt_tls_contexts_sweep(void);
enum mt_tls_role mt_tls_context_role(const struct mt_tls_context *c);
const char *mt_tls_context_sni(const struct mt_tls_context *c);
enum mt_tls_trust mt_tls_context_trust(const struct mt_tls_context *c);
/* The lowest version that the context accepts: 0x0303 or 0x0304. */
uint16_t mt_tls_context_min_version(const struct mt_tls_context *c);
/*
 * Hash of what the context requires of a peer and sends to it: role, trust, roots, revocation
 * lists, names, domains, protocols, versions, ciphers, server name. A client's includes the
 * identity of our certificate. Our certificate chain does not count, so connections made by
 * contexts of the same id are equivalent. It is a secret hash (mt_secret_hash.h): it differs
 * between processes, and must not be shown.
 */
uint64_t mt_tls_context_id(const struct mt_tls_context *c);

/*
 * Copies a leaf's principal to `out`, "" if it has none. Returns false if the leaf has names that a
 * certificate with a principal must not have.
 */
bool mt_tls_principal(X509 *leaf, char out[MT_TLS_PRINCIPAL_MAX + 1]);

/*
 * ---- handshakes --------------------------------------------------------------------------------
 */

/* Certificates of a peer's chain for which marks are kept. */
#define MT_TLS_MARKS 6

/* The peer, as far as it is verified. */
struct mt_tls_peer {
	char principal[MT_TLS_PRINCIPAL_MAX + 1]; /* "spiffe://…"; "": none */
	char sni[MT_TLS_NAME_MAX + 1];		  /* lower case; "": none */
	char alpn[MT_TLS_ALPN_MAX + 1];		  /* negotiated; "": none */
	/* end of its certificate's validity, Unix time, s; 0: none */
	int64_t not_after;
	/* it presented a certificate, which was verified */
	bool certificate;
	bool member; /* its principal is in a trust domain that the context names */
	bool resumed;
	uint64_t rules; /* hash of what the context required of it, except roots and lists */
	/*
	 * These show later which roots have signed the chain, and whether it is revoked:
	 * mt_x509_key_mark() and mt_x509_issue_mark() of each certificate of the verified chain,
	 * leaf first. If the chain is longer, the last entry is for its last certificate. A resumed
	 * session has the leaf's only.
	 */
	struct mt_tls_mark {
		uint64_t key, issue;
	} marks[MT_TLS_MARKS];
	uint8_t n_marks;
};

/* Whether another context would accept a peer that one context has accepted. */
enum mt_tls_standing {
	MT_TLS_STANDS, /* it would */
	/* not as the peer was verified, or undecidable: the peer must connect again */
	MT_TLS_OUTDATED,
	/*
	 * it would not: revoked, of a trust domain not accepted, or without a required certificate
	 */
	MT_TLS_CONDEMNED,
};

/* Evaluates a client against a server's context. Any thread. */
enum mt_tls_standing mt_tls_context_standing(
	const struct mt_tls_context *c, const struct mt_tls_peer *peer);

struct mt_tls_result {
	enum mt_tls_reason reason; /* none: the handshake is done, and the fields below are valid */
	/* sent by us; received if `reason` is peer_alert (RFC 8446 §6); 0: none, or close_notify */
	uint8_t alert;
	/* ticket records that a server wrote after the handshake; keys.tx.seq counts them */
	uint8_t tickets;
	struct mt_tls_keys keys; /* wiped when the handshake is freed */
	struct mt_tls_peer peer;
};

struct mt_tls_handshake;

enum mt_tls_step { MT_TLS_MORE, MT_TLS_DONE, MT_TLS_FAILED };

/*
 * Creates a handshake and takes a reference to the context. `sni` is for clients; NULL sends no
 * name. The library's object is created by the first step, which for a server needs a whole
 * ClientHello (mt_hello.h). Returns NULL without memory.
 */
struct mt_tls_handshake *mt_tls_handshake_new(struct mt_tls_context *c, const char *sni);
/* Frees the handshake and wipes the keys. NULL is allowed. */
void mt_tls_handshake_free(struct mt_tls_handshake *h);

/*
 * Processes bytes from the peer. A client's first call has none. Check for output after each call:
 * that of DONE and of FAILED (the alert) must be sent, too. Do not call again after these two.
 */
enum mt_tls_step mt_tls_handshake_step(struct mt_tls_handshake *h, const void *in, uint32_t n);

/*
 * Output to be sent: its length, and its start in *p. mt_tls_handshake_sent() removes the first n
 * bytes.
 */
uint32_t mt_tls_handshake_output(const struct mt_tls_handshake *h, const uint8_t **p);
void mt_tls_handshake_sent(struct mt_tls_handshake *h, uint32_t n);

/*
 * Bytes from the peer that belong to the handshake. After DONE the bytes that follow are records.
 */
uint32_t mt_tls_handshake_used(const struct mt_tls_handshake *h);

/* Valid after DONE and FAILED, until the handshake is freed. */
const struct mt_tls_result *mt_tls_handshake_result(const struct mt_tls_handshake *h);

/* The library's objects created and freed in this process. */
struct mt_tls_objects {
	uint64_t made, freed;
};
struct mt_tls_objects mt_tls_objects(void);
