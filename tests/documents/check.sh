#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the real `meltemid --check` over the documents of the talks, the slide's own form, and each document of bad/ in
# the place of the one that it is a mutation of: exit status, file, line and words must be as bad/expected.tsv says. An error
# fails the check, a warning fails it with --strict, and a note passes both. Each mistake of seeded/mistakes.tsv loses calls or leaves a
# protection without effect: --strict fails, with these words, while it passes the documents without one.
#   tests/documents/check.sh [--table] [build directory]
# --table prints the exit status of each mistake, without and with --strict, and the finding.
set -u
table=
[ "${1:-}" != --table ] || { table=1; shift; }
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
metadata: {name: check, labels: {edge: shop}}
spec:
  ports: [{name: p0, device: "net_null0", addresses: [192.0.2.1/24]}]
  routes: [{to: 0.0.0.0/0, port: p0}]
  tlsFiles: [{directory: /nowhere}]
  stateDirectory: $work/state
NODE

# check NAME STATUS WORDS [OPTION]...: one run over $work/docs.
check() {
	local name=$1 want=$2 words=$3 out status
	shift 3
	out=$("$daemon" -c "$work/node.yaml" -d "$work/docs" --check "$@" 2>&1)
	status=$? last=$status
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

# A Node without an admin socket has a note.
mkdir "$work/docs"
check no-shell 0 "node.yaml:1: note: spec.admin.socket: no admin socket: " --strict
for admin in "socket: $work/admin.sock" "tls: {listen: 192.0.2.1:1, certificate: a, key: b, clientRoots: c, roles: [{identity: d, role: view}]}"; do
	sed "\$ a\\  admin: {$admin}" "$work/node.yaml" >"$work/with-shell.yaml"
	said=$("$daemon" -c "$work/with-shell.yaml" -d "$work/docs" --check 2>&1)
	[[ $said == *" services, "*" 0 notes"* ]] || { echo "FAILED: admin: {$admin}: $said" >&2; failed=$((failed + 1)); }
done
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
check odd/address-by-dns 0 "address-by-dns.yaml:9: warning: no effect: it selects only endpoints outside the mesh, where it is not enforced: ServiceEntry default/a has no location (write location: MESH_INTERNAL"
# An endpoint that nothing leads to is reported with the place of its address.
fresh
printf 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: six}\nspec:\n  hosts: [six.example]\n  addresses: [240.240.200.6]\n' >"$work/docs/six.yaml"
printf '  location: MESH_EXTERNAL\n  resolution: STATIC\n  ports: [{number: 80, name: tcp}]\n  endpoints: [{address: "2001:db8::6"}]\n' >>"$work/docs/six.yaml"
check unreached 1 "no port and no route leads to 2001:db8::6 of outbound|80||six.example ($work/docs/six.yaml:10), and 1 endpoints in all" --strict
# The rules of a VirtualService are joined with those that it delegates to, after they are read.
fresh
cp "$here/odd/no-delegate.yaml" "$work/docs/dubbo-traffic-splitting.yaml"
check odd/no-delegate 0 "dubbo-traffic-splitting.yaml:11: warning: spec.http[0].delegate: "
check odd/no-delegate 1 "dubbo-traffic-splitting.yaml:11: warning: spec.http[0].delegate: " --strict
# A list where documents belong, and lists of other software.
fresh
printf -- '- apiVersion: v1\n  kind: Service\n  metadata: {name: x}\n' >"$work/docs/list.yaml"
check list 1 "list.yaml:1: warning: a list of objects is not read (write them as documents separated by --- or as a List)" --strict
check list 0 "list.yaml:1: warning: a list of objects is not read"
printf -- '- op: remove\n  path: /spec/hosts/0\n' >"$work/docs/list.yaml"
check patch 0 " 0 warnings" --strict
# Each hides the next one's mistake; what stands beside them is served.
fresh
for i in $(seq -w 70); do
	printf -- '---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: a%s, namespace: prod}\n' "$i"
	printf 'spec: {hosts: [reviews], http: [{match: [{uri: {exact: /}}], route: [{destination: {host: reviews}}]}]}\n'
