// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// script is what the commands of one script share.
type script struct {
	cloud  *memory
	code   int           // that the last call of the tool exited with
	config client.Config // that it used
}

type scriptKey struct{}

// TestScripts runs the scripts in testdata, each against a cloud of its own. With
// UPDATE_SCRIPTS=1 in the environment it writes what it sees into them; read the
// difference before you keep it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata",
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			env.Values[scriptKey{}] = &script{cloud: newMemory()}
			env.Setenv("MALLEE_ENDPOINT", "https://clc.example")
			env.Setenv("AWS_ACCESS_KEY_ID", "AKEXAMPLE")
			env.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"mallee":           toolCommand("mallee"),
			describeProperties: toolCommand(describeProperties),
			modifyProperty:     toolCommand(modifyProperty),
			"exited":           exited,
			"fault":            fault,
			"dialed":           dialed,
			"volumes":          haveVolumes,
			"attached":         haveAttached,
			"property":         haveProperty,
			"alarm":            alarm,
			"draining":         draining,
			"strange":          strange,
			"asked":            asked,
			"mode":             mode,
			"alone":            alone,
			"jq":               jq,
			"binary":           writes("\x7fELF\x00"),
			"big":              writes(strings.Repeat("x", maxValue+1)),
		},
	})
}

// toolCommand runs the tool under a name. What stands in the file "stdin" is its stdin.
func toolCommand(name string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		s := ts.Value(scriptKey{}).(*script)
		stdin, err := os.ReadFile(ts.MkAbs("stdin"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			ts.Fatalf("%v", err)
		}
		t := &tool{
			stdin: bytes.NewReader(stdin), stdout: ts.Stdout(), stderr: ts.Stderr(), getenv: ts.Getenv,
			screen: noTerminal,
			dial: func(c client.Config) (cloud, error) {
				s.config = c
				return inMemory(s.cloud), nil
			},
			patience: patience{interval: time.Microsecond, silence: time.Hour, limit: time.Minute},
		}
		s.code = t.run(context.Background(), append([]string{"/usr/bin/" + name}, args...))
		if neg == (s.code == exitOK) {
			ts.Fatalf("%s %s exited with %d", name, strings.Join(args, " "), s.code)
		}
	}
}

// exited CODE checks the exit code of the tool's last run.
func exited(ts *testscript.TestScript, _ bool, args []string) {
	if got := strconv.Itoa(ts.Value(scriptKey{}).(*script).code); got != args[0] {
		ts.Fatalf("exited with %s, want %s", got, args[0])
	}
}

// fault KIND makes each further call fail.
func fault(ts *testscript.TestScript, _ bool, args []string) {
	faults := map[string]error{
		"denied":      &client.APIError{Status: 401, Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", RequestID: "request-1"},
		"unreachable": &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")},
		"limit":       &client.APIError{Status: 503, Code: "RequestLimitExceeded", Message: "Request limit exceeded.", RequestID: "request-1"},
		"broken":      &client.APIError{Status: 500, Code: "InternalError", Message: "an internal error occurred", RequestID: "request-1"},
	}
	ts.Value(scriptKey{}).(*script).cloud.fail(faults[args[0]])
}

// dialed ENDPOINT KEY REGION CAFILE checks what the tool's last run called, and as whom.
func dialed(ts *testscript.TestScript, _ bool, args []string) {
	c := ts.Value(scriptKey{}).(*script).config
	if !slices.Equal(args, []string{c.Endpoint, c.AccessKey, c.Region, c.CAFile}) {
		ts.Fatalf("called %+v, want %q", c, args)
	}
}

// volumes N makes the cloud have N volumes.
func haveVolumes(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	c := ts.Value(scriptKey{}).(*script).cloud
	for i := len(c.volumes) + 1; i <= n; i++ {
		id := mallee.VolumeID(fmt.Sprintf("vol-%08x", i))
		c.volumes[id] = &mallee.Volume{ID: id, Partition: "PARTI00", SizeGiB: i, State: mallee.VolumeAvailable, Created: epoch}
	}
}

// attached N makes the cloud have N volumes, all of them attached.
func haveAttached(ts *testscript.TestScript, neg bool, args []string) {
	haveVolumes(ts, neg, args)
	for id, v := range ts.Value(scriptKey{}).(*script).cloud.volumes {
		v.State, v.Attachment = mallee.VolumeInUse, &mallee.Attachment{VolumeID: id, InstanceID: node, State: mallee.Attached, Since: epoch}
	}
}

// property NAME VALUE makes the cloud have a property.
func haveProperty(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(scriptKey{}).(*script).cloud.properties[args[0]] = &mallee.Property{Name: args[0], Value: args[1]}
}

// alarm TEXT gives the pool an alarm.
func alarm(ts *testscript.TestScript, _ bool, args []string) {
	ts.Value(scriptKey{}).(*script).cloud.pool.Alarms = args
}

// strange makes another identity answer at one path of each attachment.
func strange(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(scriptKey{}).(*script).cloud.strange = true
}

// draining makes each attachment have a path that ncpaths no longer names.
func draining(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Value(scriptKey{}).(*script).cloud.draining = true
}

// asked N checks how many volumes the last listing asked for at a time.
func asked(ts *testscript.TestScript, _ bool, args []string) {
	sizes := ts.Value(scriptKey{}).(*script).cloud.pageSizes
	if got := strconv.Itoa(sizes[len(sizes)-1]); got != args[0] {
		ts.Fatalf("asked for %s volumes at a time, want %s", got, args[0])
	}
}

// jq N checks that stdout is a JSON list of N elements.
func jq(ts *testscript.TestScript, _ bool, args []string) {
	var list []any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	if strconv.Itoa(len(list)) != args[0] {
		ts.Fatalf("%d elements, want %s", len(list), args[0])
	}
}

// writes returns a command that writes a file with what a script cannot hold.
func writes(content string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(content), 0o600))
	}
}

// mode FILE PERMISSIONS checks who may do what with a file.
func mode(ts *testscript.TestScript, _ bool, args []string) {
	info, err := os.Stat(ts.MkAbs(args[0]))
	ts.Check(err)
	if got := strconv.FormatUint(uint64(info.Mode().Perm()), 8); got != args[1] {
		ts.Fatalf("%s has mode %s, want %s", args[0], got, args[1])
	}
}

// alone FILE checks that no other file has the file's name as a part of its own.
func alone(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	for _, e := range entries {
		if e.Name() != args[0] && strings.Contains(e.Name(), args[0]) {
			ts.Fatalf("%s is left beside %s", e.Name(), args[0])
		}
	}
}
