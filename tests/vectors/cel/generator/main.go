// SPDX-License-Identifier: Apache-2.0

// Command generator writes cel-go's answers to expressions: `go run . > ../answers.txt`.
//
// Each line has an answer and an expression, whose line ends are ␤. An answer is `refused` by the parser or checker, `error` of the evaluation,
// or the type and value of the result; texts and bytes are hexadecimal.
package main

import (
	"bufio"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

func show(v ref.Val) string {
	switch v := v.(type) {
	case types.Null:
		return "null"
	case types.Bool:
		return fmt.Sprintf("bool %t", bool(v))
	case types.Int:
		return fmt.Sprintf("int %d", int64(v))
	case types.Uint:
		return fmt.Sprintf("uint %d", uint64(v))
	case types.Double:
		return "double " + strconv.FormatFloat(float64(v), 'e', 16, 64)
	case types.String:
		return fmt.Sprintf("string %x", string(v))
	case types.Bytes:
		return fmt.Sprintf("bytes %x", []byte(v))
	case types.Timestamp:
		return fmt.Sprintf("timestamp %d.%09d", v.Unix(), v.Nanosecond())
	case types.Duration:
		return fmt.Sprintf("duration %d", v.Nanoseconds())
	case traits.Mapper:
		return "map"
	case traits.Lister:
		text := "list ["
		for i := int64(0); i < int64(v.Size().(types.Int)); i++ {
			text += show(v.Get(types.Int(i))) + ","
		}
		return text + "]"
	}
	return fmt.Sprintf("%T", v)
}

func answer(env *cel.Env, text string, values map[string]any) string {
	ast, issues := env.Compile(text)
	if issues.Err() != nil {
		return "refused"
	}
	program, err := env.Program(ast)
	if err != nil {
		return "refused"
	}
	v, _, err := program.Eval(values)
	if err != nil {
		return "error"
	}
	return show(v)
}

func main() {
	options, values := []cel.EnvOption{}, map[string]any{}
	for _, a := range attributes {
		options = append(options, cel.Variable(a.name, a.typ))
		values[a.name] = a.value
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		log.Fatal(err)
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	seen := map[string]bool{}
	for _, text := range expressions() {
		if seen[text] {
			continue
		}
		seen[text] = true
		fmt.Fprintf(out, "%s\t%s\n", answer(env, text, values), strings.ReplaceAll(text, "\n", "␤"))
	}
}
