/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The daemon as one object: what boot makes, in the order in which it makes it. Only the control
 * thread uses it, except for parts that workers reach through their own pointers.
 */
#pragma once

#include "args.h"
#include "drain.h"

#include "mt_aead.h"
#include "mt_alog.h"
#include "mt_codecfile.h"
#include "mt_conf.h"
#include "mt_ctl.h"
#include "mt_dns_server.h"
#include "mt_name_table.h"
#include "mt_net.h"
#include "mt_objects.h"
#include "mt_port_boot.h"
#include "mt_port_guest_list.h"
#include "mt_served.h"
#include "mt_source.h"
#include "mt_strmap.h"
#include "mt_tls_pool.h"
#include "mt_extauthz.h"
#include "mt_rls_client.h"
#include "mt_token_pool.h"
#include "mt_worker.h"
#include "mt_worker_guests.h"
#include "mt_xds.h"

#include <sys/socket.h>
#include <sys/un.h>

#define MESH_MAX      8
#define DNS_ADDRS_MAX 64
/*
 * Loads of changed files take at most 1/LOAD_SHARE of the control thread's time, and so do those of
 * discovery and names, unless one takes longer than a quarter of LOAD_PAUSE_MAX.
 */
#define LOAD_SHARE     5
#define LOAD_PAUSE_MAX (30 * MT_SEC)

/*
 * Returns the time, in ns, without loads after one that took `ns`. It is bounded, because the load
 * may have taken long only because the disk, the process or the machine stood still.
 */
static inline uint64_t load_pause(uint64_t ns)
{
	return MT_MIN(MT_MIN(ns, LOAD_PAUSE_MAX) * (LOAD_SHARE - 1), LOAD_PAUSE_MAX);
}

struct mt_identity;

struct mt_identity_source;

struct daemon;

/* A TLS identity of the node: its own, or one of spec.identities (identity.c). */
struct node_identity {
	struct daemon *d;
	/* the principal that its certificate must have (spec.identities); NULL: the node's own */
	char *claim;
	/* directory or SDS agent; NULL: none is configured, or `where` is an xDS source */
	struct mt_identity_source *told;
	char *where; /* a directory, "unix:SOCKET" or "xds:NAME"; NULL: not configured */
	struct mt_credential *used; /* NULL: none */
	char from[512];		    /* where `used` was read from, in the form of `where` */
	uint64_t serials[2];	    /* of the xDS secrets read last: certificate, roots */
	uint32_t changes;
	char why[512];	/* why the files or secrets found now cannot be used; "": they are used */
	char note[512]; /* a warning about the credential; "": none */
	/*
	 * Added by a reload, with no credential and no error yet: not passed to the compiler before
	 * fresh_until.
	 */
	bool fresh;
	uint64_t fresh_until;
};

/* A source that is a discovery server. */
struct mesh_source {
	const struct mt_node_xds *node;
	uint32_t index; /* in the Node's sources */
	struct mt_xds *xds;
	/* Of this source only: "default" of one mesh is not that of another. */
	struct mt_secrets *secrets;
	struct mt_identity *identity; /* NULL: not configured, or it cannot be read */
	struct mt_err no_identity;    /* why it cannot be read */
	uint64_t open_at;	      /* when to try to open it again */
};

/* Virtual machines of WorkloadEntries (guests.c); all NULL: the Node has no `guests`. */
struct guests {
	struct mt_guests *ports;
	struct mt_guest_hub *hub;
	struct mt_guest_list *list;
	struct mt_worker_guests worker;
	struct mt_pools *pools[MT_WORKERS_MAX];
	char domain[224];
	const struct mt_snapshot *seen; /* that `list` follows */
	uint64_t second;		/* when guests are connected again */
	bool up[MT_VHOST_MAX];		/* as logged */
};

/* The socket of the service manager, and what was sent to it (notify.c). */
struct notify {
	int fd;
	struct sockaddr_un to;
	socklen_t to_len; /* 0: there is no service manager */
	bool ready;
	uint64_t watchdog; /* half of the manager's timeout, ns; 0: no watchdog */
	uint64_t pinged, status_at, extend_at;
	char words[512];
	/*
	 * Loop iterations of each worker, and when that number was last seen to change; also kept
	 * without a service manager.
	 */
	uint64_t turns[MT_WORKERS_MAX], turned_at[MT_WORKERS_MAX];
};

