// SPDX-License-Identifier: Apache-2.0

package main

import "fmt"

// Operands of each type, with values at the borders.
var operands = []string{
	"0", "-1", "7", "9223372036854775807", "-9223372036854775808", "0u", "7u", "18446744073709551615u",
	"0.0", "-1.5", "7.0", "1e300", "'a'", "''", "'µ€'", "b'a'", "b'\\xff'", "true", "false", "null",
	"duration('1h30m')", "timestamp('2024-02-29T12:34:56.789Z')", "[1, 2]", "[]",
	"dyn(7)", "dyn('a')", "dyn(7.0)", "dyn(7u)", "metadata.n", "metadata.absent", "response.code", "request.headers.host",
}

var operators = []string{"==", "!=", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "&&", "||", "in"}

var texts = []string{
	"'0'", "'-7'", "'+7'", "'7.5'", "'1e3'", "'1e400'", "'9223372036854775808'", "'18446744073709551616'", "' 7'", "'7 '", "''", "'x'",
	"'true'", "'TRUE'", "'yes'", "'NaN'", "'-inf'", "'1h'", "'-1.5s'", "'1h30m5s6ms7us8ns'", "'1d'", "'5'", "'0'", "'.5s'", "'1.s'", "'s'",
	"'2024-02-29T12:34:56Z'", "'2023-02-29T12:34:56Z'", "'2024-01-01T00:00:00.123456789+05:30'", "'0001-01-01T00:00:00Z'",
	"'9999-12-31T23:59:59.999999999Z'", "'0000-01-01T00:00:00Z'", "'2024-01-01'", "'2024-01-01 00:00:00Z'", "'2024-01-01T24:00:00Z'",
	"'9223372036.854775807s'", "'9223372037s'", "'-0'",
}

var numbers = []string{
	"0", "-1", "1.0", "-1.0", "1.9", "-1.9", "1e6", "1e20", "1e21", "1.5e-5", "0.0001", "123456789.0", "0.1", "9.3e18", "-9.3e18",
	"1.8446744073709552e19", "5u", "18446744073709551615u", "1e-320", "-0.0", "0.0/0.0", "1.0/0.0", "-1.0/0.0", "100000.0", "1234567.5",
	"253402300799", "253402300800", "-62135596800", "-62135596801", "b'a'", "b'\\xff'", "b'\\xc2\\xb5'", "true", "null", "[1]",
	"duration('1.5s')", "duration('100h')", "duration('1ns')", "timestamp('2024-02-29T12:34:56.789Z')", "request.time", "request.duration",
	"metadata.s", "metadata.n", "metadata.none", "metadata.deep", "dyn(1.9)", "dyn('12')",
}

var conversions = []string{"bool", "int", "uint", "double", "string", "bytes", "timestamp", "duration", "size", "dyn"}

var getters = []string{"getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes", "getSeconds",
	"getMilliseconds"}

var times = []string{"request.time", "timestamp('1969-12-31T23:59:59.999Z')", "timestamp('2000-02-29T00:00:00Z')", "timestamp('0001-01-01T00:00:00Z')",
	"duration('-90061.5s')", "request.duration", "'x'", "dyn(request.time)", "dyn('x')"}

var zones = []string{"", "'UTC'", "'+05:30'", "'-09:15'", "'+24:00'", "'1:2'", "':'", "1"}

