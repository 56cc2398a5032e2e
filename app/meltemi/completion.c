/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Completion for bash, zsh and fish. The scripts contain no commands: they call `meltemi
 * --complete`, which queries the daemon, so that names of services and ports are completed, too.
 * Without a daemon it completes commands only.
 */
#include "words.h"

#include <stdio.h>
#include <string.h>

static const char bash[] =
	"_meltemi() {\n"
	"\tlocal -a options=() before=(); local i word\n"
	"\tCOMPREPLY=()\n"
	"\tfor ((i = 1; i < COMP_CWORD; i++)); do\n"
	"\t\tword=${COMP_WORDS[i]}\n"
	"\t\tcase ${#before[@]}$word in\n"
	"\t\t0-s|0--socket|0--connect|0--cert|0--key|0--ca|0--server-name|0--watch)\n"
	"\t\t\toptions+=(\"$word\" \"${COMP_WORDS[++i]}\") ;;\n"
	"\t\t0-*) options+=(\"$word\") ;;\n"
	"\t\t*) before+=(\"$word\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif ((i > COMP_CWORD)); then\n"
	"\t\tcompopt -o default 2>/dev/null\n"
	"\t\treturn\n"
	"\tfi\n"
	"\twhile IFS=$'\\t' read -r word _; do\n"
	"\t\tprintf -v word %q \"$word\"\n" /* names of documents must not run as commands */
	"\t\tCOMPREPLY+=(\"$word\")\n"
	"\tdone < <(meltemi \"${options[@]}\" --complete -- \"${before[@]}\" "
	"\"${COMP_WORDS[COMP_CWORD]}\" 2>/dev/null)\n"
	"\tcase ${before[0]} in\n"
	"\tcodec|import|join|nic|analyse|support|capture) compopt -o default 2>/dev/null ;;\n"
	"\tesac\n"
	"}\n"
	"complete -F _meltemi meltemi\n";

static const char zsh[] =
	"#compdef meltemi\n"
	"_meltemi() {\n"
	"\tlocal -a options before found\n"
	"\tlocal i\n"
	"\tfor ((i = 2; i < CURRENT; i++)); do\n"
	"\t\tcase ${#before}${words[i]} in\n"
	"\t\t0-s|0--socket|0--connect|0--cert|0--key|0--ca|0--server-name|0--watch)\n"
	"\t\t\toptions+=(\"${words[i]}\" \"${words[++i]}\") ;;\n"
	"\t\t0-*) options+=(\"${words[i]}\") ;;\n"
	"\t\t*) before+=(\"${words[i]}\") ;;\n"
	"\t\tesac\n"
	"\tdone\n"
	"\tif ((i > CURRENT)); then\n"
	"\t\t_files\n"
	"\t\treturn\n"
	"\tfi\n"
	"\tfound=(${(f)\"$(meltemi $options --complete -- $before \"${words[CURRENT]}\" "
	"2>/dev/null | sed 's/:/\\\\:/g; s/\\t/:/')\"})\n"
	"\t_describe command found\n"
	"\t[[ ${before[1]} == (codec|import|join|nic|analyse|support|capture) ]] && _files\n"
	"}\n"
	"if [[ ${funcstack[1]} == _meltemi ]]; then\n"
	"\t_meltemi \"$@\"\n"
	"else\n"
	"\tcompdef _meltemi meltemi\n"
	"fi\n";

static const char fish[] =
	"function __meltemi_words\n"
	"\tset -l before (commandline -opc)[2..]\n"
	"\tmeltemi --complete $before (commandline -ct) 2>/dev/null\n"
	"end\n"
	"complete -c meltemi -f -a '(__meltemi_words)'\n"
	"complete -c meltemi -F -n '__fish_seen_subcommand_from codec import nic'\n";

int completion_script(const char *shell)
{
	static const struct {
		const char *name, *script;
	} t[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; shell && i < MT_ARRAY_LEN(t); i++)
		if (strcmp(t[i].name, shell) == 0) {
			fputs(t[i].script, stdout);
			return EXIT_DONE;
		}
	fprintf(stderr, "meltemi: usage: completion bash|zsh|fish\n");
	return EXIT_USAGE;
}