/* Whether the node is ready, and what it waits for (ready.c). */
struct ready {
	struct mt_served list; /* hosts that are expected to be served */
	bool listed;	       /* the list exists */
	bool open;	       /* the gate has opened; it stays open */
	/* the list changed since its last write began, or that write failed */
	bool dirty;
	bool writing;	   /* a write of this list or an older one is in progress */
	bool accepting;	   /* the answer to `accept` waits for that write */
	uint32_t given_up; /* sources and hosts that `accept` stopped waiting for */
	uint64_t version;  /* of the snapshot that the list was made from */
	uint64_t look_at, write_at;
	struct mt_ctl_wait *waits; /* of the last check; strings are in `words` */
	uint32_t n_waits;
	struct mt_region words;
	struct mt_ctl_wait broken; /* a worker that hangs, or a port without its device */
	char removed[40];	   /* the reason of the port */
	char stuck[12];
	bool told_waits, told_write;
};

/* Trouble with the state directory (state.c). */
struct state {
	int rc; /* -errno: it could not be written at the last try; 0: it could */
	bool trying;
	size_t bytes;  /* length of the longest write that failed */
	uint64_t next; /* ns: when to try again */
	char words[400];
};

/* Why the waiting snapshot was compiled, for the history. */
struct waiting_cause {
	const char *from;
	bool refreshing;
	const char *refresh_from;
	char who[MT_WHO_LEN], what[512];
};

/* A change of overrides, which takes effect once it is in the state directory (override.c). */
struct overriding {
	struct mt_overrides to;
	bool writing;
	bool set; /* an override is set, not dropped or kept */
	int rc;
	struct mt_err why;
	struct mt_who who;
	char what[MT_OVERRIDE_TEXT + 16];
};

/*
 * Documents that the control thread reads in one loop iteration and takes in the next, so that
 * neither iteration is longer than necessary.
 */
struct config_reading {
	bool is;    /* true if documents were read and not yet taken */
	bool fresh; /* read in this loop iteration */
	struct mt_source_reading r;
	struct mt_source_texts *texts;
	struct mt_diags diags;
};

/* State of an output of the access log, as it was logged last. */
struct log_report {
	uint64_t number; /* mt_alog_output_stats.number */
	enum mt_alog_state state;
};

struct daemon {
	struct args args;
	int exit_code;

	uint32_t calls; /* MT_CALLS_* that are refused only when ports are open (needs.c) */

	/* configuration */
	struct mt_source_cache *files; /* contents of the files when last read */
	struct mt_codec_store *codecs; /* compiled documents of kind Codec */
	const struct mt_node *node;    /* as at the start: its settings stay */
	struct mt_model *node_part;    /* the model that owns `node` */
	struct mt_kept *kept;	       /* the last good version of each object */
	struct mt_object_table *table; /* objects of the last load that was adopted */
	bool error_logged;	       /* the last load has logged an error of its own */
	char *read_words;	       /* diagnostics of reading these files, as printed */
	bool refused;		       /* some or all of the current documents cannot be used */
	/* objects of the load in force while `table` is a newer one that waits; else NULL */
	struct mt_object_table *in_force;
	struct mt_conf *conf;
	struct mt_snapshot *first; /* compiled, not yet published */
	struct mt_watch *watch;
	/* compiled, but something keeps it from becoming current (publish.c); NULL: none */
	struct mt_snapshot *waiting;
	int waiting_rc;
	bool waiting_writes; /* it waits for a file that is being written */
	struct waiting_cause waiting_cause;
	uint64_t retry_at, retry_after; /* ns; retry_after doubles, up to 30 s */
	char waiting_words[512];
	char reload_words[1024]; /* result of the last reload */
	int reload_rc;		 /* the same as 0 or -errno */
	struct config_reading reading;
	bool read_told;		  /* the service manager waits for the end of this reload */
	uint64_t read_ns;	  /* how long the read of changed files took */
	bool reload_unsaid;	  /* documents were taken, and config_in_force() is still due */
	bool reload_node;	  /* config_in_force() also applies their Node */
	char reload_first[400];	  /* the first error of these documents; "": none */
	char change_words[512];	  /* what the last publish changed; "": nothing to report */
	uint64_t changed_wall;	  /* ns since 1970, of the last publish that changed something */
	char node_fields[512];	  /* fields of the Node that the newest load applied; "": none */
	char restart_fields[512]; /* changed fields of the Node that need a restart; "": none */
	char *diagnostics;	  /* warnings and errors of the last load, as printed */

