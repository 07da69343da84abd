// SPDX-License-Identifier: Apache-2.0

package auth

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	dayFormat  = "20060102"
	timeFormat = "20060102T150405Z"
)

// The access key goes to the log before anything vouches for it, so its form is
// narrow; AWS's own are 16 to 128 word characters.
var (
	accessKeyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	scopeForm     = regexp.MustCompile(`^[!-~]{1,128}$`) // some clients invent a region from the host's name
	signatureForm = regexp.MustCompile(`^[0-9a-f]{64}$`)
	headerForm    = regexp.MustCompile(`^[a-z0-9_-]{1,128}$`)
)

// authorization is a parsed Authorization header of Signature Version 4.
type authorization struct {
	accessKey     string
	day           string // YYYYMMDD, UTC
	region        string
	service       string
	signedHeaders []string // lower case, sorted, each once
	signature     string   // 64 hexadecimal digits, lower case
}

// scope is what the signing key is derived from and what the string to sign names.
func (a authorization) scope() string {
	return strings.Join([]string{a.day, a.region, a.service, terminator}, "/")
}

// parseAuthorization parses
//
//	AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, SignedHeaders=a;b, Signature=HEX
//
// ("AWS Signature Version 4 for API requests": elements of the signature). The
// parts may come in any order, each once, with or without blanks after the commas.
func parseAuthorization(header string) (authorization, error) {
	rest, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return authorization{}, fmt.Errorf("the Authorization header does not begin with '%s '", algorithm)
	}
	parts := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		if _, twice := parts[name]; twice {
			return authorization{}, fmt.Errorf("the Authorization header has a part twice")
		}
		parts[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if parts[name] == "" {
			return authorization{}, fmt.Errorf("the Authorization header requires '%s'", name)
		}
	}
	if len(parts) != 3 {
		return authorization{}, fmt.Errorf("the Authorization header has a part that is none of Credential, SignedHeaders and Signature")
	}
	var a authorization
	if err := a.setCredential(parts["Credential"]); err != nil {
		return authorization{}, err
	}
	if err := a.setSignedHeaders(parts["SignedHeaders"]); err != nil {
		return authorization{}, err
	}
	if a.signature = parts["Signature"]; !signatureForm.MatchString(a.signature) {
		return authorization{}, fmt.Errorf("'Signature' is not 64 lower-case hexadecimal digits")
	}
	return a, nil
}

func (a *authorization) setCredential(s string) error {
	fields := strings.Split(s, "/")
	if len(fields) != 5 || fields[4] != terminator {
		return fmt.Errorf("'Credential' is not of the form KEY/YYYYMMDD/REGION/SERVICE/%s", terminator)
	}
	a.accessKey, a.day, a.region, a.service = fields[0], fields[1], fields[2], fields[3]
	if !accessKeyForm.MatchString(a.accessKey) {
		return fmt.Errorf("the access key in 'Credential' is malformed")
	}
	if _, err := time.Parse(dayFormat, a.day); err != nil {
		return fmt.Errorf("the date in 'Credential' is not of the form YYYYMMDD")
	}
	if !scopeForm.MatchString(a.region) || !scopeForm.MatchString(a.service) {
		return fmt.Errorf("the region or the service in 'Credential' is malformed")
	}
	return nil
}

func (a *authorization) setSignedHeaders(s string) error {
	a.signedHeaders = strings.Split(s, ";")
	for i, name := range a.signedHeaders {
		if !headerForm.MatchString(name) {
			return fmt.Errorf("'SignedHeaders' has a malformed name")
		}
		if i > 0 && name <= a.signedHeaders[i-1] {
			return fmt.Errorf("'SignedHeaders' is not sorted")
		}
	}
	// Without the host a request could be replayed to another cloud, without
	// the date at any later time.
	for _, name := range []string{"host", "x-amz-date"} {
		if !slices.Contains(a.signedHeaders, name) {
			return fmt.Errorf("'SignedHeaders' must include '%s'", name)
		}
	}
	return nil
}
