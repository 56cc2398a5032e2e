/* SPDX-License-Identifier: Apache-2.0 */
#include "load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: load server --proto dubbo|thrift --port PORT --size BYTES\n"
	"       load client --proto dubbo|thrift --host ADDRESS --port PORT --size BYTES\n"
	"            --connections N --outstanding N --seconds S --warm-up S --rate PER_SECOND\n";

static const struct option names[] = {{"proto", required_argument, NULL, 'p'},
	{"host", required_argument, NULL, 'h'}, {"port", required_argument, NULL, 'P'},
	{"size", required_argument, NULL, 's'}, {"connections", required_argument, NULL, 'c'},
	{"outstanding", required_argument, NULL, 'o'}, {"seconds", required_argument, NULL, 't'},
	{"warm-up", required_argument, NULL, 'w'}, {"rate", required_argument, NULL, 'r'}, {0}};

static bool option(struct load_options *o, int name, const char *value)
{
	switch (name) {
	case 'p':
		o->proto = strcmp(value, "thrift") == 0 ? PROTO_THRIFT : PROTO_DUBBO;
		return true;
	case 'h':
		o->host = value;
		return true;
	case 'P':
		o->port = (uint16_t)atoi(value);
		return true;
	case 's':
		o->size = (uint32_t)atoi(value);
		return true;
	case 'c':
		o->connections = (uint32_t)atoi(value);
		return o->connections > 0;
	case 'o':
		o->outstanding = (uint32_t)atoi(value);
		return o->outstanding > 0;
	case 't':
		o->seconds = atof(value);
		return o->seconds > 0;
	case 'w':
		o->warm_up = atof(value);
		return true;
	case 'r':
		o->rate = atof(value);
		return true;
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	struct load_options o = {.host = "127.0.0.1",
		.port = 20880,
		.connections = 1,
		.outstanding = 1,
		.size = 20,
		.seconds = 2,
		.warm_up = 0.3};
	int name;

	signal(SIGPIPE, SIG_IGN);
	while ((name = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (!option(&o, name, optarg)) {
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind + 1 == argc && strcmp(argv[optind], "server") == 0)
		return load_server(&o);
	if (optind + 1 == argc && strcmp(argv[optind], "client") == 0)
		return load_client(&o);
	fputs(usage, stderr);
	return 2;
}