	/* history of configurations, and the operator's overrides (history.c, override.c) */
	struct mt_history *history;
	struct mt_source_texts *texts; /* of the documents that were last taken */
	uint64_t rolled_back;	       /* the version that they are from; 0: the current files */
	const char *cause,
		*cause_what; /* of the load in progress; NULL: files, or a discovery server */
	char cause_who[MT_WHO_LEN];
	struct mt_worker_knobs knobs_at_start, knobs;
	struct overriding overriding;
	/* what the pending shell command waits for before mt_ctl_answer() */
	enum { LATER_NOTHING, LATER_PUBLISHED, LATER_WRITTEN } later;

	/* discovery servers */
	struct mesh_source mesh[MESH_MAX];
	struct mt_xds *sources[MESH_MAX]; /* mesh[].xds, for the shell */
	uint32_t n_mesh;
	uint32_t
		sources_refused; /* not connected to: plaintext does not authenticate the servers */
	struct mt_fds mesh_fds;
	struct mt_resolver *mesh_names;
	struct mt_name_table
		*looked_up; /* addresses of host names in documents; NULL: no lookups (--check) */
	struct mt_rand mesh_rng;
	bool on_demand;	       /* a source has on-demand clusters */
	bool mesh_changed;     /* something changed that a refresh has not loaded yet */
	bool identity_changed; /* with mesh_changed: an identity changed */
	const char
		*refresh_from; /* cause of the refresh: "discovery"; NULL: load_changes() decides */
	uint64_t mesh_next;    /* earliest time of the next refresh */
	bool refreshing;       /* config_refresh() is running */
	uint64_t refresh_told; /* when a refresh was last logged; 0: log the next one */

	/* machine */
	/* `ports` may have one more: that of all guests (guests.hub), without a place in the Node */
	uint16_t n_workers, n_ports;
	struct rte_rcu_qsbr *rcu;
	struct mt_eal_info eal;
	struct mt_clock clock;
	struct mt_steer steer;
	struct mt_port *ports[MT_PORTS_MAX];
	struct guests guests;
	struct mt_l4_health *l4_health;
	struct mt_l4_limiter *l4_limiter;
	struct mt_node_limits *node_limits;
	struct mt_pools pools[MT_WORKERS_MAX];
	struct mt_net *net;
	struct mt_net_old *net_old; /* replaced tables that workers may still use */
	uint64_t net_old_token;
	struct mt_addr *vips; /* sorted */
	uint32_t n_vips;
	struct net_leaving *leaving; /* former VIPs, kept while their connections end */
	uint32_t n_leaving;
	struct mt_dns_server *dns;		 /* NULL: the Node serves no DNS */
	struct mt_addr dns_addrs[DNS_ADDRS_MAX]; /* DNS server addresses on the ports */
	uint32_t n_dns_addrs;
	struct mt_dns_allow dns_allow; /* clients that are answered */
	uint64_t dns_look;	       /* when to read resolv.conf again */
	struct mt_tls_pool *tls;       /* threads for handshakes */
	struct mt_token_pool *tokens;  /* thread that verifies tokens */
	struct mt_extauthz *asks;      /* thread for external authorization */
	struct mt_callout *limits;     /* thread for rate limit services */
	struct mt_rls_grants *grants;  /* hits granted by these services */
	struct mt_alog *log;	       /* access log (access_log.c) */
	struct mt_export *export;      /* sends it to collectors */
	bool log_due, log_told;	       /* its outputs could not be set; that was logged */
	struct log_report log_reports[MT_ALOG_OUTPUTS];
	struct mt_aead *aeads[MT_WORKERS_MAX];
	struct mt_worker *workers[MT_WORKERS_MAX];
	bool launched;

	struct node_identity identity, *held[MT_HELD_MAX];
	uint32_t n_held;
	bool held_untold; /* not yet passed to the compiler */

	struct notify notify;
	struct state state;
	struct ready ready;

	/* control loop */
	struct mt_ctl *ctl;
	/* of remote shells, with copies of their texts; outlives ctl */
	struct mt_ctl_tls_role *roles;
	uint32_t n_roles;
	const char **dirs; /* all directories that are read */
	bool *confined;	   /* of each: it is limited to some namespaces */
	uint32_t n_dirs;
	struct mt_model *dirs_part; /* the model that owns their names */
	uint64_t read_at;	    /* mt_watch_clock() when the last read of the files began */
	int epoll, signals, ticks;
	struct mt_service *service; /* the thread that writes files */
	int wake_fd;		    /* eventfd: workers have requests */
	bool draining;		    /* by a signal: the daemon stops at the end */
	struct drain drain;
	uint64_t second; /* when the once-a-second work is due */
	/* ns; in the current minute, and in the one before */
	uint64_t turn_longest[2], turn_minute;
	bool told_checksums, told_superframes[MT_PORTS_MAX];
};

