// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// Each change is printed once, when it is made: not those from before the watch, and
// also those that are made between two looks.
func TestPropertyWatch(t *testing.T) {
	const (
		bare   = "PARTI00.storage.bare"
		ncpath = "PARTI00.storage.ncpaths"
	)
	for _, test := range []struct {
		name   string
		args   []string
		stdout string
	}{
		{
			name: "text",
			stdout: `2026-11-01T12:01:00Z AKEXAMPLE PARTI00.storage.bare: "old" -> "a"` + "\n" +
				`2026-11-01T12:02:00Z AKEXAMPLE PARTI00.storage.bare: "a" -> "b"` + "\n" +
				`2026-11-01T12:03:00Z AKEXAMPLE PARTI00.storage.ncpaths: "nopath" -> "10.108.1.200" (forced)` + "\n" +
				`2026-11-01T12:04:00Z AKEXAMPLE PARTI00.storage.ncpaths: "10.108.1.200" -> "nopath" (reset)` + "\n",
		},
		{
			name: "some only, as JSON", args: []string{"PARTI00.storage.nc", "--output", "json"},
			stdout: `{"name":"PARTI00.storage.ncpaths","value":"10.108.1.200","old_value":"nopath","time":"2026-11-01T12:03:00Z","access_key":"AKEXAMPLE","request_id":"request-3","reset":false,"forced":true}` + "\n" +
				`{"name":"PARTI00.storage.ncpaths","value":"nopath","old_value":"10.108.1.200","time":"2026-11-01T12:04:00Z","access_key":"AKEXAMPLE","request_id":"request-4","reset":true,"forced":false}` + "\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newMemory()
				set := func(s mallee.PropertySet) {
					if _, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{s}, s.Value == "10.108.1.200"); err != nil {
						t.Error(err)
					}
				}
				set(mallee.PropertySet{Name: bare, Value: "old"})
				time.AfterFunc(2500*time.Millisecond, func() {
					set(mallee.PropertySet{Name: bare, Value: "a"})
					set(mallee.PropertySet{Name: bare, Value: "b"})
					set(mallee.PropertySet{Name: ncpath, Value: "10.108.1.200"})
					c.fail(&client.APIError{Status: 503, Code: "Unavailable", Message: "away"})
				})
				time.AfterFunc(5500*time.Millisecond, func() {
					c.fail(nil)
					set(mallee.PropertySet{Name: ncpath, Reset: true})
				})
				ctx, cancel := context.WithTimeoutCause(t.Context(), 9500*time.Millisecond, context.Canceled)
				defer cancel()
				code, stdout, stderr := watchProperties(ctx, c, test.args...)
				if code != exitOK {
					t.Errorf("exit code %d", code)
				}
				if d := cmp.Diff(test.stdout, stdout); d != "" {
					t.Errorf("stdout (-want +got):\n%s", d)
				}
				if stderr != "mallee: the cloud does not answer; waiting for it\n" {
					t.Errorf("stderr %q", stderr)
				}
			})
		})
	}
}

// More changes between two looks than are asked for at a time.
func TestPropertyWatchMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMemory()
		set := func(i int) {
			if _, _, err := c.SetProperties(t.Context(), []mallee.PropertySet{{Name: "PARTI00.storage.bare", Value: fmt.Sprint(i)}}, false); err != nil {
				t.Error(err)
			}
		}
		for i := range watchedEvents + 5 {
			set(i)
		}
		time.AfterFunc(1500*time.Millisecond, func() {
			for i := range 3 * watchedEvents {
				set(i)
			}
		})
		ctx, cancel := context.WithTimeoutCause(t.Context(), 4500*time.Millisecond, context.Canceled)
		defer cancel()
		_, stdout, _ := watchProperties(ctx, c)
		if n := strings.Count(stdout, "\n"); n != 3*watchedEvents {
			t.Errorf("%d changes were printed of %d", n, 3*watchedEvents)
		}
	})
}

func watchProperties(ctx context.Context, c *memory, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	tool := &tool{
		stdout: &out, stderr: &errs, getenv: environment, patience: defaultPatience, screen: noTerminal,
		dial: func(client.Config) (cloud, error) { return inMemory(c), nil },
	}
	code = tool.run(ctx, append([]string{"mallee", "property", "watch"}, args...))
	return code, out.String(), errs.String()
}
