// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testChangePathsHowTo runs every command of docs/how-to/change-paths.md, in its order,
// with a volume attached, as a reader would.
func testChangePathsHowTo(t *testing.T, w *world) {
	ctx := patience(t, 6*time.Minute)
	before, err := w.Tool(ctx, "mallee", "property", "get", "PARTI00.storage.ncpaths")
	must(t, err)
	w.setPaths(t, "10.107.1.200,10.108.1.200")
	volume := w.create(t)
	w.attach(t, volume)
	must(t, w.AwaitPaths(ctx, volume, 2, 2))
	text, err := os.ReadFile("../../docs/how-to/change-paths.md")
	must(t, err)
	commands := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			w.follow(t, command)
			commands++
		}
		if command, ok := strings.CutPrefix(line, "nc1# "); ok {
			for _, n := range w.Nodes { // the page says: on each node
				_, err := n.Run(ctx, "sh", "-ec", command)
				must(t, err)
			}
			commands++
		}
	}
	if commands < 15 {
		t.Errorf("the page has %d commands only", commands)
	}
	if _, err := w.NC1.Run(ctx, "dd", "if=/dev/mallee/"+volume, "of=/dev/null", "bs=1M", "count=4", "iflag=direct"); err != nil {
		t.Errorf("the volume cannot be read afterwards: %v", err)
	}
	w.setPaths(t, strings.TrimSpace(before))
	w.mapLabels(t, "")
	must(t, w.AwaitPaths(ctx, volume, 4, 4))
	w.detach(t, volume)
	w.remove(t, volume)
}

// follow runs a command of a page in the admin's shell. One that goes on until
// Ctrl-C gets that.
func (w *world) follow(t *testing.T, command string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", "exec "+command)
	cmd.Env = w.Env()
	if strings.Contains(command, "--watch") {
		stop := time.AfterFunc(3*time.Second, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
		defer stop.Stop()
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("$ %s\n%s%v", command, out, err)
		return
	}
	t.Logf("$ %s\n%s", command, out)
}