/* ---- boot.c ------------------------------------------------------------------------------- */

/*
 * Starts all subsystems in order. Returns 0, or the exit code after a line on stderr; those started
 * before are stopped again.
 */
int boot_start(struct daemon *d);
/* Stops all subsystems in reverse order. */
void boot_stop(struct daemon *d);

/* ---- start and stop of subsystems: 0, or -errno with the reason in e ------------------------ */

int config_start(struct daemon *d, struct mt_err *e);
void config_stop(struct daemon *d);
int state_start(struct daemon *d, struct mt_err *e);
/* Notes writes that failed, and tries again until one of that length succeeds. */
void state_turn(struct daemon *d, uint64_t now);
/* Why the state directory cannot be written; NULL: the last write succeeded. `arg`: the daemon. */
const char *state_trouble(void *arg);
void state_stop(struct daemon *d);
int memory_start(struct daemon *d, struct mt_err *e);
void memory_stop(struct daemon *d);
int ports_start(struct daemon *d, struct mt_err *e);
/* Bytes of the pools of all workers. */
uint64_t buffer_bytes(const struct mt_node *n);
void ports_stop(struct daemon *d);
/* Logs why a port without a link has none, if that is known. */
void port_tell_wait(const struct mt_port *p);
int guests_start(struct daemon *d, struct mt_err *e);
void guests_stop(struct daemon *d);
/* Attaches the guests of the snapshot in force, and connects them; on each tick. */
void guests_turn(struct daemon *d, uint64_t now);
int net_start(struct daemon *d, struct mt_err *e);
void net_stop(struct daemon *d);
int service_start(struct daemon *d, struct mt_err *e);
void service_stop(struct daemon *d);
int identity_start(struct daemon *d, struct mt_err *e);
void identity_stop(struct daemon *d);
int tls_start(struct daemon *d, struct mt_err *e);
void tls_stop(struct daemon *d);
int access_log_start(struct daemon *d, struct mt_err *e);
void access_log_stop(struct daemon *d);
int tokens_start(struct daemon *d, struct mt_err *e);
void tokens_stop(struct daemon *d);
int wake_start(struct daemon *d, struct mt_err *e);
void wake_stop(struct daemon *d);
void wake_turn(struct daemon *d, uint64_t now);
int dns_start(struct daemon *d, struct mt_err *e);
void dns_stop(struct daemon *d);
/*
 * 0, or -ENOMEM with the numbers in e if spec.connections is set and this machine has too little
 * free memory for it, and for the access log of `s`, which may be NULL.
 */
int connections_fit(const struct mt_node *n, const struct mt_snapshot *s, struct mt_err *e);
/* The same for spec.flows. */
int flows_fit(const struct mt_node *n, struct mt_err *e);
/* The most that a client with a server connection of its own and two calls takes. */
uint64_t connection_bytes(void);
/* The most that the access log of `s` takes for each worker; 0: it has none. */
uint64_t worker_log_bytes(const struct mt_snapshot *s);
int workers_start(struct daemon *d, struct mt_err *e);
void workers_stop(struct daemon *d);
int publish_start(struct daemon *d, struct mt_err *e);
void publish_stop(struct daemon *d);
int control_start(struct daemon *d, struct mt_err *e);
void control_stop(struct daemon *d);
int mesh_start(struct daemon *d, struct mt_err *e);
void mesh_stop(struct daemon *d);
int admin_start(struct daemon *d, struct mt_err *e);
/* Applies the roles of this Node's spec.admin.tls from now on. */
void admin_roles(struct daemon *d, const struct mt_node *n);
void admin_stop(struct daemon *d);
int keys_start(struct daemon *d, struct mt_err *e);
void keys_stop(struct daemon *d);
int needs_start(struct daemon *d, struct mt_err *e);
void needs_stop(struct daemon *d);
int rights_start(struct daemon *d, struct mt_err *e);
void rights_stop(struct daemon *d);
/* Adds the needs of the Node's listeners. */
struct mt_rights_profile;
void profile_add_listeners(struct mt_rights_profile *p, const struct mt_node *n);
/* Prints what the Node document needs from the service manager (--rights). Returns an exit code. */
int profile_print(const struct args *a);
int launch_start(struct daemon *d, struct mt_err *e);
void launch_stop(struct daemon *d);

