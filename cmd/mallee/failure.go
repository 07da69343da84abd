// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
)

// sourceEnvironment reads the file that the CLC writes for its admin.
const sourceEnvironment = ". /var/lib/mallee/clc/admin.env"

// The codes with which the tool exits. Scripts rely on them.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitDenied      = 3
	exitNotFound    = 4
	exitState       = 5
	exitUnavailable = 6
	exitInterrupted = 130 // 128 + SIGINT, as shells count
)

const exitCodes = `Exit codes:
  0    done
  1    failed, or not done yet after five minutes of waiting
  2    the command line, the environment or a value is wrong
  3    denied to this account
  4    a volume, node, partition or property of that name does not exist
  5    not now: the volume is in use or not attached there, the pool is full or a
       limit reached, a property has another value than --if says, too few paths
       would be left
  6    the cloud does not answer; the same command may succeed later
  130  interrupted; what was asked for goes on; 0 when --watch is interrupted`

// usageError is a wrong command line.
type usageError struct {
	error
	command string // "mallee volume create"
}

// pendingError says that the tool stopped waiting before the cloud was done.
type pendingError struct {
	id     mallee.VolumeID
	status string
	cause  error // of the context: canceled by the person, or past its deadline
}

func (e pendingError) Error() string { return fmt.Sprintf("%s is still %s", e.id, e.status) }
func (e pendingError) Unwrap() error { return e.cause }

// failure says that op on id failed with err, with the next step for a person.
func failure(op, id string, err error) error {
	if own, ok := errors.AsType[*mallee.Error](err); ok {
		return own
	}
	e := &mallee.Error{Op: op, Kind: kindOf(err), ID: id, Err: err}
	e.Hint = hint(e.Kind, id)
	if refused, ok := errors.AsType[*client.APIError](err); ok {
		switch refused.Code {
		case "RequestLimitExceeded":
			e.Hint = "too many calls were made at once; the same command will succeed in a while"
		case "Unavailable": // it is the cloud itself that says so
			e.Hint = "the same command may succeed in a while"
		case "PropertyChanged":
			e.Hint = "see what it is now, and who changed it: mallee property history"
		}
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Kind, e.Hint = mallee.Invalid, "AWS_CA_BUNDLE, or ca_bundle in the profile, must name the authority of the cloud; on the machine of the CLC: "+sourceEnvironment
	}
	return e
}

// kindOf classes what a call to the cloud returned.
func kindOf(err error) mallee.Kind {
	if own, ok := errors.AsType[*mallee.Error](err); ok {
		return own.Kind
	}
	api, ok := errors.AsType[*client.APIError](err)
	if !ok {
		if _, ok := errors.AsType[net.Error](err); ok || errors.Is(err, context.DeadlineExceeded) {
			return mallee.Unavailable
		}
		return mallee.Internal
	}
	switch code := api.Code; {
	case code == "InvalidAttachment.NotFound":
		return mallee.NotAttached
	case strings.HasSuffix(code, ".NotFound"):
		return mallee.NotFound
	case code == "VolumeInUse":
		return mallee.InUse
	case code == "IncorrectState", code == "IncorrectModificationState":
		return mallee.IncorrectState
	case code == "PropertyChanged":
		return mallee.Changed
	case code == "PathsUnreachable":
		return mallee.PathsUnreachable
	case code == "VolumeLimitExceeded":
		return mallee.OverLimit
	case code == "InsufficientVolumeCapacity":
		return mallee.Exhausted
	case api.Status == http.StatusUnauthorized, api.Status == http.StatusForbidden, code == "AuthFailure":
		return mallee.Denied
	case api.Status == http.StatusBadGateway, api.Status == http.StatusServiceUnavailable, api.Status == http.StatusGatewayTimeout, api.Status == http.StatusTooManyRequests:
		return mallee.Unavailable
	case api.Status < http.StatusInternalServerError:
		return mallee.Invalid
	}
	return mallee.Internal
}

func hint(kind mallee.Kind, id string) string {
	switch {
	case kind == mallee.Denied:
		return "the keys may be another account's; for the admin's: " + sourceEnvironment
	case kind == mallee.Unavailable:
		return "is the CLC running, and its URL right?"
	case kind == mallee.PathsUnreachable:
		return "see what each machine would reach, before you set it: mallee path check --set ncpaths=LIST"
	case kind == mallee.NotFound && strings.Contains(id, "."):
		return "see what is there: mallee property list"
	case kind == mallee.NotFound && mallee.ValidPartition(id) && !mallee.VolumeID(id).Valid() && !mallee.InstanceID(id).Valid():
		return "see what is there: mallee partition list"
	case kind == mallee.NotFound:
		return "see what is there: mallee volume list, mallee node list"
	case mallee.VolumeID(id).Valid() && (kind == mallee.InUse || kind == mallee.NotAttached || kind == mallee.IncorrectState):
		return "see why: mallee volume show " + id
	}
	return ""
}

// exitCode maps an error to the code that the tool exits with.
func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if _, ok := errors.AsType[pendingError](err); ok {
		return exitFailed
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	switch kindOf(err) {
	case mallee.Invalid, mallee.Malformed, mallee.ReadOnly, mallee.Mismatch:
		return exitUsage
	case mallee.Denied:
		return exitDenied
	case mallee.NotFound:
		return exitNotFound
	case mallee.InUse, mallee.NotAttached, mallee.IncorrectState, mallee.Exhausted, mallee.OverLimit, mallee.Changed, mallee.PathsUnreachable:
		return exitState
	case mallee.Unavailable:
		return exitUnavailable
	}
	return exitFailed
}

// report tells a person what went wrong and what to do next, and returns the
// code to exit with.
func (t *tool) report(err error) int {
	text := err.Error()
	if api, ok := errors.AsType[*client.APIError](err); ok && strings.HasPrefix(api.Message, "cannot ") {
		text = api.Error() // the cloud has said what it could not do, and to what
	}
	fmt.Fprintf(t.stderr, "mallee: %s\n", text)
	if e, ok := errors.AsType[usageError](err); ok {
		t.hint("%s --help", e.command)
	}
	if e, ok := errors.AsType[pendingError](err); ok {
		t.hint("the request goes on; look with: mallee volume show %s", e.id)
	}
	if e, ok := errors.AsType[*mallee.Error](err); ok && e.Hint != "" {
		t.hint("%s", e.Hint)
	}
	return exitCode(err)
}

// warn tells a person what to know of, though nothing has failed.
func (t *tool) warn(format string, args ...any) {
	fmt.Fprintf(t.stderr, "mallee: warning: "+format+"\n", args...)
}

// hint tells a person the next step.
func (t *tool) hint(format string, args ...any) {
	fmt.Fprintf(t.stderr, "next: "+format+"\n", args...)
}
