/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of the host from which keys are fetched. They are looked up here, because libcurl would
 * wait for its resolver's thread inside of curl_multi_perform(), and with it all other fetches.
 * - Each lookup has a resolver of its own, so that a lookup that is given up leaves no query.
 * - Addresses that keys may not come from are left out here; open_socket() in fetch.c checks again,
 *   for URIs that contain an address.
 */
#include "mt_jwks_store_priv.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* For ":PORT" and an IPv6 address in brackets with a comma. */
#define ENTRY_MAX (16 + MT_JWKS_ADDRS * (MT_ADDR_STRLEN + 3))

static void answered(void *arg, const struct mt_lookup_result *r)
{
	struct mt_jwks_host *h = arg;

	h->done = true;
	for (uint32_t i = 0; i < r->n && i < MT_JWKS_ADDRS; i++) {
		bool kept_out = !h->local && mt_jwks_is_protected(&r->addrs[i]);

		h->kept_out |= kept_out;
		if (!kept_out)
			h->addrs[h->n++] = r->addrs[i];
	}
	if (!r->n)
		snprintf(h->why, sizeof(h->why), "%s", r->why ? r->why : "no answer");
}

static bool is_address(const char *host)
{
	struct mt_addr a;

	return host[0] == '[' || mt_addr_parse(host, &a) == 0;
}

/* Reads host and port as libcurl does; the caller frees *host by curl_free(). */
static bool parse(const char *uri, char **host, uint16_t *port)
{
	CURLU *u = curl_url();
	char *number = NULL;
	bool ok = u &&
		  !curl_url_set(
			  u, CURLUPART_URL, uri, CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME) &&
		  !curl_url_get(u, CURLUPART_HOST, host, 0) &&
		  !curl_url_get(u, CURLUPART_PORT, &number, CURLU_DEFAULT_PORT);

	*port = ok ? (uint16_t)strtoul(number, NULL, 10) : 0;
	curl_free(number);
	curl_url_cleanup(u);
	return ok;
}

int mt_jwks_host_ask(
	struct mt_jwks_host *h, struct mt_fds *fds, const char *uri, bool local, struct mt_err *e)
{
	char *host = NULL;
	int rc = 1;

	*h = (struct mt_jwks_host){.local = local};
	if (!parse(uri, &host, &h->port))
		rc = mt_err(e, -EINVAL, "it is not a supported URI");
	else if (is_address(host))
		rc = 0;
	else if (!(h->resolver = mt_resolver_new(fds, e)))
		rc = -EIO;
	else
		(void)mt_lookup(h->resolver, host, answered, h);
	curl_free(host);
	return rc;
}

void mt_jwks_host_end(struct mt_jwks_host *h)
{
	mt_resolver_free(h->resolver);
	h->resolver = NULL;
}

/*
 * "*:443:192.0.2.1,[2001:db8::1]": whatever name the request has, so that libcurl has no other name
 * to look up.
 */
char *mt_jwks_host_entry(const struct mt_jwks_host *h)
{
	char *text = malloc(ENTRY_MAX), addr[MT_ADDR_STRLEN];
	size_t len;

	if (!text)
		return NULL;
	len = (size_t)snprintf(text, ENTRY_MAX, "*:%u:", h->port);
	for (uint32_t i = 0; i < h->n; i++)
		len += (size_t)snprintf(text + len, ENTRY_MAX - len,
			mt_addr_is4(&h->addrs[i]) ? "%s%s" : "%s[%s]", i ? "," : "",
			mt_addr_str(&h->addrs[i], addr));
	return text;
}
