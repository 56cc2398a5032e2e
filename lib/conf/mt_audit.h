/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Audit of a compile for lib/analyse: which rules apply to each endpoint of the documents, and how
 * callers connect to it. Texts belong to the model and rules to the snapshot, so the audit is valid
 * as long as both exist. Control thread only.
 */
#pragma once

#include "mt_authz.h"
#include "mt_model.h"

/* Which proxy enforces policies for an endpoint. */
enum mt_instance_class {
	MT_INSTANCE_OUTSIDE, /* none: its ServiceEntry has location MESH_EXTERNAL */
	MT_INSTANCE_MESHED,  /* its own sidecar */
	MT_INSTANCE_BARE,    /* this node, because the endpoint has no sidecar */
	MT_INSTANCE_CLASSES
};

/* A port of an endpoint of a service. */
struct mt_audit_row {
	const char *host;
	const struct mt_service_entry *se; /* the service */
	const struct mt_meta *of;	   /* the document that contains the endpoint */
	struct mt_labels labels;	   /* of the endpoint */
	const char *account;		   /* its service account; NULL: unknown */
	/* Traffic policy of the DestinationRule for clients of this node; NULL: none. */
	const struct mt_traffic_policy *policy;
	const struct mt_meta *mode_by; /* the document that sets `mode`; NULL: none */
	const struct mt_codec *codec;
	/* All rules for the endpoint, also those that its sidecar enforces; NULL: none. */
	const struct mt_authz *rules;
	struct mt_addr addr;	    /* zero: its name is not resolved yet */
	uint16_t port, server_port; /* of the service, of the endpoint */
	uint8_t class;		    /* enum mt_instance_class */
	uint8_t mode;		    /* enum mt_mtls_mode */
	bool labels_unknown;	    /* the endpoint may have other labels than `labels` */
};

/* A port of a gateway that runs on this node. */
struct mt_audit_gate {
	const struct mt_gateway *gateway;
	const struct mt_gateway_server *server;
	const struct mt_codec *codec;
	const struct mt_authz *rules; /* NULL: every client may use it */
};

/* Most trust domains in an audit. */
#define MT_AUDIT_DOMAINS 64

struct mt_audit {
	struct mt_region region; /* initialized and freed by the caller of mt_conf_set_audit() */
	struct mt_audit_row *rows;
	struct mt_audit_gate *gates;
	uint32_t n_rows, n_gates;
	const char *root_ns, *domain; /* root namespace; domain of service names, "cluster.local" */
	const char *domains[MT_AUDIT_DOMAINS]; /* trust domain of the mesh, and its aliases */
	uint32_t n_domains;
};
