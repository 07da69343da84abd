// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sixtyFour = strings.Repeat("0f", 32)

func TestAuthorizationInAnyOrder(t *testing.T) {
	want := authorization{"AKIA", "20261122", "us-east-1", "ec2", []string{"host", "x-amz-date"}, sixtyFour}
	for _, header := range []string{
		"AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + sixtyFour,
		"AWS4-HMAC-SHA256 Signature=" + sixtyFour + ",SignedHeaders=host;x-amz-date,Credential=AKIA/20261122/us-east-1/ec2/aws4_request",
	} {
		got, err := parseAuthorization(header)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmp.AllowUnexported(authorization{})); d != "" {
			t.Errorf("%s: (-want +got)\n%s", header, d)
		}
	}
}

func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{
		"AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + sixtyFour,
		"AWS4-HMAC-SHA256 Credential=AKIA/20261122/us-east-1/ec2/aws4_request,SignedHeaders=host,Signature=" + sixtyFour,
		"AWS4-HMAC-SHA256 Credential=a/b/c/d/e,Credential=,=,", "AWS AKIA:frJIUN8DYpKDtOLCwo//yllqDzg=", "Basic YTpi", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a, err := parseAuthorization(header)
		if err != nil {
			return
		}
		// What was accepted has one meaning: written plainly it is the same again.
		plain := fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%s",
			algorithm, a.accessKey, a.scope(), strings.Join(a.signedHeaders, ";"), a.signature)
		again, err := parseAuthorization(plain)
		if err != nil {
			t.Fatalf("%q was accepted, but not %q: %v", header, plain, err)
		}
		if d := cmp.Diff(a, again, cmp.AllowUnexported(authorization{})); d != "" {
			t.Fatalf("%q: (-first +again)\n%s", header, d)
		}
	})
}
