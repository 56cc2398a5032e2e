// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// A certificate of the test's own making: nothing that expires lies in the tree.
type identity struct {
	name   string
	dns    []string
	uri    string
	ips    []string
	issuer string
	from   time.Duration // of now
	until  time.Duration
	ca     bool
}

const (
	hour   = time.Hour
	spiffe = "spiffe://cluster.local/ns/meta/sa/default"
)

var identities = []identity{
	{name: "root", ca: true, from: -hour, until: 24 * hour},
	{name: "other-root", ca: true, from: -hour, until: 24 * hour},
	{name: "server", issuer: "root", dns: []string{"istiod.istio-system.svc", "aeraki.istio-system"}, uri: "spiffe://cluster.local/ns/istio-system/sa/istiod",
		from: -hour, until: 12 * hour},
	{name: "wrong-name", issuer: "root", dns: []string{"somebody.else"}, from: -hour, until: 12 * hour},
	{name: "expired", issuer: "root", dns: []string{"istiod.istio-system.svc", "aeraki.istio-system"}, from: -2 * hour, until: -hour},
	{name: "stranger", issuer: "other-root", dns: []string{"istiod.istio-system.svc", "aeraki.istio-system"}, from: -hour, until: 12 * hour},
	{name: "client", issuer: "root", uri: spiffe, from: -hour, until: 12 * hour},
	{name: "client-next", issuer: "root", uri: "spiffe://cluster.local/ns/meta/sa/next", from: -hour, until: 12 * hour},
	{name: "client-expired", issuer: "root", uri: spiffe, from: -2 * hour, until: -hour},
}

type signer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (id *identity) template(serial int64) (*x509.Certificate, error) {
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{Organization: []string{"test"}, CommonName: id.name},
		NotBefore: now.Add(id.from), NotAfter: now.Add(id.until), DNSNames: id.dns,
		KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if id.ca {
		t.IsCA, t.ExtKeyUsage, t.KeyUsage = true, nil, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	}
	for _, text := range id.ips {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(text))
	}
	if id.uri != "" {
		parsed, err := url.Parse(id.uri)
		if err != nil {
			return nil, err
		}
		t.URIs = []*url.URL{parsed}
	}
	return t, nil
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// makeCertificates writes NAME.pem and NAME.key of every identity into a directory.
func makeCertificates(directory string) error {
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	known := map[string]signer{}
	for i, id := range identities {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		template, err := id.template(int64(i + 1))
		if err != nil {
			return err
		}
		by, found := known[id.issuer]
		if !found {
			by = signer{template, key}
		}
		der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
		if err != nil {
			return fmt.Errorf("%s: %w", id.name, err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		known[id.name] = signer{cert, key}
		keyDER, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return err
		}
		if err := writePEM(filepath.Join(directory, id.name+".pem"), "CERTIFICATE", der); err != nil {
			return err
		}
		if err := writePEM(filepath.Join(directory, id.name+".key"), "PRIVATE KEY", keyDER); err != nil {
			return err
		}
	}
	return nil
}

// tlsOf asks every client for a certificate, and shows the one that the plane's faults name.
func (p *plane) tlsOf(directory string) (*tls.Config, error) {
	roots, err := os.ReadFile(filepath.Join(directory, "root.pem"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(roots)
	return &tls.Config{
		MinVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"h2"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			name := p.faults.get().Identity
			if name == "" {
				name = "server"
			}
			pair, err := tls.LoadX509KeyPair(filepath.Join(directory, name+".pem"), filepath.Join(directory, name+".key"))
			return &pair, err
		},
	}, nil
}
