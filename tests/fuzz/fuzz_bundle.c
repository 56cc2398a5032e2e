/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files by which a node joins a mesh: bundles, tokens, certificates, identity.json. The first byte
 * chooses how the others are read.
 */
#include "fuzz.h"

#include "mt_bundle.h"
#include "mt_cert.h"
#include "mt_identity.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A refusal says something, printable and ended. */
static void check_finding(int rc, const struct mt_finding *f)
{
	if (rc == 0)
		return;
	MT_ASSERT(f->words[0] && memchr(f->words, '\0', sizeof(f->words)));
	for (const char *p = f->words; *p; p++)
		MT_ASSERT((unsigned char)*p >= ' ');
}

static void env(struct mt_region *r, const char *text, size_t len)
{
	struct mt_finding f;
	struct mt_env out;
	int rc = mt_env_parse(r, text, len, &out, &f);
	size_t sum = 0;

	check_finding(rc, &f);
	for (uint32_t i = 0; rc == 0 && i < out.n; i++)
		sum += strlen(out.rows[i].key) + strlen(out.rows[i].value) + 1;
	MT_ASSERT(sum <= len + 1);
}

static void hosts(struct mt_region *r, const char *text, size_t len)
{
	struct mt_finding f;
	struct mt_hosts out;
	int rc = mt_hosts_parse(r, text, len, &out, &f);

	check_finding(rc, &f);
	if (rc == 0)
		(void)mt_hosts_find(&out, "istiod.istio-system.svc");
}

static void mesh(struct mt_region *r, const char *text, size_t len)
{
	struct mt_finding f;
	struct mt_mesh_file out;

	check_finding(mt_mesh_parse(r, text, len, &out, &f), &f);
}

static void token(const char *text, size_t len)
{
	struct mt_jwt t;
	struct mt_err e = {""};

	if (mt_jwt_read(text, len, &t, &e))
		MT_ASSERT(e.text[0]);
	else
		(void)mt_jwt_is_for(&t, "istio-ca");
}

static void certificates(const char *pem)
{
	uint32_t n = mt_cert_count(pem);
	struct mt_cert c;
	struct mt_err e;

	MT_ASSERT((mt_cert_read(pem, 0, &c, &e) == 0) == (n > 0));
	MT_ASSERT(mt_cert_read(pem, n, &c, &e) != 0);
	(void)mt_cert_trusted(pem, pem, 0, &e);
	MT_ASSERT(mt_cert_fits(pem, pem, &e) != 0 || n > 0);
	free(mt_cert_chain((char *const *)&pem, 1, &e));
}

static void address(const char *text)
{
	char host[64];
	uint16_t port;

	if (mt_host_port(text, host, sizeof(host), &port) == 0)
		MT_ASSERT(host[0] && port);
}

/* identity.json, which a directory has beside the certificate; it is read from a file only. */
static void identity(const char *text, size_t len)
{
	struct mt_identity_conf c;
	struct mt_err e = {""};
	char path[32];
	int fd = memfd_create("identity.json", MFD_CLOEXEC), rc;

	MT_ASSERT(fd >= 0 && write(fd, text, len) == (ssize_t)len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	rc = mt_identity_conf_read(path, &c, &e);
	MT_ASSERT((rc == 0) == (e.text[0] == '\0'));
	if (rc == 0) {
		MT_ASSERT(c.ca[0] && memchr(c.ca, '\0', sizeof(c.ca)));
		MT_ASSERT(c.server_name[0] && memchr(c.server_name, '\0', sizeof(c.server_name)));
		MT_ASSERT(c.uri[0] && memchr(c.uri, '\0', sizeof(c.uri)));
		MT_ASSERT(memchr(c.cluster_id, '\0', sizeof(c.cluster_id)));
		MT_ASSERT(!c.ttl_s ||
			  (c.ttl_s >= MT_IDENTITY_TTL_MIN_S && c.ttl_s <= MT_IDENTITY_TTL_MAX_S));
	}
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_region r;
	char *text;

	if (!size || size > 65536)
		return 0;
	/* Ended by a NUL, as files are when they were read; at the edge of what is allocated. */
	text = malloc(size);
	MT_ASSERT(text);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	mt_region_init(&r, 16u << 20);
	switch (data[0] % 8) {
	case 0:
		env(&r, text, size - 1);
		break;
	case 1:
		hosts(&r, text, size - 1);
		break;
	case 2:
		mesh(&r, text, size - 1);
		break;
	case 3:
		token(text, size - 1);
		break;
	case 4:
		certificates(text);
		break;
	case 6:
		identity(text, size - 1);
		break;
	default:
		address(text);
	}
	mt_region_fini(&r);
	free(text);
	return 0;
}
