/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets by name: set, or files that somebody rotates. */
#include "grpc/grpc_server.h"
#include "mt_cert.h"
#include "mt_file.h"
#include "mt_secrets.h"
#include "suites.h"
#include "mt_grpc_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct identity ca, a, b;
static char dir[64], chain_path[96], key_path[96], name[256];

static void begin(void)
{
	ca = identity_new(NULL, "DNS:root");
	a = identity_new(&ca, "URI:spiffe://x/a");
	b = identity_new(&ca, "URI:spiffe://x/b");
	strcpy(dir, "/tmp/meltemi-secrets-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(chain_path, sizeof(chain_path), "%s/chain.pem", dir);
	snprintf(key_path, sizeof(key_path), "%s/key.pem", dir);
	snprintf(name, sizeof(name), "file-cert:%s~%s", chain_path, key_path);
}

static void end(void)
{
	unlink(chain_path);
	unlink(key_path);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
	identity_free(&a);
	identity_free(&b);
	identity_free(&ca);
}

static void put(const char *path, const char *text)
{
	struct mt_err e;

	CU_ASSERT_EQUAL_FATAL(mt_file_replace(path, text, strlen(text), 0600, &e), 0);
}

static void memory_holds_what_fits_together(void)
{
	struct mt_secrets *s = mt_secrets_new();
	const struct mt_secret *first, *second;
	uint64_t serial;
	struct mt_err e;

	begin();
	CU_ASSERT_PTR_NULL(mt_secrets_hold(s, "default", &e));
	CU_ASSERT_STRING_EQUAL(e.text, "there is no secret of this name");
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", a.cert_pem, a.key_pem, NULL, &e), 0);
	serial = mt_secrets_turn(s, 0);
	first = mt_secrets_hold(s, "default", &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(first);
	CU_ASSERT_EQUAL(first->not_after - first->not_before, 7200);
	/* The same again, with a comment: nothing changes. */
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", a.cert_pem, a.key_pem, NULL, &e), 0);
	CU_ASSERT_EQUAL(mt_secrets_turn(s, 0), serial);
	/* What does not fit is refused, the last good one stays. */
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", b.cert_pem, a.key_pem, NULL, &e), -EINVAL);
	CU_ASSERT_STRING_EQUAL(e.text, "the private key does not belong to the certificate");
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", b.cert_pem, NULL, NULL, &e), -EINVAL);
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", NULL, NULL, NULL, &e), -EINVAL);
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", "x", a.key_pem, NULL, &e), -EINVAL);
	CU_ASSERT_EQUAL(mt_secrets_set(s, "ROOTCA", NULL, NULL, "no PEM", &e), -EINVAL);
	CU_ASSERT_EQUAL(mt_secrets_turn(s, 0), serial);
	/* A new one is another version; who holds the old one keeps it. */
	CU_ASSERT_EQUAL(mt_secrets_set(s, "default", b.cert_pem, b.key_pem, NULL, &e), 0);
	CU_ASSERT_NOT_EQUAL(mt_secrets_turn(s, 0), serial);
	second = mt_secrets_hold(s, "default", &e);
	CU_ASSERT_PTR_NOT_EQUAL(first, second);
	CU_ASSERT_EQUAL(mt_cert_fits(first->chain, first->key, &e), 0);
	mt_secret_drop(first);
	CU_ASSERT_EQUAL(mt_secrets_set(s, "ROOTCA", NULL, NULL, ca.cert_pem, &e), 0);
	mt_secrets_free(s);
	/* The names are gone, the version that is held is not. */
	CU_ASSERT_EQUAL(mt_cert_fits(second->chain, second->key, &e), 0);
	mt_secret_drop(second);
	end();
}

static struct mt_secret_status seen;
static uint32_t rows;

static void look(void *arg, const struct mt_secret_status *status)
{
	seen = *status;
	rows++;
}

static void files_are_read_again(void)
{
	struct mt_secrets *s = mt_secrets_new();
	const struct mt_secret *v;
	uint64_t serial, now = MT_SEC;
	struct mt_err e;

	begin();
	/* Not there yet: told, and watched. */
	CU_ASSERT_PTR_NULL(mt_secrets_hold(s, name, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "chain.pem: No such file or directory"));
	put(chain_path, a.cert_pem);
	put(key_path, a.key_pem);
	serial = mt_secrets_turn(s, now);
	v = mt_secrets_hold(s, name, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL(mt_secrets_turn(s, now += 10 * MT_SEC), serial);
	/* A rotation is two writes; between them the old pair goes on, and the words say what is wrong. */
	put(chain_path, b.cert_pem);
	CU_ASSERT_EQUAL(mt_secrets_turn(s, now += MT_SEC), serial);
	mt_secrets_each(s, look, NULL);
	CU_ASSERT_EQUAL(rows, 1);
	CU_ASSERT_PTR_EQUAL(seen.secret, v);
	CU_ASSERT_TRUE(seen.from_files);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(seen.why, "chain.pem: the private key does not belong to the certificate"));
	put(key_path, b.key_pem);
	CU_ASSERT_NOT_EQUAL(mt_secrets_turn(s, now += MT_SEC), serial);
	mt_secrets_each(s, look, NULL);
	CU_ASSERT_STRING_EQUAL(seen.why, "");
	CU_ASSERT_PTR_NOT_EQUAL(seen.secret, v);
	/* Removed, emptied, garbage: the last good one goes on. */
	serial = mt_secrets_turn(s, now);
	unlink(key_path);
	CU_ASSERT_EQUAL(mt_secrets_turn(s, now += MT_SEC), serial);
	put(key_path, "");
	CU_ASSERT_EQUAL(mt_secrets_turn(s, now += MT_SEC), serial);
	put(key_path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
	CU_ASSERT_EQUAL(mt_secrets_turn(s, now += MT_SEC), serial);
	mt_secrets_each(s, look, NULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(seen.why, "the key is not a PEM private key"));
	mt_secret_drop(v);
	mt_secrets_free(s);
	end();
}

static void files_may_change_within_their_clock(void)
{
	struct mt_secrets *s = mt_secrets_new();
	struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	uint64_t serial;
	struct mt_err e;
	FILE *f;

	begin();
	put(chain_path, ca.cert_pem);
	snprintf(name, sizeof(name), "file-root:%s", chain_path);
	mt_secret_drop(mt_secrets_hold(s, name, &e));
	serial = mt_secrets_turn(s, MT_SEC);
	/* Written in place, with the old times put back: the size differs by chance, or not at all. */
	f = fopen(chain_path, "r+");
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	fputs(a.cert_pem, f);
	fclose(f);
	utimensat(AT_FDCWD, chain_path, times, 0);
	CU_ASSERT_NOT_EQUAL(mt_secrets_turn(s, 2 * MT_SEC), serial);
	mt_secrets_free(s);
	end();
}

/* A sanitizer's tables are terabytes, and what it freed is its own affair. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif

/* ---- what is left in memory ------------------------------------------------------------------------ */

#define NEEDLE 40
#define VEIL   0x55

/* How often the veiled bytes stand, unveiled, in writable memory of this process. */
static uint32_t found_in_memory(const uint8_t veiled[NEEDLE])
{
	static uint8_t buf[1 << 20];
	FILE *maps = fopen("/proc/self/maps", "r");
	int mem = open("/proc/self/mem", O_RDONLY);
	uint32_t found = 0;
	char line[512];

	CU_ASSERT_FATAL(maps != NULL && mem >= 0);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long from, to;
		char rights[8];

		if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) != 3 || rights[1] != 'w')
			continue;
		for (; from < to; from += sizeof(buf) - NEEDLE) {
			ssize_t n = pread(mem, buf, MT_MIN(sizeof(buf), to - from), (off_t)from);

			for (ssize_t i = 0; i + NEEDLE <= n; i++) {
				int k = 0;

				while (k < NEEDLE && (buf[i + k] ^ VEIL) == veiled[k])
					k++;
				/* The window itself may be read in the end, with what it last held. */
				found += k == NEEDLE &&
					 !(from + (size_t)i >= (uintptr_t)buf &&
						 from + (size_t)i < (uintptr_t)buf + sizeof(buf));
			}
			memset(buf, 0, sizeof(buf));
			if (n <= 0)
				break;
		}
	}
	close(mem);
	fclose(maps);
	return found;
}

