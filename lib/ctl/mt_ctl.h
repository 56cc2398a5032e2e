/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/ctl: the operator's side of the control thread. An admin socket (Unix, one command a line), a
 * small HTTP server (/ready, /metrics), and the table of commands behind both. It owns its sockets and
 * nothing else: what it shows and what it sets going belongs to the rooms in `struct mt_ctl_env`.
 *
 * It has one descriptor (mt_ctl_fd()) for the daemon's own event loop, and starts no thread. All calls
 * on the control thread. Workers' data is read with relaxed loads, or asked for by their mailbox.
 */
#pragma once

#include "mt_conf.h"
#include "mt_credential.h"
#include "mt_dns_server.h"
#include "mt_model.h"
#include "mt_telemetry.h"
#include "mt_worker.h"
#include "mt_xds.h"

struct mt_who;
struct mt_history;
struct mt_tls_pool;

/* What somebody may do. */
enum mt_role {
	MT_ROLE_VIEW,	 /* look, change nothing */
	MT_ROLE_OPERATE, /* all */
};

/* Who may do what: a name of the client's certificate, "*" at its end stands for anything. */
struct mt_ctl_tls_role {
	const char *identity;
	enum mt_role role;
};

/* The shell from other machines: TLS, certificates of both sides. PEM files, read again when they change. */
struct mt_ctl_tls {
	struct mt_addr addr;
	uint16_t port; /* 0: none */
	const char *certificate, *key, *client_roots;
	const char *client_revocations;	     /* NULL: none */
	const struct mt_ctl_tls_role *roles; /* the first that fits; none: refused */
	uint32_t n_roles;
};

/* What `tune` asks the daemon for. */
struct mt_ctl_tune {
	enum { MT_TUNE_SET, MT_TUNE_KEEP, MT_TUNE_DROP } what;
	const struct mt_override *set; /* MT_TUNE_SET */
	uint32_t id;		       /* the others; 0: all of them */
};

#define MT_SELF_TEXT 128

/* Who the node is in its mesh; "": not known. */
struct mt_ctl_self {
	char workload[MT_SELF_TEXT], ns[MT_SELF_TEXT], cluster[MT_SELF_TEXT];
	char app[MT_SELF_TEXT], version[MT_SELF_TEXT];
	char canonical_service[MT_SELF_TEXT], canonical_revision[MT_SELF_TEXT];
};

/* One thing that the node waits for before it is ready. Texts are never NULL. */
struct mt_ctl_wait {
	const char *kind; /* "source", "host", "services", "object", "worker" */
	const char *name, *source, *why;
};

/* Texts until the next question. */
struct mt_ctl_ready {
	bool ready;
	const struct mt_ctl_wait *waits;
	uint32_t n;
};

/* Who the node is to its peers, or whom it stands for beside that. Texts are never NULL unless said, and live until the next turn, as the credential. */
struct mt_ctl_identity {
	const struct mt_credential *credential; /* in use; NULL: none */
	const char *held_for;  /* whom it has to be for, of spec.identities; NULL: the node's own */
	bool wanted;	       /* something says who it is, or should */
	const char *from;      /* of the credential: a directory, or "xds:NAME" */
	const char *directory; /* that is looked at; NULL: a source's identity */
	const char *why;       /* what is there now cannot be used; "": it is what is used */
	const char *note;      /* what is not good of it; "" */
	uint32_t changes;
};

/* Everything outlives the ctl. Pointers may be NULL (n 0) where a test has none. */
struct mt_extauthz;

struct mt_ctl_env {
	const char *node;	 /* the Node's name */
	struct mt_ctl_self self; /* for Istio's labels */
	const char *node_file;	 /* -c */
	const char *const *dirs; /* all directories that are read: `sources` and -d */
	uint32_t n_dirs;
	struct mt_extauthz *asks; /* who asks external authorization services; NULL: nobody */
	const char *memory;	  /* how memory was got, in words (struct mt_eal_info) */

