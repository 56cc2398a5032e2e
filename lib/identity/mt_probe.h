/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Probes a TLS server, to find out why a connection fails: how far the connection gets, and which
 * certificate the server presents, trusted or not. Blocks; for tools, not for the daemon.
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
	enum mt_probe_stage stage; /* how far the connection got */
	int error;		   /* if the stage is CONNECT: errno */
	bool not_tls;		   /* if the stage is TLS: the server does not use TLS */
	bool timed_out;
	struct mt_err why;	    /* if the stage is CONNECT or TLS */
	char local[MT_ADDR_STRLEN]; /* our address */
	struct mt_cert cert;	    /* the server's; this and the rest if the stage is DONE */
	char root[128];		    /* subject of the first trusted root */
	int verify; /* X509_V_OK, or the first error; a validity time only if no other */
	struct mt_err distrust; /* `verify` as text */
	bool named;		/* the certificate has the name */
	bool h2;		/* the server selected HTTP/2 */
};

/*
 * Connects, does a TLS handshake for `name` with the trusted roots (PEM), and closes the
 * connection. `wait_ms` is the timeout of the connection and of the handshake, each.
 */
void mt_probe_server(const struct mt_addr *addr, uint16_t port, const char *name, const char *roots,
	int wait_ms, struct mt_probe *out);
