/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as one object: what boot makes, in the order in which it makes it. Control thread only,
 * but for what workers reach through their own pointers.
 */
#pragma once

#include "args.h"

#include "mt_aead.h"
#include "mt_conf.h"
#include "mt_ctl.h"
#include "mt_dns_server.h"
#include "mt_name_table.h"
#include "mt_net.h"
#include "mt_objects.h"
#include "mt_port_boot.h"
#include "mt_served.h"
#include "mt_source.h"
#include "mt_strmap.h"
#include "mt_tls_pool.h"
#include "mt_extauthz.h"
#include "mt_token_pool.h"
#include "mt_worker.h"
#include "mt_xds.h"

#include <sys/socket.h>
#include <sys/un.h>

#define SOURCES_MAX   64
#define MESH_MAX      8
#define DNS_ADDRS_MAX 64

struct mt_identity;

struct mt_identity_source;

struct daemon;

/* Who the node is to its peers, or whom it stands for beside that (identity.c). */
struct node_identity {
	struct daemon *d;
	char *claim; /* of spec.identities: whom it has to be for; NULL: the node's own */
	struct mt_identity_source *told; /* NULL: none is written, or `where` is a source */
	char *where; /* a directory, "unix:SOCKET" or "xds:NAME"; NULL: not written */
	struct mt_credential *used; /* NULL: none */
	char from[512];		    /* of that: the directory, or "xds:NAME" */
	uint64_t serials[2];	    /* of the source's secrets that were looked at */
	uint32_t changes;
	char why[512];	/* what is there now cannot be used; "": it is used */
	char note[512]; /* what is not good of it */
	bool fresh;	/* nothing was said of it yet: what it is for goes on as before */
	uint64_t fresh_until;
};

/* A source that is a discovery server. */
struct mesh_source {
	const struct mt_node_xds *node;
	uint32_t index; /* of the Node's sources */
	struct mt_xds *xds;
	struct mt_secrets *secrets;   /* its own: "default" of one mesh is not that of another */
	struct mt_identity *identity; /* NULL: none of its own, or it cannot be read */
	struct mt_err no_identity;    /* why it cannot */
	uint64_t open_at;	      /* the next attempt */
};

/* What the service manager was told (notify.c). */
struct notify {
	int fd;
	struct sockaddr_un to;
	socklen_t to_len; /* 0: there is nobody to tell */
	bool ready;
	uint64_t watchdog; /* ns; 0: none is wanted */
	uint64_t pinged, status_at;
	char words[512];
	/* Of workers, also without anybody to tell: how often they have turned, and when that was seen to change. */
	uint64_t turns[MT_WORKERS_MAX], turned_at[MT_WORKERS_MAX];
};

/* Whether the node is ready, and what it waits for (ready.c). */
struct ready {
	struct mt_served list; /* what is to be served */
	bool listed;	       /* there is such a list */
	bool open;	       /* the gate: for good */
	bool dirty;	       /* the list is not on disk as it is, nor on its way there */
	bool writing;	       /* an older or this one is on its way */
	bool accepting;	       /* who said `accept` waits for that */
	uint32_t given_up;     /* by it */
	uint64_t version;      /* of the snapshot that the list was made of */
	uint64_t look_at, write_at;
	struct mt_ctl_wait *waits; /* of the last look; in `words` */
	uint32_t n_waits;
	struct mt_region words;
	struct mt_ctl_wait hung; /* a worker */
	char stuck[12];
	bool told_waits, told_write;
};

/* Why a snapshot that waits was compiled, for the history. */
struct waiting_cause {
	const char *from;
	bool refreshing;
	const char *refresh_from;
	char who[MT_WHO_LEN], what[512];
};

/* A change of overrides that counts when it is in the state directory (override.c). */
struct overriding {
	struct mt_overrides to;
	bool writing;
	bool set; /* an override, and not only dropped or kept */
	int rc;
	struct mt_err why;
	struct mt_who who;
	char what[MT_OVERRIDE_TEXT + 16];
};

/* What files say, read in one turn of the control thread and taken in the next: neither is longer than it must be. */
struct config_reading {
	bool is;    /* there is one */
	bool fresh; /* of this turn */
	struct mt_source_reading r;
	struct mt_source_texts *texts;
	struct mt_diags diags;
};

