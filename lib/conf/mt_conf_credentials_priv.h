/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside lib/conf: what TLS is spoken with. A credential is made once of the secrets that it is named by, is shared by all that name
 * the same, and goes with the build that does not ask for it any more; who holds it goes on with it.
 */
#pragma once

#include "mt_conf_priv.h"
#include "mt_file.h"
#include "mt_model_resource.h"
#include "mt_tls.h"

/* The node's own identity, as Istio's proxies call it. */
#define MT_SECRET_OWN	"default"
#define MT_SECRET_ROOTS "ROOTCA"

/* The part of a credential that cannot be used. */
enum mt_secret_part {
	MT_SECRET_NONE,
	MT_SECRET_CHAIN,
	MT_SECRET_KEY,
	MT_SECRET_TRUST,
	MT_SECRET_CRL
};

struct mt_conf_credential {
	struct mt_credential *credential; /* NULL: it cannot be had */
	/* Another one with any change of what it is made of, and the same for the same; 0: it cannot be had. */
	uint64_t stamp;
	uint64_t lists; /* mt_b_tls_lists() of its files when they could last be read */
	bool own;	/* it shows the node's own identity */
	/*
	 * Reason why it cannot be had, which names the secret, or what is to be written. With a
	 * credential: the last good one stays in use. "": it is as its names lead to.
	 */
	struct mt_err why;
	enum mt_secret_part part;    /* of `why`; MT_SECRET_NONE: another reason */
	const char *remedy;	     /* of `why`; NULL: what is usual for the part */
	struct mt_tls_context *like; /* the last one of a client's; NULL: none yet */
	uint64_t turn;		     /* the last build that asked for it */
	char key[];		     /* the names that lead to it */
};

/*
 * What a cluster's or a chain's TLS is spoken with, until the end of the build: who uses it holds it, by a context. One that cannot be
 * had says why. NULL: no memory (`b->tmp.failed`).
 */
struct mt_conf_credential *mt_b_credential(struct mt_build *b, const struct mt_res_tls *tls);

/* held.c: an identity beside the node's own. */
struct mt_held {
	char *principal;		  /* "spiffe://…" */
	struct mt_credential *credential; /* NULL: it cannot be had */
	struct mt_tls_context *like;	  /* the last one of a client's; NULL: none yet */
	struct mt_tls_context *server;	  /* of build `turn`, whose snapshot holds it; NULL: none */
	uint64_t turn;
	uint64_t since; /* mt_conf.identity_serial with which the Node got it */
};

void mt_held_fini(struct mt_conf *c);
/* Whether anybody can be shown anything: the node's own identity, or one of these. */
bool mt_b_is_somebody(const struct mt_build *b);
/* The trust domain of the first; NULL: there is none. In b->tmp. */
const char *mt_b_held_domain(struct mt_build *b);

/*
 * Around a build. A credential that no build has needed since the published one is dropped at the
 * next publish: a build that fails, or is compiled again with last good versions, drops none.
 */
void mt_credentials_begin(struct mt_conf *c);
void mt_credentials_end(struct mt_conf *c);
void mt_credentials_fini(struct mt_conf *c);

/* tls_files.c: files that documents name. */
struct mt_tls_file {
	const char *path, *ns; /* namespace of the document; NULL: not known */
	enum mt_file_kind kind;
	bool own_is_refused; /* a certificate or a key: not the node's own */
};
/* Why a file that may be good is not used. */
struct mt_refusal {
	bool refused;	    /* documents may not use it: nor is a last good version of it used */
	const char *remedy; /* NULL: none in particular */
};
/*
 * Opens a file for reading, if the Node lets documents of that namespace use it, and notes it in
 * the list of watched.c. Returns a descriptor, or a negative errno with *r and *e.
 */
int mt_b_tls_file_open(
	struct mt_build *b, const struct mt_tls_file *f, struct mt_refusal *r, struct mt_err *e);
/* Adds to a hash the directories of the Node's spec.tlsFiles that let documents name the file. */
uint64_t mt_b_tls_lists(const struct mt_build *b, const char *ns, const char *path, uint64_t hash);
/* True if its key is that of the node's own identity, or of one that the node holds. */
bool mt_b_is_own_key(const struct mt_build *b, const struct mt_credential *c);
/* Frees the list of mt_conf_own_file(). */
void mt_own_paths_fini(struct mt_conf *c);
/* Fills *r and *e for a file of the node's own identity; returns -EPERM. */
int mt_b_refuse_own(struct mt_refusal *r, const char *path, struct mt_err *e);

/* secret_texts.c: what a name of a secret leads to; wiped and freed by mt_secret_texts_fini(). */
struct mt_secret_texts {
	char *chain, *key, *roots, *crl;
	enum mt_secret_part part;  /* the last one that was read, or could not be */
	struct mt_refusal refusal; /* of that part */
};

/* Adds to `out`: a certificate with its key, or roots. 0, or a negative errno with *e. */
int mt_b_secret_certificate(struct mt_build *b, const struct mt_res_tls *tls, const char *name,
	struct mt_secret_texts *out, struct mt_err *e);
int mt_b_secret_roots(struct mt_build *b, const struct mt_res_tls *tls, const char *name,
	struct mt_secret_texts *out, struct mt_err *e);
void mt_secret_texts_fini(struct mt_secret_texts *t);
/* Path of the file of this part, in b->tmp; NULL: documents name none. */
const char *mt_b_secret_file(
	struct mt_build *b, const struct mt_res_tls *tls, enum mt_secret_part part);
/* No credential comes of the texts: the Secret that they are of is refused; `why` NULL: if it is that of the certificate. */
void mt_b_secret_blame(struct mt_build *b, const struct mt_res_tls *tls,
	const struct mt_secret_texts *t, const char *why);

/* material.c: settings of documents that cannot be applied. */
struct mt_tls_trouble {
	const char *why;	  /* NULL: none */
	bool held;		  /* the last good certificate and roots stay in use */
	bool material;		  /* the document's last good version is used, if there is one */
	bool file;		  /* `material`: a file that it names */
	enum mt_secret_part part; /* of `material`; MT_SECRET_NONE: settings that are missing */
	const char *remedy;	  /* of `material`; NULL: what is usual */
};
void mt_b_tls_trouble(struct mt_build *b, const struct mt_res_tls *tls, struct mt_tls_trouble *out);
/* Where a document names each part. */
struct mt_tls_fields {
	const char *path, *rest; /* "spec.servers[0].tls"; the field of settings that are missing */
	uint32_t line;		 /* of these settings */
	const struct mt_text *texts[5]; /* by part; NULL, or without a text: `line` */
	const char *names[5];
};
/* Reports the trouble at the field that names the part; `words` of what it means, with one %s. */
void mt_b_tell_trouble(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_tls_fields *f, const struct mt_tls_trouble *t, const char *remedy,
	const char *words);

/* secret_status.c: what becomes of Secrets; at the end, of those that nobody has named. */
void mt_b_secret_is_used(struct mt_build *b, const struct mt_kube_secret *s);
void mt_b_secret_is_bad(struct mt_build *b, const struct mt_kube_secret *s, const char *why);

/*
 * watched.c: notes a file before it is read, of a document in that namespace (NULL: unknown). The
 * list ends with `c`.
 */
#define MT_CONF_FILES_WATCHED 4096
void mt_watched_note(struct mt_conf *c, const char *ns, const char *path);
/* Forgets files that no build from `turn` on has named. */
void mt_watched_forget(struct mt_conf *c, uint64_t turn);
void mt_watched_fini(struct mt_conf *c);
