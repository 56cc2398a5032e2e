/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter in a shared object and Meltemi know of each other. This file is all that its author needs: plain C,
 * nothing else of Meltemi. The object exports one symbol, `mt_filter_module`, a struct mt_filter_module; it is given a
 * struct mt_filter_host.
 *
 * Threads. on_request, on_reply and on_end run on the worker's thread that carries the exchange, several workers at once,
 * so they do not block: no lock that another thread holds for long, no file, no network. What takes time is done by a
 * thread of the filter's own while the exchange waits (pause, complete). configure and release run on the control thread.
 *
 * Ownership. Handles and texts that a call gives are valid until the function that received them returns; a text that
 * get() or get_nth() gave also ends with the next call of these, set() or remove(). What a filter passes is copied.
 *
 * Versions. abi_version grows when something that is here changes its meaning or its place: both sides must have the same.
 * New things go to the end of a struct, whose `size` says how much of it there is: an object built for less is served,
 * one that was built for more is refused. A filter looks at host->size before it calls what was added after version 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MT_FILTER_ABI_VERSION 1u
#define MT_FILTER_SYMBOL      "mt_filter_module"

/* Bytes that all filters of a chain together may keep with an exchange; each filter's are rounded up to 8. */
#define MT_FILTER_BYTES_MAX 64u
/* What a completion may carry. */
#define MT_FILTER_TEXT_MAX	    95u	 /* bytes of the answer's text; longer ones are cut off */
#define MT_FILTER_CHANGES_MAX	    8u	 /* changes of metadata */
#define MT_FILTER_CHANGES_BYTES_MAX 320u /* of their keys and values together */

enum mt_filter_verdict {
	MT_FILTER_NEXT = 0,    /* go on with the next filter */
	MT_FILTER_REPLY = 1,   /* Meltemi answers now, as answer() says */
	MT_FILTER_SUSPEND = 2, /* the exchange waits for complete() */
};

/* Errors that Meltemi can answer in the protocol's own words. */
enum mt_filter_answer {
	MT_FILTER_DENIED = 0, /* by policy */
	MT_FILTER_OVER_LIMIT = 1,
	MT_FILTER_OVERLOADED = 2,
	MT_FILTER_TIMED_OUT = 3,
};

enum mt_filter_ended {
	MT_FILTER_ENDED_OK = 0,		 /* its server answered */
	MT_FILTER_ENDED_APP_ERROR = 1,	 /* its server answered by an error of the application */
	MT_FILTER_ENDED_PROTO_ERROR = 2, /* its server answered by an error of the protocol */
	MT_FILTER_ENDED_HERE = 3,	 /* Meltemi, or a filter, answered */
	MT_FILTER_ENDED_ONEWAY = 4,	 /* no answer is owed */
	MT_FILTER_ENDED_CLIENT_LEFT = 5,
	MT_FILTER_ENDED_CUT_OFF = 6, /* Meltemi reset its client */
	MT_FILTER_ENDED_UNBOUND = 7, /* the configuration that it has moved to has other filters */
	MT_FILTER_ENDED_STOPPED = 8, /* the worker has ended */
};

/* Bytes, not terminated. */
struct mt_filter_text {
	const char *p;
	uint32_t len;
};

/* One change of metadata; value.p NULL: the key is removed, with all its duplicates. */
struct mt_filter_change {
	struct mt_filter_text key, value;
};

/* One wait of one exchange, for who ends it. It may be copied, and may outlive the exchange: it is stale then. */
struct mt_filter_ticket {
	uint32_t inbox, serial; /* the worker */
	uint32_t exchange, generation;
	uint32_t wait; /* which of the exchange's waits */
	uint32_t reserved;
};

/* How a wait ends. */
struct mt_filter_completion {
	uint32_t size;	    /* sizeof(struct mt_filter_completion), as its author has it */
	uint32_t verdict;   /* MT_FILTER_NEXT or MT_FILTER_REPLY */
	uint32_t answer;    /* MT_FILTER_REPLY: enum mt_filter_answer */
	uint32_t n_changes; /* MT_FILTER_NEXT: made before the next filter sees the message */
	struct mt_filter_text text; /* MT_FILTER_REPLY: for the client */
	const struct mt_filter_change *changes;
};

/* An exchange that is over. */
struct mt_filter_end {
	uint32_t size; /* sizeof(struct mt_filter_end), as Meltemi has it */
	uint32_t how;  /* enum mt_filter_ended */
	uint64_t took; /* ns since it began */
};

/* An exchange, in one call of a filter's function. */
struct mt_filter_call;

/* What Meltemi does for filters. It lives as long as the process. */
struct mt_filter_host {
	uint32_t abi_version;
	uint32_t size;