struct daemon {
	struct args args;
	int exit_code;

	/* configuration */
	struct mt_source_cache *files; /* what they said when they were last read */
	const struct mt_node *node;    /* of the start: its settings stay as they were then */
	struct mt_model *node_part;    /* what it lives in */
	struct mt_kept *kept;	       /* the last good version of each object */
	struct mt_object_table *table; /* what files said, of the last load that was taken */
	char *read_words;	       /* what was said when they were read */
	bool refused;		       /* what they say now could not be taken as a whole */
	struct mt_conf *conf;
	struct mt_snapshot *first; /* compiled, not yet published */
	struct mt_watch *watch;
	/* compiled and not yet current, because something is in the way (publish.c); NULL: none */
	struct mt_snapshot *waiting;
	int waiting_rc;
	bool waiting_writes; /* it is for a file that is on its way to the disk */
	struct waiting_cause waiting_cause;
	uint64_t retry_at, retry_after; /* ns; the second doubles */
	char waiting_words[512];
	char reload_words[1024]; /* how the last reload ended */
	int reload_rc;		 /* and in a number */
	struct config_reading reading;
	bool read_told;	    /* the service manager waits for the end of it */
	bool reload_unsaid; /* documents were taken, and not yet told to be in force (config.c) */
	bool reload_node;   /* of these: the Node's own is to be looked at */
	char reload_first[400];	  /* of these: the first error; "": none */
	char change_words[512];	  /* what it changed; "": nothing that has a name of its own */
	char node_fields[512];	  /* of the Node document: applied by the newest load; "": none */
	char restart_fields[512]; /* of the Node document: changed since the start; "": none */
	char *diagnostics;	  /* warnings and errors of the last load, as printed */

	/* what was in force when, and what an operator has overridden (history.c, override.c) */
	struct mt_history *history;
	struct mt_source_texts *texts; /* of `documents` */
	uint64_t rolled_back; /* the version that they are of; 0: they are what files say */
	const char *cause,
		*cause_what; /* of the load under way; NULL: files, or a discovery server */
	char cause_who[MT_WHO_LEN];
	struct mt_worker_knobs knobs_at_start, knobs;
	struct overriding overriding;
	/* what who asked by the shell last is still to be told (mt_ctl_answer()) */
	enum { LATER_NOTHING, LATER_PUBLISHED, LATER_WRITTEN } later;

	/* discovery servers */
	struct mesh_source mesh[MESH_MAX];
	struct mt_xds *sources[MESH_MAX]; /* the same, for the shell */
	uint32_t n_mesh;
	uint32_t
		sources_refused; /* that are not connected to, because nobody may be believed in clear text */
	struct mt_fds mesh_fds;
	struct mt_resolver *mesh_names;
	struct mt_name_table
		*looked_up; /* names of documents' instances; NULL: nothing runs (--check) */
	struct mt_rand mesh_rng;
	bool on_demand;	       /* a source has clusters on demand */
	bool mesh_changed;     /* and not loaded yet */
	bool identity_changed; /* with mesh_changed: an identity has changed */
	const char
		*refresh_from; /* source of the change: "discovery"; NULL: load_changes() decides */
	uint64_t mesh_next;    /* the next load of it, at the earliest */
	bool refreshing;       /* such a load is under way */
	uint64_t refresh_told; /* when the log told of one last; 0: it may at once */