/* A piece of the key's text, so that this program does not hold it itself. */
static void veil(const char *key, uint8_t veiled[NEEDLE])
{
	const char *at = strchr(key, '\n') + 20;

	for (int i = 0; i < NEEDLE; i++)
		veiled[i] = (uint8_t)(at[i] ^ VEIL);
}

static void keys_leave_no_trace(void)
{
	struct mt_secrets *s = mt_secrets_new();
	const struct mt_secret *held;
	uint8_t veiled[NEEDLE];
	struct mt_err e;
	char *key, *csr;

#ifdef SANITIZED
	mt_secrets_free(s);
	return;
#endif
	begin();
	free(a.key_pem);
	a.key_pem = NULL;
	CU_ASSERT_EQUAL_FATAL(mt_csr_new("spiffe://x/a", &key, &csr, &e), 0);
	veil(key, veiled);
	CU_ASSERT_EQUAL(found_in_memory(veiled), 1);
	/* Through a file, too; this certificate is of another key, so the pair is read and refused. */
	put(chain_path, a.cert_pem);
	put(key_path, key);
	CU_ASSERT_PTR_NULL(mt_secrets_hold(s, name, &e));
	mt_wipe_free(key);
	CU_ASSERT_EQUAL(found_in_memory(veiled), 0);
	put(key_path, b.key_pem);
	put(chain_path, b.cert_pem);
	veil(b.key_pem, veiled);
	mt_wipe_free(b.key_pem);
	b.key_pem = NULL;
	mt_secrets_turn(s, MT_SEC);
	held = mt_secrets_hold(s, name, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(held);
	CU_ASSERT_EQUAL(found_in_memory(veiled), 1);
	mt_secrets_free(s);
	CU_ASSERT_EQUAL(found_in_memory(veiled), 1);
	mt_secret_drop(held);
	CU_ASSERT_EQUAL(found_in_memory(veiled), 0);
	free(csr);
	end();
}

static void names_of_files_are_checked(void)
{
	static const char *const bad[] = {
		"file-cert:", "file-cert:/a", "file-cert:~/b", "file-cert:/a~"};
	struct mt_secrets *s = mt_secrets_new();
	struct mt_err e;

	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		CU_ASSERT_PTR_NULL(mt_secrets_hold(s, bad[i], &e));
		CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "is not like file-cert:CHAIN~KEY"));
	}
	CU_ASSERT_PTR_NULL(mt_secrets_hold(s, "file-root:/", &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "it is not a file"));
	CU_ASSERT_EQUAL(mt_secrets_set(s, "file-root:/", NULL, NULL, "x", &e), -EINVAL);
	mt_secrets_free(s);
}

