#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds into ~/.cache/meltemi/istiod/ an istiod that runs without Kubernetes: the module of Istio with one change (nokube.py). Or, by
# its argument: istioctl; pilot-agent, Istio's agent beside an Envoy, and its template of that one's bootstrap; istiod-for-aeraki, with
# one more change (apigen.py) and without which Aeraki is told nothing; kube-apiserver of Kubernetes; aeraki, from the checkouts aeraki,
# api, client-go and meta-protocol-control-plane-api of github.com/aeraki-mesh below $AERAKI_SOURCE, since no module proxy has them. Needs
# Go 1.26; takes some minutes, 3 GB of disk for Go's caches, and gives way to everything else. Run again: nothing to do.
set -eu
program=${1:-pilot-discovery}
version=v0.0.0-20260827124520-eed52ebb66ad
case $program in
pilot-discovery | istiod-for-aeraki) package=./pilot/cmd/pilot-discovery ;;
istioctl) package=./istioctl/cmd/istioctl ;;
pilot-agent) package=./pilot/cmd/pilot-agent ;;
kube-apiserver) package=. version=v1.36.3 ;;
aeraki) package=./cmd/aeraki version=56e4de0 ;;
*) echo "which program?" >&2; exit 1 ;;
esac
here=$(cd "$(dirname "$0")" && pwd)
out=${XDG_CACHE_HOME:-$HOME/.cache}/meltemi/istiod
mkdir -p "$out"
exec 9>"$out/lock"
flock 9
PATH=$PATH:/usr/local/go/bin
export PATH
[ ! -x "$out/$program-$version" ] || exit 0
if ! command -v go >/dev/null; then
	echo "Go is not installed" >&2
	exit 1
fi
if [ "$program" = aeraki ] && [ ! -d "${AERAKI_SOURCE:-}/aeraki" ]; then
	echo "AERAKI_SOURCE names no directory with Aeraki's checkouts" >&2
	exit 1
fi

istio() {
	module=$(go mod download -json "istio.io/istio@$version" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')
	cp -r "$module" source
	chmod -R u+w source
	/usr/bin/python3 "$here/nokube.py" source
	[ "$program" != istiod-for-aeraki ] || /usr/bin/python3 "$here/apigen.py" source
	cd source
	# What its own go.mod names has no versions that a module proxy serves.
	go mod edit -require istio.io/api@v1.31.1 -require istio.io/client-go@v1.31.1 \
		-require github.com/envoyproxy/go-control-plane/envoy@v1.39.0 \
		-require github.com/envoyproxy/go-control-plane/contrib@v1.36.1-0.20260729145720-a2d8c7492908
}

aeraki() {
	cp -r "$AERAKI_SOURCE" source
	cd source/aeraki
	for one in api client-go meta-protocol-control-plane-api; do
		go mod edit -replace "github.com/aeraki-mesh/$one=../$one"
	done
	cp k8s/crd.yaml "$out/definitions-of-aeraki.yaml"
}

echo "building $program $version (log: $out/go.log)"
{
	cd "$out"
	rm -rf source
	case $program in
	kube-apiserver) cp -r "$here/kube-apiserver" source && cd source ;;
	aeraki) aeraki ;;
	pilot-agent) istio && cp tools/packaging/common/envoy_bootstrap.json "$out/bootstrap-of-pilot-agent.json" ;;
	*) istio ;;
	esac
	CGO_ENABLED=0 nice -n 19 go build -mod=mod -ldflags "-s -w" -o "$out/$program.new" "$package"
} >"$out/go.log" 2>&1 || {
	tail -15 "$out/go.log" >&2
	echo "Go could not build $program" >&2
	exit 1
}
mv "$out/$program.new" "$out/$program-$version"
rm -rf "$out/source"
