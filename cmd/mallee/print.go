// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
)

// outputs are the ways to write a result.
var outputs = []string{"text", "json", "yaml"}

// print writes a result to stdout: value as JSON or YAML, or what text returns.
func (t *tool) print(value any, text func() string) error {
	return t.write(t.stdout, value, text)
}

func (t *tool) write(w io.Writer, value any, text func() string) error {
	var b []byte
	var err error
	switch t.output {
	case "json":
		b, err = encodeJSON(value)
	case "yaml":
		b, err = encodeYAML(value)
	default:
		b = []byte(text())
	}
	if err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	_, err = w.Write(b)
	return err
}

func encodeJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return b.Bytes(), err
}

// jsonLine writes value as JSON on one line.
func jsonLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// convert returns f of each element, and an empty list, not null, for none.
func convert[From, To any](list []From, f func(From) To) []To {
	converted := make([]To, 0, len(list))
	for _, element := range list {
		converted = append(converted, f(element))
	}
	return converted
}
