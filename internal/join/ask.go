// SPDX-License-Identifier: Apache-2.0

package join

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mallee-io/mallee/internal/rpc"
)

const askTimeout = 30 * time.Second

// ask sends a request to the cloud controller at endpoint, "https://host:8773",
// which must have a certificate of the CA that pin is of.
func ask(ctx context.Context, endpoint, pin string, r Request) (Answer, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return Answer{}, fmt.Errorf("%q is not of the form https://host:8773", endpoint)
	}
	body, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	call, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(u.String(), "/")+Path, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	call.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{TLSClientConfig: pinned(pin), DisableKeepAlives: true}
	client := &http.Client{
		Transport: transport,
		// The secret goes to whom it is meant for and to nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(call)
	if err != nil {
		return Answer{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, MaxBody))
	if err != nil {
		return Answer{}, err
	}
	if answer.StatusCode != http.StatusOK {
		var refusal Refusal
		if json.Unmarshal(text, &refusal) != nil || refusal.Message == "" {
			return Answer{}, fmt.Errorf("%s answered %s: is a cloud controller there?", u.Host, answer.Status)
		}
		return Answer{}, refusal.error()
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return Answer{}, fmt.Errorf("the answer of %s makes no sense: %w", u.Host, err)
	}
	return a, nil
}

// pinned returns what trusts a cloud controller whose CA the pin is of, and
// nobody else: not even another part with a certificate of that CA.
func pinned(pin string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies, against the pin
		VerifyConnection: func(s tls.ConnectionState) error {
			for _, root := range s.PeerCertificates {
				if Pin(root) != pin {
					continue
				}
				roots := x509.NewCertPool()
				roots.AddCert(root)
				_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: rpc.ServerName(rpc.CLC)})
				return err
			}
			return errors.New("the server is not the cloud controller that made the token: its certificate is of another authority")
		},
	}
}