int notify_start(struct daemon *d, struct mt_err *e);
void notify_stop(struct daemon *d);

int ready_start(struct daemon *d, struct mt_err *e);
void ready_stop(struct daemon *d);

/* ---- ready.c ------------------------------------------------------------------------------- */

/* Updates readiness; called on each tick. */
void ready_turn(struct daemon *d, uint64_t now);
/* For lib/ctl, as mt_ctl_env.ready and .accept; `arg` is the daemon. */
void ready_ask(void *arg, struct mt_ctl_ready *out);
int ready_accept(void *arg, const struct mt_who *who, char *words, size_t size);

/* ---- notify.c: the service manager ---------------------------------------------------------- */

/* Watches the workers and sends READY, WATCHDOG and STATUS; called on each tick. */
void notify_turn(struct daemon *d, uint64_t now);
/* Reports that a reload begins, or that it has ended, successfully or not. */
void notify_reload(struct daemon *d, bool begins);
/* Reports that the daemon drains and will end. */
void notify_stopping(struct daemon *d);
/* The first worker that has finished no loop iteration for 5 s; -1: there is none. */
int notify_stuck(const struct daemon *d, uint64_t now);

/* ---- node_diff.c --------------------------------------------------------------------------- */

/*
 * Writes the names of the fields in which `b` differs from `a` and that need a restart, separated
 * by commas. False and "" if there are none. Truncates to `size`.
 */
bool node_changes(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size);
/* Hits that one query of a rate limit service counts at most. */
uint32_t lease_of(const struct mt_node *n);
/*
 * The same for fields that a reload applies, and that do not show as a change of a listener,
 * service or cluster.
 */
bool node_followed(const struct mt_node *a, const struct mt_node *b, char *buf, size_t size);

/* ---- check.c ------------------------------------------------------------------------------- */

/* Checks the devices, cores and memory that the Node names, without touching them. */
void check_machine(const struct mt_node *n, struct mt_diags *diags);
/* For --check: warns of endpoints that no port's network and no route of the Node leads to. */
void check_reach(const struct mt_model *m, const struct mt_snapshot *s, struct mt_diags *diags);
/* For --check: warns if the Node has no sources, and no -d adds one. */
void check_sources(const struct daemon *d, const struct mt_node *n, struct mt_diags *diags);
/* For --check: notes that the Node has neither spec.admin.socket nor spec.admin.tls. */
void check_shell(const struct mt_node *n, struct mt_diags *diags);

/* Memory that a node takes, in bytes. */
struct memory_use {
	bool hugepages;	      /* the buffers are in hugepages */
	uint64_t buffers;     /* from the start */
	uint64_t program;     /* from the start, with its documents; outside of hugepages */
	uint64_t connections; /* in addition if every connection is in use, at most */
	uint64_t flows;	      /* the same of forwarded flows; 0: no port is forwarded */
};

void check_memory_use(const struct mt_node *n, const struct mt_snapshot *s, struct memory_use *u);
/*
 * For --check: adds an error for each file or directory that was not read completely, unless an
 * entry names it already.
 */
void check_partial(const struct mt_source_reading *r, struct mt_diags *diags);
/*
 * For --check: warns if a start on this machine, with its free memory now, would be refused. Not
 * for a reload, because then the connections have that memory already.
 */
void check_connections(
	const struct mt_node *n, const struct mt_snapshot *s, struct mt_diags *diags);
/* For --check: warns if this machine has no directory for the file of the access log. */
void check_access_log(const struct mt_snapshot *s, struct mt_diags *diags);

/* ---- calls between the files --------------------------------------------------------------- */

/*
 * Reads all documents again and publishes them. 0, or -errno if any of them are refused or the new
 * configuration has to wait; d->reload_words has the result. Refused objects other than the Node do
 * not keep the rest from being published.
 */
int config_reload(struct daemon *d, uint64_t now);
/*
 * The same in two loop iterations: config_read() reads the files, and config_take_read() loads them
 * in the next one. A reload or an accepted rollback in between discards what was read.
 */
void config_read(struct daemon *d, uint64_t now);
void config_take_read(struct daemon *d, uint64_t now);
/*
 * Call when the documents of a reload are in force. Applies the Node's roles and identities,
 * reports its fields that need a restart, and sets d->reload_rc if objects are refused.
 */
