// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// stream prints every object as it comes, a page at a time.
func (l *listing[T]) stream(ctx context.Context, c cloud) error {
	var page, all []T // all of them for the sum only
	w := parts{t: l.t}
	flush := func() error {
		err := w.write(convert(page, l.record), l.header, convert(page, l.row))
		page = page[:0]
		return err
	}
	for object, err := range l.each(ctx, c, 0) {
		if err != nil {
			return failure("list "+l.what, "", err)
		}
		page = append(page, object)
		if l.sum != nil {
			all = append(all, object)
		}
		if len(page) == pageRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(page) > 0 || !w.begun {
		if err := flush(); err != nil {
			return err
		}
	}
	switch {
	case l.t.output == "json":
		fmt.Fprintln(l.t.stdout, "]")
	case l.t.output == "text" && l.sum != nil:
		fmt.Fprint(l.t.stdout, l.sum(all))
	}
	return nil
}

// parts writes a list to stdout in parts.
type parts struct {
	t       *tool
	begun   bool
	aligned columns
}

// write writes the next part: its records, or its rows below a header.
func (p *parts) write(records []any, header []string, rows [][]string) error {
	var b []byte
	var err error
	switch p.t.output {
	case "json":
		b, err = elements(records, !p.begun)
	case "yaml":
		b, err = encodeYAML(records)
	default:
		if !p.begun {
			rows = slices.Insert(rows, 0, header)
		}
		b = []byte(p.aligned.align(rows))
	}
	if err != nil {
		return fmt.Errorf("cannot write the result: %w", err)
	}
	p.begun = true
	_, err = p.t.stdout.Write(b)
	return err
}

// elements returns a part of a JSON list, without the list's end.
func elements(list []any, first bool) ([]byte, error) {
	var b bytes.Buffer
	if first {
		b.WriteString("[")
	}
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("  ", "  ")
	encoder.SetEscapeHTML(false)
	for i, element := range list {
		if i > 0 || !first {
			b.WriteString(",")
		}
		b.WriteString("\n  ")
		if err := encoder.Encode(element); err != nil {
			return nil, err
		}
		b.Truncate(b.Len() - 1) // the encoder's own end of line
	}
	if len(list) > 0 {
		b.WriteString("\n")
	}
	return b.Bytes(), nil
}