	/*
	 * The value of a key that counts for this protocol's servers, as changed so far; false: it has none, or the message
	 * has more metadata than are looked through. Names compare by bytes.
	 */
	bool (*get)(struct mt_filter_call *c, const char *key, uint32_t key_len,
		struct mt_filter_text *value);
	/*
	 * The n-th value, from 0, of a key that the message has more than once, as it arrived; false: there is none. Where a
	 * protocol has a key in a field of its own that is value 0.
	 */
	bool (*get_nth)(struct mt_filter_call *c, const char *key, uint32_t key_len, uint32_t n,
		struct mt_filter_text *value);
	/*
	 * The key has this value alone (NULL: an empty one). 0; -ENOSPC: the message has as many changes as fit, this one is
	 * left out; -EINVAL: the key is empty, one of them is longer than 65,535 bytes, or the exchange is over.
	 */
	int (*set)(struct mt_filter_call *c, const char *key, uint32_t key_len, const char *value,
		uint32_t value_len);
	/* The key and all its duplicates are removed. As set(). */
	int (*remove)(struct mt_filter_call *c, const char *key, uint32_t key_len);
	/* What a filter that returns MT_FILTER_REPLY answers by; text is for the client and may be cut off. */
	void (*answer)(struct mt_filter_call *c, enum mt_filter_answer what, const char *text,
		uint32_t text_len);
	/*
	 * Before on_request returns MT_FILTER_SUSPEND: who may end the wait. It may be used at once, by any thread, also
	 * before on_request has returned.
	 */
	void (*pause)(struct mt_filter_call *c, struct mt_filter_ticket *t);
	/*
	 * Ends a wait. Any thread. 0: the worker will do so, or drop it, counted, if the exchange is over or the wait was
	 * ended before. -EAGAIN: too many completions wait for the worker; try again. -EINVAL: it is none, carries too
	 * much, or a change without a key. -ESHUTDOWN: the worker stops or has ended, and the exchange with it.
	 *
	 * on_request may call it, too, for the wait that it begins (it knows the answer already). For an exchange of another
	 * worker let a thread of the filter's own do so: threads that tell one worker wait for each other, a copy long.
	 */
	int (*complete)(const struct mt_filter_ticket *t, const struct mt_filter_completion *how);
	/* The filter's bytes of the exchange: zero at its start, aligned to 8. NULL: it wants none. Also in on_end. */
	void *(*bytes)(struct mt_filter_call *c);
	/* The client's address: IPv6, or IPv4 mapped into it (RFC 4291 §2.5.5.2). Not in on_end. */
	void (*peer)(struct mt_filter_call *c, uint8_t addr[16]);
	/* The worker's monotonic time in ns, the same for the whole turn. */
	uint64_t (*now)(struct mt_filter_call *c);
	/* ns until the exchange times out; a route's own time-out is known, and counts, behind the filters only. Not in on_end: 0. */
	uint64_t (*remaining)(struct mt_filter_call *c);
};

struct mt_filter_module {
	uint32_t abi_version; /* MT_FILTER_ABI_VERSION */
	uint32_t size;	      /* sizeof(struct mt_filter_module) */
	const char *name;     /* of the filter, for operators; static */
	uint32_t bytes;	      /* that it wants with each exchange, at most MT_FILTER_BYTES_MAX */
	uint32_t reserved;    /* 0 */
	/*
	 * One use of the filter in a configuration: *conf is what the other functions are given. `text` is the
	 * configuration's, not terminated. 0, or negative with words for the operator in err (terminated). May be NULL: then
	 * conf is NULL.
	 */
	int (*configure)(const struct mt_filter_host *host, const char *text, size_t len,
		void **conf, char *err, size_t err_size);
	/*
	 * No exchange uses it any more: none waits that was suspended with it, and those under way have moved to the conf
	 * of a newer configuration with the same filters, which is told their replies and ends. May be NULL.
	 */
	void (*release)(void *conf);
	/*
	 * Each may be NULL: nothing to do there. A request may wait, a reply may not. A verdict that there is not, or a wait
	 * without pause(), is counted, and the call answered by an error.
	 */
	enum mt_filter_verdict (*on_request)(void *conf, struct mt_filter_call *c);
	enum mt_filter_verdict (*on_reply)(void *conf, struct mt_filter_call *c);
	/*
	 * The exchange is over. Called once for each exchange that has come to the chain, also when a filter in front
	 * answered and on_request was not reached: its bytes are zero then. Of the host's functions bytes() and now() are
	 * there.
	 */
	void (*on_end)(void *conf, struct mt_filter_call *c, const struct mt_filter_end *end);
};

#ifdef __cplusplus
}
#endif
