#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each codec's folder must be in the table and have vectors, a unit suite, a fuzz target and a page.
set -u
cd "$(dirname "$0")/../.." || exit 2
bad=0

lacks() {
	echo "lib/codec/$1: $2" >&2
	bad=1
}

for dir in lib/codec/*/; do
	codec=$(basename "$dir")
	grep -q "&mt_codec_$codec,$" lib/codec/codec.c || lacks "$codec" "not in mt_codecs[] (lib/codec/codec.c)"
	name=$(sed -n 's/^\t\.name = "\(.*\)",$/\1/p' "$dir"*.c | tr '[:upper:]' '[:lower:]')
	[ -n "$name" ] || lacks "$codec" "names no protocol (.name)"
	[ -s "docs/protocols/$name.md" ] || lacks "$codec" "no page docs/protocols/$name.md"
	# Without messages there is nothing to decode.
	grep -q '^[[:space:]]*\.opaque = true,$' "$dir"*.c && continue
	ls "tests/vectors/$codec/"*.hex >/dev/null 2>&1 || lacks "$codec" "no vectors in tests/vectors/$codec/"
	[ -s "tests/unit/codec/${codec}_test.c" ] || lacks "$codec" "no suite tests/unit/codec/${codec}_test.c"
	[ -s "tests/fuzz/fuzz_$codec.c" ] || lacks "$codec" "no fuzz target tests/fuzz/fuzz_$codec.c"
	grep -q "^  '$codec':" tests/fuzz/meson.build || lacks "$codec" "not in tests/fuzz/meson.build"
done
exit $bad
