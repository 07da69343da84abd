// SPDX-License-Identifier: Apache-2.0

// Package ec2api serves the EC2 Query API: the part of Amazon's that has to do
// with volumes, so that stock clients work, and one extension, DescribePaths.
//
// Nouns are EC2's: a volume, an attachment, an availability zone, which is a
// partition, and an instance, which is a node. A node is "running" while its
// agent is connected and "stopped" otherwise, since that is when an attachment
// can make no progress; the machine itself may well be up.
//
// Elements that EC2 does not have stand beside those that it has, without a
// namespace of their own: clients skip what they do not know.
package ec2api

import (
	"context"
	"encoding/xml"
	"log/slog"
	"net/http"
	"reflect"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mallee-io/mallee"
	"github.com/mallee-io/mallee/internal/auth"
	"github.com/mallee-io/mallee/internal/query"
)

// Volumes is what the API needs of the cloud controller for volumes. As with
// Nodes and Tags, errors are *mallee.Error; any other is shown to callers as an
// internal one.
type Volumes interface {
	CreateVolume(ctx context.Context, spec mallee.VolumeSpec) (mallee.Volume, error)
	// Volumes returns all volumes, sorted by id, each with its attachment.
	Volumes(ctx context.Context) ([]mallee.Volume, error)
	// GrowVolume wishes for a larger volume and returns it with the modification.
	GrowVolume(ctx context.Context, id mallee.VolumeID, sizeGiB int) (mallee.Volume, error)
	DeleteVolume(ctx context.Context, id mallee.VolumeID) error
	AttachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
	// DetachVolume detaches the volume from where it is. A non-empty instance
	// or device must be the attachment's.
	DetachVolume(ctx context.Context, volume mallee.VolumeID, instance mallee.InstanceID, device string) (mallee.Attachment, error)
	// Paths returns the paths of all attachments.
	Paths(ctx context.Context) ([]mallee.Path, error)
}

// Places is what the API needs of the cloud controller for where volumes are.
type Places interface {
	// Partitions returns all partitions, sorted by name.
	Partitions(ctx context.Context) ([]mallee.Partition, error)
	Nodes(ctx context.Context) ([]mallee.Node, error)
}

// Tags is what the API needs of the cloud controller for the tags of volumes and
// instances. What a call names is changed all or not at all.
type Tags interface {
	// SetTags gives the things with these ids the tags.
	SetTags(ctx context.Context, ids []string, tags map[string]string) error
	// ClearTags takes away the tags that drop accepts.
	ClearTags(ctx context.Context, ids []string, drop func(key, value string) bool) error
}

// Options is what the API is made of. All fields are required.
type Options struct {
	Volumes  Volumes
	Places   Places
	Tags     Tags
	Parts    Parts
	Verifier *auth.Verifier
	Log      *slog.Logger
	Registry *prometheus.Registry
}

// NewHandler returns the API, to be mounted at "/" and "/services/compute".
func NewHandler(o Options) http.Handler {
	a := api{o.Volumes, o.Places, o.Tags, o.Parts}
	var actions []query.Action
	for _, each := range a.actions() {
		actions = append(actions, each.Action)
	}
	return query.NewHandler(query.Options{
		API:          "ec2",
		Actions:      actions,
		CheckVersion: checkVersion,
		Root:         root,
		Fault:        fault,
		Verifier:     o.Verifier,
		Log:          o.Log,
		Registry:     o.Registry,
	})
}

type api struct {
	volumes Volumes
	places  Places
	tags    Tags
	parts   Parts
}

// actions is the whole API.
func (a api) actions() []action {
	return []action{
		handle("CreateVolume", a.createVolume),
		handleRead("DescribeVolumes", a.describeVolumes),
		handleRead("DescribeVolumeStatus", a.describeVolumeStatus),
		handleRead("DescribeVolumeAttribute", a.describeVolumeAttribute),
		handle("ModifyVolume", a.modifyVolume),
		handleRead("DescribeVolumesModifications", a.describeVolumesModifications),
		handle("DeleteVolume", a.deleteVolume),
		handle("AttachVolume", a.attachVolume),
		handle("DetachVolume", a.detachVolume),
		handleRead("DescribeInstances", a.describeInstances),
		handleRead("DescribeInstanceStatus", a.describeInstanceStatus),
		handleRead("DescribeAvailabilityZones", a.describeZones),
		handleRead("DescribeRegions", a.describeRegions),
		handleRead("DescribeAccountAttributes", a.describeAccountAttributes),
		handle("CreateTags", a.createTags),
		handle("DeleteTags", a.deleteTags),
		handleRead("DescribeTags", a.describeTags),
		handleRead("DescribePaths", a.describePaths), // ours
		handle("CreateJoinToken", a.createJoinToken), // ours
		handle("RemoveNode", a.removeNode),           // ours
	}
}

// action is one row of the table, with the struct that its parameters go into:
// the reference manual is made from it.
type action struct {
	query.Action
	in reflect.Type
}

// input is what an action takes. check refuses values that are wrong whatever
// the state of the cloud is.
type input interface {
	check() error
	dryRun() bool
}

// common holds the parameters that every action takes.
type common struct {
	DryRun bool `query:"DryRun"`
}

func (c common) dryRun() bool { return c.DryRun }

// handle makes the entry of an action that changes something.
func handle[In input, Out any](name string, do func(context.Context, In) (*Out, error)) action {
	return action{query.Handle(name, checked(do)), reflect.TypeFor[In]()}
}

// handleRead is handle for an action that changes nothing.
func handleRead[In input, Out any](name string, do func(context.Context, In) (*Out, error)) action {
	return action{query.HandleRead(name, checked(do)), reflect.TypeFor[In]()}
}

func checked[In input, Out any](do func(context.Context, In) (*Out, error)) func(context.Context, In) (*Out, error) {
	return func(ctx context.Context, in In) (*Out, error) {
		if err := in.check(); err != nil {
			return nil, err
		}
		if in.dryRun() {
			return nil, query.Faultf("DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
		}
		return do(ctx, in)
	}
}

var versionForm = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}$`)

// checkVersion accepts any date: what we serve has not changed since the first
// API versions that had it, and clients parse what they know.
func checkVersion(version string) error {
	if !versionForm.MatchString(version) {
		return query.Faultf("NoSuchVersion", "The requested version (%s) of service AmazonEC2 does not exist", version)
	}
	return nil
}

func root(action, version string) xml.StartElement {
	return xml.StartElement{
		Name: xml.Name{Local: action + "Response"},
		Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: "http://ec2.amazonaws.com/doc/" + version + "/"}},
	}
}
