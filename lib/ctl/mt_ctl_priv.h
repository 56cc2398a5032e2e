/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: the ctl object, requests, commands, and the clients of the sockets. */
#pragma once

#include "mt_codec_registry.h"
#include "mt_ctl.h"
#include "mt_expr.h"
#include "row.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

/* ---- request.c ----------------------------------------------------------------------------- */

#define MT_CTL_WORDS 64

/* One line, split into words. */
struct mt_request {
	const char *words[MT_CTL_WORDS]; /* in `text` */
	uint32_t n;
	const char *const *args; /* the words after the command's own */
	uint32_t n_args;
	struct mt_ctl_view *view;	  /* view.h: the view of the answer; NULL: none */
	const struct mt_command *command; /* that runs it; NULL: another command does */
	const struct mt_who *who;
	bool json, help;
	char text[MT_CTL_LINE + 1];
};

/*
 * Parses a line of words with an optional --json, or an object {"command": "show ports", "json":
 * true}. 0, or -EINVAL with the reason in e: too long, not text, too many words, or another object.
 */
int mt_request_parse(struct mt_request *r, const char *line, size_t len, struct mt_err *e);
/* Joins "KEY VALUE" to "KEY=VALUE" from word `at` on, for the keys in a list (mt_lists()). */
void mt_request_settings(struct mt_request *r, uint32_t at, const char *keys);
/* True if `list`, names with spaces between, has the name. */
bool mt_lists(const char *list, const char *name);

/* ---- command.c, commands_*.c ---------------------------------------------------------------- */

/* Kinds of objects of the running node whose names complete an argument. */
enum mt_names {
	MT_NAMES_NONE,
	MT_NAMES_SERVICE,
	MT_NAMES_CLUSTER,
	MT_NAMES_ENDPOINT,
	MT_NAMES_ROUTE,
	MT_NAMES_LISTENER,
	MT_NAMES_FORWARD, /* forwarded ports */
	MT_NAMES_PORT,
	MT_NAMES_WORKER,
	MT_NAMES_COUNTER,
	MT_NAMES_VERSION,
	MT_NAMES_LIMIT,
	MT_NAMES_COMMAND,
	MT_NAMES_STATUS,
	MT_NAMES_POLICY,
	MT_NAMES_MODULE, /* of the log */
	MT_NAMES_LOG,	 /* modules and levels of the log */
	MT_N_NAMES
};

#define MT_COMMAND_ARGS 4

/* Groups of `help`. */
enum mt_group {
	MT_GROUP_LOOK,	  /* shows the present state */
	MT_GROUP_EXPLAIN, /* finds out why, changes nothing that is served */
	MT_GROUP_CHANGE,  /* from here on for operators */
	MT_GROUP_RESCUE,  /* undoes a change, or serves in spite of a fault */
	MT_N_GROUPS
};

struct mt_offers;   /* names.h */
struct mt_ctl_view; /* view.h */

/* A function that runs a command; see mt_command.run. */
typedef json_t *mt_run_fn(struct mt_ctl *c, const struct mt_request *r);
typedef void mt_offer_fn(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);

struct mt_command {
	const char *words; /* "show ports" */
	/*
	 * "SERVICE ENDPOINT"; "[NAME]" is optional, "WORD..." means any number of words. NULL: none.
	 */
	const char *args;
	/* NULL, or the settings among the arguments, a list: "KEY VALUE" or "KEY=VALUE". */
	const char *settings;
	/*
	 * NULL, or the columns, with spaces between, that the only argument selects by
	 * (mt_render_named()); the command does not handle it.
	 */
	const char *key;
	/*
	 * NULL, or the columns of the answer's tables, with spaces between, that text shows without
	 * `wide`.
	 */
	const char *columns;
	const char *help; /* one line */
	const char *more; /* NULL, or paragraphs for `help COMMAND` and the man page */
	enum mt_group group;
	bool operate;			      /* requires the operator role, whatever the group */
	enum mt_names names[MT_COMMAND_ARGS]; /* for the 1st, 2nd .. argument */
	/* NULL, or offers completions besides names; r->args are the arguments before it */
	mt_offer_fn *offer;
	/* The arguments are an expression, and `run` takes that of r->view too. */
	bool selects;
	/*
	 * Returns the answer, or NULL (no memory). mt_ctl_error() becomes exit code 1,
	 * mt_ctl_wrong() exit code 2.
	 */
	mt_run_fn *run;
	/*
	 * NULL, or returns what to answer if `key` of no row has the argument: an error, or NULL if
	 * the empty answer is right.
	 */
	json_t *(*none)(const char *text);
};