	/* machine */
	uint16_t n_workers, n_ports;
	struct rte_rcu_qsbr *rcu;
	struct mt_eal_info eal;
	struct mt_clock clock;
	struct mt_steer steer;
	struct mt_port *ports[MT_PORTS_MAX];
	struct mt_pools pools[MT_WORKERS_MAX];
	struct mt_net *net;
	struct mt_net_old *net_old; /* replaced tables that wait for quiescence */
	uint64_t net_old_token;
	struct mt_addr *vips; /* sorted */
	uint32_t n_vips;
	struct net_leaving *leaving; /* VIPs of before whose connections are to end */
	uint32_t n_leaving;
	struct mt_dns_server *dns;		 /* NULL: the Node serves no names */
	struct mt_addr dns_addrs[DNS_ADDRS_MAX]; /* where clients ask by the ports */
	uint32_t n_dns_addrs;
	struct mt_dns_allow dns_allow; /* who is answered */
	uint64_t dns_look;	       /* when resolv.conf is looked at again */
	struct mt_tls_pool *tls;       /* handshakes */
	struct mt_token_pool *tokens;  /* what verifies them */
	struct mt_extauthz *asks;      /* what asks external authorization services */
	struct mt_aead *aeads[MT_WORKERS_MAX];
	struct mt_worker *workers[MT_WORKERS_MAX];
	bool launched;

	struct node_identity identity, *held[MT_HELD_MAX];
	uint32_t n_held;
	bool held_untold; /* to the compiler */

	struct notify notify;
	struct ready ready;

	/* control loop */
	struct mt_ctl *ctl;
	struct mt_ctl_tls_role *roles; /* of remote shells, with texts of their own; outlives ctl */
	uint32_t n_roles;
	const char *dirs[ARGS_DIRS_MAX + SOURCES_MAX]; /* all that are read */
	uint32_t n_dirs;
	struct mt_model *dirs_part; /* what their names live in */
	uint64_t read_at;	    /* mt_watch_clock() when the last reading of files began */
	int epoll, signals, ticks;
	struct mt_service *service; /* writes files */
	int wake_fd;		    /* eventfd: workers have questions */
	bool draining;
	uint64_t drain_until;
	uint64_t second;		       /* when the once-a-second work is due */
	uint64_t turn_longest[2], turn_minute; /* ns: of that minute, and of the one before */
	bool told_checksums, told_superframes[MT_PORTS_MAX];
};

/* ---- boot.c ------------------------------------------------------------------------------- */

/* Starts all rooms in order. 0, or after a line on stderr the exit code; what was started is stopped. */
int boot_start(struct daemon *d);
/* Stops all rooms in reverse. */
void boot_stop(struct daemon *d);

/* ---- start and stop of the rooms: 0, or -errno with the reason in e ------------------------- */

int config_start(struct daemon *d, struct mt_err *e);
void config_stop(struct daemon *d);
int state_start(struct daemon *d, struct mt_err *e);
void state_stop(struct daemon *d);
int memory_start(struct daemon *d, struct mt_err *e);
void memory_stop(struct daemon *d);
int ports_start(struct daemon *d, struct mt_err *e);
void ports_stop(struct daemon *d);
int net_start(struct daemon *d, struct mt_err *e);
void net_stop(struct daemon *d);
int service_start(struct daemon *d, struct mt_err *e);
void service_stop(struct daemon *d);
int identity_start(struct daemon *d, struct mt_err *e);
void identity_stop(struct daemon *d);
int tls_start(struct daemon *d, struct mt_err *e);
void tls_stop(struct daemon *d);
int tokens_start(struct daemon *d, struct mt_err *e);
void tokens_stop(struct daemon *d);
int wake_start(struct daemon *d, struct mt_err *e);
void wake_stop(struct daemon *d);
void wake_turn(struct daemon *d, uint64_t now);
int dns_start(struct daemon *d, struct mt_err *e);
void dns_stop(struct daemon *d);
/* 0, or the memory of this machine is not enough for the spec.connections that were asked for, with the numbers. */
int connections_fit(const struct mt_node *n, struct mt_err *e);
int workers_start(struct daemon *d, struct mt_err *e);
void workers_stop(struct daemon *d);
int publish_start(struct daemon *d, struct mt_err *e);
void publish_stop(struct daemon *d);
int control_start(struct daemon *d, struct mt_err *e);
void control_stop(struct daemon *d);
int mesh_start(struct daemon *d, struct mt_err *e);
void mesh_stop(struct daemon *d);
int admin_start(struct daemon *d, struct mt_err *e);
/* The roles of spec.admin.tls as this Node has them, from now on. */
void admin_roles(struct daemon *d, const struct mt_node *n);
void admin_stop(struct daemon *d);
int keys_start(struct daemon *d, struct mt_err *e);
void keys_stop(struct daemon *d);
int rights_start(struct daemon *d, struct mt_err *e);
void rights_stop(struct daemon *d);
int launch_start(struct daemon *d, struct mt_err *e);
void launch_stop(struct daemon *d);

