/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/ctl: the operator's interfaces on the control thread: admin sockets (Unix, one command per
 * line), a TLS listener for shells on other machines, a small HTTP server (/ready, /metrics, the
 * built-in page, Envoy's administration pages), and the table of commands behind all of them. It
 * owns its sockets only. The objects that it shows and the actions that it starts belong to the
 * libraries in `struct mt_ctl_env`.
 *
 * It has one descriptor (mt_ctl_fd()) for the daemon's event loop and starts no thread. Call all
 * functions on the control thread. Data of workers is read with relaxed loads or requested through
 * their mailbox.
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
struct mt_guest_hub;
struct mt_guest_list;
struct mt_history;
struct mt_tls_pool;

/* What a client may do. */
enum mt_role {
	MT_ROLE_VIEW,	 /* read, change nothing */
	MT_ROLE_OPERATE, /* everything */
};

/* Gives a role to clients whose certificate has this name; "*" at its end matches any rest. */
struct mt_ctl_tls_role {
	const char *identity;
	enum mt_role role;
};

/* Remote shells: TLS with certificates on both sides. PEM files, read again when they change. */
struct mt_ctl_tls {
	struct mt_addr addr;
	uint16_t port; /* 0: none */
	const char *certificate, *key, *client_roots;
	const char *client_revocations;	     /* NULL: none */
	const struct mt_ctl_tls_role *roles; /* the first match applies; without one: refused */
	uint32_t n_roles;
};

/* A request of `tune`, `drain` or `return` to the daemon. */
struct mt_ctl_tune {
	enum { MT_TUNE_SET, MT_TUNE_KEEP, MT_TUNE_DROP, MT_TUNE_RETURN } what;
	/* SET; RETURN: the drains that mt_overrides_return() removes */
	const struct mt_override *set;
	uint32_t id; /* KEEP, DROP; 0: all overrides */
};

#define MT_SELF_TEXT 128

/* Workload identity of the node in its mesh; "": unknown. */
struct mt_ctl_self {
	char workload[MT_SELF_TEXT], ns[MT_SELF_TEXT], cluster[MT_SELF_TEXT];
	char app[MT_SELF_TEXT], version[MT_SELF_TEXT];
	char canonical_service[MT_SELF_TEXT], canonical_revision[MT_SELF_TEXT];
};

/* A condition that the node waits for before it is ready. Texts are never NULL. */
struct mt_ctl_wait {
	const char *kind; /* "source", "host", "services", "object", "worker", "port" */
	const char *name, *source, *why;
};

/* Texts are valid until the next call. */
struct mt_ctl_ready {
	bool ready;
	/* A worker hangs, or a port's device was removed: `accept` does not end the wait. */
	bool restart;
	const struct mt_ctl_wait *waits;
	uint32_t n;
};

/*
 * An identity: the node's own, or one of spec.identities. Texts are never NULL unless noted. They
 * and the credential are valid until the next loop iteration.
 */
struct mt_ctl_identity {
	const struct mt_credential *credential; /* in use; NULL: none */
	/* Name that the credential must prove, from spec.identities; NULL: the node's own. */
	const char *held_for;
	bool wanted;	       /* an identity is configured or expected */
	const char *from;      /* source of the credential: a directory, or "xds:NAME" */
	const char *directory; /* watched directory; NULL: identity of a source */
	/* Why the identity that is there now cannot be used; "": it is in use. */
	const char *why;
	const char *note; /* problems of the credential in use; "": none */
	uint32_t changes;
};

struct mt_alog;
struct mt_callout;
struct mt_extauthz;

/* All of these objects must outlive the ctl. Tests may leave pointers NULL (n 0). */
struct mt_ctl_env {
	const char *node;	 /* name of the Node */
	struct mt_ctl_self self; /* for Istio's labels */
	const char *node_file;	 /* -c */
	const char *const *dirs; /* all directories that are read: `sources` and -d */
	uint32_t n_dirs;
	struct mt_extauthz *asks;  /* client of external authorization services; NULL: none */
	struct mt_callout *limits; /* client of rate limit services; NULL: none */
	const char *memory;	   /* how memory was obtained, in words (struct mt_eal_info) */

	const char
		*socket; /* admin.socket; NULL: none. An old socket without listener is replaced */
	const char *view_socket; /* admin.viewSocket, for MT_ROLE_VIEW; NULL: none */
	const char *view_group;	 /* group that may open it; NULL: the daemon's group */
	struct mt_addr http_addr;
	uint16_t http_port; /* 0: no HTTP */
	/* Clients that may read Envoy's administration pages over HTTP. */
	enum mt_ctl_envoy { MT_CTL_ENVOY_LOOPBACK, MT_CTL_ENVOY_ANY, MT_CTL_ENVOY_OFF } envoy;
	const struct mt_text
		*http_names; /* admin.httpNames: accepted in the Host header, besides addresses */
	uint32_t n_http_names;
	uint32_t workload_series; /* admin.workloadSeries; 0: the default */
	struct mt_ctl_tls tls;

	struct mt_alog *log;		 /* the access log; NULL: none */
	const struct mt_node_otlp *otlp; /* where metrics are exported; NULL: no export */

	struct mt_conf *conf;
	struct mt_net *net;
	const struct mt_clock *clock; /* NULL: time is the `now` of mt_ctl_turn() */
	struct mt_port *const *ports;
	uint16_t n_ports;
	const struct mt_guest_list *guests; /* NULL: the node has no port of guests */
	const struct mt_guest_hub *guest_hub;
	struct mt_worker *const *workers;
	uint16_t n_workers;
	const uint16_t *cores;	       /* [n_workers], or NULL */
	struct mt_xds *const *sources; /* discovery servers */
	uint32_t n_sources;
	const struct mt_name_table *names; /* of endpoints; NULL: none */
	struct mt_dns_server *dns;	   /* NULL: the node answers no names */
	const struct mt_addr *dns_addrs;   /* addresses on the ports where clients query */
	uint32_t n_dns_addrs;
	const struct mt_dns_allow *dns_allow; /* clients that are answered */

	/*
	 * reload, tune, rollback, forget and accept may also return MT_CTL_LATER: the action is
	 * under way, and mt_ctl_answer() delivers its result. Until then the shell calls none of
	 * them again.
	 */
#define MT_CTL_LATER 1
	/*
	 * Reads the documents again and publishes them. 0: `words` lists the changes; -errno:
	 * rejected, `words` has the reason, and nothing has changed.
	 */
	int (*reload)(void *arg, const struct mt_who *who, char *words, size_t size);
	/*
	 * Sets, keeps or drops an override. Returns like reload; `words` also has the override that
	 * was replaced.
	 */
	int (*tune)(void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words,
		size_t size);
	/* Applies the documents and overrides of that version again. Returns like reload. */
	int (*rollback)(
		void *arg, const struct mt_who *who, uint64_t version, char *words, size_t size);
	/*
	 * Version whose documents are applied since a rollback, though files may differ; 0: none.
	 */
	uint64_t (*rolled_back)(void *arg);
	struct mt_history *history; /* NULL: none */
	/*
	 * Starts to drain the node, which still accepts clients, or ends that. May be repeated.
	 * False: a signal ends the daemon.
	 */
	bool (*drain)(void *arg, bool on);
	/* Why the state directory cannot be written; NULL: it can. May be NULL. */
	const char *(*state_trouble)(void *arg);
	/* Warnings and errors of the last load (lines of mt_diags_print()); NULL: not kept. */
	const char *(*diagnostics)(void *arg);
	/* The longest iteration of the control loop within the last one to two minutes, ns. */
	uint64_t (*longest_turn)(void *arg);
	/* Status of each object that was read. */
	struct mt_object_table *(*objects)(void *arg);
	/*
	 * Runs lib/analyse. principal NULL: finds problems of policies; otherwise lists what a
	 * caller with that principal may call, from that address (NULL: any). NULL with the reason
	 * in e.
	 */
	struct json_t *(*analyse)(
		void *arg, const char *principal, const struct mt_addr *from, struct mt_err *e);
	/*
	 * Drops the last good version that is kept of that object, and reloads. Returns like
	 * reload.
	 */
	int (*forget)(void *arg, const struct mt_who *who, const char *kind, const char *ns,
		const char *name, char *words, size_t size);
	/* Why a newer configuration is not applied yet; NULL: none is waiting. */
	const char *(*waiting)(void *arg);
	/*
	 * Fields of the Node document that changed and need a restart, with commas between; "":
	 * none.
	 */
	const char *(*restart)(void *arg);
	/* Reports whether every expected service is served. NULL: not checked, always ready. */
	void (*ready)(void *arg, struct mt_ctl_ready *out);
	/* Accepts the services that are served now as complete. Returns like reload. */
	int (*accept)(void *arg, const struct mt_who *who, char *words, size_t size);
	/*
	 * The node's certificate towards source i, in words: whose, and how long it is valid. NULL:
	 * it has none of its own.
	 */
	const char *(*identity)(void *arg, uint32_t i);
	/* Remaining validity of that certificate, s; false: there is none. */
	bool (*identity_left)(void *arg, uint32_t i, int64_t *left);
	/*
	 * Identity `which`: 0 is the node's own, the others are of spec.identities; false: there
	 * are no more. NULL: unknown.
	 */
	bool (*who)(void *arg, uint32_t which, struct mt_ctl_identity *out);
	struct mt_tls_pool *handshakes; /* handshake threads of the workers; NULL: none */
	void *arg;
};

struct mt_ctl;

/*
 * Opens the sockets. NULL with the reason in e: an address or path cannot be used, or another
 * daemon answers on it.
 */
struct mt_ctl *mt_ctl_create(const struct mt_ctl_env *env, uint64_t now, struct mt_err *e);
/* Closes the sockets and removes their files. c may be NULL. */
void mt_ctl_destroy(struct mt_ctl *c);

/* Epoll descriptor; readable when mt_ctl_turn() has work. */
int mt_ctl_fd(const struct mt_ctl *c);

/*
 * Serves clients that are ready. Does not block, except in commands that query a worker (at most 1
 * s).
 */
void mt_ctl_turn(struct mt_ctl *c, uint64_t now);

/*
 * When mt_ctl_turn() must be called at the latest (time limits of clients, tracing and captures);
 * MT_NEVER: no limit.
 */
uint64_t mt_ctl_next(const struct mt_ctl *c);

enum mt_ctl_state {
	MT_CTL_STARTING, /* /ready answers 503 */
	MT_CTL_SERVING,	 /* 200, once mt_ctl_env.ready reports ready */
	MT_CTL_DRAINING, /* 503 */
};

/*
 * Replaces the roles of env.tls; the caller keeps them until the next replacement. Connected shells
 * are checked against them. Without a role the listener is closed until there is one again. Only if
 * env.tls was set.
 */
void mt_ctl_tls_roles(struct mt_ctl *c, const struct mt_ctl_tls_role *roles, uint32_t n);

/*
 * Ends an action that returned MT_CTL_LATER, as if it had returned `rc` and `words`. No effect if
 * no client waits. c may be NULL.
 */
void mt_ctl_answer(struct mt_ctl *c, int rc, const char *words, uint64_t now);

/* Records the result of a reload that no shell requested, for `show config`. */
void mt_ctl_reloaded(struct mt_ctl *c, bool ok, const char *words, uint64_t now);

/* Replaces env.dirs, the directories that are read. */
void mt_ctl_set_directories(struct mt_ctl *c, const char *const *dirs, uint32_t n);

/* Sets the state by which /ready answers; it is MT_CTL_STARTING after creation. */
void mt_ctl_set_state(struct mt_ctl *c, enum mt_ctl_state s);

/*
 * A client: the user at the other end of the socket, as reported by the kernel, or the name in its
 * certificate.
 */
struct mt_who {
	uint32_t uid; /* UINT32_MAX: on another machine */
	int pid;
	char name[128]; /* user name, else "user UID"; name in the certificate */
	char from[64];	/* address and port; "": this machine */
	enum mt_role role;
};

/*
 * Formats a client as logs, history and overrides have it: "root (pid 17)", "spiffe://x/ops (from
 * 192.0.2.1:40712)". Returns buf.
 */
#define MT_WHO_LEN 208
char *mt_who_str(const struct mt_who *who, char buf[MT_WHO_LEN]);

/*
 * Runs one command, "show ports" or "--json show ports", as the socket does with a line, and
 * appends the text to `out`. `who` NULL: the daemon itself, which may run everything.
 *
 * Returns the exit code for the one-shot client: 0 done, 1 failed or not allowed, 2 no such command
 * or wrong arguments, 4 done and something was found (`analyse`); or -1 if mt_ctl_answer() will
 * complete it.
 */
int mt_ctl_command(struct mt_ctl *c, const struct mt_who *who, const char *line, size_t len,
	struct mt_text_buf *out);

/* Status of the services of a snapshot (NULL: of none), as --check prints it. NULL: no memory. */
struct json_t *mt_ctl_services_json(const struct mt_snapshot *s);
/* Formats an answer as text, appended to `out`. */
void mt_ctl_text(const struct json_t *j, struct mt_text_buf *out);
/* Writes docs/reference/metrics.md, from the tables alone. */
void mt_ctl_metrics_page(struct mt_text_buf *out);
/* Appends the table of commands as a section of a manual page; needs no daemon. */
void mt_ctl_commands_page(struct mt_text_buf *out);
/*
 * Appends a line "WORD<tab>HELP" for each word that may replace the last of the `n` words of a
 * command line, in the order of `complete`. Uses the tables alone, so names of a running node are
 * missing. Needs no daemon.
 */
void mt_ctl_complete(const char *const *words, uint32_t n, struct mt_text_buf *out);

/*
 * Protocol of the socket. Client: a line of at most MT_CTL_LINE bytes, ended by \n. Server: a line
 * "meltemi <exit code> <bytes>\n", then that many bytes. Requests may follow one another.
 */
#define MT_CTL_LINE 1024
