// SPDX-License-Identifier: Apache-2.0

package query

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	accessKey = "AKMLEXAMPLEEXAMPLE00"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
)

type echoIn struct {
	Value string   `query:"Value"`
	Fail  string   `query:"Fail"`
	Names []string `query:"Name"`
}

type echoOut struct {
	Reply
	Value string      `xml:"value"`
	Names Set[string] `xml:"nameSet"`
}

// server is an API with two actions, which give back what they are given: Change
// and Look.
type server struct {
	*httptest.Server
	changes, looks atomic.Int32
	log            bytes.Buffer // read it when all calls have ended
	mu             sync.Mutex
}

// Write implements io.Writer, for the log.
func (s *server) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func echo(calls *atomic.Int32) func(context.Context, echoIn) (*echoOut, error) {
	return func(_ context.Context, in echoIn) (*echoOut, error) {
		calls.Add(1)
		if in.Fail != "" {
			return nil, &mallee.Error{Op: "echo", Kind: mallee.Kind(in.Fail), ID: in.Value, Err: errors.New(in.Value)}
		}
		return &echoOut{Value: in.Value, Names: Set[string]{in.Names}}, nil
	}
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{}
	h := NewHandler(Options{
		API:          "test",
		Actions:      []Action{Handle("Change", echo(&s.changes)), HandleRead("Look", echo(&s.looks))},
		CheckVersion: func(string) error { return nil },
		Root: func(action, _ string) xml.StartElement {
			return xml.StartElement{Name: xml.Name{Local: action + "Response"}}
		},
		Fault: func(e *mallee.Error) *Fault {
			if e.Kind == mallee.Unavailable {
				return Faultf("Unavailable", "%s", e)
			}
			return Faultf("InvalidParameterValue", "%s", e)
		},
		Verifier: &auth.Verifier{Services: []string{"ec2"}, Secret: func(context.Context, string) (string, error) { return secretKey, nil }},
		Log:      slog.New(slog.NewJSONHandler(s, nil)),
		Registry: prometheus.NewRegistry(),
	})
	s.Server = httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// request returns a signed POST of a form.
func (s *server) request(t *testing.T, form, secret string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(form))
	if err := v4.NewSigner().SignHTTP(t.Context(), aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secret}, r, hex.EncodeToString(sum[:]), "ec2", "mallee", time.Now()); err != nil {
		t.Fatal(err)
	}
	return r
}

// reply is an answer of either kind.
type reply struct {
	status int
	header http.Header
	body   string

	XMLName   xml.Name
	RequestID string   `xml:"requestId"`
	Value     string   `xml:"value"`
	Names     []string `xml:"nameSet>item"`
	Code      string   `xml:"Errors>Error>Code"`
	Message   string   `xml:"Errors>Error>Message"`
	FailureID string   `xml:"RequestID"`
}

// send sends a request, whose body is that of its GetBody, and parses the answer.
func (s *server) send(t *testing.T, r *http.Request) reply {
	t.Helper()
	var err error
	if r.Body, err = r.GetBody(); err != nil {
		t.Fatal(err)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := reply{status: answer.StatusCode, header: answer.Header, body: string(body)}
	if err := xml.Unmarshal(body, &got); err != nil {
		t.Fatalf("the answer is not well-formed: %v\n%q", err, body)
	}
	if id := answer.Header.Get("X-Amzn-Requestid"); id == "" || id != got.RequestID+got.FailureID {
		t.Errorf("the header has request id %q and the body %q%q", id, got.RequestID, got.FailureID)
	}
	return got
}

func TestARequestSentAgain(t *testing.T) {
	for name, c := range map[string]struct {
		form           string
		status         int
		changes, looks int32
		sameID         bool
	}{
		"a change":                     {form: "Action=Change&Value=x", status: 200, changes: 1, sameID: true},
		"a change that was refused":    {form: "Action=Change&Value=x&Fail=invalid", status: 400, changes: 1, sameID: true},
		"a change that may be retried": {form: "Action=Change&Value=x&Fail=unavailable", status: 503, changes: 3},
		"a change that hit a defect":   {form: "Action=Change&Value=x&Fail=internal", status: 500, changes: 3},
		"a look":                       {form: "Action=Look&Value=x", status: 200, looks: 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			r := s.request(t, c.form+"&Version=1", secretKey)
			bodies := map[string]bool{}
			for range 3 {
				got := s.send(t, r)
				if got.status != c.status {
					t.Errorf("status %d, want %d: %s", got.status, c.status, got.body)
				}
				bodies[got.body] = true
			}
			if same := len(bodies) == 1; same != c.sameID {
				t.Errorf("all answers are the same: %t, want %t", same, c.sameID)
			}
			if s.changes.Load() != c.changes || s.looks.Load() != c.looks {
				t.Errorf("it was carried out %d and %d times, want %d and %d", s.changes.Load(), s.looks.Load(), c.changes, c.looks)
			}
			s.Close()
			if c.sameID && !strings.Contains(s.log.String(), `"replay_of":`) {
				t.Errorf("the log does not tell of the replay: %s", &s.log)
			}
		})
	}
}