int notify_start(struct daemon *d, struct mt_err *e);
void notify_stop(struct daemon *d);

int ready_start(struct daemon *d, struct mt_err *e);
void ready_stop(struct daemon *d);

/* ---- ready.c ------------------------------------------------------------------------------- */

/* On the tick. */
void ready_turn(struct daemon *d, uint64_t now);
bool ready_is(struct daemon *d);
/* For lib/ctl; as mt_ctl_env.ready and accept. arg: the daemon. */
void ready_ask(void *arg, struct mt_ctl_ready *out);
int ready_accept(void *arg, const struct mt_who *who, char *words, size_t size);

/* ---- notify.c: the service manager ---------------------------------------------------------- */

/* On the tick. */
void notify_turn(struct daemon *d, uint64_t now);
/* A reload begins; it is over, however it ended. */
void notify_reload(struct daemon *d, bool begins);
/* The daemon drains and ends. */
void notify_stopping(struct daemon *d);
/* The first worker that has not turned for seconds; -1: all turn. */
int notify_stuck(const struct daemon *d, uint64_t now);

/* ---- node_diff.c --------------------------------------------------------------------------- */

/*
 * Names the fields in which `b` differs from `a` and that need a restart, with commas between them ("" and false: in none).
 * What does not fit is cut off.
 */
bool node_changes(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size);
/*
 * The same for fields that a reload applies and that no change of a listener, service or cluster
 * shows.
 */
bool node_followed(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size);

/* ---- check.c ------------------------------------------------------------------------------- */

/* Devices, cores and memory that the Node names, without touching them. */
void check_machine(const struct mt_node *n, struct mt_diags *diags);
/* For --check: an error for each file or directory that was not read to its end and that no entry names. */
void check_partial(const struct mt_source_reading *r, struct mt_diags *diags);
/*
 * For --check: what a start on this machine, with its memory as it is now, would refuse, as a warning. Not for a
 * reload, when the connections have that memory already.
 */
void check_connections(const struct mt_node *n, struct mt_diags *diags);

/* ---- calls between them -------------------------------------------------------------------- */

/*
 * Reads all documents again and publishes what they say. 0, or -errno: refused, which changes nothing;
 * d->reload_words tell either.
 */
int config_reload(struct daemon *d, uint64_t now);
/* The same in two turns: files are read; what was read in a turn before is taken. Whoever loads anything else in between comes later, and counts. */
void config_read(struct daemon *d, uint64_t now);
void config_take_read(struct daemon *d, uint64_t now);
/* What was read is in force: who changed the Node hears what of it is not. d->reload_rc: whether all is well. */
void config_in_force(struct daemon *d);
/* The Node document as it is in force now. */
const struct mt_node *config_node(const struct daemon *d);
/* A day has passed until which an object was not enforced. */
bool config_is_due(const struct daemon *d);
/* The same with the documents as they were read last: a discovery server has said something. */
int config_refresh(struct daemon *d, uint64_t now);
/* The same with documents that were kept: those of version `version`. */
int config_from_texts(struct daemon *d, struct mt_source_texts *t, uint64_t version, uint64_t now);
/* Where state is kept: stateDirectory, or its default. */
const char *state_dir(const struct daemon *d);
/*
 * The addresses that listeners of `s` serve, and later become the node's VIPs: whatever can fail of that is behind us when this
 * has answered. NULL: no memory. Used, which cannot fail, or forgotten (NULL is allowed).
 */