/* A certificate that says of itself that it is encrypted. */
static char *encrypted_certificate(const char *pem)
{
	const char *body = strchr(pem, '\n');
	char *text;

	CU_ASSERT_FATAL(
		body &&
		asprintf(&text, "%.*s\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,%s\n%s",
			(int)(body - pem), pem, "000102030405060708090A0B0C0D0E0F", body) > 0);
	return text;
}

static char *encrypted_key(EVP_PKEY *key)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data, *text;
	long n;

	PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(), NULL, 0, NULL, (void *)"word");
	n = BIO_get_mem_data(out, &data);
	text = strndup(data, (size_t)n);
	BIO_free(out);
	return text;
}

/* All ways in which texts of others are read as PEM; what is left of what stands at standard input. */
static int left_at_stdin(const char *cert, const char *key)
{
	struct mt_grpc_tls roots = {.roots = cert};
	struct mt_grpc_tls identity = {.roots = ca.cert_pem, .chain = a.cert_pem, .key = key};
	struct mt_err e;
	int left = -1, in[2];

	/* Without a terminal OpenSSL asks there. */
	setsid();
	if (pipe(in) || dup2(in[0], 0) != 0 || write(in[1], "word\nword\n", 10) != 10)
		return -1;
	close(in[1]);
	if (mt_cert_count(cert) || mt_cert_fits(a.cert_pem, key, &e) == 0 ||
		mt_tls_context(&roots, &e) || mt_tls_context(&identity, &e))
		return -1;
	return ioctl(0, FIONREAD, &left) ? -1 : left;
}

static void nobody_is_asked_for_a_pass_phrase(void)
{
	char *cert, *key;
	int status = -1;
	pid_t child;

	begin();
	cert = encrypted_certificate(a.cert_pem);
	key = encrypted_key(a.key);
	child = fork();
	CU_ASSERT_FATAL(child >= 0);
	if (child == 0)
		_exit(left_at_stdin(cert, key));
	CU_ASSERT_EQUAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE(WIFEXITED(status));
	CU_ASSERT_EQUAL(WEXITSTATUS(status), 10);
	free(cert);
	free(key);
	end();
}

const struct mt_test secrets_tests[] = {
	{"memory_holds_what_fits_together", memory_holds_what_fits_together},
	{"files_are_read_again", files_are_read_again},
	{"files_may_change_within_their_clock", files_may_change_within_their_clock},
	{"keys_leave_no_trace", keys_leave_no_trace},
	{"names_of_files_are_checked", names_of_files_are_checked},
	{"nobody_is_asked_for_a_pass_phrase", nobody_is_asked_for_a_pass_phrase}, {0}};
