// SPDX-License-Identifier: Apache-2.0

package propapi_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/client"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/propapi"
	"github.com/mallee-io/mallee/internal/telemetry"
)

const (
	accessKey = "AKIAEXAMPLEEXAMPLE00"
	secretKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	ncpaths   = "PARTI00.storage.ncpaths"
	provider  = "PARTI00.storage.blockstoragemanager"
	sanhost   = "PARTI00.storage.sanhost"
)

var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// memProperties keeps properties in memory, sorted by name.
type memProperties struct {
	list   []mallee.Property
	events []mallee.PropertyEvent // the newest first
	broken error
}

func newMemProperties() *memProperties {
	return &memProperties{list: []mallee.Property{
		{Name: provider, Value: "mallee", Default: "mallee", Description: "EBS Block Storage Manager", ReadOnly: true},
		{Name: ncpaths, Value: "nopath", Default: "nopath", Description: "iSCSI Paths for NC. Default value is 'nopath'"},
		{Name: sanhost, Value: "10.109.1.25", Description: "Hostname for SAN device."},
		{Name: "PARTI01.storage.ncpaths", Value: "nopath", Default: "nopath"},
	}}
}

func failed(kind mallee.Kind, name string, err error) error {
	return &mallee.Error{Op: "set", Kind: kind, ID: name, Err: err}
}

func (p *memProperties) Properties(context.Context) ([]mallee.Property, error) {
	return p.list, p.broken
}

func (p *memProperties) SetProperties(ctx context.Context, sets []mallee.PropertySet, force bool) ([]mallee.PropertyChange, []string, error) {
	if p.broken != nil && (!force || mallee.KindOf(p.broken) != mallee.PathsUnreachable) {
		return nil, nil, p.broken
	}
	list := slices.Clone(p.list)
	var changes []mallee.PropertyChange
	for _, set := range sets {
		i := slices.IndexFunc(list, func(q mallee.Property) bool { return q.Name == set.Name })
		switch {
		case i < 0:
			return nil, nil, failed(mallee.NotFound, set.Name, errors.New("no such property"))
		case list[i].ReadOnly:
			return nil, nil, failed(mallee.ReadOnly, set.Name, errors.New("it cannot be changed"))
		case set.If != nil && *set.If != list[i].Value:
			return nil, nil, failed(mallee.Changed, set.Name, errors.New("its value is another"))
		case set.Reset:
			set.Value = list[i].Default
		}
		if strings.HasSuffix(set.Name, "paths") {
			if _, err := mallee.ParsePaths(set.Value); err != nil {
				return nil, nil, failed(mallee.Invalid, set.Name, err)
			}
		}
		change := mallee.PropertyChange{Name: set.Name, Value: set.Value, OldValue: list[i].Value}
		list[i].Value = set.Value
		changes = append(changes, change)
		p.events = slices.Insert(p.events, 0, mallee.PropertyEvent{
			PropertyChange: change, Time: epoch, AccessKey: telemetry.AccessKey(ctx), RequestID: "r-1", Reset: set.Reset, Forced: force,
		})
	}
	p.list = list
	if force {
		return changes, []string{"nc2 would have 0 of 2 paths", "nc3 is offline"}, nil
	}
	return changes, nil, nil
}

func (p *memProperties) PropertyHistory(_ context.Context, prefixes []string, most int) ([]mallee.PropertyEvent, error) {
	var list []mallee.PropertyEvent
	for _, e := range p.events {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(e.Name, prefix) }) {
			list = append(list, e)
		}
	}
	if most > 0 && most < len(list) {
		list = list[:most]
	}
	return list, p.broken
}

// CheckPaths tells of one node whatever the value is.
func (p *memProperties) CheckPaths(_ context.Context, name string, value *string, probe bool) (mallee.PathCheck, error) {
	if !strings.HasSuffix(name, "paths") {
		return mallee.PathCheck{}, &mallee.Error{Op: "check", Kind: mallee.Invalid, ID: name, Err: errors.New("it is no list of paths")}
	}
	check := somePathCheck(name)
	if value != nil {
		check.Value = *value
	}
	if probe {
		check.Sites[0].Reach[0].Evidence = mallee.ByTCP
	}
	return check, p.broken
}