struct net_vips *net_prepare_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e);
void net_use_vips(struct daemon *d, struct net_vips *v);
void net_forget_vips(struct net_vips *v);
/* Whether the kernel leaves these addresses to us. */
int net_check_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e);
/* Frees replaced tables that no worker can see any more. */
void net_reap(struct daemon *d);
/* Adds the service thread's descriptor to the event loop; -errno. */
int service_listen(struct daemon *d);
/* Adds the names' descriptor to the event loop, if there is one; -errno. */
int dns_listen(struct daemon *d);
void dns_turn(struct daemon *d, uint64_t now);
/* Whether the address is one of a port's own. */
bool net_is_port_address(const struct daemon *d, const struct mt_addr *a);
/* Turns of all workers that began before are over. */
void workers_quiesce(struct daemon *d);
void workers_drain(struct daemon *d);
bool workers_idle(struct daemon *d);
/* The directories that this Node's file names are watched from now on, and what changed since they were read is noticed. */
void control_watch(struct daemon *d, struct mt_model *node_part);
/* The control thread's loop; returns when the daemon is to stop. */
void control_run(struct daemon *d);

/* What was counted, to the log; workers have stopped. */
void tally(struct daemon *d);

/* The objects of the documents in force are what goes on where one of them cannot be used. */
void config_keep(struct daemon *d);

/* What is in force, compiled once more for who looks at it: to be discarded. NULL: it cannot be. */
struct mt_snapshot *config_compile(struct daemon *d, struct mt_diags *diags, uint64_t now);

/* ---- analyse.c ---------------------------------------------------------------------------- */

/* As struct mt_ctl_env has it; `arg` is the daemon. */
struct json_t *analyse_ask(
	void *arg, const char *principal, const struct mt_addr *from, struct mt_err *e);
/* For --analyse: on stdout. The exit code. */
int analyse_print(struct daemon *d);

/* ---- tell.c ------------------------------------------------------------------------------- */

/* The list as printed, to be freed; NULL: no memory. */
char *tell_words(struct mt_diags *diags);
/* To who checks or to the log, and kept for `show config`. */
void tell(struct daemon *d, struct mt_diags *diags);
/* The same when a discovery server has said something. */
void tell_again(struct daemon *d, struct mt_diags *diags);
/* For --check: the report on stdout and the exit code; returns `rc`. */
int check_report(struct daemon *d, const struct mt_diags *diags, int rc);

/* ---- publish.c ---------------------------------------------------------------------------- */

/*
 * Makes `s` current, or keeps it and tries again later; either way it is no longer the caller's. 0, or
 * -errno: it waits, and d->waiting_words say for what.
 */
int publish_snapshot(struct daemon *d, struct mt_snapshot *s, uint64_t now);
/* On the tick: tries again when it is time, and tells who waits for that. */
void publish_retry(struct daemon *d, uint64_t now);
/* A file was written: what waits for it is tried at once. */
void publish_written(struct daemon *d, uint64_t now);
/* -EINPROGRESS of a publish, for the shell: it is told the end when the snapshot is current, or cannot be. Else rc. */
int publish_later(struct daemon *d, int rc);
/* What waits will not be wanted any more. */
void publish_forget(struct daemon *d, uint64_t now);
/* Writes what a publish changed, with the Node's fields that it applies. */
void publish_words(
	const struct daemon *d, const struct mt_conf_change *change, char *buf, size_t size);
/* Notes how a reload ended, for the shell and the log; returns `rc`. */
int publish_note(struct daemon *d, int rc, const char *fmt, ...) mt_printf(3, 4);

/* ---- override.c: what an operator overrides at run time ------------------------------------------- */

int override_start(struct daemon *d, struct mt_err *e);
void override_stop(struct daemon *d);
/* Overrides that were kept, before anything is compiled. */
void override_load(struct daemon *d);
/* Writes those that are kept, as they hold now; only the log hears of it. */
void override_save(struct daemon *d);
/* Workers take over what is overridden of them. */
void override_workers(struct daemon *d);
/* Gives the log the levels of the arguments, else of the Node, and above these the overrides'. */
void override_log(struct daemon *d);
/* For the shell; as mt_ctl_env.tune. */
int override(
	void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words, size_t size);
/* A set as lines of text, to be freed (NULL: no memory), and back. */
char *override_text(const struct mt_overrides *s);
int override_from_text(struct mt_overrides *s, const char *text, const char *who, uint64_t wall);

/* ---- history.c: what was in force when ------------------------------------------------------ */

