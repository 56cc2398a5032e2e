/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What documents' instances are judged by, and how callers come to them, as it was found while a snapshot was compiled: for who
 * analyses it (lib/analyse). Texts are the model's, rules the snapshot's: it is of use as long as both are there.
 */
#pragma once

#include "mt_authz.h"
#include "mt_model.h"

/* Who enforces in front of an instance, judged in this order. */
enum mt_instance_class {
	MT_INSTANCE_OUTSIDE, /* inline, of an entry that is no part of the mesh: nobody */
	MT_INSTANCE_MESHED,  /* its own proxy */
	MT_INSTANCE_BARE,    /* nobody else: this node */
	MT_INSTANCE_CLASSES
};

/* One port of one instance of a service. */
struct mt_audit_row {
	const char *host;
	const struct mt_service_entry *se; /* of the service */
	const struct mt_meta *of;	   /* the document that the instance stands in */
	struct mt_labels labels;	   /* the instance's */
	const char *account;		   /* NULL: not said */
	const struct mt_traffic_policy
		*policy;	       /* of DestinationRules, for clients here; NULL: none */
	const struct mt_meta *mode_by; /* NULL: nobody says a mode */
	const struct mt_codec *codec;
	const struct mt_authz
		*rules; /* also those that its own proxy judges by; NULL: nothing is about it */
	struct mt_addr addr;	    /* zero: its name leads to nobody yet */
	uint16_t port, server_port; /* the service's, the instance's */
	uint8_t class;		    /* enum mt_instance_class */
	uint8_t mode;		    /* enum mt_mtls_mode */
	bool labels_unknown;
};

/* A port of a gateway that this node is. */
struct mt_audit_gate {
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *server;
	const struct mt_codec *codec;
	const struct mt_authz *rules; /* NULL: everybody may come in */
};

#define MT_AUDIT_DOMAINS 64

struct mt_audit {
	struct mt_region region; /* its maker's: mt_region_init() */
	struct mt_audit_row *rows;
	struct mt_audit_gate *gates;
	uint32_t n_rows, n_gates;
	const char *root_ns, *domain; /* the root namespace; "cluster.local", of services' names */
	const char *domains[MT_AUDIT_DOMAINS]; /* trust domains: the mesh's, and its aliases */
	uint32_t n_domains;
};