	const char
		*socket; /* admin.socket; NULL: none. An old socket nobody listens on is replaced */
	const char *view_socket; /* admin.viewSocket, for MT_ROLE_VIEW; NULL: none */
	const char *view_group;	 /* who may open it; NULL: the daemon's group */
	struct mt_addr http_addr;
	uint16_t http_port; /* 0: no HTTP */
	/* Which clients may read Envoy's administration pages there. */
	enum mt_ctl_envoy { MT_CTL_ENVOY_LOOPBACK, MT_CTL_ENVOY_ANY, MT_CTL_ENVOY_OFF } envoy;
	const struct mt_text
		*http_names; /* admin.httpNames: besides addresses, that the page is asked for by */
	uint32_t n_http_names;
	struct mt_ctl_tls tls;

	const struct mt_node_otlp *otlp; /* where metrics are exported to; NULL: nowhere */

	struct mt_conf *conf;
	struct mt_net *net;
	const struct mt_clock *clock; /* NULL: time is what mt_ctl_turn() was told */
	struct mt_port *const *ports;
	uint16_t n_ports;
	struct mt_worker *const *workers;
	uint16_t n_workers;
	const uint16_t *cores;	       /* [n_workers], or NULL */
	struct mt_xds *const *sources; /* discovery servers */
	uint32_t n_sources;
	struct mt_dns_server *dns;	 /* NULL: names are not answered for */
	const struct mt_addr *dns_addrs; /* where clients ask by the ports */
	uint32_t n_dns_addrs;
	const struct mt_dns_allow *dns_allow; /* who is answered */

	/*
	 * The next ones, forget and accept may also answer MT_CTL_LATER: what was asked for is under way, mt_ctl_answer()
	 * tells how it ended, and until then none of them is called by the shell.
	 */
#define MT_CTL_LATER 1
	/*
	 * Reads the documents again and publishes them. 0: `words` say what changed; -errno: refused,
	 * `words` say why, nothing has changed.
	 */
	int (*reload)(void *arg, const struct mt_who *who, char *words, size_t size);
	/* Sets, keeps or drops an override. As reload; `words` also say what it took the place of. */
	int (*tune)(void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words,
		size_t size);
	/* Makes the documents and overrides of that version the ones in force. As reload. */
	int (*rollback)(
		void *arg, const struct mt_who *who, uint64_t version, char *words, size_t size);
	/* The version whose documents are in force since a rollback, while files may say something else; 0: none. */
	uint64_t (*rolled_back)(void *arg);
	struct mt_history *history; /* NULL: none */
	/* Starts draining: no new connections, what is owed is finished. Harmless when repeated. */
	void (*drain)(void *arg);
	/* Warnings and errors of the last load (mt_diags_print()'s lines); NULL: not kept. */
	const char *(*diagnostics)(void *arg);
	/* The longest turn of the control loop within the last one to two minutes, ns. */
	uint64_t (*longest_turn)(void *arg);
	/* What becomes of each object that was read. */
	struct mt_object_table *(*objects)(void *arg);
	/*
	 * What is wrong with policies, or what a caller of that principal (NULL: the first) may call, from that address (NULL: any):
	 * lib/analyse's answer. NULL: e says why not.
	 */
	struct json_t *(*analyse)(
		void *arg, const char *principal, const struct mt_addr *from, struct mt_err *e);
	/* No last good version is held for that object any more, and what follows is loaded. As reload. */
	int (*forget)(void *arg, const struct mt_who *who, const char *kind, const char *ns,
		const char *name, char *words, size_t size);
	/* Why a newer configuration is not in use yet; NULL: there is none that waits. */
	const char *(*waiting)(void *arg);
	/* Fields of the Node document that changed and wait for a restart, with commas; "": none. */
	const char *(*restart)(void *arg);
	/* Whether all that is to be served is. NULL: nobody asks, it is. */
	void (*ready)(void *arg, struct mt_ctl_ready *out);
	/* What is served now is what is to be served. As reload. */
	int (*accept)(void *arg, const struct mt_who *who, char *words, size_t size);
	/* Of the node, for source i: whose certificate, and for how long; NULL: it has none of its own. */
	const char *(*identity)(void *arg, uint32_t i);
	/* How long that certificate is valid, s; false: there is none. */
	bool (*identity_left)(void *arg, uint32_t i, int64_t *left);
	/* Which 0: the node's own, then those beside it; false: there are no more. NULL: nobody knows. */
	bool (*who)(void *arg, uint32_t which, struct mt_ctl_identity *out);
	struct mt_tls_pool *handshakes; /* of workers; NULL: none */
	void *arg;
};

