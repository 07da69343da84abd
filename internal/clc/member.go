// SPDX-License-Identifier: Apache-2.0

package clc

import (
	"context"
	"encoding/pem"
	"fmt"

	"github.com/mallee-io/mallee"
	cloudv1 "github.com/mallee-io/mallee/api/cloud/v1"
	"github.com/mallee-io/mallee/internal/ca"
	"github.com/mallee-io/mallee/internal/rpc"
	"github.com/mallee-io/mallee/internal/store"
)

// admitPart is rpc.Admit: it lets in whoever calls with the certificate that a
// member has. The record is read each time, so that a part that was removed, or
// whose name has joined anew, is out at once.
func (c *Controller) admitPart(ctx context.Context, id rpc.Identity, first bool) error {
	m, err := c.member(ctx, id)
	if err != nil || !first {
		return err
	}
	if m.Serial == "" {
		return c.adopt(ctx, id)
	}
	switch id.Serial {
	case m.Previous:
		return nil
	case m.Serial:
		if m.Previous == "" {
			return nil
		}
		return c.dropPrevious(ctx, id)
	}
	return joinAgain(id, "it was renewed, and this is an old one")
}

// dropPrevious ends the former certificate of a part, which has used the present
// one. While the store takes no writes, because its disk is full for example, the
// part gets in all the same: it needs to be told what to do, and no record for that.
func (c *Controller) dropPrevious(ctx context.Context, id rpc.Identity) error {
	err := c.store.Update(ctx, func(tx *store.Tx) error {
		m, found, err := members.Get(tx, memberID(id.Role, id.Name))
		if err != nil || !found || m.Serial != id.Serial {
			return err
		}
		m.Previous = ""
		return members.Put(tx, memberID(id.Role, id.Name), m)
	})
	if mallee.KindOf(err) == mallee.Unavailable {
		c.log.WarnContext(ctx, "the former certificate is still good", "part", id.String(), "error", err)
		return nil
	}
	return err
}

// adopt makes the certificate that a part calls with the one that it has. After
// a restore it is not known which that is: it may have been renewed since the
// backup. The first that comes counts.
func (c *Controller) adopt(ctx context.Context, id rpc.Identity) error {
	return c.store.Update(ctx, func(tx *store.Tx) error {
		m, found, err := members.Get(tx, memberID(id.Role, id.Name))
		switch {
		case err != nil:
			return err
		case !found || m.Joining != id.Joining || m.Serial != "" && m.Serial != id.Serial:
			return joinAgain(id, "it is not the one that the part has called with since the restore")
		}
		m.Serial = id.Serial
		return members.Put(tx, memberID(id.Role, id.Name), m)
	})
}

// member returns the record of a part, as it is stored now.
func (c *Controller) member(ctx context.Context, id rpc.Identity) (memberRecord, error) {
	m, found, err := members.Find(ctx, c.store, memberID(id.Role, id.Name))
	if err == nil {
		err = m.of(id, found)
	}
	return m, err
}

// of tells whether the record that was found, if one was, is of the joining that
// a certificate bears.
func (m memberRecord) of(id rpc.Identity, found bool) error {
	switch {
	case !found:
		return joinAgain(id, "%s is no part of this cloud", id)
	case m.Joining != id.Joining:
		return joinAgain(id, "%s has joined anew since it was issued", id)
	}
	return nil
}

// stillMember ends the stream of a part that is none any more.
func (c *Controller) stillMember(ctx context.Context, v *view, id rpc.Identity) error {
	if v.members[memberID(id.Role, id.Name)].Joining == id.Joining {
		return nil
	}
	// The view may also be from before the joining.
	_, err := c.member(ctx, id)
	return err
}

func joinAgain(id rpc.Identity, format string, args ...any) error {
	return &mallee.Error{
		Op: "accept the certificate of", Kind: mallee.Denied, ID: id.Name,
		Hint: fmt.Sprintf("join again with a new token: mallee token create --role %s --name %s, then malleed %s join", id.Role, id.Name, id.Role),
		Err:  fmt.Errorf(format, args...),
	}
}

// Renew implements cloudv1.CloudServer.
func (c *Controller) Renew(ctx context.Context, req *cloudv1.RenewRequest) (*cloudv1.RenewResponse, error) {
	id, err := rpc.Peer(ctx)
	if err != nil {
		return nil, err
	}
	var issued []byte
	var m memberRecord
	err = c.store.Update(ctx, func(tx *store.Tx) error {
		var found bool
		if m, found, err = members.Get(tx, memberID(id.Role, id.Name)); err != nil {
			return err
		}
		if !found || m.Joining != id.Joining || id.Serial != m.Serial && id.Serial != m.Previous {
			return joinAgain(id, "it is no part's any more")
		}
		cert, err := c.parts.CA.Sign(req.GetCsr(), c.certificateOf(id.Role, id.Name, m))
		if err != nil {
			return &mallee.Error{Op: "renew the certificate of", Kind: mallee.Invalid, ID: id.Name, Err: err}
		}
		issued = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
		// What the caller has just used is what it falls back to if it never hears of
		// the new one.
		m.Serial, m.Previous, m.Ends = rpc.Serial(cert), id.Serial, cert.NotAfter.UTC()
		return members.Put(tx, memberID(id.Role, id.Name), m)
	})
	if err != nil {
		return nil, err
	}
	c.log.InfoContext(ctx, "certificate renewed", "part", id.String(), "serial", m.Serial, "ends", m.Ends)
	return &cloudv1.RenewResponse{Certificate: issued, Ca: c.parts.CA.CertPEM()}, nil
}

func (c *Controller) certificateOf(role mallee.Role, name string, m memberRecord) ca.IssueOptions {
	return ca.IssueOptions{
		Role: role, Name: name, Partition: m.Partition, Joining: m.Joining, Hosts: m.Hosts, Validity: c.parts.Lifetime,
	}
}