// Values come back as they were given, or are refused; no value breaks an answer.
func TestHostileValues(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct{ value, code string }{
		"markup":              {value: `</value><x a="1">&amp;<![CDATA[ ]]> <!-- --> <?x?>`},
		"blanks":              {value: " \t\r\n x \n"},
		"beyond the BMP":      {value: "\U0001F4BE é \u2028 \u0085 \u007f"},
		"NUL":                 {value: "a\x00b", code: "InvalidParameterValue"},
		"escape":              {value: "\x1b[31m", code: "InvalidParameterValue"},
		"noncharacter":        {value: "\uFFFE", code: "InvalidParameterValue"},
		"invalid UTF-8":       {value: "a\xffb", code: "MalformedQueryString"},
		"surrogate":           {value: "\xed\xa0\x80", code: "MalformedQueryString"},
		"overlong":            {value: "\xc0\xaf", code: "MalformedQueryString"},
		"replacement by name": {value: "\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.send(t, s.request(t, url.Values{"Action": {"Look"}, "Version": {"1"}, "Value": {c.value}, "Name.1": {c.value}}.Encode(), secretKey))
			switch {
			case got.Code != c.code:
				t.Errorf("code %q, want %q: %s", got.Code, c.code, got.body)
			case c.code == "" && (got.Value != c.value || len(got.Names) != 1 || got.Names[0] != c.value):
				t.Errorf("%q came back as %q and %q", c.value, got.Value, got.Names)
			}
			// In errors, and as the names of parameters and actions, which errors quote.
			for _, form := range []url.Values{
				{"Action": {"Look"}, "Version": {"1"}, "Value": {c.value}, "Fail": {"invalid"}},
				{"Action": {"Look"}, "Version": {"1"}, c.value: {""}},
				{"Action": {c.value}, "Version": {"1"}},
			} {
				if got := s.send(t, s.request(t, form.Encode(), secretKey)); got.status != 400 || got.Code == "" {
					t.Errorf("%q: status %d, %s", form, got.status, got.body)
				}
			}
		})
	}
}

func TestHostileForms(t *testing.T) {
	s := serve(t)
	for name, c := range map[string]struct{ form, code string }{
		"10,000 parameters":           {strings.Repeat("&a", 10_000), "RequestResourceCountExceeded"},
		"half a million parameters":   {strings.Repeat("&a", 500_000), "RequestResourceCountExceeded"},
		"a million separators":        {strings.Repeat("&", 1_000_000), "RequestResourceCountExceeded"},
		"a huge index":                {"&Name.999999999=x&Name.2147483648=y", ""},
		"an index beyond all numbers": {"&Name.99999999999999999999999=x", "UnknownParameter"},
		"a deep name":                 {"&Name.1" + strings.Repeat(".1", 100_000) + "=x", "UnknownParameter"},
		"twice":                       {"&Value=1&Value=2", "InvalidParameterCombination"},
		"twice, also escaped":         {"&Value=1&%56alue=2", "InvalidParameterCombination"},
		"semicolons":                  {"&Value=1;Value=2", "MalformedQueryString"},
		"over a megabyte":             {"&Value=" + strings.Repeat("x", 1<<20), "RequestEntityTooLarge"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := s.send(t, s.request(t, "Action=Look&Version=1"+c.form, secretKey)); got.Code != c.code || len(got.body) > 2000 {
				t.Errorf("code %q, want %q: %.300s", got.Code, c.code, got.body)
			}
		})
	}
}

func TestRefusalsDoNotFillTheLog(t *testing.T) {
	s := serve(t)
	const calls = 300
	for i := range calls {
		r := s.request(t, "Action=Look&Version=1", "guess")
		if i%2 == 0 {
			r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=\u009b31m\t{\"level\":\"ERROR\"}, SignedHeaders=x, Signature=y")
		}
		s.send(t, r)
	}
	if got := s.send(t, s.request(t, "Action=Look&Version=1&Name.1=%0A%7B%7D", secretKey)); got.Code != "" && got.Code != "RequestLimitExceeded" {
		t.Error(got.body)
	}
	s.Close()
	log := s.log.String()
	if n := strings.Count(log, "\n"); n > telemetry.SparseBurst+30 {
		t.Errorf("%d refusals made %d lines", calls, n)
	}
	if strings.Contains(log, "31m") || strings.Contains(log, "ERROR") || strings.Contains(log, secretKey) {
		t.Errorf("the log holds what a stranger wrote: %s", log)
	}
}