done >"$work/docs/many-routes.yaml"
check many-routes 1 "spec.http[0].uri: cannot be applied to"
# A checkout of a repository may have links: one that leads out of the directory is not followed.
fresh
mkdir "$work/docs/.v1" && mv "$work/docs/dubbo-traffic-splitting.yaml" "$work/docs/.v1/" && ln -s .v1 "$work/docs/current"
check link-within 0 ""
ln -s / "$work/docs/all"
check link-out 1 "docs/all: error: cannot be read: it is a symbolic link that leads out of its source's directory (make it a link to"
# A team's directory, which has one namespace.
fresh
mkdir "$work/docs/team"
cp "$work/node.yaml" "$work/node-of-all"
echo '  sources: [{directory: docs}, {directory: docs/team, namespaces: [shop]}]' >>"$work/node.yaml"
for ns in shop prod; do
	printf 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: own, namespace: %s}\nspec: {}\n' $ns >"$work/docs/team/$ns.yaml"
done
check team 1 "docs/team/prod.yaml:3: error: metadata.namespace: \"prod\" is not among the namespaces of this source: shop (write one of them"
rm "$work/docs/team/prod.yaml"
check team 0 ""
cp "$work/node-of-all" "$work/node.yaml"
# Codec files are read from the directories of the Node's spec.codecs.
fresh
mkdir "$work/codecs"
cp "$here/../codecfiles/files/awesome.yaml" "$work/codecs/"
echo "  codecs: [codecs]" >>"$work/node.yaml"
cp "$here/bad/protocol-unknown-codec.yaml" "$work/docs/dubbo-application-protocol.yaml"
sed -i "s/codec.dubo/codec.awesome/; s/protocol: dubbo/protocol: shop/" "$work/docs/dubbo-application-protocol.yaml"
check codecs 0 " 0 warnings" --strict
sed -i 's/^  calls: .*/  calls: often/' "$work/codecs/awesome.yaml"
check codec-mistake 1 "codecs/awesome.yaml:6: error: spec.calls: "
sed -i 's/^  calls: .*/  calls: serial/' "$work/codecs/awesome.yaml"
check codec-serial 0 " 0 warnings" --strict
sed 's/^  calls: .*/  calls: multiplexed/' "$work/codecs/awesome.yaml" >"$work/codecs/again.yaml"
check codec-twice 1 "error: Codec awesome is refused: "
check codec-twice 1 ":2 has this name, too, and is used: neither is older"
rm "$work/codecs/again.yaml"
cp "$work/codecs/awesome.yaml" "$work/docs/"
check codec-elsewhere 1 "docs/awesome.yaml:2: error: codecs are read only from directories of spec.codecs (move the document"
cp "$here/bad/protocol-unknown-codec.yaml" "$work/codecs/"
check codecs-only 1 "codecs/protocol-unknown-codec.yaml:1: error: only documents of kind Codec are read from spec.codecs (move it"
cp "$work/node-of-all" "$work/node.yaml"
# Whatever makes the exit code 1 has a line.
fresh
cp "$here/odd/one-name-a.yaml" "$here/odd/one-name-b.yaml" "$work/docs/"
check odd/one-name 1 ".yaml:2: error: ServiceEntry default/twice is refused: "
check odd/one-name 1 ".yaml:2 has this name, too, and is used: neither is older"
sed -i '/^metadata:/s/}/, creationTimestamp: "2020-01-01T00:00:00Z"}/' "$work/docs/one-name-b.yaml"
check odd/one-name-dated 1 "one-name-a.yaml:2 is the older one of this name"
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
seeded() {
	rm -rf "$work/docs"
	cp -r "$here/seeded" "$work/docs"
}

seeded
check seeded 0 " 0 warnings" --strict
while IFS=$'\t' read -r name file old new words; do
	case $name in '#'*) continue ;; esac
	seeded
	text=$(<"$work/docs/$file")
	printf -v old %b "$old"
	printf -v new %b "$new"
	if [[ $text != *"$old"* ]]; then
		echo "FAILED $name: $file does not have the text" >&2
		failed=$((failed + 1))
	fi
	printf '%s\n' "${text/"$old"/"$new"}" >"$work/docs/$file"
	check "$name" 1 "$work/docs/$words" --strict
	if [ "$table" ]; then
		"$daemon" -c "$work/node.yaml" -d "$work/docs" --check >/dev/null 2>&1
		printf '%s\t%s\t%s\t%s\n' $? "$last" "$name" "$words"
	fi
done <"$here/seeded/mistakes.tsv"
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
