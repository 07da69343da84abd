// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mallee-io/mallee/client"
)

// script is what the commands of one script share.
type script struct {
	cloud *memory
	code  int // that the last call of the tool exited with
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
			dial:     func(client.Config) (cloud, error) { return cloud{s.cloud, s.cloud, s.cloud}, nil },
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
		"broken":      &client.APIError{Status: 500, Code: "InternalError", Message: "an internal error occurred", RequestID: "request-1"},
	}
	ts.Value(scriptKey{}).(*script).cloud.fail(faults[args[0]])
}
