/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tls, handshakes: what is agreed on before (struct mt_tls_context) and the conversation (struct mt_tls_handshake), by the
 * library and through memory: bytes in, bytes out. At its end the library's object is gone, and what records need is in struct
 * mt_tls_keys. Never called by a worker: everything here allocates and computes for up to a millisecond. Workers have
 * mt_tls_pool.h.
 */
#pragma once

#include "mt_credential.h"
#include "mt_tls_keys.h"

#define MT_TLS_PRINCIPAL_MAX 255   /* "spiffe://td/ns/x/sa/y" */
#define MT_TLS_NAME_MAX	     255   /* of a server name, RFC 1035 §2.3.4 */
#define MT_TLS_ALPN_MAX	     31	   /* of a protocol's name that we have; RFC 7301 has 255 */
#define MT_TLS_INPUT_MAX     98304 /* bytes of the peer's that a handshake takes, headers and all */
#define MT_TLS_CHAIN_MAX     65536 /* bytes of the peer's certificates */
#define MT_TLS_TICKET_S	     7200  /* the longest life of a ticket */
#define MT_TLS_EARLY_SKIPPED                                                                       \
	16384 /* bytes of a client's early data, none of which is taken (RFC 8446 §4.2.10) */

enum mt_tls_reason {
#define MT_TLS_REASON(name, words) MT_TLS_WHY_##name,
#include "mt_tls_reasons.def"
#undef MT_TLS_REASON
	MT_TLS_REASONS
};

const char *mt_tls_reason_name(enum mt_tls_reason r);
const char *mt_tls_reason_words(enum mt_tls_reason r);

/* ---- contexts --------------------------------------------------------------------------------------- */

enum mt_tls_role { MT_TLS_CLIENT, MT_TLS_SERVER };

enum mt_tls_trust {
	MT_TLS_VERIFIED, /* the peer shows a certificate, and it is verified */
	MT_TLS_IF_SHOWN, /* a server asks for one, and verifies what it gets */
	MT_TLS_ANYBODY, /* a server does not ask, a client takes any certificate: the peer has no principal */
};

/* A name that the peer's certificate may have: of type URI, DNS (wildcards as RFC 6125 has them) or address. */
struct mt_tls_san {
	const char *text;
	bool prefix; /* it begins so; wildcards count as written */
};

/* Everything is copied; the credential is held. */
struct mt_tls_rules {
	enum mt_tls_role role;
	enum mt_tls_trust trust;
	struct mt_credential *credential;
	const struct mt_tls_san *sans; /* one of them; n_sans 0: any */
	uint32_t n_sans;
	/* The principal's is one of them; 0: any, also none, and nobody is a member: the roots may be anybody's. */
	const char *const *trust_domains;
	uint32_t n_trust_domains;
	/*
	 * A client offers them in their order. A server takes the first that is offered; if none is, there is no protocol, and
	 * no failure, as in Envoy.
	 */
	const char *const *alpn;
	uint32_t n_alpn;
	uint16_t min_version, max_version; /* 0x0303, 0x0304; 0: TLS 1.2, 1.3 */
	const char *ciphers; /* OpenSSL's names, for TLS 1.2; NULL: as Envoy, as Istio's servers */
	const char *suites;  /* for TLS 1.3; NULL: all three */
	bool tickets;	     /* a server gives one, and takes those that it gave */
	const char *sni;     /* a client's, at most MT_TLS_NAME_MAX bytes; NULL: no name is sent */
	/*
	 * A client's: what the library keeps of this one is shared if it would be the same but for names and `sni`, so that ten thousand
	 * of them cost no more memory than their names. NULL: it is not.
	 */
	const struct mt_tls_context *like;
};

/* Never changes; held by who uses it, on any thread. */
struct mt_tls_context;

/* NULL with *e: what the library or these rules cannot have. */
struct mt_tls_context *mt_tls_context_new(const struct mt_tls_rules *r, struct mt_err *e);
/* Also on a worker. */
struct mt_tls_context *mt_tls_context_hold(struct mt_tls_context *c);
/* Frees with the last one, so never on a worker. NULL is allowed. */
void mt_tls_context_drop(struct mt_tls_context *c);
/* The same on a worker: the last one leaves it to mt_tls_contexts_sweep(). */
void mt_tls_context_leave(struct mt_tls_context *c);
/* Any thread but a worker's, now and then: frees those. */
void mt_tls_contexts_sweep(void);
enum mt_tls_role mt_tls_context_role(const struct mt_tls_context *c);
const char *mt_tls_context_sni(const struct mt_tls_context *c);
/*
 * Of what a peer is judged by and is told: role, trust, roots, revocation lists, names, domains, protocols, versions, ciphers, server name, and of a client's whose our
 * certificate is. Not of our chain: a connection that was made by another context of the same id is as good.
 */
