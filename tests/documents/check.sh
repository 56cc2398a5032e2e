#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the real `meltemid --check` over the documents of the talks, the slide's own form, and each document of bad/ in
# the place of the one that it is a mutation of: exit status, file, line and words must be as bad/expected.tsv says. An error
# fails the check, a warning fails it with --strict, and a note passes both.
#   tests/documents/check.sh [build directory]
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=${1:-${MELTEMI_BUILD:-$here/../../build}}
daemon=$build/app/meltemid/meltemid
[ -x "$daemon" ] || { echo "no meltemid in $build: build it first" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0 tried=0

cat >"$work/node.yaml" <<NODE
apiVersion: meltemi.io/v1
kind: Node
metadata: {name: check}
spec:
  ports: [{name: p0, device: "net_null0", addresses: [192.0.2.1/24]}]
  stateDirectory: $work/state
NODE

# check NAME STATUS WORDS [OPTION]...: one run over $work/docs.
check() {
	local name=$1 want=$2 words=$3 out status
	shift 3
	out=$("$daemon" -c "$work/node.yaml" -d "$work/docs" --check "$@" 2>&1)
	status=$?
	tried=$((tried + 1))
	if [ "$status" = "$want" ] && [[ $out == *"$words"* ]]; then
		return
	fi
	failed=$((failed + 1))
	printf 'FAILED %s%s: exit %s, wanted %s and: %s\n%s\n' "$name" "${*:+ $*}" "$status" "$want" "$words" "$out" >&2
}

fresh() {
	rm -rf "$work/docs"
	cp -r "$here/talks" "$work/docs"
}

fresh
check talks 0 ""
check talks 0 "" --strict
fresh
cp "$here/slide/reviews-canary.yaml" "$work/docs/"
check slide 0 "reviews-canary.yaml:12: warning: spec.awesomeRPC[0].match[0].user: is next to headers"
# Documents that once ended the daemon.
fresh
cp "$here/odd/port-number-twice.yaml" "$work/docs/"
check odd/port-number-twice 1 "port-number-twice.yaml:7: error: spec.ports[1].number: already on line 7"
fresh
cp "$here/odd/address-by-dns.yaml" "$work/docs/"
check odd/address-by-dns 0 "address-by-dns.yaml:9: no effect: it selects only endpoints outside the mesh"
# The rules of a VirtualService are joined with those that it delegates to, after they are read.
fresh
cp "$here/odd/no-delegate.yaml" "$work/docs/dubbo-traffic-splitting.yaml"
check odd/no-delegate 0 "dubbo-traffic-splitting.yaml:11: warning: spec.http[0].delegate: "
check odd/no-delegate 1 "dubbo-traffic-splitting.yaml:11: warning: spec.http[0].delegate: " --strict
# Each hides the next one's mistake; what stands beside them is served.
fresh
for i in $(seq -w 70); do
	printf -- '---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a%s, namespace: prod}\n' "$i"
	printf 'spec: {hosts: [reviews], http: [{match: [{uri: {exact: /}}], route: [{destination: {host: reviews}}]}]}\n'
done >"$work/docs/many-routes.yaml"
check many-routes 1 "spec.http[0].uri: cannot be applied to"
# Whatever makes the exit code 1 has a line.
fresh
cp "$here/odd/one-name-a.yaml" "$here/odd/one-name-b.yaml" "$work/docs/"
check odd/one-name 1 ".yaml:2: error: ServiceEntry default/twice is refused: "
check odd/one-name 1 ".yaml:2 is the older one of this name"
while IFS=$'\t' read -r file stands verdict line words; do
	case $file in '#'*) continue ;; esac
	fresh
	cp "$here/bad/$file" "$work/docs/$stands"
	status=0 strict=1
	[ "$verdict" != error ] || status=1
	[ "$verdict" != note ] || strict=0
	check "$file" $status "$work/docs/$stands:$line: $verdict: $words"
	check "$file" $strict "$work/docs/$stands:$line: $verdict: $words" --strict
done <"$here/bad/expected.tsv"
while IFS=$'\t' read -r setting words; do
	case $setting in '#'*) continue ;; esac
	printf '%s\n' 'apiVersion: meltemi.io/v1' 'kind: Node' 'metadata:' '  name: check' 'spec:' \
		"  stateDirectory: $work/state" "  $setting" >"$work/node.yaml"
	check "$setting" 2 "$work/node.yaml:"
	check "$setting" 2 ": error: $words"
done <"$here/bad/nodes.tsv"
[ ! -e "$work/state" ] || { echo "FAILED: --check wrote the state directory" >&2; failed=$((failed + 1)); }
echo "documents: $tried tried, $failed failed"
[ "$failed" = 0 ]