/* The table in parts, one file per topic; each part ends with a row without words. */
extern const struct mt_command mt_commands_show[], mt_commands_act[], mt_commands_trace[],
	mt_commands_capture[], mt_commands_help[], mt_commands_load[], mt_commands_drain[];
extern const struct mt_command mt_commands_tune[], mt_commands_log[], mt_commands_analyse[];

static inline const char *mt_command_args(const struct mt_command *cmd)
{
	return cmd->args ? cmd->args : "";
}

/* Required role; checked in one place, before `run`. */
static inline enum mt_role mt_command_role(const struct mt_command *cmd)
{
	return cmd->operate || cmd->group >= MT_GROUP_CHANGE ? MT_ROLE_OPERATE : MT_ROLE_VIEW;
}

/* The last of the command's words. */
static inline const char *mt_command_noun(const struct mt_command *cmd)
{
	const char *blank = strrchr(cmd->words, ' ');

	return blank ? blank + 1 : cmd->words;
}

/* Row i of all parts together, in the order of `help`; NULL after the last. */
const struct mt_command *mt_command_at(uint32_t i);

/*
 * Runs a command of the view role without arguments, by its full words, and returns its answer.
 * NULL: there is no such command.
 */
json_t *mt_command_look(struct mt_ctl *c, const char *words);

/* Number of arguments that `args` allows; *max UINT32_MAX: any number. */
void mt_command_arity(const char *args, uint32_t *min, uint32_t *max);

#define MT_CTL_PENDING (-1) /* the answer comes later */
#define MT_CTL_OK      0
#define MT_CTL_FAILED  1
#define MT_CTL_USAGE   2
/* Done, and the search found something: a client that reports an exit status reports 1. */
#define MT_CTL_FOUND 4

/*
 * Finds the command whose words start the request (words may be shortened while unique); *used: how
 * many words. NULL with the reason in e.
 */
const struct mt_command *mt_command_find(
	const struct mt_request *r, uint32_t *used, struct mt_err *e);

/* nearest.c: the command that unknown words may have meant; NULL: none is similar. */
const struct mt_command *mt_command_nearest(const struct mt_request *r);

/* ---- render.c: JSON as text for people ------------------------------------------------------ */

#define MT_CELL 512

void mt_render_text(const json_t *j, struct mt_text_buf *out);
/* True if the answer has tables, and all of them are empty. */
bool mt_render_is_empty(const json_t *j);
/* Formats one value as the text of a table's cell. */
void mt_render_cell(const json_t *v, char *buf, size_t size);
/*
 * Drops rows (of arrays in `j`), or without arrays members, that do not contain `text`, ignoring
 * case.
 */
void mt_render_filter(json_t *j, const char *text);
/*
 * Keeps the rows with exactly `text` in one of the columns (names with spaces between); if there
 * are none, those with a value that contains it, ignoring case. Of rows with a `port` the text may
 * be "VALUE:PORT". `columns` "": the members of `j` by their names.
 */
void mt_render_named(json_t *j, const char *columns, const char *text);

/* ---- show_*.c ------------------------------------------------------------------------------ */