void config_in_force(struct daemon *d);
/* The Node document that is in force now. */
const struct mt_node *config_node(const struct daemon *d);
/* True if the date has passed until which some object was exempt from enforcement. */
bool config_is_due(const struct daemon *d);
/*
 * The same with the documents as they were last read, because something else has changed: resources
 * of a discovery server, a looked-up name, an identity, an override.
 */
int config_refresh(struct daemon *d, uint64_t now);
/* Compiles d->first again, because the kernel's addresses are known since the ports are open. */
int config_first_again(struct daemon *d, struct mt_err *e);
/* The same with documents kept in the history, those of version `version`. */
int config_from_texts(struct daemon *d, struct mt_source_texts *t, uint64_t version, uint64_t now);
/* The directory for kept state: stateDirectory, or its default. */
const char *state_dir(const struct daemon *d);
/*
 * Prepares the addresses of the listeners of `s` as VIPs of the node: everything that can fail
 * happens here. NULL: no memory. The caller passes the result to net_use_vips(), which cannot fail,
 * or to net_forget_vips(), which accepts NULL.
 */
struct net_vips *net_prepare_vips(struct daemon *d, const struct mt_snapshot *s, struct mt_err *e);
void net_use_vips(struct daemon *d, struct net_vips *v);
void net_forget_vips(struct net_vips *v);
/*
 * Passes the addresses of the host's kernel to the compiler, if a port has a kernel interface. 1 if
 * they have changed, 0 if not, -errno if they are not known and the former ones stay.
 */
int net_kernel(struct daemon *d);
/* Frees replaced tables that no worker can use any more. */
void net_reap(struct daemon *d);
/* Adds the service thread's descriptor to the event loop. 0 or -errno. */
int service_listen(struct daemon *d);
/* Adds the DNS server's descriptor to the event loop, if there is one. 0 or -errno. */
int dns_listen(struct daemon *d);
void dns_turn(struct daemon *d, uint64_t now);
/* True if the address is one of a port's own. */
bool net_is_port_address(const struct daemon *d, const struct mt_addr *a);
/* Returns when each running worker has passed a loop iteration that began after this call. */
void workers_quiesce(struct daemon *d);
/* Clients drain and new ones are served (mt_proxy_leave()), until workers_stay(). */
void workers_leave(struct daemon *d, uint32_t ms);
void workers_stay(struct daemon *d);
/* For a stop: all clients end, and SYNs are dropped. */
void workers_close(struct daemon *d);
/* True if no client is connected and all bytes are delivered. */
bool workers_idle(struct daemon *d);
/*
 * True if workers_idle(), and each client has closed or had 100 ms to read its last reply before
 * the stop resets it. Call it again while it returns false.
 */
bool workers_drained(struct daemon *d, uint64_t now);
/* After workers_leave(): no client is connected or has just come; workers_close() is short. */
bool workers_left(struct daemon *d);
bool workers_brief(struct daemon *d);
/* After workers_leave(): no call was found that took long. */
bool workers_calls_are_short(struct daemon *d);
/*
 * Watches the directories that this Node names from now on; changes since they were read are
 * noticed.
 */
void control_watch(struct daemon *d, struct mt_model *node_part);
/* The control thread's loop; returns when the daemon is to stop. */
void control_run(struct daemon *d);

/* Logs what was counted. Call after the workers have stopped. */
void tally(struct daemon *d);

/*
 * Keeps the objects of the documents in force as last good versions, to be used in place of newer
 * ones that are refused.
 */
void config_keep(struct daemon *d);

/*
 * Compiles the configuration in force again, for analysis; the caller discards the snapshot. NULL
 * if it cannot be compiled.
 */
struct mt_snapshot *config_compile(struct daemon *d, struct mt_diags *diags, uint64_t now);

/* ---- drain.c ------------------------------------------------------------------------------ */

/* For the commands `drain` and `return`. False: a signal ends the daemon. */
bool drain_command(struct daemon *d, uint64_t now);
bool drain_return(struct daemon *d);
/* Logs once that no client is left after `drain`; call it every second. */
void drain_turn(struct daemon *d, uint64_t now);
/* Begins the drain that ends the daemon. False: stop now, because it is the second signal. */
bool drain_signal(struct daemon *d, int sig, uint64_t now);
/* Continues it. True if the daemon is to stop: no client is connected, or the time is over. */
bool drain_is_over(struct daemon *d, uint64_t now);

/* ---- analyse.c ---------------------------------------------------------------------------- */

