// SPDX-License-Identifier: Apache-2.0

package main

import (
	"time"

	"cel.dev/cel-go/cel"
)

// The attributes of the vectors; tests/unit/cel/vectors_test.c has the same.
var attributes = []struct {
	name  string
	typ   *cel.Type
	value any
}{
	{"request.path", cel.StringType, "/org.example.Demo/sayHello?x=1"},
	{"request.method", cel.StringType, "sayHello"},
	{"request.size", cel.IntType, int64(241)},
	{"request.time", cel.TimestampType, time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC)},
	{"request.duration", cel.DurationType, 5500 * time.Microsecond},
	{"request.headers", cel.MapType(cel.StringType, cel.StringType), map[string]string{"host": "demo", "x-user": "Jason", "empty": ""}},
	{"response.code", cel.IntType, int64(503)},
	{"response.flags", cel.UintType, uint64(6)},
	{"connection.mtls", cel.BoolType, true},
	{"source.address", cel.StringType, "192.0.2.2:57632"},
	{"source.port", cel.IntType, int64(57632)},
	{"upstream.load", cel.DoubleType, 0.25},
	{"upstream.raw", cel.BytesType, []byte{0, 0xff, 'a'}},
	{"upstream.zones", cel.ListType(cel.StringType), []string{"a", "b"}},
	{"metadata", cel.MapType(cel.StringType, cel.DynType), map[string]any{"n": int64(7), "u": uint64(8), "d": 1.5, "s": "seven", "yes": true,
		"none": nil, "b": []byte("xy"), "deep": map[string]any{"k": "v", "n": int64(-1)}}},
}
