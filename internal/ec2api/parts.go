// SPDX-License-Identifier: Apache-2.0

package ec2api

import (
	"context"
	"strconv"
	"time"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/query"
)

// Parts is what the API needs of the cloud controller to let machines join and
// to forget them. EC2 knows nothing like it: both actions are extensions.
type Parts interface {
	CreateJoinToken(ctx context.Context, spec mallee.JoinTokenSpec) (mallee.JoinToken, error)
	RemoveNode(ctx context.Context, id mallee.InstanceID) error
}

type createJoinTokenIn struct {
	common
	Role             string   `query:"Role,required"`
	Name             string   `query:"Name,required"`
	AvailabilityZone string   `query:"AvailabilityZone,required"`
	Hosts            []string `query:"Host"`
	Lifetime         *int     `query:"Lifetime"` // seconds
}

// maxSeconds keeps a lifetime from running over: what is allowed is far less.
const maxSeconds = 1 << 31

func (in createJoinTokenIn) check() error {
	if n := in.Lifetime; n != nil && (*n < 1 || *n > maxSeconds) {
		return query.BadValue("Lifetime", strconv.Itoa(*n), "Expected a number of seconds.")
	}
	return nil
}

type joinTokenOut struct {
	query.Reply
	Token            string      `xml:"joinToken>token"`
	Role             mallee.Role `xml:"joinToken>role"`
	Name             string      `xml:"joinToken>name"`
	AvailabilityZone string      `xml:"joinToken>availabilityZone"`
	Hosts            []string    `xml:"joinToken>hostSet>item"`
	ExpireTime       string      `xml:"joinToken>expireTime"`
}

func (a api) createJoinToken(ctx context.Context, in createJoinTokenIn) (*joinTokenOut, error) {
	spec := mallee.JoinTokenSpec{Role: mallee.Role(in.Role), Name: in.Name, Partition: in.AvailabilityZone, Hosts: in.Hosts}
	if in.Lifetime != nil {
		spec.Lifetime = time.Duration(*in.Lifetime) * time.Second
	}
	t, err := a.parts.CreateJoinToken(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &joinTokenOut{
		Token: t.Token, Role: t.Role, Name: t.Name, AvailabilityZone: t.Partition, Hosts: t.Hosts, ExpireTime: timestamp(t.Expires),
	}, nil
}

type removeNodeIn struct {
	common
	InstanceID string `query:"InstanceId,required"`
}

func (in removeNodeIn) check() error { return checkInstanceID(in.InstanceID) }

func (a api) removeNode(ctx context.Context, in removeNodeIn) (*doneOut, error) {
	if err := a.parts.RemoveNode(ctx, mallee.InstanceID(in.InstanceID)); err != nil {
		return nil, err
	}
	return &doneOut{Return: true}, nil
}