// serve returns a client of an API on p, which trusts the API's certificate.
func serve(t *testing.T, p propapi.Properties) (*client.Client, *httptest.Server) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("/services/Properties", propapi.NewHandler(propapi.Options{
		Properties: p,
		Verifier: &auth.Verifier{
			Services: []string{"properties"},
			Secret:   func(context.Context, string) (string, error) { return secretKey, nil },
		},
		Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(),
	}))
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: s.URL, AccessKey: accessKey, SecretKey: secretKey, CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func TestDescribe(t *testing.T) {
	c, _ := serve(t, newMemProperties())
	for name, tc := range map[string]struct {
		prefixes []string
		want     []string
	}{
		"all":          {nil, []string{provider, ncpaths, sanhost, "PARTI01.storage.ncpaths"}},
		"exact name":   {[]string{ncpaths}, []string{ncpaths}},
		"prefix":       {[]string{"PARTI00.storage.s"}, []string{sanhost}},
		"two prefixes": {[]string{"PARTI01", "PARTI00.storage.b"}, []string{provider, "PARTI01.storage.ncpaths"}},
		"nothing":      {[]string{"storage"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := c.Properties(t.Context(), tc.prefixes...)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range list {
				got = append(got, p.Name)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
	got, err := c.Properties(t.Context())
	if d := cmp.Diff(newMemProperties().list, got); err != nil || d != "" {
		t.Errorf("(-want +got)\n%s%v", d, err)
	}
}

func TestSetAndReset(t *testing.T) {
	c, _ := serve(t, newMemProperties())
	set, err := c.SetProperty(t.Context(), sanhost, "10.109.1.26")
	if want := (mallee.PropertyChange{Name: sanhost, Value: "10.109.1.26", OldValue: "10.109.1.25"}); err != nil || set != want {
		t.Errorf("set: %+v, %v, want %+v", set, err, want)
	}
	set, err = c.SetProperty(t.Context(), sanhost, "")
	if want := (mallee.PropertyChange{Name: sanhost, OldValue: "10.109.1.26"}); err != nil || set != want {
		t.Errorf("set to nothing: %+v, %v, want %+v", set, err, want)
	}
	if _, err = c.SetProperty(t.Context(), ncpaths, "10.107.1.200,10.108.1.200"); err != nil {
		t.Error(err)
	}
	reset, err := c.ResetProperty(t.Context(), ncpaths)
	if want := (mallee.PropertyChange{Name: ncpaths, Value: "nopath", OldValue: "10.107.1.200,10.108.1.200"}); err != nil || reset != want {
		t.Errorf("reset: %+v, %v, want %+v", reset, err, want)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		property, value string
		broken          error
		status          int
		code, message   string // message is what it begins with
	}{
		"unknown property": {"PARTI00.storage.nopaths", "x", nil, 400, "InvalidProperty.NotFound", "Failed to set property: No such property: PARTI00.storage.nopaths"},
		"wrong value":      {ncpaths, "10.107.1.200,10.107.1.300", nil, 400, "InvalidParameterValue", `Failed to set property: ` + ncpaths + `: element 2 (at character 14), "10.107.1.300"`},
		"read-only":        {provider, "netapp", nil, 400, "OperationNotPermitted", "Failed to set property: " + provider + ": it cannot be changed"},
		"no name":          {"", "x", nil, 400, "MissingParameter", "The request must contain the parameter Name"},
		"fault of ours":    {ncpaths, "nopath", errors.New("etcd at 10.0.0.1 is away"), 500, "InternalError", "An internal error has occurred."},
		"unavailable":      {ncpaths, "nopath", failed(mallee.Unavailable, ncpaths, errors.New("the store is away")), 503, "Unavailable", "cannot set " + ncpaths},
	} {
		t.Run(name, func(t *testing.T) {
			p := newMemProperties()
			p.broken = tc.broken
			c, _ := serve(t, p)
			_, err := c.SetProperty(t.Context(), tc.property, tc.value)
			refused, ok := errors.AsType[*client.APIError](err)
			if !ok {
				t.Fatalf("got %v, want a refusal", err)
			}
			if refused.Status != tc.status || refused.Code != tc.code || !strings.HasPrefix(refused.Message, tc.message) || refused.RequestID == "" {
				t.Errorf("got %+v, want %d %s %q", refused, tc.status, tc.code, tc.message)
			}
			if d := cmp.Diff(newMemProperties().list, p.list); d != "" {
				t.Errorf("a set that failed has changed something (-want +got)\n%s", d)
			}
		})
	}
}

// The oldest clients look for elements by their literal names, prefix included.
func TestWire(t *testing.T) {
	status, got := post(t, newMemProperties(), url.Values{"Action": {"DescribeProperties"}, "Version": {"eucalyptus"}, "Property.1": {sanhost}})
	_, id, _ := strings.Cut(got, "<euca:correlationId>")
	id, _, _ = strings.Cut(id, "<")
	want := `<?xml version="1.0" encoding="UTF-8"?>
<euca:DescribePropertiesResponseType xmlns:euca="http://msgs.eucalyptus.com/eucalyptus"><euca:correlationId>` + id + `</euca:correlationId>` +
		`<euca:return>true</euca:return><euca:properties><euca:item><euca:name>` + sanhost + `</euca:name><euca:value>10.109.1.25</euca:value>` +
		`<euca:description>Hostname for SAN device.</euca:description><euca:defaultValue></euca:defaultValue>` +
		`<euca:readOnly>false</euca:readOnly></euca:item></euca:properties></euca:DescribePropertiesResponseType>`
	if d := cmp.Diff(want, got); status != http.StatusOK || len(id) != 36 || d != "" {
		t.Errorf("%d, request id %q (-want +got)\n%s", status, id, d)
	}
}

func TestMalformedCalls(t *testing.T) {
	for name, tc := range map[string]struct{ form, code string }{
		"no version":          {"Action=DescribeProperties", "MissingParameter"},
		"EC2's version":       {"Action=DescribeProperties&Version=2016-11-15", "NoSuchVersion"},
		"EC2's action":        {"Action=DescribeVolumes&Version=eucalyptus", "InvalidAction"},
		"neither value":       {"Action=ModifyPropertyValue&Version=eucalyptus&Name=" + ncpaths, "MissingParameter"},
		"value and reset":     {"Action=ModifyPropertyValue&Version=eucalyptus&Reset=true&Value=x&Name=" + ncpaths, "InvalidParameterCombination"},
		"reset is no boolean": {"Action=ModifyPropertyValue&Version=eucalyptus&Reset=please&Name=" + ncpaths, "InvalidParameterValue"},
	} {
		t.Run(name, func(t *testing.T) {
			form, err := url.ParseQuery(tc.form)
			if err != nil {
				t.Fatal(err)
			}
			if status, body := post(t, newMemProperties(), form); status != http.StatusBadRequest || !strings.Contains(body, "<Code>"+tc.code+"</Code>") {
				t.Errorf("got %d %s, want %s", status, body, tc.code)
			}
		})
	}
}

// post sends, signed, what our own client would not.
func post(t *testing.T, p propapi.Properties, form url.Values) (int, string) {
	t.Helper()
	_, s := serve(t, p)
	body := form.Encode()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/services/Properties", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	credentials := aws.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey}
	if err := v4.NewSigner().SignHTTP(t.Context(), credentials, r, hex.EncodeToString(sum[:]), "properties", "eucalyptus", time.Now()); err != nil {
		t.Fatal(err)
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b)
}
