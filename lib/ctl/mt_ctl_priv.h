/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: the object, requests, commands, and the clients of the socket. */
#pragma once

#include "mt_ctl.h"
#include "mt_expr.h"

#include <jansson.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

/* ---- request.c ----------------------------------------------------------------------------- */

#define MT_CTL_WORDS 64

/* One line, taken apart. */
struct mt_request {
	const char *words[MT_CTL_WORDS]; /* in `text` */
	uint32_t n;
	const char *const *args; /* the words behind the command's own */
	uint32_t n_args;
	const struct mt_who *who;
	bool json, help;
	char text[MT_CTL_LINE + 1];
};

/*
 * A line of words with an optional --json, or an object {"command": "show ports", "json": true}. 0, or
 * -EINVAL with the reason in e: too long, not text, too many words, not the object that is meant.
 */
int mt_request_parse(struct mt_request *r, const char *line, size_t len, struct mt_err *e);

/* ---- command.c, commands_*.c ---------------------------------------------------------------- */

/* Things of the running node whose names complete an argument. */
enum mt_names {
	MT_NAMES_NONE,
	MT_NAMES_SERVICE,
	MT_NAMES_CLUSTER,
	MT_NAMES_ENDPOINT,
	MT_NAMES_ROUTE,
	MT_NAMES_PORT,
	MT_NAMES_WORKER,
	MT_NAMES_COUNTER,
	MT_NAMES_VERSION,
	MT_NAMES_LIMIT,
	MT_NAMES_COMMAND,
	MT_NAMES_STATUS,
	MT_NAMES_LOG, /* modules of the log, and levels */
	MT_N_NAMES
};

#define MT_COMMAND_ARGS 4

struct mt_offers; /* names.h */

