#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Each codec's folder must be in the table and have vectors, a unit suite, a fuzz target and a page. No other library names
# a codec or compares its address: it asks for a property, or for the identity.
set -u
cd "$(dirname "$0")/../.." || exit 2
bad=0

lacks() {
	echo "lib/codec/$1: $2" >&2
	bad=1
}

for dir in lib/codec/*/; do
	codec=$(basename "$dir")
	# Runs codecs that are data.
	[ "$codec" = table ] && continue
	grep -q "^MT_CODEC($codec)$" lib/codec/codecs.def || lacks "$codec" "not in lib/codec/codecs.def"
	name=$(sed -n 's/^\t\.name = "\(.*\)",$/\1/p' "$dir"*.c | tr '[:upper:]' '[:lower:]')
	[ -n "$name" ] || lacks "$codec" "names no protocol (.name)"
	[ -s "docs/protocols/$name.md" ] || lacks "$codec" "no page docs/protocols/$name.md"
	[ -s "tests/unit/codec/${codec}_test.c" ] || lacks "$codec" "no suite tests/unit/codec/${codec}_test.c"
	# Without messages there is nothing to decode.
	grep -q '^[[:space:]]*\.opaque = true,$' "$dir"*.c && continue
	ls "tests/vectors/$codec/"*.hex >/dev/null 2>&1 || lacks "$codec" "no vectors in tests/vectors/$codec/"
	[ -s "tests/fuzz/fuzz_$codec.c" ] || lacks "$codec" "no fuzz target tests/fuzz/fuzz_$codec.c"
	grep -q "^  '$codec':" tests/fuzz/meson.build || lacks "$codec" "not in tests/fuzz/meson.build"
done

# By name, by address, or by the private header.
if grep -rnE --include='*.[ch]' '&mt_codec_|mt_codec_find\("|cmp\([^;]*codec->name|codec (==|!=) ([a-z]|&)|mt_codec_priv' lib app |
	grep -v '^lib/codec/' >&2; then
	echo "ask for a property of struct mt_codec, or compare by mt_codec_same()" >&2
	bad=1
fi
# A configuration may have more codecs than the build. lib/codecfile refuses names of the build.
if grep -rnE --include='*.[ch]' 'mt_codec_find\(|mt_codecs\b' lib app | grep -vE '^lib/(codec|codecfile)/' >&2; then
	echo "find codecs in the registry of the configuration (mt_codec_registry.h)" >&2
	bad=1
fi
exit $bad