/* As mt_ctl_env.analyse; `arg` is the daemon. */
struct json_t *analyse_ask(
	void *arg, const char *principal, const struct mt_addr *from, struct mt_err *e);
/* For --analyse: prints the findings on stdout and returns the exit code. */
int analyse_print(struct daemon *d);

/* ---- tell.c ------------------------------------------------------------------------------- */

/* The diagnostics as printed, which the caller frees; NULL: no memory. */
char *tell_words(struct mt_diags *diags);
/*
 * Logs diagnostics that are new or gone since the last load, or prints all on stderr (--check
 * without --json), and keeps them for `show config`.
 */
void tell(struct daemon *d, struct mt_diags *diags);
/* The same for a refresh, which has not read the documents again. */
void tell_again(struct daemon *d, struct mt_diags *diags);
/* For --check: prints the report on stdout and sets d->exit_code; returns `rc`. */
int check_report(struct daemon *d, const struct mt_diags *diags, int rc);

/* ---- tell_log.c --------------------------------------------------------------------------- */

/*
 * Logs the entries without a line in `before`, and the lines of `before` that are not in `now`:
 * diagnostics as tell_words() returns them. before NULL: all are new. True if an error was logged.
 */
bool tell_log(const struct mt_diags *diags, const char *before, const char *now);

/* ---- publish.c ---------------------------------------------------------------------------- */

/*
 * Makes `s` current, or keeps it and tries again later; owns `s` either way. 0, or -errno if it
 * waits, with the reason in d->waiting_words.
 */
int publish_snapshot(struct daemon *d, struct mt_snapshot *s, uint64_t now);
/*
 * Tries again when it is time, and answers a shell command that waits for the result; called on
 * each tick.
 */
void publish_retry(struct daemon *d, uint64_t now);
/* Call when a file was written: tries the snapshot that waits for it at once. */
void publish_written(struct daemon *d, uint64_t now);
/*
 * For -EINPROGRESS of a publish returns MT_CTL_LATER: the shell is answered once the file is
 * written, when the snapshot is current or waits for another reason. Returns any other `rc`
 * unchanged.
 */
int publish_later(struct daemon *d, int rc);
/* Discards the waiting snapshot, if there is one. */
void publish_forget(struct daemon *d, uint64_t now);
/* Writes what a publish changed, with the fields of the Node that it applies. */
void publish_words(
	const struct daemon *d, const struct mt_conf_change *change, char *buf, size_t size);
/* Records the result of a reload for the shell and the log; returns `rc`. */
int publish_note(struct daemon *d, int rc, const char *fmt, ...) mt_printf(3, 4);
/* The same for the shell only; the log has the reasons already. */
int publish_note_logged(struct daemon *d, int rc, const char *fmt, ...) mt_printf(3, 4);

/* ---- override.c: overrides by an operator ---------------------------------------------------- */

int override_start(struct daemon *d, struct mt_err *e);
void override_stop(struct daemon *d);
/* Loads the kept overrides; call before the first compilation. */
void override_load(struct daemon *d);
/* Writes those overrides in force that are to be kept; a failure is only logged. */
void override_save(struct daemon *d);
/* Passes the overrides of worker settings to the workers. */
void override_workers(struct daemon *d);
/* Sets the log levels: that of the arguments, else those of the Node; then those of overrides. */
void override_log(struct daemon *d);
/* For the shell, as mt_ctl_env.tune. */
int override(
	void *arg, const struct mt_who *who, const struct mt_ctl_tune *t, char *words, size_t size);
/* Convert a set to lines of text, which the caller frees (NULL: no memory), and back. */
char *override_text(const struct mt_overrides *s);
int override_from_text(struct mt_overrides *s, const char *text, const char *who, uint64_t wall);

/* ---- history.c: the history of configurations ----------------------------------------------- */

int history_start(struct daemon *d, struct mt_err *e);
void history_stop(struct daemon *d);
/*
 * Sets the cause of the next publish; NULL: the default one. `what` must live until the next call.
 */
void history_cause(struct daemon *d, const char *from, const struct mt_who *who, const char *what);
/*
 * Call when documents have been accepted. `t` has their texts (owned from here on; NULL: no
 * memory). `rolled_back` is the older version that they are from; 0: they are the current files.
 */
void history_documents(struct daemon *d, struct mt_source_texts *t, uint64_t rolled_back);
/* Call when `s` is current; `change` is NULL for the first snapshot. */
void history_published(
	struct daemon *d, const struct mt_snapshot *s, const struct mt_conf_change *change);
