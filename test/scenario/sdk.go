// SPDX-License-Identifier: Apache-2.0

package scenario

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// EC2 returns a stock SDK client with the admin's keys.
func (c *Cloud) EC2() (*ec2.Client, error) {
	return c.EC2As(c.variable("AWS_ACCESS_KEY_ID"), c.variable("AWS_SECRET_ACCESS_KEY"))
}

// EC2As returns a stock SDK client with other keys. A client of its own, since
// the SDK's signer keeps derived keys by access key alone.
func (c *Cloud) EC2As(accessKey, secret string) (*ec2.Client, error) {
	bundle := c.variable("AWS_CA_BUNDLE")
	pem, err := os.ReadFile(bundle)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", bundle)
	}
	return ec2.New(ec2.Options{
		BaseEndpoint: aws.String(Endpoint),
		Region:       c.variable("AWS_DEFAULT_REGION"),
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secret, ""),
		HTTPClient: &http.Client{
			Timeout:   30 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}},
		},
		// A test wants to see each error, and the cloud being down is one of them.
		Retryer: aws.NopRetryer{},
	}), nil
}

// variable returns a variable of the tools' environment.
func (c *Cloud) variable(name string) string {
	for _, v := range c.env {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value
		}
	}
	return ""
}

// Volume returns what the API tells of a volume.
func (c *Cloud) Volume(ctx context.Context, client *ec2.Client, id string) (types.Volume, error) {
	out, err := client.DescribeVolumes(ctx, &ec2.DescribeVolumesInput{VolumeIds: []string{id}})
	if err != nil {
		return types.Volume{}, err
	}
	if len(out.Volumes) != 1 {
		return types.Volume{}, fmt.Errorf("%d volumes answer to %s", len(out.Volumes), id)
	}
	return out.Volumes[0], nil
}

// AwaitVolume waits until a volume is in a state. A call that fails, as while a
// part is down, is made again.
func (c *Cloud) AwaitVolume(ctx context.Context, client *ec2.Client, id string, state types.VolumeState) error {
	return Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		v, err := c.Volume(ctx, client, id)
		return v.State == state, errors.Join(err, fmt.Errorf("%s is %s", id, v.State))
	})
}

// AwaitAttached waits until a volume is a device on its node.
func (c *Cloud) AwaitAttached(ctx context.Context, client *ec2.Client, id string) error {
	return Eventually(ctx, 200*time.Millisecond, func() (bool, error) {
		v, err := c.Volume(ctx, client, id)
		if err != nil || len(v.Attachments) != 1 {
			return false, errors.Join(err, fmt.Errorf("%s has %d attachments", id, len(v.Attachments)))
		}
		return v.Attachments[0].State == types.VolumeAttachmentStateAttached,
			fmt.Errorf("%s is %s", id, v.Attachments[0].State)
	})
}
