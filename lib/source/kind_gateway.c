/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

static const struct mt_field port_fields[] = {
	{"number", MT_F_NUM, AT(struct mt_gateway_port, number), .min = 1, .max = 65535,
		.required = true, .help = "the port that clients connect to"},
	{"name", MT_F_TEXT, AT(struct mt_gateway_port, name), .required = true,
		.help = "the port's name, as in a ServiceEntry"},
	{"protocol", MT_F_TEXT, AT(struct mt_gateway_port, protocol),
		.help = "protocol of the port, if the name contains none, as in a ServiceEntry"},
	{"targetPort", MT_F_LATER, .help = "the node answers at `number`"},
};

static const struct mt_section port_section = {"gateway port", sizeof(struct mt_gateway_port),
	MT_ARRAY_LEN(port_fields), .fields = port_fields};

static void read_bind(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_gateway_server *s = obj;

	if (mt_read_text(c, n, &s->bind) && mt_addr_parse(s->bind.s, &s->bind_addr))
		mt_f_error(c, n->line, "write one of the node's addresses",
			"\"%.64s\" is not an address", n->text);
}

static const char *const modes[] = {"PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH",
	"ISTIO_MUTUAL", "OPTIONAL_MUTUAL", NULL};

static const char *const versions[] = {
	"TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3", NULL};

static const struct mt_field tls_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_gateway_tls, mode), .words = modes,
		.help = "default: `PASSTHROUGH`, by server name. `AUTO_PASSTHROUGH`: to services "
			"by the names that the mesh's clients send, without a VirtualService. "
			"`ISTIO_MUTUAL` needs a node identity"},
	{"credentialName", MT_F_TEXT, AT(struct mt_gateway_tls, credential),
		.help = "a Secret among the documents, in the gateway's namespace"},
	{"credentialNames", MT_F_TEXTS, AT_LIST(struct mt_gateway_tls, credentials),
		.help = "Secrets; the first is presented to all clients"},
	{"caCertCredentialName", MT_F_TEXT, AT(struct mt_gateway_tls, root_credential),
		.help = "a Secret with the roots of clients' certificates"},
	{"httpsRedirect", MT_F_BOOL, AT(struct mt_gateway_tls, redirect),
		.help = "HTTP only: a server with `true` and no mode is not served"},
	{"serverCertificate", MT_F_TEXT, AT(struct mt_gateway_tls, certificate),
		.help = "PEM file in a directory that the Node lists (`spec.tlsFiles`)"},
	{"privateKey", MT_F_TEXT, AT(struct mt_gateway_tls, key),
		.help = "PEM file of the certificate's key"},
	{"caCertificates", MT_F_TEXT, AT(struct mt_gateway_tls, roots),
		.help = "PEM file of the roots of clients' certificates"},
	{"caCrl", MT_F_TEXT, AT(struct mt_gateway_tls, crl), .status = MT_S_NOT_SERVED,
		.help = "write the list into a Secret, as `ca.crl`"},
	{"subjectAltNames", MT_F_TEXTS, AT_LIST(struct mt_gateway_tls, sans),
		.help = "clients' certificates must have one of these names"},
	{"verifyCertificateSpki", MT_F_TEXTS, AT_LIST(struct mt_gateway_tls, spki),
		.status = MT_S_NOT_SERVED,
		.help = "hashes of clients' keys; use `subjectAltNames`"},
	{"verifyCertificateHash", MT_F_TEXTS, AT_LIST(struct mt_gateway_tls, hashes),
		.status = MT_S_NOT_SERVED,
		.help = "hashes of clients' certificates; use `subjectAltNames`"},
	{"minProtocolVersion", MT_F_WORD, AT(struct mt_gateway_tls, min_version), .words = versions,
		.help = "lowest version; at least TLS 1.2"},
	{"maxProtocolVersion", MT_F_WORD, AT(struct mt_gateway_tls, max_version), .words = versions,
		.help = "highest version; at most TLS 1.3"},
	{"cipherSuites", MT_F_TEXTS, AT_LIST(struct mt_gateway_tls, ciphers),
		.help = "TLS 1.2 suites: those with ECDHE and AES-GCM or ChaCha20"},
	{"tlsCertificates", MT_F_SKIP, .help = "use `credentialName`"},
	{"insecureSkipVerify", MT_F_LATER, .harms = true,
		.help = "clients' certificates are verified, and invalid ones are refused"},
};

static const struct mt_section tls_section = {"TLS of a server", sizeof(struct mt_gateway_tls),
	MT_ARRAY_LEN(tls_fields), .fields = tls_fields};

static const struct mt_field server_fields[] = {
	{"port", MT_F_OBJECT, AT(struct mt_gateway_server, port), .sub = &port_section,
		.required = true, .help = "number and name"},
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_gateway_server, hosts), .host = true,
		.max = MT_LIST_LONG,
		.help = "hosts of VirtualServices that may route from here; NAMESPACE/HOST: only "
			"of that namespace"},
	{"bind", MT_F_CUSTOM, .custom = read_bind, .help = "an address of the node; default: all"},
	{"tls", MT_F_POINTER, AT(struct mt_gateway_server, tls), .sub = &tls_section,
		.help = "TLS of the port, with `tls` routes by server name"},
	{"name", MT_F_SKIP, .quiet = true, .help = "for people"},
	{"defaultEndpoint", MT_F_SKIP, .help = "not used by Istio either"},
};

static const struct mt_section server_section = {"gateway server", sizeof(struct mt_gateway_server),
	MT_ARRAY_LEN(server_fields), .fields = server_fields};

static const struct mt_field gateway_fields[] = {
	{"servers", MT_F_LIST, AT_LIST(struct mt_gateway, servers), .sub = &server_section,
		.required = true, .max = MT_LIST_LONG, .help = "the ports"},
	{"selector", MT_F_LABELS, AT(struct mt_gateway, selector), .length = MT_LABEL_TEXT,
		.help = "labels that must all be among the Node's metadata.labels"},
};

const struct mt_section mt_sec_gateway = {"Gateway", sizeof(struct mt_gateway),
	MT_ARRAY_LEN(gateway_fields), .fields = gateway_fields};