int history_start(struct daemon *d, struct mt_err *e);
void history_stop(struct daemon *d);
/* Why the next publish happens; NULL: as always. `what` lives until the next call. */
void history_cause(struct daemon *d, const char *from, const struct mt_who *who, const char *what);
/* Documents were taken: their texts (taken over; NULL: no memory), and the version that they are of if that is an older one. */
void history_documents(struct daemon *d, struct mt_source_texts *t, uint64_t rolled_back);
/* `s` is current; change NULL: it is the first one. */
void history_published(
	struct daemon *d, const struct mt_snapshot *s, const struct mt_conf_change *change);
/* For the shell; as mt_ctl_env.rollback. who NULL: nobody confirmed. */
int history_rollback(
	void *arg, const struct mt_who *who, uint64_t version, char *words, size_t size);
/* On the tick: what was not confirmed in time is undone. */
void history_turn(struct daemon *d, uint64_t now);

/* ---- mesh.c ------------------------------------------------------------------------------- */

/* Reads the bootstraps that the Node names, and what was kept of their servers' words. */
void mesh_open(struct daemon *d, struct mt_diags *diags);
void mesh_close(struct daemon *d);
/* The bootstraps again: those that changed are taken over. */
void mesh_reread(struct daemon *d, struct mt_diags *diags, uint64_t now);
/* What servers said, as far as it is in force, into a model. 0, -ENOMEM or -E2BIG. */
int mesh_share(struct daemon *d, struct mt_model *m, uint64_t now);
/*
 * A load is over; `failed`: it was refused because of what servers said, and why. True: what was wrong has gone back to
 * what was in force before, so load again (never when `last`).
 */
bool mesh_loaded(struct daemon *d, const struct mt_diags *diags, const char *failed, bool last);
/* A load was refused because of documents: servers' words are tried with the next one. */
void mesh_abandon(struct daemon *d, const struct mt_diags *diags);
/* Who the node is to source i, and for how long; NULL: it has no identity of its own. */
const char *mesh_identity(struct daemon *d, uint32_t i);
/* How long its certificate is valid, s; false: there is none. */
bool mesh_identity_left(struct daemon *d, uint32_t i, int64_t *left);
/* On the tick, and when mesh_fds is readable; loads when there is something new. */
void mesh_turn(struct daemon *d, uint64_t now);

/* ---- identity.c --------------------------------------------------------------------------- */

/* Before the first load: who spec.identity and spec.identities say that the node is. 0 or -ENOMEM; files that cannot be used are no error. */
int identity_load(struct daemon *d);
/* Nobody any more; when nothing runs. */
void identity_forget(struct daemon *d);
/* Ten times a second: another credential is compiled in. */
void identity_turn(struct daemon *d, uint64_t now);
/* As this Node says, from now on. */
void identity_aim(struct daemon *d, const struct mt_node *node);
/* For lib/ctl; arg: the daemon. */
bool identity_ask(void *arg, uint32_t which, struct mt_ctl_identity *out);
/* For --check: files that cannot be used on this machine, as a warning. */
void check_identity(const struct mt_node *n, struct mt_diags *diags);

/* ---- demand.c ----------------------------------------------------------------------------- */

/* What the Node says of clusters on demand; all zero: nothing. */
void demand_settings(const struct mt_node_xds *n, struct mt_xds_demand_conf *out);
/* The descriptor of its turns, in the event loop; -errno. */
void demand_start(struct daemon *d);
/* struct mt_xds_env; arg: the daemon. */
void demand_answered(void *arg, const char *name, uint64_t until, const char *why);
/* Workers' questions. */
void demand_turn(struct daemon *d, uint64_t now);
/* Which clusters are used; once a second. */
void demand_use(struct daemon *d, uint64_t now);

/* ---- self.c ------------------------------------------------------------------------------- */

/* Who the node is in the first mesh of its sources, as of now. */
void self_read(const struct daemon *d, struct mt_ctl_self *out);

/* ---- signals.c ---------------------------------------------------------------------------- */

/* Blocks SIGTERM, SIGINT and SIGHUP for all threads and gives a descriptor for them; -errno. */
int signals_open(void);
/* The next one: SIGTERM, SIGINT, SIGHUP; 0: none. */
int signals_next(int fd);