struct mt_ctl;

/*
 * Opens the sockets. NULL with the reason in e: an address or a path that cannot be used, or another
 * daemon that answers on it.
 */
struct mt_ctl *mt_ctl_create(const struct mt_ctl_env *env, uint64_t now, struct mt_err *e);
/* Closes and removes the socket. NULL is allowed. */
void mt_ctl_destroy(struct mt_ctl *c);

/* Readable when mt_ctl_turn() has something to do. */
int mt_ctl_fd(const struct mt_ctl *c);

/* Serves who is waiting; never blocks, but for commands that ask a worker (at most 1 s). */
void mt_ctl_turn(struct mt_ctl *c, uint64_t now);

/* When mt_ctl_turn() wants to be called at the latest (time limits of clients); MT_NEVER: none. */
uint64_t mt_ctl_next(const struct mt_ctl *c);

enum mt_ctl_state {
	MT_CTL_STARTING, /* /ready answers 503 */
	MT_CTL_SERVING,	 /* 200, once mt_ctl_env.ready says so */
	MT_CTL_DRAINING, /* 503 */
};

/* Other roles of env.tls, which the caller keeps until there are others again: who is here already is judged by them. */
void mt_ctl_tls_roles(struct mt_ctl *c, const struct mt_ctl_tls_role *roles, uint32_t n);

/*
 * How it ended what the shell was answered MT_CTL_LATER for: as if `rc` and `words` had been the answer then. Nothing when nobody waits. c NULL is
 * allowed.
 */
void mt_ctl_answer(struct mt_ctl *c, int rc, const char *words, uint64_t now);

/* How a reload ended that was not asked for by the shell, for `show config`. */
void mt_ctl_reloaded(struct mt_ctl *c, bool ok, const char *words, uint64_t now);

/* Other directories are read from now on, as env.dirs. */
void mt_ctl_set_directories(struct mt_ctl *c, const char *const *dirs, uint32_t n);

/* At first MT_CTL_STARTING. */
void mt_ctl_set_state(struct mt_ctl *c, enum mt_ctl_state s);

/* Who asks: the user at the other end of the socket, as the kernel tells it, or whose certificate it is. */
struct mt_who {
	uint32_t uid; /* UINT32_MAX: from another machine */
	int pid;
	char name[128]; /* of the user, else its number; the certificate's */
	char from[64];	/* address and port; "": this machine */
	enum mt_role role;
};

/* "root (pid 17)", "spiffe://x/ops (from 192.0.2.1:40712)", as logs, history and overrides keep it. Returns buf. */
#define MT_WHO_LEN 208
char *mt_who_str(const struct mt_who *who, char buf[MT_WHO_LEN]);

/*
 * One command, "show ports" or "--json show ports": what the socket does with a line. The exit code for
 * the one-shot client (0 ok, 1 failed or not allowed, 2 no such command); text is appended to `out`.
 * `who` NULL: the daemon itself, which may do all.
 */
int mt_ctl_command(struct mt_ctl *c, const struct mt_who *who, const char *line, size_t len,
	struct mt_text_buf *out);

/* What became of the services of a snapshot (NULL: of none), as --check prints it. NULL: no memory. */
struct json_t *mt_ctl_services_json(const struct mt_snapshot *s);
/* An answer as text for people, appended to `out`. */
void mt_ctl_text(const struct json_t *j, struct mt_text_buf *out);
/* docs/reference/metrics.md, of the tables alone. */
void mt_ctl_metrics_page(struct mt_text_buf *out);
/* The table of commands as a section of a manual page, appended to `out`; needs no daemon. */
void mt_ctl_commands_page(struct mt_text_buf *out);

/*
 * The protocol of the socket. Client: a line of at most MT_CTL_LINE bytes, ended by \n. Server: a line
 * "meltemi <exit code> <bytes>\n", then as many bytes. Any number of requests one after another.
 */
#define MT_CTL_LINE 1024