mt_run_fn mt_show_version, mt_show_ready, mt_show_ports, mt_show_workers, mt_show_connections,
	mt_show_exchanges, mt_show_slow, mt_show_objects, mt_show_last_good, mt_show_neighbours,
	mt_show_workloads, mt_show_guests, mt_show_services, mt_show_forwarding, mt_show_routes,
	mt_show_listeners, mt_show_policies, mt_show_clusters, mt_show_endpoints, mt_show_outliers,
	mt_show_limits, mt_show_limits_top, mt_show_memory, mt_show_counters, mt_show_health,
	mt_show_errors, mt_show_meaning, mt_show_dns, mt_show_config, mt_show_origin, mt_show_mesh,
	mt_show_identity, mt_show_xds, mt_show_node, mt_show_stages, mt_show_offloads,
	mt_show_tables, mt_show_capacity, mt_show_telemetry, mt_run_log_reopen, mt_show_denied,
	mt_show_talkers, mt_show_resources, mt_show_topology, mt_show_flows, mt_show_flow_list;
mt_offer_fn mt_offer_connections, mt_offer_exchanges, mt_offer_slow, mt_offer_flows;
json_t *mt_none_objects(const char *text);
/* Number of denials by all workers because of that object. */
uint64_t mt_ctl_closed_by(const struct mt_ctl *c, const struct mt_closer *by);
/* Lists objects that are rejected or run with their last good version; null if there are none. */
json_t *mt_ctl_bad_objects(struct mt_ctl *c);
/* Seconds since `at` (ns, as c->now); null: never. */
json_t *mt_json_ago(const struct mt_ctl *c, uint64_t at);
const char *mt_ctl_transport(uint8_t protocol); /* "tcp", "udp", or "other" */
/* The forwarded port at this address, that of TCP if there are two; NULL: none. */
const struct mt_forward *mt_ctl_forward_at(
	const struct mt_snapshot *s, const struct mt_addr *addr, uint16_t port);
/*
 * Identity number `which`, the node's own first. That one may be missing; then neither credential
 * nor `wanted` is set. False: there are no more.
 */
bool mt_ctl_identity_at(const struct mt_ctl *c, uint32_t which, struct mt_ctl_identity *out);
/*
 * State of an identity: "good", "last-good" (because the current one cannot be used),
 * "expired" or "missing".
 */
const char *mt_ctl_identity_state(const struct mt_ctl *c, const struct mt_ctl_identity *who);
/* Seconds from now until `at` (Unix time, s). */
int64_t mt_ctl_until(const struct mt_ctl *c, int64_t at);

/*
 * each_service.c: calls fn once for each service of each listener, however many of its filter
 * chains use the service.
 */
typedef void mt_ctl_service_fn(
	void *arg, const struct mt_filter_chain_proto *p, const struct mt_service *s);
void mt_ctl_each_service(const struct mt_snapshot *snap, mt_ctl_service_fn *fn, void *arg);
/* The only service of all chains of the listener; NULL: there are several, or none. */
const struct mt_service *mt_ctl_only_service(const struct mt_listener *l);

/*
 * show_traffic.c, show_clusters.c: append a row of `show services`, or of `show endpoints` (ep
 * NULL: the cluster has no endpoint), and return it.
 */
json_t *mt_row_service(struct mt_ctl *c, json_t *list, const struct mt_filter_chain_proto *p,
	const struct mt_service *s);
json_t *mt_row_endpoint(
	struct mt_ctl *c, json_t *list, const struct mt_cluster *cl, const struct mt_endpoint *ep);

/* Sets p50_us, p90_us, p99_us and p999_us of a row from a histogram (mt_hist_at()). */
void mt_row_latency(json_t *row, const uint64_t *counts, uint32_t n, uint32_t bits);

/*
 * Appends the rows of `show routes` of this service, at most max; returns how many were left out.
 */
uint32_t mt_rows_routes(struct mt_ctl *c, json_t *list, const struct mt_service *s, uint32_t max);
/* limits_by_key.c: the rules of limits by key; null: there are none. */
json_t *mt_rows_limits_by_key(struct mt_ctl *c);

