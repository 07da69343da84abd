// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
)

// The original's clients, as their requests look on the wire.

// boto returns a request as euca-describe-properties and euca-modify-property of
// versions 3.2 to 4.1 send it, through boto 2: signed with version 2, its path with
// a slash at the end, and the port signed by earlier versions of boto only.
func (f *front) boto(method, path, host string, parameters url.Values) string {
	parameters.Set("AWSAccessKeyId", f.keys.AccessKeyID)
	parameters.Set("SignatureVersion", "2")
	parameters.Set("SignatureMethod", "HmacSHA256")
	parameters.Set("Timestamp", time.Now().UTC().Format("2006-01-02T15:04:05Z"))
	parameters.Set("Version", "eucalyptus")
	form := strings.ReplaceAll(parameters.Encode(), "+", "%20") // sorted by name
	signature := base64.StdEncoding.EncodeToString(sum([]byte(f.keys.SecretAccessKey), strings.Join([]string{method, host, path, form}, "\n")))
	form += "&Signature=" + url.QueryEscape(signature)
	head := "Host: " + f.addr + "\r\nAccept-Encoding: identity\r\nUser-Agent: Boto/2.5.2 (linux2)\r\n"
	if method == http.MethodGet {
		return fmt.Sprintf("GET %s?%s HTTP/1.1\r\n%sContent-Length: 0\r\n\r\n", path, form, head)
	}
	return fmt.Sprintf("POST %s HTTP/1.1\r\n%sContent-Length: %d\r\nContent-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n\r\n%s", path, head, len(form), form)
}

// euctl returns a request as euctl of versions since 4.2 sends it, through
// requestbuilder: signed with version 4 for the service "properties", every header
// of it but User-Agent.
func (f *front) euctl(path string, parameters url.Values) string {
	parameters.Set("Version", "eucalyptus")
	body := parameters.Encode()
	hash := sha256.Sum256([]byte(body))
	now := time.Now().UTC().Format("20060102T150405Z")
	headers := [][2]string{
		{"Accept", "*/*"},
		{"Accept-Encoding", "gzip, deflate"},
		{"Connection", "keep-alive"},
		{"Content-Length", fmt.Sprint(len(body))},
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Host", f.addr},
		{"X-Amz-Content-SHA256", hex.EncodeToString(hash[:])},
		{"X-Amz-Date", now},
	}
	var names []string
	var canonical, head strings.Builder
	for _, h := range headers {
		name := strings.ToLower(h[0])
		names = append(names, name)
		canonical.WriteString(name + ":" + h[1] + "\n")
		head.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	signed := strings.Join(names, ";")
	request := sha256.Sum256([]byte(strings.Join([]string{"POST", path, "", canonical.String(), signed, hex.EncodeToString(hash[:])}, "\n")))
	scope := []string{now[:8], "eucalyptus", "properties", "aws4_request"}
	key := []byte("AWS4" + f.keys.SecretAccessKey)
	for _, part := range scope {
		key = sum(key, part)
	}
	signature := sum(key, strings.Join([]string{"AWS4-HMAC-SHA256", now, strings.Join(scope, "/"), hex.EncodeToString(request[:])}, "\n"))
	return fmt.Sprintf("POST %s HTTP/1.1\r\n%sUser-Agent: eucalyptus-admin/4.2\r\nAuthorization: AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x\r\n\r\n%s",
		path, head.String(), f.keys.AccessKeyID, strings.Join(scope, "/"), signed, signature, body)
}

func sum(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

// said is what an answer of the Properties API, or a fault, says.
type said struct {
	Names    []string `xml:"properties>item>name"`
	Name     string   `xml:"name"`
	Value    string   `xml:"value"`
	OldValue string   `xml:"oldValue"`
	Code     string   `xml:"Errors>Error>Code"`
}

// send sends a request to the letter.
func (f *front) send(t *testing.T, text string) said {
	t.Helper()
	conn := f.dial(t)
	go conn.Write([]byte(text))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var s said
	if err := xml.Unmarshal(body, &s); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return s
}

func TestClientsOfTheOriginal(t *testing.T) {
	f := newFront(t, Options{})
	f.sc("sc1", partition).until("the first state", func(*cloudv1.PartitionState) bool { return true })
	name, _, err := net.SplitHostPort(f.addr)
	if err != nil {
		t.Fatal(err)
	}
	const property = "PARTI00.storage.sanhost"
	look := func() url.Values { return url.Values{"Action": {"DescribeProperties"}, "Property.1": {property}} }
	set := func(value string) url.Values {
		return url.Values{"Action": {"ModifyPropertyValue"}, "Name": {property}, "Value": {value}}
	}
	reset := url.Values{"Action": {"ModifyPropertyValue"}, "Name": {property}, "Reset": {"true"}}
	seen := said{Names: []string{property}}
	replayed := f.boto("GET", "/services/Properties/", f.addr, set("10.109.1.23, san.example.net"))
	for _, c := range []struct {
		name, request string
		want          said
	}{
		{"boto looks", f.boto("GET", "/services/Empyrean/", f.addr, look()), seen},
		{"boto looks, port not signed", f.boto("GET", "/services/Empyrean/", name, look()), seen},
		{"boto looks by POST", f.boto("POST", "/services/Properties/", name, look()), seen},
		{"euctl looks", f.euctl("/services/Properties", look()), seen},
		{"euctl looks at a path with a slash", f.euctl("/services/Properties/", look()), seen},

		{"boto sets", f.boto("GET", "/services/Properties/", name, set("10.109.1.21")), said{Name: property, Value: "10.109.1.21"}},
		{"boto sets by POST", f.boto("POST", "/services/Properties/", f.addr, set("10.109.1.22")), said{Name: property, Value: "10.109.1.22", OldValue: "10.109.1.21"}},
		{"boto sets a list", replayed, said{Name: property, Value: "10.109.1.23, san.example.net", OldValue: "10.109.1.22"}},
		{"the same again changes nothing", replayed, said{Name: property, Value: "10.109.1.23, san.example.net", OldValue: "10.109.1.22"}},
		{"euctl sets", f.euctl("/services/Properties", set("10.109.1.24")), said{Name: property, Value: "10.109.1.24", OldValue: "10.109.1.23, san.example.net"}},
		{"euctl sets to nothing", f.euctl("/services/Properties", set("")), said{Name: property, OldValue: "10.109.1.24"}},
		{"boto resets", f.boto("GET", "/services/Properties/", name, reset), said{Name: property}},

		{"the EC2 API takes version 4 alone", f.boto("GET", "/services/compute/", f.addr, url.Values{"Action": {"DescribeVolumes"}}), said{Code: "UnsupportedOperation"}},
		{"by POST too", f.boto("POST", "/services/compute/", f.addr, url.Values{"Action": {"DescribeVolumes"}}), said{Code: "MissingAuthenticationToken"}},
		{"no parameter is dropped in silence", f.boto("GET", "/services/Properties/", f.addr, url.Values{"Action": {"DescribeProperties"}, "Signatur": {"x"}}), said{Code: "UnknownParameter"}},
	} {
		if d := cmp.Diff(c.want, f.send(t, c.request)); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, d)
		}
	}
}
