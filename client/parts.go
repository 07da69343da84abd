// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/mallee-io/mallee"
)

// CreateJoinToken returns a token with which one machine can join the cloud,
// once, as the part that spec names. The cloud tells it never again.
func (c *Client) CreateJoinToken(ctx context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error) {
	form := url.Values{"Role": {string(spec.Role)}, "Name": {spec.Name}, "AvailabilityZone": {spec.Partition}}
	for i, host := range spec.Hosts {
		form.Set(fmt.Sprintf("Host.%d", i+1), host)
	}
	if spec.Lifetime != 0 {
		form.Set("Lifetime", strconv.Itoa(int(spec.Lifetime/time.Second)))
	}
	var out struct {
		Token   string    `xml:"joinToken>token"`
		Expires time.Time `xml:"joinToken>expireTime"`
	}
	if err := c.do(ctx, ec2, "CreateJoinToken", form, &out); err != nil {
		return mallee.JoinToken{}, err
	}
	return mallee.JoinToken{JoinTokenSpec: spec, Token: out.Token, Expires: out.Expires}, nil
}

// RemoveNode has the cloud forget a node that has no volumes. Its certificate is
// no longer accepted.
func (c *Client) RemoveNode(ctx context.Context, id mallee.InstanceID) error {
	return c.do(ctx, ec2, "RemoveNode", url.Values{"InstanceId": {string(id)}}, &struct{}{})
}
