// SPDX-License-Identifier: Apache-2.0

// Package query serves APIs that speak AWS' Query protocol: a call is an Action
// and a flat list of named parameters, in a form or a query string, and the
// answer is XML. It is what the EC2 API and the Properties API share.
//
// Nouns: an action is one call of the API; a parameter is one named value of a
// call, "Filter.1.Name" for example; a fault is the answer to a call that failed,
// with a code for programs and a message for people.
package query

import (
	"cmp"
	"context"
	"encoding/xml"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/telemetry"
)

// callTimeout bounds one call. It is shorter than what clients allow, so that
// they get an answer, and a request id, when a part hangs.
const callTimeout = 25 * time.Second

// maxDrained bounds what is read of a body that is refused, in bytes.
const maxDrained = 256 << 20

// Options is what a Handler is made of. All fields but Version2 are required.
type Options struct {
	API     string // names the API in logs and metrics: "ec2"
	Actions []Action
	// CheckVersion refuses an API version that is not served.
	CheckVersion func(version string) error
	// Root returns the outermost element of an answer.
	Root func(action, version string) xml.StartElement
	// Fault turns an error of an action into what the caller may see. It is
	// not asked about faults, nor about errors of kind mallee.Internal.
	Fault    func(*mallee.Error) *Fault
	Verifier *auth.Verifier
	// Version2 lets callers sign with Signature Version 2 too.
	Version2 bool
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Handler serves one API at whatever path it is mounted. It is safe for
// concurrent use.
type Handler struct {
	options   Options
	actions   map[string]Action
	metrics   metrics
	replays   *replays
	strangers *slog.Logger // of calls by nobody knows whom
}

// NewHandler returns a handler that serves o.Actions.
func NewHandler(o Options) *Handler {
	h := &Handler{options: o, actions: map[string]Action{}, metrics: newMetrics(o.API, o.Registry), replays: newReplays(), strangers: telemetry.Sparse(o.Log)}
	for _, a := range o.Actions {
		h.actions[a.Name] = a
	}
	return h
}

// call is what becomes known of a call while it is served.
type call struct {
	action     Action // of the table; without a name as long as none is known
	version    string
	accessKey  string
	parameters parameters
	replayOf   mallee.RequestID // whose answer this one got
}

// ServeHTTP verifies, decodes and carries out one call, and writes one log line
// about it. Values of parameters are not logged: some are secret.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	id := cmp.Or(telemetry.RequestID(r.Context()), mallee.NewRequestID())
	ctx, cancel := context.WithTimeout(telemetry.WithRequestID(r.Context(), id), callTimeout)
	defer cancel()

	var c call
	a := h.respond(ctx, r, id, &c)
	if a.status == http.StatusRequestEntityTooLarge {
		drain(r)
	}
	a.write(w)

	elapsed := time.Since(start)
	h.metrics.observe(c.action.Name, a.code, elapsed)
	h.log(ctx, c, a, slog.Duration("duration", elapsed), slog.String("remote", r.RemoteAddr))
}

// drain reads, and does not keep, what is left of a body that was refused for
// its size. A connection of HTTP/1 that is closed with data unread is reset by the
// kernel, and a caller who is still writing then sees that and not the answer. It
// takes no longer than the server allows for reading a request. A caller who
// waits for "100 Continue" does not write, and reading would tell it to.
func drain(r *http.Request) {
	if r.ProtoMajor == 1 && r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained) // it ends when it ends
	}
}

// respond returns the answer to a call. What it learns about the call goes into
// c on the way, for the log line of a call that fails halfway.
func (h *Handler) respond(ctx context.Context, r *http.Request, id mallee.RequestID, c *call) answer {
	proof, err := h.open(ctx, r, c)
	if err != nil {
		return h.failed(id, err)
	}
	if c.action.reads {
		return h.carryOut(ctx, id, *c)
	}
	a, replayed, err := h.replays.once(ctx, proof, func() answer { return h.carryOut(ctx, id, *c) })
	if err != nil {
		return h.failed(id, err)
	}
	if replayed {
		c.replayOf = a.id
	}
	return a
}

// open finds out who calls and what is asked for.
func (h *Handler) open(ctx context.Context, r *http.Request, c *call) (proof auth.Proof, err error) {
	defer recovered(&err)
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		return auth.Proof{}, Faultf("MethodNotAllowed", "the method %s is not allowed: use GET or POST", r.Method)
	}
	verify := h.options.Verifier.Verify
	if h.options.Version2 {
		verify = h.options.Verifier.VerifyEither
	}
	proof, body, err := verify(r.WithContext(ctx))
	if err != nil {
		return auth.Proof{}, err
	}
	c.accessKey = proof.AccessKey
	p, err := parse(r.URL.RawQuery, body)
	if err != nil {
		return auth.Proof{}, err
	}
	if proof.Version == 2 {
		maps.DeleteFunc(p, func(name, _ string) bool { return slices.Contains(auth.Version2Parameters(), name) })
	}
	name := p["Action"]
	if name == "" {
		return auth.Proof{}, missing("Action")
	}
	action, ok := h.actions[name]
	if !ok {
		return auth.Proof{}, Faultf("InvalidAction", "The action %s is not valid for this web service.", name)
	}
	c.action = action
	if c.version = p["Version"]; c.version == "" {
		return auth.Proof{}, missing("Version")
	}
	if err := h.options.CheckVersion(c.version); err != nil {
		return auth.Proof{}, err
	}
	delete(p, "Action")
	delete(p, "Version")
	c.parameters = p
	return proof, nil
}

// carryOut returns the answer of the action.
func (h *Handler) carryOut(ctx context.Context, id mallee.RequestID, c call) answer {
	body, err := h.run(ctx, id, c)
	if err != nil {
		return h.failed(id, err)
	}
	return answer{id: id, status: http.StatusOK, code: "OK", body: body}
}

func (h *Handler) run(ctx context.Context, id mallee.RequestID, c call) (body []byte, err error) {
	defer recovered(&err)
	out, err := c.action.call(telemetry.WithAccessKey(ctx, c.accessKey), c.parameters)
	if err != nil {
		return nil, err
	}
	return h.encode(c, id, out)
}
