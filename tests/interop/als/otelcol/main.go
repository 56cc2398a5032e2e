// SPDX-License-Identifier: Apache-2.0

// OpenTelemetry's collector with its receiver of OTLP, and an exporter "lab" that writes logs and traces to a file before the sender gets
// its answer.
//
//	otelcol file:CONFIG
package main

import (
	"context"
	"errors"
	"log"
	"os"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

// What the lab writes into the file `mode` for each message: anything else is "ok".
const (
	busy = "busy" // a failure that may pass
	bad  = "bad"  // one that stays
)

type config struct {
	Records string `mapstructure:"records"`
	Mode    string `mapstructure:"mode"`
}

// Logs and traces are two exporters with one file.
var mu sync.Mutex

type lab struct{ *config }

func (lab) Start(context.Context, component.Host) error { return nil }
func (lab) Shutdown(context.Context) error              { return nil }
func (lab) Capabilities() consumer.Capabilities         { return consumer.Capabilities{} }

func (l lab) write(data []byte, err error) error {
	if err != nil {
		return err
	}
	mode, err := os.ReadFile(l.Mode)
	switch {
	case err != nil:
		return err
	case strings.TrimSpace(string(mode)) == busy:
		return errors.New("busy, as the lab wants")
	case strings.TrimSpace(string(mode)) == bad:
		return consumererror.NewPermanent(errors.New("bad, as the lab wants"))
	}
	mu.Lock()
	defer mu.Unlock()
	file, err := os.OpenFile(l.Records, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.Write(append(data, '\n'))
	return err
}

func (l lab) ConsumeLogs(_ context.Context, logs plog.Logs) error {
	return l.write((&plog.JSONMarshaler{}).MarshalLogs(logs))
}

func (l lab) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	return l.write((&ptrace.JSONMarshaler{}).MarshalTraces(traces))
}

func components() (otelcol.Factories, error) {
	receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
	if err != nil {
		return otelcol.Factories{}, err
	}
	exporters, err := otelcol.MakeFactoryMap[exporter.Factory](exporter.NewFactory(
		component.MustNewType("lab"), func() component.Config { return &config{} },
		exporter.WithLogs(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Logs, error) {
			return lab{c.(*config)}, nil
		}, component.StabilityLevelStable),
		exporter.WithTraces(func(_ context.Context, _ exporter.Settings, c component.Config) (exporter.Traces, error) {
			return lab{c.(*config)}, nil
		}, component.StabilityLevelStable)))
	return otelcol.Factories{Receivers: receivers, Exporters: exporters}, err
}

func main() {
	collector, err := otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo: component.BuildInfo{Command: "otelcol", Version: "0"},
		Factories: components,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs: os.Args[1:], ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := collector.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