/*
 * show_accounts.c: adds members of `show memory`: bytes charged to connections by class, and the
 * largest holders.
 */
void mt_show_accounts(struct mt_ctl *c, json_t *all);

/* ---- service.c ------------------------------------------------------------------------------ */

/*
 * Details of the service with that name at that listener ("240.240.1.1:20880"): its row, where its
 * calls go, its routes, its slow calls and the outlier events of its endpoints. Rows are those of
 * the commands. All lists are empty if there is no such service.
 */
json_t *mt_service_detail(struct mt_ctl *c, const char *name, const char *listener);

/* ---- topology.c ----------------------------------------------------------------------------- */

/* Counts of services at two moments of the last half minute, by mt_service.index. */
struct mt_lately {
	struct mt_lately_count {
		uint64_t requests, failures;
		uint64_t opaque_bytes; /* of an opaque TCP service, both directions */
	} * before, *last;	       /* [n]; NULL: no query yet */
	uint32_t n;
	uint64_t at; /* ns, of `last` */
};

/*
 * `show topology`; `text` "": all services. `buckets`: rows have their latencies as [us, count]
 * pairs.
 */
json_t *mt_topology(struct mt_ctl *c, const char *text, bool buckets);
/* The same lists for that service alone. */
json_t *mt_topology_of(
	struct mt_ctl *c, const struct mt_filter_chain_proto *p, const struct mt_service *s);
void mt_topology_fini(struct mt_ctl *c);

/* ---- pace.c: rates of connections ----------------------------------------------------------- */

/* Bytes per second. */
struct mt_rate {
	uint64_t in, out;
	uint32_t over_ms; /* period in which they were counted */
};

/*
 * Rate of a connection since the last query; or since its start, if the last query is not stored.
 * Queries in quick succession get the same rate. Always 0 for a connection younger than a
 * millisecond.
 */
struct mt_rate mt_pace_look(struct mt_ctl *c, uint16_t worker, const struct mt_tcp_info *t);
void mt_pace_fini(struct mt_ctl *c);

/* ---- outliers.c: history of endpoints ------------------------------------------------------- */

/* Takes the events that workers report; call in every loop iteration. */
void mt_outliers_turn(struct mt_ctl *c);
/* Logs the end of ejections that no worker reports; call once a second. */
void mt_outliers_check(struct mt_ctl *c);
void mt_outliers_fini(struct mt_ctl *c);

/* ---- events.c: what the log reports of the traffic ------------------------------------------- */

/* Looks once a second for events; call in every loop iteration, after mt_outliers_turn(). */
void mt_events_turn(struct mt_ctl *c);
void mt_events_fini(struct mt_ctl *c);

/* ---- metrics.c ----------------------------------------------------------------------------- */

/* Outcomes of all libraries that count. */
extern const struct mt_outcome_set *const mt_ctl_sets[];
extern const size_t mt_n_ctl_sets;

/* Row i of all families; NULL after the last. */
const struct mt_family_row *mt_family_at(uint32_t i);

/* Registers the counters of all libraries and the families. 0 or -ENOMEM. */
int mt_ctl_metrics_init(struct mt_ctl *c);
void mt_ctl_metrics_fini(struct mt_ctl *c);

/* sums.c: sums over all workers; false: no such index. */
bool mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum);
bool mt_ctl_service_hist(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_hist *sum);
/* The portions of a worker; NULL: there is no such worker. */
const struct mt_portion *mt_ctl_portions(const struct mt_ctl *c, uint16_t worker);
bool mt_ctl_ep_stats(const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_ep_stats *sum);
void mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS]);
void mt_ctl_ep_answers(
	const struct mt_ctl *c, const struct mt_ep_state *ep, struct mt_ep_answers *sum);

/* ---- trace.c ------------------------------------------------------------------------------- */