uint64_t mt_tls_context_id(const struct mt_tls_context *c);

/* The principal of a leaf; false: its names are not those that a principal's certificate may have. "": it has none. */
bool mt_tls_principal(X509 *leaf, char out[MT_TLS_PRINCIPAL_MAX + 1]);

/* ---- handshakes -------------------------------------------------------------------------------------- */

/* Certificates of a peer's chain that are kept, by their numbers. */
#define MT_TLS_MARKS 6

/* Whom we speak with, as far as it is verified. */
struct mt_tls_peer {
	char principal[MT_TLS_PRINCIPAL_MAX + 1]; /* "spiffe://…"; "": none */
	char sni[MT_TLS_NAME_MAX + 1];		  /* lower case; "": none */
	char alpn[MT_TLS_ALPN_MAX + 1];		  /* agreed on; "": none */
	int64_t not_after;			  /* of its certificate, Unix, s; 0: none */
	bool certificate;			  /* one was shown and verified */
	bool member; /* and its principal is of one of the context's trust domains, which names them */
	bool resumed;
	uint64_t rules; /* what was asked for of it: of the context, but for roots and lists */
	/*
	 * By what it is known again which roots have signed it, and that it is revoked: of each certificate of the chain as it was verified, the
	 * leaf's first, mt_x509_key_mark() and mt_x509_issue_mark(). Of a longer one the last; of a session that was resumed the leaf's alone.
	 */
	struct mt_tls_mark {
		uint64_t key, issue;
	} marks[MT_TLS_MARKS];
	uint8_t n_marks;
};

/* What somebody whom one context has let in is to another one. */
enum mt_tls_standing {
	MT_TLS_STANDS,	 /* it would let him in, too */
	MT_TLS_OUTDATED, /* not as he has shown himself, or it cannot be told: he has to come again */
	MT_TLS_CONDEMNED, /* it would not: revoked, of a domain that is not let in, or without the certificate that is asked for */
};

/* Any thread. A server's. */
enum mt_tls_standing mt_tls_context_standing(
	const struct mt_tls_context *c, const struct mt_tls_peer *peer);

struct mt_tls_result {
	enum mt_tls_reason reason; /* none: it is done, and what follows counts */
	uint8_t alert; /* that we sent or, peer_alert, got (RFC 8446 §6); 0: none, or close_notify */
	uint8_t tickets; /* records that a server has written behind the handshake; in keys.tx.seq */
	struct mt_tls_keys keys; /* wiped with the handshake */
	struct mt_tls_peer peer;
};

struct mt_tls_handshake;

enum mt_tls_step { MT_TLS_MORE, MT_TLS_DONE, MT_TLS_FAILED };

/*
 * `sni`: a client's (NULL: none is sent); the context is held. No object of the library is made before the first step: a
 * server's comes with a whole ClientHello, see mt_hello.h. NULL: no memory.
 */
struct mt_tls_handshake *mt_tls_handshake_new(struct mt_tls_context *c, const char *sni);
/* Wipes the keys. NULL is allowed. */
void mt_tls_handshake_free(struct mt_tls_handshake *h);

/*
 * Takes what the peer has sent (a client begins with nothing). Output may be there after each answer: that of DONE and
 * FAILED (the alert) has to be sent, too. After these two it is not called again.
 */
enum mt_tls_step mt_tls_handshake_step(struct mt_tls_handshake *h, const void *in, uint32_t n);

/* What is to be sent, and how much of that was taken over. */
uint32_t mt_tls_handshake_output(const struct mt_tls_handshake *h, const uint8_t **p);
void mt_tls_handshake_sent(struct mt_tls_handshake *h, uint32_t n);

/* Bytes of the peer's that belong to the handshake; at DONE, those behind them are records. */
uint32_t mt_tls_handshake_used(const struct mt_tls_handshake *h);

/* After DONE and FAILED, until it is freed. */
const struct mt_tls_result *mt_tls_handshake_result(const struct mt_tls_handshake *h);

/* Objects of the library, in this process. */
struct mt_tls_objects {
	uint64_t made, freed;
};
struct mt_tls_objects mt_tls_objects(void);
