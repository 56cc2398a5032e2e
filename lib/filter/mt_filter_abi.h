/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface between Meltemi and filters in shared objects. This file is all that the author of
 * a filter needs: plain C, without other parts of Meltemi. The object exports one symbol,
 * `mt_filter_module`, a struct mt_filter_module, and is given a struct mt_filter_host.
 *
 * Threads. on_request, on_reply and on_end run on the thread of the worker that has the exchange,
 * on several workers at the same time. They must not block: no files, no network, no lock that
 * another thread holds for long. Slow work belongs to a thread of the filter while the exchange
 * waits (pause, complete). configure and release run on the control thread.
 *
 * Ownership. Handles and texts that a function receives are valid until it returns. A text from
 * get() or get_nth() is valid only until the next call of these, set() or remove(). Meltemi copies
 * whatever a filter passes.
 *
 * Versions. abi_version increases when something here changes its meaning or its place. New
 * members are added at the end of a struct, whose `size` tells how many there are. An object built
 * for fewer is accepted, one built for more is refused. A filter checks host->size before it calls
 * a function that was added after version 1.
 *
 *	1	A request may wait, a reply may not.
 *	2	A reply may wait, too (on_reply). mt_filter_module.wait_ms limits waits; it was
 *		`reserved` in version 1.
 *
 * Objects built for version 1 work as before, and find version 1 in host->abi_version. Objects of
 * other versions are refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MT_FILTER_ABI_VERSION 2u
#define MT_FILTER_SYMBOL      "mt_filter_module"

/*
 * Bytes per exchange for all filters of a chain together; those of each filter are rounded up to 8.
 */
#define MT_FILTER_BYTES_MAX 64u
/* Limits of a completion. */
#define MT_FILTER_TEXT_MAX	    95u	 /* bytes of the answer's text; the rest is cut off */
#define MT_FILTER_CHANGES_MAX	    8u	 /* changes of metadata */
#define MT_FILTER_CHANGES_BYTES_MAX 320u /* of all their keys and values */

enum mt_filter_verdict {
	MT_FILTER_NEXT = 0,    /* go on with the next filter */
	MT_FILTER_REPLY = 1,   /* Meltemi answers now, as set by answer() */
	MT_FILTER_SUSPEND = 2, /* the exchange waits for complete() */
};

/* Errors that Meltemi can encode as an error of the protocol. */
enum mt_filter_answer {
	MT_FILTER_DENIED = 0, /* by policy */
	MT_FILTER_OVER_LIMIT = 1,
	MT_FILTER_OVERLOADED = 2,
	MT_FILTER_TIMED_OUT = 3,
};

enum mt_filter_ended {
	MT_FILTER_ENDED_OK = 0,		 /* the server has replied */
	MT_FILTER_ENDED_APP_ERROR = 1,	 /* the server has replied with an application error */
	MT_FILTER_ENDED_PROTO_ERROR = 2, /* the server has replied with a protocol error */
	MT_FILTER_ENDED_HERE = 3,	 /* Meltemi or a filter has answered */
	MT_FILTER_ENDED_ONEWAY = 4,	 /* the call has no reply */
	MT_FILTER_ENDED_CLIENT_LEFT = 5,
	MT_FILTER_ENDED_CUT_OFF = 6, /* Meltemi reset its client */
	MT_FILTER_ENDED_UNBOUND = 7, /* moved to a configuration with other filters */
	MT_FILTER_ENDED_STOPPED = 8, /* the worker has ended */
};

/* Bytes, without a terminator. */
struct mt_filter_text {
	const char *p;
	uint32_t len;
};

/* One change of metadata; value.p NULL: removes the key with all its duplicates. */
struct mt_filter_change {
	struct mt_filter_text key, value;
};

/*
 * Identifies one wait of one exchange, for the thread that ends it. May be copied, and may outlive
 * the exchange, when it becomes stale.
 */
struct mt_filter_ticket {
	uint32_t inbox, serial; /* the worker */
	uint32_t exchange, generation;
	uint32_t wait; /* which of the exchange's waits; those of its reply from 129 on */
	uint32_t reserved;
};

/* How a wait ends. */
struct mt_filter_completion {
	uint32_t size;		    /* sizeof(struct mt_filter_completion) in the filter's build */
	uint32_t verdict;	    /* MT_FILTER_NEXT or MT_FILTER_REPLY */
	uint32_t answer;	    /* MT_FILTER_REPLY: enum mt_filter_answer */
	uint32_t n_changes;	    /* MT_FILTER_NEXT: applied before the next filter runs */
	struct mt_filter_text text; /* MT_FILTER_REPLY: for the client */
	const struct mt_filter_change *changes;
};

/* An exchange that is over. */
struct mt_filter_end {
	uint32_t size; /* sizeof(struct mt_filter_end) in Meltemi's build */
	uint32_t how;  /* enum mt_filter_ended */
	uint64_t took; /* duration in ns */
};

/* An exchange, during one call of a filter's function. */
struct mt_filter_call;

/* The functions that Meltemi provides for filters. Valid for the life of the process. */
struct mt_filter_host {
	uint32_t abi_version;
	uint32_t size;