/* Collects kept traces, and ends tracing when its time is over. */
void mt_ctl_trace_turn(struct mt_ctl *c);
uint64_t mt_ctl_trace_next(const struct mt_ctl *c);
/* Takes the tracers from the workers and frees them. */
void mt_ctl_trace_free(struct mt_ctl *c);

/* ---- capture.c ----------------------------------------------------------------------------- */

/* Ends a capture that has reached its bounds or has lost its reader. */
void mt_ctl_capture_turn(struct mt_ctl *c);
uint64_t mt_ctl_capture_next(const struct mt_ctl *c);
void mt_ctl_capture_free(struct mt_ctl *c);
/* Bytes in worker w's ring, of MT_CAPTURE_RING; false: it has none. */
bool mt_ctl_capture_used(const struct mt_ctl *c, uint16_t w, uint64_t *bytes);

/* Joins words to one line with spaces between them. */
void mt_ctl_join_words(const char *const *words, uint32_t n, char *buf, size_t size);

/* ---- show_ready.c ------------------------------------------------------------------------- */

/* Result of env.ready(); ready if there is no such function. */
void mt_ctl_ready(const struct mt_ctl *c, struct mt_ctl_ready *out);
/* The state; MT_CTL_STARTING until the node is ready. */
enum mt_ctl_state mt_ctl_state_now(const struct mt_ctl *c);
/* True if /ready answers 200. */
bool mt_ctl_answers_ready(const struct mt_ctl *c);
/*
 * Names the first object that is refused and has no last good version, so that the node does not
 * serve it although it may be ready: a new node has no record of what is to be served. Returns buf,
 * or NULL if there is none.
 */
const char *mt_ctl_not_served(const struct mt_ctl *c, char *buf, size_t size);

/* ---- who.c, socket.c, http.c ---------------------------------------------------------------- */

#define MT_CTL_CLIENTS 32
/*
 * How many of n slots viewers get when all slots are taken. Viewers never displace operators from
 * the other slots.
 */
#define MT_CTL_VIEWERS(n) ((n) / 4)

/* A client of the socket. */
struct mt_client {
	int fd; /* -1: free */
	uint32_t n_in;
	uint64_t since; /* ns: last byte of an answer taken, or first byte of a line */
	uint64_t asked; /* ns: last complete line, or the accept */
	struct mt_text_buf out;
	size_t sent; /* of out */
	struct mt_who who;
	SSL *tls;     /* NULL: on this machine */
	bool shaking; /* tls: not authenticated yet */
	bool waits;   /* for the answer in mt_ctl_later */
	bool held;    /* its line waits for another client's answer */
	/*
	 * tls: the handshake failed; or the certificate has no role, and the reply to the first
	 * line states that.
	 */
	bool refused;
	int64_t valid;	 /* tls: when its certificate expires, Unix time, s */
	uint32_t judged; /* tls: mt_remote.state when it was last checked */
	struct mt_addr addr;
	char in[MT_CTL_LINE + 1];
};

/*
 * who.c: the user at the other end of a socket. Reads /etc/passwd and queries no directory service,
 * because that could block.
 */
void mt_ctl_who(int fd, enum mt_role role, struct mt_who *who);

/* A listening socket; it determines the role of its clients. */
struct mt_door {
	int fd; /* -1: none */
	enum mt_role role;
	char path[108];
};

/* Opens env.socket or env.view_socket. */
int mt_ctl_socket_open(struct mt_ctl *c, enum mt_role role, struct mt_err *e);
void mt_ctl_socket_close(struct mt_ctl *c);
void mt_ctl_socket_accept(struct mt_ctl *c, struct mt_door *door);
void mt_ctl_client_event(struct mt_ctl *c, struct mt_client *cl, uint32_t events);
/*
 * Closes clients that do not take their answer. mt_ctl_socket_next(): when the next one may be due.
 */
void mt_ctl_socket_expire(struct mt_ctl *c);
uint64_t mt_ctl_socket_next(const struct mt_ctl *c);