struct mt_command {
	const char *words; /* "show ports" */
	/* "", "SERVICE ENDPOINT", "[NAME]" may be left out, "WORD..." any number of them;
	 * "[TEXT]" alone: the command knows nothing of it, only rows that hold it are shown */
	const char *args;
	const char *help;  /* one line */
	const char *more;  /* NULL, or paragraphs for `help COMMAND` and the man page */
	enum mt_role role; /* that it wants; checked in one place, before `run` */
	enum mt_names names[MT_COMMAND_ARGS]; /* that complete the 1st, 2nd .. argument */
	/* NULL, or: what an argument may be beside names; r->args are those before it */
	void (*offer)(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
	/* What it answers, or NULL (no memory). An object {"error": "..."} becomes exit code 1. */
	json_t *(*run)(struct mt_ctl *c, const struct mt_request *r);
};

/* The table in its parts, each ended by a row without words; a topic is a file. */
extern const struct mt_command mt_commands_show[], mt_commands_act[], mt_commands_trace[],
	mt_commands_capture[], mt_commands_help[], mt_commands_load[];
extern const struct mt_command mt_commands_tune[], mt_commands_log[], mt_commands_analyse[];

/* Row i of all parts together, in the order of `help`; NULL behind the last. */
const struct mt_command *mt_command_at(uint32_t i);

/* What a command without arguments that changes nothing answers, by its whole words; NULL: there is none such. */
json_t *mt_command_look(struct mt_ctl *c, const char *words);

/* How many arguments `args` allows; *max UINT32_MAX: any number. */
void mt_command_arity(const char *args, uint32_t *min, uint32_t *max);

#define MT_CTL_PENDING (-1) /* the answer comes later */
#define MT_CTL_OK      0
#define MT_CTL_FAILED  1
#define MT_CTL_USAGE   2
/* Done, and what was asked for is there: the answer says what, and who asked for a status gets 1. */
#define MT_CTL_FOUND 4

/* The command whose words the request begins with (words may be shortened while they are unique);
 * *used: how many. NULL with the reason in e. */
const struct mt_command *mt_command_find(
	const struct mt_request *r, uint32_t *used, struct mt_err *e);

/* nearest.c: what was meant by words that name no command; NULL: nothing that is like them. */
const struct mt_command *mt_command_nearest(const struct mt_request *r);

/* ---- render.c: JSON as text for people ----------------------------------------------------- */

#define MT_CELL 512

/*
 * Bytes that others wrote, as JSON: what is no UTF-8 is written byte by byte as \xNN, so that no name keeps anybody from the rest.
 * NULL: no memory.
 */
json_t *mt_json_bytes(const char *p, size_t len);
static inline json_t *mt_json_text(const char *s)
{
	return mt_json_bytes(s, strlen(s));
}
/* The lines of a text as an array; `text` NULL: none. */
json_t *mt_json_lines(const char *text);
void mt_render_text(const json_t *j, struct mt_text_buf *out);
/* One value as text: a cell of a table. */
void mt_render_cell(const json_t *v, char *buf, size_t size);
/*
 * Members of `o` that have nothing to say become null, so that an answer has the same ones whatever happened before. `names`: all
 * that it may have, with spaces. The text leaves out null ones.
 */
void mt_render_absent(json_t *o, const char *names);
/* Drops rows (of arrays in `j`) and members in which `text` does not occur, in either case. */
void mt_render_filter(json_t *j, const char *text);

/* ---- show_*.c ------------------------------------------------------------------------------ */

json_t *mt_show_version(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_ready(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_ports(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_workers(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_connections(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_exchanges(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_slow(struct mt_ctl *c, const struct mt_request *r);
void mt_offer_connections(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
void mt_offer_exchanges(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
void mt_offer_slow(struct mt_ctl *c, const struct mt_request *r, struct mt_offers *o);
json_t *mt_show_objects(struct mt_ctl *c, const struct mt_request *r);
/* By all workers, because of that object. */
uint64_t mt_ctl_closed_by(const struct mt_ctl *c, const struct mt_closer *by);
/* Lists objects that are refused, or whose last good version goes on; null if there are none. */
json_t *mt_ctl_bad_objects(struct mt_ctl *c);
json_t *mt_show_held(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_neighbours(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_workloads(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_services(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_routes(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_clusters(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_outliers(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_limits(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_memory(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_counters(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_health(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_errors(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_meaning(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_dns(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_config(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_origin(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_mesh(struct mt_ctl *c, const struct mt_request *r);
/* show_identity.c */
json_t *mt_show_identity(struct mt_ctl *c, const struct mt_request *r);
/* Whether something says who the node is, or should. */
bool mt_ctl_node_identity(const struct mt_ctl *c, struct mt_ctl_identity *out);
/* Number `which` of all, the node's own first: it may be none, then neither credential nor `wanted` is set. false: there are no more. */
bool mt_ctl_identity_at(const struct mt_ctl *c, uint32_t which, struct mt_ctl_identity *out);
/* "good", "held": what is there now cannot be used, "expired", "missing". */
const char *mt_ctl_identity_state(const struct mt_ctl *c, const struct mt_ctl_identity *who);
/* From now until then (Unix, s). */
int64_t mt_ctl_until(const struct mt_ctl *c, int64_t at);
json_t *mt_show_xds(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_node(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_stages(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_offloads(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_tables(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_capacity(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_talkers(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_resources(struct mt_ctl *c, const struct mt_request *r);
json_t *mt_show_topology(struct mt_ctl *c, const struct mt_request *r);

/*
 * each_service.c: calls fn once for each service of each listener, however many of its filter
 * chains lead to it.
 */
typedef void mt_ctl_service_fn(
	void *arg, const struct mt_filter_chain_proto *p, const struct mt_service *s);
void mt_ctl_each_service(const struct mt_snapshot *snap, mt_ctl_service_fn *fn, void *arg);
/* The service that all chains of the listener lead to; NULL: there are several, or none. */
const struct mt_service *mt_ctl_only_service(const struct mt_listener *l);

/* show_traffic.c: appends a row of `show services`, of `show clusters` (ep NULL: it has none); returns it. */
json_t *mt_row_service(struct mt_ctl *c, json_t *list, const struct mt_filter_chain_proto *p,
	const struct mt_service *s);
json_t *mt_row_endpoint(
	struct mt_ctl *c, json_t *list, const struct mt_cluster *cl, const struct mt_endpoint *ep);

/* Appends the rows of `show routes` of this service, at most max; how many were left out. */
uint32_t mt_rows_routes(struct mt_ctl *c, json_t *list, const struct mt_service *s, uint32_t max);

/* show_accounts.c: members of `show memory`: what connections hold by class, and who holds most. */
void mt_show_accounts(struct mt_ctl *c, json_t *all);

/* ---- service.c ------------------------------------------------------------------------------ */

/*
 * All about the service of that name at that listener ("240.240.1.1:20880"): its row, where its calls go, its routes, its
 * slow calls and what happened to its endpoints; rows as the commands have them. Every list is empty when it is not there.
 */
json_t *mt_service_detail(struct mt_ctl *c, const char *name, const char *listener);

/* ---- topology.c ----------------------------------------------------------------------------- */

/* What services counted at two moments of the last half minute, by mt_service.index. */
struct mt_lately {
	struct mt_lately_count {
		uint64_t requests, failures;
	} * before, *last; /* [n]; NULL: nobody asked yet */
	uint32_t n;
	uint64_t at; /* ns, of `last` */
};

/* `show topology`; `text` "": all services. `buckets`: rows say their latencies as [us, count] pairs. */
json_t *mt_topology(struct mt_ctl *c, const char *text, bool buckets);
/* The same lists with that service alone. */
json_t *mt_topology_of(
	struct mt_ctl *c, const struct mt_filter_chain_proto *p, const struct mt_service *s);
void mt_topology_fini(struct mt_ctl *c);

/* ---- ask.c: what only a worker may read ---------------------------------------------------- */

#define MT_ASK_ROWS 256

enum mt_ask_what { MT_ASK_CONNECTIONS, MT_ASK_EXCHANGES, MT_ASK_SLOW, MT_ASK_HOLDERS };

/*
 * What a worker copied of its connections or exchanges. The memory stays with the ctl, because a command that was given up
 * may still run later.
 */
struct mt_ask {
	bool under_way; /* ctl: w true, worker: w false */
	bool more;	/* there may be further ones */
	enum mt_ask_what what;
	struct mt_expr expr; /* which ones */
	uint32_t idx;	     /* where to go on */
	uint32_t n;	     /* rows filled */
	union {
		struct mt_ask_connection {
			struct mt_tcp_info tcp;
			struct mt_conn_use use;
		} rows[MT_ASK_ROWS];
		struct mt_record calls[MT_ASK_ROWS];
		struct mt_ask_holder {
			struct mt_addr key;
			uint8_t prefix;
			enum mt_side side;
			enum mt_class class;
			uint32_t conns;
			uint64_t bytes;
		} holders[MT_ASK_ROWS];
	};
};

/* The worker's answer, or NULL when it does not answer within a second (or no memory). */
const struct mt_ask *mt_ask(
	struct mt_ctl *c, uint16_t worker, enum mt_ask_what what, const struct mt_expr *x);
/* Goes on with the same question; NULL: that was all, or it does not answer. */
const struct mt_ask *mt_ask_more(struct mt_ctl *c, uint16_t worker);

/* What the control thread knows of a connection beside. */
struct mt_ask_more {
	uint64_t rate;		       /* bytes per second */
	const char *service, *cluster; /* NULL: none, or several */
};
/* Whether it is one that is asked for, now that all is known. */
bool mt_ask_connection_fits(const struct mt_expr *x, uint16_t worker,
	const struct mt_ask_connection *a, const struct mt_ask_more *more);

/* ---- pace.c: how fast connections are ------------------------------------------------------- */

/* Bytes per second. */
struct mt_rate {
	uint64_t in, out;
	uint32_t over_ms; /* in which they were counted */
};

/*
 * What a connection did since somebody looked at it last; or, when that was not kept, since it began. Looks that come in
 * quick succession get what the first of them got. Always 0 for one that is younger than a millisecond.
 */
struct mt_rate mt_pace_look(struct mt_ctl *c, uint16_t worker, const struct mt_tcp_info *t);
void mt_pace_fini(struct mt_ctl *c);

/* ---- outliers.c: what happened to endpoints ------------------------------------------------- */

/* Takes what workers tell, every turn. */
void mt_outliers_turn(struct mt_ctl *c);
void mt_outliers_fini(struct mt_ctl *c);

/* ---- metrics.c ----------------------------------------------------------------------------- */

/* The outcomes of all rooms that count. */
extern const struct mt_outcome_set *const mt_ctl_sets[];
extern const size_t mt_n_ctl_sets;

/* Row i of all families; NULL behind the last. */
const struct mt_family *mt_family_at(uint32_t i);

/* rte_telemetry.c: /meltemi/... of DPDK's own socket. 0 or -errno. */
int mt_ctl_rte_open(struct mt_ctl *c);
void mt_ctl_rte_close(struct mt_ctl *c);
/* Answers who asked. */
void mt_ctl_rte_turn(struct mt_ctl *c);

/* Registers every room's counters and the families. 0 or -ENOMEM. */
int mt_ctl_metrics_init(struct mt_ctl *c);
void mt_ctl_metrics_fini(struct mt_ctl *c);

/* sums.c: over workers; false: no such index. */
bool mt_ctl_service_stats(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_stats *sum);
bool mt_ctl_service_hist(
	const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_service_hist *sum);
bool mt_ctl_ep_stats(const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_ep_stats *sum);
void mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS]);
void mt_ctl_ep_answers(
	const struct mt_ctl *c, const struct mt_ep_state *ep, struct mt_ep_answers *sum);

/* ---- trace.c ------------------------------------------------------------------------------- */

/* Collects what workers kept, and ends the trace in time. */
void mt_ctl_trace_turn(struct mt_ctl *c);
uint64_t mt_ctl_trace_next(const struct mt_ctl *c);
/* Takes it away from the workers. */
void mt_ctl_trace_free(struct mt_ctl *c);

/* ---- capture.c ----------------------------------------------------------------------------- */

/* Ends a capture whose bounds are reached, or whose reader has gone. */
void mt_ctl_capture_turn(struct mt_ctl *c);
uint64_t mt_ctl_capture_next(const struct mt_ctl *c);
void mt_ctl_capture_free(struct mt_ctl *c);
/* What lies in worker w's ring, of MT_CAPTURE_RING; false: it has none. */
bool mt_ctl_capture_used(const struct mt_ctl *c, uint16_t w, uint64_t *bytes);

/* Words as one line, a space between them. */
void mt_ctl_join_words(const char *const *words, uint32_t n, char *buf, size_t size);

/* ---- show_ready.c ------------------------------------------------------------------------- */

/* What the daemon says; ready if it says nothing. */
void mt_ctl_ready(const struct mt_ctl *c, struct mt_ctl_ready *out);
/* The state, which is "starting" until the node is ready. */
enum mt_ctl_state mt_ctl_state_now(const struct mt_ctl *c);
/* Whether /ready answers 200. */
bool mt_ctl_answers_ready(const struct mt_ctl *c);

/* ---- who.c, socket.c, http.c ---------------------------------------------------------------------- */

#define MT_CTL_CLIENTS 32
/* Of n places, those of the view role when all are taken; the others are operators', whom viewers do not throw out of them. */
#define MT_CTL_VIEWERS(n) ((n) / 4)

/* A client of the socket. */
struct mt_client {
	int fd; /* -1: free */
	uint32_t n_in;
	uint64_t since; /* ns: the last byte of an answer taken, or the first of a line */
	uint64_t asked; /* ns: the last whole line, or the accept */
	struct mt_text_buf out;
	size_t sent; /* of out */
	struct mt_who who;
	SSL *tls;     /* NULL: of this machine */
	bool shaking; /* tls: not authenticated yet */
	bool waits;   /* for the answer of mt_ctl_later */
	bool held;    /* its line is for when that is over */
	bool refused; /* tls: the handshake failed; or the certificate has no role, as the first line is told */
	int64_t valid;	 /* tls: Unix time, s; then its certificate has expired */
	uint32_t judged; /* tls: the state of mt_remote by which it may be here */
	struct mt_addr addr;
	char in[MT_CTL_LINE + 1];
};

/* who.c: the user behind a socket's other end. Reads /etc/passwd and asks nobody: it must not wait. */
void mt_ctl_who(int fd, enum mt_role role, struct mt_who *who);

/* A socket that clients come by; it decides what they may do. */
struct mt_door {
	int fd; /* -1: none */
	enum mt_role role;
	char path[108];
};

/* By env.socket or env.view_socket. */
int mt_ctl_socket_open(struct mt_ctl *c, enum mt_role role, struct mt_err *e);
void mt_ctl_socket_close(struct mt_ctl *c);
void mt_ctl_socket_accept(struct mt_ctl *c, struct mt_door *door);
void mt_ctl_client_event(struct mt_ctl *c, struct mt_client *cl, uint32_t events);
/* Ends clients that do not take their answer; when the next one could be due. */
void mt_ctl_socket_expire(struct mt_ctl *c);
uint64_t mt_ctl_socket_next(const struct mt_ctl *c);

/* When its time is over; MT_NEVER while it owes neither the rest of a line nor to take an answer. */
uint64_t mt_ctl_client_deadline(const struct mt_client *cl);
void mt_ctl_client_close(struct mt_client *cl);
/* Tells it why, if it takes answers, and closes it. */
void mt_ctl_client_evict(struct mt_client *cl, const char *why);
/* When all `places` are taken, the role that gives one up for a newcomer of `role`; `viewers` have so many. */
enum mt_role mt_ctl_yields(enum mt_role role, uint32_t viewers, uint32_t places);
/* Whether `a` should go rather than `b`: who takes no answer first, then who asked longest ago. */
bool mt_ctl_client_rather(const struct mt_client *a, const struct mt_client *b);
int mt_ctl_watch(struct mt_ctl *c, int fd, uint32_t events, void *ptr, int op);

/* ---- remote.c, tls.c: shells of other machines ---------------------------------------------- */

/* Authenticated ones, and at most as many who are not yet. */
#define MT_CTL_REMOTES 16

/* The listener of env.tls with its certificates. */
struct mt_remote {
	int fd; /* -1: none */
	SSL_CTX *ctx;
	uint64_t stamp;	     /* of the files as they were read */
	uint32_t state;	     /* another one when files or roles are: who is here is judged anew */
	uint64_t look;	     /* ns: when files are looked at although nobody comes or asks */
	uint64_t anew;	     /* ns: when all are judged anew although nothing has changed */
	uint32_t handshakes; /* that may still begin until `refill` */
	uint64_t refill;     /* ns */
	bool paused;	     /* nobody is accepted until `refill` */
	char trouble[512];   /* why newer files are not in use; "": they are */
	char words[256];     /* of the last objection */
	struct mt_client clients[2 * MT_CTL_REMOTES];
};

/* door/listen.c: a listening socket that never waits, or -errno. */
int mt_ctl_listen(const struct mt_addr *addr, uint16_t port);
int mt_remote_open(struct mt_ctl *c, struct mt_err *e);
void mt_remote_close(struct mt_ctl *c);
void mt_remote_accept(struct mt_ctl *c);
/* Goes on with the handshake; false: close it. */
bool mt_remote_shake(struct mt_ctl *c, struct mt_client *cl);
void mt_remote_expire(struct mt_ctl *c);
uint64_t mt_remote_next(const struct mt_ctl *c);
/* Why this client must not go on asking, in words; NULL: it may, with the role that it has now. */
const char *mt_remote_objection(struct mt_ctl *c, struct mt_client *cl);

/* As recv() and send(), which never wait: EAGAIN, and 0 or another errno at the end. */
ssize_t mt_tls_recv(SSL *tls, void *p, size_t n);
ssize_t mt_tls_send(SSL *tls, const void *p, size_t n);

/* Loads the files; NULL with the reason in e. */
SSL_CTX *mt_tls_server(const struct mt_ctl_tls *t, struct mt_err *e);
/* A number that changes when one of the files does. */
uint64_t mt_tls_stamp(const struct mt_ctl_tls *t);
/* Why the peer's certificate would not be believed if it came now; NULL: it would. */
const char *mt_tls_doubt(SSL_CTX *ctx, SSL *tls);
/* Who the peer is by its certificate, and until when. False: it has no role; who->name is a name of it. */
bool mt_tls_who(SSL *tls, const struct mt_ctl_tls *t, struct mt_who *who, int64_t *valid);

/* ---- http.c, http_clients.c ----------------------------------------------------------------- */

#define MT_HTTP_CLIENTS 64
#define MT_UI_QUESTIONS 2
#define MT_UI_ASKED	300

/* A connection of the HTTP face. */
struct mt_http_client {
	enum mt_http_doing {
		MT_HTTP_FREE,
		MT_HTTP_SILENT, /* nothing whole has been asked yet */
		MT_HTTP_REPLY,
		MT_HTTP_AGAIN, /* between two requests */
		MT_HTTP_ENDING
	} doing;
	int fd;		/* the library's; not FREE only */
	uint64_t since; /* ns */
	struct mt_addr addr;
};

/* Accepted, and no place for it yet. */
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

/* What the page was told last: who asks for the same again soon gets the same. */
struct mt_ui_data {
	uint64_t made; /* ns; 0: never */
	char asked[2][MT_UI_ASKED];
	struct mt_text_buf body;
};

/* Takes who waits at the listener, and ends who keeps it out. */
void mt_http_accept(struct mt_ctl *c);
/*
 * Ends connections whose time is over, and accepts those that wait for a place; true if it did
 * either. Then: when the next one's time is over.
 */
bool mt_http_expire(struct mt_ctl *c);
uint64_t mt_http_clients_next(const struct mt_ctl *c);
void mt_http_clients_close(struct mt_ctl *c);

/* ---- recent.c: what counters did in the last minute --------------------------------------- */

#define MT_RECENT_STEPS 7 /* of 10 s: the oldest is a minute old when the newest was just taken */

struct mt_recent {
	uint64_t *values; /* [MT_RECENT_STEPS][n + what is kept of each worker] */
	uint32_t n;	  /* counters, in the registry's order */
	uint32_t taken;
	uint64_t at[MT_RECENT_STEPS], next; /* ns */
};

/* Behind mt_ctl_metrics_init(). 0 or -ENOMEM. */
int mt_recent_init(struct mt_ctl *c);
void mt_recent_fini(struct mt_ctl *c);
void mt_recent_turn(struct mt_ctl *c);
/* How much counter i of the registry, whose sum is `value` now, grew since the oldest step. */
uint64_t mt_recent_count(const struct mt_ctl *c, uint32_t i, uint64_t value);
/* How long that is: up to 70 s, less when the daemon is younger. */
uint32_t mt_recent_seconds(const struct mt_ctl *c);
/* How long worker w ran since then, and how many cycles of it were in turns that found work. */
void mt_recent_worker(const struct mt_ctl *c, uint16_t w, uint64_t *run_ns, uint64_t *work_cycles);

/* ---- the object ---------------------------------------------------------------------------- */

/* The answer of a command that is under way. */
struct mt_ctl_later {
	json_t *answer;	 /* but for its words; NULL: none is */
	const char *key; /* of these */
	bool asked;	 /* the command has been answered MT_CTL_PENDING */
	bool json;
};

struct mt_ctl {
	struct mt_ctl_env env;
	enum mt_ctl_state state;
	bool ready_off; /* by `ready off`: /ready answers 503 */
	uint64_t now, started;
	int epoll;
	int rte_fd; /* eventfd: somebody asks; -1: none */
	struct mt_metrics *metrics;
	struct mt_family *families; /* of metrics.c */
	struct mt_ctl_family *family_args;
	struct mt_fold *folds[3]; /* by enum mt_series_kind */
	struct mt_scrape *scrape; /* whose slice is being made; else NULL */

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
	struct mt_outliers *outliers;	/* NULL: nothing happened yet */
	struct mt_pace *paces;		/* NULL: nobody looked at connections yet */
	struct mt_ctl_trace *trace;	/* NULL: nothing was traced yet */
	struct mt_ctl_capture *capture; /* NULL: nor captured */
	struct mt_recent recent;
	struct mt_ctl_otlp *otlp; /* NULL: metrics are not exported */

	struct mt_ctl_later later;
	char confirm_by[MT_WHO_LEN]; /* of the `commit confirm` that waits */

	/* of the last `reload` by the shell */
	uint64_t reloaded_at;
	bool reload_ok;
	char reload_words[512];
};

static inline struct mt_snapshot *mt_ctl_snapshot(const struct mt_ctl *c)
{
	return c->env.conf ? mt_conf_current(c->env.conf) : NULL;
}

/*
 * later.c: the answer `j`, whose words are at `key`, to a request that the daemon answered by `rc`; MT_CTL_LATER: it is kept
 * until the words are there. Takes j over.
 */
json_t *mt_ctl_when(
	struct mt_ctl *c, const struct mt_request *r, int rc, const char *key, json_t *j);
/* Whether the line has to wait until what is under way has ended: it may be about the same. */
bool mt_ctl_must_wait(const struct mt_ctl *c, const char *line, size_t len);
/* As text or JSON; takes j over. */
void mt_ctl_put_answer(json_t *j, bool json, struct mt_text_buf *out);

/* socket.c: the answer to who waits, if somebody does; then those who were held. */
void mt_ctl_client_answer(struct mt_ctl *c, int code, const struct mt_text_buf *body);

/* {"error": words} */
json_t *mt_ctl_error(const char *fmt, ...) mt_printf(1, 2);