	/*
	 * Gets the value of a key as changed so far; of several values the one that servers of this
	 * protocol use. False if there is none, or if the message has more metadata than Meltemi
	 * reads. Names are compared by bytes.
	 */
	bool (*get)(struct mt_filter_call *c, const char *key, uint32_t key_len,
		struct mt_filter_text *value);
	/*
	 * Gets the n-th value, from 0, of a key that may occur more than once, as received. False
	 * if there is none. If the protocol has a separate field for the key, that is value 0.
	 */
	bool (*get_nth)(struct mt_filter_call *c, const char *key, uint32_t key_len, uint32_t n,
		struct mt_filter_text *value);
	/*
	 * Makes this the only value of the key (NULL: an empty one). 0; -ENOSPC: the message has as
	 * many changes as fit, and this one is left out; -EINVAL: the key is empty, the key or
	 * value is longer than 65,535 bytes, or the exchange is over.
	 */
	int (*set)(struct mt_filter_call *c, const char *key, uint32_t key_len, const char *value,
		uint32_t value_len);
	/* Removes the key and all its duplicates. Returns as set() does. */
	int (*remove)(struct mt_filter_call *c, const char *key, uint32_t key_len);
	/*
	 * Sets the answer of a filter that returns MT_FILTER_REPLY. `text` is for the client and
	 * may be cut off.
	 */
	void (*answer)(struct mt_filter_call *c, enum mt_filter_answer what, const char *text,
		uint32_t text_len);
	/*
	 * Call before on_request or on_reply returns MT_FILTER_SUSPEND: provides the ticket for
	 * this wait. Any thread may use it at once, even before the function has returned.
	 */
	void (*pause)(struct mt_filter_call *c, struct mt_filter_ticket *t);
	/*
	 * Ends a wait. Any thread. 0: the worker will do so; if the exchange is over, or the wait
	 * has ended already, it drops and counts the completion instead. -EAGAIN: too many
	 * completions are queued for the worker; try again. -EINVAL: the ticket or the completion
	 * is not valid, or it carries too much, or a change without a key. -ESHUTDOWN: the worker
	 * stops or has ended. Its exchanges end, too, or another process has taken them over; a
	 * wait that goes on there ends by its time-out.
	 *
	 * A filter may call it in on_request or on_reply, too, for the wait that it begins, if it
	 * knows the answer already. For an exchange of another worker it should use its own thread,
	 * because threads that complete exchanges of one worker wait for each other, as long as a
	 * copy takes.
	 */
	int (*complete)(const struct mt_filter_ticket *t, const struct mt_filter_completion *how);
	/*
	 * The filter's bytes of the exchange: zero when it begins, aligned to 8. NULL: the filter
	 * has none. Also in on_end.
	 */
	void *(*bytes)(struct mt_filter_call *c);
	/* The client's address: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2). Not in on_end. */
	void (*peer)(struct mt_filter_call *c, uint8_t addr[16]);
	/* The worker's monotonic time in ns, the same during a loop iteration. */
	uint64_t (*now)(struct mt_filter_call *c);
	/*
	 * ns until the exchange times out; 0 in on_end. In on_request a route's own timeout is not
	 * known, because all filters run before, and is not included.
	 */
	uint64_t (*remaining)(struct mt_filter_call *c);
};

struct mt_filter_module {
	uint32_t abi_version; /* MT_FILTER_ABI_VERSION */
	uint32_t size;	      /* sizeof(struct mt_filter_module) */
	const char *name;     /* of the filter, for operators; static */
	uint32_t bytes;	      /* per exchange, at most MT_FILTER_BYTES_MAX */
	/*
	 * The longest wait for this filter, of a request or a reply, in ms; 0: only the time-out of
	 * the exchange, which continues during a wait, limits it. At its end the client gets the
	 * error MT_FILTER_TIMED_OUT.
	 */
	uint32_t wait_ms;
	/*
	 * Configures one use of the filter; *conf is passed to the other functions. `text` is the
	 * configuration, without a terminator. 0, or negative with the reason for the operator in
	 * err (terminated). May be NULL: then conf is NULL.
	 */
	int (*configure)(const struct mt_filter_host *host, const char *text, size_t len,
		void **conf, char *err, size_t err_size);
	/*
	 * No exchange uses conf any more. No exchange that this filter suspended is waiting. Those
	 * in progress have moved to the conf of a newer configuration with the same filters, which
	 * handles their replies and ends. May be NULL.
	 */
	void (*release)(void *conf);
	/*
	 * Each may be NULL if the filter does nothing there. Both may let the exchange wait. An
	 * unknown verdict, or a wait without pause(), is counted, and the call is answered by an
	 * error.
	 *
	 * on_reply gets the server's reply that the client is about to get, once for an exchange,
	 * when it is complete (also if it is longer than 64 KiB, and would otherwise be forwarded
	 * in parts). It does not get replies that a retry policy replaces, nor answers by Meltemi
	 * or a filter. It is not called for one-way calls, copies for a mirror, calls of a
	 * client that has left, and calls in progress when the filters of their service changed.
	 *
	 * There get() reads the reply's metadata. on_reply may change metadata, or answer() in the
	 * server's place; the server has executed the call. A change for which set() returned 0 is
	 * left out if the message cannot be encoded with it (counter mutation_failed). While a
	 * reply waits, its server connection serves other calls, and its end does not matter any
	 * more. The reply's memory is charged to the client: if too much of its calls waits, the
	 * client's requests are not read, or its waiting calls get MT_FILTER_OVERLOADED.
	 */
	enum mt_filter_verdict (*on_request)(void *conf, struct mt_filter_call *c);
	enum mt_filter_verdict (*on_reply)(void *conf, struct mt_filter_call *c);
	/*
	 * The exchange is over. Called once for each exchange that has entered the chain, even if
	 * an earlier filter answered and on_request was not reached; its bytes are zero then. Only
	 * bytes() and now() of the host may be used.
	 */
	void (*on_end)(void *conf, struct mt_filter_call *c, const struct mt_filter_end *end);
};

#ifdef __cplusplus
}
#endif