/*
 * When the time of the client is over, ns; MT_NEVER unless it has to complete a line or to take an
 * answer.
 */
uint64_t mt_ctl_client_deadline(const struct mt_client *cl);
void mt_ctl_client_close(struct mt_client *cl);
/* Closes the client; before, sends the reason if no other answer is unsent. */
void mt_ctl_client_evict(struct mt_client *cl, const char *why);
/*
 * The role that gives up a slot to a newcomer of `role` when all `places` are taken, `viewers` of
 * them by viewers.
 */
enum mt_role mt_ctl_yields(enum mt_role role, uint32_t viewers, uint32_t places);
/*
 * True if `a` should go rather than `b`: first clients that do not take their answer, then the one
 * with the oldest request.
 */
bool mt_ctl_client_rather(const struct mt_client *a, const struct mt_client *b);
int mt_ctl_watch(struct mt_ctl *c, int fd, uint32_t events, void *ptr, int op);

/* ---- remote.c, tls.c: shells on other machines ---------------------------------------------- */

/* Maximum number of authenticated shells, and also of those that are not authenticated yet. */
#define MT_CTL_REMOTES 16

/* The listener of env.tls, with its certificates. */
struct mt_remote {
	int fd; /* -1: none */
	SSL_CTX *ctx;
	uint64_t stamp;	     /* of the files in use */
	uint32_t state;	     /* changes with files or roles: all shells are checked again */
	uint64_t look;	     /* ns: next check of the files without a request */
	uint64_t anew;	     /* ns: next check of all shells without a change */
	uint32_t handshakes; /* that may start until `refill` */
	uint64_t refill;     /* ns */
	bool paused;	     /* no client is accepted until `refill` */
	char trouble[512];   /* why newer files cannot be used; "": no problem */
	char words[256];     /* text of the last objection */
	struct mt_client clients[2 * MT_CTL_REMOTES];
};

/* door/listen.c: a non-blocking listening socket, or -errno. */
int mt_ctl_listen(const struct mt_addr *addr, uint16_t port);
int mt_remote_open(struct mt_ctl *c, struct mt_err *e);
void mt_remote_close(struct mt_ctl *c);
void mt_remote_accept(struct mt_ctl *c);
/* Continues the handshake; false: close the client. */
bool mt_remote_shake(struct mt_ctl *c, struct mt_client *cl);
void mt_remote_expire(struct mt_ctl *c);
uint64_t mt_remote_next(const struct mt_ctl *c);
/* Why this client may not continue; NULL: it may, with its current role. */
const char *mt_remote_objection(struct mt_ctl *c, struct mt_client *cl);

/* Like recv() and send() without blocking: EAGAIN, and 0 or another errno at the end. */
ssize_t mt_tls_recv(SSL *tls, void *p, size_t n);
ssize_t mt_tls_send(SSL *tls, const void *p, size_t n);

/* Loads the files; NULL with the reason in e. */
SSL_CTX *mt_tls_server(const struct mt_ctl_tls *t, struct mt_err *e);
/* A number that changes when one of the files changes. */
uint64_t mt_tls_stamp(const struct mt_ctl_tls *t);
/* Why the peer's certificate would be rejected now; NULL: it would be accepted. */
const char *mt_tls_doubt(SSL_CTX *ctx, SSL *tls);
/*
 * Name and role of the peer by its certificate; *valid: end of its validity. False: it has no role;
 * who->name is a name in the certificate.
 */
bool mt_tls_who(SSL *tls, const struct mt_ctl_tls *t, struct mt_who *who, int64_t *valid);

/* ---- http.c, http_clients.c ----------------------------------------------------------------- */

#define MT_HTTP_CLIENTS 64
#define MT_UI_QUESTIONS 2
#define MT_UI_ASKED	300

