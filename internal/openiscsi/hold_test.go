//go:build lab

package openiscsi_test

import (
	"context"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mallee-io/mallee/internal/lab"
)

func TestMain(m *testing.M) {
	if err := lab.Enter(); err != nil {
		log.Print(err)
	}
	os.Exit(m.Run())
}

func TestHold(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	l, err := lab.Start(ctx, lab.Options{Topology: lab.Standard(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, _ := os.ReadFile("/tmp/iscsitry/try")
	if err := l.Machine("nc1").WriteFile(ctx, "/tmp/try", b, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"/usr/bin/strace", "/lib/x86_64-linux-gnu/libunwind-ptrace.so.0", "/lib/x86_64-linux-gnu/libunwind-x86_64.so.8", "/lib/x86_64-linux-gnu/liblzma.so.5", "/lib/x86_64-linux-gnu/libunwind.so.8"} {
		b, _ := os.ReadFile(f)
		if err := l.Machine("nc1").WriteFile(ctx, "/tmp/s/"+f[strings.LastIndex(f, "/")+1:], b, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Machine("nc1").Spawn(ctx, "iscsid", "iscsid", "-f"); err != nil {
		t.Fatal(err)
	}
	os.WriteFile("/tmp/iscsitry/up", nil, 0o644)
	for ctx.Err() == nil {
		if _, err := os.Stat("/tmp/iscsitry/stop"); err == nil {
			return
		}
		time.Sleep(500 * time.Millisecond)
	}
}
