// SPDX-License-Identifier: Apache-2.0

// Package client is the Go client of the cloud controller's two public APIs: the
// EC2 one, with the extension DescribePaths, and the Properties API, with the
// extensions ModifyPropertyValues, DescribePropertyHistory and DescribePathReach. It
// speaks in the root package's nouns.
//
// What the cloud refused is an *APIError; any other error means that it is not
// known whether the call was carried out. A call that the cloud put off is tried
// again for a while, see Client; every other call is tried once.
package client

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// callTimeout bounds a call whose context has no earlier deadline.
const callTimeout = 30 * time.Second

// maxAnswer bounds what is read of an answer, in bytes: some hundred thousand volumes.
const maxAnswer = 128 << 20

// DefaultRegion is the region that requests are signed for when Config names
// none. The cloud accepts any.
const DefaultRegion = "mallee"

// Config says which cloud to call, and as whom.
type Config struct {
	Endpoint  string // "https://clc.example.net:8773"
	AccessKey string
	SecretKey string
	Region    string // empty means DefaultRegion
	// CAFile names a PEM file with the authorities that may vouch for the
	// cloud; empty means those of the system.
	CAFile string
}

// Client calls the APIs of one cloud. It is safe for concurrent use.
//
// A call lasts 30 s at most, and no longer than its context. Within that time it
// is tried up to four times, with growing pauses: each call that was refused with
// RequestLimitExceeded, which the cloud has not begun, and each that only reads
// and was answered with 503.
type Client struct {
	config Config
	http   *http.Client
	signer *v4.Signer
}

// New returns a client. It reads CAFile and calls nobody yet.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, fmt.Errorf("endpoint %q is not of the form https://host:8773", c.Endpoint)
	}
	if c.AccessKey == "" || c.SecretKey == "" {
		return nil, errors.New("access key and secret key are both needed")
	}
	if c.Region == "" {
		c.Region = DefaultRegion
	}
	c.Endpoint = strings.TrimSuffix(c.Endpoint, "/")
	tlsConfig := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read the authorities of the cloud: %w", err)
		}
		tlsConfig.RootCAs = x509.NewCertPool()
		if !tlsConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", c.CAFile)
		}
	}
	return &Client{
		config: c,
		http: &http.Client{
			Transport: &http.Transport{
				Proxy:             http.ProxyFromEnvironment,
				TLSClientConfig:   tlsConfig,
				ForceAttemptHTTP2: true,
				IdleConnTimeout:   90 * time.Second,
			},
			// A signature is good for one host; to follow would only hide
			// that the endpoint is wrong.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		signer: v4.NewSigner(),
	}, nil
}

// api is one of the two APIs.
type api struct {
	path    string // where it is served
	service string // what its requests are signed for
	version string
}

var (
	ec2        = api{"/", "ec2", "2016-11-15"}
	properties = api{"/services/Properties", "properties", "eucalyptus"}
)

// do calls an action and decodes its answer into out.
func (c *Client) do(ctx context.Context, a api, action string, params url.Values, out any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	params.Set("Action", action)
	params.Set("Version", a.version)
	form := params.Encode()
	if err := retry(ctx, action, func() error { return c.post(ctx, a, form, out) }); err != nil {
		if _, ok := errors.AsType[*APIError](err); ok {
			return err
		}
		return fmt.Errorf("cannot call %s at %s: %w", action, c.config.Endpoint, err)
	}
	return nil
}

func (c *Client) post(ctx context.Context, a api, form string, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.config.Endpoint+a.path, strings.NewReader(form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	// It is signed too. Without it two like calls within a second would be signed
	// alike, and the second would be taken for the first one sent again.
	r.Header.Set("Amz-Sdk-Invocation-Id", rand.Text())
	sum := sha256.Sum256([]byte(form))
	credentials := aws.Credentials{AccessKeyID: c.config.AccessKey, SecretAccessKey: c.config.SecretKey}
	if err := c.signer.SignHTTP(ctx, credentials, r, hex.EncodeToString(sum[:]), a.service, c.config.Region, time.Now()); err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return newAPIError(answer.StatusCode, body)
	}
	if err := xml.Unmarshal(body, out); err != nil {
		return fmt.Errorf("the answer is not the API's: %w", err)
	}
	return nil
}