/* A connection of the HTTP server. */
struct mt_http_client {
	enum mt_http_doing {
		MT_HTTP_FREE,
		MT_HTTP_SILENT, /* no complete request yet */
		MT_HTTP_REPLY,
		MT_HTTP_AGAIN, /* idle between two requests */
		MT_HTTP_ENDING
	} doing;
	int fd;		/* the library's; valid unless FREE */
	uint64_t since; /* ns */
	struct mt_addr addr;
};

/* An accepted connection that waits for a slot. */
struct mt_http_parked {
	int fd;
	struct sockaddr_storage from;
	socklen_t len;
	uint64_t since;
};

int mt_ctl_http_open(struct mt_ctl *c, struct mt_err *e);
void mt_ctl_http_close(struct mt_ctl *c);
void mt_ctl_http_turn(struct mt_ctl *c);
uint64_t mt_ctl_http_next(const struct mt_ctl *c);

/* The page's last answer to a query; the same query gets it again for a short time. */
struct mt_ui_data {
	uint64_t made; /* ns; 0: never */
	char asked[2][MT_UI_ASKED];
	struct mt_text_buf body;
};

/* Accepts waiting connections, and ends those that keep them out. */
void mt_http_accept(struct mt_ctl *c);
/*
 * Ends connections whose time is over, and accepts those that wait for a slot; true if it did
 * either. mt_http_clients_next(): when the next one's time is over.
 */
bool mt_http_expire(struct mt_ctl *c);
uint64_t mt_http_clients_next(const struct mt_ctl *c);
void mt_http_clients_close(struct mt_ctl *c);

/* ---- recent.c: growth of counters in the last minute ---------------------------------------- */

#define MT_RECENT_STEPS 7 /* the oldest is a minute old when the newest was just taken */
#define MT_RECENT_STEP	(10 * MT_SEC)
#define MT_RECENT_NS	(MT_RECENT_STEPS * MT_RECENT_STEP)

struct mt_recent {
	uint64_t *values; /* [MT_RECENT_STEPS][n + values of each worker] */
	uint64_t *last;	  /* [n]: ns, the last step with a higher count; 0: none */
	uint32_t n;	  /* counters, in the registry's order */
	uint32_t taken;
	uint64_t at[MT_RECENT_STEPS], next; /* ns */
};

/* Call after mt_ctl_metrics_init(). 0 or -ENOMEM. */
int mt_recent_init(struct mt_ctl *c);
void mt_recent_fini(struct mt_ctl *c);
void mt_recent_turn(struct mt_ctl *c);
/* Growth of counter i of the registry, whose sum is `value` now, since the oldest step. */
uint64_t mt_recent_count(const struct mt_ctl *c, uint32_t i, uint64_t value);
/* When it last grew, ns: now, or a step of 10 s; 0: never. */
uint64_t mt_recent_last(const struct mt_ctl *c, uint32_t i, uint64_t value);
/* Length of that period in s: up to 70, less if the daemon is younger. */
uint32_t mt_recent_seconds(const struct mt_ctl *c);
/* How long worker w ran since then, and its cycles in busy loop iterations. */
void mt_recent_worker(const struct mt_ctl *c, uint16_t w, uint64_t *run_ns, uint64_t *work_cycles);

/* ---- clear.c: `clear counters` -------------------------------------------------------------- */

struct mt_cleared {
	uint64_t *base; /* [n], in the registry's order; NULL: not cleared */
	uint32_t n;
	uint64_t wall; /* when, ns since 1970 */
};

/* Growth of counter i of the registry, with the sum `value` now, since `clear counters`. */
uint64_t mt_cleared_count(const struct mt_ctl *c, uint32_t i, uint64_t value);
/* Adds to the answer since when counters count, if they were cleared. */
void mt_cleared_since(const struct mt_ctl *c, json_t *answer);
void mt_cleared_fini(struct mt_ctl *c);
mt_run_fn mt_run_clear;

/* ---- the object ---------------------------------------------------------------------------- */

/* The answer of a command that is under way. */
struct mt_ctl_later {
	json_t *answer;	 /* without its words; NULL: no command is under way */
	const char *key; /* member for the words */
	bool asked;	 /* mt_ctl_command() has returned MT_CTL_PENDING */
	bool json;
};