/*
 * For the shell, as mt_ctl_env.rollback. `who` is NULL for a change that was not confirmed in time.
 */
int history_rollback(
	void *arg, const struct mt_who *who, uint64_t version, char *words, size_t size);
/* Rolls back a change that was not confirmed in time; called on each tick. */
void history_turn(struct daemon *d, uint64_t now);

/* ---- mesh.c ------------------------------------------------------------------------------- */

/* Reads the bootstraps that the Node names, and the kept resources of their servers. */
void mesh_open(struct daemon *d, struct mt_diags *diags);
void mesh_close(struct daemon *d);
/* Reads the bootstraps again and applies those that changed. */
void mesh_reread(struct daemon *d, struct mt_diags *diags, uint64_t now);
/* Adds the discovery resources that are in force to a model. 0, -ENOMEM or -E2BIG. */
int mesh_share(struct daemon *d, struct mt_model *m, uint64_t now);
/*
 * Call after a compilation. `failed`: why it was refused because of discovery resources, else NULL.
 * True if new resources were replaced by those in force before, so the caller must compile again
 * (never when `last`).
 */
bool mesh_loaded(struct daemon *d, const struct mt_diags *diags, const char *failed, bool last);
/*
 * Call when a load was refused because of documents: new discovery resources are tried with the
 * next load.
 */
void mesh_abandon(struct daemon *d, const struct mt_diags *diags);
/*
 * The node's identity towards source i and its validity, in words, or why it cannot be read; valid
 * until the next call. NULL: none is configured for the source.
 */
const char *mesh_identity(struct daemon *d, uint32_t i);
/* The remaining validity of its certificate, s; false if there is none. */
bool mesh_identity_left(struct daemon *d, uint32_t i, int64_t *left);
/*
 * Runs the discovery sources, and loads what changed; called on each tick, and when mesh_fds is
 * readable.
 */
void mesh_turn(struct daemon *d, uint64_t now);

/* ---- identity.c --------------------------------------------------------------------------- */

/*
 * Reads the identities of spec.identity and spec.identities; call before the first load. 0 or
 * -ENOMEM; unusable files are not an error.
 */
int identity_load(struct daemon *d);
/* Drops all identities. Call when no worker and no source runs. */
void identity_forget(struct daemon *d);
/* Checks all identities for new credentials, which mesh_turn() then loads; called on each tick. */
void identity_turn(struct daemon *d, uint64_t now);
/* Follows the identities of this Node from now on. */
void identity_aim(struct daemon *d, const struct mt_node *node);
/* For lib/ctl, as mt_ctl_env.who; `arg` is the daemon. */
bool identity_ask(void *arg, uint32_t which, struct mt_ctl_identity *out);
/* For --check: warns about identity files that cannot be used on this machine. */
void check_identity(const struct mt_node *n, struct mt_diags *diags);

/* ---- access_log.c ------------------------------------------------------------------------- */

/* Makes this log the one that is written; NULL: none. A failure is logged and tried again. */
void access_log_use(struct daemon *d, const struct mt_access_log *wanted);
/* Ends logs that are not wanted any more, and reports errors; called once a second. */
void access_log_turn(struct daemon *d);
/* Opens the files again; `arg` is the daemon. */
void access_log_reopen(void *arg);

/* ---- demand.c ----------------------------------------------------------------------------- */

/* The Node's settings for on-demand clusters; all zero if it has none. */
void demand_settings(const struct mt_node_xds *n, struct mt_xds_demand_conf *out);
/* Sets d->on_demand if a source has on-demand clusters. */
void demand_start(struct daemon *d);
/* As mt_xds_env.answered; `arg` is the daemon. */
void demand_answered(void *arg, const char *name, uint64_t until, const char *why);
/* Takes the workers' requests for clusters. */
void demand_turn(struct daemon *d, uint64_t now);
/* Reports to the sources which clusters are in use; called once a second. */
void demand_use(struct daemon *d, uint64_t now);

/* ---- self.c ------------------------------------------------------------------------------- */

/* The node's workload, namespace and labels in the mesh of its first source, as of now. */
void self_read(const struct daemon *d, struct mt_ctl_self *out);

/* ---- signals.c ---------------------------------------------------------------------------- */

/* Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 for all threads. Returns a descriptor, or -errno. */
int signals_open(void);
/* The next pending signal of these; 0: none. */
int signals_next(int fd);