// What people write, and the grammar's corners.
var written = []string{
	"response.code >= 400", "response.code >= 500 && request.method == 'sayHello'", "response.code != 200 || request.size > 1000",
	"!(request.path.startsWith('/health'))", "request.path.contains('Demo')", "request.path.endsWith('x=1')", "request.path.startsWith('')",
	"request.headers['x-user'] == 'Jason'", "request.headers['absent'] == 'Jason'", "has(request.headers.host)", "has(request.headers.absent)",
	"has(request.headers.host) && request.headers.host == 'demo'", "has(request.headers.absent) && request.headers.absent == 'demo'",
	"has(request.headers.absent) ? request.headers.absent : 'unknown'", "'x-user' in request.headers", "'absent' in request.headers",
	"response.code in [500, 503, 504]", "response.code in [200]", "response.code in []", "request.method in ['a', 'sayHello']",
	"request.headers.absent == 'x' || response.code == 503", "request.headers.absent == 'x' && response.code == 200",
	"response.code == 503 || request.headers.absent == 'x'", "response.code == 200 && request.headers.absent == 'x'",
	"request.headers.absent == 'x' || response.code == 200", "request.headers.absent == 'x' && response.code == 503",
	"request.duration > duration('5ms')", "request.time < timestamp('2027-01-01T00:00:00Z')", "request.time + request.duration > request.time",
	"connection.mtls", "!connection.mtls", "!!connection.mtls", "connection.mtls ? 'yes' : 'no'", "connection.mtls ? 1 : 'no'",
	"connection.mtls ? dyn(1) : 'no'", "response.code / 100 == 5", "string(response.code).startsWith('5')", "string(response.code / 100) + 'xx'",
	"request.method + '/' + string(source.port)", "source.address.matches('^192[.]0[.]2[.].*:[0-9]+$')", "matches(request.path, 'Demo')",
	"request.path.matches('^Demo')", "request.path.matches('hello$')", "request.path.matches('(?i)SAYHELLO')", "'a\\nb'.matches('a.b')",
	"'a\\nb'.matches('(?s)a.b')", "'a\\nb'.matches('^b')", "'a\\nb'.matches('(?m)^b')", "''.matches('')", "'abc'.matches('b|x')",
	"request.path.matches('[')", "request.path.matches('a)(b')", "'µ'.matches('^.$')", "request.path.matches(1)", "response.code.matches('5')",
	"dyn(response.code).matches('5')", "metadata.s.matches('^sev')", "response.flags == 6u", "response.flags == 6", "dyn(response.flags) == 6",
	"upstream.load < 0.5", "upstream.load < 1", "upstream.load * 4.0 == 1.0", "size(upstream.zones) == 2", "upstream.zones[0]", "upstream.zones[2]",
	"upstream.zones[-1]", "upstream.zones['a']", "upstream.zones[dyn(1.0)]", "upstream.zones[dyn(1.5)]", "upstream.zones[dyn(1u)]", "'a' in upstream.zones",
	"upstream.zones == ['a', 'b']", "upstream.zones + ['c'] == ['a', 'b', 'c']", "upstream.zones + []", "[1] + [2, 3]", "[1] + ['a']", "[[1], [2, 3]][1][0]",
	"[1, 'a', 2.0][1]", "[1, 'a'] == [1, 'a']", "[1, 2] == [1.0, 2.0]", "dyn([1, 2]) == dyn([1.0, 2.0])", "1 in ['a']", "dyn(1) in ['a']", "1.0 in [dyn(1)]",
	"[] == []", "[[]] == [[1]]", "[1/0] == []", "[1, 2][1/0]", "metadata.deep.k", "metadata.deep.n + 1", "metadata.deep['k']", "metadata.deep.x",
	"has(metadata.deep.k)", "has(metadata.deep.x)", "has(metadata.absent.x)", "has(metadata.s.x)", "metadata.s.x", "metadata.n == 7", "metadata.n == 7u",
	"metadata.n == 7.0", "metadata.n < 7.5", "metadata.u > 7", "metadata.d + 1.5", "metadata.d + 1", "metadata.none == null", "metadata.s == null",
	"metadata.s + 'x'", "metadata.s + 1", "metadata.yes && true", "metadata.s && true", "metadata.s && false", "metadata.s || true", "metadata.s || false",
	"metadata.n ? 1 : 2", "metadata.yes ? 1 : 2", "metadata.absent ? 1 : 2", "!metadata.s", "-metadata.n", "-metadata.s", "-metadata.u", "size(metadata.s)",
	"size(metadata.n)", "metadata.s.size()", "metadata.b == b'xy'", "metadata['s']", "metadata['n'] in [7]", "'n' in metadata", "request.method in metadata",
	"1 / 0 == 1 || true", "1 / 0 == 1 && false", "true || 1 / 0 == 1", "false && 1 / 0 == 1", "1 / 0 == 1 || false", "1 / 0 == 1 && true",
	"1 / 0 == 1 || 2 / 0 == 1", "true ? 1 : 1 / 0", "false ? 1 : 1 / 0", "1 / 0 == 1 ? 1 : 2", "1 + 2 * 3", "(1 + 2) * 3", "10 - 3 - 4", "100 / 10 / 5",
	"7 % 4 * 2", "1 < 2 == true", "1 < 2 < 3", "1 == 1 == true", "!true == false", "-(1)", "- 1", "--1", "- -1", "---1", "!-1", "-'a'", "1 - -1", "1--1",
	"-9223372036854775808", "-(-9223372036854775808)", "9223372036854775808", "-9223372036854775809", "0x7fffffffffffffff", "0xFFu", "0x", "0xg",
	"18446744073709551616u", "-1u", "1.", ".5", "1.5e3", "1e", "1e+2", "1E-2", "1.e3", "01", "1_000", "1u == 1u", "2 > 1.0", "'a' < 'b'", "'a' < 'aa'", "'B' < 'a'",
	"'\\u00b5' == 'µ'", "'\\xb5' == 'µ'", "'\\265' == 'µ'", "b'\\xb5' == b'\\265'", "b'µ' == b'\\xc2\\xb5'", "'\\U0001F600'.size()", "'\\U00110000'", "'\\ud800'",
	"'\\q'", "'\\400'", "b'\\u00b5'", "r'\\n'.size()", "'\\n'.size()", "R\"\\\"\" == '\\\\'", "br'\\n' == b'\\\\n'", "rb'x'", "'''a'b''' == \"a'b\"",
	"\"\"\"a\"b\"\"\" == 'a\"b'", "'''a\nb'''.size()", "'a\nb'", "'abc", "'", "\"a'", "'\\a\\b\\f\\r\\t\\v\\?\\`\\\"'.size()", "true && // a comment\n false",
	"size('µ€')", "size(b'\\xc2\\xb5')", "'µ€'.size()", "'abc'.contains('')", "''.contains('a')", "'abc'.contains('abcd')", "'abc'.endsWith('abcd')",
	"'abc'.startsWith('ab')", "'abc'.startsWith(1)", "'abc'.startsWith()", "'abc'.startsWith('a', 'b')", "startsWith('abc', 'a')", "1.startsWith('a')",
	"dyn(1).startsWith('a')", "b'abc'.startsWith(b'a')", "contains('a')", "size()", "size(1)", "size(1, 2)", "int()", "int('1', '2')", "'1'.int()", "unknown(1)",
	"'a'.unknown()", "request.unknown", "unknown", "request", "request.path.x", "request.path['x']", "response.code.x", "response", "", " ", "(", ")", "()", "[", "]", "[1,]",
	"[,]", "[1 2]", "1 2", "1 +", "+ 1", "* 1", "1 ? 2", "true ? 1", "true ? 1 : ", "true ? : 1", "true ? false ? 1 : 2 : 3", "true ? false : true ? 1 : 2",
	"(true ? false : true) ? 1 : 2", "false ? 1 : false ? 2 : 3", "a b", "true true", "true &", "true & false", "true | false", "1 = 1", "1 === 1", "1 <> 2", "~1",
	"true and false", "not true", "in", "1 in", "in [1]", "if", "has()", "has(1)", "has('a')", "has(metadata)", "has(metadata['s'])", "has(metadata.s.size())",
	"has(metadata.s, 1)", "@", "#", "$x", "`a`", "1;2", "null", "null == null", "null == 1", "null != 'a'", "null < null", "dyn(null) == 1", "[null, 1][0]",
	"true < false", "false < true", "true >= true", "b'a' < b'b'", "b'a' + b'b'", "b'a' == 'a'", "duration('1s') < duration('2s')",
	"duration('1s') + duration('2s') == duration('3s')", "duration('1s') - duration('2s')", "duration('1s') == duration('1000ms')", "duration('1s') * 2",
	"request.time - request.time", "request.time - duration('1h')", "duration('1h') + request.time", "duration('1h') - request.time", "request.time + request.time",
	"timestamp('9999-12-31T23:59:59Z') + duration('1s')", "timestamp('0001-01-01T00:00:00Z') - duration('1ns')",
	"timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z')", "duration('9223372036s') + duration('9223372036s')",
	"timestamp('2024-01-01T00:00:00Z') == timestamp('2024-01-01T05:30:00+05:30')", "dyn(1) == dyn(1u)", "dyn(1) == dyn(1.0)", "dyn(1) == dyn('1')",
	"dyn(-1) < dyn(1u)", "dyn(9223372036854775807) < dyn(9223372036854775808u)", "dyn(1.5) > dyn(1)", "dyn(18446744073709551615u) < dyn(1e20)", "dyn(1) < dyn('a')",
	"0.0 / 0.0 == 0.0 / 0.0", "0.0 / 0.0 != 0.0 / 0.0", "0.0 / 0.0 < 1.0", "0.0 == -0.0", "1.0 / 0.0 > 1e308", "1.5 % 2.0", "dyn(1.5) % dyn(2.0)",
	"dyn('a') * dyn('b')", "dyn(true) + dyn(true)", "dyn(1) && dyn(2)", "dyn(false) && dyn(2)", "dyn(2) && dyn(false)", "dyn(true) || dyn(2)", "dyn(2) || dyn(true)",
	"1 && true", "'a' || false", "1 ? 2 : 3", "response.code >= 500 ? 'bad' : response.code >= 400 ? 'wrong' : 'good'",
}

// All expressions, in a fixed order.
func expressions() []string {
	all := append([]string{}, written...)
	for i, a := range operands {
		for j, b := range operands {
			// A third of all pairs, each with one operator, spread by a fixed rule.
			if (i*7+j*5)%3 == 0 {
				all = append(all, fmt.Sprintf("%s %s %s", a, operators[(i*11+j*3)%len(operators)], b))
			}
		}
	}
	for _, f := range conversions {
		for i, v := range append(append([]string{}, texts...), numbers...) {
			if f != "dyn" || i%9 == 0 {
				all = append(all, fmt.Sprintf("%s(%s)", f, v))
			}
		}
	}
	for i, t := range times {
		for j, g := range getters {
			all = append(all, fmt.Sprintf("%s.%s(%s)", t, g, zones[(i+j)%len(zones)]))
			if i < 3 {
				all = append(all, fmt.Sprintf("%s.%s()", t, g))
			}
		}
	}
	return all
}