struct mt_ctl {
	struct mt_ctl_env env;
	enum mt_ctl_state state;
	bool ready_off; /* set by `ready off`: /ready answers 503 */
	uint64_t now, started;
	int epoll;
	struct mt_metrics *metrics;
	struct mt_family *families; /* of metrics.c */
	struct mt_ctl_family *family_args;
	struct mt_fold *folds[5]; /* by enum mt_series_kind */
	struct mt_joined *joined; /* istio_merge.c; NULL: not needed so far */
	struct mt_scrape *scrape; /* whose slice is being made, or NULL */

	struct mt_door doors[2]; /* by enum mt_role */
	struct mt_client clients[MT_CTL_CLIENTS];
	struct mt_remote remote;

	struct MHD_Daemon *http;
	int http_listener; /* -1: none */
	struct mt_http_client *http_adding;
	struct mt_http_client http_clients[MT_HTTP_CLIENTS];
	struct mt_http_parked http_parked[MT_HTTP_CLIENTS];
	uint32_t n_http_parked;
	struct mt_ui_data ui[MT_UI_QUESTIONS];
	struct mt_lately lately;
	struct mt_ask *asks[MT_WORKERS_MAX];
	struct mt_outliers *outliers;	/* NULL: no event yet */
	struct mt_answering *answering; /* waiting.c */
	bool endpoints_changed;		/* an endpoint was ejected, returned or leaves */
	struct mt_events *events;	/* NULL: before the first look */
	struct mt_pace *paces;		/* NULL: no query of connections yet */
	struct mt_ctl_trace *trace;	/* NULL: nothing was traced yet */
	struct mt_ctl_capture *capture; /* NULL: nothing was captured yet */
	struct mt_recent recent;
	struct mt_cleared cleared;
	struct mt_ctl_otlp *otlp; /* NULL: metrics are not exported */

	struct mt_ctl_later later;
	char confirm_by[MT_WHO_LEN]; /* client of the `commit confirm` under way */

	/* result of the last reload */
	uint64_t reloaded_at;
	bool reload_ok;
	char reload_words[512];
};

/* Name of a port of the node, by its index; "guests" for that of all guests. */
const char *mt_ctl_port_name(const struct mt_ctl *c, uint16_t port);

static inline struct mt_snapshot *mt_ctl_snapshot(const struct mt_ctl *c)
{
	return c->env.conf ? mt_conf_current(c->env.conf) : NULL;
}

/* The codecs of the current configuration; operators use their names. */
static inline const struct mt_codec_registry *mt_ctl_codecs(const struct mt_ctl *c)
{
	return c->env.conf ? mt_conf_codecs(c->env.conf) : mt_codec_registry_built_in();
}

/*
 * later.c: the answer to a request that the daemon answered with `rc`: an error with the words if
 * it is negative, else an object with the words as member `key`. MT_CTL_LATER: the object, with
 * what the caller adds, is kept until its words are known.
 */
json_t *mt_ctl_when(
	struct mt_ctl *c, const struct mt_request *r, int rc, const char *key, const char *words);
/*
 * True if the line has to wait for the command under way, because both may change the same object.
 */
bool mt_ctl_must_wait(const struct mt_ctl *c, const char *line, size_t len);
/* Writes j as text or JSON; takes j over. */
void mt_ctl_put_answer(json_t *j, bool json, struct mt_text_buf *out);

/*
 * socket.c: sends the answer to the waiting client, if there is one; then serves the clients whose
 * lines had to wait.
 */
void mt_ctl_client_answer(struct mt_ctl *c, int code, const struct mt_text_buf *body);

/* {"error": words}: the command failed. */
json_t *mt_ctl_error(const char *fmt, ...) mt_printf(1, 2);
/* The error of wrong arguments. */
json_t *mt_ctl_wrong(const struct mt_err *e);
