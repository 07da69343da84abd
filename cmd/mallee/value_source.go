// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

// maxValue bounds a value that is read from a file, in bytes: what is longer is
// the wrong file.
const maxValue = 64 << 10

// valueSource reads values from files and, once, from stdin.
type valueSource struct {
	stdin io.Reader
	used  bool
}

// read returns the text in the named file, or on stdin for "-", without the end of
// its last line. Its errors do not tell the text: it may be a secret.
func (s *valueSource) read(name string) (string, error) {
	from := s.stdin
	if name == "-" {
		if s.used {
			return "", errors.New("stdin was read already: it can be the value of one property only")
		}
		s.used, name = true, "stdin"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		from = f
	}
	b, err := io.ReadAll(io.LimitReader(from, maxValue+1))
	switch {
	case err != nil:
		return "", err
	case len(b) > maxValue:
		return "", fmt.Errorf("%s is longer than %d KiB", name, maxValue>>10)
	case !utf8.Valid(b) || strings.ContainsRune(string(b), 0):
		return "", fmt.Errorf("%s is not text in UTF-8", name)
	}
	text := strings.TrimSuffix(string(b), "\n")
	return strings.TrimSuffix(text, "\r"), nil
}
