// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

const volume = "vol-00000001"

func noTerminal(io.Writer) (columns, rows int) { return 0, 0 }

// environment is all that is needed to reach a cloud.
func environment(name string) string {
	return map[string]string{"MALLEE_ENDPOINT": "https://clc.example", "AWS_ACCESS_KEY_ID": "AKEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}[name]
}

// runAfter runs the tool with the patience of a person's, against c, and stops
// it after the given time as Ctrl-C would.
func runAfter(t *testing.T, c *memory, stop time.Duration, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	defer time.AfterFunc(stop, cancel).Stop()
	var out, errs bytes.Buffer
	tool := &tool{
		stdout: &out, stderr: &errs,
		screen:   noTerminal,
		getenv:   environment,
		dial:     func(client.Config) (cloud, error) { return inMemory(c), nil },
		patience: defaultPatience,
	}
	code = tool.run(ctx, append([]string{"mallee"}, args...))
	return code, out.String(), errs.String()
}

func TestWaiting(t *testing.T) {
	for _, test := range []struct {
		name           string
		delay, stop    time.Duration
		fault          time.Duration // how long the cloud does not answer, from 0.5 s on
		code           int
		stdout, stderr string
	}{
		{
			name: "what is quick passes without a word", delay: 900 * time.Millisecond, stop: time.Minute,
			stdout: "/dev/mallee/vol-00000001\n",
			stderr: "next: mallee path list --volume vol-00000001\n",
		},
		{
			name: "what is slow is told of once", delay: 20 * time.Second, stop: time.Minute,
			stdout: "/dev/mallee/vol-00000001\n",
			stderr: "vol-00000001: attaching: 0 of 4 paths\nnext: mallee path list --volume vol-00000001\n",
		},
		{
			name: "Ctrl-C leaves the request running", delay: 20 * time.Second, stop: 3 * time.Second, code: 130,
			stderr: "vol-00000001: attaching: 0 of 4 paths\n" +
				"mallee: vol-00000001 is still attaching: 0 of 4 paths\n" +
				"next: the request goes on; look with: mallee volume show vol-00000001\n",
		},
		{
			name: "nobody waits for ever", delay: time.Hour, stop: time.Hour, code: 1,
			stderr: "vol-00000001: attaching: 0 of 4 paths\n" +
				"mallee: vol-00000001 is still attaching: 0 of 4 paths\n" +
				"next: the request goes on; look with: mallee volume show vol-00000001\n",
		},
		{
			name: "a cloud that is restarted is waited for", delay: 4 * time.Second, stop: time.Minute, fault: 2 * time.Second,
			stdout: "/dev/mallee/vol-00000001\n",
			stderr: "vol-00000001: attaching: the cloud does not answer\n" +
				"vol-00000001: attaching: 0 of 4 paths\n" +
				"next: mallee path list --volume vol-00000001\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newMemory()
				c.delay, c.hindrance = test.delay, "0 of 4 paths"
				c.volumes[volume] = &mallee.Volume{ID: volume, State: mallee.VolumeAvailable}
				if test.fault > 0 {
					time.AfterFunc(500*time.Millisecond, func() { c.fail(&client.APIError{Status: 503, Code: "Unavailable"}) })
					time.AfterFunc(500*time.Millisecond+test.fault, func() { c.fail(nil) })
				}
				code, stdout, stderr := runAfter(t, c, test.stop, "volume", "attach", volume, string(node))
				if code != test.code {
					t.Errorf("exit code %d, want %d", code, test.code)
				}
				if diff := cmp.Diff(test.stdout, stdout); diff != "" {
					t.Errorf("stdout (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff(test.stderr, stderr); diff != "" {
					t.Errorf("stderr (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestDetachedAndAttachedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newMemory()
		c.delay = time.Second
		c.volumes[volume] = &mallee.Volume{ID: volume, State: mallee.VolumeInUse, Attachment: &mallee.Attachment{
			VolumeID: volume, InstanceID: node, State: mallee.Attached, Generation: 1,
		}}
		// Between two looks of the tool.
		defer time.AfterFunc(1100*time.Millisecond, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.volumes[volume].Attachment = &mallee.Attachment{VolumeID: volume, InstanceID: node, State: mallee.Attached, Generation: 2}
		}).Stop()
		code, _, stderr := runAfter(t, c, time.Minute, "volume", "detach", volume)
		if code != exitOK {
			t.Errorf("exit code %d, and %s", code, stderr)
		}
	})
}
