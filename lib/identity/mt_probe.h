/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One look at a TLS server, for who wants to know why a connection does not come about: how far it gets, and
 * what certificate is shown, trusted or not. Blocks; for tools, not for the daemon.
 */
#pragma once

#include "mt_addr.h"
#include "mt_cert.h"

enum mt_probe_stage {
	MT_PROBE_CONNECT, /* no TCP connection */
	MT_PROBE_TLS,	  /* no TLS handshake */
	MT_PROBE_DONE,
};

struct mt_probe {
	enum mt_probe_stage stage; /* how far it came */
	int error;		   /* of CONNECT: errno */
	bool not_tls;		   /* of TLS: what answers does not speak TLS */
	bool timed_out;
	struct mt_err why;	    /* of CONNECT and TLS */
	char local[MT_ADDR_STRLEN]; /* our address of the connection */
	struct mt_cert cert;	    /* the server's, from here on after DONE */
	char root[128];		    /* subject of the first trusted root */
	int verify;		    /* X509_V_OK, or OpenSSL's first complaint, expiry last */
	struct mt_err distrust;	    /* that in words */
	bool named;		    /* the certificate is for the name */
	bool h2;		    /* it speaks HTTP/2 */
};

/* Connects, shakes hands for `name` with the roots (PEM), hangs up. Each of both has `wait_ms`. */
void mt_probe_server(const struct mt_addr *addr, uint16_t port, const char *name, const char *roots,
	int wait_ms, struct mt_probe *out);
